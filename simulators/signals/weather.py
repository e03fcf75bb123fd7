"""Sun, clouds and air over the region: smooth functions of time and place, the same for all neighbours."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kraj import sun

Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KM_PER_DEGREE = 111.32

WAVES = np.array([[70.0, 300.0, 0.45], [9.1, 80.0, 0.35], [2.3, 25.0, 0.30], [0.55, 6.0, 0.18]])
"""Clouds as waves: period (h), length (km), weight; fronts, weather, cloud fields, single clouds."""
CLEARNESS_SPAN = (0.08, 1.0)


@dataclass(frozen=True, slots=True)
class Weather:
    """One seed's weather: the phases and directions of the cloud waves, shape ``(waves,)`` each."""

    phase: Floats
    direction: Floats

    @staticmethod
    def of(seed: int) -> "Weather":
        random = np.random.default_rng(seed)
        return Weather(*(random.uniform(0, 2 * np.pi, len(WAVES)) for _ in range(2)))


@dataclass(frozen=True, slots=True)
class Sky:
    """What is above ``n`` places at one moment; arrays have shape ``(n,)``.

    ``clearness`` is irradiance over its clear-sky value; ``ghi_w_per_m2`` falls on a horizontal plane;
    ``local_minute`` counts from midnight of Czech civil time.
    """

    elevation_deg: Floats
    azimuth_deg: Floats
    clearness: Floats
    ghi_w_per_m2: Floats
    air_degc: Floats
    local_minute: int


def sky(weather: Weather, ts_ms: int, latitude: Floats, longitude: Floats) -> Sky:
    """The sky over the given places."""
    elevation, azimuth = sun.position(ts_ms, latitude, longitude)
    hours = ts_ms / HOUR_MS
    clouds = _clouds(weather, hours, latitude, longitude)
    clearness = np.clip(0.70 + 0.45 * clouds, *CLEARNESS_SPAN)
    return Sky(
        elevation,
        azimuth,
        clearness,
        clear_sky_w_per_m2(elevation) * clearness,
        _air_degc(weather, hours, longitude, clouds),
        local_minute(ts_ms),
    )


def clear_sky_w_per_m2(elevation_deg: Floats) -> Floats:
    """Global horizontal irradiance without clouds (Haurwitz 1945)."""
    height = np.maximum(np.sin(np.radians(elevation_deg)), 1e-3)
    return np.where(elevation_deg > 0, 1098 * height * np.exp(-0.057 / height), 0.0)


def local_minute(ts_ms: int) -> int:
    """Minutes since midnight in Czechia: UTC+1, and one more between the last Sundays of March and October (EU)."""
    year = datetime.fromtimestamp(ts_ms / 1000, UTC).year
    summer = _change_ms(year, 3) <= ts_ms < _change_ms(year, 10)
    return (ts_ms + (2 if summer else 1) * HOUR_MS) % DAY_MS // 60_000


def _change_ms(year: int, month: int) -> int:
    last = date(year, month, 31)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return (sunday - date(1970, 1, 1)).days * DAY_MS + HOUR_MS


def _clouds(weather: Weather, hours: float, latitude: Floats, longitude: Floats) -> Floats:
    """Between about -1.3 (overcast) and 1.3, slowly."""
    period, length, weight = WAVES.T
    east = longitude * KM_PER_DEGREE * np.cos(np.radians(latitude))
    north = latitude * KM_PER_DEGREE
    along = np.outer(east, np.cos(weather.direction)) + np.outer(north, np.sin(weather.direction))
    return np.sin(2 * np.pi * (hours / period + along / length) + weather.phase) @ weight


def _air_degc(weather: Weather, hours: float, longitude: Floats, clouds: Floats) -> Floats:
    """Czech highlands: -2 °C in January, 19 °C in July, 4 °C around that in a day, 3 °C with the weather."""
    year = -10.5 * np.cos(2 * np.pi * (hours / 24 - 20) / 365.25)
    day = -4.0 * np.cos(2 * np.pi * (hours + longitude / 15 - 3) / 24)
    return 8.5 + year + day + 3.0 * np.sin(2 * np.pi * hours / 110 + weather.phase[0]) - 0.5 * clouds


def plane_w_per_m2(sky: Sky, tilt_deg: Floats, azimuth_deg: Floats) -> Floats:
    """Irradiance on a tilted plane: the beam by its angle of incidence, the rest evenly from the sky it sees."""
    tilt, elevation = np.radians(tilt_deg), np.radians(sky.elevation_deg)
    around = np.radians(sky.azimuth_deg - azimuth_deg)
    incidence = np.sin(elevation) * np.cos(tilt) + np.cos(elevation) * np.sin(tilt) * np.cos(around)
    beam = 0.85 * np.clip((sky.clearness - 0.3) / 0.7, 0, 1)
    # The floor keeps a low sun from being divided by nearly nothing.
    gain = np.clip(incidence, 0, None) / np.maximum(np.sin(elevation), 0.15)
    plane = sky.ghi_w_per_m2 * (beam * gain + (1 - beam) * (1 + np.cos(tilt)) / 2)
    return np.clip(plane, 0, 1250)
