"""Whatever devices send through a real broker ends where it belongs: stored, or refused for its reason, and counted."""

import json
import random
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kraj.quarantine import PAYLOAD_BYTES_MAX
from kraj.quarantine import PAYLOAD_KEPT_BYTES_OVERSIZED as KEPT
from kraj.store.registry import NewAsset, NewDevice, register
from tests.ingest.region import Region
from tests.ingest.rig import TOWN, Ingest, now_ms, register_lamps, wait_until

DAY_MS = 86_400_000
TOPIC = f"kraj/{TOWN}/{{}}/{{}}"


@pytest.fixture(scope="module")
def region(module_database_url: str, module_folder: Path) -> Iterator[Region]:
    yield from Region.lived_in(module_database_url, module_folder)


@pytest.fixture(autouse=True)
def _balanced(region: Region) -> Iterator[None]:
    """After each test: ingest lives, and received = committed + duplicate + quarantined, with nothing in flight."""
    yield
    assert region.ingest.alive
    wait_until(lambda: region.settled()["in_flight"] == 0, "nothing in flight")
    found = region.ingest.balance()
    assert found["received"] == found["committed"] + found["duplicate"] + found["quarantined"], found


MESSAGES: list[tuple[str, bytes, str]] = [
    ("not JSON", b"hello \x1b[2J", "not_json"),
    ("nothing", b"", "not_json"),
    ("wrong shape", b'"a text"', "shape"),
    ("65 readings", b"[" + b",".join([b"{}"] * 65) + b"]", "shape"),
    ("65 KiB", b'{"ts":1,"x":"' + b"x" * PAYLOAD_BYTES_MAX + b'"}', "too_large"),
    ("200 KiB", b" " * 200_000, "too_large"),
    ("deep nesting", b"[" * 60_000, "too_deep"),
    ("deep objects", b'{"a":' * 12_000, "too_deep"),
    ("bad UTF-8", b'{"ts":1,"\xc3\x28":2}', "not_utf8"),
    ("NUL", b"\x00" * 100, "not_json"),
    ("infinite time", b'{"ts":Infinity}', "core"),
    ("no time", b'{"seq":5}', "time_missing"),
    ("1970", b'{"ts":0,"boot":1}', "time_past"),
    ("year 5138", b'{"ts":99999999999999,"boot":1}', "time_future"),
    ("unknown channel", b'{"ts":%d,"channel":7}' % now_ms(), "channel"),
]


def test_each_bad_message_is_quarantined_with_its_reason_between_good_neighbours(region: Region) -> None:
    bad, good = region.lamp(), region.lamp()
    before = region.settled()
    marks = [region.devices.send(good)]
    for _, payload, _ in MESSAGES:
        region.devices.publish(TOPIC.format(bad, "telemetry"), payload)
        marks.append(region.devices.send(good))
    region.devices.await_ack(*marks)
    assert len(region.rows(good)) == len(marks)
    stored = region.quarantine(bad, "reason, payload, payload_bytes")
    kept = sorted((reason, payload[:KEPT], size) for reason, payload, size in stored)
    assert kept == sorted((reason, payload[:KEPT], len(payload)) for _, payload, reason in MESSAGES)
    after = region.settled()
    assert after["quarantined"] - before["quarantined"] == len(MESSAGES)
    assert region.rows(bad) == []


def test_the_same_rubbish_again_is_one_row_that_counts(region: Region) -> None:
    bad = region.lamp()
    for _ in range(20):
        region.devices.publish(TOPIC.format(bad, "telemetry"), b"rubbish")
    region.settled()
    assert region.quarantine(bad, "reason, times") == [("not_json", 20)]


VALUES = [
    ("NaN", '"voltage_v":NaN', "value_type"),
    ("infinity", '"voltage_v":Infinity', "value_type"),
    ("text", '"voltage_v":"230"', "value_type"),
    ("too much", '"voltage_v":301', "value_impossible"),
    ("twice", '"voltage_v":230,"voltage_v":231', "value_ambiguous"),
    ("twice behind escaped quotes", '"event":"\\"","voltage_v":1,"voltage_v":2', "value_ambiguous"),
]


