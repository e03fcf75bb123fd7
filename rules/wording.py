"""Texts with names in braces: what a rule tells people, filled with the evidence and attributes of one asset."""

import re
from collections.abc import Mapping, Sequence
from math import isnan
from string import Formatter
from typing import Any, cast

from rules.language.errors import RuleTextError, quoted

UNKNOWN = "?"
_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,63}")


def placeholders(template: str) -> tuple[str, ...]:
    """The names in braces, each once; ``RuleTextError`` where a brace holds anything but a plain name.

    Python's own formatting would follow dots and brackets into objects, so it never sees such a text.
    """
    return tuple(dict.fromkeys(name for _, name in _parts(template) if name is not None))


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The text with the values in place of their names, ``?`` for what is not known."""
    told = ((text, "" if name is None else _told(values.get(name))) for text, name in _parts(template))
    return "".join(text + value for text, value in told)


def _parts(template: str) -> list[tuple[str, str | None]]:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise RuleTextError(f"braces that do not fit ({error})", "a name in braces, as in {power_w}") from None
    for _, name, layout, conversion in parts:
        if name is not None and (not _PLAIN.fullmatch(name) or layout or conversion):
            raise RuleTextError(quoted("{" + name), "a plain name in braces, as in {power_w}")
    return [(text, name) for text, name, _, _ in parts]


def _told(value: Any) -> str:
    if value is None or (isinstance(value, float) and isnan(value)):
        return UNKNOWN
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("Sequence[Any]", value))) or UNKNOWN
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
