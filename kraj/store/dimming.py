"""Writing programs, segments and what lamps are to keep, in the caller's transaction; ``step_rollouts`` goes on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.store.queries import lighting
from kraj.store.queries.lighting import MEMBERS, RolloutRow

Connection = psycopg.AsyncConnection[Any]

LOOK_AGAIN = timedelta(days=1)
"""How often what lamps keep is held against the calendar and their place."""
SHARE_PCT, WHO = 5, "kraj"
"""Of a rollout that nobody began, as ``compile_segment`` (0031_ingest_rights.sql) begins it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A segment, and what that which its lamps are to keep is made from; ``document`` None is no program."""

    group_id: int
    municipality_id: int
    designed_class: str | None
    permitted_class: str | None
    document: dict[str, Any] | None


async def add_program(
    connection: Connection, municipality_id: int, name: str, document: Mapping[str, Any], *, who: str, at: datetime
) -> int:
    """A new program; raises psycopg's ``UniqueViolation`` for a name that is taken there."""
    row = await _row(
        connection,
        "INSERT INTO dimming_program (municipality_id, name, document, who, changed_at) VALUES (%s, %s, %s, %s, %s)"
        " RETURNING dimming_program_id",
        [municipality_id, name, Jsonb(document), who, at],
    )
    return row[0]


async def change_program(
    connection: Connection,
    number: int,
    version: int,
    *,
    name: str,
    document: Mapping[str, Any],
    who: str,
    at: datetime,
) -> bool:
    """Another name and document; False when somebody was faster."""
    cursor = await connection.execute(
        "UPDATE dimming_program SET name = %s, document = %s, who = %s, changed_at = %s"
        " WHERE dimming_program_id = %s AND version = %s",
        [name, Jsonb(document), who, at, number, version],
    )
    return cursor.rowcount == 1


async def drop_program(connection: Connection, number: int, version: int) -> bool:
    """False when somebody was faster; ``ForeignKeyViolation`` while a segment follows it."""
    cursor = await connection.execute(
        "DELETE FROM dimming_program WHERE dimming_program_id = %s AND version = %s", [number, version]
    )
    return cursor.rowcount == 1


async def compiled(connection: Connection, municipality_id: int, document: Mapping[str, Any]) -> int:
    """The number of a compiled program, which is written once."""
    digest = hashlib.sha256(_text(document).encode()).digest()
    await connection.execute(
        "INSERT INTO lamp_program (municipality_id, digest, document) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [municipality_id, digest, Jsonb(document)],
    )
    row = await _row(
        connection,
        "SELECT lamp_program_id FROM lamp_program WHERE municipality_id = %s AND digest = %s",
        [municipality_id, digest],
    )
    return row[0]


async def put_segment(
    connection: Connection,
    group_id: int,
    version: int,
    *,
    municipality_id: int,
    designed_class: str | None,
    permitted_class: str | None,
    program: int | None,
    lamp_program_id: int | None,
    who: str,
    reason: str,
    at: datetime,
) -> bool:
    """Say how a segment is lit; False when somebody was faster (version 0: nobody has said anything yet)."""
    cursor = await connection.execute(
        "INSERT INTO lighting_segment AS s (group_id, municipality_id, designed_class, permitted_class,"
        " dimming_program_id, lamp_program_id, who, reason, changed_at)"
        " VALUES (%(group)s, %(town)s, %(designed)s, %(permitted)s, %(program)s, %(lamp)s, %(who)s, %(reason)s, %(at)s)"
        " ON CONFLICT (group_id) DO UPDATE SET designed_class = EXCLUDED.designed_class,"
        " permitted_class = EXCLUDED.permitted_class, dimming_program_id = EXCLUDED.dimming_program_id,"
        " lamp_program_id = EXCLUDED.lamp_program_id, who = EXCLUDED.who, reason = EXCLUDED.reason,"
        " changed_at = EXCLUDED.changed_at WHERE s.version = %(version)s",
        {
            "group": group_id,
            "town": municipality_id,
            "designed": designed_class,
            "permitted": permitted_class,
            "program": program,
            "lamp": lamp_program_id,
            "who": who,
            "reason": reason,
            "at": at,
            "version": version,
        },
    )
    return cursor.rowcount == 1


