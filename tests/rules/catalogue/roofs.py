"""Roofs under a sky that a test makes: what every reading says, and what the rules make of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from kraj import sun
from kraj.alerts import SymptomChange
from kraj.assets import AssetRow
from kraj.kinds import SOLAR
from kraj.kinds.solar import STATES
from kraj.readings import Floats, Readings
from rules.catalogue import load
from rules.estate import Estate
from rules.observer import Observer
from rules.photovoltaics.clear import Roofs as Planes
from rules.photovoltaics.clear import clear_light, power_w

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
RATED_W = 10_000.0
LATITUDE, LONGITUDE = 49.5, 15.5
Columns = dict[str, Floats]
Sky = Callable[[int], Floats | float]
"""The clear-sky index of each roof at a moment."""
Change = Callable[[int, Columns], None]
"""What a test does to the readings of a moment, in place."""

FEEDS = frozenset({"solar_silent"})
"""Symptoms that nobody is told of."""


def at(month: int, day: int, hour: float = 0) -> int:
    """A moment of 2026, UTC: solar noon in Czechia is at about eleven."""
    return int(datetime(2026, month, day, tzinfo=UTC).timestamp() * 1000) + round(hour * HOUR_MS)


def roof(number: int, **metadata: float | str) -> AssetRow:
    """A south roof, a kilometre from the next; numbers count from 0, asset ids from 1."""
    return AssetRow(
        asset_id=number + 1,
        municipality_id=1,
        kind="solar",
        label=f"FVE {number}",
        latitude=LATITUDE + number / 111,
        longitude=LONGITUDE,
        metadata={
            "power_rated_w": RATED_W,
            "power_peak_w": RATED_W,
            "tilt_deg": 30.0,
            "azimuth_deg": 180.0,
            "strings": 2,
            **metadata,
        },
        device_id=number + 1,
    )


def street(peers: int, **metadata: float | str) -> list[AssetRow]:
    """One roof, number 0, that the story is about, and so many around it, a site each."""
    return [roof(0, **metadata), *(roof(number) for number in range(1, peers + 1))]


def overcast(_: int) -> float:
    return 0.15


def clear(_: int) -> float:
    return 0.95


NOON = at(5, 10, 11)


def bit(names: tuple[str, ...], name: str) -> float:
    return float(1 << names.index(name))


def dead(from_ms: int, to_ms: int = 2**60, numbers: slice = slice(1)) -> Change:
    """These roofs give nothing in this time, and their inverters say that they are off."""

    def change(ts_ms: int, columns: Columns) -> None:
        if from_ms <= ts_ms < to_ms:
            for name in ("power_w", "dc_power_w", "string1_current_a", "string2_current_a"):
                columns[name][numbers] = 0.0
            columns["state"][numbers] = STATES.index("off")

    return change


def said(from_ms: int, to_ms: int = 2**60, **values: float) -> Change:
    """Roof 0 says these values in this time."""

    def change(ts_ms: int, columns: Columns) -> None:
        if from_ms <= ts_ms < to_ms:
            for name, value in values.items():
                columns.setdefault(name, np.full(len(columns["power_w"]), np.nan))[0] = value

    return change


def both(*changes: Change) -> Change:
    def change(ts_ms: int, columns: Columns) -> None:
        for one in changes:
            one(ts_ms, columns)

    return change


def minutes(symptom_ms: int, since_ms: int) -> float:
    return (symptom_ms - since_ms) / MINUTE_MS


def silent(from_ms: int, to_ms: int = 2**60, numbers: slice = slice(1)) -> Change:
    def change(ts_ms: int, columns: Columns) -> None:
        if from_ms <= ts_ms < to_ms:
            columns["power_w"][numbers] = np.inf

    return change


@dataclass
class Roofs:
    """Readings of all roofs every ``step_ms``, from the sky and what the test changes; alerts as they come."""

    rows: Sequence[AssetRow]
    sky: Sky = clear
    change: Change = lambda _, __: None
    step_ms: int = 5 * MINUTE_MS
    changes: list[SymptomChange] = field(default_factory=list[SymptomChange])

    def __post_init__(self) -> None:
        self.estate = Estate.of(1, self.rows)
        self.observer = Observer(self.estate, [rule for rule in load() if "solar" in rule.kinds])
        self.members = self.estate.members["solar"]
        self.planes = Planes.of(self.members)
        self.counter = np.full(len(self.rows), 5_000_000.0)
        self.random = np.random.default_rng(1)

    def run(self, start_ms: int, end_ms: int) -> "Roofs":
        """Let time pass; the symptoms that came and went are in ``changes``."""
        for ts in range(start_ms, end_ms, self.step_ms):
            columns = self.columns(ts)
            self.change(ts, columns)
            self.changes += self.observer.step([self.readings(ts, columns)], [], ts + 1_000)
            self.observer.commit()
        assert self.observer.failures == {}
        return self

    def clear_w(self, ts_ms: int) -> Floats:
        ts = np.full(len(self.rows), ts_ms)
        return power_w(self.planes, ts, clear_light(self.planes, ts))

    def columns(self, ts_ms: int) -> Columns:
        """What sound roofs say."""
        count = len(self.rows)
        clear_w = self.clear_w(ts_ms)
        power = clear_w * np.broadcast_to(self.sky(ts_ms), count)
        self.counter = self.counter + power * self.step_ms / HOUR_MS
        up = sun.elevation_deg(ts_ms, self.members.latitude, self.members.longitude) > 2
        current = np.where(up, power / 2 / 600, 0.0)
        return {
            "power_w": power,
            "energy_wh": np.round(self.counter),
            **{f"l{phase}_voltage_v": np.full(count, 235.0) for phase in (1, 2, 3)},
            "frequency_hz": np.full(count, 50.0),
            "dc_power_w": power / 0.96,
            "string1_current_a": current * (1 + 0.01 * self.random.standard_normal(count)),
            "string2_current_a": current * (1 + 0.01 * self.random.standard_normal(count)),
            "isolation_ohm": np.full(count, 5e6),
            "module_temp_degc": np.where(up, 25.0, 8.0),
            "state": np.where(up, STATES.index("mppt"), STATES.index("sleeping")).astype(np.float64),
            "event_flags": np.zeros(count),
            "throttle_pct": np.zeros(count),
            "throttle_flags": np.zeros(count),
            "clock_offset_s": np.zeros(count),
        }

    def readings(self, ts_ms: int, columns: Mapping[str, Floats]) -> Readings:
        """One row a roof; a roof whose power is infinite is not heard of."""
        count = len(self.rows)
        values = np.full((count, len(SOLAR.metrics)), np.nan)
        for name, column in columns.items():
            values[:, SOLAR.positions[name]] = column
        readings = Readings(
            kind=SOLAR,
            asset_id=self.members.asset_id,
            municipality_id=np.ones(count, np.int64),
            ts_ms=np.full(count, ts_ms),
            seq=np.full(count, ts_ms // 1000),
            boot=np.ones(count, np.int64),
            values=values,
            implausible=np.zeros(count, np.int64),
            message=np.arange(count),
        )
        return readings.take(~np.isinf(columns["power_w"]))

    def raised(self, number: int = 0) -> list[str]:
        """The rules that were raised on a roof, in order; what only feeds correlation is left out."""
        return [c.rule for c in self.changes if c.raised and c.asset_id == number + 1 and c.rule not in FEEDS]

    def all_raised(self) -> set[str]:
        """The rules that were raised anywhere, likewise."""
        return {change.rule for change in self.changes if change.raised and change.rule not in FEEDS}

    def first(self, rule: str, number: int = 0, *, raised: bool = True) -> SymptomChange:
        """When a rule was first raised, or first cleared, on a roof."""
        return next(c for c in self.changes if (c.rule, c.asset_id, c.raised) == (rule, number + 1, raised))
