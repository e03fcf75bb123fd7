"""What time alone does to an alert: repairs are proven or not, calm ones are closed, unanswered ones passed on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from kraj.alerts import AlertState, Severity, Step
from rules import holidays
from rules.notices import Turn, on_call
from rules.rule import Per, Rule

CALM = timedelta(minutes=30)
"""What comes back within this time is the same alert (flap damping): only then is a repair proven."""
FORGOTTEN = timedelta(hours=24)
"""Nobody has done anything and the symptom has been gone for so long: flaps are counted over 24 hours, too."""
MORNING = time(8)
"""Local; by then somebody is at the office who can send the next one."""
PROOF = timedelta(hours=26)
"""A repair of the morning is proven at night at the latest; two hours are for dusk that comes later than yesterday."""
PROOF_MS = round(PROOF.total_seconds() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """An alert as far as time matters to it. ``told_at`` is when people were called, ``escalations`` how often it was
    passed on since."""

    municipality_id: int | None
    severity: Severity
    state: AlertState
    active: bool
    notify: bool
    cleared_at: datetime | None = None
    fixed_at: datetime | None = None
    told_at: datetime | None = None
    escalations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What follows: the step, the state after it, whether people must hear of it, and whom it is passed on to."""

    step: Step
    state: AlertState
    tell: bool = False
    target_id: int | None = None


def proof(rule: Rule | None) -> timedelta:
    """How long after "fixed" telemetry has to show it. A rule over days needs its days, and the rest of the first."""
    if rule is None or rule.per in (Per.READING, Per.TIME):
        return PROOF
    return PROOF + timedelta(days=rule.of[1])


def elapsed(
    alert: Life, turns: Sequence[Turn], now: datetime, *, proof: timedelta = PROOF, zone: tzinfo = UTC
) -> Move | None:
    """The step that is due by now, None when there is none."""
    if alert.state is AlertState.CLOSED:
        return None
    if alert.state is AlertState.FIXED:
        return _after_repair(alert, now, proof)
    if not alert.active:
        if alert.cleared_at is not None and now - alert.cleared_at >= FORGOTTEN:
            return Move(step=Step.CLOSED, state=AlertState.CLOSED)
        return None
    return _unanswered(alert, on_call(turns, alert.municipality_id, now), now, zone)


def _after_repair(alert: Life, now: datetime, proof: timedelta) -> Move | None:
    if alert.fixed_at is None:
        return None
    if alert.active:
        if now - alert.fixed_at < proof:
            return None
        return Move(step=Step.REOPENED, state=AlertState.OPEN, tell=alert.notify)
    if now - max(alert.fixed_at, alert.cleared_at or alert.fixed_at) < CALM:
        return None
    return Move(step=Step.VERIFIED, state=AlertState.CLOSED)


def _unanswered(alert: Life, called: Sequence[Turn], now: datetime, zone: tzinfo) -> Move | None:
    """A critical goes on after each one's patience, a major on each following working morning."""
    if alert.severity.rank < Severity.MAJOR.rank or alert.state is not AlertState.OPEN or not alert.notify:
        return None
    following = alert.escalations + 1
    if alert.told_at is None or following >= len(called):
        return None
    if alert.severity is Severity.CRITICAL:
        due_at = alert.told_at + sum((turn.escalate_after for turn in called[:following]), timedelta())
    else:
        day = holidays.following(alert.told_at.astimezone(zone).date(), following)
        due_at = datetime.combine(day, MORNING, zone)
    if now < due_at:
        return None
    return Move(step=Step.ESCALATED, state=AlertState.OPEN, tell=True, target_id=called[following].target_id)
