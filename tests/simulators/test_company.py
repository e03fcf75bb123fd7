"""Whom a roof can be compared with, and on which days."""

from dataclasses import replace

import numpy as np

from simulators.asset import Asset
from simulators.company import ALONE, Company, light_of_days
from simulators.faults import one
from simulators.physics.frame import DAY_MS, Fault
from simulators.physics.weather import Weather
from simulators.region import region
from simulators.score import estate

BUILT = region(1, 400)
WEATHER = Weather(1)
DAY = 20_600
BEGIN_MS = (DAY - 40) * DAY_MS
ROOFS = {asset.key: asset for asset in BUILT.assets if asset.kind == "solar"}


def company(*faults: Fault) -> Company:
    return Company.of(estate(BUILT), BUILT.assets, faults, BEGIN_MS)


def with_five_peers(found: Company) -> Asset:
    return ROOFS[next(key for key in found.peers if len(found.peers[key]) == 5)]


def broken(key: str, cause: str = "zero_output") -> Fault:
    return replace(one("zero_output", BUILT, 1, DAY * DAY_MS, hours=20), targets=(key,), cause=cause)


def test_a_peer_with_a_fault_is_no_peer_on_the_days_it_lasts() -> None:
    days = np.arange(DAY - 1, DAY + 2)
    well = company()
    roof = with_five_peers(well)
    assert well.has_peers(roof, days).all()
    ill = company(broken(well.peers[roof.key][0]))
    assert ill.has_peers(roof, days).tolist() == [True, False, True]


def test_snow_is_told_by_the_weather_and_not_by_its_label() -> None:
    roof = with_five_peers(company())
    under = company(broken(company().peers[roof.key][0], "snow"))
    assert under.has_peers(roof, np.array([DAY])).all()


def test_days_under_snow_compare_with_nothing() -> None:
    roof = next(iter(ROOFS.values()))
    days = np.arange(DAY, DAY + 365)
    light = light_of_days(WEATHER, roof, days)
    ts_ms = days[:, None] * DAY_MS + np.arange(-48, 24) * 3_600_000
    snowed = WEATHER.snow_cm(np.array(roof.number("tilt_deg")), ts_ms).max(axis=1) > 0
    assert snowed.any()
    assert (light[snowed] == 0).all()
    assert (light[~snowed] > 0).all()
    assert light.max() < 1.2


def test_nothing_is_told_before_a_roof_has_a_past() -> None:
    found = company()
    roof = ROOFS[max(found.peers, key=lambda key: len(found.peers[key]))]
    lost = {DAY + n: 0.4 for n in range(25)}
    fault = replace(broken(roof.key), start_ms=DAY * DAY_MS, end_ms=(DAY + 25) * DAY_MS)
    assert found.told_from(WEATHER, roof, fault, lost) is not None
    assert replace(found, begin_ms=(DAY - 5) * DAY_MS).told_from(WEATHER, roof, fault, lost) is None
    assert ALONE.told_from(WEATHER, roof, fault, lost) is None
