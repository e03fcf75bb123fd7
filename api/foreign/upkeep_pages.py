"""Forms for mappings of foreign devices, tried on a pasted message before they are kept, and for what is fetched."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import problems
from api.database import Connection
from api.foreign import bodies, devices, keeping, trying
from api.foreign.routes import LISTED_MAX, Named, Town
from api.problems import Problem
from api.registry import exchange, finding
from api.registry import forms as places
from api.rulebook import forms
from api.site import Site
from kraj.foreign.records import Adapter
from kraj.sealing import Sealer
from kraj.store import foreign, pulls

SAID = frozenset({"saved", "dropped", "fetched", "stopped"})
IN_PLACE = forms.IN_PLACE | {412}
Given = dict[str, str]
Doing = Callable[[Connection], Awaitable[Any]]


def routes(site: Site, sealer: Sealer) -> APIRouter:
    """The pages."""
    router = APIRouter(default_response_class=HTMLResponse)
    _add_list(router, site)
    _add_new(router, site)
    _add_one(router, site)
    _add_pulls(router, site, sealer)
    return router


def _add_list(router: APIRouter, site: Site) -> None:
    @router.get("/foreign/mappings")
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            rows = await foreign.mappings(connection, municipality=None, name=None, limit=LISTED_MAX)
            may = bool(await places.towns(connection))
        return site.page(request, "foreign_mappings.html", mappings=rows, may=may, said=_said(request))


def _add_new(router: APIRouter, site: Site) -> None:
    here = "/foreign/mappings/new"

    @router.get(here)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        document = json.dumps(bodies.DOCUMENT, indent=2, ensure_ascii=False)
        return await _form(site, request, {"document": document, "topic": "data"})

    @router.post(here)
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)

        async def doing(connection: Connection) -> None:
            fields = {name: given.get(name, "") for name in ("municipality", "name", "adapter")}
            body = forms.checked(bodies.MappingBody, fields | {"document": _document(given)})
            await keeping.add_mapping(connection, body, site.service.clock())

        return await _taken(site, request, given, doing, None)


def _add_one(router: APIRouter, site: Site) -> None:
    here = "/foreign/mappings/{municipality}/{name}"

    async def found(municipality: str, name: str) -> foreign.MappingRow:
        async with site.service.database.connection() as connection:
            return await keeping.mapping(connection, municipality, name)

    @router.get(here)
    async def one(request: Request, municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        row = await found(municipality, name)
        document = json.dumps(row.document, indent=2, ensure_ascii=False)
        return await _form(
            site, request, {"document": document, "topic": "data", "version": str(row.version)}, known=row
        )

    @router.post(here)
    async def change(request: Request, municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        row = await found(municipality, name)
        given = await forms.read(request) | {"municipality": municipality, "name": name, "adapter": row.adapter}

        async def doing(connection: Connection) -> None:
            if given.get("do") == "drop":
                await keeping.drop_mapping(connection, municipality, name)
                return
            await finding.municipality(connection, municipality)
            version = given.get("version", "")
            number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
            await keeping.change_mapping(connection, row, _document(given), number or -1, site.service.clock())

        return await _taken(site, request, given, doing, row)


def _document(given: Given) -> dict[str, Any]:
    """The mapping as JSON; raises ``Problem('mapping_json')``."""
    try:
        return trying.document(given.get("document", ""))
    except (ValueError, RecursionError) as error:
        raise Problem("mapping_json", 400, detail=str(error)[:300]) from error


async def _taken(
    site: Site, request: Request, given: Given, doing: Doing, known: foreign.MappingRow | None
) -> Response:
    """Try what the form holds, or do it; what is wrong with it is told beside the form."""
    exchange.who()
    try:
        if given.get("do") == "try":
            _document(given)
            result = trying.attempt(site.service, request, given)
            return await _form(site, request, given, known=known, result=result)
        async with site.service.database.connection(write=True) as connection:
            await doing(connection)
    except Problem as problem:
        if problem.status not in IN_PLACE:
            raise
        return await _form(site, request, given, known=known, problem=problem)
    if given.get("do") == "drop":
        return RedirectResponse("/foreign/mappings?said=dropped#said", 303)
    path = "/".join(quote(given.get(name, ""), safe="") for name in ("municipality", "name"))
    return RedirectResponse(f"/foreign/mappings/{path}?said=saved#said", 303)


async def _form(
    site: Site,
    request: Request,
    given: Given,
    *,
    known: foreign.MappingRow | None = None,
    result: bodies.Tried | None = None,
    problem: Problem | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        towns = await places.towns(connection)
    return site.page(
        request,
        "foreign_mapping.html",
        problem.status if problem else 200,
        given=defaultdict(str, given),
        known=known,
        towns=towns,
        may=bool(towns) if known is None else known.municipality in dict(towns),
        adapters=list(Adapter),
        result=result,
        wrong=problem and problems.details(site.service, request, problem),
        said=_said(request),
    )


def _add_pulls(router: APIRouter, site: Site, sealer: Sealer) -> None:
    here = "/foreign/pulls"

    @router.get(here)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _pulls(site, request)

    @router.post(here)
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        exchange.who()
        given = await forms.read(request)
        try:
            body = forms.checked(bodies.PullBody, _pull(given))
            async with site.service.database.connection(write=True) as connection:
                await keeping.add_pull(connection, sealer, body, site.service.clock())
        except Problem as problem:
            if problem.status not in IN_PLACE:
                raise
            return await _pulls(site, request, given, problem)
        return RedirectResponse(f"{here}?said=fetched#said", 303)

    @router.post(f"{here}/{{municipality}}/{{name}}/drop")
    async def drop(request: Request, municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        exchange.who()
        await forms.read(request)
        async with site.service.database.connection(write=True) as connection:
            await keeping.drop_pull(connection, municipality, name)
        return RedirectResponse(f"{here}?said=stopped#said", 303)


def _pull(given: Given) -> dict[str, Any]:
    """The fields of a form as the API takes them; headers are lines ``Name: value``, the interval is in minutes."""
    minutes = places.number(given.get("interval_min", ""))
    headers: dict[str, str] = {}
    for line in filter(None, map(str.strip, given.get("headers", "").split("\n"))):
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    fields: dict[str, Any] = {name: given.get(name, "").strip() for name in ("name", "device", "url")}
    return fields | {"headers": headers, "interval_s": minutes * 60 if isinstance(minutes, (int, float)) else minutes}


async def _pulls(site: Site, request: Request, given: Given | None = None, problem: Problem | None = None) -> Response:
    async with site.service.database.connection() as connection:
        rows = await pulls.pulls(connection, municipality=None, name=None, limit=LISTED_MAX)
        known = await foreign.devices(connection, limit=devices.LISTED_MAX)
        towns = {name for name, _ in await places.towns(connection)}
    return site.page(
        request,
        "foreign_pulls.html",
        problem.status if problem else 200,
        pulls=rows,
        devices=[one for one in known if one.adapter == Adapter.JSON and one.municipality in towns],
        towns=towns,
        given=defaultdict(str, {"interval_min": "5"} if given is None else given | {"headers": ""}),
        wrong=problem and problems.details(site.service, request, problem),
        said=_said(request),
    )


def _said(request: Request) -> str | None:
    said = request.query_params.get("said")
    return said if said in SAID else None
