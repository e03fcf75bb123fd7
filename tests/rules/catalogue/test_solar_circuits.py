"""Rules on strings, grid voltage, isolation, silence, snow and counters of roofs: stories and near misses."""

import numpy as np
import pytest

from kraj.alerts import Severity
from kraj.kinds.solar import EVENTS, STATES, THROTTLES
from tests.rules.catalogue.roofs import (
    HOUR_MS,
    MINUTE_MS,
    NOON,
    RATED_W,
    Change,
    Columns,
    Roofs,
    at,
    bit,
    both,
    clear,
    dead,
    minutes,
    roof,
    said,
    silent,
    street,
)

MORNING, EVENING = at(5, 10, 2), at(5, 10, 19)


# string_open


def open_string(from_ms: int) -> Change:
    def change(ts_ms: int, columns: Columns) -> None:
        if ts_ms >= from_ms:
            columns["power_w"][0] /= 2
            columns["string2_current_a"][0] = 0.02

    return change


def test_an_open_string_is_named_within_the_hour() -> None:
    roofs = Roofs(street(0), clear, open_string(NOON)).run(at(5, 10, 6), at(5, 10, 14))
    assert roofs.raised() == ["string_open"]
    found = roofs.first("string_open")
    assert found.evidence["string_worst"] == 2
    assert 30 <= minutes(found.ts_ms, NOON) <= 60


def test_a_blown_string_fuse_is_believed() -> None:
    blown = said(NOON, event_flags=bit(EVENTS, "blown_string_fuse"))
    assert Roofs(street(0), clear, blown).run(at(5, 10, 6), at(5, 10, 14)).raised() == ["string_open"]


def test_strings_under_broken_clouds_are_not_open() -> None:
    """Every ten seconds; the shadow's edge runs over the roof and dims one string or the other to a tenth."""
    random = np.random.default_rng(3)

    def edges(_: int, columns: Columns) -> None:
        for name in ("string1_current_a", "string2_current_a"):
            columns[name] *= np.where(random.random(1) < 0.25, 0.1, random.uniform(0.7, 1.1, 1))

    roofs = Roofs(street(0), clear, edges, step_ms=10_000).run(NOON, NOON + 3 * HOUR_MS)
    assert roofs.raised() == []


def test_strings_in_weak_light_and_a_string_in_the_shade_for_a_while_are_not_open() -> None:
    def shade(ts_ms: int, columns: Columns) -> None:
        if NOON <= ts_ms < NOON + 20 * MINUTE_MS:
            columns["string2_current_a"][0] *= 0.1

    assert Roofs(street(0), clear, shade).run(at(5, 10, 8), at(5, 10, 14)).raised() == []
    weak = Roofs(street(0), lambda _: 0.1, open_string(NOON)).run(at(5, 10, 8), at(5, 10, 14))
    assert weak.raised() == []


# voltage_derating


def high_voltage(kept: float) -> Change:
    def change(ts_ms: int, columns: Columns) -> None:
        if ts_ms >= NOON:
            columns["l2_voltage_v"][0] = 250.5
            columns["power_w"][0] *= kept

    return change


def test_power_lost_to_a_high_voltage_is_a_ticket_with_lost_energy() -> None:
    roofs = Roofs(street(8), clear, high_voltage(0.6)).run(at(5, 10, 9), at(5, 10, 16))
    assert roofs.raised() == ["voltage_derating"]
    assert 30 <= minutes(roofs.first("voltage_derating").ts_ms, NOON) <= 50


def test_a_high_voltage_with_full_power_is_none() -> None:
    assert Roofs(street(8), clear, high_voltage(0.97)).run(at(5, 10, 9), at(5, 10, 16)).raised() == []


def test_an_inverter_that_says_why_it_is_throttled_is_believed() -> None:
    throttled = said(NOON, NOON + HOUR_MS, state=STATES.index("throttled"), throttle_flags=bit(THROTTLES, "volt_watt"))
    roofs = Roofs(street(0), clear, throttled).run(at(5, 10, 9), at(5, 10, 16))
    assert roofs.raised() == ["voltage_derating"]


def test_two_noons_of_high_voltage_are_one_ticket() -> None:
    def noons(ts_ms: int, columns: Columns) -> None:
        if 9 <= ts_ms % (24 * HOUR_MS) / HOUR_MS < 13:
            columns["throttle_flags"][0] = bit(THROTTLES, "volt_watt")

    roofs = Roofs(street(0), clear, noons).run(at(5, 10, 6), at(5, 12, 20))
    assert roofs.raised() == ["voltage_derating"]


def test_clipping_at_the_export_limit_is_none() -> None:
    def limited(_: int, columns: Columns) -> None:
        at_limit = columns["power_w"] >= 6_000
        columns["power_w"] = np.minimum(columns["power_w"], 6_000)
        columns["state"] = np.where(at_limit, STATES.index("throttled"), columns["state"])
        columns["l1_voltage_v"] = np.where(at_limit, 250.0, 236.0)

    rows = [roof(n, export_limit_w=6_000.0) for n in range(9)]
    assert Roofs(rows, clear, limited).run(at(5, 10, 2), at(5, 10, 19)).all_raised() == set()


# isolation


def test_a_ground_fault_is_critical_and_the_only_alert() -> None:
    fault = both(
        dead(NOON), said(NOON, state=STATES.index("fault"), event_flags=bit(EVENTS, "ground_fault"), isolation_ohm=2e4)
    )
    roofs = Roofs(street(8), clear, fault).run(at(5, 10, 9), at(5, 10, 13))
    assert roofs.raised() == ["isolation"]
    assert roofs.first("isolation").severity is Severity.CRITICAL
    assert minutes(roofs.first("isolation").ts_ms, NOON) == 5


