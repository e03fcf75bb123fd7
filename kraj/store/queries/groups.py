"""Groups of assets, their members, and what hangs together by attributes."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group, how many members of it may be seen, and whether the principal may change it."""

    group_id: int
    municipality_id: int
    municipality: str
    name: str
    kind: str
    version: int
    assets: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedRow:
    """Assets of one municipality that share a value of an attribute."""

    municipality: str
    name: str
    assets: int


_GROUPS = """
    SELECT g.group_id, g.municipality_id, m.name AS municipality, g.name, g.kind, g.version,
           (SELECT count(*) FROM asset_group_member o JOIN asset a USING (asset_id)
            WHERE o.group_id = g.group_id AND a.retired_at IS NULL)::integer AS assets,
           g.municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[]) AS writable
    FROM asset_group g JOIN municipality m USING (municipality_id)
"""


async def groups(
    connection: Connection, *, municipality: str | None, kind: str | None, after: int, limit: int
) -> list[GroupRow]:
    """Groups by id, behind ``after``."""
    where = """
        WHERE g.group_id > %(after)s AND (%(municipality)s::text IS NULL OR m.name = %(municipality)s)
          AND (%(kind)s::text IS NULL OR g.kind = %(kind)s)
        ORDER BY g.group_id LIMIT %(limit)s
    """
    async with connection.cursor(row_factory=class_row(GroupRow)) as cursor:
        await cursor.execute(
            (_GROUPS + where).encode(), {"municipality": municipality, "kind": kind, "after": after, "limit": limit}
        )
        return await cursor.fetchall()


async def group(connection: Connection, group_id: int) -> GroupRow | None:
    """One group."""
    async with connection.cursor(row_factory=class_row(GroupRow)) as cursor:
        await cursor.execute(f"{_GROUPS} WHERE g.group_id = %s".encode(), [group_id])
        return await cursor.fetchone()


async def connected(
    connection: Connection, attribute: str, *, municipality: str | None, after: tuple[str, str], limit: int
) -> list[ConnectedRow]:
    """By municipality and value, behind ``after``: every feeder, every cabinet, with how many assets hang on it."""
    async with connection.cursor(row_factory=class_row(ConnectedRow)) as cursor:
        await cursor.execute(
            "SELECT m.name AS municipality, a.metadata->>%(attribute)s AS name, count(*)::integer AS assets"
            " FROM asset a JOIN municipality m USING (municipality_id)"
            " WHERE a.retired_at IS NULL AND a.metadata->>%(attribute)s IS NOT NULL"
            "  AND (%(municipality)s::text IS NULL OR m.name = %(municipality)s)"
            "  AND (m.name, a.metadata->>%(attribute)s) > (%(town)s, %(value)s)"
            " GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s",
            {
                "attribute": attribute,
                "municipality": municipality,
                "town": after[0],
                "value": after[1],
                "limit": limit,
            },
        )
        return await cursor.fetchall()
