"""Photos of work orders, and whom a work order can be given to."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from kraj.store.connection import Connection

PEOPLE_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRow:
    """A photo without its content."""

    alert_photo_id: int
    at: datetime
    who: str
    media_type: str
    width: int
    height: int
    size: int


async def photos(connection: Connection, alert_id: int) -> list[PhotoRow]:
    """The photos of an alert, the first first."""
    async with connection.cursor(row_factory=class_row(PhotoRow)) as cursor:
        await cursor.execute(
            "SELECT alert_photo_id, at, who, media_type, width, height, length(content) AS size FROM alert_photo"
            " WHERE alert_id = %s ORDER BY alert_photo_id",
            [alert_id],
        )
        return await cursor.fetchall()


async def photo(connection: Connection, alert_id: int, number: int) -> tuple[str, bytes] | None:
    """A photo's media type and content."""
    cursor = await connection.execute(
        "SELECT media_type, content FROM alert_photo WHERE alert_id = %s AND alert_photo_id = %s", [alert_id, number]
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], bytes(row[1]))


async def add_photo(
    connection: Connection,
    alert_id: int,
    *,
    media_type: str,
    width: int,
    height: int,
    content: bytes,
    who: str,
    at: datetime,
) -> int:
    """Keep a photo; its number."""
    cursor = await connection.execute(
        "INSERT INTO alert_photo (alert_id, at, who, media_type, width, height, content)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING alert_photo_id",
        [alert_id, at, who, media_type, width, height, content],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def drop_photo(connection: Connection, alert_id: int, number: int) -> bool:
    """Take a photo away; False when it is not there."""
    cursor = await connection.execute(
        "DELETE FROM alert_photo WHERE alert_id = %s AND alert_photo_id = %s", [alert_id, number]
    )
    return cursor.rowcount == 1


async def crew(connection: Connection, alert_id: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Who may work on an alert: (person, title) and (team, name), as far as the principal may hand it on."""
    found: list[list[tuple[int, str]]] = []
    for name in ("kraj_crew", "kraj_crew_teams"):
        cursor = await connection.execute(
            f"SELECT c.* FROM alert a, {name}(a.municipality_id) c WHERE a.alert_id = %s"  # noqa: S608
            " ORDER BY 2 LIMIT %s".encode(),
            [alert_id, PEOPLE_MAX],
        )
        found.append([(number, title) async for number, title in cursor])
    return found[0], found[1]


async def may_act(connection: Connection, alert_id: int) -> bool:
    """Whether the principal may work on an alert that it sees."""
    cursor = await connection.execute(
        "SELECT a.municipality_id = ANY (kraj_municipalities('act')) OR a.asset_id = ANY (kraj_assets('act'))"
        " OR a.municipality_id IS NULL AND kraj_region('act') FROM alert a WHERE a.alert_id = %s",
        [alert_id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
