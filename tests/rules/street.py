"""A street to tell stories about: a cabinet, its lamps, a stop; readings go in one by one, symptoms come out."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from kraj.alerts import SymptomChange
from kraj.assets import AssetRow, DeviceStatus
from kraj.kinds import KINDS
from kraj.readings import Readings
from rules.catalogue import load
from rules.correlation.records import CIRCUIT_RESTS
from rules.estate import Estate
from rules.observer import Observer

PRAGUE = ZoneInfo("Europe/Prague")
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
LATITUDE, LONGITUDE = 49.5, 15.6
LAMP = {
    "power_rated_w": 60.0,
    "power_min_w": 9.0,
    "phase": 1,
    "cabinet": "R1",
    "feeder": "R1/1",
    "supply_area": "A1",
    "driver_model": "DR-75",
}
CABINET = {"power_rated_w": 6900.0, "lamps": 115, "supply_area": "A1"}
STOP = {"power_rated_w": 200.0, "battery_capacity_wh": 1280.0, "sos": 1, "voice": 1}
WARM_UP = (1.3, 3.8, 4.6, 5.5, 6.1, 6.4)
"""Of 6.9 kW, minute by minute after a start: a real cabinet."""


def at(text: str) -> int:
    """A moment on a Czech wall clock, Unix milliseconds: ``2026-11-20 22:05``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=PRAGUE).timestamp() * 1000)


def warmth(minutes: float) -> float:
    """The share of its power that a lamp takes so long after a start."""
    known = [w / 6.9 for w in WARM_UP] + [1.0]
    return float(np.interp(minutes, [*range(len(WARM_UP)), 12], known))


def lamp(level: float = 100.0, *, share: float = 1.0, of: float | None = None, **other: float) -> dict[str, float]:
    """A snapshot of a healthy, warm lamp at a level; ``share`` of its power; ``of``: the level that it burns at."""
    true = level if of is None else of
    power = 0.5 if true <= 0 else (9.0 + 51.0 * (true - 10.0) / 90.0) * share
    return {
        "level_commanded_pct": level,
        "level_effective_pct": level,
        "level_reason": 4.0,
        "power_w": power,
        "voltage_v": 231.0,
        "power_factor": 0.96 - 0.36 * ((100.0 - true) / 90.0) ** 2 if true > 0 else 0.35,
        "gear_temp_degc": 38.0,
        "lamp_on_time_s": 3.0e7,
        "lamp_starts": 900.0,
        "gear_starts": 4.0,
        "supply_losses": 3.0,
        "failure_flags": 0.0,
        "tilt_deg": 0.6,
        "shock_g": 0.02,
        "clock_offset_s": 0.4,
        "uptime_s": 5.0e6,
    } | other


def cabinet(power: float, *, closed: bool = True, **other: float) -> dict[str, float]:
    """A snapshot of a cabinet that carries so much."""
    phases = {
        f"l{n}_{what}": value for n in (1, 2, 3) for what, value in (("voltage_v", 233.0), ("power_w", power / 3))
    }
    return {
        "power_w": power,
        **phases,
        "contactor_closed": float(closed),
        "breaker_closed": 1.0,
        "door_open": 0.0,
        "leakage_ma": 8.0,
        "local_switch": 0.0,
        "clock_offset_s": 0.2,
        "uptime_s": 5.0e6,
    } | other


class Street:
    """Assets by label: ``L1`` …, ``R1`` …, ``S1`` …; ``changes`` is everything that rules have said so far."""

    def __init__(
        self,
        lamps: Mapping[str, Mapping[str, object]] | int = 1,
        cabinets: Mapping[str, Mapping[str, object]] | None = None,
        stops: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        if isinstance(lamps, int):
            lamps = {f"L{n + 1}": {} for n in range(lamps)}
        listed = [
            *(("cabinet", label, CABINET | dict(own)) for label, own in (cabinets or {}).items()),
            *(("lamp", label, LAMP | dict(own)) for label, own in lamps.items()),
            *(("stop", label, STOP | dict(own)) for label, own in (stops or {}).items()),
        ]
        rows = [
            AssetRow(
                asset_id=number,
                municipality_id=1,
                kind=kind,
                label=label,
                latitude=LATITUDE,
                longitude=LONGITUDE,
                metadata=known,
                device_id=number,
            )
            for number, (kind, label, known) in enumerate(listed, 1)
        ]
        self.estate = Estate.of(1, rows)
        self._place = {row.label: (row.kind, row.asset_id) for row in rows}
        self._label = {row.asset_id: row.label for row in rows}
        self._observer = Observer(self.estate, load())
        self.changes: list[SymptomChange] = []

    def read(self, label: str, ts_ms: int, values: Mapping[str, float], *, comes_ms: int | None = None) -> None:
        """One reading, judged when it comes: at once."""
        self._step(ts_ms if comes_ms is None else comes_ms, self._reading(label, ts_ms, values))

    def read_all(self, ts_ms: int, values: Mapping[str, Mapping[str, float]]) -> None:
        """A batch with a reading of each of these."""
        self._step(ts_ms, *(self._reading(label, ts_ms, snapshot) for label, snapshot in values.items()))

    def _reading(self, label: str, ts_ms: int, values: Mapping[str, float]) -> Readings:
        kind, asset_id = self._place[label]
        row = np.full((1, len(KINDS[kind].metrics)), np.nan)
        for name, value in values.items():
            row[0, KINDS[kind].positions[name]] = value
        one = np.ones(1, np.int64)
        return Readings(KINDS[kind], asset_id * one, one, ts_ms * one, one, one, row, 0 * one, 0 * one)

    def status(self, label: str, ts_ms: int, *, online: bool) -> None:
        """A will, or first words."""
        said = DeviceStatus(device_id=self._place[label][1], online=online, ts_ms=ts_ms)
        self.changes += self._observer.step([], [said], ts_ms)

    def tick(self, ts_ms: int) -> None:
        """Time passes; nights and days that are over are judged."""
        self._step(ts_ms)

    def _step(self, ts_ms: int, *readings: Readings) -> None:
        self.changes += self._observer.step(readings, [], ts_ms)
        self._observer.commit()
        assert not self._observer.failures, self._observer.failures

    def wait(self, from_ms: int, to_ms: int) -> None:
        """A tick each minute."""
        for ts_ms in range(from_ms, to_ms + 1, MINUTE_MS):
            self.tick(ts_ms)

    def raised(self, rule: str | None = None) -> list[tuple[str, str]]:
        """Rule and label of whatever was raised, hidden symptoms left out where no rule is named."""
        hidden = {r.name for r in load() if r.hidden}
        return [
            (c.rule, self._label[c.asset_id])
            for c in self.changes
            if c.raised and (c.rule == rule or (rule is None and c.rule not in hidden))
        ]

    def open(self) -> set[tuple[str, str]]:
        """What was raised and has not been cleared; that a circuit rests is no trouble, and ``rests`` tells it."""
        return {cell for cell in self._holding() if cell[0] != CIRCUIT_RESTS}

    def rests(self, label: str) -> bool:
        """Whether a cabinet has switched its circuit off as it ought to."""
        return (CIRCUIT_RESTS, label) in self._holding()

    def _holding(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for change in self.changes:
            cell = change.rule, self._label[change.asset_id]
            found = found | {cell} if change.raised else found - {cell}
        return found


def every(from_ms: int, to_ms: int, minutes: float = 5) -> Iterable[int]:
    """Moments from one to the other, both included, so many minutes apart."""
    return range(from_ms, to_ms + 1, int(minutes * MINUTE_MS))
