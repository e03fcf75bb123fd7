"""Keeping what was not taken as a reading, with a quota for each source."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import psycopg

from kraj.quarantine import printable

QUOTA_PER_SOURCE_AND_DAY = 500
"""Different refusals of one source and day that are stored; beyond it they are counted. A sensor that is wrong all
day long makes 288 (one each five minutes)."""


_AGAIN = """
    UPDATE quarantine SET times = CASE WHEN taken_at IS NULL THEN times ELSE 0 END + %s, last_at = %s, taken_at = NULL
    WHERE digest = %s
"""
"""What was taken in before and is refused again counts from there."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refusal as it is stored; its texts are made such that PostgreSQL takes them.

    ``source`` is the device's name, or ``?`` outside the topic grammar.
    """

    topic: str
    source: str
    municipality_id: int | None
    device_id: int | None
    reason: str
    detail: str
    metric: str | None
    payload: bytes
    payload_bytes: int

    def __post_init__(self) -> None:
        for name in ("topic", "source", "detail"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    @property
    def digest(self) -> bytes:
        """Same bytes, same topic, same reason: one row that counts."""
        text = "\0".join((self.topic, self.reason, self.metric or "", self.detail)).encode()
        return hashlib.blake2b(text + b"\0" + self.payload, digest_size=16).digest()


async def store_quarantine(
    connection: psycopg.AsyncConnection[Any], refused: list[Quarantined], at: datetime, batch_id: int
) -> list[int]:
    """Store the refusals; return the positions of those beyond their source's quota, which are only counted."""
    day = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
    digests = [q.digest for q in refused]
    cursor = await connection.execute("SELECT digest FROM quarantine WHERE digest = ANY(%s)", [list(set(digests))])
    known = {bytes(digest) async for (digest,) in cursor}
    cursor = await connection.execute(
        "SELECT source, count(*) FROM quarantine WHERE source = ANY(%s) AND first_at >= %s"
        " AND taken_at IS NULL GROUP BY source",
        [list({q.source for q in refused}), day],
    )
    used: Counter[str] = Counter(dict(await cursor.fetchall()))
    times: Counter[bytes] = Counter()
    new: dict[bytes, Quarantined] = {}
    overflow: Counter[tuple[str, str]] = Counter()
    not_stored: list[int] = []
    for position, (digest, q) in enumerate(zip(digests, refused, strict=True)):
        if digest not in known and digest not in new:
            if used[q.source] >= QUOTA_PER_SOURCE_AND_DAY:
                overflow[q.source, q.reason] += 1
                not_stored.append(position)
                continue
            used[q.source] += 1
            new[digest] = q
        times[digest] += 1
    async with connection.cursor() as out:
        if new:
            await out.executemany(
                "INSERT INTO quarantine (digest, first_at, last_at, times, municipality_id, device_id, topic, source,"
                " reason, detail, metric, payload, payload_bytes, batch_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        *(digest, at, at, times[digest], q.municipality_id, q.device_id, q.topic, q.source),
                        *(q.reason, q.detail, q.metric, q.payload, q.payload_bytes, batch_id),
                    )
                    for digest, q in new.items()
                ],
            )
        again = [(n, at, digest) for digest, n in times.items() if digest in known]
        if again:
            await out.executemany(_AGAIN, again)
        if overflow:
            await out.executemany(
                "INSERT INTO quarantine_overflow (source, day, reason, times, last_at) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (source, day, reason) DO UPDATE SET times = quarantine_overflow.times + EXCLUDED.times,"
                " last_at = EXCLUDED.last_at",
                [(source, day.date(), reason, n, at) for (source, reason), n in overflow.items()],
            )
    return not_stored
