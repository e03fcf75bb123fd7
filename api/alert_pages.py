"""The pages of a crew: the list of alerts by cause, and the work order with its big buttons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api import acting, chart, problems, told
from api.alerts import AlertId, Desk, RuleName, muted_note
from api.database import Connection
from api.freshness import HEARTBEATS_MISSED_MAX, Condition, condition
from api.language import choose
from api.lighting import ordering
from api.lighting.bodies import LightNowBody
from api.orders import following
from api.orders.pictures import BYTES_MAX
from api.problems import Problem
from api.rest import AssetId
from api.site import Site
from api.texts import Catalogue
from api.told import Told
from kraj.alerts import AlertState, Step
from kraj.commands import Command, CommandState
from kraj.errors import UnavailableError
from kraj.kinds import KINDS
from kraj.metrics import Kind, Type
from kraj.service_requests import SERVICES
from kraj.store import photos, queries, rulebook, service_requests
from kraj.store.photos import PhotoRow
from kraj.store.queries import lighting
from rules import life
from rules.commanding import FULL_PCT

POLL_MS = 5000
CHART_HOURS = 48
PHOTOS_MAX = 12
"""Of one alert."""
MUTE_DAYS = 7
"""What the form proposes: until the lift comes next week."""
NUMERIC = frozenset({Type.REAL, Type.INTEGER, Type.COUNTER})
SAID = frozenset({*life.BY_PEOPLE, "muted", "confirmed", "photo", "photo_dropped", "light", "fixed_dark"})
TYPED = ("note", "assignee", "spare_part", "cause", "reason", "caption")
LIVE = ("live.pause", "live.resume", "live.on", "live.paused", "live.lost")


@dataclass(frozen=True, slots=True)
class Line:
    """An alert of a list with its texts."""

    row: queries.AlertRow
    told: Told


def counted(site: Site) -> Any:
    """A dependency of every page: the number of open causes, for the navigation."""

    async def count(request: Request) -> None:
        try:
            async with site.service.database.connection() as connection:
                request.state.causes = sum((await queries.counts(connection)).values())
        except UnavailableError:
            if not request.url.path.startswith("/problems/"):  # which explain just this
                raise

    return Depends(count)


def routes(site: Site, desk: Desk) -> APIRouter:
    """Every page about alerts."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/alerts/{alert_id}")
    async def order(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _order(site, desk, request, alert_id)

    @router.post("/alerts/{alert_id}/steps")
    async def step(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await _form(request)
        try:
            said = await _step(site, request, alert_id, given)
        except Problem as problem:
            return await again(site, desk, request, alert_id, Refused(problem, given))
        return done(alert_id, said)

    @router.post("/alerts/{alert_id}/mute")
    async def mute(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await _form(request)
        try:
            until = acting.end_of_day(given.get("until", ""), site.zone)
            try:
                body = acting.MuteBody.model_validate({"until": until, "reason": given.get("reason", "")})
            except ValidationError as error:
                raise acting.wrong(error) from error
            async with acting.writing(site.service) as connection:
                await acting.mute(connection, alert_id, body, muted_note(desk, request, body), site.service.clock())
        except Problem as problem:
            return await again(site, desk, request, alert_id, Refused(problem, given))
        return done(alert_id, "muted")

    _add_light(router, site, desk)
    return router


def _add_light(router: APIRouter, site: Site, desk: Desk) -> None:
    @router.post("/alerts/{alert_id}/light")
    async def light(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        try:
            async with site.service.database.connection(write=True) as connection:
                found = await queries.alert(connection, alert_id)
                if found is None or found.asset_id is None:
                    raise Problem("alert", 404, name=alert_id)
                await light_now(site, request, connection, found.asset_id)
        except Problem as problem:
            return await again(site, desk, request, alert_id, Refused(problem, {}))
        return done(alert_id, "light")

    @router.post("/assets/{asset_id}/light")
    async def light_asset(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection(write=True) as connection:
            await light_now(site, request, connection, asset_id)
        return RedirectResponse(f"/assets/{asset_id}?said=light#said", 303)

    @router.post("/assets/{asset_id}/rules/{rule}/unmute")
    async def unmute(request: Request, asset_id: AssetId, rule: RuleName) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with acting.writing(site.service) as connection:
            await acting.unmute(connection, asset_id, rule, site.service.clock())
        return RedirectResponse(f"/assets/{asset_id}?said=unmuted#said", 303)


async def _step(site: Site, request: Request, alert_id: int, given: dict[str, str]) -> str:
    """Take the step that a form asks for, and have the lamp lit to prove a repair; what is to be said of it."""
    taken, _, cause = given.get("step", "").partition(":")
    fields = {name: given.get(name) or None for name in ("note", "assignee", "spare_part")}
    try:
        body = acting.StepBody.model_validate(
            {
                **fields,
                "step": taken,
                "version": given.get("version", ""),
                "cause": cause or given.get("cause") or None,
            }
        )
    except ValidationError as error:
        raise acting.wrong(error) from error
    if taken not in (Step.FALSE_ALARM, Step.FIXED):
        body = body.model_copy(update={"cause": None})  # the field for repairs stands in the same form
    if taken not in (Step.COMMENTED, Step.FIXED):
        body = body.model_copy(update={"spare_part": None})
    await acting.take_step(site.service, alert_id, body)
    if taken == Step.FIXED and given.get("light"):
        try:
            async with site.service.database.connection(write=True) as connection:
                found = await queries.alert(connection, alert_id)
                if found is not None and found.asset_id is not None:
                    await light_now(site, request, connection, found.asset_id)
        except Problem:
            return "fixed_dark"  # what is fixed stays so; the button says why it gives no light
    return taken


async def light_now(site: Site, request: Request, connection: Connection, asset_id: int) -> None:
    """Full light for half an hour, in the name of who asks; raises ``Problem`` where that may or can not be."""
    reason = site.service.texts[choose(request)]("crew.light_reason")
    await ordering.light_now(
        connection, LightNowBody(asset_id=asset_id, reason=reason, until=None), site.service.clock()
    )


async def _form(request: Request) -> dict[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise Problem("form", 415, given=media)
    try:
        return dict(parse_qsl((await acting.bounded(request)).decode(), max_num_fields=20))
    except ValueError as error:
        raise Problem("body", 400, name="body", value="?") from error


def done(alert_id: int, said: str) -> Response:
    """Back to the work order, which then says what was done; reloading it does nothing twice."""
    return RedirectResponse(f"/alerts/{alert_id}?said={said}#said", 303)


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that the database knows for a work order."""

    row: queries.AlertRow
    children: list[queries.AlertRow]
    parent: queries.AlertRow | None
    events: list[queries.AlertEventRow]
    around: list[queries.AlertRow]
    earlier: list[queries.AlertRow]
    reading: queries.ReadingRow | None
    online: bool | None
    spans: list[queries.Span]
    mute: queries.MuteRow | None
    photos: list[PhotoRow]
    reports: list[service_requests.ReportRow]
    people: list[tuple[int, str]]
    teams: list[tuple[int, str]]
    may_act: bool
    retriable: bool
    """The alert is about a rule that failed, and who asks may have it tried again."""
    command: Command | None
    lightable: bool
    classes: list[tuple[str | None, str | None]]


def lit(told: Sequence[Command], at: datetime) -> Command | None:
    """The order of full light that holds at a moment, of an asset's newest commands."""
    over = (CommandState.REFUSED, CommandState.EXPIRED, CommandState.SUPERSEDED)
    holding = (one for one in told if one.level_pct == FULL_PCT and one.until > at and one.state not in over)
    return next(holding, None)


def _against(row: queries.AlertRow, reading: queries.ReadingRow | None, say: Catalogue) -> str | None:
    """The newest power, level and voltage of a lamp against what is expected, in a sentence."""
    if row.kind != "lamp" or reading is None:
        return None
    names = ("power_w", "voltage_v", "level_effective_pct", "level_commanded_pct")
    shown = {name: told.shown(reading.values[name], say) if name in reading.values else "–" for name in names}
    expected = following.expected_w(row, reading)
    return say("crew.against", **shown, expected="–" if expected is None else told.shown(expected, say))


def _warranty(row: queries.AlertRow, today: str) -> bool | None:
    """Whether the asset is under warranty; None where nobody has written down until when."""
    until = (row.metadata or {}).get("warranty_until")
    return str(until) >= today if until else None


class Refused(Exception):  # noqa: N818  # it is no error of ours
    """A form that could not be done: why, and what was typed into it."""

    def __init__(self, problem: Problem, typed: dict[str, str]) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.typed = typed


async def again(site: Site, desk: Desk, request: Request, alert_id: int, refused: Refused) -> Response:
    """The work order as it is now, with what was wrong at its top and everything typed still in its fields."""
    if refused.problem.status in (404, 503):
        raise refused.problem
    return await _order(site, desk, request, alert_id, refused)


async def _order(site: Site, desk: Desk, request: Request, alert_id: int, refused: Refused | None = None) -> Response:
    at = site.service.clock()
    known = await _known(site, alert_id, at)
    row, reading = known.row, known.reading
    kind = KINDS.get(row.kind or "")
    say = site.service.texts[choose(request)]
    teller = await desk.telling()

    def lines(rows: Sequence[queries.AlertRow]) -> list[Line]:
        return [Line(other, teller.tell(other, say)) for other in rows]

    heard = None
    if kind is not None:
        flagged = bool(reading and reading.implausible)
        heard = condition(kind, online=known.online, last=reading and reading.ts, implausible=flagged, at=at)
    start = at - timedelta(hours=CHART_HOURS)
    gap_s = HEARTBEATS_MISSED_MAX * kind.heartbeat_s if kind else 0
    said = request.query_params.get("said", "")
    local = at.astimezone(site.zone)
    return site.page(
        request,
        "alert.html",
        200 if refused is None else refused.problem.status,
        wrong=refused and problems.details(site.service, request, refused.problem),
        stale=refused is not None and refused.problem.code in ("stale", "step"),
        typed={name: "" if refused is None else refused.typed.get(name, "") for name in TYPED},
        following=following.follow(desk, request, row, known.events, (known.command, reading)),
        lit=lit([known.command] if known.command else [], at),
        lightable=known.lightable,
        by_light=following.by_light(desk, row),
        classes=known.classes,
        lacking=told.attributes_lacking(row),
        against=_against(row, reading, say),
        part_max=acting.PART_CHARS_MAX,
        photo_bytes_max=BYTES_MAX,
        follow_ms=following.POLL_MS,
        follow_texts={name: say.texts[name] for name in (*LIVE, "crew.follow_over")},
        row=row,
        told=teller.tell(row, say),
        kind=kind,
        condition=heard or Condition.NEVER,
        reading=reading,
        figures=told.figures(row, reading.values if reading else {}, say),
        attributes=[(one, *told.registered(one, value, say)) for one, value in told.attributes(row)],
        children=lines(known.children),
        parent=next(iter(lines([known.parent] if known.parent else [])), None),
        around=lines(known.around),
        earlier=lines(known.earlier),
        events=known.events,
        allowed=life.allowed(AlertState(row.state), active=row.active),
        false_alarms=life.FALSE_ALARMS,
        repairs=life.REPAIRS,
        mute=known.mute,
        mutable=row.scope_type == "asset" and row.asset_id is not None and row.rule != told.FAILED,
        mute_until=(local + timedelta(days=MUTE_DAYS)).date().isoformat(),
        mute_from=local.date().isoformat(),
        mute_to=(local + acting.MUTE_MAX - timedelta(days=2)).date().isoformat(),
        photos=known.photos,
        reports=known.reports,
        services=SERVICES,
        people=known.people,
        teams=known.teams,
        may_act=known.may_act,
        retriable=known.retriable,
        photos_max=PHOTOS_MAX,
        warranty=_warranty(row, local.date().isoformat()),
        name_max=acting.NAME_CHARS_MAX,
        note_max=acting.NOTE_CHARS_MAX,
        said=said if said in SAID else None,
        headline=kind and kind.by_name[kind.headline],
        chart=chart.chart(known.spans, start, site.zone, gap_s, CHART_HOURS),
    )


async def _known(site: Site, alert_id: int, at: datetime) -> _Known:
    async with site.service.database.connection() as connection:
        row = await queries.alert(connection, alert_id)
        if row is None:
            raise Problem("alert", 404, name=alert_id)
        parent = await queries.alert(connection, row.parent_id) if row.parent_id is not None else None
        kind, asset_id = KINDS.get(row.kind or ""), row.asset_id
        command, _ = await following.newest(connection, row)
        reading, asset, mute = None, None, None
        spans: list[queries.Span] = []
        if kind is not None and asset_id is not None:
            reading = await queries.latest(connection, kind, asset_id)
            asset = await queries.asset(connection, asset_id)
            mute = (await queries.bent(connection, asset_id, at)).mutes.get(row.rule)
            spans = await _spans(connection, kind, asset_id, at)
        people, teams = await photos.crew(connection, alert_id)
        return _Known(
            command=command,
            lightable=asset is not None and asset.device is not None and lighting.switches(asset.kind, asset.metadata),
            classes=[] if asset_id is None else await lighting.classes(connection, asset_id),
            photos=await photos.photos(connection, alert_id),
            reports=await service_requests.of_alert(connection, alert_id),
            people=people,
            teams=teams,
            may_act=await photos.may_act(connection, alert_id),
            retriable=row.rule == told.FAILED
            and any(one.rule == row.scope_name and one.writable for one in await rulebook.failures(connection)),
            row=row,
            children=await queries.children(connection, alert_id),
            parent=parent,
            events=await queries.events(connection, alert_id),
            around=await queries.around(connection, row),
            earlier=await queries.earlier(connection, row, limit=10),
            reading=reading,
            online=asset and asset.online,
            spans=spans,
            mute=mute,
        )


async def _spans(connection: Connection, kind: Kind, asset_id: int, at: datetime) -> list[queries.Span]:
    headline = kind.by_name[kind.headline]
    if headline.type not in NUMERIC:
        return []
    stretch = queries.Stretch(asset_id=asset_id, from_ts=at - timedelta(hours=CHART_HOURS), to_ts=at)
    origin = datetime.fromtimestamp(0, UTC)
    return await queries.series(connection, kind, headline, stretch, step_s=2 * chart.STEP_S, origin=origin)
