"""Taking a report from anybody, and following it by its token: what the page, Open311 and a clerk's form share."""

import ipaddress
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from api.database import Connection
from api.open311 import finding
from api.problems import Problem
from kraj.service_requests import (
    ADDRESS_CHARS_MAX,
    DESCRIPTION_CHARS_MAX,
    EMAIL,
    EMAIL_CHARS_MAX,
    HOW,
    SERVICES,
    WAITING,
    Service,
)
from kraj.store import service_requests as store

ASSET_MAX = 2**31 - 1
_REFUSED: dict[str, tuple[str, int]] = {
    "asset": ("report_asset", 404),
    "kind": ("report_kind", 422),
    "outside": ("report_outside", 400),
    "closed": ("report_closed", 403),
    "right": ("act_right", 403),
}
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
"""What neither a database nor XML takes, and what turns the direction of a page."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,40}")


class Wanted(BaseModel):
    """What somebody reports; ``asset_id``, both coordinates or ``address`` says where (the first of them counts)."""

    model_config = ConfigDict(str_strip_whitespace=True)

    service_code: str
    asset_id: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    address: str | None = None
    description: str = ""
    email: str | None = None
    language: Literal["cs", "en"] = "cs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who brings it: ``client`` is the connection's address, kept for a day as a digest with a key that dies with it.

    Of ``phone`` the name that is kept is that of whoever is signed in, who must have the right to act in the town.
    """

    channel: Literal["page", "open311", "phone"]
    client: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A report that is kept, or was already."""

    token: str
    merged_with_alert: bool
    duplicate: bool
    municipality: str | None
    """Its title; None where the place could not be told from the words."""
    offered: tuple[finding.Found, ...] = field(default=())
    """What of ours the words may mean; a person says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What anybody with the token may know: nothing personal, not even the reporter's own words."""

    token: str
    service_code: str
    service: str
    """In words."""
    status: Literal["open", "closed"]
    notes: str
    """How far it is, in words."""
    municipality: str | None
    place: str | None
    asset_id: int | None
    latitude: float | None
    longitude: float | None
    requested_at: datetime
    updated_at: datetime
    expected_at: datetime | None


async def take(connection: Connection, wanted: Wanted, source: Source) -> Taken:
    """Take a report within the caller's writable transaction (``service.database.connection(write=True)``).

    Raises ``Problem``: ``report_service`` or ``report_asset`` (404, unknown), ``report_kind`` (422, a stop is no lamp),
    ``report_place`` (400, no place at all), ``report_outside`` (400), ``report_text`` and ``report_email`` (400),
    ``report_closed`` (403, the town shows itself to nobody), ``act_right`` (403, by telephone), ``report_many`` (429).
    """
    service = SERVICES.get(wanted.service_code)
    if service is None:
        raise Problem("report_service", 404, name=wanted.service_code, known=", ".join(SERVICES))
    description = _text("description", wanted.description, DESCRIPTION_CHARS_MAX)
    address = " ".join(_text("address", wanted.address or "", ADDRESS_CHARS_MAX).split()) or None
    email = _email(wanted.email)
    latitude, longitude = _position(wanted)
    if wanted.asset_id is not None and not 1 <= wanted.asset_id <= ASSET_MAX:
        raise Problem("report_asset", 404, name=wanted.asset_id)
    if wanted.asset_id is None and latitude is None and address is None:
        raise Problem("report_place", 400)
    meant = finding.Meant(None)
    if wanted.asset_id is None and latitude is None and address is not None:
        meant = await finding.find(connection, address, service.kinds)
    given = {
        "code": service.code,
        "asset": wanted.asset_id,
        "latitude": latitude,
        "longitude": longitude,
        "address": address,
        "town": meant.town,
        "near": meant.only,
        "description": description,
        "email": email,
        "language": wanted.language,
        "channel": source.channel,
        "client": _network(source.client),
        "rules": list(service.rules),
        "kinds": list(service.kinds),
        "evidence": _evidence(service, address),
    }
    found = await store.take(connection, given, source.at)
    if found.outcome == "many":
        wait_s = max(1, math.ceil(found.wait_s))
        raise Problem("report_many", 429, retry_s=wait_s, minutes=math.ceil(wait_s / 60))
    if found.token is None:
        code, status = _REFUSED[found.outcome]
        raise Problem(code, status, name=wanted.asset_id, service=wanted.service_code)
    return Taken(
        token=found.token,
        merged_with_alert=found.merged,
        duplicate=found.duplicate,
        municipality=found.town,
        offered=meant.offered,
    )


async def follow(connection: Connection, token: str, language: str = "cs") -> Followed | None:
    """How far a report is, in words of a language; None for a token that nobody has."""
    if not TOKEN.fullmatch(token):
        return None
    found = await store.shown(connection, [token])
    return followed(found[0], language) if found else None


def followed(row: store.Shown, language: str) -> Followed:
    """A report in words."""
    title = HOW[row.closed_how] if row.closed_how else WAITING
    words = (getattr(title, language), row.status_notes)
    return Followed(
        token=row.service_request_id,
        service_code=row.service_code,
        service=getattr(SERVICES[row.service_code].title, language),
        status="closed" if row.status == "closed" else "open",
        notes=" ".join(filter(None, words)),
        municipality=row.municipality,
        place=row.place,
        asset_id=row.asset_id,
        latitude=row.latitude,
        longitude=row.longitude,
        requested_at=row.requested_at,
        updated_at=row.updated_at,
        expected_at=row.expected_at,
    )


def _text(name: str, given: str, most: int) -> str:
    text = _UNSEEN.sub("", given.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(text) > most:
        raise Problem("report_text", 400, name=name, length=len(text), most=most)
    return text


def _email(given: str | None) -> str | None:
    if given is None or not given.strip():
        return None
    email = given.strip().lower()
    if len(email) > EMAIL_CHARS_MAX or not EMAIL.fullmatch(email):
        raise Problem("report_email", 400, value=given)
    return email


def _position(wanted: Wanted) -> tuple[float | None, float | None]:
    """Both or none; to a tenth of a metre, as more would only tell of the telephone."""
    latitude, longitude = wanted.latitude, wanted.longitude
    if latitude is None and longitude is None:
        return None, None
    if latitude is None or longitude is None:
        raise Problem("report_place", 400)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also what is no number
        raise Problem("report_outside", 400)
    return round(latitude, 6), round(longitude, 6)


def _network(client: str) -> str:
    """Who it is by a connection's address: of IPv6 the network, as a telephone has a new one each day."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _evidence(service: Service, address: str | None) -> dict[str, str]:
    """What the alert knows of the report: nothing personal, as messages and history keep it."""
    return {
        "service_code": service.code,
        "report_cs": service.title.cs,
        "report_en": service.title.en,
        **({"report_place": address} if address else {}),
    }
