"""Bytes of strangers to plain JSON values, within bounds, and paths into them."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

from kraj.errors import PayloadError
from kraj.quarantine import PAYLOAD_BYTES_MAX

LEVELS_MAX = 24
"""A LoRaWAN uplink with everything in it nests some ten levels."""
PATH_CHARS_MAX = 200
PATH_STEPS_MAX = 16
SHOWN_CHARS_MAX = 60

_STEP = re.compile(r"""(?:\.?([^.\[\]"]+))|(?:\[(\d{1,5})\])|(?:\["([^"]{1,100})"\])""")


class _Missing:
    """Stands for what is not there, which null is not."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()


def text(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> str:
    """The payload as text; raises ``PayloadError``."""
    if len(payload) > bytes_max:
        raise PayloadError("too_large", f"{len(payload)} bytes; at most {bytes_max}")
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError("not_utf8", f"byte {payload[error.start]:#04x} at offset {error.start}") from error


def parse(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> Any:
    """The payload as JSON; NaN and infinity, which JSON does not have, are null. Raises ``PayloadError``."""
    found = text(payload, bytes_max)
    try:
        value = json.loads(found, parse_constant=lambda _: None, parse_float=_real, parse_int=_whole)
    except RecursionError as error:
        raise PayloadError("too_deep", f"nested more than {LEVELS_MAX} levels") from error
    except ValueError as error:
        raise PayloadError("not_json", f"{error}; the message begins {found[:40]!r}") from error
    check_depth(value, LEVELS_MAX)
    return value


def parse_object(payload: bytes) -> dict[str, Any]:
    """The payload as a JSON object; raises ``PayloadError``."""
    value = parse(payload)
    if not isinstance(value, dict):
        raise PayloadError("foreign_message", f"an object is expected, found {what(value)}")
    return cast("dict[str, Any]", value)


def check_depth(value: Any, levels: int) -> None:
    """Raise ``PayloadError`` for what is nested deeper; without recursion, so that depth itself does no harm."""
    layer = [value]
    for _ in range(levels):
        children: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                children += cast("dict[str, Any]", item).values()
            elif isinstance(item, list):
                children += cast("list[Any]", item)
        if not children:
            return
        layer = children
    raise PayloadError("too_deep", f"nested more than {levels} levels")


def _real(digits: str) -> float | None:
    value = float(digits)
    return value if abs(value) != float("inf") else None


def _whole(digits: str) -> int | float | None:
    return int(digits) if len(digits) <= 18 else _real(digits)


def number(value: Any) -> float | None:
    """A plain number, or None for everything else (a truth value is no number)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def what(value: object) -> str:
    """A value as a person reads it in a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the text {value[:SHOWN_CHARS_MAX]!r}"
        case _:
            return str(value)[:SHOWN_CHARS_MAX]


@dataclass(frozen=True, slots=True)
class Path:
    """Keys and positions into a JSON value. One that begins with ``$`` starts at the message, others at the record."""

    steps: tuple[str | int, ...]
    absolute: bool
    shown: str

    @classmethod
    def read(cls, given: str) -> "Path":
        """Read ``ENERGY.Power[0]``, ``$.time``, ``["Power [W]"]``; raises ``ValueError`` that says what is wrong."""
        if len(given) > PATH_CHARS_MAX:
            raise ValueError(f"a path has at most {PATH_CHARS_MAX} characters")
        absolute = given.startswith("$")
        rest = given[1:] if absolute else given
        steps: list[str | int] = []
        position = 0
        while position < len(rest):
            found = _STEP.match(rest, position)
            if found is None or (absolute and not steps and rest[0] not in ".["):
                raise ValueError(f'{given!r} is no path; write a.b[0].c, or ["a key with . or ["]')
            name, index, quoted = found.groups()
            steps.append(int(index) if index is not None else name if name is not None else quoted)
            position = found.end()
        if len(steps) > PATH_STEPS_MAX:
            raise ValueError(f"a path has at most {PATH_STEPS_MAX} steps")
        if not steps and not absolute:
            raise ValueError("a path is empty; $ is the whole message")
        return cls(tuple(steps), absolute, given)

    def find(self, message: Any, record: Any) -> Any:
        """What the path leads to, or ``MISSING``."""
        value = message if self.absolute else record
        for step in self.steps:
            if isinstance(step, str) and isinstance(value, dict):
                value = cast("dict[str, Any]", value).get(step, MISSING)
            elif isinstance(step, int) and isinstance(value, list):
                items = cast("list[Any]", value)
                value = items[step] if step < len(items) else MISSING
            else:
                return MISSING
            if value is MISSING:
                return MISSING
        return value