async def set_interval(
    connection: Connection, device: str, version: int, interval_s: int | None, *, who: str, reason: str, at: datetime
) -> bool:
    """Have a device report that often; False when somebody was faster (version 0: it was told nothing yet)."""
    cursor = await connection.execute(
        "INSERT INTO desired AS d (device_id, municipality_id, interval_s, changed_at, who, reason)"
        " SELECT device_id, municipality_id, %(interval)s, %(at)s, %(who)s, %(reason)s FROM device"
        " WHERE name = %(device)s"
        " ON CONFLICT (device_id) DO UPDATE SET interval_s = EXCLUDED.interval_s, changed_at = EXCLUDED.changed_at,"
        " who = EXCLUDED.who, reason = EXCLUDED.reason, version = d.version + 1 WHERE d.version = %(version)s",
        {"device": device, "version": version, "interval": interval_s, "who": who, "reason": reason, "at": at},
    )
    return cursor.rowcount == 1


async def give(
    connection: Connection,
    group_id: int,
    lamp_program_id: int,
    *,
    share_pct: int = 100,
    only_new: bool = False,
    who: str,
    reason: str,
    at: datetime,
) -> int:
    """Have a share of a segment's lamps keep a program, always the same ones first; how many devices that changes.

    ``only_new``: only those that have none yet.
    """
    cursor = await connection.execute(
        (
            "INSERT INTO desired AS d (device_id, municipality_id, programs, changed_at, who, reason)"  # noqa: S608 - MEMBERS is ours
            " SELECT device_id, min(municipality_id), jsonb_object_agg(channel::text, %(program)s::integer), %(at)s,"
            f" %(who)s, %(reason)s FROM ({MEMBERS}) AS member WHERE place <= ceil(n * %(share)s / 100.0)"
            " AND NOT (%(new)s AND coalesce(programs ? channel::text, false))"
            " GROUP BY device_id ON CONFLICT (device_id) DO UPDATE SET version = d.version + 1,"
            " programs = d.programs || EXCLUDED.programs, changed_at = EXCLUDED.changed_at, who = EXCLUDED.who,"
            " reason = EXCLUDED.reason WHERE NOT d.programs @> EXCLUDED.programs"
        ).encode(),
        {
            "group": group_id,
            "program": lamp_program_id,
            "share": share_pct,
            "new": only_new,
            "who": who,
            "reason": reason,
            "at": at,
        },
    )
    return cursor.rowcount


async def begin_rollout(
    connection: Connection,
    *,
    municipality_id: int,
    group_id: int,
    lamp_program_id: int,
    share_pct: int,
    failures_max_pct: int,
    who: str,
    at: datetime,
) -> int:
    """Begin to hand a program out, first to a share of the lamps; an older rollout there ends."""
    await connection.execute(
        "UPDATE rollout SET state = 'stopped', changed_at = %s, error = 'replaced'"
        " WHERE group_id = %s AND state IN ('running', 'paused')",
        [at, group_id],
    )
    await give(connection, group_id, lamp_program_id, share_pct=share_pct, who=who, reason="", at=at)
    row = await _row(
        connection,
        "INSERT INTO rollout (municipality_id, group_id, lamp_program_id, share_pct, failures_max_pct, stage,"
        " started_at, changed_at, who) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING rollout_id",
        [
            municipality_id,
            group_id,
            lamp_program_id,
            share_pct,
            failures_max_pct,
            2 if share_pct == 100 else 1,
            at,
            at,
            who,
        ],
    )
    return row[0]


