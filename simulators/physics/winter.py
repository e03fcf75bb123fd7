"""Snow of one winter: it falls with the region's weather, lies on modules by their tilt, melts and slides off."""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import DAY_MS, Floats, Ints
from simulators.physics.season import HOUR_MS

STEP_HOURS = 3
STEP_MS = STEP_HOURS * HOUR_MS
SEASON_DAYS = 366
SEASON_FROM_DAY = 212
"""A winter's snow is reckoned from 1 August, when none is left of the last."""
TILTS_DEG = np.arange(0.0, 91.0, 5.0)

SNOW_BELOW_DEGC = 0.5
DENSITY = 1.0
"""Centimetres of fresh snow from a millimetre of precipitation."""
MELT_CM_PER_K = 0.7
"""In three hours: 5 to 6 mm of water per kelvin and day, as 5 to 6 cm of fresh snow (degree-day method)."""
SUN_MELT_CM = 12.0
"""In three hours of 1,000 W/m²: thin snow lets light through to the dark module."""
SUN_MELT_ABOVE_DEGC = -8.0
SLIDE = 0.9
"""Share that slides off a vertical plane in three wet hours, by the sine of the tilt (after Marion et al. 2013)."""
SLIDE_SUN_W_PER_M2 = 100.0
STEEP_DEG = 45.0
"""Planes steeper than this shed dry snow too."""
COVERED_CM = 1.5
"""This much lets no light through."""


@dataclass(frozen=True, slots=True)
class Winter:
    """Depth of snow in cm at ``from_ms + step * STEP_MS`` on planes of ``TILTS_DEG``, shape ``(steps, tilts)``."""

    from_ms: int
    depth_cm: Floats

    @staticmethod
    def of(from_ms: int, rain_mm_per_h: Floats, air_degc: Floats, sun_w_per_m2: Floats) -> "Winter":
        """From hourly weather, shape ``(hours,)`` each."""
        rain, air, sun = (
            hourly[: len(hourly) // STEP_HOURS * STEP_HOURS].reshape(-1, STEP_HOURS)
            for hourly in (rain_mm_per_h, air_degc, sun_w_per_m2)
        )
        fall = (rain * (air < SNOW_BELOW_DEGC)).sum(axis=1) * DENSITY
        warmth, light = air.mean(axis=1), sun.mean(axis=1)
        thaws = np.clip(warmth + 1.0, 0.0, 1.0)
        wet = np.maximum(thaws, np.clip(light / SLIDE_SUN_W_PER_M2, 0, 1) * (warmth > SUN_MELT_ABOVE_DEGC))
        melt = np.maximum(warmth, 0) * MELT_CM_PER_K + light / 1000 * SUN_MELT_CM * (warmth > SUN_MELT_ABOVE_DEGC)
        slope = np.sin(np.radians(TILTS_DEG))
        sheds = np.clip((TILTS_DEG - STEEP_DEG) / 45.0, 0.0, 1.0) * 0.6
        stays = (1 - SLIDE * slope * wet[:, None]) * (1 - sheds)
        out = np.zeros((len(fall) + 1, len(TILTS_DEG)))
        for step in np.flatnonzero(np.convolve(fall, np.ones(len(fall)))[: len(fall)] > 0).tolist():
            out[step + 1] = np.maximum((out[step] + fall[step]) * stays[step] - melt[step], 0.0)
        return Winter(from_ms, out)

    def depth(self, tilt_deg: Floats, ts_ms: Ints) -> Floats:
        """Depth in cm; ``tilt_deg`` and ``ts_ms`` (of this winter) broadcast."""
        when = np.clip((ts_ms - self.from_ms) / STEP_MS, 0, len(self.depth_cm) - 1.001)
        where = np.clip(tilt_deg / TILTS_DEG[1], 0, len(TILTS_DEG) - 1.001)
        step, tilt = when.astype(np.intp), where.astype(np.intp)
        if not step.size or not self.depth_cm[step.min() : step.max() + 2].any():
            return np.zeros(np.broadcast_shapes(step.shape, tilt.shape))
        later, steeper = when - step, where - tilt
        now = self.depth_cm[step, tilt] * (1 - steeper) + self.depth_cm[step, tilt + 1] * steeper
        then = self.depth_cm[step + 1, tilt] * (1 - steeper) + self.depth_cm[step + 1, tilt + 1] * steeper
        return now * (1 - later) + then * later


def season_of(ts_ms: Ints) -> Ints:
    """The number of the winter that a moment belongs to: the year in which it begins."""
    return ((ts_ms // DAY_MS - SEASON_FROM_DAY) / 365.2425).astype(np.int64) + 1970


def season_from_ms(season: int) -> int:
    """When that winter's reckoning begins; a day early at most, when there is no snow."""
    return int((season - 1970) * 365.2425 + SEASON_FROM_DAY) * DAY_MS
