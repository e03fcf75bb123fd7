"""Whom to tell, as people keep it over the API: targets without their addresses, turns on call, test messages."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from kraj.store.connection import Connection

LISTED_MAX = 500
TURNS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """A target; ``tested_at`` and ``test_error`` are of its last test, ``test_waits`` while nobody has sent it."""

    target_id: int
    municipality_id: int | None
    municipality: str | None
    municipality_title: str | None
    name: str
    severity_min: str
    quiet_from: time | None
    quiet_to: time | None
    digest_at: time | None
    language: str
    enabled: bool
    webhook: bool
    tested_at: datetime | None
    test_error: str | None
    test_waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """A turn on call."""

    on_call_id: int
    municipality: str | None
    municipality_title: str | None
    target_id: int
    target: str
    place: int
    valid_from: datetime
    valid_to: datetime
    escalate_after_min: int


_TARGET = """
    SELECT t.target_id, t.municipality_id, m.name AS municipality, m.title AS municipality_title, t.name,
           t.severity_min, t.quiet_from, t.quiet_to, t.digest_at, t.language, t.enabled, t.webhook,
           last.done_at AS tested_at, last.error AS test_error,
           last.asked_at IS NOT NULL AND last.done_at IS NULL AS test_waits
    FROM notification_target t LEFT JOIN municipality m USING (municipality_id)
    LEFT JOIN LATERAL (SELECT * FROM target_test x WHERE x.target_id = t.target_id
                       ORDER BY x.target_test_id DESC LIMIT 1) AS last ON true
    WHERE t.person_id IS NULL
"""
_TURN = """
    SELECT c.on_call_id, m.name AS municipality, m.title AS municipality_title, c.target_id, t.name AS target, c.place,
           c.valid_from, c.valid_to, c.escalate_after_min
    FROM on_call c JOIN notification_target t USING (target_id)
    LEFT JOIN municipality m ON m.municipality_id = c.municipality_id
"""


async def targets(
    connection: Connection, *, municipality: str | None = None, after: int = 0, limit: int = LISTED_MAX
) -> list[ContactRow]:
    """Targets by number."""
    return await _rows(
        connection,
        ContactRow,
        f"{_TARGET} AND (%(town)s::text IS NULL OR m.name = %(town)s) AND t.target_id > %(after)s"
        " ORDER BY t.target_id LIMIT %(limit)s",
        {"town": municipality, "after": after, "limit": limit},
    )


async def target(connection: Connection, number: int) -> ContactRow | None:
    """One target."""
    found = await _rows(connection, ContactRow, f"{_TARGET} AND t.target_id = %(n)s", {"n": number})
    return found[0] if found else None


async def write_target(connection: Connection, number: int | None, fields: dict[str, Any]) -> int | None:
    """Add a target, or change these fields of the one of this number; ``UniqueViolation`` for a name in use."""
    names = sql.SQL(", ").join(map(sql.Identifier, fields))
    marks = sql.SQL(", ").join(map(sql.Placeholder, fields))
    if number is None:
        statement = sql.SQL("INSERT INTO notification_target ({}) VALUES ({}) RETURNING target_id").format(names, marks)
    else:
        statement = sql.SQL(
            "UPDATE notification_target SET ({}) = ROW ({}) WHERE target_id = %(number)s RETURNING target_id"
        ).format(names, marks)
        fields = {**fields, "number": number}
    row = await (await connection.execute(statement, fields)).fetchone()
    return row[0] if row else None


async def drop_target(connection: Connection, number: int) -> bool:
    """Take a target away with its address, turns and what was on its way; False when it is not there."""
    cursor = await connection.execute("DELETE FROM notification_target WHERE target_id = %s", [number])
    return cursor.rowcount == 1


async def turns(
    connection: Connection, at: datetime, *, municipality: str | None = None, after: int = 0, limit: int = TURNS_MAX
) -> list[TurnRow]:
    """Turns that are not over, by number."""
    return await _rows(
        connection,
        TurnRow,
        f"{_TURN} WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND c.valid_to > %(at)s AND"
        " c.on_call_id > %(after)s ORDER BY c.on_call_id LIMIT %(limit)s",
        {"town": municipality, "at": at, "after": after, "limit": limit},
    )


async def turn(connection: Connection, number: int) -> TurnRow | None:
    """One turn."""
    found = await _rows(connection, TurnRow, f"{_TURN} WHERE c.on_call_id = %(n)s", {"n": number})
    return found[0] if found else None


async def add_turn(
    connection: Connection,
    *,
    municipality_id: int | None,
    target_id: int,
    place: int,
    valid_from: datetime,
    valid_to: datetime,
    escalate_after_min: int,
) -> int:
    """Put a target on call; its turn's number."""
    cursor = await connection.execute(
        "INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to, escalate_after_min)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING on_call_id",
        [municipality_id, target_id, place, valid_from, valid_to, escalate_after_min],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def drop_turn(connection: Connection, number: int) -> bool:
    """Take a turn away; False when it is not there."""
    return (await connection.execute("DELETE FROM on_call WHERE on_call_id = %s", [number])).rowcount == 1


async def ask_test(connection: Connection, number: int, *, who: str, at: datetime) -> None:
    """Ask the worker to send a test message; of earlier ones only the last is kept."""
    await connection.execute("DELETE FROM target_test WHERE target_id = %s", [number])
    await connection.execute(
        "INSERT INTO target_test (target_id, who, asked_at) VALUES (%s, %s, %s)", [number, who, at]
    )


async def waiting_tests(connection: Connection, limit: int) -> list[tuple[int, int]]:
    """(test, target) that nobody has sent, locked until the transaction ends."""
    cursor = await connection.execute(
        "SELECT target_test_id, target_id FROM target_test WHERE done_at IS NULL ORDER BY target_test_id LIMIT %s"
        " FOR UPDATE SKIP LOCKED",
        [limit],
    )
    return [(test, target_id) async for test, target_id in cursor]


async def tested(connection: Connection, test: int, error: str | None, at: datetime) -> None:
    """What became of a test message."""
    await connection.execute(
        "UPDATE target_test SET done_at = %s, error = %s WHERE target_test_id = %s", [at, error, test]
    )


async def _rows(connection: Connection, row: type[Any], statement: str, given: dict[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()
