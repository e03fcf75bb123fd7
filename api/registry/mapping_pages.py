"""The page of lamps whose wiring is to be looked at: the outages that tell, "correct it" and "it is right"."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.alert_pages import counted
from api.registry import bodies, exchange, finding, mapping, work
from api.rest import AssetId
from api.rulebook import forms
from api.site import Site
from kraj.store import mapping as store

SAID = frozenset({"corrected", "kept"})
ODDS_MAX = 1_000_000
"""Nobody is surer than that of a model."""


def routes(site: Site) -> APIRouter:
    """The page and its two forms."""
    router = APIRouter(prefix="/wiring", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("")
    async def wiring(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _page(site, request)

    @router.post("/{asset_id}/correct")
    async def correct(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        # Of another cabinet the feeder is unknown, and the old one is wrong.
        place: dict[str, Any] = {name: given.get(name) or None for name in ("feeder", "cabinet")}
        body = forms.checked(bodies.AssetChange, {"metadata": place})
        async with site.service.database.connection(write=True) as connection:
            found = await finding.asset(connection, asset_id)
            if given.get("version") != str(found.version):
                raise exchange.changed()
            await work.change_asset(connection, asset_id, body, found.version, site.service.clock())
        return _back(found.municipality, "corrected")

    @router.post("/{asset_id}/keep")
    async def keep(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = {"reason": given.get("reason", ""), "outages": given.get("outages", "").split()}
        body = forms.checked(mapping.KeptBody, fields)
        async with site.service.database.connection(write=True) as connection:
            found = await finding.asset(connection, asset_id)
            await mapping.keep(connection, asset_id, body, site.service.clock())
        return _back(found.municipality, "kept")

    return router


async def _page(site: Site, request: Request) -> Response:
    async with site.service.database.connection() as connection:
        towns = await store.towns(connection)
        name = request.query_params.get("municipality") or (towns[0][0] if len(towns) == 1 else "")
        town = await finding.any_municipality(connection, name) if name else None
    found, kept = (None, []) if town is None else await mapping.looked(site.service, town.name)
    said = request.query_params.get("said")
    return site.page(
        request,
        "wiring.html",
        towns=towns,
        town=town,
        found=found,
        odds={one.asset_id: int(min(ODDS_MAX, 1 / max(one.chance, 1 / ODDS_MAX))) for one in found.items}
        if found
        else {},
        kept=kept,
        said=said if said in SAID else None,
        reason_max=mapping.REASON_MAX,
    )


def _back(municipality: str, said: str) -> Response:
    return RedirectResponse(f"/wiring?{urlencode({'municipality': municipality, 'said': said})}", 303)
