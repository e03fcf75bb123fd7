"""The pages of the registry for a town hall: forms that work without JavaScript, each a piece of ``work``."""

import uuid
from datetime import datetime
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from api import cursors, parameters, principal
from api.alert_pages import counted
from api.desk import labels
from api.language import choose
from api.problems import Problem
from api.registry import asset_pages, bodies, finding, forms, unregistered, work
from api.registry.exchange import Answer, Connection
from api.registry.groups import GroupId
from api.site import Site
from kraj import devices
from kraj.devices import DeviceState
from kraj.groups import CONNECTING
from kraj.store import grouping, queries

ROWS = 100
HITS = 30
SAID = frozenset(
    {"added", "changed", "retired", "replaced", "suspended", "resumed", "decommissioned", "claimed", "safe_mode"}
)


def routes(site: Site, public_url: str | None = None) -> APIRouter:
    """Every page of the registry; ``public_url`` is told to devices, where the address of a request is another."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])
    _add_hub(router, site)
    asset_pages.add(router, site)
    _add_devices(router, site, public_url)
    _add_steps(router, site)
    _add_unregistered(router, site)
    _add_groups(router, site)
    return router


def _add_hub(router: APIRouter, site: Site) -> None:
    @router.get("/registry")
    async def hub(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        page = await unregistered.waiting(
            site.service, unregistered.UnregisteredParameters.model_validate({"limit": ROWS})
        )
        async with site.service.database.connection() as connection:
            groups = await queries.groups(connection, municipality=None, kind=None, after=0, limit=ROWS)
            found = await queries.devices(connection, _wanted(request), after="", limit=ROWS)
        return site.page(
            request,
            "registry.html",
            unregistered=len(page.items),
            groups=len(groups),
            devices=found,
            q=request.query_params.get("q", ""),
            may=_may(),
        )


def _add_devices(router: APIRouter, site: Site, public_url: str | None) -> None:
    @router.get("/devices/{name}")
    async def device(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _device_page(site, request, name)

    @router.post("/devices/{name}/provision")
    async def provision(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The code stands on the answer itself: it is shown once and in no address."""
        async with site.service.database.connection(write=True) as connection:
            code, expires_at = await work.provision(connection, name, site.service.clock())
        drawn = labels.picture(labels.enrolment_uri(public_url or str(request.base_url), name, code))
        return await _device_page(site, request, name, code=code, expires_at=expires_at, picture=drawn)


