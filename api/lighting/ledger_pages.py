"""A segment's savings as a page: the month as a picture and a table, and what its old lamps took."""

from datetime import date, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from api import acting
from api.alert_pages import counted
from api.language import choose
from api.lighting import forms, ledger_drawing, work
from api.lighting.ledger_routes import BaselineBody, account_of, declare_baseline
from api.lighting.ledger_table import table
from api.lighting.routes import SegmentId
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.rulebook import forms as simple
from api.site import Site
from kraj.store import ledger as store
from rules.lighting import accounts, statement

HOURS: Final = ("due_h", "covered_h", "outage_h")
YEARS: Final = (2000, 2099)


def routes(site: Site) -> APIRouter:
    """The page of a month, and declaring a baseline on it."""
    router = APIRouter(prefix="/lighting", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/{segment_id}/ledger")
    async def ledger(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _page(site, request, segment_id)

    @router.post("/{segment_id}/baselines")
    async def baseline(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await simple.read(request)
        try:
            names = ("valid_from", "power_w", "source")
            body = simple.checked(BaselineBody, {name: given.get(name) or None for name in names})
            async with site.service.database.connection(write=True) as connection:
                await work.segment(connection, segment_id, writing=True)
                await declare_baseline(connection, segment_id, body, who=exchange.who().title, at=site.service.clock())
        except Problem as problem:
            wrong = forms.told(site.service, request, problem)
            return await _page(site, request, segment_id, given=given, wrong=wrong)
        return RedirectResponse(f"/lighting/{segment_id}/ledger?said=baseline", 303)

    return router


async def _page(
    site: Site,
    request: Request,
    number: int,
    *,
    given: dict[str, str] | None = None,
    wrong: ProblemDetails | None = None,
) -> Response:
    say = site.service.texts[choose(request)]
    now = site.service.clock()
    today = now.astimezone(accounts.ZONE).date()
    month = _month(request, today)
    async with site.service.database.connection() as connection:
        row = await work.segment(connection, number)
        declared = await store.baselines(connection, number)
    totals: dict[str, float] | None = None
    rows = statement.lamp_rows(await account_of(site.service, number, month, now)) if row.lamps else []
    if rows and "table" in request.query_params:
        name = f'attachment; filename="ledger-{number}-{month:%Y-%m}.csv"'
        return Response(table(rows, say), media_type="text/csv; charset=utf-8", headers={"content-disposition": name})
    if rows:
        totals = statement.totals(rows)
    heard = totals is not None and totals["covered_h"] > 0
    parts = ledger_drawing.parts(totals) if totals is not None and heard else []
    following = (month + timedelta(days=32)).replace(day=1)
    return site.page(
        request,
        "segment_ledger.html",
        200 if wrong is None else wrong.status,
        row=row,
        month=f"{month:%Y-%m}",
        before=f"{month - timedelta(days=1):%Y-%m}" if month.year > YEARS[0] else None,
        after=f"{following:%Y-%m}" if following <= today else None,
        totals=totals,
        parts=parts,
        picture=Markup(ledger_drawing.svg(parts, say, month)) if parts else None,  # noqa: S704 - ours
        hours=HOURS,
        declared=declared,
        fields=given or {"valid_from": f"{month:%Y-%m-%d}"},
        wrong=wrong,
        note_max=acting.NOTE_CHARS_MAX,
        said="baseline" if request.query_params.get("said") == "baseline" else None,
    )


def _month(request: Request, today: date) -> date:
    text = request.query_params.get("month", "")
    try:
        found = date.fromisoformat(f"{text}-01") if text else today.replace(day=1)
    except ValueError as error:
        raise Problem("day", 400, day=text[:20]) from error
    if found > today:
        raise Problem("ledger_month", 400, month=f"{found:%Y-%m}")
    if found.year < YEARS[0]:
        raise Problem("day", 400, day=text[:20])
    return found
