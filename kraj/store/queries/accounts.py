"""What became of everything that was received, and whether the database is fit to be asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store import schema

Connection = psycopg.AsyncConnection[Any]

PAYLOAD_PREVIEW_BYTES = 400


@dataclass(frozen=True, slots=True)
class SlotTotals:
    """Invariant 4 of one ingest slot, in readings."""

    name: str
    heartbeat_at: datetime | None
    received: int
    committed: int
    duplicate: int
    quarantined: int
    in_flight: int
    values_quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """One refusal; ``payload`` is its beginning."""

    quarantine_id: int
    first_at: datetime
    last_at: datetime
    times: int
    municipality: str | None
    source: str
    topic: str
    reason: str
    detail: str
    metric: str | None
    payload: bytes
    payload_bytes: int


async def quarantine(connection: Connection, *, before: int, limit: int) -> list[QuarantineRow]:
    """What was refused, newest first, before the id ``before``."""
    async with connection.cursor(row_factory=class_row(QuarantineRow)) as cursor:
        await cursor.execute(
            "SELECT q.quarantine_id, q.first_at, q.last_at, q.times, m.name AS municipality, q.source, q.topic,"
            " q.reason, q.detail, q.metric, substring(q.payload FOR %(preview)s) AS payload, q.payload_bytes"
            " FROM quarantine q LEFT JOIN municipality m USING (municipality_id)"
            " WHERE q.quarantine_id < %(before)s AND q.taken_at IS NULL ORDER BY q.quarantine_id DESC LIMIT %(limit)s",
            {"preview": PAYLOAD_PREVIEW_BYTES, "before": before, "limit": limit},
        )
        return await cursor.fetchall()


async def quarantine_beyond_quota(connection: Connection) -> int:
    """How many refusals were only counted."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT coalesce(sum(times), 0)::bigint FROM quarantine_overflow")
        return await cursor.fetchone() or 0


async def totals(connection: Connection) -> list[SlotTotals]:
    """Invariant 4, a row a slot, all of one moment."""
    async with connection.cursor(row_factory=class_row(SlotTotals)) as cursor:
        await cursor.execute(
            "SELECT name, heartbeat_at, received + in_flight AS received, committed, duplicate, quarantined, in_flight,"
            " values_quarantined"
            " FROM slot ORDER BY slot_id"
        )
        return await cursor.fetchall()


async def missing_columns(connection: Connection, kinds: Iterable[Kind] = tuple(KINDS.values())) -> list[str]:
    """What this version reads and the database does not have: ``table`` or ``table.column``."""
    wanted: dict[str, set[str]] = {name: set() for name in ("asset", "device", "slot", "quarantine", "unknown_key")}
    for kind in kinds:
        names = {column.name for column in schema.columns(kind)}
        wanted |= {kind.reading_view: names, kind.latest_view: names}
    cursor = await connection.execute(
        "SELECT t.name, array_agg(attname::text) FROM unnest(%s::text[]) AS t(name)"
        " JOIN pg_attribute ON attrelid = to_regclass('public.' || t.name) AND attnum > 0 AND NOT attisdropped"
        " GROUP BY t.name",
        [list(wanted)],
    )
    found: Mapping[str, list[str]] = dict(await cursor.fetchall())
    tables = [name for name in wanted if name not in found]
    return tables + [f"{name}.{column}" for name in found for column in sorted(wanted[name].difference(found[name]))]
