"""Commands to devices that wait in the database for ingest, which alone speaks to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command that was not told yet."""

    device_command_id: int
    municipality: str
    device: str
    payload: str
    expires_at: datetime


def put(connection: psycopg.Connection[Any], payloads: Sequence[tuple[str, str]], expires_at: datetime) -> None:
    """Leave commands as (name of the device, payload); what this device waited for before counts no more."""
    names = [name for name, _ in payloads]
    connection.execute(
        "DELETE FROM device_command WHERE done_at IS NULL"
        " AND device_id IN (SELECT device_id FROM device WHERE name = ANY (%s))",
        [names],
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO device_command (device_id, payload, expires_at)"
            " SELECT device_id, %s, %s FROM device WHERE name = %s",
            [(payload, expires_at, name) for name, payload in payloads],
        )


async def waiting(connection: psycopg.AsyncConnection[Any], at: datetime) -> list[Waiting]:
    """Those that still count. Nothing is prepared: all devices of a town begin to wait in one moment."""
    async with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(
            "SELECT c.device_command_id, m.name AS municipality, d.name AS device, c.payload, c.expires_at"
            " FROM device_command c"
            " JOIN device d USING (device_id) JOIN municipality m USING (municipality_id)"
            " WHERE c.done_at IS NULL AND c.expires_at > %s ORDER BY 1",
            [at],
            prepare=False,
        )
        return await cursor.fetchall()


async def done(connection: psycopg.AsyncConnection[Any], told: Sequence[int], at: datetime) -> None:
    """The broker has given these to their devices."""
    await connection.execute(
        "UPDATE device_command SET done_at = %s WHERE device_command_id = ANY (%s)", [at, list(told)], prepare=False
    )
