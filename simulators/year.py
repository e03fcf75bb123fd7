"""A year of many lamps, minute by minute: does anybody ever walk in the dark, and what was saved, and by what.

Each day is arrays of lamps by minutes. Levels come from ``rules.dimming`` by the document that each lamp holds then,
and from ``rules.deciding`` where clocks are lost or people have given orders (``simulators.adversity``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from kraj import sun
from kraj.dimming import CLASSES
from rules.deciding import MANUAL, NONE, PROGRAM, Orders, decide
from rules.dimming import ZONE, Programs
from simulators.adversity import DAY_S, DAYS, START_S, Adversity
from simulators.physics.frame import Floats, Ints, Mask
from simulators.physics.lighting import (
    AGEING_PER_H,
    CLO_FROM,
    CLO_UNTIL_H,
    DARK_STANDBY,
    dali_pct,
    power_of,
    warmth,
)

Levels = NDArray[np.uint8]
MINUTES, MONTHS = 1440, 12
NIGHT_DEG = -6.0
"""The end of civil twilight: whatever a program says of minutes around sunset, a street must be lit by then."""
PHOTOCELL_DEG = (-3.5, -0.5)
"""At which sun photocells switch; each has its own."""
MIN_SHARE, STANDBY_W, LEAST_PCT = 0.15, 0.6, 10.0
WARM_MIN = 16
"""So many minutes after its start a lamp takes what it will take."""
DARK_HOURS_A_DAY = 11.2


@dataclass(frozen=True)
class Day:
    """A day of ``n`` lamps at each minute from ``ts_s[0]``; arrays of shape ``(n, 1440)`` but ``ts_s``, ``(1440,)``.

    ``level_pct`` and ``reason`` (codes of ``level_reason``) are what each lamp decides; ``due`` whether the document
    that it holds wants light then, by a right clock; ``power_w`` is true power; ``dead`` lamps cannot light.
    ``night`` is darkness by the sun, of segments, ``(s, 1440)``; ``month`` is 0 to 11 by the wall, ``(1440,)``.
    """

    ts_s: Ints
    month: Ints
    level_pct: Levels
    reason: Levels
    due: Mask
    dead: Mask
    power_w: NDArray[np.float32]
    night: Mask


@dataclass(frozen=True)
class Truth:
    """What became of the energy by lamp and month of the year on the wall; arrays of shape ``(lamps, 12)``.

    A lamp is *due* in the minutes in which the document that it holds wants light. Each of them belongs to one part:
    ``outage_kwh`` where it cannot light (all that the old lamp would have taken, less what it still takes), else
    ``led_kwh`` (old lamp less this one at full light, warm) and ``dimming_kwh`` (this one at full light less what it
    took; what it takes less while it warms up is in here). ``outside_kwh`` was taken in other minutes: standby, light
    by day. ``baseline_kwh`` is the old lamp in all due minutes, so that always

        baseline = measured - outside + led + dimming + outage

    ``undimmed_kwh`` is this lamp at full light in all due minutes; ``due_h`` and ``outage_h`` are hours.
    """

    baseline_kwh: Floats
    measured_kwh: Floats
    led_kwh: Floats
    dimming_kwh: Floats
    outage_kwh: Floats
    outside_kwh: Floats
    undimmed_kwh: Floats
    due_h: Floats
    outage_h: Floats

    @staticmethod
    def empty(lamps: int) -> "Truth":
        return Truth(*(np.zeros((lamps, MONTHS)) for _ in range(9)))


@dataclass
class Checks:
    """Sums over lamps and minutes of the year."""

    below: int = 0
    """Less light than the permitted class wants, by no person's order."""
    dark: int = 0
    """No light by night in a lamp that could light, by no person's order."""
    ordered_below: int = 0
    """Less than that as a person ordered it."""
    dead: int = 0
    """Due and dark by a fault of lamp or supply."""
    fallback: int = 0
    by_order: int = 0


