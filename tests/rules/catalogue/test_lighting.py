"""The rules of lamps, told as stories: what must raise, and what comes near and must not."""

import pytest

from kraj.attributes import ATTRIBUTES
from rules.catalogue import load
from rules.compiled import table_of
from rules.inputs import of_kind
from rules.language import compile_condition
from rules.rule import Rule
from rules.wording import placeholders
from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, cabinet, every, lamp, warmth

DUSK, NIGHT, DAWN = at("2026-11-20 16:30"), at("2026-11-20 18:00"), at("2026-11-21 07:10")
NOON = at("2026-11-20 11:30")
DAY_MS = 24 * HOUR_MS


def lit_since(street: Street, from_ms: int = DUSK, to_ms: int = NIGHT, level: float = 100.0) -> None:
    """An ordinary evening: off, then lit and warm until just before."""
    street.read("L1", from_ms - 20 * MINUTE_MS, lamp(0))
    for ts in every(from_ms, to_ms - MINUTE_MS):
        street.read("L1", ts, lamp(level, share=warmth((ts - from_ms) / MINUTE_MS), lamp_starts=901))


def test_a_dark_lamp_raises_lamp_out_within_fifteen_minutes() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT + MINUTE_MS, NIGHT + 20 * MINUTE_MS):
        street.read("L1", ts, lamp(of=0, lamp_starts=901))
    (change,) = [c for c in street.changes if c.raised]
    assert change.rule == "lamp_out"
    assert change.ts_ms - (NIGHT + MINUTE_MS) <= 15 * MINUTE_MS
    assert change.severity == "major"
    assert change.evidence["power_w"] == 0.5
    assert change.evidence["expected_power_w"] == pytest.approx(60, rel=0.02)


def test_at_a_crossing_it_is_critical() -> None:
    street = Street({"L1": {"crossing": 1}})
    lit_since(street)
    for ts in every(NIGHT + MINUTE_MS, NIGHT + 20 * MINUTE_MS):
        street.read("L1", ts, lamp(of=0, lamp_starts=901))
    assert [c.severity for c in street.changes] == ["critical"]


def test_lamp_out_clears_by_power_and_not_by_daylight() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 30 * MINUTE_MS):
        street.read("L1", ts, lamp(of=0))
    for ts in every(DAWN, DAWN + 3 * HOUR_MS, 60):
        street.read("L1", ts, lamp(0))
    assert street.open() == {("lamp_out", "L1")}
    lit_since(street, DUSK + DAY_MS, NIGHT + DAY_MS)
    assert street.open() == set()


def test_dusk_with_a_real_warm_up_raises_nothing() -> None:
    """1.3, 3.8, 4.6, 5.5, 6.1, 6.4 of 6.9 kW, told every minute; also for one that begins at half its power."""
    for slow in (1.0, 0.5):
        street = Street()
        street.read("L1", DUSK - HOUR_MS, lamp(0))
        for ts in every(DUSK, DUSK + 30 * MINUTE_MS, 1):
            share = warmth((ts - DUSK) / MINUTE_MS * slow)
            street.read("L1", ts, lamp(100, share=share * 0.9, power_factor=0.3 + 0.6 * share, lamp_starts=901))
        assert street.raised() == []


def test_a_part_night_lamp_raises_nothing_while_it_is_dark() -> None:
    street = Street({"L1": {"part_night": 1}})
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 4 * HOUR_MS):
        street.read("L1", ts, lamp(100, lamp_starts=901))
    for ts in every(NIGHT + 4 * HOUR_MS, NIGHT + 9 * HOUR_MS):
        street.read("L1", ts, lamp(0, lamp_starts=901))
    assert street.raised() == []


def test_an_hourly_lamp_is_judged_by_its_own_interval() -> None:
    """A LoRaWAN lamp cannot meet fifteen minutes, but its second dark report is enough."""
    street = Street({"L1": {"report_interval_s": 3600}})
    for hour in range(4):
        street.read("L1", NIGHT + hour * HOUR_MS, lamp(100))
    assert street.raised() == []
    street.read("L1", NIGHT + 4 * HOUR_MS, lamp(of=0))
    assert street.raised() == []
    street.read("L1", NIGHT + 5 * HOUR_MS, lamp(of=0))
    assert street.raised() == [("lamp_out", "L1")]


def test_without_voltage_a_dark_lamp_is_not_out() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(of=0, voltage_v=150))
    assert "lamp_out" not in dict(street.raised())


def test_an_unknown_voltage_raises_nothing() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(of=0, voltage_v=float("nan")))
    assert street.raised() == []


