"""What PostgreSQL holds of foreign devices: walls, rings, and hashes that nobody reads."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kraj.store import foreign
from kraj.store.foreign import ForeignMessage
from kraj.store.registry import NewAsset, NewDevice, register

AT = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


@pytest.fixture
def towns(database_url: str) -> dict[str, int]:
    """Two municipalities with a foreign device and a mapping each, and a manager of the first; its person's number."""
    with psycopg.connect(database_url) as connection:
        devices = [
            NewDevice(name=f"plug-{town}", municipality=town, assets={0: NewAsset(kind="lamp", label=town)})
            for town in ("lhota", "dvory")
        ]
        register(connection, {"lhota": "Lhota", "dvory": "Dvory"}, devices, AT)
        for town in ("lhota", "dvory"):
            connection.execute(
                "INSERT INTO mapping (municipality_id, name, adapter, document, changed_at)"
                " SELECT municipality_id, 'lamps', 'json', %s, %s FROM municipality WHERE name = %s",
                [Jsonb({"readings": []}), AT, town],
            )
            connection.execute(
                "INSERT INTO foreign_device (device_id, adapter, credential, changed_at)"
                " SELECT device_id, 'tasmota', '$7$x', %s FROM device WHERE name = %s",
                [AT, f"plug-{town}"],
            )
            connection.execute(
                "INSERT INTO foreign_message"
                " SELECT device_id, 1, 1, municipality_id, %s, 't', '', 0, '[]', 'stored', '[]'"
                " FROM device WHERE name = %s",
                [AT, f"plug-{town}"],
            )
        row = connection.execute(
            "INSERT INTO person (name, title, created_at) VALUES ('jana@lhota.example', 'Jana', now())"
            " RETURNING person_id"
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
            " SELECT %s, municipality_id, 'municipality_admin', now() - interval '1 day' FROM municipality"
            " WHERE name = 'lhota'",
            [row[0]],
        )
    return {"jana": row[0]}


def seen(url: str, person: int | None, statement: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('kraj.principal', %s, true)", [str(person or "")])
        return [row[0] for row in connection.execute(statement.encode()).fetchall()]


@pytest.mark.parametrize("table", ["mapping", "foreign_device", "foreign_message"])
def test_a_municipality_sees_its_own_and_a_stranger_nothing(
    database_role_url: Callable[[str], str], towns: dict[str, int], table: str
) -> None:
    url = database_role_url("kraj_api")
    names = f"SELECT m.name FROM {table} JOIN municipality m USING (municipality_id)"
    assert seen(url, towns["jana"], names) == ["lhota"]
    assert seen(url, None, names) == []


def test_one_writes_in_ones_own_municipality_alone(
    database_role_url: Callable[[str], str], towns: dict[str, int]
) -> None:
    url = database_role_url("kraj_api")
    changed = "UPDATE mapping SET document = '{}' RETURNING name"
    assert seen(url, towns["jana"], changed) == ["lamps"]
    assert seen(url, towns["jana"], "DELETE FROM foreign_device RETURNING device_id") != []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        seen(
            url,
            towns["jana"],
            "INSERT INTO mapping (municipality_id, name, adapter, document, changed_at)"
            " SELECT municipality_id, 'mine', 'json', '{}', now() FROM municipality WHERE name = 'dvory'"
            " RETURNING name",
        )


@pytest.mark.parametrize("role", ["kraj_api", "kraj_ingest"])
def test_nobody_but_the_owner_reads_the_hash_of_a_password(
    database_role_url: Callable[[str], str], towns: dict[str, int], role: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        seen(database_role_url(role), towns["jana"], "SELECT credential FROM foreign_device")


def test_the_brokers_file_is_made_of_devices_that_may_send(database_url: str, towns: dict[str, int]) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE device SET state = 'suspended' WHERE name = 'plug-dvory'")
        assert foreign.credentials(connection) == {"plug-lhota": "$7$x"}


def test_a_mapping_of_another_municipality_cannot_be_used(database_url: str, towns: dict[str, int]) -> None:
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute(
            "UPDATE foreign_device SET adapter = 'json', mapping_id = (SELECT mapping_id FROM mapping"
            " JOIN municipality m USING (municipality_id) WHERE m.name = 'dvory')"
            " WHERE device_id = (SELECT device_id FROM device WHERE name = 'plug-lhota')"
        )


def test_a_change_of_mapping_raises_the_registrys_version_and_a_message_does_not(
    database_url: str, towns: dict[str, int]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:

        def version() -> int:
            row = connection.execute("SELECT version FROM registry_version").fetchone()
            assert row is not None
            return row[0]

        before = version()
        connection.execute("UPDATE foreign_message SET at = now()")
        connection.execute("UPDATE foreign_device SET credential = 'x'")
        assert version() == before
        connection.execute("UPDATE mapping SET document = '{}'")
        assert version() > before


async def test_a_ring_holds_what_postgresql_cannot_and_no_more_than_its_places(
    database_role_url: Callable[[str], str], towns: dict[str, int], database_url: str
) -> None:
    with psycopg.connect(database_url) as sync:
        row = sync.execute("SELECT device_id, municipality_id FROM device WHERE name = 'plug-lhota'").fetchone()
        assert row is not None
    device_id, town = row
    odd: dict[str, Any] = {"a\0": "b\0\ud800", "list": [float(1), None, {"deep": "\x1b"}]}
    async with await psycopg.AsyncConnection.connect(database_role_url("kraj_ingest")) as connection:
        for _ in range(3):
            rows = [ForeignMessage(device_id, town, "t\0", b"\0" * 9000, [odd], "stored", [odd]) for _ in range(50)]
            await foreign.keep(connection, rows, AT)
    with psycopg.connect(database_url) as sync:
        found = sync.execute(
            "SELECT count(*), max(length(payload)), max(number) - min(number) FROM foreign_message"
            " WHERE device_id = %s",
            [device_id],
        ).fetchone()
        assert found == (foreign.RING, foreign.PAYLOAD_KEPT_BYTES, foreign.RING - 1)
