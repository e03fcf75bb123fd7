"""Whether a lamp goes along with the level it is given; columns of a layer, shape ``(n,)``, in points of per cent."""

import numpy as np

from kraj.readings import Floats
from rules.layer import Layer
from rules.lighting import learning

POINTS = 10.0
STUCK_SHARE, STUCK_W = 0.05, 2.0
"""Power that has moved by less has not moved: twice the error of a meter within a driver."""


def power_off_points(layer: Layer) -> Floats:
    """How far power is from the expected, in points of the full power."""
    return 100 * np.abs(layer.column("power_w") - layer.column("expected_power_w")) / learning.full_w(layer)


def level_off_points(layer: Layer) -> Floats:
    """How far the effective or measured level is from the commanded; 0 where neither is told: only power speaks."""
    commanded = layer.column("level_commanded_pct")
    effective = np.abs(layer.column("level_effective_pct") - commanded)
    measured = np.abs(layer.column("level_measured_pct") - commanded)
    return np.nan_to_num(np.fmax(effective, measured))


def power_stuck_points(layer: Layer) -> Floats:
    """How far off power is, where it is another level's: that before the last switching, or full; else 0.

    What deviates at every level is no question of dimming (power_deviation). A lamp that takes too much may come near
    its full power by chance: that counts only where no driver says that it goes along.
    """
    off = layer.column("power_off_points")
    out = np.zeros(len(layer))
    rows = np.flatnonzero(off > POINTS)
    if len(rows):
        part = layer.part(rows)
        power, full = part.column("power_w"), learning.full_w(part)
        level_before, power_before, step = _last_step(part, full)
        still = np.abs(power - power_before) <= np.maximum(STUCK_W, STUCK_SHARE * power)
        still &= (level_before > 0) & (np.abs(step) > POINTS)
        silent = np.isnan(part.column("level_effective_pct")) & np.isnan(part.column("level_measured_pct"))
        out[rows] = np.where(still | (silent & (np.abs(power - full) <= STUCK_SHARE * full)), off[rows], 0.0)
    return out


def follows_dimming(layer: Layer) -> Floats:
    """1 where a lit lamp was given another level by more than ten points and power has gone along, else 0."""
    full = learning.full_w(layer)
    level_before, power_before, step = _last_step(layer, full)
    went = 100 * (layer.column("power_w") - power_before) / full
    there = (layer.column("power_off_points") <= POINTS) & (layer.column("level_off_points") <= POINTS)
    lit = (level_before > 0) & (layer.column("level_commanded_pct") > 0)
    return (lit & (np.abs(step) > POINTS) & (went / step >= 0.5) & there).astype(np.float64)


def _last_step(layer: Layer, full: Floats) -> tuple[Floats, Floats, Floats]:
    """The level and power before the last switching, and how far power ought to have gone since, in points; NaN where
    that is nothing or unknown."""
    level = layer.state.array("level_before_pct")[layer.slots]
    step = 100 * (layer.column("expected_power_w") - learning.expected(layer, level)) / full
    return level, layer.state.array("power_before_w")[layer.slots], np.where(step == 0, np.nan, step)
