"""The tree made sense of: every name known, every unit fitting, every condition a condition; the result is a plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.language import tree
from rules.language.dimensions import FREE, OF_UNIT, SYMBOLS, Dimension
from rules.language.errors import RuleTextError, near, quoted
from rules.language.functions import FUNCTIONS, KNOWN
from rules.language.lexer import KEYWORDS
from rules.language.plan import Bit, Column, Compare, Constant, Every, Flag, Known, Number, Opposite, Some, Truth
from rules.language.quantities import Quantity, added, converted, negative, percent_hint, product, ratio
from rules.language.symbols import Symbol
from rules.layer import Form


@dataclass(frozen=True, slots=True)
class Named:
    """A state or flags metric, or a flag: not a number, whatever it is stored as."""

    column: Column
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class Quote:
    """A word in quotes."""

    word: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A condition."""

    plan: Truth


Meaning = Quantity | Named | Quote | Claim


class Checker:
    """Checks one text; ``names`` are those used, in order of appearance."""

    def __init__(self, text: str, symbols: Mapping[str, Symbol], hints: Mapping[str, str]) -> None:
        self._text = text
        self._symbols = symbols
        self._hints = hints
        self.names: dict[str, None] = {}

    def condition(self, node: tree.Node) -> Truth:
        """The plan of a condition."""
        meaning = self._meaning(node)
        if isinstance(meaning, Claim):
            return meaning.plan
        if isinstance(meaning, Named) and meaning.symbol.form is Form.FLAG:
            return Flag(meaning.column)
        hint = ""
        if isinstance(meaning, Named) and meaning.symbol.states:
            hint = f'compare it with one of its words: {self._source(node)} == "{meaning.symbol.states[0]}"'
        elif isinstance(meaning, Named):
            hint = f'name a bit of it: {self._source(node)} has "{next(iter(meaning.symbol.bits), "…")}"'
        elif isinstance(meaning, Quantity):
            hint = f"compare it with something: {self._source(node)} > …"
        raise self._error(node, self._told(node, meaning), "a condition", hint)

    def number(self, node: tree.Node, unit: Dimension) -> Number:
        """The plan of a number in this unit."""
        quantity = self._quantity(node)
        if not quantity.dimension.fits(unit):
            raise self._error(node, self._told(node, quantity), f"a number in {unit.symbol}")
        return converted(quantity, unit)

    def _meaning(self, node: tree.Node) -> Meaning:  # noqa: C901, PLR0911 -- one case a node
        match node:
            case tree.Number():
                return self._written(node)
            case tree.Name():
                return self._name(node)
            case tree.Word():
                return Quote(node.word)
            case tree.Call():
                return self._call(node)
            case tree.Negative():
                return negative(self._quantity(node.value))
            case tree.Arithmetic():
                return self._arithmetic(node)
            case tree.Comparison():
                return self._comparison(node)
            case tree.Has():
                return self._has(node)
            case tree.Not():
                return Claim(Opposite(self.condition(node.condition)))
            case tree.Logic():
                parts = tuple(self.condition(part) for part in node.parts)
                return Claim(Every(parts) if node.operator == "and" else Some(parts))
            case _:
                raise AssertionError(f"{type(node).__name__} is not handled")

    def _written(self, node: tree.Number) -> Quantity:
        dimension = FREE if node.unit is None else SYMBOLS[node.unit]
        return Quantity(Constant(float(node.value)), dimension, node.value)

    def _name(self, node: tree.Name) -> Quantity | Named:
        symbol = self._symbols.get(node.name)
        if symbol is None:
            raise self._unknown(node)
        self.names[node.name] = None
        column = Column(node.name, symbol.cost)
        if symbol.form is Form.FLAG or symbol.states or symbol.bits:
            return Named(column, symbol)
        return Quantity(column, OF_UNIT[symbol.unit])

    def _unknown(self, node: tree.Name) -> RuleTextError:
        lower = node.name.lower()
        if lower in KEYWORDS:
            hint = f"write {lower} in small letters"
        elif lower in ("true", "false", "null", "none", "nan"):
            hint = "a flag stands alone (door_open, not door_open), and whether a value is known is asked by known(x)"
        elif node.name in FUNCTIONS or node.name == KNOWN:
            hint = f"a function takes its arguments in parentheses: {node.name}(…)"
        else:
            hint = self._hints.get(node.name) or near(node.name, self._symbols)
        return self._error(node, f"unknown name {quoted(node.name)}", "a name of this kind or a threshold", hint)

    def _call(self, node: tree.Call) -> Meaning:
        if node.name == KNOWN:
            return self._known(node)
        function = FUNCTIONS.get(node.name)
        if function is None:
            hint = near(node.name, [*FUNCTIONS, KNOWN])
            expected = "one of the functions " + ", ".join([*FUNCTIONS, KNOWN])
            raise self._error(node, f"unknown function {quoted(node.name)}", expected, hint)
        given = len(node.arguments)
        if not function.least <= given <= function.most:
            span = f"{function.least}" if function.least == function.most else f"{function.least} to {function.most}"
            raise self._error(node, f"{given} arguments of {node.name}", span, f"as in {function.example}")
        quantities = [self._quantity(argument) for argument in node.arguments]
        dimension = quantities[0].dimension
        for argument, quantity in zip(node.arguments[1:], quantities[1:], strict=True):
            self._check_units(node.arguments[0], Quantity(Constant(0), dimension), argument, quantity)
            dimension = quantity.dimension if dimension.free else dimension
        return Quantity(function.plan([converted(quantity, dimension) for quantity in quantities]), dimension)

    def _known(self, node: tree.Call) -> Claim:
        if len(node.arguments) != 1:
            raise self._error(node, f"{len(node.arguments)} arguments of known", "1", "as in known(voltage_v)")
        meaning = self._meaning(node.arguments[0])
        if isinstance(meaning, Quantity) and meaning.exact is None:
            return Claim(Known(meaning.plan))
        if isinstance(meaning, Named):
            return Claim(Known(meaning.column))
        raise self._error(node.arguments[0], self._told(node.arguments[0], meaning), "a name or a calculation")

    def _arithmetic(self, node: tree.Arithmetic) -> Quantity:
        left, right = self._quantity(node.left), self._quantity(node.right)
        if node.operator in "+-":
            dimension = self._common(node.left, left, node.right, right)
            return added(node.operator, left, right, dimension)
        if node.operator == "/" and right.exact == 0:
            raise self._error(node.right, "a division by 0", "a divisor that is not 0")
        return product(left, right) if node.operator == "*" else ratio(left, right)

    def _comparison(self, node: tree.Comparison) -> Claim:
        left, right = self._meaning(node.left), self._meaning(node.right)
        for meaning, other, side in ((left, right, node.right), (right, left, node.left)):
            if isinstance(meaning, Named):
                return Claim(self._choice(node, meaning, other, side))
        if not isinstance(left, Quantity):
            raise self._error(node.left, self._told(node.left, left), "a number or a name to compare")
        if not isinstance(right, Quantity):
            raise self._error(node.right, self._told(node.right, right), "a number or a name to compare")
        if isinstance(left.plan, Constant) and isinstance(right.plan, Constant):
            raise self._error(node, "a comparison of two constants", "a name on one side at least")
        dimension = self._common(node.left, left, node.right, right)
        return Claim(Compare(node.operator, converted(left, dimension), converted(right, dimension)))

    def _choice(self, node: tree.Comparison, named: Named, other: Meaning, side: tree.Node) -> Truth:
        """A state compared with one of its words."""
        name, states = named.column.name, named.symbol.states
        if not states:
            what = f"the flag {name}" if named.symbol.form is Form.FLAG else f"the flags {name}"
            usage = f"write {name} or not {name}" if named.symbol.form is Form.FLAG else _has_usage(named)
            raise self._error(node, f"a comparison of {what}", "no comparison", usage)
        expected = "one of its words " + ", ".join(f'"{word}"' for word in states)
        if not isinstance(other, Quote):
            told = self._told(side, other)
            hint = f'words stand in quotes: {name} == "{states[0]}"'
            raise self._error(side, told, expected, hint)
        if node.operator not in ("==", "!="):
            raise self._error(node, f"{node.operator!r} with the state {name}", "== or !=")
        if other.word not in states:
            raise self._error(side, f"{quoted(other.word)} for {name}", expected, near(other.word, states))
        equal = Compare("==", named.column, Constant(float(states.index(other.word))))
        return equal if node.operator == "==" else Opposite(equal)

    def _has(self, node: tree.Has) -> Claim:
        named, bit = self._meaning(node.flags), self._meaning(node.bit)
        if not isinstance(named, Named) or not named.symbol.bits:
            raise self._error(node.flags, self._told(node.flags, named), "a metric with flag bits before has")
        bits = named.symbol.bits
        if not isinstance(bit, Quote) or bit.word not in bits:
            found = quoted(bit.word) if isinstance(bit, Quote) else self._told(node.bit, bit)
            word = bit.word if isinstance(bit, Quote) else self._source(node.bit)
            expected = "one of its bits " + ", ".join(f'"{known}"' for known in bits)
            raise self._error(node.bit, f"{found} for {named.column.name}", expected, near(word, bits))
        return Claim(Bit(named.column, bits.index(bit.word)))

    def _quantity(self, node: tree.Node) -> Quantity:
        meaning = self._meaning(node)
        if isinstance(meaning, Quantity):
            return meaning
        raise self._error(node, self._told(node, meaning), "a number")

    def _common(self, left: tree.Node, one: Quantity, right: tree.Node, two: Quantity) -> Dimension:
        """The unit in which two numbers meet: that of the side that is not a constant."""
        self._check_units(left, one, right, two)
        if one.dimension.free or (one.exact is not None and not two.dimension.free):
            return two.dimension
        return one.dimension

    def _check_units(self, left: tree.Node, one: Quantity, right: tree.Node, two: Quantity) -> None:
        if one.dimension.fits(two.dimension):
            return
        hint = percent_hint(one, two) or percent_hint(two, one)
        expected = f"{one.dimension.symbol} as {self._source(left)}"
        raise self._error(right, f"{two.dimension.symbol} ({self._source(right)})", expected, hint)

    def _told(self, node: tree.Node, meaning: Meaning) -> str:
        source = self._source(node)
        match meaning:
            case Quantity():
                return f"{source}, a number" if meaning.dimension.free else f"{source} in {meaning.dimension.symbol}"
            case Named() if meaning.symbol.form is Form.FLAG:
                return f"the flag {source}"
            case Named():
                return f"the state {source}" if meaning.symbol.states else f"the flags {source}"
            case Quote():
                return f"the word {quoted(meaning.word)}"
            case Claim():
                return f"the condition {quoted(source)}"

    def _source(self, node: tree.Node) -> str:
        source = " ".join(self._text[node.start : node.end].split())
        return source if len(source) <= 40 else source[:40] + "…"

    def _error(self, node: tree.Node, found: str, expected: str, hint: str = "") -> RuleTextError:
        return RuleTextError(found, expected, hint=hint, text=self._text, at=node.start)


def _has_usage(named: Named) -> str:
    return f'ask for a bit: {named.column.name} has "{next(iter(named.symbol.bits), "…")}"'