def test_a_lamp_that_burns_by_day_is_told_after_twenty_minutes() -> None:
    street = Street()
    street.read("L1", NOON - HOUR_MS, lamp(0))
    for ts in every(NOON, NOON + 25 * MINUTE_MS):
        street.read("L1", ts, lamp(0, of=100))
    (change,) = street.changes
    assert (change.rule, change.severity) == ("day_burner", "minor")
    assert change.ts_ms == NOON + 20 * MINUTE_MS
    for ts in every(NOON + 3 * HOUR_MS, NOON + 3 * HOUR_MS + 10 * MINUTE_MS):
        street.read("L1", ts, lamp(0))
    assert street.open() == set()
    assert street.changes[-1].lost_wh == pytest.approx(25.0, abs=2.0), "what was burned while it was seen"


def test_a_crew_that_tests_by_day_raises_nothing() -> None:
    """By hand, by the cabinet, and at the cabinet's switch while the lamp still says program."""
    for reason in (1.0, 2.0):
        street = Street()
        street.read("L1", NOON - HOUR_MS, lamp(0))
        for ts in every(NOON, NOON + HOUR_MS):
            street.read("L1", ts, lamp(0, of=100, level_reason=reason))
        assert street.raised() == []
    street = Street(cabinets={"R1": {}})
    street.read("L1", NOON - HOUR_MS, lamp(0))
    for ts in every(NOON, NOON + HOUR_MS):
        street.read("R1", ts, cabinet(6000, local_switch=1))
        street.read("L1", ts, lamp(0, of=100))
    assert street.raised() == []


@pytest.mark.parametrize("true_level", [100.0, 23.0])
def test_a_lamp_that_does_not_dim_is_told(true_level: float) -> None:
    """Full light in spite of 60 %, and 6 % for 60 % on a driver that misreads its levels."""
    street = Street()
    lit_since(street)
    for ts in every(NIGHT + MINUTE_MS, NIGHT + 30 * MINUTE_MS):
        street.read("L1", ts, lamp(60, of=true_level, level_effective_pct=true_level))
    assert street.raised() == [("dim_not_followed", "L1")]


def test_a_lamp_that_says_it_dims_but_does_not_is_told_by_its_power() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT + MINUTE_MS, NIGHT + 30 * MINUTE_MS):
        street.read("L1", ts, lamp(60, of=100))
    assert street.raised() == [("dim_not_followed", "L1")]


def test_dimming_that_failed_is_not_proved_by_full_light() -> None:
    """At 100 % a lamp stuck at 100 % looks healthy; the first dimming that it follows clears it."""
    street = Street()
    lit_since(street)
    night = NIGHT + MINUTE_MS
    for ts in every(night, night + HOUR_MS):
        street.read("L1", ts, lamp(60, of=100))
    for ts in every(night + HOUR_MS + MINUTE_MS, night + 2 * HOUR_MS):
        street.read("L1", ts, lamp(100))
    assert street.open() == {("dim_not_followed", "L1")}
    for ts in every(night + 2 * HOUR_MS + MINUTE_MS, night + 3 * HOUR_MS):
        street.read("L1", ts, lamp(60))
    assert street.open() == set()


def test_a_ramp_is_no_failure_to_dim() -> None:
    """Ninety seconds of fading, the longest that DALI has, told every 15 s."""
    street = Street()
    lit_since(street)
    for step in range(7):
        level = 100 - 40 * step / 6
        street.read("L1", NIGHT + MINUTE_MS + step * 15_000, lamp(60, of=level, level_effective_pct=level))
    for ts in every(NIGHT + 3 * MINUTE_MS, NIGHT + HOUR_MS, 1):
        street.read("L1", ts, lamp(60))
    assert street.raised() == []


def test_power_lost_at_every_level_is_no_failure_to_dim() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT + MINUTE_MS, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, share=0.7))
    for ts in every(NIGHT + HOUR_MS + MINUTE_MS, NIGHT + 2 * HOUR_MS):
        street.read("L1", ts, lamp(60, share=0.7))
    assert street.raised() == []


def test_a_low_power_factor_is_told_after_an_hour() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 65 * MINUTE_MS):
        street.read("L1", ts, lamp(100, power_factor=0.7))
    assert street.raised() == [("low_power_factor", "L1")]
    for ts in every(NIGHT + 70 * MINUTE_MS, NIGHT + 85 * MINUTE_MS):
        street.read("L1", ts, lamp(100, power_factor=0.92))
    assert street.open() == {("low_power_factor", "L1")}, "0.90 and 0.03 more are needed"
    for ts in every(NIGHT + 90 * MINUTE_MS, NIGHT + 105 * MINUTE_MS):
        street.read("L1", ts, lamp(100, power_factor=0.95))
    assert street.open() == set()


