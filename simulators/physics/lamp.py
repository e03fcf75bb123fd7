"""A street lamp as it reports itself: its program, its light and watts, its gear, and whatever has befallen it."""

from collections.abc import Sequence

import numpy as np

from kraj.kinds import LAMP
from simulators.asset import Asset, Region
from simulators.physics.bank import Bank
from simulators.physics.frame import GRID, GRID_MS, Columns, Effects, Floats, Ints, Mask, Rows
from simulators.physics.health import Health, merged
from simulators.physics.lighting import Lamps
from simulators.physics.mains import areas, grid_voltage_v
from simulators.physics.supply import Supply, contactors
from simulators.physics.told import Told
from simulators.physics.traces import traces
from simulators.physics.wander import identities, trait
from simulators.physics.weather import Weather

VOLTAGES = ("voltage", "voltage_cabinet", "voltage_area")
"""Causes that set the voltage: of a lamp with a bad joint, of a cabinet with a bad neutral, of an area; size in V."""
POWER_NOISE, VOLTAGE_NOISE_V, LEVEL_NOISE_PCT, TEMP_NOISE_K = 0.004, 0.2, 0.15, 0.15
DROP_V = (0.3, 4.0)
"""At full power, from the first to the last lamp of a feeder."""
FACTOR_FULL, FACTOR_FALL = 0.96, 0.36
"""Power factor at full light, and what it loses on the way to 10 %: 0.60 there is normal."""
FACTOR_IDLE = 0.35
GEAR_WARM_K, GEAR_LAG_S = 28.0, 1800.0
"""A driver at full power is so much warmer than the housing, in so long."""
HOUSING_K = 5.0
LUX_PER_W_PER_M2 = 110.0
LUX_MAX = 119_000.0
OWN_LUX = 0.09
"""What a lamp's own sensor sees of its light, per percent."""
BLOW_MS = 6 * 60_000
"""The highest shock stays in the snapshots of this time."""
BLOW_G = 4.0
TILT_DEG = (0.1, 1.6)
MEASURES_SHARE, TILT_SHARE, LIGHT_SENSOR_SHARE = 0.7, 0.6, 0.2
"""Lamps with a driver that measures its light, an accelerometer, a light sensor: the others leave these metrics out."""

WHAT_DROP, WHAT_FACTOR, WHAT_TILT, WHAT_MEASURES, WHAT_HAS_TILT, WHAT_LIGHT = 231, 232, 233, 234, 235, 236
WHAT_ELECTRIC, WHAT_SENSORS, WHAT_FLAG = 237, 238, 239

_FLAG = {name: float(2**bit) for bit, name in enumerate(LAMP.by_name["failure_flags"].bits)}


