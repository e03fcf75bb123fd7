"""A release reaches devices block by block through the real broker, and what comes of it comes back."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kraj import firmware_blocks, firmware_release
from kraj.errors import PayloadError
from kraj.store import releases
from kraj.store.queries import firmware
from kraj.store.releases import Scope
from stack.broker import Broker
from stack.database import OWNER
from tests.ingest.rig import TOWN, Ingest, query, register_lamps, wait_until
from tests.kraj.store.firmware import PUBLIC, release
from tests.waiting import PATIENCE_S

LAMPS = ("lamp-0", "lamp-1", "lamp-2")
PASSWORDS = {**{name: name + "-secret" for name in LAMPS}, "slot_0": "slots", "slot_1": "spare"}
OLD = "1.1.0"


class Device:
    """A lamp of another library that loads what it is offered, checks it with its own keys, and says what it runs."""

    def __init__(self, port: int, name: str, *, keys: list[bytes], fails: bool = False) -> None:
        self.name, self.port, self.keys, self.fails = name, port, keys, fails
        self.offers: list[dict[str, Any]] = []
        self.blocks: dict[str, bytes] = {}
        self.container = b""
        self._arrived = threading.Condition()
        self._offered = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(name, PASSWORDS[name])
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._thread = threading.Thread(target=self._update, daemon=True)
        self._thread.start()

    def topic(self, channel: str) -> str:
        return f"kraj/{TOWN}/{self.name}/{channel}"

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(self.topic("command"), 1)
        self.say("status", {"online": True, "boot": 1, "firmware": OLD}, retain=True)

    def _take(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._arrived:
            if message.topic.startswith("kraj_release/"):
                self.blocks[message.topic] = bytes(message.payload)
            else:
                self.offers.append(json.loads(message.payload))
                self._offered.set()
            self._arrived.notify_all()

    def say(self, channel: str, body: dict[str, Any], *, retain: bool = False) -> None:
        self.client.publish(self.topic(channel), json.dumps(body), 1, retain=retain)

    def fetch(self, topic: str) -> bytes:
        """As the firmware does it: subscribe, wait for what is retained, unsubscribe."""
        with self._arrived:
            self.blocks.pop(topic, None)
            self.client.subscribe(topic, 1)
            assert self._arrived.wait_for(lambda: topic in self.blocks, PATIENCE_S), topic
            self.client.unsubscribe(topic)
            return self.blocks[topic]

    def _update(self) -> None:
        self._offered.wait()
        if not self.offers:
            return
        offer = self.offers[0]
        digest = offer["release"]
        head = self.fetch(firmware_blocks.manifest_topic(digest))
        manifest, _ = firmware_release.read_head(head, self.keys)
        self.say("result", {"id": offer["id"], "ok": True})
        size = len(head) + manifest.size
        for number in range(firmware_blocks.blocks(size)):
            self.container += self.fetch(firmware_blocks.block_topic(digest, number))
        try:
            found = firmware_release.read(self.container, self.keys)
        except PayloadError:
            self.say("event", {"boot": 1, "seq": 1, "ts": now_ms(), "event": "update_failed"})
            return
        assert (found.digest, found.manifest.version) == (digest, offer["version"])
        if self.fails:
            self.say("event", {"boot": 1, "seq": 1, "ts": now_ms(), "event": "update_failed"})
        else:
            self.say("status", {"online": True, "boot": 2, "firmware": found.manifest.name}, retain=True)

    def stop(self) -> None:
        self._offered.set()
        self.client.disconnect()
        self.client.loop_stop()


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@contextmanager
def lamps(port: int, *failing: str) -> Generator[dict[str, Device]]:
    found = {name: Device(port, name, keys=PUBLIC, fails=name in failing) for name in LAMPS}
    try:
        yield found
    finally:
        for device in found.values():
            device.stop()


class Region:
    """A database, a guarded broker, and what the API would do."""

    def __init__(self, roles: Callable[[str], str], broker: Broker, folder: Path) -> None:
        self.roles, self.broker, self.folder = roles, broker, folder
        register_lamps(roles(OWNER), LAMPS)
        with psycopg.connect(roles(OWNER)) as owner:
            owner.execute("INSERT INTO person (name, title, created_at) VALUES ('jana@kraj.cz', 'Jana', now())")
            owner.execute(
                "INSERT INTO membership (person_id, role, valid_from)"
                " VALUES (1, 'region_admin', now() - interval '1 day')"
            )
        self.release = release(2, expires=int(datetime.now(UTC).timestamp()) + 86_400, size=20_000)
        asyncio.run(self._bring())

    async def _bring(self) -> None:
        async with await psycopg.AsyncConnection[Any].connect(self.roles(OWNER)) as owner:
            await releases.trust(owner, PUBLIC)
            assert await releases.add(owner, self.release, who="Jana", at=datetime.now(UTC))

    def begin(self, **other: Any) -> None:
        async def work() -> None:
            async with await psycopg.AsyncConnection[Any].connect(self.roles(OWNER)) as connection:
                await connection.execute(
                    "SELECT set_config('kraj.principal', '1', true), set_config('kraj.scopes', '*', true)"
                )
                found = await firmware.release(connection, self.release.digest)
                assert found is not None
                given: dict[str, Any] = {"share_pct": 100, "failures_max_pct": 50, "soak_min": 0, **other}
                now = datetime.now(UTC)
                await releases.begin(connection, found, Scope(), who="Jana", reason="oprava", at=now, **given)

        asyncio.run(work())

    def ingest(self) -> Ingest:
        password = self.folder / "password"
        password.write_text(PASSWORDS["slot_0"])
        log = self.folder / "ingest.log"
        return Ingest(
            self.roles("kraj_ingest"),
            self.broker.address,
            self.broker.port,
            log,
            KRAJ_MQTT_USERNAME="slot_0",
            KRAJ_MQTT_PASSWORD_FILE=str(password),
        )

    def states(self) -> dict[str, str]:
        return dict(
            query(self.roles(OWNER), "SELECT name, u.state FROM firmware_update u JOIN device USING (device_id)")
        )

    def one(self, statement: str) -> Any:
        return query(self.roles(OWNER), statement)[0]

    def published(self) -> bool:
        return self.one("SELECT published_at IS NOT NULL FROM firmware_container")


@pytest.fixture
def region(database_role_url: Callable[[str], str], open_folder: Path) -> Iterator[Region]:
    with Broker(open_folder / "broker", credentials=PASSWORDS) as broker:
        yield Region(database_role_url, broker, open_folder)


def test_devices_load_a_release_in_steps_and_say_what_came_of_it(region: Region) -> None:
    with region.ingest() as ingest, lamps(region.broker.port, "lamp-1") as devices:
        ingest.ready()
        wait_until(region.published, "the broker has the release")
        region.begin(share_pct=30, failures_max_pct=100)
        wait_until(lambda: set(region.states().values()) == {"running", "failed"}, f"{region.states()}")
        assert region.states() == {"lamp-0": "running", "lamp-1": "failed", "lamp-2": "running"}
        assert {device.container for device in devices.values()} == {region.release.container}
        wait_until(lambda: region.one("SELECT state FROM firmware_campaign") == "done", "it is over")
        assert region.one("SELECT error FROM firmware_campaign") == "1 of 3 devices failed"
        assert {len(device.offers) for device in devices.values()} == {1}, "told once, as each has answered"
        assert devices["lamp-0"].offers[0].keys() == {"id", "do", "release", "version"}


def test_a_broker_that_lost_everything_gets_the_blocks_again_and_forgets_what_is_withdrawn(region: Region) -> None:
    with region.ingest() as ingest:
        ingest.ready()
        wait_until(region.published, "the broker has the release")
        first = region.one("SELECT published_at FROM firmware_container")
        region.broker.kill()  # it keeps nothing on disk
        region.broker.start()
        wait_until(lambda: region.one("SELECT published_at FROM firmware_container") not in {None, first}, "anew")
        device = Device(region.broker.port, "lamp-0", keys=PUBLIC)
        digest = region.release.digest
        assert device.fetch(firmware_blocks.manifest_topic(digest)) == region.release.head
        last = region.release.blocks - 1
        assert device.fetch(firmware_blocks.block_topic(digest, last)) == firmware_blocks.block(
            region.release.container, last
        )
        query(region.roles(OWNER), "UPDATE firmware_release SET withdrawn_at = now()")
        wait_until(lambda: region.one("SELECT cleared_at IS NOT NULL FROM firmware_container"), "it is cleared")
        device.blocks.clear()
        device.client.subscribe([(firmware_blocks.block_topic(digest, n), 1) for n in range(last + 1)])
        device.client.subscribe(device.topic("ack"), 1)
        region.begin()  # nobody is told of it any more
        device.client.publish(device.topic("telemetry"), "{}", 1).wait_for_publish(PATIENCE_S)
        assert (device.blocks, device.offers) == ({}, [])
        device.stop()


def test_a_block_that_somebody_else_has_left_is_replaced_once_a_device_could_not_take_it(region: Region) -> None:
    """Whoever had the password of a slot left it retained; the first device finds it, and the others get ours."""
    with region.ingest() as ingest:
        ingest.ready()
        wait_until(region.published, "the broker has the release")
        topic = firmware_blocks.block_topic(region.release.digest, 1)
        forged = bytes(firmware_blocks.BLOCK_BYTES)
        thief = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="slot_1", protocol=mqtt.MQTTv5)
        thief.username_pw_set("slot_1", PASSWORDS["slot_1"])
        thief.connect("127.0.0.1", region.broker.port)
        thief.loop_start()
        thief.publish(topic, forged, 1, retain=True).wait_for_publish(PATIENCE_S)
        thief.disconnect()
        thief.loop_stop()
        first = region.one("SELECT published_at FROM firmware_container")
        devices = [Device(region.broker.port, "lamp-0", keys=PUBLIC)]
        assert devices[0].fetch(topic) == forged
        region.begin(failures_max_pct=100)
        wait_until(lambda: region.states()["lamp-0"] == "failed", "it could not take it")
        wait_until(lambda: region.one("SELECT published_at FROM firmware_container") not in {None, first}, "anew")
        again = region.one("SELECT published_at FROM firmware_container")
        devices += [Device(region.broker.port, name, keys=PUBLIC) for name in LAMPS[1:]]
        wait_until(lambda: sorted(region.states().values()) == ["failed", "running", "running"], "the others could")
        assert [device.container == region.release.container for device in devices] == [False, True, True]
        assert again == region.one("SELECT published_at FROM firmware_container"), "once"
        for device in devices:
            device.stop()