@dataclass(frozen=True)
class Year:
    """A year lived through."""

    adversity: Adversity
    truth: Truth
    checks: Checks


def truth(seed: int, lamps: int = 1000) -> Truth:
    """The true split of a year's energy, to compare a ledger with."""
    return run(seed, lamps).truth


def photocell_deg(lamps: int) -> Floats:
    """At which elevation of the sun each lamp's photocell switches, if it has one."""
    place = np.linspace(0, 1, lamps) * 97 % 1
    return PHOTOCELL_DEG[0] + place * (PHOTOCELL_DEG[1] - PHOTOCELL_DEG[0])


def run(seed: int, lamps: int = 1000, *, days: int = DAYS, look: Callable[[Day], None] | None = None) -> Year:
    """Live through the first ``days`` of the year; ``look`` is shown each day."""
    return live(Adversity.of(seed, lamps), days=days, look=look)


def live(adversity: Adversity, *, days: int = DAYS, look: Callable[[Day], None] | None = None) -> Year:
    """The same, for whoever must know beforehand what befalls these lamps, as who makes readings of each day must."""
    world = _World(adversity)
    year = Year(adversity, Truth.empty(len(adversity.segment)), Checks())
    for number in range(days):
        day = world.day(START_S + number * DAY_S)
        _check(year, day)
        for month in np.unique(day.month).tolist():
            world.split(day, day.month == month, month, year.truth)
        if look is not None:
            look(day)
    return year


