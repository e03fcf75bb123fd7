"""Repairs held against readings: what somebody has called fixed is shown to be, or not, as soon as readings can tell.

A rule says by ``proof_when`` what proves its repair. Time is that of the readings, so a replay proves the same again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from kraj.alerts import Severity, SymptomChange
from rules.compiled import Compiled
from rules.elapsed import PROOF_MS
from rules.engine import Engine
from rules.language import Condition
from rules.layer import Layer
from rules.mind import Mending

APART_MS = 10_000
"""Two good readings at least so far apart: one alone may be a flicker."""
ABSENT_MS = 60_000
"""Power that does not come for so long will not."""
WARM = frozenset({"settled", "settled_or_dark"})
"""The guards that wait for a warm lamp. A proof says itself what it asks of a cold one."""

Cell = tuple[str, int]


class Proofs:
    """The repairs of one step, by rule and asset; what is left of them is remembered."""

    def __init__(self, mending: Iterable[Mending], now_ms: int) -> None:
        self._open = {(m.rule, m.asset_id): m for m in mending if now_ms - m.fixed_ms < PROOF_MS}

    @property
    def left(self) -> tuple[Mending, ...]:
        """In an order that is a function of history."""
        return tuple(self._open[cell] for cell in sorted(self._open))

    def begin(self, rule: str, asset_id: int, fixed_ms: int) -> None:
        """Somebody has called it fixed; what was called so before is forgotten."""
        self._open[rule, asset_id] = Mending(rule, asset_id, fixed_ms)

    def look(self, engine: Engine, layer: Layer, changes: Sequence[SymptomChange]) -> list[SymptomChange]:
        """What these readings prove; ``changes`` are what the engine has found in them."""
        found: list[SymptomChange] = []
        for cell in sorted(self._open) if self._open else ():
            rows = np.flatnonzero(layer.members.asset_id[layer.slots] == cell[1])
            place = engine.place(cell[0]) if len(rows) else None
            if place is None:
                continue
            mending = self._open[cell]
            if any(_again(change, mending) for change in changes):
                del self._open[cell]
                continue
            ts_ms = int(layer.ts_ms[rows[0]])
            if ts_ms <= mending.fixed_ms:
                continue
            compiled, part = engine.rules[place], layer.part(rows)
            self._open[cell], proven = _seen(mending, compiled, part, ts_ms)
            if proven is not None:
                mending = self._open.pop(cell)
                lost_wh = engine.settle(layer.state, place, int(part.slots[0])) if proven else None
                found.append(_told(mending, compiled, part, proven=proven, lost_wh=lost_wh))
        return found


def _again(change: SymptomChange, mending: Mending) -> bool:
    """Whether it has begun anew since: then nobody has repaired that."""
    same = (change.rule, change.asset_id) == (mending.rule, mending.asset_id)
    return same and change.raised and change.since_ms > mending.fixed_ms


def _seen(mending: Mending, compiled: Compiled, part: Layer, ts_ms: int) -> tuple[Mending, bool | None]:
    """With one more reading, and what it proves. What is not known neither shows nor refutes anything."""
    good, good_ms = _holds(compiled, compiled.proof_when, part, ts_ms, mending.good_ms)
    bad, bad_ms = _holds(compiled, compiled.proof_fails_when, part, ts_ms, mending.bad_ms)
    seen = replace(mending, good_ms=good_ms, bad_ms=bad_ms)
    if good and good_ms is not None and ts_ms - good_ms >= APART_MS:
        return seen, True
    if bad and bad_ms is not None and ts_ms - bad_ms >= ABSENT_MS:
        return seen, False
    return seen, None


def _holds(
    compiled: Compiled, condition: Condition | None, part: Layer, ts_ms: int, since_ms: int | None
) -> tuple[bool, int | None]:
    """Whether it holds in this reading, and since which one; a clock that is wrong shows nothing."""
    if condition is None:
        return False, None
    column = compiled.column(part)
    trusted = all(part.flag(name)[0] for name in compiled.rule.guards if name not in WARM)
    if trusted and condition.evaluate(column)[0]:
        return True, ts_ms if since_ms is None else since_ms
    return False, None if condition.refute(column)[0] else since_ms


def _told(mending: Mending, compiled: Compiled, part: Layer, *, proven: bool, lost_wh: float | None) -> SymptomChange:
    condition = compiled.proof_when if proven else compiled.proof_fails_when
    since_ms = mending.good_ms if proven else mending.bad_ms
    return SymptomChange(
        rule=mending.rule,
        asset_id=mending.asset_id,
        ts_ms=int(part.ts_ms[0]),
        since_ms=since_ms or mending.fixed_ms,
        raised=False,
        severity=Severity.INFO,
        evidence=compiled.evidence(part, [0], condition)[0],
        lost_wh=lost_wh,
        proven=proven,
    )
