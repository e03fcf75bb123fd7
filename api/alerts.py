"""The resources under /v1 about alerts and rules: lists, one alert, what people do to it, which rules run where."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from api import acting, alert_schemas, cursors, examples, formats, parameters, principal, rest
from api.coverage import Coverage, Coverer
from api.language import choose
from api.parameters import TEXT_CHARS_MAX, KindName, Text
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from api.rulebook.bodies import EmptyBody
from api.rulebook.keeping import own_rules
from api.service import Service
from api.told import Teller
from kraj.alerts import Severity
from kraj.kinds import KINDS
from kraj.store import queries
from kraj.store.queries import AlertFilter

AlertId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The alert's number.", examples=[4])]
RuleName = Annotated[str, Path(min_length=1, max_length=48, pattern="^[a-z0-9_]+$", examples=["lamp_out"])]
CLOSED = {"open": False, "closed": True, "all": None}
NEAR = r"^-?([0-8]?\d(\.\d{1,9})?|90),-?((\d{1,2}|1[0-7]\d)(\.\d{1,9})?|180)$"
"""Latitude and longitude in degrees, as maps give them."""
Place = tuple[float, float]


def severity(value: object) -> Severity:
    """A severity by its word; raise ``Problem('severity')`` for another word."""
    try:
        return Severity(str(value))
    except ValueError as error:
        raise Problem("severity", 400, severity=str(value), known=", ".join(Severity)) from error


def rule_name(value: str) -> str:
    """Text without zero bytes, which PostgreSQL does not take; rules that exist no more have alerts, too."""
    return value.replace("\0", "")


def place(text: str) -> Place | None:
    """(latitude, longitude) of what somebody wrote; None where it is no such thing."""
    tight = re.sub(r"\s*[,;]\s*|\s+", ",", text.strip())
    if not re.match(NEAR, tight, re.ASCII):
        return None
    latitude, longitude = tight.split(",")
    return float(latitude), float(longitude)


def written_place(value: str) -> str:
    """The same text; raise ``Problem('near')`` for what is no place."""
    if place(value) is None:
        raise Problem("near", 400, value=value)
    return value


class AlertParameters(parameters.Page):
    """Which alerts."""

    municipality: Text | None = Field(None, description="Name of the owner.", examples=["olsinka-nad-mlynkou"])
    state: Literal["open", "closed", "all"] = Field("open", description="`open` is whatever is not closed.")
    severity_min: Annotated[
        Severity, BeforeValidator(severity), WithJsonSchema({"type": "string", "enum": list(Severity)})
    ] = Field(Severity.INFO, description="At least this severe.")
    rule: Annotated[str, AfterValidator(rule_name)] | None = Field(None, description="Of this rule or cause.")
    asset_id: int | None = Field(None, ge=1, le=2**31 - 1, description="To be gone for to this asset.")
    causes: bool | None = Field(
        None, description="Leave out what another alert explains; true unless `asset_id` is given."
    )
    kind: KindName | None = Field(None, description="Where to go is an asset of this kind.")
    q: Annotated[Text, Field(max_length=TEXT_CHARS_MAX)] | None = Field(
        None, description="Text in label, street, feeder or cabinet; accents and capitals do not matter."
    )
    whose: Literal["mine", "unassigned"] | None = Field(
        None, description="Those that you took over or that you or your team were given; or those that nobody has."
    )
    near: Annotated[str, AfterValidator(written_place), WithJsonSchema({"type": "string", "pattern": NEAR})] | None = (
        Field(None, description="The nearest first: latitude,longitude.", examples=["49.5,15.6"])
    )

    @property
    def filter(self) -> AlertFilter:
        who = principal.current.get()
        causes = self.asset_id is None if self.causes is None else self.causes
        return AlertFilter(
            municipality=self.municipality or None,
            rule=self.rule or None,
            asset_id=self.asset_id,
            severity_min=self.severity_min,
            closed=CLOSED[self.state],
            causes=causes,
            kind=self.kind,
            text=self.q or None,
            whose=self.whose,
            me="" if who is None else who.title or who.name,
        )


class Desk:
    """What the routes and the pages share: the service, the texts and what each rule needs."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.teller = Teller()
        self._coverer: Coverer | None = None

    async def coverage(self, asset: queries.AssetRow, newest: queries.ReadingRow | None) -> list[Coverage]:
        """How each rule stands on the asset."""
        if self._coverer is None:
            self._coverer = Coverer(self.teller.rules.values())
        async with self.service.database.connection() as connection:
            bent = await queries.bent(connection, asset.asset_id, self.service.clock())
            own = await own_rules(connection, asset.municipality)
        known = newest and newest.values
        theirs = Coverer(rule for rule, _ in own.values()).coverage(asset.kind, asset.metadata, known, bent)
        return [*self._coverer.coverage(asset.kind, asset.metadata, known, bent), *theirs]

    async def telling(self) -> Teller:
        """What tells alerts to who asks now: their municipalities' own rules have words, too."""
        async with self.service.database.connection() as connection:
            own = await own_rules(connection)
        return self.teller.with_own({name: rule for name, (rule, _) in own.items()})

    async def page(
        self, asked: AlertParameters, which: AlertFilter | None = None
    ) -> tuple[list[queries.AlertRow], str | None]:
        """A page of alerts and the cursor of the next one; ``which`` narrows what was asked for."""
        which = which or asked.filter
        from_where = None if asked.near is None else place(asked.near)
        if from_where is not None:
            return await self._nearest(asked, which, from_where)
        before = cursor_before(asked.cursor)
        async with self.service.database.connection() as connection:
            rows = await queries.alerts(connection, which, before=before, limit=asked.limit + 1)
        following = None
        if len(rows) > asked.limit:
            last = rows[asked.limit - 1]
            following = cursors.encode("alerts", (last.opened_at - cursors.EPOCH) // cursors.MICROSECOND, last.alert_id)
        return rows[: asked.limit], following

    async def _nearest(
        self, asked: AlertParameters, which: AlertFilter, from_where: Place
    ) -> tuple[list[queries.AlertRow], str | None]:
        beyond: tuple[Any, ...] | None = None
        if asked.cursor is not None:
            beyond = tuple(cursors.decode(asked.cursor, "alerts/near", int, int))
        async with self.service.database.connection() as connection:
            rows = await queries.nearest(connection, which, from_where, beyond=beyond, limit=asked.limit + 1)
        following = None
        if len(rows) > asked.limit:
            last = rows[asked.limit - 1]
            following = cursors.encode("alerts/near", last.away_mm or 0, last.alert_id)
        return rows[: asked.limit], following


def cursor_before(cursor: str | None) -> tuple[datetime, int] | None:
    """The (time of opening, id) of the last alert of the page before."""
    if cursor is None:
        return None
    opened_us, alert_id = cursors.decode(cursor, "alerts", int, int)
    try:
        return cursors.EPOCH + int(opened_us) * cursors.MICROSECOND, int(alert_id)
    except OverflowError as error:
        raise Problem("cursor", 400) from error


def routes(desk: Desk) -> APIRouter:
    """Every route about alerts."""
    router = APIRouter(prefix="/v1")
    _add_alerts(router, desk)
    _add_steps(router, desk)
    _add_rules(router, desk)
    return router


def _add_alerts(router: APIRouter, desk: Desk) -> None:
    service = desk.service

    @router.get("/alerts", responses=responses(400) | parameters.example(examples.ALERTS), tags=["alerts"])
    async def alerts(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AlertParameters, Query()], request: Request, response: Response
    ) -> alert_schemas.AlertPage:
        """Alerts by cause, newest first; with `near` the nearest first."""
        rows, following = await desk.page(asked)
        say = service.texts[choose(request)]
        _in_language(request, response)
        rest.link(request, response, following)
        teller = await desk.telling()
        items = [alert_schemas.Alert(**alert_schemas.alert(row, teller, say)) for row in rows]
        return alert_schemas.AlertPage(items=items, next_cursor=following)

    @router.get(
        "/alerts/{alert_id}", responses=responses(404) | parameters.example(examples.ALERT_DETAIL), tags=["alerts"]
    )
    async def alert(  # pyright: ignore[reportUnusedFunction]
        alert_id: AlertId, request: Request, response: Response
    ) -> alert_schemas.AlertDetail:
        """One alert with what it explains and its history."""
        _in_language(request, response)
        return await _read(desk, alert_id, request)