def test_a_bad_value_is_lost_alone_and_its_reading_acknowledged(region: Region) -> None:
    lamp = region.lamp()
    values = region.ingest.figures()
    marks = [(lamp, 1, seq) for seq in range(1, len(VALUES) + 1)]
    for seq, (_, fields, _) in enumerate(VALUES, 1):
        head = f'"ts":{now_ms()},"boot":1,"seq":{seq},"power_w":41.5'
        region.devices.publish(TOPIC.format(lamp, "telemetry"), f"{{{head},{fields}}}")
    region.devices.await_ack(*marks)
    assert region.rows(lamp, "power_w, voltage_v") == [(41.5, None)] * len(VALUES)
    stored = region.quarantine(lamp, "reason, metric")
    assert sorted(stored) == sorted((reason, "voltage_v") for _, _, reason in VALUES)
    after = region.ingest.figures()
    key = 'values_quarantined_total{reason="value_ambiguous"}'
    assert after[key] - values.get(key, 0) == 2


def test_an_implausible_value_is_stored_and_flagged(region: Region) -> None:
    lamp = region.lamp()
    region.devices.await_ack(region.devices.send(lamp, voltage_v=180))
    ((voltage, implausible),) = region.rows(lamp, "voltage_v, implausible")
    assert (voltage, implausible != 0) == (180, True)


def test_an_unknown_device_is_quarantined_and_acknowledged_and_taken_once_it_is_registered(region: Region) -> None:
    name = f"lamp-{uuid.uuid4().hex[:8]}"
    region.devices.await_ack(region.devices.send(name))
    assert region.quarantine(name) == ["unknown_device"]
    register_lamps(region.url, [name])
    region.devices.await_ack(region.devices.send(name))
    assert region.rows(name) in ([2], [1, 2]), "what waited for its registration is claimed at any moment"


def test_a_wrong_municipality_label_is_refused(region: Region) -> None:
    lamp = region.lamp()
    mark = (lamp, 1, region.devices.reading(lamp)["seq"])
    region.devices.publish(f"kraj/dvory/{lamp}/telemetry", json.dumps(region.devices.kept[mark]))
    region.devices.await_ack(mark)
    assert region.devices.acks[-1][0] == f"kraj/dvory/{lamp}/ack"
    assert (region.quarantine(lamp), region.rows(lamp)) == (["municipality"], [])


@pytest.mark.parametrize("topic", ["kraj/LHOTA/lamp-9/telemetry", "kraj/lhota/UPPER_CASE/telemetry", "kraj///status"])
def test_a_topic_outside_the_grammar_is_refused(region: Region, topic: str) -> None:
    region.devices.publish(topic, b'{"ts":1,"boot":1,"seq":1}')
    region.settled()
    assert region.query("SELECT reason, times FROM quarantine WHERE topic = %s", topic) == [("topic", 1)]


def test_a_suspended_device_is_refused_within_its_live_session(region: Region) -> None:
    lamp = region.lamp()
    region.devices.await_ack(region.devices.send(lamp))
    region.query("UPDATE device SET state = 'suspended' WHERE name = %s", lamp)
    region.devices.await_ack(region.devices.send(lamp))
    assert (region.rows(lamp), region.quarantine(lamp)) == ([1], ["suspended"])
    region.query("UPDATE device SET state = 'active' WHERE name = %s", lamp)
    region.devices.await_ack(region.devices.send(lamp))
    assert region.rows(lamp) == [1, 3]


def test_a_device_without_an_asset_is_refused_whatever_numbers_it_sends(region: Region) -> None:
    name = f"spare-{uuid.uuid4().hex[:8]}"
    with psycopg.connect(region.url) as connection:
        register(connection, {}, [NewDevice(name=name, municipality=TOWN, assets={})], datetime.now(UTC))
    region.devices.publish(TOPIC.format(name, "telemetry"), b'{"ts":1,"boot":%d,"seq":%d}' % (10**30, 10**40))
    region.devices.await_ack(region.devices.send(name))
    assert region.quarantine(name) == ["not_installed"] * 2


