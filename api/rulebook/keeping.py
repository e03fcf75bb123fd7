"""What people do to rules, by API or page: checked, tried, written in one transaction (which audits it, see 0014)."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import psycopg

from api.acting import who
from api.principal import current
from api.problems import Problem
from api.rulebook.asking import town
from api.rulebook.bodies import DAYS_MAX, WINDOW_MAX, OffBody, TrialBody, WindowBody
from api.rulebook.trials import Trials
from api.rulebook.trying import Job, parsed
from api.rulebook.wording import doubts
from api.service import Service
from kraj.store import rulebook, trials
from kraj.store.connection import Connection
from rules import catalogue, correlation
from rules.catalogue.pointing import Mistake, mistake
from rules.language.errors import RuleTextError, quoted
from rules.rule import Rule

UNFINISHED_MAX = 3
"""Trials of one municipality that may wait or run."""
TRIED_WITHIN = timedelta(days=7)
"""What was tried longer ago is tried again: the assets, and what is stored, are others by now."""


@cache
def known_rules() -> dict[str, Rule]:
    """The catalogue by name."""
    return {rule.name: rule for rule in catalogue.load()}


@cache
def _causes() -> tuple[str, ...]:
    return (*(cause.name for cause in correlation.load()), *(rule.name for rule in catalogue.load()))


def read(text: str) -> Rule:
    """The one rule of a text; raises ``RuleTextError``."""
    rule, *others = catalogue.parse(text, "rule")
    if others:
        hint = f"{others[0].name} goes into a text of its own"
        raise RuleTextError(f"{1 + len(others)} rules", "one rule in each text", hint=hint, where="rule")
    if rule.name in known_rules():
        hint = "the catalogue has this one; give yours another name, or change its thresholds instead"
        raise RuleTextError(quoted(rule.name), "a name of its own", hint=hint, where=f"rule: {rule.name}")
    catalogue.check(rule, causes=_causes(), where="rule")
    return rule


def wrong(text: str) -> tuple[Rule | None, Mistake | None]:
    """The rule, or its first mistake."""
    try:
        return read(text), None
    except RuleTextError as error:
        return None, mistake(text, error)


async def write_window(connection: Connection, number: int | None, body: WindowBody, at: datetime) -> int:
    """Add or change a window; 400 for a place that is not there, 404 for an unknown number."""
    if not body.valid_from < body.valid_to <= body.valid_from + WINDOW_MAX:
        raise Problem("window_span", 400)
    if body.valid_to <= at:
        raise Problem("window_over", 400)
    owner = await town(connection, body.municipality)
    name = await _place(connection, owner.municipality_id, body)
    written = await rulebook.write_window(
        connection,
        number,
        municipality_id=owner.municipality_id,
        scope_type=body.scope_type,
        scope_name=name,
        valid_from=body.valid_from,
        valid_to=body.valid_to,
        reason=body.reason,
        who=who(),
    )
    if written is None:
        raise Problem("window", 404, name=number)
    return written


async def _place(connection: Connection, municipality_id: int, body: WindowBody) -> str:
    """The scope's name as windows hold it; raises ``Problem('window_place')`` where nothing is called so."""
    given = body.scope_name.strip()
    if body.scope_type == "municipality":
        return body.municipality
    if body.scope_type == "asset" and not given.isdecimal():
        found = await rulebook.asset_by_label(connection, municipality_id, given)
        given = given if found is None else str(found)
    if not await rulebook.concerned(connection, municipality_id, body.scope_type, given):
        raise Problem("window_place", 400, scope=body.scope_type, name=given)
    return given


async def switch_off(connection: Connection, body: OffBody, at: datetime) -> int:
    """Switch a rule off in a municipality or a group; the number of the override."""
    owner = await town(connection, body.municipality)
    await _known(connection, body.municipality, body.rule)
    await _group(connection, body.municipality, body.group_id)
    before = await rulebook.overrides(connection, municipality=body.municipality, after=0, limit=10_000)
    kept = [one.thresholds for one in before if (one.rule, one.group_id) == (body.rule, body.group_id)]
    return await rulebook.put_override(
        connection,
        municipality_id=owner.municipality_id,
        group_id=body.group_id,
        rule=body.rule,
        enabled=False,
        thresholds=kept[0] if kept else {},
        reason=body.reason,
        who=who(),
        at=at,
    )


async def drop(service: Service, table: str, number: int, municipality: str) -> None:
    """Take a window, an override or an own rule away."""
    async with service.database.connection(write=True) as connection:
        await town(connection, municipality)
        if not await rulebook.drop(connection, table, number):
            raise Problem("number", 404, name=number)


async def custom_off(connection: Connection, number: int, municipality: str, at: datetime) -> None:
    """Switch an own rule off; on again it goes by a trial."""
    await town(connection, municipality)
    await rulebook.switch_off(connection, number, who=who(), at=at)


