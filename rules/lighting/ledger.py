"""Where a street's energy went: what lamps took, and what was saved by LEDs, by dimming and, apart, by outages.

Each minute in which the program wants light belongs to one part. The lamp lit: it saves what the old lamp would have
taken beyond this one at full light (LED), and what this one took less than at full light (dimming). The lamp dark: an
outage, which is no saving. So always

    baseline = measured - outside + led + dimming + outage

Time that no readings cover is on neither side of it; ``completeness`` tells how much was covered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.dimming import DAY_S, Programs
from rules.lighting.power import OUT_SHARE, OUT_W, Luminaire, curve_w, dimming

GAP_S = 7500
"""Two heartbeats of a lamp that is off, and a little: what is silent for longer is not known."""
WARM_S = 1200
"""So long after its start a lamp may take less than it will (lighting.md); only later is full light measured."""
FULL_READINGS_MIN = 6
"""Half an hour of full light in a month is enough to know its power."""
ENERGY_SHARE_MAX, ENERGY_WH_MAX = 2.0, 2.0
"""A counter that ran faster than twice the rated power (and its own resolution) is another device's."""
FULL_FROM: Final = ("measured", "curve", "rated", "unknown")
"""How the power at full light is known: from readings at full light; from dimmed ones by the driver's typical curve;
from the registry; not at all, and then the lamp is counted on neither side."""
DIGITS = 6
"""To which the inputs of the split are rounded before it is made, so that it follows from what is written down."""
LEAST_W = 1e-6
"""So little that it weighs nothing, and nothing is divided by zero."""
AXIS = 1 << 33
"""Seconds of one timeline's axis; timelines are laid one behind another."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Readings of lamps by lamp and time, shapes ``(n,)``. ``level_pct`` is what the lamp was to give, by its own
    telling or by its program; NaN where nobody knows. Power and energy may be NaN."""

    lamp: Ints
    ts_s: Ints
    power_w: Floats
    energy_wh: Floats
    level_pct: Floats


@dataclass(frozen=True, slots=True)
class Due:
    """When timelines want light: running seconds of it, at knots of the axis."""

    knots: Floats
    seconds: Floats

    @classmethod
    def of(cls, timelines: Sequence[tuple[Ints, Ints]]) -> "Due":
        """From when to when (UTC seconds, in order and apart) each wants light."""
        knots, seconds, total = [0.0], [0.0], 0.0
        for number, (begins, ends) in enumerate(timelines):
            axis = np.stack([begins, ends], axis=1).ravel() + number * AXIS
            run = np.stack([np.zeros(len(begins)), ends - begins], axis=1).ravel().cumsum() + total
            knots.extend(axis.tolist())
            seconds.extend(run.tolist())
            total = seconds[-1]
        return cls(np.array(knots), np.array(seconds))

    def until(self, timeline: Ints, ts_s: Ints) -> Floats:
        """Running seconds; only differences within a timeline mean anything."""
        return np.interp(timeline * float(AXIS) + ts_s, self.knots, self.seconds)