class LampModel:
    """All lamps of a region that have a controller; see ``frame.Model``."""

    kind = LAMP

    def __init__(self, region: Region, weather: Weather) -> None:
        seed = self._seed = region.seed
        self.assets: tuple[Asset, ...] = tuple(a for a in region.assets if a.kind == "lamp")
        self.cabinets: tuple[Asset, ...] = tuple(a for a in region.assets if a.kind == "cabinet")
        place = {c.key: n for n, c in enumerate(self.cabinets)}
        circuit = np.array([place.get(f"{a.municipality}/{a.word('cabinet')}", -1) for a in self.assets], np.intp)
        self.lamps = Lamps(seed, Bank.of(seed, self.assets, circuit))
        bank = self.lamps.bank
        self._weather, self._health = weather, Health(region, "lamp")
        self._drop_v = trait(seed, bank.ids, WHAT_DROP, *DROP_V)
        self._factor = trait(seed, bank.ids, WHAT_FACTOR, -0.008, 0.008)
        self._tilt = np.where(accelerometer(seed, self.assets), trait(seed, bank.ids, WHAT_TILT, *TILT_DEG), np.nan)
        self._measures = np.where(trait(seed, bank.ids, WHAT_MEASURES) < MEASURES_SHARE, 1.0, np.nan)
        self._sees: Rows = np.flatnonzero(trait(seed, bank.ids, WHAT_LIGHT) < LIGHT_SENSOR_SHARE)
        names = sorted({a.word("supply_area") or a.municipality for a in self.assets})
        number = {name: n for n, name in enumerate(names)}
        area = [number[a.word("supply_area") or a.municipality] for a in self.assets]
        self._line: Rows = np.array(area, np.intp) * 3 + bank.phase - 1
        self._areas = areas(names)
        self._gear_at: dict[int, Floats] = {}
        clocks = {installed.asset.key: device.clock for device in region.devices for installed in device.installed}
        self.told.clockless = frozenset(n for n, asset in enumerate(self.assets) if not clocks[asset.key])
        # Lamps on switched feeders hang on what the contactors of their cabinets were told.
        self.told_contactors = Told(
            frozenset(n for n, one in enumerate(self.cabinets) if not clocks.get(one.key, True))
        )
        self.version = 0
        self.effects = Effects({})

    @property
    def told(self) -> Told:
        """What these lamps were told; a day that is prepared again goes by it."""
        return self.lamps.told

    def prepare(self, start_ms: int, effects: Effects) -> None:
        """See ``frame.Model``."""
        bank = self.lamps.bank
        self.contactors = contactors(self._seed, self.cabinets, start_ms, self.told_contactors)
        self.lamps.prepare(start_ms, effects, Supply(self.contactors, bank.circuit, bank.switched, effects))
        self.version += 1
        self.effects = effects
        grid = start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        phases = np.arange(1, 4)[:, None]
        volts = grid_voltage_v(self._seed, self._areas[:, None, None], grid, phases)
        self._volts = volts.reshape(-1, GRID + 1)
        self._warm(grid)
        self._lux = np.full((len(bank) + 1, GRID + 1), np.nan)  # the last row is of those without a sensor
        self._lux_row: Rows = np.full(len(bank), len(bank), np.intp)
        self._lux_row[self._sees] = self._sees
        if len(self._sees):
            above = self._weather.sky(bank.latitude[self._sees, None], bank.longitude[self._sees, None], grid)
            self._lux[self._sees] = np.minimum(above.light.ground * LUX_PER_W_PER_M2, LUX_MAX)

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        """See ``frame.Model``; a lamp without supply tells of its loss."""
        lamps = self.lamps
        event = lamps.line.find(rows, ts_ms)
        powered = lamps.powered[event]
        level = lamps.effective_pct(event, ts_ms)
        lit = lamps.lit[event]
        passed = np.maximum(ts_ms - lamps.line.ts_ms[event], 0)
        return merged(
            {
                "level_commanded_pct": lamps.commanded_pct[event],
                "level_effective_pct": level,
                "level_reason": lamps.reason[event],
                "lamp_on_time_s": (lamps.on_ms[event] + passed * lit) // 1000
                + 3600 * self._effect("lumen_depreciation", rows, ts_ms),
                "gear_on_time_s": ((lamps.gear_on_ms[event] + passed * powered) // 1000).astype(np.float64),
                "lamp_starts": lamps.starts[event].astype(np.float64),
                "gear_starts": lamps.gear_starts[event].astype(np.float64),
                "supply_losses": lamps.losses[event].astype(np.float64),
                "energy_wh": np.floor(lamps.energy_wh(rows, ts_ms)),
            },
            self._electric(event, rows, ts_ms, level),
            self._sensors(event, rows, ts_ms, np.where(lit, level, 0.0)),
            self._health.columns(rows, ts_ms, lamps.booted_ms[event], self._effect("clock_drift", rows, ts_ms)),
        )

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        """See ``frame.Model``."""
        return self.lamps.powered[self.lamps.line.find(rows, ts_ms)]

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Lit, or meant to be."""
        event = self.lamps.line.find(rows, ts_ms)
        return self.lamps.powered[event] & ((self.lamps.commanded_pct[event] > 0) | (self.lamps.target_pct[event] > 0))

    def _electric(self, event: Rows, rows: Rows, ts_ms: Ints, level: Floats) -> Columns:
        lamps = self.lamps
        first, second, third, _ = traces(self._seed, lamps.bank.ids[rows], ts_ms, WHAT_ELECTRIC)
        true_w = lamps.power_w(event, rows, ts_ms)
        power = true_w * (1 + POWER_NOISE * first)
        volts = between(self._volts, self._line[rows], ts_ms - lamps.start_ms)
        volts = volts - self._drop_v[rows] * true_w / lamps.bank.rated_w[rows]
        fault_v: Floats = np.max([self._effect(cause, rows, ts_ms) for cause in VOLTAGES], axis=0)
        volts = np.where(fault_v > 0, fault_v, volts) + VOLTAGE_NOISE_V * second
        volts = np.where(lamps.powered[event], volts, 0.0)
        factor = power_factor(level, lamps.target_pct[event] > 0) + self._factor[rows]
        factor = factor * (1 - self._effect("low_power_factor", rows, ts_ms))
        measured = np.where(lamps.lit[event], np.clip(level + LEVEL_NOISE_PCT * third, 0, 100), 0.0)
        return {
            "level_measured_pct": measured * self._measures[rows],
            "power_w": power,
            "voltage_v": volts,
            "current_a": np.divide(power, volts * factor, out=np.zeros_like(power), where=volts > 0),
            "power_factor": factor,
        }

    def _sensors(self, event: Rows, rows: Rows, ts_ms: Ints, light_pct: Floats) -> Columns:
        first, second, third, _ = traces(self._seed, self.lamps.bank.ids[rows], ts_ms, WHAT_SENSORS)
        passed = ts_ms - self.lamps.start_ms
        temp = between(self._gear_degc, rows, passed) + TEMP_NOISE_K * first
        lean = self._effect("knock_down", rows, ts_ms)
        tilt = np.abs(self._tilt[rows] + 0.05 * second) + lean
        shock = np.where(np.isnan(tilt), np.nan, np.abs(0.02 * third))
        if "knock_down" in self.effects.by_cause:
            blow = self.effects.since_ms("knock_down", rows, ts_ms) < BLOW_MS
            shock = np.where(blow, BLOW_G + lean / 30, shock)
        return {
            "gear_temp_degc": temp,
            "failure_flags": self._flags(event, rows, ts_ms, temp),
            "illuminance_lx": between(self._lux, self._lux_row[rows], passed) + OWN_LUX * light_pct,
            "tilt_deg": tilt,
            "shock_g": shock,
        }

    def _flags(self, event: Rows, rows: Rows, ts_ms: Ints, temp: Floats) -> Floats:
        """What the gear says of itself; half of the dead lamps say why."""
        lamps = self.lamps
        flags: Floats = np.where(lamps.powered[event], 0.0, _FLAG["supply_undervoltage"])
        hot = lamps.hot[event]
        if hot.any():
            derating = (hot > 0) & (temp > self._gear_max(rows))
            flags = flags + np.where(derating, _FLAG["gear_thermal_derating"] + _FLAG["output_power_limited"], 0.0)
        flags = flags + _FLAG["gear_thermal_shutdown"] * (self._effect("gear_shutdown", rows, ts_ms) > 0)
        out = self._effect("lamp_out", rows, ts_ms) > 0
        if np.any(out):
            says = trait(self._seed, lamps.bank.ids[rows], WHAT_FLAG) < 0.5
            flags = flags + np.where(out & says & (lamps.commanded_pct[event] > 0), _FLAG["light_source_failure"], 0.0)
        return flags

    def _gear_max(self, rows: Rows) -> Floats:
        limits = np.array([asset.number("gear_temp_max_degc", 85.0) for asset in self.assets])
        return limits[rows]

    def _warm(self, grid: Ints) -> None:
        """Gear temperatures at the points of the grid: a first-order lag behind the power."""
        lamps = self.lamps
        rows = np.arange(len(lamps.bank))[:, None]
        event = lamps.line.find(rows, grid)
        housing = self._weather.air_degc(grid) + HOUSING_K
        goal = housing + GEAR_WARM_K * lamps.grid_w / lamps.bank.rated_w[:, None]
        for cause in ("gear_temp", "gear_shutdown"):
            fault = self.effects.size(cause, rows, grid)
            goal = np.where((fault > 0) & ((lamps.target_pct[event] > 0) | (cause != "gear_temp")), fault, goal)
        keep = float(np.exp(-GRID_MS / 1000 / GEAR_LAG_S))
        temp = np.empty_like(goal)
        start, end = int(grid[0]), int(grid[-1])
        temp[:, 0] = self._gear_at.get(start, goal[:, 0])
        for step in range(GRID):
            temp[:, step + 1] = goal[:, step + 1] + (temp[:, step] - goal[:, step + 1]) * keep
        self._gear_degc = temp
        self._gear_at = {start: temp[:, 0].copy(), end: temp[:, -1].copy()}

    def _effect(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        return self.effects.size(cause, rows, ts_ms)


def power_factor(level_pct: Floats, lit: Mask) -> Floats:
    """0.60 at 10 %, 0.96 at full; standby is mostly reactive."""
    return np.where(lit, FACTOR_FULL - FACTOR_FALL * ((100 - level_pct) / 90) ** 2, FACTOR_IDLE)


def accelerometer(seed: int, lamps: Sequence[Asset]) -> Mask:
    """Which lamps can tell that their pole leans; shape ``(n,)``."""
    return trait(seed, identities([lamp.key for lamp in lamps]), WHAT_HAS_TILT) < TILT_SHARE


def between(grid: Floats, rows: Rows, passed_ms: Ints) -> Floats:
    """Values on the day's grid, shape ``(n, GRID + 1)``, joined by straight lines."""
    place = passed_ms / GRID_MS
    step = np.clip(place.astype(np.intp), 0, GRID - 1)
    part = place - step
    return grid[rows, step] * (1 - part) + grid[rows, step + 1] * part
