"""Text of a filter to tokens (18-088 clause 9.3.3.5): numbers, texts, times, geometries, names, signs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from kraj.sensorthings.errors import QueryError

TEXT_MAX: Final = 4000
"""Characters of an option; a polygon of two hundred corners fits."""
TOKENS_MAX: Final = 200
"""Bounds the tree, and so recursion."""
INT64_MAX: Final = 2**63 - 1


class Sort(Enum):
    """What a token is."""

    VALUE = "value"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Place:
    """A point (one corner) or a polygon's outline, longitude before latitude."""

    corners: tuple[tuple[float, float], ...]

    @property
    def point(self) -> bool:
        return len(self.corners) == 1


Value = int | float | str | bool | datetime | timedelta | Place | None


@dataclass(frozen=True, slots=True)
class Token:
    """``at`` is the character from 1; ``value`` is a literal's."""

    sort: Sort
    text: str
    at: int
    value: Value = None


_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?"
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    # A plus sign that nobody has escaped comes as a space.
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[-+ ]\d\d:\d\d)?)?(?![\w:.-]))"
    rf"|(?P<number>{_NUMBER}(?![\w.]))"
    r"|(?P<typed>(?:geography|geometry|duration)'[^']*')"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<name>@?[A-Za-z_][\w.]*(?:/@?[A-Za-z_][\w.]*)*)"
    r"|(?P<sign>[(),-])"
)
_DURATION = re.compile(r"P(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8}(?:\.\d{1,6})?)S)?)?")
_WKT = re.compile(r"\s*(POINT|POLYGON)\s*(\({1,2})([-+0-9.eE,\s]*)(\){1,2})\s*", re.IGNORECASE)
_WORDS: Final = {"true": True, "false": False, "null": None}


def tokens(text: str, option: str) -> list[Token]:
    """All of them with an END behind; raise ``QueryError`` at what is none."""
    if len(text) > TEXT_MAX:
        raise QueryError("limit", option=option, limit=TEXT_MAX)
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError("syntax", option=option, at=at + 1, found=text[at : at + 20])
        if match.lastgroup != "space":
            found.append(_token(match, option))
            if len(found) > TOKENS_MAX:
                raise QueryError("limit", option=option, limit=TOKENS_MAX)
        at = match.end()
    return [*found, Token(Sort.END, "", len(text) + 1)]


def _token(match: re.Match[str], option: str) -> Token:
    text, at, group = match[0], match.start() + 1, match.lastgroup
    if group == "sign":
        return Token(Sort.SIGN, text, at)
    if group == "name":
        return Token(Sort.VALUE, text, at, _WORDS[text]) if text in _WORDS else Token(Sort.NAME, text, at)
    try:
        return Token(Sort.VALUE, text, at, _value(str(group), text))
    except (ValueError, OverflowError) as error:
        raise QueryError("syntax", option=option, at=at, found=text[:40]) from error


def _value(group: str, text: str) -> Value:
    if group == "text":
        return text[1:-1].replace("''", "'")
    if group == "time":
        when = datetime.fromisoformat(text[:-6] + "+" + text[-5:] if text[-6] == " " else text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    if group == "typed":
        kind, inside = text[:-1].split("'", 1)
        return _duration(inside) if kind == "duration" else _place(inside)
    if text.isdigit():
        if int(text) > INT64_MAX:
            raise ValueError(text)
        return int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(text)
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _place(text: str) -> Place:
    match = _WKT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    corners = tuple(_corner(pair) for pair in match[3].split(","))
    point = match[1].upper() == "POINT"
    brackets = 1 if point else 2
    if len(match[2]) != brackets or len(match[4]) != brackets or (len(corners) != 1 if point else len(corners) < 4):
        raise ValueError(text)
    return Place(corners)


def _corner(pair: str) -> tuple[float, float]:
    longitude, latitude = (float(number) for number in pair.split())
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(pair)
    return longitude, latitude
