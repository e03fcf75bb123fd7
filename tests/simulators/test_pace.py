"""The clock of a simulation."""

from dataclasses import dataclass

import pytest

from kraj.errors import ConfigurationError
from simulators.pace import SPEED_MAX, Pace


@dataclass
class Wall:
    now: int = 1_000_000

    def __call__(self) -> int:
        return self.now


def test_without_a_start_it_is_the_walls_own_time() -> None:
    wall = Wall()
    pace = Pace.of(wall)
    wall.now += 5_000
    assert pace.now_ms() == 1_005_000
    assert not pace.past
    assert pace.wait_s(1_006_500) == 1.5


def test_the_past_passes_faster_until_it_reaches_now() -> None:
    wall = Wall()
    pace = Pace.of(wall, 700_000, 4.0)
    assert (pace.now_ms(), pace.past) == (700_000, True)
    wall.now += 10_000
    assert pace.now_ms() == 740_000
    assert pace.wait_s(744_000) == 1.0
    wall.now += 100_000
    assert (pace.now_ms(), pace.past) == (1_110_000, False)
    assert pace.wait_s(1_111_000) == 1.0
    assert pace.wait_s(1) == 0


def test_a_start_in_the_past_without_speed_never_catches_up() -> None:
    wall = Wall()
    pace = Pace.of(wall, 0)
    wall.now *= 2
    assert pace.now_ms() == 1_000_000
    assert pace.past


@pytest.mark.parametrize(
    ("start", "speed", "message"),
    [
        (1_000_001, 1.0, "lies in the future"),
        (None, 2.0, "needs a start in the past"),
        (0, 0.5, "between 1 and"),
        (0, SPEED_MAX + 1, "between 1 and"),
        (0, float("nan"), "between 1 and"),
    ],
)
def test_what_would_tell_of_the_future_is_refused(start: int | None, speed: float, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Pace.of(Wall(), start, speed)
