"""A slot at work in a fresh database with a few devices, and databases without anything in them."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kraj.store.registry import NewAsset, NewDevice, register
from stack.database import EmbeddedPostgres
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def desk(owner: psycopg.Connection[Any], database_role_url: Callable[[str], str]) -> AsyncIterator[Desk]:
    """A writer with ingest's own rights; devices lamp-1 to lamp-3 have ids and assets 1 to 3."""
    devices = [
        NewDevice(name=f"lamp-{n}", municipality="brno", assets={0: NewAsset(kind="lamp", label=f"L{n}")})
        for n in (1, 2, 3)
    ]
    register(owner, {"brno": "Brno"}, devices, AT)
    opened = await Desk.open(database_role_url("kraj_ingest"), owner)
    yield opened
    await opened.connection.close()


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The owner's URL of a database that was never migrated."""
    yield from _empty(postgres)


@pytest.fixture
def empty15_url(postgres15: EmbeddedPostgres) -> Iterator[str]:
    """The same on the oldest PostgreSQL."""
    yield from _empty(postgres15)


def _empty(server: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield server.url(database=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
