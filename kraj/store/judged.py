"""What the rules' judgement depends on, read from the registry in one snapshot; and history read again at a restart."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from kraj.alerts import Repair, Scope
from kraj.assets import AssetRow, CustomRule, DeviceStatus, Judged, Override, Window
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.readings import Floats, Ints, Readings
from kraj.store.connection import Connection
from kraj.store.schema import columns

REPLAY_BATCHES = 200
"""Batches read at a time when history is replayed: bounds memory to some hundred thousand readings."""

_ASSETS = """
    SELECT a.asset_id, a.municipality_id, a.kind, a.label, a.latitude, a.longitude, a.metadata, i.device_id
    FROM asset a LEFT JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
    WHERE a.retired_at IS NULL
    ORDER BY a.asset_id
"""
_WINDOWS = """
    SELECT scope_type, scope_name, municipality_id, NULL, valid_from, valid_to FROM maintenance_window
    WHERE valid_to > %(from)s
    UNION ALL
    SELECT 'asset', m.asset_id::text, a.municipality_id, m.rule, m.at, m.until
    FROM (SELECT asset_id, rule, at, least(valid_to, lead(at) OVER (PARTITION BY asset_id, rule ORDER BY rule_mute_id))
          AS until FROM rule_mute) AS m JOIN asset a USING (asset_id) WHERE m.until > greatest(m.at, %(from)s)
"""
_OVERRIDES = """
    SELECT o.rule, o.municipality_id, o.enabled, o.thresholds,
           CASE WHEN o.group_id IS NOT NULL THEN
               (SELECT coalesce(array_agg(asset_id), '{}') FROM asset_group_member m WHERE m.group_id = o.group_id) END
    FROM rule_override o
    ORDER BY o.group_id NULLS FIRST, o.rule_override_id
"""
_FAILED = "SELECT rule FROM rule_failure"
_CUSTOM = "SELECT custom_rule_id, municipality_id, text FROM custom_rule WHERE enabled ORDER BY 1"

_REPAIRS = "SELECT a.key, a.rule, a.scope_type, a.scope_name, a.municipality_id, {ms}"


async def read(connection: Connection, since: datetime) -> Judged:
    """Everything under one version; windows that ended before ``since`` are left out."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = await (await connection.execute("SELECT version FROM registry_version")).fetchone()
        assets = [
            AssetRow(
                asset_id=asset_id,
                municipality_id=owner,
                kind=kind,
                label=label,
                latitude=latitude,
                longitude=longitude,
                metadata=metadata,
                device_id=device_id,
            )
            for asset_id, owner, kind, label, latitude, longitude, metadata, device_id in await _all(
                connection, _ASSETS, None
            )
        ]
        windows = [
            Window(
                scope=Scope(type=type_, name=name, municipality_id=owner),
                rule=rule,
                from_ms=_ms(valid_from),
                to_ms=_ms(valid_to),
            )
            for type_, name, owner, rule, valid_from, valid_to in await _all(connection, _WINDOWS, {"from": since})
        ]
        overrides = [
            Override(
                rule=rule,
                municipality_id=owner,
                enabled=enabled,
                thresholds=thresholds,
                asset_ids=None if members is None else frozenset(members),
            )
            for rule, owner, enabled, thresholds, members in await _all(connection, _OVERRIDES, None)
        ]
        custom = [
            CustomRule(custom_rule_id=number, municipality_id=owner, text=text)
            for number, owner, text in await _all(connection, _CUSTOM, None)
        ]
        failed = frozenset(rule for (rule,) in await _all(connection, _FAILED, None))
    return Judged(
        version=row[0] if row else 0,
        assets=tuple(assets),
        windows=tuple(windows),
        overrides=tuple(overrides),
        custom_rules=tuple(custom),
        failed=failed,
    )


@dataclass(frozen=True, slots=True)
class Replayed:
    """One batch of history: what was committed together, and the moment at which it was judged."""

    batch_id: int
    at: datetime
    readings: list[Readings]
    statuses: list[DeviceStatus]
    repairs: list[Repair]
    """What the rules first heard of with this batch."""


async def last_batch(connection: Connection, slot_id: int) -> int:
    """The newest batch of the slot; 0 where there is none."""
    cursor = await connection.execute("SELECT coalesce(max(batch_id), 0) FROM batch WHERE slot_id = %s", [slot_id])
    row = await cursor.fetchone()
    return row[0] if row else 0


