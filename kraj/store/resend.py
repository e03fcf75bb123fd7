"""The wish that devices send again what they still hold, left by a restore and granted by the next ingest."""

from datetime import datetime, timedelta
from typing import Any

import psycopg

VERSIONS_LOST_MAX = 1000
"""Nobody changes a program so often between two backups; a device that is further yet says so, and is outgrown."""
MARGIN = timedelta(minutes=1)
"""Readings commit a little after they are made; one asked for twice is a duplicate and does no harm."""


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


async def open_requests(connection: psycopg.AsyncConnection[Any]) -> list[tuple[int, datetime]]:
    """Requests that no ingest has granted yet, as (resend_id, from_ts)."""
    cursor = await connection.execute("SELECT resend_id, from_ts FROM resend WHERE done_at IS NULL ORDER BY resend_id")
    return await cursor.fetchall()


async def close_request(connection: psycopg.AsyncConnection[Any], resend_id: int, at: datetime) -> None:
    """Mark a request as granted."""
    await connection.execute("UPDATE resend SET done_at = %s WHERE resend_id = %s", [at, resend_id])
