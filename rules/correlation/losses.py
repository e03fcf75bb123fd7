"""Who in a group suffers, and since when: active symptoms counted where the causes name them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kraj.alerts import Scope
from rules.correlation.causes import Cause
from rules.correlation.places import Places
from rules.correlation.records import Cell, Symptom


class Losses:
    """Derived from the symptoms that count, so never journaled. What a window silences does not count."""

    def __init__(self, places: Places, causes: Sequence[Cause], symptoms: Iterable[Symptom]) -> None:
        self._places = places
        self._by_rule: dict[str, list[Cause]] = {}
        for cause in causes:
            for rule in cause.symptoms:
                self._by_rule.setdefault(rule, []).append(cause)
        self._began: dict[Cell, dict[int, dict[str, Symptom]]] = {}
        self._gasps: Counter[Scope] = Counter()
        self._of_asset: dict[int, dict[str, Symptom]] = {}
        for symptom in symptoms:
            self.add(symptom)

    def add(self, symptom: Symptom) -> None:
        """Count a symptom that has come, or become another."""
        before = self._of_asset.get(symptom.asset_id, {}).get(symptom.rule)
        if before is not None:
            self.remove(before)
        self._of_asset.setdefault(symptom.asset_id, {})[symptom.rule] = symptom
        for cell in self.cells(symptom):
            self._began.setdefault(cell, {}).setdefault(symptom.asset_id, {})[symptom.rule] = symptom
        self._count_gasp(symptom, 1)

    def remove(self, symptom: Symptom) -> None:
        """Do not count a symptom that has gone."""
        _drop(self._of_asset, symptom.asset_id, symptom.rule)
        for cell in self.cells(symptom):
            assets = self._began.get(cell, {})
            _drop(assets, symptom.asset_id, symptom.rule)
            if not assets:
                self._began.pop(cell, None)
        self._count_gasp(symptom, -1)

    def _count_gasp(self, symptom: Symptom, times: int) -> None:
        feeder = self._places.scopes(symptom.asset_id).get("feeder") if symptom.proves_loss else None
        if feeder is not None:
            self._gasps[feeder] += times

    def cells(self, symptom: Symptom) -> list[Cell]:
        """The causes, each in its group, for which the symptom counts."""
        causes = self._by_rule.get(symptom.rule)
        if causes is None:
            return []
        scopes = self._places.scopes(symptom.asset_id)
        kind = self._places.estate.kind_by_asset.get(symptom.asset_id)
        return [(c.name, scopes[c.group]) for c in causes if c.group in scopes and kind in c.kinds]

    def of(self, cell: Cell) -> dict[int, Symptom]:
        """The assets that suffer, each with the symptom that began first."""
        return {asset_id: _first(symptoms) for asset_id, symptoms in self._began.get(cell, {}).items()}

    def assets(self, cell: Cell) -> Iterable[int]:
        """The assets that suffer."""
        return self._began.get(cell, {}).keys()

    def any(self, cell: Cell) -> bool:
        """Whether anybody suffers there."""
        return cell in self._began

    def symptoms(self, cell: Cell) -> list[Symptom]:
        """Everything that they suffer from."""
        return [symptom for symptoms in self._began.get(cell, {}).values() for symptom in symptoms.values()]

    def counts(self, cell: Cell, asset_id: int) -> bool:
        """Whether the asset suffers there."""
        return asset_id in self._began.get(cell, {})

    def on(self, asset_id: int) -> Mapping[str, Symptom]:
        """The symptoms that an asset has, by rule."""
        return self._of_asset.get(asset_id, {})

    def gasped(self, feeder: Scope) -> bool:
        """Whether anything on the feeder has said that its supply is gone."""
        return self._gasps[feeder] > 0

    def cells_of_all(self) -> list[Cell]:
        """Every group in which anybody suffers."""
        return list(self._began)


def _first(symptoms: dict[str, Symptom]) -> Symptom:
    if len(symptoms) == 1:
        return next(iter(symptoms.values()))
    return min(symptoms.values(), key=lambda s: (s.since_ms, s.rule))


def _drop(of: dict[int, dict[str, Symptom]], asset_id: int, rule: str) -> None:
    rules = of.get(asset_id, {})
    rules.pop(rule, None)
    if not rules:
        of.pop(asset_id, None)


def together(began: Iterable[int], needed: int, window_ms: int) -> int | None:
    """The first moment of a window in which at least ``needed`` began; None where there is no such window."""
    moments = sorted(began)
    count = max(1, math.ceil(needed))
    for i in range(len(moments) - count + 1):
        if moments[i + count - 1] - moments[i] <= window_ms:
            return moments[i]
    return None
