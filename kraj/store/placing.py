"""Where things stand, for choosing the place of another: assets of a municipality, middles of all."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An asset that has a place (WGS 84)."""

    label: str
    kind: str
    latitude: float
    longitude: float


async def placed(connection: Connection, town: str, limit: int) -> list[Placed]:
    """Assets of a municipality as the principal sees them, the newest first."""
    async with connection.cursor(row_factory=class_row(Placed)) as cursor:
        await cursor.execute(
            "SELECT a.label, a.kind, a.latitude, a.longitude FROM asset a JOIN municipality m USING (municipality_id)"
            " WHERE m.name = %s AND a.retired_at IS NULL AND a.latitude IS NOT NULL AND a.longitude IS NOT NULL"
            " ORDER BY a.asset_id DESC LIMIT %s",
            [town, limit],
        )
        return await cursor.fetchall()


async def middles(connection: Connection) -> list[tuple[str, float, float]]:
    """Title, latitude and longitude of the published municipalities that have something."""
    cursor = await connection.execute(
        "SELECT title, latitude, longitude FROM public_town WHERE latitude IS NOT NULL ORDER BY title"
    )
    return await cursor.fetchall()


async def labelled(connection: Connection, town: str, kind: str, label: str) -> int | None:
    """The asset of a municipality with this kind and label, by whatever case; retired ones have given theirs up."""
    cursor = await connection.execute(
        "SELECT a.asset_id FROM asset a JOIN municipality m USING (municipality_id)"
        " WHERE m.name = %s AND a.kind = %s AND lower(a.label) = lower(%s) AND a.retired_at IS NULL LIMIT 1",
        [town, kind, label.strip()],
    )
    row = await cursor.fetchone()
    return row and row[0]
