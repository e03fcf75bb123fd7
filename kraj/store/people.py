"""People as their municipality sees them: roles, tokens and sessions; the wall judges each statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from kraj.store import sign_in

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person, without anything secret."""

    person_id: int
    name: str
    title: str
    language: str
    issuer: str | None
    totp_confirmed_at: datetime | None
    break_glass: bool
    created_at: datetime
    disabled_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipRow:
    """A role of a person in a municipality, or in the region (None)."""

    membership_id: int
    person_id: int
    municipality: str | None
    municipality_title: str | None
    role: str
    valid_from: datetime
    valid_to: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token of one's own; its secret was shown once."""

    token_id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A browser in which one is signed in."""

    session_id: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_agent: str


@dataclass(frozen=True, slots=True)
class Town:
    """A municipality whose people one manages."""

    municipality_id: int
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a successor has taken over; ``uncovered`` turns on call have nobody who would be called."""

    alerts: int
    turns: int
    uncovered: int
    targets: int


_PERSON = (
    "SELECT person_id, name, title, language, issuer, totp_confirmed_at, break_glass, created_at, disabled_at, version"
    " FROM person p"
)
_MEMBERSHIP = (
    "SELECT membership_id, person_id, t.name AS municipality, t.title AS municipality_title, role, m.valid_from,"
    " m.valid_to, m.version FROM membership m LEFT JOIN municipality t USING (municipality_id)"
)


async def towns(connection: Connection) -> list[Town]:
    """Municipalities whose people the principal manages, by title."""
    async with connection.cursor(row_factory=class_row(Town)) as cursor:
        await cursor.execute(
            "SELECT municipality_id, name, title FROM municipality"
            " WHERE municipality_id = ANY ((SELECT kraj_municipalities('people'))::integer[]) ORDER BY title"
        )
        return await cursor.fetchall()


async def manages_region(connection: Connection) -> bool:
    """Whether the principal manages the region's people."""
    row = await (await connection.execute("SELECT kraj_region('people')")).fetchone()
    return bool(row and row[0])


async def manages(connection: Connection, person_id: int) -> bool:
    """Whether the principal manages people everywhere where this person may do anything."""
    row = await (await connection.execute("SELECT kraj_manages(%s)", [person_id])).fetchone()
    return bool(row and row[0])


async def people(
    connection: Connection, *, municipality: str | None = None, after: int = 0, limit: int
) -> list[PersonRow]:
    """People by id whom the principal may see: of a municipality, or all."""
    where = " WHERE person_id > %(after)s"
    if municipality is not None:
        where += (
            " AND EXISTS (SELECT FROM membership m JOIN municipality t USING (municipality_id)"
            " WHERE m.person_id = p.person_id AND t.name = %(town)s)"
        )
    statement = f"{_PERSON}{where} ORDER BY person_id LIMIT %(limit)s"
    async with connection.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute(statement.encode(), {"after": after, "town": municipality, "limit": limit})
        return await cursor.fetchall()


async def person(connection: Connection, person_id: int) -> PersonRow | None:
    """One of them."""
    async with connection.cursor(row_factory=class_row(PersonRow)) as cursor:
        await cursor.execute(f"{_PERSON} WHERE person_id = %s".encode(), [person_id])
        return await cursor.fetchone()


async def memberships(
    connection: Connection, *, person_ids: list[int] | None = None, after: int = 0, limit: int = 1000
) -> list[MembershipRow]:
    """Roles by id, ended ones included: of these people, or of all."""
    statement = (
        f"{_MEMBERSHIP} WHERE membership_id > %(after)s"
        " AND (%(people)s::integer[] IS NULL OR person_id = ANY (%(people)s))"
        " ORDER BY membership_id LIMIT %(limit)s"
    )
    async with connection.cursor(row_factory=class_row(MembershipRow)) as cursor:
        await cursor.execute(statement.encode(), {"people": person_ids, "after": after, "limit": limit})
        return await cursor.fetchall()


async def membership(connection: Connection, membership_id: int) -> MembershipRow | None:
    """One of them."""
    async with connection.cursor(row_factory=class_row(MembershipRow)) as cursor:
        await cursor.execute(f"{_MEMBERSHIP} WHERE membership_id = %s".encode(), [membership_id])
        return await cursor.fetchone()


async def invite(connection: Connection, name: str, title: str, language: str, at: datetime) -> tuple[int, bool]:
    """The person of an e-mail, made if need be; and whether they still have no way to sign in."""
    cursor = await connection.execute("SELECT * FROM kraj_invite(%s, %s, %s, %s)", [name, title, language, at])
    found: tuple[int, bool] = (await cursor.fetchall())[0]
    return found


