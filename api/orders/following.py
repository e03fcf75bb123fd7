"""What becomes of a repair, step by step in words: told fixed, lit, power measured, symptom gone, verified or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import formats
from api.alerts import AlertId, Desk
from api.language import choose
from api.problems import Problem
from api.site import Site
from api.texts import Catalogue
from kraj.alerts import AlertState, Step
from kraj.commands import SETTLED, Command, CommandState, Do
from kraj.kinds import KINDS
from kraj.store import commands, queries
from kraj.store.queries import AlertEventRow, AlertRow, ReadingRow
from rules.commanding import FULL_PCT
from rules.elapsed import CALM, proof

POLL_MS = 3000
DARK_SHARE, LIT_SHARE = 0.2, 0.6
"""Of the power expected: below the first a lamp is out, above the second it burns (lighting.md, lamp_out)."""
SLACK = timedelta(minutes=2)
"""An order given just before somebody says "fixed" is the repair's, too."""
DONE, WAITING, FAILED = "done", "waiting", "failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that has to happen: how it stands (``done``, ``waiting``, ``failed``), and in words."""

    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Following:
    """A repair as it is followed; ``over`` when nothing more is to come. ``sentence`` says it all in one."""

    stages: tuple[Stage, ...]
    sentence: str
    mark: str
    over: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a repair."""

    row: AlertRow
    events: Sequence[AlertEventRow]
    command: Command | None
    reading: ReadingRow | None
    say: Catalogue
    told: Callable[[datetime], str]
    due_at: datetime
    proves: bool
    """Whether its rule says what readings prove the repair at once (``proof_when``)."""
    lights: bool
    """As ``by_light`` says."""


def routes(site: Site, desk: Desk) -> APIRouter:
    """The part of a work order that keeps itself fresh."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/alerts/{alert_id}/repair")
    async def repair(request: Request, alert_id: AlertId) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            row = await queries.alert(connection, alert_id)
            if row is None:
                raise Problem("alert", 404, name=alert_id)
            events = await queries.events(connection, alert_id)
            known = await newest(connection, row)
        following = follow(desk, request, row, events, known)
        return site.page(request, "alert_repair.html", row=row, following=following)

    return router


async def newest(connection: Any, row: AlertRow) -> tuple[Command | None, ReadingRow | None]:
    """The last order of full light for where to go, and its newest reading."""
    kind = KINDS.get(row.kind or "")
    if kind is None or row.asset_id is None:
        return None, None
    found = await commands.commands(connection, asset_id=row.asset_id, limit=5)
    full = [one for one in found if one.do == Do.SET_LEVEL and one.level_pct == FULL_PCT]
    # Of two that were given at one moment one has taken the other's place.
    command = next((one for one in full if one.state != CommandState.SUPERSEDED), next(iter(full), None))
    return command, await queries.latest(connection, kind, row.asset_id)


def follow(
    desk: Desk,
    request: Request,
    row: AlertRow,
    events: Sequence[AlertEventRow],
    known: tuple[Command | None, ReadingRow | None],
) -> Following | None:
    """How far a repair is proven; None for an alert that nobody has called fixed."""
    fixed = max((n for n, event in enumerate(events) if event.step == Step.FIXED), default=None)
    if fixed is None or row.fixed_at is None:
        return None
    later = events[fixed:]
    begun = later[0].at
    say = desk.service.texts[choose(request)]
    zone = formats.local_zone()
    command, reading = known

    def told(when: datetime) -> str:
        return f"{when.astimezone(zone):%H:%M}"

    if command is not None and command.requested_at < begun - SLACK:
        command = None
    if reading is not None and reading.ts < begun:
        reading = None
    rule = desk.teller.rules.get(row.rule)
    proves = rule is not None and rule.proof_when is not None
    seen = _Seen(row, later, command, reading, say, told, row.fixed_at + proof(rule), proves, by_light(desk, row))
    stages = [Stage(DONE, say("crew.stage.fixed", who=later[0].who, at=told(begun)))]
    if seen.lights:
        stages += [_command(seen), _power(seen)]
    verdict, sentence = _verdict(seen)
    stages.append(_symptom(seen))
    stages.append(verdict)
    return Following(tuple(stages), sentence, verdict.mark, over=verdict.mark != WAITING)


