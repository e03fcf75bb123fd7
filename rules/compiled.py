"""A rule made ready for one kind and one estate: compiled texts, thresholds by asset, and where it is switched on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

import numpy as np

from kraj.errors import ConfigurationError
from kraj.metrics import Kind
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.estate import Estate, Override, Slots
from rules.inputs import Seam
from rules.language import Condition, Expression, Symbol, compile_condition, compile_number, symbols
from rules.layer import Form, Layer
from rules.rule import Per, Rule

JUDGING = frozenset(field.name for field in fields(Rule)) - {
    "title",
    "symptom",
    "bring",
    "source",
    "explained_by",
    "hidden",
    "quick",
    "proof_when",
    "proof_fails_when",
}
"""What a rule's verdicts depend on; where one of these is another, what was remembered means nothing."""


def fingerprint(rule: Rule) -> str:
    """Changes when the rule judges otherwise; not with its texts for people."""
    told = {name: getattr(rule, name) for name in JUDGING} | {"thresholds": sorted(rule.thresholds.items())}
    return sha256(repr(sorted(told.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Compiled:
    """A rule for one kind. ``varying`` are thresholds that differ between assets, and ``enabled`` where the rule is on
    (None: everywhere), both by slot, shape ``(slots,)``."""

    rule: Rule
    kind: Kind
    when: Condition
    clear_when: Condition | None
    critical_when: Condition | None
    loses: Expression | None
    varying: Mapping[str, Floats]
    enabled: Mask | None
    proof_when: Condition | None
    proof_fails_when: Condition | None
    flags: frozenset[str]
    """Names in ``when`` that are flags; evidence tells them as true or false."""

    @property
    def names(self) -> frozenset[str]:
        """Everything that the rule speaks of."""
        texts = (self.when, self.clear_when, self.critical_when, self.loses)
        return frozenset(name for text in texts if text is not None for name in text.names)

    def column(self, layer: Layer) -> "View":
        """The layer's columns, and this rule's own thresholds among them."""
        return View(layer, self.varying)

    def holds(self, layer: Layer) -> Mask:
        """Where ``when`` is known to hold; guards and switches are not asked."""
        return self.when.evaluate(self.column(layer))

    def refuted(self, layer: Layer) -> Mask:
        """Where ``when`` is known not to hold."""
        return self.when.refute(self.column(layer))

    def clears(self, layer: Layer) -> Mask:
        """Where the condition to clear is known to hold."""
        return self.refuted(layer) if self.clear_when is None else self.clear_when.evaluate(self.column(layer))

    def stays(self, layer: Layer) -> Mask:
        """Where the condition to clear is known not to hold."""
        return self.holds(layer) if self.clear_when is None else self.clear_when.refute(self.column(layer))

    def critical(self, layer: Layer) -> Mask:
        """Where the severity is critical."""
        if self.critical_when is None:
            return np.zeros(len(layer), bool)
        return self.critical_when.evaluate(self.column(layer))

    def lost(self, layer: Layer) -> Floats:
        """What ``loses`` comes to, 0 where unknown; never less than 0."""
        if self.loses is None:
            return np.zeros(len(layer))
        found = np.broadcast_to(self.loses.evaluate(self.column(layer)), len(layer))
        return np.fmax(found, 0.0)

    def evidence(self, layer: Layer, rows: Sequence[int], condition: Condition | None = None) -> list[dict[str, Any]]:
        """The values and thresholds that fired, for each of the rows; of ``when`` unless another condition is given."""
        column = self.column(layer)
        found: list[dict[str, Any]] = [{} for _ in rows]
        for name in (condition or self.when).ordered:
            if name not in self.rule.thresholds:
                for told, value in zip(found, column(name)[rows].tolist(), strict=True):
                    told[name] = self._said(name, value)
        for name, number in self.rule.thresholds.items():
            own = self.varying.get(name)
            theirs = [number] * len(rows) if own is None else own[layer.slots[rows]].tolist()
            for told, value in zip(found, theirs, strict=True):
                told[name] = self._said(name, value)
        return found

    def _said(self, name: str, value: float) -> Any:
        """A value as people read it: words for states and bits, numbers with four digits that count."""
        if np.isnan(value):
            return None
        metric = self.kind.by_name.get(name)
        if name in self.flags:
            return bool(value)
        if metric is not None and metric.states:
            return metric.states[int(value)] if 0 <= value < len(metric.states) else int(value)
        if metric is not None and metric.bits:
            return [bit for place, bit in enumerate(metric.bits) if int(value) >> place & 1]
        return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class View:
    """A layer as one rule sees it: its own thresholds, shape ``(slots,)``, hide what else has their names."""

    layer: Layer
    varying: Mapping[str, Floats]

    def __call__(self, name: str) -> Floats:
        own = self.varying.get(name)
        return self.layer.column(name) if own is None else own[self.layer.slots]

    def part(self, rows: Slots) -> "View":
        """Of these rows alone."""
        return View(self.layer.part(rows), self.varying)


def compile_rule(rule: Rule, seam: Seam, estate: Estate) -> Compiled:
    """Check and compile a rule; ``RuleTextError`` or ``ConfigurationError`` says what is wrong with it."""
    kind = seam.kind
    overrides = [o for o in estate.overrides if o.rule == rule.name]
    varying = _varying(rule, overrides, estate, kind)
    table = table_of(seam, rule.per, rule.thresholds)
    fixed = {name: number for name, number in rule.thresholds.items() if name not in varying}
    wrong = [name for name in rule.guards if name not in table or table[name].form is not Form.FLAG]
    if wrong:
        raise ConfigurationError(f"rule {rule.name!r}: guards must be flags of {kind.name}, not {', '.join(wrong)}")

    def condition(text: str | None) -> Condition | None:
        return None if text is None else compile_condition(text, table, fixed)

    return Compiled(
        rule=rule,
        kind=kind,
        when=compile_condition(rule.when, table, fixed),
        clear_when=condition(rule.clear_when),
        critical_when=condition(rule.critical_when),
        proof_when=condition(rule.proof_when),
        proof_fails_when=condition(rule.proof_fails_when),
        loses=None if rule.loses is None else compile_number(rule.loses, table, Unit.WATT, fixed),
        varying=varying,
        enabled=_enabled(rule, overrides, estate, kind),
        flags=frozenset(name for name, symbol in table.items() if symbol.form is Form.FLAG),
    )


def table_of(seam: Seam, per: Per, thresholds: Iterable[str] = ()) -> dict[str, Symbol]:
    """Every name that a rule of this kind may use."""
    if per in {Per.DAY, Per.NIGHT}:
        return symbols(seam.kind, seam.day_inputs, thresholds, metrics=False)
    return symbols(seam.kind, seam.inputs, thresholds, metrics=per is Per.READING)


def _concerned(override: Override, estate: Estate, kind: Kind) -> Mask:
    """Which slots an override is about; never another municipality's."""
    members = estate.members[kind.name]
    own = members.municipality_id == override.municipality_id
    if override.asset_ids is None:
        return own
    return own & np.isin(members.asset_id, np.fromiter(override.asset_ids, np.int64, len(override.asset_ids)))


def _in_order(overrides: Iterable[Override]) -> list[Override]:
    """What is said of a municipality first, so that what is said of some of its assets holds for them."""
    return sorted(overrides, key=lambda override: override.asset_ids is not None)


def _varying(rule: Rule, overrides: Iterable[Override], estate: Estate, kind: Kind) -> dict[str, Floats]:
    varying: dict[str, Floats] = {}
    for override in _in_order(overrides):
        concerned = _concerned(override, estate, kind)
        for name, number in override.thresholds.items():
            if name in rule.thresholds and concerned.any():
                by_slot = varying.setdefault(name, np.full(len(concerned), float(rule.thresholds[name])))
                by_slot[concerned] = number
    return varying


def _enabled(rule: Rule, overrides: Iterable[Override], estate: Estate, kind: Kind) -> Mask | None:
    members = estate.members[kind.name]
    enabled = np.ones(len(members), bool)
    for override in _in_order(overrides):
        enabled[_concerned(override, estate, kind)] = override.enabled
    if rule.municipality_id is not None:
        enabled &= members.municipality_id == rule.municipality_id
    return None if enabled.all() else enabled
