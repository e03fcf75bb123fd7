"""Which readings of a counter are believed when looked at afterwards, and by how much it rose from one to the next.

A fall that is made good, or a rise that is taken back, within half an hour or by the very next reading was no reading;
what lasts is a new meter, and the step to it is nobody's. All of it follows from the readings around: it may be made
again from any part of history, with the same result (``rules.increase`` says what can be said at the moment).
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from kraj.metrics import Kind, Metric, Rollup
from kraj.readings import DAY_MS, Floats, Ints, Mask
from kraj.units import Unit
from rules.increase import EPOCH_MS, SLACK

HOUR_MS: Final = 3_600_000
GAP_MS_MAX: Final = 100 * DAY_MS
"""What a counter rose by in a longer gap is not spread over it: nobody knows when that was."""
SLACK_BY_UNIT: Final = {Unit.WATT_HOUR: 2.0, Unit.SECOND: 60.0}
"""A counter's own resolution; elsewhere one count."""
ENERGY_SHARE_MAX: Final = {"lamp": 2.0, "cabinet": 2.0, "solar": 1.3}
"""A meter that ran faster than so many times the rated power is another device's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Readings in the order of asset, time and number; shapes ``(n,)``, ``values`` has ``(n, metrics)``, NaN unknown.

    ``row`` is the asset's place among the ``Limits``; ``hold_ms`` is for how long at most a reading counts.
    """

    row: Ints
    town: Ints
    ts_ms: Ints
    values: Floats
    hold_ms: Ints


@dataclass(frozen=True, slots=True)
class Spans:
    """From when to when assets are rolled up; whole quarters, apart, in the order of row and time; shapes ``(w,)``."""

    row: Ints
    begin_ms: Ints
    end_ms: Ints


@cache
def counters(kind: Kind) -> tuple[Metric, ...]:
    """The metrics that only go up."""
    return tuple(m for m in kind.metrics if m.rolled is Rollup.INCREASE)


def most_per_h(kind: Kind, rated_w: Floats) -> Floats:
    """How fast each counter may go, ``(assets, counters)``; ``rated_w`` NaN where unknown."""
    most = np.full((len(rated_w), len(counters(kind))), np.inf)
    for place, metric in enumerate(counters(kind)):
        if metric.unit is Unit.SECOND:
            most[:, place] = 3600 * 1.05  # clocks are put right
        elif metric.unit is Unit.WATT_HOUR:
            power = kind.by_name.get(metric.name.replace("energy_wh", "power_w"), kind.by_name.get("power_w"))
            most[:, place] = power.possible[1] if power else np.inf
            share = ENERGY_SHARE_MAX.get(kind.name)
            if share is not None and metric.name == "energy_wh":
                most[:, place] = np.where(rated_w > 0, share * rated_w, most[:, place])
    return most


def said(metric: Metric, value: Floats) -> Mask:
    """Where a counter says something: a meter's 0 is a wake-up; of what is counted, none is a number."""
    return value >= 0 if metric.unit is Unit.COUNT else value > 0


@dataclass(frozen=True, slots=True)
class Counted:
    """The believed readings, by their places among all, and by how much the counter rose from each to the next (NaN
    where nobody knows); shapes ``(k,)``, ``(k - 1,)``. ``smooth`` has the rows in which nothing was ever in doubt."""

    at: Ints
    step: Floats
    smooth: Mask


def counted(seen: Seen, value: Floats, metric: Metric, most: Floats) -> Counted:
    """Judge the readings of one counter; ``value`` is what each says, ``most`` how far each row's may go in an hour."""
    at = np.flatnonzero(said(metric, value))
    slack = SLACK_BY_UNIT.get(metric.unit, SLACK)
    smooth = np.ones(len(most), bool)
    same = np.diff(seen.row[at]) == 0
    step = _steps(seen, value, at, most, slack)
    smooth[seen.row[at[1:]][same & (np.isnan(step) | (np.diff(value[at]) < 0))]] = False
    doubtful = np.flatnonzero(~smooth[seen.row[at]])
    if len(doubtful):
        kept = np.ones(len(at), bool)
        kept[doubtful] = _believed(seen, value, at[doubtful], slack)
        at = at[kept]
        step = _steps(seen, value, at, most, slack)
    return Counted(at, step, smooth)


