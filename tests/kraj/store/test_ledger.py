"""Baselines are only added, by who controls light there; a month is read by who may see it, and by nobody else."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from kraj.store import ledger
from stack.database import OWNER
from tests.kraj.store.samples import AT
from tests.kraj.store.test_tenants import Region

SEGMENT = "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Hlavní', 'segment') RETURNING group_id"
MEMBERS = "INSERT INTO asset_group_member SELECT %s, asset_id FROM asset WHERE municipality_id = 1"


class Asking:
    """The API's role in the name of somebody; nothing is kept of what it writes unless it ends well."""

    def __init__(self, url: str, person: int) -> None:
        self.url, self.person = url, person

    async def __aenter__(self) -> psycopg.AsyncConnection[Any]:
        self.connection = await psycopg.AsyncConnection[Any].connect(self.url)
        await self.connection.execute(
            "SELECT set_config('kraj.principal', %s, true), set_config('kraj.scopes', '*', true)", [str(self.person)]
        )
        return self.connection

    async def __aexit__(self, *error: object) -> None:
        if error[0] is None:
            await self.connection.commit()
        await self.connection.close()


@pytest.fixture
def region(database_role_url: Callable[[str], str]) -> Any:
    with (
        psycopg.connect(database_role_url(OWNER), autocommit=True) as owner,
        psycopg.connect(database_role_url("kraj_api"), autocommit=True) as api,
    ):
        found = Region(owner, api)
        row = owner.execute(SEGMENT).fetchone()
        assert row == (1,)
        owner.execute(MEMBERS, [1])
        yield found


async def declare(connection: psycopg.AsyncConnection[Any], power_w: float = 115.0) -> int:
    return await ledger.declare(
        connection, 1, valid_from=date(2026, 10, 1), power_w=power_w, source="pasport", who="Jana", at=AT
    )


async def test_who_controls_declares_again_and_nothing_is_ever_changed(
    region: Region, database_role_url: Callable[[str], str]
) -> None:
    url = database_role_url("kraj_api")
    admin, viewer, other = (
        region.person("municipality_admin", 1),
        region.person("viewer", 1),
        region.person("municipality_admin", 2),
    )
    async with Asking(url, admin) as connection:
        assert [await declare(connection), await declare(connection, 120.0)] == [1, 2]
    for person, error in ((viewer, psycopg.errors.InsufficientPrivilege), (other, psycopg.DataError)):
        with pytest.raises(error):
            async with Asking(url, person) as connection:
                await declare(connection)
    for statement in ("UPDATE lighting_baseline SET power_w = 1", "DELETE FROM lighting_baseline"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            region.ask(admin, statement)
    async with Asking(url, viewer) as connection:
        assert [(b.version, b.power_w) for b in await ledger.baselines(connection, 1)] == [(1, 115.0), (2, 120.0)]
    async with Asking(url, other) as connection:
        assert await ledger.baselines(connection, 1) == []
    row = region.owner.execute("SELECT count(*) FROM audit_entry WHERE subject = 'lighting_baseline'").fetchone()
    assert row == (2,)


async def test_readings_come_by_lamp_and_time_through_the_wall(
    region: Region, database_role_url: Callable[[str], str]
) -> None:
    region.owner.execute(
        "INSERT INTO reading_lamp (asset_id, municipality_id, ts, seq, batch_id, implausible, power_w, energy_wh,"
        " level_commanded_pct) SELECT asset_id, municipality_id, %s, 2, 1, 0, 41.5, 7000000001, 70 FROM asset",
        [AT + timedelta(seconds=60)],
    )
    at = int(AT.timestamp())
    for role, table, town, seen in (
        ("kraj_api", ledger.VIEW, 1, 2),
        ("kraj_api", ledger.VIEW, 2, 0),
        (OWNER, ledger.TABLE, 1, 2),
    ):
        async with Asking(database_role_url(role), region.person("viewer", town)) as connection:
            found = [
                (list(batch), rows)
                async for batch, rows in ledger.readings(connection, [1, 2], AT, AT + timedelta(hours=1), table)
            ]
            segment = await ledger.segment(connection, 1, AT)
        ((batch, rows),) = found
        assert batch == [1, 2]
        assert rows.shape == (2 * seen, 5)
        if seen:
            assert rows[1].tolist() == [1, at + 60, 41.5, 7000000001, 70]
            assert rows[2, :3].tolist() == [2, at, 40]
            assert str(rows[2, 3]) == "nan"
            assert segment is not None
            assert [lamp.asset_id for lamp in segment.lamps] == [1, 2]
            assert (segment.name, segment.municipality, segment.programs) == ("Hlavní", "brno", [])
