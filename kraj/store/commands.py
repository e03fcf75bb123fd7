"""Orders of people, the commands that each made, and safety locks, in the caller's transaction."""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from kraj.commands import Command, Lock, Order
from kraj.errors import KrajError
from kraj.store.queries.lighting import SWITCHES

Connection = psycopg.AsyncConnection[Any]

SWITCH_S_MAX = 60
"""A region's emergency writes a command for each of a hundred thousand lamps; other statements end after 5 s."""
LOCK_NAME = "safety_lock"


class LockedError(KrajError):
    """A safety lock refuses what was asked for; the message names the place and its holder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whom an order is for: an asset, a group, a municipality, or (all None) the region."""

    municipality_id: int | None = None
    group_id: int | None = None
    asset_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What there is in a scope: ``towns`` own it; ``ready`` can be told now, the others cannot."""

    lamps: int
    ready: int
    uncontrolled: int
    suspended: int
    other_system: int
    towns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How many commands an order made, and how many of them a lock refused at once."""

    commands: int
    locked: int


_ORDER = """
    SELECT o.order_id, m.name AS municipality, m.title AS municipality_title, o.kind, o.group_id, g.name AS group,
           o.asset_id, a.label, o.level_pct, o.valid_from, o.valid_until, o.reason, o.who, o.created_at, o.ended_at,
           (SELECT coalesce(jsonb_object_agg(c.state, c.n), '{}') FROM (
                SELECT state, count(*) AS n FROM command WHERE command.order_id = o.order_id AND "do" = 'set_level'
                GROUP BY state) AS c) AS counts
    FROM lighting_order o LEFT JOIN municipality m USING (municipality_id) LEFT JOIN asset_group g USING (group_id)
    LEFT JOIN asset a USING (asset_id)
"""
_COMMAND = """
    SELECT c.command_id, m.name AS municipality, d.name AS device, c.channel, c.asset_id, a.label, c.order_id, c."do",
           c.level_pct, c.reason, c.until, c.state, c.requested_at, c.sent_at, c.accepted_at, c.settled_at, c.attempts,
           c.error, c.who, c.why
    FROM command c JOIN municipality m USING (municipality_id) LEFT JOIN device d USING (device_id)
    LEFT JOIN asset a ON a.asset_id = c.asset_id
"""
_LOCK = """
    SELECT l.lock_id, m.name AS municipality, m.title AS municipality_title, l.attribute, l.value, l.holder_title,
           l.reason, l.since, l.released_at,
           (SELECT count(*) FROM asset a WHERE a.municipality_id = l.municipality_id
            AND a.metadata->>l.attribute = l.value AND a.retired_at IS NULL)::integer AS assets,
           l.holder IS NOT DISTINCT FROM kraj_principal() OR kraj_region('people') AS mine
    FROM safety_lock l JOIN municipality m USING (municipality_id)
"""
# What a scope holds that gives light when told.
_HELD = f"""
    SELECT a.asset_id, a.municipality_id, i.device_id, i.channel, d.state,
           d.device_id IS NOT NULL AND d.device_id IN (SELECT foreign_devices()) AS other_system
    FROM asset a LEFT JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
    LEFT JOIN device d ON d.device_id = i.device_id
    WHERE a.retired_at IS NULL AND {SWITCHES}
"""  # noqa: S608 - a constant of ours


def _held(scope: Scope) -> str:
    if scope.asset_id is not None:
        return f"{_HELD} AND a.asset_id = %(asset)s"
    if scope.group_id is not None:
        members = "SELECT asset_id FROM asset_group_member WHERE group_id = %(group)s"
        return f"{_HELD} AND a.asset_id IN ({members})"
    return _HELD if scope.municipality_id is None else f"{_HELD} AND a.municipality_id = %(town)s"


def _given(scope: Scope) -> dict[str, Any]:
    return {"asset": scope.asset_id, "group": scope.group_id, "town": scope.municipality_id}


