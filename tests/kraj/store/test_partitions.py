"""Partitions: there before a reading needs them, made once, in nobody's way, and of no use to an attacker."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.kinds import KINDS
from kraj.readings import DAY_MS, FUTURE_MINUTES_MAX
from kraj.store.partitions import weeks
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind
from tests.waiting import PATIENCE_S

MONDAY = date(2026, 11, 16)
PARTITIONS = (
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'public.reading_lamp'::regclass ORDER BY 1"
)


def names(connection: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in connection.execute(PARTITIONS.encode())]


@given(st.lists(st.integers(-(10**13), 10**13)))
def test_weeks_are_those_of_the_calendar(times: list[int]) -> None:
    slow: set[date] = set()
    for ts_ms in times:
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ts_ms)).date()
        slow.add(day - timedelta(days=day.weekday()))
    assert weeks(np.array(times, np.int64)) == slow


async def test_partitions_are_made_ahead_for_this_week_and_the_next(desk: Desk) -> None:
    await desk.writer.make_partitions_ahead(AT)
    await desk.writer.make_partitions_ahead(AT)
    assert names(desk.owner) == ["reading_lamp_2026w47", "reading_lamp_2026w48"]
    for kind in KINDS:
        assert desk.one("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", [f"reading_{kind}"]) == (2,)


async def test_partitions_are_made_on_demand_for_late_and_future_readings(desk: Desk) -> None:
    times = [AT_MS - 399 * DAY_MS, AT_MS - 7 * DAY_MS, AT_MS, AT_MS + FUTURE_MINUTES_MAX * 60_000]
    outcome = await desk.write(of_kind([(1, ts, 1) for ts in times]))
    assert outcome.committed == 4
    assert names(desk.owner) == ["reading_lamp_2025w42", "reading_lamp_2026w46", "reading_lamp_2026w47"]


async def test_the_last_millisecond_of_a_week_and_the_first_of_the_next_lie_apart(desk: Desk) -> None:
    border = int(datetime(2027, 1, 4, tzinfo=UTC).timestamp() * 1000)
    await desk.write(of_kind([(1, border - 1, 1), (1, border, 2)]))
    assert desk.rows("SELECT seq FROM reading_lamp_2026w53") == [(1,)]
    assert desk.rows("SELECT seq FROM reading_lamp_2027w01") == [(2,)]


async def test_a_session_in_another_time_zone_makes_the_same_partition(owner: psycopg.Connection[Any]) -> None:
    owner.execute("SET timezone = 'Pacific/Auckland'")
    owner.execute("SELECT ensure_partition('lamp', %s)", [MONDAY])
    owner.execute("SET timezone = 'UTC'")
    row = owner.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'reading_lamp_2026w47'"
    ).fetchone()
    assert row == ("FOR VALUES FROM ('2026-11-16 00:00:00+00') TO ('2026-11-23 00:00:00+00')",)


async def test_a_partition_has_the_indexes_of_its_table(owner: psycopg.Connection[Any]) -> None:
    owner.execute("SELECT ensure_partition('lamp', %s)", [MONDAY])
    inside, parent = (
        owner.execute("SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisvalid", [t]).fetchone()
        for t in ("reading_lamp_2026w47", "reading_lamp")
    )
    assert inside == parent == (2,)
    attached = owner.execute(
        "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE indrelid = 'reading_lamp_2026w47'::regclass"
    ).fetchone()
    assert attached == (2,)


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
async def test_many_at_once_make_it_once(request: pytest.FixtureRequest, url: str) -> None:
    address = request.getfixturevalue(url)

    async def ensure() -> bool:
        async with await psycopg.AsyncConnection[Any].connect(address) as connection:
            row = await (await connection.execute("SELECT ensure_partition('lamp', %s)", [MONDAY])).fetchone()
            return bool(row and row[0])

    assert sorted(await asyncio.gather(*(ensure() for _ in range(6)))) == [False] * 5 + [True]


@pytest.mark.parametrize("url", ["database_url", "database15_url"])
async def test_readers_in_a_long_transaction_hold_up_no_batch(request: pytest.FixtureRequest, url: str) -> None:
    address = request.getfixturevalue(url)
    with psycopg.connect(address, autocommit=True) as owner:
        desk, other = await Desk.open(address, owner), await Desk.open(address, owner, "slot_1")
        await desk.write(of_kind([(1, AT_MS, 1)]))
        async with await psycopg.AsyncConnection[Any].connect(address) as reader:
            await reader.execute("SELECT * FROM reading_lamp")
            async with asyncio.timeout(PATIENCE_S):  # the reader's locks last until both are through
                await asyncio.gather(
                    desk.write(of_kind([(1, AT_MS + 7 * DAY_MS, 2), (1, AT_MS + 14 * DAY_MS, 3)])),
                    other.write(of_kind([(2, AT_MS + 14 * DAY_MS, 2), (2, AT_MS + 7 * DAY_MS, 3)])),
                )
                cursor = await reader.execute("SELECT asset_id, seq FROM reading_lamp ORDER BY 1, 2")
                assert await cursor.fetchall() == [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]
        await desk.connection.close()
        await other.connection.close()


ABUSES = (
    ("nonsense", "2026-11-16"),
    ("", "2026-11-16"),
    (None, "2026-11-16"),
    ("Lamp", "2026-11-16"),
    ("lamp_2026w47", "2026-11-16"),
    ("lamp; DROP TABLE device", "2026-11-16"),
    ('lamp"', "2026-11-16"),
    ("lamp", "2026-11-17"),
    ("lamp", None),
)


def test_ingest_cannot_have_anything_else_made(
    owner: psycopg.Connection[Any], database_role_url: Callable[[str], str]
) -> None:
    owner.execute("SELECT ensure_partition('lamp', %s)", [MONDAY])
    before = owner.execute("SELECT count(*) FROM pg_class").fetchone()
    with psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as connection:
        for abuse in ABUSES:
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT ensure_partition(%s, %s)", abuse)
    assert owner.execute("SELECT count(*) FROM pg_class").fetchone() == before


def test_a_table_that_is_not_partitioned_is_left_alone(
    owner: psycopg.Connection[Any], database_role_url: Callable[[str], str]
) -> None:
    owner.execute("CREATE TABLE reading_glasses (ts timestamptz)")
    with psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as connection:
        answer = connection.execute("SELECT ensure_partition('glasses', %s)", [MONDAY]).fetchone()
    assert answer == (False,)
    assert owner.execute("SELECT to_regclass('reading_glasses_2026w47')").fetchone() == (None,)


def test_no_search_path_leads_the_function_astray(
    owner: psycopg.Connection[Any], database_role_url: Callable[[str], str]
) -> None:
    with psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as connection:
        connection.execute("SET search_path = pg_temp, pg_catalog, public; SET timezone = 'Pacific/Auckland'")
        connection.execute("CREATE TEMP TABLE reading_lamp (ts timestamptz) PARTITION BY RANGE (ts)")
        connection.execute("CREATE TEMP TABLE pg_partitioned_table (partrelid oid)")
        connection.execute("CREATE FUNCTION pg_temp.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL'")
        answer = connection.execute("SELECT ensure_partition('lamp', %s)", [MONDAY]).fetchone()
        assert answer == (True,)
        found = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'pg_temp.reading_lamp'::regclass"
        )
        assert found.fetchone() == (0,)
    assert names(owner) == ["reading_lamp_2026w47"]
    made = owner.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'reading_lamp_2026w47'")
    assert made.fetchone() == ("kraj_owner",)
