"""The low-voltage grid: its voltage in each supply area and phase, and the frequency of all of Europe."""

from collections.abc import Sequence

import numpy as np

from simulators.physics.frame import DAY_MS, Floats, Ints
from simulators.physics.season import HOUR_MS, at_season, civil_ms
from simulators.physics.wander import identities, trait, wander

NOMINAL_V = 230.0
"""EN 50160; ±10 % of it (207 to 253 V) is what an ordinary day keeps to by far."""
TAP_V = (228.5, 233.5)
"""Where a transformer's tap puts the middle of its area."""
WANDER_V, WANDER_MS = 1.3, 2 * HOUR_MS
FLICKER_V, FLICKER_MS = 0.5, 5 * 60_000
PHASE_V = 1.2
"""How far a phase may lie beside the mean of the three: loads are never balanced."""
EVENING_V, EVENING_MINUTE, EVENING_WIDTH = 3.5, 19 * 60, 150
MORNING_V, MORNING_MINUTE, MORNING_WIDTH = 1.5, 7 * 60, 90
NOON_V = np.array([0.2, 0.5, 1.2, 1.9, 2.3, 2.4, 2.4, 2.2, 1.5, 0.8, 0.3, 0.1])
"""What all roofs of an area together lift it at noon, by month."""
NOON_HOUR, NOON_WIDTH_H = 11.0, 3.0
"""UTC."""

DAY_MINUTES = 24 * 60

NOMINAL_HZ = 50.0
FREQUENCY_HZ, FREQUENCY_MS = 0.018, 4 * 60_000
"""Deviation in the continental grid (ENTSO-E)."""

WHAT_TAP, WHAT_AREA, WHAT_FLICKER, WHAT_PHASE, WHAT_HZ = 141, 142, 143, 144, 148


def areas(names: Sequence[str]) -> Ints:
    """What ``grid_voltage_v`` calls the supply areas of these names; shape ``(n,)``."""
    return identities(names)


def grid_voltage_v(seed: int, supply_area: Ints, ts_ms: Ints, phase: Ints | int = 1) -> Floats:
    """Voltage (V) of a phase (1 to 3) against neutral before what the asset itself adds; all inputs broadcast.

    A smooth function of time: the tap of the area's transformer, sags on winter mornings and evenings, a lift at noon
    by the area's roofs, and what wanders within hours and minutes. Between 218 and 243 V. ``supply_area`` comes from
    ``areas``.
    """
    minute = civil_ms(ts_ms) % DAY_MS / 60_000
    evening = EVENING_V * np.exp(-((_from(minute, EVENING_MINUTE) / EVENING_WIDTH) ** 2))
    morning = MORNING_V * np.exp(-((_from(minute, MORNING_MINUTE) / MORNING_WIDTH) ** 2))
    noon = at_season(NOON_V, ts_ms) * np.exp(-(((ts_ms % DAY_MS / HOUR_MS - NOON_HOUR) / NOON_WIDTH_H) ** 2))
    own = tap_v(seed, supply_area) + _beside(seed, supply_area, phase)
    slow = WANDER_V * wander(seed, supply_area, ts_ms, WANDER_MS, WHAT_AREA)
    quick = FLICKER_V * wander(seed, supply_area, ts_ms, FLICKER_MS, WHAT_FLICKER)
    return own + (noon - evening - morning) + slow + quick


def _from(minute: Floats, middle: int) -> Floats:
    """Minutes from the middle of a peak, over midnight where that is nearer: a peak does not end with the date."""
    return (minute - middle + DAY_MINUTES / 2) % DAY_MINUTES - DAY_MINUTES / 2


def tap_v(seed: int, supply_area: Ints) -> Floats:
    """The middle of an area's voltage."""
    return trait(seed, supply_area, WHAT_TAP, *TAP_V)


def frequency_hz(seed: int, ts_ms: Ints) -> Floats:
    """The same everywhere."""
    return NOMINAL_HZ + FREQUENCY_HZ * wander(seed, np.zeros((), np.int64), ts_ms, FREQUENCY_MS, WHAT_HZ)


def _beside(seed: int, supply_area: Ints, phase: Ints | int) -> Floats:
    """What a phase lies beside the mean: of the three, none in sum."""
    three = [trait(seed, supply_area, WHAT_PHASE + n, -PHASE_V, PHASE_V) for n in range(3)]
    mean = (three[0] + three[1] + three[2]) / 3
    return np.where(np.equal(phase, 1), three[0], np.where(np.equal(phase, 2), three[1], three[2])) - mean
