"""Text that people send, as patterns that are both what is checked and what the OpenAPI document tells."""

from typing import Annotated, Any

from pydantic import StringConstraints

UNSEEN = r"\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
"""Control and format characters and odd spaces: they hide, turn the direction, or look like others."""
WHOLE = r"^[^\u0000]*$"
"""PostgreSQL takes no zero bytes."""
LINE = rf"^[^{UNSEEN}]*[^{UNSEEN} ][^{UNSEEN}]*$"
LINE_OR_NONE = rf"^[^{UNSEEN}]*$"
PROSE = rf"^[^\u0000]*[^{UNSEEN} ][^\u0000]*$"

Json = dict[str, Any]
NULL: Json = {"type": "null"}
GIVEN: Json = {"not": NULL}


def one_of(*names: str, none: bool = False) -> Json:
    """Exactly one of these members is given and not null; with ``none`` also none of them is."""
    alone: list[Json] = [
        {"required": [name], "properties": {other: GIVEN if other == name else NULL for other in names}}
        for name in names
    ]
    return {"anyOf": [*alone, *([{"properties": dict.fromkeys(names, NULL)}] if none else [])]}


def some_of(*names: str) -> Json:
    """At least one of these members is given and not null."""
    return {"anyOf": [{"required": [name], "properties": {name: GIVEN}} for name in names]}


def together(*names: str) -> Json:
    """All of these members are given and not null, or none is."""
    given = {"required": [*names], "properties": dict.fromkeys(names, GIVEN)}
    return {"anyOf": [given, {"properties": dict.fromkeys(names, NULL)}]}


Whole = Annotated[str, StringConstraints(pattern=WHOLE)]