def _add_steps(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/alerts/{alert_id}/steps",
        responses=responses(400, 403, 404, 409, 412, 413, 415, 422) | parameters.example(examples.ALERT_DETAIL),
        tags=["alerts"],
        openapi_extra=exchange.documented(acting.StepBody, once_only=True),
        response_model=alert_schemas.AlertDetail,
    )
    async def step(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Acknowledge, assign, comment, mark as fixed or as a false alarm, or close what is over."""
        body, raw = await exchange.body_of(request, acting.StepBody)
        acting.same_person(request)
        teller = await desk.telling()

        async def doing(connection: Connection) -> Answer:
            await acting.write_step(connection, alert_id, body, desk.service.clock())
            made = await _detail(desk, connection, alert_id, request, teller)
            return Answer(exchange.plain(made))

        response = await exchange.posting(desk.service, request, raw, doing)
        _in_language(request, response)
        return response

    @router.post(
        "/alerts/{alert_id}/mute",
        responses=responses(400, 403, 404, 409, 412, 413, 415, 422) | parameters.example(examples.ALERT_DETAIL),
        tags=["alerts"],
        openapi_extra=exchange.documented(acting.MuteBody, once_only=True),
        response_model=alert_schemas.AlertDetail,
    )
    async def mute(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Silence the alert's rule on its asset until a moment."""
        body, raw = await exchange.body_of(request, acting.MuteBody)
        teller = await desk.telling()

        async def doing(connection: Connection) -> Answer:
            note = muted_note(desk, request, body)
            await acting.mute(connection, alert_id, body, note, desk.service.clock())
            return Answer(exchange.plain(await _detail(desk, connection, alert_id, request, teller)))

        response = await exchange.posting(desk.service, request, raw, doing)
        _in_language(request, response)
        return response


def muted_note(desk: Desk, request: Request, body: acting.MuteBody) -> str:
    """What the alert's history says of a mute."""
    language = choose(request)
    until = formats.instant(body.until, language, formats.local_zone())
    return desk.service.texts[language]("alerts.muted_note", until=until, reason=body.reason)


def _add_rules(router: APIRouter, desk: Desk) -> None:
    service = desk.service

    @router.get("/rules", responses=responses() | parameters.example(examples.RULES), tags=["rules"])
    async def rules(request: Request, response: Response) -> alert_schemas.Rules:  # pyright: ignore[reportUnusedFunction]
        """Every rule and cause with its texts, thresholds and severity; municipalities' own ones, too."""
        _in_language(request, response)
        language = choose(request)
        known = [alert_schemas.rule(rule, language) for rule in desk.teller.rules.values()]
        async with service.database.connection() as connection:
            own = await own_rules(connection)
        theirs = [alert_schemas.rule(rule, language, municipality) for rule, municipality in own.values()]
        return alert_schemas.Rules(
            items=[*known, *theirs, *(alert_schemas.cause(cause, language) for cause in desk.teller.causes.values())]
        )

    @router.get(
        "/assets/{asset_id}/rules", responses=responses(404) | parameters.example(examples.ASSET_RULES), tags=["rules"]
    )
    async def rules_of_asset(  # pyright: ignore[reportUnusedFunction]
        asset_id: rest.AssetId, request: Request, response: Response
    ) -> alert_schemas.AssetRules:
        """Which rules run on an asset, and what is missing for the others."""
        async with service.database.connection() as connection:
            found = await queries.asset(connection, asset_id)
            if found is None or found.kind not in KINDS:
                raise Problem("asset", 404, name=asset_id)
            newest = await queries.latest(connection, KINDS[found.kind], asset_id)
        standing = await desk.coverage(found, newest)
        _in_language(request, response)
        items = [alert_schemas.asset_rule(one, choose(request)) for one in standing]
        return alert_schemas.AssetRules(asset_id=asset_id, kind=found.kind, items=items)

    @router.post(
        "/assets/{asset_id}/rules/{rule}/unmute",
        responses=responses(400, 403, 404, 413, 415, 422) | parameters.example(examples.UNMUTED),
        tags=["rules"],
        openapi_extra=exchange.documented(EmptyBody, once_only=True),
        response_model=alert_schemas.Unmuted,
    )
    async def unmute(asset_id: rest.AssetId, rule: RuleName, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Let a muted rule speak again on an asset; to mute it for less long, mute it again."""
        _, raw = await exchange.body_of(request, EmptyBody)

        async def doing(connection: Connection) -> Answer:
            at = service.clock()
            await acting.unmute(connection, asset_id, rule, at)
            return Answer(exchange.plain(alert_schemas.Unmuted(asset_id=asset_id, rule=rule, at=at, who=acting.who())))

        return await exchange.posting(service, request, raw, doing)


async def _read(desk: Desk, alert_id: int, request: Request) -> alert_schemas.AlertDetail:
    teller = await desk.telling()
    async with desk.service.database.connection() as connection:
        return await _detail(desk, connection, alert_id, request, teller)


async def _detail(
    desk: Desk, connection: Connection, alert_id: int, request: Request, teller: Teller
) -> alert_schemas.AlertDetail:
    row = await queries.alert(connection, alert_id)
    if row is None:
        raise Problem("alert", 404, name=alert_id)
    children = await queries.children(connection, alert_id)
    events = await queries.events(connection, alert_id)
    return alert_schemas.detail(row, children, events, teller, desk.service.texts[choose(request)])


def _in_language(request: Request, response: Response) -> None:
    response.headers["vary"] = "accept-language"
    response.headers["content-language"] = choose(request)
