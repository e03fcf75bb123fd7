"""One simulated device: its ring, its connection, and what it does with acknowledgements and commands."""

import asyncio
import base64
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
from simulators.messages import Command, Result
from simulators.node import COMMANDS_REMEMBERED, FIRMWARE, OFFLINE, READINGS_PER_MESSAGE, Node
from simulators.region import Device
from simulators.renewing import Credential
from simulators.ring import Ring

__all__ = ["COMMANDS_REMEMBERED", "FIRMWARE", "READINGS_PER_MESSAGE", "Link", "SimulatedDevice"]

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


class SimulatedDevice:
    """A device with one connection of its own.

    ``record`` puts a reading into the ring at any time; ``run`` keeps the connection and sends until ``stop``.
    ``acknowledged`` is told of each reading that the platform confirmed for the first time. By ``roots`` it knows an
    order to move to another server; without them it follows none.
    With a ``credential`` it is renewed. Its ``controller`` tells how its lamps obey.

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
        credential: Credential | None = None,
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
        self._roots = tuple(roots)
        self._controller = controller
        self._credential = credential
        self._node = Node(
            device,
            ring,
            acknowledged=acknowledged,
            controller=controller,
            move=self._move,
            renew=None if credential is None else self._renew,
            certificate=None if credential is None else lambda: credential.own().serial,
        )
        self._moving = False
        self._topic = partial(Topic, device.municipality, device.name)
        self._started_s = self._now_s()
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
        seq = self._node.record(metrics, ts_ms, channel, past=past, uptime_ms=uptime_ms)
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
        self._node.restart()

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
        new, tried = self._credential.next_context() if self._credential else (None, 0)
        async with self._client(new or self._tls) as client:
            failed = self._credential.taken(tried, self._now_s()) if self._credential else None
            self._tls = new or self._tls
            # Before anything else: a kept session delivers its commands at once.
            listener = asyncio.create_task(self._listen(client))
            listener.add_done_callback(lambda _: self._wake.set())
            self._client_now = client
            try:
                if self._lost:
                    self.cut()
                heard = [(Channel.ACK, 0), (Channel.COMMAND, 1), *([(Channel.DESIRED, 1)] if self._controller else [])]
                await client.subscribe([(str(self._topic(channel)), qos) for channel, qos in heard])
                await self._say(client, self._node.online())
                if failed is not None:
                    refused = msgspec.json.encode(Result(failed, ok=False, error="refused"))
                    await client.publish(str(self._topic(Channel.RESULT)), refused, qos=1)
                self.ring.reconnect()
                self.connected = True
                self.sessions += 1
                await self._send(client, listener)
                if not self._renews():  # it is back before anybody is told
                    await self._say(client, OFFLINE)
            finally:
                self.connected = False
                self._client_now = None
                listener.cancel()
                with contextlib.suppress(asyncio.CancelledError, MqttError):
                    await listener

    def _client(self, tls: ssl.SSLContext | None) -> Client:
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
            tls_context=tls,
            properties=properties,
            will=Will(str(self._topic(Channel.STATUS)), msgspec.json.encode(OFFLINE), qos=1, retain=True),
        )

    async def _say(self, client: Client, status: dict[str, object]) -> None:
        await client.publish(str(self._topic(Channel.STATUS)), msgspec.json.encode(status), qos=1, retain=True)

    async def _send(self, client: Client, listener: "asyncio.Task[None]") -> None:
        telemetry = str(self._topic(Channel.TELEMETRY))
        while not listener.done():
            self._wake.clear()
            for message in () if self._lost else self._node.messages(self._now_s() * 1000):
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
            if self._renews():
                return
            await self._sleep_until_needed()
        await listener  # raises what ended it

    async def _sleep_until_needed(self) -> None:
        """Until a reading, an answer or ``stop`` comes, a resend is due, or the drain is over."""
        now_ms = self._now_s() * 1000
        due = None if self._lost else self.ring.due_ms(now_ms)
        if self._stopping.is_set():
            due = min(due or self._drain_until * 1000, self._drain_until * 1000)
        elif self._credential is not None and self._credential.trying > 0:
            due = min(due or self._credential.rest_until_s * 1000, self._credential.rest_until_s * 1000)
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
        self._node.take_ack(message.payload)
        self._wake.set()

    async def _take_desired(self, client: Client, message: Message) -> None:
        answer = self._node.take_desired(message.payload)
        if answer is not None:
            await client.publish(str(self._topic(Channel.REPORTED)), answer, qos=1, retain=True)

    async def _obey(self, client: Client, message: Message) -> None:
        expiry: int | None = getattr(message.properties, "MessageExpiryInterval", None)
        answer = self._node.obey(message.payload, expiry)
        self._wake.set()
        await client.publish(str(self._topic(Channel.RESULT)), answer, qos=1)
        if self._moving or self._renews():
            self._wake.set()

    def _renews(self) -> bool:
        """Whether to connect by what is on trial now."""
        return (
            self._credential is not None
            and self._credential.trying > 0
            and not self._stopping.is_set()
            and self._now_s() >= self._credential.rest_until_s
        )

    def _renew(self, command: Command) -> Result:
        """Show the certificate, or take the next one; the session ends once the answer is out."""
        assert self._credential is not None  # noqa: S101 - who has none is not asked
        if command.document is None:
            return Result(command.id, ok=True, certificate=base64.b64encode(self._credential.shown()).decode())
        why = self._credential.obey(msgspec.to_builtins(command), datetime.now(UTC))
        return Result(command.id, ok=why is None, error=why)

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
