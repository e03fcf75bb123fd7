"""What a checked text asks for: numbers and conditions without units, ready to be compiled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

COMPARE: Mapping[str, Any] = MappingProxyType(
    {
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
        "==": np.equal,
        "!=": np.not_equal,
    }
)


Operator = Callable[..., Any]
"""A numpy ufunc, or what is called like one: arrays or numbers in, an array out, into ``out`` where that is given."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number known beforehand; NaN is unknown for ever."""

    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """A name's values. ``cost`` is what it takes to get them, in passes over an array."""

    name: str
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator on numbers."""

    operator: Operator
    arguments: tuple["Number", ...]


Number = Constant | Column | Operation


@dataclass(frozen=True, slots=True)
class Compare:
    """``left sign right``; unknown where either side is."""

    sign: str
    left: Number
    right: Number


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag by itself."""

    column: Column


@dataclass(frozen=True, slots=True)
class Bit:
    """Whether bit ``number`` of a mask is set."""

    column: Column
    number: int


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a number is known; never unknown itself."""

    value: Number


@dataclass(frozen=True, slots=True)
class Opposite:
    """The contrary."""

    of: "Truth"


@dataclass(frozen=True, slots=True)
class Every:
    """All of the parts."""

    parts: tuple["Truth", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the parts."""

    parts: tuple["Truth", ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is the same for every row; None is unknown. ``name`` is any column, for its length."""

    value: bool | None
    name: str


Truth = Compare | Flag | Bit | Known | Opposite | Every | Some | Fixed


_divide: Operator = np.divide


def quotient(left: Any, right: Any, out: Any = None) -> Any:
    """``left / right``, NaN where ``right`` is 0; called like a ufunc."""
    zero = np.equal(right, 0.0)
    result = _divide(left, right, out=out)
    if np.count_nonzero(zero):
        np.copyto(result, np.nan, where=zero)
    return result


def operate(operator: Operator, *arguments: Number) -> Number:
    """An operation, done at once where all is known."""
    if operator is quotient and isinstance(arguments[1], Constant):
        if arguments[1].value == 0:
            return Constant(float("nan"))
        operator = _divide
    if all(isinstance(argument, Constant) for argument in arguments):
        with np.errstate(all="ignore"):
            values = [np.float64(argument.value) for argument in arguments if isinstance(argument, Constant)]
            return Constant(float(operator(*values)))
    return Operation(operator, arguments)


def with_constants(plan: Truth, constants: Mapping[str, float]) -> Truth:
    """The condition with these names' values put in."""
    match plan:
        case Compare():
            return _compare(plan, constants)
        case Known():
            value = number_with_constants(plan.value, constants)
            return Fixed(not np.isnan(value.value), _name(plan.value)) if isinstance(value, Constant) else Known(value)
        case Opposite():
            return Opposite(with_constants(plan.of, constants))
        case Every():
            return Every(tuple(with_constants(part, constants) for part in plan.parts))
        case Some():
            return Some(tuple(with_constants(part, constants) for part in plan.parts))
        case _:
            return plan


def number_with_constants(plan: Number, constants: Mapping[str, float]) -> Number:
    """The number with these names' values put in."""
    if isinstance(plan, Column) and plan.name in constants:
        return Constant(float(constants[plan.name]))
    if isinstance(plan, Operation):
        return operate(plan.operator, *(number_with_constants(argument, constants) for argument in plan.arguments))
    return plan


def _compare(plan: Compare, constants: Mapping[str, float]) -> Truth:
    left, right = number_with_constants(plan.left, constants), number_with_constants(plan.right, constants)
    if isinstance(left, Constant) and isinstance(right, Constant):
        unknown = np.isnan(left.value) or np.isnan(right.value)
        value = None if unknown else bool(COMPARE[plan.sign](left.value, right.value))
        return Fixed(value, _name(plan.left) or _name(plan.right))
    return Compare(plan.sign, left, right)


def _name(plan: Number) -> str:
    """Any name in a number, or nothing."""
    if isinstance(plan, Column):
        return plan.name
    if isinstance(plan, Operation):
        return next((name for name in map(_name, plan.arguments) if name), "")
    return ""
