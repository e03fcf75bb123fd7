"""What the rules of a kind may speak of besides its metrics and attributes, and where each kind's part is found.

A kind's module (``rules/inputs/<kind>.py``) declares any of:

``INPUTS: tuple[Input, ...]``
    derived columns, computed when a rule first asks for them. **Row by row**: the engine cuts readings into pieces of
    any size and asks again for a few rows of a piece, so a row's value must not depend on which other rows are there.
    What looks at neighbours reads their ``State`` (all slots), not the layer.
``track(layer) -> None``
    called once for each layer of readings before any rule sees it. Moves on what has memory (time since switching, last
    level): reads ``layer.state.array(name)[layer.slots]``, writes ``layer.state.put(name, layer.slots, values)``, and
    puts what rules shall see into ``layer.columns[name]``; such a name is declared among INPUTS with
    ``compute=tracked(name)``. Never called on ticks, days or nights. It must not keep anything outside ``State``.
``refresh(layer) -> None``
    called about every two minutes with a layer of *all* slots in order, metrics unknown, before rules per time are
    judged. The place for medians over peers and the like, which ``put`` their result for ``track`` and INPUTS.
``active(layer) -> Mask``
    whether the asset is lit, producing or in service at this reading, so that ``Kind.heartbeat_s`` holds until the
    next one, else ``heartbeat_idle_s``. Without it, the longer one holds always.
``DAILY: tuple[Daily, ...]``
    aggregates over each night (noon to noon by the sun) and day (midnight to midnight) of the kind; kept for those
    of the two that some rule of the kind is judged on.
``DAY_INPUTS: tuple[Input, ...]``
    derived columns of a layer of days: all slots in order, ``ts_ms`` the night's or day's end, columns by the names
    of DAILY, ``coverage`` and ``covered_h``; ``layer.past(name, n)`` gives the days before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any, Literal

import numpy as np

from kraj.kinds import KINDS
from kraj.metrics import Kind, Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.layer import Input, Layer

How = Literal["mean", "integral", "increase", "max", "min", "count", "share"]
PAST_DAYS_MAX = 90


@dataclass(frozen=True, slots=True)
class Daily:
    """An aggregate of each night or day: ``how`` over ``value`` of the readings for which ``when`` holds.

    A reading counts until the next one, if that comes within three heartbeats (devices send when something changes, so
    what they sent last holds). ``mean``: weighted by that time. ``integral``: value · hours (of watts: Wh).
    ``share``: of the time for which value is known, that in which it is true (a flag). ``increase``: of a counter,
    over gaps of any length; 0, NaN, a fall and an absurd step (more than ``increase_max_per_h``) are not believed.
    ``max``, ``min``: of readings; ``count``: of readings for which value is true. NaN where nothing was known.

    ``past`` is how many earlier nights or days ``Layer.past`` can give.
    """

    name: str
    unit: Unit
    title: Title
    how: How
    value: Callable[[Layer], Floats]
    when: Callable[[Layer], Mask] | None = None
    past: int = 0
    increase_max_per_h: Callable[[Layer], Floats] | None = None


@dataclass(frozen=True, kw_only=True)
class Seam:
    """Everything that the engine asks of a kind, health included; see the module."""

    kind: Kind
    inputs: tuple[Input, ...]
    track: Callable[[Layer], None] | None = None
    refresh: Callable[[Layer], None] | None = None
    active: Callable[[Layer], Mask] | None = None
    daily: tuple[Daily, ...] = ()
    day_inputs: tuple[Input, ...] = ()
    """The aggregates' names among them."""

    @cached_property
    def by_name(self) -> dict[str, Input]:
        return {given.name: given for given in self.inputs}

    @cached_property
    def day_by_name(self) -> dict[str, Input]:
        return {given.name: given for given in self.day_inputs}


def unknown(layer: Layer) -> Floats:
    """The ``compute`` of what is only ever put into ``layer.columns``."""
    return np.full(len(layer), np.nan)


def tracked(name: str) -> Callable[[Layer], Floats]:
    """The ``compute`` of an input that ``track`` puts into ``layer.columns``; on ticks, what ``State`` holds under the
    same name, if anything: unknown otherwise."""

    def compute(layer: Layer) -> Floats:
        return layer.remembered(name)

    return compute


@cache
def of_kind(name: str) -> Seam:
    """What the kind's module declares, with what every kind has."""
    module: Any = import_module(f"rules.inputs.{name}")
    return seam(
        KINDS[name],
        inputs=getattr(module, "INPUTS", ()),
        track=getattr(module, "track", None),
        refresh=getattr(module, "refresh", None),
        active=getattr(module, "active", None),
        daily=getattr(module, "DAILY", ()),
        day_inputs=getattr(module, "DAY_INPUTS", ()),
    )


def seam(
    kind: Kind,
    *,
    inputs: tuple[Input, ...] = (),
    track: Callable[[Layer], None] | None = None,
    refresh: Callable[[Layer], None] | None = None,
    active: Callable[[Layer], Mask] | None = None,
    daily: tuple[Daily, ...] = (),
    day_inputs: tuple[Input, ...] = (),
) -> Seam:
    """A kind's own with what every kind has."""
    from rules.inputs import health

    return Seam(
        kind=kind,
        inputs=(*health.INPUTS, *inputs),
        track=track,
        refresh=refresh,
        active=active,
        daily=daily,
        day_inputs=(*map(_as_input, daily), *health.DAY_INPUTS, *day_inputs),
    )


def _as_input(daily: Daily) -> Input:
    """The engine has put the aggregate into the columns of a layer of days."""
    return Input(daily.name, daily.unit, daily.title, unknown)