def test_a_gateway_stores_each_channel_with_its_asset_and_an_unknown_channel_harms_no_other(region: Region) -> None:
    name = f"gateway-{uuid.uuid4().hex[:8]}"
    kinds = ("lamp", "solar", "stop", "cabinet")
    assets = {n: NewAsset(kind=kind, label=f"{name}-{n}") for n, kind in enumerate(kinds)}
    with psycopg.connect(region.url) as connection:
        register(connection, {}, [NewDevice(name=name, municipality=TOWN, assets=assets)], datetime.now(UTC))
    ts = now_ms()
    region.devices.publish(
        TOPIC.format(name, "telemetry"),
        json.dumps([{"ts": ts, "boot": 1, "seq": n + 1, "channel": n % 9, "uptime_s": n} for n in (0, 1, 2, 3, 13)]),
    )
    region.devices.await_ack(*((name, 1, seq) for seq in (1, 2, 3, 4, 14)))
    for n, asset in assets.items():
        found = region.query(
            f"SELECT uptime_s FROM reading_{asset.kind} JOIN asset USING (asset_id) WHERE label = %s", asset.label
        )
        assert found == [n]
    assert region.quarantine(name) == ["channel"]


def test_the_same_reading_twice_in_a_batch_or_later_is_stored_once_and_acknowledged(region: Region) -> None:
    lamp = region.lamp()
    before = region.settled()
    reading = region.devices.reading(lamp)
    mark = (lamp, 1, reading["seq"])
    region.devices.publish(TOPIC.format(lamp, "telemetry"), json.dumps([reading, reading]))
    # Once through the fast reader and once through the patient one.
    region.devices.publish(TOPIC.format(lamp, "telemetry"), json.dumps({**reading, "banana": 1}))
    region.devices.await_ack(mark)
    wait_until(lambda: region.devices.acknowledged[mark] >= 1, "acknowledged")
    region.devices.publish(TOPIC.format(lamp, "telemetry"), json.dumps(reading))
    after = region.settled()
    assert region.rows(lamp) == [reading["seq"]]
    assert after["duplicate"] - before["duplicate"] == 3


def test_late_and_disordered_readings_find_their_place(region: Region) -> None:
    lamp, now = region.lamp(), now_ms()
    times = [now, now - 3000, now - DAY_MS, now - 399 * DAY_MS, now - 1, now - 8 * DAY_MS]
    marks = [region.devices.send(lamp, ts=ts) for ts in times]
    ahead = region.devices.send(lamp, ts=now + 365 * DAY_MS)
    region.devices.await_ack(*marks, ahead)
    assert region.rows(lamp, "(extract(epoch FROM ts) * 1000)::bigint") == times
    assert region.quarantine(lamp) == ["time_future"]
    newest = wait_until(lambda: latest(region, lamp), "latest")
    assert newest == [(1, now)]


def latest(region: Region, lamp: str) -> list[Any]:
    return region.query(
        "SELECT seq, (extract(epoch FROM ts) * 1000)::bigint FROM latest_lamp JOIN asset USING (asset_id)"
        " WHERE label = %s",
        lamp.upper(),
    )


def test_a_device_without_a_clock_keeps_its_times_over_a_restart_of_ingest(region: Region) -> None:
    lamp = region.lamp()
    region.devices.await_ack(region.devices.send(lamp, ts=None, boot=5, uptime_ms=60_000, seq=1))
    (first,) = region.rows(lamp, "ts")
    (epoch,) = region.query("SELECT epoch_ms FROM boot_epoch JOIN device USING (device_id) WHERE name = %s", lamp)
    assert epoch + 60_000 == round(first.timestamp() * 1000)
    region.ingest.kill()
    region.ingest = region.start()
    again = {"boot": 5, "seq": 1, "uptime_ms": 60_000, "power_w": 41.5}
    region.devices.publish(TOPIC.format(lamp, "telemetry"), json.dumps(again))
    region.devices.await_ack(region.devices.send(lamp, ts=None, boot=5, uptime_ms=61_000, seq=2))
    assert [(seq, ts.timestamp()) for seq, ts in region.rows(lamp, "seq, ts")] == [
        (1, first.timestamp()),
        (2, first.timestamp() + 1),
    ]
    assert region.ingest.balance()["duplicate"] == 1


