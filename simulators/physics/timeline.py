"""What changes at moments and holds between them: the switchings of many assets, found for any moments at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import Floats, Ints, Mask, Rows

WIDTH = 2**36
"""One sorted key holds row and time: two years keep two rows apart."""


@dataclass(frozen=True)
class Timeline:
    """Events of ``n`` rows in order of row and time, arrays of shape ``(e,)``; each row has one at ``from_ms``.

    ``first`` and ``last`` are the places of each row's first and last event, shape ``(n,)``.
    """

    from_ms: int
    row: Rows
    ts_ms: Ints
    key: Ints
    first: Rows
    last: Rows

    @staticmethod
    def of(n: int, from_ms: int, to_ms: int, events: Sequence[tuple[Rows, Ints]]) -> "Timeline":
        """Of these rows and moments, in any order and repeated at will; those outside the span are left out."""
        row = np.concatenate([np.arange(n), *(np.broadcast_to(r, t.shape).ravel() for r, t in events)])
        ts = np.concatenate([np.full(n, from_ms, np.int64), *(t.ravel() for _, t in events)])
        within = (ts >= from_ms) & (ts < to_ms)
        key = np.unique(row[within] * WIDTH + (ts[within] - from_ms))
        row = (key // WIDTH).astype(np.intp)
        first = np.searchsorted(row, np.arange(n))
        return Timeline(from_ms, row, key % WIDTH + from_ms, key, first, np.append(first, len(row))[1:] - 1)

    def find(self, rows: Rows, ts_ms: Ints) -> Rows:
        """The event that holds for each row at each moment; shapes broadcast."""
        return np.searchsorted(self.key, rows * WIDTH + np.maximum(ts_ms - self.from_ms, 0), "right") - 1

    def before(self, column: Floats, at_first: Floats) -> Floats:
        """The value of a column before each event; ``at_first`` of shape ``(n,)`` is what was before the timeline."""
        out = np.empty_like(column)
        out[1:] = column[:-1]
        out[self.first] = at_first
        return out

    def latest(self, where: Mask, at_first: Ints) -> tuple[Rows, Ints]:
        """The newest event up to each one for which ``where`` holds: its place (-1: none yet) and its time, or
        ``at_first`` of shape ``(n,)``."""
        place = np.maximum.accumulate(np.where(where, np.arange(len(where)), -1))
        place = np.where(place >= self.first[self.row], place, -1)
        return place, np.where(place >= 0, self.ts_ms[place], at_first[self.row])

    def total(self, amount: Ints, at_first: Ints) -> Ints:
        """The running sum of what each event adds, itself included, beginning at ``at_first``; whole numbers, as sums
        of all rows run through."""
        running = np.cumsum(amount)
        return running - (running - amount)[self.first][self.row] + at_first[self.row]

    def lasts_ms(self, to_ms: int) -> Ints:
        """For how long each event holds, the last one until ``to_ms``."""
        until = np.append(self.ts_ms[1:], to_ms)
        until[self.last] = to_ms
        return until - self.ts_ms
