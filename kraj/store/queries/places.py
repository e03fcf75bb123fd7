"""Where things are: what stands within a box, and a place that somebody names in words."""

from typing import Any

import psycopg

from kraj.store.queries.alerts import Box
from kraj.store.queries.registry import folded, folded_sql, literally

Connection = psycopg.AsyncConnection[Any]

_PLACED = "latitude IS NOT NULL AND longitude IS NOT NULL"
_NAMED = tuple(
    statement.replace("PLACED", _PLACED).replace("WRITTEN", folded_sql(column))
    for column, statement in (
        (
            "label",
            "SELECT label, latitude, longitude FROM asset WHERE PLACED AND WRITTEN = %(text)s"
            " ORDER BY asset_id LIMIT 1",
        ),
        (
            "m.title",
            "SELECT m.title, avg(latitude), avg(longitude) FROM municipality m JOIN asset"
            " USING (municipality_id) WHERE PLACED AND WRITTEN LIKE %(start)s GROUP BY m.municipality_id, m.title"
            " ORDER BY length(m.title), m.title LIMIT 1",
        ),
        (
            "metadata->>'street'",
            "SELECT metadata->>'street' || ', ' || m.title, avg(latitude), avg(longitude)"
            " FROM asset JOIN municipality m USING (municipality_id) WHERE PLACED AND WRITTEN LIKE %(start)s"
            " GROUP BY metadata->>'street', m.title ORDER BY count(*) DESC, 1 LIMIT 1",
        ),
        (
            "label",
            "SELECT label, latitude, longitude FROM asset WHERE PLACED AND WRITTEN LIKE %(within)s"
            " ORDER BY length(label), asset_id LIMIT 1",
        ),
    )
)
"""The label of an asset, a municipality, a street, a part of a label: the first that is found."""


async def named(connection: Connection, text: str) -> tuple[str, float, float] | None:
    """What somebody may mean by a text: its name, latitude and longitude."""
    wanted = literally(folded(text))
    given = {"text": folded(text), "start": f"{wanted}%", "within": f"%{wanted}%"}
    for statement in _NAMED:
        row = await (await connection.execute(statement.encode(), given)).fetchone()
        if row is not None:
            return row[0], row[1], row[2]
    return None


async def surroundings(connection: Connection, box: Box, limit: int) -> list[tuple[float, float]]:
    """Where assets stand within a box: what a map shows behind its marks."""
    cursor = await connection.execute(
        "SELECT latitude, longitude FROM asset WHERE latitude BETWEEN %s AND %s AND longitude BETWEEN %s AND %s"
        " AND retired_at IS NULL LIMIT %s",
        [box[0], box[2], box[1], box[3], limit],
    )
    return [(latitude, longitude) async for latitude, longitude in cursor]
