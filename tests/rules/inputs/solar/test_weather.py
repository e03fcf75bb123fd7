"""Snow comes with the cold and with the neighbours, and goes with light or warmth; a sensor that stands still."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.inputs.solar.weather import FLAT_W_PER_M2
from tests.rules.inputs.solar.series import START_MS, Series, roof

MINUTE_MS, DAY_MS = 60_000, 86_400_000
NOON_MS = START_MS + 200 * DAY_MS - 10 * MINUTE_MS
"""A day in late December."""
DUSK_MS = NOON_MS + 230 * MINUTE_MS
"""From here on a clear sky gives less than a fifth of the rating."""


class Winter:
    """Eight roofs; ``day`` gives each a share of clear sky and a module temperature at noon."""

    def __init__(self) -> None:
        self.series = Series([roof(n) for n in range(8)])
        self.ts = NOON_MS
        self.covered = False

    def hour(self, own: float, others: float, degc: float, *, days: float = 0) -> bool:
        """Readings for an hour; whether snow is suspected on roof 0 at its end."""
        self.ts = self.ts + round(days * DAY_MS) if days else self.ts
        layer = None
        for minute in range(0, 60, 5):
            ts = self.ts + minute * MINUTE_MS
            index = np.full(8, others)
            index[0] = own
            clear = self.series.tick(ts).column("clear_power_w")
            layer = self.series.read(ts, {"power_w": index * clear, "module_temp_degc": degc})
        assert layer is not None
        self.covered = bool(layer.column("snow_covered")[0] == 1)
        return bool(layer.column("snowed")[0] == 1)


def test_cold_and_low_like_the_neighbours_is_snow() -> None:
    assert Winter().hour(0.01, 0.02, -4)


@pytest.mark.parametrize(
    ("own", "others", "degc"), [(0.01, 0.02, 3), (0.01, 0.6, -4), (0.5, 0.02, -4), (0.15, 0.15, -4)]
)
def test_warm_or_alone_or_bright_or_merely_overcast_is_none(own: float, others: float, degc: float) -> None:
    assert not Winter().hour(own, others, degc)


def test_a_roof_keeps_its_snow_for_three_days_longer_than_its_neighbours() -> None:
    winter = Winter()
    assert winter.hour(0.0, 0.02, -4)
    assert winter.hour(0.0, 0.8, -4, days=2)
    assert not winter.hour(0.0, 0.8, -4, days=2)


def test_light_or_warmth_ends_it() -> None:
    winter = Winter()
    assert winter.hour(0.0, 0.02, -4)
    assert not winter.hour(0.3, 0.8, -4, days=1)
    assert not winter.hour(0.0, 0.8, -4, days=1)
    thawed = Winter()
    assert thawed.hour(0.0, 0.02, -4)
    assert not thawed.hour(0.0, 0.8, 6, days=1)
    assert not thawed.hour(0.0, 0.8, -1, days=1)


def test_by_night_nothing_is_known_of_snow() -> None:
    winter = Winter()
    winter.hour(0.0, 0.02, -4)
    layer = winter.series.read(NOON_MS + DAY_MS // 2, {"power_w": 0.0, "module_temp_degc": -8.0})
    assert np.isnan(layer.column("snowed")).all()


def test_without_a_sensor_the_neighbours_modules_tell_the_cold() -> None:
    series = Series([roof(n) for n in range(8)])
    temperature = np.full(8, -2.0)
    temperature[0] = math.nan
    for minute in (0, 5):
        clear = series.tick(NOON_MS + minute * MINUTE_MS).column("clear_power_w")
        layer = series.read(NOON_MS + minute * MINUTE_MS, {"power_w": 0.02 * clear, "module_temp_degc": temperature})
        series.tick(NOON_MS + minute * MINUTE_MS)
    assert layer.column("module_near_degc")[0] == -2
    assert layer.column("snowed")[0] == 1
    # The others' modules are warm as soon as the snow has slid off them: that does not melt what lies on this one.
    later = np.full(8, 12.0)
    later[0] = math.nan
    power = np.full(8, 3_000.0)
    power[0] = 0.0
    layer = series.read(NOON_MS + 10 * MINUTE_MS, {"power_w": power, "module_temp_degc": later})
    assert layer.column("snowed").tolist() == [1] + [0] * 7


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([100.0, 100.4, 100.9, 101.5, 300.0, math.nan]), min_size=1, max_size=25),
    st.lists(st.sampled_from([5, 5, 5, 15, 16, 150]), min_size=25, max_size=25),
)
def test_how_long_a_sensor_has_stood_still_is_the_slow_twins(values: list[float], minutes: list[int]) -> None:
    series = Series([roof(0)])
    reference, since, ts = math.nan, START_MS, START_MS
    for value, gap in zip(values, minutes, strict=False):
        ts += gap * MINUTE_MS
        found = series.read(ts, {"irradiance_w_per_m2": value}).column("irradiance_flat_s")[0]
        if not abs(value - reference) <= FLAT_W_PER_M2 or gap > 15:  # three heartbeats: nobody knows what it said then
            reference, since = value, ts
        expected = math.nan if math.isnan(value) else (ts - since) / 1000
        assert found == pytest.approx(expected, nan_ok=True)


def test_at_dusk_a_roof_that_sleeps_tells_of_no_snow() -> None:
    winter = Winter()
    winter.ts = DUSK_MS
    assert not winter.hour(0.0, 0.0, -4)
    assert not winter.covered
    winter = Winter()
    assert winter.hour(0.0, 0.0, -4)
    assert winter.covered
