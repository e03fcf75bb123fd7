"""The figures of a score: precision, recall, latency and false alerts, from labels and alerts put together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulators.matching import Alert, Found, Matching


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How long how much could have raised a false alert: nights of lamps and years of roofs (each inverter a site)
    without a labelled fault."""

    lamp_nights: float
    site_years: float

    def __add__(self, other: "Exposure") -> "Exposure":
        return Exposure(lamp_nights=self.lamp_nights + other.lamp_nights, site_years=self.site_years + other.site_years)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to. ``daily`` names the rules that judge nights and days, ``kinds`` the kind of each asset."""

    matching: Matching
    exposure: Exposure
    daily: frozenset[str]
    kinds: Mapping[int, str]


@dataclass
class _Tally:
    """Counts of one rule or of many. An alert is right, or else surplus or false; a label is found or missed, or else
    excluded because nobody could have told: how many of these were told all the same says whether too many are."""

    right: int = 0
    wrong: int = 0
    found: int = 0
    missed: int = 0
    excluded: int = 0
    excluded_found: int = 0
    latency_s: list[float] = field(default_factory=list[float])

    def __add__(self, other: "_Tally") -> "_Tally":
        return _Tally(
            self.right + other.right,
            self.wrong + other.wrong,
            self.found + other.found,
            self.missed + other.missed,
            self.excluded + other.excluded,
            self.excluded_found + other.excluded_found,
            self.latency_s + other.latency_s,
        )

    def figures(self) -> dict[str, Any]:
        """As JSON has them; what cannot be said is None: no precision without alerts, no recall without labels."""
        precision = _share(self.right, self.right + self.wrong)
        recall = _share(self.found, self.found + self.missed)
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1(precision, recall),
            "latency_s_p50": _percentile(self.latency_s, 50),
            "latency_s_p95": _percentile(self.latency_s, 95),
            "labels": self.found + self.missed,
            "found": self.found,
            "excluded": self.excluded,
            "excluded_found": self.excluded_found,
            "alerts": self.right + self.wrong,
            "wrong": self.wrong,
        }


def f1(precision: float | None, recall: float | None) -> float | None:
    """The harmonic mean; None where either is not known."""
    if precision is None or recall is None:
        return None
    return round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """One or more runs pooled: ``totals`` of all, of what streams and of what is judged by nights and days, ``rules``,
    and the rates."""
    daily = frozenset[str]().union(*(o.daily for o in outcomes))
    tallies: dict[str, _Tally] = {}
    for outcome in outcomes:
        for rule, tally in _tallies(outcome.matching).items():
            tallies[rule] = tallies.get(rule, _Tally()) + tally
    found = [f for o in outcomes for f in o.matching.found]
    exposure = sum((o.exposure for o in outcomes), Exposure(lamp_nights=0, site_years=0))
    lamps, roofs = (sum(counts) for counts in zip(*(_false(o) for o in outcomes), strict=True))
    return {
        "totals": {
            **_sum(tallies.values()).figures(),
            "surplus": sum(len(f.surplus) for f in found),
            "false": sum(len(o.matching.false) for o in outcomes),
            "excluded_why": dict(Counter(f.label.excluded for f in found if f.label.excluded)),
            "streaming": _sum(t for rule, t in tallies.items() if rule not in daily).figures(),
            "daily": _sum(t for rule, t in tallies.items() if rule in daily).figures(),
        },
        "rules": {rule: tallies[rule].figures() for rule in sorted(tallies)},
        "false_per_1000_lamp_nights": _share(1000 * lamps, exposure.lamp_nights),
        "false_per_site_year": _share(roofs, exposure.site_years),
        "alerts_per_cause": _alerts_per_cause(found),
        "lamp_nights": round(exposure.lamp_nights, 1),
        "site_years": round(exposure.site_years, 3),
    }


def _tallies(matching: Matching) -> Mapping[str, _Tally]:
    out: dict[str, _Tally] = {}

    def of(rule: str) -> _Tally:
        return out.setdefault(rule, _Tally())

    for found in matching.found:
        tally = of(found.label.cause)
        if found.label.excluded:
            tally.excluded += 1
            tally.excluded_found += found.detected
            continue
        tally.found += found.detected
        tally.missed += not found.detected
        if found.latency_s is not None:
            tally.latency_s.append(found.latency_s)
        for alert in found.alerts:
            of(alert.rule).right += 1
    for alert in (*(a for f in matching.found for a in f.surplus), *matching.false):
        of(alert.rule).wrong += 1
    return out


def _false(outcome: Outcome) -> tuple[int, int]:
    """False alerts about lighting and about roofs; of the rest (stops) no rate is promised."""
    about = Counter(_about(alert, outcome.kinds) for alert in outcome.matching.false)
    return about["lighting"], about["solar"]


_GROUPS = {"feeder": "lighting", "phase": "lighting", "cabinet": "lighting", "supply_area": "lighting"} | {
    "gateway": "lighting",
    "site": "solar",
    "region": "solar",
}
"""What the causes of each scope are about: the only one of the whole region is snow."""


def _about(alert: Alert, kinds: Mapping[int, str]) -> str:
    if alert.scope.type in _GROUPS:
        return _GROUPS[alert.scope.type]
    kind = kinds.get(int(alert.scope.name), "") if alert.scope.type == "asset" else ""
    return "lighting" if kind in {"lamp", "cabinet"} else kind


def _alerts_per_cause(found: Iterable[Found]) -> float | None:
    """Alerts that stand for themselves, for each label that was told at all: 1 is what a crew wants."""
    told = [f for f in found if f.detected]
    alerts = sum(sum(not a.child for a in f.alerts) + len(f.surplus) for f in told)
    return _share(alerts, len(told))


def _sum(tallies: Iterable[_Tally]) -> _Tally:
    return sum(tallies, _Tally())


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None


def mean_and_worst(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the figures of several runs: the mean and the worst of what matters, overall and by rule."""
    rules = sorted({rule for one in each for rule in one["rules"]})
    totals = {part: [one["totals"] if part == "all" else one["totals"][part] for one in each] for part in _PARTS}
    return {
        "totals": {part: _spread(listed) for part, listed in totals.items()},
        "rules": {rule: _spread([one["rules"][rule] for one in each if rule in one["rules"]]) for rule in rules},
        **{name: _both([one[name] for one in each], max) for name in _RATES},
    }


_PARTS = ("all", "streaming", "daily")
_RATES = ("false_per_1000_lamp_nights", "false_per_site_year", "alerts_per_cause")
_MORE_IS_BETTER = ("precision", "recall", "f1")
_LESS_IS_BETTER = ("latency_s_p50", "latency_s_p95")


def _spread(listed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **{name: _both([one[name] for one in listed], min) for name in _MORE_IS_BETTER},
        **{name: _both([one[name] for one in listed], max) for name in _LESS_IS_BETTER},
    }


def _both(values: Sequence[float | None], worst: Any) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return (
        {"mean": round(sum(known) / len(known), 4), "worst": worst(known)} if known else {"mean": None, "worst": None}
    )