async def propose(connection: Connection, running: Trials, body: TrialBody, at: datetime) -> tuple[int, Job]:
    """Write a proposal down: the trial's number, and the job to begin when that is committed."""
    proposal = body.model_dump(exclude={"municipality", "days"}, exclude_none=True)
    if (body.text is None) == (body.rule is None):
        raise Problem("proposal", 400)
    owner = await town(connection, body.municipality)
    if body.text is not None:
        _readable(body.text)
        if body.custom_rule_id is not None:
            mine = await rulebook.custom_rule(connection, body.custom_rule_id)
            if mine is None or mine.municipality != body.municipality:
                raise Problem("number", 404, name=body.custom_rule_id)
    else:
        rule = await _known(connection, body.municipality, body.rule or "")
        await _group(connection, body.municipality, body.group_id)
        try:
            changed = catalogue.with_overrides(rule, body.thresholds)
        except RuleTextError as error:
            raise Problem("thresholds", 400, detail=str(error)) from error
        proposal["thresholds"] = {name: changed.thresholds[name] for name in body.thresholds}
    if await trials.unfinished(connection, owner.municipality_id) >= UNFINISHED_MAX:
        raise Problem("trials_busy", 409, most=UNFINISHED_MAX)
    number = await trials.add(connection, municipality_id=owner.municipality_id, proposal=proposal, who=who(), at=at)
    return number, _job(running, owner.municipality_id, proposal, at, body.days)


async def proposed(service: Service, running: Trials, body: TrialBody) -> int:
    """Write a proposal of a form down and begin to try it; the trial's number."""
    async with service.database.connection(write=True) as connection:
        number, job = await propose(connection, running, body, service.clock())
    running.start(number, job)
    return number


def _job(running: Trials, municipality_id: int, proposal: dict[str, Any], at: datetime, days: int = DAYS_MAX) -> Job:
    principal = current.get()
    return Job(
        url=running.url,
        person_id=0 if principal is None else principal.person_id,
        scopes="" if principal is None else ",".join(principal.scopes),
        municipality_id=municipality_id,
        since=(at - timedelta(days=days)).isoformat(),
        until=at.isoformat(),
        seconds_max=running.seconds_max,
        text=proposal.get("text"),
        rule=proposal.get("rule"),
        group_id=proposal.get("group_id"),
        thresholds=proposal.get("thresholds"),
    )


async def adopt(connection: Connection, number: int, at: datetime, *, confirm: bool) -> tuple[str, int]:
    """Switch a tried proposal on: the table and number of what was written."""
    trial = await trials.trial(connection, number)
    if trial is None:
        raise Problem("trial", 404, name=number)
    await town(connection, trial.municipality)
    if trial.verdict is None:
        raise Problem("trial_open", 409, state=trial.state)
    if at - trial.asked_at > TRIED_WITHIN:
        raise Problem("trial_old", 409, days=TRIED_WITHIN.days)
    doubt = None if confirm else next(iter(doubts(trial.verdict)), None)
    if doubt is not None:
        numbers = {name: trial.verdict.get(name) for name in ("raised", "needed_days", "heard_days")}
        raise Problem(doubt, 409, assets=trial.verdict["assets_raised"], all=trial.verdict["assets"], **numbers)
    if not await trials.adopted(connection, number, at):
        raise Problem("trial_adopted", 409)
    return await _switch_on(connection, trial, at)


async def _switch_on(connection: Connection, trial: trials.TrialRow, at: datetime) -> tuple[str, int]:
    proposal = trial.proposal
    if "text" not in proposal:
        written = await rulebook.put_override(
            connection,
            municipality_id=trial.municipality_id,
            group_id=proposal.get("group_id"),
            rule=proposal["rule"],
            enabled=True,
            thresholds=proposal["thresholds"],
            reason=proposal.get("reason", ""),
            who=who(),
            at=at,
        )
        return "rule_override", written
    rule = _readable(proposal["text"])
    try:
        number = await rulebook.write_custom_rule(
            connection,
            proposal.get("custom_rule_id"),
            municipality_id=trial.municipality_id,
            name=rule.name,
            text=proposal["text"],
            enabled=True,
            who=who(),
            at=at,
        )
    except psycopg.errors.UniqueViolation as error:
        raise Problem("rule_name", 409, name=rule.name) from error
    if number is None:
        raise Problem("number", 404, name=proposal.get("custom_rule_id"))
    return "custom_rule", number


def _readable(text: str) -> Rule:
    rule, wrong_place = wrong(text)
    if rule is None:
        assert wrong_place is not None  # noqa: S101 - one of the two
        raise Problem(
            "rule_text",
            400,
            line=wrong_place.line or 1,
            column=wrong_place.column or 1,
            found=wrong_place.found,
            expected=wrong_place.expected,
            more=wrong_place.hint,
        )
    return rule


async def own_rules(connection: Connection, municipality: str | None = None) -> dict[str, tuple[Rule, str]]:
    """Own rules that are on and can be read, as the principal sees them: by name, with their municipality."""
    found: dict[str, tuple[Rule, str]] = {}
    for row in await rulebook.custom_rules(connection, municipality=municipality, after=0, limit=rulebook.LISTED_MAX):
        if row.enabled:
            for rule in parsed(row.text):
                found.setdefault(rule.name, (rule, row.municipality))
    return found


async def _known(connection: Connection, municipality: str, name: str) -> Rule:
    known = known_rules().get(name)
    if known is None:
        own = (await own_rules(connection, municipality)).get(name)
        known = None if own is None else own[0]
    if known is None:
        raise Problem("rule", 404, name=name)
    return known


async def _group(connection: Connection, municipality: str, group_id: int | None) -> None:
    groups = await rulebook.groups(connection)
    if group_id is not None and (group_id, municipality) not in {(g.group_id, g.municipality) for g in groups}:
        raise Problem("group", 404, name=group_id)
