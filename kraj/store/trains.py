"""Motion that lamps have told, and the commands by which their neighbours rise; in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]

MOTIONS_MAX = 500
"""Taken at a time."""
FRESH = timedelta(seconds=60)
"""Nobody walks there any more: what a device held back while it had no connection raises nothing."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A lamp that has seen motion, in a segment whose program has its neighbours rise; ``sensor`` as it is written."""

    asset_id: int
    label: str
    group_id: int
    sensor: dict[str, Any]


async def take(connection: Connection, now: datetime) -> list[Motion]:
    """Motion that was told since, each lamp once."""
    async with connection.cursor(row_factory=class_row(Motion)) as cursor:
        await cursor.execute(
            "SELECT DISTINCT ON (a.asset_id) a.asset_id, a.label, s.group_id, p.document->'sensor' AS sensor"
            " FROM take_motions(%(now)s, %(most)s) AS t"
            " JOIN installed i ON i.device_id = t.device_id AND i.valid_to IS NULL"
            " JOIN asset a ON a.asset_id = i.asset_id AND a.kind = 'lamp' AND a.retired_at IS NULL"
            " JOIN asset_group_member k ON k.asset_id = a.asset_id AND k.segment"
            " JOIN lighting_segment s ON s.group_id = k.group_id"
            " JOIN dimming_program p ON p.dimming_program_id = s.dimming_program_id"
            " WHERE abs(extract(epoch FROM %(now)s - t.at)) <= %(fresh)s"
            " AND (p.document->'sensor'->>'neighbours')::integer > 0 ORDER BY 1",
            {"now": now, "most": MOTIONS_MAX, "fresh": FRESH.total_seconds()},
        )
        return await cursor.fetchall()


async def announce(
    connection: Connection,
    assets: Sequence[int],
    *,
    level_pct: int,
    lasts: timedelta,
    pause: timedelta,
    why: str,
    now: datetime,
) -> int:
    """Have these lamps rise; those that were told within ``pause`` still do, and those under a lock are left alone.

    Raises psycopg's ``ObjectNotInPrerequisiteState`` when somebody takes a lock in the same moment.
    """
    cursor = await connection.execute(
        "SELECT raise_lamps(%s, %s, %s, %s, %s, %s)", [list(assets), level_pct, lasts, pause, why, now]
    )
    row = await cursor.fetchone()
    return row[0] if row else 0
