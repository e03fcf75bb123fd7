"""The lifetime counter: what is believed, what is not, against a slow twin; and the stories of solar.md."""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.inputs.solar.counter import EPOCH_MS, RATE_MAX, SLACK_WH
from tests.rules.inputs.solar.series import RATED_W, START_MS, Series, roof

MINUTE_MS = 60_000


@dataclass
class Twin:
    """One counter, one reading at a time."""

    believed: float | None = None
    believed_ms: int = 0
    sound: float = math.nan
    first: float | None = None
    first_ms: int = 0
    last: float = 0.0
    last_ms: int = 0

    def read(self, ts: int, value: float, power: float) -> float:
        if math.isnan(value) or value <= 0:
            return self.sound
        if self.believed is None:
            self.believed, self.believed_ms, self.sound = value, ts, value
            return self.sound
        step = value - self.believed
        if -SLACK_WH <= step <= self._most(ts - self.believed_ms):
            if step > 0:
                self.sound, self.believed, self.believed_ms = self.sound + step, value, ts
            self.first = None
            return self.sound
        goes_on = self.first is not None and -SLACK_WH <= value - self.last <= self._most(ts - self.last_ms)
        if not goes_on:
            self.first, self.first_ms = value, ts
        self.last, self.last_ms = value, ts
        assert self.first is not None
        if ts - self.first_ms >= EPOCH_MS and value > self.first and power > 0:
            self.sound += value - self.first
            self.believed, self.believed_ms, self.first = value, ts, None
        return self.sound

    def _most(self, ms: int) -> float:
        return RATE_MAX * RATED_W * ms / 3_600_000 + SLACK_WH


values = st.one_of(
    st.just(math.nan),
    st.just(0.0),
    st.integers(1, 60).map(float),
    st.integers(1_000, 1_060).map(lambda n: n * 100.0),
    st.integers(100_000, 100_400).map(float),
)
readings = st.lists(
    st.tuples(st.integers(1, 25), values, st.sampled_from([math.nan, 0.0, 4_000.0])), min_size=1, max_size=60
)


@given(readings, readings)
def test_every_counter_is_believed_as_by_the_slow_twin(
    one: list[tuple[int, float, float]], two: list[tuple[int, float, float]]
) -> None:
    series, twins = Series([roof(0), roof(1)]), (Twin(), Twin())
    now = [START_MS, START_MS]
    for turn in range(max(len(one), len(two))):
        slots = [slot for slot, listed in enumerate((one, two)) if turn < len(listed)]
        told = [(one, two)[slot][turn] for slot in slots]
        for slot, (minutes, _, _) in zip(slots, told, strict=True):
            now[slot] += minutes * MINUTE_MS
        columns = {"energy_wh": np.array([e for _, e, _ in told]), "power_w": np.array([p for _, _, p in told])}
        layer = series.read(np.array([now[slot] for slot in slots]), columns, slots)
        expected = [twins[slot].read(now[slot], e, p) for slot, (_, e, p) in zip(slots, told, strict=True)]
        np.testing.assert_allclose(layer.column("energy_sound_wh"), expected)


def counted(story: list[tuple[float, float]], power: float = 5_000.0) -> list[float]:
    """What is counted since the first reading, of values by minute."""
    series = Series([roof(0)])
    found = [
        float(
            series.read(START_MS + round(minute * MINUTE_MS), {"energy_wh": value, "power_w": power}).column(
                "energy_sound_wh"
            )[0]
        )
        for minute, value in story
    ]
    return [sound - story[0][1] for sound in found]


def test_a_zero_at_wake_up_books_nothing() -> None:
    assert counted([(0, 5e6), (5, 0), (10, 0), (15, 5e6 + 100)]) == [0, 0, 0, 100]


def test_a_wrong_low_value_at_wake_up_does_not_book_the_lifetime_when_the_right_one_returns() -> None:
    assert counted([(0, 5e6), (5, 3), (10, 3), (15, 5e6 + 100)]) == [0, 0, 0, 100]


def test_one_count_less_is_tolerated_and_not_counted_again() -> None:
    assert counted([(0, 5e6), (5, 5e6 - 1), (10, 5e6), (15, 5e6 + 7)]) == [0, 0, 0, 7]


def test_nothing_counts_faster_than_1_3_times_the_rating() -> None:
    assert counted([(0, 5e6), (5, 5e6 + 5_000), (10, 5e6 + 900)]) == [0, 0, 900]


def test_a_new_inverter_opens_a_new_epoch_after_half_an_hour_of_rising() -> None:
    story = [(0.0, 5e6), *((minute, 1_000 + minute * 80) for minute in range(5, 60, 5))]
    assert counted(story)[-1] == 50 * 80


def test_a_lower_value_that_stands_still_or_a_roof_that_sleeps_opens_no_epoch() -> None:
    assert counted([(0.0, 5e6), *((minute, 1_000.0) for minute in range(5, 90, 5))])[-1] == 0
    rising = [(0.0, 5e6), *((minute, 1_000 + minute * 80) for minute in range(5, 60, 5))]
    assert counted(rising, power=0.0)[-1] == 0


def test_the_counters_step_tells_downtime_from_silence() -> None:
    for produced, down in ((0.0, True), (20_000.0, False)):
        series = Series([roof(0)])
        series.read(START_MS - 4 * 60 * MINUTE_MS, {"energy_wh": 5e6, "power_w": 6e3})
        layer = series.read(START_MS, {"energy_wh": 5e6 + produced, "power_w": 6e3})
        assert (layer.column("gap_yield_pct")[0] < 2) == down


def test_a_short_gap_and_a_gap_by_night_tell_nothing() -> None:
    series = Series([roof(0)])
    series.read(START_MS, {"energy_wh": 5e6, "power_w": 6e3})
    assert np.isnan(series.read(START_MS + 10 * MINUTE_MS, {"energy_wh": 5e6}).column("gap_yield_pct")[0])
    night = START_MS + 12 * 60 * MINUTE_MS
    series.read(night, {"energy_wh": 5e6})
    assert np.isnan(series.read(night + 120 * MINUTE_MS, {"energy_wh": 5e6}).column("gap_yield_pct")[0])
