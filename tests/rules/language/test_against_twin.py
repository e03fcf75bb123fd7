"""Compiled conditions against the slow twin, on random texts and random rows with unknown values."""

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from kraj.readings import Floats
from kraj.units import Unit
from rules.language import compile_condition, compile_number
from tests.rules.language.texts import condition, number
from tests.rules.language.twin import FLAGS, NUMBERS, SYMBOLS, judged

NAN = float("nan")
ORDINARY = [-3.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 1e6, 1e200, -1e200, float("inf"), NAN, NAN]

rows = st.lists(
    st.fixed_dictionaries(
        {
            **dict.fromkeys(NUMBERS, st.sampled_from(ORDINARY)),
            **dict.fromkeys(FLAGS, st.sampled_from([0.0, 1.0, NAN])),
            "mode": st.sampled_from([0.0, 1.0, 2.0, NAN]),
            "alarms": st.sampled_from([0.0, 1.0, 2.0, 5.0, 7.0, 2.0**30, NAN]),
        }
    ),
    min_size=1,
    max_size=12,
)


def columns(table: list[dict[str, float]]) -> dict[str, Floats]:
    return {name: np.array([row[name] for row in table]) for name in SYMBOLS}


def unpacked(text: str) -> str:
    """One line: Python ends an expression at a line's end, the rule language does not."""
    return " ".join(text.split())


@settings(max_examples=400, deadline=None)
@given(condition(), rows)
def test_a_condition_holds_exactly_where_the_twin_knows_that_it_does(text: str, table: list[dict[str, float]]) -> None:
    compiled = compile_condition(text, SYMBOLS)
    given_columns = columns(table)
    kept = {name: column.copy() for name, column in given_columns.items()}
    said = [judged(unpacked(text), row) for row in table]
    assert compiled.evaluate(given_columns.__getitem__).tolist() == [answer is True for answer in said]
    assert compiled.refute(given_columns.__getitem__).tolist() == [answer is False for answer in said]
    for name, column in given_columns.items():  # what results are written over is never the caller's
        assert np.array_equal(column, kept[name], equal_nan=True)


@settings(max_examples=150, deadline=None)
@given(condition(), rows, st.integers(0, 2**32 - 1))
def test_many_rows_at_once_are_judged_as_one_by_one(text: str, table: list[dict[str, float]], seed: int) -> None:
    """From some size on, an ``and`` goes on with few rows alone: the answer must not tell."""
    drawn = np.random.default_rng(seed)
    place = np.where(drawn.random(3000) < 0.97, 0, drawn.integers(0, len(table), 3000))
    given_columns = columns(table)
    many = {name: column[place] for name, column in given_columns.items()}
    compiled = compile_condition(text, SYMBOLS)
    one_by_one = compiled.evaluate(given_columns.__getitem__)
    assert np.array_equal(compiled.evaluate(many.__getitem__), one_by_one[place])
    assert np.array_equal(compiled.refute(many.__getitem__), compiled.refute(given_columns.__getitem__)[place])


@settings(max_examples=200, deadline=None)
@given(condition(), rows, st.dictionaries(st.sampled_from(NUMBERS), st.sampled_from([-1.0, 0.0, 0.5, 3.0])))
def test_thresholds_put_in_beforehand_give_what_columns_of_them_give(
    text: str, table: list[dict[str, float]], constants: Mapping[str, float]
) -> None:
    given_columns = columns([{**row, **constants} for row in table])
    by_column, by_constant = compile_condition(text, SYMBOLS), compile_condition(text, SYMBOLS, constants)
    assert by_constant.ordered == by_column.ordered
    column = given_columns.__getitem__
    assert by_constant.evaluate(column).tolist() == by_column.evaluate(column).tolist()
    assert by_constant.refute(column).tolist() == by_column.refute(column).tolist()


@settings(max_examples=200, deadline=None)
@given(number(), rows)
def test_a_number_is_what_the_twin_compares_it_with(text: str, table: list[dict[str, float]]) -> None:
    given_columns = columns(table)
    found = np.broadcast_to(compile_number(text, SYMBOLS, Unit.NONE).evaluate(given_columns.__getitem__), len(table))
    for row, value_found in zip(table, found.tolist(), strict=True):
        known = judged(f"known({unpacked(text)})", row)
        assert known is not np.isnan(value_found)
        if known:
            assert judged(f"{unpacked(text)} == e", {**row, "e": value_found}) is True


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.bool_, np.uint8])
@pytest.mark.parametrize("text", ["a * b / 2 - 1 < c", "first_known(a, b) / 2 > abs(a - b - b)", "-(a * b) - c < 0.5"])
def test_columns_of_other_types_are_calculated_with_as_numbers(text: str, dtype: Any) -> None:
    given_columns: dict[str, Any] = {name: np.array([0, 1, 1, 0, 1], dtype) for name in NUMBERS}
    table = [{name: float(column[row]) for name, column in given_columns.items()} for row in range(5)]
    found = compile_condition(text, SYMBOLS).evaluate(given_columns.__getitem__)
    assert found.tolist() == [judged(text, row) for row in table]