def test_the_excess_of_a_flood_is_refused_and_not_acknowledged_and_neighbours_do_not_wait(region: Region) -> None:
    lamp, neighbour = region.lamp(), region.lamp()
    before = region.settled()
    ts, refused = now_ms(), region.ingest.quarantined("flood")
    # So many that half a minute's allowance is no match for them, however busy the machine is.
    readings = [{"ts": ts - n, "boot": 1, "seq": n, "power_w": n % 100} for n in range(1, 64 * 900 + 1)]
    for n in range(0, len(readings), 64):
        region.devices.publish(TOPIC.format(lamp, "telemetry"), json.dumps(readings[n : n + 64]))
        if n == 64 * 450:
            region.devices.send(neighbour)
    region.devices.await_ack((neighbour, 1, 1), seconds=20)
    wait_until(
        lambda: (
            region.ingest.balance()["received"] - before["received"] >= len(readings) + 1
            and region.ingest.balance()["in_flight"] == 0
        ),
        "all taken in",
    )
    stored = set(region.rows(lamp))
    assert 10_000 <= len(stored) < len(readings)
    assert region.ingest.quarantined("flood") - refused == len(readings) - len(stored)
    region.devices.await_ack(*((lamp, 1, seq) for seq in stored))
    region.settled()
    assert {seq for name, _, seq in region.devices.acknowledged if name == lamp} == stored
    assert region.rows(neighbour) == [1]


def test_unknown_keys_are_counted_once_a_device(region: Region) -> None:
    one, other = region.lamp(), region.lamp()
    odd: dict[str, Any] = {"banana": 1, "\x00 tělo": 2}
    for lamp in (one, one, other):
        region.devices.await_ack(region.devices.send(lamp, **odd))
    found = region.query(
        "SELECT name, key, times FROM unknown_key JOIN device USING (device_id) WHERE name = ANY(%s)"
        " ORDER BY name = %s DESC, key",
        [one, other],
        one,
    )
    assert found == [(one, "banana", 2), (one, "� tělo", 2), (other, "banana", 1), (other, "� tělo", 1)]
    assert len(region.rows(one)) == 2


def test_an_event_is_a_reading_and_a_line_of_history(region: Region) -> None:
    lamp = region.lamp()
    mark = region.devices.send(lamp, channel="event", event="tlačítko 🚦", shock_g=3)
    region.devices.await_ack(mark)
    assert region.rows(lamp, "shock_g") == [3]
    ((channel, body),) = region.events(lamp)
    assert (channel, body["event"], body["seq"]) == ("event", "tlačítko 🚦", 1)


def test_status_is_kept_and_the_will_tells_the_end(region: Region) -> None:
    lamp = region.lamp()
    topic = TOPIC.format(lamp, "status")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=lamp, protocol=mqtt.MQTTv5)
    client.will_set(topic, b'{"online":false}', 1, retain=True)
    client.connect("127.0.0.1", region.broker.port)
    client.loop_start()
    client.publish(topic, b'{"online":true,"boot":7,"firmware":"1.4.0","reset":"power_on"}', 1, retain=True)

    def status() -> list[Any]:
        columns = "online, boot, firmware, reset"
        return region.query(f"SELECT {columns} FROM device_status JOIN device USING (device_id) WHERE name = %s", lamp)

    wait_until(lambda: status() == [(True, 7, "1.4.0", "power_on")], "online")
    client.loop_stop()
    connection = client.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: status() == [(False, 7, "1.4.0", "power_on")], "the will")
    assert [body["online"] for _, body in region.events(lamp)] == [True, False]
    # Whoever subscribes later hears the last word from the broker.
    with Ingest(
        region.url, region.broker.address, region.broker.port, region.folder / "later.log", KRAJ_INGEST_SLOT="slot_9"
    ) as later:
        wait_until(lambda: later.ready().figure("device_messages_total") >= 1, "the retained status")
    assert region.events(lamp)[2:] == [("status", {"online": False})]


