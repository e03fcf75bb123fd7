"""The frame of the models: which faults act where, against a loop that looks at every one everywhere."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.physics.frame import Effects, Floats, Ints, Rows

MOMENTS = st.integers(0, 90)
FAULTS = st.lists(st.tuples(st.integers(0, 5), MOMENTS, MOMENTS, st.floats(0, 2)), max_size=8)
Found = tuple[int, int, int, float]


def slowly(faults: list[Found], rows: Rows, ts: Ints) -> tuple[Floats, Floats]:
    shape = np.broadcast_shapes(rows.shape, ts.shape)
    size, since = np.zeros(shape), np.full(shape, np.nan)
    for row, start, end, how in faults:
        acts = (rows == row) & (ts >= start) & (ts < end)
        size = np.where(acts, np.maximum(size, how), size)
        since = np.where(acts, np.fmax(since, ts - start), since)
    return size, since


@given(FAULTS, st.lists(st.tuples(st.integers(0, 5), MOMENTS), min_size=1, max_size=30))
def test_faults_act_where_and_when_a_plain_loop_says(faults: list[Found], asked: list[tuple[int, int]]) -> None:
    columns = tuple(np.array([f[n] for f in faults]) for n in range(4))
    rows, starts, ends, sizes = columns
    effects = Effects({"any": (rows.astype(np.intp), starts.astype(np.int64), ends.astype(np.int64), sizes)})
    flat = np.array([r for r, _ in asked], np.intp), np.array([t for _, t in asked], np.int64)
    grid = np.arange(6)[:, None], np.arange(0, 91, 7)
    for row, ts in (flat, grid):
        size, since = slowly(faults, row, ts)
        assert np.array_equal(effects.size("any", row, ts), size)
        assert np.array_equal(effects.since_ms("any", row, ts), since, equal_nan=True)
        assert not effects.size("another", row, ts).any()
