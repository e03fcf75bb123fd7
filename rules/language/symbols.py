"""What names stand for: metrics, derived inputs, attributes and thresholds of a kind, with their units and forms."""

from collections.abc import Iterable
from dataclasses import dataclass

from kraj.attributes import ATTRIBUTES
from kraj.metrics import Kind, Metric, Type
from kraj.units import Unit
from rules.layer import Form, Input


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a name stands for.

    ``unit`` is ``Unit.NONE`` where any unit is taken. ``states`` are the words of a state metric, whose value is the
    word's position; ``bits`` name the bits of a flags metric, whose value is the mask. ``cost`` is what it
    takes to get it, in passes over an array: cheaper conditions are tried first.
    """

    unit: Unit = Unit.NONE
    form: Form = Form.NUMBER
    states: tuple[str, ...] = ()
    bits: tuple[str, ...] = ()
    cost: int = 0


def symbols(
    kind: Kind, inputs: Iterable[Input], thresholds: Iterable[str] = (), *, metrics: bool = True
) -> dict[str, Symbol]:
    """The table of a kind: its metrics, inputs and numeric attributes, and a rule's thresholds.

    ``metrics`` is False for rules by time, night and day: there is no reading then, so a metric would never be known.
    The first to have a name keeps it, in the order in which a ``Layer`` looks names up.
    """
    table = {metric.name: _of_metric(metric) for metric in kind.metrics} if metrics else {}
    for given in inputs:
        table.setdefault(given.name, Symbol(given.unit, given.form, cost=given.cost))
    for name in thresholds:
        table.setdefault(name, Symbol(unit_by_suffix(name)))
    for attribute in ATTRIBUTES.get(kind.name, ()):
        if not attribute.words:
            form = Form.FLAG if attribute.flag else Form.NUMBER
            table.setdefault(attribute.name, Symbol(attribute.unit, form))
    return table


def unit_by_suffix(name: str) -> Unit:
    """The unit that ends a name (``voltage_min_v`` is in volts); none: any unit."""
    return next((unit for unit in Unit if unit.suffix and name.endswith("_" + unit.suffix)), Unit.NONE)


def _of_metric(metric: Metric) -> Symbol:
    form = Form.FLAG if metric.type is Type.BOOLEAN else Form.NUMBER
    return Symbol(metric.unit, form, metric.states, metric.bits)
