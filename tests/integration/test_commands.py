"""What people order reaches lamps and comes back proved: nothing is lost, nothing done twice, whoever dies."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from psycopg.types.json import Jsonb

from kraj.store import commands
from kraj.store.commands import Scope
from stack.broker import Broker
from tests.ingest.rig import TOWN, Devices, OnBroker, Site, now_ms, query, wait_until
from tests.waiting import PATIENCE_S

SESSION_S = 3600


@pytest.fixture
def site(database_url: str, open_folder: Path) -> Iterator[Site]:
    with Broker(open_folder / "broker", open=True) as broker:
        yield Site(database_url, broker, open_folder)


class Lamps(OnBroker):
    """All lamps of the town on one client of another library; they obey once per id and answer every time."""

    def __init__(self, port: int, *, answering: bool = True, version: int | None = None) -> None:
        self.heard: list[tuple[str, str, dict[str, Any], bool]] = []
        """Device, channel, document, and whether it was retained."""
        self.expiry_s: list[int] = []
        self.done: Counter[str] = Counter()
        self.answering = answering
        self.version = version
        self.result: dict[str, Any] = {"ok": True}
        self._subscribed = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="lamps", protocol=mqtt.MQTTv5)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._ready
        self.client.on_message = self._take
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_S
        self.client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([("kraj/+/+/command", 1), ("kraj/+/+/desired", 1)])

    def _ready(self, *_: object) -> None:
        self._subscribed.set()

    def _take(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        _, _, device, channel = message.topic.split("/")
        if not message.payload:  # the broker is to forget what it kept
            return
        document = json.loads(message.payload)
        self.heard.append((device, channel, document, message.retain))
        if channel == "desired":
            version = document["version"] if self.version is None else self.version
            self.say(device, "reported", {"version": version, "ok": True}, retain=True)
            return
        self.expiry_s.append(getattr(message.properties, "MessageExpiryInterval", 0))
        if document["id"] not in self.done:
            self.done[document["id"]] += 1
        if self.answering:
            self.say(device, "result", {"id": document["id"], **self.result})

    def say(self, device: str, channel: str, document: dict[str, Any], *, retain: bool = False) -> None:
        self.client.publish(f"kraj/{TOWN}/{device}/{channel}", json.dumps(document), 1, retain=retain)

    def of(self, channel: str) -> list[tuple[str, dict[str, Any], bool]]:
        return [(device, document, retained) for device, what, document, retained in self.heard if what == channel]


def keep(url: str, *, interval_s: int = 300) -> None:
    """Every device is to keep a program."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO lamp_program (municipality_id, digest, document) SELECT municipality_id, sha256('1'), %s"
            " FROM municipality WHERE name = %s ON CONFLICT DO NOTHING",
            [Jsonb({"floor_pct": 20}), TOWN],
        )
        connection.execute(
            "INSERT INTO desired AS d (device_id, municipality_id, programs, interval_s, changed_at, who)"
            " SELECT device_id, municipality_id, (SELECT jsonb_build_object('0', lamp_program_id) FROM lamp_program),"
            " %s, now(), 'eva' FROM device ON CONFLICT (device_id) DO UPDATE SET version = d.version + 1,"
            " interval_s = EXCLUDED.interval_s",
            [interval_s],
        )


def order(url: str, level_pct: int, *, seconds: float = 600, asset_id: int | None = None) -> None:
    """As the API orders, for an asset or (None) the region."""

    async def write() -> None:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            now = datetime.now(UTC)
            kind, reason = ("manual", "manual") if asset_id is not None else ("emergency", "emergency")
            scope, until = Scope(asset_id=asset_id), now + timedelta(seconds=seconds)
            town = await (await connection.execute("SELECT min(municipality_id) FROM municipality")).fetchone()
            assert town is not None
            whose = Scope(asset_id=asset_id, municipality_id=town[0] if asset_id is not None else None)
            number = await commands.order(
                connection, whose, kind=kind, level_pct=level_pct, until=until, reason="tma", who="eva", at=now
            )
            await commands.command(
                connection,
                scope,
                number,
                reason=reason,
                level_pct=level_pct,
                energises=level_pct > 0,
                until=until,
                who="eva",
                at=now,
            )

    asyncio.run(write())


