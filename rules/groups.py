"""Aggregates over groups and neighbours, of many at once, by sorting.

``group`` holds each row's group, shape ``(n,)``, -1 for none; rows without a group and unknown values (NaN) are left
out.
"""

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.estate import Slots


def to_rows(by_group: Floats, group: Slots) -> Floats:
    """Each row's group's value; NaN for rows without one."""
    if not len(by_group):
        return np.full(len(group), np.nan)
    return np.where(group >= 0, by_group[group], np.nan)


def group_count(flag: Floats | Mask, group: Slots, size: int) -> Ints:
    """How many rows of each group have the flag (1 or True)."""
    rows = (flag == 1) & (group >= 0)
    return np.bincount(group[rows], minlength=size)


def others_median(values: Floats, group: Slots, size: int) -> Floats:
    """For each row the median of its group's known values without its own; NaN where there are none."""
    rows = np.flatnonzero((group >= 0) & ~np.isnan(values))
    rows = rows[np.lexsort((values[rows], group[rows]))]
    ranked, known = values[rows], np.bincount(group[rows], minlength=size)
    start = np.cumsum(known) - known
    place = np.full(len(values), np.iinfo(np.intp).max)  # a row that is not known takes nobody's place
    place[rows] = np.arange(len(rows))
    out = np.full(len(values), np.nan)
    some = np.flatnonzero(group >= 0)
    others = known[group[some]] - ~np.isnan(values[some])
    some, others = some[others > 0], others[others > 0]
    first = start[group[some]]

    def without_itself(middle: Slots) -> Floats:
        return ranked[middle + (middle >= place[some])]

    out[some] = (without_itself(first + (others - 1) // 2) + without_itself(first + others // 2)) / 2
    return out


def neighbour_median(values: Floats, index: Slots) -> tuple[Floats, Ints]:
    """Of each row's neighbours (``index``, shape ``(n, most)``, -1 for none) the median of the known values, NaN
    without any, and how many are known."""
    if not index.size or np.isnan(values).all():
        return np.full(len(index), np.nan), np.zeros(len(index), np.int64)
    told = ~np.isnan(values)
    bits = values[told].view(np.int64)
    if values.dtype == np.float64 and (bits == bits[0]).all():  # as of roofs by night: none gives anything
        known = np.append(told, False).take(index, mode="wrap").sum(axis=1)
        return np.where(known > 0, values[told][0], np.nan), known
    theirs = np.append(values, np.nan).take(index, mode="wrap")  # where there is none, -1, stands what is last
    theirs.sort(axis=1)  # NaN sorts last
    known = (~np.isnan(theirs)).sum(axis=1)
    rows = np.arange(len(index))
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, index.shape[1] - 1)
    return (theirs[rows, low] + theirs[rows, high]) / 2, known
