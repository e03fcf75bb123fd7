"""The pages' connections to the database: lines that have died while nobody closed them are given up."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from psycopg import conninfo

from api.database import Database
from kraj.errors import UnavailableError
from kraj.store.connection import Watched
from stack.bench.survive_proxy import Proxy
from tests.waiting import PATIENCE_S


async def test_a_request_in_a_partition_ends_and_the_next_ones_are_answered(
    database_role_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "silent_s", 0.3)
    url = database_role_url("kraj_api")
    parts = conninfo.conninfo_to_dict(url)
    async with (
        Proxy(f"{parts['host']}/.s.PGSQL.{parts['port']}") as proxy,
        Database(conninfo.make_conninfo(url, host="127.0.0.1", port=str(proxy.port))) as database,
    ):
        async with database.connection():
            pass
        asked = asyncio.create_task(_ask(database))
        await asyncio.sleep(0.1)
        proxy.part()
        await asyncio.sleep(0.2)
        proxy.heal(mute=lambda _: True)
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(asked, PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(UnavailableError):
                    await _ask(database)
                    break


async def _ask(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT pg_sleep(0.2)")