def nights(held: Sequence[tuple[int, Mapping[str, Any]]], from_s: int, to_s: int) -> tuple[Ints, Ints]:
    """From when to when light is due between two moments, by the documents held from given seconds on."""
    found: list[tuple[int, int]] = []
    days = np.arange(from_s // DAY_S - 2, to_s // DAY_S + 2)
    for number, (since, document) in enumerate(held):
        first = from_s if number == 0 else max(since, from_s)
        last = min(held[number + 1][0], to_s) if number + 1 < len(held) else to_s
        begin, end = Programs.of([document]).nights(np.zeros(len(days), np.int64), days)
        begin, end = np.maximum(begin, first), np.minimum(end, last)
        found += zip(begin[begin < end].tolist(), end[begin < end].tolist(), strict=True)
    table = np.array(found, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@dataclass(frozen=True, slots=True)
class Days:
    """What readings say of ``n`` lamps on ``d`` days, shapes ``(n, d)``: hours and kWh, rounded to ``DIGITS``.

    ``due_h`` is all time in which light was due; ``lit_h`` and ``outage_h`` is what of it readings cover, with what was
    taken then. ``outside_kwh`` was taken when none was due; ``uncovered_kwh`` by the counter while nothing was heard.
    """

    due_h: Floats
    lit_h: Floats
    outage_h: Floats
    lit_kwh: Floats
    dark_kwh: Floats
    outside_kwh: Floats
    uncovered_kwh: Floats


@dataclass(frozen=True, slots=True)
class Full:
    """Power of ``n`` lamps at full light, warm, and how it is known (codes of ``FULL_FROM``); shapes ``(n,)``."""

    power_w: Floats
    source: Ints


@dataclass(frozen=True, slots=True)
class Split:
    """The parts, kWh and hours, in the shape of what they were made of."""

    baseline_kwh: Floats
    measured_kwh: Floats
    outside_kwh: Floats
    led_kwh: Floats
    dimming_kwh: Floats
    outage_kwh: Floats
    uncovered_kwh: Floats
    due_h: Floats
    covered_h: Floats
    outage_h: Floats


def split(days: Days, full_w: Floats, baseline_w: Floats) -> Split:
    """The parts of each lamp and day; ``full_w`` and ``baseline_w`` fit ``(n, d)``, the latter NaN where nobody has
    declared one: then nothing is counted as saved by LEDs."""
    full = np.nan_to_num(full_w)
    before = np.where(np.isnan(baseline_w), full, baseline_w) / 1000
    full = full / 1000
    return Split(
        baseline_kwh=before * (days.lit_h + days.outage_h),
        measured_kwh=days.lit_kwh + days.dark_kwh + days.outside_kwh,
        outside_kwh=days.outside_kwh,
        led_kwh=(before - full) * days.lit_h,
        dimming_kwh=full * days.lit_h - days.lit_kwh,
        outage_kwh=before * days.outage_h - days.dark_kwh,
        uncovered_kwh=days.uncovered_kwh,
        due_h=days.due_h,
        covered_h=days.lit_h + days.outage_h,
        outage_h=days.outage_h,
    )


def completeness(due_h: Floats, covered_h: Floats) -> Floats:
    """The share of due time that readings cover; 1 where none was due."""
    return np.where(due_h > 0, np.minimum(covered_h / np.where(due_h > 0, due_h, 1), 1), 1.0)


def observe(seen: Seen, lamps: Luminaire, timeline: Ints, due: Due, bounds_s: Ints) -> tuple[Days, Full]:
    """What readings say of each day between midnights (``bounds_s``, ``(d + 1,)``); ``timeline`` is each lamp's.

    Readings a little before the first and behind the last midnight are welcome: they cover the edges.
    """
    n, d = len(timeline), len(bounds_s) - 1
    dark = _dark(seen, lamps)
    full = _full(seen, lamps, dark)
    pieces = _Pieces.of(seen, lamps, dark, timeline, due, bounds_s)
    known = (full.source < FULL_FROM.index("unknown"))[pieces.lamp]
    covered = pieces.covered & known
    out = covered & pieces.dark
    place = pieces.lamp * d + pieces.day

    def total(amount: Floats, chosen: Mask, per: float) -> Floats:
        return np.round(np.bincount(place[chosen], amount[chosen], n * d).reshape(n, d) / per, DIGITS)

    every, ends = np.repeat(timeline, d + 1).reshape(n, d + 1), np.tile(bounds_s, (n, 1))
    kws = 3.6e6
    return Days(
        due_h=np.round(np.diff(due.until(every, ends), axis=1) / 3600, DIGITS),
        lit_h=total(pieces.due_s, covered & ~out, 3600),
        outage_h=total(pieces.due_s, out, 3600),
        lit_kwh=total(pieces.due_ws, covered & ~out, kws),
        dark_kwh=total(pieces.due_ws, out, kws),
        outside_kwh=total(pieces.outside_ws, covered, kws),
        uncovered_kwh=total(np.nan_to_num(pieces.due_ws + pieces.outside_ws), ~covered, kws),
    ), full


def _dark(seen: Seen, lamps: Luminaire) -> Mask:
    """Whether a lamp that was to give light takes too little to do so; what is expected at its level counts."""
    made = _of(lamps, seen.lamp)
    level = np.where(np.isnan(seen.level_pct), 100.0, seen.level_pct)
    least = np.fmax(OUT_W, OUT_SHARE * curve_w(made, dimming(level, made.level_min_pct)))
    return (level > 0) & (seen.power_w < least)


def _of(lamps: Luminaire, rows: Ints) -> Luminaire:
    return Luminaire(lamps.rated_w[rows], lamps.min_w[rows], lamps.standby_w[rows], lamps.level_min_pct[rows])


def _full(seen: Seen, lamps: Luminaire, dark: Mask) -> Full:
    n = len(lamps.rated_w)
    level = seen.level_pct
    first = np.diff(seen.lamp, prepend=-1) > 0
    gap = np.diff(seen.ts_s, prepend=0) > GAP_S
    key = seen.lamp * AXIS + seen.ts_s
    off = first | gap | dark | (level <= 0) | np.isnan(seen.power_w)
    since = np.maximum.accumulate(np.where(off, key, -1)) if len(key) else key
    before = np.concatenate([[np.nan], level[:-1]]) if len(level) else level
    steady = ~off & (key - since >= WARM_S) & (np.abs(level - before) < 0.5)
    at_full = steady & (level >= 99.5)
    made = _of(lamps, seen.lamp)
    scaled = seen.power_w / curve_w(made, dimming(level, made.level_min_pct)) * made.rated_w
    measured, count = _median(seen.lamp[at_full], seen.power_w[at_full], n)
    usable = steady & np.isfinite(scaled)
    by_curve, dimmed = _median(seen.lamp[usable], scaled[usable], n)
    enough = [count >= FULL_READINGS_MIN, dimmed >= FULL_READINGS_MIN, ~np.isnan(lamps.rated_w)]
    source = np.select(enough, [0, 1, 2], 3)
    return Full(np.round(np.select(enough, [measured, by_curve, lamps.rated_w], np.nan), 3), source)


def _median(row: Ints, value: Floats, n: int) -> tuple[Floats, Ints]:
    """The (lower) median of each row's values, NaN where there are none, and how many there are; shapes ``(n,)``."""
    ordered = value[np.lexsort((value, row))]
    count = np.bincount(row, minlength=n)
    begin = np.cumsum(count) - count
    middle = np.minimum(begin + np.maximum(count - 1, 0) // 2, max(len(ordered) - 1, 0))
    found = ordered[middle] if len(ordered) else np.full(n, np.nan)
    return np.where(count > 0, found, np.nan), count


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Stretches of time between readings, cut in their middle and at midnights; energy in watt-seconds."""

    lamp: Ints
    day: Ints
    covered: Mask
    dark: Mask
    due_s: Floats
    due_ws: Floats
    outside_ws: Floats

    @classmethod
    def of(  # noqa: PLR0917 - all that is known of lamps
        cls, seen: Seen, lamps: Luminaire, dark: Mask, timeline: Ints, due: Due, bounds_s: Ints
    ) -> "_Pieces":
        a = np.flatnonzero((seen.lamp[1:] == seen.lamp[:-1]) & (np.diff(seen.ts_s) > 0))
        from_s, to_s, lamp = seen.ts_s[a], seen.ts_s[a + 1], seen.lamp[a]
        line, span = timeline[lamp], to_s - from_s
        due_all = due.until(line, to_s) - due.until(line, from_s)
        energy, counted = _counted(seen, a, lamps)
        power = np.where(np.isnan(seen.power_w), 0.0, seen.power_w)
        short = (span <= GAP_S) & (counted | ~np.isnan(seen.power_w[a] + seen.power_w[a + 1]))
        # Nothing was heard, and the counter stood: it was dark. None was due, and the counter tells: that is outside.
        made = _of(lamps, lamp)
        least = np.fmax(OUT_W, OUT_SHARE * curve_w(made, np.zeros(len(lamp))))
        stood = ~short & counted & (due_all > 0) & (energy < least * due_all)
        covered = short | stood | (~short & counted & (due_all == 0))

        wanted = timeline[seen.lamp]
        lit_due = due.until(wanted, seen.ts_s + 60) > due.until(wanted, seen.ts_s)
        # Each half of the stretch is its nearer reading's; what that one cannot tell (none is due yet), the other does.
        pair = np.tile(np.arange(len(a)), 2)
        near, far = np.concatenate([a, a + 1]), np.concatenate([a + 1, a])
        middle = (from_s + to_s) // 2
        half_from, half_to = np.concatenate([from_s, middle]), np.concatenate([middle, to_s])
        by_due, by_outside = np.where(lit_due[near], near, far), np.where(lit_due[near], far, near)
        watts_due = np.where(lit_due[by_due], power[by_due], np.nan_to_num(lamps.rated_w[lamp[pair]]))
        watts_outside = np.where(lit_due[by_outside], 0.0, power[by_outside])
        even = ~short[pair]  # nothing tells how power went in a gap
        rate_due, rate_outside = (np.where(even, 1.0, watts + LEAST_W) for watts in (watts_due, watts_outside))
        is_dark = stood[pair] | (short[pair] & dark[by_due] & lit_due[by_due])

        half_due = due.until(line[pair], half_to) - due.until(line[pair], half_from)
        guess = (rate_due * half_due + rate_outside * (half_to - half_from - half_due)).reshape(2, -1).sum(axis=0)
        scale = np.where(counted, energy / np.maximum(guess, LEAST_W), np.where(short, 1.0, 0.0))[pair]

        piece, day, start, end = _cut(half_from, half_to, bounds_s)
        pair = pair[piece]
        due_s = due.until(line[pair], end) - due.until(line[pair], start)
        return cls(
            lamp[pair],
            day,
            covered[pair],
            is_dark[piece],
            due_s,
            (rate_due * scale)[piece] * due_s,
            (rate_outside * scale)[piece] * (end - start - due_s),
        )


def _counted(seen: Seen, a: Ints, lamps: Luminaire) -> tuple[Floats, Mask]:
    """What the counter tells of the stretch behind each reading ``a``, in watt-seconds, and whether it can be believed:
    it knows both ends, has not begun anew and did not run faster than the lamp can."""
    gone = (seen.energy_wh[a + 1] - seen.energy_wh[a]) * 3600
    span = seen.ts_s[a + 1] - seen.ts_s[a]
    strongest = np.fmax(np.fmax(lamps.rated_w[seen.lamp[a]], seen.power_w[a]), seen.power_w[a + 1])
    most = np.nan_to_num(strongest) * ENERGY_SHARE_MAX * span + ENERGY_WH_MAX * 3600
    counted = (gone >= 0) & (gone <= most)
    return np.where(counted, gone, 0.0), counted


def _cut(from_s: Ints, to_s: Ints, bounds_s: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Stretches cut at midnights, without what lies beyond the outer ones: which, its day, from and to."""
    first = np.searchsorted(bounds_s, from_s, "right") - 1
    last = np.searchsorted(bounds_s, to_s, "left") - 1
    count = np.maximum(last - first + 1, 0)
    which = np.repeat(np.arange(len(from_s)), count)
    day = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + first[which]
    inside = (day >= 0) & (day < len(bounds_s) - 1)
    which, day = which[inside], day[inside]
    return which, day, np.maximum(from_s[which], bounds_s[day]), np.minimum(to_s[which], bounds_s[day + 1])
