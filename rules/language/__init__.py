"""The language that rules are written in: a text is checked against a kind's names and units and compiled to numpy.

``compile_condition`` and ``compile_number`` are the way in. A text reaches nothing but the columns that its names stand
for: there are no attributes, no indexes, no assignments, no loops, and nothing is handed to Python to be evaluated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.language import compiler
from rules.language.checker import Checker
from rules.language.dimensions import OF_UNIT
from rules.language.errors import RuleTextError
from rules.language.parser import parse
from rules.language.plan import number_with_constants, with_constants
from rules.language.symbols import Symbol, symbols, unit_by_suffix

__all__ = [
    "Condition",
    "Expression",
    "RuleTextError",
    "Symbol",
    "compile_condition",
    "compile_number",
    "symbols",
    "unit_by_suffix",
]

_NO_CONSTANTS: Mapping[str, float] = MappingProxyType({})
_NO_HINTS: Mapping[str, str] = MappingProxyType({})
Columns = Callable[[str], Floats]
"""A name's column, shape ``(n,)``: ``Layer.column``."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A compiled condition. ``ordered`` are its names in order of appearance."""

    text: str
    ordered: tuple[str, ...]
    _true: compiler.Answers
    _false: compiler.Answers

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.ordered)

    def evaluate(self, column: Columns) -> Mask:
        """Where it is known to hold, shape ``(n,)``; the array is the caller's own."""
        with np.errstate(all="ignore"):
            return self._true(column)

    def refute(self, column: Columns) -> Mask:
        """Where it is known not to hold; where neither this nor ``evaluate`` is true, it is unknown."""
        with np.errstate(all="ignore"):
            return self._false(column)


@dataclass(frozen=True, eq=False)
class Expression:
    """A compiled number, in the unit that was asked for."""

    text: str
    unit: Unit
    ordered: tuple[str, ...]
    _numbers: compiler.Numbers

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.ordered)

    def evaluate(self, column: Columns) -> Floats:
        """The values, NaN where unknown; shape ``(n,)``, or ``()`` where it names nothing.

        May be a column itself, so it is not to be written to.
        """
        with np.errstate(all="ignore"):
            return np.asarray(self._numbers(column), np.float64)


def compile_condition(
    text: str,
    symbols: Mapping[str, Symbol],
    constants: Mapping[str, float] = _NO_CONSTANTS,
    *,
    hints: Mapping[str, str] = _NO_HINTS,
) -> Condition:
    """Check and compile a condition; ``RuleTextError`` says where it is wrong.

    ``constants`` are thresholds whose value is the same on every row: they are put in beforehand and not asked for as
    columns. They stay among the names. ``hints`` are what to say of names that exist, but not here.
    """
    checker = Checker(text, symbols, hints)
    plan = checker.condition(parse(text))
    if not checker.names:
        raise RuleTextError("a condition of constants", "a name at least", text=text)
    plan = with_constants(plan, constants)
    return Condition(text, tuple(checker.names), compiler.known_true(plan), compiler.known_false(plan))


def compile_number(
    text: str,
    symbols: Mapping[str, Symbol],
    unit: Unit,
    constants: Mapping[str, float] = _NO_CONSTANTS,
    *,
    hints: Mapping[str, str] = _NO_HINTS,
) -> Expression:
    """Check and compile a number in this unit (``Unit.NONE``: whatever it comes out in); see ``compile_condition``."""
    checker = Checker(text, symbols, hints)
    plan = number_with_constants(checker.number(parse(text), OF_UNIT[unit]), constants)
    return Expression(text, unit, tuple(checker.names), compiler.numbers(plan))
