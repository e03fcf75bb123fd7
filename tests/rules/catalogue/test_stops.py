"""The rules of smart stops, told as stories: what must raise, and what comes near and must not."""

from collections.abc import Mapping

import pytest

from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, every

NOON = at("2026-11-20 11:30")
SUMMER = at("2026-06-20 11:30")
DAY_MS = 24 * HOUR_MS
NONE, USB_OFF, WIFI_OFF, HOURLY, SOS_ONLY = range(5)
IDLE, LATCHED = 1.0, 4.0


def stop(**other: float) -> dict[str, float]:
    """A snapshot of a healthy stop of 200 W peak and 1280 Wh."""
    return {
        "pv_power_w": 20.0,
        "battery_soc_pct": 85.0,
        "battery_soh_pct": 98.0,
        "battery_temp_degc": 12.0,
        "load_power_w": 5.0,
        "shedding": NONE,
        "usb1_state": IDLE,
        "usb1_faults": 2.0,
        "usb2_state": IDLE,
        "usb2_faults": 0.0,
        "display_content_age_s": 120.0,
        "display_refresh_ok": 1.0,
        "display_temp_degc": 8.0,
        "wifi_up": 1.0,
        "uplink_loss_pct": 0.5,
        "door_open": 0.0,
        "water_present": 0.0,
        "voice_selftest_ok": 1.0,
        "voice_receiver_ok": 1.0,
        "voice_selftest_age_s": 86_400.0,
        "sos_pressed": 0.0,
        "sos_selftest_ok": 1.0,
        "sos_selftest_age_s": 86_400.0,
        "clock_offset_s": 0.1,
    } | other


def told(street: Street) -> list[tuple[str, str]]:
    """Rules and severities, as they were raised."""
    return [(c.rule, str(c.severity)) for c in street.changes if c.raised]


def hold(street: Street, from_ms: int, minutes: float, **other: float) -> None:
    for ts in every(from_ms, int(from_ms + minutes * MINUTE_MS)):
        street.read("S1", ts, stop(**other))


def one() -> Street:
    return Street({}, stops={"S1": {}})


# Energy


@pytest.mark.parametrize(
    ("load", "charge", "raised"),
    [
        # In November 200 W peak give 6.7 W in weak sun. (85 - 15) % of 1280 Wh, 98 % healthy, give 834 Wh.
        (5.0, 85.0, []),
        (12.0, 85.0, []),  # 6.5 days
        (15.0, 85.0, [("autonomy_low", "minor")]),  # 4.2 days
        (15.0, 60.0, [("autonomy_low", "minor")]),  # 2.7 days
        (15.0, 45.0, [("autonomy_critical", "major")]),  # 1.8 days
        (40.0, 85.0, [("autonomy_critical", "major")]),  # a day
    ],
)
def test_autonomy_is_told_in_two_steps(load: float, charge: float, raised: list[tuple[str, str]]) -> None:
    street = one()
    for ts in every(NOON, NOON + 9 * HOUR_MS, 15):
        street.read("S1", ts, stop(load_power_w=load, battery_soc_pct=charge))
    assert told(street) == raised


@pytest.mark.parametrize("bad", [30.0, 0.0])
def test_one_bad_reading_of_the_charge_is_no_lack_of_energy(bad: float) -> None:
    street = one()
    for ts in every(NOON, NOON + 9 * HOUR_MS, 15):
        charge = bad if ts == NOON + 8 * HOUR_MS else 85.0
        street.read("S1", ts, stop(load_power_w=11, battery_soc_pct=charge))
    assert told(street) == []


def test_a_summer_sun_carries_what_november_does_not() -> None:
    street = one()
    for ts in every(SUMMER, SUMMER + 9 * HOUR_MS, 15):
        street.read("S1", ts, stop(load_power_w=15, battery_soc_pct=45))
    assert told(street) == []


