"""The model of broker and network: MQTT's promises and no more, and whatever they leave open happens.

QoS 1 with a window in flight, sent again to who connects again; sessions that are kept or lost; retained messages;
messages that expire. A connection keeps the order of what it carries, as TCP does. Beyond that a message with which the
broker was entrusted may be lost, come twice, or come late: brokers that overflow or die do so.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from kraj.topics import Channel
from stack.seeds.virtual import Loop

LATENCY_S = (0.01, 0.4)
KEEPALIVE_GONE_S = 90.0
"""A broker finds a silent device dead after one and a half of its minutes."""
TOGETHER_S = 0.1
LATE_S_MAX = 90.0
ACK_LATE_S_MAX = 20.0
"""No acknowledgement outlives the stop of services that a restore needs."""
WINDOW = 48
"""Messages on their way to ingest; small, so that it matters."""
UP = frozenset({Channel.TELEMETRY, Channel.EVENT, Channel.STATUS, Channel.REPORTED, Channel.RESULT})
IN_ORDER = frozenset({Channel.COMMAND, Channel.STATUS, Channel.RESULT, Channel.REPORTED})
"""One device's of these come in order."""
LOSABLE = frozenset({Channel.TELEMETRY, Channel.ACK})
"""What a broker that overflows may lose; the others are a few, and are lost with all that it keeps."""
INGEST = "slot_0"


