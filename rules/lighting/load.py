"""What a cabinet usually carries at this hour of the night, learnt for each half hour of the clock on the wall."""

import numpy as np

from kraj.readings import Floats, Mask
from rules.estate import Slots
from rules.layer import Layer
from rules.lighting.circuit import DARK_DEG

BINS = 48
BIN_MIN = 30.0
WITHIN = np.array([0, -3, -2, -1, 1, 2, 3])
"""Half hours that count with this one. In one with a step of the program the first load of it lasts, so that the least
of an hour needs one more."""
LEAST_W = 100.0
"""Less is the cabinet's own consumption and no light."""
NEAR_SHARE = 0.15
LEARN_S, LEARN_FAR_S = 3 * 3600.0, 30 * 3600.0
"""Time in a half hour until a new load is believed: six nights where it is near, sixty where it is not, so that no
outage becomes usual."""
GAP_MAX_S = 1800.0
FIRST_SHARE = 0.25
"""Of the rated power: what a closed contactor lets through at least where no night is known yet; dimmed lamps."""


def usual_w(layer: Layer) -> Floats:
    """What the cabinet carries by night in this half hour, the least within an hour of it: programs move with the sun,
    at weekends and with summer time. Unknown by day and where there is usually no light; on the first night, while the
    contactor is closed, a quarter of the rated power."""
    known = layer.state.array("usual_load_w", dtype=np.float32, shape=(BINS,))
    hour = _bin(layer)
    near = known[layer.slots[:, None], (hour[:, None] + WITHIN) % BINS].astype(np.float64)
    first = np.where(layer.column("contactor_closed") == 1, FIRST_SHARE * layer.column("power_rated_w"), np.nan)
    usual = np.where(np.isnan(near[:, 0]), first, np.fmin.reduce(near, axis=1))
    return np.where((layer.column("sun_elevation_deg") < DARK_DEG) & (usual >= LEAST_W), usual, np.nan)


def refresh(layer: Layer) -> None:
    """Keep in the state ``lit_by_habit`` whether the lamps usually burn at this hour of the night."""
    burns = ~np.isnan(usual_w(layer))
    before = layer.state.array("lit_by_habit", fill=0.0)
    changed = np.flatnonzero(burns != before)
    if len(changed):
        layer.state.put("lit_by_habit", changed, burns[changed].astype(np.float64))


def track(layer: Layer, ordinary: Mask) -> None:
    """Learn from the readings by night for which ``ordinary`` holds: settled, with supply, not switched by hand."""
    state = layer.state
    rated = state.array("usual_rated_w")
    usual = state.array("usual_load_w", dtype=np.float32, shape=(BINS,))
    now = layer.column("power_rated_w")
    other = np.flatnonzero((rated[layer.slots] != now) & ~np.isnan(now))
    if len(other):
        # The registry has changed: these are other lamps.
        state.put("usual_load_w", layer.slots[other], np.nan)
        state.put("usual_rated_w", layer.slots[other], now[other])
    power = layer.column("power_w")
    rows = np.flatnonzero(ordinary & (layer.column("sun_elevation_deg") < DARK_DEG) & ~np.isnan(power))
    if not len(rows):
        return
    where: tuple[Slots, Slots] = layer.slots[rows], _bin(layer)[rows]
    before = usual[where].astype(np.float64)
    gap = np.fmin(layer.gap_s[rows], GAP_MAX_S)
    near = np.abs(power[rows] - before) <= NEAR_SHARE * before
    share = np.where(near, gap / LEARN_S, gap / LEARN_FAR_S)
    learnt = np.where(np.isnan(before), power[rows], before + np.nan_to_num(share) * (power[rows] - before))
    state.put("usual_load_w", where, learnt.astype(np.float32))


def _bin(layer: Layer) -> Slots:
    return (layer.column("local_minute") / BIN_MIN).astype(np.intp) % BINS
