"""Correlation said twice: everything looked through at every moment, in plain lists.

Nothing is remembered that could be computed from the symptoms and alerts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kraj.alerts import SymptomChange
from kraj.assets import AssetRow
from rules.correlation.causes import Cause
from rules.rule import Rule
from tests.rules.correlation.plain_town import Group, PlainTown

MINUTE = 60_000


@dataclass
class Alert:
    name: str
    group: Group
    asset: int | None
    since: int
    parent: "Alert | None"
    told: bool
    tell: int | None
    raised: list[int]
    peak: int = 0
    cleared: int | None = None
    calm: int | None = None
    ever_told: bool = False
    children: set[tuple[str, str, int]] = field(default_factory=set[tuple[str, str, int]])

    @property
    def who(self) -> tuple[str, str, int]:
        return self.name, self.group[1], self.since


@dataclass
class Candidate:
    name: str
    group: Group
    asset: int | None
    since: int


class Twin(PlainTown):
    """One town without windows. ``advance`` goes on to a moment, ``take`` gives it what has come then."""

    def __init__(self, rows: Iterable[AssetRow], rules: Sequence[Rule], causes: Sequence[Cause]) -> None:
        super().__init__(rows)
        self.rules = {rule.name: rule for rule in rules}
        self.causes = {cause.name: cause for cause in causes}
        self.symptoms: dict[tuple[str, int], tuple[SymptomChange, int]] = {}
        self.alerts: list[Alert] = []
        self.suspected: dict[tuple[str, Group], int] = {}
        self.spent: dict[tuple[str, Group], int] = {}
        self._parents: dict[tuple[str, Group, int | None], list[tuple[str, Group]]] = {}

    # Who suffers

    def has(self, asset: int, rule: str) -> bool:
        return (rule, asset) in self.symptoms

    def gasps(self, asset: int) -> bool:
        return any(a == asset and change.evidence.get("supply_gone") for (_, a), (change, _) in self.symptoms.items())

    def lost(self, cause: Cause, group: Group) -> dict[int, tuple[int, int]]:
        """By asset: since when, and the latest that we learnt of the symptom that began first."""
        found: dict[int, tuple[int, str, int]] = {}
        for (rule, asset), (change, noted) in self.symptoms.items():
            counts = rule in cause.symptoms and self.rows[asset].kind in cause.kinds
            if counts and self.group(asset, cause.group) == group:
                found[asset] = min(found.get(asset, (2**62, "", 0)), (change.since_ms, rule, noted))
        return {asset: (since, noted) for asset, (since, _, noted) in found.items()}

    def same_network(self, network: Cause, a: int, b: int) -> bool:
        if not {self.rows[a].kind, self.rows[b].kind} <= set(network.kinds):
            return False
        group = self.group(a, network.group)
        return group is not None and group == self.group(b, network.group)

    def power_gone(self, asset: int, network: Cause) -> bool:
        feeder, cabinet = self.group(asset, "feeder"), self.group(asset, "cabinet")
        neighbours = [a for a in self.rows if feeder is not None and self.group(a, "feeder") == feeder]
        if any(self.gasps(a) for a in [asset, *neighbours]):
            return True
        for other in self.members(cabinet, ("cabinet",)) if cabinet else ():
            for rule in network.proofs if other != asset else ():
                if self.has(other, rule):
                    firm = bool(self.symptoms[rule, other][0].evidence.get("supply_gone"))
                    if firm or not (self.same_network(network, asset, other) and rule in network.symptoms):
                        return True
        return False

    def suffering(self, cause: Cause, group: Group) -> tuple[dict[int, tuple[int, int]], int]:
        lost, members = self.lost(cause, group), len(self.members(group, cause.kinds))
        if cause.network:
            silent = {a: s for a, s in lost.items() if not self.power_gone(a, cause)}
            return silent, members - len(lost) + len(silent)
        return lost, members

    # Who explains whom

    def alert(self, name: str, group: Group) -> Alert | None:
        found = [a for a in self.alerts if (a.name, a.group) == (name, group)]
        return found[-1] if found else None

    def parents(self, name: str, group: Group, asset: int | None) -> list[tuple[str, Group]]:
        key = (name, group, asset)
        if key not in self._parents:  # the town never changes; everything else is looked through each time
            self._parents[key] = self._find_parents(name, group, asset)
        return self._parents[key]

    def _find_parents(self, name: str, group: Group, asset: int | None) -> list[tuple[str, Group]]:
        order = list(self.causes)
        if name in self.causes:
            names = list(self.causes[name].explained_by)
        else:
            names = [*self.rules[name].explained_by, *(c for c in order if name in self.causes[c].symptoms)]
        nearest = sorted(set(names), key=lambda n: (n in order, -order.index(n) if n in order else 0))
        found: list[tuple[str, Group]] = []
        for other in nearest:
            if other not in self.causes:
                found.append((other, group))
                continue
            above = self.causes[other]
            if name in self.causes:
                groups = self.over(group, self.causes[name].kinds, above.group)
            else:
                groups = self.above(asset, above.group) if asset is not None else set[Group]()
            found += [(other, g) for g in sorted(groups) if len(self.members(g, above.kinds)) >= above.count]
        return found

    def explains(self, above: Alert, below: "Alert | Candidate", now: int) -> bool:
        cause = self.causes.get(above.name)
        own = self.causes.get(below.name)
        assets = list(self.lost(own, below.group)) if own else [below.asset]
        if above.cleared is not None and now - above.cleared >= self.hold_min(assets) * MINUTE:
            return False
        if below.since < above.since - (cause.window_ms if cause else 10 * MINUTE):
            return False
        if cause is not None and cause.network:
            return not any(a is not None and self.power_gone(a, cause) for a in assets)
        return True

    def parent(self, candidate: "Alert | Candidate", now: int) -> Alert | None:
        for other, above_group in self.parents(candidate.name, candidate.group, candidate.asset):
            above = self.alert(other, above_group)
            if above is not None and self.explains(above, candidate, now):
                return above
        return None

    # What happens

    def take(self, changes: Iterable[SymptomChange], now: int) -> None:
        self.time(now)
        for change in sorted(changes, key=lambda c: (c.ts_ms, c.rule, c.asset_id)):
            key = (change.rule, change.asset_id)
            group = ("asset", str(change.asset_id))
            if change.raised and key not in self.symptoms:
                self.symptoms[key] = (change, now)
                if not self.rules[change.rule].hidden:
                    new = Candidate(change.rule, group, change.asset_id, change.since_ms)
                    waits = self.waits(new)
                    tell = None if waits is None else max(change.ts_ms + waits, now + 2 * MINUTE)
                    self.open(new, change.ts_ms, self.parent(new, now), tell)
            elif not change.raised and key in self.symptoms:
                del self.symptoms[key]
                alert = self.alert(change.rule, group)
                if alert is not None and alert.cleared is None:
                    self.clear(alert, change.ts_ms)
        self.judge(now)
        self.tell(now)

    def waits(self, new: Candidate) -> int | None:
        parents = self.parents(new.name, new.group, new.asset)
        return max((self.causes[p].wait_ms if p in self.causes else 10 * MINUTE for p, _ in parents), default=None)

    def open(self, new: Candidate, at: int, parent: Alert | None, tell: int | None, *, peak: int = 0) -> None:
        tell = None if parent else tell
        before = self.alert(new.name, new.group)
        raised = [at]
        if before is not None:
            if before.cleared is None:
                if before.calm is not None:
                    before.calm = None
                    before.raised.append(at)
                return
            raised = [t for t in [*before.raised, at] if t > at - 24 * 60 * MINUTE]
            if at - before.cleared <= 30 * MINUTE or before.since == new.since:
                before.cleared, before.calm, before.raised, before.peak = None, None, raised, peak
                was_free = before.parent is None
                if parent is not None:
                    self.hang(before, parent)
                else:
                    before.parent = None
                    before.told = (before.told and was_free) or tell is None
                    before.ever_told |= before.told
                    before.tell = None if before.told else tell
                self.take_in(before, at)
                return
        told = parent is None and tell is None
        alert = Alert(new.name, new.group, new.asset, new.since, None, told, tell, raised, peak, ever_told=told)
        for child in self.alerts:
            if before is not None and child.cleared is None and child.parent is before:
                self.hang(child, alert)  # it rests
        self.alerts.append(alert)
        if parent is not None:
            self.hang(alert, parent)
        self.take_in(alert, at)

    def hang(self, alert: Alert, parent: Alert) -> None:
        alert.parent, alert.told, alert.tell = parent, False, None
        parent.children.add(alert.who)

    def take_in(self, above: Alert, now: int) -> None:
        for alert in self.alerts:
            free = alert.cleared is None and alert.parent is None and alert is not above
            if (
                free
                and (above.name, above.group) in self.parents(alert.name, alert.group, alert.asset)
                and self.explains(above, alert, now)
            ):
                self.hang(alert, above)

    def clear(self, alert: Alert, at: int) -> bool:
        if len(alert.raised) > 3 and alert.calm is None:
            alert.calm = at + 120 * MINUTE
            return False
        if alert.calm is not None and at < alert.calm:
            return False
        alert.cleared, alert.calm, alert.tell = at, None, None
        return True

    def judge(self, now: int) -> None:
        """Every cause in every group, again and again until nothing changes."""
        for _ in range(20):
            before = self.picture()
            for cause in self.causes.values():
                for group in self.groups(cause.group):
                    self.judge_one(cause, group, now)
            if self.picture() == before:
                return
        raise AssertionError("causes chase each other")

    def picture(self) -> object:
        return (
            [(a.who, a.cleared, a.calm, a.parent and a.parent.who) for a in self.alerts],
            dict(self.suspected),
            dict(self.spent),
        )

    def judge_one(self, cause: Cause, group: Group, now: int) -> None:
        key = (cause.name, group)
        lost, members = self.suffering(cause, group)
        if not self.lost(cause, group):
            self.spent.pop(key, None)
        alert = self.alert(cause.name, group)
        brought = next((a for a in self.bringing(cause, group)), None)
        if alert is not None and alert.cleared is None:
            self.judge_open(cause, alert, len(lost), brought, now)
            return
        if brought is not None and members >= cause.count:
            self.open_cause(cause, Candidate(cause.name, group, None, brought.since), len(lost), now, brought)
            return
        needed = cause.needs(members)
        begun = sorted(since for since, noted in lost.values() if noted > self.spent.get(key, 0))
        windows = [t for t in begun if sum(t <= other <= t + cause.window_ms for other in begun) >= needed]
        if members < cause.count or not windows:
            self.suspected.pop(key, None)
            return
        suspected = self.suspected.setdefault(key, now)
        if now < suspected + (2 * MINUTE if cause.count > 1 else 0):
            return
        new = Candidate(cause.name, group, None, windows[0])
        parent = self.parent(new, now)
        silent = parent is not None and self.causes[parent.name].network
        if silent or (cause.network and self.witnessed(cause, lost)) or self.shadowed(cause, lost):
            return
        confirmed = parent is not None and self.causes[parent.name].symptoms & cause.silence
        if not confirmed and self.unproven(cause, group, lost):
            return
        self.open_cause(cause, new, len(lost), now, parent)

    def judge_open(self, cause: Cause, alert: Alert, lost: int, brought: Alert | None, now: int) -> None:
        if brought is None and cause.over(lost, alert.peak):
            if self.clear(alert, now) and self.lost(cause, alert.group):
                self.spent[cause.name, alert.group] = now
            return
        if alert.calm is not None:
            alert.calm = None
            alert.raised.append(now)
        alert.peak = max(alert.peak, lost)

    def bringing(self, cause: Cause, group: Group) -> list[Alert]:
        found = [
            self.alert(name, g)
            for name in cause.follows
            for g in self.over(group, cause.kinds, self.causes[name].group)
        ]
        return [a for a in found if a is not None and a.cleared is None and not self.causes[a.name].by_phase]

    def open_cause(self, cause: Cause, new: Candidate, lost: int, now: int, parent: Alert | None) -> None:
        suspected = self.suspected.pop((cause.name, new.group), now)
        self.spent.pop((cause.name, new.group), None)
        waits = self.waits(new)
        tell = None if waits is None else max(suspected + waits, now)
        self.open(new, now, parent, tell, peak=lost)

    def unproven(self, cause: Cause, group: Group, lost: Mapping[int, object]) -> bool:
        firm = [
            rule
            for (rule, a), (change, _) in self.symptoms.items()
            if a in lost
            and rule in cause.symptoms
            and (rule not in cause.silence or change.evidence.get("supply_gone"))
        ]
        if not cause.silence or firm:
            return False
        if cause.seconded_by is None:
            return True
        networks = [c for c in self.causes.values() if c.network]
        lamps = [
            lamp
            for lamp in self.members(group, ("lamp",))
            if not any(self.same_network(n, lamp, a) for n in networks for a in lost)
        ]
        dark = [lamp for lamp in lamps if self.has(lamp, cause.seconded_by)]
        return not dark or 2 * len(dark) < len(lamps)

    def shadowed(self, cause: Cause, lost: Mapping[int, object]) -> bool:
        for network in (self.causes[n] for n in cause.explained_by):
            if network.network and not any(self.power_gone(a, network) for a in lost):
                for group in {g for a in lost for g in self.above(a, network.group)}:
                    silent, members = self.suffering(network, group)
                    shared = len(silent.keys() & lost.keys())
                    enough = len(silent) >= network.needs(members) and not self.witnessed(network, silent)
                    if enough and 2 * shared > len(lost):
                        return True
        return False

    def witnessed(self, network: Cause, lost: Mapping[int, object]) -> bool:
        fed = 0
        for asset in lost:
            group = self.group(asset, "cabinet")
            cabinets = self.members(group, ("cabinet",)) if group else []
            fed += any(c not in lost and self.same_network(network, asset, c) for c in cabinets)
        return 2 * fed > len(lost)

    def time(self, now: int) -> None:
        """What this moment brings by itself."""
        for alert in self.alerts:
            if alert.calm == now and alert.cleared is None:
                alert.cleared, alert.calm, alert.tell = now, None, None
                cause = self.causes.get(alert.name)
                if cause is not None and self.lost(cause, alert.group):
                    self.spent[alert.name, alert.group] = now
        self.judge(now)
        for above in self.alerts:
            if above.cleared is not None and above.cleared < now and (now - above.cleared) % (15 * MINUTE) == 0:
                for alert in self.alerts:
                    if alert.cleared is None and alert.parent is above:
                        alert.parent = None
                        parent = self.parent(alert, now)
                        if parent is not None:
                            self.hang(alert, parent)
                        elif now < above.cleared + 24 * 60 * MINUTE and self.rests(alert):
                            alert.parent = above
                        else:
                            alert.told = alert.ever_told = True
        self.tell(now)

    def rests(self, alert: Alert) -> bool:
        """Whether everything that suffers is a lamp behind a contactor that is open by habit."""
        own = self.causes.get(alert.name)
        suffering = self.lost(own, alert.group) if own else [alert.asset]
        return bool(suffering) and all(any(self.has(c, "circuit_rests") for c in self.switching(a)) for a in suffering)

    def tell(self, now: int) -> None:
        for alert in self.alerts:
            if alert.cleared is None and alert.tell is not None and alert.tell <= now:
                coming = [
                    self.suspected[p] + (2 * MINUTE if self.causes[p[0]].count > 1 else 0)
                    for p in self.parents(alert.name, alert.group, alert.asset)
                    if p in self.suspected
                ]
                later = [t for t in coming if t > now]
                if later:
                    alert.tell = max(later)
                else:
                    alert.told, alert.ever_told, alert.tell = True, True, None

    # What people see

    def told(self) -> set[tuple[str, str, int]]:
        return {a.who for a in self.alerts if a.ever_told}

    def open_now(self) -> dict[tuple[str, str, int], tuple[str, str, int] | None]:
        return {a.who: a.parent.who if a.parent else None for a in self.alerts if a.cleared is None}