async def targets(connection: Connection, scope: Scope) -> Targets:
    """What an order of this scope would reach."""
    cursor = await connection.execute(
        (
            "SELECT count(*)::integer,"  # noqa: S608 - constants of ours
            " count(*) FILTER (WHERE state NOT IN ('suspended', 'decommissioned') AND NOT other_system)::integer,"
            " count(*) FILTER (WHERE state IS NULL OR state = 'decommissioned')::integer,"
            " count(*) FILTER (WHERE state = 'suspended')::integer, count(*) FILTER (WHERE other_system)::integer,"
            f" coalesce(array_agg(DISTINCT municipality_id), '{{}}') FROM ({_held(scope)}) AS held"
        ).encode(),
        _given(scope),
    )
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.DataError("an aggregate gave no row")
    return Targets(
        lamps=row[0],
        ready=row[1],
        uncontrolled=row[2],
        suspended=row[3],
        other_system=row[4],
        towns=tuple(row[5]),
    )


async def order(
    connection: Connection,
    scope: Scope,
    *,
    kind: str,
    level_pct: int,
    until: datetime,
    reason: str,
    who: str,
    at: datetime,
) -> int:
    """Write an order down; ``command`` makes its commands."""
    row = await _one(
        connection,
        "INSERT INTO lighting_order (municipality_id, group_id, asset_id, kind, level_pct, valid_from, valid_until,"
        " reason, who, created_at) VALUES (%(town)s, %(group)s, %(asset)s, %(kind)s, %(level)s, %(at)s, %(until)s,"
        " %(reason)s, %(who)s, %(at)s) RETURNING order_id",
        {**_given(scope), "kind": kind, "level": level_pct, "until": until, "reason": reason, "who": who, "at": at},
    )
    return row[0]


async def command(
    connection: Connection,
    scope: Scope,
    order_id: int,
    *,
    reason: str,
    level_pct: int,
    energises: bool,
    until: datetime,
    who: str,
    at: datetime,
) -> Written:
    """An order's commands, in one statement; older ones of the same reason are superseded, locked ones refused.

    Raises:
        LockedError: somebody has taken a lock in the same moment.
    """
    await connection.execute(f"SET LOCAL statement_timeout = '{SWITCH_S_MAX}s'".encode())
    statement = f"""
        WITH target AS MATERIALIZED (
            SELECT held.*, {"l.asset_id IS NOT NULL" if energises else "false"} AS locked,
                   l.attribute || ' ' || l.value || ': ' || l.holder_title AS lock
            FROM ({_held(scope)}) AS held
            LEFT JOIN (SELECT DISTINCT ON (asset_id) * FROM kraj_locked_assets()) AS l USING (asset_id)
            WHERE held.state NOT IN ('suspended', 'decommissioned') AND NOT held.other_system
        ), superseded AS MATERIALIZED (
            SELECT c.command_id FROM command c JOIN target t ON c.device_id = t.device_id AND c.channel = t.channel
            WHERE c.reason = %(reason)s AND c.settled_at IS NULL AND NOT t.locked
            ORDER BY c.command_id FOR UPDATE OF c -- in the order in which ingest takes answers: none waits in a ring
        ), older AS (
            UPDATE command c SET state = 'superseded', settled_at = %(at)s FROM superseded s
            WHERE c.command_id = s.command_id
        ), made AS (
            INSERT INTO command (municipality_id, device_id, channel, asset_id, order_id, "do", level_pct, reason,
                                 until, state, requested_at, next_at, settled_at, error, who)
            SELECT municipality_id, device_id, channel, asset_id, %(order)s, 'set_level', %(level)s, %(reason)s,
                   %(until)s, CASE WHEN locked THEN 'refused' ELSE 'requested' END, %(at)s, %(at)s,
                   CASE WHEN locked THEN %(at)s END, CASE WHEN locked THEN 'locked: ' || lock END, %(who)s
            FROM target
        )
        SELECT count(*)::integer, count(*) FILTER (WHERE locked)::integer FROM target
    """  # noqa: S608 - constants of ours
    given = {"order": order_id, "level": level_pct, "reason": reason, "until": until, "who": who, "at": at}
    with _unlocked():
        row = await _one(connection, statement, {**_given(scope), **given})
    return Written(commands=row[0], locked=row[1])


