"""The page of municipalities: their titles, what is kept of them and for how long; the region founds and renames."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.problems import Problem, ProblemDetails
from api.registry import bodies, exchange, finding, work
from api.rulebook import forms
from api.site import Site
from kraj.store import desk as store
from kraj.store import registering

TOWNS = "/towns"
SAID = frozenset({"founded", "renamed", "dropped"})


def add(router: APIRouter, site: Site) -> None:
    """The page and its forms."""

    @router.get(TOWNS)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _page(site, request)

    @router.post(TOWNS)
    async def found(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = {name: given.get(name, "").strip() for name in ("name", "title")}
        try:
            body = forms.checked(bodies.MunicipalityBody, fields)
            async with site.service.database.connection(write=True) as connection:
                await work.found_municipality(connection, body)
        except Problem as problem:
            return await _page(site, request, fields, forms.told(site.service, request, problem))
        return RedirectResponse(f"{TOWNS}?said=founded", 303)

    @router.post(TOWNS + "/{name}/title")
    async def rename(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        body = forms.checked(bodies.MunicipalityChange, {"title": given.get("title", "").strip()})
        async with site.service.database.connection(write=True) as connection:
            now = await finding.governed(connection, name)
            version = _version(given, now.version)
            if not await registering.rename_municipality(connection, name, body.title or now.title, version):
                raise exchange.changed()
        return RedirectResponse(f"{TOWNS}?said=renamed", 303)

    @router.post(TOWNS + "/{name}/drop")
    async def drop(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        async with site.service.database.connection(write=True) as connection:
            now = await finding.governed(connection, name)
            await work.drop_municipality(connection, name, _version(given, now.version))
        return RedirectResponse(f"{TOWNS}?said=dropped", 303)


def _version(given: dict[str, str], version: int) -> int:
    if given.get("version") != str(version):
        raise exchange.changed()
    return version


async def _page(
    site: Site, request: Request, given: dict[str, str] | None = None, wrong: ProblemDetails | None = None
) -> Response:
    async with site.service.database.connection() as connection:
        towns = await store.towns(connection)
        governs = await registering.may_govern(connection)
    said = request.query_params.get("said")
    return site.page(
        request,
        "desk_towns.html",
        200 if wrong is None else wrong.status,
        towns=towns,
        governs=governs,
        given=given or {"name": "", "title": ""},
        wrong=wrong,
        said=said if said in SAID else None,
    )
