"""Imports in the real database: all or nothing, and back again as one action, unless something stands in the way."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from kraj.importing import Defaults, Judged, judge, parse
from kraj.store import imports
from tests.kraj.importing.samples import csv_file
from tests.waiting import cpu_s

Owner = psycopg.Connection[Any]
Api = psycopg.AsyncConnection[Any]
AT = datetime(2026, 11, 21, 6, tzinfo=UTC)
HEADINGS = ("Označení", "Zařízení", "Kanál", "Ulice")
LAMPS = csv_file([(f"VO-{n}", f"lamp-{n}", None, "Nádražní") for n in range(1, 6)], HEADINGS)


def clerk(owner: Owner, town: str | None = "olsinka", role: str = "municipality_admin") -> int:
    owner.execute(
        "INSERT INTO municipality (name, title) VALUES ('olsinka', 'Olšinka'), ('zdarna', 'Žďárná')"
        " ON CONFLICT DO NOTHING"
    )
    row = owner.execute(
        "INSERT INTO person (name, title, created_at) VALUES (%s, 'Jana', %s) RETURNING person_id",
        [f"{town}-{role}@kraj.cz".lower(), AT],
    ).fetchone()
    assert row is not None
    owner.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
        " VALUES (%s, (SELECT municipality_id FROM municipality WHERE name = %s), %s, %s)",
        [row[0], town, role, AT - timedelta(days=1)],
    )
    return row[0]


@pytest.fixture
async def api(database_role_url: Callable[[str], str]) -> AsyncIterator[Api]:
    connection = await psycopg.AsyncConnection.connect(database_role_url("kraj_api"), autocommit=True)
    yield connection
    await connection.close()


async def as_who(api: Api, who: int) -> None:
    await api.execute("SELECT set_config('kraj.principal', %s, true)", [str(who)])


async def previewed(api: Api, who: int, data: bytes = LAMPS, **defaults: str) -> tuple[int, list[Judged]]:
    parsed = parse(data, Defaults(**({"kind": "lamp", "municipality": "olsinka"} | defaults)))
    async with api.transaction():
        await as_who(api, who)
        judged = judge(parsed.rows, await imports.registry(api, parsed.rows))
        upload = imports.Upload(person_id=who, file_name="VO.csv", file_digest=b"x", at=AT)
        return await imports.keep(api, upload, parsed, judged, 0), judged


async def applied(api: Api, who: int, data: bytes = LAMPS) -> int:
    import_id, judged = await previewed(api, who, data)
    await apply(api, who, import_id, judged)
    return import_id


async def apply(api: Api, who: int, import_id: int, judged: list[Judged]) -> None:
    async with api.transaction():
        await as_who(api, who)
        await imports.apply(api, import_id, judged, who="jana", reason="import", at=AT)


async def standing(api: Api, who: int, import_id: int) -> dict[int, str]:
    async with api.transaction():
        await as_who(api, who)
        return await imports.standing(api, import_id)


async def undone(api: Api, who: int, import_id: int, *, leave: bool = False) -> tuple[int, int]:
    async with api.transaction():
        await as_who(api, who)
        return await imports.undo(api, import_id, leave=leave, at=AT)


def registered(owner: Owner) -> tuple[int, ...]:
    row = owner.execute(
        "SELECT (SELECT count(*) FROM device), (SELECT count(*) FROM asset), (SELECT count(*) FROM installed)"
    ).fetchone()
    assert row is not None
    return row


def codes(judged: list[Judged]) -> list[tuple[int, str]]:
    return [(one.row.number, finding.code) for one in judged for finding in one.row.findings]


async def test_a_preview_writes_nothing_and_applying_it_writes_everything(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    await previewed(api, who)
    assert registered(owner) == (0, 0, 0)
    await applied(api, who)
    assert registered(owner) == (5, 5, 5)
    rows = owner.execute(
        "SELECT a.label, d.name, d.state, a.metadata, i.channel FROM asset a JOIN installed i USING (asset_id)"
        " JOIN device d USING (device_id) ORDER BY a.asset_id"
    ).fetchall()
    assert rows[2] == ("VO-3", "lamp-3", "registered", {"street": "Nádražní"}, 0)


async def test_the_same_file_again_registers_nothing_new(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    await applied(api, who)
    _, judged = await previewed(api, who)
    assert all(one.known for one in judged)
    assert {code for _, code in codes(judged)} == {"known"}
    await applied(api, who)
    assert registered(owner) == (5, 5, 5)


async def test_duplicates_in_the_file_and_against_the_registry_are_told_apart(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    await applied(api, who)
    other = clerk(owner, "zdarna")
    await previewed(api, other, csv_file([("Z-1", "lamp-9", None, None)], HEADINGS), municipality="zdarna")
    rows = [
        ("VO-1", "lamp-7", None, None),  # the label has lamp-1
        ("VO-8", "lamp-1", None, None),  # the channel has VO-1
        ("VO-9", "lamp-1", 1, None),  # another channel is free
        ("VO-10", "lamp-10", None, None),
        ("vo 10", "lamp-11", None, None),
        ("VO-12", "LAMP-10", None, None),
    ]
    _, judged = await previewed(api, who, csv_file(rows, HEADINGS))
    assert codes(judged) == [(2, "label_taken"), (3, "channel_taken"), (6, "label_twice"), (7, "device_twice")]


async def test_a_device_of_another_municipality_is_only_said_to_be_taken(owner: Owner, api: Api) -> None:
    await applied(api, clerk(owner))
    other = clerk(owner, "zdarna")
    _, judged = await previewed(api, other, municipality="zdarna")
    assert {code for _, code in codes(judged)} == {"device_taken"}
    assert "lsink" not in str([one.row.findings for one in judged])
    _, judged = await previewed(api, other)
    assert {code for _, code in codes(judged)} == {"municipality"}


async def test_who_may_not_register_can_neither_apply_nor_undo(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    import_id, judged = await previewed(api, who)
    stranger = clerk(owner, "olsinka", "viewer")
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ForeignKeyViolation)):
        await apply(api, stranger, import_id, judged)
    assert registered(owner) == (0, 0, 0)
    import_id = await applied(api, who)
    with pytest.raises(psycopg.errors.NoDataFound):
        await undone(api, stranger, import_id)
    async with api.transaction():
        await as_who(api, stranger)
        assert await imports.get(api, import_id) is None
        assert await imports.rows(api, import_id, after=0, limit=None) == []
    assert registered(owner) == (5, 5, 5)


async def test_what_the_database_refuses_leaves_nothing_behind(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    import_id, judged = await previewed(api, who)
    owner.execute("INSERT INTO device (name, municipality_id) VALUES ('lamp-3', 2)")
    with pytest.raises(psycopg.IntegrityError):
        await apply(api, who, import_id, judged)
    assert registered(owner) == (1, 0, 0)


async def test_an_import_is_undone_as_one_action(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    import_id = await applied(api, who)
    assert await standing(api, who, import_id) == {}
    assert await undone(api, who, import_id) == (5, 0)
    assert registered(owner) == (0, 0, 0)
    with pytest.raises(psycopg.errors.NoDataFound):
        await undone(api, who, import_id)


READING = (
    "SELECT ensure_partition('lamp', '2026-11-16');"
    "INSERT INTO reading_lamp (ts, seq, batch_id, implausible, asset_id, municipality_id)"
    " SELECT '2026-11-21', 1, 1, 0, asset_id, municipality_id FROM asset WHERE label = 'VO-2'"
)


@pytest.mark.parametrize(
    ("happens", "rows", "reason"),
    [
        (READING, [3], "readings"),
        ("UPDATE asset SET latitude = 49.1, longitude = 16.1 WHERE label = 'VO-2'", [3], "changed"),
        ("UPDATE device SET state = 'active' WHERE name = 'lamp-2'", [3], "changed"),
        ("UPDATE installed SET valid_to = valid_from + interval '1 day' WHERE device_id ="
         " (SELECT device_id FROM device WHERE name = 'lamp-2')", [3], "changed"),
        ("INSERT INTO boot_epoch SELECT device_id, 1, 1 FROM device WHERE name = 'lamp-2'", [3], "used"),
        ("INSERT INTO device_status SELECT device_id, true, 1, '1', 'x', now() FROM device WHERE name = 'lamp-2'", [3],
         "used"),
        ("INSERT INTO asset_group (municipality_id, name) VALUES (1, 'g');"
         "INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE label = 'VO-2'", [3], "used"),
    ],
)  # fmt: skip
async def test_rows_that_live_already_stand_and_nothing_is_half_undone(
    owner: Owner, api: Api, happens: str, rows: list[int], reason: str
) -> None:
    who = clerk(owner)
    import_id = await applied(api, who)
    owner.execute(happens.encode())
    assert await standing(api, who, import_id) == dict.fromkeys(rows, reason)
    assert await undone(api, who, import_id) == (0, 1)
    assert registered(owner) == (5, 5, 5)
    assert await undone(api, who, import_id, leave=True) == (4, 1)
    assert registered(owner) == (1, 1, 1)


async def test_an_asset_put_behind_a_known_device_goes_and_the_device_stays(owner: Owner, api: Api) -> None:
    who = clerk(owner)
    await applied(api, who)
    later = await applied(api, who, csv_file([("VO-9", "lamp-1", 1, None)], HEADINGS))
    assert registered(owner) == (5, 6, 6)
    assert await undone(api, who, later) == (1, 0)
    assert registered(owner) == (5, 5, 5)


async def test_ten_thousand_devices_are_imported_within_ten_seconds(owner: Owner, api: Api) -> None:
    who = clerk(owner, None, "region_admin")
    rows = [(f"VO-{n}", f"lamp-{n:05}", None, "Nádražní") for n in range(10_000)]
    started = cpu_s()
    import_id = await applied(api, who, csv_file(rows, HEADINGS))
    took = cpu_s() - started
    assert registered(owner) == (10_000, 10_000, 10_000)
    started = cpu_s()
    assert await undone(api, who, import_id) == (10_000, 0)
    back = cpu_s() - started
    print(f"10,000 devices imported in {took:.1f} s of a core, undone in {back:.1f} s")  # noqa: T201
    assert took < 10
    assert back < 30
