"""Tokens to a tree, by recursive descent; every construct of the language is one method here.

::

    condition  = all { "or" all }
    all        = negation { "and" negation }
    negation   = "not" negation | comparison
    comparison = sum [ sign sum [ sign sum ] | "has" word ]      sign: < <= > >= == !=
    sum        = product { ("+" | "-") product }
    product    = value { ("*" | "/") value }
    value      = "-" value | number [ unit ] | word | name | call | "(" condition ")"
    call       = name "(" condition { "," condition } ")"

Whether a part is a number or a condition is the checker's business: both may stand in parentheses.
"""

from collections.abc import Callable
from fractions import Fraction

from rules.language.errors import RuleTextError
from rules.language.lexer import KEYWORDS, Sort, Token, tokens
from rules.language.tree import Arithmetic, Call, Comparison, Has, Logic, Name, Negative, Node, Not, Number, Word

NESTING_MAX = 30
"""Parentheses, ``not`` and minus within each other; people lose track at four."""
ARGUMENTS_MAX = 20

_BEHIND = 'a sign, "and", "or" or the end'
_UP, _DOWN = frozenset({"<", "<="}), frozenset({">", ">="})
_COMPARISONS = _UP | _DOWN | {"==", "!="}


def parse(text: str) -> Node:
    """The tree of a text; ``RuleTextError`` where it is none."""
    parser = _Parser(text)
    root = parser.condition()
    parser.expect_end()
    return root


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._place = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += 1
        return token

    def _comes(self, *texts: str) -> bool:
        return self._next.sort in (Sort.NAME, Sort.SIGN) and self._next.text in texts

    def _refuse(self, expected: str, hint: str = "") -> RuleTextError:
        return RuleTextError(self._next.shown, expected, hint=hint, text=self._text, at=self._next.at)

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise RuleTextError("one more level", f"at most {NESTING_MAX} within each other", text=self._text, at=at)

    def expect_end(self) -> None:
        if self._next.sort is Sort.END:
            return
        if self._comes(",") and self._tokens[self._place - 1].sort is Sort.NUMBER:
            raise self._refuse(_BEHIND, "a decimal number is written with a point: 0.5")
        if self._comes(")"):
            raise self._refuse(_BEHIND, "this parenthesis was never opened")
        near_word = self._next.text.lower()
        hint = f"write {near_word} in small letters" if near_word in KEYWORDS and near_word != self._next.text else ""
        raise self._refuse(_BEHIND, hint)

    def condition(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._negation))

    def _joined(self, operator: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        at = self._next.at
        while self._comes(operator):
            self._take()
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return Logic(at=at, start=parts[0].start, end=parts[-1].end, operator=operator, parts=tuple(parts))

    def _negation(self) -> Node:
        if not self._comes("not"):
            return self._comparison()
        token = self._take()
        self._deeper(token.at)
        condition = self._negation()
        self._depth -= 1
        return Not(at=token.at, start=token.at, end=condition.end, condition=condition)

    def _comparison(self) -> Node:
        left = self._sum()
        if self._comes("has"):
            token = self._take()
            bit = self._value()
            return Has(at=token.at, start=left.start, end=bit.end, flags=left, bit=bit)
        found: list[Comparison] = []
        while self._comes(*_COMPARISONS):
            sign = self._take()
            self._check_chain(found, sign)
            right = self._sum()
            found.append(
                Comparison(at=sign.at, start=left.start, end=right.end, operator=sign.text, left=left, right=right)
            )
            left = right
        if not found:
            return left
        if len(found) == 1:
            return found[0]
        return Logic(at=found[0].at, start=found[0].start, end=left.end, operator="and", parts=tuple(found))

    def _check_chain(self, before: list[Comparison], sign: Token) -> None:
        """``a < x < b`` is a span; every other chain reads differently to different people."""
        if not before:
            return
        signs = {before[0].operator, sign.text}
        if len(before) > 1 or not (signs <= _UP or signs <= _DOWN):
            raise RuleTextError(
                f"a second {sign.text!r}",
                '"and" or "or" between comparisons',
                hint="only a span may be chained: 207 V <= voltage_v <= 253 V",
                text=self._text,
                at=sign.at,
            )

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._value))

    def _arithmetic(self, signs: tuple[str, str], part: Callable[[], Node]) -> Node:
        left = part()
        while self._comes(*signs):
            sign = self._take()
            right = part()
            left = Arithmetic(at=sign.at, start=left.start, end=right.end, operator=sign.text, left=left, right=right)
        return left

    def _value(self) -> Node:
        token = self._next
        if self._comes("-", "("):
            return self._nested(self._take())
        if token.sort is Sort.NUMBER:
            self._take()
            return Number(at=token.at, start=token.at, end=token.end, value=Fraction(token.text), unit=token.unit)
        if token.sort is Sort.WORD:
            self._take()
            return Word(at=token.at, start=token.at, end=token.end, word=token.text)
        if token.sort is Sort.NAME and token.text not in KEYWORDS:
            self._take()
            return self._call(token) if self._comes("(") else _name(token)
        hint = "put not before the whole comparison, in parentheses" if self._comes("not") else ""
        raise self._refuse("a name or a number", hint)

    def _nested(self, opening: Token) -> Node:
        self._deeper(opening.at)
        if opening.text == "-":
            value = self._value()
            node: Node = Negative(at=opening.at, start=opening.at, end=value.end, value=value)
        else:
            node = self.condition()
            self._close(opening)
        self._depth -= 1
        return node

    def _call(self, name: Token) -> Node:
        opening = self._take()
        self._deeper(opening.at)
        arguments: list[Node] = []
        while not arguments or self._comes(","):
            if arguments:
                self._take()
            if len(arguments) == ARGUMENTS_MAX:
                raise self._refuse(f"at most {ARGUMENTS_MAX} arguments")
            arguments.append(self.condition())
        end = self._close(opening)
        self._depth -= 1
        return Call(at=name.at, start=name.at, end=end, name=name.text, arguments=tuple(arguments))

    def _close(self, opening: Token) -> int:
        if not self._comes(")"):
            column = opening.at - self._text.rfind("\n", 0, opening.at)
            raise self._refuse(f"the ) that closes column {column}")
        return self._take().end


def _name(token: Token) -> Name:
    return Name(at=token.at, start=token.at, end=token.end, name=token.text)