async def look_at(connection: Connection, now: datetime, limit: int) -> list[Compiled]:
    """Segments whose program nobody has looked at for a day, locked until the transaction ends; they count as seen.

    Those are left out whose rollout goes on, waits for a person, or was stopped by one.
    """
    async with connection.cursor(row_factory=class_row(Compiled)) as cursor:
        await cursor.execute("SELECT * FROM segments_to_compile(%s, %s, %s)", [now - LOOK_AGAIN, now, limit])
        return await cursor.fetchall()


async def compile_anew(connection: Connection, group_id: int, document: Mapping[str, Any], at: datetime) -> bool:
    """Hand out what a segment's program has become, in steps; False where it has not changed.

    Raises psycopg's ``CheckViolation`` when more has changed than the calendar and the place of the lamps can change.
    """
    async with connection.transaction():
        [number] = await _row(connection, "SELECT compile_segment(%s, %s, %s)", [group_id, _text(document), at])
        if number is not None:
            await give(connection, group_id, number, share_pct=SHARE_PCT, who=WHO, reason="", at=at)
    return number is not None


async def set_rollout(
    connection: Connection, number: int, state: str, *, stage: int | None = None, error: str | None, at: datetime
) -> bool:
    """Another state of a rollout that is not over; False where it is."""
    cursor = await connection.execute(
        "UPDATE rollout SET state = %s, stage = coalesce(%s, stage), error = %s, changed_at = %s"
        " WHERE rollout_id = %s AND state IN ('running', 'paused')",
        [state, stage, error, at, number],
    )
    return cursor.rowcount == 1


async def step_rollouts(connection: Connection, now: datetime) -> int:
    """Take every rollout's next step, if it is time: the share has the program, or too many of it failed.

    Also gives the program to lamps that came into a segment, or got another device. How many rows that changed; for the
    dispatcher, each second, in a transaction as ``kraj_ingest``.
    """
    changed = 0
    for row in await lighting.running(connection):
        changed += await _step(connection, row, now)
    cursor = await connection.execute(
        "UPDATE segment_behind b SET behind = false FROM lighting_segment s WHERE b.behind AND s.group_id = b.group_id"
        " AND NOT EXISTS"
        " (SELECT FROM rollout r WHERE r.group_id = b.group_id AND r.state IN ('running', 'paused'))"
        " RETURNING b.group_id, s.lamp_program_id, s.who, s.reason, (SELECT r.state = 'stopped' FROM rollout r"
        " WHERE r.group_id = b.group_id ORDER BY r.rollout_id DESC LIMIT 1)"
    )
    for group_id, number, who, reason, stopped in await cursor.fetchall():
        if number is not None:
            changed += await give(connection, group_id, number, only_new=bool(stopped), who=who, reason=reason, at=now)
    return changed


async def _step(connection: Connection, row: RolloutRow, now: datetime) -> int:
    if row.failed * 100 > row.failures_max_pct * row.given and row.stage < 2:
        error = f"{row.failed} of {row.given} devices refused it"
        return int(await set_rollout(connection, row.rollout_id, "paused", error=error, at=now))
    if row.applied + row.failed < row.given:
        return 0  # some have not answered yet; those without power by day will at dusk
    if row.stage == 2 and row.given >= row.devices:
        error = f"{row.failed} of {row.given} devices refused it" if row.failed else None
        return int(await set_rollout(connection, row.rollout_id, "done", error=error, at=now))
    return await go_on(connection, row, now)


async def go_on(connection: Connection, row: RolloutRow, at: datetime) -> int:
    """The program goes to all lamps of the segment, whatever the first ones said."""
    await set_rollout(connection, row.rollout_id, "running", stage=2, error=None, at=at)
    return 1 + await give(connection, row.group_id, row.lamp_program_id, who=row.who, reason="", at=at)


async def _row(connection: Connection, statement: str, given: Any) -> Any:
    row = await (await connection.execute(statement.encode(), given)).fetchone()
    if row is None:
        raise psycopg.DataError("the database gave no row")
    return row


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
