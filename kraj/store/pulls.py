"""What is fetched over HTTPS for foreign devices: which, when next, and how it went."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, scalar_row

from kraj.store.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRow:
    """A pull as it is shown; the headers are only known to be there."""

    name: str
    municipality: str
    device: str
    url: str
    interval_s: int
    enabled: bool
    has_headers: bool
    due_at: datetime
    last_at: datetime | None
    last_error: str | None
    failures: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePull:
    """A pull whose time has come."""

    pull_id: int
    name: str
    device: str
    url: str
    headers: bytes | None
    interval_s: int
    failures: int


async def pulls(connection: Connection, *, municipality: str | None, name: str | None, limit: int) -> list[PullRow]:
    """Pulls by municipality and name."""
    async with connection.cursor(row_factory=class_row(PullRow)) as cursor:
        await cursor.execute(
            "SELECT p.name, m.name AS municipality, d.name AS device, p.url, p.interval_s, p.enabled,"
            " p.headers IS NOT NULL AS has_headers, p.due_at, p.last_at, p.last_error, p.failures, p.version"
            " FROM pull p JOIN municipality m USING (municipality_id) JOIN device d ON d.device_id = p.device_id"
            " WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND (%(name)s::text IS NULL OR p.name = %(name)s)"
            " ORDER BY m.name, p.name LIMIT %(limit)s",
            {"town": municipality, "name": name, "limit": limit},
        )
        return await cursor.fetchall()


async def add(
    connection: Connection, *, name: str, device: str, url: str, headers: bytes | None, interval_s: int, at: datetime
) -> str | None:
    """Fetch something for a foreign device from now on; its municipality, or None where there is no such device."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            "WITH made AS (INSERT INTO pull (municipality_id, name, device_id, url, headers, interval_s, due_at)"
            " SELECT f.municipality_id, %(name)s, f.device_id, %(url)s, %(headers)s, %(interval_s)s, %(at)s"
            " FROM foreign_device f JOIN device d USING (device_id) WHERE d.name = %(device)s AND f.adapter = 'json'"
            " RETURNING municipality_id) SELECT m.name FROM made JOIN municipality m USING (municipality_id)",
            {"name": name, "device": device, "url": url, "headers": headers, "interval_s": interval_s, "at": at},
        )
        return await cursor.fetchone()


async def drop(connection: Connection, municipality: str, name: str) -> bool:
    """Fetch it no more."""
    cursor = await connection.execute(
        "DELETE FROM pull WHERE name = %s AND municipality_id ="
        " (SELECT municipality_id FROM municipality WHERE name = %s)",
        [name, municipality],
    )
    return cursor.rowcount == 1


async def due(connection: Connection, at: datetime, *, limit: int) -> list[DuePull]:
    """What is to be fetched now, the longest overdue first."""
    async with connection.cursor(row_factory=class_row(DuePull)) as cursor:
        await cursor.execute(
            "SELECT p.pull_id, p.name, d.name AS device, p.url, p.headers, p.interval_s, p.failures"
            " FROM pull p JOIN device d USING (device_id) WHERE p.enabled AND p.due_at <= %s"
            " ORDER BY p.due_at LIMIT %s",
            [at, limit],
        )
        return await cursor.fetchall()


async def done(
    connection: Connection, pull_id: int, *, at: datetime, due_at: datetime, error: str | None, failures: int
) -> None:
    """How it went, and when next."""
    values: list[Any] = [at, due_at, error and error[:500], failures, pull_id]
    await connection.execute(
        "UPDATE pull SET last_at = %s, due_at = %s, last_error = %s, failures = %s WHERE pull_id = %s", values
    )
