"""What correlation remembers, and the times that it keeps to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kraj.alerts import Scope, Severity

MINUTE_MS = 60_000
EXPLAIN_MS = 10 * MINUTE_MS
"""How long an alert that a cause could explain waits for that cause before anybody is told (design.md, Rules: the
correlation window)."""
SETTLE_MS = 2 * MINUTE_MS
"""A group is judged this long after enough of it suffer: the wills of one trip arrive within a minute and a half, and
the first three lamps do not tell a feeder from a gateway."""
HOLD_MS = 15 * MINUTE_MS
"""After a cause is over its symptoms get this long to go away, too: lamps warm up, devices connect again. These are
three heartbeats; who reports less often gets three of its own."""
HOLD_HEARTBEATS = 3
FLAP_MS = 30 * MINUTE_MS
"""Raised again so soon after it was cleared, it is the same alert."""
FLAPS_MAX = 3
DAY_MS = 24 * 60 * MINUTE_MS
CALM_MS = 120 * MINUTE_MS
"""What came and went more often than ``FLAPS_MAX`` times in a day is over only after two calm hours."""
RAISED_KEPT = 10
ASSETS_NAMED = 200
"""Of a cause's evidence; the children tell the rest."""
CIRCUIT_RESTS = "circuit_rests"
"""Of a cabinet: its contactor is open as it ought to be, so that lamps behind it cannot say how they are."""
SUPPLY_GONE = "supply_gone"
"""In a symptom's evidence: the device itself has said that it has no voltage, and is not merely silent."""

Cell = tuple[str, Scope]
"""A rule or cause and what it is about: there is at most one open alert of each."""
SymptomKey = tuple[str, int]
"""A rule and the asset on which it holds."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """An active symptom, with what its alert needs.

    ``since_ms`` and ``raised_ms`` are the device's times (its condition began to hold, it held for long enough),
    ``noted_ms`` is when we learnt of it.
    """

    rule: str
    asset_id: int
    since_ms: int
    raised_ms: int
    noted_ms: int
    severity: Severity
    evidence: Mapping[str, Any] = field(hash=False)

    @property
    def key(self) -> SymptomKey:
        return self.rule, self.asset_id

    @property
    def proves_loss(self) -> bool:
        """Whether the device has said that its supply is gone: a last gasp."""
        return bool(self.evidence.get(SUPPLY_GONE))


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Enough of a group suffer since ``since_ms``; it is judged at ``judge_ms``, when something changes after that, and
    at ``muted_ms``, when the mute that keeps it from opening is over."""

    since_ms: int
    judge_ms: int
    muted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """An alert that is open, or was within the last day.

    ``parent`` explains it, by its cell and by its key (that cell may hold another alert by now). ``notify`` tells
    whether people were told, ``tell_ms`` when they will be if nothing explains it until then; ``raised`` holds the
    times at which it was raised within a day; ``calm_ms`` is when a flapping alert will have been calm for long enough.
    Of a cause, ``peak`` is the most that suffered at once, ``power`` and ``silence`` count those who came back with
    word of a lost supply, and without.
    """

    key: str
    severity: Severity
    since_ms: int
    asset_id: int | None
    parent: Cell | None
    parent_key: str | None
    notify: bool
    raised: tuple[int, ...]
    tell_ms: int | None = None
    cleared_ms: int | None = None
    calm_ms: int | None = None
    lost_wh: float | None = None
    peak: int = 0
    power: int = 0
    silence: int = 0

    @property
    def active(self) -> bool:
        return self.cleared_ms is None

    @property
    def flaps(self) -> bool:
        """Whether it has come and gone too often today to be believed when it goes."""
        return len(self.raised) > FLAPS_MAX

    def holds_down(self, at_ms: int, hold_ms: int) -> bool:
        """Whether, as a cause, it explains symptoms now or did until a moment ago."""
        return self.cleared_ms is None or at_ms - self.cleared_ms < hold_ms


@dataclass(frozen=True, slots=True)
class Repaired:
    """A cause that was called fixed at ``fixed_ms``; ``heard_ms`` is when enough of its group had reported since."""

    fixed_ms: int
    heard_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an alert is opened with."""

    since_ms: int
    at_ms: int
    severity: Severity
    asset_id: int | None
    evidence: Mapping[str, Any]
    peak: int = 0


def key_of(cell: Cell, since_ms: int) -> str:
    """The alert's name for ever: a function of history."""
    return f"{cell[0]}@{cell[1]}@{since_ms}"
