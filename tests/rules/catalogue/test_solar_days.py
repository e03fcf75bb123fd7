"""The rules over days: four weeks of two dozen roofs, each with one thing that comes on slowly, or with nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from kraj.alerts import Severity
from kraj.readings import Floats
from rules.photovoltaics.clear import clear_light
from tests.rules.catalogue.roofs import DAY_MS, HOUR_MS, MINUTE_MS, Columns, Roofs, at, roof

START = at(5, 1)
DAYS = 26
WEAK_FROM = 18
"""The day on which most things begin: there is a baseline by then."""
SENSORS = range(10)
PARTIAL, TWIN_A, TWIN_B = 10, 11, 12
WEAK, BROKEN, SHADED, SENSOR_OFF, SENSOR_FLAT, SENSOR_NIGHT, DAMP, OPEN, DIP, FOGGED = range(13, 23)
LONELY = 23
"""The same as ``WEAK``, but nobody near faces as it does."""
ROOFS = 24


def day_of(ts_ms: int) -> int:
    return (ts_ms - START) // DAY_MS


def weather(ts_ms: int) -> float:
    """Three days of four are clear, the fourth overcast."""
    return 0.95 if day_of(ts_ms) % 4 else 0.35


def faults(ts_ms: int, columns: Columns, plane: Floats, random: np.random.Generator) -> None:
    day, hour = day_of(ts_ms), (ts_ms - START) % DAY_MS / HOUR_MS
    power = columns["power_w"]
    power *= 1 + 0.02 * np.sin(np.arange(ROOFS) + day * 1.7) + 0.01 * random.standard_normal(ROOFS)
    power[WEAK] *= 0.8 if day >= WEAK_FROM else 1
    power[LONELY] *= 0.8 if day >= WEAK_FROM else 1
    power[PARTIAL] *= 0.9 if day >= WEAK_FROM else 1
    power[BROKEN] *= 0.5 if day >= WEAK_FROM else 1
    power[DIP] *= 0.8 if day in {WEAK_FROM, WEAK_FROM + 1} else 1
    power[SHADED] *= 0.4 if day >= 8 and 8 <= hour < 10 and weather(ts_ms) > 0.9 else 1
    if ts_ms >= START + WEAK_FROM * DAY_MS + 11 * HOUR_MS:
        power[OPEN] *= 0.5
        columns["string2_current_a"][OPEN] = 0.0
    columns["string1_current_a"][OPEN] = max(columns["string1_current_a"][OPEN], 0)
    columns["isolation_ohm"][DAMP] = 2.2e6 if day >= WEAK_FROM else 5e6
    columns["isolation_ohm"][FOGGED] = 2.2e6 if day in {WEAK_FROM, WEAK_FROM + 1} else 5e6
    light = plane * weather(ts_ms) * (1 + 0.01 * random.standard_normal(ROOFS)) + 0.3
    light[SENSOR_OFF] *= 1.25 if day >= 8 else 1
    light[SENSOR_FLAT] = 312.0 if day >= 10 else light[SENSOR_FLAT]
    light[SENSOR_NIGHT] += 16.0 if day >= 10 else 0
    sensed = [*SENSORS, SENSOR_OFF, SENSOR_FLAT, SENSOR_NIGHT]
    columns["irradiance_w_per_m2"] = np.full(ROOFS, np.nan)
    columns["irradiance_w_per_m2"][sensed] = light[sensed]


@pytest.fixture(scope="module")
def roofs() -> Roofs:
    rows = [roof(number) for number in range(ROOFS)]
    for number in (PARTIAL, TWIN_A, TWIN_B):
        rows[number] = roof(number, site="škola")
    rows[LONELY] = roof(LONELY, azimuth_deg=100.0)
    random = np.random.default_rng(5)
    found = Roofs(rows, weather, step_ms=15 * MINUTE_MS)

    def change(ts_ms: int, columns: Columns) -> None:
        plane = clear_light(found.planes, np.full(ROOFS, ts_ms)).plane
        faults(ts_ms, columns, plane, random)

    found.change = change
    return found.run(START, START + DAYS * DAY_MS)


Day = Callable[[int], int]


def told_on(roofs: Roofs, rule: str, number: int) -> int:
    """The day whose end raised the rule."""
    return day_of(roofs.first(rule, number).ts_ms - HOUR_MS)


def test_ten_per_cent_less_than_the_twins_is_told_after_two_days(roofs: Roofs) -> None:
    assert roofs.raised(PARTIAL) == ["partial_loss"]
    assert WEAK_FROM < told_on(roofs, "partial_loss", PARTIAL) <= WEAK_FROM + 2
    assert roofs.first("partial_loss", PARTIAL).evidence["sibling_deviation_pct"] == pytest.approx(-10, abs=3)
    assert roofs.raised(TWIN_A) == roofs.raised(TWIN_B) == []


def test_a_fifth_less_than_the_peers_is_told_on_the_third_day(roofs: Roofs) -> None:
    assert roofs.raised(WEAK) == ["peer_underperformance"]
    assert told_on(roofs, "peer_underperformance", WEAK) == WEAK_FROM + 2
    assert roofs.first("peer_underperformance", WEAK).severity is Severity.MINOR


def test_half_is_critical_after_the_first_day(roofs: Roofs) -> None:
    assert roofs.raised(BROKEN) == ["peer_underperformance"]
    assert told_on(roofs, "peer_underperformance", BROKEN) == WEAK_FROM
    assert roofs.first("peer_underperformance", BROKEN).severity is Severity.CRITICAL


def test_two_weak_days_are_none(roofs: Roofs) -> None:
    assert roofs.raised(DIP) == []


def test_without_five_peers_that_face_alike_there_is_no_verdict(roofs: Roofs) -> None:
    assert roofs.raised(LONELY) == []


def test_shade_from_one_direction_is_told_as_such_after_five_clear_days(roofs: Roofs) -> None:
    assert roofs.raised(SHADED) == ["shading"]
    # Days 8 and 12 are overcast: the fifth clear one is day 14.
    assert told_on(roofs, "shading", SHADED) == 14
    assert 120 <= roofs.first("shading", SHADED).evidence["shade_azimuth_deg"] <= 170


def test_a_sensor_a_quarter_too_high_is_told_after_three_clear_days(roofs: Roofs) -> None:
    assert roofs.raised(SENSOR_OFF) == ["irradiance_sensor"]
    assert told_on(roofs, "irradiance_sensor", SENSOR_OFF) == 11
    assert roofs.first("irradiance_sensor", SENSOR_OFF).evidence["sensor_deviation_pct"] == pytest.approx(25, abs=4)


def test_a_sensor_that_stands_still_or_sees_light_by_night_is_told_the_next_day(roofs: Roofs) -> None:
    for number in (SENSOR_FLAT, SENSOR_NIGHT):
        assert roofs.raised(number) == ["irradiance_sensor"]
        assert told_on(roofs, "irradiance_sensor", number) <= 11


def test_isolation_at_half_on_three_mornings_is_told_and_on_two_is_not(roofs: Roofs) -> None:
    assert roofs.raised(DAMP) == ["isolation_falling"]
    assert told_on(roofs, "isolation_falling", DAMP) == WEAK_FROM + 2
    assert roofs.raised(FOGGED) == []


def test_an_open_string_is_not_told_a_second_time_by_its_energy(roofs: Roofs) -> None:
    assert roofs.raised(OPEN) == ["string_open"]


def test_sound_roofs_are_not_told_of(roofs: Roofs) -> None:
    assert [(number, roofs.raised(number)) for number in SENSORS if roofs.raised(number)] == []
