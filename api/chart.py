"""A line over a day or two as SVG paths, and the same by the hour for a table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from kraj.store.queries import Span

WIDTH, HEIGHT = 760.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 12.0, 28.0
HOURS = 24
STEP_S = 300
"""The shortest heartbeat; finer steps than 288 would be narrower than the line."""
SPAN_MIN = 0.4
"""A smaller difference would put the same number, which has one decimal, on each line of the axis."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis; ``at`` is in the drawing."""

    at: float
    value: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the table."""

    start: datetime
    low: float
    mean: float
    high: float
    readings: int


@dataclass(frozen=True, slots=True)
class Chart:
    """``line`` is the mean of each step, broken where nothing came; ``band`` spans lowest to highest."""

    line: str
    band: str
    levels: tuple[Tick, ...]
    hours: tuple[Tick, ...]
    table: tuple[Hour, ...]
    low: float
    mean: float
    high: float


def chart(spans: Sequence[Span], start: datetime, zone: ZoneInfo, gap_s: int, hours: int = HOURS) -> Chart | None:
    """Draw ``hours`` from ``start`` on; ``gap_s`` is the longest silence that a line may cross. None without values."""
    if not spans:
        return None
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    step = _step(high - low)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    if bottom == top:
        bottom, top = bottom - step, top + step

    def x(ts: datetime) -> float:
        part = (ts - start) / timedelta(hours=hours)
        return round(LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    middle = timedelta(seconds=STEP_S / 2)
    pieces = _pieces(spans, timedelta(seconds=max(gap_s, 2 * STEP_S)))
    line = " ".join(
        "M" + " L".join(f"{x(span.ts + middle)},{y(span.mean)}" for span in (piece * 2 if len(piece) == 1 else piece))
        for piece in pieces
    )
    band = " ".join(
        "M"
        + " L".join(
            [f"{x(span.ts + middle)},{y(span.high)}" for span in piece]
            + [f"{x(span.ts + middle)},{y(span.low)}" for span in reversed(piece)]
        )
        + "Z"
        for piece in pieces
    )
    count = round((top - bottom) / step)
    levels = tuple(Tick(y(bottom + n * step), round(bottom + n * step, 9)) for n in range(count + 1))
    readings = sum(span.readings for span in spans)
    mean = sum(span.mean * span.readings for span in spans) / readings
    return Chart(line, band, levels, _hours(start, zone, x, hours), _table(spans, zone), low, mean, high)


def _pieces(spans: Sequence[Span], gap: timedelta) -> list[list[Span]]:
    pieces: list[list[Span]] = []
    for span in spans:
        if pieces and span.ts - pieces[-1][-1].ts <= gap:
            pieces[-1].append(span)
        else:
            pieces.append([span])
    return pieces


def _step(span: float) -> float:
    """Of 1, 2, 5, 10 …, so that three to six lines cross the chart."""
    if span < SPAN_MIN:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(step * power for step in (1, 2, 5, 10) if span / (step * power) <= 5)


def _hours(start: datetime, zone: ZoneInfo, x: Callable[[datetime], float], hours: int) -> tuple[Tick, ...]:
    """Every third hour of the region's day, every sixth of more than one day."""
    first = (start + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    local = ((hour, hour.astimezone(zone).hour) for hour in (first + timedelta(hours=n) for n in range(hours)))
    every = 3 if hours <= HOURS + 1 else 6
    return tuple(Tick(x(hour), number, f"{number}:00") for hour, number in local if number % every == 0)


def _table(spans: Sequence[Span], zone: ZoneInfo) -> tuple[Hour, ...]:
    def hour(span: Span) -> datetime:
        return span.ts.replace(minute=0, second=0, microsecond=0)

    table: list[Hour] = []
    for start, group in groupby(spans, hour):
        within = list(group)
        readings = sum(span.readings for span in within)
        mean = sum(span.mean * span.readings for span in within) / readings
        low, high = min(span.low for span in within), max(span.high for span in within)
        table.append(Hour(start.astimezone(zone), low, mean, high, readings))
    return tuple(table)
