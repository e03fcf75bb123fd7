"""One alert a cause: feeders, cabinets, phases and the grid, whatever order their symptoms come in."""

import random

import pytest

from kraj.alerts import Severity, SymptomChange
from rules.rule import Per
from tests.rules.correlation.scene import RULES, START, Stage, Town, all_of, asset, back, cleared, raised, rule


@pytest.mark.parametrize("seed", range(20))
def test_a_trip_of_thirty_lamps_is_one_alert_and_one_notification_in_any_order(seed: int) -> None:
    chance = random.Random(seed)
    town = Town(lamps=30)
    stage = Stage(town.estate())
    wills = [raised("lamp_dark", lamp, 1.5 * chance.random()) for lamp in town.feeder()]
    silent = [raised("comms_lost", lamp, 15 + chance.random()) for lamp in chance.sample(town.feeder(), 5)]
    story: list[SymptomChange] = [*wills, *silent, raised("breaker", 1, 0.5), raised("load_lost", 1, 1)]
    for change in sorted(story, key=lambda c: c.ts_ms + chance.random() * 40_000):
        stage.step(max((change.ts_ms - START) / 60_000, (stage.now_ms - START) / 60_000), change)
    stage.tick(60, every=1)
    alert = stage.ledger.only("feeder_outage")
    assert stage.ledger.rules_told() == ["feeder_outage"]
    assert alert.severity is Severity.CRITICAL
    assert alert.asset_id == 1
    assert (alert.evidence["lost"], alert.evidence["members"]) == (30, 30)
    others = [a for a in stage.ledger.open() if a.key != alert.key]
    assert {a.rule for a in others} == {"breaker", "comms_lost"}
    assert all(a.parent == alert.key for a in others)


def test_a_feeder_is_told_when_the_correlation_window_has_closed_and_not_before() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0))
    stage.tick(9.9, every=0.1)
    assert stage.ledger.told == []
    assert stage.ledger.only("feeder_outage").active
    stage.tick(10)
    assert stage.ledger.rules_told() == ["feeder_outage"]


def test_a_feeder_that_nothing_above_could_explain_is_told_as_soon_as_it_is_judged() -> None:
    lamps = tuple(asset(n, "lamp", feeder="F") for n in range(1, 11))
    stage = Stage(Town(cabinets=0, extra=lamps).estate())
    stage.step(0, *all_of("lamp_dark", range(1, 11), 0))
    stage.tick(2)
    assert stage.ledger.rules_told() == ["feeder_outage"]


@pytest.mark.parametrize(("lost", "found"), [(2, False), (5, False), (6, True)])
def test_a_feeder_needs_three_lamps_and_a_fifth_of_them(lost: int, found: bool) -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder()[:lost], 0))
    stage.tick(30, every=5)
    assert bool(stage.ledger.alerts) is found


def test_three_of_fifteen_lamps_are_a_fifth() -> None:
    town = Town(lamps=15)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder()[:3], 0))
    stage.tick(3)
    assert stage.ledger.only("feeder_outage").active


def test_lamps_that_go_one_by_one_over_an_hour_are_no_feeder() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    for n, lamp in enumerate(town.feeder()[:15]):
        stage.step(5 * n, raised("lamp_dark", lamp, 5 * n))
    stage.tick(120, every=5)
    assert stage.ledger.alerts == {}


def test_a_feeder_is_over_when_four_fifths_of_those_lost_are_back_and_the_rest_do_not_bring_it_back() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0))
    stage.tick(20, every=1)
    stage.step(21, *back("lamp_dark", town.feeder()[:23], 21))
    assert stage.ledger.only("feeder_outage").active
    stage.step(22, *back("lamp_dark", town.feeder()[23:24], 22))
    assert not stage.ledger.only("feeder_outage").active
    stage.step(23, raised("lamp_dark", town.feeder()[0], 23))  # six old ones and a new one
    stage.tick(90, every=1)
    assert not stage.ledger.only("feeder_outage").active
    stage.step(91, *all_of("lamp_dark", town.feeder()[1:8], 91))
    stage.tick(120, every=1)
    assert len(stage.ledger.open("feeder_outage")) == 1
    assert len(stage.ledger.told) == 2


