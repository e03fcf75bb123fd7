"""Which alerts tell of which labelled faults, and which tell of nothing."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kraj.alerts import AlertChange, Scope, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A fault as the scorer sees it.

    ``scopes`` are those on which an alert counts, ``asset_ids`` the assets that suffer. ``shows_ms`` is when its effect
    could first be seen; ``excluded`` says why it could not be seen at all. ``lingers_ms`` is how long the effect
    outlasts the fault; ``also`` names rules that tell of this one besides those of its cause.
    """

    cause: str
    scopes: frozenset[Scope]
    asset_ids: frozenset[int]
    start_ms: int
    end_ms: int
    shows_ms: int
    excluded: str | None = None
    lingers_ms: int = 0
    also: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Alert:
    """An alert through its life: opened by the time of its readings at ``opened_ms`` and told at ``told_ms``.

    ``child`` holds while another alert explains it, and for good where it ended so; ``asset_id`` is the asset to go to;
    ``recorded`` ones were over when their readings came; ``verdict`` is what those who came back have said of why they
    were silent ("power", "communication"), told with its end.
    """

    key: str
    rule: str
    scope: Scope
    opened_ms: int
    told_ms: int
    child: bool
    asset_id: int | None = None
    recorded: bool = False
    notified: bool = False
    cleared_ms: int | None = None
    verdict: str | None = None
    ended_ms: int | None = None


class Diary:
    """Every alert that a run raised, by key."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}

    def write(self, changes: Iterable[AlertChange], now_ms: int) -> None:
        """Note the steps that alerts took at ``now_ms``."""
        for change in changes:
            alert = self.alerts.get(change.key)
            if alert is None:
                alert = self.alerts[change.key] = Alert(
                    key=change.key,
                    rule=change.rule,
                    scope=change.scope,
                    opened_ms=change.at_ms,
                    told_ms=now_ms,
                    child=change.parent is not None,
                    asset_id=change.asset_id,
                    recorded=change.step is Step.RECORDED,
                )
            alert.child = change.parent is not None if change.step in _CHILDHOOD else alert.child
            alert.notified |= change.notify
            if change.step in {Step.CLEARED, Step.RAISED_AGAIN}:
                alert.cleared_ms = change.at_ms if change.step is Step.CLEARED else None
            if "verdict" in change.evidence:
                alert.verdict, alert.ended_ms = str(change.evidence["verdict"]), now_ms


_CHILDHOOD = frozenset({Step.OPENED, Step.RAISED_AGAIN, Step.ATTACHED, Step.DETACHED})

SILENCE_OF: Mapping[str, str] = {"site_outage": "site_silent"}
"""Of an outage that takes the voice of what suffers as well, the silence that is told meanwhile (lighting.md,
communication or power: the verdict comes afterwards). It tells of the outage if its verdict is "power", and of no
silence then."""
POWER = "power"

Grace = Callable[[str], int]
"""By rule, how long after a fault's end (ms) its alert may still open."""
MembersOf = Callable[[Scope], frozenset[int]]
"""The assets that a scope holds."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one label: the alerts that tell of it, and those that its effects raised besides."""

    label: Label
    alerts: tuple[Alert, ...]
    surplus: tuple[Alert, ...]

    @property
    def detected(self) -> bool:
        return bool(self.alerts)

    @property
    def latency_s(self) -> float | None:
        """From when it could be seen to when it was told; None where it was not, or only as history."""
        told = [self._told_ms(alert) for alert in self.alerts if not alert.recorded]
        return max(0.0, (min(told) - self.label.shows_ms) / 1000) if told else None

    def _told_ms(self, alert: Alert) -> int:
        """A silence that turns out to have been an outage tells of it by its verdict."""
        afterwards = alert.rule == SILENCE_OF.get(self.label.cause) and alert.ended_ms is not None
        return alert.ended_ms if afterwards and alert.ended_ms is not None else alert.told_ms


@dataclass(frozen=True, slots=True)
class Matching:
    """All labels and all alerts of a run, each in one place; children that match nothing are in none."""

    found: tuple[Found, ...]
    false: tuple[Alert, ...]
    neutral: tuple[Alert, ...] = field(default=())
    """Alerts that tell of an excluded label: neither right nor wrong."""


