"""Roofs to simulate, and days of them, for the tests of the model of roofs."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from simulators.asset import Asset
from simulators.physics.frame import DAY_MS, GRID_MS, Columns, Effects, Fault, Floats, Ints
from simulators.physics.solar import SolarModel
from simulators.physics.weather import Weather

YEAR_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
SEED = 5


def roof(label: str, *, strings: int = 2, modules: int = 13, rated_w: float = 10_000.0, **known: object) -> Asset:
    """A roof to the south in the middle of the region; ``known`` adds to its metadata or replaces it."""
    metadata: dict[str, object] = {
        "street": "Polní",
        "power_rated_w": rated_w,
        "power_peak_w": strings * modules * 430.0,
        "tilt_deg": 35.0,
        "azimuth_deg": 180.0,
        "supply_area": "NO-1",
        "strings": strings,
    }
    for n in range(1, strings + 1):
        metadata |= {f"string{n}_modules": modules, f"string{n}_plane": 1}
    return Asset(
        kind="solar",
        municipality="olsinka",
        label=label,
        latitude=float(known.pop("latitude", 49.5)),  # type: ignore[arg-type]
        longitude=float(known.pop("longitude", 15.5)),  # type: ignore[arg-type]
        metadata=metadata | known,
    )


def model(roofs: Sequence[Asset], seed: int = SEED) -> SolarModel:
    return SolarModel(roofs, Weather(seed), seed)


def fault(cause: str, target: Asset, start_ms: int, end_ms: int, size: float = 1.0) -> Fault:
    return Fault(
        cause=cause,
        scope="asset",
        municipality=target.municipality,
        name=target.label,
        targets=(target.key,),
        start_ms=start_ms,
        end_ms=end_ms,
        size=size,
    )


def minutes(start_ms: int, step_min: float = 5) -> Ints:
    """Moments of a day."""
    return start_ms + np.arange(0, DAY_MS, int(step_min * MINUTE_MS))


def day(
    of: SolarModel, start_ms: int, faults: Sequence[Fault] = (), ts_ms: Ints | None = None
) -> tuple[Ints, dict[str, Floats]]:
    """A day of all roofs: moments ``(t,)`` and columns ``(n, t)``."""
    of.prepare(start_ms, Effects.of(faults, of.assets))
    ts = minutes(start_ms) if ts_ms is None else ts_ms
    n = len(of.assets)
    columns = of.at(np.repeat(np.arange(n), len(ts)), np.tile(ts, n))
    return ts, {name: column.reshape(n, len(ts)) for name, column in columns.items()}


def fair_day(weather: Weather, from_ms: int, *, clear: bool = True) -> int:
    """The next day (its midnight) that is clear from morning to evening, or overcast."""
    for start in range(from_ms, from_ms + 120 * DAY_MS, DAY_MS):
        ts = np.arange(start + 6 * HOUR_MS, start + 16 * HOUR_MS, GRID_MS)
        index = weather.clear_sky_index(np.array(49.5), np.array(15.5), ts)
        if (index.min() > 0.85) if clear else (index.max() < 0.5):
            return start
    raise AssertionError("no such day in four months")


def row(columns: dict[str, Floats], number: int) -> Columns:
    """One roof's columns, shape ``(t,)``."""
    return {name: column[number] for name, column in columns.items()}