def test_a_child_is_held_down_after_its_parent_and_let_go_when_it_alone_remains() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder(), 0))
    stage.tick(15, every=1)
    stage.step(16, raised("comms_lost", town.feeder()[0], 16), raised("comms_lost", town.feeder()[1], 16))
    assert {a.parent for a in stage.ledger.open("comms_lost")} == {stage.ledger.only("feeder_outage").key}
    stage.step(30, *back("lamp_dark", town.feeder(), 30))
    stage.step(33, raised("comms_lost", town.feeder()[2], 33))  # within the hold
    stage.step(35, cleared("comms_lost", town.feeder()[1], 35))
    stage.tick(44.9, every=0.7)
    assert stage.ledger.rules_told() == ["feeder_outage"]
    stage.tick(45)
    assert stage.ledger.told[1:] == [
        a.key for a in sorted(stage.ledger.open("comms_lost"), key=lambda a: a.key) if a.parent is None
    ]
    assert len(stage.ledger.told) == 3


def test_what_began_long_before_a_feeder_went_out_is_not_explained_by_it() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, raised("comms_lost", town.feeder()[0], 0))
    stage.tick(60, every=5)
    stage.step(60, *all_of("lamp_dark", town.feeder()[1:], 60))
    stage.tick(80, every=1)
    assert stage.ledger.rules_told() == ["comms_lost", "feeder_outage"]
    assert stage.ledger.only("comms_lost").parent is None


def test_a_cabinet_that_says_it_has_no_voltage_takes_its_feeders_with_it() -> None:
    town = Town(feeders=2, lamps=10)
    stage = Stage(town.estate())
    stage.step(0, raised("cabinet_dark", 1, 0, supply_gone=True))
    stage.step(1, *all_of("lamp_dark", town.feeder(1, 1), 1))  # the other feeder is off by day
    stage.tick(30, every=1)
    cabinet = stage.ledger.only("cabinet_outage")
    assert stage.ledger.rules_told() == ["cabinet_outage"]
    assert {(a.rule, a.scope.name, a.parent) for a in stage.ledger.open() if a.key != cabinet.key} == {
        ("feeder_outage", "R1/1", cabinet.key),
        ("feeder_outage", "R1/2", cabinet.key),
    }
    stage.step(31, cleared("cabinet_dark", 1, 31), *back("lamp_dark", town.feeder(1, 1), 31))
    stage.tick(60, every=1)
    assert stage.ledger.open() == []
    assert len(stage.ledger.told) == 1


def test_a_cabinet_that_is_merely_silent_is_no_outage() -> None:
    town = Town(lamps=10)
    stage = Stage(town.estate())
    stage.step(0, raised("cabinet_dark", 1, 0, supply_gone=False))
    stage.step(15, raised("comms_lost", 1, 15))
    stage.tick(60, every=1)
    assert stage.ledger.rules_told() == ["comms_lost"]


def test_a_silent_cabinet_whose_lamps_are_dark_too_is_an_outage() -> None:
    town = Town(lamps=10)
    stage = Stage(town.estate())
    stage.step(0, raised("cabinet_dark", 1, 0))
    stage.step(1, *all_of("lamp_dark", town.feeder(), 1))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["cabinet_outage"]
    assert stage.ledger.only("feeder_outage").parent == stage.ledger.only("cabinet_outage").key


