"""What tests of the door share: two towns, people in them, and the door's clock."""

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import psycopg
import pytest

from api.door import keeper
from kraj.store.registry import register
from stack.database import OWNER
from tests.api.conftest import DEVICES, MUNICIPALITIES, NOW
from tests.api.door.rig import People, Wall, at_door


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def known_s(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long to wait until the door asks the database anew: shorter than it is where nobody waits for it."""
    assert keeper.KNOWN_S < 5
    monkeypatch.setattr(keeper, "KNOWN_S", 0.1)
    return 0.2


@pytest.fixture
def people(database_role_url: Callable[[str], str]) -> Iterator[People]:
    """Two towns with devices, and nobody in them yet."""
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as connection:
        register(connection, MUNICIPALITIES, DEVICES, NOW)
        yield People(connection)


@pytest.fixture
async def browser(
    people: People, database_role_url: Callable[[str], str], wall: Wall
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which nobody is signed in."""
    async with at_door(database_role_url, wall) as client:
        yield client
