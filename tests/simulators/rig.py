"""A real mosquitto, a small platform written on an independent client (paho), and a cable that can be pulled."""

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from kraj import wire
from simulators.device import Link, SimulatedDevice
from simulators.region import Device
from simulators.ring import Resend, Ring
from stack.process import free_port
from tests.waiting import PATIENCE_S

NEVER = Resend(first_ms=3_600_000, longest_ms=3_600_000)
SOON = Resend(first_ms=150, longest_ms=600)
DEVICE = Device(name="lamp-a1", municipality="obec", installed=())
PREFIX = "kraj/obec/lamp-a1"


class Broker:
    """A mosquitto process on a free loopback port; ``connections`` reads its log."""

    def __init__(self, folder: Path, *, password_file: Path | None = None) -> None:
        self.port = free_port()
        self._log = folder / "broker.log"
        access = f"allow_anonymous false\npassword_file {password_file}" if password_file else "allow_anonymous true"
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n{access}\nuser root\npersistence false\n"
            f"connection_messages true\nlog_type notice\nlog_dest file {self._log}\n"
        )
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)])
        deadline = time.monotonic() + PATIENCE_S
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
        self._process.wait(PATIENCE_S)


class Platform:
    """Listens to everything, remembers it, and acknowledges what ``answer`` gives for a message's readings."""

    def __init__(self, port: int) -> None:
        self.readings: list[tuple[str, dict[str, Any]]] = []
        self.payloads: list[tuple[str, bytes]] = []
        self.results: list[dict[str, Any]] = []
        self.reports: list[tuple[str, dict[str, Any]]] = []
        """By device what came as ``reported``, live or retained."""
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
        self._client.subscribe([(f"kraj/+/+/{channel}", _QOS_1) for channel in ("telemetry", "result", "reported")])
        assert subscribed.wait(PATIENCE_S)

    def _take(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        prefix, channel = message.topic.rsplit("/", 1)
        found: Any = json.loads(message.payload or b"{}")
        if channel == "reported":
            self.reports.append((prefix.rsplit("/", 1)[1], found))
            return
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

    def publish(self, topic: str, payload: object, *, retain: bool = False, expiry_s: int | None = None) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        properties = Properties(PacketTypes.PUBLISH)
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        self._client.publish(topic, body, 1, retain, properties).wait_for_publish(PATIENCE_S)

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
    done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return found


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        await asyncio.sleep(0.01)


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
        await asyncio.wait_for(task, PATIENCE_S)
