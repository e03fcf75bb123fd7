"""The newest reading of each asset, kept beside the history so that reading it is one row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg

from kraj.metrics import Kind
from kraj.readings import Readings
from kraj.store import copy
from kraj.store.schema import columns

SHARDS = 4
"""Assets are written in turns, a quarter at a time: all at once would hold up a batch every second."""
ROWS_KEPT_MAX = 20_000
"""Rows kept before those that are no longer the newest of their asset are dropped."""

Rows = dict[str, Readings]
"""By the name of their kind."""


class LatestRows:
    """Committed readings whose asset's ``latest`` row is not yet written.

    In these rows ``message`` holds the number of the batch that committed them: the message's place is of no more use.
    """

    def __init__(self) -> None:
        self._chunks: dict[str, list[Readings]] = {}

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def keep(self, rows: Rows) -> None:
        """Replace everything kept."""
        self._chunks = {name: [readings] for name, readings in rows.items()}

    def add(self, fresh: list[Readings], batch_id: int) -> None:
        """Keep the readings that batch ``batch_id`` has committed."""
        for readings in _stamped(fresh, batch_id):
            chunks = self._chunks.setdefault(readings.kind.name, [])
            chunks.append(readings)
            if sum(map(len, chunks)) > ROWS_KEPT_MAX:
                chunks[:] = [newest(joined(chunks))]

    async def write(
        self, connection: psycopg.AsyncConnection[Any], fresh: list[Readings], batch_id: int, shard: int | None = None
    ) -> Rows:
        """Upsert what is kept together with ``fresh``, of one shard or of all; return what to ``keep`` once that is
        committed."""
        pending = {name: list(chunks) for name, chunks in self._chunks.items()}
        for readings in _stamped(fresh, batch_id):
            pending.setdefault(readings.kind.name, []).append(readings)
        rest: Rows = {}
        for name, chunks in pending.items():
            readings = newest(joined(chunks))
            mine = np.ones(len(readings), bool) if shard is None else readings.asset_id % SHARDS == shard
            await self._upsert(connection, readings.take(mine))
            if not mine.all():
                rest[name] = readings.take(~mine)
        return rest

    async def _upsert(self, connection: psycopg.AsyncConnection[Any], readings: Readings) -> None:
        if not len(readings):
            return
        kind = readings.kind
        stage = f"stage_{kind.latest_table}"
        await connection.execute(f"TRUNCATE {stage}".encode())
        async with connection.cursor().copy(copy.statement(kind, stage)) as stream:
            await stream.write(copy.binary(readings, readings.message))
        await connection.execute(_upsert(kind, f"SELECT {_names(kind)} FROM {stage}"))  # noqa: S608

    async def catch_up(self, connection: psycopg.AsyncConnection[Any], kind: Kind, slot_id: int, done: int) -> None:
        """After a crash: bring in what the slot's batches behind ``done`` hold."""
        source = (
            f"SELECT DISTINCT ON (asset_id) {_names(kind)} FROM {kind.reading_table} WHERE batch_id > %s"  # noqa: S608
            " AND batch_id IN (SELECT batch_id FROM batch WHERE slot_id = %s AND batch_id > %s)"
            " ORDER BY asset_id, ts DESC, seq DESC"
        )
        await connection.execute(_upsert(kind, source), [done, slot_id, done])


def _names(kind: Kind) -> str:
    return ", ".join(column.name for column in columns(kind))


def _upsert(kind: Kind, source: str) -> bytes:
    latest = kind.latest_table
    changes = ", ".join(f"{c.name} = EXCLUDED.{c.name}" for c in columns(kind) if c.name != "asset_id")
    return (
        f"INSERT INTO {latest} ({_names(kind)}) {source} ON CONFLICT (asset_id) DO UPDATE SET {changes}"
        f" WHERE (EXCLUDED.ts, EXCLUDED.seq) > ({latest}.ts, {latest}.seq)"
    ).encode()


def _stamped(fresh: list[Readings], batch_id: int) -> list[Readings]:
    return [
        replace(readings, message=np.full(len(readings), batch_id, np.int64)) for readings in fresh if len(readings)
    ]


def newest(readings: Readings) -> Readings:
    """The newest row of each asset."""
    order = np.lexsort((readings.seq, readings.ts_ms, readings.asset_id))
    asset = readings.asset_id[order]
    last = np.append(asset[1:] != asset[:-1], True) if len(asset) else np.zeros(0, bool)
    return readings.take(order[last])


def joined(chunks: Sequence[Readings]) -> Readings:
    """All of them, one behind the other; they are of one kind."""
    if len(chunks) == 1:
        return chunks[0]
    names = ("asset_id", "municipality_id", "ts_ms", "seq", "boot", "values", "implausible", "message")
    return Readings(chunks[0].kind, *(np.concatenate([getattr(c, name) for c in chunks]) for name in names))
