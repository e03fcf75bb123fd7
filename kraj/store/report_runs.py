"""Who gets reports, and which went out: what people switch on, and what the worker is to send."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]
LISTED_MAX: Final = 200
AGAIN_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Target:
    """An e-mail address to which a municipality's reports can go, without the address."""

    target_id: int
    municipality_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A target that gets a municipality's report, or a building's, each month."""

    report_subscription_id: int
    municipality_id: int
    target: str
    building: str | None
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A report that is to go out, or went."""

    report_run_id: int
    report_subscription_id: int
    target: str
    building: str | None
    month: date
    again: int
    state: str
    attempts: int
    error: str | None
    planned_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run in hand; its row is locked."""

    report_run_id: int
    municipality: str
    municipality_id: int
    group_id: int | None
    target_id: int
    language: str
    month: date
    attempts: int
    planned_at: datetime


async def targets(connection: Connection, municipality_id: int) -> list[Target]:
    """A municipality's targets that are e-mail addresses."""
    async with connection.cursor(row_factory=class_row(Target)) as cursor:
        await cursor.execute(
            "SELECT target_id, municipality_id, name FROM report_targets() WHERE municipality_id = %s LIMIT %s",
            [municipality_id, LISTED_MAX],
        )
        return await cursor.fetchall()


async def subscriptions(connection: Connection, municipality_id: int) -> list[Subscription]:
    """Who gets a municipality's reports."""
    async with connection.cursor(row_factory=class_row(Subscription)) as cursor:
        await cursor.execute(
            "SELECT s.report_subscription_id, s.municipality_id, t.name AS target, g.name AS building, s.language"
            " FROM report_subscription s JOIN notification_target t USING (target_id)"
            " LEFT JOIN asset_group g ON g.group_id = s.group_id WHERE s.municipality_id = %s"
            " ORDER BY t.name, g.name NULLS FIRST LIMIT %s",
            [municipality_id, LISTED_MAX],
        )
        return await cursor.fetchall()


async def subscribe(
    connection: Connection,
    municipality_id: int,
    target_id: int,
    *,
    group_id: int | None,
    language: str,
    who: str,
    at: datetime,
) -> bool:
    """Switch reports to a target on; False when they are on already. Raises psycopg's errors for what may not be."""
    cursor = await connection.execute(
        "INSERT INTO report_subscription (municipality_id, target_id, group_id, language, who, at)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (target_id, group_id) DO NOTHING",
        [municipality_id, target_id, group_id, language, who, at],
    )
    return cursor.rowcount == 1


async def unsubscribe(connection: Connection, number: int) -> bool:
    """Switch it off; False when there is none that the principal may drop."""
    cursor = await connection.execute("DELETE FROM report_subscription WHERE report_subscription_id = %s", [number])
    return cursor.rowcount == 1


async def runs(connection: Connection, municipality_id: int) -> list[Run]:
    """What went out, or is to, the newest first."""
    async with connection.cursor(row_factory=class_row(Run)) as cursor:
        await cursor.execute(
            "SELECT r.report_run_id, r.report_subscription_id, t.name AS target, g.name AS building, r.month, r.again,"
            " r.state, r.attempts, r.error, r.planned_at, r.done_at FROM report_run r"
            " JOIN report_subscription s USING (report_subscription_id) JOIN notification_target t USING (target_id)"
            " LEFT JOIN asset_group g ON g.group_id = s.group_id WHERE r.municipality_id = %s"
            " ORDER BY r.month DESC, r.report_run_id DESC LIMIT %s",
            [municipality_id, LISTED_MAX],
        )
        return await cursor.fetchall()


async def again(connection: Connection, number: int, month: date, at: datetime) -> bool:
    """Send a month once more, now; False when there is no such subscription that the principal may change, or it was
    asked for too often."""
    cursor = await connection.execute(
        "INSERT INTO report_run (report_subscription_id, municipality_id, month, again, planned_at, due_at)"
        " SELECT s.report_subscription_id, s.municipality_id, %(month)s, n.again, %(at)s, %(at)s"
        " FROM report_subscription s CROSS JOIN LATERAL (SELECT coalesce(max(r.again), 0) + 1 AS again"
        " FROM report_run r WHERE r.report_subscription_id = s.report_subscription_id AND r.month = %(month)s) n"
        " WHERE s.report_subscription_id = %(number)s AND n.again <= %(most)s"
        " AND s.municipality_id = ANY (kraj_municipalities('rules')) ON CONFLICT DO NOTHING",
        {"number": number, "month": month, "at": at, "most": AGAIN_MAX},
    )
    return cursor.rowcount == 1


async def plan(connection: Connection, month: date, due: datetime, now: datetime) -> int:
    """Plan a month's reports for who had switched them on by then; how many are new."""
    cursor = await connection.execute(
        "INSERT INTO report_run (report_subscription_id, municipality_id, month, planned_at, due_at)"
        " SELECT report_subscription_id, municipality_id, %(month)s, %(now)s, %(due)s FROM report_subscription s"
        " WHERE s.at <= %(due)s AND NOT EXISTS (SELECT FROM report_run r WHERE r.again = 0 AND r.month = %(month)s"
        " AND r.report_subscription_id = s.report_subscription_id) ON CONFLICT DO NOTHING",
        {"month": month, "due": due, "now": now},
    )
    return cursor.rowcount


async def next_due(connection: Connection, now: datetime) -> Due | None:
    """The report that waits longest, locked until the transaction ends."""
    async with connection.cursor(row_factory=class_row(Due)) as cursor:
        await cursor.execute(
            "SELECT r.report_run_id, m.name AS municipality, s.municipality_id, s.group_id, s.target_id, s.language,"
            " r.month, r.attempts, r.planned_at FROM report_run r JOIN report_subscription s"
            " USING (report_subscription_id) JOIN municipality m ON m.municipality_id = r.municipality_id"
            " WHERE r.state = 'waiting' AND r.due_at <= %s"
            " ORDER BY r.due_at, r.report_run_id LIMIT 1 FOR UPDATE OF r SKIP LOCKED",
            [now],
        )
        return await cursor.fetchone()


async def done(
    connection: Connection, number: int, error: str | None, now: datetime, again_at: datetime | None
) -> None:
    """What came of it: sent, to be tried again at ``again_at``, or given up with the error."""
    state = "sent" if error is None else "given_up" if again_at is None else "waiting"
    await connection.execute(
        "UPDATE report_run SET state = %(state)s, error = %(error)s, attempts = attempts + 1,"
        " due_at = coalesce(%(again)s, due_at), done_at = CASE WHEN %(state)s <> 'waiting' THEN %(now)s END"
        " WHERE report_run_id = %(number)s",
        {"state": state, "error": error, "again": again_at, "now": now, "number": number},
    )
