"""Writing groups of assets, in sets, inside the caller's transaction.

A lamp is in one segment at most: whoever puts it into a second one, or makes a segment of a group that holds it, gets
psycopg's ``UniqueViolation`` of ``ONE_SEGMENT``; ``other_segment`` then tells which.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

Connection = psycopg.AsyncConnection[Any]

ONE_SEGMENT = "asset_group_member_segment"


async def add(connection: Connection, municipality_id: int, name: str, kind: str) -> int:
    """A new group; raises psycopg's ``UniqueViolation`` for a name that is taken there."""
    cursor = await connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (%s, %s, %s) RETURNING group_id",
        [municipality_id, name, kind],
    )
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.DataError("no group_id was returned")
    return row[0]


async def change(connection: Connection, group_id: int, version: int, *, name: str | None, kind: str | None) -> bool:
    """Another name or kind; False when somebody was faster."""
    cursor = await connection.execute(
        "UPDATE asset_group SET name = coalesce(%s, name), kind = coalesce(%s, kind)"
        " WHERE group_id = %s AND version = %s",
        [name, kind, group_id, version],
    )
    return cursor.rowcount == 1


async def remove(connection: Connection, group_id: int, version: int) -> bool:
    """False when somebody was faster; ``ForeignKeyViolation`` while a grant or an override names it."""
    await connection.execute("DELETE FROM asset_group_member WHERE group_id = %s", [group_id])
    cursor = await connection.execute(
        "DELETE FROM asset_group WHERE group_id = %s AND version = %s", [group_id, version]
    )
    return cursor.rowcount == 1


async def put_in(connection: Connection, group_id: int, asset_ids: Sequence[int]) -> list[int]:
    """Put assets of the group's own municipality in; gives those that are none of it, of which nothing is done."""
    await connection.execute(
        "INSERT INTO asset_group_member (group_id, asset_id) SELECT g.group_id, a.asset_id"
        " FROM asset_group g JOIN asset a USING (municipality_id) WHERE g.group_id = %s AND a.asset_id = ANY (%s)"
        " ON CONFLICT (group_id, asset_id) DO NOTHING",
        [group_id, list(asset_ids)],
    )
    cursor = await connection.execute(
        "SELECT n.asset_id FROM unnest(%s::int[]) AS n(asset_id)"
        " WHERE NOT EXISTS (SELECT FROM asset_group_member m WHERE m.group_id = %s AND m.asset_id = n.asset_id)",
        [list(asset_ids), group_id],
    )
    return [asset_id for (asset_id,) in await cursor.fetchall()]


async def put_in_where(connection: Connection, group_id: int, attributes: Mapping[str, Any]) -> int:
    """Put in what has these attributes now; how many there are."""
    cursor = await connection.execute(
        "INSERT INTO asset_group_member (group_id, asset_id) SELECT g.group_id, a.asset_id"
        " FROM asset_group g JOIN asset a USING (municipality_id)"
        " WHERE g.group_id = %s AND a.retired_at IS NULL AND a.metadata @> %s"
        " ON CONFLICT (group_id, asset_id) DO NOTHING",
        [group_id, Jsonb(dict(attributes))],
    )
    return cursor.rowcount


async def other_segment(
    connection: Connection, group_id: int, asset_ids: Sequence[int] = (), attributes: Mapping[str, Any] | None = None
) -> tuple[str, str]:
    """Of these assets, those with these attributes, and the group's own, one that another segment holds: its label, and
    that segment's name."""
    cursor = await connection.execute(
        "SELECT a.label, o.name FROM asset_group_member m JOIN asset_group o USING (group_id)"
        " JOIN asset a USING (asset_id) WHERE o.kind = 'segment' AND o.group_id <> %(group)s"
        " AND (a.asset_id = ANY (%(assets)s) OR a.metadata @> %(where)s"
        " OR a.asset_id IN (SELECT asset_id FROM asset_group_member WHERE group_id = %(group)s))"
        " ORDER BY 1 LIMIT 1",
        {
            "group": group_id,
            "assets": list(asset_ids),
            "where": None if attributes is None else Jsonb(dict(attributes)),
        },
    )
    return await cursor.fetchone() or ("", "")


async def within(connection: Connection, group_id: int, asset_ids: Sequence[int]) -> set[int]:
    """Those of these assets that are in the group."""
    cursor = await connection.execute(
        "SELECT asset_id FROM asset_group_member WHERE group_id = %s AND asset_id = ANY (%s)",
        [group_id, list(asset_ids)],
    )
    return {asset_id for (asset_id,) in await cursor.fetchall()}


async def take_out(connection: Connection, group_id: int, asset_ids: Sequence[int]) -> None:
    """Take assets out; those that are not in are left alone."""
    await connection.execute(
        "DELETE FROM asset_group_member WHERE group_id = %s AND asset_id = ANY (%s)", [group_id, list(asset_ids)]
    )
