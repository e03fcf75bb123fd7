"""A person's data: all of it given out, and all of it erased; the functions of the database judge who may."""

from typing import Any

import psycopg

LOOKING_S_MAX = 600
"""Texts of years are looked through for a name."""


async def export(connection: psycopg.AsyncConnection[Any], person_id: int) -> dict[str, Any] | None:
    """Everything that is kept about a person, without secrets; None where the principal may not have it."""
    await connection.execute(f"SET LOCAL statement_timeout = '{LOOKING_S_MAX}s'".encode())
    row = await (await connection.execute("SELECT kraj_person_export(%s)", [person_id])).fetchone()
    return row[0] if row else None


async def last_administrator(connection: psycopg.AsyncConnection[Any], person_id: int) -> str | None:
    """The title of the municipality that would have no administrator without them; empty for the region."""
    row = await (await connection.execute("SELECT kraj_last_administrator(%s)", [person_id])).fetchone()
    return row[0] if row else None


async def erase(connection: psycopg.AsyncConnection[Any], person_id: int, version: int) -> bool:
    """Erase a person for good; False when that is not the principal's to do, or they were changed meanwhile."""
    await connection.execute(f"SET LOCAL statement_timeout = '{LOOKING_S_MAX}s'".encode())
    row = await (await connection.execute("SELECT kraj_erase(%s, %s)", [person_id, version])).fetchone()
    return bool(row and row[0])


def standing(connection: psycopg.Connection[Any], name: str) -> tuple[int, bool, str | None] | None:
    """The id of somebody by e-mail, whether it is the account for emergencies, and whose last administrator they are.

    As the owner; also who is shut out.
    """
    return connection.execute(
        "SELECT person_id, break_glass, last_administrator(person_id) FROM person WHERE name = %s", [name]
    ).fetchone()


def erase_as_owner(connection: psycopg.Connection[Any], person_id: int) -> int:
    """Erase a person; how many texts named them. It is the caller's to ask ``standing`` before."""
    row = connection.execute("SELECT erase_person(%s)", [person_id]).fetchone()
    replaced: int = row[0] if row else 0
    connection.execute(
        "SELECT audit('person.erase', 'person ' || %s::text, jsonb_build_object('replaced', %s::integer))",
        [person_id, replaced],
    )
    return replaced
