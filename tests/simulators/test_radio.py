"""What becomes of messages on their way, and of clocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.physics.frame import DAY_MS
from simulators.presence import FOREVER_MS, Gaps
from simulators.radio import RADIOS, Clocks, Messages, Radio, arrivals, patience_ms, travel_ms
from simulators.ring import IN_FLIGHT_MAX
from tests.simulators.scripted import HOUR_MS, START_MS

MANY = 100_000
NAMES = [f"lamp-{n:06x}" for n in range(500)]


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def messages(device: list[int], taken: list[int], due: list[int] | None = None) -> Messages:
    n = len(device)
    at = np.array(taken, np.int64)
    return Messages(
        np.array(device, np.intp), np.arange(n), at, at.copy() if due is None else np.array(due), np.ones(n, np.bool_)
    )


def test_without_loss_and_delay_everything_is_there_at_once() -> None:
    travelled, second = travel_ms(RADIOS["perfect"], random(), MANY)
    assert not travelled.any()
    assert (second == -1).all()


@pytest.mark.parametrize("loss", [0.02, 0.2])
def test_what_is_lost_comes_again_after_thirty_seconds_doubling(loss: float) -> None:
    travelled, _ = travel_ms(Radio(loss=loss, delay_s=0.0, duplicates=0.0, drift=0.0), random(), MANY)
    assert (travelled > 0).mean() == pytest.approx(loss, rel=0.1)
    once = travelled[(travelled > 0) & (travelled <= 36_000)]
    assert once.min() >= 24_000
    # Twice lost: 30 s and 60 s, each a fifth more or less.
    twice = travelled[(travelled > 36_000) & (travelled <= 108_000)]
    assert twice.min() >= 72_000
    assert len(twice) / MANY == pytest.approx(loss**2, rel=0.4)


def test_the_way_takes_its_time_and_some_come_twice() -> None:
    for radio in RADIOS.values():
        travelled, second = travel_ms(radio, random(), MANY)
        assert np.median(travelled) <= radio.delay_s * 1000 * 1.5
        doubled = second >= 0
        assert doubled.mean() == pytest.approx(radio.duplicates, rel=0.2)
        assert ((second[doubled] >= 24_000) & (second[doubled] <= 36_000)).all()


def test_what_is_taken_in_a_gap_comes_after_it_sixty_four_at_a_time_in_order() -> None:
    gaps = Gaps.of([(0, 1000, 500_000)])
    taken = list(range(2000, 2000 + 150))
    at, waiting = arrivals(messages([0] * 150, taken), gaps, np.array([60_000]), DAY_MS)
    assert not waiting.any()
    assert at.min() > 560_000
    assert np.unique(at, return_counts=True)[1].tolist() == [IN_FLIGHT_MAX, IN_FLIGHT_MAX, 150 - 2 * IN_FLIGHT_MAX]
    assert (np.diff(at) >= 0).all()


def test_live_readings_overtake_the_backlog() -> None:
    gaps = Gaps.of([(0, 1000, 500_000)])
    at, _ = arrivals(messages([0, 0], [2000, 501_000]), gaps, np.array([60_000]), DAY_MS)
    assert at[1] == 501_000 < at[0]


def test_what_is_on_its_way_when_a_gap_begins_comes_after_it() -> None:
    gaps = Gaps.of([(0, 1000, 500_000)])
    sent = messages([0, 1], [500, 500], due=[30_500, 30_500])
    at, _ = arrivals(sent, gaps, np.array([60_000, 60_000]), DAY_MS)
    assert at[0] > 560_000
    assert at[1] == 30_500


def test_a_gap_without_an_end_today_keeps_what_it_holds_and_lets_it_go_the_day_after() -> None:
    sent = messages([0, 0], [HOUR_MS, 2 * HOUR_MS])
    at, waiting = arrivals(sent, Gaps.of([(0, 0, FOREVER_MS)]), np.array([60_000]), DAY_MS)
    assert waiting.all()
    assert at.tolist() == [HOUR_MS, 2 * HOUR_MS]
    later = Messages(sent.device, sent.seq, sent.taken_ms, at, waiting)
    at, waiting = arrivals(later, Gaps.of([(0, 0, DAY_MS + 5000)]), np.array([60_000]), 2 * DAY_MS)
    assert not waiting.any()
    assert (at > DAY_MS + 65_000).all()


def test_a_backlog_that_meets_the_next_gap_waits_for_its_end() -> None:
    gaps = Gaps.of([(0, 1000, 500_000), (0, 550_000, 900_000)])
    at, _ = arrivals(messages([0], [2000]), gaps, np.array([60_000]), DAY_MS)
    assert at[0] > 960_000


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_arrivals_agree_with_a_slow_twin(data: st.DataObject) -> None:
    """One message after another, for messages so few that they go in one round."""
    parts = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 90), st.integers(1, 30)), max_size=6), label="gaps"
    )
    gaps = Gaps.of((d, s * 10_000, (s + n) * 10_000) for d, s, n in parts)
    device = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=20), label="device")
    taken = [data.draw(st.integers(0, 1_200_000)) for _ in device]
    due = [t + data.draw(st.integers(0, 50_000)) for t in taken]
    patience = np.array([60_000, 90_000, 120_000])
    end = 900_000
    at, waiting = arrivals(messages(device, taken, due), gaps, patience, end)
    spans = list(zip(gaps.device.tolist(), gaps.from_ms.tolist(), gaps.to_ms.tolist(), strict=True))
    for n, one in enumerate(device):
        moment, held = due[n], next((s for s in spans if s[0] == one and s[1] <= taken[n] < s[2]), None)
        late = False
        while True:
            held = held or next((s for s in spans if s[0] == one and s[1] <= moment < s[2]), None)
            if held is None:
                break
            if held[2] >= end:
                late = True
                break
            moment, held = held[2] + int(patience[one]) + 1000, None
        assert bool(waiting[n]) == late
        assert at[n] == (due[n] if late else moment)


def test_clocks_run_off_by_their_quartz_and_are_set_once_a_day() -> None:
    clocks = Clocks(Radio(loss=0, delay_s=0, duplicates=0, drift=20.0), 1, NAMES)
    device = np.repeat(np.arange(len(NAMES)), 96)
    at = np.tile(START_MS + np.arange(96) * 900_000, len(NAMES))
    off = clocks.offset_ms(device, at).reshape(len(NAMES), 96)
    worst = np.abs(off).max(axis=1)
    assert worst.max() <= 40e-6 * DAY_MS
    assert np.median(worst) == pytest.approx(20e-6 * DAY_MS, rel=0.15)
    jumps = np.abs(np.diff(off, axis=1)) > 40e-6 * 900_000 + 1
    assert (jumps.sum(axis=1) <= 1).all()


def test_each_device_has_a_patience_of_its_own() -> None:
    found = patience_ms(1, NAMES)
    assert len(np.unique(found)) > 450
    assert ((found >= 60_000) & (found < 180_000)).all()