def by_light(desk: Desk, row: AlertRow) -> bool:
    """Whether light shows the repair: not of a lamp that loses energy by burning."""
    rule = desk.teller.rules.get(row.rule)
    return row.kind == "lamp" and (rule is None or rule.loses is None)


def _command(seen: _Seen) -> Stage:
    say, command = seen.say, seen.command
    if command is None:
        return Stage(WAITING, say("crew.stage.command_none"))
    words = say(f"crew.stage.command_{command.state}", until=seen.told(command.until), error=command.error or "")
    failed = (CommandState.REFUSED, CommandState.EXPIRED)
    done = command.state in SETTLED or command.state == CommandState.ACCEPTED
    return Stage(FAILED if command.state in failed else DONE if done else WAITING, words)


def expected_w(row: AlertRow, reading: ReadingRow) -> float | None:
    """What the lamp ought to take now: its rated power at full light, else what was expected when it failed."""
    rated = (row.metadata or {}).get("power_rated_w")
    if reading.values.get("level_commanded_pct") == FULL_PCT and isinstance(rated, int | float):
        return float(rated)
    expected = row.evidence.get("expected_power_w")
    return float(expected) if isinstance(expected, int | float) else None


def _power(seen: _Seen) -> Stage:
    say, reading = seen.say, seen.reading
    power = None if reading is None else reading.values.get("power_w")
    if reading is None or not isinstance(power, int | float) or isinstance(power, bool):
        return Stage(WAITING, say("crew.stage.power_none"))
    expected = expected_w(seen.row, reading)
    shown = {"power": formats.number(power, say.language), "at": seen.told(reading.ts)}
    if expected is None or expected <= 0:
        return Stage(DONE if power > 0 else WAITING, say("crew.stage.power", **shown))
    shown["expected"] = formats.number(expected, say.language)
    if power >= LIT_SHARE * expected:
        return Stage(DONE, say("crew.stage.power_lit", **shown))
    return Stage(
        WAITING, say("crew.stage.power_dark" if power < DARK_SHARE * expected else "crew.stage.power_low", **shown)
    )


def _symptom(seen: _Seen) -> Stage:
    row, say = seen.row, seen.say
    if row.active:
        return Stage(WAITING, say("crew.stage.symptom"))
    at = row.cleared_at or row.fixed_at
    return Stage(DONE, say("crew.stage.symptom_gone", at=seen.told(at) if at else "–"))


def _verdict(seen: _Seen) -> tuple[Stage, str]:
    """The last stage, and all of it in a sentence."""
    row, say = seen.row, seen.say
    ends = {
        Step.VERIFIED: (DONE, "verified"),
        Step.REOPENED: (FAILED, "reopened"),
        Step.RAISED_AGAIN: (FAILED, "raised_again"),
        Step.FALSE_ALARM: (DONE, "by_hand"),
        Step.CLOSED: (DONE, "by_hand"),
    }
    last = next((event for event in reversed(seen.events) if event.step in ends), None)
    if last is not None and row.state != AlertState.FIXED:
        mark, name = ends[Step(last.step)]
        words = say(f"crew.stage.{name}", at=seen.told(last.at), who=last.who)
        return Stage(mark, words), words
    by = "_proof" if seen.proves else ""
    if row.active:
        lit = seen.lights and _power(seen).mark == DONE
        due = say("crew.stage.due", at=formats.instant(seen.due_at, say.language, formats.local_zone())[:-3])
        return Stage(WAITING, due), say(f"crew.sentence.{'lit' if lit else 'waiting'}{by}")
    fixed = row.fixed_at or seen.events[-1].at
    calm = seen.told(max(fixed, row.cleared_at or fixed) + CALM)
    return Stage(WAITING, say(f"crew.stage.calm{by}", at=calm)), say(f"crew.sentence.calm{by}", at=calm)
