"""People at smart stops: how many wait, what they charge, who is on the WiFi; counts and buckets, never persons."""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import Floats, Ints, Rows
from simulators.physics.season import civil_ms
from simulators.physics.traces import traces
from simulators.physics.wander import trait

DAY_MS = 86_400_000
QUARTER_MS = 15 * 60_000
"""Presence is told in buckets of a quarter of an hour (stops.md)."""
SESSION_MS = 20 * 60_000
"""Somebody plugs in now and then and stays for so long."""
BUSY = (2.0, 14.0)
"""Waiting at the peak, from a hamlet's stop to the square."""
RUSHES = ((7.2, 1.2, 1.0), (15.8, 2.0, 0.8))
"""Hour, width (h) and height of the two."""
DAY_SHARE, NIGHT_SHARE, DAY_FROM, DAY_TO = 0.25, 0.02, 6, 21
WEEKEND = 0.5
SWING = 0.3
CHARGING_PER_PERSON = 0.02
CHARGING_A = (0.4, 2.2)
WIFI_SHARE = 0.7
BUCKET_FROM = (5, 10, 20, 50)
PORTS = 4

WHAT_BUSY, WHAT_PEOPLE, WHAT_USB, WHAT_CURRENT = 261, 262, 263, 264
_EVEN = np.sqrt(12.0)
"""What ``traces`` scales its even noise by."""


@dataclass(frozen=True)
class Passengers:
    """Of all stops; every answer is a function of seed, stop and moment."""

    seed: int
    ids: Ints

    def waiting(self, rows: Rows, ts_ms: Ints) -> Floats:
        """How many people wait, on average over the quarter of an hour; shapes broadcast."""
        quarter = ts_ms // QUARTER_MS * QUARTER_MS
        wall = civil_ms(quarter)
        hour = wall % DAY_MS / 3_600_000
        rush = sum(height * np.exp(-(((hour - at) / width) ** 2)) for at, width, height in RUSHES)
        share = rush + np.where((hour >= DAY_FROM) & (hour < DAY_TO), DAY_SHARE, NIGHT_SHARE)
        weekend = (wall // DAY_MS + 3) % 7 >= 5  # day 0 was a Thursday
        rows, quarter = np.broadcast_arrays(rows, quarter)
        chance = traces(self.seed, self.ids[rows].ravel(), quarter.ravel(), WHAT_PEOPLE)[0].reshape(rows.shape)
        busy = trait(self.seed, self.ids, WHAT_BUSY, *BUSY)[rows]
        return busy * share * np.where(weekend, WEEKEND, 1.0) * np.exp(SWING * chance)

    def charging_a(self, rows: Rows, ts_ms: Ints) -> Floats:
        """Amperes at each port, where all work; shape ``(PORTS, *broadcast)``."""
        session = ts_ms // SESSION_MS * SESSION_MS
        people = self.waiting(rows, session)
        rows, session = np.broadcast_arrays(rows, session)
        ids, when = self.ids[rows].ravel(), session.ravel()
        chance = traces(self.seed, ids, when, WHAT_USB).reshape(PORTS, *rows.shape) / _EVEN + 0.5
        draw = traces(self.seed, ids, when, WHAT_CURRENT).reshape(PORTS, *rows.shape) / _EVEN + 0.5
        low, high = CHARGING_A
        return np.where(chance < 1 - np.exp(-CHARGING_PER_PERSON * people), low + (high - low) * draw, 0.0)


def bucket(people: Floats) -> Floats:
    """The presence bucket's number: what is under five people is not told apart."""
    return np.sum(people[..., None] >= np.array(BUCKET_FROM), axis=-1).astype(np.float64)