def states(url: str) -> list[str]:
    return query(url, "SELECT state FROM command ORDER BY requested_at, device_id")


def in_state(url: str, *wanted: str) -> None:
    wait_until(lambda: states(url) == list(wanted), f"commands are {wanted}")


def test_what_a_lamp_is_to_keep_is_retained_for_it_and_its_report_is_noted(site: Site) -> None:
    names = site.lamps(3)
    keep(site.url)
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
        ingest.ready()
        reports = "SELECT version, sent_version, reported_version, reported_error FROM desired"
        wait_until(lambda: query(site.url, reports) == [(1, 1, 1, None)] * 3, "all report version 1")
        assert sorted(device for device, _, _ in lamps.of("desired")) == names
        assert lamps.of("desired")[0][1] == {"version": 1, "programs": {"0": {"floor_pct": 20}}, "interval_s": 300}
        lamps.version = 1
        keep(site.url, interval_s=60)
        wait_until(lambda: query(site.url, "SELECT sent_version FROM desired") == [2, 2, 2], "version 2 is sent")
        lamps.say(names[0], "reported", {"version": 1, "ok": False, "error": "no memory", "wanted": 2})
        failed = "SELECT reported_error FROM desired JOIN device USING (device_id) WHERE name = 'lamp-0'"
        wait_until(lambda: query(site.url, failed) == ["no memory"], "the error is noted")
        lamps.version = None
        lamps.say(names[1], "reported", {"version": 9, "ok": True}, retain=True)
        ahead = "SELECT version, reported_version, outgrown_version FROM desired"
        wait_until(lambda: (10, 10, 9) in query(site.url, ahead), "who is ahead gets a version above its own")
        with psycopg.connect(site.url) as connection:
            connection.execute("UPDATE device SET state = 'decommissioned' WHERE name = %s", [names[2]])
        wait_until(lambda: None not in query(site.url, "SELECT cleared_at FROM desired_left"), "its topic is emptied")
    with Lamps(site.broker.port) as lamps:
        wait_until(lambda: len(lamps.of("desired")) == 2, "the broker keeps them")
        kept = {(device, document["version"], retained) for device, document, retained in lamps.of("desired")}
        assert kept == {(names[0], 2, True), (names[1], 10, True)}


def test_a_command_lives_from_request_to_proof(site: Site) -> None:
    site.lamps(2)
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps, Devices(site.broker.port) as devices:
        ingest.ready()
        order(site.url, 100)
        in_state(site.url, "accepted", "accepted")
        (device, document, _), _ = lamps.of("command")
        assert document.keys() == {"id", "do", "level_pct", "channel", "reason", "until"}
        assert (document["do"], document["level_pct"], document["reason"]) == ("set_level", 100, "emergency")
        assert 0 < lamps.expiry_s[0] <= 600
        other = next(name for name in ("lamp-0", "lamp-1") if name != device)
        devices.send(device, ts=now_ms(), level_effective_pct=100, power_w=41.0, level_reason="emergency")
        devices.send(other, ts=now_ms(), level_effective_pct=100, power_w=0.0, level_reason="emergency")
        of_device = "SELECT command.state FROM command JOIN device USING (device_id) WHERE name = %s"
        wait_until(lambda: query(site.url, of_device, device) == ["confirmed"], "power proves it")
        assert query(site.url, of_device, other) == ["accepted"]
        lamps.say(device, "result", {"id": document["id"], "ok": False, "error": "late"})  # changes nothing any more
        devices.await_ack(devices.send(device))
        assert query(site.url, of_device, device) == ["confirmed"]
        assert query(site.url, "SELECT attempts, error FROM command") == [(1, None)] * 2


def test_a_command_that_a_lamp_refuses_says_why_and_another_lamp_cannot_answer_for_it(site: Site) -> None:
    site.lamps(2)
    with site.ingest() as ingest, Lamps(site.broker.port, answering=False) as lamps, Devices(site.broker.port) as some:
        ingest.ready()
        order(site.url, 40, asset_id=query(site.url, "SELECT asset_id FROM asset ORDER BY 1 LIMIT 1")[0])
        in_state(site.url, "sent")
        ((device, document, _),) = lamps.of("command")
        for wrong in ({"id": document["id"], "ok": True}, {"id": "resend-3", "ok": True}, {"ok": True}):
            lamps.say("lamp-1", "result", wrong)
        some.await_ack(some.send("lamp-1"))
        assert states(site.url) == ["sent"]
        lamps.say(device, "result", {"id": document["id"], "ok": False, "error": "clock"})
        in_state(site.url, "refused")
        assert query(site.url, "SELECT error FROM command") == ["clock"]


