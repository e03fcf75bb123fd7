"""A device that sends faster than its allowance is cut, and nobody else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.flood import BURST_READINGS_MAX, FloodGuard

PER_S, BURST = 7.0, 9.0
BATCHES = st.lists(st.tuples(st.integers(-500, 1500), st.lists(st.integers(0, 2500), max_size=40)), max_size=12)
FEW = st.lists(st.tuples(st.integers(-500, 1500), st.lists(st.integers(0, 3), max_size=40)), max_size=12)


@given(st.one_of(FEW, BATCHES))
def test_the_buckets_equal_one_bucket_a_device_filled_and_emptied_by_hand(batches: list[tuple[int, list[int]]]) -> None:
    guard = FloodGuard(PER_S, BURST)
    tokens: dict[int, float] = {}
    at = now = 0
    for pause_ms, devices in batches:
        now += pause_ms
        for device in tokens:
            if now > at:
                tokens[device] = min(tokens[device] + (now - at) / 1000 * PER_S, BURST)
        at = now
        expected: list[bool] = []
        for device in devices:
            left = tokens.setdefault(device, BURST)
            expected.append(left < 1)
            tokens[device] = left if left < 1 else left - 1
        assert guard.excess(np.array(devices, np.int64), now).tolist() == expected


def test_a_backlog_of_ten_thousand_readings_passes_at_once() -> None:
    guard = FloodGuard()
    assert not guard.excess(np.zeros(int(BURST_READINGS_MAX), np.int64), 0).any()
    assert guard.excess(np.zeros(1, np.int64), 0).all()
    assert not guard.excess(np.ones(1, np.int64), 0).any()
