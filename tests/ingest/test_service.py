"""The ingest process between a real broker and a real database: what it promises, when, and how it gives up."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from ingest.service import configure_logs, serve
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from tests.ingest.rig import TOWN, Devices, Site, now_ms, query, refused, wait_until


@pytest.fixture
def site(database_url: str, open_folder: Path) -> Iterator[Site]:
    with Broker(open_folder / "broker", open=True) as broker:
        yield Site(database_url, broker, open_folder)


@contextlib.contextmanager
def commits_held(url: str) -> Generator[None]:
    """Nobody can insert a lamp's reading meanwhile."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE reading_lamp IN EXCLUSIVE MODE")
        yield


def waits_for_lock(url: str) -> bool:
    return bool(query(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%%'"))


def test_a_reading_becomes_a_row_and_the_latest_and_its_device_hears_of_it(site: Site) -> None:
    (lamp,) = site.lamps(1)
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        ts = now_ms()
        reading = {"ts": ts, "boot": 7, "seq": 1234, "power_w": 41.2, "level_reason": "program", "lamp_starts": 10}
        program = shutil.which("mosquitto_pub")
        assert program, "mosquitto_pub is missing; run `make setup`"
        topic = f"kraj/{TOWN}/{lamp}/telemetry"
        address = ["-h", "127.0.0.1", "-p", str(site.broker.port), "-V", "mqttv5"]
        subprocess.run([program, *address, "-q", "1", "-t", topic, "-m", json.dumps(reading)], check=True)
        devices.await_ack((lamp, 7, 1234))
        assert devices.acks == [(f"kraj/{TOWN}/{lamp}/ack", {"boot": 7, "seq": [[1234, 1234]]})]
        columns = "(extract(epoch FROM ts) * 1000)::bigint, boot, seq, power_w, level_reason, lamp_starts, voltage_v"
        row = [(ts, 7, 1234, pytest.approx(41.2), 4, 10, None)]
        assert query(site.url, f"SELECT {columns} FROM reading_lamp") == row
        assert wait_until(lambda: query(site.url, f"SELECT {columns} FROM latest_lamp"), "latest") == row
        assert query(site.url, "SELECT committed, duplicate, quarantined FROM slot") == [(1, 0, 0)]


def test_neither_ack_nor_puback_leaves_before_the_commit(site: Site) -> None:
    (lamp,) = site.lamps(1)
    with Devices(site.broker.port) as devices:
        with site.ingest() as ingest:
            ingest.ready()
            with commits_held(site.url):
                mark = devices.send(lamp)
                wait_until(lambda: waits_for_lock(site.url), "ingest stands before the insert")
                figures = ingest.figures()
                assert (figures["in_flight"], figures["acks_total"], figures["messages_digested"]) == (1, 0, 0)
                ingest.kill()
            assert (devices.acks, site.stored()) == ([], {})
        with site.ingest() as ingest:  # the broker has seen no PUBACK: it sends again
            marks = [mark, *(devices.send(lamp) for _ in range(50))]
            devices.await_ack(*marks)
            assert site.stored() == dict.fromkeys(marks, 1)
            wait_until(lambda: ingest.figure("messages_digested") == len(marks), "the PUBACKs are read")
            ingest.kill()
        with site.ingest() as ingest:  # and now it has: nothing comes but what is new
            devices.await_ack(devices.send(lamp))
            assert ingest.figure("messages_total") == 1


def test_the_figures_are_what_was_published(site: Site) -> None:
    lamps = site.lamps(5)
    with site.ingest() as ingest, Devices(site.broker.port) as devices:
        ingest.ready()
        marks = [devices.send(lamp, power_w=n) for n in range(40) for lamp in lamps]
        devices.await_ack(*marks)
        for mark in marks[:30]:
            again = {"ts": 1, "boot": 1, "seq": mark[2]}
            devices.publish(f"kraj/{TOWN}/{mark[0]}/telemetry", json.dumps([again, again]))
        for n in range(20):
            devices.publish(f"kraj/{TOWN}/{lamps[0]}/telemetry", b"rubbish %d" % n)
        with commits_held(site.url):
            devices.send(lamps[0])
            wait_until(lambda: ingest.figure("received_total") == 281, "281 received")
            wait_until(lambda: waits_for_lock(site.url), "the last is held")
            found = ingest.balance()
            assert found.pop("received") == sum(found.values()) == 281
        wait_until(lambda: ingest.figure("in_flight") == 0, "nothing in flight")
        assert ingest.balance() == {
            "received": 281,
            "committed": 201,
            "duplicate": 0,
            "quarantined": 80,
            "in_flight": 0,
        }
        assert (ingest.quarantined("time_past"), ingest.quarantined("not_json")) == (60, 20)
        assert query(site.url, "SELECT committed, duplicate, quarantined FROM slot") == [(201, 0, 80)]


def test_sigterm_commits_and_acknowledges_what_is_in_flight(site: Site) -> None:
    lamps = site.lamps(10)
    with Devices(site.broker.port) as devices:
        with site.ingest() as ingest:
            ingest.ready()
            with commits_held(site.url):
                marks = [devices.send(lamp) for lamp in lamps for _ in range(30)]
                wait_until(lambda: ingest.figure("received_total") >= 1, "received")
                wait_until(lambda: waits_for_lock(site.url), "ingest stands before the insert")
                ingest.process.terminate()
                wait_until(lambda: ingest.said("stopping: committing what is in flight"), "it has heard")
                taken = ingest.figure("messages_total") + ingest.figure("messages_waiting")
                assert taken > 0
            assert ingest.process.wait(5) == 0
            assert site.stored().total() >= taken
            wait_until(lambda: len(devices.acknowledged) >= site.stored().total(), "what is committed is acknowledged")
        with site.ingest():
            devices.await_ack(*marks)
        assert site.stored() == dict.fromkeys(marks, 1)


def test_sigterm_under_load_ends_within_seconds_and_loses_nothing(site: Site) -> None:
    lamps = site.lamps(10)
    with Devices(site.broker.port) as devices, site.ingest() as ingest:
        ingest.ready()
        marks = [devices.send(lamp) for lamp in lamps for _ in range(200)]
        wait_until(lambda: devices.acknowledged, "the first acknowledgement")
        assert ingest.stop() == 0
        with site.ingest():
            devices.await_ack(*marks)
        assert site.stored() == dict.fromkeys(marks, 1)


def test_a_refusing_broker_is_named_and_not_hammered_and_taken_once_it_relents(
    database_url: str, open_folder: Path
) -> None:
    password = open_folder / "password"
    password.write_text("right\n")
    with Broker(open_folder / "broker", credentials={"slot_0": "wrong"}) as broker:
        site = Site(database_url, broker, open_folder)
        with site.ingest(KRAJ_MQTT_USERNAME="slot_0", KRAJ_MQTT_PASSWORD_FILE=str(password)) as ingest:
            wait_until(lambda: len(ingest.said("broker away")) >= 4, "four refusals")
            refusals = ingest.said("broker away")
            assert all("broker refused slot_0" in line["error"] for line in refusals)
            assert [line["retry_in_s"] for line in refusals[:4]] == [0.1, 0.2, 0.4, 0.8]
            broker.admit({"slot_0": "right"})
            ingest.ready()
            broker.admit({})
        assert "right" not in ingest.log.read_text()


def test_a_database_that_is_not_migrated_ends_ingest_with_the_remedy_in_one_line(postgres: EmbeddedPostgres) -> None:
    code, printed = refused(postgres.url(database="postgres"))
    assert (code, printed) == (1, ["kraj ingest: the database is not migrated; run: kraj migrate"])


def gives_up(url: str, what: str, **settings: Any) -> None:
    with pytest.raises(ConfigurationError, match=what):
        asyncio.run(serve(Settings(mqtt_port=1, **settings), url))


def test_a_database_that_does_not_wait_for_its_disk_is_refused(database_url: str) -> None:
    (name,) = query(database_url, "SELECT current_database()")
    query(database_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    gives_up(database_url, "synchronous_commit = off; Kraj acknowledges readings as stored")


def test_settings_that_cannot_work_are_named(database_url: str) -> None:
    gives_up(database_url, "KRAJ_MQTT_PASSWORD_FILE", mqtt_password_file=Path("/nowhere"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gives_up(database_url, f"KRAJ_INGEST_METRICS_PORT={port}", ingest_metrics_port=port)


def test_a_service_holds_nothing_in_memory_that_it_never_uses() -> None:
    there = "import sys, ingest.service; print({'rich', 'attr', 'cryptography', 'scipy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_nobody_dies_of_a_log_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        with pytest.raises(OSError, match="No space left"):
            full.write("anything\n")
        monkeypatch.setattr(sys, "stderr", full)
        configure_logs("json")
        try:
            for _ in range(2000):  # more than any buffer takes
                structlog.get_logger("test").warning("commit failed, holding the batch")
        finally:
            structlog.reset_defaults()
            monkeypatch.undo()
            with contextlib.suppress(OSError):
                full.close()
