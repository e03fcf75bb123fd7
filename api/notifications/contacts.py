"""Whom to tell, as people keep it: what they send and are answered, and writing it down. An address is never shown."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal

import psycopg
from pydantic import AwareDatetime, BaseModel, Field, PlainSerializer, SecretStr

from api.acting import who
from api.notifications import webhooks
from api.notifications.inside import inside
from api.notifications.sending import PLAIN, PLAIN_SCHEME, valid
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
    webhook: bool = Field(description="It is posted signed JSON, see docs/notifications.md.")
    tested_at: Instant | None = Field(description="When the last test message was sent, or failed.")
    test_error: str | None
    test_waits: bool = Field(description="A test message has not been sent yet.")


class WrittenTarget(Target):
    """A target that was written."""

    secret: str | None = Field(description="Of a signed webhook with a new address or secret; shown this once.")


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


@dataclass(frozen=True, slots=True)
class Written:
    """The number of a target that was written, and its secret where it is a webhook with a new one."""

    number: int
    secret: str | None = field(default=None, repr=False)


async def write(connection: Connection, number: int | None, body: TargetBody, *, mails: bool) -> Written:
    """Add or change a target; a person's plain e-mail address will do where the installation ``mails``."""
    if (body.quiet_from is None) != (body.quiet_to is None):
        raise Problem("quiet_hours", 400)
    url = await _address(body, mails=mails)
    if url is None and number is None:
        raise Problem("target_url", 400)
    fields: dict[str, Any] = body.model_dump(exclude={"municipality", "url"})
    fields["severity_min"] = str(body.severity_min)
    fields["municipality_id"] = await place(connection, body.municipality)
    secret = None
    if url is not None:
        if inside(url) and not await rulebook.may(connection, "rules", None):
            raise Problem("target_local", 400)
        fields["url"] = url
        if webhooks.known(url):
            fields["webhook_secret"] = secret = webhooks.new_secret()
    if number is not None:
        await known(connection, number)
    try:
        async with connection.transaction():
            written = await contacts.write_target(connection, number, fields)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("target_name", 409, name=body.name) from error
    if written is None:
        raise Problem("target", 404, name=number)
    return Written(written, secret)


async def _address(body: TargetBody, *, mails: bool) -> str | None:
    """The address to keep, None where the present one stays."""
    url = None if body.url is None else body.url.get_secret_value().strip() or None
    if url is not None and PLAIN.fullmatch(url):
        if not mails:
            raise Problem("target_mail", 409)
        url = PLAIN_SCHEME + url
    if url is not None and not await asyncio.to_thread(valid, url):
        raise Problem("target_url", 400)
    return url


async def renew(connection: Connection, number: int) -> Written:
    """A new secret for a webhook; the one before signs, too, for a day."""
    if not (await known(connection, number)).webhook:
        raise Problem("target_unsigned", 409, name=number)
    secret = webhooks.new_secret()
    await contacts.write_target(connection, number, {"webhook_secret": secret})
    return Written(number, secret)


async def drop(service: Service, number: int) -> None:
    """Take a target away."""
    async with service.database.connection(write=True) as connection:
        await known(connection, number)
        await contacts.drop_target(connection, number)


async def test(connection: Connection, number: int, at: datetime) -> None:
    """Let the worker send a test message."""
    await known(connection, number)
    await contacts.ask_test(connection, number, who=who(), at=at)


async def put_on_call(connection: Connection, body: TurnBody, at: datetime) -> int:
    """Put a target on call; its turn's number."""
    if not body.valid_from < body.valid_to <= body.valid_from + TURN_MAX:
        raise Problem("turn_span", 400)
    owner = await place(connection, body.municipality)
    await known(connection, body.target_id)
    if len(await contacts.turns(connection, at, limit=TURNS_AHEAD_MAX)) >= TURNS_AHEAD_MAX:
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