def _add_steps(router: APIRouter, site: Site) -> None:
    @router.post("/devices/{name}/steps")
    async def step(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        body = forms.checked(bodies.StepBody, {"step": given.get("step", ""), "reason": given.get("reason", "")})
        if body.step == "decommissioned" and given.get("confirm") != "yes":
            raise Problem("body", 400, name="confirm", value=given.get("confirm", ""))

        async def doing(connection: Connection) -> Answer:
            await work.take_step(connection, name, body, site.service.clock())
            return Answer({}, headers={"location": f"/devices/{quote(name)}?said={body.step}"})

        return await forms.done(site, given, request, raw, doing)

    @router.post("/devices/{name}/safe-mode")
    async def safe_mode(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        if given.get("confirm") != "yes":
            raise Problem("body", 400, name="confirm", value=given.get("confirm", ""))
        body = forms.checked(bodies.SafeModeBody, {"reason": given.get("reason", "").strip()})

        async def doing(connection: Connection) -> Answer:
            await work.safe_mode(connection, name, body, site.service.clock())
            return Answer({}, headers={"location": f"/devices/{quote(name)}?said=safe_mode"})

        return await forms.done(site, given, request, raw, doing)

    @router.post("/devices/{name}/replace")
    async def replace(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        fields = {"new": given.get("new", "").strip(), "reason": given.get("reason", "")}
        body = forms.checked(bodies.ReplaceBody, fields)

        async def doing(connection: Connection) -> Answer:
            await work.replace(connection, name, body, site.service.clock())
            return Answer({}, headers={"location": f"/devices/{body.new}?said=replaced"})

        return await forms.done(site, given, request, raw, doing)


def _add_unregistered(router: APIRouter, site: Site) -> None:
    @router.get("/unregistered")
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        asked = unregistered.UnregisteredParameters.model_validate(
            {"limit": ROWS, "cursor": request.query_params.get("cursor")}
        )
        page = await unregistered.waiting(site.service, asked)
        return site.page(request, "unregistered.html", page=page, may=_may(), key=str(uuid.uuid4()))

    @router.post("/unregistered/{name}/claim")
    async def claim(request: Request, name: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        asset = forms.asset(given, choose(request))
        fields = {"municipality": given.get("municipality", ""), "asset": asset}
        body = forms.checked(bodies.ClaimBody, fields)

        async def doing(connection: Connection) -> Answer:
            await work.claim(connection, name, body, site.service.clock())
            return Answer({}, headers={"location": f"/devices/{name}?said=claimed"})

        return await forms.done(site, given, request, raw, doing)


def _add_groups(router: APIRouter, site: Site) -> None:
    @router.get("/groups")
    async def groups(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            rows = await queries.groups(connection, municipality=None, kind=None, after=0, limit=parameters.PAGE_MAX)
            towns = await forms.towns(connection)
        return site.page(
            request, "groups.html", groups=rows, towns=towns, attributes=CONNECTING, may=_may(), key=str(uuid.uuid4())
        )

    @router.post("/groups")
    async def add_group(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        body = forms.checked(bodies.GroupBody, forms.group(given))

        async def doing(connection: Connection) -> Answer:
            await work.add_group(connection, body)
            return Answer({}, headers={"location": "/groups"})

        return await forms.done(site, given, request, raw, doing)

    @router.get("/groups/{group_id}")
    async def group(request: Request, group_id: GroupId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _group_page(site, request, group_id)

    @router.post("/groups/{group_id}/members")
    async def members(request: Request, group_id: GroupId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)
        fields = {name: [given[name]] for name in ("add", "remove") if name in given}
        body = forms.checked(bodies.MembersBody, fields)
        said = "put_in" if "add" in given else "taken_out"
        back = urlencode({"q": given.get("q", ""), "said": said})

        async def doing(connection: Connection) -> Answer:
            await finding.group(connection, group_id)
            await work.change_members(connection, group_id, body)
            return Answer({}, headers={"location": f"/groups/{group_id}?{back}#said"})

        return await forms.done(site, given, request, raw, doing)

    @router.post("/groups/{group_id}/remove")
    async def remove_group(request: Request, group_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        given, raw = await forms.read(request)

        async def doing(connection: Connection) -> Answer:
            found = await finding.group(connection, group_id)
            await work.remove_group(connection, group_id, forms.version(given, found.version))
            return Answer({}, headers={"location": "/groups"})

        return await forms.done(site, given, request, raw, doing)


async def _group_page(site: Site, request: Request, group_id: int) -> Response:
    """Members, and what else of the group's own municipality can be put in."""
    q = request.query_params.get("q", "").replace("\0", "")[:100].strip()
    scope = f"group/{group_id}"
    after = cursors.number(request.query_params.get("cursor"), scope, 0)
    async with site.service.database.connection() as connection:
        found = await queries.group(connection, group_id)
        if found is None:
            raise Problem("group", 404, name=group_id)
        inside = await queries.assets(connection, queries.AssetFilter(group_id=group_id), after=after, limit=ROWS + 1)
        which = queries.AssetFilter(municipality=found.municipality, text=q)
        hits = await queries.assets(connection, which, after=0, limit=HITS) if q and found.writable else []
        within = await grouping.within(connection, group_id, [row.asset_id for row in hits])
    said = request.query_params.get("said")
    return site.page(
        request,
        "group.html",
        group=found,
        members=inside[:ROWS],
        following=cursors.encode(scope, inside[ROWS - 1].asset_id) if len(inside) > ROWS else None,
        hits=hits,
        within=within,
        many=len(hits) == HITS,
        q=q,
        said=said if said in {"put_in", "taken_out"} else None,
    )


async def _device_page(
    site: Site,
    request: Request,
    name: str,
    *,
    code: str | None = None,
    expires_at: datetime | None = None,
    picture: Markup | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        row = await work.seen_device(connection, name)
        life = await queries.life(connection, row.device_id)
        installed = await queries.served_by(connection, row.device_id)
    said = request.query_params.get("said", "")
    return site.page(
        request,
        "device.html",
        device=row,
        life=life,
        installed=installed,
        allowed=devices.allowed(DeviceState(row.state)),
        may=_may(),
        may_people=_may("people"),
        said=said if said in SAID else None,
        key=str(uuid.uuid4()),
        code=code,
        expires_at=expires_at,
        picture=picture,
    )


def _wanted(request: Request) -> queries.AssetFilter:
    return queries.AssetFilter(text=request.query_params.get("q", "").replace("\0", "")[:100] or None)


def _may(right: str = "register") -> bool:
    who = principal.current.get()
    return who is not None and right in who.rights
