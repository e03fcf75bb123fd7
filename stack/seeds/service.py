"""The ingest process of the simulation: the real pipeline, judge, dispatcher and resends over modelled ports."""

import asyncio
import math
from collections.abc import Sequence
from random import Random
from typing import Any

import mqtt5
import numpy as np
from numpy.typing import NDArray

from ingest.counters import Counters
from ingest.dispatch import Dispatcher
from ingest.judge import Judge
from ingest.pipeline import Pipeline
from ingest.resend import grant_resends
from ingest.session import Outgoing
from kraj.errors import UnavailableError
from kraj.topics import Channel
from rules.rule import Rule
from stack.seeds.database import Book, Connection, History, ModelDatabase, Resends, Server
from stack.seeds.devices import Listener
from stack.seeds.network import INGEST, UP, Broker, Packet, Session, Wire, never
from stack.seeds.telling import Telling
from stack.seeds.virtual import Loop

BATCH_MESSAGES = 40
LINGER_S = 9.0
HEARTBEAT_S = 60.0
CHECKPOINT_S = 200.0
DISPATCH_S = 15.0
SESSION_EXPIRY_S = 7 * 86_400.0
POINTS = (
    *("before a batch has its number", "between decoding and decoding again", "between decoding and writing"),
    *("before COMMIT", "in COMMIT", "between COMMIT and its answer", "before devices are told"),
    *("before the broker is told", "before the checkpoint", "before the slot is taken", "before the state is loaded"),
)
"""Where the process may be killed."""


