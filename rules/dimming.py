"""Dimming programs of many lamps at many moments at once; the twin of firmware/node/program.py, in integers like it.

``desired`` makes the document that a lamp keeps, from what people wrote and where it stands. ``Programs`` lays such
documents out as arrays; ``levels_pct`` asks them. Shared vectors hold both twins together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from kraj import sun
from kraj.dimming import ANCHORS, DAYS, Plan, Program, of_year
from kraj.readings import Floats, Ints, Mask
from rules.holidays import FIXED, easter

ZONE: Final = ZoneInfo("Europe/Prague")
DAY_S, NOON_S = 86_400, 43_200
FULL_PCT = 100
LIGHT, DARK = 32_001, 32_002
"""In place of a minute of the sun: on that date it stays above, or below, the horizon."""
YEARS_AHEAD = 5
"""For so long a lamp knows holidays and daylight saving without hearing from us."""
MIDDLE: Final = (49.82, 15.47)
"""Of the republic, for whoever has told of no place."""
PLACE_DIGITS = 2
"""A kilometre: sunset moves by four seconds, and segments of one town share a document."""
LEAP_YEAR = 2024
NEVER_S = np.int64(2**62)
CLOCK = ANCHORS.index("clock")
SUNSET = ANCHORS.index("sunset")

Document = dict[str, Any]


def desired(program: Program, floor_pct: int, latitude_deg: float, longitude_deg: float, today: date) -> Document:
    """What the lamp keeps and follows by itself (firmware/node/program.py tells each key); about 4 kB of JSON."""
    rise, sets = sun_table(latitude_deg, longitude_deg, today.year)
    found: Document = {
        "floor_pct": floor_pct,
        "zone": zone(today.year),
        "sun": {"rise": rise, "set": sets},
        "plans": [_plan(plan, today.year) for plan in program.plans],
    }
    if program.sensor is not None:
        sensor = program.sensor
        found["sensor"] = {
            "level_pct": sensor.level_pct,
            "up_s": sensor.up_s,
            "hold_s": sensor.hold_s,
            "down_s": sensor.down_s,
        }
    return found


def place(
    lamps: Iterable[tuple[float | None, float | None]], otherwise: tuple[float, float] | None
) -> tuple[float, float]:
    """The middle of lamps for ``desired``, north and east in degrees; where nobody knows theirs, ``otherwise``."""
    known = [(north, east) for north, east in lamps if north is not None and east is not None]
    north, east = np.mean(np.array(known), axis=0).tolist() if known else otherwise or MIDDLE
    return round(float(north), PLACE_DIGITS), round(float(east), PLACE_DIGITS)


def _plan(plan: Plan, year: int) -> Document:
    steps = [[ANCHORS.index(s.moment[0]), s.moment[1], s.level_pct, s.ramp_s] for s in plan.steps]
    found: Document = {"on": plan.on_min, "off": plan.off_min, "steps": steps}
    if plan.holidays or plan.dates:
        dates = plan.dates or [day for y in range(year, year + YEARS_AHEAD + 1) for day in holidays(y)]
        return found | {"dates": [(day.year * 100 + day.month) * 100 + day.day for day in sorted(dates)]}
    days = sum(1 << DAYS.index(day) for day in set(plan.days))
    return found | {"days": days, "from": of_year(plan.from_), "to": of_year(plan.to)}


def holidays(year: int) -> list[date]:
    """Public holidays in Czechia (Act 245/2000 Coll.)."""
    moving = [easter(year) + timedelta(days=n) for n in (-2, 1)]
    return sorted({*moving, *(date(year, month, day) for month, day in FIXED)})


@cache
def zone(year: int) -> list[list[int]]:
    """From when (UTC seconds) the clock on the wall is how many minutes ahead: the year before and the years ahead."""
    found: list[list[int]] = []
    hour = datetime(year - 1, 1, 1, tzinfo=UTC)
    while hour.year <= year + YEARS_AHEAD:
        offset = hour.astimezone(ZONE).utcoffset() or timedelta(0)
        minutes = int(offset.total_seconds()) // 60
        if not found or found[-1][1] != minutes:
            found.append([int(hour.timestamp()), minutes])
        hour += timedelta(hours=1)
    return found


def sun_table(latitude_deg: float, longitude_deg: float, year: int) -> tuple[list[int], list[int]]:
    """Sunrise and sunset of each day of a year with 366 days, in minutes of UTC from the date's midnight.

    They move by less than two minutes from year to year; those of the leap year nearest to ``year`` are taken.
    """
    leap = year + (-year) % 4
    days = np.arange(np.datetime64(f"{leap}-01-01"), np.datetime64(f"{leap + 1}-01-01"))
    midnight_ms = days.astype(np.int64) * DAY_S * 1000
    noon = sun.elevation_deg(
        midnight_ms + DAY_S * 500 - longitude_deg / 360 * DAY_S * 1000, latitude_deg, longitude_deg
    )
    tables: list[list[int]] = []
    for event_ms in sun.rise_and_set(days, latitude_deg, longitude_deg):
        with np.errstate(invalid="ignore"):
            minutes = np.floor((event_ms - midnight_ms) / 60_000)
        never = np.where(noon > sun.HORIZON_DEG, LIGHT, DARK)
        tables.append(np.where(np.isnan(minutes), never, minutes).astype(int).tolist())
    return tables[0], tables[1]


@dataclass(frozen=True)
class Programs:
    """``p`` documents as arrays: plans padded to ``k``, steps to ``s``; one zone for all."""

    zone_s: Ints
    zone_min: Ints
    floor: Ints
    """``(p,)``"""
    rise: Ints
    sets: Ints
    """``(p, 366)``"""
    days: Ints
    first: Ints
    last: Ints
    on_min: Ints
    off_min: Ints
    """``(p, k)``; padding has no days."""
    dated: Mask
    """``(p, k)``: ``dates`` decide."""
    dates: Ints
    """``(p, k, d)``, 0 where there are fewer."""
    anchor: Ints
    """``(p, k, s)``, -1 where there are fewer steps."""
    minute: Ints
    level: Ints
    ramp: Ints

    @classmethod
    def of(cls, documents: Sequence[Mapping[str, Any]]) -> "Programs":
        """From what ``desired`` gave, all with the same zone."""
        plans = [list(document["plans"]) for document in documents]
        k = max((len(mine) for mine in plans), default=0)
        every = [plan for mine in plans for plan in mine]
        s = max((len(plan["steps"]) for plan in every), default=0)
        d = max((len(plan.get("dates", ())) for plan in every), default=0)
        shape = (len(documents), k)
        days, first, last, on, off = (np.zeros(shape, np.int64) for _ in range(5))
        dated, dates = np.zeros(shape, bool), np.zeros((*shape, d), np.int64)
        steps = np.zeros((*shape, s, 4), np.int64)
        steps[..., 0] = -1
        for n, mine in enumerate(plans):
            for i, plan in enumerate(mine):
                on[n, i], off[n, i] = plan.get("on", 0), plan.get("off", 0)
                days[n, i], first[n, i], last[n, i] = plan.get("days", 127), plan.get("from", 101), plan.get("to", 1231)
                named = plan.get("dates")
                if named is not None:
                    dated[n, i] = True
                    dates[n, i, : len(named)] = named
                if plan["steps"]:
                    steps[n, i, : len(plan["steps"])] = plan["steps"]
        moments = np.array(documents[0]["zone"] if documents else [[0, 0]], np.int64)
        return cls(
            zone_s=moments[:, 0],
            zone_min=moments[:, 1],
            floor=np.array([document["floor_pct"] for document in documents], np.int64),
            rise=np.array([document["sun"]["rise"] for document in documents], np.int64).reshape(-1, 366),
            sets=np.array([document["sun"]["set"] for document in documents], np.int64).reshape(-1, 366),
            days=days,
            first=first,
            last=last,
            on_min=on,
            off_min=off,
            dated=dated,
            dates=dates,
            anchor=steps[..., 0],
            minute=steps[..., 1],
            level=steps[..., 2],
            ramp=steps[..., 3],
        )

    def to_utc_s(self, wall_s: Ints) -> Ints:
        """When the clock on the wall shows this; twice: the first time; never: the moment at which it is left out."""
        shape = np.shape(wall_s)
        wall = np.ravel(wall_s)
        utc = wall - self.zone_min[0] * 60
        for from_s, before, after in zip(self.zone_s[1:], self.zone_min, self.zone_min[1:], strict=False):
            later = wall - before * 60 >= from_s
            utc[later] = np.maximum(wall[later] - after * 60, from_s)
        return utc.reshape(shape)

    def evening(self, utc_s: Ints) -> Ints:
        """The date (days since 1970) to whose night each moment belongs: from noon to noon on the wall."""
        zone = np.maximum(np.searchsorted(self.zone_s, utc_s, "right") - 1, 0)
        return (utc_s + self.zone_min[zone] * 60 - NOON_S) // DAY_S

    def plans(self, which: Ints, evening: Ints) -> Ints:
        """The plan of each night, -1 where none fits."""
        year, month, of_month = _date(evening)
        named, in_year = (year * 100 + month) * 100 + of_month, month * 100 + of_month
        weekday = 1 << (evening + 3) % 7
        found = np.full(len(which), -1)
        for plan in range(self.days.shape[1]):
            first, last = self.first[which, plan], self.last[which, plan]
            behind, ahead = first <= in_year, in_year <= last
            within = (behind & ahead) | ((first > last) & (behind | ahead))
            by_date = (self.dates[which, plan] == named[:, None]).any(axis=1)
            dated = self.dated[which, plan]
            fits = (dated & by_date) | (~dated & within & (self.days[which, plan] & weekday > 0))
            found[(found < 0) & fits] = plan
        return found

    def nights(self, which: Ints, evening: Ints) -> tuple[Ints, Ints]:
        """From when to when it is dark by the program, UTC seconds; both 0 where it is not; shapes ``(n,)``."""
        begin, end, _ = self._nights(which, evening)
        return begin, end

    def _nights(self, which: Ints, evening: Ints) -> tuple[Ints, Ints, Ints]:
        """And the plan of each."""
        plan = self.plans(which, evening)
        sets, rises = self._sun(self.sets, which, evening), self._sun(self.rise, which, evening + 1)
        on, off = np.zeros(len(which), np.int64), np.zeros(len(which), np.int64)
        has = plan >= 0
        on[has], off[has] = self.on_min[which[has], plan[has]], self.off_min[which[has], plan[has]]
        begin, end = evening * DAY_S + (sets + on) * 60, (evening + 1) * DAY_S + (rises + off) * 60
        for side, at, day in ((begin, sets, evening), (end, rises, evening + 1)):
            polar = at == DARK
            if polar.any():
                side[polar] = self.to_utc_s(day[polar] * DAY_S + NOON_S)
        never = (sets == LIGHT) | (rises == LIGHT) | (begin >= end)
        begin[never] = end[never] = 0
        return begin, end, plan

    def levels_pct(self, which: Ints, utc_s: Ints) -> Ints:
        """The level in per cent of program ``which`` at each second; both of shape ``(n,)``.

        What is the same for all moments of a night of a program is worked out once.
        """
        if not len(which):
            return np.zeros(0, np.int64)
        evening = self.evening(utc_s)
        first, span = evening.min(), int(evening.max() - evening.min()) + 1
        keys, mine = np.unique(which * span + evening - first, return_inverse=True)
        program, day = keys // span, keys % span + first
        begin, end, plan = self._nights(program, day)
        out = np.zeros(len(which), np.int64)
        lit = np.flatnonzero((utc_s >= begin[mine]) & (utc_s < end[mine]))
        if len(lit):
            rows = mine[lit]
            moved = self._moved_pct(program, plan, day, begin, rows, utc_s[lit])
            out[lit] = np.maximum(np.minimum(moved, FULL_PCT), self.floor[program][rows])
        return out

    def _moved_pct(  # noqa: PLR0917 - the first four are the columns of nights
        self, program: Ints, plan: Ints, day: Ints, begin: Ints, rows: Ints, utc_s: Ints
    ) -> Ints:
        """The level by the steps, of the nights in ``rows`` at these moments."""
        level, before = np.full(len(rows), FULL_PCT), np.full(len(rows), FULL_PCT)
        since, since_before, ramp = (np.full(len(rows), -1) for _ in range(3))
        for step in range(self.anchor.shape[2] if self.anchor.shape[1] else 0):
            at = self._step_s(program, plan, step, day)[rows]
            come = at <= utc_s
            last = come & (at >= since)
            second = come & ~last & (at >= since_before)
            to_pct = self.level[program, plan, step][rows]
            np.copyto(before, to_pct, where=second)
            np.copyto(since_before, at, where=second)
            np.copyto(before, level, where=last)
            np.copyto(since_before, since, where=last)
            np.copyto(level, to_pct, where=last)
            np.copyto(since, at, where=last)
            np.copyto(ramp, self.ramp[program, plan, step][rows], where=last)
        ramping = np.flatnonzero((ramp > 0) & (utc_s < since + ramp) & (since > begin[rows]))
        if len(ramping):
            done, whole = (utc_s - since)[ramping], ramp[ramping]
            level[ramping] = before[ramping] + (level - before)[ramping] * done // whole
        return level

    def _step_s(self, which: Ints, plan: Ints, step: int, evening: Ints) -> Ints:
        anchor, minute = self.anchor[which, plan, step], self.minute[which, plan, step]
        by_clock = anchor == CLOCK
        day = evening + ((by_clock & (minute < NOON_S // 60)) | (anchor > CLOCK))
        sets, rises = self._sun(self.sets, which, evening), self._sun(self.rise, which, evening + 1)
        of_sun: Ints = np.where(anchor == SUNSET, sets, rises)
        at: Ints = day * DAY_S + (of_sun + minute) * 60
        at[by_clock] = self.to_utc_s(day[by_clock] * DAY_S + minute[by_clock] * 60)
        at[(plan < 0) | (anchor < 0) | (~by_clock & (of_sun >= LIGHT))] = NEVER_S
        return at

    @staticmethod
    def _sun(table: Ints, which: Ints, day: Ints) -> Ints:
        _, month, of_month = _date(day)
        return table[which, _BEFORE_MONTH[month - 1] + of_month - 1]


_BEFORE_MONTH = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])


def _date(day: Ints) -> tuple[Ints, Ints, Ints]:
    """Year, month and day of month."""
    days = day.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    number = months.astype(np.int64)
    return number // 12 + 1970, number % 12 + 1, (days - months.astype("datetime64[D]")).astype(np.int64) + 1


@dataclass(frozen=True)
class Night:
    """A night as it is shown: ``ts_s`` each minute from noon to noon, ``level_pct`` then, both of shape ``(1440,)``
    or, on nights of daylight saving, an hour less or more; ``begin_s`` and ``end_s`` 0 where it does not get dark."""

    ts_s: Ints
    level_pct: Ints
    begin_s: int
    end_s: int

    def energy_wh(self, power_w: NDArray[Any] | Floats) -> float:
        """Energy of a lamp that takes ``power_w[level]`` watts at each of the 101 levels."""
        return float(np.sum(power_w[self.level_pct])) / 60


def night(document: Mapping[str, Any], evening: date) -> Night:
    """The night that begins on this date, minute by minute."""
    programs = Programs.of([document])
    day = np.array([np.datetime64(evening).astype(np.int64)])
    noon, next_noon = (int(programs.to_utc_s((day + n) * DAY_S + NOON_S)[0]) for n in (0, 1))
    ts = np.arange(noon, next_noon, 60)
    which = np.zeros(len(ts), np.int64)
    begin, end = programs.nights(which[:1], day)
    return Night(ts, programs.levels_pct(which, ts), int(begin[0]), int(end[0]))
