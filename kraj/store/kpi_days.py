"""What the day step of KPIs reads and writes: the calendar, quarter-hours of roofs and stops, days of the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from kraj.assets import AssetRow
from kraj.kinds import KINDS
from kraj.kinds.stop import USB_PORTS

Connection = psycopg.AsyncConnection[Any]

TABLES: Final = ("asset_day", "lamp_day", "solar_day", "stop_day")
EDITION: Final = 2
"""Raised whenever the day step computes something new: days of an earlier edition are made anew."""
AFTER: Final = timedelta(hours=3)
EVERY: Final = timedelta(hours=1)
"""A day to which something comes all the time is made again no more often."""
USABLE: Final = ("idle", "charging")
"""States of a charging port that somebody may use."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of Prague; ``readings`` are those of its rollups. It is made once more when it is well over (``until``), as
    the first readings behind midnight tell of its end."""

    begins: datetime
    ends: datetime
    until: datetime
    readings: int

    @property
    def over(self) -> bool:
        return self.until >= self.ends + AFTER


async def waiting(connection: Connection, since: datetime, now: datetime) -> list[Day]:
    """Days from the first rollup behind ``since`` on that are not made of all that is rolled up of them by now, the
    oldest first; those that were made lately wait."""
    rolled = " UNION ALL ".join(
        f"SELECT bucket, readings FROM rollup_{kind}_1d WHERE bucket >= %(since)s"  # noqa: S608 - kinds
        for kind in KINDS
    )
    statement = f"""
        WITH rolled AS (
            SELECT bucket, sum(readings)::bigint AS readings FROM ({rolled}) r GROUP BY 1),
        days AS (SELECT day::timestamp AT TIME ZONE 'Europe/Prague' AS begins,
                        (day::timestamp + interval '1 day') AT TIME ZONE 'Europe/Prague' AS ends
                 FROM generate_series((SELECT (min(bucket) AT TIME ZONE 'Europe/Prague')::date FROM rolled),
                                      (%(now)s AT TIME ZONE 'Europe/Prague')::date, '1 day') AS day),
        found AS (SELECT d.begins, d.ends, least(d.ends + %(after)s, %(now)s) AS until,
                         coalesce(r.readings, 0) AS readings
                  FROM days d LEFT JOIN rolled r ON r.bucket = d.begins)
        SELECT f.begins, f.ends, f.until, f.readings FROM found f LEFT JOIN kpi_day k ON k.bucket = f.begins
        WHERE (k.readings, k.until) IS DISTINCT FROM (f.readings, f.until)
            AND (k.made_at IS NULL OR k.made_at <= %(now)s - %(every)s) ORDER BY 1
    """  # noqa: S608 - kinds
    async with connection.cursor(row_factory=class_row(Day)) as cursor:
        await cursor.execute(statement.encode(), {"since": since, "now": now, "after": AFTER, "every": EVERY})
        return await cursor.fetchall()


async def outdated(connection: Connection, now: datetime, limit: int) -> list[Day]:
    """Days of an earlier edition, the newest first, as long as every municipality's readings and quarter-hours of them
    are kept: what is gone cannot be computed again, and what was computed of it stays."""
    async with connection.cursor(row_factory=class_row(Day)) as cursor:
        await cursor.execute(
            "SELECT bucket AS begins, ((bucket AT TIME ZONE 'Europe/Prague')::date + 1)::timestamp AT TIME ZONE"
            " 'Europe/Prague' AS ends, until, readings FROM kpi_day WHERE edition < %s AND bucket >"
            " %s - coalesce((SELECT min(least(raw_days, quarter_days)) FROM retention) - 8, 32000) * interval '1 day'"
            " ORDER BY bucket DESC LIMIT %s",
            [EDITION, now, limit],
        )
        return await cursor.fetchall()


async def note(connection: Connection, day: Day, now: datetime) -> None:
    """The day is made of what was there."""
    await connection.execute(
        "INSERT INTO kpi_day (bucket, readings, until, made_at, edition) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (bucket) DO UPDATE SET readings = excluded.readings, until = excluded.until,"
        " made_at = excluded.made_at, edition = excluded.edition",
        [day.begins, day.readings, day.until, now, EDITION],
    )


async def calendar(connection: Connection, day: Day) -> None:
    """Who was to be heard on the day, and for how long; silent ones stay whose they were at first."""
    rolled = " UNION ALL ".join(
        f"SELECT asset_id, municipality_id FROM rollup_{kind}_1d WHERE bucket = %(begins)s"  # noqa: S608 - kinds
        for kind in KINDS
    )
    statement = f"""
        WITH kept AS (DELETE FROM asset_day WHERE bucket = %(begins)s RETURNING asset_id, municipality_id),
        there AS (
            SELECT asset_id, sum(extract(epoch FROM least(coalesce(valid_to, %(until)s), %(until)s)
                                         - greatest(valid_from, %(begins)s))) AS due_s
            FROM installed WHERE valid_from < %(until)s AND coalesce(valid_to, 'infinity') > %(begins)s GROUP BY 1),
        rolled AS ({rolled})
        SELECT t.asset_id, coalesce(r.municipality_id, (SELECT min(k.municipality_id) FROM kept k
                                                        WHERE k.asset_id = t.asset_id), a.municipality_id), a.kind,
               t.due_s / count(*) OVER (PARTITION BY t.asset_id)
        FROM there t JOIN asset a USING (asset_id) LEFT JOIN rolled r USING (asset_id)
        WHERE a.retired_at IS NULL OR a.retired_at > %(begins)s
    """  # noqa: S608 - kinds
    cursor = await connection.execute(statement.encode(), {"begins": day.begins, "until": min(day.until, day.ends)})
    rows = await cursor.fetchall()
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO asset_day (bucket, asset_id, municipality_id, kind, due_s) VALUES (%s, %s, %s, %s, %s)",
            [(day.begins, *row) for row in rows],
        )


async def stops(connection: Connection, day: Day) -> None:
    """The day of stops, by their quarter-hours; their light is worked out besides (``lights``)."""
    codes = {name: n for n, name in enumerate(KINDS["stop"].by_name["usb1_state"].states)}
    usable = ", ".join(str(codes[name]) for name in USABLE)
    up = " + ".join(f"coalesce((r.usb{n}_state IN ({usable}))::integer, 0)" for n in USB_PORTS)
    known = " + ".join(f"(r.usb{n}_state IS NOT NULL)::integer" for n in USB_PORTS)
    statement = f"""
        INSERT INTO stop_day
        SELECT %(begins)s, r.asset_id, r.municipality_id,
            coalesce(sum(r.covered_s * coalesce(r.display_refresh_ok, 1))
                FILTER (WHERE r.display_content_age_s <= 2 * i.interval_s), 0),
            coalesce(sum(r.covered_s) FILTER (WHERE r.display_content_age_s IS NOT NULL), 0),
            sum(r.covered_s * ({up})), sum(r.covered_s * ({known}))
        FROM rollup_stop_15m r JOIN asset a ON a.asset_id = r.asset_id
        CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(a.metadata->'display_interval_s') WHEN 'number'
            THEN (a.metadata->>'display_interval_s')::float8 ELSE 300 END AS interval_s) i
        WHERE r.bucket >= %(begins)s AND r.bucket < %(ends)s GROUP BY r.asset_id, r.municipality_id
    """  # noqa: S608 - numbers of ports
    await connection.execute("DELETE FROM stop_day WHERE bucket = %s", [day.begins])
    await connection.execute(statement.encode(), {"begins": day.begins, "ends": day.ends})


async def lights(connection: Connection, day: Day) -> list[tuple[Any, ...]]:
    """Stops of the day with a place, and what they told of their light: asset, owner, latitude, longitude, number of
    the quarter of the day (None: silent all day), mean level (None: unknown), seconds covered; by asset and owner."""
    cursor = await connection.execute(
        "SELECT d.asset_id, d.municipality_id, a.latitude, a.longitude,"
        " (extract(epoch FROM r.bucket - %(begins)s) / 900)::integer, r.light_level_pct, r.covered_s"
        " FROM asset_day d JOIN asset a ON a.asset_id = d.asset_id"
        " LEFT JOIN rollup_stop_15m r ON r.asset_id = d.asset_id AND r.municipality_id = d.municipality_id"
        " AND r.bucket >= %(begins)s AND r.bucket < %(ends)s"
        " WHERE d.bucket = %(begins)s AND d.kind = 'stop' AND a.latitude IS NOT NULL AND a.longitude IS NOT NULL"
        " ORDER BY 1, 2",
        {"begins": day.begins, "ends": day.ends},
    )
    return await cursor.fetchall()


async def lit(connection: Connection, day: Day, rows: Sequence[tuple[int, int, float, float, float]]) -> None:
    """Keep of stops (asset, owner) for how long they were lit, known, and in the dark; silent ones get a row, too."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO stop_day AS k (bucket, asset_id, municipality_id, display_true_s, display_known_s, usb_up_s,"
            " usb_known_s, light_lit_s, light_known_s, dark_s) VALUES (%s, %s, %s, 0, 0, 0, 0, %s, %s, %s)"
            " ON CONFLICT (asset_id, bucket, municipality_id) DO UPDATE SET light_lit_s = excluded.light_lit_s,"
            " light_known_s = excluded.light_known_s, dark_s = excluded.dark_s",
            [(day.begins, *row) for row in rows],
        )


