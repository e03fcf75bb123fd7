"""A fault told on the telephone, written down by a clerk in a minute; and the switch of what anybody may see."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.open311 import taking
from api.principal import Principal
from api.problems import Problem
from api.public.report_pages import CHOICES, take
from api.registry import work
from api.rulebook import forms
from api.site import Site
from kraj.store import public, queries
from kraj.store.queries import AssetFilter, folded

PHONE = "/reports/phone"
PUBLISHING = "/publishing"
FIELDS = ("service_code", "municipality", "label", "address", "description", "email")
CANDIDATES_MAX = 200


def routes(site: Site) -> APIRouter:
    """The pages; both for who is signed in."""
    router = APIRouter(default_response_class=HTMLResponse)
    _add_phone(router, site)
    _add_publishing(router, site)
    return router


def _add_phone(router: APIRouter, site: Site) -> None:
    @router.get(PHONE)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _clerk(request)
        return await _form(site, request, {})

    @router.post(PHONE)
    async def write(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _clerk(request)
        given = {name: value.replace("\0", "") for name, value in (await forms.read(request)).items()}
        try:
            taken = await take(site, request, await _placed(site, given), "phone")
        except Problem as problem:
            if problem.status in (404, 405) or problem.status >= 500:
                raise
            return await _form(site, request, given, problem)
        return RedirectResponse(f"{PHONE}?done={taken.token}", 303)


def _clerk(request: Request) -> None:
    """Who answers for faults may write them down."""
    principal: Principal | None = request.state.principal
    if principal is None or "act" not in principal.rights:
        raise Problem("right", 403, name="act")


async def _placed(site: Site, given: dict[str, str]) -> dict[str, str]:
    """The form with the asset that its label names, or with the place in words."""
    town, label, street = (given.get(name, "").strip() for name in ("municipality", "label", "address"))
    async with site.service.database.connection() as connection:
        titles = {row.name: row.title for row in await queries.municipalities(connection)}
        rows = (
            await queries.headlines(
                connection, AssetFilter(municipality=town or None, text=label), after=0, limit=CANDIDATES_MAX
            )
            if label
            else []
        )
    exact = [row for row in rows if folded(row.label) == folded(label) and row.kind in ("lamp", "stop")]
    if len(exact) == 1:
        return {**given, "asset": str(exact[0].asset_id), "address": ""}
    words = ", ".join(word for word in (label, street) if word)
    return {**given, "asset": "", "address": ", ".join(filter(None, (words, titles.get(town)))) if words else ""}


async def _form(site: Site, request: Request, given: dict[str, str], wrong: Problem | None = None) -> Response:
    async with site.service.database.connection() as connection:
        towns = await queries.municipalities(connection)
    return site.page(
        request,
        "report_phone.html",
        wrong.status if wrong else 200,
        wrong=forms.told(site.service, request, wrong) if wrong else None,
        given={name: given.get(name, "") for name in FIELDS},
        towns=[row for row in towns if row.assets],
        choices=CHOICES[""],
        limits=taking,
        done=request.query_params.get("done", "")[:100],
    )


def _add_publishing(router: APIRouter, site: Site) -> None:
    @router.get(PUBLISHING)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            rows = await public.managed(connection)
        return site.page(request, "publishing.html", towns=rows, said=request.query_params.get("said") == "1")

    @router.post(PUBLISHING + "/{name}")
    async def switch(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        version = given.get("version", "")
        if not version.isdecimal() or len(version) > 9:
            raise Problem("body", 400, name="version", value=version)
        async with site.service.database.connection(write=True) as connection:
            await work.publish(connection, name, published=given.get("published") == "1", version=int(version))
        return RedirectResponse(f"{PUBLISHING}?said=1", 303)
