"""A lighting cabinet: its meter sees the very lamps behind it, phase by phase, and whatever else is connected there."""

import numpy as np

from kraj.kinds import CABINET
from simulators.asset import Asset, Region
from simulators.physics.bank import Bank
from simulators.physics.behind import Behind, companions, tangent
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Columns, Effects, Floats, Ints, Mask, Rows
from simulators.physics.health import Health, merged
from simulators.physics.lamp import LUX_MAX, LUX_PER_W_PER_M2, VOLTAGES, LampModel, between
from simulators.physics.lighting import HOUR_MS, Lamps
from simulators.physics.mains import areas, grid_voltage_v
from simulators.physics.supply import CONTACTOR_OPEN, STUCK, Supply
from simulators.physics.told import Told
from simulators.physics.traces import traces
from simulators.physics.wander import identities, trait
from simulators.physics.weather import Weather

OWN_W, OWN_FACTOR = 12.0, 0.6
"""The controller, the modem and the heater's thermostat, on the first phase, before the main breaker."""
LINE_LOSS = 0.015
"""Of the lamps' power, in cables and terminals."""
METER_NOISE, VOLTAGE_NOISE_V = 0.002, 0.15
DROP_V = 1.2
"""In the supply cable at full load."""
BATTERY_MS = 30 * 60_000
"""So long a cabinet goes on reporting without supply."""
LEAKAGE_MA = (1.0, 12.0)
LEAKAGE_IDLE = 0.2
"""What is left of it while the feeders are off."""
WARMER_K, SUN_K = 3.0, 8.0
THEFT_FACTOR = 0.98
"""Who connects illegally heats."""
THEFT_PHASE_WHAT = 241
ACTIVE_SHARE = 0.1
"""Of the lamps' rated power."""
AUTOMATIC, BY_HAND_ON = 0.0, 1.0
SUPPLY_LOST = ("cabinet_outage", "grid_outage")
PHASES = (0, 1, 2)

WHAT_LEAKAGE, WHAT_METER, WHAT_SENSORS = 242, 243, 246


