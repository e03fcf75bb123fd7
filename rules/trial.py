"""A rule tried on history: the engine that runs live, fed with stored readings; what it would have told, how often."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kraj.readings import Readings
from rules.correlation.places import Places
from rules.correlation.windows import Windows
from rules.estate import Estate
from rules.observer import Observer
from rules.rule import Per, Rule

STEP = timedelta(minutes=30)
"""So much is judged at once; silence within is found by the readings' own times."""
TOO_MANY_A_WEEK = 0.1
"""Of the assets: whoever gets more calls than that stops reading them."""
TOO_MANY_ASSETS = 0.1
"""Of the assets, over any time: what most have is how they are, and no fault."""
NEARLY = 0.9
"""Of the time that a rule needs: the first reading comes a little after the time begins."""
SHOWN = 20

Seen = tuple[datetime, dict[str, Any]]
"""When, and the values that fired."""


@dataclass(slots=True)
class Result:
    """What one rule would have told: by asset how often, with the first time and what it saw then."""

    rule: Rule
    assets: int
    days: float
    readings: int = 0
    heard_days: float = 0.0
    """Since the first reading of its kinds: what was before is no time in which it was silent."""
    raised: Counter[int] = field(default_factory=Counter[int])
    first: dict[int, Seen] = field(default_factory=dict[int, Seen])
    labels: Mapping[int, str] = field(default_factory=dict[int, str])

    @property
    def per_asset_week(self) -> float:
        """How often an asset would be told of in a week, on average."""
        return self.raised.total() / max(1, self.assets) / max((self.heard_days or self.days) / 7, 1e-9)

    @property
    def needed_days(self) -> float:
        """So long it must be tried to have told of anything."""
        nights = self.rule.of[1] if self.rule.per in (Per.NIGHT, Per.DAY) else 0
        return max(nights, self.rule.for_s / 86_400)

    @property
    def doubts(self) -> list[str]:
        """Why it should not be switched on unless somebody insists; texts of this name say it to people."""
        found = {
            "too_many": self.per_asset_week > TOO_MANY_A_WEEK,
            "too_many_assets": len(self.raised) > TOO_MANY_ASSETS * self.assets,
            "no_readings": not self.readings,
            "too_short": self.readings > 0 and self.heard_days < NEARLY * self.needed_days,
        }
        return [name for name, doubtful in found.items() if doubtful]

    @property
    def too_many(self) -> bool:
        """Whether it tells of too much, however often or of how many."""
        return not {"too_many", "too_many_assets"}.isdisjoint(self.doubts)

    def plain(self) -> dict[str, Any]:
        """For machines; ``most`` are the assets that would be told of most often."""
        return {
            "assets": self.assets,
            "days": round(self.days, 2),
            "heard_days": round(self.heard_days, 2),
            "needed_days": round(self.needed_days, 2),
            "readings": self.readings,
            "raised": self.raised.total(),
            "assets_raised": len(self.raised),
            "per_asset_week": round(self.per_asset_week, 4),
            "too_many": self.too_many,
            "doubts": self.doubts,
            "most": [
                {
                    "asset_id": asset_id,
                    "label": self.labels.get(asset_id, str(asset_id)),
                    "times": times,
                    "first_at": self.first[asset_id][0].isoformat(),
                    "evidence": self.first[asset_id][1],
                }
                for asset_id, times in self.raised.most_common(SHOWN)
            ],
        }


class Trial:
    """Judges stretches of history in the order of time; what windows and mutes silence is not counted.

    ``among`` are the assets that count; None counts all. ``failure`` says why a rule could not be judged on.
    """

    def __init__(
        self, estate: Estate, rules: Sequence[Rule], begin: datetime, among: frozenset[int] | None = None
    ) -> None:
        self._estate = estate
        self._observer = Observer(estate, rules)
        self._windows = Windows(estate.windows)
        self._places = Places(estate)
        self._among = among
        self._begin = begin
        self._heard: dict[str, float] = {}
        """When the first reading of a rule's kinds was taken, in seconds since 1970."""
        labels = {
            int(asset_id): label
            for members in estate.members.values()
            for asset_id, label in zip(members.asset_id, members.labels, strict=True)
        }
        self.results = {rule.name: Result(rule, self._concerned(rule), 0.0, labels=labels) for rule in rules}

    def step(self, readings: Sequence[Readings], end: datetime) -> None:
        """Judge what was measured since the last step until ``end``."""
        for change in self._observer.step(readings, [], round(end.timestamp() * 1000)):
            result = self.results.get(change.rule)
            if result is None or not change.raised or not self._counts(result.rule, change.asset_id, change.ts_ms):
                continue
            result.raised[change.asset_id] += 1
            moment = datetime.fromtimestamp(change.ts_ms / 1000, UTC)
            result.first.setdefault(change.asset_id, (moment, dict(change.evidence)))
        self._observer.commit()
        for result in self.results.values():
            theirs = [r for r in readings if r.kind.name in result.rule.kinds and len(r)]
            if theirs and not result.readings:
                self._heard[result.rule.name] = min(int(r.ts_ms.min()) for r in theirs) / 1000
            result.readings += sum(len(r) for r in theirs)
            result.days = (end - self._begin) / timedelta(days=1)
            if result.readings:
                result.heard_days = (end.timestamp() - self._heard[result.rule.name]) / 86_400

    @property
    def raised(self) -> int:
        return sum(result.raised.total() for result in self.results.values())

    @property
    def failure(self) -> str | None:
        """Which rule failed, and how."""
        return next((f"rule {name} fails: {error}" for name, error in self._observer.failures.items()), None)

    def _concerned(self, rule: Rule) -> int:
        count = 0
        for kind in rule.kinds:
            members = self._estate.members[kind]
            for asset_id, owner in zip(members.asset_id.tolist(), members.municipality_id.tolist(), strict=True):
                theirs = rule.municipality_id in {None, owner}
                count += theirs and (self._among is None or asset_id in self._among)
        return count

    def _counts(self, rule: Rule, asset_id: int, at_ms: int) -> bool:
        if self._among is not None and asset_id not in self._among:
            return False
        scopes = self._places.scopes(asset_id)
        return self._windows.until_ms(rule.name, scopes, scopes["asset"].municipality_id, at_ms) is None
