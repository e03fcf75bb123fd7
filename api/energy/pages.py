"""A municipality's month of energy: its KPIs with what they cover, a picture each, and where to look closer."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import alert_schemas
from api.alert_pages import counted
from api.alerts import Desk
from api.database import Connection
from api.energy import drawing
from api.energy.drawing import Month
from api.language import choose
from api.problems import Problem
from api.site import Site
from kraj.kpis import KPIS, Domain, Kpi
from kraj.store import kpis as store
from kraj.store import queries
from kraj.store.kpis import By, Figure, Which
from kraj.store.queries import folded

ROWS_MAX: Final = 200
"""Lines of a table of segments, roofs or stops; the API has the rest."""
CLOSER: Final[dict[Domain, tuple[By, tuple[str, ...]]]] = {
    Domain.LIGHTING: ("group", ("lighting_availability_pct", "lighting_energy_kwh", "lighting_saved_dimming_kwh")),
    Domain.ROOFS: ("asset", ("pv_energy_kwh", "pv_performance_index_pct", "pv_availability_pct")),
    Domain.STOPS: ("asset", ("stop_uptime_pct", "stop_display_truth_pct", "stop_autonomy_d")),
    Domain.METERING: ("ean", ("ean_import_kwh", "ean_export_kwh", "ean_unshared_kwh")),
}
"""By what a domain's KPIs are told apart, and which."""
LEAST: Final = ("lighting_availability_pct",)
"""By which lamps stand in a list, the lowest first, which are not whole."""
LEAST_MAX: Final = 20
REPAIRS: Final = ("fault_time_to_detect_h", "fault_time_to_repair_h")
LOST: Final = ("pv_lost_kwh", "pv_lost_czk")
"""Told apart by rules."""


@dataclass(frozen=True, slots=True)
class Card:
    """A KPI's month."""

    kpi: Kpi
    figure: Figure
    month: Month | None


