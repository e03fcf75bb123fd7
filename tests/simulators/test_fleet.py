"""Simulated devices against a real mosquitto, with a small platform written on an independent client (paho)."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, cast

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from kraj import topics, wire
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.settings import Settings
from simulators.device import Link, SimulatedDevice
from simulators.fleet import Counts, Fleet, run
from simulators.region import Device, region
from simulators.ring import Resend, Ring

WAIT_S = 15.0
NEVER = Resend(first_ms=3_600_000, longest_ms=3_600_000)
SOON = Resend(first_ms=150, longest_ms=600)
DEVICE = Device(name="lamp-a1", municipality="obec", installed=())
PREFIX = "kraj/obec/lamp-a1"


class Broker:
    """A mosquitto process on a free loopback port; ``connections`` reads its log."""

    def __init__(self, folder: Path, *, password_file: Path | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._log = folder / "broker.log"
        access = f"allow_anonymous false\npassword_file {password_file}" if password_file else "allow_anonymous true"
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n{access}\nuser root\npersistence false\n"
            f"connection_messages true\nlog_type notice\nlog_dest file {self._log}\n"
        )
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)])
        deadline = time.monotonic() + WAIT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def connections(self) -> Counter[str]:
        """How often each client id has connected."""
        found = re.findall(r"New client connected from \S+ as (\S+) ", self._log.read_text())
        return Counter(name for name in found if not name.startswith("_"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)


class Platform:
    """Listens to everything, remembers it, and acknowledges what ``answer`` gives for a message's readings."""

    def __init__(self, port: int) -> None:
        self.readings: list[tuple[str, dict[str, Any]]] = []
        self.payloads: list[tuple[str, bytes]] = []
        self.results: list[dict[str, Any]] = []
        self.acked: set[tuple[str, int, int]] = set()
        self.answer: Callable[[list[dict[str, Any]]], list[int]] = lambda readings: [r["seq"] for r in readings]
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "_platform", protocol=paho.MQTTv5)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        subscribed = threading.Event()

        def on_subscribe(*_: object) -> None:
            subscribed.set()

        self._client.on_subscribe = on_subscribe
        self._client.loop_start()
        self._client.subscribe([("kraj/+/+/telemetry", _QOS_1), ("kraj/+/+/result", _QOS_1)])
        assert subscribed.wait(WAIT_S)

    def _take(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        prefix, channel = message.topic.rsplit("/", 1)
        found: Any = json.loads(message.payload)
        if channel == "result":
            self.results.append(found)
            return
        readings = cast("list[dict[str, Any]]", found if isinstance(found, list) else [found])
        device = prefix.rsplit("/", 1)[1]
        self.payloads.append((device, bytes(message.payload)))
        self.readings += [(device, r) for r in readings]
        named = self.answer(readings)
        for boot in {r["boot"] for r in readings if r["seq"] in named}:
            seqs = [r["seq"] for r in readings if r["seq"] in named and r["boot"] == boot]
            self.acked |= {(device, boot, seq) for seq in seqs}
            client.publish(f"{prefix}/ack", wire.encode_ack(boot, seqs), qos=0)

    def seen(self) -> Counter[int]:
        """How often each seq came."""
        return Counter(r["seq"] for _, r in self.readings)

    def publish(self, topic: str, payload: object) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(topic, body, qos=1).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Proxy:
    """A TCP hop between devices and broker that can cut every connection as a pulled cable does."""

    def __init__(self, port: int) -> None:
        self.open = True
        self.port = 0
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    def cut(self) -> None:
        self.open = False
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        self.cut()
        assert self._server
        self._server.close()
        await self._server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.transport.abort()


_QOS_1 = SubscribeOptions(1)


def retained(port: int, topic: str, count: int = 1) -> dict[str, Any]:
    """What a newcomer finds retained, payloads by topic."""
    found: dict[str, Any] = {}
    done = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, "_newcomer", protocol=paho.MQTTv5)

    def take(_: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        assert message.retain
        found[message.topic] = json.loads(message.payload)
        if len(found) >= count:
            done.set()

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.subscribe(topic, 1)
    client.loop_start()
    done.wait(WAIT_S)
    client.disconnect()
    client.loop_stop()
    return found


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = Broker(tmp_path_factory.mktemp("broker"))
    yield started
    started.close()


@pytest.fixture
def platform(broker: Broker) -> Iterator[Platform]:
    started = Platform(broker.port)
    yield started
    started.close()


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[Proxy]:
    started = Proxy(broker.port)
    await started.start()
    yield started
    await started.close()


@contextlib.asynccontextmanager
async def running(
    port: int, *, device: Device = DEVICE, resend_after: Resend = NEVER, boot: int = 7
) -> AsyncGenerator[SimulatedDevice]:
    link = Link(host="127.0.0.1", port=port, connect_spread_s=0, backoff_first_s=0.05, backoff_longest_s=0.1)
    ring = Ring(boot, Random(1), resend_after=resend_after)
    simulated = SimulatedDevice(device, ring, link, Random(2))
    task = asyncio.create_task(simulated.run())
    try:
        await until(lambda: simulated.connected, "connected")
        yield simulated
    finally:
        simulated.stop()
        await asyncio.wait_for(task, WAIT_S)


async def test_only_what_the_platform_names_is_freed_and_the_rest_is_sent_again(
    broker: Broker, platform: Platform
) -> None:
    platform.answer = lambda readings: [r["seq"] for r in readings if r["seq"] in (2, 3, 5)]
    async with running(broker.port, resend_after=SOON) as device:
        for n in range(6):
            device.record({"power_w": n}, 1000 + n)
        await until(lambda: all(platform.seen()[seq] >= 3 for seq in (1, 4, 6)), "the unnamed are sent again")
        assert {seq for seq, times in platform.seen().items() if times == 1} == {2, 3, 5}
        assert device.ring.pending == 3
        assert device.ring.counters.acknowledged == 3
        platform.answer = lambda readings: [r["seq"] for r in readings]
        await until(lambda: not device.ring.pending, "all named in the end")
    assert next(r for _, r in platform.readings if r["seq"] == 4) == {"boot": 7, "seq": 4, "ts": 1003, "power_w": 3}


async def test_an_ack_of_another_boot_or_a_broken_one_frees_nothing(broker: Broker, platform: Platform) -> None:
    platform.answer = lambda _: []
    async with running(broker.port) as device:
        device.record({"power_w": 1}, 1000)
        platform.publish(f"{PREFIX}/ack", {"boot": 6, "seq": [[1, 1]]})
        for junk in (b"", b"\xff", b"[]", b'{"boot":7}', b'{"boot":7,"seq":[1]}', b'{"boot":7,"seq":[["a",2]]}'):
            platform.publish(f"{PREFIX}/ack", junk)
        platform.publish(f"{PREFIX}/command", b"{}")
        await until(lambda: device.malformed == 7, "broken messages counted")
        assert device.ring.pending == 1
        assert device.connected


async def test_the_status_tells_online_then_offline_when_the_cable_is_pulled_then_online_again(
    broker: Broker, proxy: Proxy
) -> None:
    topic = f"{PREFIX}/status"
    async with running(proxy.port, boot=9) as device:
        online = {"online": True, "boot": 9, "firmware": "sim-0.1", "reset": "power_on"}
        assert await asyncio.to_thread(retained, broker.port, topic) == {topic: online}
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        # The broker publishes the will when it sees the broken socket, a moment after the device does.
        await until(lambda: retained(broker.port, topic)[topic] == {"online": False}, "the will")
        proxy.open = True
        await until(lambda: device.connected, "reconnected")
        assert await asyncio.to_thread(retained, broker.port, topic) == {topic: online}
        assert device.reconnects == 1
    assert await asyncio.to_thread(retained, broker.port, topic) == {topic: {"online": False}}


async def test_a_reconnect_sends_everything_unacknowledged_at_once_and_live_readings_first(
    platform: Platform, proxy: Proxy
) -> None:
    platform.answer = lambda _: []
    async with running(proxy.port) as device:
        for n in range(3):
            device.record({"power_w": n}, n)
        await until(lambda: len(platform.readings) == 3, "sent once")
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        device.record({"power_w": 3}, 3)
        platform.answer = lambda readings: [r["seq"] for r in readings]
        proxy.open = True
        await until(lambda: not device.ring.pending, "all acknowledged")
        assert platform.seen() == {1: 2, 2: 2, 3: 2, 4: 1}


async def test_the_command_resend_sends_delivered_readings_again_once_for_each_id(
    broker: Broker, platform: Platform
) -> None:
    async with running(broker.port) as device:
        for n in range(5):
            device.record({"power_w": n}, 1000 + n)
        await until(lambda: device.ring.counters.acknowledged == 5, "all delivered")
        command = {"id": "c1", "do": "resend", "from_ts": 1002}
        platform.publish(f"{PREFIX}/command", command)
        await until(lambda: len(platform.results) == 1, "the result")
        await until(lambda: not device.ring.pending, "delivered again")
        assert platform.seen() == {1: 1, 2: 1, 3: 2, 4: 2, 5: 2}
        platform.publish(f"{PREFIX}/command", command)
        await until(lambda: len(platform.results) == 2, "the same result")
        assert platform.results == [{"id": "c1", "ok": True, "readings": 3}] * 2
        assert device.ring.counters.sent == 8
        assert device.ring.counters.acknowledged == 5


async def test_an_unknown_or_wrong_command_is_answered_with_what_is_wrong(broker: Broker, platform: Platform) -> None:
    async with running(broker.port):
        platform.publish(f"{PREFIX}/command", {"id": "c9", "do": "dance"})
        await until(lambda: platform.results, "the result")
        platform.publish(f"{PREFIX}/command", {"id": "c10", "do": "resend", "from_ts": "noon"})
        await until(lambda: len(platform.results) == 2, "the second result")
        assert platform.results[0] == {"id": "c9", "ok": False, "error": "unknown command 'dance'; known: resend"}
        assert platform.results[1]["ok"] is False
        assert "from_ts" in platform.results[1]["error"]


async def test_a_command_given_while_the_device_is_away_is_obeyed_when_it_returns(
    platform: Platform, proxy: Proxy
) -> None:
    async with running(proxy.port) as device:
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        platform.publish(f"{PREFIX}/command", {"id": "late", "do": "resend"})
        proxy.open = True
        await until(lambda: platform.results, "the result")
        assert platform.results[0]["id"] == "late"


async def test_a_device_without_a_clock_sends_uptime_and_resends_all_whatever_time_is_named(
    broker: Broker, platform: Platform
) -> None:
    clockless = Device(name="lamp-a1", municipality="obec", installed=(), clock=False)
    async with running(broker.port, device=clockless) as device:
        device.record({"power_w": 1}, 5_000)
        device.record({"power_w": 2}, 1_000)
        await until(lambda: device.ring.counters.acknowledged == 2, "delivered")
        platform.publish(f"{PREFIX}/command", {"id": "c1", "do": "resend", "from_ts": 9_000})
        await until(lambda: platform.seen() == {1: 2, 2: 2}, "all again")
    first, second = (next(r for _, r in platform.readings if r["seq"] == seq) for seq in (1, 2))
    assert "ts" not in first
    assert 0 <= first["uptime_ms"] <= second["uptime_ms"] < 60_000


async def test_a_backlog_goes_in_messages_that_the_platform_takes(broker: Broker, platform: Platform) -> None:
    async with running(broker.port) as device:
        for n in range(300):
            device.record({"power_w": n}, n)
        await until(lambda: not device.ring.pending, "all delivered")
    assert sorted(platform.seen()) == list(range(1, 301))
    sizes = [len(json.loads(p)) if p.startswith(b"[") else 1 for _, p in platform.payloads]
    assert 1 < max(sizes) <= wire.READINGS_PER_MESSAGE_MAX


async def test_a_fleet_delivers_every_reading_over_one_connection_a_device(broker: Broker, platform: Platform) -> None:
    built = region(4, 40, clockless_share=0.3)
    before = broker.connections()
    fleet = Fleet(
        built, Link(host="127.0.0.1", port=broker.port, connect_spread_s=0.2), interval_s=0.5, keep_acknowledged=True
    )
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(stop))
    await until(lambda: fleet.counts().connected == 40, "all connected")
    await until(lambda: fleet.counts().acknowledged > 200, "readings acknowledged")
    stop.set()
    await asyncio.wait_for(task, WAIT_S)

    counts = fleet.counts()
    assert counts.connected == counts.pending == counts.thinned == counts.malformed == counts.reconnects == 0
    assert counts.produced == counts.acknowledged == len(fleet.acknowledged)
    assert fleet.acknowledged == platform.acked
    assert broker.connections() - before == {d.name: 1 for d in built.devices}
    online = await asyncio.to_thread(retained, broker.port, "kraj/+/+/status", 40)
    assert {state["online"] for state in online.values()} == {False}

    devices = {d.name: d for d in built.devices}
    for name, payload in platform.payloads:
        topics.parse(f"kraj/{devices[name].municipality}/{name}/telemetry")
        wire.decoder(KINDS[devices[name].installed[0].asset.kind]).decode(payload)
    for name, reading in platform.readings:
        assert ("ts" in reading) == devices[name].clock
        assert ("uptime_ms" in reading) != devices[name].clock
    gateway = next(d.name for d in built.devices if len(d.installed) > 1)
    channels = Counter(r.get("channel", 0) for name, r in platform.readings if name == gateway)
    assert set(channels) == {1, 2, 3}
    assert len(set(channels.values())) == 1


