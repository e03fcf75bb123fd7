"""Rules on whether a roof produces: stories in which each must be raised, and near misses in which it must not."""

import numpy as np
import pytest

from kraj import sun
from kraj.alerts import Severity
from kraj.kinds.solar import EVENTS, STATES
from tests.rules.catalogue.roofs import (
    HOUR_MS,
    LATITUDE,
    LONGITUDE,
    MINUTE_MS,
    NOON,
    Change,
    Columns,
    Roofs,
    Sky,
    at,
    bit,
    both,
    clear,
    dead,
    minutes,
    overcast,
    roof,
    said,
    silent,
    street,
)

# Sound roofs


@pytest.mark.parametrize("month", [1, 3, 6, 10, 12])
def test_sound_roofs_are_never_told_of_in_whatever_weather(month: int) -> None:
    """Nine in a street, and one a hundred kilometres off that has nobody to be compared with."""
    random = np.random.default_rng(month)
    drift = np.cumsum(random.normal(0, 0.15, 3000))

    def clouds(ts_ms: int) -> float:
        return float(0.55 + 0.45 * np.sin(drift[ts_ms // (5 * MINUTE_MS) % 3000]))

    roofs = Roofs([*street(8), roof(100)], clouds).run(at(month, 4), at(month, 6))
    assert roofs.all_raised() == set()


# inverter_fault


def test_an_inverter_that_says_fault_is_told_of_within_five_minutes() -> None:
    fault = both(dead(NOON), said(NOON, state=STATES.index("fault")))
    roofs = Roofs(street(8), change=fault).run(at(5, 10, 9), at(5, 10, 13))
    assert roofs.raised() == ["inverter_fault"]  # and zero_output is silent: one cause, one alert
    assert minutes(roofs.first("inverter_fault").ts_ms, NOON) == 5
    assert roofs.first("inverter_fault").evidence["state"] == "fault"


def test_a_serious_event_counts_as_a_fault_and_is_over_when_it_has_produced_for_a_quarter_of_an_hour() -> None:
    event = both(dead(NOON, NOON + HOUR_MS), said(NOON, NOON + HOUR_MS, event_flags=bit(EVENTS, "over_temp")))
    roofs = Roofs(street(8), change=event).run(at(5, 10, 9), at(5, 10, 15))
    assert roofs.raised() == ["inverter_fault"]
    cleared = roofs.first("inverter_fault", raised=False)
    assert minutes(cleared.ts_ms, NOON + HOUR_MS) == 15
    lost_wh = Roofs(street(0)).clear_w(NOON)[0] * 0.95 * 1.0
    assert cleared.lost_wh == pytest.approx(lost_wh, rel=0.12)  # the five minutes before its return are not booked


def test_a_fault_is_not_over_because_the_inverter_sleeps() -> None:
    fault = both(dead(NOON), said(NOON, at(5, 10, 18), state=STATES.index("fault")))
    roofs = Roofs(street(8), change=fault).run(at(5, 10, 9), at(5, 11, 9))
    assert roofs.raised() == ["inverter_fault"]
    assert all(change.raised for change in roofs.changes if change.asset_id == 1)


@pytest.mark.parametrize(
    "miss",
    [
        said(at(5, 10, 0), at(5, 10, 3), state=STATES.index("fault")),
        said(NOON, NOON + 5 * MINUTE_MS, state=STATES.index("fault")),
        said(NOON, event_flags=bit(EVENTS, "ac_over_volt")),
        said(NOON, state=STATES.index("shutting_down")),
    ],
    ids=["by night", "one reading", "the grid's event", "another state"],
)
def test_what_is_no_fault_of_the_inverter_is_not_told(miss: Change) -> None:
    assert "inverter_fault" not in Roofs(street(8), change=miss).run(at(5, 10), at(5, 10, 13)).raised()


# zero_output


@pytest.mark.parametrize("sky", [clear, overcast])
def test_a_roof_that_stops_while_its_peers_produce_is_told_of_within_half_an_hour(sky: Sky) -> None:
    roofs = Roofs(street(8), sky, dead(NOON)).run(at(5, 10, 9), at(5, 10, 14))
    assert roofs.raised() == ["zero_output"]
    found = roofs.first("zero_output")
    assert minutes(found.ts_ms, NOON) <= 30
    assert found.evidence["peer_output_pct"] > 5
    assert found.severity is Severity.MAJOR


def test_a_sibling_is_witness_enough() -> None:
    rows = [roof(0, site="škola", azimuth_deg=90.0), roof(1, site="škola", azimuth_deg=270.0)]
    roofs = Roofs(rows, overcast, dead(NOON)).run(at(5, 10, 9), at(5, 10, 14))
    assert roofs.raised() == ["zero_output"]


def test_a_sensor_is_witness_enough() -> None:
    def slowly_darker(ts_ms: int) -> float:
        return max(0.0, min(0.9, (NOON - ts_ms) / (3 * HOUR_MS)))

    light = said(0, irradiance_w_per_m2=400.0)
    with_light = Roofs(street(0), slowly_darker, both(_flicker, light)).run(at(5, 10, 6), at(5, 10, 14))
    assert with_light.raised() == ["zero_output"]


def _flicker(ts_ms: int, columns: Columns) -> None:
    columns["irradiance_w_per_m2"] = np.full(len(columns["power_w"]), 300.0 + ts_ms // MINUTE_MS % 7 * 20)


def test_an_abrupt_fall_is_witness_enough_for_a_lonely_roof() -> None:
    roofs = Roofs(street(0), clear, dead(NOON)).run(at(5, 10, 9), at(5, 10, 14))
    assert roofs.raised() == ["zero_output"]
    assert minutes(roofs.first("zero_output").ts_ms, NOON) == 30


def test_what_a_backlog_tells_of_an_abrupt_fall_is_no_fault_of_a_roof_that_has_peers() -> None:
    # Nobody looks back at what they did then: it may have been a storm.
    fell = dead(NOON, NOON + 2 * HOUR_MS)
    roofs = Roofs(street(8), clear, silent(NOON, NOON + 2 * HOUR_MS)).run(at(5, 10, 9), NOON + 2 * HOUR_MS)
    for ts in range(NOON, NOON + 2 * HOUR_MS, 5 * MINUTE_MS):
        columns = roofs.columns(ts)
        fell(ts, columns)
        late = roofs.readings(ts, columns).take(np.arange(9) == 0)
        roofs.changes += roofs.observer.step([late], [], NOON + 2 * HOUR_MS)
        roofs.observer.commit()
    roofs.run(NOON + 2 * HOUR_MS, NOON + 3 * HOUR_MS)
    assert "zero_output" not in roofs.raised()


def test_it_is_over_when_it_produces_and_tells_what_was_lost() -> None:
    roofs = Roofs(street(8), clear, dead(NOON, NOON + 2 * HOUR_MS)).run(at(5, 10, 9), at(5, 10, 15))
    cleared = roofs.first("zero_output", raised=False)
    assert minutes(cleared.ts_ms, NOON + 2 * HOUR_MS) == 15
    usual = Roofs(street(0)).clear_w(NOON + HOUR_MS)[0] * 0.95 * 2
    assert cleared.lost_wh == pytest.approx(usual, rel=0.1)


def test_it_stays_one_alert_over_the_night() -> None:
    roofs = Roofs(street(8), clear, dead(NOON)).run(at(5, 10, 9), at(5, 12, 14))
    assert roofs.raised() == ["zero_output"]


def storm(ts_ms: int) -> float:
    """Four hours in which a sound roof gives 0.3 % of clear sky."""
    return 0.003 if NOON - 2 * HOUR_MS <= ts_ms < NOON + 2 * HOUR_MS else 0.7


def test_a_storm_over_everybody_is_no_fault() -> None:
    roofs = Roofs(street(8), storm).run(at(5, 10, 6), at(5, 10, 16))
    assert roofs.all_raised() == set()


def test_a_thundercloud_over_one_town_is_no_fault_of_its_roofs() -> None:
    """Four roofs within three kilometres are in the dark for an hour, eight others beyond are not."""
    rows = [*(roof(number) for number in range(4)), *(roof(number) for number in range(10, 18))]

    def cell(ts_ms: int) -> np.ndarray:
        return np.where(np.arange(12) < 4, 0.002 if NOON <= ts_ms < NOON + HOUR_MS else 0.8, 0.8)

    assert Roofs(rows, cell).run(at(5, 10, 9), at(5, 10, 14)).all_raised() == set()
    alone = Roofs(rows, lambda _: 0.8, dead(NOON)).run(at(5, 10, 9), at(5, 10, 14))
    assert alone.raised() == ["zero_output"]


def test_a_roof_whose_sensor_is_in_the_dark_is_not_dead() -> None:
    def dark(ts_ms: int, columns: Columns) -> None:
        light = 800.0 if ts_ms < NOON else 8.0
        columns["irradiance_w_per_m2"] = np.full(9, np.nan)
        columns["irradiance_w_per_m2"][0] = light + ts_ms // MINUTE_MS % 7

    roofs = Roofs(street(8), clear, both(dead(NOON), dark)).run(at(5, 10, 9), at(5, 10, 14))
    assert roofs.raised() == []


def test_two_per_cent_of_clear_sky_is_no_fault_even_of_a_lonely_roof() -> None:
    def dark(ts_ms: int) -> float:
        return 0.02 if ts_ms >= NOON - 2 * HOUR_MS else 0.7

    assert Roofs(street(0), dark).run(at(5, 10, 6), at(5, 10, 16)).raised() == []


def test_four_peers_are_no_verdict() -> None:
    """With a slow fall nobody but peers could tell, and four are too few."""

    def falling(ts_ms: int) -> np.ndarray:
        index = np.full(5, 0.9)
        index[0] = max(0.0, min(0.9, (NOON - ts_ms) / (3 * HOUR_MS)))
        return index

    roofs = Roofs(street(4), falling).run(at(5, 10, 6), at(5, 10, 14))
    assert "zero_output" not in roofs.raised()
    five = Roofs(street(5), lambda ts_ms: np.append(falling(ts_ms), 0.9)).run(at(5, 10, 6), at(5, 10, 14))
    assert "zero_output" in five.raised()


def test_peers_that_are_not_heard_of_any_more_are_no_witnesses() -> None:
    def darker(ts_ms: int) -> float:
        return max(0.0, min(0.9, (NOON - ts_ms) / (3 * HOUR_MS)))

    gone = silent(NOON - HOUR_MS, numbers=slice(1, None))
    roofs = Roofs(street(8), darker, gone).run(at(5, 10, 6), at(5, 10, 13))
    assert "zero_output" not in roofs.raised()


# Nothing to compare with


def test_a_lonely_roof_that_fades_away_is_an_info_after_three_hours_and_an_alert_after_a_day() -> None:
    gone = at(5, 10, 8)

    def fading(ts_ms: int) -> float:
        return max(0.0, min(0.9, (gone - ts_ms) / (3 * HOUR_MS)))

    roofs = Roofs(street(0), fading).run(at(5, 10), at(5, 12, 12))
    assert roofs.raised() == ["zero_output_unconfirmed", "zero_output_lasting"]
    info, lasting = roofs.first("zero_output_unconfirmed"), roofs.first("zero_output_lasting")
    assert minutes(info.ts_ms, gone) == pytest.approx(180, abs=15)
    assert info.severity is Severity.INFO
    assert 24 <= minutes(lasting.ts_ms, gone) / 60 <= 25
    # The one takes over from the other.
    assert minutes(roofs.first("zero_output_unconfirmed", raised=False).ts_ms, lasting.ts_ms) < 0


def test_four_peers_at_work_are_no_verdict_on_a_roof_that_stopped_by_day_but_a_suspicion() -> None:
    """It faded away under clouds and gives nothing since: too few to compare with, and nobody else would tell of it."""
    gone = at(5, 10, 8)

    def fading(ts_ms: int) -> np.ndarray:
        return np.array([max(0.0, min(0.6, (gone - ts_ms) / (3 * HOUR_MS))), 0.6, 0.6, 0.6, 0.6])

    roofs = Roofs(street(4), fading).run(at(5, 10), at(5, 11, 12))
    assert roofs.raised() == ["zero_output_unconfirmed", "zero_output_lasting"]
    assert minutes(roofs.first("zero_output_unconfirmed").ts_ms, gone) == pytest.approx(180, abs=15)


def test_three_peers_at_work_make_it_more_than_a_suspicion() -> None:
    roofs = Roofs(street(8), clear, dead(NOON)).run(at(5, 10, 9), at(5, 12, 12))
    assert {"zero_output_unconfirmed", "zero_output_lasting"} & roofs.all_raised() == set()


# no_start


def high_ms(from_ms: int, above_deg: float) -> int:
    """The first five minutes with the sun above this."""
    ts = from_ms + np.arange(288) * 5 * MINUTE_MS
    return int(ts[np.flatnonzero(sun.elevation_deg(ts, LATITUDE, LONGITUDE) >= above_deg)[0]])


@pytest.mark.parametrize("month", [5, 10, 12])
def test_a_roof_that_does_not_start_is_told_of_an_hour_after_15_degrees(month: int) -> None:
    roofs = Roofs(street(4), overcast, dead(at(month, 11))).run(at(month, 10, 5), at(month, 11, 14))
    assert roofs.raised() == ["no_start"]
    after = minutes(roofs.first("no_start").ts_ms, high_ms(at(month, 11), 15))
    assert 60 <= after <= 70


def test_two_peers_are_too_few_to_tell_that_it_should_have_started() -> None:
    roofs = Roofs(street(2), overcast, dead(at(5, 11))).run(at(5, 10, 5), at(5, 11, 8))
    assert "no_start" not in roofs.raised()


def test_a_hill_in_the_east_delays_the_start_and_is_no_fault() -> None:
    """Behind the hill until 14°, the roof gives nothing worth mentioning: its peers have the sun since 5°."""
    out = high_ms(at(5, 10), 14)
    roofs = Roofs(street(8), clear, dead(at(5, 10), out)).run(at(5, 9, 9), at(5, 10, 12))
    assert roofs.all_raised() == set()


def test_an_inverter_that_started_and_stopped_by_day_is_not_told_to_have_not_started() -> None:
    roofs = Roofs(street(8), clear, dead(NOON)).run(at(5, 10, 6), at(5, 11, 12))
    assert roofs.raised() == ["zero_output"]
