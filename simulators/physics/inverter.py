"""The inverter and its strings: from the power that the modules offer to what is fed in, at which voltage."""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import Floats
from simulators.physics.roofs import MODULE_OPEN_V, MODULE_V

LOSS_FIXED, LOSS_LINEAR, LOSS_SQUARE = 0.004, 0.012, 0.012
"""Of the rating: the inverter's own need, its switches, its coils. At full power 97.2 % are left."""
WAKE_SHARE = 0.006
"""Of the rating must be offered before an inverter feeds in; a quarter of it wakes it."""
STANDBY_SHARE = 0.0006
"""Drawn from the grid at night."""

WATT_FROM, WATT_TO = 1.085, 1.115
"""P(U), EN 50549-1 4.7.3 as Czech distributors set it: from this share of the nominal voltage on power is lowered …"""
WATT_LEFT = 0.2
"""… in a straight line to this share of the rating."""
WATT_LEAST = 0.05

VOLT_PER_K = -0.0029
LIGHT_V = 0.045
"""Module voltage per tenfold irradiance."""
ASIDE_V = 0.14
"""How far from its best point a string stands at no load: throttling moves it there."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What is fed in, arrays of one shape.

    ``ac_w`` is never negative; ``share`` of what the strings could give is taken; ``by_voltage`` and ``by_limit`` tell
    what held it back.
    """

    offered_w: Floats
    ac_w: Floats
    share: Floats
    by_voltage: Floats
    by_limit: Floats


def feed(  # noqa: PLR0917 - what comes in, what it may give, the grid it meets
    offered_dc_w: Floats, rated_w: Floats, limit_w: Floats, voltage: Floats, nominal_v: Floats, rise_v: Floats
) -> Fed:
    """What an inverter makes of the offered DC power; inputs broadcast.

    ``voltage`` is that of the highest phase without the roof's own feed-in, which adds ``rise_v`` at full power: the
    straight line of P(U) and that rise meet in one point, so nothing has to be iterated.
    """
    load = offered_dc_w / rated_w
    offered = np.maximum(offered_dc_w - rated_w * (LOSS_FIXED + LOSS_LINEAR * load + LOSS_SQUARE * load * load), 0.0)
    offered = np.where(load > WAKE_SHARE, offered, 0.0)
    slope = (1 - WATT_LEFT) / ((WATT_TO - WATT_FROM) * nominal_v)
    line = (1 + slope * (WATT_FROM * nominal_v - voltage)) / (1 + slope * rise_v)
    allowed = rated_w * np.maximum(line, WATT_LEAST)
    ac = np.minimum(np.minimum(offered, limit_w), allowed)
    share = ac / np.maximum(offered, 1e-9)
    return Fed(
        offered,
        ac,
        np.where(offered > 0, share, 0.0),
        ((ac < offered) & (allowed <= limit_w)).astype(np.float64),
        ((ac < offered) & (limit_w < allowed) & (limit_w < rated_w)).astype(np.float64),
    )


def string_v(modules: Floats, irradiance: Floats, cell_degc: Floats, share: Floats) -> Floats:
    """Voltage of strings that feed in; ``share`` of what they could is taken. Inputs broadcast."""
    light = 1 + LIGHT_V * np.log10(np.clip(irradiance, 20.0, 1400.0) / 1000)
    warmth = 1 + VOLT_PER_K * (cell_degc - 25)
    return modules * MODULE_V * light * warmth * (1 + ASIDE_V * (1 - share))


def open_v(modules: Floats, irradiance: Floats, cell_degc: Floats) -> Floats:
    """Voltage of strings without load: there with the first light."""
    light = np.clip(irradiance / 8.0, 0.0, 1.0) * (1 + LIGHT_V * np.log10(np.clip(irradiance, 20.0, 1400.0) / 1000))
    return modules * MODULE_OPEN_V * light * (1 + VOLT_PER_K * (cell_degc - 25))