async def end(connection: Connection, order_id: int, *, who: str, person_id: int, at: datetime) -> Written | None:
    """End an order early: lamps that were told are released; None where it is over.

    Those that follow a newer order are left alone; those under a lock stay as they are, unless full light ends.
    """
    cursor = await connection.execute(
        "UPDATE lighting_order SET ended_at = %s, ended_by = %s WHERE order_id = %s AND ended_at IS NULL"
        " AND valid_until > %s RETURNING level_pct < 100",
        [at, person_id, order_id, at],
    )
    found = await cursor.fetchone()
    if found is None:
        return None
    await connection.execute(f"SET LOCAL statement_timeout = '{SWITCH_S_MAX}s'".encode())
    statement = """
        WITH superseded AS MATERIALIZED (
            SELECT command_id FROM command WHERE order_id = %(order)s AND settled_at IS NULL
            ORDER BY command_id FOR UPDATE
        ), ended AS (
            UPDATE command c SET state = 'superseded', settled_at = %(at)s FROM superseded s
            WHERE c.command_id = s.command_id
        ), made AS (
            INSERT INTO command (municipality_id, device_id, channel, asset_id, order_id, "do", reason, until, state,
                                 requested_at, next_at, settled_at, error, who)
            SELECT c.municipality_id, c.device_id, c.channel, c.asset_id, c.order_id, 'release', c.reason, c.until,
                   CASE WHEN l.asset_id IS NULL THEN 'requested' ELSE 'refused' END, %(at)s, %(at)s,
                   CASE WHEN l.asset_id IS NOT NULL THEN %(at)s END,
                   'locked: ' || l.attribute || ' ' || l.value || ': ' || l.holder_title, %(who)s
            FROM command c
            LEFT JOIN (SELECT DISTINCT ON (asset_id) * FROM kraj_locked_assets() WHERE %(energises)s) AS l
                USING (asset_id)
            WHERE c.order_id = %(order)s AND c."do" = 'set_level'
                AND c.state IN ('requested', 'sent', 'accepted', 'confirmed')
                AND NOT (c.state = 'requested' AND c.attempts = 0)
                AND NOT EXISTS (SELECT FROM command n WHERE n.asset_id = c.asset_id AND n.device_id = c.device_id
                                AND n.channel = c.channel AND n.reason = c.reason AND n.requested_at > c.requested_at
                                AND n.state <> 'refused')
            RETURNING state
        )
        SELECT count(*)::integer, count(*) FILTER (WHERE state = 'refused')::integer FROM made
    """
    with _unlocked():
        row = await _one(connection, statement, {"order": order_id, "energises": found[0], "who": who, "at": at})
    return Written(commands=row[0], locked=row[1])


@contextlib.contextmanager
def _unlocked() -> Generator[None]:
    try:
        yield
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise LockedError(error.diag.message_primary or "locked") from error


async def orders(
    connection: Connection, *, municipality: str | None, open_at: datetime | None, before: int, limit: int
) -> list[Order]:
    """Orders, newest first; ``open_at`` only those that hold then."""
    where = f"{_ORDER} WHERE o.order_id < %(before)s"
    where += " AND (m.name = %(town)s OR o.municipality_id IS NULL)" if municipality is not None else ""
    where += " AND o.ended_at IS NULL AND o.valid_until > %(at)s" if open_at is not None else ""
    given = {"before": before, "town": municipality, "at": open_at, "limit": limit}
    return await _many(connection, Order, f"{where} ORDER BY o.order_id DESC LIMIT %(limit)s", given)


async def one_order(connection: Connection, order_id: int) -> Order | None:
    """One order."""
    found = await _many(connection, Order, f"{_ORDER} WHERE o.order_id = %(n)s", {"n": order_id})
    return found[0] if found else None


