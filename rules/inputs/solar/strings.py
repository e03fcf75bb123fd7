"""Strings against each other: which carries the least of what its siblings in the same plane carry."""

import numpy as np

from kraj.kinds.solar import STRINGS
from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.estate import Members, Slots
from rules.inputs import tracked
from rules.inputs.solar.output import smooth
from rules.inputs.solar.rings import median
from rules.layer import Input, Layer

ARRAY = "solar_strings"
CURRENTS = tuple(f"string{n}_current_a" for n in STRINGS)
LIGHT_A = 1.0
"""The median below which strings are not compared (solar.md)."""
SUSPECT = 0.5
"""A string above this share of the strongest is above it among its siblings, too: no need to look closer."""


def track(layer: Layer) -> None:
    """Means over about ten minutes (instantaneous currents differ by 20 % under broken clouds), and the weakest."""
    state, slots = layer.state, layer.slots
    before = state.array(ARRAY, shape=(len(CURRENTS),)).take(slots, axis=0)
    now = np.stack([layer.column(name) for name in CURRENTS], axis=1)
    mean = smooth(before, now, layer.gap_s[:, None])
    state.put(ARRAY, slots, mean, before)

    worst, number = np.full(len(layer), np.nan), np.full(len(layer), np.nan)
    strongest, weakest = np.fmax.reduce(mean, axis=1), np.fmin.reduce(mean, axis=1)
    lit = strongest > LIGHT_A
    several = lit & (np.count_nonzero(~np.isnan(mean), axis=1) > 1)
    worst[several] = 100 * weakest[several] / strongest[several]
    rows = np.flatnonzero(several & ~(weakest > SUSPECT * strongest))
    if len(rows):
        worst[rows], number[rows] = _weakest(layer.members, slots[rows], mean[rows])
    layer.columns["string_worst_pct"], layer.columns["string_worst"] = worst, number


def _weakest(members: Members, slots: Slots, mean: Floats) -> tuple[Floats, Floats]:
    """The least share in % of the median of the other strings in its plane, per module, and which string has it; NaN
    where no string has a sibling that carries ``LIGHT_A``."""
    modules, plane = (
        _of_strings(members, "modules").take(slots, axis=0),
        _of_strings(members, "plane").take(slots, axis=0),
    )
    told = ~np.isnan(modules) | np.isnan(mean)
    modules = np.where(np.all(told, axis=1, keepdims=True), modules, 1.0)
    per_module = mean / modules
    share = np.full(mean.shape, np.nan)
    for string in range(mean.shape[1]):
        beside = np.equal(plane, plane[:, string : string + 1])
        beside[:, string] = False
        theirs = median(np.where(beside, per_module, np.nan))
        enough = theirs * modules[:, string] > LIGHT_A
        share[enough, string] = 100 * per_module[enough, string] / theirs[enough]
    known = ~np.isnan(share).all(axis=1)
    worst, number = np.full(len(slots), np.nan), np.full(len(slots), np.nan)
    at = np.nanargmin(share[known], axis=1)
    worst[known] = share[known, at]
    number[known] = at + 1
    return worst, number


def _of_strings(members: Members, what: str) -> Floats:
    """An attribute of every string, shape ``(slots, strings)``; kept with the estate."""
    key = f"string {what}"
    if key not in members.kept:
        members.kept[key] = np.stack([members.numbers[f"string{n}_{what}"] for n in STRINGS], axis=1)
    return members.kept[key]


INPUTS = (
    Input(
        "string_worst_pct",
        Unit.PERCENT,
        Title(cs="Nejslabší string proti ostatním v téže rovině", en="Weakest string against the others of its plane"),
        tracked("string_worst_pct"),
        needs=CURRENTS[:2],
    ),
    Input(
        "string_worst",
        Unit.NONE,
        Title(cs="Číslo nejslabšího stringu", en="Number of the weakest string"),
        tracked("string_worst"),
        needs=CURRENTS[:2],
    ),
)
