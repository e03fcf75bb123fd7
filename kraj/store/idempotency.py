"""Requests that were answered, so that the same one gets the same answer instead of being done twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Json, Jsonb

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that was answered; ``digest`` is of its body."""

    route: str
    digest: bytes
    status: int | None
    answer: dict[str, Any] | None
    headers: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Key:
    """A request that may be sent again: whose, under which name, to which address, with which body (its digest)."""

    person_id: int
    name: str
    route: str
    digest: bytes


async def take(connection: Connection, key: Key, *, at: datetime, since: datetime) -> Kept | None:
    """Take a key for this transaction; what was answered under it since, if anything.

    Waits for another transaction that has taken the same key and is not done.
    """
    await connection.execute("DELETE FROM idempotency_key WHERE person_id = %s AND at < %s", [key.person_id, since])
    cursor = await connection.execute(
        "INSERT INTO idempotency_key (person_id, key, route, digest, at) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [key.person_id, key.name, key.route, key.digest, at],
    )
    if cursor.rowcount:
        return None
    async with connection.cursor(row_factory=class_row(Kept)) as found:
        await found.execute(
            "SELECT route, digest, status, answer, headers FROM idempotency_key WHERE person_id = %s AND key = %s",
            [key.person_id, key.name],
        )
        return await found.fetchone()


async def keep(
    connection: Connection, key: Key, status: int, answer: Mapping[str, Any] | None, headers: Mapping[str, str]
) -> None:
    """Keep what is answered."""
    body = None if answer is None else Json(dict(answer))
    await connection.execute(
        "UPDATE idempotency_key SET status = %s, answer = %s, headers = %s WHERE person_id = %s AND key = %s",
        [status, body, Jsonb(dict(headers)), key.person_id, key.name],
    )
