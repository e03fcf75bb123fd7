"""One batch, one transaction: readings, quarantine, events, ``latest`` and totals are committed together.

The ordinary way in is a plain COPY of rows newer than anything the asset has. Rows that may be there already, and
any batch that the database refuses, go the careful way: through a staging table with ON CONFLICT DO NOTHING, halved
by savepoints until the row at fault stands alone and goes to quarantine.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg

from kraj.alerts import AlertChange
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.readings import Ints, Mask, Readings
from kraj.store import alerts, copy
from kraj.store.batch import Batch, EventRow, Outcome, RegistryChangedError, StatusRow
from kraj.store.beside import write_beside
from kraj.store.connection import REFUSALS, Connection, translated
from kraj.store.latest import SHARDS, LatestRows, Rows
from kraj.store.partitions import Partitions
from kraj.store.schema import columns

__all__ = ["Batch", "EventRow", "Outcome", "RegistryChangedError", "StatusRow", "Writer"]

LATEST_EVERY_S = 1.0
"""``latest`` follows the readings by at most this: one upsert a second and asset instead of one a reading."""
NEVER_MS = -(2**62)

Judging = Callable[[Batch, list[Readings]], Sequence[AlertChange]]
"""What the rules say of the readings that turned out to be new; asked inside the transaction, committed with them."""


class _RefusedError(Exception):
    """The database refused the batch as such; take the careful way."""


class Writer:
    """Writes batches of one slot on one connection, in order."""

    def __init__(self, connection: Connection, slot_id: int, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._slot_id = slot_id
        self._clock = clock
        self._newest_ms: Ints = np.full(1024, NEVER_MS, np.int64)
        self._latest = LatestRows()
        self._latest_at = clock()
        self._latest_batch_id = 0
        self._latest_shards = [0] * SHARDS
        """Up to which batch each shard of ``latest`` is written."""
        self._shard = 0
        self._partitions = Partitions(connection)
        self._staged: set[str] = set()
        self._suspect: tuple[int, int] | None = None
        """Which row of which kind's readings the database named when it refused a batch; it is tried alone."""

    @property
    def slot_id(self) -> int:
        return self._slot_id

    @property
    def connection(self) -> Connection:
        """For what else the slot's holder reads and writes between batches."""
        return self._connection

    async def start(self) -> None:
        """Bring ``latest`` up to the last batch of the slot and learn each asset's newest time."""
        connection = self._connection
        with translated(connection):
            await self._start(connection)

    async def _start(self, connection: Connection) -> None:
        async with connection.transaction():
            row = await _one(connection, "SELECT latest_batch_id FROM slot WHERE slot_id = %s", [self._slot_id])
            done = row[0]
            last = (
                await _one(
                    connection, "SELECT coalesce(max(batch_id), 0) FROM batch WHERE slot_id = %s", [self._slot_id]
                )
            )[0]
            for kind in KINDS.values():
                if last > done:
                    await self._latest.catch_up(connection, kind, self._slot_id, done)
                cursor = await connection.execute(
                    f"SELECT asset_id, (extract(epoch FROM ts) * 1000)::bigint FROM {kind.latest_table}".encode()  # noqa: S608
                )
                rows = np.array(await cursor.fetchall(), np.int64).reshape(-1, 2)
                self._grow(rows[:, 0])
                self._newest_ms[rows[:, 0]] = np.maximum(self._newest_ms[rows[:, 0]], rows[:, 1])
            await connection.execute("UPDATE slot SET latest_batch_id = %s WHERE slot_id = %s", [last, self._slot_id])
        self._latest_batch_id, self._latest_shards = last, [last] * SHARDS

    async def next_batch_id(self) -> int:
        """A number drawn before the transaction, so that afterwards the batch row tells whether it took place."""
        with translated(self._connection):
            return (await _one(self._connection, "SELECT nextval('batch_id_seq')"))[0]

    async def is_committed(self, batch_id: int) -> bool:
        """Whether the batch took place; the truth once the slot is taken again after a lost connection."""
        with translated(self._connection):
            cursor = await self._connection.execute("SELECT 1 FROM batch WHERE batch_id = %s", [batch_id])
            return await cursor.fetchone() is not None

    async def epochs(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """Known beginnings of boots, by (device_id, boot)."""
        pairs = list(wanted)
        with translated(self._connection):
            cursor = await self._connection.execute(
                "SELECT device_id, boot, epoch_ms FROM boot_epoch"
                " JOIN unnest(%s::int[], %s::int[]) AS w(device_id, boot) USING (device_id, boot)",
                [[d for d, _ in pairs], [b for _, b in pairs]],
            )
            return {(device_id, boot): epoch async for device_id, boot, epoch in cursor}

    async def write(self, batch: Batch, in_flight: int, judge: Judging | None = None) -> Outcome:
        """Commit the batch with what ``judge`` says of its new readings. Raises ``RegistryChangedError``, or
        ``UnavailableError`` (then nothing is known to be committed: ask ``is_committed`` on a new connection before
        writing again)."""
        with translated(self._connection):
            await self._partitions.make(batch.readings)
            await self._make_stages(batch.readings)
            self._suspect = None
            try:
                return await self._transaction(batch, in_flight, judge, careful=False)
            except _RefusedError:
                self._partitions.forget()
                await self._partitions.make(batch.readings)
                return await self._transaction(batch, in_flight, judge, careful=True)

    async def _transaction(self, batch: Batch, in_flight: int, judge: Judging | None, *, careful: bool) -> Outcome:
        connection = self._connection
        try:
            cursor = await connection.execute("BEGIN; SELECT version FROM registry_version", prepare=False)
            cursor.nextset()
            version = await cursor.fetchone()
            if version is None or version[0] != batch.registry_version:
                raise RegistryChangedError
            outcome = Outcome([])
            fresh: list[Readings] = []
            for position, readings in enumerate(batch.readings):
                duplicate, new = await self._readings(readings, batch.batch_id, position, outcome, careful=careful)
                outcome.duplicate.append(duplicate)
                fresh.append(new)
            await write_beside(connection, batch, outcome, careful=careful)
            outcome.committed = sum(len(new) for new in fresh)
            if judge is not None:
                await self._tell(batch, judge(batch, [new for new in fresh if len(new)]), outcome)
            rest: Rows | None = None
            if self._clock() - self._latest_at >= LATEST_EVERY_S / SHARDS:
                rest = await self._latest.write(connection, fresh, batch.batch_id, self._shard)
            batch.outcome = outcome
            closing = self._closing(batch, outcome, in_flight, flushed=rest is not None)
            await connection.execute(closing, prepare=False)
        except BaseException as error:
            if not connection.closed:
                await connection.rollback()
            if not careful and isinstance(error, REFUSALS) and not connection.closed:
                raise _RefusedError from error
            raise
        self._committed(fresh, batch.batch_id, rest)
        return outcome

    async def _tell(self, batch: Batch, changes: Sequence[AlertChange], outcome: Outcome) -> None:
        """Write what the rules say. Should the database refuse it, telemetry goes on."""
        if not changes:
            return
        try:
            async with self._connection.transaction():
                await alerts.take(self._connection, changes, batch.batch_id)
        except REFUSALS as error:
            if self._connection.closed:
                raise
            outcome.judging_failed = error.diag.message_primary or str(error)
        else:
            outcome.alerts = changes

    def _closing(self, batch: Batch, outcome: Outcome, in_flight: int, *, flushed: bool) -> bytes:
        """Totals, the batch row and COMMIT in one round trip; only our own integers and time are written into it."""
        committed = outcome.committed
        values = sum(q.metric is not None for q in batch.quarantined)
        quarantined = batch.readings_quarantined + len(outcome.refused)  # an event is not a reading
        # What was in quarantine was received before; what stood there twice is a duplicate now.
        received = max(0, batch.received - batch.taken_times)
        duplicate = outcome.duplicates + max(0, batch.taken_times - batch.received)
        others = (done for shard, done in enumerate(self._latest_shards) if shard != self._shard)
        latest = f", latest_batch_id = {min(batch.batch_id, *others)}" if flushed else ""
        at = batch.at.astimezone(UTC).isoformat()
        return (
            f"UPDATE slot SET received = received + {received}, committed = committed + {committed},"  # noqa: S608
            f" duplicate = duplicate + {duplicate},"
            f" quarantined = quarantined + {quarantined - batch.taken_times},"
            f" values_quarantined = values_quarantined + {values},"
            f" in_flight = {in_flight}, heartbeat_at = '{at}'{latest} WHERE slot_id = {self._slot_id};"
            f"INSERT INTO batch VALUES ({batch.batch_id}, {self._slot_id}, '{at}', {committed}, {outcome.duplicates},"
            f" {quarantined}); COMMIT"
        ).encode()

    async def _readings(
        self, readings: Readings, batch_id: int, position: int, outcome: Outcome, *, careful: bool
    ) -> tuple[Mask, Readings]:
        """Write the readings of one kind; return the mask of duplicates and the rows that are new."""
        order, repeated = in_order(readings)
        duplicate = np.zeros(len(readings), bool)
        duplicate[order[repeated]] = True
        rows = order[~repeated]
        self._grow(readings.asset_id)
        newer = readings.ts_ms[rows] > self._newest_ms[readings.asset_id[rows]]
        if careful:
            newer[:] = False
        fast, late = rows[newer], rows[~newer]
        if len(fast):
            batch = readings.take(fast)
            try:
                await _copy(self._connection, readings.kind, readings.kind.reading_table, batch, batch_id)
            except REFUSALS as error:
                self._suspect = _accused(error, position, fast)
                raise
        inserted = fast
        if len(late):
            refused: list[tuple[int, str]] = []
            accused = late == (self._suspect[1] if careful and self._suspect and self._suspect[0] == position else -1)
            parts = [part for part in (late[~accused], late[accused]) if len(part)]
            new = np.concatenate(
                [await self._stage(readings, part, batch_id, refused, careful=careful) for part in parts]
            )
            there = np.setdiff1d(late, np.concatenate([new, np.array([row for row, _ in refused], np.int64)]))
            duplicate[there] = True
            outcome.refused += [(position, row, detail) for row, detail in refused]
            inserted = np.concatenate([fast, new])
        return duplicate, readings.take(inserted)

    async def _stage(
        self, readings: Readings, rows: Ints, batch_id: int, refused: list[tuple[int, str]], *, careful: bool
    ) -> Ints:
        """Insert rows that may be there already; return those that were not. Halves what the database refuses."""
        connection, kind = self._connection, readings.kind
        names = ", ".join(column.name for column in columns(kind))
        # In a savepoint TRUNCATE makes a new file each time: a batch halved ten times took twice as long with it.
        emptying = "SAVEPOINT half; DELETE FROM" if careful else "TRUNCATE"
        await connection.execute(f"{emptying} stage_{kind.reading_table}".encode(), prepare=False)
        try:
            await _copy(connection, kind, f"stage_{kind.reading_table}", readings.take(rows), batch_id)
            cursor = await connection.execute(
                (
                    f"INSERT INTO {kind.reading_table} ({names}) SELECT {names} FROM stage_{kind.reading_table}"  # noqa: S608
                    " ON CONFLICT DO NOTHING RETURNING asset_id, (extract(epoch FROM ts) * 1000)::bigint, seq"
                ).encode()
            )
            new = set(await cursor.fetchall())
        except REFUSALS as error:
            if not careful:
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT half; RELEASE SAVEPOINT half")
            if len(rows) == 1:
                refused.append((int(rows[0]), error.diag.message_primary or str(error)))
                return rows[:0]
            middle = len(rows) // 2
            halves = [
                await self._stage(readings, half, batch_id, refused, careful=True)
                for half in (rows[:middle], rows[middle:])
            ]
            return np.concatenate(halves)
        if careful:
            await connection.execute("RELEASE SAVEPOINT half")
        keys = zip(
            readings.asset_id[rows].tolist(), readings.ts_ms[rows].tolist(), readings.seq[rows].tolist(), strict=True
        )
        return rows[np.fromiter((key in new for key in keys), bool, len(rows))]

    async def make_partitions_ahead(self, at: datetime) -> None:
        """This week's and the next week's partitions."""
        with translated(self._connection):
            await self._partitions.make_ahead(at)

    async def _make_stages(self, batches: list[Readings]) -> None:
        for kind in (readings.kind for readings in batches):
            if kind.name not in self._staged:
                await self._connection.execute(
                    (
                        f"CREATE TEMP TABLE IF NOT EXISTS stage_{kind.reading_table} (LIKE {kind.reading_table});"
                        f"CREATE TEMP TABLE IF NOT EXISTS stage_{kind.latest_table} (LIKE {kind.latest_table})"
                    ).encode()
                )
                self._staged.add(kind.name)

    def _grow(self, asset_ids: Ints) -> None:
        need = int(asset_ids.max(initial=0)) + 1
        if need > len(self._newest_ms):
            more = np.full(max(need, 2 * len(self._newest_ms)) - len(self._newest_ms), NEVER_MS, np.int64)
            self._newest_ms = np.concatenate([self._newest_ms, more])

    def _committed(self, fresh: list[Readings], batch_id: int, rest: Rows | None) -> None:
        for new in fresh:
            np.maximum.at(self._newest_ms, new.asset_id, new.ts_ms)
        self._latest_batch_id = batch_id
        if rest is None:
            self._latest.add(fresh, batch_id)
        else:
            self._latest.keep(rest)
            self._latest_shards[self._shard] = batch_id
            self._shard = (self._shard + 1) % SHARDS
            self._latest_at = self._clock()

    async def idle(self, at: datetime, in_flight: int) -> None:
        """Between batches: the slot's heartbeat, and ``latest`` where it is behind."""
        with translated(self._connection):
            async with self._connection.transaction():
                await self._latest.write(self._connection, [], self._latest_batch_id)
                await self._connection.execute(
                    "UPDATE slot SET heartbeat_at = %s, in_flight = %s,"
                    " latest_batch_id = greatest(latest_batch_id, %s) WHERE slot_id = %s",
                    [at, in_flight, self._latest_batch_id, self._slot_id],
                )
        self._latest.keep({})
        self._latest_shards = [self._latest_batch_id] * SHARDS
        self._latest_at = self._clock()


def in_order(readings: Readings) -> tuple[Ints, Mask]:
    """Row order by asset, time and seq, and a mask (in that order) of rows that repeat the one before them."""
    order = np.lexsort((readings.seq, readings.ts_ms, readings.asset_id))
    asset, ts, seq = readings.asset_id[order], readings.ts_ms[order], readings.seq[order]
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (asset[1:] == asset[:-1]) & (ts[1:] == ts[:-1]) & (seq[1:] == seq[:-1])
    return order, repeated


def _accused(error: psycopg.Error, position: int, rows: Ints) -> tuple[int, int] | None:
    """The row at which a COPY of these ended, where the database tells its line."""
    line = re.search(r"COPY \S+, line (\d+)", error.diag.context or "")
    return (position, int(rows[int(line[1]) - 1])) if line and int(line[1]) <= len(rows) else None


async def _copy(connection: Connection, kind: Kind, table: str, readings: Readings, batch_id: int) -> None:
    async with connection.cursor().copy(copy.statement(kind, table)) as stream:
        await stream.write(copy.binary(readings, batch_id))


async def _one(connection: Connection, statement: Any, parameters: list[Any] | None = None) -> Any:
    row = await (await connection.execute(statement, parameters)).fetchone()
    if row is None:
        raise ConfigurationError(f"database: no row from: {statement}; the slot's row is gone")
    return row
