"""Energy by the sun's azimuth against a slow twin, over midnight and gaps; and shade told from clouds."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj import sun
from kraj.readings import DAY_MS, Floats
from rules.inputs.solar.azimuths import BINS, FROM_DEG, LOW_DEG, WIDTH_DEG, centre_deg, energy_of, solar_day
from rules.inputs.solar.memory import whole
from rules.inputs.solar.shading import DEFICIT
from rules.layer import Layer
from tests.rules.inputs.solar.series import START_MS, Series, roof

MINUTE_MS = 60_000


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([5, 5, 10, 15, 16, 200, 900]), st.floats(-50, 9000) | st.just(math.nan)),
        min_size=1,
        max_size=60,
    )
)
def test_energy_by_azimuth_is_the_slow_twins(story: list[tuple[int, float]]) -> None:
    series = Series([roof(0)])
    expected: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    days: list[int] = []
    ts = START_MS
    for turn, (minutes, power) in enumerate(story):
        ts += minutes * MINUTE_MS
        layer = series.read(ts, {"power_w": power})
        day = math.floor(ts / DAY_MS + 15.5 / 360)
        days += [day] if day not in days else []
        elevation, azimuth = sun.position(ts, 49.5, 15.5)
        if turn and minutes <= 15 and elevation > LOW_DEG and not math.isnan(power):
            # By the table's azimuth: at the edge of a bin the true one may be on its other side.
            azimuth = layer.column("sun_azimuth_deg")[0]
            place = math.floor((float(azimuth) - FROM_DEG) / WIDTH_DEG)
            if 0 <= place < BINS:
                expected[day, place][0] += max(power, 0) * minutes / 60
                expected[day, place][1] += float(layer.column("clear_power_w")[0]) * minutes / 60
    for day in days[-2:]:
        found = energy_of(series.state, whole(series.state), np.array([float(day)]))[0]
        for place in range(BINS):
            assert found[:, place].tolist() == pytest.approx(expected[day, place])
    long_ago = energy_of(series.state, whole(series.state), np.array([days[0] - 5.0]))
    assert np.isnan(long_ago).all()


def test_a_day_begins_when_the_sun_is_lowest() -> None:
    assert solar_day(np.array([0, DAY_MS - 1]), np.array([0.0, 0.0])).tolist() == [0, 0]
    assert solar_day(np.array([DAY_MS - 3_700_000] * 2), np.array([15.0, math.nan])).tolist() == [0, 0]
    assert solar_day(np.array([DAY_MS - 3_500_000]), np.array([15.0])).tolist() == [1]


def test_bins_lie_side_by_side() -> None:
    assert centre_deg(np.array([0, BINS - 1])).tolist() == [82.5, 277.5]


# Shade


class Summer:
    """Eight roofs in June; a day is a share of clear sky for each roof and bin."""

    def __init__(self) -> None:
        self.series = Series([roof(n) for n in range(8)])
        self.start = START_MS - START_MS % DAY_MS

    def day(self, index: Floats, *, clear: bool = True) -> Layer:
        """The layer of a day on which each roof had this share of clear sky in each bin, shape ``(8, BINS)``."""
        for minute in range(4 * 60, 18 * 60, 10):
            ts = self.start + minute * MINUTE_MS
            sky = self.series.tick(ts)
            place = np.floor((sky.column("sun_azimuth_deg") - FROM_DEG) / WIDTH_DEG).astype(int)
            share = index[np.arange(8), np.clip(place, 0, BINS - 1)]
            self.series.read(ts, {"power_w": sky.column("clear_power_w") * share})
        self.start += DAY_MS
        over = self.series.tick(self.start)
        over.inputs = self.series.seam.day_by_name
        over.columns = {"clear_day": np.full(8, float(clear))}
        return over


def shaded(share: float) -> Floats:
    index = np.full((8, BINS), 0.9)
    index[0, 4] *= share
    return index


def test_the_direction_of_the_shade_is_told() -> None:
    summer = Summer()
    for number in range(1, 4):
        over = summer.day(shaded(0.4))
        assert over.column("shade_days").tolist() == [number] + [0] * 7
        assert over.column("shade_azimuth_deg")[0] == centre_deg(np.array([4]))[0]
        assert over.column("shade_lost_w")[0] > 0
        assert over.column("shade_lost_w")[1:].tolist() == [0] * 7


def test_a_day_that_is_not_clear_counts_neither_way_and_a_clear_one_without_shade_ends_it() -> None:
    summer = Summer()
    assert summer.day(shaded(0.4)).column("shade_days")[0] == 1
    assert summer.day(shaded(0.4), clear=False).column("shade_days")[0] == 1
    assert summer.day(shaded(0.4)).column("shade_days")[0] == 2
    assert summer.day(shaded(1.0)).column("shade_days")[0] == 0


def test_clouds_over_everybody_in_the_afternoon_are_no_shade() -> None:
    index = np.full((8, BINS), 0.9)
    index[:, 9:] = 0.3
    assert Summer().day(index).column("shade_days").tolist() == [0] * 8


def test_a_roof_that_is_weak_all_day_is_not_in_the_shade() -> None:
    index = np.full((8, BINS), 0.9)
    index[0] *= 0.5
    assert Summer().day(index).column("shade_days").tolist() == [0] * 8


def test_less_than_the_deficit_is_none() -> None:
    assert Summer().day(shaded(1 - DEFICIT * 0.8)).column("shade_days")[0] == 0


def test_asking_twice_counts_once() -> None:
    summer = Summer()
    over = summer.day(shaded(0.4))
    assert over.column("shade_days")[0] == 1
    del over.columns["shade_days"]
    assert over.column("shade_days")[0] == 1
