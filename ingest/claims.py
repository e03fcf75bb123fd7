"""What devices sent before anybody had registered them: taken in from the quarantine as soon as somebody has.

Their messages are decoded once more, as if they had just come, and become a batch of their own. Its transaction also
marks the rows of the quarantine as taken, so that nothing is lost and nothing is taken twice, whenever we die.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from ingest.batches import batch_of
from ingest.counters import Counters
from ingest.database import Database
from ingest.decode import Decoded, decode
from ingest.judge import Judge
from ingest.routes import Routes
from kraj.errors import UnavailableError
from kraj.store import claims
from kraj.store.batch import RegistryChangedError
from kraj.store.claims import Waiting
from kraj.store.write import Writer

PAUSE_S = 1.0
LOOK_S = 60.0
"""Without a change of the registry nothing new can be taken in; this is in case a change was missed."""
MESSAGES_MAX = 500
"""In one transaction, which holds up what is coming in now."""
ACTIVATE_FIRST_S = 10.0

log: Any = structlog.get_logger(__name__)


class Claims:
    """Looks whenever the registry has changed. ``in_flight`` gives the pipeline's figure for the slot's row."""

    def __init__(
        self, database: Database, counters: Counters, judge: Judge | None, *, in_flight: Callable[[], int]
    ) -> None:
        self._database = database
        self._counters = counters
        self._judge = judge
        self._in_flight = in_flight
        self._seen = -1
        self._looked_at = 0.0
        self._activate_at = asyncio.get_running_loop().time() + ACTIVATE_FIRST_S

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            more = False
            try:
                more = await self._round()
            except UnavailableError as error:
                log.warning("cannot take in from the quarantine yet", error=str(error).strip())
            await asyncio.sleep(0 if more else PAUSE_S)

    async def _round(self) -> bool:
        """Take a batch in; whether there may be more."""
        time = asyncio.get_running_loop().time()
        async with self._database.writer() as writer:
            if time >= self._activate_at:
                self._activate_at = time + LOOK_S
                active = await claims.activate_heard(writer.connection, self._database.now())
                if active:
                    log.info("heard for the first time", devices=active)
            version = await claims.version(writer.connection)
            if version == self._seen and time - self._looked_at < LOOK_S:
                return False
            found = await claims.waiting(writer.connection, writer.slot_id, MESSAGES_MAX)
            if found:
                return await self._take(writer, found)
            self._seen, self._looked_at = version, time
            return False

    async def _take(self, writer: Writer, found: list[Waiting]) -> bool:
        now = self._database.now()
        routes = await self._database.routes()
        if self._judge is not None:
            await self._judge.reload(writer.connection, now)
        epochs, new = await self._epochs(writer, found, routes)
        decoded = decode(_messages(found), routes, epochs, _ms(now))
        with_status = {row.device_id for row in found if row.has_status}
        batch = batch_of(
            batch_id=await writer.next_batch_id(),
            messages=_messages(found),
            decoded=decoded,
            routes=routes,
            epochs=new,
            now_ms=_ms(now),
        )
        batch.taken, batch.taken_times = [row.quarantine_id for row in found], sum(row.times for row in found)
        batch.statuses = [status for status in batch.statuses if status.device_id not in with_status]  # those are newer
        judging = self._judge.judging if self._judge is not None else None
        try:
            outcome = await writer.write(batch, self._in_flight(), judging)
        except RegistryChangedError:
            if self._judge is not None:
                self._judge.settle(committed=False)
            return True
        if self._judge is not None:
            self._judge.settle(committed=True)
            self._judge.note_failures()
        # Prometheus' counters never fall: here they are received once more.
        self._counters.received.inc(decoded.received)
        self._counters.count_batch(decoded, outcome)
        log.info("taken in from the quarantine", messages=len(found), readings=outcome.committed)
        return True

    async def _epochs(
        self, writer: Writer, found: list[Waiting], routes: Routes
    ) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
        """Beginnings of boots of devices without a clock: a message was in time when it came, not now."""
        epochs: dict[tuple[int, int], int] = {}
        new: dict[tuple[int, int], int] = {}
        first = decode(_messages(found), routes, epochs, _ms(self._database.now()))
        if not first.epochs_missing:
            return epochs, new
        epochs |= await writer.epochs(set(first.epochs_missing))
        for row in found:
            alone: Decoded = decode(_messages([row]), routes, epochs, _ms(row.first_at))
            fresh = {key: epoch for key, epoch in alone.epochs_missing.items() if key not in epochs}
            epochs |= fresh
            new |= fresh
        return epochs, new


def _messages(found: list[Waiting]) -> list[tuple[str, bytes, int]]:
    return [(row.topic, bytes(row.payload), 0) for row in found]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
