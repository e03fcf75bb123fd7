"""Messages that wait in quarantine for their device to be registered and installed, and devices heard at last."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from kraj.kinds import KINDS

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message as it came; ``times`` is how many readings were counted as quarantined for it."""

    quarantine_id: int
    topic: str
    payload: bytes
    times: int
    first_at: datetime
    device_id: int
    has_status: bool


_WAITING = """
    SELECT q.quarantine_id, q.topic, q.payload, q.times, q.first_at, d.device_id,
           EXISTS (SELECT FROM device_status s WHERE s.device_id = d.device_id) AS has_status
    FROM quarantine q
    JOIN device d ON d.name = q.source
    JOIN municipality m ON m.municipality_id = d.municipality_id AND m.name = split_part(q.topic, '/', 2)
    LEFT JOIN batch b ON b.batch_id = q.batch_id
    WHERE q.reason IN ('unknown_device', 'not_installed') AND q.taken_at IS NULL
      AND d.state NOT IN ('suspended', 'decommissioned')
      AND EXISTS (SELECT FROM installed i JOIN asset a USING (asset_id)
                  WHERE i.device_id = d.device_id AND i.valid_to IS NULL AND a.kind = ANY (%(kinds)s))
      AND coalesce(b.slot_id, %(slot_id)s) = %(slot_id)s
    ORDER BY q.quarantine_id LIMIT %(limit)s
"""
"""Only of the slot that counted them, so that each slot's sums stay right."""


async def waiting(connection: Connection, slot_id: int, limit: int) -> list[Waiting]:
    """Messages whose device is registered and serves something by now, the oldest first."""
    async with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(_WAITING, {"kinds": list(KINDS), "slot_id": slot_id, "limit": limit})
        return await cursor.fetchall()


async def version(connection: Connection) -> int:
    """Of the registry."""
    row = await (await connection.execute("SELECT version FROM registry_version")).fetchone()
    return row[0] if row else 0


async def activate_heard(connection: Connection, at: datetime) -> int:
    """Devices that were heard since they were registered, provisioned or resumed are active; how many became so."""
    latest = " UNION ALL ".join(f"SELECT asset_id, ts FROM {kind.latest_table}" for kind in KINDS.values())  # noqa: S608
    statement = f"""
        WITH fresh AS (
            SELECT d.device_id,
                   coalesce((SELECT max(l.at) FROM device_life l WHERE l.device_id = d.device_id), '-infinity') AS since
            FROM device d WHERE d.state IN ('registered', 'provisioned')
        )
        SELECT device_id FROM fresh f
        WHERE EXISTS (SELECT FROM device_status s WHERE s.device_id = f.device_id AND s.changed_at >= f.since)
           OR EXISTS (SELECT FROM installed i JOIN ({latest}) l USING (asset_id)
                      WHERE i.device_id = f.device_id AND i.valid_to IS NULL AND l.ts >= f.since)
    """  # noqa: S608
    heard = [device_id for (device_id,) in await (await connection.execute(statement.encode())).fetchall()]
    if not heard:
        return 0
    row = await (await connection.execute("SELECT activate_devices(%s, %s)", [heard, at])).fetchone()
    return row[0] if row else 0
