"""What an alert says to people: the texts of its rule or cause, filled with its evidence, in their language."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from api import formats
from api.texts import Catalogue
from kraj.attributes import ATTRIBUTES, Attribute
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.service_requests import REPORT_RULE
from kraj.store import queries
from kraj.units import Unit
from rules import catalogue
from rules.correlation import causes
from rules.correlation.causes import Cause
from rules.inputs import of_kind
from rules.language import unit_by_suffix
from rules.rule import Rule
from rules.wording import filled

FAILED = "rule_failed"
"""The alert about a rule that was switched off because it failed."""
BREAK_GLASS = "break_glass"
"""The alert about a sign-in by the account for emergencies."""
HIDDEN_EVIDENCE = frozenset({"assets", "name", "service_code", "report_cs", "report_en", "report_place"})
"""Told elsewhere: the children, the place."""


@dataclass(frozen=True, slots=True)
class Told:
    """An alert in words; ``bring`` is None where nothing is known."""

    title: str
    symptom: str
    bring: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A value of the evidence, for people: ``now`` where the newest reading has it."""

    name: str
    title: str
    then: str
    now: str
    unit: str


class Teller:
    """Every rule and cause that the project brings; reads the catalogue once, when first asked.

    ``own`` are rules of municipalities besides.
    """

    def __init__(self, own: Mapping[str, Rule] | None = None) -> None:
        self.own: Mapping[str, Rule] = own or {}

    def with_own(self, own: Mapping[str, Rule]) -> "Teller":
        """The same for somebody who sees these rules of municipalities."""
        teller = Teller(own)
        teller.__dict__ |= {"rules": self.rules, "causes": self.causes}
        return teller

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in catalogue.load()}

    @cached_property
    def causes(self) -> Mapping[str, Cause]:
        return {cause.name: cause for cause in causes.load()}

    def tell(self, row: queries.AlertRow, say: Catalogue) -> Told:
        """The texts of an alert; a rule of another version, or one that is not to be seen, is told by its name."""
        values = _values(row, say)
        place = self.place(row, say)
        known = self.rules.get(row.rule) or self.causes.get(row.rule) or self.own.get(row.rule)
        if known is None:
            key = {FAILED: "alerts.failed", BREAK_GLASS: "alerts.break_glass", REPORT_RULE: "alerts.report"}.get(
                row.rule, "alerts.own"
            )
            said = {name: row.evidence.get(name, "") for name in ("error", "account", "address")}
            said["service"] = row.evidence.get(f"report_{say.language}", "")
            title = say(f"{key}_title", rule=row.evidence.get("rule", row.rule), **said)
            return Told(title, say(f"{key}_symptom", **said), None, place)

        def words(title: Title) -> str:
            return filled(getattr(title, say.language), values)

        bring = words(known.bring) if known.bring is not None else None
        return Told(words(known.title), words(known.symptom), bring, place)

    def place(self, row: queries.AlertRow, say: Catalogue) -> str:
        """Where: the label of an asset, or the name of the group."""
        if row.scope_type == "asset":
            return row.label or say("alerts.scope_asset", name=row.scope_name)
        if row.scope_type == "report":
            return str(row.evidence.get("report_place") or say("alerts.scope_report", name=row.scope_name))
        return say(f"alerts.scope_{row.scope_type}", name=row.scope_name)


def titles(kind: str) -> Mapping[str, tuple[Title, Unit]]:
    """What each name of a kind means: metrics, derived inputs, aggregates and attributes."""
    seam = of_kind(kind)
    found: dict[str, tuple[Title, Unit]] = {}
    for attribute in ATTRIBUTES.get(kind, ()):
        found[attribute.name] = attribute.title, attribute.unit
    for given in (*seam.day_inputs, *seam.inputs):
        found[given.name] = given.title, given.unit
    for metric in KINDS[kind].metrics:
        found[metric.name] = metric.title, metric.unit
    return found


