"""What was: labels that an asset had, devices that served it, and the life of a device."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]
ROWS_MAX = 500
"""The newest; a lamp has a handful in its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """A label that an asset had, until when."""

    label: str
    valid_to: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRow:
    """A device that serves, or served, an asset; its name is None where it is no device of ours to see."""

    asset_id: int
    label: str | None
    kind: str | None
    device: str | None
    channel: int
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeRow:
    """A step of a device's life."""

    at: datetime
    step: str
    state: str
    who: str
    reason: str
    detail: dict[str, Any]


async def labels(connection: Connection, asset_id: int) -> list[LabelRow]:
    """Old labels, the newest first."""
    async with connection.cursor(row_factory=class_row(LabelRow)) as cursor:
        await cursor.execute(
            "SELECT label, valid_to FROM asset_label WHERE asset_id = %s ORDER BY asset_label_id DESC LIMIT %s",
            [asset_id, ROWS_MAX],
        )
        return await cursor.fetchall()


_INSTALLED = """
    SELECT i.asset_id, a.label, a.kind, d.name AS device, i.channel, i.valid_from, i.valid_to
    FROM installed i LEFT JOIN asset a USING (asset_id) LEFT JOIN device d USING (device_id)
"""


async def installed_on(connection: Connection, asset_id: int) -> list[InstalledRow]:
    """Which devices served an asset, the newest first."""
    async with connection.cursor(row_factory=class_row(InstalledRow)) as cursor:
        await cursor.execute(
            f"{_INSTALLED} WHERE i.asset_id = %s ORDER BY i.valid_from DESC LIMIT {ROWS_MAX}".encode(), [asset_id]
        )
        return await cursor.fetchall()


async def served_by(connection: Connection, device_id: int) -> list[InstalledRow]:
    """Which assets a device served, the newest first."""
    async with connection.cursor(row_factory=class_row(InstalledRow)) as cursor:
        await cursor.execute(
            f"{_INSTALLED} WHERE i.device_id = %s ORDER BY i.valid_from DESC, i.channel LIMIT {ROWS_MAX}".encode(),
            [device_id],
        )
        return await cursor.fetchall()


async def life(connection: Connection, device_id: int) -> list[LifeRow]:
    """What happened to a device, the newest first."""
    async with connection.cursor(row_factory=class_row(LifeRow)) as cursor:
        await cursor.execute(
            "SELECT at, step, state, who, reason, detail FROM device_life WHERE device_id = %s"
            " ORDER BY device_life_id DESC LIMIT %s",
            [device_id, ROWS_MAX],
        )
        return await cursor.fetchall()
