"""One registry version as correlation sees it, with everything that is derived from it and from the symptoms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kraj.alerts import Scope
from rules.correlation.causes import Cause
from rules.correlation.explaining import Explaining
from rules.correlation.losses import Losses
from rules.correlation.places import Places
from rules.correlation.power import Power
from rules.correlation.records import Cell, Symptom
from rules.correlation.windows import Windows
from rules.rule import Rule


@dataclass(frozen=True)
class Situation:
    """Made anew when the registry changes and after a rollback; ``losses`` moves on with the symptoms meanwhile."""

    places: Places
    windows: Windows
    rules: Mapping[str, Rule]
    losses: Losses
    power: Power
    explaining: Explaining

    @staticmethod
    def of(
        places: Places,
        windows: Windows,
        rules: Mapping[str, Rule],
        causes: Sequence[Cause],
        symptoms: Iterable[Symptom],
    ) -> "Situation":
        """``symptoms`` are those that count."""
        losses = Losses(places, causes, symptoms)
        power = Power(places, losses, causes)
        return Situation(places, windows, rules, losses, power, Explaining(places, losses, power, rules, causes))

    def known(self, symptom: Symptom) -> bool:
        """Whether asset and rule are still there."""
        return bool(self.places.scopes(symptom.asset_id)) and symptom.rule in self.rules

    def hidden(self, rule: str) -> bool:
        """Whether a rule feeds causes and is no alert by itself."""
        return rule in self.rules and self.rules[rule].hidden

    def cell(self, symptom: Symptom) -> Cell:
        """Of the symptom's own alert."""
        scopes: dict[str, Scope] = self.places.scopes(symptom.asset_id)
        return symptom.rule, scopes["asset"]