def _steps(seen: Seen, value: Floats, at: Ints, most: Floats, slack: float) -> Floats:
    rise, span_ms = np.diff(value[at]), np.diff(seen.ts_ms[at])
    row = seen.row[at]
    known = (np.diff(row) == 0) & (rise >= -slack) & (span_ms <= GAP_MS_MAX)
    known &= rise <= most[row[1:]] * (np.maximum(span_ms, 1) / HOUR_MS) + slack  # no time, times no bound, is nothing
    return np.where(known, np.maximum(rise, 0), np.nan)


def _believed(seen: Seen, value: Floats, at: Ints, slack: float) -> Mask:
    row, ts_ms, said_ = seen.row[at], seen.ts_ms[at], value[at]
    kept = np.arange(len(at))
    before, _ = _around(row, ts_ms, said_, np.fmax)
    _, after = _around(row, ts_ms, said_, np.fmax)
    kept = kept[~((said_ < before) & (after >= before - slack))]
    before, after = _around(row[kept], ts_ms[kept], said_[kept], np.fmin)
    kept = kept[~((said_[kept] > after + slack) & (after >= before - slack))]
    mask = np.zeros(len(at), bool)
    mask[kept] = True
    return mask


def _around(row: Ints, ts_ms: Ints, value: Floats, choose: "np.ufunc") -> tuple[Floats, Floats]:
    """The highest (or lowest) of what stands before each within half an hour, or right before it; and behind."""
    before, after = np.full(len(row), np.nan), np.full(len(row), np.nan)
    for shift in range(1, len(row)):
        near = np.flatnonzero(
            (row[shift:] == row[:-shift]) & ((shift == 1) | (ts_ms[shift:] - ts_ms[:-shift] <= EPOCH_MS))
        )
        if not len(near):
            break
        before[near + shift] = choose(before[near + shift], value[near])
        after[near] = choose(after[near], value[near + shift])
    return before, after


def changed(seen: Seen, found: Counted, valid: Ints, spans: Spans) -> tuple[Ints, Ints]:
    """How far back and ahead increases may change when readings within the spans are new, in milliseconds: to the
    believed readings around, and where there is doubt, around all that they may have put in doubt. ``valid`` are the
    places of what the counter said; the spans themselves where there is nothing."""
    row, back, ahead = spans.row, spans.begin_ms, spans.end_ms
    doubt = ~found.smooth[row]
    for _ in range(2):
        near, _ = next_to(seen, valid, row, back)
        back = np.where(doubt, np.minimum(np.where(near < 0, back, near), back - EPOCH_MS), back)
        _, near = next_to(seen, valid, row, ahead)
        ahead = np.where(doubt, np.maximum(np.where(near < 0, ahead, near + 1), ahead + EPOCH_MS), ahead)
    before, _ = next_to(seen, found.at, row, back)
    _, behind = next_to(seen, found.at, row, ahead)
    far = (before >= 0) & (back - before <= GAP_MS_MAX)
    near = (behind >= 0) & (behind - ahead <= GAP_MS_MAX)
    return np.where(far, before, back), np.where(near, behind, ahead)


def next_to(seen: Seen, at: Ints, row: Ints, ts_ms: Ints) -> tuple[Ints, Ints]:
    """The times of the last of these readings before each moment and of the first not before it; -1 for none."""
    if not len(at):
        return np.full(len(row), -1), np.full(len(row), -1)
    base = min(int(seen.ts_ms.min()), int(ts_ms.min()))
    axis = max(int(seen.ts_ms.max()), int(ts_ms.max())) - base + 1
    place = np.searchsorted(seen.row[at] * axis + seen.ts_ms[at] - base, row * axis + ts_ms - base)
    before, behind = np.maximum(place - 1, 0), np.minimum(place, len(at) - 1)
    return (
        np.where((place > 0) & (seen.row[at[before]] == row), seen.ts_ms[at[before]], -1),
        np.where((place < len(at)) & (seen.row[at[behind]] == row), seen.ts_ms[at[behind]], -1),
    )
