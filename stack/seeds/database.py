"""The store's ports over the modelled tables: connection, writer, the rules' history and book, requests to resend."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from random import Random
from typing import Any, Protocol, cast

from ingest.counters import Counters
from ingest.database import Database
from ingest.routes import Routes
from kraj.alerts import AlertChange, Step
from kraj.assets import AssetRow, Judged
from kraj.errors import UnavailableError
from kraj.readings import Readings
from kraj.store.batch import Batch, Outcome, RegistryChangedError
from kraj.store.connection import translated
from kraj.store.dispatching import Said
from kraj.store.judged import Replayed
from kraj.store.registry import Installation
from kraj.store.resend import Request
from kraj.store.write import Judging, Writer
from kraj.topics import Channel
from stack.seeds.devices import TOWN
from stack.seeds.tables import SLOT_ID, Key, Tables
from stack.seeds.telling import take_said
from stack.seeds.virtual import Loop

COMMIT_S = (0.005, 0.2)
MUNICIPALITY_ID = 1


class Life(Protocol):
    """The process that asks: it may die at any point that it reaches, and then goes no further."""

    async def reach(self, point: str) -> None: ...


class Server:
    """The database server; ``fate`` is what becomes of the next COMMIT: ``lost`` or (its answer) ``unheard``."""

    def __init__(self, loop: Loop, random: Random, devices: Sequence[str]) -> None:
        self.loop, self.random = loop, random
        self.devices = tuple(devices)
        self.tables = Tables()
        self.up = True
        self.fate = ""
        self.connections: list[Connection] = []
        self.committed: Callable[[Batch, Outcome], None] = lambda batch, outcome: None

    def connect(self, life: Life) -> "Connection":
        if not self.up:
            raise UnavailableError("database: away")
        made = Connection(self, life)
        self.connections.append(made)
        return made

    def break_connections(self) -> None:
        for one in self.connections:
            one.closed = True
        self.connections.clear()

    def go_away(self) -> None:
        self.up = False
        self.break_connections()

    def installations(self) -> list[Installation]:
        return [
            Installation(TOWN, name, n + 1, MUNICIPALITY_ID, "active", 0, n + 1, "lamp", MUNICIPALITY_ID)
            for n, name in enumerate(self.devices)
        ]

    def judged(self) -> Judged:
        assets = tuple(
            AssetRow(
                asset_id=n + 1,
                municipality_id=MUNICIPALITY_ID,
                kind="lamp",
                label=name,
                latitude=49.5,
                longitude=15.5,
                metadata={"power_rated_w": 60.0, "feeder": f"F{n % 3}", "cabinet": "RVO1"},
                device_id=n + 1,
            )
            for n, name in enumerate(self.devices)
        )
        return Judged(version=self.tables.version, assets=assets, windows=(), overrides=(), custom_rules=())


class Connection:
    """One connection; what is not committed when it ends was never there."""

    def __init__(self, server: Server, life: Life) -> None:
        self.server, self.life = server, life
        self.closed = False

    async def statement(self, point: str = "") -> None:
        """What every statement comes to: it reaches the server, or the server is away."""
        await self.life.reach(point)
        if self.closed:
            raise UnavailableError("database: the connection is lost")

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """Of what is told of alerts at a restart: all of it, or nothing."""
        tables = self.server.tables
        before = tables.backup()
        try:
            yield
            await self.statement("at the end of a transaction")
        except BaseException:
            tables.alerts, tables.events = before.alerts, before.events
            raise

    async def close(self) -> None:
        self.closed = True


class ModelWriter:
    """What ``kraj.store.write.Writer`` promises."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.slot_id = SLOT_ID
        self._server = connection.server

    async def next_batch_id(self) -> int:
        await self.connection.statement("before a batch has its number")
        tables = self._server.tables
        tables.next_batch_id += 1
        return tables.next_batch_id - 1

    async def is_committed(self, batch_id: int) -> bool:
        await self.connection.statement()
        return batch_id in self._server.tables.batches

    async def epochs(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], int]:
        await self.connection.statement("between decoding and decoding again")
        known = self._server.tables.epochs
        return {key: known[key] for key in sorted(wanted) if key in known}

    async def write(self, batch: Batch, in_flight: int, judge: Judging | None = None) -> Outcome:
        del in_flight
        connection, tables = self.connection, self._server.tables
        await connection.statement("between decoding and writing")
        if tables.version != batch.registry_version:
            raise RegistryChangedError
        outcome, fresh, seen = Outcome([]), list[Readings](), set[Key]()
        for readings in batch.readings:
            duplicate, new = tables.find(readings, seen)
            outcome.duplicate.append(duplicate)
            fresh.append(new)
        outcome.committed = sum(map(len, fresh))
        outcome.not_stored = tables.quota(batch.quarantined)
        if judge is not None:
            outcome.alerts = judge(batch, [new for new in fresh if len(new)])
        batch.outcome = outcome
        await connection.statement("before COMMIT")
        await asyncio.sleep(self._server.random.uniform(*COMMIT_S))
        await connection.statement("in COMMIT")
        fate, self._server.fate = self._server.fate, ""
        if fate != "lost":
            self._commit(tables, batch, outcome, fresh)
        if fate:
            connection.closed = True
            raise UnavailableError(f"database: the connection was lost in COMMIT, {fate}")
        await connection.life.reach("between COMMIT and its answer")
        return outcome

    def _commit(self, tables: Tables, batch: Batch, outcome: Outcome, fresh: list[Readings]) -> None:
        tables.write(batch, fresh, outcome.committed, outcome.duplicates)
        tables.refuse(batch.quarantined, outcome.not_stored)
        said = [Said(e.device_id, e.channel, e.body) for e in batch.events if e.channel in ANSWERS]
        take_said(tables, said, sorted({s.device_id for s in batch.statuses if s.online}), batch.at)
        tables.take(outcome.alerts)
        self._server.committed(batch, outcome)

    async def idle(self, at: datetime, in_flight: int) -> None:
        del at, in_flight
        await self.connection.statement()

    async def make_partitions_ahead(self, at: datetime) -> None:
        del at
        await self.connection.statement()


