"""Reports as pages: months to choose from, the report itself in three forms, and who gets it by e-mail."""

import asyncio
from datetime import date, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting
from api.alert_pages import counted
from api.database import Connection
from api.language import LANGUAGES, choose
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.reports import making
from api.reports.document import Document
from api.reports.printing import (
    MEDIA,
    PAGE,
    PRINT,
    TABLE,
    NoPangoError,
    Printer,
    file_name,
    month_name,
    months,
    policy,
)
from api.rulebook import forms
from api.site import Site
from kraj import reports
from kraj.errors import ConfigurationError
from kraj.store import report_runs as runs
from kraj.store import reports as store
from kraj.store import rulebook
from kraj.store.reports import Building, Town

MONTHS_SHOWN: Final = 24
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
SAID: Final = frozenset({"on", "off", "again"})


def routes(site: Site, printer: Printer) -> APIRouter:
    """Every page of reports."""
    router = APIRouter(prefix="/reports", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("")
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _overview(site, request)

    @router.get("/{municipality}/{month}.{form}")
    async def read(  # pyright: ignore[reportUnusedFunction]
        request: Request, municipality: str, month: str, form: Literal["html", "csv", "pdf"]
    ) -> Response:
        return await _report(site, printer, request, name=municipality, month=month, form=form)

    _add_subscriptions(router, site)
    return router


def _add_subscriptions(router: APIRouter, site: Site) -> None:
    database = site.service.database

    @router.post("/subscriptions")
    async def subscribe(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        name = given.get("municipality", "")
        try:
            async with database.connection(write=True) as connection:
                of = await readable(connection, name)
                await _subscribe(connection, of, given, site.service.clock())
        except Problem as problem:
            return await _overview(site, request, name, forms.told(site.service, request, problem))
        return RedirectResponse(f"/reports?municipality={of.name}&said=on", 303)

    @router.post("/subscriptions/{number}/drop")
    async def drop(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with database.connection(write=True) as connection:
            if not await runs.unsubscribe(connection, number):
                raise Problem("report_subscription", 404, name=number)
        return RedirectResponse("/reports?said=off", 303)

    @router.post("/subscriptions/{number}/again")
    async def again(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        at = site.service.clock()
        month = month_of(given.get("month", ""), at, status=400)
        async with database.connection(write=True) as connection:
            if not await runs.again(connection, number, month, at):
                raise Problem("report_subscription", 404, name=number)
        return RedirectResponse("/reports?said=again", 303)


async def _subscribe(connection: Connection, of: Town, given: dict[str, str], at: datetime) -> None:
    target = given.get("target_id", "")
    number = int(target) if target.isascii() and target.isdigit() and len(target) < len("2147483647") else 0
    if not await rulebook.may(connection, "rules", of.municipality_id):
        raise Problem("rules_right", 403, name=of.title)
    if not any(one.target_id == number for one in await runs.targets(connection, of.municipality_id)):
        raise Problem("report_target", 400, name=target[:20])
    building = await building_of(connection, of, given.get("building", ""))
    language = given.get("language", "")
    await runs.subscribe(
        connection,
        of.municipality_id,
        number,
        group_id=building and building.group_id,
        language=language if language in LANGUAGES else "cs",
        who=exchange.who().title,
        at=at,
    )


async def _report(site: Site, printer: Printer, request: Request, *, name: str, month: str, form: str) -> Response:
    at, language = site.service.clock(), choose(request)
    first = month_of(month, at)
    async with site.service.database.connection() as connection:
        of = await readable(connection, name)
        building = await building_of(connection, of, request.query_params.get("building", ""))
        document = await making.made(connection, of, first, at, language=language, building=building)
    return told(document, form, language, await printed(printer, document, form, language))


def told(document: Document, form: str, language: str, content: str | bytes) -> Response:
    """A report as a file of its form."""
    shown = "inline" if form == PAGE else "attachment"
    headers = {
        "content-disposition": f'{shown}; filename="{file_name(document, form)}"',
        "content-language": language,
        "vary": "accept-language, cookie",
    }
    if isinstance(content, str):
        headers["content-security-policy"] = policy(content)
    return Response(content, media_type=MEDIA[form], headers=headers)


async def printed(printer: Printer, document: Document, form: str, language: str) -> str | bytes:
    """A report in one of its forms."""
    if form == PAGE:
        return printer.html(document, language)
    if form == TABLE:
        return printer.csv(document, language)
    try:
        async with printer.turn:
            return await asyncio.to_thread(printer.pdf, document, language)
    except NoPangoError as error:
        raise Problem("report_pdf", 503) from error


async def _overview(
    site: Site, request: Request, name: str | None = None, wrong: ProblemDetails | None = None
) -> Response:
    asked = request.query_params
    given = (asked.get("municipality", "") if name is None else name).replace("\0", "")
    say = site.service.texts[choose(request)]
    async with site.service.database.connection() as connection:
        towns = await rulebook.towns(connection)
        chosen = next((row for row in towns if row.name == given), towns[0] if towns and not given else None)
        if given and chosen is None:
            raise Problem("municipality", 404, name=given[:100])
        number = 0 if chosen is None else chosen.municipality_id
        buildings = await store.buildings(connection, number)
        of = None if chosen is None else Town(number, chosen.name, chosen.title)
        building = None if of is None else await building_of(connection, of, asked.get("building", ""))
        targets = await runs.targets(connection, number)
        subscriptions = await runs.subscriptions(connection, number)
        sent = await runs.runs(connection, number)
    today = site.service.clock().astimezone(reports.ZONE).date()
    return site.page(
        request,
        "reports.html",
        200 if wrong is None else wrong.status,
        towns=towns,
        chosen=chosen,
        buildings=buildings,
        building=building,
        months=[(f"{month:%Y-%m}", month_name(say, month)) for month in months(today, MONTHS_SHOWN)],
        last=f"{reports.before(today):%Y-%m}",
        targets=targets,
        subscriptions=subscriptions,
        runs=[(row, month_name(say, row.month)) for row in sent],
        forms=(PRINT, TABLE),
        wrong=wrong,
        said=asked.get("said") if asked.get("said") in SAID else None,
    )


async def readable(connection: Connection, name: str) -> Town:
    """A municipality whose reports the principal may read."""
    of = await store.town(connection, name.replace("\0", ""))
    if of is None or not await rulebook.may(connection, "read", of.municipality_id):
        raise Problem("municipality", 404, name=name[:100])
    return of


async def building_of(connection: Connection, of: Town, text: str) -> Building | None:
    """The building of this number; None for an empty text."""
    if not text:
        return None
    found = None
    if text.isascii() and text.isdigit() and len(text) < len("2147483647"):
        found = await making.found_building(connection, of, int(text))
    if found is None:
        raise Problem("report_building", 404, name=text[:20])
    return found


def month_of(text: str, at: datetime, *, status: int = 404) -> date:
    """The first day of a month that has begun, as ``2026-10``; ``status`` tells where it is named, 404 in a path."""
    try:
        return making.month_of(text, at.astimezone(reports.ZONE).date())
    except ConfigurationError as error:
        raise Problem("report_month", status, name=text[:20]) from error