@pytest.mark.parametrize(("level", "factor"), [(10.0, 0.60), (30.0, 0.742), (60.0, 0.889), (100.0, 0.96)])
def test_the_power_factor_of_a_dimmed_lamp_is_normal(level: float, factor: float) -> None:
    street = Street()
    lit_since(street, level=level)
    for ts in every(NIGHT, NIGHT + 2 * HOUR_MS):
        street.read("L1", ts, lamp(level, power_factor=factor))
    assert street.raised() == []


def test_a_dark_lamp_has_no_power_factor() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 2 * HOUR_MS):
        street.read("L1", ts, lamp(of=0, power_factor=0.2))
    assert street.raised() == [("lamp_out", "L1")]


def test_three_ten_minute_means_outside_the_limits_are_told() -> None:
    street = Street()
    start = at("2026-11-20 20:00")
    for ts in every(start, start + 50 * MINUTE_MS):
        street.read("L1", ts, lamp(100, voltage_v=256))
    (change,) = street.changes
    assert (change.rule, change.severity) == ("voltage", "minor")
    assert change.ts_ms == start + 30 * MINUTE_MS, "the third whole window ends then"
    for ts in every(start + 55 * MINUTE_MS, start + 90 * MINUTE_MS):
        street.read("L1", ts, lamp(100, voltage_v=251))
    assert street.open(), "249 V are needed"
    for ts in every(start + 95 * MINUTE_MS, start + 120 * MINUTE_MS):
        street.read("L1", ts, lamp(100, voltage_v=240))
    assert street.open() == set()


def test_more_than_264_volts_are_critical() -> None:
    street = Street()
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, voltage_v=268))
    assert [c.severity for c in street.changes if c.raised] == ["critical"]


def test_two_means_outside_the_limits_are_nothing() -> None:
    street = Street()
    start = at("2026-11-20 20:00")
    for ts in every(start, start + 80 * MINUTE_MS):
        outside = start + 20 * MINUTE_MS <= ts < start + 40 * MINUTE_MS
        street.read("L1", ts, lamp(100, voltage_v=258 if outside else 236))
    assert street.raised() == []


def test_gear_that_derates_for_heat_is_told_and_clears_after_a_day_five_degrees_lower() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 15 * MINUTE_MS):
        street.read("L1", ts, lamp(100, gear_temp_degc=90, failure_flags=16, share=0.92))
    assert street.raised() == [("gear_temp", "L1")]
    street.read("L1", NIGHT + 10 * HOUR_MS, lamp(100, gear_temp_degc=82))
    for ts in every(DAWN, DAWN + 8 * HOUR_MS, 60):
        street.read("L1", ts, lamp(0, gear_temp_degc=12))
    assert street.open(), "by day every gear is cool"
    street.read("L1", NIGHT + 34 * HOUR_MS, lamp(100, gear_temp_degc=79))
    assert street.open() == set()


def test_gear_that_shuts_down_is_one_major_alert() -> None:
    """Neither lamp_out nor gear_temp stay beside it."""
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + 15 * MINUTE_MS):
        street.read("L1", ts, lamp(100, gear_temp_degc=90, failure_flags=16))
    for ts in every(NIGHT + 20 * MINUTE_MS, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, of=0, gear_temp_degc=95, failure_flags=32))
    assert street.open() == {("gear_shutdown", "L1")}


def test_a_warm_gear_within_its_rating_is_nothing() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, gear_temp_degc=84))
    assert street.raised() == []


def test_a_pole_that_leans_after_a_blow_is_critical() -> None:
    street = Street()
    street.read("L1", NIGHT, lamp(100))
    street.read("L1", NIGHT + MINUTE_MS, lamp(100, shock_g=4.2, tilt_deg=35))
    assert street.raised() == []
    street.read("L1", NIGHT + 2 * MINUTE_MS, lamp(100, tilt_deg=38))
    assert [(c.rule, c.severity) for c in street.changes] == [("knock_down", "critical")]


@pytest.mark.parametrize(("shock", "tilt"), [(4.2, 1.0), (0.3, 9.0), (1.9, 30.0)])
def test_a_blow_alone_or_an_old_lean_alone_is_nothing(shock: float, tilt: float) -> None:
    street = Street()
    street.read("L1", NIGHT, lamp(100, tilt_deg=tilt))
    for ts in every(NIGHT + MINUTE_MS, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, shock_g=shock, tilt_deg=tilt))
    assert street.raised() == []


