"""Readings by asset and time into quarters of an hour, hours and days: means by time, increases of counters, shares.

A reading's value holds until the asset's next one, at most for three heartbeats. What a counter rose by between two
readings belongs evenly to the time between them; where whole days of Prague lie between them, to those alone: days in
which something was heard hold what was measured, and a total over all of them is right. Buckets of which nothing is
covered are booked, not measured, and are shown to nobody (``kraj.store.rollup_schema``). Everything about a quarter
follows from the readings around it, so it may be made again at any time, with the same result.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from kraj.metrics import Kind, Metric, Rollup
from kraj.readings import Floats, Ints, Mask
from kraj.rollups import value_columns
from rules.counted import Seen, Spans, counted, counters

QUARTER_MS: Final = 900_000
HOUR_MS: Final = 3_600_000
DAY_MS_LEAST: Final = 23 * HOUR_MS
"""A day on which the clocks go forward."""
PRAGUE: Final = ZoneInfo("Europe/Prague")
HEARTBEATS_HELD: Final = 3


@dataclass(frozen=True, slots=True)
class Rolled:
    """``g`` buckets of a kind: ``values`` has shape ``(g, columns)`` in the order of ``value_columns``."""

    bucket_ms: Ints
    row: Ints
    town: Ints
    readings: Ints
    covered_s: Floats
    values: Floats

    def take(self, rows: Ints | Mask) -> "Rolled":
        return Rolled(
            self.bucket_ms[rows],
            self.row[rows],
            self.town[rows],
            self.readings[rows],
            self.covered_s[rows],
            self.values[rows],
        )


def hold_ms(kind: Kind, values: Floats, rated_w: Floats, interval_s: Floats) -> Ints:
    """For how long each reading counts: three of the heartbeats that it promises. Rated power and the asset's own
    interval are told by reading, NaN where unknown."""
    if kind.name == "lamp":
        active = values[:, kind.positions["level_commanded_pct"]] > 0
    elif kind.name == "cabinet":
        active = values[:, kind.positions["power_w"]] > 0.1 * rated_w
    else:
        active = np.zeros(len(values), bool)
    beat = np.where(active, kind.heartbeat_s, kind.heartbeat_idle_s)
    return (HEARTBEATS_HELD * 1000 * np.where(interval_s > 0, interval_s, beat)).astype(np.int64)


def quarters(kind: Kind, seen: Seen, spans: Spans, most: Floats) -> Rolled:
    """The quarters of the spans in which anything is known; ``most`` as ``most_per_h`` gives it, by ``Seen.row``."""
    cells = _Cells.of(seen, spans)
    if not len(cells.row):
        return _nothing(kind)
    piece_row, piece_cell, seconds = cells.pieces(seen)
    covered = np.bincount(piece_cell, seconds, len(cells.row)).astype(np.float64)
    there = cells.at(seen)
    readings = np.bincount(there[there >= 0], minlength=len(cells.row))
    values = np.full((len(cells.row), len(value_columns(kind))), np.nan)
    filled = np.flatnonzero(np.diff(piece_cell, prepend=-1) > 0)
    if len(filled):
        values[piece_cell[filled]] = _reduce(kind, seen.values[piece_row], seconds, filled)
    places = {m.name: n for n, m in enumerate(counters(kind))}
    for index, column in enumerate(value_columns(kind)):
        if column.name in places:
            values[:, index] = _increases(kind, seen, cells, kind.by_name[column.name], most[:, places[column.name]])
    known = (covered > 0) | (readings > 0) | ~np.isnan(values).all(axis=1)
    bucket = cells.begin_ms // QUARTER_MS * QUARTER_MS
    found = Rolled(bucket, cells.row, cells.town, readings, covered, values).take(known)
    return coarser(kind, found, found.bucket_ms)


def coarser(kind: Kind, finer: Rolled, bucket_ms: Ints) -> Rolled:
    """Buckets into larger ones; ``finer`` is by asset and time, ``bucket_ms`` says where each belongs."""
    if not len(finer.row):
        return finer
    same = (np.diff(finer.row) == 0) & (np.diff(bucket_ms) == 0)
    if (np.diff(finer.town)[same] != 0).any():  # an owner's part stands apart, and stays in the order of time
        order = np.lexsort((np.arange(len(bucket_ms)), finer.town, bucket_ms, finer.row))
        finer, bucket_ms = finer.take(order), bucket_ms[order]
        same = (np.diff(finer.row) == 0) & (np.diff(bucket_ms) == 0) & (np.diff(finer.town) == 0)
    first = np.concatenate([[0], np.flatnonzero(~same) + 1])
    if len(first) == len(finer.row):
        return Rolled(bucket_ms, finer.row, finer.town, finer.readings, finer.covered_s, finer.values)
    return Rolled(
        bucket_ms[first],
        finer.row[first],
        finer.town[first],
        np.add.reduceat(finer.readings, first),
        np.add.reduceat(finer.covered_s, first, dtype=np.float64),
        _coarsen(kind, finer.values, finer.covered_s, first),
    )


def day_ms(ts_ms: Ints) -> Ints:
    """The Prague midnight that begins each moment's day."""
    if not len(ts_ms):
        return ts_ms
    bounds = midnights(int(ts_ms.min()), int(ts_ms.max()))
    return bounds[np.searchsorted(bounds, ts_ms, "right") - 1]


