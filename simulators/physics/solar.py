"""Roofs with their inverters: the sky on planes and strings, what inverter and grid let through, and the meters.

``prepare`` reckons a day of all roofs on the grid (counters, the lag of temperatures, when each wakes up); whatever has
no memory ``at`` computes for the very moment. The model knows nothing of the rules' expected power: clear sky,
transposition, temperatures and inverter are other formulas, and dirt, mismatch, skyline and sensors have errors.
What roofs do at moments is in ``plant.py``, the causes of faults and their sizes in ``ailments.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kraj import sun
from kraj.kinds import SOLAR
from simulators.asset import Asset, Region
from simulators.physics import inverter, mains, panels
from simulators.physics.ailments import HEALTHY, NO_GRID, Acting
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Columns, Effects, Floats, Ints, Mask, Rows
from simulators.physics.health import Health
from simulators.physics.meters import Counters, building_load_w
from simulators.physics.plant import Moment, Morning, Plant, Stops, gridless, on_grid
from simulators.physics.roofs import Roofs
from simulators.physics.signs import event_flags, inverter_state, throttle_flags
from simulators.physics.strings import string_columns
from simulators.physics.traces import traces
from simulators.physics.weather import Weather

CHUNK = 16_384
"""Moments at a time: their arrays stay in the cache, which makes a day of all roofs a third cheaper."""
BATTERY_MS = 12 * 60_000
"""So long the logger's battery carries it without the building's grid: two heartbeats say that there is none."""
POWER_NOISE = 0.003
SENSOR_NOISE_W_PER_M2, TEMP_NOISE_K, VOLTAGE_NOISE_V, FREQUENCY_NOISE_HZ = 1.5, 0.25, 0.3, 0.004
ISOLATION_MIN_OHM = 1e6
"""Of the array: less is a fault at once (solar.md); more than that only against its own past."""
SENSOR_MAX_W_PER_M2 = 1290.0
FLAT = 1.0
"""The size of a sensor's fault at which it stands still."""
CASE_K, CASE_LOAD_K = 9.0, 30.0
"""How much warmer an inverter is than half-way outdoors, and at full load besides."""
WHAT_ELECTRIC, WHAT_VOLT, WHAT_SENSOR = 261, 262, 263


@dataclass(frozen=True)
class _Carried:
    """What goes from one day into the next: counters and when the controller started, shape ``(n,)`` each."""

    counters: Counters
    booted_ms: Ints


@dataclass(frozen=True)
class _Day:
    """A prepared day. On the grid, last axis ``GRID + 1``, what has memory (``heat_k`` has planes before it); when each
    roof woke up, shape ``(n,)``."""

    morning: Morning
    begin: _Carried
    end: _Carried
    counters: Counters
    heat_k: Floats
    load: Floats
    wake_ms: Floats