def test_a_charge_that_goes_on_falling_is_one_alert_at_a_time() -> None:
    street = one()
    for hour in range(80):
        street.read("S1", NOON + hour * HOUR_MS // 2, stop(load_power_w=16, battery_soc_pct=90 - hour * 0.75))
    assert told(street) == [("autonomy_low", "minor"), ("autonomy_critical", "major")]
    assert street.open() == {("autonomy_critical", "S1")}


@pytest.mark.parametrize(("charge", "raised"), [(80, ("autonomy_low", "minor")), (38, ("autonomy_critical", "major"))])
def test_a_charge_that_swings_with_the_sun_is_one_alert(charge: int, raised: tuple[str, str]) -> None:
    """From 4.4 to 5.2 days and back, from 1.6 to 2.4 and back."""
    street = one()
    for half in range(192):
        swing = 12 if 20 <= half % 48 < 32 else 0
        street.read("S1", NOON + half * HOUR_MS // 2, stop(load_power_w=14, battery_soc_pct=charge + swing))
    assert told(street) == [raised]
    for half in range(192, 272):
        street.read("S1", NOON + half * HOUR_MS // 2, stop(load_power_w=5, battery_soc_pct=95))
    assert street.open() == set()


def test_an_hour_of_much_charging_is_no_lack_of_energy() -> None:
    """The load of a day counts, not that of a rush hour."""
    street = one()
    for ts in every(NOON, NOON + 20 * HOUR_MS, 15):
        street.read("S1", ts, stop(load_power_w=5))
    for ts in every(NOON + 20 * HOUR_MS, NOON + 21 * HOUR_MS, 15):
        street.read("S1", ts, stop(load_power_w=45))
    assert told(street) == []


def sunny_days(street: Street, first: int, days: int, pv: Mapping[str, float], load_w: float = 5.0) -> None:
    """Around noon in November, when the sun stands above 15° for two hours; each day's verdict after midnight."""
    for day in range(first, first + days):
        for ts in every(NOON - HOUR_MS + day * DAY_MS, NOON + 2 * HOUR_MS + day * DAY_MS, 10):
            told = {label: stop(pv_power_w=power, load_power_w=load_w) for label, power in pv.items()}
            street.read_all(ts, told)
        street.tick(NOON + 14 * HOUR_MS + day * DAY_MS)


def test_a_panel_that_gives_nothing_for_two_days_is_told() -> None:
    street = Street({}, stops={"S1": {}, "S2": {}, "S3": {}})
    pv = {"S1": 0.8, "S2": 5.6, "S3": 5.0}
    street.tick(NOON - 2 * HOUR_MS)
    sunny_days(street, 0, 1, pv)
    assert told(street) == []
    sunny_days(street, 1, 1, pv)
    assert street.raised() == [("pv_dead", "S1")]
    sunny_days(street, 2, 1, pv | {"S1": 28.0})
    assert street.open() == set()


@pytest.mark.parametrize("pv", [{"S1": 0.0, "S2": 3.4, "S3": 3.0}, {"S1": 1.4, "S2": 30.0, "S3": 30.0}, {"S1": 0.0}])
def test_where_no_neighbour_produces_or_a_panel_gives_a_little_nothing_is_told(pv: dict[str, float]) -> None:
    """Snow on all of them; thick fog on one; nobody to compare with. Of 200 W."""
    street = Street({}, stops={label: {} for label in pv})
    street.tick(NOON - 2 * HOUR_MS)
    sunny_days(street, 0, 4, pv)
    assert street.raised() == []


@pytest.mark.parametrize(
    ("pv", "raised"),
    [
        ({"S1": 0.0, "S2": 3.0, "S3": 2.9}, [("pv_dead", "S1")]),
        ({"S1": 0.0, "S2": 1.5, "S3": 1.5}, []),  # too dark even for the loads
        ({"S1": 0.6, "S2": 3.0, "S3": 3.0}, []),  # a fifth of its load: its panel lives
    ],
)
def test_where_batteries_are_too_cold_to_be_charged_panels_that_carry_the_loads_tell_of_a_dead_one(
    pv: dict[str, float], raised: list[tuple[str, str]]
) -> None:
    """Of 200 W, for loads of 3 W: 1.5 % of the rating."""
    street = Street({}, stops={label: {} for label in pv})
    street.tick(NOON - 2 * HOUR_MS)
    sunny_days(street, 0, 2, pv, load_w=3.0)
    assert street.raised() == raised
    sunny_days(street, 2, 1, pv | {"S1": 3.0}, load_w=3.0)
    assert street.open() == set()


@pytest.mark.parametrize(("own_w", "load_w", "neighbours_w"), [(2.5, 2.5, 40.0), (0.0, 0.7, 0.7)])
def test_a_panel_that_carries_a_small_load_is_not_dead(own_w: float, load_w: float, neighbours_w: float) -> None:
    """A full battery behind 600 W while others charge; and only SOS is left, of which a controller shows nothing."""
    street = Street({}, stops={"S1": {"power_rated_w": 600.0}, "S2": {}, "S3": {}})
    street.tick(NOON - 2 * HOUR_MS)
    sunny_days(street, 0, 3, {"S1": own_w, "S2": neighbours_w, "S3": neighbours_w}, load_w=load_w)
    assert street.raised() == []


# USB


def test_three_over_currents_in_an_hour_are_told() -> None:
    street = one()
    for n in range(3):
        hold(street, NOON + n * 15 * MINUTE_MS, 10, usb1_faults=2.0 + n)
    assert told(street) == []
    hold(street, NOON + 45 * MINUTE_MS, 0, usb1_faults=5.0)
    assert told(street) == [("usb_overcurrent", "minor")]


def test_three_at_once_are_three() -> None:
    street = one()
    hold(street, NOON, 0)
    hold(street, NOON + 15 * MINUTE_MS, 0, usb2_faults=3.0)
    assert told(street) == [("usb_overcurrent", "minor")]


def test_three_in_eighty_minutes_are_nothing() -> None:
    street = one()
    for n in range(4):
        hold(street, NOON + n * 40 * MINUTE_MS, 0, usb1_faults=2.0 + n)
    assert told(street) == []


def test_one_on_each_of_three_ports_is_nothing() -> None:
    street = one()
    hold(street, NOON, 0, usb3_faults=0.0)
    hold(street, NOON + 5 * MINUTE_MS, 0, usb1_faults=3.0, usb2_faults=1.0, usb3_faults=1.0)
    assert told(street) == []


def test_a_port_that_has_latched_off_is_told_until_somebody_has_looked() -> None:
    street = one()
    hold(street, NOON, 10, usb2_state=LATCHED)
    assert told(street) == [("usb_overcurrent", "minor")]
    hold(street, NOON + HOUR_MS, 10)
    assert street.open() == set()


# Network and display


@pytest.mark.parametrize(("rule", "bad"), [("wifi_down", {"wifi_up": 0.0}), ("uplink_down", {"uplink_loss_pct": 60.0})])
def test_a_network_that_is_down_for_ten_minutes_is_told(rule: str, bad: dict[str, float]) -> None:
    street = one()
    hold(street, NOON, 5, **bad)
    hold(street, NOON + 10 * MINUTE_MS, 5)
    assert told(street) == [], "a restart"
    hold(street, NOON + 20 * MINUTE_MS, 10, **bad)
    assert told(street) == [(rule, "minor")]
    hold(street, NOON + 35 * MINUTE_MS, 0)
    assert street.open() == set()


def test_an_uplink_that_loses_less_than_half_is_poor_and_not_down() -> None:
    street = one()
    hold(street, NOON, 60, uplink_loss_pct=40)
    assert told(street) == []


def test_wifi_that_is_off_to_save_energy_is_not_down() -> None:
    street = one()
    hold(street, NOON, 60, wifi_up=0, shedding=WIFI_OFF)
    assert told(street) == []


def test_old_content_is_told() -> None:
    street = one()
    hold(street, NOON, 10, display_content_age_s=590)
    assert told(street) == []
    hold(street, NOON + 15 * MINUTE_MS, 5, display_content_age_s=700)
    assert told(street) == [("display_stale", "major")]
    hold(street, NOON + 25 * MINUTE_MS, 0)
    assert street.open() == set()


def test_a_display_that_fails_to_redraw_once_is_not_told() -> None:
    street = one()
    hold(street, NOON, 0, display_refresh_ok=0)
    hold(street, NOON + 5 * MINUTE_MS, 30)
    assert told(street) == []


def test_a_display_that_fails_to_redraw_is_told() -> None:
    street = one()
    hold(street, NOON, 5, display_refresh_ok=0)
    assert told(street) == [("display_stale", "major")]


@pytest.mark.parametrize(
    "other",
    [{"display_temp_degc": -18.0}, {"shedding": HOURLY}, {"shedding": SOS_ONLY}, {"display_content_age_s": 3.0}],
)
def test_a_display_may_rest_in_deep_frost_and_to_save_energy(other: dict[str, float]) -> None:
    street = one()
    hold(street, NOON, 60, **{"display_content_age_s": 3500.0, **other})
    assert told(street) == []


def test_a_display_that_leaves_its_hourly_pace_may_show_its_last_content() -> None:
    street = one()
    hold(street, NOON, 30, shedding=HOURLY, display_content_age_s=3000)
    hold(street, NOON + 31 * MINUTE_MS, 5, display_content_age_s=3400)
    hold(street, NOON + 40 * MINUTE_MS, 30, display_content_age_s=100)
    assert told(street) == []
    hold(street, NOON + 90 * MINUTE_MS, 10, display_content_age_s=1200)
    assert told(street) == [("display_stale", "major")]


# Safety


@pytest.mark.parametrize(
    ("rule", "severity", "bad"),
    [
        ("stop_door_open", "critical", {"door_open": 1.0}),
        ("water", "critical", {"water_present": 1.0}),
        ("battery_hot", "critical", {"battery_temp_degc": 58.0}),
        ("sos_selftest", "major", {"sos_selftest_ok": 0.0}),
        ("sos_selftest", "major", {"sos_selftest_age_s": 8.5 * 86_400}),
        ("voice_failed", "major", {"voice_selftest_ok": 0.0}),
        ("voice_failed", "major", {"voice_receiver_ok": 0.0}),
        ("voice_failed", "major", {"voice_selftest_age_s": 9.0 * 86_400}),
    ],
)
def test_what_is_unsafe_is_told_by_the_second_report(rule: str, severity: str, bad: dict[str, float]) -> None:
    street = one()
    hold(street, NOON, 5)
    hold(street, NOON + 10 * MINUTE_MS, 0, **bad)
    assert told(street) == []
    hold(street, NOON + 11 * MINUTE_MS, 0, **bad)
    assert told(street) == [(rule, severity)]
    hold(street, NOON + 20 * MINUTE_MS, 15)
    assert street.open() == set()


@pytest.mark.parametrize(
    "near", [{"battery_temp_degc": 54.0}, {"sos_selftest_age_s": 7.5 * 86_400}, {"voice_selftest_age_s": 7.5 * 86_400}]
)
def test_what_is_nearly_unsafe_is_not_told(near: dict[str, float]) -> None:
    street = one()
    hold(street, NOON, 60, **near)
    assert told(street) == []


def test_a_stop_without_a_voice_has_none_that_fails() -> None:
    street = Street({}, stops={"S1": {"voice": 0}})
    hold(street, NOON, 60, voice_selftest_ok=0)
    assert told(street) == []


UNKNOWN = float("nan")


def test_a_call_that_nobody_answers_is_told_after_a_minute_without_another_reading() -> None:
    """By the next of the quick ticks, which come every ten seconds."""
    street = one()
    hold(street, NOON, 5, sos_answer_s=UNKNOWN)
    press = NOON + 10 * MINUTE_MS
    street.read("S1", press, stop(sos_pressed=1.0))
    for second in range(5, 130, 5):
        street.tick(press + second * 1000)
    (change,) = street.changes
    assert (change.rule, change.severity) == ("sos_unanswered", "critical")
    assert change.ts_ms - press == 70_000
    street.read("S1", press + 140_000, stop(sos_answer_s=95))
    street.tick(press + 200_000)
    assert street.open() == set()


def test_a_call_that_is_answered_in_time_is_not_told() -> None:
    """Also the second one, whose stop still shows how long the first had taken."""
    street = one()
    hold(street, NOON, 0)
    for number in range(2):
        press = NOON + (1 + number) * HOUR_MS
        street.read("S1", press, stop(sos_pressed=1.0, sos_answer_s=35.0 if number else UNKNOWN))
        street.tick(press + 30_000)
        street.read("S1", press + 40_000, stop(sos_answer_s=35.0 + number))
        for second in range(50, 200, 10):
            street.tick(press + second * 1000)
    assert told(street) == []


def test_a_second_call_that_nobody_answers_is_told_although_the_first_was() -> None:
    street = one()
    hold(street, NOON, 0, sos_answer_s=35)
    street.read("S1", NOON + HOUR_MS, stop(sos_pressed=1.0, sos_answer_s=35))
    street.read("S1", NOON + HOUR_MS + 20_000, stop(sos_pressed=0.0, sos_answer_s=35))
    street.tick(NOON + HOUR_MS + 121_000)
    assert told(street) == [("sos_unanswered", "critical")]


def test_a_stop_that_is_silent_is_told_like_a_lamp() -> None:
    street = Street({}, stops={"S1": {}, "S2": {}})
    for ts in every(NOON, NOON + 2 * HOUR_MS, 5):
        street.read("S2", ts, stop())
        if ts <= NOON + HOUR_MS:
            street.read("S1", ts, stop())
        street.tick(ts)
    assert street.raised() == [("comms_lost", "S1")]
