"""A day of roofs: what is known is compared with what is known, by a sensor or by at least five peers."""

from typing import Any

import numpy as np
import pytest

from kraj.assets import AssetRow
from kraj.readings import Floats
from rules.estate import Estate, Members
from rules.photovoltaics.day import Quarters, SolarDay, account

BEGIN_MS = 1_781_992_800_000
"""2026-06-21 00:00 in Prague."""
KNOWN: dict[str, Any] = {"power_peak_w": 5000, "power_rated_w": 5000, "tilt_deg": 30, "azimuth_deg": 180}
SHAPE = np.maximum(np.sin((np.arange(96) - 20) / 56 * np.pi), 0) * 3000


def roofs(n: int, **more: Any) -> Members:
    rows = [
        AssetRow(
            asset_id=1 + number,
            municipality_id=1 + number % 2,
            kind="solar",
            label=f"R{number}",
            latitude=49.5 + number / 1000,
            longitude=15.6,
            metadata=KNOWN | {"site": f"S{number}"} | more,
        )
        for number in range(n)
    ]
    return Estate.of(0, rows).members["solar"]


def day(
    members: Members, power: Floats, *, irradiance: float = np.nan, module: float = np.nan, covered: Any = 900
) -> SolarDay:
    n = len(members)
    spread = [np.broadcast_to(np.asarray(x, np.float64), (n, 96)).copy() for x in (irradiance, module, covered)]
    begins = BEGIN_MS + np.arange(96) * 900_000
    return account(members, Quarters(begins, np.broadcast_to(power, (n, 96)).copy(), *spread))


def test_a_roof_that_gives_half_of_its_peers_has_half_of_what_is_expected() -> None:
    power = np.tile(SHAPE, (7, 1))
    power[0] /= 2
    made = day(roofs(7), power)
    assert made.expected_of_wh[0] / made.expected_wh[0] == pytest.approx(0.5, rel=0.01)
    np.testing.assert_allclose(made.expected_of_wh[1:] / made.expected_wh[1:], 1, rtol=0.02)
    assert (made.expected_s == made.light_s).all()


def test_fewer_than_five_peers_are_no_verdict() -> None:
    made = day(roofs(5), SHAPE)
    assert (made.expected_s == 0).all()
    assert (made.known_s > 0).all()


def test_a_sensor_alone_tells_what_to_expect_and_what_the_light_was_worth() -> None:
    made = day(roofs(1), SHAPE, irradiance=600.0, module=45.0)
    hours = made.light_s[0] / 3600
    assert made.reference_wh[0] == pytest.approx(0.6 * 5000 * (1 - 0.0038 * 20) * hours)
    assert 0.8 * made.reference_wh[0] < made.expected_wh[0] < made.reference_wh[0]


def test_times_without_data_are_on_neither_side() -> None:
    covered = np.where(np.arange(96) < 52, 900, 300)  # less than half of each quarter of an hour after 13:00
    whole, half = (day(roofs(7), SHAPE, covered=known) for known in (900, covered))
    assert (half.expected_s < 0.65 * half.light_s).all()
    ratio = half.expected_of_wh / half.expected_wh
    np.testing.assert_allclose(ratio, whole.expected_of_wh / whole.expected_wh, rtol=1e-2)


def test_an_inverter_that_stands_still_is_not_available_unless_snow_may_lie() -> None:
    stopped = np.where(np.arange(96) < 52, SHAPE, 0)
    made = day(roofs(1), stopped)
    assert 0.4 < made.giving_s[0] / made.known_s[0] < 0.7
    snowed = day(roofs(1), stopped, module=0.0)
    assert snowed.giving_s[0] == snowed.known_s[0]


def test_an_outage_at_noon_costs_more_of_the_energy_than_of_the_time() -> None:
    power = np.tile(SHAPE, (7, 1))
    power[0, 44:52] = 0  # two hours around noon
    made = day(roofs(7), power)
    time, energy = made.giving_s / made.known_s, made.available_wh / made.asked_wh
    assert energy[0] < time[0] - 0.03
    # By hand: what the others gave then, of what they gave while a share of the clear sky was asked for.
    quiet = SHAPE[44:52].sum() / SHAPE[SHAPE > 0].sum()
    assert energy[0] == pytest.approx(1 - quiet, abs=0.02)
    np.testing.assert_array_equal(energy[1:], 1)


def test_a_roof_is_set_against_the_median_of_what_its_peers_give_a_watt() -> None:
    power = np.tile(SHAPE, (7, 1)) * np.array([0.5, 1, 1, 1, 1, 1, 2])[:, None]
    made = day(roofs(7), power)
    np.testing.assert_allclose(made.peers_of_wh / made.peers_wh, [0.5, 1, 1, 1, 1, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(made.peers_of_wh, made.expected_of_wh)
    assert (day(roofs(5), SHAPE).peers_s == 0).all(), "four peers are no verdict"


def test_a_roof_without_a_rating_has_no_figures() -> None:
    made = day(roofs(1, power_peak_w=None, power_rated_w=None), SHAPE)
    assert np.isnan(made.light_s[0])
    assert made.known_s[0] == made.expected_s[0] == 0
