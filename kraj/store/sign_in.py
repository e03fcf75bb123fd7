"""Sign-in in the database: sessions, tokens, attempts, passwords, second factors, links; of secrets digests only."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]

SECRET_BYTES = 32
SESSION_IDLE = timedelta(hours=12)
"""A working day with its night shift; whoever comes back each day stays signed in for ``SESSION_WHOLE``."""
SESSION_WHOLE = timedelta(days=30)
ATTEMPT_SPAN = timedelta(minutes=15)
ATTEMPTS_NAME_MAX = 10
ATTEMPTS_ADDRESS_MAX = 50
"""A town hall comes from one address; ten people who forget at once are still let try."""
AGENT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session with its person."""

    session_id: int
    second_factor: bool
    seen_at: datetime
    person_id: int
    name: str
    title: str
    language: str
    rights: list[str]
    owes_second_factor: bool
    has_totp: bool
    tenant: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token that is valid, with its person."""

    token_id: int
    scopes: list[str]
    second_factor: bool
    seen_at: datetime | None
    person_id: int
    name: str
    title: str
    language: str
    rights: list[str]
    owes_second_factor: bool
    tenant: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """What the check of a password needs; ``password`` is a hash."""

    person_id: int
    name: str
    title: str
    language: str
    password: str | None
    break_glass: bool
    owes_second_factor: bool
    has_totp: bool
    has_issuer: bool


@dataclass(frozen=True, slots=True)
class TotpRow:
    """The secret of a second factor, and the last step of the clock whose code was taken."""

    secret: str | None
    confirmed: bool
    last_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """What a link is good for, before it is used."""

    purpose: str
    person_id: int
    name: str
    title: str
    language: str
    detail: Mapping[str, Any]
    expires_at: datetime


def secret() -> str:
    """A new secret, as it stands in a cookie, a token or a link."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(given: str) -> bytes:
    """What is kept of a secret: it is long and random, so that nothing slower than SHA-256 is needed."""
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()


async def session(connection: Connection, given: str, at: datetime) -> SessionRow | None:
    """The session of a cookie, unless it has ended or its person was shut out."""
    async with connection.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            "SELECT *, door_tenant(person_id) AS tenant FROM door_session(%s, %s)", [digest(given), at]
        )
        return await cursor.fetchone()


async def session_seen(connection: Connection, session_id: int, at: datetime) -> None:
    """Let a session last on."""
    await connection.execute("SELECT door_session_seen(%s, %s, %s, %s)", [session_id, at, SESSION_IDLE, SESSION_WHOLE])


async def open_session(
    connection: Connection, person_id: int, at: datetime, *, second_factor: bool, user_agent: str
) -> str | None:
    """A new session; the secret for the cookie, or None when the person was shut out meanwhile."""
    made = secret()
    agent = user_agent.replace("\0", "")[:AGENT_CHARS_MAX]
    cursor = await connection.execute(
        "SELECT door_session_open(%s, %s, %s, %s, %s, %s)",
        [person_id, digest(made), at, at + SESSION_IDLE, second_factor, agent],
    )
    row = await cursor.fetchone()
    return made if row is not None and row[0] is not None else None


async def close_session(connection: Connection, given: str) -> None:
    """Sign out."""
    await connection.execute("SELECT door_session_close(%s)", [digest(given)])


async def token(connection: Connection, token_id: int, given: str, at: datetime) -> TokenRow | None:
    """A token, unless it has ended, was revoked, or its person was shut out."""
    async with connection.cursor(row_factory=class_row(TokenRow)) as cursor:
        await cursor.execute(
            "SELECT *, door_tenant(person_id) AS tenant FROM door_token(%s, %s, %s)", [token_id, digest(given), at]
        )
        return await cursor.fetchone()


async def token_seen(connection: Connection, token_id: int, at: datetime) -> None:
    """Write down that a token was used, so that nobody keeps one that nobody needs."""
    await connection.execute("SELECT door_token_seen(%s, %s)", [token_id, at])


