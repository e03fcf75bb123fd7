"""The limits of the rules of lighting: just beyond one it is told, just within it is not."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, cabinet, every, lamp

NIGHT, NOON = at("2026-11-20 20:00"), at("2026-11-20 11:30")
Snapshot = Mapping[str, float]
SMALL = {"power_rated_w": 24.0, "power_min_w": 4.2}
VILLAGE = {"lamps": 40, "lamps_unmetered": 40, "power_rated_w": 3200.0}


def dimmed(power: float) -> Snapshot:
    return lamp(60, power_w=power)


LAMPS: dict[str, tuple[str, int, Mapping[str, Any], Snapshot, Snapshot]] = {
    "a fifth of the power": ("lamp_out", NIGHT, {}, lamp(100, power_w=10), lamp(100, power_w=14)),
    "three watts": ("lamp_out", NIGHT, SMALL, lamp(10, power_w=2.5), lamp(10, power_w=4.0)),
    "180 volts": ("lamp_out", NIGHT, {}, lamp(of=0, voltage_v=185), lamp(of=0, voltage_v=175)),
    "the lowest level": ("lamp_out", NIGHT, {"level_min_pct": 20}, lamp(20, power_w=1), lamp(15, power_w=1)),
    "a third of the power by day": ("day_burner", NOON, {}, lamp(0, power_w=20), lamp(0, power_w=16)),
    "ten points of the level": (
        "dim_not_followed",
        NIGHT,
        {},
        lamp(60, level_effective_pct=72),
        lamp(60, level_effective_pct=68),
    ),
    "207 volts": ("voltage", NIGHT, {}, lamp(100, voltage_v=206), lamp(100, voltage_v=208)),
    "253 volts": ("voltage", NIGHT, {}, lamp(100, voltage_v=254), lamp(100, voltage_v=252)),
    "the gear's rating": (
        "gear_temp",
        NIGHT,
        {"gear_temp_max_degc": 80},
        lamp(100, gear_temp_degc=81),
        lamp(100, gear_temp_degc=79),
    ),
    "the clock's minute": ("clock_drift", NIGHT, {}, lamp(100, clock_offset_s=64), lamp(100, clock_offset_s=-58)),
}


@pytest.mark.parametrize("limit", LAMPS)
def test_a_lamp_is_told_beyond_a_limit_and_not_within(limit: str) -> None:
    rule, start, known, beyond, within = LAMPS[limit]
    for snapshot, told in ((beyond, True), (within, False)):
        street = Street({"L1": known})
        street.read("L1", start - 2 * HOUR_MS, lamp(100 if start == NIGHT else 0))
        for ts in every(start, start + 50 * MINUTE_MS):
            street.read("L1", ts, snapshot)
        assert ((rule, "L1") in street.raised(rule)) == told


def test_the_sun_must_stand_at_three_degrees() -> None:
    """It does from 07:45 on."""
    street = Street()
    for ts in every(at("2026-11-20 07:00"), at("2026-11-20 08:30")):
        street.read("L1", ts, lamp(0, of=100))
    (change,) = street.changes
    assert change.ts_ms == at("2026-11-20 08:05")


def test_a_lamp_that_does_not_dim_is_told_a_quarter_of_an_hour_after_its_ramp() -> None:
    """Five minutes to settle, and ten in which the device has tried twice more."""
    street = Street()
    street.read("L1", NIGHT - HOUR_MS, lamp(100))
    for ts in every(NIGHT, NIGHT + 30 * MINUTE_MS, 1):
        street.read("L1", ts, lamp(60, of=100, level_effective_pct=100))
    (change,) = street.changes
    assert change.ts_ms == NIGHT + 15 * MINUTE_MS


def test_gear_may_be_hot_for_ten_minutes() -> None:
    street = Street()
    for ts in every(NIGHT, NIGHT + 30 * MINUTE_MS):
        hot = NIGHT + 5 * MINUTE_MS <= ts <= NIGHT + 15 * MINUTE_MS
        street.read("L1", ts, lamp(100, gear_temp_degc=92 if hot else 70))
    assert street.raised() == []


def test_gear_has_shut_down_by_its_second_report() -> None:
    street = Street()
    street.read("L1", NIGHT - HOUR_MS, lamp(100))
    for minute, told in ((0, []), (1, [("gear_shutdown", "L1")])):
        street.read("L1", NIGHT + minute * MINUTE_MS, lamp(100, of=0, failure_flags=32))
        assert street.raised() == told


def test_a_clock_is_wrong_by_its_second_report() -> None:
    street = Street()
    street.read("L1", NIGHT - HOUR_MS, lamp(100))
    for minute, told in ((0, []), (1, [("clock_drift", "L1")])):
        street.read("L1", NIGHT + minute * MINUTE_MS, lamp(100, clock_offset_s=90))
        assert street.raised() == told


def test_a_pole_leans_from_five_degrees_on() -> None:
    for tilt, told in ((6.0, [("knock_down", "L1")]), (4.5, [])):
        street = Street()
        street.read("L1", NIGHT, lamp(100))
        street.read("L1", NIGHT + MINUTE_MS, lamp(100, shock_g=2.2))
        for ts in every(NIGHT + 2 * MINUTE_MS, NIGHT + 10 * MINUTE_MS, 1):
            street.read("L1", ts, lamp(100, tilt_deg=tilt))
        assert street.raised() == told


def test_a_blow_is_remembered_for_a_day() -> None:
    for later_h, told in ((23, [("knock_down", "L1")]), (25, [])):
        street = Street()
        street.read("L1", NIGHT, lamp(100, shock_g=2.2))
        for ts in every(NIGHT + later_h * HOUR_MS, NIGHT + later_h * HOUR_MS + 10 * MINUTE_MS):
            street.read("L1", ts, lamp(100, tilt_deg=20))
        assert street.raised() == told


CABINETS: dict[str, tuple[str, int, Mapping[str, Any], Snapshot, Snapshot]] = {
    "a dead phase": ("phase_dark", NIGHT, {}, cabinet(2000, l1_voltage_v=45), cabinet(2000, l1_voltage_v=70)),
    "a third of the load by day": ("circuit_day_burning", NOON, VILLAGE, cabinet(1100), cabinet(850)),
    "four fifths of the load": ("load_lost", NIGHT, {}, cabinet(2300), cabinet(2500)),
    "three quarters of a village": ("circuit_unlit", NIGHT, VILLAGE, cabinet(2200), cabinet(2350)),
    "allowed leakage": ("leakage", NIGHT, {}, cabinet(3000, leakage_ma=310), cabinet(3000, leakage_ma=290)),
}


@pytest.mark.parametrize("limit", CABINETS)
def test_a_cabinet_is_told_beyond_a_limit_and_not_within(limit: str) -> None:
    """The night before it carried 3 kW."""
    rule, start, known, beyond, within = CABINETS[limit]
    for snapshot, told in ((beyond, True), (within, False)):
        street = Street({}, {"R1": known})
        for ts in every(start - 25 * HOUR_MS, start - 22 * HOUR_MS):
            street.read("R1", ts, cabinet(3000) if start == NIGHT else cabinet(12, closed=False))
        street.read("R1", start - 30 * MINUTE_MS, cabinet(3000) if start == NIGHT else cabinet(12, closed=False))
        for ts in every(start, start + HOUR_MS):
            street.read("R1", ts, snapshot)
        assert ((rule, "R1") in street.raised(rule)) == told


def test_a_phase_is_dead_by_its_second_report() -> None:
    street = Street({}, {"R1": {}})
    for minute, told in ((0, []), (1, [("phase_dark", "R1")])):
        street.read("R1", NIGHT + minute * MINUTE_MS, cabinet(2000, l1_voltage_v=3))
        assert street.raised("phase_dark") == told


def test_a_village_is_dark_after_ten_minutes() -> None:
    street = Street({}, {"R1": VILLAGE})
    for ts in every(NIGHT - 25 * HOUR_MS, NIGHT - 22 * HOUR_MS):
        street.read("R1", ts, cabinet(3000))
    for ts in every(NIGHT, NIGHT + HOUR_MS, 1):
        street.read("R1", ts, cabinet(50))
    (change,) = [c for c in street.changes if c.rule == "circuit_unlit"]
    assert change.ts_ms == NIGHT + 10 * MINUTE_MS


def test_a_village_burns_by_day_for_twenty_minutes_at_three_degrees() -> None:
    street = Street({}, {"R1": VILLAGE})
    for ts in every(at("2026-11-20 07:00"), at("2026-11-20 08:30")):
        street.read("R1", ts, cabinet(3000))
    (change,) = street.changes
    assert change.ts_ms == at("2026-11-20 08:05")


def test_a_silent_day_is_a_day() -> None:
    street = Street(3)
    street.read_all(NIGHT, dict.fromkeys(("L1", "L2", "L3"), lamp(100)))
    for ts in every(NIGHT + 5 * MINUTE_MS, NIGHT + 25 * HOUR_MS):
        street.read_all(ts, dict.fromkeys(("L2", "L3"), lamp(100)))
    (change,) = [c for c in street.changes if c.rule == "comms_lost_long"]
    assert change.ts_ms - NIGHT == pytest.approx(24 * HOUR_MS, abs=10 * MINUTE_MS)
