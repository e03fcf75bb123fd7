"""What conditions see: one moment of many assets as named columns, each computed when it is first asked for.

A layer holds each asset at most once, so that everything about it is an array operation. Three kinds of moment are
laid out in the same way: readings (each in its own time), a tick of the clock (all assets, ``ts_ms`` is now), and a
night or day that is over (all assets; the columns are aggregates).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraj.errors import KrajError
from kraj.metrics import Kind, Title
from kraj.readings import Floats, Ints, Mask
from kraj.units import Unit
from rules.estate import Estate, Members, Slots
from rules.state import State


class UnknownNameError(KrajError):
    """A condition names what its kind does not have; checked when rules are compiled, so never met in a layer."""


class Form(Enum):
    """What a name stands for in the rule language."""

    NUMBER = "number"
    FLAG = "flag"
    """1 true, 0 false, NaN unknown."""


@dataclass(frozen=True, slots=True)
class Input:
    """A derived input of a kind: a column computed from a layer.

    ``compute`` gives an array of shape ``(n,)``, NaN where unknown; flags as 0 and 1. ``needs`` are the metrics and
    attributes without which it says nothing (an asset's page shows which rules lack what).
    """

    name: str
    unit: Unit
    title: Title
    compute: Callable[["Layer"], Floats]
    form: Form = Form.NUMBER
    needs: tuple[str, ...] = ()
    cost: int = 6
    """What it takes, in passes over a column, roughly; conditions on dear inputs are asked last."""


@dataclass
class Layer:
    """``n`` assets of one kind at one moment each.

    ``slots`` are unique; ``ts_ms`` Unix milliseconds; ``values`` has shape ``(metrics, n)`` with contiguous rows in
    the kind's order, NaN where unknown (empty on ticks); ``gap_s`` is the time since the asset's previous reading, NaN
    for its first. ``states`` are those of every kind, for what hangs together across kinds.
    """

    kind: Kind
    estate: Estate
    states: Mapping[str, State]
    slots: Slots
    ts_ms: Ints
    values: Floats
    gap_s: Floats
    now_ms: int
    inputs: Mapping[str, Input]
    attentive_ms: int = 0
    """``now_ms`` less all the time in which we ourselves were away: what silence is measured by."""
    columns: dict[str, Floats] = field(default_factory=dict[str, Floats])
    shared: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is the same for all layers of a step and costs much, by whoever computes it."""
    earlier: Callable[[str, int], Floats] | None = None
    """Of days: earlier values of an aggregate."""
    span: slice | None = None
    """``slots`` as a slice, where they follow one another."""
    whole: tuple["Layer", Slots] | None = None
    """Of a part: what it is a part of, and which rows."""

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def members(self) -> Members:
        return self.estate.members[self.kind.name]

    @property
    def state(self) -> State:
        return self.states[self.kind.name]

    def of(self, by_slot: NDArray[Any]) -> NDArray[Any]:
        """What an array over all slots says of these, shape ``(n, ...)``; may be a view of it: not to be written to."""
        return by_slot[self.slots] if self.span is None else by_slot[self.span]

    def column(self, name: str) -> Floats:
        """A metric, derived input or attribute by name, shape ``(n,)``; computed once a layer."""
        found = self.columns.get(name)
        if found is None:
            found = self.columns[name] = self._find(name)
        return found

    def flag(self, name: str) -> Mask:
        """A flag that is known to be true."""
        return self.column(name) == 1

    def remembered(self, name: str) -> Floats:
        """What ``state`` holds under this name, shape ``(n,)``; unknown where it holds nothing."""
        found = self.state.get(name)
        return same(np.nan, len(self)) if found is None else self.of(found).astype(np.float64)

    def past(self, name: str, days: int) -> Floats:
        """Of days: the aggregate's values of the ``days`` nights or days before, newest first, shape ``(days, n)``; NaN
        where unknown."""
        if self.whole is not None:
            return self.whole[0].past(name, days)[:, self.whole[1]]
        return np.full((days, len(self)), np.nan) if self.earlier is None else self.earlier(name, days)

    def part(self, rows: Slots) -> "Layer":
        """These rows alone; what the whole knows already is picked from it when asked for."""
        return replace(
            self,
            slots=self.slots[rows],
            ts_ms=self.ts_ms[rows],
            values=self.values[:, :0],
            gap_s=self.gap_s[rows],
            columns={},
            span=None,
            whole=(self, rows),
        )

    def _find(self, name: str) -> Floats:
        index = self.kind.positions.get(name)
        if self.whole is not None and (index is not None or name in self.whole[0].columns):
            return self.whole[0].column(name)[self.whole[1]]
        if index is not None:
            return self.values[index] if len(self.values) else same(np.nan, len(self))
        derived = self.inputs.get(name)
        if derived is not None:
            return derived.compute(self)
        if name in self.members.numbers:
            return self._attribute(name)
        raise UnknownNameError(f"{self.kind.name} has no {name!r}")

    def _attribute(self, name: str) -> Floats:
        """Many an attribute is the same for all assets, as nobody has given it: then none is looked up."""
        members, key = self.members, f"everywhere {name}"
        if key not in members.kept:
            values = members.numbers[name]
            members.kept[key] = values[0] if len(values) and (values == values[0]).all() else None
        everywhere = members.kept[key]
        return self.of(members.numbers[name]) if everywhere is None else same(everywhere, len(self))


def same(value: float, size: int) -> NDArray[Any]:
    """One value for all, shape ``(n,)``, kept once and not to be written to: an integer's stay integers."""
    dtype = np.int64 if isinstance(value, int) else np.float64
    out: NDArray[Any] = np.ndarray((size,), dtype, np.array(value, dtype), 0, (0,))
    out.flags.writeable = False
    return out