class ModelLink:
    """What ``ingest.session.Link`` is to pipeline, dispatcher and resends."""

    def __init__(self, service: "Service", wire: Wire) -> None:
        self.wire = wire
        self.session: Session | None = None
        self.closed = asyncio.Event()
        self.marked = False
        self._service = service
        self._delivering: dict[asyncio.Future[list[bool]], None] = {}

    @property
    def is_open(self) -> bool:
        return self.wire.alive and self._service.alive and not self.closed.is_set()

    def receive(self, packets: list[tuple[Packet, int]]) -> None:
        if self._service.alive:
            found = [(packet.topic, packet.payload, packet_id) for packet, packet_id in packets]
            self._service.pipeline.inbox(self, found)  # pyright: ignore

    def lost(self) -> None:
        self.closed.set()
        for one in self._delivering:
            if not one.done():
                one.set_exception(UnavailableError("the broker's connection was lost"))

    def publish(self, data: bytes) -> None:
        """Ready-made packets, read again as a broker would."""
        self._service.pass_by("before devices are told")
        if not self.is_open:
            return
        view, at = memoryview(data), 0
        found: list[Packet] = []
        while at < len(view):
            packet, size = mqtt5.read(view[at:])
            at += size
            if isinstance(packet, mqtt5.PublishPacket):
                found.append(Packet(packet.topic, Channel.ACK, bytes(packet.payload or b""), 0))
        self.wire.carry(True, self._hand_over, found)

    def _hand_over(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._service.broker.publish(packet)

    def acknowledge(self, packet_ids: NDArray[np.uint16]) -> None:
        self._service.pass_by("before the broker is told")
        if self.is_open and self.session is not None:
            self.wire.carry(True, self._service.broker.puback, self.session, packet_ids.tolist())

    async def writable(self) -> None:
        await self._service.reach("")

    def pause_reading(self) -> None:
        """The inbox of a simulation is never full."""

    def resume_reading(self) -> None:
        """Likewise."""

    def mark(self) -> None:
        self.marked = True
        if self.is_open:
            self.wire.carry(True, self._mark)

    def _mark(self) -> None:
        if self.session is not None:
            self.session.marked = True

    async def deliver(self, topics: list[str], payload: bytes, expiry_s: int) -> set[str]:
        reached = await self.deliver_each([(topic, payload, expiry_s) for topic in topics])
        return {topic for topic, there in zip(topics, reached, strict=True) if there}

    async def deliver_each(self, messages: Sequence[Outgoing], *, retain: bool = False) -> list[bool]:
        await self._service.reach("")
        if not self.is_open:
            raise UnavailableError("the broker's connection was lost before it had taken all messages")
        if not messages:
            return []
        answer: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._delivering[answer] = None
        self.wire.carry(True, self._take, list(messages), retain, answer)
        try:
            return await answer
        finally:
            self._delivering.pop(answer, None)

    def _take(self, messages: list[Outgoing], retain: bool, answer: "asyncio.Future[list[bool]]") -> None:
        service, codes = self._service, list[bool]()
        for topic, payload, expiry_s in messages:
            ends_s = None if expiry_s is None else service.loop.time() + expiry_s
            packet = Packet(topic, topic.rsplit("/", 1)[1], payload, 1, ends_s)
            codes.append(service.broker.publish(packet, retain=retain) or retain)
        self.wire.carry(False, self._answered, codes, answer)

    @staticmethod
    def _answered(codes: list[bool], answer: "asyncio.Future[list[bool]]") -> None:
        if not answer.done():
            answer.set_result(codes)


class _NoCampaigns:
    async def tell(self, *given: object) -> None:
        """There are no releases here."""


class ModelDispatcher(Dispatcher):
    """The dispatcher's rounds on the modelled store; trains, rollouts and firmware are left out."""

    def __init__(self, service: "Service") -> None:
        super().__init__("", lambda: service.link, service.loop.now, store=Telling(service.server))  # pyright: ignore
        self._campaigns = _NoCampaigns()  # pyright: ignore

    async def _follow(self, connection: Any) -> None:
        del connection

    async def _tend(self, connection: Any) -> None:
        now = self._now()
        await self._store.expire(connection, now, 1000)
        await self._store.outgrow(connection, now)

    async def go_on(self, service: "Service") -> None:
        """Until cancelled."""
        connection: Connection | None = None
        while True:
            await asyncio.sleep(DISPATCH_S)
            link = service.link
            try:
                if connection is None or connection.closed:
                    connection = service.server.connect(service)
                if link is not None and link.is_open:
                    self._tended_at = -math.inf  # its own clock is the machine's
                    await self._round(connection, link)  # pyright: ignore
            except UnavailableError:
                connection = None


class Service:
    """One process after the other; ``kill`` is SIGKILL, ``armed`` the point at which it comes."""

    def __init__(
        self, loop: Loop, broker: Broker, server: Server, rules: Sequence[Rule], listener: Listener, *, random: Random
    ) -> None:
        self.loop, self.broker, self.server = loop, broker, server
        self.alive = False
        self.armed = ""
        self.lives = 0
        self.link: ModelLink | None = None
        self._rules, self._listener, self._random = rules, listener, random
        self._tasks: list[asyncio.Task[Any]] = []
        self._ended: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        if self.alive:
            return
        self.alive = True
        self.lives += 1
        self._listener.say("ingest starts, life", self.lives)
        self.counters = Counters()
        time = self.loop.time
        self.judge = Judge(
            self.counters,
            time,
            rules=self._rules,
            checkpoint_s=CHECKPOINT_S,
            history=History(self.server),
            book=Book(self.server),
        )
        self.database = ModelDatabase(self.server, self, self.counters, self.judge.resume)
        self.pipeline = Pipeline(
            self.database,
            self.counters,
            time,
            batch_messages=BATCH_MESSAGES,
            linger_s=LINGER_S,
            now=self.loop.now,
            judge=self.judge,
            heartbeat_s=HEARTBEAT_S,
        )
        link: Any = lambda: self.link  # noqa: E731 - a link as far as anybody asks
        self._tasks = [
            self.loop.create_task(self.pipeline.run()),
            self.loop.create_task(self._hold_session()),
            self.loop.create_task(grant_resends(self.database, link, Resends(self.server))),
            self.loop.create_task(ModelDispatcher(self).go_on(self)),
        ]
        for task in self._tasks:
            task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.loop.trouble.append(error)

    def kill(self) -> None:
        """Nothing of it goes on, and nobody is told."""
        if not self.alive:
            return
        self.alive, self.armed = False, ""
        link, self.link = self.link, None
        if link is not None:
            link.wire.alive = False
            if link.session is not None:
                self.loop.call_soon(self.broker.gone, link.session, link.wire)
        for one in self.server.connections:
            one.closed = True
        self.loop.call_soon(self._bury)

    def _bury(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._ended += self._tasks
        self._tasks = []

    async def end(self) -> None:
        """Leave nothing behind in the loop."""
        self.kill()
        await asyncio.sleep(0.1)
        await asyncio.gather(*self._ended, return_exceptions=True)

    async def reach(self, point: str) -> None:
        self.pass_by(point)
        if not self.alive or asyncio.current_task() in self._ended:
            await never()

    def pass_by(self, point: str) -> None:
        if self.armed and self.armed == point and self.alive:
            self._listener.say("ingest is killed", point)
            self.kill()

    async def _hold_session(self) -> None:
        while True:
            await self.database.held.wait()
            await asyncio.sleep(self._random.uniform(0.05, 1.5))
            wire = Wire(self.loop, self._random)
            link = ModelLink(self, wire)
            session = self.broker.connect(INGEST, wire, link.receive, link.lost, expiry_s=SESSION_EXPIRY_S)
            if session is None:
                continue
            link.session, link.marked = session, session.marked
            if session.fresh:
                session.fresh = False
                for packet in list(self.broker.retained.values()):
                    if packet.channel in UP:
                        self.broker.subscribed(session, packet.topic)
            self.link = link
            self.judge.listening(True)
            self._listener.say("ingest is connected", "session kept" if link.marked else "session new")
            await link.closed.wait()
            self.judge.listening(False)
            self.link = None

    def cut(self) -> None:
        """The connection to the broker breaks; both find out at once."""
        link = self.link
        if link is not None and link.session is not None:
            self.broker.gone(link.session, link.wire)
            link.lost()

    def imbalance(self) -> float:
        """What is received and neither committed, duplicate, quarantined nor in flight."""
        c = self.counters
        return _sum(c.received) - _sum(c.committed) - _sum(c.duplicate) - _sum(c.quarantined) - _sum(c.in_flight)


def _sum(metric: Any) -> float:
    return sum(s.value for found in metric.collect() for s in found.samples if not s.name.endswith("_created"))