async def lamps(connection: Connection, day: Day) -> dict[int, int]:
    """Lamps of the day with their owner; of two owners the one who has it now."""
    return {asset: town for asset, town, *_ in await _assets(connection, day, "lamp")}


async def roofs(connection: Connection, day: Day) -> list[AssetRow]:
    """Roofs of the day, as the registry knows them, in the order of their numbers."""
    return [
        AssetRow(
            asset_id=asset,
            municipality_id=town,
            kind="solar",
            label=label,
            latitude=latitude,
            longitude=longitude,
            metadata=metadata,
        )
        for asset, town, label, latitude, longitude, metadata in await _assets(connection, day, "solar")
    ]


async def _assets(connection: Connection, day: Day, kind: str) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT DISTINCT ON (d.asset_id) d.asset_id, d.municipality_id, a.label, a.latitude, a.longitude, a.metadata"
        " FROM asset_day d JOIN asset a ON a.asset_id = d.asset_id WHERE d.bucket = %s AND d.kind = %s"
        " ORDER BY d.asset_id, (d.municipality_id = a.municipality_id) DESC",
        [day.begins, kind],
    )
    return await cursor.fetchall()


async def quarters(connection: Connection, day: Day) -> list[tuple[int, int, float, float, float, float]]:
    """Roofs' quarter-hours: asset, number of the quarter of the day, mean power, irradiance and module temperature
    (NaN: unknown), seconds covered."""
    cursor = await connection.execute(
        "SELECT asset_id, (extract(epoch FROM bucket - %(begins)s) / 900)::integer, coalesce(power_w, 'NaN'),"
        " coalesce(irradiance_w_per_m2, 'NaN'), coalesce(module_temp_degc, 'NaN'), covered_s FROM rollup_solar_15m"
        " WHERE bucket >= %(begins)s AND bucket < %(ends)s",
        {"begins": day.begins, "ends": day.ends},
    )
    return await cursor.fetchall()


