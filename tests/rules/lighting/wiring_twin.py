"""Whose wiring is to be looked at: one lamp, one hypothesis, one outage after another, in plain Python."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import expm1, isnan
from typing import Any

from kraj.wiring import Outage, Wired
from rules.lighting import mapping
from rules.lighting.mapping import KEPT, LOST, UNKNOWN, Fates

Found = dict[int, tuple[str | None, str | None, float, tuple[tuple[int, str], ...]]]
"""By asset: proposed feeder and cabinet, chance, and what the outages say."""


def proposals(  # noqa: C901 - all of it at a glance
    outages: Sequence[Outage], lamps: Wired, fates: Fates, settled: Mapping[int, frozenset[int]]
) -> Found:
    n = range(len(lamps))
    above = {
        f: Counter(sorted(c for n_, c in zip(lamps.feeder, lamps.cabinet, strict=True) if n_ == f and c)).most_common(1)
        for f in set(lamps.feeder)
        if f
    }
    cabinet_of = {f: found[0][0] if found else None for f, found in above.items()}
    cabinet = [lamps.cabinet[i] or cabinet_of.get(lamps.feeder[i] or "") for i in n]

    def on(i: int, feeder: str | None, at: str | None) -> bool:
        return lamps.feeder[i] == feeder if feeder else at is not None and cabinet[i] == at

    real: list[tuple[int, str | None, str | None]] = []
    for row, one in enumerate(outages):
        at = (cabinet_of.get(one.feeder) or one.cabinet) if one.feeder else one.cabinet
        states = [int(fates.state[row, i]) for i in n if on(i, one.feeder, at)]
        if fell(states):
            real.append((row, one.feeder, at))
    real.sort(key=lambda item: outages[item[0]].from_ms)
    alone: list[tuple[int, str | None, str | None]] = []
    for row, feeder, at in real:
        beside = {(f, c) for r, f, c in real if abs(outages[r].from_ms - outages[row].from_ms) <= mapping.TOGETHER_MS}
        for f, c in cabinet_of.items():
            fates_there = [int(fates.state[row, i]) for i in n if lamps.feeder[i] == f]
            if feeder or c != at:
                beside |= {(f, c)} if fell(fates_there) else set()
        if len(beside) == 1:
            alone.append((row, feeder, at))
        elif at is not None and {c for _, c in beside} == {at}:
            alone.append((row, None, at))

    def witnessed(row: int, i: int) -> bool:
        home = ("f", lamps.feeder[i]) if lamps.feeder[i] else ("c", lamps.cabinet[i])
        others = [
            int(fates.state[row, j])
            for j in n
            if j != i and (("f", lamps.feeder[j]) if lamps.feeder[j] else ("c", lamps.cabinet[j])) == home
        ]
        return others.count(KEPT) >= mapping.WITNESSES_MIN and others.count(KEPT) > others.count(LOST)

    def heard(i: int, feeder: str | None, at: str | None) -> Any:  # noqa: C901 - the same
        if on(i, feeder, at) or not (lamps.feeder[i] or lamps.cabinet[i]):
            return None
        spent = settled.get(int(lamps.asset_id[i]), frozenset())
        says: list[tuple[int, str]] = []
        shared: list[int] = []
        for row, f, c in alone:
            state, key = int(fates.state[row, i]), outages[row].key
            theirs, whole = (f == feeder if feeder else c == at), f is None and c == at
            if state == KEPT and (whole or (feeder is not None and theirs)):
                return None
            if theirs and state == LOST and witnessed(row, i) and key not in spent:
                shared.append(row)
                says.append((key, "shared"))
            elif not theirs and not whole and on(i, f, c) and state == LOST:
                if shared:
                    return None
                says.append((key, "with_registered"))
            elif not theirs and not whole and on(i, f, c) and state == KEPT and key not in spent:
                says.append((key, "kept"))
        hours, losses = float(fates.hours[i]), float(fates.losses[i])
        rate = (
            (max(losses - len(shared), 0) + 0.5) / hours if hours > 0 and not isnan(losses) else mapping.UNKNOWN_PER_H
        )
        chance, begun, events = 1.0, None, list[list[float]]()
        for row in shared:
            if begun is None or outages[row].from_ms - begun >= mapping.APART_MS:
                begun = outages[row].from_ms
                events.append([])
            events[-1].append(-expm1(-rate * float(fates.width_h[row, i])))
        for event in events:
            chance *= max(event)
        looked = {f or c for row, f, c in alone if int(fates.state[row, i]) != UNKNOWN}
        chance = min(1.0, chance * len(looked))
        return (
            (feeder, at, chance, tuple(reversed(says)))
            if len(events) >= mapping.SHARED_MIN and chance <= mapping.CHANCE_MAX
            else None
        )

    out: Found = {}
    for i in n:
        hypotheses = [(f, cabinet_of.get(f)) for f in sorted({f for _, f, _ in alone if f})]
        found = [one for f, c in hypotheses if (one := heard(i, f, c)) is not None]
        if not found:
            found = [one for c in sorted({c for _, _, c in alone if c}) if (one := heard(i, None, c)) is not None]
        if found:
            out[int(lamps.asset_id[i])] = min(found, key=lambda one: one[2])
    return out


def fell(states: list[int]) -> bool:
    return states.count(LOST) >= mapping.LOST_MIN and states.count(LOST) > states.count(KEPT)
