"""Ten-minute means of a voltage, on the clock's ten minutes as EN 50160 judges them, from readings as they come."""

import numpy as np

from kraj.readings import Floats, Ints
from rules.layer import Layer

WINDOW_MS = 600_000
WEIGHT_S = (1.0, 600.0)
"""What a reading weighs: the time since the one before, within these."""
INTERRUPTED_V = 50.0
"""Below, the supply is interrupted, which is no question of its voltage: EN 50160 says 5 % of 230 V, but a dead line
beside a live one carries some tens of volts."""
STALE_S = 3 * 3600.0
"""A mean older than this says nothing of now."""
NUMBER, TOTAL, WEIGHT, MEAN = range(4)
"""Fields of a window: its number (0: none yet), the sum of voltage times weight, the sum of weights, and the mean of
the last whole window (0: none)."""


def step(window: Floats, ts_ms: Ints, gap_s: Floats, voltage_v: Floats) -> Floats:
    """The windows (shape ``(n, 4)``) after one more reading each; unknown voltages weigh nothing.

    A reading in another window closes the one before, whose mean then stands in the last field.
    """
    now = (ts_ms // WINDOW_MS).astype(np.float64)
    same = now == window[:, NUMBER]
    counts = voltage_v >= INTERRUPTED_V  # False where unknown
    weight = np.where(counts, np.fmin(np.fmax(gap_s, WEIGHT_S[0]), WEIGHT_S[1]), 0.0)
    out = np.empty_like(window)
    out[:, NUMBER] = now
    out[:, TOTAL] = window[:, TOTAL] * same + np.where(counts, voltage_v, 0.0) * weight
    out[:, WEIGHT] = window[:, WEIGHT] * same + weight
    out[:, MEAN] = window[:, MEAN]
    closed = np.flatnonzero(~same)
    if len(closed):
        total, weighed = window[closed, TOTAL], window[closed, WEIGHT]
        told = (weighed > 0) & ~(gap_s[closed] > STALE_S)
        out[closed, MEAN] = np.divide(total, weighed, out=np.zeros(len(closed)), where=told)
    return out


def track(layer: Layer, name: str, voltage_v: Floats) -> None:
    """Move the windows of this name on by the layer's readings."""
    state = layer.state
    before = state.array(name, fill=0.0, shape=(4,)).take(layer.slots, axis=0)
    state.put(name, layer.slots, step(before, layer.ts_ms, layer.gap_s, voltage_v), before)


def mean_v(layer: Layer, name: str) -> Floats:
    """The mean of the last whole ten minutes; NaN where there is none."""
    mean = layer.state.array(name, fill=0.0, shape=(4,))[layer.slots, MEAN]
    return np.where(mean > 0, mean, np.nan)
