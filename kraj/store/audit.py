"""The audit log: noting an entry, a page of it, and reading the whole chain for the check."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.audit import Entry

STREAMED_ROWS = 5000


async def note(
    connection: psycopg.AsyncConnection[Any],
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    municipality_id: int | None = None,
    person_id: int | None = None,
) -> None:
    """Note what the principal of this transaction does; it is chained with COMMIT.

    ``person_id`` counts only where there is no principal yet, as in a sign-in. Neither secrets nor personal data
    belong into ``subject`` and ``detail``: entries stay for ever. The transaction must be allowed to write.
    """
    await connection.execute(
        "SELECT audit(%s, %s, %s, %s, %s)", [action, subject, Jsonb(dict(detail or {})), municipality_id, person_id]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry for people: ``person`` is who it was, where the key is still known and the principal may see it."""

    entry_id: int
    at: datetime
    pseudonym: str | None
    person: str | None
    action: str
    subject: str
    municipality: str | None
    detail: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries; None is any."""

    action: str | None = None
    subject: str | None = None
    municipality: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_PAGE = """
    SELECT e.entry_id, e.at, e.pseudonym::text, p.title AS person, e.action, e.subject, m.name AS municipality,
           e.detail, encode(e.digest, 'hex') AS digest
    FROM audit_entry e
    LEFT JOIN person p ON p.pseudonym = e.pseudonym
    LEFT JOIN municipality m ON m.municipality_id = e.municipality_id
    WHERE e.entry_id < %(before)s
      AND (%(action)s::text IS NULL OR e.action = %(action)s)
      AND (%(subject)s::text IS NULL OR e.subject = %(subject)s)
      AND (%(municipality)s::text IS NULL OR m.name = %(municipality)s)
      AND (%(from_at)s::timestamptz IS NULL OR e.at >= %(from_at)s)
      AND (%(to_at)s::timestamptz IS NULL OR e.at < %(to_at)s)
    ORDER BY e.entry_id DESC LIMIT %(limit)s
"""


async def page(
    connection: psycopg.AsyncConnection[Any], which: AuditFilter, *, before: int, limit: int
) -> list[AuditRow]:
    """Entries that the principal may see, newest first."""
    parameters = {name: getattr(which, name) for name in AuditFilter.__dataclass_fields__}
    async with connection.cursor(row_factory=class_row(AuditRow)) as cursor:
        await cursor.execute(_PAGE, {**parameters, "before": before, "limit": limit})
        return await cursor.fetchall()


def chain(connection: psycopg.Connection[Any], *, after: int = 0) -> Iterator[Entry]:
    """Every entry by number, streamed in one snapshot; as the owner, who sees all."""
    with connection.transaction(), connection.cursor("audit_chain", row_factory=class_row(Entry)) as cursor:
        cursor.itersize = STREAMED_ROWS
        cursor.execute(
            "SELECT entry_id, at, pseudonym::text, action, subject, municipality_id, detail::text, previous, digest"
            " FROM audit_entry WHERE entry_id > %s ORDER BY entry_id",
            [after],
        )
        yield from cursor


def end(connection: psycopg.Connection[Any]) -> tuple[int, bytes]:
    """Number and digest of the last entry; 0 and zero bytes where there is none."""
    row = connection.execute("SELECT entry_id, digest FROM audit_entry ORDER BY entry_id DESC LIMIT 1").fetchone()
    return (0, bytes(32)) if row is None else (row[0], row[1])
