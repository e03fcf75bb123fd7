"""Light trains: whom motion at one lamp raises besides, and for how long."""

from datetime import timedelta

import numpy as np

from kraj.dimming import Sensor
from kraj.readings import Floats, Ints

LASTS_S = (120, 300)
"""A command that comes later than this raises nobody for nothing, and none holds longer."""


def neighbours(north_deg: Floats, east_deg: Floats, at: int, count: int) -> Ints:
    """Places of the lamps next to lamp ``at``: ``count`` on each side of a street, all of them ahead where it ends.

    The nearest ones, as the registry knows no order of poles; none that is much further than so many spans. Lamps whose
    place nobody knows (NaN) are nobody's neighbours. Both arrays have shape ``(n,)``.
    """
    east = (east_deg - east_deg[at]) * np.cos(np.radians(north_deg[at]))
    far = np.hypot(north_deg - north_deg[at], east)
    far[at] = np.nan
    order = np.argsort(far)[: int(np.isfinite(far).sum())]  # NaN comes last
    if len(order) < 2:
        return order
    # The second nearest is a span away, or two at the end: the nearest may stand across the street.
    return order[: 2 * count][far[order[: 2 * count]] <= (count + 0.5) * far[order[1]]]


def lasts(sensor: Sensor) -> timedelta:
    """Until when a neighbour's command counts: as long as its raise takes, within ``LASTS_S``."""
    return timedelta(seconds=min(max(sensor.up_s + sensor.hold_s + sensor.down_s, LASTS_S[0]), LASTS_S[1]))


def pause(sensor: Sensor) -> timedelta:
    """A lamp that was told is told again after half of its hold: repeated motion extends, and does not flood."""
    return timedelta(seconds=max(sensor.hold_s / 2, 1))
