"""When a lamp was switched last, from which level and power, and which of its starts nobody had asked for.

Most readings change nothing: what is compared for all is little, and the rest is done for those that do change.
"""

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.estate import Slots
from rules.layer import Layer
from rules.lighting import circuit
from rules.lighting.power import OUT_W
from rules.state import State
from rules.timers import TIMED_SHARE

SETTLE_S = 600.0 * TIMED_SHARE
"""A real cabinet takes six minutes to reach its power, and ten until the last per cent (lighting.md, guards)."""
SEEN = ("level_commanded_pct", "level_effective_pct", "lamp_starts", "supply_losses")
LEVEL, EFFECTIVE, STARTS, LOSSES = range(4)
LEVEL_POINTS = 0.5
RAMP_POINTS = 2.0
"""An effective level that moves by more is on its way."""
BURNS_SHARE = 0.1
"""Of the rated power; a lamp that takes less did not light up when it started."""
MISSED_HEARTBEATS = 1.5
"""After a longer gap a report is missing."""
COUNTED_GAP_S = 6 * 3600.0
"""Starts over a longer gap may have been any number of ordinary ones."""
STARTS_MAX_PER_S = 0.1
"""More is a counter that was set anew."""
NEVER = 0


def track(layer: Layer) -> None:
    """Move ``switched_ms``, ``kindled_ms``, ``level_before_pct``, ``power_before_w``, ``unexpected_total`` and
    ``unexpected_ms`` on."""
    state, slots = layer.state, layer.slots
    returned = circuit.note_supply(layer, layer.column("voltage_v"))
    before = state.array("seen", shape=(len(SEEN),)).take(slots, axis=0)
    columns = [layer.column(name) for name in SEEN]
    changed = returned
    for place, column in enumerate(columns):
        changed = changed | (before[:, place] != column)
    rows = np.flatnonzero(changed)
    if len(rows):
        _changed(layer.part(rows), before[rows], np.stack([c[rows] for c in columns], axis=1), returned[rows])


def since_s(state: State, slots: Slots, ts_ms: Ints, uptime_s: Floats) -> Floats:
    """Time since the last switching, ramp, start or return of power; NaN for an asset never seen."""
    return _since(state.array("switched_ms", dtype=np.int64, fill=NEVER)[slots], ts_ms, uptime_s)


def since_kindled_s(state: State, slots: Slots, ts_ms: Ints, uptime_s: Floats) -> Floats:
    """The same without steps and ramps from one light to another: those leave a warm lamp warm."""
    kindled = state.array("kindled_ms", dtype=np.int64, fill=NEVER)[slots]
    switched = state.array("switched_ms", dtype=np.int64, fill=NEVER)[slots]
    return _since(np.where(kindled == NEVER, switched, kindled), ts_ms, uptime_s)


def settled(since_s: Floats) -> Floats:
    """1 where it has lasted, 0 where it has not, NaN where that is unknown."""
    return np.where(np.isnan(since_s), np.nan, since_s >= SETTLE_S)


def _since(moment: Ints, ts_ms: Ints, uptime_s: Floats) -> Floats:
    return np.fmin(np.where(moment == NEVER, np.nan, (ts_ms - moment) / 1000), uptime_s)


def _changed(layer: Layer, before: Floats, now: Floats, returned: Mask) -> None:
    """Of readings in which something was seen for the first time or has changed; both of shape ``(n, 4)``."""
    state, slots = layer.state, layer.slots
    moved = np.abs(now - before)
    first = np.isnan(before) & ~np.isnan(now)
    if not (first.any() or returned.any() or (moved > 0).any()):
        return  # only what is never known
    power = layer.column("power_w")
    burns = power >= np.maximum(OUT_W, BURNS_SHARE * layer.column("power_rated_w"))
    level_moved = first[:, LEVEL] | (moved[:, LEVEL] > LEVEL_POINTS)
    # Dark before and after a report that is missing, it may have burned in between.
    unseen = layer.gap_s > MISSED_HEARTBEATS * layer.column("heartbeat_s")
    started = (now[:, STARTS] > before[:, STARTS]) & (burns | unseen)
    fed_again = returned | (now[:, LOSSES] > before[:, LOSSES])
    kindled = started | fed_again | (level_moved & ~((before[:, LEVEL] > 0) & (now[:, LEVEL] > 0)))
    switched = level_moved | (moved[:, EFFECTIVE] > RAMP_POINTS) | kindled
    _put_switched(layer, switched, level_moved, before[:, LEVEL])
    state.array("kindled_ms", dtype=np.int64, fill=NEVER)
    state.put("kindled_ms", slots[kindled], layer.ts_ms[kindled])
    _count_starts(layer, before, now)
    state.put("seen", slots, np.where(np.isnan(now), before, now), before)


def _put_switched(layer: Layer, switched: Mask, level_moved: Mask, level_before: Floats) -> None:
    state = layer.state
    state.array("switched_ms", dtype=np.int64, fill=NEVER)
    state.put("switched_ms", layer.slots[switched], layer.ts_ms[switched])
    if level_moved.any():
        where = layer.slots[level_moved]
        state.array("level_before_pct")
        state.put("level_before_pct", where, level_before[level_moved])
        state.array("power_before_w")
        state.put("power_before_w", where, state.array("power_last_w")[where])


def _count_starts(layer: Layer, before: Floats, now: Floats) -> None:
    """Starts beyond those that a level or a return of power asked for, while the lamp was to be lit and had voltage.

    A lamp whose counter falls has new gear (a fall by one is a hiccup).
    """
    state = layer.state
    more = now[:, STARTS] - before[:, STARTS]
    lost = np.nan_to_num(np.maximum(now[:, LOSSES] - before[:, LOSSES], 0))
    restarted = (lost == 0) & (layer.column("uptime_s") < layer.gap_s)
    asked = lost + restarted + ((before[:, LEVEL] == 0) & (now[:, LEVEL] > 0))
    lit = (before[:, LEVEL] >= 0) & ((now[:, LEVEL] > 0) | (before[:, LEVEL] > 0))
    fed = layer.column("voltage_v") >= circuit.LIVE_V
    counted = (layer.gap_s <= COUNTED_GAP_S) & (more <= STARTS_MAX_PER_S * layer.gap_s)
    surplus = np.where(lit & fed & counted, more - asked, 0.0)
    rows = np.flatnonzero(surplus > 0)
    if len(rows):
        where = layer.slots[rows]
        # A counter from 1 on: 0 is what a counter says that has lost its memory.
        total = state.array("unexpected_total", fill=1.0)[where]
        state.put("unexpected_total", where, total + surplus[rows], total)
        state.array("unexpected_ms", dtype=np.int64, fill=NEVER)
        state.put("unexpected_ms", where, layer.ts_ms[rows])
    new = np.flatnonzero(more < -1)
    if len(new):
        state.array("lamp_replaced", fill=0.0)
        state.put("lamp_replaced", layer.slots[new], 1.0)