def test_a_newer_command_takes_an_older_ones_place_and_an_older_answer_counts_no_more(site: Site) -> None:
    site.lamps(1)
    asset_id = query(site.url, "SELECT asset_id FROM asset")[0]
    with site.ingest() as ingest, Lamps(site.broker.port, answering=False) as lamps:
        ingest.ready()
        order(site.url, 40, asset_id=asset_id)
        in_state(site.url, "sent")
        order(site.url, 60, asset_id=asset_id)
        in_state(site.url, "superseded", "sent")
        for device, document, _ in lamps.of("command"):
            lamps.say(device, "result", {"id": document["id"], "ok": True})
        in_state(site.url, "superseded", "accepted")


def test_what_nobody_takes_waits_for_the_device_and_ends_at_its_time(site: Site) -> None:
    site.lamps(1)
    with site.ingest() as ingest:
        ingest.ready()
        order(site.url, 100, seconds=3)
        wait_until(lambda: query(site.url, "SELECT attempts FROM command") == [1], "tried once")
        assert states(site.url) == ["requested"]
        in_state(site.url, "expired")
        with Lamps(site.broker.port) as lamps:
            order(site.url, 100)
            in_state(site.url, "expired", "accepted")
            assert len(lamps.of("command")) == 1
        order(site.url, 0, asset_id=query(site.url, "SELECT asset_id FROM asset")[0])
        wait_until(
            lambda: len(query(site.url, "SELECT 1 FROM command WHERE state = 'sent'")) == 1, "kept by the broker"
        )
    with Lamps(site.broker.port) as lamps:
        wait_until(lambda: len(lamps.of("command")) == 1, "the broker gives it to the session that was away")


def test_a_lamp_that_comes_back_is_told_at_once(site: Site) -> None:
    site.lamps(1)
    with site.ingest() as ingest:
        ingest.ready()
        order(site.url, 100)
        wait_until(lambda: query(site.url, "SELECT attempts FROM command") == [1], "tried once")
        with Lamps(site.broker.port) as lamps:
            assert lamps.of("command") == []
            lamps.say("lamp-0", "status", {"online": True, "boot": 2, "firmware": "1.4.0"})
            wait_until(lambda: states(site.url) == ["accepted"], "told at once", 8)  # the next try is 10 s away


def test_ingest_that_dies_between_request_and_result_loses_nothing_and_nothing_is_done_twice(site: Site) -> None:
    site.lamps(40)
    with Lamps(site.broker.port, answering=False) as lamps:
        for _ in range(3):
            with site.ingest() as ingest:
                ingest.ready()
                order(site.url, 100)
                order(site.url, 100)
                ingest.kill()
        lamps.answering = True
        # As if the time to try again had come: what is claimed or told and not answered is told again.
        query(site.url, "UPDATE command SET next_at = requested_at WHERE settled_at IS NULL")
        with site.ingest() as ingest:
            ingest.ready()
            open_states = "SELECT DISTINCT state FROM command WHERE settled_at IS NULL"
            wait_until(lambda: query(site.url, open_states) == ["accepted"], "all are accepted")
        newest = query(site.url, "SELECT command_id::text FROM command WHERE state = 'accepted'")
        assert len(newest) == 40
        assert all(lamps.done[number] == 1 for number in newest)


def test_after_the_broker_has_forgotten_everything_lamps_are_told_again_what_they_keep(site: Site) -> None:
    site.lamps(2)
    keep(site.url)
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
        ingest.ready()
        wait_until(lambda: query(site.url, "SELECT reported_version FROM desired") == [1, 1], "reported")
        site.broker.kill()
        lamps.heard.clear()
        site.broker.start()
        wait_until(lambda: len(lamps.of("desired")) >= 2, "told again")
        wait_until(lambda: query(site.url, "SELECT sent_version FROM desired") == [1, 1], "and noted")