@dataclass(frozen=True, slots=True)
class Line:
    """A segment, an asset or a metering point, with figures in the order of the head."""

    title: str
    address: str | None
    figures: tuple[Figure | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Where to look closer; ``name`` tells which of the texts heads it. ``shares``: with the completeness of each."""

    name: str
    head: tuple[Kpi, ...]
    lines: tuple[Line, ...]
    shares: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """A domain of which anything was due."""

    domain: Domain
    cards: tuple[Card, ...]
    tables: tuple[Table, ...]


def routes(site: Site, desk: Desk) -> APIRouter:
    """The one page."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/energy")
    async def energy(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _energy(site, desk, request)

    return router


async def _energy(site: Site, desk: Desk, request: Request) -> Response:
    today = site.service.clock().astimezone(site.zone).date()
    first = _month(request.query_params.get("month", ""), today)
    end = (first + timedelta(days=32)).replace(day=1)
    given = request.query_params.get("municipality", "").replace("\0", "")
    sections: list[Section] = []
    lost: list[Line] = []
    async with site.service.database.connection() as connection:
        municipalities = sorted(await queries.municipalities(connection), key=lambda row: folded(row.title))
        if given and given not in {row.name for row in municipalities}:
            raise Problem("municipality", 404, name=given)
        chosen = given or next((row.name for row in municipalities if row.assets), None)
        if chosen is not None:
            which = Which(first=first, end=end, municipality=chosen)
            for domain in Domain:
                section = await _section(connection, desk, domain, which, choose(request))
                if section is not None:
                    sections.append(section)
            lost = await _lost(connection, desk, which, choose(request))
    return site.page(
        request,
        "energy.html",
        municipalities=municipalities,
        chosen=chosen,
        title=next((row.title for row in municipalities if row.name == chosen), None),
        first=first,
        month_max=f"{today:%Y-%m}",
        sections=sections,
        lost=lost,
        lost_head=[KPIS[name] for name in LOST],
        picture=drawing,
    )


async def _section(connection: Connection, desk: Desk, domain: Domain, which: Which, language: str) -> Section | None:
    cards: list[Card] = []
    for kpi in KPIS.values():
        if kpi.domain is not domain:
            continue
        total = await store.figures(connection, kpi, which, limit=1)
        if not total:
            continue
        days = await store.figures(connection, kpi, which, per="day", limit=ROWS_MAX)
        cards.append(Card(kpi, total[0], drawing.month(which.first, days)))
    if not cards:
        return None
    tables: list[Table] = []
    if domain in CLOSER:
        tables.append(await _closer(connection, domain, which))
    if domain is Domain.LIGHTING:
        tables.append(await _least(connection, which))
    if domain is Domain.FAULTS:
        tables.append(await _faults(connection, desk, which, language))
    return Section(domain, tuple(cards), tuple(table for table in tables if table.lines))


async def _closer(connection: Connection, domain: Domain, which: Which) -> Table:
    by, names = CLOSER[domain]
    head = [KPIS[name] for name in names]
    found = [{row.subject: row for row in await _by(connection, kpi, which, by)} for kpi in head]
    titles = await _titles(connection, by, which.municipality)
    lines = [
        Line(title, address, tuple(rows.get(subject) for rows in found))
        for subject, (title, address) in titles.items()
        if any(subject in rows for rows in found)
    ]
    return Table(domain, tuple(head), tuple(lines[:ROWS_MAX]))


async def _least(connection: Connection, which: Which) -> Table:
    """The lamps that were dark for longest."""
    (kpi,) = (KPIS[name] for name in LEAST)
    lines = [
        Line(row.label, f"/assets/{row.asset_id}", (Figure(which.first, "", row.value, row.completeness),))
        for row in await store.lowest(connection, kpi, which, limit=LEAST_MAX)
    ]
    return Table("lamps", (kpi,), tuple(lines))


async def _faults(connection: Connection, desk: Desk, which: Which, language: str) -> Table:
    """Each fault with its work order; a repair that lasts is no figure yet."""
    lines = [
        Line(
            f"{_title(desk, row.rule, language)}, {row.place}",
            f"/alerts/{row.alert_id}",
            tuple(Figure(which.first, "", hours, None) for hours in (row.detect_h, row.repair_h)),
        )
        for row in await store.faults(connection, which, limit=ROWS_MAX)
    ]
    return Table(Domain.FAULTS, tuple(KPIS[name] for name in REPAIRS), tuple(lines), shares=False)


async def _by(connection: Connection, kpi: Kpi, which: Which, by: By) -> list[Figure]:
    return await store.figures(connection, kpi, which, by=by, limit=10 * ROWS_MAX)


async def _titles(connection: Connection, by: By, municipality: str | None) -> dict[str, tuple[str, str | None]]:
    """Subject → what people call it and where its page is, by title."""
    statement = {
        "group": "SELECT g.group_id::text, g.name, '/lighting/' || g.group_id FROM asset_group g"
        " WHERE g.kind = 'segment' AND g.municipality_id = m.municipality_id",
        "ean": "SELECT p.ean, p.title || ' (' || p.ean || ')', NULL FROM metering_point p"
        " WHERE p.municipality_id = m.municipality_id",
        "asset": "SELECT a.asset_id::text, a.label, '/assets/' || a.asset_id FROM asset a"
        " WHERE a.kind IN ('solar', 'stop') AND a.municipality_id = m.municipality_id",
    }[by]
    cursor = await connection.execute(
        f"SELECT s.* FROM municipality m CROSS JOIN LATERAL ({statement}) s WHERE m.name = %s ORDER BY 2".encode(),  # noqa: S608
        [municipality],
    )
    return {subject: (title, address) async for subject, title, address in cursor}


async def _lost(connection: Connection, desk: Desk, which: Which, language: str) -> list[Line]:
    """What roofs' faults lost, by the rule that found them, the most first."""
    kwh, czk = [{row.subject: row for row in await _by(connection, KPIS[name], which, "rule")} for name in LOST]
    order = sorted(kwh, key=lambda rule: -(kwh[rule].value or 0))
    return [Line(_title(desk, rule, language), None, (kwh[rule], czk.get(rule))) for rule in order]


def _title(desk: Desk, name: str, language: str) -> str:
    rule, cause = desk.teller.rules.get(name), desk.teller.causes.get(name)
    if rule is not None:
        return alert_schemas.title(rule, language)
    return name if cause is None else str(getattr(cause.title, language))


def _month(text: str, today: date) -> date:
    """The first day of a month as the form sends it; this month when it sends none."""
    if not text:
        return today.replace(day=1)
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Problem("day", 400, day=text) from error
    if not date(2000, 1, 1) <= first <= today:
        raise Problem("day", 400, day=text)
    return first