@dataclass(slots=True)
class Unruly:
    """How often, of messages that the broker has, one is lost, doubled or late."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0


@dataclass(slots=True)
class Packet:
    """A message as the broker keeps it; ``ends_s`` is when it counts no more."""

    topic: str
    channel: str
    payload: bytes
    qos: int
    ends_s: float | None = None


Receive = Callable[[list[tuple[Packet, int]]], None]
"""Takes messages that come together, each with its packet id (0: QoS 0)."""


class Wire:
    """One connection; ``alive`` until either end or the network is gone, which the other end need not know."""

    def __init__(self, loop: Loop, random: Random) -> None:
        self.alive = True
        self._loop = loop
        self._random = random
        self._at = {True: 0.0, False: 0.0}

    def carry(self, up: bool, what: Callable[..., object], *arguments: object, after_s: float = 0.0) -> None:
        """Have it happen at the other end, in order, if the connection lives until then."""
        at = max(self._at[up] + 1e-4, self._loop.time() + after_s + self._random.uniform(*LATENCY_S))
        self._at[up] = at
        self._loop.call_at(at, self._arrive, what, arguments)

    def _arrive(self, what: Callable[..., object], arguments: tuple[object, ...]) -> None:
        if self.alive:
            what(*arguments)


@dataclass(slots=True)
class Session:
    """What the broker keeps for a client; ``marked`` is the subscription by which ingest knows its session."""

    client: str
    wire: Wire | None = None
    receive: Receive | None = None
    lost: Callable[[], None] | None = None
    will: Packet | None = None
    window: int = WINDOW
    queue: deque[Packet] = field(default_factory=deque[Packet])
    in_flight: dict[int, Packet] = field(default_factory=dict[int, Packet])
    next_id: int = 0
    marked: bool = False
    expiry_s: float = 0.0
    fresh: bool = True
    together: list[tuple[Packet, int]] = field(default_factory=list[tuple[Packet, int]])
    together_wire: Wire | None = None
    together_until_s: float = 0.0


class Broker:
    """One broker; ``up`` is False between a crash and its restart."""

    def __init__(self, loop: Loop, random: Random, unruly: Unruly) -> None:
        self.up = True
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Packet] = {}
        self.unruly = unruly
        self.delivered = 0
        self.lost = 0
        """Acknowledged to who sent them, and then lost, doubled or late."""
        self._loop = loop
        self._random = random

    # Connections

    def connect(
        self,
        client: str,
        wire: Wire,
        receive: Receive,
        lost: Callable[[], None],
        *,
        will: Packet | None = None,
        expiry_s: float,
    ) -> Session | None:
        """A client is there (again): what was on its way to it is sent again. None where no broker is."""
        if not self.up or not wire.alive:
            return None
        session = self.sessions.get(client)
        if session is None:
            session = self.sessions[client] = Session(client)
        elif session.wire is not None:
            self._part(session, session.wire, told=True)  # another one takes its place
        session.wire, session.receive, session.lost, session.will = wire, receive, lost, will
        session.expiry_s = expiry_s
        unfinished = [*session.in_flight.values(), *session.queue]
        session.in_flight, session.queue = {}, deque(unfinished)
        self._pump(session)
        return session

    def subscribed(self, session: Session, topic: str) -> None:
        """What is retained there comes once more with each subscription."""
        kept = self.retained.get(topic)
        if kept is not None:
            self._give(session, kept)

    def gone(self, session: Session, wire: Wire) -> None:
        """The connection has ended without a goodbye: will, and the end of the session some time later."""
        if session.wire is wire:
            self._part(session, wire, told=False)

    def _part(self, session: Session, wire: Wire, *, told: bool) -> None:
        wire.alive = False
        session.wire = None
        if told and session.lost is not None:
            session.lost()
        if session.will is not None:
            self.publish(session.will, retain=True)
        self._loop.call_later(session.expiry_s, self._expire, session)

    def _expire(self, session: Session) -> None:
        if session.wire is None and self.sessions.get(session.client) is session:
            del self.sessions[session.client]

    def crash(self, *, forget: bool) -> None:
        """Every connection is reset; ``forget``: so is all that it kept."""
        self.up = False
        for session in list(self.sessions.values()):
            if session.wire is not None:
                session.wire.alive = False
                session.wire = None
                if session.lost is not None:
                    self._loop.call_later(self._random.uniform(0, 1), session.lost)
        if forget:
            self.sessions = {}
            self.retained = {}

    # Messages

    def publish(self, packet: Packet, *, retain: bool = False) -> bool:
        """Take a message; whether somebody is there to get it."""
        if retain and packet.payload:
            self.retained[packet.topic] = packet
        elif retain:
            self.retained.pop(packet.topic, None)
        session = self.sessions.get(INGEST if packet.channel in UP else packet.topic.split("/")[2])
        if session is None:
            return False
        fate = self._random.random()
        unruly = self.unruly
        if packet.channel in IN_ORDER:
            self._give(session, packet)
            if fate < unruly.doubled:
                self._give(session, packet)
        elif fate < unruly.lost and packet.channel in LOSABLE:
            self.lost += 1
        elif fate < unruly.lost + unruly.doubled:
            self.lost += 1
            self._give(session, packet)
            self._give_late(session, packet)
        elif fate < unruly.lost + unruly.doubled + unruly.late:
            self.lost += 1
            self._give_late(session, packet)
        else:
            self._give(session, packet)
        return True

    def _give_late(self, session: Session, packet: Packet) -> None:
        most = ACK_LATE_S_MAX if packet.channel == Channel.ACK else LATE_S_MAX
        self._loop.call_later(self._random.uniform(0, most), self._give_still, session, packet)

    def _give_still(self, session: Session, packet: Packet) -> None:
        if self.sessions.get(session.client) is session:
            self._give(session, packet)

    def _give(self, session: Session, packet: Packet) -> None:
        if packet.qos:
            session.queue.append(packet)
            self._pump(session)
        elif session.wire is not None and session.receive is not None:
            self._carry(session, packet, 0)

    def _pump(self, session: Session) -> None:
        while session.wire is not None and session.receive is not None and session.queue:
            if len(session.in_flight) >= session.window:
                return
            packet = session.queue.popleft()
            if packet.ends_s is not None and packet.ends_s <= self._loop.time():
                continue
            session.next_id = session.next_id % 65_535 + 1
            while session.next_id in session.in_flight:
                session.next_id = session.next_id % 65_535 + 1
            session.in_flight[session.next_id] = packet
            self._carry(session, packet, session.next_id)

    def _carry(self, session: Session, packet: Packet, packet_id: int) -> None:
        """What goes out within the same moment is read as one."""
        wire, now_s = session.wire, self._loop.time()
        if wire is None or session.receive is None:
            return
        self.delivered += 1
        if session.together and session.together_wire is wire and now_s < session.together_until_s:
            session.together.append((packet, packet_id))
            return
        session.together, session.together_wire = [(packet, packet_id)], wire
        session.together_until_s = now_s + TOGETHER_S
        wire.carry(False, self._arrive, session, session.together, after_s=TOGETHER_S)

    @staticmethod
    def _arrive(session: Session, packets: list[tuple[Packet, int]]) -> None:
        if session.receive is not None:
            session.receive(packets)

    def puback(self, session: Session, packet_ids: list[int]) -> None:
        """A client has these: the broker forgets them."""
        for packet_id in packet_ids:
            session.in_flight.pop(packet_id, None)
        self._pump(session)


async def never() -> None:
    """What is dead goes no further."""
    await asyncio.get_running_loop().create_future()
