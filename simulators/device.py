"""One simulated device: its ring, its connection, and what it does with acknowledgements and commands."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import msgspec
from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from kraj import moving
from kraj.certificates import Certificate
from kraj.errors import PayloadError
from kraj.topics import Channel, Topic
from simulators.controller import Obeys
from simulators.messages import ACK, COMMAND, NAME, Command, Result
from simulators.region import Device
from simulators.ring import Entry, Ring

FIRMWARE = "sim-0.1"
READINGS_PER_MESSAGE = 16
"""A backlog goes in messages of this many readings: about 10 kB, far below what the platform takes."""
COMMANDS_REMEMBERED = 64
"""Answers kept so that a command that comes again is answered again and not done again."""
LIGHT = ("set_level", "release")
"""Commands that a device with lamps hands to its controller."""
UNREAD_MAX = 10_000
"""Packets that may wait in the kernel for a device that has lost its power: far more than fit."""
SESSION_EXPIRY_S = 3600
"""How long the broker keeps commands for a device that is away (each command's own expiry may be shorter)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How a device reaches the broker; the pauses are seconds, each drawn anew between half and the whole."""

    host: str
    port: int
    keepalive_s: int = 60
    answer_timeout_s: float = 10.0
    connect_spread_s: float = 2.0
    """Devices connect first within this span, each at its own moment."""
    backoff_first_s: float = 0.5
    backoff_longest_s: float = 30.0
    settled_s: float = 30.0
    """A connection that lived this long starts the backoff anew."""


_QUIET = logging.Logger("simulators.mqtt", logging.CRITICAL)  # noqa: LOG001 - outside the tree of loggers
"""A lost connection is everyday life of a fleet: it is counted, and three hundred lines about it help nobody."""
_OFFLINE: dict[str, object] = {"online": False}


class SimulatedDevice:
    """A device with one connection of its own.

    ``record`` puts a reading into the ring at any time; ``run`` keeps the connection and sends until ``stop``.
    ``acknowledged`` is told of each reading that the platform confirmed for the first time. By ``roots`` it knows an
    order to move to another server; without them it follows none. Its ``controller`` tells how its lamps obey.

    Power and network are lost in two steps: after ``lose`` nothing is sent or heard, and nobody knows; with ``cut`` the
    broker finds the connection dead, and publishes the will. ``back`` lets it connect again, ``restart`` before it
    tells that it was power that was gone.
    """

    def __init__(
        self,
        device: Device,
        ring: Ring,
        link: Link,
        random: Random,
        *,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        acknowledged: Callable[[str, int, Sequence[int]], None] | None = None,
        roots: Sequence[Certificate] = (),
        controller: Obeys | None = None,
    ) -> None:
        self.device = device
        self.ring = ring
        self.connected = False
        self.sessions = 0
        self.malformed = 0
        """Messages from the platform that this device could not read."""
        self._link = link
        self._random = random
        self._password = password
        self._tls = tls
        self._acknowledged = acknowledged
        self._roots = tuple(roots)
        self._controller = controller
        self._moving = False
        self._topic = partial(Topic, device.municipality, device.name)
        self._started_s = self._now_s()
        self._answers: OrderedDict[str, Result] = OrderedDict()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._drain_until = 0.0
        self._lost = False
        self._within_reach = asyncio.Event()
        self._within_reach.set()
        self._client_now: Client | None = None

    @property
    def reconnects(self) -> int:
        return max(0, self.sessions - 1)

    def record(
        self,
        metrics: dict[str, object],
        ts_ms: int,
        channel: int = 0,
        *,
        past: bool = False,
        uptime_ms: int | None = None,
    ) -> int:
        """Stamp a reading and put it into the ring.

        A device without a clock stamps its uptime instead: ``uptime_ms``, or the real time since it was made. With
        ``past`` it is told the time, as nobody could tell later when its run began.
        """
        if uptime_ms is None:
            uptime_ms = int((self._now_s() - self._started_s) * 1000)
        stamp: dict[str, object] = {"ts": ts_ms} if self.device.clock or past else {"uptime_ms": uptime_ms}
        if channel:
            stamp["channel"] = channel
        seq = self.ring.append(stamp | metrics, ts_ms, channel)
        self._wake.set()
        return seq

    async def run(self) -> None:
        """Connect, send, reconnect; ends after ``stop``."""
        await self._pause(self._random.uniform(0, self._link.connect_spread_s))
        failures = 0
        while not self._stopping.is_set():
            await self._within_reach.wait()
            if self._stopping.is_set():
                break
            began = self._now_s()
            # The world's errors only: the broker away, refusing or cutting the connection. All else is ours and shows.
            with contextlib.suppress(MqttError, OSError):
                await self._session()
            if self._now_s() - began >= self._link.settled_s:
                failures = 0
            longest = min(self._link.backoff_longest_s, self._link.backoff_first_s * 2 ** min(failures, 16))
            failures += 1
            await self._pause(self._random.uniform(longest / 2, longest))

    def lose(self) -> None:
        """From now on nothing is sent or heard; to the broker the connection looks alive."""
        self._lost = True
        self._within_reach.clear()
        if (wire := self._wire()) is not None:
            # What the broker sends stays in the kernel, unread and unacknowledged: it will send it again.
            asyncio.get_running_loop().remove_reader(wire.fileno())

    def cut(self) -> None:
        """The connection ends without a goodbye."""
        client = self._client_now
        if client is not None and (wire := self._wire()) is not None:
            with contextlib.suppress(OSError):
                # The socket's own: that of ssl forgets the keys, and what had come would be read as if it were plain.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
            # It finds that it is shut behind whatever had come meanwhile, which nobody hears any more.
            for _ in range(UNREAD_MAX):
                if self._wire() is None:
                    break
                client._client.loop_read()  # pyright: ignore[reportPrivateUsage]
        self._wake.set()

    def back(self) -> None:
        """Power and network are there again."""
        self._lost = False
        self._within_reach.set()

    def restart(self) -> None:
        """It starts again: the next boot, the same ring."""
        self.ring.restart()

    def stop(self, drain_s: float = 0.0) -> None:
        """Send what waits and hear its answers for at most ``drain_s``, then say goodbye."""
        self._drain_until = self._now_s() + drain_s
        self._stopping.set()
        self._within_reach.set()
        self._wake.set()
        if self._lost:
            self.cut()

    def _wire(self) -> socket.socket | None:
        """The open socket under the connection."""
        if self._client_now is None:
            return None
        found = self._client_now._client.socket()  # pyright: ignore[reportPrivateUsage]
        return found if isinstance(found, socket.socket) and found.fileno() >= 0 else None

    async def _session(self) -> None:
        async with self._client() as client:
            # Before anything else: a kept session delivers its commands at once.
            listener = asyncio.create_task(self._listen(client))
            listener.add_done_callback(lambda _: self._wake.set())
            self._client_now = client
            try:
                if self._lost:
                    self.cut()
                heard = [(Channel.ACK, 0), (Channel.COMMAND, 1), *([(Channel.DESIRED, 1)] if self._controller else [])]
                await client.subscribe([(str(self._topic(channel)), qos) for channel, qos in heard])
                await self._say(client, self._online())
                self.ring.reconnect()
                self.connected = True
                self.sessions += 1
                await self._send(client, listener)
                await self._say(client, _OFFLINE)
            finally:
                self.connected = False
                self._client_now = None
                listener.cancel()
                with contextlib.suppress(asyncio.CancelledError, MqttError):
                    await listener

    def _client(self) -> Client:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        return Client(
            self._link.host,
            self._link.port,
            identifier=self.device.name,
            username=None if self._password is None else self.device.name,
            password=self._password,
            protocol=ProtocolVersion.V5,
            logger=_QUIET,
            clean_start=False,
            keepalive=self._link.keepalive_s,
            timeout=self._link.answer_timeout_s,
            tls_context=self._tls,
            properties=properties,
            will=Will(str(self._topic(Channel.STATUS)), msgspec.json.encode(_OFFLINE), qos=1, retain=True),
        )

    def _online(self) -> dict[str, object]:
        return {"online": True, "boot": self.ring.boot, "firmware": FIRMWARE, "reset": "power_on"}

    async def _say(self, client: Client, status: dict[str, object]) -> None:
        await client.publish(str(self._topic(Channel.STATUS)), msgspec.json.encode(status), qos=1, retain=True)

    async def _send(self, client: Client, listener: "asyncio.Task[None]") -> None:
        telemetry = str(self._topic(Channel.TELEMETRY))
        while not listener.done():
            self._wake.clear()
            for message in () if self._lost else _messages(self.ring.take(self._now_s() * 1000)):
                # aiomqtt waits for the PUBACK of a connection that is long gone; the listener knows at once.
                sending = asyncio.ensure_future(client.publish(telemetry, message, qos=1))
                await asyncio.wait([sending, listener], return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    sending.cancel()
                    break
                sending.result()
            if self._stopping.is_set() and (not self.ring.pending or self._now_s() >= self._drain_until):
                return
            if self._moving:
                self._moving = False
                return
            await self._sleep_until_needed()
        await listener  # raises what ended it

    async def _sleep_until_needed(self) -> None:
        """Until a reading, an answer or ``stop`` comes, a resend is due, or the drain is over."""
        now_ms = self._now_s() * 1000
        due = None if self._lost else self.ring.due_ms(now_ms)
        if self._stopping.is_set():
            due = min(due or self._drain_until * 1000, self._drain_until * 1000)
        # A timer and one event: wait_for would make a task for each sleep of each device.
        timer = None if due is None else asyncio.get_running_loop().call_at(due / 1000, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer:
                timer.cancel()

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            if self._lost:
                continue
            try:
                if message.topic.value.endswith(f"/{Channel.ACK}"):
                    self._take_ack(message)
                elif message.topic.value.endswith(f"/{Channel.DESIRED}"):
                    await self._take_desired(client, message)
                else:
                    await self._obey(client, message)
            except msgspec.DecodeError:
                self.malformed += 1

    def _take_ack(self, message: Message) -> None:
        ack = ACK.decode(message.payload)
        first = self.ring.acknowledge(ack.boot, ack.seq)
        if first and self._acknowledged:
            self._acknowledged(self.device.name, ack.boot, first)
        self._wake.set()

    async def _take_desired(self, client: Client, message: Message) -> None:
        answer = self._controller.desired(message.payload) if self._controller else None
        if answer is not None:
            topic = str(self._topic(Channel.REPORTED))
            await client.publish(topic, msgspec.json.encode(answer), qos=1, retain=True)

    async def _obey(self, client: Client, message: Message) -> None:
        id_ = NAME.decode(message.payload).id
        answer = self._answers.get(id_)
        if answer is None:
            answer = self._do(id_, message)
            self._answers[id_] = answer
            if len(self._answers) > COMMANDS_REMEMBERED:
                self._answers.popitem(last=False)
        await client.publish(str(self._topic(Channel.RESULT)), msgspec.json.encode(answer), qos=1)
        if self._moving:
            self._wake.set()

    def _do(self, id_: str, message: Message) -> Result:
        try:
            command = COMMAND.decode(message.payload)
        except msgspec.DecodeError as error:
            return Result(id_, ok=False, error=str(error)[:200])
        if command.do == moving.DO:
            return self._move(command)
        if self._controller and command.do in LIGHT:
            expiry: int | None = getattr(message.properties, "MessageExpiryInterval", None)
            return self._controller.obey(command, expiry)
        if command.do != "resend":
            known = ", ".join(("resend", moving.DO, *(LIGHT if self._controller else ())))
            return Result(command.id, ok=False, error=f"unknown command {command.do[:60]!r}; known: {known}")
        # Without a clock it cannot tell which readings a time names; sending them all again is always safe.
        from_ts, to_ts = (command.from_ts, command.to_ts) if self.device.clock else (None, None)
        readings = self.ring.resend(from_seq=command.from_seq, to_seq=command.to_seq, from_ts=from_ts, to_ts=to_ts)
        self._wake.set()
        return Result(command.id, ok=True, readings=readings)

    def _move(self, command: Command) -> Result:
        """Check the order; the session ends once the answer is out, and the next one is at the new server."""
        try:
            to = moving.obey(msgspec.to_builtins(command), self.device.name, self._roots, time.time_ns() // 1_000_000)
        except PayloadError as error:
            return Result(command.id, ok=False, error=f"{error.reason}: {error}"[:200])
        self._link = replace(self._link, host=to.host, port=to.port)
        if self._tls is not None:
            self._tls.load_verify_locations(cadata=to.authority)
        self._roots = (*self._roots, *moving.authorities(to.authority))
        self._moving = True
        return Result(command.id, ok=True)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _messages(entries: Sequence[Entry]) -> Iterator[bytes]:
    for start in range(0, len(entries), READINGS_PER_MESSAGE):
        bodies = [e.body for e in entries[start : start + READINGS_PER_MESSAGE]]
        yield bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
