"""A stage for correlation: a small estate, plain rules, a correlator that is fed, and what people would see of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kraj.alerts import AlertChange, Scope, Severity, Step, SymptomChange
from kraj.assets import AssetRow, DeviceStatus, Window
from kraj.metrics import Title
from rules.correlation import Correlator, load
from rules.estate import Estate
from rules.rule import Per, Rule

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_795_212_000_000
POWER = ("phase_lost", "cabinet_outage", "grid_outage")
CAUSES = load()


def rule(
    name: str, *kinds: str, hidden: bool = False, explained_by: Sequence[str] = (), per: Per = Per.READING
) -> Rule:
    return Rule(
        name=name,
        kinds=kinds or ("lamp",),
        per=per,
        when="power_w > 0",
        severity=Severity.MAJOR,
        title=Title(cs=name, en=name),
        symptom=Title(cs=name, en=name),
        hidden=hidden,
        explained_by=tuple(explained_by),
    )


RULES = (
    rule("lamp_out"),
    rule("lamp_dark", hidden=True),
    rule("day_burner", explained_by=["contactor_stuck"]),
    rule("comms_lost", "lamp", "cabinet", "stop", explained_by=["gateway_silent", "feeder_outage", *POWER]),
    rule("cabinet_dark", "cabinet", hidden=True),
    rule("phase_dark", "cabinet", hidden=True),
    rule("load_lost", "cabinet", hidden=True),
    rule("circuit_rests", "cabinet", hidden=True),
    rule("breaker", "cabinet", explained_by=["feeder_outage", "cabinet_outage", "grid_outage"]),
    rule("door_open", "cabinet"),
    rule("voltage", "lamp", "cabinet", explained_by=["voltage_area"]),
    rule("snow_suspected", "solar", hidden=True),
    rule("zero_output", "solar", explained_by=["site_outage", "grid_outage", "snow"]),
    rule("solar_silent", "solar", hidden=True),
    rule("solar_comms_lost", "solar", explained_by=["site_outage", "site_silent", "gateway_silent", "grid_outage"]),
    rule("inverter_fault", "solar"),
    rule("string_open", "solar", explained_by=["inverter_fault"]),
)


def asset(asset_id: int, kind: str, label: str = "", *, owner: int = 1, **metadata: Any) -> AssetRow:
    return AssetRow(
        asset_id=asset_id,
        municipality_id=owner,
        kind=kind,
        label=label or f"{kind}-{asset_id}",
        latitude=None,
        longitude=None,
        metadata=metadata,
        device_id=asset_id,
    )


@dataclass
class Town:
    """Cabinets R1, R2 … (ids 1, 2 …), each with feeders R1/1 … of lamps from 101, 201 … on; lamps alternate phases."""

    cabinets: int = 1
    feeders: int = 1
    lamps: int = 30
    area: str | None = "A"
    gateway: str | None = None
    extra: tuple[AssetRow, ...] = ()
    windows: tuple[Window, ...] = ()
    version: int = 1
    changed: dict[int, Mapping[str, Any]] = field(default_factory=dict[int, Mapping[str, Any]])
    """Metadata of lamps that differ."""

    def lamp(self, cabinet: int, feeder: int, place: int) -> int:
        return 1000 * cabinet + 100 * feeder + place

    def feeder(self, cabinet: int = 1, feeder: int = 1) -> list[int]:
        return [self.lamp(cabinet, feeder, place) for place in range(self.lamps)]

    def rows(self) -> list[AssetRow]:
        above: dict[str, Any] = {"supply_area": self.area} if self.area else {}
        behind: dict[str, Any] = {"gateway": self.gateway} if self.gateway else {}
        rows = [asset(c, "cabinet", f"R{c}", **above) for c in range(1, self.cabinets + 1)]
        for c in range(1, self.cabinets + 1):
            for f in range(1, self.feeders + 1):
                for place in range(self.lamps):
                    known: dict[str, Any] = {
                        "cabinet": f"R{c}",
                        "feeder": f"R{c}/{f}",
                        "phase": place % 3 + 1,
                        **behind,
                    }
                    number = self.lamp(c, f, place)
                    rows.append(asset(number, "lamp", **{**known, **self.changed.get(number, {})}))
        return [*rows, *self.extra]

    def estate(self, without: Iterable[int] = (), owners: Mapping[int, int] | None = None) -> Estate:
        gone, owners = set(without), owners or {}
        rows = [
            asset(r.asset_id, r.kind, r.label, owner=owners.get(r.asset_id, r.municipality_id), **r.metadata)
            for r in self.rows()
            if r.asset_id not in gone
        ]
        return Estate.of(self.version, rows, windows=self.windows)


@dataclass
class Shown:
    """An alert as people see it."""

    key: str
    rule: str
    scope: Scope
    severity: Severity
    active: bool
    notify: bool
    parent: str | None
    evidence: dict[str, Any]
    asset_id: int | None
    recorded: bool = False


class Ledger:
    """What the store makes of the changes, in short: ``told`` lists whom people heard of, in order."""

    def __init__(self) -> None:
        self.alerts: dict[str, Shown] = {}
        self.told: list[str] = []
        self.steps: list[tuple[str, Step, int]] = []

    def take(self, changes: Iterable[AlertChange]) -> None:
        for change in changes:
            self.steps.append((change.key, change.step, change.at_ms))
            self._take(change)

    def _take(self, change: AlertChange) -> None:
        step = change.step
        if step in {Step.OPENED, Step.RECORDED}:
            assert change.key not in self.alerts, f"{change.key} opened twice"
            fresh = step is Step.OPENED
            same = [a for a in self.alerts.values() if a.active and (a.rule, a.scope) == (change.rule, change.scope)]
            assert not (fresh and same), f"two open alerts of one cause: {change.key} and {same[0].key}"
            assert change.parent is None or change.parent in self.alerts, "a parent is known before its children"
            self.alerts[change.key] = Shown(
                change.key,
                change.rule,
                change.scope,
                change.severity,
                fresh,
                change.notify and fresh,
                change.parent,
                dict(change.evidence),
                change.asset_id,
                recorded=not fresh,
            )
            if fresh and change.notify:
                self.told.append(change.key)
            return
        alert = self.alerts[change.key]
        was_told, alert.notify = alert.notify, change.notify
        alert.evidence |= change.evidence
        alert.severity = change.severity
        if step is Step.ATTACHED:
            assert change.parent in self.alerts, "a parent is known before its children"
            assert change.parent != change.key
            alert.parent, alert.notify = change.parent, False
        elif step is Step.DETACHED:
            alert.parent = None
        elif step is Step.CLEARED:
            assert alert.active, f"{change.key} cleared twice"
            alert.active = False
        elif step is Step.RAISED_AGAIN:
            assert not alert.active, f"{change.key} raised again while active"
            assert alert.notify == was_told, "raising again changes nothing else: the store would not take it over"
            assert alert.parent == change.parent
            alert.active = True
        if step in {Step.CHANGED, Step.DETACHED} and change.notify and not was_told:
            self.told.append(change.key)

    def rules_told(self) -> list[str]:
        return [key.split("@")[0] for key in self.told]

    def open(self, rule: str | None = None) -> list[Shown]:
        return [a for a in self.alerts.values() if a.active and rule in {None, a.rule}]

    def only(self, rule: str) -> Shown:
        found = [a for a in self.alerts.values() if a.rule == rule]
        assert len(found) == 1, f"{len(found)} alerts of {rule}"
        return found[0]

    def times_raised(self, key: str) -> int:
        return sum(k == key and step in {Step.OPENED, Step.RAISED_AGAIN} for k, step, _ in self.steps)

    def children(self, key: str) -> list[Shown]:
        return [a for a in self.alerts.values() if a.parent == key]


class Stage:
    """A correlator that is fed symptoms at minutes since ``START``; every step is committed."""

    def __init__(self, estate: Estate, rules: Sequence[Rule] = RULES) -> None:
        self.estate = estate
        self.rules = rules
        self.correlator = Correlator(estate, rules, CAUSES)
        self.ledger = Ledger()
        self.now_ms = START

    def step(self, minute: float, *changes: SymptomChange, statuses: Sequence[DeviceStatus] = ()) -> list[AlertChange]:
        self.now_ms = START + round(minute * MINUTE)
        found = list(self.correlator.step(changes, statuses, self.now_ms))
        self.correlator.commit()
        self.ledger.take(found)
        return found

    def tick(self, until: float, every: float = 0.5) -> None:
        """Nothing but time."""
        minute = (self.now_ms - START) / MINUTE
        while minute < until:
            minute = min(minute + every, until)
            self.step(minute)

    def move(self, estate: Estate) -> None:
        self.estate = estate
        self.correlator.move(estate, self.rules)


def raised(rule: str, asset_id: int, minute: float, *, since: float | None = None, **more: Any) -> SymptomChange:
    """``since`` in minutes, like ``minute``; everything else is evidence, but ``severity`` and ``late``."""
    severity, late = more.pop("severity", Severity.MAJOR), more.pop("late", False)
    ts_ms = START + round(minute * MINUTE)
    since_ms = ts_ms if since is None else START + round(since * MINUTE)
    return SymptomChange(
        rule=rule,
        asset_id=asset_id,
        ts_ms=ts_ms,
        since_ms=since_ms,
        raised=True,
        severity=severity,
        late=late,
        evidence=more,
    )


def cleared(rule: str, asset_id: int, minute: float, **more: Any) -> SymptomChange:
    ts_ms = START + round(minute * MINUTE)
    return SymptomChange(
        rule=rule, asset_id=asset_id, ts_ms=ts_ms, since_ms=ts_ms, raised=False, severity=Severity.MAJOR, **more
    )


def all_of(rule: str, assets: Iterable[int], minute: float, **more: Any) -> list[SymptomChange]:
    return [raised(rule, asset_id, minute, **more) for asset_id in assets]


def back(rule: str, assets: Iterable[int], minute: float) -> list[SymptomChange]:
    return [cleared(rule, asset_id, minute) for asset_id in assets]
