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
    out = window.copy()
    closed = np.flatnonzero(now != window[:, NUMBER])
    if len(closed):
        total, weighed = window[closed, TOTAL], window[closed, WEIGHT]
        told = (weighed > 0) & ~(gap_s[closed] > STALE_S)
        opened = np.zeros((len(closed), 4))
        opened[:, NUMBER] = now[closed]
        np.divide(total, weighed, out=opened[:, MEAN], where=told)
        if len(closed) == len(out):  # as often: readings of one batch come close together
            out = opened
        else:
            out[closed] = opened
    interrupted = ~(voltage_v >= INTERRUPTED_V)  # or unknown
    weight = np.fmax(gap_s, WEIGHT_S[0])
    np.fmin(weight, WEIGHT_S[1], out=weight)
    weighs = voltage_v * weight
    np.copyto(weight, 0.0, where=interrupted)
    np.copyto(weighs, 0.0, where=interrupted)
    out[:, TOTAL] += weighs
    out[:, WEIGHT] += weight
    return out


def track(layer: Layer, name: str, voltage_v: Floats) -> None:
    """Move the windows of this name on by the layer's readings."""
    state = layer.state
    before = state.array(name, fill=0.0, shape=(4,)).take(layer.slots, axis=0)
    window = layer.columns[name] = step(before, layer.ts_ms, layer.gap_s, voltage_v)
    state.put(name, layer.slots, window, before)


def mean_v(layer: Layer, name: str) -> Floats:
    """The mean of the last whole ten minutes; NaN where there is none."""
    window = layer.columns.get(name)
    mean = layer.state.array(name, fill=0.0, shape=(4,))[layer.slots, MEAN] if window is None else window[:, MEAN]
    return np.where(mean > 0, mean, np.nan)
