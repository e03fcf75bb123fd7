"""The lighting program that runs on each lamp: from its own dusk to its dawn, with levels by the clock on the wall."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kraj import sun
from simulators.physics.frame import DAY_MS, Floats, Ints, Mask, Rows
from simulators.physics.season import HOUR_MS, civil_ms
from simulators.physics.wander import trait

MINUTE_MS = 60_000
ON_AFTER_SUNSET_MS = OFF_BEFORE_SUNRISE_MS = 12 * MINUTE_MS
"""The sun then stands some 2.5° deep: about 20 lx."""
JITTER_MS = 3 * MINUTE_MS
"""Each lamp's clock and place make it a little earlier or later, differently each night."""
READY_MS = 2 * MINUTE_MS
"""A lamp on a switched feeder has its program on from here until the same before sunrise: the contactor decides."""

Steps = Sequence[tuple[int, float]]
PROGRAMS: tuple[Steps, ...] = (
    ((22 * 60, 60.0), (5 * 60, 100.0)),
    ((21 * 60, 80.0), (23 * 60, 40.0), (4 * 60 + 30, 80.0)),
    (),
)
"""From this minute of local time on, this level: streets, side streets, and a main road that is never dimmed."""
ALWAYS_FULL = 2
EVENING_FROM = 12 * 60
WEEKEND_LATER_MIN = 60
"""On Friday and Saturday the steps of the evening come so much later."""
FRIDAY, SATURDAY = 4, 5
PART_NIGHT = (23 * 60 + 30, 4 * 60 + 30)
"""A part-night lamp is dark between."""

WHAT_ON, WHAT_OFF = 2**32, 2**33
"""With the number of the day added: a jitter for each."""


@dataclass(frozen=True)
class Nights:
    """The nights that touch a day, the last and the coming one: from dusk to dawn, arrays of shape ``(2, n)``."""

    dusk_ms: Ints
    dawn_ms: Ints

    @staticmethod
    def of(  # noqa: PLR0917 - places, then what is done there
        seed: int, ids: Ints, latitude: Floats, longitude: Floats, start_ms: int, ready: Mask
    ) -> "Nights":
        """Of the day from ``start_ms``; ``ready`` ones wait for their contactor and have no jitter."""
        day = start_ms // DAY_MS
        days = np.array([day - 1, day, day + 1]).astype("datetime64[D]")[:, None]
        rise, sets = sun.rise_and_set(days, latitude, longitude)
        later = np.array([trait(seed, ids, WHAT_ON + day + n, -JITTER_MS, JITTER_MS) for n in (-1, 0)])
        sooner = np.array([trait(seed, ids, WHAT_OFF + day + n, -JITTER_MS, JITTER_MS) for n in (-1, 0)])
        dusk = sets[:2] + np.where(ready, READY_MS, ON_AFTER_SUNSET_MS + later)
        dawn = rise[1:] - np.where(ready, READY_MS, OFF_BEFORE_SUNRISE_MS + sooner)
        return Nights(dusk.astype(np.int64), dawn.astype(np.int64))

    def lit(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether it is dark enough there and then; shapes broadcast."""
        night = (ts_ms >= self.dusk_ms[0][rows]) & (ts_ms < self.dawn_ms[0][rows])
        return night | ((ts_ms >= self.dusk_ms[1][rows]) & (ts_ms < self.dawn_ms[1][rows]))


class Program:
    """The programs of ``n`` lamps on one day: what they command at any moment, and when that changes."""

    def __init__(self, start_ms: int, nights: Nights, program: Rows, part_night: Mask) -> None:
        self._start_ms = start_ms
        self.nights = nights
        self._which: Rows = program * 2 + part_night

    @cached_property
    def _tables(self) -> list[tuple[Ints, Floats]]:
        return [
            _table(self._start_ms, steps, part_night=part_night) for steps in PROGRAMS for part_night in (False, True)
        ]

    def commanded_pct(self, rows: Rows, ts_ms: Ints) -> Floats:
        """The commanded level; shapes ``(k,)``."""
        level = np.empty(np.shape(ts_ms))
        which = self._which[rows]
        for number, (moments, levels) in enumerate(self._tables):
            mine = which == number
            level[mine] = levels[np.searchsorted(moments, ts_ms[mine], "right") - 1]
        return np.where(self.nights.lit(rows, ts_ms), level, 0.0)

    def events(self) -> list[tuple[Rows, Ints]]:
        """Rows and moments at which the command may change."""
        everyone = np.arange(len(self._which))
        found = [(everyone, column) for column in (*self.nights.dusk_ms, *self.nights.dawn_ms)]
        for number, (moments, _) in enumerate(self._tables):
            rows = np.flatnonzero(self._which == number)
            when = moments[(moments >= self._start_ms) & (moments < self._start_ms + DAY_MS)]
            each = np.repeat(rows, len(when)), np.tile(when, len(rows))
            dark = self.nights.lit(*each)
            found.append((each[0][dark], each[1][dark]))
        return found


def _table(start_ms: int, steps: Steps, *, part_night: bool) -> tuple[Ints, Floats]:
    """Moments (UTC) and the levels from them on, over the days around ``start_ms``."""
    found: list[tuple[int, float]] = [(0, 100.0)]
    gap_from, gap_to = PART_NIGHT
    for day in range(start_ms // DAY_MS - 2, start_ms // DAY_MS + 3):
        minutes = [(_shifted(day, minute), level) for minute, level in steps]
        if part_night:
            resumed = [level for minute, level in sorted(minutes) if minute <= gap_to]
            kept = [(m, level) for m, level in minutes if gap_to < m < gap_from]
            minutes = [*kept, (gap_from, 0.0), (gap_to, resumed[-1] if resumed else _late(minutes))]
        found += [(_utc_ms(day, minute), level) for minute, level in minutes]
    found.sort()
    return np.array([ts for ts, _ in found], np.int64), np.array([level for _, level in found])


def _late(minutes: Steps) -> float:
    """The level with which the evening ends."""
    return max(minutes)[1] if minutes else 100.0


def _shifted(day: int, minute: int) -> int:
    weekend = (day + 3) % 7 in {FRIDAY, SATURDAY}  # day 0 was a Thursday
    return minute + WEEKEND_LATER_MIN if weekend and minute >= EVENING_FROM else minute


def _utc_ms(day: int, minute: int) -> int:
    """When the clock on the wall shows this minute; no step lies in the hour that is skipped or repeated."""
    wall = day * DAY_MS + minute * MINUTE_MS
    near = np.array(wall - HOUR_MS)
    return wall - int(civil_ms(near) - near)
