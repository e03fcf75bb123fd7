"""The distributor's meters: points, what hangs on them, invoices, files of quarter-hours applied and taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.importing.quarters import Quarter
from kraj.meters import Invoice, Link, Point

Connection = psycopg.AsyncConnection[Any]

BATCH_ROWS: Final = 50_000
"""Rows of one statement: a few megabytes of parameters."""
PREVIEWS_KEPT = timedelta(days=30)
_POINT = (
    "SELECT p.ean, m.name AS municipality, m.title AS municipality_title, p.title, p.voltage, p.distributor,"
    " p.difference_pct_max::float AS difference_pct_max, p.version,"
    " (SELECT count(*) FROM metering_point_asset l WHERE l.ean = p.ean) AS links,"
    " (SELECT min(q.bucket) FROM meter_quarter q WHERE q.ean = p.ean) AS quarters_from,"
    " (SELECT max(q.bucket) + interval '15 min' FROM meter_quarter q WHERE q.ean = p.ean) AS quarters_until"
    " FROM metering_point p JOIN municipality m USING (municipality_id) "
)
_INVOICE = (
    "SELECT i.invoice_id, m.name AS municipality, i.ean, i.number, i.direction, i.period_from, i.period_until, i.kwh,"
    " i.czk, i.meter_import_id, i.who, i.at, i.withdrawn_at, i.withdrawn_why"
    " FROM invoice i JOIN municipality m USING (municipality_id) "
)
_ALLOCATION = (
    "SELECT k.allocation_key_id, m.name AS municipality, k.ean, k.ean_to, k.share_pct, k.valid_from, k.source, k.who,"
    " k.at FROM allocation_key k JOIN municipality m USING (municipality_id) "
)
_IMPORT = (
    "SELECT i.meter_import_id, i.content, i.file_name, i.format, i.encoding, i.state, m.title AS municipality,"
    " i.findings, i.summary, i.invoices, i.rows_all, i.rows_wrong, i.uploaded_at, i.applied_at, i.undone_at"
    " FROM meter_import i LEFT JOIN municipality m USING (municipality_id) "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterImport:
    """A file of quarter-hours or invoices as it stands."""

    meter_import_id: int
    content: str
    file_name: str
    format: str
    encoding: str | None
    state: str
    municipality: str | None
    findings: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    invoices: list[dict[str, Any]]
    rows_all: int
    rows_wrong: int
    uploaded_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImport:
    """What is kept of an upload; ``person_id`` is None for what nobody has uploaded."""

    person_id: int | None
    content: str
    file_name: str
    file_digest: bytes
    format: str
    encoding: str | None
    findings: Sequence[Mapping[str, Any]]
    summary: Sequence[Mapping[str, Any]]
    invoices: Sequence[Mapping[str, Any]]
    rows_all: int
    rows_wrong: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Allocation:
    """Of what ``ean`` feeds in, the per cent that ``ean_to`` is to get from a day on."""

    allocation_key_id: int
    municipality: str
    ean: str
    ean_to: str
    share_pct: Decimal
    valid_from: date
    source: str
    who: str
    at: datetime


async def points(connection: Connection, *, municipality: str | None, after: str, limit: int) -> list[Point]:
    """Points by EAN."""
    where = " AND m.name = %(town)s" if municipality else ""
    return await _rows(
        connection,
        Point,
        _POINT + f"WHERE p.ean > %(after)s{where} ORDER BY p.ean LIMIT %(limit)s",
        {"town": municipality, "after": after, "limit": limit},
    )


async def point(connection: Connection, ean: str) -> Point | None:
    """One point."""
    found = await _rows(connection, Point, _POINT + "WHERE p.ean = %(ean)s", {"ean": ean})
    return found[0] if found else None


async def add_point(connection: Connection, municipality_id: int, given: Mapping[str, Any], at: datetime) -> None:
    """Raises psycopg's ``UniqueViolation`` where the EAN is registered, anywhere."""
    await connection.execute(
        "INSERT INTO metering_point (ean, municipality_id, title, voltage, distributor, difference_pct_max, at)"
        " VALUES (%(ean)s, %(town)s, %(title)s, %(voltage)s, %(distributor)s, %(difference_pct_max)s, %(at)s)",
        {**given, "town": municipality_id, "at": at},
    )