def test_three_dark_cabinets_are_one_grid_outage_with_cabinets_and_feeders_below_it() -> None:
    town = Town(cabinets=4, feeders=2, lamps=10)
    stage = Stage(town.estate())
    chance = random.Random(1)
    lamps = [lamp for c in (1, 2, 3) for f in (1, 2) for lamp in town.feeder(c, f)]
    story = [raised("cabinet_dark", c, 1.5 * chance.random(), supply_gone=c != 3) for c in (1, 2, 3)]
    story += [raised("lamp_dark", lamp, 1.5 * chance.random()) for lamp in lamps]
    for change in sorted(story, key=lambda c: c.ts_ms):
        stage.step((change.ts_ms - START) / 60_000, change)
    stage.tick(60, every=0.5)
    grid = stage.ledger.only("grid_outage")
    assert stage.ledger.rules_told() == ["grid_outage"]
    assert (grid.evidence["lost"], grid.evidence["members"]) == (3, 4)
    assert {a.parent for a in stage.ledger.open("cabinet_outage")} == {grid.key}
    assert len(stage.ledger.open("cabinet_outage")) == 3
    assert len(stage.ledger.open("feeder_outage")) == 6
    cabinets = {a.key for a in stage.ledger.open("cabinet_outage")}
    assert {a.parent for a in stage.ledger.open("feeder_outage")} <= {*cabinets, grid.key}


def test_what_is_judged_at_the_same_moment_hangs_on_what_is_nearest() -> None:
    town = Town(cabinets=3, lamps=10)
    stage = Stage(town.estate())
    # Too few lamps to say more of a silent cabinet than that; the grid's outage, judged first, does.
    lamps = [lamp for n in (1, 2, 3) for lamp in town.feeder(n)[:4]]
    stage.step(0, *all_of("cabinet_dark", (1, 2, 3), 0), *all_of("lamp_dark", lamps, 0))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["grid_outage"]
    above = {a.key: a.scope.name for a in stage.ledger.open("cabinet_outage")}
    assert [above[a.parent or ""] for a in stage.ledger.open("feeder_outage")] == ["R1", "R2", "R3"]


def test_nobody_is_told_while_what_may_explain_it_is_about_to_be_judged() -> None:
    town = Town(lamps=10)
    stage = Stage(town.estate())
    stage.step(0, raised("comms_lost", town.feeder()[0], 0))
    stage.step(9, *all_of("lamp_dark", town.feeder(), 9))
    stage.tick(40)
    assert stage.ledger.rules_told() == ["feeder_outage"]


def test_a_suspicion_that_comes_to_nothing_delays_no_longer_than_its_verdict() -> None:
    town = Town(lamps=10)
    stage = Stage(town.estate())
    stage.step(0, raised("comms_lost", town.feeder()[0], 0))
    stage.step(9, *all_of("lamp_dark", town.feeder()[1:4], 9))
    stage.step(9.5, *back("lamp_dark", town.feeder()[1:4], 9.5))
    stage.tick(10)
    assert stage.ledger.rules_told() == ["comms_lost"]


def test_a_cabinet_that_stays_dark_after_the_grid_is_back_is_told_then_with_its_feeder_below_it() -> None:
    town = Town(cabinets=5, lamps=10)
    stage = Stage(town.estate())
    stage.step(0, *all_of("cabinet_dark", range(1, 6), 0, supply_gone=True))
    stage.step(1, *[c for n in range(1, 6) for c in all_of("lamp_dark", town.feeder(n), 1)])
    stage.tick(20, every=1)
    stage.step(20, *back("cabinet_dark", range(1, 5), 20))
    stage.step(21, *[c for n in range(1, 5) for c in back("lamp_dark", town.feeder(n), 21)])
    stage.tick(34)
    assert stage.ledger.rules_told() == ["grid_outage"]
    stage.tick(60)
    assert stage.ledger.rules_told() == ["grid_outage", "cabinet_outage"]
    cabinet = stage.ledger.open("cabinet_outage")[0]
    assert cabinet.scope.name == "R5"
    assert [a.parent for a in stage.ledger.open("feeder_outage")] == [cabinet.key]


def test_a_lost_phase_explains_the_lamps_on_it_and_not_a_feeder_on_another() -> None:
    town = Town(feeders=2, lamps=12, changed={1200 + n: {"phase": 2} for n in range(12)})
    stage = Stage(town.estate())
    dead = {"l1_voltage_v": 2.0, "l2_voltage_v": 231.0, "l3_voltage_v": 230.0}
    stage.step(0, raised("phase_dark", 1, 0, phases_dead=1.0, **dead))
    stage.step(1, *all_of("lamp_dark", [lamp for n, lamp in enumerate(town.feeder(1, 1)) if n % 3 == 0], 1))
    stage.tick(5)
    phase = stage.ledger.only("phase_lost")
    assert [(a.scope.name, a.parent) for a in stage.ledger.open("feeder_outage")] == [("R1/1", phase.key)]
    assert phase.evidence["phases"] == [1]
    stage.step(6, *all_of("lamp_dark", town.feeder(1, 2), 6))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["phase_lost", "feeder_outage"]


