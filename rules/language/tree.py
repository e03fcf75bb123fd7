"""The tree that the parser makes of a rule's text; each node knows its place in it."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of the text: ``text[at:end]``; of what is joined by an operator, ``at`` is the place of the operator."""

    at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Node):
    """A number as it is written, exact, with the unit behind it or None."""

    value: Fraction
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    """A metric, derived input, attribute or threshold."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word(Node):
    """A word in quotes: a state or a flag bit."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A function of its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negative(Node):
    """A minus before a value."""

    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic(Node):
    """Two values joined by ``+ - * /``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Node):
    """``left operator right``; a chain ``a < x < b`` is two of them in a ``Logic``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Has(Node):
    """Whether a named bit of a flags metric is set."""

    flags: Node
    bit: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Node):
    """The contrary of a condition."""

    condition: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic(Node):
    """Conditions joined by ``and``, or by ``or``."""

    operator: str
    parts: tuple[Node, ...]
