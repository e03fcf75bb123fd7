"""Readings for the tests of the store: random ones of every kind, and lamps by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from kraj.kinds import KINDS, LAMP
from kraj.metrics import Kind, Metric, Type
from kraj.readings import Readings, implausible_bits

AT_MS = 1_795_212_345_000
"""The morning of Saturday, 21 November 2026."""
AT = datetime.fromtimestamp(AT_MS / 1000, UTC)


def _value(metric: Metric, *, anywhere: bool) -> st.SearchStrategy[float]:
    low, high = metric.possible
    if metric.type.whole:
        inside: st.SearchStrategy[float] = st.integers(int(low), int(high)).map(float)
    else:
        inside = st.floats(low, high, width=64)
    if metric.type is Type.BOOLEAN:
        inside = st.sampled_from([0.0, 1.0])
    if anywhere:
        inside |= st.floats(allow_nan=False)
    return st.just(float("nan")) | inside


def metric_values(kind: Kind, *, anywhere: bool = False) -> st.SearchStrategy[list[float]]:
    """One value a metric, NaN among them; ``anywhere`` also outside the possible."""
    return st.tuples(*(_value(metric, anywhere=anywhere) for metric in kind.metrics)).map(list)


def readings_of(kind: Kind, *, max_size: int = 6) -> st.SearchStrategy[Readings]:
    """Random readings of few assets and times, so that some of them meet."""
    row = st.tuples(
        st.integers(1, 3),
        st.integers(1, 2**31 - 1),
        st.sampled_from([AT_MS, AT_MS + 1, AT_MS - 86_400_000]) | st.integers(0, 4_000_000_000_000),
        st.integers(0, 3) | st.integers(0, 2**53),
        st.integers(-1, 2**31 - 1),
        metric_values(kind),
    )
    return st.lists(row, max_size=max_size).map(lambda rows: _readings(kind, rows))


KIND_READINGS = st.sampled_from(list(KINDS.values())).flatmap(readings_of)


def _readings(kind: Kind, rows: list[tuple[int, int, int, int, int, list[float]]]) -> Readings:
    def column(index: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        return np.array([row[index] for row in rows], np.int64)

    values = np.array([row[5] for row in rows], float).reshape(-1, len(kind.metrics))
    message = np.arange(len(rows), dtype=np.int64)
    implausible = implausible_bits(kind, values)
    return Readings(kind, column(0), column(1), column(2), column(3), column(4), values, implausible, message)


def of_kind(rows: Sequence[tuple[int, int, int]], kind: Kind = LAMP, **metrics: Sequence[float]) -> Readings:
    """Readings by ``(asset_id, ts_ms, seq)``; each is a message of its own; ``metrics`` are columns."""
    values = np.full((len(rows), len(kind.metrics)), np.nan)
    for name, column in metrics.items():
        values[:, [metric.name for metric in kind.metrics].index(name)] = column
    return _readings(kind, [(a, 1, ts, seq, 7, row) for (a, ts, seq), row in zip(rows, values.tolist(), strict=True)])