class SolarModel:
    """All roofs; see ``frame.Model``. ``health`` is of the devices behind them, without it they tell nothing of it."""

    kind = SOLAR

    def __init__(self, assets: Sequence[Asset], weather: Weather, seed: int, health: Health | None = None) -> None:
        self.assets: tuple[Asset, ...] = tuple(assets)
        self.roofs = Roofs.of(assets, seed)
        self._plant = Plant(self.roofs, weather, seed)
        self._seed = seed
        self._health = health
        self._prepared: _Day | None = None

    @staticmethod
    def of(region: Region, weather: Weather) -> "SolarModel":
        """The roofs of a region."""
        roofs = [asset for asset in region.assets if asset.kind == SOLAR.name]
        return SolarModel(roofs, weather, region.seed, Health(region, SOLAR.name))

    def prepare(self, start_ms: int, effects: Effects) -> None:
        """See ``frame.Model``."""
        before = self._prepared
        if before is not None and before.morning.start_ms == start_ms:
            begin = before.begin
        elif before is not None and before.morning.start_ms + DAY_MS == start_ms:
            begin = before.end
        else:
            begin = _Carried(Counters.old(self.roofs, start_ms), self.roofs.built_ms)
        self._prepared = self._reckon(self._plant.morning(start_ms, Acting.on(effects, start_ms)), begin)

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        """See ``frame.Model``."""
        if len(rows) <= CHUNK:
            return self._at(rows, ts_ms)
        parts = [self._at(rows[n : n + CHUNK], ts_ms[n : n + CHUNK]) for n in range(0, len(rows), CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _at(self, rows: Rows, ts_ms: Ints) -> Columns:
        day, roofs, seed = self._day, self.roofs, self._seed
        acting = day.morning.acting
        found = self._plant.shine(day.morning, rows, ts_ms, acting)
        moment = self._plant.moment(day.morning, rows, ts_ms, acting, found, _between(day.heat_k, day, rows, ts_ms))
        stops = self._plant.stops(day.morning, day.wake_ms, rows, ts_ms)
        share = np.where(stops.any, 0.0, moment.fed.share)
        is_open = roofs.string_order[:, rows] < acting.size("string_open", rows, ts_ms)
        out = self._electric(rows, ts_ms, moment, stops)
        out |= self._counted(day, rows, ts_ms)
        out |= self._sensed(day, rows, ts_ms, moment)
        out |= string_columns(roofs, rows, ts_ms, seed, found, moment.cells_degc, moment.each, share, is_open)
        out["isolation_ohm"] = np.round(self._plant.ohm(day.morning, day.wake_ms, rows, ts_ms), -3)
        if self._health is not None:
            booted = _booted_ms(day.begin.booted_ms, acting, rows, ts_ms)
            out |= self._health.columns(rows, ts_ms, booted, acting.size("clock_drift", rows, ts_ms))
        return out

    @property
    def shows(self) -> Mapping[str, Callable[[Rows, Ints], Mask]]:
        """Of a low isolation: while the sun is up and the last measurement was below what is allowed (solar.md)."""
        return {"isolation": self._leaks}

    def _leaks(self, rows: Rows, ts_ms: Ints) -> Mask:
        low = self._plant.ohm(self._day.morning, self._day.wake_ms, rows, ts_ms) < ISOLATION_MIN_OHM
        return low & self.active(rows, ts_ms)

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        """See ``frame.Model``: inverter and logger live by the building's grid, and for a while by a small battery."""
        shape = np.broadcast_shapes(rows.shape, ts_ms.shape)
        acting = self._day.morning.acting
        return np.broadcast_to(~gridless(acting, rows, ts_ms) | ~gridless(acting, rows, ts_ms - BATTERY_MS), shape)

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        """See ``frame.Model``: by day; the heartbeat at night is the same."""
        return sun.elevation_deg(ts_ms, self.roofs.latitude[rows], self.roofs.longitude[rows]) > 0

    def healthy_power_w(self, rows: Rows, ts_ms: Ints) -> Floats:
        """What these roofs would feed in without faults but under the same sky: what a fault truly costs."""
        day = self._day
        found = self._plant.shine(day.morning, rows, ts_ms, HEALTHY)
        heat = _between(day.heat_k, day, rows, ts_ms)
        return self._plant.moment(day.morning, rows, ts_ms, HEALTHY, found, heat).fed.ac_w

    @property
    def _day(self) -> _Day:
        if self._prepared is None:
            raise RuntimeError("prepare a day before asking for its moments")
        return self._prepared

    def _reckon(self, morning: Morning, begin: _Carried) -> _Day:
        """The day of all roofs on the grid."""
        roofs, start_ms, acting = self.roofs, morning.start_ms, morning.acting
        rows = np.arange(len(roofs))[:, None]
        ts_ms = start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        # The last point is the next day's first, when it is dark: one day alone is cheaper for the weather.
        seen_ms = np.minimum(ts_ms, start_ms + DAY_MS - 1)
        found = self._plant.shine(morning, rows, seen_ms, acting)
        heat = panels.lagged(found.heat_k)
        moment = self._plant.moment(morning, rows, ts_ms, acting, found, heat)
        awake = moment.fed.offered_w > 0
        wake_ms = np.where(awake.any(axis=1), ts_ms[awake.argmax(axis=1)], np.inf)
        stops = self._plant.stops(morning, wake_ms, rows, ts_ms)
        ac = np.where(stops.any, 0.0, moment.fed.ac_w)
        used = building_load_w(self._seed, roofs, rows, ts_ms)
        counters = begin.counters.counted_on(roofs, ac, used, stops.gridless)
        load = panels.lagged(ac / roofs.rated_w[:, None])
        booted = _booted_ms(begin.booted_ms, acting, rows[:, 0], np.full(len(roofs), start_ms + DAY_MS))
        return _Day(morning, begin, _Carried(counters.last, booted), counters, heat, load, wake_ms)

    def _electric(self, rows: Rows, ts_ms: Ints, moment: Moment, stops: Stops) -> Columns:
        roofs, seed, fed = self.roofs, self._seed, moment.fed
        rated = roofs.rated_w[rows]
        error = traces(seed, roofs.ids[rows], ts_ms, WHAT_ELECTRIC)
        flicker = traces(seed, roofs.ids[rows], ts_ms, WHAT_VOLT)
        feeds = (fed.ac_w > 0) & ~stops.any
        ac = np.where(feeds, fed.ac_w * (1 + POWER_NOISE * error[0]), 0.0)
        standby = -rated * inverter.STANDBY_SHARE
        hertz = mains.frequency_hz(seed, ts_ms) + FREQUENCY_NOISE_HZ * error[1]
        out: Columns = {
            "power_w": np.where(feeds, ac, np.where(stops.gridless, 0.0, standby)),
            "frequency_hz": np.where(stops.gridless, 0.0, hertz),
            "dc_power_w": np.where(feeds, moment.dc_w * fed.share, 0.0),
            "throttle_pct": np.where(feeds, 100 * (1 - fed.share) * (fed.by_voltage + fed.by_limit), 0.0),
            "throttle_flags": throttle_flags(fed, feeds),
            "state": inverter_state(moment, stops, feeds, rated),
            "event_flags": event_flags(roofs.ids[rows], moment, stops, rated),
        }
        for phase in (1, 2, 3):
            volts = moment.grid_v[phase - 1] + roofs.rise_v[rows] * ac / rated
            volts = volts + VOLTAGE_NOISE_V * flicker[phase]
            out[f"l{phase}_voltage_v"] = np.where(stops.gridless, 0.0, volts)
        return out

    def _counted(self, day: _Day, rows: Rows, ts_ms: Ints) -> Columns:
        metered = np.where(self.roofs.meter[rows], 1.0, np.nan)
        return {
            "energy_wh": np.floor(_between(day.counters.energy, day, rows, ts_ms)),
            "import_energy_wh": np.floor(_between(day.counters.imported, day, rows, ts_ms)) * metered,
            "export_energy_wh": np.floor(_between(day.counters.exported, day, rows, ts_ms)) * metered,
        }

    def _sensed(self, day: _Day, rows: Rows, ts_ms: Ints, moment: Moment) -> Columns:
        acting, there = day.morning.acting, np.where(self.roofs.sensor[rows], 1.0, np.nan)
        light, module, case, _ = traces(self._seed, self.roofs.ids[rows], ts_ms, WHAT_SENSOR)
        shown = moment.shine.glass * self.roofs.sensor_gain[rows] + SENSOR_NOISE_W_PER_M2 * light
        size = acting.size("irradiance_sensor", rows, ts_ms)
        if size.any():
            flat = np.flatnonzero(size == FLAT)
            began = ts_ms[flat] - acting.since_ms("irradiance_sensor", rows, ts_ms)[flat].astype(np.int64)
            then = self._plant.shine(day.morning, rows[flat], began, HEALTHY)
            shown = shown * np.where(size < FLAT, 1 - size, 1.0) + np.where(size > FLAT, size, 0.0)
            shown[flat] = then.glass * self.roofs.sensor_gain[rows[flat]]
        half = moment.shine.sky.air_degc / 2 + CASE_K
        return {
            "irradiance_w_per_m2": np.clip(shown, -5.0, SENSOR_MAX_W_PER_M2) * there,
            "module_temp_degc": (moment.cells_degc[0] + TEMP_NOISE_K * module) * there,
            "inverter_temp_degc": half + CASE_LOAD_K * _between(day.load, day, rows, ts_ms) + TEMP_NOISE_K * case,
        }


def _booted_ms(begin: Ints, acting: Acting, rows: Rows, ts_ms: Ints) -> Ints:
    """When the controllers started: after the last outage of the day, else as the day began; shape ``(k,)``."""
    out = begin[rows]
    for cause in NO_GRID:
        row, _, end, _ = acting.effects.by_cause.get(cause, (rows[:0], ts_ms[:0], ts_ms[:0], None))
        for one, back_ms in zip(row.tolist(), end.tolist(), strict=True):
            out = np.where((rows == one) & (ts_ms >= back_ms), np.maximum(out, back_ms), out)
    return out


def _between(grid: Floats, day: _Day, rows: Rows, ts_ms: Ints) -> Floats:
    """Values on a day's grid (last axes roofs and time) at moments of that day, straight in between."""
    step, part = on_grid(day.morning.start_ms, ts_ms)
    return grid[..., rows, step] * (1 - part) + grid[..., rows, step + 1] * part