class CabinetModel:
    """All cabinets of a region; asks ``lamps`` of the same region, prepared for the same day before. See
    ``frame.Model``."""

    kind = CABINET

    def __init__(self, region: Region, weather: Weather, lamps: LampModel) -> None:
        self._seed = region.seed
        self._weather, self._health = weather, Health(region, "cabinet")
        self._model = lamps
        self.assets: tuple[Asset, ...] = lamps.cabinets
        n = len(self.assets)
        self._ids = identities([c.key for c in self.assets])
        self._rated_w = np.array([c.power_rated_w for c in self.assets], np.float64)
        self._switched = np.array([c.number("feeder_switched") > 0 for c in self.assets], np.bool_)
        self._leakage = trait(self._seed, self._ids, WHAT_LEAKAGE, *LEAKAGE_MA)
        self._thief: Rows = (trait(self._seed, self._ids, THEFT_PHASE_WHAT) * 3).astype(np.intp)
        self._areas = areas([c.word("supply_area") or c.municipality for c in self.assets])
        self._others = Lamps(self._seed, Bank.unmetered(self._seed, self.assets))
        self._companion = companions(lamps, n)
        self._behind = [Behind.of(lamps.lamps, n), Behind.of(self._others, n)]
        self._energy: dict[int, Floats] = {}
        self._prepared = -1
        self.effects = Effects({})

    @property
    def told(self) -> Told:
        """What their contactors were told."""
        return self._model.told_contactors

    def prepare(self, start_ms: int, effects: Effects) -> None:
        """See ``frame.Model``."""
        self.start_ms, self.effects = start_ms, effects
        self._prepare()

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        """See ``frame.Model``."""
        self._follow()
        first, second, third = traces(self._seed, self._ids[rows], ts_ms, WHAT_SENSORS)[:3]
        passed = ts_ms - self.start_ms
        closed = self._contactor(rows, ts_ms)
        booted = self._booted_ms(rows, ts_ms)
        return merged(
            self._meter(rows, ts_ms),
            {
                "energy_wh": np.floor(between(self._wh, rows, passed)),
                "contactor_closed": closed.astype(np.float64),
                "breaker_closed": np.where(self._size("breaker", rows, ts_ms) > 0, 0.0, 1.0),
                "door_open": np.where(self._size("door_open", rows, ts_ms) > 0, 1.0, 0.0),
                "leakage_ma": self._leakage[rows] * np.where(closed, 1.0, LEAKAGE_IDLE) * (1 + 0.05 * first)
                + self._size("leakage", rows, ts_ms) * (1 + 0.02 * second),
                "illuminance_lx": np.minimum(between(self._lux, rows, passed), LUX_MAX),
                "cabinet_temp_degc": between(self._degc, rows, passed) + 0.15 * third,
                "local_switch": np.where(self._size("crew_test", rows, ts_ms) > 0, BY_HAND_ON, AUTOMATIC),
            },
            self._health.columns(rows, ts_ms, booted, self._size("clock_drift", rows, ts_ms)),
        )

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Its small battery carries the controller for a while."""
        return ~(self._dark_ms(rows, ts_ms) >= BATTERY_MS)

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        """While lamps behind it are lit, as far as its meter can tell."""
        self._follow()
        return between(self._load_w, rows, ts_ms - self.start_ms) > ACTIVE_SHARE * self._rated_w[rows]

    def true_w(self, rows: Rows, ts_ms: Ints) -> Floats:
        """What flows through each phase, as a perfect meter would see it; shape ``(k, 3)``."""
        self._follow()
        watts, _ = self._load(rows, ts_ms)
        return watts

    def _follow(self) -> None:
        """The lamps may have been prepared anew, with a fault more."""
        if self._prepared != self._model.version:
            self._prepare()

    def _prepare(self) -> None:
        self._prepared, self._contactors = self._model.version, self._model.contactors
        grid = self.start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        behind = self._on_unmetered()
        bank = self._others.bank
        self._others.prepare(self.start_ms, behind, Supply(self._contactors, bank.circuit, bank.switched, behind))
        volts = grid_voltage_v(self._seed, self._areas[:, None, None], grid, np.arange(1, 4)[:, None])
        self._volts = volts.reshape(-1, GRID + 1)
        n = len(self.assets)
        latitude, longitude = (np.array([getattr(c, a) for c in self.assets]) for a in ("latitude", "longitude"))
        ground = np.zeros((0, GRID + 1))
        if n:
            ground = self._weather.sky(latitude[:, None], longitude[:, None], grid).light.ground
        self._lux = ground * LUX_PER_W_PER_M2
        self._degc = self._weather.air_degc(grid) + WARMER_K + SUN_K * ground / 900
        self._sum_energy(grid)

    def _sum_energy(self, grid: Ints) -> None:
        """The meter's energy at the points of the grid: that of the lamps with its losses, its own, and theft."""
        rows = np.arange(len(self.assets))[:, None]
        each = np.zeros((len(self.assets), GRID + 1))
        load = np.zeros_like(each)
        for behind in self._behind:
            for lamp, circuit in behind.pairs():
                np.add.at(each, circuit, behind.lamps.grid_wh[lamp] - behind.lamps.grid_wh[lamp, :1])
                np.add.at(load, circuit, behind.lamps.grid_w[lamp])
        own = np.where(self._dark_ms(rows, grid) >= 0, 0.0, OWN_W) + self._size("theft", rows, grid)
        self._load_w = load * (1 + LINE_LOSS) + own
        each *= 1 + LINE_LOSS
        each[:, 1:] += np.cumsum((own[:, 1:] + own[:, :-1]) / 2, axis=1) * (GRID_MS / HOUR_MS)
        first = self._energy.get(self.start_ms)
        if first is None:
            first = self._plausible_wh()
        self._wh = first[:, None] + each
        self._energy = {self.start_ms: first, self.start_ms + DAY_MS: self._wh[:, -1]}

    def _plausible_wh(self) -> Floats:
        """A meter that was there before any of its lamps."""
        out = np.full(len(self.assets), self.start_ms / HOUR_MS * OWN_W * 0.1)
        for behind in self._behind:
            np.add.at(out, behind.circuit, behind.lamps.grid_wh[behind.lamp, 0] * (1 + LINE_LOSS))
        return np.floor(out)

    def _meter(self, rows: Rows, ts_ms: Ints) -> Columns:
        watts, vars_ = self._load(rows, ts_ms)
        dark = self._dark_ms(rows, ts_ms) >= 0
        lost = self._size("phase_lost", rows, ts_ms)
        fault_v: Floats = np.max([self._size(cause, rows, ts_ms) for cause in VOLTAGES], axis=0)
        noise = traces(self._seed, self._ids[rows], ts_ms, WHAT_METER)
        total = watts.sum(axis=1)
        out: Columns = {}
        for phase in PHASES:
            dead = dark | (lost == phase + 1)
            volts = between(self._volts, rows * 3 + phase, ts_ms - self.start_ms)
            volts = volts - DROP_V * total / np.maximum(self._rated_w[rows], 1.0)
            volts = np.where(fault_v > 0, fault_v, volts) + VOLTAGE_NOISE_V * noise[phase]
            volts = np.where(dead, 0.0, volts)
            power = watts[:, phase] * (1 + METER_NOISE * noise[(phase + 1) % 4])
            apparent = np.hypot(watts[:, phase], vars_[:, phase])
            name = f"l{phase + 1}"
            out[f"{name}_voltage_v"] = volts
            out[f"{name}_current_a"] = np.divide(apparent, volts, out=np.zeros_like(volts), where=volts > 0)
            out[f"{name}_power_w"] = power
            # An idle phase has no power factor to speak of; meters then show 1.
            out[f"{name}_power_factor"] = np.divide(
                watts[:, phase], apparent, out=np.ones_like(volts), where=apparent > 0
            )
        return {"power_w": sum((out[f"l{p + 1}_power_w"] for p in PHASES), np.zeros(len(rows))), **out}

    def _load(self, rows: Rows, ts_ms: Ints) -> tuple[Floats, Floats]:
        """Watts and vars of each phase; shape ``(k, 3)``."""
        watts = np.zeros((len(rows), 3))
        vars_ = np.zeros((len(rows), 3))
        for behind in self._behind:
            behind.add(rows, ts_ms, watts, vars_)
        watts *= 1 + LINE_LOSS
        dark = self._dark_ms(rows, ts_ms) >= 0
        own = np.where(dark, 0.0, OWN_W)
        watts[:, 0] += own
        vars_[:, 0] += own * tangent(np.array(OWN_FACTOR))
        stolen = np.where(dark, 0.0, self._size("theft", rows, ts_ms))
        where = np.arange(len(rows)), self._thief[rows]
        watts[where] += stolen
        vars_[where] += stolen * tangent(np.array(THEFT_FACTOR))
        return watts, vars_

    def _contactor(self, rows: Rows, ts_ms: Ints) -> Mask:
        closed = self._contactors.closed(rows, ts_ms) | ~self._switched[rows]
        for cause in STUCK:
            closed = closed | (self._size(cause, rows, ts_ms) > 0)
        for cause in ("feeder_outage", "circuit_unlit"):
            closed = closed & (self._size(cause, rows, ts_ms) != CONTACTOR_OPEN)
        return closed

    def _dark_ms(self, rows: Rows, ts_ms: Ints) -> Floats:
        """For how long the cabinet has had no supply; NaN while it has."""
        return np.fmax(*(self.effects.since_ms(cause, rows, ts_ms) for cause in SUPPLY_LOST))

    def _booted_ms(self, rows: Rows, ts_ms: Ints) -> Ints:
        """The platform's side counts starts; to the model a cabinet has been there for a month."""
        return np.broadcast_to(np.int64(self.start_ms - 30 * DAY_MS), np.shape(ts_ms)) + 0 * rows

    def _size(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        return self.effects.size(cause, rows, ts_ms)

    def _on_unmetered(self) -> Effects:
        """What faults of a cabinet, and of its first feeder, do to the lamps without controllers."""
        bank = self._others.bank
        number = np.arange(len(bank)) - np.searchsorted(bank.circuit, bank.circuit)
        found: dict[str, tuple[Rows, Ints, Ints, Floats]] = {}

        def put(cause: str, lamps: Rows, start: int, end: int, size: float) -> None:
            new = (lamps, np.full(len(lamps), start), np.full(len(lamps), end), np.full(len(lamps), size))
            old = found.get(cause)
            joined = new if old is None else tuple(np.concatenate(pair) for pair in zip(old, new, strict=True))
            found[cause] = joined  # pyright: ignore[reportArgumentType] - four columns stay four

        for cause, columns in self.effects.by_cause.items():
            for row, start, end, size in zip(*(c.tolist() for c in columns), strict=True):
                mine = np.flatnonzero(bank.circuit == row)
                if cause == "phase_lost":
                    mine = mine[bank.phase[mine] == size]
                elif cause == "lamps_dark":
                    mine, size = mine[number[mine] < size], 1.0
                put(cause, mine, start, end, size)
        if "feeder_outage" in self._model.effects.by_cause:
            for row, start, end, size in zip(
                *(c.tolist() for c in self._model.effects.by_cause["feeder_outage"]), strict=True
            ):
                put("feeder_outage", np.flatnonzero(self._companion[bank.circuit] == row), start, end, size)
        return Effects(found)
