"""Rules over nights and days: judged once each is over, on the last few of which something is known."""

from collections.abc import Callable, Sequence

import numpy as np

from kraj.alerts import Severity, SymptomChange
from kraj.readings import DAY_MS, Floats, Mask
from rules.compiled import Compiled
from rules.engine import Fail, Guards, guarded
from rules.estate import Slots
from rules.layer import Layer
from rules.state import Array, State

REMEMBERED = 32
"""Nights or days: a bit each."""
OFF, ON, CRITICAL = range(3)
HOURS = 24


class Verdicts:
    """The rules of one kind that are judged by night, or by day; ``name`` tells their state from others'.

    A night of which nothing is known is passed over: "2 of 2" are the last two that are known, as long as they are
    among the last ``reach``. Remembered of each cell, shape ``(slots, rules)``: ``true`` and ``known``, bits of the
    last nights, the newest lowest; ``calm``, how many known nights the condition to clear has held; ``stage``;
    ``lost_wh``.
    """

    def __init__(self, name: str, rules: Sequence[Compiled], fail: Fail) -> None:
        self.name = name
        self.rules = tuple(rules)
        self._fail = fail
        self._failed = np.zeros(len(rules), bool)

    def switch(self, rule: str, *, on: bool) -> None:
        """Ask this rule from now on, or do not."""
        self._failed[[r.rule.name == rule for r in self.rules]] = not on

    def judge(self, layer: Layer) -> list[SymptomChange]:
        """What begins and ceases to hold with the night or day just over; the layer holds every slot."""
        changes: list[SymptomChange] = []
        guards: Guards = {}
        for place, compiled in enumerate(self.rules):
            if self._failed[place]:
                continue
            try:
                # Some derived inputs remember what they were on earlier days: they are asked every day.
                for name in sorted(compiled.when.names - compiled.rule.thresholds.keys()):
                    compiled.column(layer)(name)
                changes += self._judge(place, layer, guarded(compiled, layer, guards))
            except Exception as error:  # whatever a rule does, telemetry goes on
                self._failed[place] = True
                self._fail(compiled, error)
        return changes

    def active(self, state: State) -> list[tuple[int, int]]:
        """Place of the rule, and slot, of each cell that is active now."""
        slot, rule = np.nonzero(self._array(state, "stage"))
        return list(zip(rule.tolist(), slot.tolist(), strict=True))

    def _judge(self, place: int, layer: Layer, where: Mask) -> list[SymptomChange]:
        compiled, state = self.rules[place], layer.state
        true, false = compiled.holds(layer) & where, compiled.refuted(layer) & where
        on = self._array(state, "stage")[:, place] != OFF
        known = self._remember(state, "known", place, true | false)
        self._remember(state, "true", place, true)
        raised = np.flatnonzero(true & ~on)
        since = self._array(state, "true")[raised, place]
        first = _first_of_enough(since, known[raised], *compiled.rule.of)
        raised, first = raised[first >= 0], first[first >= 0]
        held = np.flatnonzero(on)
        cleared = held[self._calms(place, layer, held, where)]
        watts = compiled.lost(layer) if compiled.loses is not None and (len(raised) or len(held)) else None
        lost_wh = self._book(state, place, raised, held, watts)
        critical = compiled.critical(layer)
        worse = held[critical[held] & (self._array(state, "stage")[held, place] == ON)]
        worse = np.setdiff1d(worse, cleared)
        for rows, stage in ((raised, np.where(critical[raised], CRITICAL, ON)), (worse, CRITICAL), (cleared, OFF)):
            if len(rows):
                state.put(f"{self.name}.stage", (rows, place), stage)
        begun = dict(zip(raised.tolist(), first.tolist(), strict=True))
        told = self._tell(place, layer, np.concatenate([raised, worse]), lambda row: begun.get(row, 0))
        if len(cleared):
            told += self._tell_cleared(place, layer, cleared, lost_wh)
        return told

    def _remember(self, state: State, what: str, place: int, bit: Mask) -> Array:
        before = self._array(state, what)[:, place].copy()
        after = (before << np.uint32(1)) | bit
        changed = np.flatnonzero(after != before)
        state.put(f"{self.name}.{what}", (changed, place), after[changed], before[changed])
        return after

    def _calms(self, place: int, layer: Layer, held: Slots, where: Mask) -> Mask:
        """Which of the active cells are cleared by this night."""
        compiled, state = self.rules[place], layer.state
        if not len(held):
            return np.zeros(0, bool)
        calm = self._array(state, "calm")[held, place]
        clears, stays = (compiled.clears(layer) & where)[held], (compiled.stays(layer) & where)[held]
        after = np.where(clears, calm + 1, np.where(stays, 0, calm))
        done = after >= max(1, round(compiled.rule.clear_for_s * 1000 / DAY_MS))
        if compiled.enabled is not None:
            done |= ~compiled.enabled[held]
        state.put(f"{self.name}.calm", (held, place), np.where(done, 0, after), calm)
        return done

    def _book(self, state: State, place: int, raised: Slots, held: Slots, watts: Floats | None) -> Array:
        """Energy lost, Wh: what ``loses`` says of the whole night or day, from the one on that completed the rule."""
        lost_wh = self._array(state, "lost_wh")
        if watts is not None:
            state.put(f"{self.name}.lost_wh", (raised, place), watts[raised] * HOURS)
            state.put(f"{self.name}.lost_wh", (held, place), lost_wh[held, place] + watts[held] * HOURS)
        return lost_wh

    def _tell(self, place: int, layer: Layer, rows: Slots, nights: Callable[[int], int]) -> list[SymptomChange]:
        compiled, stage = self.rules[place], self._array(layer.state, "stage")
        return [
            SymptomChange(
                rule=compiled.rule.name,
                asset_id=int(layer.members.asset_id[row]),
                ts_ms=int(layer.ts_ms[row]),
                since_ms=int(layer.ts_ms[row]) - (nights(row) + 1) * DAY_MS,
                raised=True,
                severity=Severity.CRITICAL if stage[row, place] == CRITICAL else compiled.rule.severity,
                evidence=evidence,
            )
            for row, evidence in zip(rows.tolist(), compiled.evidence(layer, rows.tolist()), strict=True)
        ]

    def _tell_cleared(self, place: int, layer: Layer, rows: Slots, lost_wh: Array) -> list[SymptomChange]:
        compiled = self.rules[place]
        return [
            SymptomChange(
                rule=compiled.rule.name,
                asset_id=int(layer.members.asset_id[row]),
                ts_ms=int(layer.ts_ms[row]),
                since_ms=int(layer.ts_ms[row]) - DAY_MS,
                raised=False,
                severity=compiled.rule.severity,
                lost_wh=None if compiled.loses is None else round(float(lost_wh[row, place]), 1),
            )
            for row in rows.tolist()
        ]

    def _array(self, state: State, what: str) -> Array:
        dtype = {"true": np.uint32, "known": np.uint32, "calm": np.int8, "stage": np.int8}.get(what, np.float64)
        return state.array(f"{self.name}.{what}", dtype=dtype, fill=0, shape=(len(self.rules),))


def reach(of: int) -> int:
    """How far back a rule on the last ``of`` known nights looks: a week of silence more than twice as many."""
    return min(REMEMBERED, 2 * of + 7)


def _first_of_enough(true: Array, known: Array, least: int, of: int) -> Slots:
    """How many nights ago the first of at least ``least`` true ones among the last ``of`` known ones was; -1 where
    there are fewer. Bits as remembered, shape ``(n,)``."""
    ago = np.arange(reach(of), dtype=np.uint32)
    is_known = (known[:, None] >> ago & 1).astype(bool)
    counted = is_known & (np.cumsum(is_known, axis=1) <= of) & (true[:, None] >> ago & 1).astype(bool)
    oldest = len(ago) - 1 - np.argmax(counted[:, ::-1], axis=1)
    return np.where(counted.sum(axis=1) >= least, oldest, -1)
