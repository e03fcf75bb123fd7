"""From the sun's place and the clouds to what falls on a tilted plane.

Other models than those by which rules expect power (kraj's rules: Ineichen, Hay and Davies): a simulation that shared
them would prove nothing. Clear sky after ESRA, the beam under clouds as in CM SAF's SARAH, planes after Reindl.
"""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import Floats, Ints
from simulators.physics.season import day_of_year

SOLAR_CONSTANT = 1361.0
"""W/m² (Kopp and Lean 2011)."""
SCALE_HEIGHT_M = 8434.5
ALBEDO, ALBEDO_SNOW = 0.2, 0.65
SINE_MIN = 0.035
"""Two degrees: below, the diffuse light around the sun is no longer divided by its height."""
BRIGHTNESS, BRIGHTNESS_LOW, LOW_SINE = 0.955, 0.35, 0.13
"""ESRA's clear sky is a few percent brighter than measured ones (Ineichen 2016, Solar Energy 132), a low sun more so:
by as much it is dimmed, the second share fading with the sine of the sun's height."""
GLASS_B = 0.04
"""Incidence angle modifier (ASHRAE) of glass with an anti-reflective coating."""
HALO = 1.0
"""No more than all of the diffuse light comes from around the sun."""


@dataclass(frozen=True, slots=True)
class Light:
    """Irradiance in W/m²: direct on a plane that faces the sun, diffuse and global on the ground; and ``outside``."""

    direct: Floats
    diffuse: Floats
    ground: Floats
    outside: Floats


def extraterrestrial(ts_ms: Ints) -> Floats:
    """Irradiance outside the atmosphere by the Earth's distance."""
    return SOLAR_CONSTANT * (1 + 0.0334 * np.cos(2 * np.pi * (day_of_year(ts_ms) - 2.8) / 365.25))


def clear_sky(elevation_deg: Floats, outside: Floats, linke: Floats, altitude_m: Floats | float) -> Light:
    """Irradiance without clouds (ESRA: Rigollier, Bauer and Wald 2000, Solar Energy 68); all inputs broadcast."""
    up = np.maximum(elevation_deg, 0.0)
    sine = np.sin(np.radians(up))
    pressure = np.exp(-np.asarray(altitude_m) / SCALE_HEIGHT_M)
    air = pressure / (sine + 0.50572 * (up + 6.07995) ** -1.6364)
    high = 1 / (6.6296 + air * (1.7513 + air * (-0.1202 + air * (0.0065 - 0.00013 * air))))
    depth = np.where(air <= 20, high, 1 / (10.4 + 0.718 * air))
    dimmed = BRIGHTNESS * (1 - BRIGHTNESS_LOW * np.exp(-sine / LOW_SINE)) * outside
    direct = dimmed * np.exp(-0.8662 * linke * air * depth) * (elevation_deg > 0)
    zenith = -0.015843 + 0.030543 * linke + 0.0003797 * linke**2
    constant = np.maximum(0.26463 - 0.061581 * linke + 0.0031408 * linke**2, 0.0022 / zenith)
    linear = 2.0402 + 0.018945 * linke - 0.011161 * linke**2
    square = -1.3025 + 0.039231 * linke + 0.0085079 * linke**2
    angular = np.maximum(constant + linear * sine + square * sine**2, 0.0)
    # ESRA leaves some diffuse light at the horizon; it fades with the last degree so that nothing jumps at sunset.
    diffuse = dimmed * zenith * angular * np.clip(elevation_deg + 1.0, 0.0, 1.0)
    return Light(direct, diffuse, direct * sine + diffuse, outside)


def under_clouds(clear: Light, sine: Floats, index: Floats) -> Light:
    """The same light under clouds of this clear-sky index (beam after Skartveit et al. 1998, as in SARAH)."""
    ground = clear.ground * index
    beam = clear.direct * np.maximum(np.minimum(index, 1.0) * 1.38 - 0.38, 0.0) ** 2.5
    beam = np.minimum(beam, ground / np.maximum(sine, 1e-3))
    return Light(beam, ground - beam * sine, ground, clear.outside)


@dataclass(frozen=True, slots=True)
class OnPlane:
    """What gets through the glass in W/m²: ``beam`` comes from the sun's side and can be shaded, ``rest`` from the
    sky and the ground; ``outside`` is all that falls on the glass, as a sensor beside the modules sees it."""

    beam: Floats
    rest: Floats
    facing: Floats


def on_plane(  # noqa: PLR0917 - light, sun, plane, ground
    light: Light,
    elevation_deg: Floats,
    azimuth_deg: Floats,
    tilt_deg: Floats,
    facing_deg: Floats,
    albedo: Floats | float = ALBEDO,
) -> OnPlane:
    """Light on planes of ``tilt_deg`` from horizontal that face ``facing_deg`` (Reindl et al. 1990); inputs broadcast.

    Reindl: Hay and Davies' light from around the sun, and a horizon that is brighter.
    """
    tilt, height = np.radians(tilt_deg), np.radians(elevation_deg)
    sine = np.maximum(np.sin(height), 0.0)
    cosine = np.sin(height) * np.cos(tilt)
    cosine = cosine + np.cos(height) * np.sin(tilt) * np.cos(np.radians(azimuth_deg - facing_deg))
    cosine = np.maximum(cosine, 0.0) * (elevation_deg > 0)
    share = np.minimum(light.direct / light.outside, HALO)
    around = light.diffuse * share * cosine / np.maximum(sine, SINE_MIN)
    seen = (1 + np.cos(tilt)) / 2
    brighter = 1 + np.sqrt(light.direct * sine / np.maximum(light.ground, 1e-6)) * np.sin(tilt / 2) ** 3
    rest = light.diffuse * (1 - share) * seen * brighter + light.ground * albedo * (1 - seen)
    beam = light.direct * cosine + around
    glass = np.clip(1 - GLASS_B * (1 / np.maximum(cosine, 1e-3) - 1), 0.0, 1.0)
    return OnPlane(beam * glass, rest * 0.96, beam + rest)
