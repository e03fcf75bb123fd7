"""The assets of one kind under watch: what is remembered of them, and every rule about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kraj.alerts import SymptomChange
from kraj.errors import KrajError
from rules.compiled import Compiled, compile_rule, fingerprint
from rules.days import Days
from rules.engine import ACTIVE, STAGE, Engine
from rules.estate import Estate
from rules.inputs import Seam, health
from rules.layer import Layer, same
from rules.layers import Rows
from rules.proofs import Proofs
from rules.rule import Per, Rule
from rules.state import State
from rules.verdicts import Verdicts

GRACE_MS = 3_600_000
"""So long after its end a night or day waits for readings that are on their way."""
DAYS_CAUGHT_UP_MAX = 32
"""Nights or days that are judged after a long absence; of older ones nothing is remembered any more."""
TICK_ROWS = 32_768
"""A tick looks at few columns of many assets."""
READING, TIME, QUICK = "reading", "time", "quick"
"""The engines, as their states are called."""
FIRST = "cabinet"
"""Others hang on it: its readings are judged before theirs."""

Failed = Callable[[str, Exception], None]
"""What has failed, by the name of the rule or of what rules stand on, and how."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What all layers of a step have in common; ``elapsed_s`` is the attentive time since the last tick."""

    estate: Estate
    states: dict[str, State]
    now_ms: int
    attentive_ms: int
    elapsed_s: float
    shared: dict[str, Any]
    proofs: Proofs = field(default_factory=lambda: Proofs((), 0))


