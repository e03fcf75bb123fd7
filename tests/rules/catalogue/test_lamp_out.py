"""When a lamp that is dark, or does not dim, is told of: beside dim steps, and by clocks that go wrong a little."""

import pytest

from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, every, lamp, warmth

DUSK, NIGHT = at("2026-11-20 16:30"), at("2026-11-20 18:00")


def evening(level: float = 100.0) -> Street:
    """A street whose lamp was lit at dusk, warm and ordinary until just before night."""
    street = Street()
    street.read("L1", DUSK - 20 * MINUTE_MS, lamp(0))
    for ts in every(DUSK, NIGHT - MINUTE_MS):
        street.read("L1", ts, lamp(level, share=warmth((ts - DUSK) / MINUTE_MS), lamp_starts=901))
    return street


@pytest.mark.parametrize("ppm", [-200, -5, 0, 5, 200])
def test_a_slow_clock_is_not_waited_for_by_one_report_more(ppm: int) -> None:
    """Two heartbeats are ten minutes by any quartz, for the guard and the rule: dark from dusk, told by the fifth."""
    street = Street()
    street.read("L1", DUSK - HOUR_MS, lamp(0))
    for n in range(7):
        street.read("L1", DUSK + round(5 * n * MINUTE_MS * (1 + ppm * 1e-6)), lamp(100, share=0.02))
    (change,) = street.changes
    assert (change.rule, round((change.ts_ms - DUSK) / MINUTE_MS)) == ("lamp_out", 20)


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_slow_clock_is_not_waited_for_by_one_report_more_after_a_step(ppm: int) -> None:
    """Five minutes after a step is told the lamp should have followed, and ten minutes more it has not."""
    street = evening()
    for n in range(7):
        street.read("L1", NIGHT + round(5 * n * MINUTE_MS * (1 + ppm * 1e-6)), lamp(60, of=100, lamp_starts=901))
    (change,) = street.changes
    assert (change.rule, round((change.ts_ms - NIGHT) / MINUTE_MS)) == ("dim_not_followed", 15)
    for n in range(3):  # the next step, which it follows
        ts = NIGHT + round((5 * n + 45) * MINUTE_MS * (1 + ppm * 1e-6))
        street.read("L1", ts, lamp(30, lamp_starts=901))
        assert (not street.open()) == (n >= 1)


@pytest.mark.parametrize("fails_min", [-6, 4, 14])
@pytest.mark.parametrize(("level", "stepped"), [(100, 40), (40, 100)])
def test_a_lamp_that_fails_beside_a_dim_step_is_told_as_soon_as_any_other(
    level: float, stepped: float, fails_min: int
) -> None:
    street = evening(level)
    for ts in every(NIGHT, NIGHT + 40 * MINUTE_MS):
        minutes = (ts - NIGHT) / MINUTE_MS - 10
        now = level if minutes < 0 else stepped
        street.read("L1", ts, lamp(now, share=0.02 if minutes >= fails_min else 1.0, lamp_starts=901))
    (change,) = street.changes
    assert change.rule == "lamp_out"
    assert 0 <= (change.ts_ms - NIGHT) / MINUTE_MS - 10 - fails_min <= 15


def test_a_lamp_that_still_goes_from_level_to_level_is_not_out() -> None:
    """A step is told before the lamp has followed it, and at its least it takes less than a fifth of its full power."""
    street = evening(10)
    for n, ts in enumerate(every(NIGHT, NIGHT + 2 * HOUR_MS)):
        before, now = ((10, 100), (100, 10))[n % 2]
        street.read("L1", ts - MINUTE_MS, lamp(before, of=10, share=0.9, lamp_starts=901))
        street.read("L1", ts, lamp(now, of=10, share=0.9, lamp_starts=901))
    assert "lamp_out" not in dict(street.raised())
