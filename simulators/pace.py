"""The clock of a simulation: wall time, an offset, and a past lived through faster until it reaches now."""

from collections.abc import Callable
from dataclasses import dataclass

from kraj.errors import ConfigurationError

Clock = Callable[[], int]
"""Gives Unix milliseconds."""
SPEED_MAX = 10_000.0
"""A day in nine seconds: more than the models and the broker follow."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Simulated time: from ``start_ms``, ``speed`` times as fast as ``wall`` goes on from ``began_ms``, until it has
    caught up; from then on it is ``wall``'s own time. There is no way to be ahead: nobody may tell of the future."""

    wall: Clock
    start_ms: int
    began_ms: int
    speed: float

    @staticmethod
    def of(wall: Clock, start_ms: int | None = None, speed: float = 1.0) -> "Pace":
        """Raises ``ConfigurationError`` when the beginning lies in the future, or there is no past to hurry through."""
        now_ms = wall()
        if not 1 <= speed <= SPEED_MAX:
            raise ConfigurationError(f"the speed must be between 1 and {SPEED_MAX:.0f}, not {speed:g}")
        if start_ms is None and speed > 1:
            raise ConfigurationError("a speed above 1 needs a start in the past: only what is over can be told faster")
        if start_ms is not None and start_ms > now_ms:
            raise ConfigurationError("the start lies in the future: devices cannot tell of what has not happened")
        return Pace(wall, now_ms if start_ms is None else start_ms, now_ms, speed)

    def now_ms(self) -> int:
        """The simulated moment."""
        return self._lived(self.wall())

    @property
    def past(self) -> bool:
        """Whether it still lags behind the wall."""
        wall_ms = self.wall()  # read once: it may go on between two looks
        return self._lived(wall_ms) < wall_ms

    def _lived(self, wall_ms: int) -> int:
        return min(wall_ms, self.start_ms + int((wall_ms - self.began_ms) * self.speed))

    def wait_s(self, until_ms: int) -> float:
        """Real seconds until a simulated moment, at least 0."""
        left = max(0, until_ms - self.now_ms())
        return left / 1000 / (self.speed if self.past else 1.0)
