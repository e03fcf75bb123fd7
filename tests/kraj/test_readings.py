"""Readings as columns: rows are taken whole, and implausible values are flagged as a slow loop would flag them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.readings import Floats, Readings, implausible_bits, spans
from tests.kraj.store.samples import KIND_READINGS, metric_values


def slow_bits(kind: Kind, values: Floats) -> list[int]:
    """One value after the other."""
    masks: list[int] = []
    for row in values.tolist():
        mask = 0
        for index, (metric, value) in enumerate(zip(kind.metrics, row, strict=True)):
            low, high = metric.plausible or metric.possible
            if value == value and not low <= value <= high:  # noqa: PLR0124  # NaN is not itself
                mask += 2**index
        masks.append(mask)
    return masks


@given(
    st.sampled_from(list(KINDS.values())).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(metric_values(kind, anywhere=True), max_size=5))
    )
)
def test_implausible_bits_are_those_of_a_slow_loop(sample: tuple[Kind, list[list[float]]]) -> None:
    kind, rows = sample
    values = np.array(rows, float).reshape(-1, len(kind.metrics))
    assert implausible_bits(kind, values).tolist() == slow_bits(kind, values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_limits_themselves_are_plausible_and_what_lies_beyond_is_flagged(kind: Kind) -> None:
    low, high = spans(kind, plausible=True)
    assert implausible_bits(kind, np.array([low, high])).tolist() == [0, 0]
    beyond = np.nextafter(high, np.inf)[None, :]
    assert implausible_bits(kind, beyond).tolist() == [2 ** len(kind.metrics) - 1]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_spans_are_those_of_the_kind_and_plausible_lies_within_possible(kind: Kind) -> None:
    low, high = spans(kind)
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == [metric.possible for metric in kind.metrics]
    plausible_low, plausible_high = spans(kind, plausible=True)
    assert (low <= plausible_low).all()
    assert (plausible_high <= high).all()


@given(KIND_READINGS)
def test_taking_rows_keeps_each_row_whole(readings: Readings) -> None:
    rows = np.arange(len(readings))[::-2].astype(np.int64)
    taken = readings.take(rows)
    assert len(taken) == len(rows)
    for name in (field.name for field in dataclasses.fields(readings) if field.name != "kind"):
        for new, old in enumerate(rows.tolist()):
            np.testing.assert_array_equal(getattr(taken, name)[new], getattr(readings, name)[old])
    mask = np.zeros(len(readings), bool)
    mask[rows] = True
    assert readings.take(mask).seq.tolist() == readings.seq[np.sort(rows)].tolist()