def test_a_lost_phase_is_a_feeder_outage_below_it_even_if_no_lamp_says_so() -> None:
    town = Town(lamps=12)
    stage = Stage(town.estate())
    stage.step(0, raised("phase_dark", 1, 0, l1_voltage_v=0.0, l2_voltage_v=231.0, l3_voltage_v=230.0))
    stage.tick(1)
    assert stage.ledger.only("feeder_outage").parent == stage.ledger.only("phase_lost").key
    stage.step(30, cleared("phase_dark", 1, 30))
    assert stage.ledger.open() == []


def test_three_lamps_that_burn_by_day_are_one_stuck_contactor() -> None:
    town = Town(feeders=2, lamps=20)
    stage = Stage(town.estate())
    lamps = town.feeder()
    for n in range(3):
        stage.step(20 * n, raised("day_burner", lamps[n], 20 * n, severity=Severity.MINOR))
    stage.tick(120, every=1)
    alert = stage.ledger.only("contactor_stuck")
    assert stage.ledger.rules_told() == ["contactor_stuck"]
    assert {a.parent for a in stage.ledger.open("day_burner")} == {alert.key}


def test_a_lone_lamp_that_burns_by_day_is_told_when_the_others_have_had_their_time() -> None:
    town = Town(lamps=20)
    stage = Stage(town.estate())
    stage.step(0, raised("day_burner", town.feeder()[0], 0))
    stage.tick(59)
    assert stage.ledger.told == []
    stage.tick(60)
    assert stage.ledger.rules_told() == ["day_burner"]


def test_a_lone_symptom_is_told_at_once_if_nothing_could_explain_it_and_else_after_the_window() -> None:
    town = Town(lamps=20)
    stage = Stage(town.estate())
    stage.step(0, raised("lamp_out", town.feeder()[0], 0), raised("comms_lost", town.feeder()[1], 0))
    assert stage.ledger.rules_told() == ["lamp_out"]
    stage.tick(9.5)
    assert len(stage.ledger.told) == 1
    stage.tick(10)
    assert stage.ledger.rules_told() == ["lamp_out", "comms_lost"]


def test_what_comes_late_waits_for_its_neighbours_that_may_come_as_late() -> None:
    town = Town(lamps=20)
    stage = Stage(town.estate())
    stage.step(60, raised("comms_lost", town.feeder()[0], 20))
    assert stage.ledger.told == []
    stage.tick(62)
    assert stage.ledger.rules_told() == ["comms_lost"]


def test_a_voltage_outside_its_limits_is_told_once_for_a_cabinet_or_an_area() -> None:
    town = Town(cabinets=4, lamps=5)
    stage = Stage(town.estate())
    stage.step(0, *all_of("voltage", [1, *town.feeder(1)], 0, severity=Severity.MINOR))
    stage.tick(20, every=1)
    assert stage.ledger.rules_told() == ["voltage_cabinet"]
    stage.step(200, *all_of("voltage", [2, *town.feeder(2), 3, *town.feeder(3)], 200, severity=Severity.MINOR))
    stage.tick(240, every=1)
    assert stage.ledger.rules_told() == ["voltage_cabinet", "voltage_area"]


def test_a_cause_is_as_bad_as_the_worst_that_it_explains() -> None:
    town = Town(lamps=5)
    stage = Stage(town.estate())
    stage.step(0, *all_of("voltage", town.feeder(), 0, severity=Severity.MINOR))
    stage.tick(15, every=1)
    assert stage.ledger.only("voltage_cabinet").severity is Severity.MINOR
    stage.step(16, raised("voltage", town.feeder()[0], 16, severity=Severity.CRITICAL))
    assert stage.ledger.only("voltage_cabinet").severity is Severity.CRITICAL


