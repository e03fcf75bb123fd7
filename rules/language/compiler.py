"""A plan to numpy closures: few passes, results written over what is no longer needed, dear columns asked for last.

Unknown (NaN) is never true, by strong Kleene logic: ``_known_true`` and ``_known_false`` build two different functions
for one condition, ``not`` swaps them, and no function ever answers what it does not know.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kraj.readings import Floats, Mask
from rules.language.plan import (
    COMPARE,
    Bit,
    Column,
    Compare,
    Constant,
    Every,
    Fixed,
    Flag,
    Known,
    Number,
    Operation,
    Operator,
    Opposite,
    Some,
    Truth,
)

Columns = Callable[[str], Floats]


@runtime_checkable
class Divisible(Protocol):
    """Columns that can be asked for some rows alone, so that what has to be computed is computed for these."""

    def part(self, rows: NDArray[np.intp]) -> Columns: ...


Numbers = Callable[[Columns], Any]
Answers = Callable[[Columns], Mask]

SPARSE_SHARE = 8
"""When at most an eighth of the rows can still hold, the rest of an ``and`` is judged on these alone."""
SPARSE_ROWS_MIN = 1024
"""Below this many rows a pass costs no more than picking rows does."""
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
"""Numbers only: with NaN on a side, both a comparison and its opposite are false."""


def numbers(plan: Number) -> Numbers:
    """The function that computes a number, shape as the columns; a float where nothing varies."""
    return _number(plan)[0]


def known_true(plan: Truth) -> Answers:
    """The function that says where a condition is known to hold."""
    return _known(plan, wanted=True)


def known_false(plan: Truth) -> Answers:
    """The function that says where a condition is known not to hold."""
    return _known(plan, wanted=False)


def _number(plan: Number) -> tuple[Numbers, bool]:
    """The function, and whether its result is its own to be written over."""
    match plan:
        case Constant():
            value = np.float64(plan.value)
            return (lambda _: value), False
        case Column():
            name = plan.name
            return (lambda column: column(name)), False
        case Operation():
            return _operation(plan), True


def _operation(plan: Operation) -> Numbers:
    # Whatever type an input has, calculations are in float64: results are written over, and integers have no NaN.
    operator = plan.operator
    operator = partial(operator, dtype=np.float64) if isinstance(operator, np.ufunc) else operator
    parts = [_number(argument) for argument in plan.arguments]
    if len(parts) == 1:
        one, own = parts[0]
        return partial(_over_one if own else _one, operator, one)
    (left, own_left), (right, own_right) = parts
    if own_left:
        return partial(_over_left, operator, left, right)
    return partial(_over_right if own_right else _two, operator, left, right)


def _one(operator: Operator, one: Numbers, column: Columns) -> Any:
    return operator(one(column))


def _over_one(operator: Operator, one: Numbers, column: Columns) -> Any:
    values = one(column)
    return operator(values, out=values)


def _two(operator: Operator, left: Numbers, right: Numbers, column: Columns) -> Any:
    return operator(left(column), right(column))


def _over_left(operator: Operator, left: Numbers, right: Numbers, column: Columns) -> Any:
    values = left(column)
    return operator(values, right(column), out=values)


def _over_right(operator: Operator, left: Numbers, right: Numbers, column: Columns) -> Any:
    values = right(column)
    return operator(left(column), values, out=values)


def _known(plan: Truth, *, wanted: bool) -> Answers:  # noqa: PLR0911 -- one case a part of a plan
    match plan:
        case Compare():
            return _compare(plan.sign if wanted else _OPPOSITE[plan.sign], plan.left, plan.right)
        case Flag():
            return _compare("==", plan.column, Constant(1.0 if wanted else 0.0))
        case Bit():
            return _bit(plan, wanted=wanted)
        case Known():
            # Only NaN is unequal to itself.
            return partial(_equal_to_itself if wanted else _unequal_to_itself, numbers(plan.value))
        case Fixed():
            return partial(_everywhere, plan.value is wanted, plan.name)
        case Opposite():
            return _known(plan.of, wanted=not wanted)
        case Every() | Some():
            parts = sorted(plan.parts, key=_cost)
            compiled = [_known(part, wanted=wanted) for part in parts]
            return partial(_every if isinstance(plan, Every) is wanted else _some, compiled[0], compiled[1:])


def _compare(sign: str, left: Number, right: Number) -> Answers:
    one, two = numbers(left), numbers(right)
    if sign == "!=":
        return partial(_unequal, one, two)
    compare = COMPARE[sign]
    return lambda column: compare(one(column), two(column))


def _unequal(left: Numbers, right: Numbers, column: Columns) -> Mask:
    """Known to differ: less or greater, as NaN is neither."""
    one, two = left(column), right(column)
    return np.logical_or(np.less(one, two), np.greater(one, two))


def _equal_to_itself(value: Numbers, column: Columns) -> Mask:
    values = value(column)
    return np.equal(values, values)


def _unequal_to_itself(value: Numbers, column: Columns) -> Mask:
    values = value(column)
    return np.not_equal(values, values)


def _everywhere(answer: bool, name: str, column: Columns) -> Mask:
    return np.full(np.shape(column(name)), answer)


def _bit(plan: Bit, *, wanted: bool) -> Answers:
    name, bit = plan.column.name, np.int64(1 << plan.number)

    def is_set(column: Columns) -> Mask:
        values = column(name)
        some = np.greater_equal(values, float(bit))
        if not np.count_nonzero(some):  # as nearly always: nothing is reported
            return some
        # NaN becomes some integer, but was no candidate above.
        return np.logical_and(some, np.bitwise_and(values.astype(np.int64), bit))

    def is_clear(column: Columns) -> Mask:
        values = column(name)
        return np.logical_and(np.equal(values, values), np.logical_not(is_set(column)))

    return is_set if wanted else is_clear


def _some(first: Answers, others: Sequence[Answers], column: Columns) -> Mask:
    mask = first(column)
    for part in others:
        mask = np.logical_or(mask, part(column), out=mask)
    return mask


def _every(first: Answers, others: Sequence[Answers], column: Columns) -> Mask:
    mask = first(column)
    for place, part in enumerate(others):
        count = np.count_nonzero(mask)
        if not count:
            return mask
        if count * SPARSE_SHARE <= mask.size and mask.size >= SPARSE_ROWS_MIN:
            return _on_rows(mask, others[place:], column)
        mask = np.logical_and(mask, part(column), out=mask)
    return mask


def _on_rows(mask: Mask, others: Sequence[Answers], column: Columns) -> Mask:
    """Judge the remaining parts on the rows that may still hold."""
    rows = np.flatnonzero(mask)
    part = column.part(rows) if isinstance(column, Divisible) else _picked(column, rows)
    mask[rows] = _every(others[0], others[1:], part)
    return mask


def _picked(column: Columns, rows: NDArray[np.intp]) -> Columns:
    taken: dict[str, Floats] = {}

    def picked(name: str) -> Floats:
        found = taken.get(name)
        if found is None:
            found = taken[name] = column(name)[rows]
        return found

    return picked


def _cost(plan: Truth) -> int:
    match plan:
        case Compare():
            return 1 + _price(plan.left) + _price(plan.right)
        case Flag() | Bit():
            return 1 + _price(plan.column)
        case Known():
            return 1 + _price(plan.value)
        case Fixed():
            return 0
        case Opposite():
            return _cost(plan.of)
        case Every() | Some():
            return sum(map(_cost, plan.parts))


def _price(plan: Number) -> int:
    match plan:
        case Constant():
            return 0
        case Column():
            return plan.cost
        case Operation():
            return 1 + sum(map(_price, plan.arguments))
