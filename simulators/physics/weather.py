"""The seeded weather of the region: one sky for lamps, stops and roofs, a pure function of place and moment.

Places are latitudes and longitudes in degrees, moments Unix milliseconds; they broadcast, as ``(n, 1)`` with ``(t,)``
for a day of everything or ``(k,)`` with ``(k,)`` for single readings, and both ways give the same numbers.
"""

from dataclasses import dataclass

import numpy as np

from kraj import sun
from simulators.physics import irradiance
from simulators.physics.clouds import ORIGIN_DEG, Clouds, Outlook
from simulators.physics.frame import DAY_MS, Floats, Ints, noise
from simulators.physics.season import HOUR_MS, at_season
from simulators.physics.wander import by_number, wander
from simulators.physics.winter import COVERED_CM, SEASON_DAYS, Winter, season_from_ms, season_of

ALTITUDE_M = 430.0
"""Czechia's mean, to which the temperatures belong."""
LAPSE_K_PER_M = 0.0065

AIR_DEGC = np.array([-1.4, -0.3, 3.4, 8.6, 13.2, 16.6, 18.3, 18.1, 13.4, 8.4, 3.4, -0.3])
"""Monthly means of Czechia, 1991 to 2020 (ČHMÚ)."""
DAILY_SWING_K = np.array([2.2, 2.8, 3.8, 4.8, 5.2, 5.4, 5.6, 5.4, 4.8, 3.6, 2.2, 1.8])
"""Half of the span between night and afternoon on an ordinary day; fair days swing by half more, dull ones by half."""
FAIR_K = np.array([-2.0, -1.5, -0.3, 0.8, 1.6, 2.0, 2.2, 2.0, 1.2, 0.0, -1.5, -2.0])
"""By how much a fair day is warmer than a dull one is colder: high pressure freezes in winter."""
ANOMALY_K, ANOMALY_MS = 3.2, 4 * DAY_MS
WARMEST_HOUR = 13.5
"""UTC."""

LINKE = np.array([3.3, 3.4, 4.0, 4.0, 4.3, 4.7, 4.5, 4.6, 4.5, 3.9, 3.2, 2.7])
"""Turbidity by month over Czechia (Remund et al. 2003); it differs from day to day by ``HAZE``."""
HAZE, HAZE_MS = 0.12, 2 * DAY_MS

DULL = np.array([0.26, 0.25, 0.18, 0.10, 0.05, 0.0, 0.0, 0.0, 0.08, 0.22, 0.28, 0.30])
"""By how much an overcast sky of the month is darker than the measured (Californian) one: stratus and a low sun."""

RAIN_MM_PER_H = np.array([0.0, 0.25, 0.9, 1.0])
"""By class of the day, at one deviation of ``g`` below ``RAIN_BELOW``."""
RAIN_BELOW = -0.6
RAIN_BY_MONTH = np.array([0.55, 0.60, 0.80, 0.9, 1.2, 1.5, 1.5, 1.4, 1.1, 0.7, 0.55, 0.55])
"""Chosen for ČHMÚ's normals: about 40 mm a month in winter and 85 mm in summer."""

STORM_ABOVE = np.array([9.0, 9.0, 9.0, 2.0, 1.1, 0.8, 0.7, 0.9, 1.8, 9.0, 9.0, 9.0])
"""A day has thunderstorms where its number is above that of the month: about 25 days a year, as in Czechia."""
STORM_HOUR, STORM_WIDTH_H = 15.0, 4.5
STORM_RARE, STORM_EDGE = 1.45, 0.3
"""How high the pattern must be at the peak hour, and how far from there to the core: under 1 in 14 of the area."""
STORM_DARK = 0.985
STORM_MM_PER_H = 25.0
INDEX_MIN = 0.003

WIND_GROUND = 0.3
"""Of the wind at cloud height, over open land."""
GUSTS = 0.35

