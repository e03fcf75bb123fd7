"""Imports: keeping a preview, holding it against the registry, applying it in sets, and taking it back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.importing import Judged, KnownAsset, Parsed, Registry, Row, Town
from kraj.importing.findings import finding_of_json
from kraj.store import registering
from kraj.store.registering import Install, NewAsset

Connection = psycopg.AsyncConnection[Any]

STATEMENT_S_MAX = 120
"""Ten thousand rows take about two seconds."""
PREVIEWS_KEPT = timedelta(days=30)
APPLY_LOCK = 0x6B72696D
"""Of two imports that are applied at once the second sees what the first has registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Where a preview comes from."""

    person_id: int
    file_name: str
    file_digest: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """An import as it stands."""

    import_id: int
    file_name: str
    format: str
    encoding: str | None
    state: str
    municipality: str | None
    columns: list[list[str | None]]
    findings: list[dict[str, Any]]
    rows_all: int
    rows_new: int
    rows_known: int
    rows_wrong: int
    absent: int
    uploaded_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """A row of an import; ``standing`` is why it cannot be taken back."""

    number: int
    municipality_id: int | None
    municipality: str | None
    kind: str | None
    label: str | None
    device: str | None
    channel: int
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any]
    known: bool
    wrong: bool
    findings: list[dict[str, Any]]
    asset_id: int | None
    undone: bool


async def take_time(connection: Connection) -> None:
    """Let this transaction's statements take longer than a page may."""
    await connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_S_MAX}s"])


async def registry(connection: Connection, rows: Sequence[Row]) -> Registry:
    """What the rows are to be held against: towns in which the principal may register, and what is there already."""
    cursor = await connection.execute(
        "SELECT municipality_id, name, title FROM municipality"
        " WHERE municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[]) ORDER BY name"
    )
    towns = [Town(*row) for row in await cursor.fetchall()]
    cursor = await connection.execute(
        "SELECT a.municipality_id, a.kind, a.label, d.name, i.channel FROM asset a"
        " LEFT JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL"
        " LEFT JOIN device d ON d.device_id = i.device_id"
        " WHERE a.retired_at IS NULL AND a.municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[])"
    )
    assets = [KnownAsset(*row) for row in await cursor.fetchall()]
    names = sorted({row.device for row in rows if row.device is not None})
    cursor = await connection.execute(
        "SELECT n.name, d.municipality_id FROM unnest(registered_names(%s::text[])) AS n(name)"
        " LEFT JOIN device d ON d.name = n.name AND d.state <> 'decommissioned'",
        [names],
    )
    return Registry(towns, assets, dict(await cursor.fetchall()))


