"""Where the sun stands over each asset, and what its clocks on the wall show."""

import numpy as np

from kraj import sun
from kraj.readings import DAY_MS, Floats, Ints
from rules.estate import Members
from rules.layer import Layer

MERIDIAN_DEG = 15.0
"""Of Central European Time: where an asset without a place is taken to be."""
PARALLEL_DEG = 49.8
"""The middle of Czechia."""
STANDING_MS = 10 * 60_000
"""So long the sun's declination and the equation of time are taken as standing still: 0.002° to either side. The grid
is fixed, so that a reading's value does not depend on which others came with it."""
CELLS_MAX = 150
"""A day of late readings."""
HOUR_MS = 3_600_000


def place_deg(members: Members) -> tuple[Floats, Floats]:
    """Latitude and longitude of each slot, the middle of the country where they are unknown."""
    if "place" not in members.kept:
        latitude = np.where(np.isnan(members.latitude), PARALLEL_DEG, members.latitude)
        members.kept["place"] = latitude, np.where(np.isnan(members.longitude), MERIDIAN_DEG, members.longitude)
    return members.kept["place"]


def sun_elevation_deg(layer: Layer) -> Floats:
    """The elevation of the sun's centre, degrees; at most 0.005° off ``kraj.sun``, which it saves most of the work."""
    if not len(layer):
        return np.empty(0)
    cell = layer.ts_ms // STANDING_MS
    cells, place = _distinct(cell)
    declination, hour_angle = _greenwich((cells.astype(np.float64) + 0.5) * STANDING_MS)
    sine, cosine, longitude = _by_slot(layer.members)
    since_middle = layer.ts_ms - (cell + 0.5) * STANDING_MS
    turned = since_middle * (2 * np.pi / DAY_MS) + hour_angle[place] + layer.of(longitude)
    up = layer.of(sine) * np.sin(declination)[place] + layer.of(cosine) * np.cos(declination)[place] * np.cos(turned)
    return np.degrees(np.arcsin(np.clip(up, -1, 1)))


def _distinct(cell: Ints) -> tuple[Ints, Ints]:
    """The different ones, and which of them each is; nearly always there are two or three, one after another."""
    first, last = int(cell.min()), int(cell.max())
    if last - first <= CELLS_MAX:
        return np.arange(first, last + 1), cell - first
    return np.unique(cell, return_inverse=True)


def _by_slot(members: Members) -> tuple[Floats, Floats, Floats]:
    """Sine and cosine of the latitude, and the longitude in radians."""
    if "direction" not in members.kept:
        latitude, longitude = (np.radians(angle) for angle in place_deg(members))
        members.kept["direction"] = np.sin(latitude), np.cos(latitude), longitude
    return members.kept["direction"]


def _greenwich(ts_ms: Floats) -> tuple[Floats, Floats]:
    """The sun's declination and its hour angle at longitude 0, radians: from where it stands over the origin."""
    elevation, azimuth = (np.radians(angle) for angle in sun.position(ts_ms, 0.0, 0.0))
    declination = np.arcsin(np.cos(elevation) * np.cos(azimuth))
    return declination, np.arctan2(-np.cos(elevation) * np.sin(azimuth), np.sin(elevation))


def local_minute(layer: Layer) -> Floats:
    """Minutes since midnight of Central European Time, with summer time (Directive 2000/84/EC: from 01:00 UTC on the
    last Sunday of March to that of October)."""
    if not len(layer):
        return np.empty(0)
    ends = offset_ms(np.array([layer.ts_ms.min(), layer.ts_ms.max()]))
    offset = ends[0] if ends[0] == ends[1] else offset_ms(layer.ts_ms)
    return (layer.ts_ms + offset) % DAY_MS / 60_000


def offset_ms(ts_ms: Ints) -> Ints:
    """How far Central European clocks are ahead of UTC at these moments."""
    months = ts_ms.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) * 12
    march, october = (_last_sunday_ms(months + number) + HOUR_MS for number in (3, 10))
    return np.where((ts_ms >= march) & (ts_ms < october), 2 * HOUR_MS, HOUR_MS)


def _last_sunday_ms(month: Ints) -> Ints:
    """Of the month before the given one, counted from 1970."""
    days = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return (days - (days + 4) % 7) * DAY_MS  # day 3 of the epoch, 1970-01-04, was a Sunday