def test_less_than_a_megohm_is_major() -> None:
    roofs = Roofs(street(0), clear, said(NOON, isolation_ohm=0.6e6)).run(at(5, 10, 9), at(5, 10, 13))
    assert roofs.raised() == ["isolation"]
    assert roofs.first("isolation").severity is Severity.MAJOR


@pytest.mark.parametrize(
    "miss", [said(0, isolation_ohm=0.0), said(0, at(5, 10, 3), isolation_ohm=1e5), said(0, isolation_ohm=1.1e6)]
)
def test_an_isolation_that_is_not_measured_or_high_enough_is_none(miss: Change) -> None:
    assert Roofs(street(0), clear, miss).run(at(5, 10), at(5, 10, 13)).raised() == []


# solar_comms_lost


def test_silence_is_told_of_after_half_an_hour_by_day() -> None:
    roofs = Roofs(street(8), clear, silent(NOON, NOON + HOUR_MS)).run(at(5, 10, 9), at(5, 10, 15))
    assert roofs.raised() == ["solar_comms_lost"]
    assert 25 <= minutes(roofs.first("solar_comms_lost").ts_ms, NOON) <= 35
    assert roofs.first("solar_comms_lost", raised=False).ts_ms >= NOON + HOUR_MS


def test_silence_by_night_and_a_logger_that_sleeps_are_none() -> None:
    by_night = silent(at(5, 10, 18), at(5, 11, 4))
    assert Roofs(street(8), clear, by_night).run(at(5, 10, 9), at(5, 11, 9)).raised() == []
    in_winter = silent(at(12, 10, 15), at(12, 11, 8))
    assert "solar_comms_lost" in Roofs(street(8), clear, in_winter).run(at(12, 10, 9), at(12, 11, 9)).raised()


def test_when_everybody_is_silent_it_is_not_the_roof() -> None:
    roofs = Roofs(street(8), clear, silent(NOON, numbers=slice(None))).run(at(5, 10, 9), at(5, 10, 15))
    assert roofs.all_raised() == set()


def test_on_return_the_counter_tells_downtime_from_silence() -> None:
    heard = Roofs(street(8), clear, silent(NOON, NOON + 2 * HOUR_MS)).run(at(5, 10, 9), at(5, 10, 15))
    assert "silent_downtime" not in heard.raised()
    stood = 0.0

    def stopped(ts_ms: int, columns: Columns) -> None:
        nonlocal stood
        if ts_ms < NOON:
            stood = columns["energy_wh"][0]
        columns["energy_wh"][0] = min(columns["energy_wh"][0], stood)

    down = both(silent(NOON, NOON + 2 * HOUR_MS), stopped)
    assert "silent_downtime" in Roofs(street(8), clear, down).run(at(5, 10, 9), at(5, 10, 15)).raised()


# Snow


def snow(ts_ms: int) -> np.ndarray:
    """It falls at night and lies on everybody for a day; from roof 0 it slides two days later than from the others."""
    index = np.full(9, 0.8)
    if ts_ms >= at(1, 11):
        index[0] = 0.0
    if at(1, 11) <= ts_ms < at(1, 12):
        index[1:] = 0.02
    return index


def frost(ts_ms: int, columns: Columns) -> None:
    columns["module_temp_degc"][:] = -3.0 if ts_ms < at(1, 13, 14) else 9.0


def test_snow_is_no_fault_not_even_of_the_roof_that_keeps_it_longest() -> None:
    roofs = Roofs(street(8), snow, frost).run(at(1, 10, 6), at(1, 13, 12))
    assert roofs.all_raised() == {"snow_suspected"}
    assert {c.asset_id for c in roofs.changes if c.raised} == set(range(1, 10))


def test_what_gives_nothing_after_the_thaw_is_a_fault() -> None:
    roofs = Roofs(street(8), snow, frost).run(at(1, 10, 6), at(1, 14, 14))
    assert set(roofs.raised()) & {"zero_output", "no_start"}


def test_roofs_that_are_not_cold_have_no_snow() -> None:
    roofs = Roofs(street(8), snow).run(at(1, 10, 6), at(1, 13, 12))
    assert "snow_suspected" not in roofs.all_raised()
    assert set(roofs.raised()) & {"zero_output", "no_start"}


# The counter


def test_a_counter_that_starts_at_zero_each_morning_books_and_tells_nothing() -> None:
    def waking(ts_ms: int, columns: Columns) -> None:
        if 3 <= ts_ms % (24 * HOUR_MS) / HOUR_MS < 4:
            columns["energy_wh"][0] = 0.0

    roofs = Roofs(street(8), clear, waking).run(at(5, 10), at(5, 12))
    assert roofs.all_raised() == set()


def test_the_grids_absence_is_a_hidden_symptom_by_day() -> None:
    off = both(dead(NOON), said(NOON, l1_voltage_v=3.0, l2_voltage_v=2.0, l3_voltage_v=2.0))
    assert "solar_dark" in Roofs(street(0), clear, off).run(at(5, 10, 9), at(5, 10, 13)).raised()
    by_night = said(at(5, 10, 20), at(5, 11, 3), l1_voltage_v=3.0, l2_voltage_v=2.0, l3_voltage_v=2.0)
    assert "solar_dark" not in Roofs(street(0), clear, by_night).run(at(5, 10, 18), at(5, 11, 5)).raised()


def test_the_rig_makes_a_sound_summer_day() -> None:
    """Otherwise the near misses would miss because nothing happens."""
    roofs = Roofs(street(0))
    assert roofs.clear_w(NOON)[0] > 0.75 * RATED_W
    assert roofs.clear_w(MORNING)[0] == roofs.clear_w(EVENING)[0] == 0
