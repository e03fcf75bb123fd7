"""What people do to alerts, by API or page: read with a bound, checked, written in one transaction."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import psycopg
from fastapi import Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from api import written
from api.database import Connection
from api.principal import current
from api.problems import SHOWN_CHARS_MAX, Problem
from api.service import Service
from kraj.alerts import AlertState, Step
from kraj.store import alerts, photos, queries
from rules import life

BODY_BYTES_MAX = 64 * 1024
"""A note of some thousand characters, with every one of them escaped."""
NOTE_CHARS_MAX = 2000
NAME_CHARS_MAX = 80
PART_CHARS_MAX = 200
MUTE_MAX = timedelta(days=366)
"""A longer mute is an override of the rule, or a lamp that is to be taken away."""


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, pattern=written.LINE), AfterValidator(str.strip)
]
Part = Annotated[
    str, StringConstraints(min_length=1, max_length=PART_CHARS_MAX, pattern=written.LINE), AfterValidator(str.strip)
]
Note = Annotated[
    str, StringConstraints(min_length=1, max_length=NOTE_CHARS_MAX, pattern=written.PROSE), AfterValidator(str.strip)
]


class StepBody(BaseModel):
    """One step of an alert's life, as a person takes it."""

    model_config = ConfigDict(extra="forbid")

    step: Literal["acknowledged", "assigned", "commented", "fixed", "false_alarm", "closed"]
    who: Name | None = Field(None, deprecated=True, description="Not read: who is signed in does it.")
    version: int = Field(ge=1, le=2**31 - 1, description="`version` of the alert as it was read.")
    note: Note | None = None
    assignee: Name | None = Field(None, description="To whom it is assigned, by name (also somebody without access).")
    person_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Or a person of GET …/assignees.")
    team_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Or a team of GET …/assignees.")
    cause: str | None = Field(
        None,
        description=f"What it was. Of a false alarm one of {', '.join(life.FALSE_ALARMS)}; of what is fixed (may be "
        f"left out) one of {', '.join(life.REPAIRS)}.",
    )
    spare_part: Part | None = Field(None, description="The part that was used; `fixed` and `commented` take it.")


class MuteBody(BaseModel):
    """Silence for the alert's rule on its asset."""

    model_config = ConfigDict(extra="forbid")

    until: AwareDatetime = Field(description="When the rule speaks again; within a year.")
    reason: Note
    who: Name | None = Field(None, deprecated=True, description="Not read: who is signed in does it.")


Body = TypeVar("Body", bound=BaseModel)


async def bounded(request: Request, most: int = BODY_BYTES_MAX) -> bytes:
    """The body; raise ``Problem('too_large')`` where it has more bytes than ``most``."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Problem("too_large", 413, size_max=most)
        parts.append(part)
    return b"".join(parts)


async def json_body(request: Request, model: type[Body]) -> Body:
    """The body as JSON of this model; raise ``Problem('body')`` that names what is wrong."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Problem("media_type", 415, given=media)
    try:
        return model.model_validate_json(await bounded(request))
    except ValidationError as error:
        raise wrong(error) from error


def wrong(error: ValidationError) -> Problem:
    """The first thing that is wrong with a body."""
    first = error.errors(include_url=False, include_context=False, include_input=True)[0]
    name = ".".join(map(str, first["loc"])) or "body"
    return Problem("body", 400, name=name, value=repr(first.get("input"))[:SHOWN_CHARS_MAX])


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """The part of the OpenAPI document that a body read by ``json_body`` needs."""
    content = {"application/json": {"schema": deepcopy(_schema(model))}}  # the document moves its definitions
    return {"requestBody": {"required": True, "content": content}}


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


async def take_step(service: Service, alert_id: int, body: StepBody) -> None:
    """Write the step, or raise the problem: 404 unknown, 409 not allowed now, 412 changed by somebody else."""
    async with writing(service) as connection:
        await write_step(connection, alert_id, body, service.clock())


async def write_step(connection: Connection, alert_id: int, body: StepBody, at: datetime) -> None:
    """The same within a transaction."""
    step = Step(body.step)
    _check(step, body)
    found = await _found(connection, alert_id)
    await may_act(connection, alert_id)
    assignee = await _assignee(connection, alert_id, body) if step is Step.ASSIGNED else None
    if found.version != body.version:
        raise Problem("stale", 412, alert_id=alert_id, version=found.version)
    state = life.after(AlertState(found.state), step, active=found.active)
    if state is None:
        code = "step_active" if step is Step.CLOSED and found.state != AlertState.CLOSED else "step"
        allowed = life.allowed(AlertState(found.state), active=found.active)
        raise Problem(code, 409, step=step, state=found.state, allowed=", ".join(allowed))
    try:
        await alerts.act(
            connection,
            alert_id,
            version=body.version,
            step=step,
            state=state,
            who=who(),
            at=at,
            note=body.note,
            assignee=assignee,
            cause=body.cause,
            spare_part=body.spare_part,
        )
    except alerts.StaleError as error:
        raise Problem("stale", 412, alert_id=alert_id, version=found.version) from error


