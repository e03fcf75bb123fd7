"""The cloudless sky over Czechia: irradiance after Ineichen and Perez (2002), and the air of an ordinary clear day."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kraj.readings import Floats, Ints
from rules.estate import Slots

DAY_MS = 86_400_000
YEAR_DAYS = 365.2425
MONTH_MIDDLES = (np.arange(12) + 0.5) * YEAR_DAYS / 12
"""Days since New Year at which a month's mean holds; between them it is interpolated, as pvlib does."""
SOLAR_CONSTANT = 1366.1
"""W/m², the value that pvlib and the Linke map use (ASTM E490)."""

LINKE = np.array([3.3, 3.4, 4.0, 4.0, 4.3, 4.7, 4.5, 4.6, 4.5, 3.9, 3.2, 2.7])
"""Linke turbidity of each month: mean over Czechia (48.6 to 51.05° N, 12.1 to 18.85° E) of the world map of Remund et
al. (ISES 2003), as shipped with pvlib; from place to place it differs by ±0.3."""
AIR_DEGC = np.array([-1.0, 0.0, 3.0, 9.0, 13.0, 17.0, 18.0, 18.0, 13.0, 8.0, 3.0, 0.0])
"""Mean air temperature of each month over Czechia, 1991 to 2020 (ČHMÚ), to the degree."""
AIR_ALTITUDE_M = 430.0
"""Czechia's mean altitude, at which ``AIR_DEGC`` holds."""
LAPSE_K_PER_M = 0.0065
"""International Standard Atmosphere."""
CLEAR_DAYLIGHT_K = 4.0
"""By how much the daylight of a clear day is warmer than the month's mean over day and night. Only a roof without a
module sensor depends on it: two degrees off are 0.8 % of power, the same for all neighbours."""


@dataclass(frozen=True, slots=True)
class ClearSky:
    """Irradiance in W/m², one shape: direct on a plane facing the sun, diffuse and global on the ground, and what
    arrives outside the atmosphere."""

    direct: Floats
    diffuse: Floats
    ground: Floats
    outside: Floats

    def take(self, rows: Slots) -> "ClearSky":
        """The sky over these rows."""
        return ClearSky(self.direct[rows], self.diffuse[rows], self.ground[rows], self.outside[rows])


def clear_sky(ts_ms: Ints, elevation_deg: Floats, altitude_m: Floats) -> ClearSky:
    """Irradiance without clouds for a geometric elevation of the sun; inputs broadcast.

    Ineichen and Perez, Solar Energy 73 (2002) 151, with the constants of Reno et al. (SAND2012-2389), as in pvlib.
    """
    apparent = elevation_deg + refraction_deg(elevation_deg, altitude_m)
    sine = np.maximum(np.sin(np.radians(apparent)), 0.0)
    air = air_mass(apparent, altitude_m)
    turbidity = by_month(LINKE, ts_ms)
    near, far = np.exp(-altitude_m / 8000.0), np.exp(-altitude_m / 1250.0)
    outside = extraterrestrial(ts_ms)
    loss = (3.92e-5 * altitude_m + 0.0387) * air * (near + far * (turbidity - 1))
    ground = (5.09e-5 * altitude_m + 0.868) * outside * sine * np.exp(-loss)
    beam = (0.664 + 0.163 / near) * outside * np.exp(-0.09 * air * (turbidity - 1))
    # The beam cannot bring more to the ground than all of the sky does (Ineichen's empirical correction).
    share = 1 - (0.1 - 0.2 * np.exp(-turbidity)) / (0.1 + 0.882 / near)
    direct = np.where(sine > 0, np.minimum(beam, ground * np.maximum(share, 0) / np.maximum(sine, 1e-9)), 0.0)
    return ClearSky(direct, ground - direct * sine, ground, np.broadcast_to(outside, ground.shape))


def air_mass(apparent_elevation_deg: Floats, altitude_m: Floats) -> Floats:
    """Air between the sun and the place over that above the sea at zenith (Kasten and Young 1989, by pressure)."""
    up = np.maximum(apparent_elevation_deg, 0.0)
    return pressure_pa(altitude_m) / 101_325 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)


def refraction_deg(elevation_deg: Floats, altitude_m: Floats) -> Floats:
    """By how much the air lifts the sun (Sæmundsson 1986, as in NREL's SPA at 12 °C); 0 once it has set."""
    lift = (pressure_pa(altitude_m) / 101_000) * (283 / 285) * 1.02 / 60
    angle = np.radians(elevation_deg + 10.3 / (np.maximum(elevation_deg, -1.0) + 5.11))
    return np.where(elevation_deg >= -0.8334, lift / np.tan(np.maximum(angle, 0.01)), 0.0)


def pressure_pa(altitude_m: Floats) -> Floats:
    """Mean air pressure at an altitude (ICAO standard atmosphere, up to 11 km)."""
    return 100 * ((44_331.514 - np.asarray(altitude_m)) / 11_880.516) ** (1 / 0.1902632)


def extraterrestrial(ts_ms: npt.ArrayLike) -> Floats:
    """Irradiance outside the atmosphere by the Earth's distance (Spencer 1971)."""
    angle = 2 * np.pi / 365 * np.floor(_day_of_year(ts_ms))
    distance = (
        1.00011
        + 0.034221 * np.cos(angle)
        + 0.00128 * np.sin(angle)
        + 0.000719 * np.cos(2 * angle)
        + 7.7e-05 * np.sin(2 * angle)
    )
    return SOLAR_CONSTANT * distance


def air_degc(ts_ms: npt.ArrayLike, altitude_m: Floats) -> Floats:
    """Air temperature of an ordinary clear day by month and altitude."""
    return by_month(AIR_DEGC, ts_ms) + CLEAR_DAYLIGHT_K - LAPSE_K_PER_M * (altitude_m - AIR_ALTITUDE_M)


def by_month(monthly: Floats, ts_ms: npt.ArrayLike) -> Floats:
    """Twelve monthly means as a course over the year that has no steps."""
    return np.interp(_day_of_year(ts_ms), MONTH_MIDDLES, monthly, period=YEAR_DAYS)


def _day_of_year(ts_ms: npt.ArrayLike) -> Floats:
    """Days since New Year (UTC), from 0."""
    days = np.asarray(ts_ms, np.float64) / DAY_MS
    year = np.floor(days).astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return days - year
