"""People as the owner of the database makes them: the first administrator, the account for emergencies, the demo's."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from kraj.store.sign_in import digest, secret

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """A person in one line."""

    name: str
    title: str
    roles: list[str]
    second_factor: bool
    break_glass: bool
    disabled_at: datetime | None


def add(
    connection: Connection,
    name: str,
    title: str,
    at: datetime,
    *,
    role: str = "region_admin",
    municipality: str | None = None,
    break_glass: bool = False,
) -> int | None:
    """A person with a role, known or new; None when there is no such municipality."""
    town = None
    if municipality is not None:
        row = connection.execute("SELECT municipality_id FROM municipality WHERE name = %s", [municipality]).fetchone()
        if row is None:
            return None
        town = row[0]
    found = connection.execute(
        "INSERT INTO person (name, title, break_glass, created_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET disabled_at = NULL RETURNING person_id",
        [name, title, break_glass, at],
    ).fetchall()
    person_id: int = found[0][0]
    connection.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
        " SELECT %(person)s, %(town)s, %(role)s, clock_timestamp() WHERE NOT EXISTS (SELECT FROM membership"
        " WHERE person_id = %(person)s AND municipality_id IS NOT DISTINCT FROM %(town)s AND role = %(role)s"
        " AND valid_to IS NULL)",
        {"person": person_id, "town": town, "role": role},
    )
    return person_id


def make_code(
    connection: Connection, purpose: str, person_id: int, at: datetime, lasts: timedelta, **detail: bool
) -> str:
    """A link's secret; earlier ones of the same person and purpose end."""
    connection.execute(
        "DELETE FROM one_time_code WHERE person_id = %s AND purpose = %s AND used_at IS NULL", [person_id, purpose]
    )
    made = secret()
    connection.execute(
        "INSERT INTO one_time_code (digest, purpose, person_id, detail, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [digest(made), purpose, person_id, json.dumps(detail), at, at + lasts],
    )
    return made


def set_password(connection: Connection, person_id: int, hashed: str) -> None:
    """Keep a hash; whoever was signed in is signed out."""
    connection.execute(
        "UPDATE person SET password = %s, version = version + 1 WHERE person_id = %s", [hashed, person_id]
    )
    connection.execute("DELETE FROM sign_in_session WHERE person_id = %s", [person_id])


def by_name(connection: Connection, name: str) -> tuple[int, bool] | None:
    """The id of somebody who is not shut out, and whether they have a password."""
    return connection.execute(
        "SELECT person_id, password IS NOT NULL FROM person WHERE name = %s AND disabled_at IS NULL", [name]
    ).fetchone()


def disable(connection: Connection, person_id: int, at: datetime) -> None:
    """Shut somebody out everywhere at once."""
    for statement in (
        "UPDATE person SET disabled_at = %(at)s, version = version + 1 WHERE person_id = %(who)s",
        "DELETE FROM sign_in_session WHERE person_id = %(who)s",
        "DELETE FROM one_time_code WHERE person_id = %(who)s AND used_at IS NULL",
        "UPDATE access_token SET revoked_at = %(at)s WHERE person_id = %(who)s AND revoked_at IS NULL",
    ):
        connection.execute(statement.encode(), {"at": at, "who": person_id})


def listed(connection: Connection) -> list[Listed]:
    """Everybody, by name."""
    with connection.cursor(row_factory=class_row(Listed)) as cursor:
        return cursor.execute(
            "SELECT p.name, p.title, p.totp_confirmed_at IS NOT NULL AS second_factor, p.break_glass, p.disabled_at,"
            " ARRAY(SELECT m.role || coalesce(' in ' || t.name, '') FROM membership m"
            "  LEFT JOIN municipality t USING (municipality_id) WHERE m.person_id = p.person_id"
            "  AND (m.valid_to IS NULL OR m.valid_to > clock_timestamp()) ORDER BY 1) AS roles"
            " FROM person p ORDER BY p.name"
        ).fetchall()
