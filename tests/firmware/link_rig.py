"""A device's link on this computer, the platform that acknowledges at the other end, and a broker between them."""

import asyncio
import contextlib
import importlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators import ring
from stack.broker import Broker
from tests.waiting import PATIENCE_S

FIRMWARE = Path(__file__).parents[2] / "firmware"


def load(name: str) -> Any:
    """A module of the firmware, as a device imports it."""
    if str(FIRMWARE) not in sys.path:
        sys.path.append(str(FIRMWARE))
    return importlib.import_module(name)


class Clock:
    """The port ``clock``: this computer's, which may not know the time; pauses are cut to a hundredth."""

    def __init__(self, utc_ms: int | None = 0) -> None:
        self.known = utc_ms is not None
        self.slept: list[int] = []

    def ticks_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def utc_ms(self) -> int | None:
        return time.time_ns() // 1_000_000 if self.known else None

    def set(self, utc_ms: int) -> None:
        self.known = True

    async def sleep_ms(self, n: int) -> None:
        self.slept.append(n)
        await asyncio.sleep(n / 100_000)


class Board:
    """The ports of a board with a network and a clock; what it is asked to do is noted."""

    def __init__(self, context: ssl.SSLContext | None, clock: Clock | None = None, name: str | None = None) -> None:
        self.clock = clock or Clock()
        self.context = context
        self.name = name
        self.dialled = 0
        self.asked = 0
        self.answers = True
        self.resets: list[str] = []
        self.fed = 0
        self.broken: OSError | None = None

    async def network(self) -> None:
        if self.broken:
            raise self.broken

    async def ask_time(self) -> bool:
        self.asked += 1
        if self.answers:
            self.clock.set(0)
        return self.answers

    async def dial(self, host: str, port: int) -> Any:
        self.dialled += 1
        name = None if self.context is None else self.name or host
        return await asyncio.open_connection(host, port, ssl=self.context, server_hostname=name)

    def reset(self, cause: str) -> None:
        self.resets.append(cause)

    def feed(self) -> None:
        self.fed += 1


class Ring:
    """The simulated fleet's ring, by the firmware's names: a second opinion of what a ring does."""

    def __init__(self) -> None:
        self.inner = ring.Ring(1, Random(1), capacity=2000)
        self.confirmed: set[int] = set()

    @property
    def pending(self) -> int:
        return self.inner.pending

    def append(self, values: dict[str, object]) -> int:
        return self.inner.append({"ts": time.time_ns() // 1_000_000, **values}, 0)

    def take(self, now_ms: int) -> list[tuple[int, bytes]]:
        return [(entry.seq, entry.body) for entry in self.inner.take(now_ms, ring.IN_FLIGHT_MAX)]

    def due_ms(self, now_ms: int) -> float | None:
        return self.inner.due_ms(now_ms)

    def acknowledge(self, boot: int, ranges: list[tuple[int, int]]) -> int:
        found = self.inner.acknowledge(boot, ranges)
        self.confirmed.update(found)
        return len(found)

    def reconnect(self) -> None:
        self.inner.reconnect()


class Platform(mqtt.Client):
    """What ingest is to devices: hears everything over the Unix socket, and acknowledges while ``acknowledges``."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, "slot_0", protocol=mqtt.MQTTv5, transport="unix")
        self.heard: list[tuple[str, str, Any]] = []
        self.retained: list[bool] = []
        self.acknowledges = True
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self.username_pw_set("slot_0", "three")
        self.on_message = self._note
        self.on_connect = self._connected
        self.on_subscribe = self._listens
        self.reconnect_delay_set(1, 1)
        self.connect(broker.address, broker.port)
        self.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def _connected(self, *_: object) -> None:
        self.subscribe("kraj/+/+/#", qos=1)

    def _listens(self, *_: object) -> None:
        self._subscribed.set()

    def _create_unix_socket_connection(self) -> socket.socket:
        """As paho's own, which leaves the socket open where nobody listens."""
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(self.host)
        except OSError:
            made.close()
            raise
        return made

    def _note(self, client: object, userdata: object, message: mqtt.MQTTMessage) -> None:
        _, _, device, channel = message.topic.split("/")
        if channel in {"ack", "desired", "command"}:
            return
        said = json.loads(message.payload)
        with self._news:
            self.heard.append((device, channel, said))
            self._news.notify_all()
        if channel in {"telemetry", "event"} and self.acknowledges:
            readings = cast(list[Any], said if isinstance(said, list) else [said])
            body = {"boot": readings[0]["boot"], "seq": [[r["seq"], r["seq"]] for r in readings]}
            self.publish(message.topic.rpartition("/")[0] + "/ack", json.dumps(body))

    def order(self, device: str, channel: str, said: object, *, retain: bool = False, expiry_s: int = 0) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if expiry_s:
            properties.MessageExpiryInterval = expiry_s
        payload = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.publish(f"kraj/brno/{device}/{channel}", payload, 1, retain, properties)

    def said(self, channel: str, device: str = "") -> list[Any]:
        with self._news:
            return [said for by, of, said in self.heard if of == channel and device in {"", by}]

    def readings(self, device: str = "") -> list[Any]:
        found: list[Any] = []
        for said in self.said("telemetry", device) + self.said("event", device):
            found += said if isinstance(said, list) else [said]
        return found

    def end(self) -> None:
        self.disconnect()
        self.loop_stop()


async def until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.005)


def least(below: int) -> int:
    """No jitter: the first of the whole numbers."""
    return 0 * below


class Device:
    """A link with its board and ring; answers of ``take`` are given by ``answer``."""

    def __init__(self, board: Board, port: int, name: str, **more: Any) -> None:
        self.board = board
        self.ring = Ring()
        self.taken: list[tuple[str, bytes, int | None]] = []
        self.answer: Callable[[str, bytes], list[tuple[str, bytes, bool]]] = lambda channel, payload: []
        settings = {"host": "127.0.0.1", "port": port, "municipality": "brno", "device": name, **more}
        module = load("node.link")
        self.link: Any = module.Link(
            board, settings, self.ring, random=least, take=self._take, status=lambda: {"boot": 1, "reset": "x"}
        )
        self.beats = 0

    def _take(self, channel: str, payload: bytes, expiry_s: int | None) -> list[tuple[str, bytes, bool]]:
        self.taken.append((channel, payload, expiry_s))
        return self.answer(channel, payload)

    def beat(self) -> None:
        self.beats += 1

    def record(self, count: int = 1) -> None:
        for _ in range(count):
            self.ring.append({"power_w": 41.2})
        self.link.wake()


@contextlib.asynccontextmanager
async def running(device: Device) -> AsyncGenerator[Device]:
    """The link runs; at the end it says goodbye."""
    task = asyncio.create_task(device.link.run(device.beat))
    try:
        yield device
    finally:
        device.link.stop(1000)
        await asyncio.wait_for(task, PATIENCE_S)