WHAT_ANOMALY, WHAT_HAZE, WHAT_STORM, WHAT_GUST = 121, 122, 123, 124
WINTERS_KEPT = 16
SNOW_TILT_DEG = 25.0
SNOW_COVER = 0.1
"""Snow lies on the region's roofs while one of this tilt is covered to this share; whether one could tell is another
question."""
SNOW_GAP_MS = 6 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Sky:
    """What is above the places: arrays of the shape asked for.

    ``index`` is the clear-sky index: global irradiance over what a cloudless sky would give. ``storm`` is 1 in the core
    of a thundercloud. Wind is that at roofs.
    """

    elevation_deg: Floats
    azimuth_deg: Floats
    index: Floats
    light: irradiance.Light
    air_degc: Floats
    wind_m_per_s: Floats
    rain_mm_per_h: Floats
    storm: Floats


class Weather:
    """One seed's weather. Keeps the winters it has reckoned, else nothing."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.clouds = Clouds(seed)
        self._winters: dict[int, Winter] = {}

    def sky(self, latitude: Floats, longitude: Floats, ts_ms: Ints, altitude_m: Floats | float = ALTITUDE_M) -> Sky:
        """Everything at once."""
        elevation, azimuth = sun.position(ts_ms, latitude, longitude)
        index, thickness, storm, outlook = self._clouds(latitude, longitude, ts_ms)
        linke = at_season(LINKE, ts_ms) * np.exp(HAZE * wander(self.seed, _ONE, ts_ms, HAZE_MS, WHAT_HAZE))
        clear = irradiance.clear_sky(elevation, irradiance.extraterrestrial(ts_ms), linke, altitude_m)
        sine = np.maximum(np.sin(np.radians(elevation)), 0.0)
        air = np.broadcast_to(self.air_degc(ts_ms, altitude_m), index.shape)
        return Sky(
            elevation,
            azimuth,
            index,
            irradiance.under_clouds(clear, sine, index),
            air,
            np.broadcast_to(self.wind_m_per_s(ts_ms), index.shape),
            self._rain(thickness, storm, outlook, ts_ms),
            storm,
        )

    def clear_sky_index(self, latitude: Floats, longitude: Floats, ts_ms: Ints) -> Floats:
        """Global irradiance over what a cloudless sky would give; also at night, when it means nothing."""
        return self._clouds(latitude, longitude, ts_ms)[0]

    def rain_mm_per_h(self, latitude: Floats, longitude: Floats, ts_ms: Ints) -> Floats:
        """Precipitation; snow where it is cold."""
        _, thickness, storm, outlook = self._clouds(latitude, longitude, ts_ms)
        return self._rain(thickness, storm, outlook, ts_ms)

    def air_degc(self, ts_ms: Ints, altitude_m: Floats | float = ALTITUDE_M) -> Floats:
        """Air in the shade; the region has one course, colder with altitude."""
        day = ts_ms / DAY_MS - 0.5
        before = np.floor(day).astype(np.int64)
        state = self.clouds.state(before) * (before + 1 - day) + self.clouds.state(before + 1) * (day - before)
        fair = np.tanh(-state)
        swing = at_season(DAILY_SWING_K, ts_ms) * (1 + 0.5 * fair)
        return (
            at_season(AIR_DEGC, ts_ms)
            + at_season(FAIR_K, ts_ms) * fair
            + ANOMALY_K * wander(self.seed, _ONE, ts_ms, ANOMALY_MS, WHAT_ANOMALY)
            + swing * np.cos(2 * np.pi * (ts_ms % DAY_MS / HOUR_MS - WARMEST_HOUR) / 24)
            - LAPSE_K_PER_M * (np.asarray(altitude_m) - ALTITUDE_M)
        )

    def wind_m_per_s(self, ts_ms: Ints) -> Floats:
        """At roofs: calmer at night, with gusts of minutes."""
        east, north = self.clouds.wind_m_per_s(ts_ms)
        day = 1 + 0.3 * np.cos(2 * np.pi * (ts_ms % DAY_MS / HOUR_MS - WARMEST_HOUR) / 24)
        return (
            WIND_GROUND
            * np.hypot(east, north)
            * day
            * np.exp(GUSTS * wander(self.seed, _ONE, ts_ms, HOUR_MS // 6, WHAT_GUST))
        )

    def snow_cm(self, tilt_deg: Floats, ts_ms: Ints) -> Floats:
        """Snow on planes of this tilt, 0 for the ground; ``tilt_deg`` and ``ts_ms`` broadcast."""
        seasons = season_of(ts_ms)
        out = np.zeros(np.broadcast_shapes(tilt_deg.shape, ts_ms.shape))
        for season in np.unique(seasons).tolist():
            depth = self._winter(season).depth(tilt_deg, ts_ms)
            out = np.where(seasons == season, depth, out)
        return out

    def snow_spans(self, start_ms: int, days: int) -> tuple[tuple[int, int], ...]:
        """When the region's roofs lie under snow, as spans from and to (ms) within these days; what melts for a few
        hours and falls again is one span."""
        hours = np.arange(start_ms, start_ms + days * DAY_MS, HOUR_MS)
        under = self.snow_cm(np.array(SNOW_TILT_DEG), hours) >= SNOW_COVER * COVERED_CM
        edge = start_ms + np.flatnonzero(np.diff(under.astype(np.int8), prepend=0, append=0)) * HOUR_MS
        spans: list[tuple[int, int]] = []
        for from_ms, to_ms in zip(edge[::2].tolist(), edge[1::2].tolist(), strict=True):
            if spans and from_ms - spans[-1][1] < SNOW_GAP_MS:
                from_ms = spans.pop()[0]
            spans.append((from_ms, to_ms))
        return tuple(spans)

    def _clouds(self, latitude: Floats, longitude: Floats, ts_ms: Ints) -> tuple[Floats, Floats, Floats, Outlook]:
        """Clear-sky index, ``g`` (low is thick), storm, and the day."""
        outlook = self.clouds.outlook(latitude, longitude, ts_ms)
        above = self.clouds.overhead(latitude, longitude, ts_ms)
        thickness, slow = self.clouds.thickness(above, ts_ms, outlook)
        index = self.clouds.index(thickness, outlook)
        # What is nearly dark already does not get darker: that takes a thundercloud.
        dull = at_season(DULL, ts_ms) * outlook.mix(_IS_OVERCAST)
        index = index * (1 - dull * np.clip((index - 0.04) / 0.1, 0.0, 1.0))
        storm = self._storm(above, ts_ms, index.shape)
        return np.maximum(index * (1 - STORM_DARK * storm), INDEX_MIN), slow, storm, outlook

    def _storm(self, above: tuple[Floats, Floats], ts_ms: Ints, shape: tuple[int, ...]) -> Floats:
        day = ts_ms // DAY_MS
        late = (ts_ms % DAY_MS / HOUR_MS - STORM_HOUR) / STORM_WIDTH_H
        calm = by_number(day, self._stormy) <= 0
        if (calm | (np.abs(late) > 1.5)).all():
            return np.zeros(shape)
        high = self.clouds.storminess(above, ts_ms)
        return np.clip((high - STORM_RARE - late * late) / STORM_EDGE, 0.0, 1.0) * ~calm

    def _stormy(self, days: Ints) -> Floats:
        """Above 0 on days with thunderstorms."""
        number = noise(self.seed, np.zeros((), np.intp), days, WHAT_STORM)
        return number - at_season(STORM_ABOVE, days * DAY_MS + DAY_MS // 2)

    def _rain(self, thickness: Floats, storm: Floats, outlook: Outlook, ts_ms: Ints) -> Floats:
        steady = at_season(RAIN_BY_MONTH, ts_ms) * outlook.mix(RAIN_MM_PER_H) * np.maximum(RAIN_BELOW - thickness, 0.0)
        return steady + STORM_MM_PER_H * storm

    def _winter(self, season: int) -> Winter:
        found = self._winters.get(season)
        if found is None:
            from_ms = season_from_ms(season)
            hours = from_ms + np.arange(SEASON_DAYS * 24) * HOUR_MS
            latitude, longitude = np.array(ORIGIN_DEG[0]), np.array(ORIGIN_DEG[1])
            sky = self.sky(latitude, longitude, hours)
            found = Winter.of(from_ms, sky.rain_mm_per_h, sky.air_degc, sky.light.ground)
            if len(self._winters) >= WINTERS_KEPT:
                self._winters.clear()
            self._winters[season] = found
        return found


_ONE = np.zeros((), np.int64)
_IS_OVERCAST = np.array([0.0, 0.0, 0.0, 1.0])