def match(
    labels: Sequence[Label],
    alerts: Iterable[Alert],
    equivalents: Mapping[str, frozenset[str]],
    grace: Grace,
    members: MembersOf = lambda scope: frozenset(),
) -> Matching:
    """Put alerts and labels together.

    An alert counts for a label if it is of its cause, or one that ``equivalents`` allows for the cause, on its scope
    (an equivalent: on its scope or on an asset that suffers), and opened between its beginning and its end plus the
    rule's grace, or as long as its effect lingers; a silence counts by its verdict (``SILENCE_OF``). Where several
    labels fit, one without an alert goes first. An alert without a label is a child of another and explained, or
    *surplus* where it is about an asset that suffers in the time of its label (of a group's: about one of its
    ``members``), or else *false*.
    """
    cells = _Cells(labels, equivalents, members)
    mine: dict[int, list[Alert]] = defaultdict(list)
    surplus: dict[int, list[Alert]] = defaultdict(list)
    false: list[Alert] = []
    neutral: list[Alert] = []
    for alert in sorted(alerts, key=lambda a: (a.opened_ms, a.key)):
        fit = [n for n in cells.fitting(alert) if _in_time(alert, labels[n], grace)]
        # A label that could not show yields to one that could, and one that is told already to one that is not.
        best = min(
            fit, key=lambda n: (labels[n].excluded is not None, bool(mine[n]), -labels[n].start_ms), default=None
        )
        if best is not None:
            (neutral if labels[best].excluded else mine[best]).append(alert)
        elif not alert.child:
            near = [n for n in cells.touching(alert) if _in_time(alert, labels[n], grace)]
            if near:
                surplus[max(near, key=lambda n: labels[n].start_ms)].append(alert)
            else:
                false.append(alert)
    found = tuple(Found(label, tuple(mine[n]), tuple(surplus[n])) for n, label in enumerate(labels))
    return Matching(found, tuple(false), tuple(neutral))


def _in_time(alert: Alert, label: Label, grace: Grace) -> bool:
    return label.start_ms <= alert.opened_ms <= label.end_ms + max(grace(alert.rule), label.lingers_ms)


class _Cells:
    """Labels by what an alert must be to tell of them."""

    def __init__(self, labels: Sequence[Label], equivalents: Mapping[str, frozenset[str]], members: MembersOf) -> None:
        self._members = members
        self._by_cell: dict[tuple[str, Scope], list[int]] = defaultdict(list)
        self._by_rule_and_asset: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._by_silence: dict[tuple[str, Scope], list[int]] = defaultdict(list)
        self._by_scope: dict[Scope, list[int]] = defaultdict(list)
        self._by_asset: dict[int, list[int]] = defaultdict(list)
        for n, label in enumerate(labels):
            others = equivalents.get(label.cause, frozenset[str]()) | label.also
            silence = SILENCE_OF.get(label.cause)
            for scope in label.scopes:
                self._by_scope[scope].append(n)
                if silence is not None:
                    self._by_silence[silence, scope].append(n)
                for rule in (label.cause, *others):
                    self._by_cell[rule, scope].append(n)
            for asset_id in label.asset_ids:
                self._by_asset[asset_id].append(n)
                for rule in others:
                    self._by_rule_and_asset[rule, asset_id].append(n)

    def fitting(self, alert: Alert) -> list[int]:
        if alert.verdict == POWER and alert.rule in SILENCE_OF.values():
            return self._by_silence.get((alert.rule, alert.scope), [])
        found = self._by_cell.get((alert.rule, alert.scope), [])
        asset_id = _asset_id(alert.scope)
        return found if asset_id is None else [*found, *self._by_rule_and_asset.get((alert.rule, asset_id), [])]

    def touching(self, alert: Alert) -> set[int]:
        own = _asset_id(alert.scope)
        about = self._members(alert.scope) if own is None else frozenset({own})
        near = [self._by_asset.get(asset_id, []) for asset_id in about | {alert.asset_id or 0}]
        return {n for found in (*near, self._by_scope.get(alert.scope, [])) for n in found}


def _asset_id(scope: Scope) -> int | None:
    return int(scope.name) if scope.type == "asset" else None
