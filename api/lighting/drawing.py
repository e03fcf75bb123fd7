"""The picture of a night: levels as a line, the floor, hours; an SVG that stands alone or in a page, and a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from kraj.readings import Ints
from rules.dimming import Night

WIDTH, HEIGHT = 760.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 12.0, 14.0, 28.0
LEVELS: Final = (0, 25, 50, 75, 100)
STEADY_MIN = 3
"""A level that holds so long has a row of its own in the table; what is between is a ramp."""
HOUR_S = 3600
STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#56606b}.grid{stroke:#d5dae0;fill:none}"
    ".line{stroke:#0b57a4;stroke-width:2;fill:none;stroke-linejoin:round}.band{fill:#0b57a4;opacity:.18}"
    ".floor{stroke:#a4480b;stroke-width:1.5;stroke-dasharray:6 4;fill:none}"
    "@media(prefers-color-scheme:dark){svg{background:#14181d}text{fill:#a9b4c0}.grid{stroke:#323a44}"
    ".line{stroke:#7db8f5}.band{fill:#7db8f5}.floor{stroke:#f0a56b}}"
)
"""Of a picture that stands alone; in a page the page's own styles hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """From when which level; ``ramp``: reached step by step."""

    at: datetime
    level_pct: int
    ramp: bool


def rows(night: Night, zone: ZoneInfo) -> list[Row]:
    """The levels of a night as people tell them: when each begins; the day before is left out."""
    level, found = night.level_pct, list[Row]()
    starts = np.flatnonzero(np.diff(level, prepend=level[:1] - 1))
    ends = np.append(starts[1:], len(level))
    ramping = False
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start < STEADY_MIN:
            ramping = True
            continue
        value = int(level[start])
        if found or value:
            found.append(Row(datetime.fromtimestamp(int(night.ts_s[start]), UTC).astimezone(zone), value, ramping))
        ramping = False
    return found


def svg(night: Night, floor_pct: int, zone: ZoneInfo, words: Mapping[str, str], *, alone: bool, name: str = "") -> str:
    """The picture; ``words`` are its ``title``, ``description`` and ``floor`` (the label of that line).

    ``name`` tells its ids from those of other pictures in a page.
    """
    first, last = _span(night)

    def x(ts_s: float) -> float:
        return round(LEFT + (ts_s - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(level: float) -> float:
        return round(TOP + (100 - level) / 100 * (HEIGHT - TOP - BOTTOM), 1)

    line = _path(night, first, last, x, y)
    base = y(0)
    parts = [
        f'<path class="grid" d="M{LEFT} {y(level)}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 8}" y="{y(level) + 4}" text-anchor="end">{level}&#160;%</text>'
        for level in LEVELS
    ]
    parts += [
        f'<text x="{x(ts)}" y="{HEIGHT - 8}" text-anchor="middle">{text}</text>'
        for ts, text in _hours(first, last, zone)
    ]
    parts.append(f'<path class="band" d="{line}V{base}H{x(first)}Z"/><path class="line" d="{line}"/>')
    if 0 < floor_pct < 100:
        parts.append(
            f'<path class="floor" d="M{LEFT} {y(floor_pct)}H{WIDTH - RIGHT}"/>'
            f'<text x="{WIDTH - RIGHT - 6}" y="{y(floor_pct) + 14}" text-anchor="end">{escape(words["floor"])}</text>'
        )
    ids = f"night{name}-title", f"night{name}-text"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img"'
        f' aria-labelledby="{ids[0]} {ids[1]}"><title id="{ids[0]}">{escape(words["title"])}</title>'
        f'<desc id="{ids[1]}">{escape(words["description"])}</desc>'
    )
    return head + (f"<style>{STYLE}</style>" if alone else "") + "".join(parts) + "</svg>"


def _span(night: Night) -> tuple[int, int]:
    """From the full hour before dusk to the one after dawn; noon to noon where there is neither."""
    lit = night.ts_s[night.level_pct > 0]
    if not len(lit) or len(lit) == len(night.ts_s):
        return int(night.ts_s[0]), int(night.ts_s[-1]) + 60
    first, last = int(lit[0]) - HOUR_S // 2, int(lit[-1]) + HOUR_S // 2
    return first // HOUR_S * HOUR_S, -(-last // HOUR_S) * HOUR_S


def _path(night: Night, first: int, last: int, x: "Scale", y: "Scale") -> str:
    within = (night.ts_s >= first) & (night.ts_s < last)
    ts: Ints = night.ts_s[within]
    level: Ints = night.level_pct[within]
    found = [f"M{x(first)} {y(int(level[0]))}"]
    changes = np.flatnonzero(np.diff(level)).tolist()
    found += [f"H{x(int(ts[n + 1]))}V{y(int(level[n + 1]))}" for n in changes]
    return "".join([*found, f"H{x(last)}"])


def _hours(first: int, last: int, zone: ZoneInfo) -> list[tuple[int, str]]:
    """Every second full hour on the wall; of the hour that comes twice the first."""
    every = 2 if last - first <= 18 * HOUR_S else 3
    found: list[tuple[int, str]] = []
    moment = datetime.fromtimestamp(first, UTC)
    while moment.timestamp() <= last:
        local = moment.astimezone(zone)
        if local.hour % every == 0 and not (found and found[-1][1] == f"{local.hour}:00"):
            found.append((int(moment.timestamp()), f"{local.hour}:00"))
        moment += timedelta(hours=1)
    return found


class Scale(Protocol):
    """A number to its place in the drawing."""

    def __call__(self, value: float, /) -> float: ...