def test_an_ingest_that_dies_as_it_meets_an_empty_broker_leaves_the_next_one_to_tell_lamps_again(site: Site) -> None:
    site.lamps(2)
    keep(site.url)
    with site.ingest() as ingest, Lamps(site.broker.port):
        ingest.ready()
        wait_until(lambda: query(site.url, "SELECT reported_version FROM desired") == [1, 1], "reported")
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
        ingest.ready()
        order(site.url, 100)
        in_state(site.url, "accepted", "accepted")
        assert all(retained for _, _, retained in lamps.of("desired")), "the broker has kept them: nothing is told anew"
    site.broker.kill()
    site.broker.start()
    # What is left of one that was killed between its session at the broker and its first word to the database.
    dying = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="slot_0", protocol=mqtt.MQTTv5)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = SESSION_S
    dying.connect("127.0.0.1", site.broker.port, clean_start=False, properties=properties)
    dying.loop_start()
    wait_until(dying.is_connected, "it has a session")
    dying.disconnect()
    dying.loop_stop()
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
        ingest.ready()
        wait_until(lambda: len(lamps.of("desired")) == 2, "told again")


def test_a_suspended_device_is_told_nothing_until_it_may_be_again(site: Site) -> None:
    site.lamps(2)
    keep(site.url)
    query(site.url, "UPDATE device SET state = 'suspended' WHERE name = 'lamp-0'")
    with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
        ingest.ready()
        order(site.url, 100)
        query(
            site.url,
            'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
            " next_at, who) SELECT d.municipality_id, device_id, asset_id, 'set_level', 100, 'manual',"
            " now() + interval '1 h', now(), now(), 'eva' FROM device d JOIN installed USING (device_id)",
        )
        query(site.url, "NOTIFY commands")
        wait_until(lambda: len(query(site.url, "SELECT 1 FROM command WHERE state = 'accepted'")) == 2, "lamp-1's two")
        wait_until(lambda: query(site.url, "SELECT sent_version FROM desired ORDER BY 1") == [1, None], "its program")
        assert {device for device, _, _, _ in lamps.heard} == {"lamp-1"}
        left = query(
            site.url, "SELECT command.state, attempts FROM command JOIN device USING (device_id) WHERE name = 'lamp-0'"
        )
        assert left == [("requested", 0)]
        query(site.url, "UPDATE device SET state = 'active' WHERE name = 'lamp-0'")
        wait_until(lambda: query(site.url, "SELECT sent_version FROM desired") == [1, 1], "told now")


def test_a_contactor_under_a_lock_is_held_against_its_program_and_let_go_with_the_lock(site: Site) -> None:
    site.lamps(1)
    keep(site.url)

    def stands_open(connection: psycopg.Connection[Any]) -> None:
        connection.execute(
            "INSERT INTO latest_cabinet (asset_id, municipality_id, ts, seq, boot, batch_id, implausible,"
            " contactor_closed) SELECT asset_id, municipality_id, now(), 1, 1, 1, 0, false FROM asset"
            " ON CONFLICT (asset_id) DO UPDATE SET ts = EXCLUDED.ts"
        )

    with psycopg.connect(site.url, autocommit=True) as connection:
        connection.execute("UPDATE asset SET kind = 'cabinet', label = 'R'")
        stands_open(connection)
        with site.ingest() as ingest, Lamps(site.broker.port) as lamps:
            ingest.ready()
            connection.execute(
                "INSERT INTO safety_lock (municipality_id, attribute, value, holder_title, reason, since)"
                " SELECT municipality_id, 'cabinet', 'R', 'Četa', 'stožár', now() FROM municipality"
            )
            in_state(site.url, "accepted")
            stands_open(connection)
            in_state(site.url, "confirmed")
            connection.execute("UPDATE safety_lock SET released_at = now()")
            wait_until(lambda: len(lamps.of("command")) == 2, "it is let go")
    told = [(document["do"], document.get("level_pct"), document["reason"]) for _, document, _ in lamps.of("command")]
    assert told == [("set_level", 0, "manual"), ("release", None, "manual")]
    noted = query(site.url, "SELECT action FROM audit_entry WHERE action LIKE 'lock.%%' ORDER BY entry_id")
    assert noted == ["lock.contactor_held", "lock.contactor_released"]