async def change_point(connection: Connection, ean: str, given: Mapping[str, Any], version: int) -> bool:
    """Change what is given; False where somebody was faster."""
    cursor = await connection.execute(
        "UPDATE metering_point SET title = coalesce(%(title)s, title), voltage = coalesce(%(voltage)s, voltage),"
        " distributor = coalesce(%(distributor)s, distributor),"
        " difference_pct_max = coalesce(%(difference_pct_max)s, difference_pct_max)"
        " WHERE ean = %(ean)s AND version = %(version)s",
        {**dict.fromkeys(("title", "voltage", "distributor", "difference_pct_max")), **given, "ean": ean,
         "version": version},
    )  # fmt: skip
    return cursor.rowcount == 1


async def links(connection: Connection, ean: str) -> list[Link]:
    """What hangs on a point, and did."""
    return await _rows(
        connection,
        Link,
        "SELECT l.metering_point_asset_id AS link_id, l.ean, l.asset_id, l.group_id,"
        " coalesce(a.label, g.name, '') AS label, l.valid_from, l.valid_until FROM metering_point_asset l"
        " LEFT JOIN asset a ON a.asset_id = l.asset_id LEFT JOIN asset_group g ON g.group_id = l.group_id"
        " WHERE l.ean = %(ean)s ORDER BY l.valid_from, 1",
        {"ean": ean},
    )


async def link(connection: Connection, ean: str, given: Mapping[str, Any], who: str, at: datetime) -> int:
    """Raises psycopg's ``ExclusionViolation`` for the same thing twice, ``ForeignKeyViolation`` for another town's."""
    cursor = await connection.execute(
        "INSERT INTO metering_point_asset (ean, municipality_id, asset_id, group_id, valid_from, valid_until, who, at)"
        " SELECT ean, municipality_id, %(asset_id)s, %(group_id)s, %(valid_from)s, %(valid_until)s, %(who)s, %(at)s"
        " FROM metering_point WHERE ean = %(ean)s RETURNING metering_point_asset_id",
        {**given, "ean": ean, "who": who, "at": at},
    )
    return _number(await cursor.fetchone())


async def unlink(connection: Connection, ean: str, link_id: int, valid_until: date) -> bool:
    """Let a link end with a day; one that would have begun later goes altogether."""
    given = {"ean": ean, "link": link_id, "until": valid_until}
    found = "ean = %(ean)s AND metering_point_asset_id = %(link)s"
    gone = await connection.execute(
        f"DELETE FROM metering_point_asset WHERE {found} AND valid_from > %(until)s".encode(),  # noqa: S608
        given,
    )
    ended = await connection.execute(
        f"UPDATE metering_point_asset SET valid_until = %(until)s WHERE {found}".encode(),  # noqa: S608
        given,
    )
    return gone.rowcount + ended.rowcount == 1


async def invoices(
    connection: Connection, *, municipality: str | None = None, ean: str | None = None, after: int = 0, limit: int
) -> list[Invoice]:
    """Invoices by number of ours, the withdrawn ones too."""
    where = (" AND m.name = %(town)s" if municipality else "") + (" AND i.ean = %(ean)s" if ean else "")
    return await _rows(
        connection,
        Invoice,
        _INVOICE + f"WHERE i.invoice_id > %(after)s{where} ORDER BY i.invoice_id LIMIT %(limit)s",
        {"town": municipality, "ean": ean, "after": after, "limit": limit},
    )


async def invoice(connection: Connection, number: int) -> Invoice | None:
    """One invoice."""
    found = await _rows(connection, Invoice, _INVOICE + "WHERE i.invoice_id = %(number)s", {"number": number})
    return found[0] if found else None


async def add_invoice(connection: Connection, ean: str, given: Mapping[str, Any], who: str, at: datetime) -> int:
    """Raises psycopg's ``UniqueViolation`` where a point has an invoice of this number."""
    cursor = await connection.execute(
        "INSERT INTO invoice (municipality_id, ean, period_from, period_until, direction, kwh, czk, number, who, at)"
        " SELECT municipality_id, ean, %(period_from)s, %(period_until)s, %(direction)s, %(kwh)s, %(czk)s, %(number)s,"
        " %(who)s, %(at)s FROM metering_point WHERE ean = %(ean)s RETURNING invoice_id",
        {**given, "ean": ean, "who": who, "at": at},
    )
    return _number(await cursor.fetchone())