async def add_membership(
    connection: Connection, person_id: int, municipality_id: int | None, role: str, valid_to: datetime | None
) -> int:
    """Give a role from now on. Raises psycopg's ``UniqueViolation`` when they hold it already."""
    cursor = await connection.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from, valid_to)"
        " VALUES (%s, %s, %s, clock_timestamp(), %s) RETURNING membership_id",
        [person_id, municipality_id, role, valid_to],
    )
    return (await cursor.fetchall())[0][0]


async def end_membership(connection: Connection, membership_id: int, version: int) -> bool:
    """End a role now; False when somebody has changed it, or it is over."""
    cursor = await connection.execute(
        "UPDATE membership SET valid_to = greatest(clock_timestamp(), valid_from + interval '1 microsecond'),"
        " version = version + 1 WHERE membership_id = %s AND version = %s"
        " AND (valid_to IS NULL OR valid_to > clock_timestamp())",
        [membership_id, version],
    )
    return cursor.rowcount == 1


async def disable(connection: Connection, person_id: int, version: int, at: datetime) -> bool:
    """Shut somebody out everywhere, at once; False when that is not the principal's to do, or they were changed."""
    cursor = await connection.execute("SELECT kraj_disable(%s, %s, %s)", [person_id, at, version])
    row = await cursor.fetchone()
    return bool(row and row[0])


async def hand_over(connection: Connection, person_id: int, successor: int | None, at: datetime) -> HandedOver:
    """What they had in hand goes to a successor; without one, their targets are switched off all the same."""
    async with connection.cursor(row_factory=class_row(HandedOver)) as cursor:
        await cursor.execute("SELECT * FROM kraj_hand_over(%s, %s, %s)", [person_id, successor, at])
        return (await cursor.fetchall())[0]


async def forget_totp(connection: Connection, person_id: int) -> bool:
    """Let somebody set up a new second factor; False when that is not the principal's to do."""
    row = await (await connection.execute("SELECT kraj_totp_forget(%s)", [person_id])).fetchone()
    return bool(row and row[0])


async def choose_language(connection: Connection, language: str) -> None:
    """The language of the principal's messages and pages."""
    await connection.execute("SELECT kraj_language(%s)", [language])


async def tokens(connection: Connection, *, after: int = 0, limit: int = 200) -> list[TokenRow]:
    """The principal's tokens by id, ended ones included."""
    async with connection.cursor(row_factory=class_row(TokenRow)) as cursor:
        await cursor.execute(
            "SELECT token_id, name, scopes, created_at, expires_at, seen_at, revoked_at FROM access_token"
            " WHERE token_id > %s ORDER BY token_id LIMIT %s",
            [after, limit],
        )
        return await cursor.fetchall()


async def add_token(
    connection: Connection,
    person_id: int,
    *,
    name: str,
    scopes: list[str],
    at: datetime,
    expires_at: datetime,
    second_factor: bool,
) -> tuple[int, str]:
    """A new token of the principal: its id, and what programs send, which nobody can read again."""
    secret = sign_in.secret()
    cursor = await connection.execute(
        "INSERT INTO access_token (digest, person_id, name, scopes, created_at, expires_at, second_factor)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING token_id",
        [sign_in.digest(secret), person_id, name, scopes, at, expires_at, second_factor],
    )
    token_id: int = (await cursor.fetchall())[0][0]
    return token_id, f"kraj_{token_id}_{secret}"


async def revoke_token(connection: Connection, token_id: int, at: datetime) -> bool:
    """End a token of the principal; False when there is none, or it has ended."""
    cursor = await connection.execute(
        "UPDATE access_token SET revoked_at = %s WHERE token_id = %s AND revoked_at IS NULL", [at, token_id]
    )
    return cursor.rowcount == 1


async def sessions(connection: Connection, at: datetime) -> list[SessionRow]:
    """Where the principal is signed in, the newest first."""
    async with connection.cursor(row_factory=class_row(SessionRow)) as cursor:
        await cursor.execute(
            "SELECT session_id, created_at, seen_at, expires_at, user_agent FROM sign_in_session"
            " WHERE expires_at > %s ORDER BY seen_at DESC LIMIT 100",
            [at],
        )
        return await cursor.fetchall()


async def end_session(connection: Connection, session_id: int) -> bool:
    """Sign the principal out somewhere."""
    cursor = await connection.execute("DELETE FROM sign_in_session WHERE session_id = %s", [session_id])
    return cursor.rowcount == 1
