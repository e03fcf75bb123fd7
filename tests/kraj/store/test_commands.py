"""Commands in the database: whole regions in one statement, locks that nothing passes, not even at the same moment."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kraj.store import commands, dimming
from kraj.store.commands import LockedError, Scope
from stack.database import OWNER
from tests.kraj.store.desk import until
from tests.kraj.store.samples import AT
from tests.waiting import cpu_s

LAMPS = 10_000
UNTIL = AT + timedelta(hours=1)
LAMP = Scope(municipality_id=1, asset_id=22)
"""Of Brno, on feeder F2."""
Roles = Callable[[str], str]


@pytest.fixture
def region(database_role_url: Roles) -> Roles:
    """Two towns, ten thousand lamps on twenty feeders, and an administrator of the region (person 1)."""
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as owner:
        owner.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno'), ('zlin', 'Zlín')")
        owner.execute(
            "INSERT INTO asset (municipality_id, kind, label, metadata) SELECT 1 + n %% 2, 'lamp', 'L' || n,"
            " jsonb_build_object('feeder', 'F' || n %% 20) FROM generate_series(1, %s) n",
            [LAMPS],
        )
        owner.execute(
            "INSERT INTO device (name, municipality_id, state) SELECT 'lamp-' || n, 1 + n %% 2, 'active'"
            " FROM generate_series(1, %s) n",
            [LAMPS],
        )
        owner.execute(
            "INSERT INTO installed (asset_id, device_id, valid_from) SELECT n, n, %s FROM generate_series(1, %s) n",
            [AT, LAMPS],
        )
        owner.execute("INSERT INTO person (name, title, created_at) VALUES ('jana@brno.cz', 'Jana', %s)", [AT])
        owner.execute("INSERT INTO membership (person_id, role, valid_from) VALUES (1, 'region_admin', %s)", [AT])
        owner.execute("ANALYZE")
    return database_role_url


@asynccontextmanager
async def asking(url: str) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    """A transaction of the API in the administrator's name."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("SELECT set_config('kraj.principal', '1', true), set_config('kraj.scopes', '*', true)")
        yield connection


async def give(connection: psycopg.AsyncConnection[Any], scope: Scope, kind: str = "emergency") -> commands.Written:
    number = await commands.order(
        connection, scope, kind=kind, level_pct=100, until=UNTIL, reason="Povodeň", who="Jana", at=AT
    )
    return await commands.command(
        connection,
        scope,
        number,
        reason="emergency" if kind == "emergency" else "manual",
        level_pct=100,
        energises=True,
        until=UNTIL,
        who="Jana",
        at=AT,
    )


async def waits(region: Roles, connection: psycopg.AsyncConnection[Any]) -> None:
    """Return when the connection waits for what another one has locked."""
    with psycopg.connect(region(OWNER), autocommit=True) as owner:
        asked = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        pid = connection.info.backend_pid
        await until(lambda: owner.execute(asked, [pid]).fetchone() is not None)


async def take(connection: psycopg.AsyncConnection[Any], value: str) -> int:
    return await commands.lock(
        connection,
        municipality_id=1,
        attribute="feeder",
        value=value,
        holder=1,
        holder_title="Jana",
        reason="Stožár",
        at=AT,
    )


async def test_an_emergency_of_a_region_is_one_statement(region: Roles) -> None:
    async with asking(region("kraj_api")) as connection:
        began = cpu_s()
        assert await give(connection, Scope()) == commands.Written(commands=LAMPS, locked=0)
        assert cpu_s() - began < 10  # a second on an idle machine takes in 40,000
        [order] = await commands.orders(connection, municipality=None, open_at=AT, before=2**62, limit=9)
        assert order.counts == {"requested": LAMPS}


async def test_who_dispatches_is_told_of_commands_and_versions_at_once(region: Roles) -> None:
    async with await psycopg.AsyncConnection.connect(region("kraj_ingest"), autocommit=True) as ingest:
        await ingest.execute("LISTEN commands")
        async with asking(region("kraj_api")) as connection:
            await give(connection, LAMP, "light_now")
        assert [note.channel async for note in ingest.notifies(timeout=5, stop_after=1)] == ["commands"]


