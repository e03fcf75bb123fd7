"""The low-voltage grid: within the standard, its own in each area, smooth."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from simulators.physics.frame import DAY_MS
from simulators.physics.mains import areas, frequency_hz, grid_voltage_v
from simulators.physics.season import HOUR_MS

START_MS = 1_767_225_600_000 // DAY_MS * DAY_MS
YEAR = START_MS + np.arange(365 * 24) * HOUR_MS
AREAS = areas([f"NO-{n}" for n in range(60)])


def test_voltage_keeps_far_within_the_standard_all_year() -> None:
    volts = np.stack([grid_voltage_v(7, AREAS[:, None], YEAR, phase) for phase in (1, 2, 3)])
    assert volts.min() > 216
    assert volts.max() < 246
    assert 229 < volts.mean() < 233
    assert np.quantile(volts, 0.999) < 1.07 * 230, "there is room for the roofs' own rise below P(U)"


def test_each_area_has_its_own_voltage_and_its_assets_share_it() -> None:
    volts = grid_voltage_v(7, AREAS[:, None], YEAR)
    assert volts.mean(axis=1).std() > 1
    again = grid_voltage_v(7, areas(["NO-3"]), YEAR[100:101])
    assert again[0] == volts[3, 100]
    assert np.abs(np.corrcoef(volts[:6] - volts.mean(axis=0))[0, 1:]).max() < 0.5


def test_evenings_sag_and_summer_noons_rise() -> None:
    hour = (YEAR - START_MS) // HOUR_MS % 24
    volts = grid_voltage_v(7, AREAS[:, None], YEAR).mean(axis=0)
    june = (YEAR >= START_MS + 151 * DAY_MS) & (YEAR < START_MS + 181 * DAY_MS)
    evening, night, noon = (float(volts[june & (hour == h)].mean()) for h in (17, 1, 11))
    assert evening + 2 < night < noon


def test_phases_differ_by_a_little_and_lastingly() -> None:
    one, two, three = (grid_voltage_v(7, AREAS[:1, None], YEAR[:24], phase)[0] for phase in (1, 2, 3))
    assert np.ptp(one - two) < 1e-6
    assert 0 < abs(float((one - two)[0])) < 5
    by_array = grid_voltage_v(7, AREAS[:1], YEAR[:3], np.array([1, 2, 3]))
    assert by_array.tolist() == [one[0], two[1], three[2]]


@example(seed=0, ts=START_MS + DAY_MS - HOUR_MS - 30_000, phase=1)  # Prague's midnight: the evening goes on over it
@given(st.integers(0, 2**32), st.integers(START_MS, START_MS + 4 * 365 * DAY_MS), st.integers(1, 3))
def test_voltage_and_frequency_are_smooth(seed: int, ts: int, phase: int) -> None:
    seconds = ts + np.arange(0, 60_000, 1000)
    volts = grid_voltage_v(seed, AREAS[:1], seconds, phase)
    assert np.abs(np.diff(volts)).max() < 0.05
    hertz = frequency_hz(seed, seconds)
    assert np.abs(np.diff(hertz)).max() < 0.002
    assert np.abs(hertz - 50).max() < 0.1