async def load_checkpoint(connection: Connection, slot_id: int) -> tuple[int, bytes] | None:
    """The batch that the newest checkpoint names, and the state; None where there is none."""
    cursor = await connection.execute("SELECT batch_id, state FROM rule_checkpoint WHERE slot_id = %s", [slot_id])
    row = await cursor.fetchone()
    return None if row is None else (row[0], bytes(row[1]))


async def save_checkpoint(connection: Connection, slot_id: int, batch_id: int, at: datetime, state: bytes) -> None:
    """Replace the slot's checkpoint."""
    await connection.execute(
        "INSERT INTO rule_checkpoint (slot_id, batch_id, at, state) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (slot_id) DO UPDATE SET batch_id = EXCLUDED.batch_id, at = EXCLUDED.at, state = EXCLUDED.state",
        [slot_id, batch_id, at, state],
    )


async def replay(connection: Connection, slot_id: int, after: int) -> AsyncIterator[Replayed]:
    """Every batch of the slot behind ``after``, in the order of their commits."""
    while True:
        cursor = await connection.execute(
            "SELECT batch_id, committed_at FROM batch WHERE slot_id = %s AND batch_id > %s ORDER BY batch_id LIMIT %s",
            [slot_id, after, REPLAY_BATCHES],
        )
        batches = await cursor.fetchall()
        if not batches:
            return
        last = batches[-1][0]
        found: dict[int, list[Readings]] = {batch_id: [] for batch_id, _ in batches}
        for kind in KINDS.values():
            await _collect(connection, kind, after, last, found)
        statuses = await _statuses(connection, after, last)
        told = await _told(connection, after, last)
        for batch_id, at in batches:
            yield Replayed(batch_id, at, found[batch_id], statuses.get(batch_id, []), told.get(batch_id, []))
        after = last


async def repairs(connection: Connection) -> list[Repair]:
    """What people have called fixed and the rules have not heard of yet."""
    cursor = await connection.execute(
        _REPAIRS.format(ms="floor(extract(epoch FROM a.fixed_at) * 1000)::bigint").encode()
        + b" FROM alert a WHERE a.state = 'fixed' AND a.fixed_at IS NOT NULL AND NOT EXISTS (SELECT FROM alert_event e"
        b" WHERE e.alert_id = a.alert_id AND e.step = 'proving' AND e.who = 'telemetry'"
        b" AND e.at = date_trunc('milliseconds', a.fixed_at)) ORDER BY a.alert_id"
    )
    return [_repair(row) async for row in cursor]


async def _told(connection: Connection, after: int, last: int) -> dict[int, list[Repair]]:
    cursor = await connection.execute(
        _REPAIRS.format(ms="round(extract(epoch FROM e.at) * 1000)::bigint").encode()
        + b", e.batch_id FROM alert_event e JOIN alert a USING (alert_id) WHERE e.step = 'proving'"
        b" AND e.who = 'telemetry' AND e.batch_id > %s AND e.batch_id <= %s ORDER BY a.alert_id, e.at",
        [after, last],
    )
    found: dict[int, list[Repair]] = {}
    async for row in cursor:
        found.setdefault(row[-1], []).append(_repair(row))
    return found


def _repair(row: Sequence[Any]) -> Repair:
    key, rule, type_, name, owner, fixed_ms = row[:6]
    scope = Scope(type=type_, name=name, municipality_id=owner)
    return Repair(key=key, rule=rule, scope=scope, fixed_ms=fixed_ms)


async def save_curves(connection: Connection, asset_id: Ints, curve: Floats, at: datetime) -> None:
    """Keep what lamps were seen to take; ``curve``: gain at the lowest and at full level, hours, rated power."""
    low, full, hours, rated = curve.T.tolist()
    await connection.execute(
        "INSERT INTO lamp_curve SELECT n.*, %s FROM unnest(%s::integer[], %s::real[], %s::real[], %s::real[],"
        " %s::real[]) AS n ON CONFLICT (asset_id) DO UPDATE SET gain_low = EXCLUDED.gain_low,"
        " gain_full = EXCLUDED.gain_full, lit_hours = EXCLUDED.lit_hours, rated_w = EXCLUDED.rated_w, at = EXCLUDED.at",
        [at, asset_id.tolist(), low, full, hours, rated],
    )


