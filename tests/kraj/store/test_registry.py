"""The registry: registered once and whole, and read as it stands."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError
from kraj.store.registry import Installation, NewAsset, NewDevice, read, register, register_streets
from tests.kraj.store.samples import AT
from tests.waiting import cpu_s

BRNO = {"brno": "Brno"}


def lamp(label: str = "L1") -> NewAsset:
    return NewAsset(kind="lamp", label=label)


def device(name: str, assets: Mapping[int, NewAsset] | None = None, municipality: str = "brno") -> NewDevice:
    return NewDevice(name=name, municipality=municipality, assets={0: lamp(name)} if assets is None else assets)


def counts(owner: psycopg.Connection[Any]) -> tuple[int, ...]:
    row = owner.execute(
        "SELECT (SELECT count(*) FROM municipality), (SELECT count(*) FROM device), (SELECT count(*) FROM asset),"
        " (SELECT count(*) FROM installed)"
    ).fetchone()
    assert row is not None
    return row


def version(owner: psycopg.Connection[Any]) -> int:
    row = owner.execute("SELECT version FROM registry_version").fetchone()
    assert row is not None
    return row[0]


async def reading(owner: psycopg.Connection[Any], url: str) -> tuple[int, list[Installation]]:
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as connection:
        return await read(connection)


async def test_what_was_registered_is_read_back(owner: psycopg.Connection[Any], database_url: str) -> None:
    place = NewAsset(kind="lamp", label="Náves 1", latitude=49.2, longitude=16.6, metadata={"driver": "Xi 40 W"})
    assert register(owner, BRNO, [device("lamp-1", {0: place})], AT) == 1
    assert await reading(owner, database_url) == (
        version(owner),
        [Installation("brno", "lamp-1", 1, 1, "provisioned", 0, 1, "lamp", 1)],
    )
    assert owner.execute("SELECT label, latitude, longitude, metadata FROM asset").fetchone() == (
        "Náves 1", 49.2, 16.6, {"driver": "Xi 40 W"},
    )  # fmt: skip


async def test_a_gateway_shows_each_channel_and_a_device_without_asset_shows_too(
    owner: psycopg.Connection[Any], database_url: str
) -> None:
    channels = {7: NewAsset(kind="cabinet", label="RVO"), 0: lamp("a"), 3: NewAsset(kind="solar", label="FVE")}
    register(owner, BRNO, [device("gateway", channels), device("spare", {}), device("asleep")], AT)
    owner.execute("UPDATE device SET state = 'suspended' WHERE name = 'asleep'")
    _, found = await reading(owner, database_url)
    assert [(i.device, i.state, i.channel, i.kind) for i in found] == [
        ("gateway", "provisioned", 0, "lamp"),
        ("gateway", "provisioned", 3, "solar"),
        ("gateway", "provisioned", 7, "cabinet"),
        ("spare", "provisioned", None, None),
        ("asleep", "suspended", 0, "lamp"),
    ]
    assert (found[3].asset_id, found[3].municipality_id) == (None, None)


async def test_an_installation_that_has_ended_is_gone_and_the_new_owner_counts(
    owner: psycopg.Connection[Any], database_url: str
) -> None:
    register(owner, BRNO | {"znojmo": "Znojmo"}, [device("old"), device("new", {})], AT)
    later = AT + timedelta(days=1)
    with owner.transaction():
        owner.execute("UPDATE installed SET valid_to = %s", [later])
        owner.execute("INSERT INTO installed (asset_id, device_id, valid_from) VALUES (1, 2, %s)", [later])
        owner.execute("UPDATE asset SET municipality_id = 2")
    _, found = await reading(owner, database_url)
    assert [(i.device, i.asset_id, i.device_municipality_id, i.municipality_id) for i in found] == [
        ("old", None, 1, None),
        ("new", 1, 1, 2),
    ]


def test_registering_again_changes_nothing_and_wakes_nobody(owner: psycopg.Connection[Any]) -> None:
    devices = [device("lamp-1"), device("lamp-2")]
    assert register(owner, BRNO, devices, AT) == 2
    before = (counts(owner), version(owner))
    assert register(owner, BRNO, devices, AT + timedelta(days=1)) == 0
    assert register(owner, {"brno": "Another title"}, [], AT) == 0
    assert (counts(owner), version(owner)) == before
    assert owner.execute("SELECT title FROM municipality").fetchone() == ("Brno",)
    assert register(owner, BRNO, [*devices, device("lamp-3")], AT) == 1
    assert counts(owner) == (1, 3, 3, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (device("x1", municipality="atlantis"), "device x1: unknown municipality 'atlantis'"),
        (device("x1", {0: NewAsset(kind="tram", label="T")}), "device x1: unknown kind 'tram'; known: .*lamp"),
        (device("Lamp_1"), "device_name_check"),
        (device("x1", {0: lamp("")}), "asset_label_check"),
        (device("x1", {1000: lamp()}), "installed_channel_check"),
        (device("x1", {100_000: lamp()}), "smallint out of range"),
        (device("x1", {0: NewAsset(kind="lamp", label="a", latitude=91.0)}), "asset_latitude_check"),
        (device("x1", {0: lamp("a\0b")}), "NUL"),
        (device("good"), "device_name_key"),
    ],
)
def test_what_cannot_be_registered_is_named_and_nothing_is_half_done(
    owner: psycopg.Connection[Any], wrong: NewDevice, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(owner, BRNO, [device("good"), wrong], AT)
    assert counts(owner) == (0, 0, 0, 0)
    assert register(owner, BRNO, [device("good")], AT) == 1


def test_each_street_is_a_segment_once(owner: psycopg.Connection[Any]) -> None:
    def on(street: str, label: str) -> NewAsset:
        return NewAsset(kind="lamp", label=label, metadata={"street": street})

    devices = [
        device(f"lamp-{n}", {0: on(street, f"L{n}")}) for n, street in enumerate(["Polní", "Polní", "Lesní", ""])
    ]
    register(owner, BRNO, devices, AT)
    assert (register_streets(owner, ("P3", "P5"), AT), register_streets(owner, ("P3", "P5"), AT)) == (2, 0)
    rows = owner.execute(
        "SELECT g.name, g.kind, s.designed_class, s.permitted_class, count(*) FROM lighting_segment s"
        " JOIN asset_group g USING (group_id) JOIN asset_group_member USING (group_id) GROUP BY 1, 2, 3, 4 ORDER BY 1"
    ).fetchall()
    assert rows == [("Lesní", "segment", "P3", "P5", 1), ("Polní", "segment", "P3", "P5", 2)]


def test_10000_devices_take_seconds(owner: psycopg.Connection[Any]) -> None:
    devices = [device(f"lamp-{n}") for n in range(10_000)]
    started = cpu_s()
    assert register(owner, BRNO, devices, AT) == 10_000
    assert cpu_s() - started < 10
    assert counts(owner) == (1, 10_000, 10_000, 10_000)
    mixed = (
        "SELECT count(*) FROM installed JOIN asset USING (asset_id) JOIN device USING (device_id) WHERE label <> name"
    )
    assert owner.execute(mixed.encode()).fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO municipality (name, title) VALUES ('znojmo', 'Znojmo')",
        "UPDATE municipality SET title = 'Brno-město'",
        "UPDATE asset SET label = 'L2'",
        "UPDATE device SET state = 'suspended'",
        "UPDATE installed SET valid_to = valid_from + interval '1 day'",
        "DELETE FROM installed",
    ],
)
def test_every_change_raises_the_version_and_gives_a_hint(owner: psycopg.Connection[Any], change: str) -> None:
    register(owner, BRNO, [device("lamp-1")], AT)
    owner.execute("LISTEN registry")
    before = version(owner)
    owner.execute(change.encode())
    assert version(owner) > before
    assert [hint.channel for hint in owner.notifies(timeout=5, stop_after=1)] == ["registry"]


def test_a_change_that_is_rolled_back_leaves_the_version(owner: psycopg.Connection[Any]) -> None:
    before = version(owner)
    with owner.transaction(force_rollback=True):
        owner.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno')")
        assert version(owner) > before
    assert version(owner) == before


async def test_version_and_devices_are_of_one_moment(owner: psycopg.Connection[Any], database_url: str) -> None:
    """While devices are added one by one, whoever reads n devices reads the version of n devices."""
    register(owner, BRNO, [], AT)
    start = version(owner)
    seen: list[tuple[int, int]] = []
    async with await psycopg.AsyncConnection[Any].connect(database_url, autocommit=True) as connection:
        for n in range(20):
            owner.execute(
                "INSERT INTO device (name, municipality_id) SELECT %s, municipality_id FROM municipality", [f"lamp-{n}"]
            )
            at, found = await read(connection)
            seen.append((at - start, len(found)))
    assert seen == [(n, n) for n in range(1, 21)]
