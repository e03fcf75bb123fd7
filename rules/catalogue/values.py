"""The values of a rule's keys: each function reads one sort, or says what it found and what it expected."""

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from kraj.metrics import NAME, Title
from rules.language.errors import RuleTextError, near, quoted
from rules.language.functions import FUNCTIONS, KNOWN
from rules.language.lexer import KEYWORDS

DURATION_MAX_S = 31 * 86_400
DAYS_MAX = 31
LIST_MAX = 16
THRESHOLDS_MAX = 16
THRESHOLD_MAX = 1e12

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(s|min|h|d)")
_DAYS = re.compile(r"([0-9]{1,3}) of ([0-9]{1,3})")
_RESERVED = KEYWORDS | FUNCTIONS.keys() | {KNOWN}


def told(value: object) -> str:
    """What was found, for an error."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quoted(value)
        case int() | float():
            return f"the number {value:.6g}" if abs(value) <= THRESHOLD_MAX else "an enormous number"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def text(longest: int) -> Callable[[Any], str]:
    """A text that is not empty."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise RuleTextError(told(value), "a text in quotes")
        if len(value) > longest:
            raise RuleTextError(f"a text of {len(value)} characters", f"at most {longest}")
        return value

    return read


def one_of(words: Sequence[str]) -> Callable[[Any], str]:
    """One of these words, as the member where they are an enum's."""

    def read(value: Any) -> str:
        for word in words:
            if isinstance(value, str) and word == value:
                return word
        expected = "one of " + ", ".join(f'"{word}"' for word in words)
        raise RuleTextError(told(value), expected, hint=near(value, map(str, words)) if isinstance(value, str) else "")

    return read


def one_or_more(read_one: Callable[[Any], str]) -> Callable[[Any], tuple[str, ...]]:
    """One value, or a list of different ones."""

    def read(value: Any) -> tuple[str, ...]:
        return _list(cast("list[Any]", value) if isinstance(value, list) else [value], read_one, least=1)

    return read


def names(value: Any) -> tuple[str, ...]:
    """A list of different names, which may be empty."""
    if not isinstance(value, list):
        raise RuleTextError(told(value), 'a list of names, as in ["clock_ok"]')
    return _list(cast("list[Any]", value), _name)


def _list(value: list[Any], read_one: Callable[[Any], str], least: int = 0) -> tuple[str, ...]:
    if not least <= len(value) <= LIST_MAX:
        raise RuleTextError(f"a list of {len(value)}", f"{least} to {LIST_MAX}")
    found = tuple(map(read_one, value))
    for place, one in enumerate(found):
        if one in found[:place]:
            raise RuleTextError(f"{quoted(one)} twice", "each once")
    return found


def _name(value: Any) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise RuleTextError(told(value), "a name of 2 to 48 small letters, digits and _")


def duration(value: Any) -> float:
    """A number with a unit of time, in seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise RuleTextError(told(value), 'a duration: "30 s", "10 min", "2 h" or "1 d"')
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    if seconds > DURATION_MAX_S:
        raise RuleTextError(told(value), f"at most {DURATION_MAX_S // 86_400} d")
    return seconds


def days(value: Any) -> tuple[int, int]:
    """On how many of how many nights or days."""
    match = _DAYS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise RuleTextError(told(value), 'how many of how many: "2 of 3"')
    hits, among = int(match.group(1)), int(match.group(2))
    if not 1 <= hits <= among <= DAYS_MAX:
        raise RuleTextError(told(value), f"1 or more of at most {DAYS_MAX}, and not more than there are")
    return hits, among


def yes_or_no(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise RuleTextError(told(value), "true or false, without quotes")


def threshold(value: Any) -> float:
    """A finite number of ordinary size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RuleTextError(told(value), "a number without quotes; its unit is the end of its name")
    if not abs(value) <= THRESHOLD_MAX:  # nor is NaN
        raise RuleTextError(told(value), f"a number within ±{THRESHOLD_MAX:.0e}")
    return float(value)


def thresholds(value: Any) -> dict[str, float]:
    """Numbers by name."""
    if not isinstance(value, dict):
        raise RuleTextError(told(value), "a table of numbers, as in { voltage_min_v = 180 }")
    given = cast("dict[str, Any]", value)
    if len(given) > THRESHOLDS_MAX:
        raise RuleTextError(f"{len(given)} thresholds", f"at most {THRESHOLDS_MAX}")
    found: dict[str, float] = {}
    for name, number in given.items():
        if not NAME.fullmatch(name) or name in _RESERVED:
            raise RuleTextError(f"the name {quoted(name)}", "a name that is no word of the language")
        try:
            found[name] = threshold(number)
        except RuleTextError as error:
            raise error.within(name) from None
    return found


def title(longest: int) -> Callable[[Any], Title]:
    """A text in Czech and English, or one for both."""
    read_text = text(longest)

    def read(value: Any) -> Title:
        if isinstance(value, str):
            return Title(cs=read_text(value), en=value)
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if given.keys() != {"cs", "en"}:
            raise RuleTextError(told(cast("object", value)), 'a text, or { cs = "česky", en = "in English" }')
        return Title(cs=read_text(given["cs"]), en=read_text(given["en"]))

    return read
