"""Buckets that fill slowly: how much one address, or one municipality, may ask for in a time; kept in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

NAMES_MAX = 10_000
"""Buckets that are remembered; the one that was used longest ago is forgotten first, and is full again."""


class Throttle:
    """A bucket for each name: ``burst`` at once, then ``per_s``; ``take`` tells whether something was left."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, name: str) -> float:
        """What a bucket holds; only looks."""
        level, since = self._buckets.get(name, (self._burst, self._clock()))
        return min(self._burst, level + (self._clock() - since) * self._per_s)

    def take(self, name: str) -> bool:
        """Take one out of a bucket, if it is there."""
        left = self.left(name)
        if left < 1:
            return False
        self._buckets[name] = (left - 1, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > NAMES_MAX:
            self._buckets.popitem(last=False)
        return True

    def wait_s(self, name: str) -> float:
        """Seconds until something is in the bucket."""
        return max(0.0, (1 - self.left(name)) / self._per_s)
