"""The crew's list of causes with its map: filters, the nearest first, pages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.alert_pages import LIVE, POLL_MS, Line, counted
from api.alerts import CLOSED, AlertParameters, Desk, place, severity
from api.database import Connection
from api.language import choose
from api.orders import drawing, routing
from api.orders.drawing import Box, CauseMap
from api.orders.routing import From
from api.parameters import PAGE_MAX, TEXT_CHARS_MAX
from api.problems import Problem
from api.site import Site, with_parameters
from kraj.alerts import Severity
from kraj.kinds import KINDS
from kraj.store import queries
from kraj.store.queries import AlertFilter, folded

SPOTS_MAX = 1000
"""More marks than this are none that anybody looks at; the list has all of them."""
DOTS_MAX = 1500
ROWS = PAGE_MAX // 2
WHOSE = ("mine", "unassigned")
AREA = re.compile(r"(-?\d{1,2}\.\d{1,6}),(-?\d{1,3}\.\d{1,6}),(-?\d{1,2}\.\d{1,6}),(-?\d{1,3}\.\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page was asked for."""

    asked: AlertParameters
    which: AlertFilter
    start: From
    area: Box | None


def routes(site: Site, desk: Desk) -> APIRouter:
    """The list, and the route of a day; before the work order, whose address takes any word."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/alerts")
    async def alerts(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _list(site, desk, request)

    @router.get("/alerts/route")
    async def route(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            wanted = await _wanted(connection, request)
        return await routing.page(site, desk, request, wanted.which, wanted.start)

    return router


async def _list(site: Site, desk: Desk, request: Request) -> Response:
    async with site.service.database.connection() as connection:
        wanted = await _wanted(connection, request)
        counts = await queries.counts(connection)
        municipalities = await queries.municipalities(connection)
        spots = await queries.spots(connection, wanted.which, limit=SPOTS_MAX)
        drawn = await _map(connection, spots, wanted)
    asked = wanted.asked
    rows, following = await desk.page(asked, wanted.which)
    request.state.causes = sum(counts.values())
    say = site.service.texts[choose(request)]
    teller = await desk.telling()
    if asked.near is None:
        # A page comes by time, so that it can be turned; on it the worst stands first.
        rows.sort(key=lambda row: (-Severity(row.severity).rank, -row.opened_at.timestamp(), -row.alert_id))
    narrowed = (asked.municipality, asked.kind, asked.q, asked.whose, wanted.area)
    filtered = any(narrowed) or asked.severity_min is not Severity.INFO or asked.state != "open"
    return site.page(
        request,
        "alerts.html",
        lines=[Line(row, teller.tell(row, say)) for row in rows],
        which=asked,
        start=wanted.start,
        area=request.query_params.get("area", "") if wanted.area else "",
        whole=with_parameters(request, area="", cursor=""),
        opened=lambda area: with_parameters(request, area=str(area), cursor=""),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        counts={str(one): counts.get(one, 0) for one in reversed(Severity)},
        severities=list(reversed(Severity)),
        municipalities=sorted(municipalities, key=lambda row: folded(row.title)),
        whose=WHOSE,
        map=drawn,
        capped=len(spots) == SPOTS_MAX,
        chosen=filtered,
        first=asked.cursor is None,
        newest=with_parameters(request, cursor=""),
        older=following and with_parameters(request, cursor=following),
        metres=lambda m: routing.metres(m, say.language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        poll_ms=POLL_MS,
        text_max=TEXT_CHARS_MAX,
        live_texts={name: say.texts[name] for name in LIVE},
    )


async def _map(connection: Connection, spots: Sequence[queries.Spot], wanted: Wanted) -> CauseMap | None:
    here = wanted.start.place
    sheet = drawing.sheet(spots, wanted.area, here)
    if sheet is None:
        return None
    others = await queries.surroundings(connection, sheet.box, DOTS_MAX)
    return drawing.draw(sheet, spots, others, here, opened=wanted.area is not None)


async def _wanted(connection: Connection, request: Request) -> Wanted:
    """Empty fields of the form are no wish."""
    given = {name: value.replace("\0", "").strip() for name, value in request.query_params.items()}
    start = await _from(connection, given.get("near", "")[:TEXT_CHARS_MAX])
    fields: dict[str, Any] = {
        "municipality": given.get("municipality") or None,
        "severity_min": severity(given.get("severity_min") or Severity.INFO),
        "state": _one_of(given, "state", tuple(CLOSED)) or "open",
        "kind": _one_of(given, "kind", tuple(KINDS)),
        "q": given.get("q", "")[:TEXT_CHARS_MAX] or None,
        "whose": _one_of(given, "whose", WHOSE),
        "limit": ROWS,
        "cursor": given.get("cursor") or None,
    }
    # An area may have been opened with a place, and a list by time has other cursors than one by distance.
    asked = AlertParameters.model_validate(fields).model_copy(
        update={"near": None if start.place is None else f"{start.place[0]:.6f},{start.place[1]:.6f}"}
    )
    area = _area(given.get("area", ""))
    which = AlertFilter(
        **{name: getattr(asked.filter, name) for name in AlertFilter.__dataclass_fields__ if name != "area"}, area=area
    )
    return Wanted(asked, which, start, area)


def _one_of(given: dict[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = given.get(name) or None
    if value is not None and value not in known:
        raise Problem("parameter_value", 400, name=name, value=value)
    return value


async def _from(connection: Connection, text: str) -> From:
    """A place as degrees, or as words."""
    degrees = place(text) if text else None
    if degrees is not None:
        return From(text, degrees, "")
    found = await queries.named(connection, text) if text else None
    return From(text, None, "") if found is None else From(text, found[1:], found[0])


def _area(text: str) -> Box | None:
    found = AREA.fullmatch(text)
    if found is None:
        if text:
            raise Problem("parameter_value", 400, name="area", value=text)
        return None
    south, west, north, east = (float(part) for part in found.groups())
    return south, west, north, east
