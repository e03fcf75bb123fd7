"""Whom to tell, as people keep it: what they send and are answered, and writing it down. An address is never shown."""

import asyncio
import ipaddress
from datetime import time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import psycopg
from pydantic import AwareDatetime, BaseModel, Field, PlainSerializer, SecretStr

from api.acting import who
from api.notifications.sending import valid
from api.problems import Problem
from api.rulebook.asking import town
from api.rulebook.bodies import Body, Town
from api.schemas import Instant, Paged
from api.service import Service
from kraj.alerts import Severity
from kraj.store import contacts, rulebook
from kraj.store.connection import Connection

TURN_MAX = timedelta(days=366)
TURNS_AHEAD_MAX = 1000
URL_CHARS_MAX = 2000
LOCAL_SCHEMES = frozenset({"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog", "rsyslog"})
"""What of apprise does something on this machine instead of sending a message."""

Clock = Annotated[time, PlainSerializer(lambda at: at.strftime("%H:%M"), return_type=str)]


class TargetBody(Body):
    """Where messages go. Without ``url`` a target that is known keeps its own."""

    municipality: Town | None = Field(None, description="Whose alerts; null: the whole region's.")
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$", description="How you call it.")
    url: SecretStr | None = Field(None, max_length=URL_CHARS_MAX, description="As apprise has it; never shown again.")
    severity_min: Severity = Severity.MINOR
    quiet_from: time | None = Field(None, description="Local; in quiet hours only what is critical is sent.")
    quiet_to: time | None = None
    digest_at: time | None = Field(None, description="Minor ones in one message at this local time.")
    language: Literal["cs", "en"] = "cs"
    enabled: bool = True


class TurnBody(Body):
    """Somebody is on call."""

    target_id: int = Field(ge=1, le=2**31 - 1)
    municipality: Town | None = Field(None, description="For whose alerts; null: the region's.")
    place: int = Field(1, ge=1, le=20, description="1 is called first.")
    valid_from: AwareDatetime
    valid_to: AwareDatetime
    escalate_after_min: int = Field(15, ge=1, le=1440, description="Then the next one is told.")


class Target(BaseModel):
    """Where messages go, without the address."""

    target_id: int
    municipality: str | None
    name: str
    severity_min: Severity
    quiet_from: Clock | None
    quiet_to: Clock | None
    digest_at: Clock | None
    language: str
    enabled: bool
    tested_at: Instant | None = Field(description="When the last test message was sent, or failed.")
    test_error: str | None
    test_waits: bool = Field(description="A test message has not been sent yet.")


class TargetPage(Paged):
    """Targets by number."""

    items: list[Target]


class Turn(BaseModel):
    """A turn on call."""

    on_call_id: int
    municipality: str | None
    target_id: int
    target: str
    place: int
    valid_from: Instant
    valid_to: Instant
    escalate_after_min: int


class TurnPage(Paged):
    """Turns that are not over, by number."""

    items: list[Turn]


async def write(service: Service, number: int | None, body: TargetBody) -> int:
    """Add or change a target; its number."""
    if (body.quiet_from is None) != (body.quiet_to is None):
        raise Problem("quiet_hours", 400)
    url = None if body.url is None else body.url.get_secret_value().strip() or None
    if url is None and number is None:
        raise Problem("target_url", 400)
    if url is not None and not await asyncio.to_thread(valid, url):
        raise Problem("target_url", 400)
    fields: dict[str, Any] = body.model_dump(exclude={"municipality", "url"})
    fields["severity_min"] = str(body.severity_min)
    async with service.database.connection(write=True) as connection:
        fields["municipality_id"] = await place(connection, body.municipality)
        if url is not None:
            if _local(url) and not await rulebook.may(connection, "rules", None):
                raise Problem("target_local", 400)
            fields["url"] = url
        if number is not None:
            await known(connection, number)
        try:
            async with connection.transaction():
                written = await contacts.write_target(connection, number, fields)
        except psycopg.errors.UniqueViolation as error:
            raise Problem("target_name", 409, name=body.name) from error
        if written is None:
            raise Problem("target", 404, name=number)
    return written


async def drop(service: Service, number: int) -> None:
    """Take a target away."""
    async with service.database.connection(write=True) as connection:
        await known(connection, number)
        await contacts.drop_target(connection, number)


async def test(service: Service, number: int) -> None:
    """Let the worker send a test message."""
    async with service.database.connection(write=True) as connection:
        await known(connection, number)
        await contacts.ask_test(connection, number, who=who(), at=service.clock())


async def put_on_call(service: Service, body: TurnBody) -> int:
    """Put a target on call; its turn's number."""
    if not body.valid_from < body.valid_to <= body.valid_from + TURN_MAX:
        raise Problem("turn_span", 400)
    async with service.database.connection(write=True) as connection:
        owner = await place(connection, body.municipality)
        await known(connection, body.target_id)
        if len(await contacts.turns(connection, service.clock(), limit=TURNS_AHEAD_MAX)) >= TURNS_AHEAD_MAX:
            raise Problem("turns_many", 409, most=TURNS_AHEAD_MAX)
        return await contacts.add_turn(
            connection,
            municipality_id=owner,
            target_id=body.target_id,
            place=body.place,
            valid_from=body.valid_from,
            valid_to=body.valid_to,
            escalate_after_min=body.escalate_after_min,
        )


async def take_off(service: Service, number: int) -> None:
    """Take a turn away."""
    async with service.database.connection(write=True) as connection:
        row = await contacts.turn(connection, number)
        if row is None:
            raise Problem("turn", 404, name=number)
        await place(connection, row.municipality)
        await contacts.drop_turn(connection, number)


async def place(connection: Connection, municipality: str | None) -> int | None:
    """The municipality's number, None for the region; 403 or 404 for who may not say whom to tell there."""
    if municipality:
        return (await town(connection, municipality)).municipality_id
    if not await rulebook.may(connection, "rules", None):
        raise Problem("region_right", 403)
    return None


async def known(connection: Connection, number: int) -> contacts.ContactRow:
    """A target that the principal may change."""
    row = await contacts.target(connection, number)
    if row is None:
        raise Problem("target", 404, name=number)
    await place(connection, row.municipality)
    return row


def _local(url: str) -> bool:
    """Whether an address leads to this machine or its link: whoever asks for that shall have the region's right."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return True
    if parts.scheme in LOCAL_SCHEMES or host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_private