def midnights(from_ms: int, to_ms: int) -> Ints:
    """Midnights in Prague: from the last one not after the first moment to the first one behind the second."""
    day = datetime.fromtimestamp(from_ms / 1000, PRAGUE).date()
    last = datetime.fromtimestamp(to_ms / 1000, PRAGUE).date() + timedelta(days=1)
    return np.array([_midnight(day + timedelta(days=n)) for n in range((last - day).days + 1)], np.int64)


@cache
def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=PRAGUE).astimezone(UTC).timestamp()) * 1000


@dataclass(frozen=True, slots=True)
class _Cells:
    """Quarters of the spans, cut where an asset changes its owner; in the order of row and time, shapes ``(c,)``."""

    row: Ints
    begin_ms: Ints
    end_ms: Ints
    town: Ints
    axis_ms: int
    base_ms: int

    @classmethod
    def of(cls, seen: Seen, spans: Spans) -> "_Cells":
        if not len(seen.row) or not len(spans.row):
            none = np.zeros(0, np.int64)
            return cls(none, none, none, none, 1, 0)
        base = min(int(seen.ts_ms.min()), int(spans.begin_ms.min()))
        axis = max(int((seen.ts_ms + seen.hold_ms).max()), int(spans.end_ms.max())) - base + 1
        count = (spans.end_ms - spans.begin_ms) // QUARTER_MS
        row = np.repeat(spans.row, count)
        first = np.repeat(np.cumsum(count) - count, count)
        begin = np.repeat(spans.begin_ms, count) + (np.arange(len(row)) - first) * QUARTER_MS
        moved = np.flatnonzero((np.diff(seen.row) == 0) & (np.diff(seen.town) != 0)) + 1
        if len(moved):
            key = np.unique(
                np.concatenate([row * axis + begin - base, seen.row[moved] * axis + seen.ts_ms[moved] - base])
            )
            quarter = key // axis * axis + (key % axis + base) // QUARTER_MS * QUARTER_MS - base
            key = key[np.isin(quarter, row * axis + begin - base)]
            row, begin = key // axis, key % axis + base
        end = begin // QUARTER_MS * QUARTER_MS + QUARTER_MS
        follows = np.diff(row) == 0
        end[:-1] = np.where(follows, np.minimum(end[:-1], begin[1:]), end[:-1])
        there = np.searchsorted(seen.row, row)
        known = (there < len(seen.row)) & (seen.row[np.minimum(there, len(seen.row) - 1)] == row)
        row, begin, end, there = row[known], begin[known], end[known], there[known]
        last = np.searchsorted(seen.row * axis + seen.ts_ms - base, row * axis + begin - base, "right") - 1
        return cls(row, begin, end, seen.town[np.maximum(last, there)], axis, base)

    def key(self, row: Ints, ts_ms: Ints) -> Ints:
        """A place on one axis for all rows, one behind another."""
        return row * self.axis_ms + ts_ms - self.base_ms

    def at(self, seen: Seen) -> Ints:
        """Each reading's cell, -1 for none."""
        place = np.searchsorted(self.key(self.row, self.begin_ms), self.key(seen.row, seen.ts_ms), "right") - 1
        inside = (place >= 0) & (self.row[place] == seen.row) & (seen.ts_ms < self.end_ms[place])
        return np.where(inside, place, -1)

    def pieces(self, seen: Seen) -> tuple[Ints, Ints, Floats]:
        """Stretches for which one reading holds in one cell: the reading, the cell, seconds; in the cells' order."""
        until = seen.ts_ms + seen.hold_ms
        follows = np.diff(seen.row) == 0
        until[:-1] = np.where(follows, np.minimum(until[:-1], seen.ts_ms[1:]), until[:-1])
        begins = self.key(self.row, self.begin_ms)
        first = np.maximum(np.searchsorted(begins, self.key(seen.row, seen.ts_ms), "right") - 1, 0)
        count = np.maximum(np.searchsorted(begins, self.key(seen.row, until)) - first, 0)
        reading = np.repeat(np.arange(len(seen.row)), count)
        cell = np.arange(len(reading)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        held = np.minimum(until[reading], self.end_ms[cell]) - np.maximum(seen.ts_ms[reading], self.begin_ms[cell])
        real = (held > 0) & (self.row[cell] == seen.row[reading])
        return reading[real], cell[real], held[real] / 1000


def _increases(kind: Kind, seen: Seen, cells: _Cells, metric: Metric, most: Floats) -> Floats:
    """By how much a counter rose in each cell, NaN where nobody knows."""
    found = counted(seen, seen.values[:, kind.positions[metric.name]], metric, most)
    if len(found.at) < 2:
        return np.full(len(cells.row), np.nan)
    row, ts_ms, step = _silent_days(seen.row[found.at], seen.ts_ms[found.at], found.step)
    known = ~np.isnan(step)
    points = cells.key(row, ts_ms).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, step, 0.0))])
    time = np.concatenate([[0.0], np.cumsum(np.where(known, np.diff(ts_ms), 0))])
    begin, end = cells.key(cells.row, cells.begin_ms), cells.key(cells.row, cells.end_ms)
    covered = np.interp(end, points, time) - np.interp(begin, points, time)
    return np.where(covered > 0, np.interp(end, points, total) - np.interp(begin, points, total), np.nan)


