"""What a device sent before it was registered is taken in once it is: everything, once, whoever dies meanwhile."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from kraj.store.registry import NewDevice, register
from stack.broker import Broker
from tests.ingest.rig import TOWN, Devices, Site, now_ms, query, register_lamps, wait_until


@pytest.fixture
def site(database_url: str, open_folder: Path) -> Iterator[Site]:
    register_lamps(database_url, ["lamp-0"])
    with Broker(open_folder / "broker", open=True) as broker:
        yield Site(database_url, broker, open_folder)


def balance(site: Site) -> tuple[int, ...]:
    return query(site.url, "SELECT received, committed, duplicate, quarantined, in_flight FROM slot")[0]


def waiting(site: Site) -> int:
    return query(site.url, "SELECT count(*) FROM quarantine WHERE taken_at IS NULL")[0]


def test_a_claimed_device_loses_nothing_and_doubles_nothing(site: Site) -> None:
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        at = now_ms()
        marks = [devices.send("new-1", ts=at - 60_000 * n) for n in range(40)]
        several = [devices.reading("new-1", ts=at - 3_600_000 - n) for n in range(64)]
        devices.publish(f"kraj/{TOWN}/new-1/telemetry", json.dumps(several))
        devices.publish(f"kraj/{TOWN}/new-1/telemetry", json.dumps(several))  # the same bytes once more
        devices.publish(f"kraj/{TOWN}/new-1/status", json.dumps({"online": True, "boot": 1, "firmware": "1.4.0"}))
        devices.publish("kraj/dvory/new-1/telemetry", json.dumps(devices.reading("new-1", ts=at + 1)))
        devices.await_ack(*marks, *(("new-1", 1, reading["seq"]) for reading in several))
        wait_until(lambda: balance(site)[3] == 40 + 128 + 1 + 1, "all are in quarantine")
        assert site.stored() == {}
        register_lamps(site.url, ["new-1"])
        wait_until(lambda: site.stored().total() == 104, "taken in")
        wait_until(lambda: waiting(site) == 1, "but for what came under another municipality")
        received, committed, duplicate, quarantined, in_flight = balance(site)
        assert (committed, quarantined, in_flight) == (104, 1, 0)
        assert received == committed + duplicate + quarantined
        assert max(site.stored().values()) == 1
        found = ingest.balance()
        assert found["received"] == found["committed"] + found["duplicate"] + found["quarantined"]
        assert query(site.url, "SELECT online, firmware FROM device_status") == [(True, "1.4.0")]
        live = devices.send("new-1")
        devices.await_ack(live)
        assert site.stored()[live] == 1
        wait_until(lambda: "active" in query(site.url, "SELECT state FROM device WHERE name = 'new-1'"), "active")


def test_a_device_without_an_asset_waits_for_one_and_for_the_next_ingest(site: Site) -> None:
    with psycopg.connect(site.url) as connection:
        register(
            connection, {TOWN: "Lhota"}, [NewDevice(name="new-2", municipality=TOWN, assets={})], datetime.now(UTC)
        )
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        marks = [devices.send("new-2", ts=None, uptime_ms=1000 * n) for n in range(3)]
        devices.await_ack(*marks)
        ingest.kill()
        with psycopg.connect(site.url) as connection:
            connection.execute(
                "WITH a AS (INSERT INTO asset (municipality_id, kind, label) SELECT municipality_id, 'lamp', 'VO-2'"
                " FROM municipality WHERE name = %s RETURNING asset_id)"
                " INSERT INTO installed (asset_id, device_id, valid_from) SELECT asset_id, device_id, now()"
                " FROM a, device WHERE name = 'new-2'",
                [TOWN],
            )
        with site.ingest() as again:
            again.ready()
            wait_until(lambda: site.stored().total() == 3, "taken in")
            times = query(site.url, "SELECT extract(epoch FROM ts)::float8 FROM reading_lamp ORDER BY seq")
            assert [round(t - times[0]) for t in times] == [0, 1, 2]
            assert abs(times[0] * 1000 - now_ms()) < 60_000


def test_what_is_taken_in_counts_once_whenever_ingest_dies(site: Site) -> None:
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        at = now_ms()
        # Different bytes each, so that each is a row; the quota of a source is 500 a day.
        for n in range(6):
            devices.await_ack(*(devices.send(f"new-{n}", ts=at - 1000 * k) for k in range(200)))
        register_lamps(site.url, [f"new-{n}" for n in range(6)])
        ingest.kill()
    for _ in range(3):
        with site.ingest() as ingest:
            wait_until(lambda: site.stored().total() > 0, "some are taken in")
            ingest.kill()
    with site.ingest() as ingest:
        ingest.ready()
        wait_until(lambda: site.stored().total() == 1200, "all are taken in")
        wait_until(lambda: waiting(site) == 0, "none waits")
        received, committed, duplicate, quarantined, _ = balance(site)
        assert (received, committed, duplicate, quarantined) == (1200, 1200, 0, 0)
