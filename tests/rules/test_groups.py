"""Aggregates over groups agree with loops that anybody can follow."""

import math
from statistics import median

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules import groups

SIZE = 4
VALUE = st.one_of(st.just(math.nan), st.integers(-5, 5).map(float))
FLAG = st.sampled_from([math.nan, 0.0, 1.0])


def rows_of(value: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[float, int]]]:
    return st.lists(st.tuples(value, st.integers(-1, SIZE - 1)), max_size=30)


def arrays(rows: list[tuple[float, int]]) -> tuple[groups.Floats, groups.Slots]:
    return np.array([v for v, _ in rows], float), np.array([g for _, g in rows], np.intp)


def known(rows: list[tuple[float, int]], group: int, but: int | None = None) -> list[float]:
    return [v for i, (v, g) in enumerate(rows) if g == group >= 0 and i != but and not math.isnan(v)]


def middle(values: list[float]) -> float:
    return median(values) if values else math.nan


@given(rows_of(VALUE))
def test_the_median_of_the_others_leaves_the_asset_out(rows: list[tuple[float, int]]) -> None:
    found = groups.others_median(*arrays(rows), SIZE)
    np.testing.assert_array_equal(found, [middle(known(rows, g, i)) for i, (_, g) in enumerate(rows)])


@given(rows_of(FLAG))
def test_a_count_is_that_of_the_flags_that_are_true(rows: list[tuple[float, int]]) -> None:
    found = groups.group_count(*arrays(rows), SIZE)
    np.testing.assert_array_equal(found, [sum(known(rows, group)) for group in range(SIZE)])


def test_rows_without_a_group_get_nothing() -> None:
    np.testing.assert_array_equal(groups.to_rows(np.array([5.0, 6.0]), np.array([1, -1, 0])), [6, math.nan, 5])
    np.testing.assert_array_equal(groups.to_rows(np.empty(0), np.array([-1, -1])), [math.nan, math.nan])


@given(st.lists(VALUE, min_size=1, max_size=8), st.data())
def test_the_median_of_neighbours_counts_known_ones(values: list[float], data: st.DataObject) -> None:
    index = st.lists(st.integers(-1, len(values) - 1), min_size=3, max_size=3)
    table = data.draw(st.lists(index, min_size=1, max_size=5))
    found, count = groups.neighbour_median(np.array(values), np.array(table, np.intp))
    theirs = [[values[i] for i in row if i >= 0 and not math.isnan(values[i])] for row in table]
    np.testing.assert_array_equal(found, [middle(t) for t in theirs])
    np.testing.assert_array_equal(count, [len(t) for t in theirs])
