"""The page of pictures: a municipality's day as energy by the hour, what faults lost, the voltage along a feeder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import alert_schemas, chart
from api.alert_pages import counted
from api.alerts import Desk
from api.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Tick
from api.database import Connection
from api.freshness import HEARTBEATS_MISSED_MAX
from api.language import choose
from api.problems import Problem
from api.site import Site
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store import queries
from kraj.store.queries import folded

METERED = ("lamp", "cabinet", "solar")
"""Kinds whose ``power_w`` is what they take or give; a stop lives off its own battery."""
VOLTAGE_STEP_S = 900
"""A lamp that is off reports once an hour; with some lamps a feeder still has a point each quarter."""
DAYS_BACK_MAX = 366 * 5
GAP_PX = 4.0


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour: where it stands in the drawing, and what it was. ``kwh`` is None where nothing is known."""

    hour: datetime
    kwh: float | None
    x: float
    y: float
    width: float
    height: float
    tick: bool


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of bars; ``levels`` are its horizontal lines."""

    bars: tuple[Bar, ...]
    levels: tuple[Tick, ...]
    sum_kwh: float
    most: Bar


@dataclass(frozen=True, slots=True)
class Loss:
    """What one rule's faults lost."""

    title: str
    alerts: int
    kwh: float


def bars(hourly_wh: Mapping[datetime, float], hours: Sequence[datetime]) -> Bars | None:
    """Draw the energy of ``hours``; None when nothing is known of any."""
    known = {hour: hourly_wh[hour] / 1000 for hour in hours if hour in hourly_wh}
    if not known:
        return None
    step = _step(max(known.values()))
    count = max(1, math.ceil(max(known.values()) / step - 1e-9))
    top = count * step
    floor, room = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    pitch = (WIDTH - LEFT - RIGHT) / len(hours)
    drawn: list[Bar] = []
    for n, hour in enumerate(hours):
        kwh = known.get(hour)
        height = round(max(0.0, kwh or 0.0) / top * room, 1)
        x = round(LEFT + n * pitch + GAP_PX / 2, 1)
        drawn.append(Bar(hour, kwh, x, round(floor - height, 1), round(pitch - GAP_PX, 1), height, hour.hour % 3 == 0))
    levels = tuple(Tick(round(floor - n / count * room, 1), round(n * step, 9)) for n in range(count + 1))
    return Bars(tuple(drawn), levels, sum(known.values()), max(drawn, key=lambda bar: bar.kwh or 0.0))


def _step(most: float) -> float:
    """Of 1, 2, 5, 10 …, so that at most five lines cross the chart."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 5))
    return next(step * power for step in (1, 2, 5, 10) if most / (step * power) <= 5 + 1e-9)


def hours_of(day: date, zone: ZoneInfo) -> list[datetime]:
    """The beginnings of the hours of a day in the region; 23 or 25 of them when the clocks change."""
    start, end = bounds(day, zone)
    count = round((end - start) / timedelta(hours=1))
    return [(start + timedelta(hours=n)).astimezone(zone) for n in range(count)]


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first moment of a day and of the next one, in UTC, where hours are as long as they are."""
    utc = ZoneInfo("UTC")
    start, end = (
        datetime(one.year, one.month, one.day, tzinfo=zone).astimezone(utc) for one in (day, day + timedelta(days=1))
    )
    return start, end


def routes(site: Site, desk: Desk) -> APIRouter:
    """The one page."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/pictures")
    async def pictures(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _pictures(site, desk, request)

    return router


async def _pictures(site: Site, desk: Desk, request: Request) -> Response:
    today = site.service.clock().astimezone(site.zone).date()
    day = _day(request.query_params.get("day", ""), today)
    start, end = bounds(day, site.zone)
    hours = hours_of(day, site.zone)
    given = request.query_params.get("municipality", "").replace("\0", "")
    energy: list[tuple[Kind, Bars | None]] = []
    losses: list[Loss] = []
    feeders: list[tuple[str, int]] = []
    feeder, voltage = None, None
    async with site.service.database.connection() as connection:
        municipalities = sorted(await queries.municipalities(connection), key=lambda row: folded(row.title))
        names = [row.name for row in municipalities]
        if given and given not in names:
            raise Problem("municipality", 404, name=given)
        chosen = given or next((row.name for row in municipalities if row.assets), None)
        if chosen is not None:
            for name in METERED:
                by_hour = await queries.hourly_wh(connection, KINDS[name], chosen, start, end)
                energy.append((KINDS[name], bars({h.astimezone(site.zone): wh for h, wh in by_hour.items()}, hours)))
            lost = await queries.lost(connection, chosen, start, end)
            losses = [Loss(_title(desk, row.rule, choose(request)), row.alerts, row.lost_wh / 1000) for row in lost]
            feeders = await queries.feeders(connection, chosen)
            feeder = _feeder(request.query_params.get("feeder", ""), [name for name, _ in feeders])
        if chosen is not None and feeder is not None:
            voltage = await _voltage(connection, chosen, feeder, (start, end), site.zone)
    return site.page(
        request,
        "pictures.html",
        municipalities=municipalities,
        chosen=chosen,
        title=next((row.title for row in municipalities if row.name == chosen), None),
        day=day,
        day_max=today.isoformat(),
        energy=energy,
        losses=losses,
        lost_kwh=sum(loss.kwh for loss in losses),
        feeders=feeders,
        feeder=feeder,
        voltage=voltage,
        floor=HEIGHT - BOTTOM,
    )


async def _voltage(
    connection: Connection, municipality: str, feeder: str, day: tuple[datetime, datetime], zone: ZoneInfo
) -> Chart | None:
    start, end = day
    spans = await queries.feeder_voltage(connection, municipality, feeder, start, end, step_s=VOLTAGE_STEP_S)
    hours = round((end - start) / timedelta(hours=1))
    return chart.chart(spans, start, zone, HEARTBEATS_MISSED_MAX * KINDS["lamp"].heartbeat_idle_s, hours)


def _day(text: str, today: date) -> date:
    """A day as the form sends it; today when it sends none."""
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Problem("day", 400, day=text) from error
    if not timedelta(0) <= today - day <= timedelta(days=DAYS_BACK_MAX):
        raise Problem("day", 400, day=text)
    return day


def _feeder(wish: str, known: Sequence[str]) -> str | None:
    """The feeder that was asked for; another municipality may not have it, then its first one."""
    return wish if wish in known else next(iter(known), None)


def _title(desk: Desk, name: str, language: str) -> str:
    rule, cause = desk.teller.rules.get(name), desk.teller.causes.get(name)
    if rule is not None:
        return alert_schemas.title(rule, language)
    return name if cause is None else str(getattr(cause.title, language))
