"""What falls on a tilted plane, and what of it passes the glass."""

import numpy as np

from kraj.readings import Floats
from rules.photovoltaics.sky import ClearSky

ALBEDO = 0.25
"""Grass and mixed ground, as pvlib assumes; a roof at 30° sees 7 % of the ground."""
SINE_MIN = 0.01745
"""Hay and Davies divide by the sun's height; below one degree it is held at that, as in pvlib."""
GLASS_B = 0.05
"""ASHRAE 93-77 incidence angle modifier of plain glass, PVsyst's default."""


def on_plane(
    sky: ClearSky, elevation_deg: Floats, azimuth_deg: Floats, tilt_deg: Floats, facing_deg: Floats
) -> tuple[Floats, Floats]:
    """Irradiance in W/m² on planes of ``tilt_deg`` from horizontal that face ``facing_deg``: all that falls on it, and
    what the cells get; inputs broadcast.

    Hay and Davies (1980); the glass takes from the beam alone, as in pvlib's ModelChain.
    """
    tilt, height = np.radians(tilt_deg), np.radians(elevation_deg)
    sine = np.sin(height)
    cosine = sine * np.cos(tilt) + np.cos(height) * np.sin(tilt) * np.cos(np.radians(azimuth_deg - facing_deg))
    incidence = np.maximum(cosine, 0.0)
    clearness = sky.direct / sky.outside
    around_sun = clearness * incidence / np.maximum(sine, SINE_MIN)
    seen = (1 + np.cos(tilt)) / 2
    diffuse = sky.diffuse * (around_sun + np.maximum(1 - clearness, 0.0) * seen) + sky.ground * ALBEDO * (1 - seen)
    beam = sky.direct * incidence
    glass = np.maximum(1 - GLASS_B * (1 / np.maximum(incidence, 1e-3) - 1), 0.0)
    return beam + diffuse, beam * glass + diffuse
