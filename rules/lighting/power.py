"""How much a luminaire takes at a level, and how that is learnt from ordinary nights; arrays of shape ``(n,)``.

A DALI per cent is light and not watts: what a driver takes is P_min + (P_nom - P_min) · f(light), times a factor that
is learnt for each lamp, one at the lowest level and one at the highest, straight in between.
"""

from dataclasses import dataclass

import numpy as np

from kraj.readings import Floats, Mask

MIN_SHARE = 0.16
"""Of the rated power at the lowest level, where the luminaire's data sheet is not in the registry: LED drivers of 40 to
150 W take 12 to 20 % of it at 10 % of the light."""
BEND = 0.12
"""LEDs give more light for a watt at a low current: half of the light takes 47 % of the way from P_min to P_nom."""
OUT_W, OUT_SHARE = 3.0, 0.2
"""Below both a lamp is dark (lighting.md, lamp_out)."""
OFF_W, OFF_SHARE, NEAR_SHARE = 5.0, 0.15, 0.08
"""Beyond the first two power deviates, within the third it is as expected again (lighting.md, power_deviation)."""
LEARN_SHARE = 1 / 70
"""Of the difference, each lit hour: seven winter nights or two summer weeks to follow an ageing driver."""
COMMISSION_H = 10
"""Lit hours in which a lamp not known before is learnt faster, each hour counting as much as those before it."""
GAIN_SPAN = 0.25
"""How far learning may go from the registry's power: constant light output begins at 80 % of it, and makes and curves
differ by a few per cent. What is further off is no ordinary lamp."""
REPLACED_SPAN = (0.15, 1.5)
"""How far a replaced luminaire's power may be from the registry's, which nobody has changed yet."""


@dataclass(frozen=True, slots=True)
class Luminaire:
    """What the registry says of each lamp. ``min_w`` NaN: unknown."""

    rated_w: Floats
    min_w: Floats
    standby_w: Floats
    level_min_pct: Floats


@dataclass(frozen=True, slots=True)
class Gain:
    """What was learnt: by what share (0 at first) a lamp takes more than the driver's curve at its lowest and at its
    full level; ``anchor``, around which that may be; and from how many lit hours."""

    low: Floats
    full: Floats
    anchor: Floats
    hours: Floats


def dimming(level_pct: Floats, level_min_pct: Floats) -> Floats:
    """The level on a scale from 0 (the lowest) to 1; a driver clamps what is below."""
    return np.maximum((level_pct - level_min_pct) / (100.0 - level_min_pct), 0.0)


def curve_w(made: Luminaire, dimmed: Floats) -> Floats:
    """The typical driver's power, at ``dimming``."""
    least = np.where(np.isnan(made.min_w), MIN_SHARE * made.rated_w, made.min_w)
    return least + (made.rated_w - least) * (dimmed * (1 - BEND + BEND * dimmed))


def expected_w(made: Luminaire, gain: Gain, level_pct: Floats) -> Floats:
    """What the lamp ought to take at this commanded level once it is warm; standby at 0, NaN where the level is."""
    dimmed = dimming(level_pct, made.level_min_pct)
    watts = curve_w(made, dimmed) * (1 + gain.low + (gain.full - gain.low) * dimmed)
    np.copyto(watts, made.standby_w, where=level_pct <= 0)
    return watts


def deviates(power_w: Floats, expected: Floats) -> Mask:
    """Whether power is off by more than an ordinary lamp's."""
    return np.abs(power_w - expected) > np.maximum(OFF_W, OFF_SHARE * expected)


def learnt(made: Luminaire, gain: Gain, level_pct: Floats, power_w: Floats) -> Gain:
    """The gain after one more ordinary hour at this level, within ``GAIN_SPAN`` of its anchor.

    The first hour is taken for both ends; later ones are steps along the line between them (normalised least mean
    squares).
    """
    dimmed = dimming(level_pct, made.level_min_pct)
    seen = power_w / curve_w(made, dimmed) - 1
    share = np.where(gain.hours < COMMISSION_H, 1 / (gain.hours + 1), LEARN_SHARE)
    step = share * (seen - gain.low - (gain.full - gain.low) * dimmed) / ((1 - dimmed) ** 2 + dimmed**2)
    first = gain.hours == 0
    span = GAIN_SPAN * (1 + gain.anchor)
    low, full = (
        np.clip(np.where(first, seen, end + step * part), gain.anchor - span, gain.anchor + span)
        for end, part in ((gain.low, 1 - dimmed), (gain.full, dimmed))
    )
    return Gain(low, full, gain.anchor, gain.hours + 1)


def replaced(made: Luminaire, level_pct: Floats, power_w: Floats) -> Gain:
    """The gain of a new luminaire of which the registry does not know, from the first power it was seen with."""
    seen = power_w / curve_w(made, dimming(level_pct, made.level_min_pct))
    gain = np.clip(seen, *REPLACED_SPAN) - 1
    return Gain(gain, gain, gain, np.ones(len(gain)))


def factor_min(level_pct: Floats, rated_w: Floats) -> Floats:
    """The lowest ordinary power factor at a level.

    0.90 at full (EU 2019/2020 asks for that above 25 W, for 0.70 below) and 0.40 less at 10 %, where 0.60 is normal.
    """
    return np.where(rated_w > 25, 0.90, 0.70) - 0.40 * ((100.0 - level_pct) / 90.0) ** 2
