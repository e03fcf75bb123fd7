"""The connection that ingest writes on: whoever answers late is waited for, and a line that has died is found out."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest
from psycopg import conninfo

from kraj.store.connection import Watched
from stack.bench.survive_proxy import Proxy
from tests.waiting import PATIENCE_S

SILENT_S = 0.3


@pytest.fixture
async def line(database_role_url: Callable[[str], str]) -> AsyncIterator[tuple[Proxy, Watched]]:
    """A proxy, and a connection through it."""
    url = database_role_url("kraj_ingest")
    parts = conninfo.conninfo_to_dict(url)
    async with Proxy(f"{parts['host']}/.s.PGSQL.{parts['port']}") as proxy:
        connection = await Watched.connect(
            conninfo.make_conninfo(url, host="127.0.0.1", port=str(proxy.port)), autocommit=True
        )
        connection.silent_s = SILENT_S
        yield proxy, connection
        await connection.close()


async def test_a_statement_that_takes_long_is_waited_for(line: tuple[Proxy, Watched]) -> None:
    proxy, connection = line
    assert (await (await connection.execute("SELECT 5 FROM pg_sleep(1)")).fetchone()) == (5,)
    assert proxy.lines > 1, "the server was asked on another line whether it works"


@pytest.mark.parametrize("lost", ["question", "answer"])
async def test_a_line_that_is_dead_and_open_ends_as_soon_as_the_server_can_be_asked(
    line: tuple[Proxy, Watched], lost: str
) -> None:
    proxy, connection = line
    statement = "SELECT 1"
    if lost == "question":
        proxy.part()
        asking = asyncio.create_task(connection.execute(statement))
    else:
        asking = asyncio.create_task(connection.execute("SELECT pg_sleep(0.2)"))
        await asyncio.sleep(0.1)
        proxy.part()
    done, _ = await asyncio.wait([asking], timeout=3 * SILENT_S)
    assert not done, "while nobody can be asked, nothing is known"
    proxy.heal(mute=lambda number: number == 0)
    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(asking, PATIENCE_S)


async def test_a_partition_that_passes_costs_no_connection(line: tuple[Proxy, Watched]) -> None:
    proxy, connection = line
    proxy.part()
    asking = asyncio.create_task(connection.execute("SELECT 7"))
    await asyncio.sleep(SILENT_S / 2)
    proxy.heal()
    assert (await (await asyncio.wait_for(asking, PATIENCE_S)).fetchone()) == (7,)
    assert proxy.lines == 1