def test_a_whole_plant_is_one_alert_and_snow_explains_it() -> None:
    roofs = tuple(asset(n, "solar", site=f"S{n // 3}") for n in range(30, 48))
    stage = Stage(Town(cabinets=0, extra=roofs).estate())
    stage.step(0, *all_of("zero_output", (30, 31, 32), 0))
    stage.tick(20, every=1)
    assert stage.ledger.rules_told() == ["site_outage"]
    assert {a.parent for a in stage.ledger.open("zero_output")} == {stage.ledger.only("site_outage").key}
    stage.step(500, *all_of("snow_suspected", range(33, 45), 500))
    stage.step(510, *all_of("zero_output", range(33, 36), 510))
    stage.tick(560, every=1)
    assert stage.ledger.rules_told() == ["site_outage", "snow"]


def test_a_plant_whose_inverters_are_all_silent_is_not_out() -> None:
    roofs = tuple(asset(n, "solar", site="S") for n in (30, 31, 32))
    stage = Stage(Town(cabinets=0, extra=roofs).estate())
    stage.step(0, *all_of("solar_silent", (30, 31, 32), 0, severity=Severity.INFO))
    stage.step(1, raised("solar_comms_lost", 30, 1))
    stage.tick(90, every=1)
    assert stage.ledger.rules_told() == ["site_silent"]
    assert stage.ledger.only("site_silent").severity is Severity.MINOR
    assert stage.ledger.only("solar_comms_lost").parent == stage.ledger.only("site_silent").key


def test_a_rule_can_be_explained_by_another_rule_on_the_same_asset() -> None:
    stage = Stage(Town(cabinets=0, extra=(asset(30, "solar"), asset(31, "solar"))).estate())
    stage.step(0, raised("string_open", 30, 0), raised("string_open", 31, 0))
    stage.step(2, raised("inverter_fault", 30, 2))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["inverter_fault", "string_open"]
    assert [a.asset_id for a in stage.ledger.alerts.values() if a.parent is None] == [31, 30]


@pytest.mark.parametrize(("per", "told"), [(Per.READING, []), (Per.NIGHT, ["out"])])
def test_what_is_judged_of_whole_nights_explains_what_follows_it_and_is_not_waited_for(
    per: Per, told: list[str]
) -> None:
    rules = [*RULES, rule("out", explained_by=["restarts"]), rule("restarts", per=per)]
    stage = Stage(Town(lamps=3).estate(), rules)
    stage.step(0, raised("out", 1100, 0))
    stage.tick(5, every=1)
    assert stage.ledger.rules_told() == told
    stage.step(60, raised("restarts", 1101, 60))
    stage.step(90, raised("out", 1101, 90))
    stage.tick(120)
    assert [a.parent is None for a in stage.ledger.open() if a.rule == "out"] == [True, False]


def test_a_feeder_that_grew_is_over_when_four_fifths_of_all_are_back() -> None:
    town = Town(lamps=30)
    stage = Stage(town.estate())
    stage.step(0, *all_of("lamp_dark", town.feeder()[:6], 0))
    stage.tick(3)
    stage.step(4, *all_of("lamp_dark", town.feeder()[6:], 4))
    stage.step(20, *back("lamp_dark", town.feeder()[:24], 20))
    assert not stage.ledger.only("feeder_outage").active  # 6 of 30 are left, as many as there were at first


def test_rules_that_name_each_other_hide_neither() -> None:
    circle = [*RULES, rule("hen", explained_by=["egg"]), rule("egg", explained_by=["hen"])]
    stage = Stage(Town(lamps=3).estate(), circle)
    stage.step(0, raised("hen", 1100, 0))
    stage.step(1, raised("egg", 1100, 1))
    stage.tick(30, every=1)
    assert len(stage.ledger.told) == 1
    assert len([a for a in stage.ledger.open() if a.parent is None]) == 1
    stage.step(31, cleared("hen", 1100, 31))
    stage.step(32, raised("hen", 1100, 32))
    assert len([a for a in stage.ledger.open() if a.parent is None]) == 1
