"""What an alert is: its records, spoken by rules, store, API and simulators; how it lives is told in ``rules.life``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much an alert matters; ``rank`` orders them, the worst is the highest."""

    INFO = "info"
    PLAN = "plan"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class AlertState(StrEnum):
    """Where an alert stands in its life; telemetry closes it, a person moves it on."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    FIXED = "fixed"
    CLOSED = "closed"


class Step(StrEnum):
    """What can happen to an alert: each is one append-only event.

    The first block is told by telemetry (the engine), the second by people, the third by time.
    """

    OPENED = "opened"
    CHANGED = "changed"
    """Severity, evidence or children are others now."""
    ATTACHED = "attached"
    """It has become the child of another alert, which explains it."""
    DETACHED = "detached"
    """Its parent is over and it is not: it stands for itself again."""
    CLEARED = "cleared"
    """The symptom is gone."""
    RAISED_AGAIN = "raised_again"
    """The symptom has come back before the alert was closed, or so soon after that it is the same cause."""
    RECORDED = "recorded"
    """Late readings tell of something that was over when they came: history, nobody is called."""
    PROVING = "proving"
    """Somebody has called it fixed, and readings from that moment on are held against it."""

    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    FIXED = "fixed"
    FALSE_ALARM = "false_alarm"
    CLOSED = "closed"

    VERIFIED = "verified"
    """Telemetry shows that what was called fixed is: at once where a rule has a proof, else when it stayed calm."""
    REOPENED = "reopened"
    """Telemetry shows that what was called fixed is not, or has not shown it in time."""
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an alert is about: one asset, or what many hang on.

    ``type`` is ``asset``, ``feeder``, ``phase``, ``cabinet``, ``supply_area``, ``gateway``, ``site``, ``municipality``
    or ``region``; ``name`` is the asset's id in decimal, or the name of the group, unique within its municipality.
    """

    type: str
    name: str
    municipality_id: int | None

    def __str__(self) -> str:
        return f"{self.type}/{self.municipality_id or '-'}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Somebody has called an alert fixed at ``fixed_ms``; ``key``, ``rule`` and ``scope`` are the alert's."""

    key: str
    rule: str
    scope: Scope
    fixed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomChange:
    """A rule began or ceased to hold on an asset, by the readings' own time.

    ``since_ms`` is when the condition began to hold, ``ts_ms`` the reading (or the moment of silence) that completed
    ``for``. ``late`` marks what was already over when its readings came. ``evidence`` holds the values and
    thresholds that fired; ``lost_wh`` (on clearing) the energy not produced or not saved meanwhile.
    ``proven`` is told of what was called fixed: readings show that it is (True, then it has ceased to hold), or not.
    """

    rule: str
    asset_id: int
    ts_ms: int
    since_ms: int
    raised: bool
    severity: Severity
    late: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lost_wh: float | None = None
    proven: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """One step of one alert, as the engine found it; committed in the transaction of the readings that caused it.

    ``key`` names the alert for ever: ``rule@scope@since_ms``, a function of history (never the moment of a tick), so a
    replay says the same again and the store takes it once. ``notify`` is False while a parent may still explain it
    (``changed`` with ``notify`` follows when the correlation window has closed). ``asset_id`` is the asset to go to: of
    a group the cabinet or gateway where there is one. ``parent`` is the key of the alert that explains this one.
    """

    key: str
    step: Step
    at_ms: int
    rule: str
    scope: Scope
    severity: Severity
    since_ms: int
    asset_id: int | None = None
    municipality_id: int | None = None
    parent: str | None = None
    notify: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    lost_wh: float | None = None
