"""Simulated devices have keys of their own, live over mutual TLS, and keep their identity over a restart."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from kraj import certificates
from kraj.errors import ConfigurationError
from kraj.store.registry import register
from simulators.device import Link
from simulators.fleet import Fleet
from simulators.identity import contexts
from simulators.region import Region, region
from stack import authority
from stack.broker import Broker
from stack.demo import new_device
from stack.guard import GuardedBroker
from stack.provision import provision
from tests.ingest.rig import Ingest, query
from tests.stack.mutual import NAMES
from tests.waiting import PATIENCE_S, cpu_s

DEVICES = 120
DEVICES_S_MAX = 3.0


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def invented(database_url: str) -> Region:
    made = region(1, DEVICES)
    towns = {town.name: town.title for town in made.municipalities}
    with psycopg.connect(database_url, autocommit=True) as connection:
        register(connection, towns, [new_device(device) for device in made.devices], now())
    return made


def names(invented: Region) -> list[str]:
    return [device.name for device in invented.devices]


def test_devices_get_distinct_keys_quickly_once_and_anew_when_damaged(
    invented: Region, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "identities"
    begin = cpu_s()
    assert provision(database_url, names(invented), tmp_path / "authority", folder, now) == DEVICES
    assert cpu_s() - begin < DEVICES_S_MAX
    files = [folder / f"{name}.pem" for name in names(invented)]
    keys = {certificates.key_pem(certificates.read_key(file.read_bytes())) for file in files}
    assert len(keys) == DEVICES
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert query(database_url, "SELECT count(*) FROM device_certificate") == [DEVICES]
    assert provision(database_url, names(invented), tmp_path / "authority", folder, now) == 0
    files[0].write_text("")
    assert provision(database_url, names(invented), tmp_path / "authority", folder, now) == 1


def test_a_missing_or_damaged_identity_is_named(tmp_path: Path) -> None:
    authority.ensure(tmp_path / "authority", now())
    with pytest.raises(ConfigurationError, match="2 of 2 devices have no certificate"):
        contexts(tmp_path, ["lamp-1", "lamp-2"])
    (tmp_path / "lamp-1.pem").write_text("x")
    with pytest.raises(ConfigurationError, match=r"roots\.pem"):
        contexts(tmp_path, ["lamp-1"])


@pytest.fixture
def guard(invented: Region, database_url: str, open_folder: Path, tmp_path: Path) -> Iterator[GuardedBroker]:
    provision(database_url, names(invented), tmp_path / "authority", tmp_path / "identities", now)
    broker = Broker(open_folder / "broker", credentials={"slot_0": "secret"})
    guarded = GuardedBroker(broker, tmp_path / "authority", NAMES, lambda: database_url)
    guarded.start()
    yield guarded
    guarded.stop()


async def test_a_fleet_delivers_over_mutual_tls_through_lost_connections(
    invented: Region, guard: GuardedBroker, database_url: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    settings = {"KRAJ_MQTT_USERNAME": "slot_0", "KRAJ_MQTT_PASSWORD_FILE": str(password)}
    with ExitStack() as stack:
        broker = guard.broker
        ingest = Ingest(database_url, broker.address, broker.port, tmp_path / "ingest.log", **settings)
        stack.callback(ingest.stop)
        await asyncio.to_thread(ingest.ready)
        fleet = Fleet(
            invented,
            Link(host="127.0.0.1", port=broker.port, connect_spread_s=0.5, backoff_first_s=0.1, backoff_longest_s=0.5),
            identities=tmp_path / "identities",
            interval_s=1.0,
            keep_acknowledged=True,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(fleet.run(stop))
        await until(lambda: fleet.counts().connected == DEVICES)
        await until(lambda: len(fleet.acknowledged) > 200)
        lost = [fleet.devices[name] for name in names(invented)[:10]]
        for device in lost:  # power goes, the broker finds the connection dead, power comes
            device.lose()
            device.cut()
        await until(lambda: fleet.counts().connected == DEVICES - 10)
        for device in lost:
            device.back()
        await until(lambda: fleet.counts().connected == DEVICES)
        await asyncio.to_thread(broker.kill)
        await until(lambda: fleet.counts().connected == 0)
        await asyncio.to_thread(broker.start)
        await until(lambda: fleet.counts().connected == DEVICES)
        fleet.hush()
        await until(lambda: not fleet.counts().pending)
        stop.set()
        await running
        counts = fleet.counts()
        assert counts.acknowledged == counts.produced == len(fleet.acknowledged)
        assert counts.malformed == 0
        stored = sum(
            query(database_url, f"SELECT count(*) FROM reading_{kind}")[0]
            for kind in ("lamp", "cabinet", "stop", "solar")
        )
        assert stored == counts.produced


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