async def segments(connection: Connection) -> list[tuple[int, int]]:
    """Segments with their municipality, by number: a lamp of several counts to the first."""
    cursor = await connection.execute(
        "SELECT group_id, municipality_id FROM asset_group WHERE kind = 'segment' ORDER BY 1"
    )
    return await cursor.fetchall()


async def places(connection: Connection, assets: Sequence[int]) -> list[tuple[Any, ...]]:
    """Number, label, place and metadata of lamps, by number."""
    cursor = await connection.execute(
        "SELECT asset_id, label, latitude, longitude, metadata FROM asset WHERE asset_id = ANY (%s) ORDER BY 1",
        [list(assets)],
    )
    return await cursor.fetchall()


async def replace(connection: Connection, table: str, day: Day, names: Sequence[str], rows: Sequence[Any]) -> None:
    """Write a table's rows of a day, which begin with ``bucket``, in place of those that were there."""
    if table not in TABLES:
        raise ValueError(table)
    await connection.execute(f"DELETE FROM {table} WHERE bucket = %s".encode(), [day.begins])  # noqa: S608 - from TABLES
    copy = f"COPY {table} (bucket, {', '.join(names)}) FROM STDIN".encode()
    async with connection.cursor() as cursor, cursor.copy(copy) as writer:
        for row in rows:
            await writer.write_row((day.begins, *row))