async def withdraw_invoice(connection: Connection, number: int, why: str, at: datetime) -> bool:
    """Let an invoice count no more; False where it was withdrawn before or may not be by this principal."""
    cursor = await connection.execute(
        "UPDATE invoice SET withdrawn_at = %s, withdrawn_why = %s WHERE invoice_id = %s AND withdrawn_at IS NULL",
        [at, why, number],
    )
    return cursor.rowcount == 1


async def allocations(
    connection: Connection, *, municipality: str | None, after: int, limit: int, ean: str | None = None
) -> list[Allocation]:
    """Allocation keys by number."""
    where = (" AND m.name = %(town)s" if municipality else "") + (" AND k.ean = %(ean)s" if ean else "")
    return await _rows(
        connection,
        Allocation,
        _ALLOCATION + f"WHERE k.allocation_key_id > %(after)s{where} ORDER BY k.allocation_key_id LIMIT %(limit)s",
        {"town": municipality, "ean": ean, "after": after, "limit": limit},
    )


async def allocate(
    connection: Connection, ean: str, shares: Mapping[str, Decimal], since: date, told: tuple[str, str, datetime]
) -> int:
    """A version of who gets what of a point; its first number. ``told`` are the source, who says so, and when.

    Raises psycopg's ``CheckViolation`` beyond 100 %, ``UniqueViolation`` where the day has a version.
    """
    cursor = await connection.execute(
        "WITH made AS (INSERT INTO allocation_key (municipality_id, ean, ean_to, share_pct, valid_from, source, who,"
        " at) SELECT p.municipality_id, p.ean, s.ean_to, s.share_pct, %s, %s, %s, %s FROM metering_point p,"
        " unnest(%s::text[], %s::numeric[]) AS s(ean_to, share_pct) WHERE p.ean = %s RETURNING allocation_key_id)"
        " SELECT min(allocation_key_id) FROM made",
        [since, *told, list(shares), list(shares.values()), ean],
    )
    return _number(await cursor.fetchone())


async def scopes(connection: Connection, municipality: str | None, limit: int) -> list[tuple[str, str, str]]:
    """What a price or a meter may be of: ``asset:17`` or ``group:4``, its name, and its municipality's title; groups
    first, of assets those that have a meter of their own."""
    cursor = await connection.execute(
        "SELECT 'group:' || g.group_id, g.name, m.title FROM asset_group g JOIN municipality m USING (municipality_id)"
        " WHERE %(town)s::text IS NULL OR m.name = %(town)s UNION ALL"
        " SELECT 'asset:' || a.asset_id, a.label, m.title FROM asset a JOIN municipality m USING (municipality_id)"
        " WHERE a.kind IN ('cabinet', 'solar') AND a.retired_at IS NULL"
        " AND (%(town)s::text IS NULL OR m.name = %(town)s) ORDER BY 3, 1 DESC, 2 LIMIT %(limit)s",
        {"town": municipality, "limit": limit},
    )
    return await cursor.fetchall()


