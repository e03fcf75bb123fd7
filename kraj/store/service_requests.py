"""Citizens' reports in the database: taken and followed by anybody through narrow functions, read by right."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Connection = psycopg.AsyncConnection[Any]
TOKEN_BYTES = 18
REPORTS_MAX = 100
"""Of one alert, as its page shows them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a report: ``taken``, or why not (``wait_s`` seconds for ``many``)."""

    outcome: str
    token: str | None
    merged: bool
    duplicate: bool
    town: str | None
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A report as anybody may know it; position and label are those of the thing, never the reporter's."""

    service_request_id: str
    service_code: str
    status: str
    closed_how: str | None
    status_notes: str | None
    municipality: str | None
    place: str | None
    asset_id: int | None
    latitude: float | None
    longitude: float | None
    requested_at: datetime
    updated_at: datetime
    expected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which reports; times are of the report, both ends included, ``municipality`` is a name."""

    since: datetime
    until: datetime
    codes: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    municipality: str | None = None
    limit: int = 50
    beyond: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """A report as people of the town read it on an alert's page, in the reporter's words."""

    request_number: int
    service_request_id: str
    service_code: str
    description: str
    address: str | None
    source: str
    who: str | None
    status: str
    requested_at: datetime
    latitude: float | None
    longitude: float | None
    candidate_id: int | None
    candidate: str | None
    parent_id: int | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An answer in hand; ``email`` None where the address has gone meanwhile."""

    request_number: int
    what: str
    attempts: int
    planned_at: datetime
    service_request_id: str
    service_code: str
    language: str
    closed_how: str | None
    status_notes: str | None
    municipality: str | None
    place: str | None
    email: str | None = field(repr=False)


async def take(connection: Connection, given: Mapping[str, Any], at: datetime) -> Outcome:
    """Take a report within the caller's transaction; the database judges where it is and whether it is too many."""
    body = {"token": secrets.token_urlsafe(TOKEN_BYTES), **given}
    async with connection.cursor(row_factory=class_row(Outcome)) as cursor:
        await cursor.execute("SELECT * FROM request_take(%s, %s)", [Jsonb(body), at])
        row = await cursor.fetchone()
        return row or Outcome("outside", None, merged=False, duplicate=False, town=None, wait_s=0)


async def shown(connection: Connection, which: Which | Sequence[str]) -> list[Shown]:
    """Reports by their tokens, or those of towns that show themselves, the newest first."""
    tokens = None if isinstance(which, Which) else list(which)
    asked = which if isinstance(which, Which) else None
    async with connection.cursor(row_factory=class_row(Shown)) as cursor:
        await cursor.execute(
            "SELECT * FROM request_shown(%s::text[], %s::text[], %s::text, %s::timestamptz, %s::timestamptz,"
            " %s::text[], %s, %s)",
            [
                tokens,
                asked and asked.codes and list(asked.codes),
                asked and asked.municipality,
                asked and asked.since,
                asked and asked.until,
                asked and asked.statuses and list(asked.statuses),
                asked.limit if asked else len(tokens or ()),
                asked.beyond if asked else 0,
            ],
        )
        return await cursor.fetchall()


async def of_alert(connection: Connection, alert_id: int) -> list[ReportRow]:
    """Reports of an alert and of what it explains, the first one first."""
    async with connection.cursor(row_factory=class_row(ReportRow)) as cursor:
        await cursor.execute(
            "SELECT r.request_number, r.service_request_id, r.service_code, r.description, r.address, r.source, r.who,"
            " r.status, r.requested_at, r.latitude, r.longitude, r.candidate_id, c.label AS candidate,"
            " r.parent_id, r.version"
            " FROM service_request r LEFT JOIN asset c ON c.asset_id = r.candidate_id"
            " WHERE r.alert_id = %(alert)s OR r.alert_id IN (SELECT alert_id FROM alert WHERE parent_id = %(alert)s)"
            " ORDER BY r.request_number LIMIT %(most)s",
            {"alert": alert_id, "most": REPORTS_MAX},
        )
        return await cursor.fetchall()


async def next_due(connection: Connection, now: datetime) -> Due | None:
    """The next answer to send, locked until the transaction ends; those in another worker's hands are skipped."""
    async with connection.cursor(row_factory=class_row(Due)) as cursor:
        await cursor.execute(
            """
            SELECT a.request_number, a.what, a.attempts, a.planned_at, r.service_request_id, r.service_code, r.language,
                   r.closed_how, r.status_notes, m.title AS municipality, s.label AS place, c.email
            FROM service_request_answer a JOIN service_request r USING (request_number)
            LEFT JOIN service_request_contact c USING (request_number)
            LEFT JOIN municipality m ON m.municipality_id = r.municipality_id
            LEFT JOIN asset s ON s.asset_id = r.asset_id
            WHERE a.done_at IS NULL AND a.due_at <= %s
            ORDER BY a.due_at, a.request_number, a.what DESC LIMIT 1 FOR UPDATE OF a SKIP LOCKED
            """,
            [now],
        )
        return await cursor.fetchone()


async def answered(connection: Connection, due: Due, at: datetime, error: str | None = None) -> None:
    """It went out, or (with ``error``) is given up; after the last answer the address is deleted."""
    await connection.execute("SELECT request_answered(%s, %s, %s, %s)", [due.request_number, due.what, at, error])


async def postpone(connection: Connection, due: Due, until: datetime) -> None:
    """Try again later."""
    await connection.execute(
        "UPDATE service_request_answer SET attempts = attempts + 1, due_at = %s"
        " WHERE request_number = %s AND what = %s",
        [until, due.request_number, due.what],
    )


async def tidy(connection: Connection, now: datetime) -> None:
    """Forget what must not be kept: senders after a day, addresses after ninety."""
    await connection.execute("SELECT request_tidy(%s)", [now])