async def mute(connection: Connection, alert_id: int, body: MuteBody, note: str, at: datetime) -> None:
    """Silence the alert's rule on its asset and write ``note`` into the alert's history."""
    if not at < body.until <= at + MUTE_MAX:
        raise Problem("mute_until", 400, until=body.until.isoformat())
    found = await _found(connection, alert_id)
    if found.scope_type != "asset" or found.asset_id is None:
        raise Problem("mute_scope", 409, rule=found.rule)
    await may_act(connection, alert_id)
    doer = who()
    await alerts.mute(connection, found.asset_id, found.rule, until=body.until, reason=body.reason, who=doer, at=at)
    try:
        await alerts.act(
            connection,
            alert_id,
            version=found.version,
            step=Step.COMMENTED,
            state=AlertState(found.state),
            who=doer,
            at=at,
            note=note,
        )
    except alerts.StaleError as error:
        raise Problem("stale", 412, alert_id=alert_id, version=found.version) from error


async def unmute(connection: Connection, asset_id: int, rule: str, at: datetime) -> None:
    """Let a rule speak again on an asset: 404 where it is not muted, 403 for who may not work on alerts there."""
    if rule not in (await queries.bent(connection, asset_id, at)).mutes:
        raise Problem("mute", 404, rule=rule, asset=asset_id)
    try:
        await alerts.mute(connection, asset_id, rule, until=at, reason="", who=who(), at=at)
    except psycopg.errors.InsufficientPrivilege as error:
        raise Problem("act_right", 403) from error


def _check(step: Step, body: StepBody) -> None:
    if step is Step.ASSIGNED and (body.assignee, body.person_id, body.team_id) == (None, None, None):
        raise Problem("assignee", 400)
    if step is Step.COMMENTED and body.note is None and body.spare_part is None:
        raise Problem("note", 400)
    if body.spare_part is not None and step not in (Step.COMMENTED, Step.FIXED):
        raise Problem("contradiction", 422, what=f"spare_part, step: {step}")
    causes = {Step.FALSE_ALARM: life.FALSE_ALARMS, Step.FIXED: life.REPAIRS}.get(step, ())
    given = body.cause is not None
    if (given and body.cause not in causes) or (not given and step is Step.FALSE_ALARM):
        raise Problem("cause", 400, cause=body.cause or "", step=step, known=", ".join(causes) or "–")


def who() -> str:
    """Whose name the alert's history shows."""
    principal = current.get()
    return "?" if principal is None else principal.title or principal.name


def same_person(request: Request) -> None:
    """What waited on a telephone names who did it (``Kraj-Person``); raise ``Problem('other_person')`` for another."""
    given, principal = request.headers.get("kraj-person"), current.get()
    if given is not None and principal is not None and given != str(principal.person_id):
        raise Problem("other_person", 403)


async def may_act(connection: Connection, alert_id: int) -> None:
    """Raise ``Problem('act_right')`` for who sees the alert and may not work on it."""
    if not await photos.may_act(connection, alert_id):
        raise Problem("act_right", 403)


async def _assignee(connection: Connection, alert_id: int, body: StepBody) -> str:
    """The name to write down; of a person or team, if they may work on the alert."""
    if body.assignee is not None:
        return body.assignee
    people, teams = await photos.crew(connection, alert_id)
    name = dict(people).get(body.person_id or 0) or dict(teams).get(body.team_id or 0)
    if name is None:
        raise Problem("assignee_unknown", 400)
    return name


async def _found(connection: Connection, alert_id: int) -> queries.AlertRow:
    found = await queries.alert(connection, alert_id)
    if found is None:
        raise Problem("alert", 404, name=alert_id)
    return found


@asynccontextmanager
async def writing(service: Service) -> AsyncGenerator[Connection]:
    """A connection in a transaction that may write what ``kraj_api`` may; everywhere else transactions only read."""
    async with service.database.connection(write=True) as connection:
        yield connection


def end_of_day(text: str, zone: Any) -> datetime:
    """The end of a day (``2026-12-01``) in a zone; raise ``Problem('body')`` for what is none."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  # the zone follows
        return (day + timedelta(days=1)).replace(tzinfo=zone)
    except (ValueError, OverflowError) as error:
        raise Problem("body", 400, name="until", value=repr(text[:SHOWN_CHARS_MAX])) from error
