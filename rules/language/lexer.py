"""Text to tokens: numbers with their units, names, words in quotes, signs; nothing else exists in the language."""

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from rules.language.dimensions import SPELLINGS
from rules.language.errors import RuleTextError, near, quoted

TEXT_MAX = 2000
"""Characters; the longest rule of the catalogue has a tenth of it."""
TOKENS_MAX = 250
"""Bounds the depth of the tree, and so recursion, whatever is joined with whatever."""
NAME_MAX = 64
NUMBER_MAX = 10**15
"""Up to here whole numbers of a float64 are exact, with room for one conversion of units."""
NUMBER_MIN = 1e-15
"""Nothing is measured in smaller ones, and some are 0 as float64."""
KEYWORDS = frozenset({"and", "or", "not", "has"})


class Sort(Enum):
    """What a token is."""

    NUMBER = "a number"
    NAME = "a name"
    WORD = "a word in quotes"
    SIGN = "a sign"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """``text[at:end]``; ``unit`` is the unit behind a number, in its shown form."""

    sort: Sort
    text: str
    at: int
    end: int
    unit: str | None = None

    @property
    def shown(self) -> str:
        return "the end" if self.sort is Sort.END else quoted(self.text)


_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")
_SIGN = re.compile(r"<=|>=|==|!=|[-+*/()<>,]")
_AFTER_NUMBER = re.compile(r"[^\W\d_]\w*(?:/m[23²³])?|[%°]C?")
"""What may be a unit: letters (also Ω and µ), with an area or volume behind; or one of the two signs."""
_HINTS = {
    "=": "equality is written ==",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != for unequal",
    ".": "a number begins with a digit (0.5), and names have no dots",
    "[": "there are no lists",
    "{": "there are no lists",
    "^": "there are no powers; write x * x",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "−": "write a plain -",
    "·": "write *",
    "×": "write *",
    "÷": "write /",
    "„": "words stand in plain quotes",
    "“": "words stand in plain quotes",
    "”": "words stand in plain quotes",
    "#": "comments belong beside the text, not into it",
    ";": "a text is one condition",
}


def tokens(text: str) -> list[Token]:
    """All tokens, the last is ``END``; ``RuleTextError`` at the first thing that cannot be one."""
    if len(text) > TEXT_MAX:
        raise RuleTextError(f"{len(text)} characters", f"at most {TEXT_MAX}", text=text, at=TEXT_MAX)
    found: list[Token] = []
    at = _skip(text, 0)
    while at < len(text):
        if len(found) == TOKENS_MAX:
            raise RuleTextError("more", f"at most {TOKENS_MAX} names, numbers and signs", text=text, at=at)
        token = _number(text, at) or _plain(text, at)
        found.append(token)
        at = _skip(text, token.end)
    return [*found, Token(Sort.END, "", len(text), len(text))]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _plain(text: str, at: int) -> Token:
    match = _NAME.match(text, at)
    if match:
        if len(match.group()) > NAME_MAX:
            raise RuleTextError(quoted(match.group()), f"a name of at most {NAME_MAX} characters", text=text, at=at)
        return Token(Sort.NAME, match.group(), at, match.end())
    match = _SIGN.match(text, at)
    if match:
        return Token(Sort.SIGN, match.group(), at, match.end())
    match = _WORD.match(text, at)
    if match:
        return Token(Sort.WORD, match.group(1) or match.group(2) or "", at, match.end())
    char = text[at]
    if char in "\"'":
        raise RuleTextError("a quote that is not closed", f"another {char} on the same line", text=text, at=at)
    raise RuleTextError(quoted(char), "a name, a number or a sign", hint=_HINTS.get(char, ""), text=text, at=at)


def _number(text: str, at: int) -> Token | None:
    match = _NUMBER.match(text, at)
    if not match:
        return None
    end = match.end()
    exact = Fraction(match.group())
    if exact and not NUMBER_MIN <= exact <= NUMBER_MAX:
        expected = f"0, or a number from {NUMBER_MIN:.0e} to {NUMBER_MAX:.0e}"
        raise RuleTextError(quoted(match.group()), expected, text=text, at=at)
    behind = _skip(text, end)
    word = _AFTER_NUMBER.match(text, behind)
    if word is None or word.group() in KEYWORDS:
        return Token(Sort.NUMBER, match.group(), at, end)
    unit = SPELLINGS.get(word.group())
    if unit is None:
        hint = near(word.group(), SPELLINGS) or "a decimal number is written with a point, and * is never left out"
        raise RuleTextError(quoted(word.group()), "a unit or a sign behind the number", hint=hint, text=text, at=behind)
    return Token(Sort.NUMBER, match.group(), at, word.end(), unit)
