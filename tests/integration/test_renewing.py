"""A lamp on the real firmware gets its next certificate: database, API, ingest, broker and device as they are."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from api.database import Database
from api.renewing import Renewer
from api.service import Service
from api.texts import catalogues
from kraj import certificates
from kraj.store import identity
from simulators.asset import Asset
from simulators.firmware.device import Address, FirmwareDevice, enrol
from simulators.identity import ROOTS
from simulators.region import Device, Installed
from stack.broker import Broker
from stack.guard import GuardedBroker
from tests.ingest.rig import TOWN, Ingest, query, register_lamps
from tests.simulators.firmware.rig import until
from tests.stack.mutual import NAMES, Place

AGE = timedelta(days=500)
NAME = "lamp-1"
WAIT_S = 40


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def lamp(database_url: str, open_folder: Path, tmp_path: Path) -> AsyncIterator[FirmwareDevice]:
    """It was enrolled long ago, and runs at a guarded broker with ingest behind it."""
    place = Place(tmp_path)
    broker = Broker(open_folder / "broker", credentials={"slot_0": "secret"})
    (tmp_path / "slot_0.password").write_text("secret")
    guard = GuardedBroker(broker, place.folder, NAMES, lambda: database_url)
    register_lamps(database_url, [NAME])
    key, then = certificates.new_key(), now() - AGE
    issued = certificates.issue_device(place.by, key.public_key(), NAME, then)
    with psycopg.connect(database_url, autocommit=True) as connection:
        identity.record(connection, [(NAME, issued)], 1, then)
    identities = open_folder / "identities"
    identities.mkdir()
    (identities / ROOTS).write_text(place.roots)
    shutil.copy(place.device(NAME, issued, key), identities / f"{NAME}.pem")
    asset = Asset(kind="lamp", municipality=TOWN, label="1", latitude=49.5, longitude=15.5, metadata={})
    device = Device(name=NAME, municipality=TOWN, installed=(Installed(asset=asset),))
    async with AsyncExitStack() as stack:
        guard.start()
        stack.callback(guard.stop)
        settings = {"KRAJ_MQTT_USERNAME": "slot_0", "KRAJ_MQTT_PASSWORD_FILE": str(tmp_path / "slot_0.password")}
        ingest = Ingest(database_url, broker.address, broker.port, tmp_path / "ingest.log", **settings)
        stack.callback(ingest.stop)
        await asyncio.to_thread(ingest.ready)
        enrol(open_folder / NAME, device, asset, identities, Address("localhost", broker.port))
        found = FirmwareDevice(device, open_folder / NAME, Random(1), spread_s=0)
        found.feed({"power_full_w": 40, "voltage_v": 230, "energy_wh": 70_000, "illuminance_lx": 5})
        running = asyncio.create_task(found.run())
        try:
            yield found
        finally:
            found.stop()
            await running


async def test_a_lamp_is_renewed_from_the_database_to_the_device_and_back(
    lamp: FirmwareDevice, database_url: str, database_role_url: Callable[[str], str], tmp_path: Path
) -> None:
    def rows(statement: str) -> list[Any]:
        return query(database_url, statement)

    service = Service(Database(database_role_url("kraj_api")), now, catalogues())
    renewer = Renewer(service, tmp_path / "authority", now)
    async with service.database:
        await until(lambda: rows("SELECT 1 FROM device_status WHERE certificate IS NOT NULL"), "it says so", WAIT_S)
        (old,) = rows("SELECT certificate FROM device_status")
        assert await renewer.look() == 0  # it is asked to show its certificate
        await until(lambda: rows("SELECT 1 FROM device_certificate WHERE public_key IS NOT NULL"), "shown", WAIT_S)
        assert await renewer.look() == 1
        await until(lambda: rows("SELECT state FROM command") == ["confirmed"], "proved", WAIT_S)
        (new,) = rows("SELECT certificate FROM device_status")
        assert new != old
        assert rows("SELECT serial FROM device_certificate WHERE proved ORDER BY issued_at") == [old, new]
        assert rows("SELECT why FROM command") == [new]
        assert rows("SELECT 1 FROM device_certificate WHERE revoked_at IS NOT NULL") == []
        assert rows("SELECT DISTINCT boot FROM device_status") == [1]
        assert await renewer.look() == 0
    lamp.restart()
    await until(lambda: rows("SELECT boot FROM device_status") == [2], "it is back after a loss of power", WAIT_S)
    assert rows("SELECT certificate FROM device_status") == [new]