async def attempt(connection: Connection, name: str, address: str, at: datetime) -> float:
    """Count an attempt; 0 when it may be judged, else the seconds to wait."""
    cursor = await connection.execute(
        "SELECT door_attempt(%s, %s, %s, %s, %s, %s)",
        [name, address, at, ATTEMPT_SPAN, ATTEMPTS_NAME_MAX, ATTEMPTS_ADDRESS_MAX],
    )
    row = await cursor.fetchone()
    return float(row[0]) if row else 0.0


async def forgive(connection: Connection, name: str) -> None:
    """Forget the attempts of who has signed in."""
    await connection.execute("SELECT door_forgive(%s)", [name])


async def named(connection: Connection, name: str) -> PersonRow | None:
    """Who signs in by this name, unless shut out."""
    async with connection.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute("SELECT * FROM door_person_named(%s)", [name])
        return await cursor.fetchone()


async def set_password(connection: Connection, person_id: int, hashed: str, *, everywhere: bool) -> None:
    """Keep a hash; ``everywhere`` ends all sessions and links, as after a reset."""
    await connection.execute("SELECT door_password_set(%s, %s, %s)", [person_id, hashed, everywhere])


async def totp(connection: Connection, person_id: int) -> TotpRow | None:
    """The second factor of a person."""
    async with connection.cursor(row_factory=class_row(TotpRow)) as cursor:
        await cursor.execute("SELECT * FROM door_totp(%s)", [person_id])
        return await cursor.fetchone()


async def begin_totp(connection: Connection, person_id: int, made: str) -> None:
    """Keep a secret that is not confirmed yet; a confirmed one stays."""
    await connection.execute("SELECT door_totp_begin(%s, %s)", [person_id, made])


async def take_totp(connection: Connection, person_id: int, step: int) -> bool:
    """Take a step of the clock; False when it, or a later one, was taken before."""
    return await _yes(connection, "SELECT door_totp_take(%s, %s)", [person_id, step])


async def confirm_totp(connection: Connection, person_id: int, at: datetime, recovery: list[str]) -> None:
    """The second factor works from now on, and these recovery codes instead of any earlier ones."""
    await connection.execute("SELECT door_totp_confirm(%s, %s, %s)", [person_id, at, [digest(one) for one in recovery]])


async def take_recovery(connection: Connection, person_id: int, given: str, at: datetime) -> bool:
    """Take a recovery code; False when it is unknown or was taken before."""
    return await _yes(connection, "SELECT door_recovery_take(%s, %s, %s)", [person_id, digest(given), at])


async def code(connection: Connection, given: str, at: datetime) -> CodeRow | None:
    """What a link is good for, unless it has ended or was used."""
    async with connection.cursor(row_factory=class_row(CodeRow)) as cursor:
        await cursor.execute("SELECT * FROM door_code(%s, %s)", [digest(given), at])
        return await cursor.fetchone()


async def take_code(connection: Connection, given: str, at: datetime) -> bool:
    """Use a link; True for one caller only, however many come at once."""
    return await _yes(connection, "SELECT door_code_take(%s, %s)", [digest(given), at])


async def make_code(
    connection: Connection, purpose: str, person_id: int, at: datetime, lasts: timedelta, **detail: object
) -> str:
    """A link's secret for a person."""
    made = secret()
    await connection.execute(
        "SELECT door_code_make(%s, %s, %s, %s, %s, %s)",
        [digest(made), purpose, person_id, at, at + lasts, json.dumps(detail)],
    )
    return made


async def by_subject(connection: Connection, issuer: str, subject: str, verified_name: str | None) -> int | None:
    """Whom an issuer of OpenID Connect means; the first time by the verified e-mail of somebody who was invited."""
    cursor = await connection.execute("SELECT door_subject(%s, %s, %s)", [issuer, subject, verified_name])
    row = await cursor.fetchone()
    return row[0] if row else None


async def _yes(connection: Connection, statement: str, parameters: list[object]) -> bool:
    row = await (await connection.execute(statement.encode(), parameters)).fetchone()
    return bool(row and row[0])


async def break_glass(connection: Connection, person_id: int, address: str, at: datetime) -> None:
    """Tell the operator's targets that the account for emergencies was used; ``at`` is the region's time."""
    await connection.execute("SELECT door_break_glass(%s, %s, %s)", [person_id, address, at])
