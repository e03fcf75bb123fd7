"""A day of roofs by quarter-hours: what was to be expected, what the light was worth, and whether they gave anything.

Every pair of figures is summed over the same quarter-hours: those in which both of its sides are known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.estate import Members
from rules.groups import neighbour_median
from rules.peers import PEERS_LEAST, peers
from rules.photovoltaics.clear import Light, Roofs, clear_light, measured_power_w, power_w

QUARTER_S: Final = 900
COVERED_S_MIN: Final = 450.0
"""A mean over less than half of a quarter-hour is not taken for the whole of it."""
LIGHT_SHARE: Final = 0.05
"""Of the rating, under a clear sky: below, a share of it is mostly error of the model (as for rules)."""
ASKED_SHARE, ZERO_SHARE = 0.10, 0.005
"""A sound roof gives half a per cent of its rating under the darkest overcast once a clear sky would give a tenth."""
SNOW_DEGC: Final = 1.0
"""Modules colder than that which give nothing may lie under snow, which is weather."""
ROOFS_MAX: Final = 500
"""In one piece: 96 quarter-hours of so many take 50 MB while they are worked out."""


@dataclass(frozen=True, slots=True)
class Quarters:
    """Means of ``n`` roofs over ``q`` quarter-hours, shapes ``(n, q)``, NaN where unknown; ``begins_ms`` is
    ``(q,)``."""

    begins_ms: Ints
    power_w: Floats
    irradiance_w_per_m2: Floats
    module_temp_degc: Floats
    covered_s: Floats


@dataclass(frozen=True, slots=True)
class SolarDay:
    """Of each roof, shapes ``(n,)``: Wh and seconds; ``light_s`` is NaN where the roof's place is not known."""

    expected_wh: Floats
    expected_of_wh: Floats
    reference_wh: Floats
    reference_of_wh: Floats
    light_s: Floats
    expected_s: Floats
    reference_s: Floats
    known_s: Floats
    giving_s: Floats
    asked_wh: Floats
    """Expected while the roof ought to have given and is known."""
    available_wh: Floats
    """Of that, expected while it gave."""
    asked_s: Floats
    peers_wh: Floats
    """What the peers' modules gave, watt for watt, at this roof's size."""
    peers_of_wh: Floats
    peers_s: Floats


def account(members: Members, quarters: Quarters) -> SolarDay:
    """The day of all roofs of the region; peers are looked at across municipalities, and nobody learns which."""
    roofs = Roofs.of(members)
    n, q = quarters.power_w.shape
    power = np.where(quarters.covered_s >= COVERED_S_MIN, quarters.power_w, np.nan)
    clear, passes = np.full((n, q), np.nan), np.ones((n, q))
    for first in range(0, n, ROOFS_MAX):
        rows = np.arange(first, min(first + ROOFS_MAX, n))
        clear[rows], passes[rows] = _clear(roofs.take(rows), quarters.begins_ms + QUARTER_S * 500)
    rated = roofs.rated_w[:, None]
    light = clear > LIGHT_SHARE * rated
    expected = _expected(members, roofs, quarters, power, (clear, passes, light))
    by_sensor = _reference(roofs, quarters)
    asked = clear > ASKED_SHARE * rated
    gives = power >= ZERO_SHARE * rated
    known = asked & ~np.isnan(power) & (gives | ~(quarters.module_temp_degc < SNOW_DEGC))

    def seconds(chosen: Mask) -> Floats:
        return chosen.sum(axis=1) * float(QUARTER_S)

    def watt_hours(what: Floats, chosen: Mask) -> Floats:
        return np.where(chosen, what, 0.0).sum(axis=1) * QUARTER_S / 3600

    both = light & ~np.isnan(power) & ~np.isnan(expected)
    lit = light & ~np.isnan(power) & ~np.isnan(by_sensor)
    theirs = _theirs(members, roofs, power, light)
    beside = light & ~np.isnan(power) & ~np.isnan(theirs)
    due = known & ~np.isnan(expected)
    placed = ~np.isnan(clear).all(axis=1) & ~np.isnan(roofs.rated_w)
    return SolarDay(
        expected_wh=watt_hours(expected, both),
        expected_of_wh=watt_hours(power, both),
        reference_wh=watt_hours(by_sensor, lit),
        reference_of_wh=watt_hours(power, lit),
        light_s=np.where(placed, seconds(light), np.nan),
        expected_s=seconds(both),
        reference_s=seconds(lit),
        known_s=seconds(known),
        giving_s=seconds(known & gives),
        asked_wh=watt_hours(expected, due),
        available_wh=watt_hours(expected, due & gives),
        asked_s=seconds(due),
        peers_wh=watt_hours(theirs, beside),
        peers_of_wh=watt_hours(power, beside),
        peers_s=seconds(beside),
    )