def figures(row: queries.AlertRow, newest: Mapping[str, queries.Value], say: Catalogue) -> list[Figure]:
    """The evidence with what the same metrics say now; besides, what a crew asks first of a lamp."""
    known = titles(row.kind) if row.kind is not None and row.kind in KINDS else NOTHING
    names = [name for name in row.evidence if name not in HIDDEN_EVIDENCE]
    names += [name for name in FIRST.get(row.kind or "", ()) if name in newest and name not in names]
    found: list[Figure] = []
    for name in names:
        title, unit = known.get(name, (None, unit_by_suffix(name)))
        then, now = row.evidence.get(name), newest.get(name)
        if isinstance(then, dict):
            continue
        words = say.texts.get(f"evidence.{name}") if title is None else str(getattr(title, say.language))
        if words is None:  # a threshold of the rule, which its own page names
            continue
        told, is_now = ("–" if value is None else shown(value, say) for value in (then, now))
        found.append(Figure(name, words, told, is_now, unit.symbol))
    return found


NOTHING: Mapping[str, tuple[Title, Unit]] = {}
FIRST = {
    "lamp": ("power_w", "voltage_v", "level_commanded_pct", "failure_flags"),
    "cabinet": ("power_w", "l1_voltage_v", "l2_voltage_v", "l3_voltage_v"),
    "stop": ("battery_soc_pct", "pv_power_w"),
    "solar": ("power_w", "dc_power_w"),
}
"""By kind, what the work order shows whatever the rule was."""


def attributes(row: queries.AlertRow) -> list[tuple[Attribute, Any]]:
    """What is registered of the asset to go to: feeder, cabinet, phase, driver, lamp …"""
    given = row.metadata or {}
    declared = ATTRIBUTES.get(row.kind or "", ())
    return [(attribute, given[attribute.name]) for attribute in declared if attribute.name in given]


def registered(attribute: Attribute, value: Any, say: Catalogue) -> tuple[str, str]:
    """What is registered and its unit, as people say them: flags are yes or no, long times hours."""
    if attribute.flag:
        return say("yes_no.yes" if value else "yes_no.no"), ""
    if not isinstance(value, int | float):
        return str(value), ""
    if attribute.unit is Unit.SECOND and value >= LONG_S:
        return formats.number(value / 3600, say.language), "h"
    return formats.number(value, say.language), "" if attribute.unit is Unit.COUNT else attribute.unit.symbol


LONG_S = 7200
ASKED_FIRST = {
    "lamp": ("cabinet", "feeder", "phase", "road_class", "access", "driver_model", "lamp_model", "warranty_until"),
    "cabinet": ("supply_area", "road_class", "access", "warranty_until"),
    "stop": ("road_class", "access", "warranty_until"),
    "solar": ("site", "access", "warranty_until"),
}
"""By kind, what a crew asks of a place: where it is not known, the work order says so."""


def attributes_lacking(row: queries.AlertRow) -> list[Attribute]:
    """What a crew would ask and nobody has registered."""
    given = row.metadata or {}
    asked = ASKED_FIRST.get(row.kind or "", ())
    return [one for one in ATTRIBUTES.get(row.kind or "", ()) if one.name in asked and one.name not in given]


def shown(value: Any, say: Catalogue) -> str:
    """A value as people write it in their language."""
    if isinstance(value, bool):
        return say("yes_no.yes" if value else "yes_no.no")
    if isinstance(value, int | float):
        return formats.number(value, say.language)
    if isinstance(value, list | tuple):
        return ", ".join(shown(part, say) for part in value) or "–"  # pyright: ignore[reportUnknownVariableType]
    return say.word(str(value))


def _values(row: queries.AlertRow, say: Catalogue) -> dict[str, Any]:
    """What texts may name. A text that nobody has registered is said to be unknown, a number stays ``?``."""
    values: dict[str, Any] = {"label": row.label, "name": row.scope_name}
    for attribute in ATTRIBUTES.get(row.kind or "", ()):
        if attribute.words:
            values[attribute.name] = say("alerts.type_unknown")
        elif attribute.default is not None:
            values[attribute.name] = formats.number(attribute.default, say.language)
    for name, value in {**(row.metadata or {}), **row.evidence}.items():
        values[name] = value if value is None or isinstance(value, str | dict) else shown(value, say)
    return values
