"""Whom an alert is told to, and when: severity, quiet hours, digests and who is on call. Texts are in ``messages``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from kraj.alerts import AlertState, Severity, Step

STALE = timedelta(hours=24)
"""What was over before anybody could be told is no message any more after a day: it is history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where messages go. ``municipality_id`` None is the region's operator; times of day are local."""

    target_id: int
    municipality_id: int | None
    severity_min: Severity = Severity.MINOR
    quiet: tuple[time, time] | None = None
    digest_at: time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One person's turn to be called, in order of ``place``; the next one follows after ``escalate_after``."""

    municipality_id: int | None
    target_id: int
    place: int
    valid_from: datetime
    valid_to: datetime
    escalate_after: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A step of an alert that people may have to hear of, with the alert as it is now.

    ``escalations`` counts how often it was passed on since it was first told, this step included.
    """

    municipality_id: int | None
    step: Step
    at: datetime
    severity: Severity
    state: AlertState
    active: bool
    notify: bool
    escalations: int = 0
    concerns: frozenset[int] = frozenset()
    """Of an alert across municipalities, those in which something hangs on it: they see theirs, and hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """To a target, not before ``due_at``; with ``digest`` in one message with whatever else waits for it."""

    target_id: int
    due_at: datetime
    digest: bool = False


def needed(step: Step, state: AlertState, *, notify: bool) -> bool:
    """Whether a step still has to be told: not when another alert explains it by now, or all is done."""
    if step is Step.ESCALATED and state is not AlertState.OPEN:
        return False  # somebody has taken it
    return notify and state is not AlertState.CLOSED


def on_call(turns: Sequence[Turn], municipality_id: int | None, now: datetime) -> list[Turn]:
    """Whose turn it is now, the first to be called first: the municipality's own people, or else the region's."""
    valid = sorted((t for t in turns if t.valid_from <= now < t.valid_to), key=lambda turn: turn.place)
    own = [turn for turn in valid if turn.municipality_id == municipality_id]
    return own or [turn for turn in valid if turn.municipality_id is None]


def deliveries(
    notice: Notice, targets: Sequence[Target], turns: Sequence[Turn], now: datetime, zone: ZoneInfo
) -> list[Delivery]:
    """Who hears of it and when, each target at most once.

    A target with a turn now or later is a person: told when it is the first on call, or when others have not answered,
    whatever the hour. All others of the municipality, and the operator's, are told by their severity.
    """
    if not needed(notice.step, notice.state, notify=notice.notify):
        return []
    if not notice.active and now - notice.at > STALE:
        return []
    called = on_call(turns, notice.municipality_id, now)
    if notice.step is Step.ESCALATED:
        following = called[notice.escalations : notice.escalations + 1]
        return [Delivery(target_id=turn.target_id, due_at=now) for turn in following]
    # Where nobody has the duty now all people are told as others are: a gap in the calendar must silence nothing.
    people = {turn.target_id for turn in turns if called} - {turn.target_id for turn in called[:1]}
    first = called[0].target_id if called else None
    return [
        _when(notice, target, now, zone)
        for target in targets
        if target.target_id not in people
        and (target.target_id == first or target.municipality_id in {notice.municipality_id, None, *notice.concerns})
        and notice.severity.rank >= target.severity_min.rank
    ]


def _when(notice: Notice, target: Target, now: datetime, zone: ZoneInfo) -> Delivery:
    """At once what is critical; minor things with the digest; nothing else in quiet hours."""
    if notice.severity is Severity.CRITICAL:
        return Delivery(target_id=target.target_id, due_at=now)
    digest = notice.severity.rank <= Severity.MINOR.rank and target.digest_at is not None
    due_at = following(now, target.digest_at, zone) if digest and target.digest_at is not None else now
    awake_at = after_quiet(due_at, target.quiet, zone)
    # What has waited for the end of the night comes as one message, not as a row of them.
    return Delivery(target_id=target.target_id, due_at=awake_at, digest=digest or awake_at > due_at)


def following(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The next moment, now included, at which local clocks show ``at``."""
    local = now.astimezone(zone)
    days = (local.date() + timedelta(days=n) for n in (0, 1, 2))
    return min(found for day in days for found in _shown(day, at, zone) if found >= now).astimezone(now.tzinfo)


def _shown(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """When clocks show ``at`` on a day, in UTC: twice in the hour that comes twice in autumn; as much after the change
    in the hour that spring leaves out."""
    first = datetime.combine(day, at, zone).astimezone(UTC)
    again = datetime.combine(day, at, zone).replace(fold=1).astimezone(UTC)
    return [first, again] if again > first else [first]


def after_quiet(now: datetime, quiet: tuple[time, time] | None, zone: ZoneInfo) -> datetime:
    """The end of the quiet hours when ``now`` is within them, else ``now``. They may reach over midnight."""
    if quiet is None:
        return now
    begin, end = quiet
    clock = now.astimezone(zone).time()
    within = begin <= clock < end if begin <= end else clock >= begin or clock < end
    return following(now, end, zone) if within else now
