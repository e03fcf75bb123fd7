"""The picture of a KPI's month: a bar a day; days without data are a gap, and those known in part are pale."""

import calendar
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from kraj.store.kpis import Figure

WIDTH, HEIGHT = 320.0, 96.0
LEFT, RIGHT, TOP, BOTTOM = 4.0, 4.0, 6.0, 16.0
GAP_PX = 2.0
PALE_BELOW: Final = 0.9
"""Of completeness."""
LABELLED: Final = (1, 8, 15, 22, 29)


@dataclass(frozen=True, slots=True)
class Bar:
    """A day that is known."""

    x: float
    y: float
    width: float
    height: float
    pale: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month's picture with its table; ``ticks`` are places and days of the month."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, int], ...]
    rows: tuple[Figure, ...]
    least: float
    most: float


def month(first: date, rows: Sequence[Figure]) -> Month | None:
    """Draw the days of a month from zero (or below) to the most; None where nothing is known of any."""
    known = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    values = [row.value for row in known if row.value is not None]
    if not values:
        return None
    bottom, top = min(0.0, *values), max(0.0, *values)
    scale = (HEIGHT - TOP - BOTTOM) / ((top - bottom) or 1.0)
    days = calendar.monthrange(first.year, first.month)[1]
    pitch = (WIDTH - LEFT - RIGHT) / days
    base = HEIGHT - BOTTOM + bottom * scale
    bars: list[Bar] = []
    for row, value in zip(known, values, strict=True):
        height = abs(value) * scale
        bars.append(
            Bar(
                x=round(LEFT + (row.period.day - 1) * pitch + GAP_PX / 2, 1),
                y=round(base - max(value, 0.0) * scale, 1),
                width=round(pitch - GAP_PX, 1),
                height=round(max(height, 0.5), 1),
                pale=(row.completeness or 0.0) < PALE_BELOW,
            )
        )
    ticks = tuple((round(LEFT + (day - 0.5) * pitch, 1), day) for day in LABELLED if day <= days)
    return Month(tuple(bars), ticks, tuple(rows), min(values), max(values))
