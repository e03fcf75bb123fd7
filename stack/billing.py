"""What an energy manager finds in a demo: buildings, prices, a CO2 factor, and a sharing group's quarter-hours.

All of it is invented and says so. The quarter-hours are the simulated meters' own, through the reader of real files.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import psycopg

from kraj.importing import quarters
from kraj.importing.quarters import Given
from kraj.kinds import KINDS
from kraj.meters import CZECH_PREFIX, QUARTER_S, ZONE
from kraj.readings import Floats, Ints
from kraj.store import meters, tariffs
from kraj.store.meters import NewImport
from kraj.tariffs import DIRECTIONS

Connection = psycopg.AsyncConnection[Any]

PRICES: Final = {"import": Decimal("4.35"), "export": Decimal("1.20")}
CO2_G_PER_KWH: Final = Decimal(400)
SOURCE: Final = "Ukázka: smyšlená hodnota"
WHO: Final = "Jana Dvořáková"
STOPS: Final = "Zastávky"
BUILDINGS: Final = """
WITH of AS (
    SELECT municipality_id, CASE kind WHEN 'solar' THEN coalesce(metadata->>'site', label) ELSE %(stops)s END AS name,
        CASE kind WHEN 'solar' THEN 'site' ELSE 'list' END AS kind, asset_id
    FROM asset WHERE kind IN ('solar', 'stop') AND retired_at IS NULL
), made AS (
    INSERT INTO asset_group (municipality_id, name, kind) SELECT DISTINCT municipality_id, name, kind FROM of
    ON CONFLICT DO NOTHING RETURNING group_id, municipality_id, name
)
INSERT INTO asset_group_member (group_id, asset_id) SELECT group_id, asset_id FROM made JOIN of
    USING (municipality_id, name)
"""
"""A group of each building's roofs, and one of a town's stops."""
METERED: Final = ("import_energy_wh", "export_energy_wh")


@dataclass(frozen=True, slots=True)
class _Roof:
    """A roof whose building has a meter, and what was imported and exported up to each edge of quarter-hours."""

    asset_id: int
    label: str
    ean: str
    imported_wh: Floats
    exported_wh: Floats


def bill(url: str, begins: datetime, until: datetime) -> int:
    """Declare prices, and take over what distributors say of the time; only in a demo that has no prices yet.

    Gives the number of quarter-hours that were taken over.
    """
    return asyncio.run(_bill(url, begins, until))


async def _bill(url: str, begins: datetime, until: datetime) -> int:
    async with await psycopg.AsyncConnection[Any].connect(url, prepare_threshold=None) as connection:
        if await _all(connection, "SELECT 1 FROM tariff LIMIT 1"):
            return 0
        first = date(begins.year - 1, 1, 1)
        await tariffs.declare_factor(
            connection, None, g_per_kwh=CO2_G_PER_KWH, valid_from=first, source=SOURCE, who=WHO, at=begins
        )
        await connection.execute(BUILDINGS.encode(), {"stops": STOPS})
        count = 0
        for (town,) in await _all(connection, "SELECT municipality_id FROM municipality ORDER BY 1"):
            for way in DIRECTIONS:
                await tariffs.declare(
                    connection, town, name=f"Ceník {first.year}", direction=way, czk_per_kwh=PRICES[way],
                    valid_from=first, valid_until=None, asset_id=None, group_id=None, source=SOURCE, who=WHO, at=begins,
                )  # fmt: skip
            count += await _group(connection, town, begins, until)
        return count


async def _group(connection: Connection, town: int, begins: datetime, until: datetime) -> int:
    """A sharing group of the town: the roof that gives most, and the building that takes most besides."""
    edges: Ints = np.arange(int(begins.timestamp()), int(until.timestamp()) + 1, QUARTER_S)
    roofs = [
        roof
        for asset_id, label in await _all(
            connection,
            "SELECT asset_id, label FROM asset WHERE kind = 'solar' AND municipality_id = %s ORDER BY 1",
            [town],
        )
        if (roof := await _read(connection, asset_id, label, edges)) is not None
    ]
    if len(edges) < 2 or len(roofs) < 2:
        return 0
    maker = max(roofs, key=lambda one: float(one.exported_wh.sum()))
    taker = max((one for one in roofs if one is not maker), key=lambda one: float(one.imported_wh.sum()))
    for one in (maker, taker):
        given = {"ean": one.ean, "title": one.label, "voltage": "nn", "distributor": "Ukázková distribuce"}
        await meters.add_point(connection, town, given | {"difference_pct_max": 2}, begins)
        link = {"asset_id": one.asset_id, "group_id": None, "valid_from": begins.date(), "valid_until": None}
        await meters.link(connection, one.ean, link, WHO, begins)
    await meters.allocate(connection, maker.ean, {taker.ean: Decimal(100)}, begins.date(), (SOURCE, WHO, begins))
    shared = np.minimum(maker.exported_wh, taker.imported_wh)
    return await _take(connection, town, _file(edges, maker, taker, shared), (maker, taker), until)


async def _read(connection: Connection, asset_id: int, label: str, edges: Ints) -> _Roof | None:
    """None without a meter. A distributor's meter misses nothing: between readings the counters go on evenly."""
    imported, exported = METERED
    rows = await _all(
        connection,
        f"SELECT extract(epoch FROM ts)::float8, {imported}, {exported} FROM {KINDS['solar'].reading_table}"  # noqa: S608
        f" WHERE asset_id = %s AND {imported} IS NOT NULL AND {exported} IS NOT NULL ORDER BY ts",
        [asset_id],
    )
    if not rows:
        return None
    table: Floats = np.array(rows, np.float64)
    return _Roof(asset_id, label, ean(asset_id), _steps(edges, table, 1), _steps(edges, table, 2))


