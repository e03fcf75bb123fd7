"""The person who runs the region's server: a first day, and a bad night.

Jana works in the IT department of a regional office. She has a small machine and no time.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from kraj.kinds import KINDS
from kraj.store.migrate import migrate
from kraj.store.registry import register
from simulators.device import Link
from simulators.fleet import Fleet
from simulators.region import region
from simulators.ring import Resend
from stack.backup import backup, restore
from stack.bench.processes import ingest_process, metric, stop, wait_until
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.demo import new_device
from stack.process import free_port
from tests.waiting import PATIENCE_S

DEVICES = 20
INVENTED = region(3, DEVICES)


def numbers_stored(url: str) -> set[tuple[str, int, int]]:
    """What the platform holds, and that it holds it once."""
    found: list[tuple[str, int, int]] = []
    with psycopg.connect(url) as connection:
        for kind in KINDS.values():
            found += connection.execute(
                (
                    f"SELECT d.name, r.boot, r.seq FROM {kind.reading_table} r"
                    " JOIN installed i USING (asset_id) JOIN device d USING (device_id)"
                ).encode()
            ).fetchall()
    assert len(found) == len(set(found)), "a reading is there twice"
    return set(found)


def books(url: str) -> tuple[int, int, int]:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT committed, duplicate, quarantined FROM slot").fetchone()
    assert row is not None
    return row


@asynccontextmanager
async def running(fleet: Fleet) -> AsyncGenerator[None]:
    end = asyncio.Event()
    task = asyncio.create_task(fleet.run(end))
    try:
        yield
    finally:
        end.set()
        await task


async def until_delivered(fleet: Fleet) -> None:
    fleet.hush()
    async with asyncio.timeout(PATIENCE_S):
        while fleet.counts().pending:  # noqa: ASYNC110 - the fleet has no event for it
            await asyncio.sleep(0.05)


async def until_acknowledged(fleet: Fleet, readings: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(fleet.acknowledged) < readings:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class Machine:
    """Jana's machine: a database, a broker, an ingest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = EmbeddedPostgres(folder / "database", shared_buffers="64MB")
        self.broker = Broker(folder / "broker", open=True)
        self.metrics_port = free_port()
        self.database.start()
        self.broker.start()
        migrate(self.database.url())
        towns = {town.name: town.title for town in INVENTED.municipalities}
        with psycopg.connect(self.database.url(), autocommit=True) as connection:
            register(connection, towns, [new_device(device) for device in INVENTED.devices], datetime.now(UTC))
        self.ingest = self.start_ingest()

    def start_ingest(self) -> "subprocess.Popen[bytes]":
        url = self.database.url("kraj_ingest")
        log = self.folder / "ingest.log"
        process = ingest_process(url, self.broker, metrics_port=self.metrics_port, log=log)
        wait_until(lambda: metric(self.metrics_port, "kraj_ingest_broker_up") == 1, "ingest", PATIENCE_S)
        return process

    def fleet(self) -> Fleet:
        link = Link(host="127.0.0.1", port=self.broker.port, connect_spread_s=0.2, backoff_longest_s=1.0)
        resend = Resend(first_ms=1000, longest_ms=4000)
        return Fleet(INVENTED, link, interval_s=0.5, resend=resend, keep_acknowledged=True, ring_capacity=5000)

    def close(self) -> None:
        stop(self.ingest)
        self.broker.stop()
        self.database.stop()


async def test_first_day_every_reading_that_a_device_made_is_stored_and_the_books_add_up(open_folder: Path) -> None:
    """Jana connects twenty devices and wants to know whether she can trust the figure on the page."""
    machine = Machine(open_folder)
    try:
        fleet = machine.fleet()
        async with running(fleet):
            await until_acknowledged(fleet, 100)
            await until_delivered(fleet)
        counts = fleet.counts()
        assert len(numbers_stored(machine.database.url())) == counts.produced
        committed, duplicate, quarantined = books(machine.database.url())
        assert (committed, quarantined) == (counts.produced, 0)
        assert metric(machine.metrics_port, "kraj_ingest_received_total") == committed + duplicate
    finally:
        machine.close()


async def test_bad_night_the_disk_is_lost_and_the_devices_fill_what_the_backup_did_not_hold(open_folder: Path) -> None:
    """At two the database is gone. The backup is from the evening; in the morning nothing is missing."""
    machine = Machine(open_folder)
    try:
        fleet = machine.fleet()
        async with running(fleet):
            await until_acknowledged(fleet, 100)
            await asyncio.to_thread(backup, machine.database.url(), open_folder / "evening.dump")
            in_the_evening = len(fleet.acknowledged)
            await until_acknowledged(fleet, in_the_evening + 100)
            await asyncio.to_thread(stop, machine.ingest)
            await asyncio.to_thread(restore, machine.database.url(), open_folder / "evening.dump", replace=True)
            assert fleet.acknowledged - numbers_stored(machine.database.url()), "the night must have made a hole"
            machine.ingest = await asyncio.to_thread(machine.start_ingest)
            fleet.hush()
            async with asyncio.timeout(PATIENCE_S):
                while fleet.acknowledged - await asyncio.to_thread(numbers_stored, machine.database.url()):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            await until_delivered(fleet)
        assert len(numbers_stored(machine.database.url())) == fleet.counts().produced
        with psycopg.connect(machine.database.url()) as connection:
            asked = connection.execute("SELECT body FROM device_event WHERE channel = 'result'").fetchall()
        assert len(asked) == DEVICES
        assert all(json.loads(json.dumps(body))["ok"] for (body,) in asked)
    finally:
        machine.close()
