"""The wish that devices send again what they still hold, left by a restore and granted by the next ingest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from kraj.kinds import KINDS

VERSIONS_LOST_MAX = 1000
"""Nobody changes a program so often between two backups; a device that is further yet says so, and is outgrown."""
MARGIN = timedelta(minutes=1)
"""Readings commit a little after they are made; one asked for twice is a duplicate and does no harm."""
REACH = timedelta(days=7)
"""So old a device's unsent readings may be: what its ring holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """``name`` is that of the command, another one for each restore: devices do nothing twice by one name. ``since`` is
    when the backup's last readings were committed."""

    resend_id: int
    name: str
    since: datetime


def request(connection: psycopg.Connection[Any], at: datetime) -> datetime | None:
    """Ask for everything since shortly before the last commit; None where nothing was ever committed."""
    row = connection.execute("SELECT max(committed_at) FROM batch").fetchone()
    if row is None or row[0] is None:
        return None
    since = row[0] - MARGIN
    connection.execute("INSERT INTO resend (requested_at, from_ts) VALUES (%s, %s)", [at, since])
    return since


def outgrow(connection: psycopg.Connection[Any]) -> int:
    """Raise the versions of what devices keep above all that were handed out since the backup; how many."""
    return connection.execute("UPDATE desired SET version = version + %s", [VERSIONS_LOST_MAX]).rowcount


async def open_requests(connection: psycopg.AsyncConnection[Any]) -> list[Request]:
    """Requests that no ingest has granted yet."""
    cursor = await connection.execute(
        "SELECT resend_id, floor(extract(epoch FROM requested_at) * 1000)::bigint, from_ts FROM resend"
        " WHERE done_at IS NULL ORDER BY resend_id"
    )
    return [Request(number, f"resend-{number}-{at_ms}", since) async for number, at_ms, since in cursor]


async def answered(connection: psycopg.AsyncConnection[Any], name: str, after: int) -> tuple[int, set[int]]:
    """Devices that have said they do so, of what they said behind event ``after``, and the last event looked at."""
    cursor = await connection.execute(
        "SELECT coalesce(max(event_id), %(after)s), coalesce(array_agg(DISTINCT device_id) FILTER (WHERE"
        " channel = 'result' AND body->>'id' = %(name)s AND body->'ok' = 'true'::jsonb), '{}')"
        " FROM device_event WHERE event_id > %(after)s",
        {"after": after, "name": name},
    )
    row = await cursor.fetchone()
    return (after, set()) if row is None else (row[0], set(row[1]))


async def lowest_missing(
    connection: psycopg.AsyncConnection[Any], devices: Sequence[int], since: datetime
) -> dict[int, int]:
    """By device the number from which on it may hold what is not stored; absent where it may be any.

    Not by time: what a device has kept while it was away, or stamped with a clock that was behind, was made long before
    the backup and may have been committed after it. Numbers without a gap go on at the first one behind the last; a
    number may be missing for other reasons (it is in quarantine, the ring was thinned out): then more is asked for.
    """
    selects = " UNION ALL ".join(
        f"SELECT i.device_id, r.ts, r.seq FROM installed i JOIN {kind.reading_table} r USING (asset_id)"  # noqa: S608
        " WHERE i.device_id = ANY (%(devices)s) AND r.ts >= i.valid_from AND r.ts < coalesce(i.valid_to, 'infinity')"
        " AND r.ts >= %(from)s"
        for kind in KINDS.values()
    )
    cursor = await connection.execute(
        (
            "SELECT device_id, coalesce(min(seq) FILTER (WHERE next > seq + 1), max(seq)) + 1 FROM (SELECT device_id,"  # noqa: S608
            f" ts, seq, lead(seq) OVER (PARTITION BY device_id ORDER BY seq) AS next FROM ({selects}) AS r) AS numbered"
            " GROUP BY device_id HAVING min(seq) <= 1 OR min(ts) < %(reach)s"
        ).encode(),
        {"devices": list(devices), "from": since - REACH - timedelta(days=1), "reach": since - REACH},
    )
    return dict(await cursor.fetchall())


async def close_request(connection: psycopg.AsyncConnection[Any], resend_id: int, at: datetime) -> None:
    """Mark a request as granted."""
    await connection.execute("UPDATE resend SET done_at = %s WHERE resend_id = %s", [at, resend_id])
