"""All kinds under watch: readings, statuses and time in, symptoms out; a step is kept or taken back as one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kraj.alerts import AlertChange, Repair, Scope, Severity, Step, SymptomChange
from kraj.assets import DeviceStatus
from kraj.readings import Ints, Readings
from rules.compiled import fingerprint
from rules.correlation.records import Cell
from rules.estate import Estate
from rules.inputs import Seam, health, of_kind
from rules.layers import Rows, in_time_and_late, layers, newest, rows_of, slices
from rules.mind import Clock, Failure, Mind
from rules.proofs import Proofs
from rules.rule import Rule
from rules.state import Array, State
from rules.watched import FIRST, GRACE_MS, Moment, Watched

TICK_MS = 60_000
"""Silence is judged once a minute: all assets are looked at."""
QUICK_MS = 10_000
"""Rules for which a minute is long are asked so often: a second step of five seconds may pass in between."""
REFRESH_MS = 120_000
"""Medians over peers and the like are renewed less often: most devices report every five minutes."""
RULE_FAILED = "rule_failed"
SEVERITY_FAILED = Severity.MAJOR
"""Nobody hears of what this rule would have found: somebody must look, by day."""


class Observer:
    """See the module. After each ``step`` comes ``commit`` or ``rollback``; several steps may be kept together."""

    def __init__(self, estate: Estate, catalogue: Sequence[Rule], seam_of: Callable[[str], Seam] = of_kind) -> None:
        self._seam_of = seam_of
        self._estate = estate
        self._catalogue = tuple(catalogue)
        self._mind = Mind()
        self._kinds: dict[str, Watched] = {}
        self._kinds = self._watched()
        self._before = self._mind

    # What happens

    def step(
        self,
        readings: Sequence[Readings],
        statuses: Sequence[DeviceStatus],
        now_ms: int,
        *,
        attentive: bool = True,
        repairs: Sequence[Repair] = (),
    ) -> list[SymptomChange]:
        """What begins and ceases to hold, in order of time; arguments as of ``Watch.step``."""
        clock = (self._mind.clock or Clock(now_ms)).at(now_ms, attentive=attentive)
        moment = Moment(
            estate=self._estate,
            states={name: watched.state for name, watched in self._kinds.items()},
            now_ms=clock.now_ms,
            attentive_ms=clock.attentive_ms,
            elapsed_s=(clock.attentive_ms - clock.ticked_attentive_ms) / 1000,
            shared={},
            proofs=Proofs(self._mind.mending, clock.now_ms),
        )
        for repair in repairs:
            moment.proofs.begin(repair.rule, int(repair.scope.name), repair.fixed_ms)
        changes = [_ended(rule, asset_id, clock.now_ms) for rule, asset_id in self._mind.orphans]
        with np.errstate(all="ignore"):
            changes += self._read(readings, moment)
            health.note_statuses(self._estate, moment.states, statuses, clock.attentive_ms)
            if clock.tick_ms is None or clock.now_ms - clock.tick_ms >= TICK_MS:
                clock = self._tick(moment, clock, changes)
            if clock.quick_ms is None or clock.now_ms - clock.quick_ms >= QUICK_MS:
                clock = self._tick_quickly(moment, clock, changes)
        self._mind = replace(self._mind, clock=clock, orphans=(), mending=moment.proofs.left)
        changes.sort(key=lambda change: change.ts_ms)
        return changes

    def commit(self) -> None:
        """Keep what was done since the last commit."""
        for watched in self._kinds.values():
            watched.state.commit()
        self._before = self._mind

    def rollback(self) -> None:
        """Take back what was done since the last commit, as if it had never been."""
        for watched in self._kinds.values():
            watched.state.rollback()
        for name in self._mind.failed.keys() - self._before.failed.keys():
            self._switch(name, on=True)
        self._mind = self._before

    def _read(self, readings: Sequence[Readings], moment: Moment) -> list[SymptomChange]:
        in_time: dict[str, Rows] = {}
        late: dict[str, Rows] = {}
        for name, watched in self._kinds.items():
            mine = [r for r in readings if r.kind.name == name and len(r)]
            if mine:
                rows = rows_of(mine, watched.members)
                health.hear(watched.state, rows.slots, moment.attentive_ms)
                both = in_time_and_late(rows, health.newest_ms(watched.state))
                in_time[name], late[name] = newest(both[0]), newest(both[1])
        changes: list[SymptomChange] = []
        for pieces in slices(list(in_time.values())):
            for name, rows in zip(in_time, pieces, strict=True):
                watched = self._kinds[name]
                for layer in layers(rows):
                    changes += watched.read(layer, moment)
        return changes + self._read_late(late, moment)

    def _read_late(self, late: Mapping[str, Rows], moment: Moment) -> list[SymptomChange]:
        """Judged from nothing: states that are emptied again by taking everything back."""
        if not any(len(rows) for rows in late.values()):
            return []
        states = {name: watched.late for name, watched in self._kinds.items()}
        changes: list[SymptomChange] = []
        for pieces in slices(list(late.values())):
            for name, rows in zip(late, pieces, strict=True):
                watched = self._kinds[name]
                for layer in layers(rows):
                    changes += watched.read_late(layer, moment, states)
        for state in states.values():
            state.rollback()
        return changes

    def _tick(self, moment: Moment, clock: Clock, changes: list[SymptomChange]) -> Clock:
        judged, refresh = dict(clock.judged), clock.refresh_ms is None or clock.now_ms - clock.refresh_ms >= REFRESH_MS
        for name, watched in self._kinds.items():
            changes += watched.tick(moment, refresh=refresh)
            for per in watched.days if clock.has_settled(GRACE_MS) else ():
                key = f"{name} {per}"
                judged[key], found = watched.judge_days(per, moment, judged.get(key))
                changes += found
        return replace(
            clock,
            tick_ms=clock.now_ms,
            refresh_ms=clock.now_ms if refresh else clock.refresh_ms,
            ticked_attentive_ms=clock.attentive_ms,
            judged=judged,
        )

    def _tick_quickly(self, moment: Moment, clock: Clock, changes: list[SymptomChange]) -> Clock:
        since = replace(moment, elapsed_s=(clock.attentive_ms - clock.quick_attentive_ms) / 1000)
        for watched in self._kinds.values():
            changes += watched.judge_time(since, quick=True)
        return replace(clock, quick_ms=clock.now_ms, quick_attentive_ms=clock.attentive_ms)

    def newest_ms(self, kinds: Sequence[str], asset_ids: Sequence[int]) -> list[int]:
        """The time of the newest reading of each of these that is known."""
        found: list[int] = []
        for kind in kinds:
            watched = self._kinds.get(kind)
            slots = None if watched is None else watched.members.slots(np.array(asset_ids, np.int64))
            if watched is not None and slots is not None:
                found += health.newest_ms(watched.state)[slots[slots >= 0]].tolist()
        return found

    # What fails

    @property
    def failures(self) -> dict[str, str]:
        """Rules that are switched off because they raised an exception, or could not be compiled, and how."""
        return {name: failure.error for name, failure in self._mind.failed.items()}

    def retry(self, name: str) -> None:
        """Somebody has looked: ask this rule again. Between steps, as ``move``."""
        failed = dict(self._mind.failed)
        failure = failed.pop(name, None)
        if failure is not None:
            self._mind = self._before = replace(
                self._mind, failed=failed, retried=(*self._mind.retried, (name, failure))
            )
            self._switch(name, on=True)

    def _fail(self, name: str, error: Exception) -> None:
        if name not in self._mind.failed:
            rule = next((rule for rule in self._catalogue if rule.name == name), None)
            whose = (None, None) if rule is None else (rule.municipality_id, fingerprint(rule))
            failure = Failure(f"{type(error).__name__}: {error}", None, *whose)
            self._mind = replace(self._mind, failed={**self._mind.failed, name: failure})
            self._switch(name, on=False)

    def _switch(self, name: str, *, on: bool) -> None:
        for watched in self._kinds.values():
            watched.switch(name, on=on)

    def tell_failures(self) -> list[AlertChange]:
        """Alerts to the operator: what has failed in the last step, and what was switched on again before it."""
        now_ms = 0 if self._mind.clock is None else self._mind.clock.now_ms
        told = [
            self._failure_told(name, Step.CLEARED, failure, now_ms)
            for name, failure in self._mind.retried
            if failure.since_ms is not None
        ]
        failed = {
            name: failure if failure.since_ms is not None else replace(failure, since_ms=now_ms)
            for name, failure in self._mind.failed.items()
        }
        for name, failure in failed.items():
            if failure != self._mind.failed[name]:
                told.append(self._failure_told(name, Step.OPENED, failure, now_ms))
        self._mind = replace(self._mind, failed=failed, retried=())
        return told

    @property
    def active(self) -> dict[str, Cell]:
        """Keys of the alerts about failures that have been told, until the step that ends them."""
        told = [*self._mind.failed.items(), *self._mind.retried]
        return {_key(name, f): (RULE_FAILED, _scope(name, f)) for name, f in told if f.since_ms is not None}

    def _failure_told(self, name: str, step: Step, failure: Failure, now_ms: int) -> AlertChange:
        scope, since_ms = _scope(name, failure), failure.since_ms or 0
        return AlertChange(
            key=_key(name, failure),
            step=step,
            at_ms=now_ms,
            rule=RULE_FAILED,
            scope=scope,
            severity=SEVERITY_FAILED,
            since_ms=since_ms,
            municipality_id=failure.municipality_id,
            notify=True,
            evidence={"rule": name, "error": failure.error},
        )

    # From one registry version, or one process, to the next

    def move(self, estate: Estate, catalogue: Sequence[Rule]) -> None:
        """The registry has changed: what is remembered goes with the assets, what is open stays open. Between steps."""
        old, old_rules = self._kinds, {rule.name: fingerprint(rule) for rule in self._catalogue}
        self._estate, self._catalogue = estate, tuple(catalogue)
        same = {rule.name for rule in catalogue if old_rules.get(rule.name) == fingerprint(rule)}
        kept = {name: f for name, f in self._mind.failed.items() if name in same or name not in old_rules}
        ended = tuple((name, f) for name, f in self._mind.failed.items() if name not in kept)
        self._mind = replace(self._mind, failed=kept, retried=(*self._mind.retried, *ended))
        self._kinds = {}
        self._kinds = self._watched()
        orphans = list(self._mind.orphans)
        for name, watched in self._kinds.items():
            orphans += watched.adopt(old[name].state, old[name].members.asset_id, old[name].tables)
        self._mind = self._before = replace(self._mind, orphans=tuple(orphans))

    def dump(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Everything remembered, as a document and arrays. Between steps."""
        arrays: dict[str, Array] = {}
        kinds: dict[str, Any] = {}
        for name, watched in self._kinds.items():
            dumped, fills = watched.state.dump()
            kinds[name] = {"tables": watched.tables, "fills": {n: str(float(fill)) for n, fill in fills.items()}}
            arrays[f"asset_id/{name}"] = watched.members.asset_id
            arrays |= {f"{name}/{what}": array for what, array in dumped.items()}
        return {"kinds": kinds, "mind": self._mind.to_plain()}, arrays

    def remembered(self, kind: str, name: str) -> tuple[Ints, Array] | None:
        """Ids of a kind's assets, and what is remembered of them under a name, in the same order. Between steps."""
        watched = self._kinds.get(kind)
        found = None if watched is None else watched.state.get(name)
        return None if watched is None or found is None else (watched.members.asset_id, found)

    def load(self, document: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Take over a dump, also of another registry or catalogue: of rules that judge otherwise nothing is kept."""
        orphans: list[tuple[str, int]] = []
        for name, kind in document["kinds"].items():
            asset_id = arrays[f"asset_id/{name}"]
            state = State(len(asset_id))
            mine = {n.removeprefix(f"{name}/"): a for n, a in arrays.items() if n.startswith(f"{name}/")}
            state.load(mine, {n: float(fill) for n, fill in kind["fills"].items()})
            orphans += self._kinds[name].adopt(state, asset_id, kind["tables"])
        judging = {rule.name: fingerprint(rule) for rule in self._catalogue}
        self._mind = self._before = Mind.from_plain(document["mind"], self._mind.failed, orphans, judging)
        for name in self._mind.failed:
            self._switch(name, on=False)

    def _watched(self) -> dict[str, Watched]:
        order = sorted(self._estate.members, key=lambda name: name != FIRST)
        watched = {name: Watched(self._seam_of(name), self._estate, self._rules_of(name), self._fail) for name in order}
        for name in self._mind.failed:
            for one in watched.values():
                one.switch(name, on=False)
        return watched

    def _rules_of(self, kind: str) -> list[Rule]:
        return [rule for rule in self._catalogue if kind in rule.kinds]


def _scope(name: str, failure: Failure) -> Scope:
    return Scope(type="region", name=name, municipality_id=failure.municipality_id)


def _key(name: str, failure: Failure) -> str:
    return f"{RULE_FAILED}@{_scope(name, failure)}@{failure.since_ms or 0}"


def _ended(rule: str, asset_id: int, now_ms: int) -> SymptomChange:
    return SymptomChange(
        rule=rule, asset_id=asset_id, ts_ms=now_ms, since_ms=now_ms, raised=False, severity=Severity.INFO
    )
