"""What a monthly report reads, all of it behind the wall: figures, tables, and the versions that they hang on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import class_row

from kraj import reports
from kraj.kpis import KPIS, Domain, Kpi
from kraj.store import kpis as store
from kraj.store.kpis import By, Figure, Which

Connection = psycopg.AsyncConnection[Any]
Progress = Callable[[float], None]

LINES_MAX: Final = 100
"""Of a table; the API has the rest, and the report says how many there are."""
SUBJECTS_MAX: Final = 10_000
VERSIONS_MAX: Final = 200
BY: Final[dict[Domain, By]] = {
    Domain.LIGHTING: "group",
    Domain.ROOFS: "asset",
    Domain.STOPS: "asset",
    Domain.METERING: "ean",
    Domain.FAULTS: "rule",
}
BUILDING_KINDS: Final = ("site", "list")
"""Kinds of groups that a report can be about; a site is what the metadata call so."""


@dataclass(frozen=True, slots=True)
class Town:
    """A municipality, and of a building its group."""

    municipality_id: int
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Building:
    """A group of roofs, meters and the like."""

    group_id: int
    municipality_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """A street, a roof, a stop, a metering point or a rule (by its name), with figures by KPI."""

    title: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Version:
    """A price, factor or baseline that a figure of the month hangs on, as it is declared today."""

    kind: str
    """``tariff_import``, ``tariff_export``, ``co2`` or ``baseline``."""
    name: str
    value: float
    valid_from: date
    valid_until: date | None
    source: str
    at: datetime
    """When it was declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A month of a municipality, or of one of its buildings."""

    town: Town
    building: Building | None
    month: date
    end: date
    at: datetime
    days: int
    """Of the month that have begun by ``at``."""
    days_made: int
    """Of them, those of which there are figures."""
    totals: Mapping[str, Figure]
    """By KPI; those of which nothing was due are left out."""
    daily: Mapping[str, Sequence[Figure]]
    lines: Mapping[Domain, Sequence[Line]]
    lines_all: Mapping[Domain, int]
    versions: Sequence[Version]


async def town(connection: Connection, name: str) -> Town | None:
    """The municipality of this name."""
    async with connection.cursor(row_factory=class_row(Town)) as cursor:
        await cursor.execute("SELECT municipality_id, name, title FROM municipality WHERE name = %s", [name])
        return await cursor.fetchone()


async def buildings(connection: Connection, municipality_id: int) -> list[Building]:
    """What a report can be about besides the whole municipality, by name."""
    async with connection.cursor(row_factory=class_row(Building)) as cursor:
        await cursor.execute(
            "SELECT group_id, municipality_id, name FROM asset_group WHERE municipality_id = %s AND kind = ANY (%s)"
            " ORDER BY name, group_id LIMIT 1000",
            [municipality_id, list(BUILDING_KINDS)],
        )
        return await cursor.fetchall()


async def announce(connection: Connection, municipality_id: int) -> None:
    """Read as this municipality sees itself until the transaction ends; for the worker and the owner alone."""
    await connection.execute("SELECT set_config('kraj.report', %s, true)", [str(municipality_id)])


async def gather(
    connection: Connection,
    of: Town,
    month: date,
    at: datetime,
    *,
    building: Building | None = None,
    progress: Progress | None = None,
) -> Found:
    """Everything that a report tells of a month, as the principal sees it."""
    end = reports.following(month)
    which = Which(first=month, end=end, municipality=of.name, group_id=building and building.group_id)
    meters = None if building is None else await _meters(connection, building, month, end)
    totals: dict[str, Figure] = {}
    daily: dict[str, Sequence[Figure]] = {}
    for n, kpi in enumerate(KPIS.values()):
        total = await _figures(connection, kpi, which, meters)
        if total:
            totals[kpi.name] = total[0]
            if kpi.name in reports.DRAWN and (meters is None or kpi.domain is not Domain.METERING):
                daily[kpi.name] = await store.figures(connection, kpi, which, per="day", limit=31)
        if progress is not None:
            progress((n + 1) / (len(KPIS) + len(Domain)))
    lines: dict[Domain, Sequence[Line]] = {}
    for n, domain in enumerate(Domain):
        lines[domain] = await _lines(connection, domain, which, of, meters)
        if progress is not None:
            progress((len(KPIS) + n + 1) / (len(KPIS) + len(Domain)))
    today = at.astimezone(reports.ZONE).date()
    days = max(0, min((end - month).days, (today - month).days + 1))
    row = await (await connection.execute("SELECT report_days(%s, %s)", [month, end])).fetchone()
    return Found(
        town=of,
        building=building,
        month=month,
        end=end,
        at=at,
        days=days,
        days_made=min(row[0] if row else 0, days),
        totals=totals,
        daily=daily,
        lines={domain: found[:LINES_MAX] for domain, found in lines.items()},
        lines_all={domain: len(found) for domain, found in lines.items()},
        versions=await _versions(connection, of, month, end, building),
    )


async def _figures(connection: Connection, kpi: Kpi, which: Which, meters: Sequence[str] | None) -> Sequence[Figure]:
    """The month as one figure; of a building's meters, whose rows are no asset's, the sum of theirs."""
    if kpi.domain is not Domain.METERING or meters is None:
        return await store.figures(connection, kpi, which, limit=1)
    found = [row for row in await _by_ean(connection, kpi, which) if row.subject in meters]
    if not found:
        return []
    known = [row.value for row in found if row.value is not None]
    shares = [row.completeness or 0.0 for row in found]
    return [Figure(which.first, "", sum(known) if known else None, sum(shares) / len(shares))]


async def _by_ean(connection: Connection, kpi: Kpi, which: Which) -> list[Figure]:
    whole = Which(first=which.first, end=which.end, municipality=which.municipality)
    return await store.figures(connection, kpi, whole, by="ean", limit=SUBJECTS_MAX)


async def _lines(
    connection: Connection, domain: Domain, which: Which, of: Town, meters: Sequence[str] | None
) -> list[Line]:
    by = BY[domain]
    found: dict[str, dict[str, Figure]] = {}
    for name in reports.COMPARED[domain]:
        kpi = KPIS[name]
        if by == "ean":
            rows = await _by_ean(connection, kpi, which)
        else:
            rows = await store.figures(connection, kpi, which, by=by, limit=SUBJECTS_MAX)
        for row in rows:
            if by != "ean" or meters is None or row.subject in meters:
                found.setdefault(row.subject, {})[name] = row
    if by == "rule":
        return [Line(rule, figures) for rule, figures in sorted(found.items())]
    titles = await _titles(connection, by, of.municipality_id)
    # A metering point of which the distributor has sent nothing is there all the same, without figures.
    listed = titles if by == "ean" and meters is None else found.keys() | set(meters or ())
    return [Line(title, found.get(subject, {})) for subject, title in titles.items() if subject in listed]


_TITLES: Final[dict[By, LiteralString]] = {
    "group": "SELECT group_id::text, name FROM asset_group WHERE municipality_id = %s AND kind = 'segment' ORDER BY 2",
    "asset": "SELECT asset_id::text, label FROM asset WHERE municipality_id = %s AND kind IN ('solar', 'stop')"
    " ORDER BY 2",
    "ean": "SELECT ean, title || ' (' || ean || ')' FROM metering_point WHERE municipality_id = %s ORDER BY 2",
}


async def _titles(connection: Connection, by: By, municipality_id: int) -> dict[str, str]:
    cursor = await connection.execute(_TITLES[by], [municipality_id])
    return dict(await cursor.fetchall())


async def _meters(connection: Connection, building: Building, first: date, end: date) -> list[str]:
    """The metering points on which the building, or anything in it, hangs in the month."""
    cursor = await connection.execute(
        "SELECT DISTINCT p.ean FROM metering_point_asset p WHERE p.municipality_id = %(town)s"
        " AND (p.group_id = %(group)s OR p.asset_id IN"
        " (SELECT m.asset_id FROM asset_group_member m WHERE m.group_id = %(group)s))"
        " AND p.valid_from < %(end)s AND coalesce(p.valid_until, 'infinity') >= %(first)s",
        {"town": building.municipality_id, "group": building.group_id, "first": first, "end": end},
    )
    return [ean for (ean,) in await cursor.fetchall()]


async def _versions(
    connection: Connection, of: Town, first: date, end: date, building: Building | None
) -> list[Version]:
    """Prices, factors and baselines that hold on some day of the month, by what is declared today."""
    statement = """
        SELECT 'tariff_' || t.direction AS kind, t.name || coalesce(': ' || a.label, ': ' || g.name, '') AS name,
               t.czk_per_kwh::double precision AS value, t.valid_from, t.valid_until, t.source, t.at
        FROM tariff t LEFT JOIN asset a ON a.asset_id = t.asset_id LEFT JOIN asset_group g ON g.group_id = t.group_id
        WHERE t.municipality_id = %(town)s AND t.withdrawn_at IS NULL AND t.valid_from < %(end)s
            AND coalesce(t.valid_until, 'infinity') >= %(first)s
            AND (%(group)s::integer IS NULL OR t.asset_id IS NULL AND t.group_id IS NULL OR t.group_id = %(group)s
                 OR t.asset_id IN (SELECT m.asset_id FROM asset_group_member m WHERE m.group_id = %(group)s))
        UNION ALL
        SELECT 'co2', CASE WHEN c.municipality_id IS NULL THEN '' ELSE %(title)s END, c.g_per_kwh::double precision,
               c.valid_from, NULL, c.source, c.at
        FROM co2_factor c WHERE c.co2_factor_id IN (
            SELECT (SELECT f.co2_factor_id FROM co2_factor f
                    WHERE (f.municipality_id = %(town)s OR f.municipality_id IS NULL) AND f.valid_from <= d::date
                    ORDER BY f.municipality_id IS NULL, f.valid_from DESC, f.co2_factor_id DESC LIMIT 1)
            FROM generate_series(%(first)s::timestamp, %(end)s::timestamp - interval '1 day', '1 day') AS d)
        UNION ALL
        SELECT 'baseline', g.name || ' v' || b.version, b.power_w::double precision, b.valid_from, NULL, b.source, b.at
        FROM lighting_baseline b JOIN asset_group g USING (group_id)
        WHERE b.municipality_id = %(town)s AND (%(group)s::integer IS NULL OR b.group_id = %(group)s)
            AND b.version IN (
                SELECT (SELECT max(v.version) FROM lighting_baseline v
                        WHERE v.group_id = b.group_id AND v.valid_from <= d::date)
                FROM generate_series(%(first)s::timestamp, %(end)s::timestamp - interval '1 day', '1 day') AS d)
        ORDER BY 1, 2, 4 LIMIT %(limit)s
    """
    async with connection.cursor(row_factory=class_row(Version)) as cursor:
        await cursor.execute(
            statement,
            {
                "town": of.municipality_id,
                "title": of.title,
                "group": building and building.group_id,
                "first": first,
                "end": end,
                "limit": VERSIONS_MAX,
            },
        )
        return await cursor.fetchall()
