"""A filter's tokens to its tree: or, and, not, comparisons, arithmetic, functions, paths; by precedence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kraj.sensorthings.errors import QueryError
from kraj.sensorthings.tokens import Sort, Token, Value, tokens

DEPTH_MAX: Final = 25
"""Brackets within brackets."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written."""

    value: Value
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A property, of the entity itself or of one to which links lead."""

    parts: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function, by its word in the standard."""

    name: str
    arguments: "tuple[Node, ...]"
    at: int


Node = Literal | Path | Call

COMPARISONS: Final = ("eq", "ne", "gt", "ge", "lt", "le")
_LEVELS: Final = (("or",), ("and",), COMPARISONS, ("add", "sub"), ("mul", "div", "mod"))
_NEGATED: Final = 2
"""``not`` binds what stands before ``and``: a whole comparison."""


def parse(text: str, option: str = "$filter") -> Node:
    """The tree; raise ``QueryError`` with the place of what does not fit."""
    return _Parser(tokens(text, option), option).whole()


class _Parser:
    def __init__(self, found: list[Token], option: str) -> None:
        self._tokens = found
        self._option = option
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._level(0)
        if self._token.sort is not Sort.END:
            raise self._surprise()
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _surprise(self) -> QueryError:
        if self._token.sort is Sort.END:
            return QueryError("end", option=self._option)
        return QueryError("syntax", option=self._option, at=self._token.at, found=self._token.text[:40])

    def _take(self) -> Token:
        token = self._token
        self._next += 1
        return token

    def _sign(self, sign: str) -> bool:
        if self._token.sort is Sort.SIGN and self._token.text == sign:
            self._next += 1
            return True
        return False

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        if level == _NEGATED and self._token.sort is Sort.NAME and self._token.text == "not":
            return self._deeper(self._not)
        left = self._level(level + 1)
        while self._token.sort is Sort.NAME and self._token.text in _LEVELS[level]:
            operator = self._take()
            left = Call(operator.text, (left, self._level(level + 1)), operator.at)
        return left

    def _deeper(self, what: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise QueryError("limit", option=self._option, limit=DEPTH_MAX)
        node = what()
        self._depth -= 1
        return node

    def _not(self) -> Node:
        operator = self._take()
        return Call("not", (self._level(_NEGATED),), operator.at)

    def _unary(self) -> Node:
        token = self._token
        if self._sign("-"):
            return Call("minus", (self._deeper(self._unary),), token.at)
        if self._sign("("):
            node = self._deeper(lambda: self._level(0))
            if not self._sign(")"):
                raise self._surprise()
            return node
        if token.sort is Sort.VALUE:
            self._take()
            return Literal(token.value, token.at)
        if token.sort is not Sort.NAME:
            raise self._surprise()
        self._take()
        if self._sign("("):
            return Call(token.text, self._arguments(), token.at)
        return Path(tuple(token.text.split("/")), token.at)

    def _arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._sign(")"):
            return ()
        while True:
            found.append(self._deeper(lambda: self._level(0)))
            if self._sign(")"):
                return tuple(found)
            if not self._sign(","):
                raise self._surprise()
