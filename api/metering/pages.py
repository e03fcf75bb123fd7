"""The pages of prices and meters: versions as a time line, points with their reconciliation, files and invoices."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting, problems
from api.alert_pages import counted
from api.database import Connection
from api.importing import receiving
from api.importing.routes import unreadable
from api.importing.work import Importer
from api.language import choose
from api.metering import bodies, import_routes, job_pages, sharing, work
from api.metering.import_routes import ImportId
from api.metering.point_routes import EanPath, InvoiceId, LinkId
from api.metering.routes import TariffId
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.rulebook import forms
from api.site import Site
from kraj.importing import Unreadable
from kraj.meters import VOLTAGES, ZONE
from kraj.store import meters, tariffs
from kraj.tariffs import DIRECTIONS, scope, timeline

SHOWN_MAX: Final = 500
SHARES_SHOWN_MAX: Final = 5000
LISTED_MAX: Final = 20
SAID = frozenset(
    {"declared", "withdrawn", "factor", "point", "linked", "ended", "invoice", "applied", "undone", "allocated"}
)
Doing = Callable[[Connection], Awaitable[Any]]


def routes(site: Site, importer: Importer) -> APIRouter:
    """Prices, points and files."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])
    _add_tariffs(router, site)
    _add_points(router, site)
    _add_point(router, site)
    _add_shares(router, site)
    _add_imports(router, site, importer)
    job_pages.add(router, site)
    return router


