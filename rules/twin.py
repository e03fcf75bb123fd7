"""The engine's slow twin: one asset, one reading, one rule at a time, in plain Python.

Tests and the bench hold the engine to it.

It shares with the engine what rules say (compiled conditions, asked of a single row) and what inputs remember, and does
everything else again in the most obvious way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kraj.alerts import Severity, SymptomChange
from kraj.assets import DeviceStatus
from kraj.readings import Mask, Readings
from rules.compiled import Compiled, compile_rule
from rules.estate import Estate
from rules.inputs import Seam, health, of_kind
from rules.layer import Layer
from rules.rule import Per, Rule
from rules.state import State

Answer = bool | None
"""None: unknown."""


@dataclass
class Cell:
    """One asset under one rule."""

    active: bool = False
    running: bool = False
    """Whether the condition of this stage (``when``, or once active the one to clear) holds, for less than it must."""
    since: float = 0
    seen: float = 0
    critical: bool = False
    lost_wh: float = 0


@dataclass(frozen=True)
class Asked:
    """What a rule says of one asset at one moment; ``ts`` in milliseconds, ``gap`` (None: first) and ``beat`` too."""

    ts: float
    gap: float | None
    beat: float
    when: Answer
    clear: Answer
    critical: bool = False
    watts: float | None = None


def move(cell: Cell, asked: Asked, for_ms: float, clear_ms: float) -> str | None:
    """Move a cell on; says "raised", "worse", "cleared" or nothing."""
    met = asked.clear if cell.active else asked.when
    gap_too_long = asked.gap is not None and asked.gap > 3 * asked.beat
    if gap_too_long:
        cell.running = False
    if met:
        if not cell.running:
            cell.running, cell.since = True, asked.ts
        cell.seen = asked.ts
    elif met is False or asked.ts - cell.seen > asked.beat:
        cell.running = False
    done = bool(met) and asked.ts - cell.since >= 0.999 * (clear_ms if cell.active else for_ms)
    said = None
    watts = max(asked.watts or 0.0, 0.0)
    if cell.active and asked.gap is not None and not gap_too_long:
        cell.lost_wh += watts * asked.gap / 3_600_000
    if done and not cell.active:
        cell.active, cell.running, said = True, False, "raised"
        cell.lost_wh = watts * (asked.ts - cell.since) / 3_600_000
    elif done:
        cell.active, cell.running, said = False, False, "cleared"
    if cell.active and asked.critical and not cell.critical:
        cell.critical, said = True, said or "worse"
    return said


@dataclass
class _Kind:
    seam: Seam
    rules: list[Compiled]
    state: State
    cells: dict[tuple[str, int], Cell] = field(default_factory=dict[tuple[str, int], Cell])


class Twin:
    """As ``Observer``, for rules by reading and by time. Takes no steps back; what is switched off was never active."""

    def __init__(self, estate: Estate, catalogue: Sequence[Rule]) -> None:
        self._estate = estate
        self._catalogue = catalogue
        self._kinds = {name: self._kind(name) for name in sorted(estate.members, key=lambda name: name != "cabinet")}
        self._now_ms = 0
        self._away_ms = 0
        self._ticked: tuple[int, int] | None = None
        self._ticked_quickly: tuple[int, int] | None = None
        self._refreshed: int | None = None

    def step(
        self,
        readings: Sequence[Readings],
        statuses: Sequence[DeviceStatus],
        now_ms: int,
        *,
        attentive: bool = True,
    ) -> list[SymptomChange]:
        """What begins and ceases to hold."""
        if not attentive:
            self._away_ms += now_ms - (self._now_ms or now_ms)
        self._now_ms = now_ms
        changes: list[SymptomChange] = []
        late: list[tuple[str, int, int, list[float]]] = []
        for name, slot, ts, values in self._in_order(readings):
            state = self._kinds[name].state
            health.hear(state, np.array([slot]), now_ms - self._away_ms)
            if ts <= health.newest_ms(state)[slot]:
                late.append((name, slot, ts, values))
            else:
                changes += self._read(self._kinds, name, slot, ts, values)
        if late:
            empty = {name: self._kind(name) for name in self._kinds}
            for name, slot, ts, values in late:
                changes += self._read(empty, name, slot, ts, values, late=True)
        states = {name: kind.state for name, kind in self._kinds.items()}
        for status in statuses:
            health.note_statuses(self._estate, states, [status], now_ms - self._away_ms)
        if self._ticked is None or now_ms - self._ticked[0] >= 60_000:
            changes += self._tick(now_ms)
        if self._ticked_quickly is None or now_ms - self._ticked_quickly[0] >= 10_000:
            elapsed_s = self._elapsed_s(now_ms, self._ticked_quickly)
            self._ticked_quickly = (now_ms, now_ms - self._away_ms)
            for name in self._kinds:
                changes += self._by_time(name, now_ms, elapsed_s, quick=True)
        return sorted(changes, key=lambda change: change.ts_ms)

    def _in_order(self, readings: Sequence[Readings]) -> list[tuple[str, int, int, list[float]]]:
        """Kind after kind, in order of time; five minutes at once where readings are of very different times."""
        rows = [
            (r.kind.name, int(r_slot), int(ts), values)
            for r in readings
            for r_slot, ts, values in zip(
                self._estate.members[r.kind.name].slots(r.asset_id), r.ts_ms, r.values.tolist(), strict=True
            )
            if r_slot >= 0
        ]
        kinds = list(self._kinds)
        rows.sort(key=lambda row: (kinds.index(row[0]), row[2]))
        if rows and max(row[2] for row in rows) - min(row[2] for row in rows) > 15 * 60_000:
            rows.sort(key=lambda row: row[2] // (5 * 60_000))
        return rows

    def _read(
        self, kinds: dict[str, _Kind], name: str, slot: int, ts: int, values: list[float], *, late: bool = False
    ) -> list[SymptomChange]:
        kind = kinds[name]
        before = int(health.newest_ms(kind.state)[slot])
        gap_s = float("nan") if before == health.NEVER else (ts - before) / 1000
        layer = self._layer(kinds, name, slot, ts, gap_s)
        layer.values = np.array(values, np.float64).reshape(-1, 1)
        health.track(layer, kind.seam.active)
        if kind.seam.track is not None:
            kind.seam.track(layer)
        rules = [rule for rule in kind.rules if rule.rule.per is Per.READING]
        return self._judge(kind, rules, layer, slot, float(ts), late=late)

    def _tick(self, now_ms: int) -> list[SymptomChange]:
        elapsed_s = self._elapsed_s(now_ms, self._ticked)
        self._ticked = (now_ms, now_ms - self._away_ms)
        refresh = self._refreshed is None or now_ms - self._refreshed >= 120_000
        self._refreshed = now_ms if refresh else self._refreshed
        changes: list[SymptomChange] = []
        for name, kind in self._kinds.items():
            everybody = len(self._estate.members[name])
            if kind.seam.refresh is not None and refresh:
                layer = self._layer(self._kinds, name, 0, now_ms, elapsed_s)
                layer.slots, layer.ts_ms = np.arange(everybody), np.full(everybody, now_ms)
                layer.gap_s, layer.values = np.full(everybody, elapsed_s), np.empty((0, everybody))
                kind.seam.refresh(layer)
            changes += self._by_time(name, now_ms, elapsed_s, quick=False)
        return changes

    def _elapsed_s(self, now_ms: int, ticked: tuple[int, int] | None) -> float:
        return (now_ms - self._away_ms - (ticked[1] if ticked else 0)) / 1000

    def _by_time(self, name: str, now_ms: int, elapsed_s: float, *, quick: bool) -> list[SymptomChange]:
        kind = self._kinds[name]
        rules = [rule for rule in kind.rules if rule.rule.per is Per.TIME and rule.rule.quick is quick]
        changes: list[SymptomChange] = []
        for slot in range(len(self._estate.members[name]) if rules else 0):
            layer = self._layer(self._kinds, name, slot, now_ms, elapsed_s)
            changes += self._judge(kind, rules, layer, slot, float(now_ms - self._away_ms))
        return changes

    def _judge(
        self, kind: _Kind, rules: list[Compiled], layer: Layer, slot: int, clock: float, *, late: bool = False
    ) -> list[SymptomChange]:
        changes: list[SymptomChange] = []
        for compiled in rules:
            rule = compiled.rule
            cell = kind.cells.setdefault((rule.name, slot), Cell())
            gap = float(layer.gap_s[0]) * 1000
            asked = Asked(
                ts=clock,
                gap=None if np.isnan(gap) else gap,
                beat=float(layer.column("heartbeat_s")[0]) * 1000,
                when=_guarded(compiled, layer, compiled.holds, compiled.refuted),
                clear=_guarded(compiled, layer, compiled.clears, compiled.stays),
                critical=bool(compiled.critical(layer)[0]),
                watts=float(compiled.lost(layer)[0]),
            )
            said = move(cell, asked, rule.for_s * 1000, rule.clear_for_s * 1000)
            if said is not None:
                changes.append(self._change(compiled, cell, layer, said, clock, late=late))
            if said == "cleared":
                kind.cells[rule.name, slot] = Cell()
        return changes

    def _change(
        self, compiled: Compiled, cell: Cell, layer: Layer, said: str, clock: float, *, late: bool
    ) -> SymptomChange:
        ts_ms = int(layer.ts_ms[0])
        cleared = said == "cleared"
        return SymptomChange(
            rule=compiled.rule.name,
            asset_id=int(layer.members.asset_id[layer.slots[0]]),
            ts_ms=ts_ms,
            since_ms=int(cell.since + ts_ms - clock),
            raised=not cleared,
            severity=Severity.CRITICAL if cell.critical else compiled.rule.severity,
            late=late,
            evidence={} if cleared else compiled.evidence(layer, [0])[0],
            lost_wh=round(cell.lost_wh, 1) if cleared and compiled.loses else None,
        )

    def _kind(self, name: str) -> _Kind:
        seam = of_kind(name)
        rules = [compile_rule(rule, seam, self._estate) for rule in self._catalogue if name in rule.kinds]
        return _Kind(seam, rules, State(len(self._estate.members[name])))

    def _layer(self, kinds: dict[str, _Kind], name: str, slot: int, ts: int, gap_s: float) -> Layer:
        return Layer(
            kind=kinds[name].seam.kind,
            estate=self._estate,
            states={other: kind.state for other, kind in kinds.items()},
            slots=np.array([slot]),
            ts_ms=np.array([ts]),
            values=np.empty((0, 1)),
            gap_s=np.array([gap_s]),
            now_ms=self._now_ms,
            attentive_ms=self._now_ms - self._away_ms,
            inputs=kinds[name].seam.by_name,
        )


def _guarded(compiled: Compiled, layer: Layer, yes: Callable[[Layer], Mask], no: Callable[[Layer], Mask]) -> Answer:
    """Known to hold, known not to, or unknown, as it is where a guard does not hold."""
    off = compiled.enabled is not None and not compiled.enabled[layer.slots[0]]
    if off or not all(layer.flag(name)[0] for name in compiled.rule.guards):
        return None
    return True if yes(layer)[0] else False if no(layer)[0] else None
