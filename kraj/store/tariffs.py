"""Prices and CO2 factors: versions that are declared and withdrawn, never changed; what holds on a day."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row

from kraj.tariffs import Co2Factor, Direction, Tariff

Connection = psycopg.AsyncConnection[Any]

_TARIFF = (
    "SELECT t.tariff_id, m.name AS municipality, m.title AS municipality_title, t.name, t.direction, t.czk_per_kwh,"
    " t.valid_from, t.valid_until, t.asset_id, a.label AS asset, t.group_id, g.name AS group, t.source, t.who, t.at,"
    " t.withdrawn_at, t.withdrawn_why FROM tariff t JOIN municipality m USING (municipality_id)"
    " LEFT JOIN asset a ON a.asset_id = t.asset_id LEFT JOIN asset_group g ON g.group_id = t.group_id "
)
_FACTOR = (
    "SELECT c.co2_factor_id, m.name AS municipality, m.title AS municipality_title, c.g_per_kwh, c.valid_from,"
    " c.source, c.who, c.at FROM co2_factor c LEFT JOIN municipality m USING (municipality_id) "
)


async def town(connection: Connection, name: str) -> tuple[int, str, bool] | None:
    """A municipality's number and title, and whether the principal may write its prices and meters."""
    return await _one(
        connection,
        "SELECT municipality_id, title, municipality_id = ANY (kraj_municipalities('register')"
        " || kraj_municipalities('control')) FROM municipality WHERE name = %s",
        [name],
    )


async def may_anywhere(connection: Connection) -> tuple[list[tuple[str, str]], bool]:
    """Names and titles of the municipalities where the principal may write, and whether it may in the region."""
    cursor = await connection.execute(
        "SELECT name, title FROM municipality WHERE municipality_id = ANY ((SELECT kraj_municipalities('register')"
        " || kraj_municipalities('control'))::integer[]) ORDER BY title"
    )
    towns = await cursor.fetchall()
    row = await _one(connection, "SELECT kraj_region('register') OR kraj_region('control')", [])
    return towns, bool(row and row[0])


async def tariffs(connection: Connection, *, municipality: str | None, after: int, limit: int) -> list[Tariff]:
    """Versions by number, the withdrawn ones too."""
    where = " AND m.name = %(town)s" if municipality else ""
    return await _tariffs(
        connection,
        f"WHERE t.tariff_id > %(after)s{where} ORDER BY t.tariff_id LIMIT %(limit)s",
        {"town": municipality, "after": after, "limit": limit},
    )


async def tariff(connection: Connection, number: int) -> Tariff | None:
    """One version."""
    found = await _tariffs(connection, "WHERE t.tariff_id = %(number)s", {"number": number})
    return found[0] if found else None


async def declare(
    connection: Connection,
    municipality_id: int,
    *,
    name: str,
    direction: Direction,
    czk_per_kwh: Decimal,
    valid_from: date,
    valid_until: date | None,
    asset_id: int | None,
    group_id: int | None,
    source: str,
    who: str,
    at: datetime,
) -> int:
    """A new version; an earlier one of its scope that was to hold until further notice ends the day before.

    Raises psycopg's ``ExclusionViolation`` where versions would overlap, ``ForeignKeyViolation`` where the asset or
    group is not the municipality's.
    """
    await connection.execute(
        "UPDATE tariff SET valid_until = %(since)s::date - 1 WHERE municipality_id = %(town)s AND direction = %(way)s"
        " AND asset_id IS NOT DISTINCT FROM %(asset)s::integer AND group_id IS NOT DISTINCT FROM %(group)s::integer"
        " AND valid_until IS NULL AND withdrawn_at IS NULL AND valid_from < %(since)s",
        {"since": valid_from, "town": municipality_id, "way": direction, "asset": asset_id, "group": group_id},
    )
    row = await _one(
        connection,
        "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, valid_until, asset_id,"
        " group_id, source, who, at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING tariff_id",
        [municipality_id, name, direction, czk_per_kwh, valid_from, valid_until, asset_id, group_id, source, who, at],
    )
    return row[0]


async def withdraw(connection: Connection, number: int, why: str, at: datetime) -> bool:
    """Let a version hold no more, for any day; False where it was withdrawn before or may not be by this principal."""
    cursor = await connection.execute(
        "UPDATE tariff SET withdrawn_at = %s, withdrawn_why = %s WHERE tariff_id = %s AND withdrawn_at IS NULL",
        [at, why, number],
    )
    return cursor.rowcount == 1


async def price(
    connection: Connection, municipality_id: int, asset_id: int | None, day: date, direction: Direction
) -> Decimal | None:
    """CZK a kWh on a day; None in a gap."""
    row = await _one(
        connection,
        "SELECT price_czk_per_kwh(%s, %s::integer, %s, %s)",
        [municipality_id, asset_id, day, direction],
    )
    return row[0]


async def factors(connection: Connection, *, municipality: str | None, after: int, limit: int) -> list[Co2Factor]:
    """Declared factors by number: a municipality's own, else all with the region's."""
    where = " AND m.name = %(town)s" if municipality else ""
    async with connection.cursor(row_factory=class_row(Co2Factor)) as cursor:
        await cursor.execute(
            (_FACTOR + f"WHERE c.co2_factor_id > %(after)s{where} ORDER BY c.co2_factor_id LIMIT %(limit)s").encode(),
            {"town": municipality, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def declare_factor(
    connection: Connection,
    municipality_id: int | None,
    *,
    g_per_kwh: Decimal,
    valid_from: date,
    source: str,
    who: str,
    at: datetime,
) -> int:
    """A new factor, which takes the place of earlier ones from its day on."""
    row = await _one(
        connection,
        "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING co2_factor_id",
        [municipality_id, g_per_kwh, valid_from, source, who, at],
    )
    return row[0]


async def co2(connection: Connection, municipality_id: int, day: date) -> Decimal | None:
    """Grams of CO2 a kWh on a day; None where nothing was declared."""
    row = await _one(connection, "SELECT co2_g_per_kwh(%s, %s)", [municipality_id, day])
    return row[0]


async def _tariffs(connection: Connection, where: str, given: dict[str, Any]) -> list[Tariff]:
    async with connection.cursor(row_factory=class_row(Tariff)) as cursor:
        await cursor.execute((_TARIFF + where).encode(), given)
        return await cursor.fetchall()


async def _one(connection: Connection, statement: str, given: Sequence[Any]) -> Any:
    return await (await connection.execute(statement.encode(), given)).fetchone()