def _silent_days(row: Ints, ts_ms: Ints, step: Floats) -> tuple[Ints, Ints, Floats]:
    """Steps over whole days of Prague cut at the first and the last midnight within: they belong between these."""
    long = np.flatnonzero(~np.isnan(step) & (np.diff(ts_ms) >= DAY_MS_LEAST))
    if not len(long):
        return row, ts_ms, step
    bounds = midnights(int(ts_ms[long].min()), int(ts_ms[long + 1].max()))
    first = bounds[np.searchsorted(bounds, ts_ms[long])]
    last = bounds[np.searchsorted(bounds, ts_ms[long + 1], "right") - 1]
    whole = last > first
    long, first, last = long[whole], first[whole], last[whole]
    cut = np.repeat(long + 1, 2)
    moments = np.stack([first, last], axis=1).ravel()
    # Before the first midnight nobody knows, between them it rose, behind the last one nobody knows.
    steps = np.insert(step, np.repeat(long, 2), np.stack([np.full(len(long), np.nan), step[long]], axis=1).ravel())
    steps[long + 2 * np.arange(1, len(long) + 1)] = np.nan
    return np.insert(row, cut, row[cut]), np.insert(ts_ms, cut, moments), steps


def _reduce(kind: Kind, values: Floats, seconds: Floats, first: Ints) -> Floats:
    """What readings say in each group of pieces: ``values`` (pieces, metrics), ``first`` where each group begins."""
    found = np.full((len(first), len(value_columns(kind))), np.nan)
    for index, column in enumerate(value_columns(kind)):
        metric = column.metric
        if metric is not None and metric.rolled is not Rollup.INCREASE:
            said = values[:, kind.positions[metric.name]]
            how = column.part or metric.rolled
            found[:, index] = _one(how, said, seconds, first)
    return found


def _coarsen(kind: Kind, values: Floats, covered_s: Floats, first: Ints) -> Floats:
    """The same of finer rollups, whose columns are the values."""
    found = np.empty((len(first), values.shape[1]))
    for index, column in enumerate(value_columns(kind)):
        if column.metric is not None:
            found[:, index] = _one(column.part or column.metric.rolled, values[:, index], covered_s, first)
    return found


def _one(  # noqa: PLR0911 - one for each way
    how: Rollup | str, said: Floats, weight: Floats, first: Ints
) -> Floats:
    known = ~np.isnan(said)
    if not known.any():
        return np.full(len(first), np.nan)
    if how in {Rollup.MEAN, Rollup.SHARE}:
        total = np.add.reduceat(np.where(known, said * weight, 0.0), first)
        time = np.add.reduceat(np.where(known, weight, 0.0), first)
        return np.divide(total, time, out=np.full(len(first), np.nan), where=time > 0)
    if how == "_min":
        return np.fmin.reduceat(said, first)
    if how == "_max":
        return np.fmax.reduceat(said, first)
    any_known = np.logical_or.reduceat(known, first)
    if how is Rollup.INCREASE:
        return np.where(any_known, np.add.reduceat(np.where(known, said, 0.0), first), np.nan)
    if how is Rollup.BITS:
        bits = np.bitwise_or.reduceat(np.where(known, said, 0).astype(np.int64), first)
        return np.where(any_known, bits, np.nan)
    last = np.maximum.reduceat(np.where(known, np.arange(len(said)), -1), first)
    return np.where(any_known, said[last], np.nan)


def _nothing(kind: Kind) -> Rolled:
    none = np.zeros(0, np.int64)
    return Rolled(none, none, none, none, np.zeros(0), np.zeros((0, len(value_columns(kind)))))
