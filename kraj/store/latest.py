"""The newest reading of each asset, kept beside the history so that reading it is one row."""

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg

from kraj.metrics import Kind
from kraj.readings import Readings
from kraj.store import copy
from kraj.store.schema import columns


class LatestRows:
    """Committed readings whose asset's ``latest`` row is not yet written, newest an asset.

    In these rows ``message`` holds the number of the batch that committed them: the message's place is of no more use.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Readings] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def clear(self) -> None:
        self._rows.clear()

    def add(self, fresh: list[Readings], batch_id: int) -> None:
        """Keep the readings that batch ``batch_id`` has committed."""
        _merge(self._rows, fresh, batch_id)

    async def write(self, connection: psycopg.AsyncConnection[Any], fresh: list[Readings], batch_id: int) -> None:
        """Upsert what is kept together with ``fresh``; ``clear`` after the commit."""
        pending = dict(self._rows)
        _merge(pending, fresh, batch_id)
        for readings in pending.values():
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


def _merge(rows: dict[str, Readings], fresh: list[Readings], batch_id: int) -> None:
    for readings in fresh:
        if len(readings):
            stamped = replace(readings, message=np.full(len(readings), batch_id, np.int64))
            known = rows.get(readings.kind.name)
            rows[readings.kind.name] = newest(stamped if known is None else joined(known, stamped))


def newest(readings: Readings) -> Readings:
    """The newest row of each asset."""
    order = np.lexsort((readings.seq, readings.ts_ms, readings.asset_id))
    asset = readings.asset_id[order]
    last = np.append(asset[1:] != asset[:-1], True) if len(asset) else np.zeros(0, bool)
    return readings.take(order[last])


def joined(first: Readings, second: Readings) -> Readings:
    """Both, one behind the other."""
    return Readings(
        first.kind,
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("asset_id", "municipality_id", "ts_ms", "seq", "boot", "values", "implausible", "message")
        ),
    )
