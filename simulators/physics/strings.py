"""Current and voltage of each string of a roof."""

import numpy as np

from simulators.physics import inverter
from simulators.physics.frame import Columns, Floats, Ints, Mask, Rows, noise
from simulators.physics.panels import Shine
from simulators.physics.roofs import STRINGS_MAX, Roofs
from simulators.physics.traces import traces
from simulators.physics.wander import wander

CLOUD_EDGE = 0.14
"""How far strings differ for a moment while edges of clouds cross the roof …"""
CLOUD_HOUR, CLOUD_HOUR_MS = 0.04, 3_600_000
"""… and what is left of that within an hour: 0.04 to 0.08 where healthy strings were compared."""
CURRENT_NOISE, CURRENT_NOISE_A, VOLTAGE_NOISE_V = 0.004, 0.008, 1.2
LEAK_V = 2.5
"""At an open input."""
WHAT_EDGE, WHAT_HOUR, WHAT_METER = 251, 252, 253


def string_columns(  # noqa: PLR0917 - who and when, then the moment's light, warmth and power
    roofs: Roofs,
    rows: Rows,
    ts_ms: Ints,
    seed: int,
    shine: Shine,
    cells_degc: Floats,
    each: Floats,
    share: Floats,
    is_open: Mask,
) -> Columns:
    """What the inverter measures at its inputs, shape ``(k,)`` each; unknown where there is no string.

    ``each`` is DC power per watt of modules by plane, ``share`` what of it is taken (0: nothing is fed in), ``is_open``
    of shape ``(8, k)`` tells which strings are.
    """
    amperes = np.where(roofs.string_modules[:, rows] > 0, 0.0, np.nan)
    volts = amperes.copy()
    # Only strings that exist and see light have anything to compute: a fifth of all.
    number, place = np.nonzero((amperes == 0) & (shine.cells.max(axis=0) > 0))
    row, ts = rows[place], ts_ms[place]
    plane = roofs.string_plane[number, row]
    cells, warmth, taken = shine.cells[plane, place], cells_degc[plane, place], share[place]
    modules, opened = roofs.string_modules[number, row], is_open[number, place]
    string = roofs.ids[row] + number
    feeding = (taken > 0) & ~opened
    loaded = inverter.string_v(modules, cells, warmth, taken)
    idle = np.where(opened, LEAK_V, inverter.open_v(modules, cells, warmth))
    volt = np.where(feeding, loaded, idle)
    power = roofs.string_w[number, row] * each[plane, place] * taken
    power = power * (1 + _edges(seed, string, ts, shine.sky.index[place]))
    ampere = np.where(feeding, power / np.maximum(loaded, 1.0), 0.0)
    gain, offset, flicker, _ = traces(seed, string, ts, WHAT_METER)
    amperes[number, place] = ampere * (1 + CURRENT_NOISE * gain) + CURRENT_NOISE_A * offset
    volts[number, place] = np.maximum(volt + VOLTAGE_NOISE_V * flicker * (volt > 10), 0.0)
    out: Columns = {}
    for n in range(STRINGS_MAX):
        out[f"string{n + 1}_current_a"] = amperes[n]
        out[f"string{n + 1}_voltage_v"] = volts[n]
    return out


def _edges(seed: int, string: Ints, ts_ms: Ints, index: Floats) -> Floats:
    """How far each string is off the mean of the roof: much under broken clouds, hardly under a plain sky."""
    bright = np.clip((index - 0.15) / 0.85, 0.0, 1.0)
    broken = 4 * bright * (1 - bright)
    moment = CLOUD_EDGE * noise(seed, string, ts_ms // 60_000, WHAT_EDGE)
    hour = CLOUD_HOUR * wander(seed, string, ts_ms, CLOUD_HOUR_MS, WHAT_HOUR)
    return np.clip((moment + hour) * broken, -0.6, 0.6)
