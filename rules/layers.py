"""Readings cut into layers: each asset once a layer, in order of time, in pieces that stay in the processor's cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from kraj.readings import Floats, Ints, Mask, Readings
from rules.estate import Members, Slots

PIECE_ROWS = 16_384
"""Ten columns of this length are 1.3 MB: about what a core keeps near."""
BLOCK_ROWS = 512
DEPTH_MAX = 1440
"""Readings of one asset that are judged of a batch, a day of one a minute: each costs a layer, half a millisecond. Who
sends more at once is stored, and holds up nobody's judging."""
SLICE_MS = 5 * 60_000
SLICED_MS = 15 * 60_000
"""Readings that span more than this are judged slice by slice, so that one kind does not see another's future."""


@dataclass(frozen=True)
class Rows:
    """Readings of one kind on known slots, shape ``(n,)``, in order of these; ``row`` is the place of each in
    ``values``, whose shape is ``(m, metrics)``."""

    slots: Slots
    ts_ms: Ints
    row: Slots
    values: Floats

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, rows: Slots | Mask | slice) -> Self:
        return type(self)(self.slots[rows], self.ts_ms[rows], self.row[rows], self.values)

    def columns(self) -> Floats:
        """The metrics as contiguous rows, shape ``(metrics, n)``."""
        turned, near = np.empty((self.values.shape[1], len(self))), np.empty((BLOCK_ROWS, self.values.shape[1]))
        for start in range(0, len(self), BLOCK_ROWS):  # a block stays near while it is turned
            block = slice(start, start + BLOCK_ROWS)
            turned[:, block] = self.values.take(self.row[block], axis=0, out=near[: len(self) - start], mode="clip").T
        return turned


def rows_of(readings: Sequence[Readings], members: Members) -> Rows:
    """The readings of one kind, in one and in order of their slots (what is remembered of a piece then lies together);
    those of assets that the registry does not know are left out."""
    asset_id = np.concatenate([r.asset_id for r in readings])
    ts_ms = np.concatenate([r.ts_ms for r in readings])
    values = readings[0].values if len(readings) == 1 else np.concatenate([r.values for r in readings])
    bits = len(asset_id).bit_length()
    # One number a row keeps the order in which rows of a slot came; sorting numbers is faster than sorting by them.
    key = np.sort((members.slots(asset_id) << bits) + np.arange(len(asset_id)))
    key = key[np.searchsorted(key, 0) :]
    row = key & ((1 << bits) - 1)
    return Rows(key >> bits, ts_ms[row], row, values)


def in_time_and_late(rows: Rows, newest_ms: Ints) -> tuple[Rows, Rows]:
    """Those newer than the newest reading of their asset (by slot) that has been judged, and those that come late.

    Of several at the same moment the first is in time.
    """
    late = rows.ts_ms <= newest_ms[rows.slots]
    if not _once(rows):
        order = np.lexsort((rows.ts_ms, rows.slots))
        slots, ts_ms = rows.slots[order], rows.ts_ms[order]
        late[order[1:]] |= (slots[1:] == slots[:-1]) & (ts_ms[1:] == ts_ms[:-1])
    return (rows.take(~late), rows.take(late)) if late.any() else (rows, rows.take(slice(0)))


def newest(rows: Rows, most: int = DEPTH_MAX) -> Rows:
    """So many readings of each slot, its newest."""
    if _once(rows):
        return rows
    order = np.lexsort((rows.ts_ms, rows.slots))
    slots = rows.slots[order]
    behind = np.searchsorted(slots, slots, side="right") - np.arange(len(slots))
    return rows if behind.max() <= most else rows.take(np.sort(order[behind <= most]))


def slices(span: Sequence[Rows]) -> Iterator[list[Rows]]:
    """The rows of several kinds, slice of time after slice; all at once where they are of about the same time."""
    filled = [rows.ts_ms for rows in span if len(rows)]
    if not filled:
        return
    first, last = min(int(ts.min()) for ts in filled), max(int(ts.max()) for ts in filled)
    if last - first <= SLICED_MS:
        yield list(span)
        return
    numbers = [rows.ts_ms // SLICE_MS for rows in span]
    for number in np.unique(np.concatenate(numbers)):
        yield [rows.take(own == number) for rows, own in zip(span, numbers, strict=True)]


def layers(rows: Rows) -> Iterator[Rows]:
    """Cut into layers and these into pieces."""
    if _once(rows):
        yield from _pieces(rows)
        return
    order = np.lexsort((rows.ts_ms, rows.slots))
    slots = rows.slots[order]
    first = np.flatnonzero(np.concatenate([[True], slots[1:] != slots[:-1]]))
    turn = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    by_turn = np.argsort(turn, kind="stable")
    edges: list[int] = np.searchsorted(turn[by_turn], np.arange(int(turn.max()) + 2)).tolist()
    for start, end in pairwise(edges):
        yield from _pieces(rows.take(order[by_turn[start:end]]))


def _once(rows: Rows) -> bool:
    """Whether no slot comes twice, as nearly always."""
    return not (rows.slots[1:] == rows.slots[:-1]).any()


def _pieces(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), PIECE_ROWS):
        yield rows.take(slice(start, start + PIECE_ROWS))
