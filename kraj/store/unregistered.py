"""Devices that send and that nobody has registered: what of them is in quarantine, and taking it in afterwards."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]

SAMPLES = 3
"""Newest messages of a device that are looked at for what it is."""
SAMPLE_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class UnregisteredRow:
    """A name under a municipality's topics; ``samples`` are beginnings of its newest messages."""

    name: str
    municipality: str
    municipality_title: str | None
    messages: int
    times: int
    first_at: datetime
    last_at: datetime
    last_id: int
    topic: str
    samples: list[bytes]


_ROWS = """
    SELECT q.source AS name, split_part(q.topic, '/', 2) AS municipality, m.title AS municipality_title,
           count(*)::integer AS messages, sum(q.times)::bigint AS times, min(q.first_at) AS first_at,
           max(q.last_at) AS last_at, max(q.quarantine_id) AS last_id,
           (array_agg(q.topic ORDER BY q.quarantine_id DESC))[1] AS topic,
           (array_agg(substring(q.payload FOR %(bytes)s) ORDER BY q.quarantine_id DESC))[:%(samples)s] AS samples
    FROM quarantine q
    LEFT JOIN municipality m ON m.name = split_part(q.topic, '/', 2)
    WHERE q.reason = 'unknown_device' AND q.taken_at IS NULL AND q.municipality_id IS NULL
      AND (%(name)s::text IS NULL OR q.source = %(name)s)
      AND (%(municipality)s::text IS NULL OR split_part(q.topic, '/', 2) = %(municipality)s)
      AND NOT q.source = ANY (registered_names(ARRAY[q.source]))
    GROUP BY 1, 2, 3
    HAVING max(q.quarantine_id) < %(before)s
    ORDER BY last_id DESC LIMIT %(limit)s
"""


async def listed(
    connection: Connection, *, before: int, limit: int, name: str | None = None, municipality: str | None = None
) -> list[UnregisteredRow]:
    """By device, newest first, those whose newest message stands before ``before``."""
    async with connection.cursor(row_factory=class_row(UnregisteredRow)) as cursor:
        await cursor.execute(
            _ROWS,
            {
                "name": name,
                "municipality": municipality,
                "before": before,
                "limit": limit,
                "bytes": SAMPLE_BYTES,
                "samples": SAMPLES,
            },
        )
        return await cursor.fetchall()


async def one(connection: Connection, name: str) -> list[UnregisteredRow]:
    """One device, once for each municipality under whose topics it sends."""
    return await listed(connection, name=name, before=2**63 - 1, limit=10)