async def writable(connection: Connection, eans: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Of these EANs, those of which the principal may say something: municipality and title."""
    cursor = await connection.execute(
        "SELECT ean, municipality_id, title FROM metering_point WHERE ean = ANY (%s) AND municipality_id = ANY ("
        "(SELECT kraj_municipalities('register') || kraj_municipalities('control'))::integer[])",
        [list(eans)],
    )
    return {ean: (town, title) for ean, town, title in await cursor.fetchall()}


async def quarters(
    connection: Connection, ean: str, since: datetime, until: datetime, limit: int
) -> list[tuple[datetime, int | None, int | None, int | None, str]]:
    """What holds of a point by time: beginning, import, export, shared, status."""
    cursor = await connection.execute(
        "SELECT bucket, import_wh, export_wh, shared_wh, status FROM meter_quarter"
        " WHERE ean = %s AND bucket >= %s AND bucket < %s ORDER BY bucket LIMIT %s",
        [ean, since, until, limit],
    )
    return await cursor.fetchall()


async def held(connection: Connection, ean: str, buckets: Sequence[int]) -> dict[int, Quarter]:
    """What holds of these quarter-hours already."""
    if not buckets:
        return {}
    span = (datetime.fromtimestamp(bucket, UTC) for bucket in (min(buckets), max(buckets)))
    cursor = await connection.execute(
        "SELECT extract(epoch FROM bucket)::bigint, import_wh, export_wh, shared_wh, status FROM meter_quarter"
        " WHERE ean = %s AND bucket BETWEEN %s AND %s",
        [ean, *span],
    )
    return {row[0]: Quarter(*row[1:]) for row in await cursor.fetchall()}


async def same_file(connection: Connection, digest: bytes) -> int | None:
    """The import of the same bytes that is applied, if there is one."""
    cursor = await connection.execute(
        "SELECT meter_import_id FROM meter_import WHERE file_digest = %s AND state = 'applied' ORDER BY 1 LIMIT 1",
        [digest],
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def keep(
    connection: Connection,
    new: NewImport,
    by_ean: Mapping[str, Mapping[int, Quarter]],
    towns: Mapping[str, tuple[int, str]],
) -> int:
    """Keep a preview with what it says; nothing counts yet. The principal's own old previews go."""
    await connection.execute(
        "DELETE FROM meter_import WHERE state = 'preview' AND person_id = %s AND uploaded_at < %s",
        [new.person_id, new.at - PREVIEWS_KEPT],
    )
    of = {town for town, _ in towns.values()}
    cursor = await connection.execute(
        "INSERT INTO meter_import (person_id, municipality_id, content, file_name, file_digest, format, encoding,"
        " findings, summary, invoices, rows_all, rows_wrong, uploaded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING meter_import_id",
        [new.person_id, of.pop() if len(of) == 1 else None, new.content, new.file_name, new.file_digest, new.format,
         new.encoding, Jsonb(list(new.findings)), Jsonb(list(new.summary)), Jsonb(list(new.invoices)), new.rows_all,
         new.rows_wrong, new.at],
    )  # fmt: skip
    number = _number(await cursor.fetchone())
    for ean, found in by_ean.items():
        rows = [(at, one.import_wh, one.export_wh, one.shared_wh, one.status) for at, one in found.items()]
        for first in range(0, len(rows), BATCH_ROWS):
            await connection.execute(
                "INSERT INTO meter_quarter_said (meter_import_id, ean, municipality_id, bucket, import_wh, export_wh,"
                " shared_wh, status) SELECT %s, %s, %s, to_timestamp(s.at), s.i, s.e, s.s, s.status FROM unnest("
                "%s::bigint[], %s::integer[], %s::integer[], %s::integer[], %s::text[]) AS s(at, i, e, s, status)",
                [number, ean, towns[ean][0], *map(list, zip(*rows[first : first + BATCH_ROWS], strict=True))],
            )
    return number


async def imports(connection: Connection, *, after: int | None, limit: int) -> list[MeterImport]:
    """Imports that the principal may see, newest first, before a number."""
    return await _rows(
        connection,
        MeterImport,
        _IMPORT + "WHERE i.meter_import_id < coalesce(%(after)s, 9223372036854775807) ORDER BY 1 DESC LIMIT %(limit)s",
        {"after": after, "limit": limit},
    )


async def an_import(connection: Connection, number: int) -> MeterImport | None:
    """One import that the principal may see."""
    found = await _rows(connection, MeterImport, _IMPORT + "WHERE i.meter_import_id = %(n)s", {"n": number})
    return found[0] if found else None


async def step(connection: Connection, number: int, *, undone: bool, who: str, at: datetime) -> int | None:
    """Apply a preview or take back what is applied: how many rows it was about; None where that cannot be."""
    cursor = await connection.execute("SELECT meter_import_step(%s, %s, %s, %s)", [number, undone, who, at])
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _rows(connection: Connection, kind: type[Any], statement: str, given: Mapping[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


def _number(row: Any) -> int:
    if row is None or row[0] is None:
        raise psycopg.errors.InsufficientPrivilege("there is no such metering point, or it may not be written")
    return row[0]
