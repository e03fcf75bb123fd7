"""Motion raises the lamps next to it, on both sides, and for as long as the program's raise takes."""

import numpy as np
import pytest

from kraj.dimming import Sensor
from rules.lighting.train import LASTS_S, lasts, neighbours, pause

SPAN_DEG = 0.0004  # some 30 m


def street(*places: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Lamps along a parallel, at so many spans; None: nobody knows where."""
    east = np.array([np.nan if place is None else 15.0 + place * SPAN_DEG for place in places])
    return np.where(np.isnan(east), np.nan, 50.0), east


@pytest.mark.parametrize(
    ("places", "at", "count", "expected"),
    [
        (range(10), 4, 1, {3, 5}),
        (range(10), 4, 2, {2, 3, 5, 6}),
        (range(10), 0, 2, {1, 2, 3, 4}),  # the street ends here: all of them are ahead
        ((4, 0, 5, 3, 9), 0, 1, {2, 3}),  # in whatever order they were registered
        ((0, 1, 20, 21), 0, 2, {1, 2, 3}),  # nothing is near but one: the second span counts
        ((0, 1, 2, 3, 30, 31), 1, 5, {0, 2, 3}),  # far ahead is another street
        ((0, None, 1, 2), 2, 1, {0, 3}),
        ((None, 0, 1), 0, 2, set[int]()),
        ((0,), 0, 2, set[int]()),
    ],
)
def test_the_lamps_next_to_the_motion_rise(
    places: tuple[float | None, ...], at: int, count: int, expected: set[int]
) -> None:
    found = neighbours(*street(*places), at, count)
    assert set(found.tolist()) == expected


def test_a_command_lasts_minutes_and_is_repeated_within_the_hold() -> None:
    for hold_s, seconds in ((45, LASTS_S[0]), (200, 222), (3600, LASTS_S[1])):
        sensor = Sensor(hold_s=hold_s)
        assert lasts(sensor).total_seconds() == seconds
        assert 0 < pause(sensor).total_seconds() <= hold_s / 2