@pytest.mark.parametrize(("uptime_s", "raised"), [(1200.0, True), (5.0e6, False)])
def test_a_pole_felled_while_its_lamp_had_no_power_is_found_at_dusk(uptime_s: float, raised: bool) -> None:
    """Nobody felt the blow; with power all the while it would have been felt."""
    street = Street()
    street.read("L1", NIGHT - 10 * HOUR_MS, lamp(100, tilt_deg=0.7))
    for ts in every(NIGHT, NIGHT + 10 * MINUTE_MS):
        street.read("L1", ts, lamp(100, tilt_deg=24, uptime_s=uptime_s))
    assert [rule for rule, _ in street.raised()] == ["knock_down"] * raised


def test_a_lamp_that_takes_more_than_it_should_is_no_question_of_dimming() -> None:
    """At 60 % it happens to take what full light would, and its driver says that it dims."""
    street = Street()
    for ts in every(NIGHT, NIGHT + 2 * HOUR_MS):
        street.read("L1", ts, lamp(60))
    for ts in every(NIGHT + 2 * HOUR_MS + MINUTE_MS, NIGHT + 4 * HOUR_MS):
        street.read("L1", ts, lamp(60, share=60 / (9 + 51 * 50 / 90)))
    assert street.raised() == []


@pytest.mark.parametrize("starts", [900.0, 901.0])
def test_a_lamp_that_was_lit_between_two_dark_reports_is_not_out(starts: float) -> None:
    """The report from when it burned was lost; the counter of its starts was not."""
    street = Street()
    lit_since(street)
    street.read("L1", NIGHT + 5 * MINUTE_MS, lamp(100, power_w=0.8))
    for minute in (15, 16):
        street.read("L1", NIGHT + minute * MINUTE_MS, lamp(100, power_w=0.8, lamp_starts=starts))
    assert street.raised() == ([("lamp_out", "L1")] if starts == 900.0 else [])


def test_a_lamp_past_its_life_is_planned() -> None:
    street = Street({"L1": {"lifetime_l80_s": 100_000 * 3600.0}})
    street.read("L1", NIGHT, lamp(100, lamp_on_time_s=99_999 * 3600.0))
    assert street.raised() == []
    street.read("L1", NIGHT + HOUR_MS, lamp(100, lamp_on_time_s=100_001 * 3600.0))
    assert [(c.rule, c.severity) for c in street.changes] == [("lumen_depreciation", "plan")]
    street.read("L1", NIGHT + DAY_MS, lamp(100, lamp_on_time_s=60.0, lamp_starts=1))
    assert street.open() == set()


def test_a_clock_that_drifts_is_told_although_it_is_wrong() -> None:
    street = Street()
    for ts in every(NIGHT, NIGHT + 10 * MINUTE_MS):
        street.read("L1", ts, lamp(100, clock_offset_s=-75))
    assert street.raised() == [("clock_drift", "L1")]
    for ts in every(NIGHT + 15 * MINUTE_MS, NIGHT + 30 * MINUTE_MS):
        street.read("L1", ts, lamp(100, clock_offset_s=-20))
    assert street.open(), "10 s are needed"
    street.read("L1", NIGHT + 35 * MINUTE_MS, lamp(100, clock_offset_s=3))
    assert street.open() == set()


def test_a_clock_within_a_minute_is_right() -> None:
    street = Street()
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(100, clock_offset_s=55))
    assert street.raised() == []


def test_the_power_that_a_wrong_clock_tells_is_not_judged() -> None:
    street = Street()
    lit_since(street)
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("L1", ts, lamp(of=0, clock_offset_s=200))
    assert street.raised() == [("clock_drift", "L1")]


LIGHTING = [r for r in load() if set(r.kinds) & {"lamp", "cabinet", "stop"}]


@pytest.mark.parametrize("rule", LIGHTING, ids=lambda rule: rule.name)
def test_what_a_rule_tells_people_is_known_when_it_is_raised(rule: Rule) -> None:
    """A symptom names what is in the evidence, what to bring names the asset; both say the same in both languages."""
    (kind, *_) = rule.kinds
    when = compile_condition(rule.when, table_of(of_kind(kind), rule.per, rule.thresholds)).names
    attributes = {attribute.name for attribute in ATTRIBUTES[kind]}
    for title, known in ((rule.symptom, {*when, *attributes}), (rule.bring, attributes)):
        if title is not None:
            assert set(placeholders(title.cs)) <= known
            assert placeholders(title.cs) == placeholders(title.en)
    assert rule.source
    assert rule.hidden or rule.bring is not None