def _steps(edges: Ints, table: Floats, column: int) -> Floats:
    """What a counter has grown between edges, in whole watt-hours."""
    at: Floats = np.interp(edges, table[:, 0], np.maximum.accumulate(table[:, column]))
    return np.round(np.diff(at))


def _file(edges: Ints, maker: _Roof, taker: _Roof, shared: Floats) -> bytes:
    """As the portal of the EDC exports a sharing group: before and after sharing, what is taken is below zero."""
    lines = [f"Datum;Cas od;Cas do;IN-{maker.ean}-D;OUT-{maker.ean}-D;IN-{taker.ean}-O;OUT-{taker.ean}-O"]
    for n, second in enumerate(edges[:-1].tolist()):
        here, there = (datetime.fromtimestamp(at, UTC).astimezone(ZONE) for at in (second, second + QUARTER_S))
        given, taken, between = float(maker.exported_wh[n]), float(taker.imported_wh[n]), float(shared[n])
        said = (f"{wh / 1000:.3f}".replace(".", ",") for wh in (given, given - between, -taken, between - taken))
        lines.append(f"{here:%d.%m.%Y;%H:%M};{there:%H:%M};" + ";".join(said))
    return "\r\n".join(lines).encode()


async def _take(connection: Connection, town: int, data: bytes, of: tuple[_Roof, ...], at: datetime) -> int:
    """Take a file over as if somebody had uploaded and applied it."""
    read = quarters.parse(data, Given(), at)
    new = NewImport(
        person_id=None,
        content="quarters",
        file_name="edc-ukazka.csv",
        file_digest=hashlib.sha256(data).digest(),
        format=read.format,
        encoding=read.encoding,
        findings=[one.as_json() for one in read.found],
        summary=[],
        invoices=[],
        rows_all=read.rows,
        rows_wrong=read.wrong,
        at=at,
    )
    number = await meters.keep(connection, new, read.by_ean, {one.ean: (town, one.label) for one in of})
    await connection.execute(
        "UPDATE meter_import SET state = 'applied', applied_at = %s WHERE meter_import_id = %s", [at, number]
    )
    await connection.execute("SELECT meter_refresh(%s)", [number])
    return sum(map(len, read.by_ean.values()))


def ean(number: int) -> str:
    """An invented EAN of a Czech connection point with the check digit of GS1."""
    digits = f"{CZECH_PREFIX}{number:08}"
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


async def _all(connection: Connection, statement: str, given: list[Any] | None = None) -> list[Any]:
    return await (await connection.execute(statement.encode(), given)).fetchall()
