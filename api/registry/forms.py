"""Forms of the registry: read, turned into the bodies that the API takes as JSON, done once."""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from api import acting
from api.database import Connection
from api.problems import Problem
from api.registry import exchange
from api.site import Site
from kraj.attributes import ATTRIBUTES, Attribute
from kraj.importing import places
from kraj.importing.findings import Finding, told
from kraj.importing.places import Place
from kraj.store import registering

FIELDS_MAX = 100
PREFIX = "m."
"""Before the names of attributes, so that they never meet other fields."""


async def read(request: Request) -> tuple[dict[str, str], bytes]:
    """The fields of a form, and its bytes."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise Problem("form", 415, given=media)
    raw = await acting.bounded(request)
    try:
        return dict(parse_qsl(raw.decode(), max_num_fields=FIELDS_MAX)), raw
    except ValueError as error:
        raise Problem("body", 400, name="body", value="?") from error


def checked(model: type[exchange.Body], fields: Mapping[str, object]) -> exchange.Body:
    """The fields as this model; raise the problem that names what is wrong."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise exchange.wrong(error) from error


def version(given: dict[str, str], version: int) -> int:
    """The version that the form was made of, which is the one there is; else raise that it has changed."""
    if given.get("version") != str(version):
        raise exchange.changed()
    return version


async def done(site: Site, given: dict[str, str], request: Request, raw: bytes, doing: exchange.Work) -> Response:
    """Do it once for each form that was shown, and go on to what it says."""
    answer = await exchange.once(site.service, given.get("key"), request.url.path, raw, doing)
    return RedirectResponse(answer.headers["location"], 303)


def asset(given: dict[str, str], language: str) -> dict[str, Any]:
    """A new asset; what was left empty is left out. Raises ``Problem('place')``, told in the language."""
    kind = given.get("kind", "")
    attributes = {key: value for key, value in metadata(given, kind).items() if value is not None}
    fields: dict[str, Any] = {"kind": kind, "label": given.get("label", ""), "metadata": attributes}
    return fields | _place(given, language)


def change(given: dict[str, str], kind: str, language: str) -> dict[str, Any]:
    """Everything that stands in the form of a known asset; an attribute that was emptied is removed."""
    place = _place(given, language) or {"latitude": None, "longitude": None}
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


def shown(given: dict[str, str], kind: str) -> dict[str, Any]:
    """What was sent, for the form to show again with what is wrong."""
    fields: dict[str, Any] = {name: given.get(name, "") for name in ("label", "device", "latitude", "longitude")}
    return fields | {"metadata": {one.name: given.get(PREFIX + one.name, "") for one in ATTRIBUTES.get(kind, ())}}


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


def _place(given: dict[str, str], language: str) -> dict[str, Any]:
    """Both coordinates, as every file may have them, too: degrees, S-JTSK, or both in the first field."""
    latitude, longitude = (given.get(name, "").strip() for name in ("latitude", "longitude"))
    if not latitude and not longitude:
        return {}
    both = (latitude, longitude) if latitude and longitude else places.pair(latitude or longitude)
    found = _found(both) if both else Finding("half_place")
    if isinstance(found, Finding):
        what, remedy = told(found, language)
        if found.code == "swapped":
            raise Problem("place_swapped", 400, latitude=latitude, longitude=longitude)
        raise Problem("place", 400, what=what, remedy=remedy)
    return {"latitude": found.latitude, "longitude": found.longitude}


def _found(both: tuple[str, str]) -> Place | Finding:
    numbers: list[float] = []
    for text in both:
        value = places.angle(text)
        one = number(text) if value is None else value
        if isinstance(one, str) or not math.isfinite(one):
            return Finding("coordinate", None, {"value": text})
        numbers.append(one)
    return places.place(*numbers, latitude_first=True)


def _attribute(one: Attribute, text: str) -> str | float | int | None:
    if not text:
        return None
    if one.flag:
        return 1
    return text if one.words else number(text)