class _World:
    def __init__(self, adversity: Adversity) -> None:
        a = self.adversity = adversity
        self.n = len(a.segment)
        self.programs = Programs.of(a.documents)
        self.rows = np.arange(self.n)
        self.drifting = np.flatnonzero(a.drift_s)
        self.photocell_deg = photocell_deg(self.n)
        # Minutes since each lamp was lit, at midnight; nobody has just been.
        self.lit_min = np.full(self.n, MINUTES)
        self.was_lit = np.zeros(self.n, np.bool_)
        self._table = (-1, np.zeros((0, 101), np.float32))

    def day(self, start_s: int) -> Day:
        a, ts = self.adversity, start_s + np.arange(MINUTES) * 60
        held = a.held.within(start_s, start_s + DAY_S)
        used = np.unique([document for _, _, _, document, _ in held]).astype(np.int64)
        every = self.programs.levels_pct(np.repeat(used, MINUTES), np.tile(ts, len(used)))
        by_document = every.reshape(len(used), MINUTES).astype(np.uint8)
        right = np.empty((self.n, MINUTES), np.uint8)
        which = np.empty((self.n, MINUTES), np.int16)
        for row, first, end, document, _ in minutes(held, start_s):
            right[row, first:end] = by_document[np.searchsorted(used, document), first:end]
            which[row, first:end] = document
        level = right.copy()
        if len(self.drifting):
            own_s = ts + a.drift_s[self.drifting, None]
            asked = which[self.drifting].astype(np.int64).ravel()
            level[self.drifting] = self.programs.levels_pct(asked, own_s.ravel()).reshape(own_s.shape)
        elevation = sun.elevation_deg(ts * 1000, a.latitude[:, None], a.longitude[:, None])
        reason = np.full((self.n, MINUTES), PROGRAM, np.uint8)
        self._decide(start_s, elevation, level, reason)
        dead, unfed = np.zeros((self.n, MINUTES), np.bool_), np.zeros((self.n, MINUTES), np.bool_)
        for row, first, end, value, _ in minutes(a.dead.within(start_s, start_s + DAY_S), start_s):
            dead[row, first:end] = True
            unfed[row, first:end] |= value > 0
        month = np.array([datetime.fromtimestamp(s, ZONE).month - 1 for s in ts[::60].tolist()]).repeat(60)
        power = self._power_w(level, dead, unfed, int(month[0]), start_s)
        return Day(ts, month, level, reason, right > 0, dead, power, elevation < NIGHT_DEG)

    def _decide(self, start_s: int, elevation: Floats, level: Levels, reason: Levels) -> None:
        """Where something is not as ever: lost clocks and people's orders."""
        a, end_s = self.adversity, start_s + DAY_S
        spans = {
            name: found.within(start_s, end_s)
            for name, found in (
                ("blind", a.blind),
                ("manual", a.manual),
                ("emergency", a.emergency),
                ("local", a.local),
            )
        }
        rows = np.unique([row for found in spans.values() for row, *_ in found]).astype(np.int64)
        if not len(rows):
            return
        place = {row: n for n, row in enumerate(rows.tolist())}
        shape = (len(rows), MINUTES)
        blind, local = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        manual_pct, manual_until, emergency_until = (np.full(shape, NONE) for _ in range(3))
        for row, first, end, _, _ in minutes(spans["blind"], start_s):
            blind[place[row], first:end] = True
        for row, first, end, _, _ in minutes(spans["local"], start_s):
            local[place[row], first:end] = True
        for row, first, end, pct, until_s in minutes(spans["manual"], start_s):
            manual_pct[place[row], first:end] = pct
            manual_until[place[row], first:end] = until_s
        for row, first, end, _, until_s in minutes(spans["emergency"], start_s):
            emergency_until[place[row], first:end] = until_s
        sees = elevation[a.segment[rows]] < self.photocell_deg[rows, None]
        orders = Orders(
            uptime_s=start_s + np.arange(MINUTES) * 60,
            emergency_until_s=emergency_until,
            manual_pct=manual_pct,
            manual_until_s=manual_until,
            local=local,
            motion_s=np.array(NONE),
        )
        dark = np.where(a.photocell[rows, None], sees, NONE)
        pct, why = decide(level[rows].astype(np.int64), blind, dark, orders)
        level[rows], reason[rows] = pct, why

    def _power_w(self, level: Levels, dead: Mask, unfed: Mask, month: int, start_s: int) -> NDArray[np.float32]:
        """True power; ``unfed`` lamps take nothing, other dead ones a little more than standby."""
        if self._table[0] != month:
            self._table = (month, self._watts(start_s))
        place = level.astype(np.intp)
        place += self.rows[:, None] * 101
        power = self._table[1].ravel().take(place, mode="clip")  # all are within; this looks at each only once
        lit = (level > 0) & ~dead
        rows, minute = np.nonzero(lit[:, 1:] & ~lit[:, :-1])
        morning = lit[:, 0] & ~self.was_lit
        carried = lit[:, 0] & self.was_lit & (self.lit_min < WARM_MIN)
        rows = np.concatenate([rows, np.flatnonzero(morning), np.flatnonzero(carried)])
        since = np.concatenate([minute + 1, np.zeros(int(morning.sum()), np.int64), -self.lit_min[carried]])
        warm = np.ones(len(rows), np.bool_)
        for later in range(WARM_MIN):
            at = since + later
            # Once dark again, its next start is another one.
            within = (at >= 0) & (at < MINUTES)
            warm &= lit[rows, np.clip(at, 0, MINUTES - 1)] | ~within
            mine = warm & within
            power[rows[mine], at[mine]] *= float(warmth(np.array(later * 60_000 + 30_000)))
        self._remember(lit)
        rows = np.flatnonzero(dead.any(axis=1))
        out = dead[rows]
        power[rows] = np.where(out, np.where(unfed[rows], 0.0, STANDBY_W * DARK_STANDBY), power[rows])
        return power

    def _remember(self, lit: Mask) -> None:
        off = ~lit[:, ::-1]
        ran = np.where(off.any(axis=1), off.argmax(axis=1), MINUTES)
        self.lit_min = np.where(ran == MINUTES, self.lit_min + MINUTES, ran)
        self.was_lit = lit[:, -1]

    def _watts(self, start_s: int) -> NDArray[np.float32]:
        """Power at each of the 101 levels, warm; the constant light output and ageing of a month."""
        a = self.adversity
        hours = a.burned_h + (start_s - START_S) / DAY_S * DARK_HOURS_A_DAY
        light = np.where(a.clo, CLO_FROM + (1 - CLO_FROM) * np.minimum(hours / CLO_UNTIL_H, 1), 1.0)[:, None]
        full = a.rated_w[:, None]
        at = dali_pct(np.maximum(np.arange(101.0), 0.1))[None, :] * light
        least = np.array(LEAST_PCT)
        watts = power_of(at, full, MIN_SHARE * full, least, a.bend[:, None]) * (1 + AGEING_PER_H * hours)[:, None]
        watts[:, 0] = STANDBY_W
        return watts.astype(np.float32)

    def split(self, day: Day, mine: Mask, month: int, truth: Truth) -> None:
        """Add the minutes of a month to the truth."""
        columns = np.flatnonzero(mine)
        part = slice(int(columns[0]), int(columns[-1]) + 1)
        due, dead, power = day.due[:, part], day.dead[:, part], day.power_w[:, part]
        full_w, before_w = self._table[1][:, 100].astype(np.float64), self.adversity.before_w
        due_min = due.sum(axis=1).astype(np.float64)
        all_w = power.sum(axis=1, dtype=np.float64)
        due_w = np.einsum("ij,ij->i", power, due.astype(np.float32)).astype(np.float64)
        rows = np.flatnonzero(dead.any(axis=1))
        out = due[rows] & dead[rows]
        out_min, out_w = np.zeros(self.n), np.zeros(self.n)
        out_min[rows] = out.sum(axis=1)
        out_w[rows] = np.sum(power[rows] * out, axis=1, dtype=np.float64)
        lit_min = due_min - out_min
        kwh = 1 / 60_000
        truth.baseline_kwh[:, month] += before_w * due_min * kwh
        truth.measured_kwh[:, month] += all_w * kwh
        truth.led_kwh[:, month] += (before_w - full_w) * lit_min * kwh
        truth.dimming_kwh[:, month] += (full_w * lit_min - (due_w - out_w)) * kwh
        truth.outage_kwh[:, month] += (before_w * out_min - out_w) * kwh
        truth.outside_kwh[:, month] += (all_w - due_w) * kwh
        truth.undimmed_kwh[:, month] += full_w * due_min * kwh
        truth.due_h[:, month] += due_min / 60
        truth.outage_h[:, month] += out_min / 60


