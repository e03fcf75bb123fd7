"""A slot: one holder at a time, no longer than it lives, and only of a database that keeps its word."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError, UnavailableError
from kraj.store.slot import IDLE_TIMEOUT_S, take
from tests.kraj.store.desk import until
from tests.waiting import ATTEMPTS, PATIENCE_S


@pytest.fixture
def url(database_role_url: Callable[[str], str]) -> str:
    return database_role_url("kraj_ingest")


async def test_the_second_taker_waits_until_the_first_has_gone(url: str) -> None:
    first, slot_id = await take(url, "slot_0")
    second = asyncio.create_task(take(url, "slot_0"))
    ended, _ = await asyncio.wait([second], timeout=1.2)
    assert not ended
    assert (await (await first.execute("SELECT 1")).fetchone()) == (1,), "the first one still holds it"
    await first.close()
    async with asyncio.timeout(PATIENCE_S):
        connection, again = await second
    assert again == slot_id
    await connection.close()


async def test_a_batch_fits_the_socket_better_than_the_system_thinks(url: str) -> None:
    connection, _ = await take(url, "slot_0")
    with socket.socket(fileno=os.dup(connection.fileno())) as ours, socket.socket(ours.family) as usual:
        sizes = [s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for s in (ours, usual)]
    await connection.close()
    assert sizes[0] > sizes[1]


async def test_slots_do_not_wait_for_one_another(url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        first, one = await take(url, "slot_0")
        second, other = await take(url, "slot_1")
    assert one != other
    await first.close()
    await second.close()


async def test_a_taker_that_gives_up_leaves_no_connection_behind(url: str, owner: psycopg.Connection[Any]) -> None:
    first, _ = await take(url, "slot_0")
    second = asyncio.create_task(take(url, "slot_0"))
    await asyncio.wait([second], timeout=0.3)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await first.close()
    others = "SELECT FROM pg_stat_activity WHERE usename = 'kraj_ingest'"
    await until(lambda: owner.execute(others).fetchone() is None)


@pytest.mark.parametrize("within", ["session", "transaction"])
async def test_a_holder_that_stands_still_loses_the_slot_within_four_seconds(url: str, within: str) -> None:
    took_s = 0.0
    for _ in range(ATTEMPTS):  # a busy machine may be late, but not each time
        silent, _ = await take(url, "slot_0")
        if within == "transaction":
            await silent.execute("BEGIN")
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            connection, _ = await take(url, "slot_0")
        took_s = time.monotonic() - began
        with pytest.raises(psycopg.Error):
            await silent.execute("SELECT 1")
        await silent.close()
        await connection.close()
        assert took_s > IDLE_TIMEOUT_S - 0.5
        if took_s < IDLE_TIMEOUT_S + 1.5:
            return
    pytest.fail(f"it takes {took_s:.1f} s")


async def test_a_database_that_forgets_commits_is_refused(url: str, owner: psycopg.Connection[Any]) -> None:
    database = owner.info.dbname
    owner.execute(f"ALTER ROLE kraj_ingest IN DATABASE {database} SET synchronous_commit = off".encode())
    with pytest.raises(ConfigurationError, match=r"synchronous_commit = off; .* needs synchronous_commit = on"):
        await take(url, "slot_0")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_does_not_write_to_disk_is_refused(
    url: str, owner: psycopg.Connection[Any], setting: str
) -> None:
    def is_now(value: str) -> bool:
        return owner.execute(f"SHOW {setting}".encode()).fetchone() == (value,)

    owner.execute(f"ALTER SYSTEM SET {setting} = off".encode())
    owner.execute("SELECT pg_reload_conf()")
    try:
        await until(lambda: is_now("off"))
        with pytest.raises(ConfigurationError, match=f"{setting} = off; .* needs {setting} = on"):
            await take(url, "slot_0")
    finally:
        owner.execute(f"ALTER SYSTEM RESET {setting}".encode())
        owner.execute("SELECT pg_reload_conf()")
    await until(lambda: is_now("on"))


async def test_a_database_that_is_not_migrated_is_named_so(empty_url: str) -> None:
    with pytest.raises(ConfigurationError, match="not migrated; run: kraj migrate"):
        await take(empty_url, "slot_0")


async def test_a_database_that_is_away_is_the_worlds_fault(url: str) -> None:
    with pytest.raises(UnavailableError, match="database: "):
        await take(re.sub("port=[0-9]+", "port=1", url), "slot_0")


async def test_a_taker_whose_connection_ends_while_it_waits_says_so(url: str, owner: psycopg.Connection[Any]) -> None:
    first, _ = await take(url, "slot_0")
    second = asyncio.create_task(take(url, "slot_0"))
    waiting = "SELECT pid FROM pg_stat_activity WHERE usename = 'kraj_ingest' AND pid <> %s AND query ~ 'advisory'"

    def found() -> Any:
        return owner.execute(waiting, [first.info.backend_pid]).fetchone()

    await until(lambda: found() is not None)
    owner.execute("SELECT pg_terminate_backend(%s)", found())
    with pytest.raises(UnavailableError):
        await second
    await first.close()
