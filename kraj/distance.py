"""How far places lie apart as the crow flies."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

EARTH_M = 6_371_008.8
"""Mean radius (IUGG)."""


def between_m(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Metres between two places in degrees of WGS 84, on a sphere: right to half a percent."""
    north, east = math.radians(other_latitude - latitude), math.radians(other_longitude - longitude)
    shrink = math.cos(math.radians(latitude)) * math.cos(math.radians(other_latitude))
    half = math.sin(north / 2) ** 2 + shrink * math.sin(east / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def legs_m(places: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Metres from each (latitude, longitude) in degrees to each other: shape (n, n), zero on the diagonal."""
    found = np.radians(np.array(places, dtype=np.float64).reshape(-1, 2))
    north = found[:, None, 0] - found[None, :, 0]
    east = found[:, None, 1] - found[None, :, 1]
    shrink = np.cos(found[:, None, 0]) * np.cos(found[None, :, 0])
    half = np.sin(north / 2) ** 2 + shrink * np.sin(east / 2) ** 2
    legs: npt.NDArray[np.float64] = 2 * EARTH_M * np.arcsin(np.minimum(1.0, np.sqrt(half)))
    return legs
