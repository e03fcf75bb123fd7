"""From the fields of a form, which are all text, to the bodies that the API takes as JSON."""

from typing import Any

from api.database import Connection
from kraj.attributes import ATTRIBUTES, Attribute
from kraj.store import registering

PREFIX = "m."
"""Before the names of attributes, so that they never meet other fields."""


def asset(given: dict[str, str]) -> dict[str, Any]:
    """A new asset; what was left empty is left out."""
    kind = given.get("kind", "")
    attributes = {key: value for key, value in metadata(given, kind).items() if value is not None}
    fields: dict[str, Any] = {"kind": kind, "label": given.get("label", ""), "metadata": attributes}
    return fields | _place(given)


def change(given: dict[str, str], kind: str) -> dict[str, Any]:
    """Everything that stands in the form of a known asset; an attribute that was emptied is removed."""
    place = _place(given) or {"latitude": None, "longitude": None}
    return {"label": given.get("label", ""), "metadata": metadata(given, kind)} | place


def metadata(given: dict[str, str], kind: str) -> dict[str, Any]:
    """Attributes by name; None where the field is empty. A flag that is not ticked is not sent by browsers."""
    return {one.name: _attribute(one, given.get(PREFIX + one.name, "").strip()) for one in ATTRIBUTES.get(kind, ())}


def group(given: dict[str, str]) -> dict[str, Any]:
    """A new group, filled by an attribute where one is given."""
    fields: dict[str, Any] = {"municipality": given.get("municipality", ""), "name": given.get("name", "")}
    attribute, value = given.get("attribute", ""), given.get("value", "").strip()
    if attribute and value:
        fields |= {"kind": attribute, "where": {attribute: number(value) if attribute == "phase" else value}}
    return fields


async def towns(connection: Connection) -> list[tuple[str, str]]:
    """Where the principal may register: names and titles."""
    return await registering.own_municipalities(connection)


def number(text: str) -> float | str:
    """A number as people write it, with a decimal comma too; what is none stays text, and is refused by its model."""
    try:
        value = float(text.replace(",", ".").replace("\xa0", "").replace(" ", ""))
    except ValueError:
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _place(given: dict[str, str]) -> dict[str, Any]:
    texts = {name: given.get(name, "").strip() for name in ("latitude", "longitude")}
    if not any(texts.values()):
        return {}
    return {name: number(text) if text else None for name, text in texts.items()}


def _attribute(one: Attribute, text: str) -> str | float | int | None:
    if not text:
        return None
    if one.flag:
        return 1
    return text if one.words else number(text)
