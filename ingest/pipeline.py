"""Messages in, transactions out, acknowledgements back: batches by size and linger, committed in order."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from ingest import acks
from ingest.batches import batch_of
from ingest.counters import Counters
from ingest.database import BACKOFF_S, Database
from ingest.decode import Decoded, Message, decode, decoding
from ingest.flood import FloodGuards
from ingest.judge import Judge
from ingest.routes import Routes
from ingest.session import Link
from kraj.clock import Clock, real
from kraj.errors import KrajError, UnavailableError
from kraj.store import slot
from kraj.store.batch import Batch, Outcome, RegistryChangedError
from kraj.store.quarantine import Quarantined
from kraj.store.write import Writer

INBOX_BYTES_MAX = 16 << 20
"""Beyond this the socket is not read: the window counts messages, and 10,000 of them could be 640 MB."""
INBOX_MESSAGES_MAX = 100_000
"""Likewise: the window does not count messages that came with QoS 0. More than the largest window."""
BATCH_BYTES_MAX = 2 << 20
"""Payload bytes of a batch: about 3,500 lamp readings, which commit in some 25 ms."""
TURNS_PER_STEP = 2
"""Turns of the event loop between two steps of decoding: one tells that the socket is ready, one writes to it."""
EPOCHS_MAX = 200_000
"""Beginnings of boots kept in memory; beyond it they are read from the database again."""

log: Any = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Work:
    """One batch on its way: the messages as they came, and what they decode to under one registry version."""

    link: Link
    messages: list[Message]
    since: float
    now_ms: int
    routes: Routes
    decoded: Decoded = field(default_factory=Decoded)
    writer: Writer | None = None
    """Whose view of ``boot_epoch`` it was decoded with."""
    batch: Batch | None = None


class Pipeline:
    """Holds what has come in and is not yet committed; ``inbox`` is fed by the session, ``run`` does the rest."""

    def __init__(
        self,
        database: Database,
        counters: Counters,
        clock: Callable[[], float],
        *,
        batch_messages: int,
        linger_s: float,
        acknowledge_devices: bool = True,
        now: Clock = real,
        judge: Judge | None = None,
        heartbeat_s: float = slot.HEARTBEAT_S,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._now = now
        self._judge = judge
        self._database = database
        self._counters = counters
        self._clock = clock
        self._batch_messages = batch_messages
        self._linger_s = linger_s
        self._acknowledge_devices = acknowledge_devices
        self._inbox: deque[tuple[Link, list[Message], float]] = deque()
        self._waiting = 0
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._bytes = 0
        self._paused: set[Link] = set()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._decoded: asyncio.Queue[_Work] = asyncio.Queue(1)
        self._in_flight = 0
        self._routes: Routes | None = None
        self._writer: Writer | None = None
        self._epochs: dict[tuple[int, int], int] = {}
        """As ``_writer`` sees them; should the slot have been somebody else's, they are read again."""
        self._untold: dict[tuple[int, int], int] = {}
        """Those of them that no batch has committed yet: each batch tells all, whoever was the first to need one."""
        self._overcounted = 0
        self._draining = False
        self._flood = FloodGuards()
        self._last_write = clock()

    def inbox(self, link: Link, messages: list[Message]) -> None:
        """Take what one read of the socket brought."""
        self._inbox.append((link, messages, self._clock()))
        self._waiting += len(messages)
        self._unfinished += len(messages)
        self._idle.clear()
        self._bytes += sum(len(payload) for _, payload, _ in messages)
        self._arrived.set()
        if self._waiting >= self._batch_messages or self._bytes >= BATCH_BYTES_MAX:
            self._full.set()
        if (self._bytes > INBOX_BYTES_MAX or self._waiting > INBOX_MESSAGES_MAX) and link not in self._paused:
            self._paused.add(link)
            link.pause_reading()
            log.warning("inbox is full, reading no further", messages=self._waiting, bytes=self._bytes)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    async def run(self) -> None:
        """Decode and commit until cancelled. Raises ``ConfigurationError`` where that is what stands in the way."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._decode_batches())
                tasks.create_task(self._commit_batches())
                tasks.create_task(self._heartbeat())
        except BaseExceptionGroup as group:
            known = group.subgroup(KrajError)
            if known is None:
                raise
            raise known.exceptions[0] from group

    async def drain(self) -> None:
        """Return when everything taken in is committed and acknowledged; links that are paused stay so."""
        self._draining = True
        await self._idle.wait()

    async def _decode_batches(self) -> None:
        while True:
            await self._arrived.wait()
            wait = self._inbox[0][2] + self._linger_s - self._clock()
            if wait > 0 and not self._full.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._full.wait()
            link, messages, since = self._cut()
            if self._routes is None:
                await self._with_database(self._load_routes)
            now_ms = int(self._now().timestamp() * 1000)
            work = _Work(link, messages, since, now_ms, self._known_routes, writer=self._writer)
            await self._prepare(work)
            await self._decoded.put(work)

    def _cut(self) -> tuple[Link, list[Message], float]:
        """The oldest messages up to a batch, all from one connection."""
        link, _, since = self._inbox[0]
        messages: list[Message] = []
        size = 0
        while self._inbox and self._inbox[0][0] is link:
            if messages and (len(messages) >= self._batch_messages or size >= BATCH_BYTES_MAX):
                break
            chunk = self._inbox.popleft()[1]
            messages += chunk
            size += sum(len(payload) for _, payload, _ in chunk)
        self._waiting -= len(messages)
        self._bytes -= size
        self._counters.waiting.set(self._waiting)
        if not self._inbox:
            self._arrived.clear()
        if self._waiting < self._batch_messages and self._bytes < BATCH_BYTES_MAX:
            self._full.clear()
        if self._bytes <= INBOX_BYTES_MAX // 2 and self._waiting <= INBOX_MESSAGES_MAX // 2 and not self._draining:
            for paused in self._paused:
                paused.resume_reading()
            self._paused.clear()
        self._counters.messages.inc(len(messages))
        return link, messages, since

    async def _prepare(self, work: _Work) -> None:
        """Decode, with the registry as we know it and with the beginnings of boots that are asked for."""
        work.decoded = await self._decode(work)
        while work.decoded.epochs_missing:
            missing = work.decoded.epochs_missing
            await self._with_database(lambda writer, missing=missing: self._find_epochs(missing, writer))
            work.decoded = await self._decode(work)
        self._received(work.decoded.received)

    async def _decode(self, work: _Work) -> Decoded:
        """Decode while the batch before is on its way into the database: each round trip of its transaction would
        otherwise wait until the whole batch is decoded."""
        steps = decoding(work.messages, work.routes, self._epochs, work.now_ms, self._flood, before=work.decoded)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value
            for _ in range(TURNS_PER_STEP):
                await asyncio.sleep(0)

    async def _decode_again(self, work: _Work, writer: Writer) -> None:
        """The registry has changed, or the slot may have been somebody else's."""
        before = work.decoded.received
        work.routes, work.writer = self._known_routes, writer
        work.decoded = decode(work.messages, work.routes, self._epochs, work.now_ms, before=work.decoded)
        while work.decoded.epochs_missing:
            await self._find_epochs(work.decoded.epochs_missing, writer)
            work.decoded = decode(work.messages, work.routes, self._epochs, work.now_ms, before=work.decoded)
        self._received(work.decoded.received - before)
        work.batch = self._batch(work, work.batch.batch_id if work.batch else await writer.next_batch_id())

    def _received(self, readings: int) -> None:
        """Count what was decoded. Decoding again may give fewer readings, and a counter cannot fall: then those counted
        too many stay in flight until others take their place."""
        self._in_flight += readings
        self._overcounted -= readings
        if self._overcounted < 0:
            self._counters.received.inc(-self._overcounted)
            self._overcounted = 0
        self._counters.in_flight.set(self._in_flight + self._overcounted)

    @property
    def _known_routes(self) -> Routes:
        if self._routes is None:
            raise RuntimeError("routes are loaded before decoding")
        return self._routes

    async def _load_routes(self, writer: Writer) -> None:
        self._meet(writer)
        self._routes = await self._database.routes()
        if self._judge is not None:
            await self._judge.reload(writer.connection, self._now())
        log.info("registry read", version=self._routes.version, devices=len(self._routes.all))

    async def _find_epochs(self, missing: dict[tuple[int, int], int], writer: Writer) -> None:
        self._meet(writer)
        known = await writer.epochs(set(missing))
        if len(self._epochs) > EPOCHS_MAX:
            self._epochs = dict(self._untold)
        self._untold |= {key: epoch for key, epoch in missing.items() if key not in known and key not in self._untold}
        self._epochs |= known | self._untold

    def _meet(self, writer: Writer) -> None:
        if writer is not self._writer:
            self._writer, self._epochs, self._untold = writer, {}, {}

    async def _with_database(self, action: Callable[[Writer], Awaitable[None]]) -> None:
        """Run an action that reads the database, again and again until it succeeds."""
        pause = BACKOFF_S[0]
        while True:
            try:
                async with self._database.writer() as writer:
                    return await action(writer)
            except UnavailableError as error:
                log.warning("database away", error=str(error).strip(), retry_in_s=round(pause, 1))
                await asyncio.sleep(pause)
                pause = min(2 * pause, BACKOFF_S[1])

    async def _commit_batches(self) -> None:
        while True:
            work = await self._decoded.get()
            started = self._clock()
            outcome = await self._commit(work)
            self._last_write = self._clock()
            self._counters.commit_s.observe(self._last_write - started)
            self._count(work.decoded, outcome)
            self._untold = {k: v for k, v in self._untold.items() if work.batch is None or k not in work.batch.epochs}
            await self._acknowledge(work, outcome)
            if self._judge is not None and self._judge.checkpoint_due:
                await self._with_database(self._checkpoint)
            self._counters.ack_s.observe(self._clock() - work.since)
            self._unfinished -= len(work.messages)
            if not self._unfinished:
                self._idle.set()

    async def _commit(self, work: _Work) -> Outcome:
        """Try until it is committed. Our own trouble never becomes the device's loss."""
        pause = BACKOFF_S[0]
        while True:
            try:
                async with self._database.writer() as writer:
                    return await self._write(work, writer)
            except RegistryChangedError:
                await self._with_database(self._load_routes)
            except UnavailableError as error:
                self._counters.retries.labels("commit").inc()
                log.warning("commit failed, holding the batch", error=str(error).strip(), retry_in_s=round(pause, 1))
                await asyncio.sleep(pause)
                pause = min(2 * pause, BACKOFF_S[1])

    async def _write(self, work: _Work, writer: Writer) -> Outcome:
        self._meet(writer)
        batch = work.batch
        if batch is not None and batch.outcome is not None and await writer.is_committed(batch.batch_id):
            return batch.outcome  # the rules learnt it when the slot was taken again
        if work.writer is not writer or work.routes is not self._known_routes:
            await self._decode_again(work, writer)
        batch = work.batch
        if batch is None:
            batch = work.batch = self._batch(work, await writer.next_batch_id())
        return await self._write_judged(batch, writer, self._in_flight - work.decoded.received)

    async def _write_judged(self, batch: Batch, writer: Writer, in_flight: int) -> Outcome:
        """Write a batch with what the rules say of it; their state follows once it is committed."""
        judge = self._judge
        if judge is None:
            return await writer.write(batch, in_flight)
        await judge.listen(writer.connection)
        outcome = await writer.write(batch, in_flight, judge.judging)
        judge.settle(committed=True)
        if outcome.judging_failed:
            log.error("the database refuses what the rules say", error=outcome.judging_failed)
        judge.note_failures()
        return outcome

    def _batch(self, work: _Work, batch_id: int) -> Batch:
        return batch_of(
            batch_id=batch_id,
            messages=work.messages,
            decoded=work.decoded,
            routes=work.routes,
            epochs=dict(self._untold),
            now_ms=work.now_ms,
        )

    def _count(self, decoded: Decoded, outcome: Outcome) -> None:
        self._counters.count_batch(decoded, outcome)
        self._in_flight -= decoded.received
        self._counters.in_flight.set(self._in_flight + self._overcounted)

    async def _acknowledge(self, work: _Work, outcome: Outcome) -> None:
        """First the devices, then the broker: should we die in between, the broker sends again."""
        link = work.link
        if not link.is_open:
            return
        if self._acknowledge_devices:
            first = len(work.decoded.rejections)
            refused = {first + n: (readings, row) for n, (readings, row, _) in enumerate(outcome.refused)}
            lost = set(outcome.not_stored)
            rows = [refused[position] for position in lost & refused.keys()]
            if work.decoded.foreign:
                acks.leave_out(work.decoded, set(work.decoded.foreign), lost, rows)
            data, count = acks.ack_packets(work.messages, work.decoded, work.routes, lost, rows)
            if count:
                link.publish(data)
                self._counters.acks.inc(count)
        ids = np.array([packet_id for _, _, packet_id in work.messages if packet_id], np.uint16)
        link.acknowledge(ids)
        await link.writable()

    async def _heartbeat(self) -> None:
        """Take the slot at the start, keep it alive between batches."""
        while True:
            if self._writer is None or self._clock() - self._last_write >= self._heartbeat_s / 2:
                await self._with_database(self._beat)
            await asyncio.sleep(self._heartbeat_s / 2)

    async def _beat(self, writer: Writer) -> None:
        self._meet(writer)
        now = self._now()
        if self._routes is None:
            await self._load_routes(writer)
        await self._tick(writer, now)
        await writer.idle(now, self._in_flight)
        await writer.make_partitions_ahead(now)
        self._last_write = self._clock()

    async def _checkpoint(self, writer: Writer) -> None:
        if self._judge is not None:
            await self._judge.checkpoint(writer.connection)

    async def _tick(self, writer: Writer, now: datetime) -> None:
        """Silence: what nobody sends is judged by time, and committed as a batch without readings."""
        judge = self._judge
        if judge is None or not judge.tick_due:
            return
        await judge.listen(writer.connection)
        batch_id = await writer.next_batch_id()
        changes = judge.step(batch_id, [], [], now)
        if changes:
            batch = Batch(batch_id, self._known_routes.version, now, [], _nobody)
            try:
                outcome = await writer.write(batch, self._in_flight, lambda _batch, _fresh: changes)
                self._counters.count_batch(Decoded(), outcome)
            except RegistryChangedError:
                judge.settle(committed=False)
                await self._load_routes(writer)
                return
        judge.settle(committed=True)
        judge.note_failures()


def _nobody(message: int, detail: str) -> Quarantined:
    raise RuntimeError(f"a tick has no message {message} to blame: {detail}")