class Watched:
    """See the module. What fails is told to ``failed`` and is off until ``switch``."""

    def __init__(self, seam: Seam, estate: Estate, rules: Sequence[Rule], failed: Failed) -> None:
        self.seam = seam
        self.members = estate.members[seam.kind.name]
        self.state = State(len(self.members))
        self.late = State(len(self.members))
        """Empty, but within the judging of late readings."""
        self._failed = failed
        self._off = {"readings": False, "refresh": False}
        compiled = [c for rule in rules for c in self._compiled(rule, estate)]
        by_per = {per: [c for c in compiled if c.rule.per is per] for per in Per}
        slow = [c for c in by_per[Per.TIME] if not c.rule.quick]
        quick = [c for c in by_per[Per.TIME] if c.rule.quick]
        engines = {READING: by_per[Per.READING], TIME: slow, QUICK: quick}
        self.engines = {name: Engine(name, asked, self._rule_failed) for name, asked in engines.items()}
        self.verdicts = {
            per: Verdicts(f"{per.value}_rules", by_per[per], self._rule_failed) for per in (Per.NIGHT, Per.DAY)
        }
        self.days = {
            per: Days(seam, per, self.members, self._part_failed) for per in (Per.NIGHT, Per.DAY) if by_per[per]
        }

    def switch(self, name: str, *, on: bool) -> None:
        """Ask a rule, or what rules stand on, from now on, or do not."""
        for judge in (*self.engines.values(), *self.verdicts.values()):
            judge.switch(name, on=on)
        for days in self.days.values():
            days.switch(name.removeprefix(f"{self.seam.kind.name} "), on=on)
        for part in self._off:
            if name == f"{self.seam.kind.name} {part}":
                self._off[part] = not on

    # Judging

    def read(self, rows: Rows, moment: Moment) -> list[SymptomChange]:
        """Readings in time: each asset at most once."""
        layer = self._layer(rows, moment, moment.states, self.state)
        if not self._track(layer):
            return []
        changes = self.engines[READING].judge(layer)
        changes += moment.proofs.look(self.engines[READING], layer, changes)
        for days in self.days.values():
            days.add(layer)
        return changes

    def read_late(self, rows: Rows, moment: Moment, states: dict[str, State]) -> list[SymptomChange]:
        """Late readings, judged from ``states`` of their own: each asset at most once."""
        layer = self._layer(rows, moment, states, states[self.seam.kind.name])
        if not self._track(layer):
            return []
        changes = self.engines[READING].judge(layer, late=True)
        for days in self.days.values():
            days.add_late(layer, self.state)
        return changes

    def tick(self, moment: Moment, *, refresh: bool) -> list[SymptomChange]:
        """What time alone brings; ``refresh`` also what inputs know of many assets at once."""
        if refresh and self.seam.refresh is not None and not self._off["refresh"]:
            try:
                self.seam.refresh(self._at_once(slice(0, len(self.members)), moment))
            except Exception as error:  # whatever inputs do, telemetry goes on
                self._part_failed("refresh", error)
        return self.judge_time(moment, quick=False)

    def judge_time(self, moment: Moment, *, quick: bool) -> list[SymptomChange]:
        """The rules per time, those that are ``quick`` or the others."""
        count, engine = len(self.members), self.engines[QUICK if quick else TIME]
        changes: list[SymptomChange] = []
        if engine.rules:
            for start in range(0, count, TICK_ROWS):
                layer = self._at_once(slice(start, min(start + TICK_ROWS, count)), moment)
                changes += engine.judge(layer, same(moment.attentive_ms, len(layer)))
        return changes

    def judge_days(self, per: Per, moment: Moment, judged: int | None) -> tuple[int | None, list[SymptomChange]]:
        """Judge what is over since ``judged``, the number of the last that was; gives the number of the last now."""
        days, changes = self.days[per], list[SymptomChange]()
        over = days.calendar.over(moment.now_ms - GRACE_MS)
        if judged is None or over is None:
            return over, changes
        everybody = np.arange(len(self.members))
        for number in range(max(judged + 1, over - DAYS_CAUGHT_UP_MAX), over + 1):
            layer = self._at_once(slice(0, len(everybody)), moment)
            layer.ts_ms = days.calendar.begins_ms(everybody, number + 1)
            layer.inputs = self.seam.day_by_name
            layer.columns = days.close(self.state, number)
            layer.earlier = lambda name, count, number=number: days.past(self.state, number, name, count)
            changes += self.verdicts[per].judge(layer)
        return max(judged, over), changes

    def _track(self, layer: Layer) -> bool:
        if self._off["readings"]:
            return False
        try:
            health.track(layer, self.seam.active)
            if self.seam.track is not None:
                self.seam.track(layer)
        except Exception as error:  # whatever inputs do, telemetry goes on
            self._part_failed("readings", error)
            return False
        return True

    def _layer(self, rows: Rows, moment: Moment, states: dict[str, State], state: State) -> Layer:
        before = health.newest_ms(state)[rows.slots]
        return Layer(
            kind=self.seam.kind,
            estate=moment.estate,
            states=states,
            slots=rows.slots,
            ts_ms=rows.ts_ms,
            values=rows.columns(),
            gap_s=np.where(before == health.NEVER, np.nan, (rows.ts_ms - before) / 1000),
            now_ms=moment.now_ms,
            attentive_ms=moment.attentive_ms,
            inputs=self.seam.by_name,
            shared=moment.shared,
        )

    def _at_once(self, span: slice, moment: Moment) -> Layer:
        slots = np.arange(int(span.start), int(span.stop))
        return Layer(
            kind=self.seam.kind,
            estate=moment.estate,
            states=moment.states,
            slots=slots,
            ts_ms=same(moment.now_ms, len(slots)),
            values=np.empty((0, len(slots))),
            gap_s=same(moment.elapsed_s, len(slots)),
            now_ms=moment.now_ms,
            attentive_ms=moment.attentive_ms,
            inputs=self.seam.by_name,
            shared=moment.shared,
            span=span,
        )

    # What fails

    def _compiled(self, rule: Rule, estate: Estate) -> list[Compiled]:
        try:
            return [compile_rule(rule, self.seam, estate)]
        except KrajError as error:
            self._failed(rule.name, error)
            return []

    def _rule_failed(self, compiled: Compiled, error: Exception) -> None:
        self._failed(compiled.rule.name, error)

    def _part_failed(self, part: str, error: Exception) -> None:
        if part in self._off:
            self._off[part] = True
        self._failed(f"{self.seam.kind.name} {part}", error)

    # From one registry version to the next

    @property
    def tables(self) -> dict[str, list[str]]:
        """What the columns of the state are: rules with what they judge by, and aggregates."""
        judges = {judge.name: judge.rules for judge in (*self.engines.values(), *self.verdicts.values())}
        rules = {name: [f"{c.rule.name} {fingerprint(c.rule)}" for c in compiled] for name, compiled in judges.items()}
        return rules | {per.value: days.layout for per, days in self.days.items()}

    def adopt(
        self, state: State, asset_id: np.ndarray[Any, Any], tables: dict[str, list[str]]
    ) -> list[tuple[str, int]]:
        """Take over a state of these assets, laid out by these tables. What belongs to a rule that is gone or judges
        otherwise is forgotten; gives the rules and assets of those that were active."""
        orphans = self._orphans(state, asset_id, tables)
        place = {int(asset): slot for slot, asset in enumerate(asset_id.tolist())}
        old_slots = np.array([place.get(asset, -1) for asset in self.members.asset_id.tolist()], np.intp)
        self.state = state.moved(len(self.members), old_slots)
        mine = self.tables
        for judge in (*self.engines.values(), *self.verdicts.values()):
            old = {rule: column for column, rule in enumerate(tables.get(judge.name, []))}
            self.state.rearrange(judge.name, np.array([old.get(rule, -1) for rule in mine[judge.name]], np.intp))
        for engine in self.engines.values():
            engine.note_busy(self.state)
        for per in (Per.NIGHT, Per.DAY):
            if tables.get(per.value) != mine.get(per.value):
                self.state.forget(per.value)
        return orphans

    def _orphans(
        self, state: State, asset_id: np.ndarray[Any, Any], tables: dict[str, list[str]]
    ) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        mine, still = self.tables, set(self.members.asset_id.tolist())
        for judge in (*self.engines.values(), *self.verdicts.values()):
            stage = state.get(f"{judge.name}.phase" if isinstance(judge, Engine) else f"{judge.name}.stage")
            for column, rule in enumerate(tables.get(judge.name, []) if stage is not None else []):
                if stage is not None and rule not in mine[judge.name]:
                    active = stage[:, column] & STAGE >= ACTIVE if isinstance(judge, Engine) else stage[:, column] > 0
                    found += [(rule.split(" ")[0], a) for a in asset_id[active].tolist() if a in still]
        return found
