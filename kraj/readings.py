"""Readings as columns: one row a reading, one numpy array a field, one matrix for the metrics of a kind."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kraj.metrics import Kind, Type

PAST_DAYS_MAX = 400
FUTURE_MINUTES_MAX = 10
DAY_MS = 86_400_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Readings:
    """``n`` readings of one kind; every array has length ``n``, ``values`` has shape ``(n, metrics)``.

    ``ts_ms`` is Unix time in milliseconds; ``boot`` is -1 where the device did not send one; ``values`` holds
    NaN for unknown, integers and states as exact floats; ``implausible`` has bit *i* set where metric *i* is
    stored although it lies outside its plausible span; ``message`` is the reading's message in its batch.
    """

    kind: Kind
    asset_id: Ints
    municipality_id: Ints
    ts_ms: Ints
    seq: Ints
    boot: Ints
    values: Floats
    implausible: Ints
    message: Ints

    def __len__(self) -> int:
        return len(self.asset_id)

    def take(self, rows: Ints | Mask) -> Self:
        """The given rows, by index or mask."""
        return type(self)(
            self.kind,
            self.asset_id[rows],
            self.municipality_id[rows],
            self.ts_ms[rows],
            self.seq[rows],
            self.boot[rows],
            self.values[rows],
            self.implausible[rows],
            self.message[rows],
        )


@cache
def _stored_single(kind: Kind) -> Ints:
    return np.array([i for i, m in enumerate(kind.metrics) if m.type is Type.REAL], np.int64)


def as_stored(readings: Readings) -> Readings:
    """The readings as the database gives them back: real values in single precision.

    Rules judge these, so that history read again says the same as when it came.
    """
    single = _stored_single(readings.kind)
    values = readings.values.copy()
    values[:, single] = values[:, single].astype(np.float32)
    return replace(readings, values=values)


def spans(kind: Kind, *, plausible: bool = False) -> tuple[Floats, Floats]:
    """Lower and upper limit of each metric, shapes ``(metrics,)``; an absent plausible span is the possible one."""
    limits = [(m.plausible or m.possible) if plausible else m.possible for m in kind.metrics]
    return np.array([low for low, _ in limits], float), np.array([high for _, high in limits], float)


def implausible_bits(kind: Kind, values: Floats) -> Ints:
    """One bit a metric where a value lies outside its plausible span; NaN is never implausible."""
    low, high = spans(kind, plausible=True)
    outside = (values < low) | (values > high)
    bits = np.zeros(len(values), np.int64)
    for column in np.flatnonzero(outside.any(axis=0)):
        bits |= outside[:, column].astype(np.int64) << np.int64(column)
    return bits