def minutes(spans: list[tuple[int, int, int, int, int]], start_s: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Row, the first minute of a day and the one behind the last, value, until; a span holds at its first second."""
    for row, from_s, to_s, value, until_s in spans:
        first, end = (min(max(-((start_s - s) // 60), 0), MINUTES) for s in (from_s, to_s))
        if first < end:
            yield row, first, end, value, until_s


def _check(year: Year, day: Day) -> None:
    """Ask of light itself, and not of what programs think of it."""
    a, checks = year.adversity, year.checks
    designed = np.array([CLASSES[name] for name in a.designed])
    permitted = np.array([CLASSES[name] for name in a.permitted])
    least = np.ceil(permitted / designed * 100 - 1e-9).astype(np.uint8)
    too_little = day.level_pct < least[a.segment][:, None]
    ordered = day.reason == MANUAL
    lit = day.level_pct > 0
    unlit = day.night[a.segment] & ~lit
    # What cannot light is not ours; the controller's level is, even then.
    able = ~day.dead
    checks.below += int(np.count_nonzero(too_little & lit & ~ordered))
    checks.dark += int(np.count_nonzero(unlit & ~ordered & able))
    checks.ordered_below += int(np.count_nonzero(too_little & ordered & (lit | unlit)))
    checks.dead += int(np.count_nonzero(day.dead & day.due))
    checks.fallback += int(np.count_nonzero(day.reason > PROGRAM))
    checks.by_order += int(np.count_nonzero(day.reason < PROGRAM))