async def test_a_lock_taken_while_a_command_is_written_refuses_it(region: Roles) -> None:
    async with asking(region("kraj_api")) as first, asking(region("kraj_api")) as second:
        await take(first, "F3")  # another feeder's; not committed yet
        later = asyncio.create_task(give(second, LAMP, "light_now"))
        await waits(region, second)
        await first.commit()
        assert await later == commands.Written(commands=1, locked=0)
    async with asking(region("kraj_api")) as first, asking(region("kraj_api")) as second:
        await take(first, "F2")
        later = asyncio.create_task(give(second, LAMP, "light_now"))
        await waits(region, second)
        await first.commit()
        with pytest.raises(LockedError, match="feeder F2 is locked by Jana"):
            await later
        await second.rollback()


async def test_a_command_written_before_a_lock_is_refused_by_it(region: Roles) -> None:
    async with asking(region("kraj_api")) as first, asking(region("kraj_api")) as second:
        await give(first, LAMP, "light_now")
        later = asyncio.create_task(take(second, "F2"))
        await waits(region, second)
        await first.commit()
        await later
        [found] = await commands.commands(second, asset_id=22, limit=9)
        assert (found.state, found.error) == ("refused", "locked: feeder F2: Jana")
        await second.commit()


async def test_a_lock_is_known_where_its_lamps_may_be_read_and_nowhere_else(region: Roles) -> None:
    with psycopg.connect(region(OWNER), autocommit=True) as owner:
        owner.execute("INSERT INTO person (name, title, created_at) VALUES ('petr@zlin.cz', 'Petr', %s)", [AT])
        owner.execute(
            "INSERT INTO membership (person_id, municipality_id, role, valid_from) VALUES (2, 2, 'crew', %s)", [AT]
        )
        owner.execute(
            "INSERT INTO safety_lock (municipality_id, attribute, value, holder, holder_title, reason, since)"
            " VALUES (1, 'feeder', 'F2', 1, 'Jana', 'kabel', %s)",
            [AT],
        )
    found: list[int] = []
    async with asking(region("kraj_api")) as connection:
        for person in ("1", "2"):
            await connection.execute("SELECT set_config('kraj.principal', %s, true)", [person])
            row = await (await connection.execute("SELECT count(*) FROM kraj_locked_assets()")).fetchone()
            found.append(row[0] if row else -1)
    assert found[0] > 0
    assert found[1] == 0
    async with asking(region("kraj_api")) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT count(*) FROM locked_assets()")


async def test_ingest_hands_on_and_writes_no_orders(region: Roles) -> None:
    async with asking(region("kraj_api")) as connection:
        await give(connection, LAMP)
    async with await psycopg.AsyncConnection.connect(region("kraj_ingest"), autocommit=True) as ingest:
        await ingest.execute("UPDATE command SET state = 'sent', sent_at = %s, attempts = 1", [AT])
        assert await dimming.step_rollouts(ingest, AT) == 0
        for forbidden in (
            "UPDATE command SET level_pct = 0",
            "DELETE FROM command",
            "INSERT INTO lighting_order DEFAULT VALUES",
            "UPDATE lighting_segment SET lamp_program_id = NULL",
            "UPDATE safety_lock SET released_at = now()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await ingest.execute(forbidden.encode())


async def test_a_lamp_that_changes_hands_is_told_by_its_new_owner(region: Roles) -> None:
    async with asking(region("kraj_api")) as connection:
        await give(connection, LAMP)
        await dimming.set_interval(connection, "lamp-22", 0, 60, who="Jana", reason="", at=AT)
    with psycopg.connect(region(OWNER), autocommit=True) as owner:
        owner.execute("UPDATE asset SET municipality_id = 2 WHERE asset_id = 22")
        assert owner.execute("SELECT municipality_id FROM command").fetchall() == [(2,)]
        assert owner.execute("SELECT municipality_id FROM desired").fetchall() == [(2,)]


async def test_the_holder_of_a_lock_is_forgotten_and_the_lock_is_not(region: Roles) -> None:
    async with asking(region("kraj_api")) as connection:
        await take(connection, "F2")
    with psycopg.connect(region(OWNER), autocommit=True) as owner:
        owner.execute("DELETE FROM person")
        rows = owner.execute("SELECT holder, holder_title, released_at FROM safety_lock").fetchall()
    assert rows == [(None, "anonym", None)]
