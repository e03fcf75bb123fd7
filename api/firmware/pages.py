"""The pages of firmware: releases and campaigns, an upload and a beginning as forms, and how far each device is."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting
from api.acting import NOTE_CHARS_MAX
from api.alert_pages import counted
from api.firmware import bodies, work
from api.firmware.routes import NEWEST, CampaignId, DigestPath
from api.problems import Problem, ProblemDetails, details
from api.rulebook import forms
from api.site import Site
from kraj.kinds import KINDS
from kraj.store.queries import firmware, lighting
from kraj.store.queries.firmware import CampaignRow
from kraj.store.queries.groups import groups as groups_of

LISTED_MAX, DEVICES_MAX, GROUPS_MAX = 50, 500, 500
REGION: Final = "@region"
"""How the form names the region, so that a field that is missing never means all of it."""
SAID: Final = frozenset({"release", "known", "withdrawn", "campaign", "step"})
IN_PLACE: Final = frozenset({400, 403, 409, 413, 415, 422})
"""What is told beside the form that was sent; the rest is a page of its own."""
NEW: Final = {"share_pct": "5", "failures_max_pct": "5", "soak_min": "60"}
STATES: Final = ("waiting", "offered", "accepted", "running", "failed", "rolled_back", "cancelled")
STEPS: Final = {"running": ("pause", "go_on", "stop"), "paused": ("resume", "go_on", "stop")}


def routes(site: Site) -> APIRouter:
    """Every page about firmware."""
    router = APIRouter(prefix="/firmware", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("")
    async def start(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _start(site, request, NEW)

    @router.post("/releases")
    async def upload(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            raw = await work.received(request)
            async with acting.writing(site.service) as connection:
                _, new = await work.add(connection, raw, site.service.clock())
        except Problem as problem:
            return await _start(site, request, NEW, wrong=_told(site, request, problem), form="upload")
        return RedirectResponse(f"/firmware?said={'release' if new else 'known'}#said", 303)

    @router.post("/releases/{release}/withdraw")
    async def withdraw(request: Request, release: DigestPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with acting.writing(site.service) as connection:
            await work.withdraw(connection, release, site.service.clock())
        return RedirectResponse("/firmware?said=withdrawn#said", 303)

    @router.post("/campaigns")
    async def begin(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            body = forms.checked(bodies.CampaignBody, _fields(given))
            async with acting.writing(site.service) as connection:
                number = await work.begin(connection, body, site.service.clock())
        except Problem as problem:
            return await _start(site, request, given, wrong=_told(site, request, problem), form="campaign")
        return RedirectResponse(f"/firmware/campaigns/{number}?said=campaign#said", 303)

    _add_campaign(router, site)
    return router


def _add_campaign(router: APIRouter, site: Site) -> None:
    @router.get("/campaigns/{campaign_id}")
    async def campaign(request: Request, campaign_id: CampaignId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _campaign(site, request, campaign_id)

    @router.post("/campaigns/{campaign_id}/steps")
    async def step(request: Request, campaign_id: CampaignId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            body = forms.checked(bodies.CampaignStep, {"step": given.get("step", "")})
            async with acting.writing(site.service) as connection:
                await work.take_step(connection, campaign_id, body, site.service.clock())
        except Problem as problem:
            return await _campaign(site, request, campaign_id, wrong=_told(site, request, problem))
        return RedirectResponse(f"/firmware/campaigns/{campaign_id}?said=step#said", 303)


def _fields(given: Mapping[str, str]) -> dict[str, Any]:
    """The form's fields as the body has them; whom it is for is named in one field."""
    fields: dict[str, Any] = {name: given[name] for name in (*NEW, "release", "reason") if given.get(name)}
    if given.get("kind"):
        fields["kind"] = given["kind"]
    whom = given.get("whom", "")
    if whom.startswith("group:"):
        fields["group_id"] = whom.removeprefix("group:")
    elif whom != REGION:
        fields["municipality"] = whom
    return fields


def _told(site: Site, request: Request, problem: Problem) -> ProblemDetails:
    if problem.status not in IN_PLACE:
        raise problem
    return details(site.service, request, problem)


async def _start(
    site: Site,
    request: Request,
    given: Mapping[str, str],
    *,
    wrong: ProblemDetails | None = None,
    form: str | None = None,
) -> Response:
    at = site.service.clock()
    async with site.service.database.connection() as connection:
        listed = await firmware.releases(connection, before=NEWEST, limit=LISTED_MAX)
        rows = await firmware.campaigns(connection, before=NEWEST, limit=LISTED_MAX)
        keys = await firmware.keys(connection)
        towns = [town for town in await lighting.towns(connection) if town.controls]
        regional = await lighting.may(connection, "control", municipality_id=None, group_id=None, asset_id=None)
        brings = await lighting.may(connection, "people", municipality_id=None, group_id=None, asset_id=None)
        titles = {town.name: town.title for town in towns}
        found = await groups_of(connection, municipality=None, kind=None, after=0, limit=GROUPS_MAX)
        groups = [(row, titles[row.municipality]) for row in found if row.municipality in titles]
    said = request.query_params.get("said")
    return site.page(
        request,
        "firmware.html",
        200 if wrong is None else wrong.status,
        releases=[(row, row.expires_at <= at) for row in listed],
        offerable=[row for row in listed if row.withdrawn_at is None and row.expires_at > at],
        campaigns=rows,
        states=STATES,
        keys=keys,
        towns=towns,
        groups=groups,
        regional=regional,
        region=REGION,
        brings=brings,
        kinds=KINDS,
        given=given,
        wrong=wrong,
        form=form,
        note_max=NOTE_CHARS_MAX,
        said=said if said in SAID else None,
    )


async def _campaign(site: Site, request: Request, number: int, *, wrong: ProblemDetails | None = None) -> Response:
    asked = request.query_params.get("state")
    state = asked if asked in STATES else None
    async with site.service.database.connection() as connection:
        row = await work.campaign(connection, number)
        devices = await firmware.updates(connection, number, state=state, limit=DEVICES_MAX + 1)
        steers = await lighting.may(
            connection, "control", municipality_id=row.municipality_id, group_id=None, asset_id=None
        )
    said = request.query_params.get("said")
    return site.page(
        request,
        "firmware_campaign.html",
        200 if wrong is None else wrong.status,
        row=row,
        why=why(row, expired=row.expires_at <= site.service.clock()),
        devices=devices[:DEVICES_MAX],
        more=len(devices) > DEVICES_MAX,
        states=STATES,
        state=state,
        steps=[step for step in STEPS.get(row.state, ()) if step != "go_on" or row.waiting] if steers else [],
        kinds=KINDS,
        wrong=wrong,
        said=said if said in SAID else None,
    )


def why(row: CampaignRow, *, expired: bool) -> str | None:
    """The key of the text that says why a campaign stands, or what went wrong; None where nothing did."""
    if row.error is None:
        return None
    if row.withdrawn:
        return "firmware.why.withdrawn"
    return "firmware.why.expired" if expired and row.state == "paused" else "firmware.why.failed"