ANSWERS = (Channel.RESULT, Channel.REPORTED)


class ModelDatabase(Database):
    """``ingest.database.Database`` with the modelled server behind it."""

    def __init__(
        self, server: Server, life: Life, counters: Counters, resume: Callable[[Any, int, datetime], Awaitable[None]]
    ) -> None:
        super().__init__("", "slot_0", server.loop.time, counters, now=server.loop.now, resume=resume)
        self._server, self._life, self._learn = server, life, resume

    async def _take(self) -> Writer:
        await self._life.reach("before the slot is taken")
        self._connection = self._server.connect(self._life)
        with translated(self._connection):
            await self._learn(self._connection, SLOT_ID, self.now())
        return cast("Writer", ModelWriter(self._connection))

    async def routes(self) -> Routes:
        await self._connection.statement()
        return Routes(self._server.tables.version, self._server.installations())


class History:
    """As ``kraj.store.judged``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def last_batch(self, connection: Connection, slot_id: int) -> int:
        del slot_id
        await connection.statement()
        return max(self._server.tables.batches, default=0)

    async def read(self, connection: Connection, since: datetime) -> Judged:
        del since
        await connection.statement()
        return self._server.judged()

    async def load_checkpoint(self, connection: Connection, slot_id: int) -> tuple[int, bytes] | None:
        del slot_id
        await connection.statement("before the state is loaded")
        return self._server.tables.checkpoint

    async def replay(self, connection: Connection, slot_id: int, after: int) -> AsyncIterator[Replayed]:
        del slot_id
        await connection.statement()
        for one in sorted(self._server.tables.batches.values(), key=lambda b: b.batch_id):
            if one.batch_id > after:
                yield Replayed(one.batch_id, one.at, one.readings, one.statuses, [])

    async def repairs(self, connection: Connection) -> list[Any]:
        await connection.statement()
        return []

    async def save_checkpoint(
        self, connection: Connection, slot_id: int, batch_id: int, at: datetime, state: bytes
    ) -> None:
        del slot_id, at
        await connection.statement("before the checkpoint")
        self._server.tables.checkpoint = (batch_id, state)

    async def save_curves(self, *given: object) -> None:
        del given


class Book:
    """As ``kraj.store.alerts``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def take(self, connection: Connection, changes: Sequence[AlertChange], batch_id: int) -> int:
        del batch_id
        await connection.statement()
        return self._server.tables.take(changes)

    async def active_keys(self, connection: Connection, slot_id: int = SLOT_ID) -> dict[str, object]:
        del slot_id
        await connection.statement()
        return {key: alert for key, alert in self._server.tables.alerts.items() if alert.active}

    async def end(self, connection: Connection, keys: Sequence[str], at: datetime, batch_id: int) -> None:
        del batch_id
        await connection.statement()
        tables = self._server.tables
        for key in keys:
            tables.alerts[key].active = False
            tables.events[key, str(Step.CLEARED), round(at.timestamp() * 1000)] = None


class Resends:
    """As ``kraj.store.resend``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def open_requests(self, connection: Connection) -> list[Request]:
        await connection.statement()
        return [request for request, done in self._server.tables.resends.values() if not done]

    async def answered(self, connection: Connection, name: str, after: int) -> tuple[int, set[int]]:
        await connection.statement()
        return after, {device_id for device_id, said in self._server.tables.results if said == name}

    async def lowest_missing(self, connection: Connection, devices: Sequence[int], since: datetime) -> dict[int, int]:
        del since
        await connection.statement()
        stored = self._server.tables.by_seq
        found: dict[int, int] = {}
        for device_id in devices:  # its asset has its number
            numbers = {seq for asset_id, seq in stored if asset_id == device_id}
            if 1 in numbers:
                found[device_id] = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
        return found

    async def close_request(self, connection: Connection, resend_id: int, at: datetime) -> None:
        del at
        await connection.statement()
        found = self._server.tables.resends
        found[resend_id] = (found[resend_id][0], True)
