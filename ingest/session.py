"""One MQTT 5 session at the broker: fixed client id, resumed, PUBACK left to whoever has committed.

``Link`` speaks the protocol on one connection, with TLS or without; ``keep_session`` holds a link, connects again with
jitter, and gives each connection a number so that nobody acknowledges on one what came in on another.
"""

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mqtt5
import numpy as np
import structlog
from numpy.typing import NDArray

from ingest import packets
from ingest.foreign.translating import PREFIX
from kraj.errors import ConfigurationError, UnavailableError
from kraj.topics import ROOT

KEEPALIVE_S = 20
"""Ping this often; a broker silent for one and a half of it is gone."""
CONNECT_TIMEOUT_S = 5.0
SESSION_EXPIRY_S = 7 * 86_400
"""How long the broker keeps our session while no ingest runs."""
BACKOFF_S = (0.1, 2.0)
"""First and longest pause before connecting again; each is drawn between half and all of it."""
BUFFER_BYTES_MAX = 1 << 20
"""A packet longer than this is no packet of ours: the broker's own limit is 256 KiB."""

SUBSCRIBE_ID, UNMARK_ID = 1, 2
PACKET_ID_MAX = 65_535
RETAINED_ONCE = mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS
RETAINED_NEVER = mqtt5.RetainHandling.SEND_NEVER
"""For foreign devices: some leave their last values with the broker for ever, without a time, as if they were new."""
PING = mqtt5.PingReqPacket().write()

log: Any = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the broker is and who we are there; a host that begins with ``/`` is the path of a Unix socket."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


Outgoing = tuple[str, bytes, int | None]
"""Topic, payload, and for how many seconds it counts; None is for ever."""
TAKEN = (mqtt5.PubAckReasonCode.SUCCESS, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)
"""The broker has the message; by the first, somebody is there to get it."""


@dataclass(slots=True)
class _Delivery:
    """Messages on their way to the broker."""

    done: asyncio.Future[None]
    left: int
    codes: list[mqtt5.PubAckReasonCode] = field(default_factory=list[mqtt5.PubAckReasonCode])


Inbox = Callable[["Link", list[tuple[str, bytes, int]]], None]
"""Takes the (topic, payload, packet id) of what one read brought; packet id 0 needs no PUBACK."""


