"""Checking an asset's metadata against what its kind declares in ``kraj.attributes``."""

import math
from collections.abc import Mapping
from typing import Any, Final

from kraj.attributes import ATTRIBUTES, Attribute

OWN: Final = "x_"
"""Whoever registers may keep notes of its own under keys that begin so; they are text or numbers and judge nothing."""
TEXT_CHARS_MAX = 200
OWN_KEYS_MAX = 50
KEY_CHARS_MAX = 60


class MetadataError(ValueError):
    """A key that no attribute has, or a value that its attribute cannot have."""

    def __init__(self, key: str, value: object, wanted: str) -> None:
        super().__init__(f"{key}: {value!r}; wanted: {wanted}")
        self.key = key
        self.value = value
        self.wanted = wanted


def checked(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as it is stored: texts trimmed, numbers finite, flags 0 or 1, what is empty left out.

    Raises ``MetadataError`` that names the first key at fault.
    """
    known = {attribute.name: attribute for attribute in ATTRIBUTES[kind]}
    if sum(key.startswith(OWN) for key in given) > OWN_KEYS_MAX:
        raise MetadataError(OWN, len(given), f"at most {OWN_KEYS_MAX} keys of your own")
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known and not (key.startswith(OWN) and len(key) <= KEY_CHARS_MAX):
            raise MetadataError(key[:KEY_CHARS_MAX], value, f"one of {', '.join(known)}, or your own as {OWN}…")
        if value is None or value == "":
            continue
        found[key] = _own(key, value) if key not in known else _value(known[key], value)
    return found


def _value(attribute: Attribute, value: object) -> str | float | int:
    if attribute.words:
        return _text(attribute.name, value)
    if attribute.flag:
        if value not in (0, 1):
            raise MetadataError(attribute.name, value, "true or false")
        return int(bool(value))
    return _number(attribute.name, value)


def _own(key: str, value: object) -> str | float | int:
    return _text(key, value) if isinstance(value, str) else _number(key, value)


def _text(key: str, value: object) -> str:
    text = value.strip() if isinstance(value, str) else None
    if not text or len(text) > TEXT_CHARS_MAX or not text.isprintable():
        raise MetadataError(key, value, f"a text of 1 to {TEXT_CHARS_MAX} characters")
    return text


def _number(key: str, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e12:
        raise MetadataError(key, value, "a number")
    return value