def _clear(roofs: Roofs, middle_ms: Ints) -> tuple[Floats, Floats]:
    """Power under a clear sky, and the share of the light that passes the glass; shapes ``(n, q)``."""
    n, q = len(roofs), len(middle_ms)
    light = clear_light(roofs, np.broadcast_to(middle_ms, (n, q)))
    every = roofs.take(np.repeat(np.arange(n), q))
    flat = Light(*(np.ascontiguousarray(values).ravel() for values in light))
    power = power_w(every, np.tile(middle_ms, n), flat).reshape(n, q)
    passes = np.where(light.plane > 1, light.cells / np.maximum(light.plane, 1), 1.0)
    return power, passes


def _expected(
    members: Members, roofs: Roofs, quarters: Quarters, power: Floats, sky: tuple[Floats, Floats, Mask]
) -> Floats:
    """By the roof's sensor where it has one plane, else as much of clear-sky power as its peers have; ``(n, q)``."""
    clear, passes, light = sky
    index = np.where(light, power / np.where(light, clear, 1.0), np.nan)
    theirs = peers(members)
    expected = np.full(power.shape, np.nan)
    for quarter in np.flatnonzero(light.any(axis=0)).tolist():
        median, known = neighbour_median(index[:, quarter], theirs)
        expected[:, quarter] = np.where(known >= PEERS_LEAST, clear[:, quarter] * np.maximum(median, 0), np.nan)
    sensed = ~np.isnan(quarters.irradiance_w_per_m2) & (roofs.shares[:, 0] == 1)[:, None]
    row, column = np.nonzero(sensed)
    plane = np.maximum(quarters.irradiance_w_per_m2[row, column], 0)
    ts_ms = quarters.begins_ms[column] + QUARTER_S * 500
    module = quarters.module_temp_degc[row, column]
    expected[row, column] = measured_power_w(roofs.take(row), ts_ms, plane, plane * passes[row, column], module)
    return np.minimum(expected, np.fmin(roofs.rated_w, roofs.limit_w)[:, None])


def _theirs(members: Members, roofs: Roofs, power: Floats, light: Mask) -> Floats:
    """The median of what at least five peers give a watt of their modules, times this roof's, W; ``(n, q)``."""
    peak = np.where(roofs.peak_w > 0, roofs.peak_w, np.nan)[:, None]
    yields = np.where(light, power, np.nan) / peak
    slots = peers(members)
    found = np.full(power.shape, np.nan)
    for quarter in np.flatnonzero(light.any(axis=0)).tolist():
        median, known = neighbour_median(yields[:, quarter], slots)
        found[:, quarter] = np.where(known >= PEERS_LEAST, np.maximum(median, 0) * peak[:, 0], np.nan)
    return found


def _reference(roofs: Roofs, quarters: Quarters) -> Floats:
    """What the light was worth at the modules' rated power, W: IEC 61724-1, corrected to 25 °C where a sensor tells."""
    warm = np.nan_to_num(quarters.module_temp_degc, nan=25.0) - 25
    value = quarters.irradiance_w_per_m2 / 1000 * roofs.peak_w[:, None] * (1 + roofs.per_k[:, None] * warm)
    return np.where((roofs.shares[:, 0] == 1)[:, None], value, np.nan)
