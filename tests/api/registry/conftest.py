"""Clerks of two municipalities and of the region, each with a client of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.app import create
from kraj.settings import Settings
from tests.api import signing
from tests.api.conftest import NOW, Region


@dataclass
class Clerks:
    """Somebody of each sort, signed in."""

    region: httpx.AsyncClient
    olsinka: httpx.AsyncClient
    zdarna: httpx.AsyncClient
    viewer: httpx.AsyncClient
    """Of Olšinka, with the right to read only."""
    nobody: httpx.AsyncClient
    database: Region


@pytest.fixture
async def clerks(region: Region, database_role_url: Callable[[str], str]) -> AsyncIterator[Clerks]:
    app = create(Settings(), database_role_url("kraj_api"), clock=lambda: NOW)
    people: dict[str, tuple[str | None, str | None]] = {
        "region": ("region_admin", None),
        "olsinka": ("municipality_admin", "olsinka"),
        "zdarna": ("municipality_admin", "zdarna"),
        "viewer": ("viewer", "olsinka"),
        "nobody": (None, None),
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        found: dict[str, httpx.AsyncClient] = {}
        for name, (role, town) in people.items():
            signing.person(region.connection, f"{name}@kraj.example", role, town, session=f"session-of-{name}")
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
            found[name] = await stack.enter_async_context(client)
            signing.sign(client, f"session-of-{name}")
            client.headers["accept-language"] = "en"
        yield Clerks(**found, database=region)


async def made(client: httpx.AsyncClient, url: str, body: Any, status: int = 201, **headers: str) -> Any:
    """The answer to a POST."""
    answer = await client.post(url, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused(answer: httpx.Response, status: int, code: str) -> Any:
    """The problem that an answer is, with its hint."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["type"] == f"/problems/{code}", body
    assert body["hint"]
    return body
