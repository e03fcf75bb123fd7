"""The pages of light: all segments at a glance, and one segment with its night, its rollout and its lamps' state."""

from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from api import acting
from api.alert_pages import counted
from api.language import choose
from api.lighting import bodies, drawing, forms, ordering, shown, wording, work
from api.lighting.order_routes import LockId, RolloutId
from api.lighting.routes import SegmentId
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.rulebook import forms as simple
from api.site import Site
from kraj.dimming import CLASSES
from kraj.store import commands
from kraj.store.commands import Scope
from kraj.store.queries import lighting
from kraj.store.queries.lighting import SegmentRow

SAID = frozenset({"program", "dropped", "segment", "order", "ended", "lock", "released", "rollout"})
SHOWN_MAX = 100


def routes(site: Site) -> APIRouter:
    """The overview, segments, locks and rollouts; after the routes whose paths are words."""
    router = APIRouter(prefix="/lighting", default_response_class=HTMLResponse, dependencies=[counted(site)])
    _add_reading(router, site)
    _add_writing(router, site)
    _add_locks(router, site)
    return router


def _add_reading(router: APIRouter, site: Site) -> None:
    @router.get("")
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _overview(site, request)

    @router.get("/{segment_id}")
    async def segment(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _segment(site, request, segment_id)


def _add_writing(router: APIRouter, site: Site) -> None:
    @router.post("/{segment_id}/light")
    async def light(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await simple.read(request)
        try:
            named = {name: given.get(name) or None for name in ("designed_class", "permitted_class", "program_id")}
            shares = {name: given[name] for name in ("share_pct", "failures_max_pct") if given.get(name)}
            body = simple.checked(bodies.SegmentChange, {**named, **shares, "reason": given.get("reason", "")})
            version = given.get("version", "")
            async with site.service.database.connection(write=True) as connection:
                row = await work.segment(connection, segment_id, writing=True)
                if version != str(row.version):
                    raise exchange.changed()
                await work.change_segment(connection, row, body, row.version, site.service.clock())
        except Problem as problem:
            wrong = forms.told(site.service, request, problem)
            return await _segment(site, request, segment_id, given=given, wrong=wrong, form="light")
        return RedirectResponse(f"/lighting/{segment_id}?said=segment", 303)

    @router.post("/{segment_id}/order")
    async def order(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await simple.read(request)
        at = site.service.clock()
        try:
            aim: dict[str, Any] = {"group_id": segment_id, "reason": given.get("reason", "")}
            if given.get("minutes"):
                aim["until"] = at + timedelta(minutes=_minutes(given["minutes"]))
            async with site.service.database.connection(write=True) as connection:
                if given.get("kind") == "manual":
                    aim["level_pct"] = given.get("level_pct", "")
                    await ordering.manual(connection, simple.checked(bodies.ManualBody, aim), at)
                else:
                    await ordering.light_now(connection, simple.checked(bodies.LightNowBody, aim), at)
        except Problem as problem:
            wrong = forms.told(site.service, request, problem)
            return await _segment(site, request, segment_id, given=given, wrong=wrong, form="order")
        return RedirectResponse("/lighting/orders?said=order", 303)


def _add_locks(router: APIRouter, site: Site) -> None:
    @router.post("/{segment_id}/lock")
    async def lock(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await simple.read(request)
        attribute, _, value = given.get("place", "").partition(":")
        try:
            async with site.service.database.connection(write=True) as connection:
                row = await work.segment(connection, segment_id)
                fields = {"municipality": row.municipality, "attribute": attribute, "value": value}
                body = simple.checked(bodies.LockBody, {**fields, "reason": given.get("reason", "")})
                await ordering.take_lock(connection, body, site.service.clock())
        except Problem as problem:
            wrong = forms.told(site.service, request, problem)
            return await _segment(site, request, segment_id, given=given, wrong=wrong, form="lock")
        return RedirectResponse(f"/lighting/{segment_id}?said=lock", 303)

    @router.post("/locks/{lock_id}/release")
    async def release(request: Request, lock_id: LockId) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection(write=True) as connection:
            await ordering.release_lock(connection, lock_id, site.service.clock())
        return RedirectResponse("/lighting?said=released", 303)

    @router.post("/rollouts/{rollout_id}/steps")
    async def step(request: Request, rollout_id: RolloutId) -> Response:  # pyright: ignore[reportUnusedFunction]
        body = simple.checked(bodies.RolloutStep, {"step": (await simple.read(request)).get("step", "")})
        async with site.service.database.connection(write=True) as connection:
            row = await work.rollout(connection, rollout_id)
            await work.take_rollout_step(connection, rollout_id, body, site.service.clock())
        return RedirectResponse(f"/lighting/{row.group_id}?said=rollout", 303)


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        raise Problem("body", 400, name="minutes", value=repr(text[:20]))
    return int(text)


async def _overview(site: Site, request: Request) -> Response:
    chosen = request.query_params.get("municipality", "").replace("\0", "") or None
    async with site.service.database.connection() as connection:
        segments = await lighting.segments(connection, municipality=chosen, after=0, limit=SHOWN_MAX)
        kept = await lighting.programs(connection, municipality=chosen, after=0, limit=SHOWN_MAX)
        locks = await commands.locks(connection, municipality=chosen, held=True)
        towns = await lighting.towns(connection)
    return site.page(
        request,
        "lighting.html",
        chosen=chosen,
        towns=towns,
        segments=[(row, shown.segment(row)) for row in segments],
        programs=kept,
        locks=locks,
        writable=any(town.controls for town in towns),
        said=said(request),
    )


def said(request: Request) -> str | None:
    """What was done, by the address to which the form has led."""
    found = request.query_params.get("said", "")
    return found if found in SAID else None


def evening_of(request: Request, today: date) -> date:
    """The evening that was asked for; today where none was."""
    text = request.query_params.get("evening", "")
    try:
        found = date.fromisoformat(text) if text else today
    except ValueError as error:
        raise Problem("day", 400, day=text) from error
    if not bodies.EVENINGS[0] <= found <= bodies.EVENINGS[1]:
        raise Problem("day", 400, day=text)
    return found


async def _segment(
    site: Site,
    request: Request,
    number: int,
    *,
    given: dict[str, str] | None = None,
    wrong: ProblemDetails | None = None,
    form: str = "",
) -> Response:
    say = site.service.texts[choose(request)]
    evening = evening_of(request, site.service.clock().astimezone(site.zone).date())
    wish = request.query_params.get("program", "")
    asked: dict[str, Any] = {"group_id": number, "evening": evening, "program_id": wish or None}
    body = simple.checked(bodies.PreviewBody, asked)
    below: ProblemDetails | None = None
    async with site.service.database.connection() as connection:
        row = await work.segment(connection, number)
        kept = await lighting.programs(connection, municipality=row.municipality, after=0, limit=SHOWN_MAX)
        try:
            night = await work.night(connection, body, evening)
        except Problem as problem:
            if problem.code != "program_wrong":
                raise
            below, night = forms.told(site.service, request, problem), None
        rollouts = await lighting.rollouts(connection, group_id=number, limit=3)
        held = await commands.locks_over(connection, Scope(municipality_id=row.municipality_id, group_id=number))
        places = _places(await lighting.lamps(connection, number))
        behind = await lighting.desired(connection, group_id=number, behind=True, limit=20)
    picture = None
    if night is not None:
        words = shown.words(night, evening, say)
        picture = Markup(drawing.svg(night.night, night.floor_pct, site.zone, words, alone=False))  # noqa: S704 - ours
    return site.page(
        request,
        "segment.html",
        200 if wrong is None else wrong.status,
        row=row,
        floor=work.floor_of(row),
        programs=kept,
        classes=list(CLASSES),
        evening=evening,
        wish=wish,
        night=night,
        below=below and wording.told(below, say),
        picture=picture,
        described=None if night is None else shown.described(night, say),
        night_rows=[] if night is None else drawing.rows(night.night, site.zone),
        rollouts=rollouts,
        held=held,
        places=places,
        behind=behind,
        fields=given or _fields(row),
        wrong=wrong and wording.told(wrong, say),
        form=form,
        note_max=acting.NOTE_CHARS_MAX,
        said=said(request),
    )


def _fields(row: SegmentRow) -> dict[str, str]:
    return {
        "designed_class": row.designed_class or "",
        "permitted_class": row.permitted_class or "",
        "program_id": str(row.dimming_program_id or ""),
    }


def _places(lamps: list[lighting.LampRow]) -> list[tuple[str, str]]:
    """Feeders and cabinets on which the lamps hang."""
    found = {
        (name, str(one.metadata[name])) for one in lamps for name in ("feeder", "cabinet") if one.metadata.get(name)
    }
    return sorted(found, reverse=True)
