"""Power, network, starts and status messages of devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.physics.frame import DAY_MS
from simulators.presence import FOREVER_MS, WILL_AFTER_MS, Event, Gaps, Outage, Presence
from tests.simulators.scripted import HOUR_MS, START_MS

UP, DOWN = True, False
ON = np.ones(3, np.bool_)


def fresh(boot: int = 5) -> Presence:
    return Presence(boot, np.full(3, START_MS - HOUR_MS))


def told(events: tuple[Event, ...]) -> list[tuple[int, int, bool]]:
    """Device, moment since the start, and whether online; without the roll call."""
    return [(e.device, e.ts_ms - START_MS, e.online) for e in events if e.ts_ms > START_MS]


def test_the_will_comes_ninety_seconds_after_power_is_lost_and_the_return_has_the_next_boot() -> None:
    gone, back = START_MS + HOUR_MS, START_MS + 2 * HOUR_MS
    day = fresh().day(START_MS, ON, [(1, gone, DOWN), (1, back, UP)], [])
    assert told(day.events) == [(1, HOUR_MS + WILL_AFTER_MS, False), (1, 2 * HOUR_MS, True)]
    boots, began = day.boots(np.array([1, 1, 0]), np.array([gone, back, back]))
    assert boots.tolist() == [5, 6, 5]
    assert began.tolist() == [START_MS - HOUR_MS, back, START_MS - HOUR_MS]


def test_who_is_back_before_the_will_takes_the_session_over() -> None:
    day = fresh().day(START_MS, ON, [(0, START_MS + 1000, DOWN), (0, START_MS + 31_000, UP)], [])
    assert told(day.events) == [(0, 30_999, False), (0, 31_000, True)]


def test_a_lost_network_is_told_like_lost_power_but_starts_nothing() -> None:
    day = fresh().day(START_MS, ON, [], [Outage(2, START_MS + HOUR_MS, START_MS + 3 * HOUR_MS)])
    assert told(day.events) == [(2, HOUR_MS + WILL_AFTER_MS, False), (2, 3 * HOUR_MS, True)]
    assert day.boots(np.array([2]), np.array([START_MS + 4 * HOUR_MS]))[0].tolist() == [5]


def test_power_lost_within_a_lost_network_is_one_gap_and_one_start() -> None:
    switching = [(0, START_MS + 2 * HOUR_MS, DOWN), (0, START_MS + 3 * HOUR_MS, UP)]
    day = fresh().day(START_MS, ON, switching, [Outage(0, START_MS + HOUR_MS, START_MS + 4 * HOUR_MS)])
    assert told(day.events) == [(0, HOUR_MS + WILL_AFTER_MS, False), (0, 4 * HOUR_MS, True)]
    assert day.boots(np.array([0]), np.array([START_MS + 4 * HOUR_MS]))[0].tolist() == [6]


def test_a_gap_over_midnight_is_told_once_at_each_end() -> None:
    presence = fresh()
    first = presence.day(START_MS, ON, [(0, START_MS + 23 * HOUR_MS, DOWN)], [])
    powered = np.array([False, True, True])
    second = presence.day(START_MS + DAY_MS, powered, [(0, START_MS + 26 * HOUR_MS, UP)], [])
    assert told(first.events) == [(0, 23 * HOUR_MS + WILL_AFTER_MS, False)]
    assert first.gaps.to_ms.tolist() == [FOREVER_MS]
    assert told(second.events) == [(0, 26 * HOUR_MS, True)]
    assert second.gaps.from_ms.tolist() == [START_MS + 23 * HOUR_MS]
    third = presence.day(START_MS + 2 * DAY_MS, ON, [], [])
    assert third.boot.tolist() == [6, 5, 5]
    assert third.events == ()


def test_a_will_due_after_midnight_belongs_to_the_next_day() -> None:
    presence = fresh()
    first = presence.day(START_MS, ON, [(0, START_MS + DAY_MS - 30_000, DOWN)], [])
    second = presence.day(START_MS + DAY_MS, np.array([False, True, True]), [], [])
    assert told(first.events) == []
    assert told(second.events) == [(0, DAY_MS + 60_000, False)]


def test_the_simulation_begins_with_everybodys_last_status() -> None:
    day = fresh().day(START_MS, np.array([True, False, True]), [], [])
    assert [(e.device, e.online) for e in day.events if e.ts_ms == START_MS] == [(0, True), (1, False), (2, True)]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(1, 20)), max_size=12),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 80)), max_size=20),
)
def test_gaps_hold_exactly_the_moments_of_their_parts(
    parts: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    gaps = Gaps.of((device, start, start + length) for device, start, length in parts)
    device = np.array([d for d, _ in asked], np.intp)
    ts_ms = np.array([t for _, t in asked], np.int64)
    found = gaps.around(device, ts_ms)
    for (one, at), gap in zip(asked, found.tolist(), strict=True):
        within = any(d == one and start <= at < start + length for d, start, length in parts)
        assert (gap >= 0) == within
        if within:
            assert gaps.device[gap] == one
            assert gaps.from_ms[gap] <= at < gaps.to_ms[gap]


@pytest.mark.parametrize("device", [0, 1, 2])
def test_boots_count_each_device_alone(device: int) -> None:
    switching = sorted((d, START_MS + h * HOUR_MS, h % 2 == 0) for d in (0, 2) for h in range(1, 2 * d + 3))
    day = fresh(1).day(START_MS, ON, switching, [])
    at = np.arange(24) * HOUR_MS + START_MS
    boots = day.boots(np.full(24, device), at)[0]
    starts = [ts for d, ts, up in switching if d == device and up]
    assert boots.tolist() == [1 + sum(ts <= t for ts in starts) for t in at.tolist()]