def test_documents_are_kept_or_refused_whole_and_never_stop_ingest(region: Region) -> None:
    lamp = region.lamp()
    kept = {"version": 3, "why": "žluťoučký kůň 🚦 \u202e \\u0000", "big": 10**60, "deep": [[[{"a": None}]]]}
    region.devices.publish(TOPIC.format(lamp, "reported"), json.dumps(kept))
    bad = [b'{"a":"\\u0000"}', b'{"\\u0000":1}', b'{"a":"\\ud800"}', b'{"a":NaN}', b"[" * 40 + b"]" * 40, b"5", b"\xff"]
    for payload in bad:
        region.devices.publish(TOPIC.format(lamp, "result"), payload)
    region.devices.publish(TOPIC.format(lamp, "result"), b'{"id":"x","ok":true}')
    for text in ("1\\u0000", "\\ud800", "\\u001b[2J", "x" * 100):
        region.devices.publish(TOPIC.format(lamp, "status"), '{"online":true,"firmware":"%s"}' % text)  # noqa: UP031
    region.settled()
    assert region.events(lamp) == [("reported", kept), ("result", {"id": "x", "ok": True})]
    reasons = ["shape", "shape", "not_json", "not_json", "too_deep", "shape", "not_utf8"]
    assert region.quarantine(lamp) == reasons + ["shape"] * 4


def test_thousands_of_damaged_messages_stop_nothing(region: Region) -> None:
    chance = random.Random(20261121)
    lamps = [region.lamp() for _ in range(8)]
    retries = region.ingest.figure('commit_retries_total{why="commit"}')
    good = json.dumps(region.devices.reading("nobody", event="č", level_reason="manual", lamp_starts=5)).encode()
    payloads = {
        "telemetry": [good, b"[" + good + b"," + good + b"]"],
        "event": [good],
        "status": [b'{"online":true,"boot":7,"firmware":"1.4.0","reset":"power_on"}'],
        "reported": [b'{"version":3,"why":"\\u017e\\ud83d\\udea6"}'],
        "result": [b'{"id":"x","ok":true,"n":[1.5e10,-2,null]}'],
    }
    for _ in range(4000):
        channel = chance.choice(list(payloads))
        payload = bytearray(chance.choice(payloads[channel]))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(payload))
            part = chance.choice(
                [b"", b"\0", b"\\", b'"', b"9" * 30, b"-", b"e9", b"\xed\xa0\x80", b"{", b"]", b"null"]
            )
            payload[place : place + chance.randint(0, 3)] = part or bytes([chance.randrange(256)])
        region.devices.publish(TOPIC.format(chance.choice(lamps), channel), bytes(payload))
    marks = [region.devices.send(lamp, ts=now_ms() + 1000, boot=9) for lamp in lamps]
    region.devices.await_ack(*marks)
    assert region.ingest.quarantined("internal") == 0
    assert region.ingest.figure('commit_retries_total{why="commit"}') == retries


def test_what_the_database_itself_refuses_is_quarantined_alone(region: Region) -> None:
    lamps = [region.lamp() for _ in range(5)]
    region.query("ALTER TABLE reading_lamp ADD CONSTRAINT no_poison CHECK (power_w <> 666)")
    try:
        marks = [region.devices.send(lamp, power_w=666 if n == 20 else 5) for n, lamp in enumerate(lamps * 10)]
        region.devices.await_ack(*marks)
    finally:
        region.query("ALTER TABLE reading_lamp DROP CONSTRAINT no_poison")
    assert [len(region.rows(lamp)) for lamp in lamps] == [9, 10, 10, 10, 10]
    ((reason, detail, payload),) = region.quarantine(lamps[0], "reason, detail, payload")
    assert (reason, "no_poison" in detail, json.loads(payload)["power_w"]) == ("database", True, 666)
    assert region.ingest.quarantined("database") == 1


def test_beyond_its_quota_a_source_is_counted_and_not_acknowledged(region: Region) -> None:
    lamp = region.lamp()
    overflow = region.ingest.figure("quarantine_overflow_total")
    marks = [region.devices.send(lamp, ts=n) for n in range(520)]
    wait_until(lambda: region.ingest.figure("quarantine_overflow_total") - overflow == 20, "over the quota")
    region.settled()
    assert sum(region.devices.forgot(mark) for mark in marks) == 500
    assert region.query("SELECT reason, times FROM quarantine_overflow WHERE source = %s", lamp) == [("time_past", 20)]
    good = region.devices.send(lamp)
    region.devices.await_ack(good)
