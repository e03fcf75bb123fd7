"""What modules and inverter make of the light: cell temperature, then PVWatts (Dobos, NREL/TP-6A20-62641)."""

import numpy as np

from kraj.readings import Floats

HEAT_LOSS = 20.0
HEAT_LOSS_OPEN_RACK = 29.0
"""W/(m²·K) without wind, for modules close to the roof and for those with air all round (PVsyst's semi-integrated and
free-standing mounting; the form of Faiman 2008)."""
ABSORBED = 0.9 * (1 - 0.1)
"""Share of the light that heats the module: absorption 0.9, of which a tenth leaves as electricity (PVsyst)."""
CELL_OVER_BACK = 1.0
CELL_OVER_BACK_OPEN_RACK = 3.0
"""K at 1,000 W/m² between cells and the sensor on the back (King et al., SAND2004-3535: close mount, open rack)."""

DC_KEPT = 0.98 * 0.98 * 0.98 * 0.995 * 0.985 * 0.99
"""PVWatts' default losses by soiling, mismatch, wiring, connections, light-induced degradation and nameplate (2, 2, 2,
0.5, 1.5 and 1 %). Shading, age and availability are left out: they are what rules look for."""
EFFICIENCY = 0.96
EFFICIENCY_REFERENCE = 0.9637


def cell_degc(plane_w_per_m2: Floats, air_degc: Floats, open_rack: Floats) -> Floats:
    """Cell temperature from air and irradiance; ``open_rack`` is 1 or 0, else the modules lie close to the roof."""
    return air_degc + plane_w_per_m2 * ABSORBED / np.where(open_rack == 1, HEAT_LOSS_OPEN_RACK, HEAT_LOSS)


def cell_from_back_degc(plane_w_per_m2: Floats, back_degc: Floats, open_rack: Floats) -> Floats:
    """Cell temperature from a sensor on the back of the module."""
    return back_degc + plane_w_per_m2 / 1000 * np.where(open_rack == 1, CELL_OVER_BACK_OPEN_RACK, CELL_OVER_BACK)


def dc_power_w(cells_w_per_m2: Floats, cell_degc: Floats, peak_w: Floats, per_k: Floats) -> Floats:
    """Power of the modules: ``peak_w`` at standard conditions, ``per_k`` the power coefficient (about -0.0038)."""
    return np.maximum(cells_w_per_m2 / 1000 * peak_w * DC_KEPT * (1 + per_k * (cell_degc - 25)), 0.0)


def ac_power_w(dc: Floats, rated_w: Floats, limit_w: Floats) -> Floats:
    """Power behind an inverter of this AC rating, held at the lower of rating and limit (NaN for none)."""
    input_max = rated_w / EFFICIENCY
    # η·P with η = a + b·ζ + c/ζ, multiplied out so that nothing is divided by no power.
    ac = EFFICIENCY / EFFICIENCY_REFERENCE * (0.9858 * dc - 0.0162 * dc * dc / input_max - 0.0059 * input_max)
    return np.clip(ac, 0.0, np.fmin(rated_w, limit_w))
