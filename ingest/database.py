"""The slot's connection to the database: taken, kept, taken again; what is the world's fault comes out as such."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from ingest.counters import Counters
from ingest.foreign.snapshots import Snapshots
from ingest.foreign.translating import Translator
from ingest.routes import Routes
from kraj.clock import Clock, real
from kraj.errors import UnavailableError
from kraj.store import foreign, registry, slot
from kraj.store.connection import translated
from kraj.store.write import Writer

BACKOFF_S = (0.1, 1.0)
"""First and longest pause before trying again."""

log: Any = structlog.get_logger(__name__)


class Database:
    """One connection, one user of it at a time; ``patient`` waits for ever for a database that is away."""

    def __init__(
        self,
        url: str,
        slot_name: str,
        clock: Callable[[], float],
        counters: Counters,
        *,
        now: Clock = real,
        resume: Callable[[Any, int, datetime], Awaitable[None]] | None = None,
        patient: bool = True,
    ) -> None:
        self.now = now
        self._patient = patient
        self._resume = resume
        self._url = url
        self._slot_name = slot_name
        self._clock = clock
        self._counters = counters
        self._connection: Any = None
        self._writer: Writer | None = None
        self._using = asyncio.Lock()
        self._snapshots = Snapshots()
        self.held = asyncio.Event()
        """Set while the slot's lock is ours, as far as we know."""

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncGenerator[Writer]:
        """The writer of the live connection, for this user alone; takes the slot first where it is not held.

        What the database's trouble raises inside comes out as ``UnavailableError``.
        """
        async with self._using:
            writer = await self._open()
            with translated(self._connection):
                yield writer

    async def _open(self) -> Writer:
        """Retry for ever, politely; who is not patient gets the ``UnavailableError``."""
        pause = BACKOFF_S[0]
        while self._writer is None or self._connection.closed:
            await self._drop()
            try:
                self._writer = await self._take()
            except UnavailableError as error:
                if not self._patient:
                    raise
                self._counters.retries.labels("database away").inc()
                log.warning("database away", error=str(error).strip(), retry_in_s=round(pause, 1))
                await asyncio.sleep(pause)
                pause = min(2 * pause, BACKOFF_S[1])
                continue
            self.held.set()
            self._counters.database_up.set(1)
            log.info("slot taken", slot=self._slot_name)
        return self._writer

    async def _take(self) -> Writer:
        self._connection, slot_id = await slot.take(self._url, self._slot_name)
        writer = Writer(self._connection, slot_id, self._clock)
        await writer.start()
        await writer.make_partitions_ahead(self.now())
        if self._resume is not None:
            with translated(self._connection):
                await self._resume(self._connection, slot_id, self.now())
        return writer

    async def routes(self) -> Routes:
        """The registry as it is now; inside ``writer`` only."""
        version, installations = await registry.read(self._connection)
        routes = Routes(version, installations)
        routes.translate = Translator(await foreign.read(self._connection), self._snapshots)
        return routes

    async def _drop(self) -> None:
        self._writer = None
        self.held.clear()
        self._counters.database_up.set(0)
        if self._connection is not None:
            await self._connection.close()

    async def close(self) -> None:
        """Give the slot back."""
        await self._drop()
