"""Rules on readings and ticks: conditions over whole layers, then timers only where something is true or running.

Nearly all cells (an asset under a rule) are idle with a condition that does not hold. What is left is moved on all at
once, cells of all rules together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kraj.alerts import Severity, SymptomChange
from kraj.readings import Floats, Ints, Mask
from rules.compiled import Compiled
from rules.estate import Slots
from rules.layer import Layer
from rules.state import Array, State
from rules.timers import ACTIVE, CLEARING, IDLE, PENDING, Cells, Moved, moved

STAGE = 3
CRITICAL = 4
"""A bit beside the stage: the severity has been told to be critical."""
WATT_MS_PER_WATT_HOUR = 3_600_000

Fail = Callable[[Compiled, Exception], None]
Guards = dict[tuple[str, ...], Mask]


@dataclass
class _Told:
    """What people hear of: cells, and of every cell since when, whether cleared, critical, and what was lost (Wh)."""

    cells: Slots
    since: Ints
    cleared: Mask
    critical: Mask
    lost_wh: Floats
    late: bool


class Engine:
    """The rules of one kind that are judged by the same clock; ``name`` tells their state from others'.

    Everything remembered is in the layer's ``State``: ``phase`` (stage and CRITICAL), ``since``, ``seen``, ``lost_wh``
    of each cell, shape ``(slots, rules)``, and ``busy``, whether any cell of the slot is not idle. A rule that raises
    an exception is given to ``fail`` and not asked again.
    """

    def __init__(self, name: str, rules: Sequence[Compiled], fail: Fail) -> None:
        self.name = name
        self.rules = tuple(rules)
        self._fail = fail
        self._failed = np.zeros(len(rules), bool)
        self._for_ms = np.array([r.rule.for_s * 1000 for r in rules])
        self._clear_ms = np.array([r.rule.clear_for_s * 1000 for r in rules])
        self._loses = np.array([r.loses is not None for r in rules], bool)

    def switch(self, rule: str, *, on: bool) -> None:
        """Ask this rule from now on, or do not."""
        self._failed[[r.rule.name == rule for r in self.rules]] = not on

    def judge(self, layer: Layer, clock_ms: Ints | None = None, *, late: bool = False) -> list[SymptomChange]:
        """What begins and ceases to hold with this layer.

        ``clock_ms`` is the time that timers go by, shape ``(n,)``, where it is not that of the readings. A symptom that
        becomes critical while it is active is told as raised once more.
        """
        if not self.rules:
            return []
        somewhere = self._held(layer)
        looked_at = self._array(layer.state, "busy")[layer.slots]  # a copy
        for where in somewhere.values():
            looked_at |= where
        rows = np.flatnonzero(looked_at)
        if not len(rows):
            return []
        part, held = layer.part(rows), np.zeros((len(self.rules), len(rows)), bool)
        for place, where in somewhere.items():
            held[place] = where[rows]
        phase = self._array(layer.state, "phase")[part.slots]
        rule, row = np.nonzero((held | (phase.T != IDLE)) & ~self._failed[:, None])
        slot, stage = part.slots[row], phase[row, rule] & STAGE
        cells = Cells(
            rule=rule,
            row=row,
            slot=slot,
            ts=(part.ts_ms if clock_ms is None else clock_ms[rows])[row],
            gap=part.gap_s[row] * 1000,
            beat=part.column("heartbeat_s")[row] * 1000,
            stage=stage,
            since=self._array(layer.state, "since")[slot, rule],
            seen=self._array(layer.state, "seen")[slot, rule],
            met=held[rule, row] & (stage < ACTIVE),  # of others ``_ask_running`` tells
            unmet=np.zeros(len(rule), bool),
            off=np.zeros(len(rule), bool),
        )
        self._ask_running(part, cells)
        return self._move(part, cells, phase[row, rule], late=late)

    def active(self, state: State) -> list[tuple[int, int]]:
        """Place of the rule, and slot, of each cell that is active now."""
        busy = np.flatnonzero(self._array(state, "busy"))
        slot, rule = np.nonzero((self._array(state, "phase")[busy] & STAGE) >= ACTIVE)
        return list(zip(rule.tolist(), busy[slot].tolist(), strict=True))

    def place(self, rule: str) -> int | None:
        """The place of a rule that is asked; None where there is none."""
        return next((n for n, r in enumerate(self.rules) if r.rule.name == rule and not self._failed[n]), None)

    def settle(self, state: State, place: int, slot: int) -> float | None:
        """A cell is idle from now on, whatever it was; gives the energy lost, Wh; None where none counts."""
        where = (np.array([slot]), np.array([place]))
        lost_wh = float(self._array(state, "lost_wh")[slot, place])
        self._array(state, "phase")
        state.put(f"{self.name}.phase", where, 0)
        state.put(f"{self.name}.lost_wh", where, 0.0)
        self._array(state, "busy")
        state.put(f"{self.name}.busy", where[0], (self._array(state, "phase")[where[0]] != IDLE).any(axis=1))
        return round(lost_wh, 1) if self._loses[place] else None

    def note_busy(self, state: State) -> None:
        """After cells have been moved about: which slots are busy. Not journaled."""
        self._array(state, "busy")[:] = (self._array(state, "phase") != IDLE).any(axis=1)

    def _array(self, state: State, what: str) -> Array:
        dtype = {"phase": np.int8, "busy": np.bool_, "lost_wh": np.float64}.get(what, np.int64)
        return state.array(
            f"{self.name}.{what}", dtype=dtype, fill=0, shape=() if what == "busy" else (len(self.rules),)
        )

    # Conditions

    def _held(self, layer: Layer) -> dict[int, Mask]:
        """Where each rule's condition is known to hold, guards and switches included; rules that hold nowhere are left
        out."""
        held: dict[int, Mask] = {}
        guards: Guards = {}
        towns: dict[int, Slots] = {}
        for place, compiled in enumerate(self.rules):
            if self._failed[place]:
                continue
            try:
                where = _of_a_town(compiled, layer, towns) if compiled.rule.municipality_id else compiled.holds(layer)
                if np.count_nonzero(where):
                    held[place] = where & guarded(compiled, layer, guards)
            except Exception as error:  # whatever a rule does, telemetry goes on
                self._give_up(place, error)
        return held

    def _give_up(self, place: int, error: Exception) -> None:
        self._failed[place] = True
        self._fail(self.rules[place], error)

    def _ask_running(self, part: Layer, cells: Cells) -> None:
        """What the cells that are not idle need to know besides ``when``."""
        guards: Guards = {}
        edges = np.searchsorted(cells.rule, np.arange(len(self.rules) + 1)).tolist()
        for place in _each(cells.rule[cells.stage != IDLE]):
            try:
                self._ask(self.rules[place], part, cells, slice(edges[place], edges[place + 1]), guards)
            except Exception as error:
                self._give_up(place, error)

    def _ask(self, compiled: Compiled, part: Layer, cells: Cells, of: slice, guards: Guards) -> None:
        row, stage, met = cells.row[of], cells.stage[of], cells.met[of]
        where = guarded(compiled, part, guards)[row]
        if compiled.enabled is not None:
            cells.off[of] = ~compiled.enabled[cells.slot[of]]
        if ((stage == PENDING) & ~met).any():
            cells.unmet[of] = compiled.refuted(part)[row] & where
        down = stage >= ACTIVE
        if down.any():
            cells.met[of] = np.where(down, compiled.clears(part)[row] & where, met)
        if (stage == CLEARING).any():
            cells.unmet[of] = np.where(down, compiled.stays(part)[row] & where, cells.unmet[of])

    # Timers

    def _move(self, part: Layer, cells: Cells, phase: Array, *, late: bool) -> list[SymptomChange]:
        after = moved(cells, self._for_ms[cells.rule], self._clear_ms[cells.rule])
        critical = (phase & CRITICAL) != 0
        worse = self._worse(part, cells, (after.stage >= ACTIVE) & ~critical)
        lost_wh = self._book(part, cells, after)
        self._put(part.state, "since", cells, after.since, cells.since)
        self._put(part.state, "seen", cells, after.seen, cells.seen)
        critical |= worse
        self._put(
            part.state, "phase", cells, after.stage | np.where(critical & (after.stage >= ACTIVE), CRITICAL, 0), phase
        )
        still = (self._array(part.state, "phase")[part.slots] != IDLE).any(axis=1)
        part.state.put(f"{self.name}.busy", part.slots, still)
        told = np.flatnonzero(after.raised | after.cleared | worse)
        if not len(told):
            return []
        return self._tell(part, cells, _Told(told, after.since, after.cleared, critical, lost_wh, late))

    def _put(self, state: State, what: str, cells: Cells, values: Array, before: Array) -> None:
        changed = np.flatnonzero(values != before)
        if len(changed):
            state.put(
                f"{self.name}.{what}", (cells.slot[changed], cells.rule[changed]), values[changed], before[changed]
            )

    def _worse(self, part: Layer, cells: Cells, candidates: Mask) -> Mask:
        """Which of these cells are critical."""
        worse = np.zeros(len(cells.rule), bool)
        for place in _each(cells.rule[candidates]):
            if self.rules[place].critical_when is not None:
                try:
                    of = np.flatnonzero(candidates & (cells.rule == place))
                    worse[of] = self.rules[place].critical(part)[cells.row[of]]
                except Exception as error:
                    self._give_up(place, error)
        return worse

    def _book(self, part: Layer, cells: Cells, after: Moved) -> Floats:
        """Energy lost so far, Wh; what is lost at a reading is taken for the time since the one before, and at raising
        for all the time since the condition began to hold. Time across a longer gap is not booked."""
        lost_wh = np.zeros(len(cells.rule))
        of = np.flatnonzero(self._loses[cells.rule] & (after.raised | ~cells.up))
        if not len(of):
            return lost_wh
        watts = np.zeros(len(of))
        for place in _each(cells.rule[of]):
            try:
                mine = cells.rule[of] == place
                watts[mine] = self.rules[place].lost(part)[cells.row[of[mine]]]
            except Exception as error:
                self._give_up(place, error)
        raised = after.raised[of]
        span = np.where(raised, cells.ts[of] - after.since[of], cells.known_gap[of])
        before = self._array(part.state, "lost_wh")[cells.slot[of], cells.rule[of]]
        lost_wh[of] = np.where(raised, 0, before) + watts * span / WATT_MS_PER_WATT_HOUR
        kept = np.where(after.cleared[of], 0, lost_wh[of])
        part.state.put(f"{self.name}.lost_wh", (cells.slot[of], cells.rule[of]), kept, before)
        return lost_wh

    def _tell(self, part: Layer, cells: Cells, told: _Told) -> list[SymptomChange]:
        changes: list[SymptomChange] = []
        for place in _each(cells.rule[told.cells]):
            compiled = self.rules[place]
            mine = told.cells[cells.rule[told.cells] == place]
            evidence = iter(compiled.evidence(part, cells.row[mine[~told.cleared[mine]]].tolist()))
            for cell in mine.tolist():
                ts_ms, cleared = int(part.ts_ms[cells.row[cell]]), bool(told.cleared[cell])
                # The clock of silence has stood still now and then; people read their own.
                since_ms = int(told.since[cell]) + ts_ms - int(cells.ts[cell])
                changes.append(
                    SymptomChange(
                        rule=compiled.rule.name,
                        asset_id=int(part.members.asset_id[cells.slot[cell]]),
                        ts_ms=ts_ms,
                        since_ms=since_ms,
                        raised=not cleared,
                        severity=Severity.CRITICAL if told.critical[cell] else compiled.rule.severity,
                        late=told.late,
                        evidence={} if cleared else next(evidence),
                        lost_wh=round(float(told.lost_wh[cell]), 1) if cleared and compiled.loses else None,
                    )
                )
        return changes


def _each(places: Slots) -> list[int]:
    return np.unique(places).tolist()


def _of_a_town(compiled: Compiled, layer: Layer, known: dict[int, Slots]) -> Mask:
    """Where a municipality's own rule holds: there may be hundreds of these, each on a small part of the assets."""
    town = compiled.rule.municipality_id or 0
    if town not in known:
        known[town] = np.flatnonzero(layer.of(layer.members.municipality_id) == town)
    where = np.zeros(len(layer), bool)
    if len(known[town]):
        where[known[town]] = compiled.holds(layer.part(known[town]))
    return where


def guarded(compiled: Compiled, layer: Layer, known: Guards) -> Mask:
    """Where the rule is on and its guards hold; what guards say is kept in ``known`` for the next rule."""
    guards = compiled.rule.guards
    where = known.get(guards)
    if where is None:
        where = np.ones(len(layer), bool)
        for name in guards:
            where &= layer.flag(name)
        known[guards] = where
    return where if compiled.enabled is None else where & compiled.enabled[layer.slots]