async def test_what_nobody_acknowledges_stays_pending(broker: Broker) -> None:
    fleet = Fleet(region(4, 5), Link(host="127.0.0.1", port=broker.port, connect_spread_s=0), interval_s=0.2)
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(stop, drain_s=0.1))
    await until(lambda: fleet.counts().sent >= 20, "readings sent")
    stop.set()
    await asyncio.wait_for(task, WAIT_S)
    assert fleet.counts().pending == fleet.counts().produced
    assert fleet.counts().acknowledged == 0


async def test_devices_sign_in_with_their_passwords(tmp_path: Path) -> None:
    built = region(2, 6)
    credentials = {d.name: f"secret-{d.name}" for d in built.devices}
    wrong = built.devices[0].name
    file = tmp_path / "passwords"
    file.write_text("".join(f"{name}:{password}\n" for name, password in credentials.items()))
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(file)], check=True)
    broker = Broker(tmp_path, password_file=file)
    try:
        settings = Settings(mqtt_host="127.0.0.1", mqtt_port=broker.port)
        stop = asyncio.Event()
        reports: list[Counts] = []
        task = asyncio.create_task(
            run(settings, built, stop, credentials=credentials | {wrong: "guess"}, report=reports.append)
        )
        await until(lambda: len(broker.connections()) == 5, "five connected")
        stop.set()
        await asyncio.wait_for(task, WAIT_S)
        assert wrong not in broker.connections()
        assert reports[-1].devices == 6
        assert reports[-1].pending == reports[-1].produced
    finally:
        broker.close()


async def test_missing_passwords_are_named_before_anything_connects() -> None:
    built = region(2, 6)
    with pytest.raises(
        ConfigurationError, match=f"6 of 6 devices have no password, the first is {built.devices[0].name}"
    ):
        Fleet(built, Link(host="127.0.0.1", port=1), credentials={})


def test_the_command_says_how_it_goes_and_stops_on_sigterm(broker: Broker, platform: Platform) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KRAJ_")}
    command = [sys.executable, "-m", "simulators", "--devices", "5", "--interval", "0.3", "--port", str(broker.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + WAIT_S
    while len({name for name, _ in platform.readings}) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert err == ""
    assert "5 devices in " in out.splitlines()[0]
    assert re.search(r"devices 5  connected 0 .* pending 0 ", out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "0"], "a region has 1 to"),
        (["--credentials", "/nonexistent"], "--credentials /nonexistent"),
        (["--port", "70000"], "KRAJ_MQTT_PORT"),
    ],
)
def test_wrong_options_are_explained_without_a_traceback(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
