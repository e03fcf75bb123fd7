"""What the ledger of savings reads: segments with lamps, programs and baselines, and a month of their readings."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import psycopg

from kraj.ledger import Baseline, Held, Lamp, Segment
from kraj.readings import Floats

Connection = psycopg.AsyncConnection[Any]

LAMPS_MAX: Final = 20_000
"""Of one segment: a town."""
BATCH_LAMPS: Final = 50
"""A month of so many lamps is up to half a million readings: a second, and 250 MB while they are worked out."""
TABLE, VIEW = "reading_lamp", "seen_reading_lamp"
"""For the owner, and for a principal of the API."""
_READINGS = (
    "COPY (SELECT asset_id, extract(epoch FROM ts)::bigint, coalesce(power_w, 'NaN'),"
    " coalesce(energy_wh::double precision, 'NaN'), coalesce(level_commanded_pct::double precision, 'NaN')"
    " FROM {table} WHERE asset_id = ANY (%s) AND ts >= %s AND ts < %s ORDER BY asset_id, ts, seq)"
    " TO STDOUT (FORMAT text, DELIMITER ' ')"
)


async def segments(connection: Connection, municipality: str) -> list[int]:
    """A municipality's segments by number."""
    cursor = await connection.execute(
        "SELECT group_id FROM asset_group JOIN municipality USING (municipality_id)"
        " WHERE kind = 'segment' AND municipality.name = %s ORDER BY 1",
        [municipality],
    )
    return [number for (number,) in await cursor.fetchall()]


async def segment(connection: Connection, group_id: int, until: datetime) -> Segment | None:
    """A segment as far as the principal sees it, with programs and baselines declared before ``until``."""
    row = await _one(
        connection,
        "SELECT g.name, m.name, m.title, s.lamp_program_id FROM asset_group g JOIN municipality m USING"
        " (municipality_id) LEFT JOIN lighting_segment s ON s.group_id = g.group_id"
        " WHERE g.group_id = %s AND g.kind = 'segment'",
        [group_id],
    )
    if row is None:
        return None
    name, municipality, title, current = row
    lamps = await connection.execute(
        "SELECT a.asset_id, a.label, a.latitude, a.longitude, a.metadata FROM asset_group_member k"
        " JOIN asset a USING (asset_id) WHERE k.group_id = %s AND a.kind = 'lamp' AND a.retired_at IS NULL"
        " ORDER BY 1 LIMIT %s",
        [group_id, LAMPS_MAX],
    )
    # A rollout that was stopped before it went to all has changed a few lamps only.
    programs = await connection.execute(
        "SELECT r.started_at, p.lamp_program_id, p.document FROM rollout r JOIN lamp_program p USING (lamp_program_id)"
        " WHERE r.group_id = %s AND r.started_at < %s AND (r.state <> 'stopped' OR r.stage = 2)"
        " ORDER BY r.started_at, r.rollout_id",
        [group_id, until],
    )
    held = [Held(*found) for found in await programs.fetchall()]
    if not held and current is not None:
        program = await _one(
            connection,
            "SELECT lamp_program_id, document FROM lamp_program WHERE lamp_program_id = %s",
            [current],
        )
        held = [] if program is None else [Held(None, *program)]
    return Segment(
        group_id,
        name,
        municipality,
        title,
        [Lamp(*found) for found in await lamps.fetchall()],
        held,
        await baselines(connection, group_id),
    )


async def baselines(connection: Connection, group_id: int) -> list[Baseline]:
    """All that was ever declared for a segment, by version."""
    cursor = await connection.execute(
        "SELECT version, valid_from, power_w, source, who, at FROM lighting_baseline WHERE group_id = %s ORDER BY 1",
        [group_id],
    )
    return [Baseline(*found) for found in await cursor.fetchall()]


async def declare(
    connection: Connection,
    group_id: int,
    *,
    valid_from: date,
    power_w: float,
    source: str,
    who: str,
    at: datetime,
) -> int:
    """Declare what one old lamp took; the new version. Raises psycopg's errors where the principal may not control."""
    # Who declares at the same moment gets the next number.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('lighting_baseline'), %s)", [group_id])
    row = await _one(
        connection,
        "INSERT INTO lighting_baseline (municipality_id, group_id, version, valid_from, power_w, source, who, at)"
        " SELECT g.municipality_id, g.group_id, 1 + (SELECT coalesce(max(b.version), 0) FROM lighting_baseline b"
        " WHERE b.group_id = g.group_id), %s, %s, %s, %s, %s FROM asset_group g"
        " WHERE g.group_id = %s AND g.kind = 'segment' RETURNING version",
        [valid_from, power_w, source, who, at, group_id],
    )
    if row is None:
        raise psycopg.DataError(f"there is no segment {group_id}")
    return row[0]


async def readings(
    connection: Connection, lamps: Sequence[int], from_: datetime, to: datetime, table: str = TABLE
) -> AsyncIterator[tuple[Sequence[int], Floats]]:
    """Batches of lamps with their readings by lamp and time, shape ``(n, 5)``: the lamp's number, UTC seconds, watts,
    watt-hours by the counter and the commanded per cent; NaN where one is missing."""
    statement = _READINGS.format(table=VIEW if table == VIEW else TABLE).encode()
    for first in range(0, len(lamps), BATCH_LAMPS):
        batch = list(lamps[first : first + BATCH_LAMPS])
        async with connection.cursor() as cursor, cursor.copy(statement, [batch, from_, to]) as copy:
            text = b"".join([bytes(part) async for part in copy])
        yield batch, np.fromstring(text.decode("ascii"), sep=" ").reshape(-1, 5)


async def _one(connection: Connection, statement: str, given: Sequence[Any]) -> Any:
    return await (await connection.execute(statement.encode(), given)).fetchone()
