"""What has happened to alerts since a moment, for whoever watches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEventRow:
    """A step of an alert that one may see."""

    alert_event_id: int
    alert_id: int
    step: str
    at: datetime
    rule: str
    severity: str
    state: str
    asset_id: int | None


async def newest(connection: Connection) -> int:
    """The number of the newest step that one may see; 0 where there is none."""
    cursor = await connection.execute("SELECT alert_event_id FROM alert_event ORDER BY alert_event_id DESC LIMIT 1")
    row = await cursor.fetchone()
    return row[0] if row else 0


async def alert_events(connection: Connection, after: int, limit: int) -> list[AlertEventRow]:
    """Steps behind ``after``, in order."""
    async with connection.cursor(row_factory=class_row(AlertEventRow)) as cursor:
        await cursor.execute(
            "SELECT e.alert_event_id, e.alert_id, e.step, e.at, a.rule, a.severity, a.state, a.asset_id"
            " FROM alert_event e JOIN alert a USING (alert_id) WHERE e.alert_event_id > %s"
            " ORDER BY e.alert_event_id LIMIT %s",
            [after, limit],
        )
        return await cursor.fetchall()
