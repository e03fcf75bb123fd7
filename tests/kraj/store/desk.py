"""A slot at work in a test: its connection, its writer, a clock set by hand, and the owner who looks on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg

from kraj.readings import Readings
from kraj.store.batch import Batch, Outcome
from kraj.store.quarantine import Quarantined
from kraj.store.write import Writer
from tests.kraj.store.samples import AT
from tests.waiting import PATIENCE_S


def refusal(detail: str = "found null", *, source: str = "lamp-1", metric: str | None = None) -> Quarantined:
    reason = "value_type" if metric else "shape"
    return Quarantined(f"kraj/brno/{source}/telemetry", source, 1, 1, reason, detail, metric, b"null", 4)


def blame(message: int, detail: str) -> Quarantined:
    return Quarantined("kraj/brno/lamp-1/telemetry", "lamp-1", 1, 1, "database", detail, None, b"m%d" % message, 2)


@dataclass
class Desk:
    """Writes batches as ingest does."""

    url: str
    owner: psycopg.Connection[Any]
    slot_id: int
    connection: psycopg.AsyncConnection[Any]
    writer: Writer
    seconds: list[float] = field(default_factory=lambda: [0.0])

    @classmethod
    async def open(cls, url: str, owner: psycopg.Connection[Any], name: str = "slot_0") -> Self:
        owner.execute("INSERT INTO slot (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
        row = owner.execute("SELECT slot_id FROM slot WHERE name = %s", [name]).fetchone()
        assert row is not None
        connection = await psycopg.AsyncConnection[Any].connect(url, autocommit=True)
        seconds = [0.0]
        desk = cls(url, owner, row[0], connection, Writer(connection, row[0], lambda: seconds[0]), seconds)
        await desk.writer.start()
        return desk

    async def restart(self) -> None:
        """What a new process does: nothing of the old one is left."""
        await self.connection.close()
        self.connection = await psycopg.AsyncConnection[Any].connect(self.url, autocommit=True)
        self.writer = Writer(self.connection, self.slot_id, lambda: self.seconds[0])
        await self.writer.start()

    async def batch(self, *readings: Readings, **more: Any) -> Batch:
        version = self.one("SELECT version FROM registry_version")[0]
        batch_id = await self.writer.next_batch_id()
        more.setdefault("readings_quarantined", sum(q.metric is None for q in more.get("quarantined", ())))
        more.setdefault("received", sum(map(len, readings)) + more["readings_quarantined"])
        return Batch(batch_id, version, AT, list(readings), blame, **more)

    async def write(self, *readings: Readings, **more: Any) -> Outcome:
        return await self.writer.write(await self.batch(*readings, **more), 0)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.owner.execute(statement.encode(), parameters).fetchall()

    def one(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        (row,) = self.rows(statement, parameters)
        return row

    def keys(self, table: str = "reading_lamp") -> list[tuple[int, int, int]]:
        """What is stored: (asset, time in ms, seq)."""
        return self.rows(f"SELECT asset_id, (extract(epoch FROM ts) * 1000)::bigint, seq FROM {table} ORDER BY 1, 2, 3")

    def totals(self) -> tuple[int, int, int]:
        """Committed, duplicate, quarantined; the slot and its batches must agree."""
        slot = self.one("SELECT committed, duplicate, quarantined FROM slot WHERE slot_id = %s", [self.slot_id])
        assert self.one("SELECT received FROM slot WHERE slot_id = %s", [self.slot_id]) == (sum(slot),), "invariant 4"
        batches = self.one(
            "SELECT coalesce(sum(committed), 0), coalesce(sum(duplicate), 0), coalesce(sum(quarantined), 0)"
            " FROM batch WHERE slot_id = %s",
            [self.slot_id],
        )
        assert slot == tuple(map(int, batches))
        return slot[0], slot[1], slot[2]

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid

    def terminate(self) -> None:
        assert self.one("SELECT pg_terminate_backend(%s, 10000)", [self.pid]) == (True,)

    async def waits_for(self, event: str) -> None:
        """Return when the writer's backend waits for that (``Lock`` or an event's name)."""
        await until(lambda: self._is_waiting(self.pid, event))

    async def commits_wait_for_a_standby(self) -> None:
        """Return when they do: the checkpointer takes the setting some time after the reload, and tells nobody."""
        async with await psycopg.AsyncConnection[Any].connect(self.url, autocommit=True) as probe:
            pid = probe.info.backend_pid
            while True:
                commit = asyncio.create_task(probe.execute("SELECT pg_logical_emit_message(true, '', '')"))
                await until(lambda commit=commit: commit.done() or self._is_waiting(pid, "SyncRep"))
                if not commit.done():
                    break
            self.owner.execute("SELECT pg_cancel_backend(%s)", [pid])  # the wait, not the commit
            await commit

    def _is_waiting(self, pid: int, event: str) -> bool:
        return event in self.one("SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s", [pid])


async def until(holds: Callable[[], bool]) -> None:
    """Return when it holds; fail when it does not for a long time."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # the database tells nobody when a backend begins to wait
            await asyncio.sleep(0.01)
