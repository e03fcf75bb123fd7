"""Somebody who is signed in, for tests of everything that is behind the door: an administrator of the region."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from api.door.keeper import COOKIE
from kraj.store.sign_in import digest

NAME = "jana@kraj.example"
SESSION = "a-session-of-the-tests"
SIGNED: dict[str, Any] = {
    "storage_state": {
        "cookies": [
            {
                "name": COOKIE,
                "value": SESSION,
                "domain": "localhost",
                "path": "/",
                "expires": -1,
                "httpOnly": True,
                "secure": False,
                "sameSite": "Lax",
            }
        ],
        "origins": [],
    }
}
"""Options of a page in a browser."""


def person(
    connection: psycopg.Connection[Any],
    name: str = NAME,
    role: str | None = "region_admin",
    municipality: str | None = None,
    *,
    title: str = "Jana",
    session: str | None = SESSION,
    second_factor: bool = True,
) -> int:
    """A person with a role (in a municipality, or in the region) and a session; safe to call again."""
    now = datetime.now(UTC)
    row = connection.execute(
        "INSERT INTO person (name, title, created_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET title = excluded.title RETURNING person_id",
        [name, title, now],
    ).fetchone()
    assert row is not None
    if role is not None:
        connection.execute(
            "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES"
            " (%s, (SELECT municipality_id FROM municipality WHERE name = %s), %s, now() - interval '1 day')"
            " ON CONFLICT DO NOTHING",
            [row[0], municipality, role],
        )
    if session is not None:
        connection.execute(
            "INSERT INTO sign_in_session (digest, person_id, created_at, seen_at, expires_at, second_factor)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [digest(session), row[0], now, now, now + timedelta(hours=12), second_factor],
        )
    return row[0]


def signed_in(url: str) -> None:
    """The administrator of the region, in the database of the owner's URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        person(connection)


def sign(client: httpx.AsyncClient, session: str = SESSION) -> None:
    """Let a client send a session's cookie, and say what a browser says of our own pages."""
    client.cookies.set(COOKIE, session)
    client.headers["sec-fetch-site"] = "same-origin"
