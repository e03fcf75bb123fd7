"""A browser and a program at the door: an application on a real database, with time in the test's hand."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from argon2 import PasswordHasher

from api.app import create
from kraj.settings import Settings
from kraj.store.sign_in import digest
from stack.database import OWNER

PASSWORD = "koloběžka jede do kopce"
ENGLISH = {"lang": "en"}
BROWSER = {"accept": "text/html", "accept-language": "en", "sec-fetch-site": "same-origin"}


@dataclass
class Wall:
    """Real time, as the door has it."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at

    def on(self, **span: float) -> None:
        self.at += timedelta(**span)


@asynccontextmanager
async def at_door(
    role_url: Callable[[str], str], wall: Wall, settings: Settings | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser without a cookie."""
    app = create(settings or Settings(), role_url("kraj_api"), wall=wall)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=BROWSER, cookies=ENGLISH) as client,
    ):
        yield client


@dataclass
class People:
    """Puts people into the database, as an owner may."""

    connection: psycopg.Connection[Any]

    def add(
        self,
        name: str,
        role: str | None = None,
        municipality: str | None = None,
        *,
        password: str | None = PASSWORD,
        title: str | None = None,
        **more: Any,
    ) -> int:
        """A person with a role, whose password is checked with little work, so that tests are quick."""
        weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        row = self.connection.execute(
            "INSERT INTO person (name, title, password, created_at, totp_secret, totp_confirmed_at, issuer, subject,"
            " break_glass) VALUES (%s, %s, %s, now(), %s, %s, %s, %s, %s) RETURNING person_id",
            [
                name,
                title or name.partition("@")[0].capitalize(),
                weak.hash(password) if password else None,
                more.get("totp"),
                datetime.now(UTC) if more.get("totp") else None,
                more.get("issuer"),
                more.get("subject"),
                more.get("break_glass", False),
            ],
        ).fetchone()
        assert row is not None
        if role is not None:
            self.connection.execute(
                "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES"
                " (%s, (SELECT municipality_id FROM municipality WHERE name = %s), %s, now() - interval '1 day')",
                [row[0], municipality, role],
            )
        return row[0]

    def code(self, person_id: int, purpose: str, at: datetime, code: str = "a-code-of-the-test", **lasts: float) -> str:
        self.connection.execute(
            "INSERT INTO one_time_code (digest, purpose, person_id, created_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [digest(code), purpose, person_id, at, at + timedelta(**(lasts or {"hours": 1}))],
        )
        return code

    def one(self, statement: str, *parameters: Any) -> Any:
        row = self.connection.execute(statement.encode(), parameters).fetchone()
        return None if row is None else row[0]


@asynccontextmanager
async def signed(
    role_url: Callable[[str], str], wall: Wall, name: str, password: str = PASSWORD
) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser in which somebody has signed in by password."""
    async with at_door(role_url, wall) as client:
        answer = await sign_in(client, name, password)
        assert answer.status_code == 303, answer.text
        yield client


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("/sign-in", data={"name": name, "password": password, **more})


def mistake(answer: httpx.Response) -> str:
    """What a page says to be wrong."""
    found = re.search(r'id="mistake"[^>]*><p><strong>([^<]*)\.</strong>', answer.text)
    return found[1] if found else ""


def owner(role_url: Callable[[str], str]) -> psycopg.Connection[Any]:
    return psycopg.connect(role_url(OWNER), autocommit=True)