class Link(asyncio.Protocol):
    """One connection to the broker."""

    def __init__(self, who: Credentials, window: int, topics: tuple[str, ...], inbox: Inbox) -> None:
        self._who = who
        self._window = window
        self._topics = topics
        self._inbox = inbox
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._heard_at = time.monotonic()
        self._reading = True
        self._writable = asyncio.Event()
        self._writable.set()
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[bool] = loop.create_future()
        """Resolves with ``session_present`` once subscribed; fails with an error of ours."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self._session_present = False
        self.marked = False
        """Whether the broker knows this session as one that was marked; what it keeps is what it was told."""
        self._digesting: deque[tuple[int, float]] = deque()
        self._delivering: dict[int, tuple[_Delivery, int]] = {}
        self._one_delivery = asyncio.Lock()
        self._receive_max = PACKET_ID_MAX
        self._packet_id = UNMARK_ID
        self._mark = f"{ROOT}/{who.client_id}/marked"
        self.digested = 0
        """Acknowledged messages whose PUBACK the broker has read."""
        self.digest_s = 0.0
        """How long it took the broker to read the last PUBACKs: mosquitto reads one a turn of its loop, while it
        takes one message from every device, so under overload this is what grows first."""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        transport.set_write_buffer_limits(high=8 << 20)
        self._send(
            mqtt5.ConnectPacket(
                self._who.client_id,
                username=self._who.username,
                password=self._who.password.encode() if self._who.password else None,
                clean_start=False,
                keep_alive=KEEPALIVE_S,
                session_expiry_interval=SESSION_EXPIRY_S,
                receive_max=self._window,
            ).write()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if not self.ready.done():
            self.ready.set_exception(UnavailableError(f"broker closed the connection: {exc or 'end of stream'}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def writable(self) -> None:
        """Returns when the broker keeps up with reading what we write (or the link is closed)."""
        await self._writable.wait()

    def pause_reading(self) -> None:
        if self.is_open and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_open and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        position, end = 0, len(data)
        messages: list[tuple[str, bytes, int]] = []
        read, publish = mqtt5.read, mqtt5.PublishPacket
        try:
            while position < end:
                packet, size = read(view[position:])
                position += size
                if type(packet) is publish:
                    messages.append((packet.topic, packet.payload, packet.packet_id or 0))
                else:
                    self._control(packet)
        except IndexError:  # the rest of the packet is still on its way
            pass
        except ValueError as error:
            log.error("broker sent a malformed packet", error=str(error))
            self.abort()
            return
        self._rest = data[position:]
        if len(self._rest) > BUFFER_BYTES_MAX:
            log.error("broker sent an endless packet", bytes=len(self._rest))
            self.abort()
            return
        if messages:
            self._inbox(self, messages)

    def _control(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.ConnAckPacket():
                if packet.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
                    self._refused(f"broker refused {self._who.client_id}: {packet.reason_code}")
                    return
                self._session_present = packet.session_present
                self._receive_max = packet.receive_max
                filters = [
                    mqtt5.TopicFilter(
                        topic,
                        max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                        retain_handling=RETAINED_NEVER if topic.startswith(PREFIX) else RETAINED_ONCE,
                    )
                    for topic in self._topics
                ]
                # Nothing tells what a session has subscribed to, but that there was something to take back.
                self._send(mqtt5.UnsubscribePacket(UNMARK_ID, [self._mark]).write())
                self._send(mqtt5.SubscribePacket(SUBSCRIBE_ID, filters).write())
            case mqtt5.UnsubAckPacket():
                if packet.reason_codes[0] == mqtt5.UnsubAckReasonCode.SUCCESS:
                    self.mark()
            case mqtt5.SubAckPacket() if not self.ready.done():
                self._subscribed(packet.reason_codes)
            case mqtt5.PubAckPacket() if packet.packet_id in self._delivering:
                delivery, place = self._delivering.pop(packet.packet_id)
                delivery.codes[place] = packet.reason_code
                delivery.left -= 1
                if not delivery.left and not delivery.done.done():
                    delivery.done.set_result(None)
            case mqtt5.PingRespPacket() if self._digesting:
                count, sent_at = self._digesting.popleft()
                self.digested += count
                self.digest_s = time.monotonic() - sent_at
            case mqtt5.DisconnectPacket():
                log.warning("broker disconnects us", reason=str(packet.reason_code))
                self.abort()
            case _:
                pass

    def _subscribed(self, codes: Sequence[mqtt5.SubAckReasonCode]) -> None:
        refused = [
            f"{topic} ({code})"
            for topic, code in zip(self._topics, codes, strict=True)
            if code != mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        ]
        if refused:
            self._refused(f"broker refused the subscriptions {', '.join(refused)}; check its ACL")
        else:
            self.ready.set_result(self._session_present)

    def _refused(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConfigurationError(why))
        self.abort()

    def _send(self, data: bytes) -> None:
        if self.is_open and self._transport is not None:
            self._transport.write(data)

    def acknowledge(self, packet_ids: NDArray[np.uint16]) -> None:
        """PUBACK the packets, in the order they came in; a ping behind them tells when the broker has read them."""
        self._digesting.append((len(packet_ids), time.monotonic()))
        self._send(packets.pubacks(packet_ids) + PING)

    def mark(self) -> None:
        """Have the broker remember with this session that it was told all that it is to keep: a subscription to which
        nobody publishes. A broker that loses what it keeps loses it, too."""
        self.marked = True
        self._send(mqtt5.SubscribePacket(self._next_id(), [mqtt5.TopicFilter(self._mark)]).write())

    def publish(self, data: bytes) -> None:
        """Write ready-made QoS 0 PUBLISH packets."""
        self._send(data)

    async def deliver(self, topics: list[str], payload: bytes, expiry_s: int) -> set[str]:
        """Publish to each topic with QoS 1; return the topics that the broker had somebody to give to.

        Raises ``UnavailableError`` when the connection is lost meanwhile.
        """
        reached = await self.deliver_each([(topic, payload, expiry_s) for topic in topics])
        return {topic for topic, there in zip(topics, reached, strict=True) if there}

    async def deliver_each(self, messages: Sequence[Outgoing], *, retain: bool = False) -> list[bool]:
        """Publish with QoS 1; return for each whether the broker had somebody to give it to (or keeps it: ``retain``).

        No more are on their way than the broker takes. Raises ``UnavailableError`` like ``deliver``.
        """
        reached = TAKEN if retain else TAKEN[:1]
        found: list[bool] = []
        async with self._one_delivery:
            for start in range(0, len(messages), self._receive_max):
                codes = await self._deliver(messages[start : start + self._receive_max], retain=retain)
                found += [code in reached for code in codes]
        return found

    async def _deliver(self, messages: Sequence[Outgoing], *, retain: bool) -> list[mqtt5.PubAckReasonCode]:
        delivery = _Delivery(asyncio.get_running_loop().create_future(), len(messages))
        delivery.codes = [mqtt5.PubAckReasonCode.UNSPECIFIED_ERROR] * len(messages)
        data = bytearray()
        for place, (topic, payload, expiry_s) in enumerate(messages):
            packet_id = self._next_id()
            self._delivering[packet_id] = delivery, place
            data += mqtt5.PublishPacket(
                topic,
                payload,
                qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain=retain,
                packet_id=packet_id,
                message_expiry_interval=expiry_s,
            ).write()
        self._send(bytes(data))
        await asyncio.wait([self.closed, delivery.done], return_when=asyncio.FIRST_COMPLETED)
        if not delivery.done.done():
            raise UnavailableError("the broker's connection was lost before it had taken all messages")
        return delivery.codes

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % PACKET_ID_MAX + 1
        return self._packet_id

    def ping(self) -> None:
        """Keep the connection alive; drop it when the broker has been silent too long while we listened."""
        if not self._reading:
            self._heard_at = time.monotonic()
        if time.monotonic() - self._heard_at > 1.5 * KEEPALIVE_S:
            log.warning("broker is silent", seconds=round(time.monotonic() - self._heard_at))
            self.abort()
        else:
            self._digesting.append((0, time.monotonic()))
            self._send(PING)

    def close(self) -> None:
        """Say good-bye; the broker keeps the session."""
        self._send(mqtt5.DisconnectPacket().write())
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()


async def connect(who: Credentials, window: int, topics: tuple[str, ...], inbox: Inbox) -> Link:
    """Connect and subscribe. Raises ``UnavailableError``, or ``ConfigurationError`` when the broker refuses us."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            make = partial(Link, who, window, topics, inbox)
            transport, link = (
                await loop.create_unix_connection(make, who.host)
                if who.host.startswith("/")
                else await loop.create_connection(make, who.host, who.port, ssl=who.tls)
            )
            try:
                await asyncio.shield(link.ready)
            except BaseException:
                link.ready.cancel()  # nobody waits for it any more
                transport.abort()
                raise
    except (OSError, TimeoutError) as error:
        raise UnavailableError(f"broker at {who.host}:{who.port}: {error or 'no answer'}") from error
    return link


async def keep_session(
    connect_once: Callable[[], Awaitable[Link]],
    connected: Callable[[Link | None], None],
    permitted: Callable[[], Awaitable[object]],
) -> None:
    """Hold a session until cancelled; ``connected(link)`` at each connection, ``connected(None)`` when it is lost.

    Connects only while ``permitted()`` returns (the slot's lock is ours): two workers with one client id would throw
    each other out for ever.
    """
    pause = BACKOFF_S[0]
    while True:
        await permitted()
        try:
            link = await connect_once()
        except (UnavailableError, ConfigurationError) as error:
            log.warning("broker away", error=str(error), retry_in_s=round(pause, 1))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
            pause = min(2 * pause, BACKOFF_S[1])
            continue
        pause = BACKOFF_S[0]
        connected(link)
        log.info("broker connected", session_present=link.ready.result())
        try:
            while not link.closed.done():
                await asyncio.wait([link.closed], timeout=KEEPALIVE_S)
                if not link.closed.done():
                    link.ping()
        finally:
            connected(None)
            link.close()
        log.warning("broker connection lost")
        await asyncio.sleep(random.uniform(0, BACKOFF_S[0]))  # noqa: S311  # jitter