async def keep(connection: Connection, upload: Upload, parsed: Parsed, judged: Sequence[Judged], absent: int) -> int:
    """Keep a preview; nothing is registered. The principal's own old previews go."""
    await connection.execute(
        "DELETE FROM import WHERE state = 'preview' AND person_id = %s AND uploaded_at < %s",
        [upload.person_id, upload.at - PREVIEWS_KEPT],
    )
    towns = {one.municipality_id for one in judged}
    cursor = await connection.execute(
        "INSERT INTO import (person_id, municipality_id, file_name, file_digest, format, encoding, columns, findings,"
        " rows_all, rows_new, rows_known, rows_wrong, absent, uploaded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING import_id",
        [
            upload.person_id,
            towns.pop() if len(towns) == 1 else None,
            upload.file_name,
            upload.file_digest,
            parsed.format,
            parsed.encoding,
            Jsonb(parsed.columns),
            Jsonb([finding.as_json() for finding in parsed.findings]),
            *_counts(judged),
            absent,
            upload.at,
        ],
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("INSERT returned nothing")
    import_id: int = row[0]
    # One parameter instead of a column each; COPY does not go with row-level security.
    await connection.execute(
        "INSERT INTO import_row (import_id, number, municipality_id, municipality, kind, label, device, channel,"
        " latitude, longitude, metadata, known, wrong, findings)"
        " SELECT %s, r.* FROM jsonb_to_recordset(%s::jsonb) AS r(number integer, municipality_id integer,"
        " municipality text, kind text, label text, device text, channel smallint, latitude float8, longitude float8,"
        " metadata jsonb, known boolean, wrong boolean, findings jsonb)",
        [import_id, json.dumps([_as_json(one) for one in judged], ensure_ascii=False)],
    )
    return import_id


def _counts(judged: Sequence[Judged]) -> tuple[int, int, int, int]:
    wrong = sum(one.row.wrong for one in judged)
    known = sum(one.known and not one.row.wrong for one in judged)
    return len(judged), len(judged) - wrong - known, known, wrong


def _as_json(one: Judged) -> dict[str, Any]:
    row = one.row
    return {
        "number": row.number,
        "municipality_id": one.municipality_id,
        "municipality": row.municipality,
        "kind": row.kind,
        "label": row.label,
        "device": row.device,
        "channel": row.channel,
        "latitude": row.latitude,
        "longitude": row.longitude,
        "metadata": row.metadata,
        "known": one.known,
        "wrong": row.wrong,
        "findings": [finding.as_json() for finding in row.findings],
    }


_RECORD = """
    SELECT i.import_id, i.file_name, i.format, i.encoding, i.state, m.title AS municipality, i.columns, i.findings,
           i.rows_all, i.rows_new, i.rows_known, i.rows_wrong, i.absent, i.uploaded_at, i.applied_at, i.undone_at
    FROM import i LEFT JOIN municipality m USING (municipality_id)
"""


async def get(connection: Connection, import_id: int, *, hold: bool = False) -> ImportRecord | None:
    """One import that the principal may see; held until the transaction ends, where asked."""
    statement = _RECORD + "WHERE i.import_id = %s" + (" FOR UPDATE OF i" if hold else "")
    async with connection.cursor(row_factory=class_row(ImportRecord)) as cursor:
        await cursor.execute(statement.encode(), [import_id])
        return await cursor.fetchone()


async def newest(connection: Connection, limit: int) -> list[ImportRecord]:
    """Imports that the principal may see, newest first."""
    async with connection.cursor(row_factory=class_row(ImportRecord)) as cursor:
        await cursor.execute((_RECORD + "ORDER BY i.import_id DESC LIMIT %s").encode(), [limit])
        return await cursor.fetchall()


async def rows(
    connection: Connection, import_id: int, *, after: int, limit: int | None, found_only: bool = False
) -> list[ImportedRow]:
    """Rows in the order of the file; with ``found_only`` those about which there is something to say."""
    async with connection.cursor(row_factory=class_row(ImportedRow)) as cursor:
        await cursor.execute(
            "SELECT number, municipality_id, municipality, kind, label, device, channel, latitude, longitude, metadata,"
            " known, wrong, findings, asset_id, undone FROM import_row WHERE import_id = %s AND number > %s"
            " AND (NOT %s OR findings <> '[]') ORDER BY number LIMIT %s",
            [import_id, after, found_only, limit],
        )
        return await cursor.fetchall()


def as_row(found: ImportedRow, dropped: frozenset[str]) -> Row:
    """A stored row as the checks take it, without the findings that they make anew."""
    return Row(
        number=found.number,
        label=found.label,
        kind=found.kind,
        municipality=found.municipality,
        device=found.device,
        channel=found.channel,
        latitude=found.latitude,
        longitude=found.longitude,
        metadata=found.metadata,
        findings=[finding_of_json(one) for one in found.findings if one["code"] not in dropped],
    )


async def lock(connection: Connection) -> None:
    """Wait for another import that is being applied."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPLY_LOCK])


async def renew(connection: Connection, import_id: int, judged: Sequence[Judged]) -> None:
    """Keep what the rows are found to be now."""
    _, new, known, wrong = _counts(judged)
    await connection.execute(
        "UPDATE import SET rows_new = %s, rows_known = %s, rows_wrong = %s WHERE import_id = %s",
        [new, known, wrong, import_id],
    )
    await connection.execute(
        "UPDATE import_row i SET known = r.known, wrong = r.wrong, findings = r.findings"
        " FROM jsonb_to_recordset(%s::jsonb) AS r(number integer, known boolean, wrong boolean, findings jsonb)"
        " WHERE i.import_id = %s AND i.number = r.number",
        [json.dumps([_as_json(one) for one in judged], ensure_ascii=False), import_id],
    )


async def apply(
    connection: Connection, import_id: int, judged: Sequence[Judged], *, who: str, reason: str, at: datetime
) -> int:
    """Register the new rows, all of them or (as an exception ends the transaction) none; how many there were.

    Raises psycopg's ``IntegrityError`` when somebody was faster, ``InsufficientPrivilege`` for rows behind the wall.
    """
    await registering.at_moment(connection, at)
    new = [one for one in judged if not one.known]
    asset_ids = await registering.add_assets(connection, [_asset(one) for one in new])
    names = {one.row.device: one.municipality_id for one in new if one.row.device is not None}
    cursor = await connection.execute("SELECT name, device_id FROM device WHERE name = ANY (%s)", [list(names)])
    devices: dict[str, int] = dict(await cursor.fetchall())
    made: set[str] = set()
    for town in sorted({town for name, town in names.items() if name not in devices and town is not None}):
        wanted = sorted(name for name, owner in names.items() if owner == town and name not in devices)
        ids = await registering.add_devices(connection, town, wanted, who=who, step="registered", reason=reason, at=at)
        devices.update(zip(wanted, ids, strict=True))
        made.update(wanted)
    served = [(one, asset_id) for one, asset_id in zip(new, asset_ids, strict=True) if one.row.device is not None]
    await registering.install(
        connection, [Install(asset_id, devices[one.row.device or ""], one.row.channel) for one, asset_id in served], at
    )
    await _remember(connection, import_id, zip(new, asset_ids, strict=True), devices, made)
    await connection.execute(
        "UPDATE import SET state = 'applied', applied_at = %s WHERE import_id = %s", [at, import_id]
    )
    return len(new)


def _asset(one: Judged) -> NewAsset:
    if one.municipality_id is None or one.row.kind is None or one.row.label is None:
        raise ValueError(f"row {one.row.number} was never checked")
    return NewAsset(
        municipality_id=one.municipality_id,
        kind=one.row.kind,
        label=one.row.label,
        latitude=one.row.latitude,
        longitude=one.row.longitude,
        metadata=one.row.metadata,
    )


async def _remember(
    connection: Connection,
    import_id: int,
    new: Iterable[tuple[Judged, int]],
    devices: Mapping[str, int],
    made: set[str],
) -> None:
    """What was made of each row, so that it can be taken back."""
    found = [(one.row.number, asset_id, one.row.device) for one, asset_id in new]
    await connection.execute(
        "UPDATE import_row i SET asset_id = n.asset_id, device_id = n.device_id, device_made = n.made"
        " FROM unnest(%s::int[], %s::int[], %s::int[], %s::boolean[]) AS n(number, asset_id, device_id, made)"
        " WHERE i.import_id = %s AND i.number = n.number",
        [
            [number for number, _, _ in found],
            [asset_id for _, asset_id, _ in found],
            [None if device is None else devices[device] for _, _, device in found],
            [device in made for _, _, device in found],
            import_id,
        ],
    )


async def standing(connection: Connection, import_id: int) -> dict[int, str]:
    """Rows that can no longer be taken back, with the reason: ``readings``, ``used`` or ``changed``."""
    cursor = await connection.execute("SELECT number, reason FROM import_standing(%s)", [import_id])
    return dict(await cursor.fetchall())


async def undo(connection: Connection, import_id: int, *, leave: bool, at: datetime) -> tuple[int, int]:
    """Take an import back: how many rows went and how many stand; unless those may be left, then none goes."""
    cursor = await connection.execute("SELECT removed, standing FROM import_undo(%s, %s, %s)", [import_id, leave, at])
    row = await cursor.fetchone()
    return (0, 0) if row is None else (row[0], row[1])
