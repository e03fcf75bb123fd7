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
WHO = "kraj"


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
    until: datetime,
    pause: timedelta,
    why: str,
    now: datetime,
) -> int:
    """Have these lamps rise; those that were told within ``pause`` still do, and those under a lock are left alone.

    Raises psycopg's ``ObjectNotInPrerequisiteState`` when somebody takes a lock in the same moment.
    """
    cursor = await connection.execute(
        """
        WITH target AS MATERIALIZED (
            SELECT a.asset_id, a.municipality_id, i.device_id, i.channel
            FROM asset a JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
            JOIN device d ON d.device_id = i.device_id AND d.state NOT IN ('suspended', 'decommissioned')
            WHERE a.asset_id = ANY (%(assets)s) AND a.retired_at IS NULL
                AND a.asset_id NOT IN (SELECT l.asset_id FROM locked_assets() l)
                AND NOT EXISTS (SELECT FROM command c WHERE c.device_id = i.device_id AND c.channel = i.channel
                    AND c.reason = 'sensor' AND c.settled_at IS NULL AND c.requested_at > %(now)s - %(pause)s)
        ), older AS MATERIALIZED (
            SELECT c.command_id FROM command c JOIN target t ON c.device_id = t.device_id AND c.channel = t.channel
            WHERE c.reason = 'sensor' AND c.settled_at IS NULL ORDER BY c.command_id FOR UPDATE OF c
        ), superseded AS (
            UPDATE command c SET state = 'superseded', settled_at = %(now)s FROM older o
            WHERE c.command_id = o.command_id
        )
        INSERT INTO command (municipality_id, device_id, channel, asset_id, "do", level_pct, reason, until,
                             requested_at, next_at, who, why)
        SELECT municipality_id, device_id, channel, asset_id, 'set_level', %(level)s, 'sensor', %(until)s, %(now)s,
               %(now)s, %(who)s, %(why)s FROM target
        """,
        {
            "assets": list(assets),
            "level": level_pct,
            "until": until,
            "pause": pause,
            "why": why,
            "who": WHO,
            "now": now,
        },
    )
    return cursor.rowcount