async def stretch(
    connection: Connection,
    kind: Kind,
    since: datetime,
    until: datetime,
    *,
    municipality_id: int | None = None,
    seen: bool = True,
) -> Readings | None:
    """All stored readings of a kind from a stretch of time, by their own time; None where there are none.

    With a municipality they are its own, and where they are to be ``seen``, as the principal of the connection may
    see them: ``kraj_api`` reads no tables.
    """
    if municipality_id is None:
        statement, given = _select(kind, "ts >= %s AND ts < %s", "ts, asset_id, seq"), [since, until]
    else:
        theirs = "ts >= %s AND ts < %s AND municipality_id = %s"
        statement = _select(kind, theirs, "ts, asset_id, seq", kind.reading_view if seen else kind.reading_table)
        given = [since, until, municipality_id]
    cursor = await connection.execute(statement, given)
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    return _readings(kind, np.array(rows, np.float64)) if rows else None


async def first(
    connection: Connection, municipality_id: int, since: datetime, until: datetime, *, seen: bool = True
) -> datetime | None:
    """When the first reading of a municipality within a stretch of time was taken; ``seen`` as of ``stretch``."""
    found: list[datetime] = []
    for kind in KINDS.values():
        table = kind.reading_view if seen else kind.reading_table
        statement = f"SELECT min(ts) FROM {table} WHERE ts >= %s AND ts < %s AND municipality_id = %s"  # noqa: S608
        cursor = await connection.execute(statement.encode(), [since, until, municipality_id])
        row = await cursor.fetchone()
        found += [row[0]] if row and row[0] is not None else []
    return min(found, default=None)


async def _collect(connection: Connection, kind: Kind, after: int, last: int, found: dict[int, list[Readings]]) -> None:
    cursor = await connection.execute(_select(kind, "batch_id > %s AND batch_id <= %s", "batch_id"), [after, last])
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    if not rows:
        return
    table = np.array(rows, np.float64)
    batch = table[:, 0].astype(np.int64)
    starts = np.flatnonzero(np.append(True, batch[1:] != batch[:-1]))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(batch)], strict=True):
        target = found.get(int(batch[start]))
        if target is not None:  # None: a batch of another slot
            target.append(_readings(kind, table[start:end]))


def _select(kind: Kind, condition: str, order: str, table: str = "") -> bytes:
    names = ["batch_id", "asset_id", "municipality_id", "(extract(epoch FROM ts) * 1000)::bigint", "seq", "boot"]
    cast = {column.name: column.sql for column in columns(kind)}
    names += [f"{m.name}::int" if cast[m.name] == "boolean" else m.name for m in kind.metrics]
    return f"SELECT {', '.join(names)} FROM {table or kind.reading_table} WHERE {condition} ORDER BY {order}".encode()  # noqa: S608


def _readings(kind: Kind, table: Floats) -> Readings:
    """Rows of ``_select`` as columns: every integer there is exact up to 2^53, and NULL is NaN."""
    boot = np.where(np.isnan(table[:, 5]), -1, table[:, 5])
    whole = [table[:, i].astype(np.int64) for i in range(1, 5)]
    none = np.zeros(len(table), np.int64)
    return Readings(kind, *whole, boot=boot.astype(np.int64), values=table[:, 6:], implausible=none, message=none)


async def _statuses(connection: Connection, after: int, last: int) -> dict[int, list[DeviceStatus]]:
    cursor = await connection.execute(
        "SELECT batch_id, device_id, received_at, body FROM device_event"
        " WHERE channel = 'status' AND batch_id > %s AND batch_id <= %s ORDER BY event_id",
        [after, last],
    )
    found: dict[int, list[DeviceStatus]] = {}
    async for batch_id, device_id, at, body in cursor:
        found.setdefault(batch_id, []).append(
            DeviceStatus(
                device_id=device_id,
                online=bool(body.get("online")),
                ts_ms=_ms(at),
                boot=body.get("boot"),
                reset=body.get("reset"),
            )
        )
    return found


async def _all(connection: Connection, statement: Any, parameters: Any) -> list[Any]:
    return await (await connection.execute(statement, parameters)).fetchall()


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
