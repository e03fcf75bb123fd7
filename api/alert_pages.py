"""The pages of a crew: the list of alerts by cause, and the work order with its big buttons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api import acting, chart, told
from api.alerts import CLOSED, AlertId, AlertParameters, Desk, muted_note, severity
from api.database import Connection
from api.freshness import HEARTBEATS_MISSED_MAX, Condition, condition
from api.language import choose
from api.parameters import PAGE_MAX
from api.problems import Problem
from api.site import Site, with_parameters
from api.told import Told
from kraj.alerts import AlertState, Severity, Step
from kraj.errors import UnavailableError
from kraj.kinds import KINDS
from kraj.metrics import Kind, Type
from kraj.store import photos, queries
from kraj.store.photos import PhotoRow
from kraj.store.queries import folded
from rules import life

POLL_MS = 5000
CHART_HOURS = 48
PHOTOS_MAX = 12
"""Of one alert."""
MUTE_DAYS = 7
"""What the form proposes: until the lift comes next week."""
NUMERIC = frozenset({Type.REAL, Type.INTEGER, Type.COUNTER})
SAID = frozenset({*life.BY_PEOPLE, "muted", "photo", "photo_dropped"})
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

    @router.get("/alerts")
    async def alerts(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _list(site, desk, request)

    @router.get("/alerts/{alert_id}")
    async def order(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _order(site, desk, request, alert_id)

    @router.post("/alerts/{alert_id}/steps")
    async def step(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await _form(request)
        taken, _, cause = given.get("step", "").partition(":")
        try:
            fields = {name: given.get(name) or None for name in ("note", "assignee")}
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
        await acting.take_step(site.service, alert_id, body)
        return _done(alert_id, taken)

    @router.post("/alerts/{alert_id}/mute")
    async def mute(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await _form(request)
        until = acting.end_of_day(given.get("until", ""), site.zone)
        try:
            body = acting.MuteBody.model_validate({"until": until, "reason": given.get("reason", "")})
        except ValidationError as error:
            raise acting.wrong(error) from error
        await acting.mute(site.service, alert_id, body, muted_note(desk, request, body))
        return _done(alert_id, "muted")

    return router


async def _form(request: Request) -> dict[str, str]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise Problem("form", 415, given=media)
    try:
        return dict(parse_qsl((await acting.bounded(request)).decode(), max_num_fields=20))
    except ValueError as error:
        raise Problem("body", 400, name="body", value="?") from error


def _done(alert_id: int, said: str) -> Response:
    """Back to the work order, which then says what was done; reloading it does nothing twice."""
    return RedirectResponse(f"/alerts/{alert_id}?said={said}#said", 303)


async def _list(site: Site, desk: Desk, request: Request) -> Response:
    asked = _asked(request)
    rows, following = await desk.page(asked)
    async with site.service.database.connection() as connection:
        counts = await queries.counts(connection)
        municipalities = await queries.municipalities(connection)
    request.state.causes = sum(counts.values())
    say = site.service.texts[choose(request)]
    teller = await desk.telling()
    # A page comes by time, so that it can be turned; on it the worst stands first.
    rows.sort(key=lambda row: (-Severity(row.severity).rank, -row.opened_at.timestamp(), -row.alert_id))
    return site.page(
        request,
        "alerts.html",
        lines=[Line(row, teller.tell(row, say)) for row in rows],
        which=asked,
        counts={str(one): counts.get(one, 0) for one in reversed(Severity)},
        severities=list(reversed(Severity)),
        municipalities=sorted(municipalities, key=lambda row: folded(row.title)),
        chosen=asked.municipality or asked.severity_min is not Severity.INFO or asked.state != "open",
        first=asked.cursor is None,
        newest=with_parameters(request, cursor=""),
        older=following and with_parameters(request, cursor=following),
        poll_ms=POLL_MS,
        live_texts={name: say.texts[name] for name in LIVE},
    )


def _asked(request: Request) -> AlertParameters:
    """Empty fields of the form are no wish."""
    given = {name: value.replace("\0", "").strip() for name, value in request.query_params.items()}
    state = given.get("state") or "open"
    if state not in CLOSED:
        raise Problem("parameter_value", 400, name="state", value=state)
    return AlertParameters.model_validate(
        {
            "municipality": given.get("municipality") or None,
            "severity_min": severity(given.get("severity_min") or Severity.INFO),
            "state": state,
            "limit": PAGE_MAX // 2,
            "cursor": given.get("cursor") or None,
        }
    )


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
    people: list[tuple[int, str]]
    teams: list[tuple[int, str]]
    may_act: bool


def _warranty(row: queries.AlertRow, today: str) -> bool | None:
    """Whether the asset is under warranty; None where nobody has written down until when."""
    until = (row.metadata or {}).get("warranty_until")
    return str(until) >= today if until else None


async def _order(site: Site, desk: Desk, request: Request, alert_id: int) -> Response:
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
        row=row,
        told=teller.tell(row, say),
        kind=kind,
        condition=heard or Condition.NEVER,
        reading=reading,
        figures=told.figures(row, reading.values if reading else {}, say),
        attributes=[(one, told.shown(value, say)) for one, value in told.attributes(row)],
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
        people=known.people,
        teams=known.teams,
        may_act=known.may_act,
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
        reading, asset, mute = None, None, None
        spans: list[queries.Span] = []
        if kind is not None and asset_id is not None:
            reading = await queries.latest(connection, kind, asset_id)
            asset = await queries.asset(connection, asset_id)
            mute = (await queries.bent(connection, asset_id, at)).mutes.get(row.rule)
            spans = await _spans(connection, kind, asset_id, at)
        people, teams = await photos.crew(connection, alert_id)
        return _Known(
            photos=await photos.photos(connection, alert_id),
            people=people,
            teams=teams,
            may_act=await photos.may_act(connection, alert_id),
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