def _add_tariffs(router: APIRouter, site: Site) -> None:
    @router.get("/tariffs")
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _tariffs(site, request)

    @router.post("/tariffs")
    async def declare(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        kind, _, number = given.get("scope", "").partition(":")
        fields = _filled(given, "municipality", "name", "direction", "valid_from", "valid_until", "source")
        fields |= {"czk_per_kwh": _number(given.get("czk_per_kwh", ""))}
        fields |= {f"{kind}_id": number} if kind in {"asset", "group"} else {}
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            await work.declare(connection, forms.checked(bodies.TariffBody, fields), at)

        return await _done(site, request, doing, "/tariffs?said=declared", lambda p: _tariffs(site, request, given, p))

    @router.post("/tariffs/factors")
    async def factor(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = _filled(given, "municipality", "valid_from", "source")
        fields |= {"g_per_kwh": _number(given.get("g_per_kwh", ""))}
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            await work.declare_factor(connection, forms.checked(bodies.FactorBody, fields), at)

        return await _done(site, request, doing, "/tariffs?said=factor", lambda p: _tariffs(site, request, given, p))

    @router.post("/tariffs/{tariff_id}/withdraw")
    async def withdraw(request: Request, tariff_id: TariffId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            body = forms.checked(bodies.WithdrawBody, {"reason": given.get("reason", "")})
            await work.withdraw(connection, tariff_id, body.reason, at)

        return await _done(site, request, doing, "/tariffs?said=withdrawn", lambda p: _tariffs(site, request, given, p))


def _add_points(router: APIRouter, site: Site) -> None:
    @router.get("/metering")
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _points(site, request)

    @router.post("/metering/points")
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = _filled(given, "municipality", "title", "voltage", "distributor")
        fields |= {"ean": given.get("ean", "").replace(" ", "")}
        if given.get("difference_pct_max"):
            fields["difference_pct_max"] = _number(given["difference_pct_max"])
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            await work.add_point(connection, forms.checked(bodies.PointBody, fields), at)

        return await _done(site, request, doing, "/metering?said=point", lambda p: _points(site, request, given, p))


def _add_point(router: APIRouter, site: Site) -> None:
    @router.get("/metering/points/{ean}")
    async def one(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _point(site, request, ean)

    @router.post("/metering/points/{ean}/links")
    async def link(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        kind, _, number = given.get("scope", "").partition(":")
        fields = _filled(given, "valid_from", "valid_until")
        fields |= {f"{kind}_id": number} if kind in {"asset", "group"} else {}
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            await work.link(connection, ean, forms.checked(bodies.LinkBody, fields), at)

        there = f"/metering/points/{ean}?said=linked"
        return await _done(site, request, doing, there, lambda p: _point(site, request, ean, given, p))

    @router.post("/metering/points/{ean}/links/{meter_link_id}/end")
    async def end(request: Request, ean: EanPath, meter_link_id: LinkId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)

        async def doing(connection: Connection) -> None:
            body = forms.checked(bodies.EndBody, {"valid_until": given.get("valid_until", "")})
            await work.end_link(connection, ean, meter_link_id, body.valid_until)

        there = f"/metering/points/{ean}?said=ended"
        return await _done(site, request, doing, there, lambda p: _point(site, request, ean, given, p))

    @router.post("/metering/points/{ean}/invoices")
    async def invoice(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = _filled(given, "number", "direction", "period_from", "period_until") | {"ean": ean}
        fields |= {name: _number(given.get(name, "")) for name in ("kwh", "czk")}
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            await work.add_invoice(connection, forms.checked(bodies.InvoiceBody, fields), at)

        there = f"/metering/points/{ean}?said=invoice"
        return await _done(site, request, doing, there, lambda p: _point(site, request, ean, given, p))

    @router.post("/metering/points/{ean}/invoices/{invoice_id}/withdraw")
    async def withdraw(request: Request, ean: EanPath, invoice_id: InvoiceId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            body = forms.checked(bodies.WithdrawBody, {"reason": given.get("reason", "")})
            await work.withdraw_invoice(connection, invoice_id, body.reason, at)

        there = f"/metering/points/{ean}?said=withdrawn"
        return await _done(site, request, doing, there, lambda p: _point(site, request, ean, given, p))


def _add_shares(router: APIRouter, site: Site) -> None:
    @router.post("/metering/points/{ean}/shares")
    async def allocate(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        at = site.service.clock()

        async def doing(connection: Connection) -> None:
            fields = _filled(given, "valid_from", "source") | {"ean": ean}
            fields["shares"] = sharing.shares(given.get("shares", ""), ean)
            await work.allocate(connection, forms.checked(bodies.AllocationBody, fields), at)

        there = f"/metering/points/{ean}?said=allocated#said"
        return await _done(site, request, doing, there, lambda p: _point(site, request, ean, given, p))


def _add_imports(router: APIRouter, site: Site, importer: Importer) -> None:
    @router.post("/metering/imports")
    async def upload(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        exchange.who()
        file = await receiving.received(request)
        content = "invoices" if file.fields.get("content") == "invoices" else "quarters"
        try:
            told = import_routes.given({**file.fields})
            if import_routes.large(file):
                number = await job_pages.begin(importer, content, file, told)
                return RedirectResponse(f"/metering/jobs/{number}", 303)
            async with site.service.database.connection(write=True) as connection:
                number = await import_routes.kept(site.service, connection, content, file, told)
        except Unreadable as error:
            problem = unreadable(error, choose(request))
            return await _points(site, request, file.fields, problem, 422)
        except Problem as problem:
            return await _points(site, request, file.fields, problem)
        return RedirectResponse(f"/metering/imports/{number}", 303)

    @router.get("/metering/imports/{meter_import_id}")
    async def preview(request: Request, meter_import_id: ImportId) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            row = await work.an_import(connection, meter_import_id)
        made = import_routes.shown(site.service, row, choose(request))
        return site.page(request, "metering_import.html", record=made, said=_said(request))

    @router.post("/metering/imports/{meter_import_id}/{step}")
    async def step(request: Request, meter_import_id: ImportId, step: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        if step not in {"apply", "undo"}:
            raise Problem("not_found", 404, method="POST", path=request.url.path, detail="")
        async with site.service.database.connection(write=True) as connection:
            await work.step(connection, meter_import_id, site.service.clock(), undone=step == "undo")
        said = "undone" if step == "undo" else "applied"
        return RedirectResponse(f"/metering/imports/{meter_import_id}?said={said}#said", 303)


async def _done(
    site: Site, request: Request, doing: Doing, there: str, again: Callable[[Problem], Awaitable[Response]]
) -> Response:
    """One piece of work from a form; what is wrong with it is told beside the form."""
    exchange.who()
    try:
        async with site.service.database.connection(write=True) as connection:
            await doing(connection)
    except Problem as problem:
        if problem.status not in forms.IN_PLACE:
            raise
        return await again(problem)
    return RedirectResponse(there, 303)


async def _tariffs(
    site: Site, request: Request, given: dict[str, str] | None = None, problem: Problem | None = None
) -> Response:
    asked = request.query_params.get("municipality", "")
    async with site.service.database.connection() as connection:
        rows = await tariffs.tariffs(connection, municipality=asked or None, after=0, limit=SHOWN_MAX)
        factors = await tariffs.factors(connection, municipality=None, after=0, limit=SHOWN_MAX)
        towns, region = await tariffs.may_anywhere(connection)
        scopes = await meters.scopes(connection, None, SHOWN_MAX)
    lines = [
        (versions[0], timeline(versions))
        for versions in (list(found) for _, found in groupby(sorted(rows, key=scope), key=scope))
    ]
    return site.page(
        request,
        "tariffs.html",
        problem.status if problem else 200,
        lines=lines,
        withdrawn=[row for row in rows if row.withdrawn_at],
        factors=factors,
        towns=towns,
        region=region,
        scopes=scopes,
        directions=DIRECTIONS,
        given=defaultdict(str, given or {}),
        wrong=_wrong(site, request, problem),
        said=_said(request),
        today=site.service.clock().astimezone(ZONE).date(),
    )


async def _points(
    site: Site,
    request: Request,
    given: dict[str, str] | None = None,
    problem: Problem | None = None,
    status: int | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        rows = await meters.points(connection, municipality=None, after="", limit=SHOWN_MAX)
        listed = await meters.imports(connection, after=None, limit=LISTED_MAX)
        towns, _ = await tariffs.may_anywhere(connection)
    return site.page(
        request,
        "metering.html",
        status or (problem.status if problem else 200),
        points=rows,
        imports=listed,
        towns=towns,
        voltages=VOLTAGES,
        given=defaultdict(str, given or {}),
        wrong=_wrong(site, request, problem),
        said=_said(request),
    )


async def _point(
    site: Site, request: Request, ean: str, given: dict[str, str] | None = None, problem: Problem | None = None
) -> Response:
    this_year = site.service.clock().astimezone(ZONE).year
    text = request.query_params.get("year", "")
    year = int(text) if text.isascii() and text.isdigit() and 2000 <= int(text[:5]) <= 2099 else this_year
    async with site.service.database.connection() as connection:
        point = await work.point(connection, ean)
        sides = [(way, *await work.reconciled(connection, point, way, year)) for way in DIRECTIONS]
        links = await meters.links(connection, ean)
        bills = await meters.invoices(connection, ean=ean, limit=SHOWN_MAX)
        keys = await meters.allocations(connection, municipality=None, ean=ean, after=0, limit=SHARES_SHOWN_MAX)
        towns, _ = await tariffs.may_anywhere(connection)
        scopes = await meters.scopes(connection, point.municipality, SHOWN_MAX)
    known = [(way, months, billed) for way, months, billed in sides if way == "import" or _any(months + billed)]
    return site.page(
        request,
        "metering_point.html",
        problem.status if problem else 200,
        point=point,
        year=year,
        this_year=this_year,
        sides=known,
        links=links,
        invoices=bills,
        versions=sharing.versions(keys),
        scopes=scopes,
        directions=DIRECTIONS,
        may=point.municipality in {name for name, _ in towns},
        given=defaultdict(str, given or {}),
        wrong=_wrong(site, request, problem),
        said=_said(request),
        today=site.service.clock().astimezone(ZONE).date().isoformat(),
    )


def _any(compared: list[Any]) -> bool:
    return any(side.completeness for one in compared for side in (one.ours, one.theirs, one.billed))


def _wrong(site: Site, request: Request, problem: Problem | None) -> ProblemDetails | None:
    if problem is None:
        return None
    if problem.status == 422:
        return problems.details(site.service, request, problem)
    return forms.told(site.service, request, problem)


def _said(request: Request) -> str | None:
    said = request.query_params.get("said")
    return said if said in SAID else None


def _filled(given: dict[str, str], *names: str) -> dict[str, Any]:
    """The fields of a form that were filled in."""
    return {name: given[name].strip() for name in names if given.get(name, "").strip()}


def _number(text: str) -> str:
    """A number as a Czech writes it."""
    return text.replace("\xa0", "").replace(" ", "").replace(",", ".")
