"""The form of an asset: a new one, one that is known, and the map that it takes its place from."""

import uuid
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.language import choose
from api.problems import Problem, ProblemDetails
from api.registry import bodies, finding, forms, work
from api.registry.exchange import Answer, Connection, Work
from api.rest import AssetId
from api.rulebook.forms import told
from api.site import Site
from kraj.attributes import ATTRIBUTES
from kraj.kinds import KINDS
from kraj.store import placing
from kraj.store.queries import folded

PLACES_MAX = 2000
"""Of known assets on the map of the form; more is a grey cloud."""


def add(router: APIRouter, site: Site) -> None:
    """Put its pages into the router."""

    @router.get("/registry/new")
    async def new(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _form_page(site, request, None)

    @router.post("/registry/new")
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        sent = given, _ = await forms.read(request)
        name = given.get("device", "").strip()

        async def doing(connection: Connection) -> Answer:
            at = site.service.clock()
            fields = forms.asset(given, choose(request)) | {"municipality": given.get("municipality", "")}
            asset = forms.checked(bodies.AssetBody, fields)
            await _unlabelled(connection, asset.municipality, asset.kind, asset.label)
            asset_id = await work.add_asset(connection, asset, at)
            if name:
                device = {"name": name, "municipality": asset.municipality, "asset_id": asset_id}
                await work.add_device(connection, forms.checked(bodies.DeviceBody, device), at)
            return Answer({}, headers={"location": f"/assets/{asset_id}?said=added"})

        return await _done(site, request, sent, doing)

    @router.get("/registry/places")
    async def places(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(await _places(site, request.query_params.get("municipality", "")))

    _add_changes(router, site)


def _add_changes(router: APIRouter, site: Site) -> None:
    @router.get("/assets/{asset_id}/edit")
    async def edit(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _form_page(site, request, asset_id)

    @router.post("/assets/{asset_id}/edit")
    async def change(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        sent = given, _ = await forms.read(request)

        async def doing(connection: Connection) -> Answer:
            found = await finding.asset(connection, asset_id)
            fields = forms.change(given, found.kind, choose(request))
            town = given.get("municipality") or found.municipality
            if (town, folded(given.get("label", ""))) != (found.municipality, folded(found.label)):
                await _unlabelled(connection, town, found.kind, given.get("label", ""))
            if given.get("municipality") and given["municipality"] != found.municipality:
                fields["municipality"] = given["municipality"]
            body = forms.checked(bodies.AssetChange, fields)
            version = forms.version(given, found.version)
            await work.change_asset(connection, asset_id, body, version, site.service.clock())
            return Answer({}, headers={"location": f"/assets/{asset_id}?said=changed"})

        return await _done(site, request, sent, doing, asset_id)

    @router.post("/assets/{asset_id}/retire")
    async def retire(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)

        async def doing(connection: Connection) -> Answer:
            found = await finding.asset(connection, asset_id)
            version = forms.version(given, found.version)
            gone = await work.remove_asset(connection, asset_id, version, site.service.clock())
            return Answer({}, headers={"location": "/registry" if gone else f"/assets/{asset_id}?said=retired"})

        return await forms.done(site, given, request, raw, doing)


async def _unlabelled(connection: Connection, town: str, kind: str, label: str) -> None:
    """Refuse a label that another asset of the kind has; a file's second row of one is refused, too."""
    if await placing.labelled(connection, town, kind, label) is not None:
        raise Problem("label_taken", 409, label=label.strip())


async def _done(
    site: Site, request: Request, sent: tuple[dict[str, str], bytes], doing: Work, asset_id: int | None = None
) -> Response:
    """Do it; what is wrong stands beside the form, with what was written in it."""
    given, raw = sent
    try:
        return await forms.done(site, given, request, raw, doing)
    except Problem as problem:
        return await _form_page(site, request, asset_id, given, told(site.service, request, problem))


async def _form_page(
    site: Site,
    request: Request,
    asset_id: int | None,
    given: dict[str, str] | None = None,
    wrong: ProblemDetails | None = None,
) -> Response:
    asked = request.query_params if given is None else given
    kind = asked.get("kind", "")
    async with site.service.database.connection() as connection:
        asset = None if asset_id is None else await finding.asset(connection, asset_id)
        towns = await forms.towns(connection)
    chosen = asset.kind if asset is not None else kind if kind in KINDS else None
    fields = asset if given is None else forms.shown(given, chosen or "")
    return site.page(
        request,
        "asset_form.html",
        200 if wrong is None else wrong.status,
        asset=asset,
        fields=fields or forms.shown({}, ""),
        wrong=wrong,
        kind=chosen and KINDS[chosen],
        attributes=ATTRIBUTES.get(chosen or "", ()),
        towns=towns,
        town=asked.get("municipality") or (asset.municipality if asset is not None else ""),
        key=str(uuid.uuid4()),
    )


async def _places(site: Site, town: str) -> dict[str, Any]:
    """What a map of a municipality shows beside the place to be chosen: known assets; else where others' towns lie."""
    async with site.service.database.connection() as connection:
        rows = await placing.placed(connection, town, PLACES_MAX)
        around = [] if rows else await placing.middles(connection)
    assets = [[row.label, row.kind, row.latitude, row.longitude] for row in rows]
    return {"assets": assets, "towns": [list(row) for row in around]}