async def commands(
    connection: Connection,
    *,
    asset_id: int | None = None,
    device: str | None = None,
    order_id: int | None = None,
    state: str | None = None,
    command_id: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 1,
) -> list[Command]:
    """Commands, newest first, behind ``before``."""
    named = {
        "c.asset_id": asset_id,
        "d.name": device,
        "c.order_id": order_id,
        "c.state": state,
        "c.command_id": command_id,
    }
    parts = [f"{column} = %({column})s" for column, value in named.items() if value is not None]
    given: dict[str, Any] = {**named, "limit": limit}
    if before is not None:
        parts.append("(c.requested_at, c.command_id) < (%(at)s, %(id)s)")
        given |= {"at": before[0], "id": before[1]}
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    order_by = " ORDER BY c.requested_at DESC, c.command_id DESC LIMIT %(limit)s"
    return await _many(connection, Command, f"{_COMMAND}{where}{order_by}", given)


async def lock(
    connection: Connection,
    *,
    municipality_id: int,
    attribute: str,
    value: str,
    holder: int,
    holder_title: str,
    reason: str,
    at: datetime,
) -> int:
    """Take a lock: commands that wait and would energise its lamps are refused; ``UniqueViolation`` if it is held."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK_NAME])
    row = await _one(
        connection,
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder, holder_title, reason, since)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING lock_id",
        [municipality_id, attribute, value, holder, holder_title, reason, at],
    )
    await connection.execute("SELECT refuse_waiting(%s, %s)", [row[0], at])
    return row[0]


async def unlock(connection: Connection, lock_id: int, at: datetime) -> bool:
    """Release a lock; False where the principal may not, or it is released."""
    cursor = await connection.execute(
        "UPDATE safety_lock SET released_at = greatest(%s, since) WHERE lock_id = %s AND released_at IS NULL",
        [at, lock_id],
    )
    return cursor.rowcount == 1


async def locks(
    connection: Connection,
    *,
    municipality: str | None = None,
    lock_id: int | None = None,
    held: bool = False,
    before: int = 2**31 - 1,
    limit: int = 100,
) -> list[Lock]:
    """Locks, newest first; ``held``: those that nobody has released."""
    where = f"{_LOCK} WHERE l.lock_id < %(before)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    where += " AND l.lock_id = %(n)s" if lock_id is not None else ""
    where += " AND l.released_at IS NULL" if held else ""
    given = {"before": before, "town": municipality, "n": lock_id, "limit": limit}
    return await _many(connection, Lock, f"{where} ORDER BY l.lock_id DESC LIMIT %(limit)s", given)


async def hanging(connection: Connection, municipality_id: int, attribute: str, value: str) -> int:
    """How many assets of a municipality hang on a feeder or a cabinet of this name."""
    row = await _one(
        connection,
        "SELECT count(*)::integer FROM asset WHERE municipality_id = %s AND retired_at IS NULL"
        " AND (metadata->>%s = %s OR kind = %s AND label = %s)",
        [municipality_id, attribute, value, attribute, value],
    )
    return row[0]


async def locks_over(connection: Connection, scope: Scope) -> list[tuple[str, str, str]]:
    """The locks that stand over something in a scope: attribute, its value, and who holds it."""
    cursor = await connection.execute(
        (
            "SELECT DISTINCT attribute, value, holder_title FROM kraj_locked_assets()"  # noqa: S608 - constants of ours
            f" WHERE asset_id IN (SELECT held.asset_id FROM ({_held(scope)}) AS held) ORDER BY 1, 2"
        ).encode(),
        _given(scope),
    )
    return await cursor.fetchall()


async def _many(connection: Connection, row: type[Any], statement: str, given: dict[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


async def _one(connection: Connection, statement: str, given: Any) -> Any:
    row = await (await connection.execute(statement.encode(), given)).fetchone()
    if row is None:
        raise psycopg.DataError("the database gave no row")
    return row
