"""The slow twin of the rule language: Python's own parser, one row at a time, three values (None is unknown)."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

from kraj.units import Unit
from rules.language import Symbol
from rules.layer import Form

Value = float | None
Row = Mapping[str, float]

_COMPARE: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

NUMBERS = ("a", "b", "c", "d")
FLAGS = ("door_open", "settled")
STATES = ("auto", "on", "off")
BITS = ("hot", "cold", "wet")
SYMBOLS = {
    **dict.fromkeys(NUMBERS, Symbol(Unit.NONE)),
    "d": Symbol(Unit.NONE, cost=6),
    **dict.fromkeys(FLAGS, Symbol(Unit.NONE, Form.FLAG)),
    "mode": Symbol(Unit.NONE, states=STATES),
    "alarms": Symbol(Unit.NONE, bits=BITS),
}


def judged(text: str, row: Row) -> bool | None:
    """Whether a condition without units holds on a row; None is unknown."""
    python = re.sub(r'(\w+) has "(\w+)"', r'has(\1, "\2")', text)
    return _truth(ast.parse(python.strip(), mode="eval").body, row)


def _truth(node: ast.expr, row: Row) -> bool | None:  # noqa: PLR0911 -- one case a construct
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            found = [_truth(part, row) for part in parts]
            return False if False in found else None if None in found else True
        case ast.BoolOp(values=parts):
            found = [_truth(part, row) for part in parts]
            return True if True in found else None if None in found else False
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = _truth(operand, row)
            return None if found is None else not found
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [left, *others]
            found = [_compared(op, one, two, row) for op, one, two in zip(ops, sides, sides[1:], strict=False)]
            return False if False in found else None if None in found else True
        case ast.Call(func=ast.Name(id="known"), args=[argument]):
            return _number(argument, row) is not None
        case ast.Call(func=ast.Name(id="has"), args=[ast.Name(id=name), ast.Constant(value=str(bit))]):
            mask = _known(row[name])
            return None if mask is None else bool(int(mask) & 1 << BITS.index(bit))
        case ast.Name(id=name):
            value = _known(row[name])
            return None if value is None else value == 1
        case _:
            raise AssertionError(ast.dump(node))


def _compared(op: ast.cmpop, left: ast.expr, right: ast.expr, row: Row) -> bool | None:
    one, two = _number(left, row), _number(right, row)
    if one is None or two is None:
        return None
    return _COMPARE[type(op)](one, two)


def _number(node: ast.expr, row: Row) -> Value:
    match node:
        case ast.Constant(value=str(word)):
            return float(STATES.index(word))
        case ast.Constant(value=value):
            return float(value)  # pyright: ignore[reportArgumentType] -- the strategy writes no other constants
        case ast.Name(id=name):
            return _known(row[name])
        case ast.UnaryOp(operand=operand):
            value = _number(operand, row)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right):
            return _calculated(op, _number(left, row), _number(right, row))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _called(name, [_number(argument, row) for argument in arguments])
        case _:
            raise AssertionError(ast.dump(node))


def _calculated(op: ast.operator, one: Value, two: Value) -> Value:
    if one is None or two is None:
        return None
    match op:
        case ast.Add():
            return _known(one + two)
        case ast.Sub():
            return _known(one - two)
        case ast.Mult():
            return _known(one * two)
        case _:
            return None if two == 0 else _known(one / two)


def _called(name: str, values: list[Value]) -> Value:
    if name == "first_known":
        return next((value for value in values if value is not None), None)
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    match name:
        case "abs":
            return abs(known[0])
        case "min":
            return min(known)
        case "max":
            return max(known)
        case _:
            return min(max(known[0], known[1]), known[2])


def _known(value: float) -> Value:
    return None if math.isnan(value) else value
