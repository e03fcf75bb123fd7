"""Single alerts: raised again, flapping, silenced by windows, late, worse, and what the registry does to them."""

from dataclasses import replace

import pytest

from kraj.alerts import Scope, Severity, Step
from kraj.assets import Window
from rules.estate import Estate
from tests.rules.correlation.scene import (
    MINUTE,
    RULES,
    START,
    Stage,
    Town,
    all_of,
    asset,
    back,
    cleared,
    raised,
)

TOWN = Town(lamps=10)
LAMP = TOWN.feeder()[0]


def window(type_: str, name: str, begin: float, end: float, *, rule: str | None = None, owner: int = 1) -> Window:
    scope = Scope(type=type_, name=name, municipality_id=owner)
    return Window(scope=scope, rule=rule, from_ms=START + int(begin * MINUTE), to_ms=START + int(end * MINUTE))


def test_raised_again_within_half_an_hour_it_is_the_same_alert_and_later_another() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.step(10, cleared("lamp_out", LAMP, 10))
    stage.step(40, raised("lamp_out", LAMP, 40))
    assert len(stage.ledger.alerts) == 1
    stage.step(50, cleared("lamp_out", LAMP, 50))
    stage.step(81, raised("lamp_out", LAMP, 81))
    assert len(stage.ledger.alerts) == 2
    assert [step for _, step, _ in stage.ledger.steps] == [
        Step.OPENED,
        Step.CLEARED,
        Step.RAISED_AGAIN,
        Step.CLEARED,
        Step.OPENED,
    ]


def test_what_comes_a_fourth_time_in_a_day_stays_open_until_two_hours_were_calm() -> None:
    stage = Stage(TOWN.estate())
    for n in range(3):
        stage.step(60 * n, raised("lamp_out", LAMP, 60 * n))
        stage.step(60 * n + 10, cleared("lamp_out", LAMP, 60 * n + 10))
    stage.step(180, raised("lamp_out", LAMP, 180))
    assert len(stage.ledger.told) == 4
    for n in range(10):
        stage.step(190 + 20 * n, cleared("lamp_out", LAMP, 190 + 20 * n))
        stage.step(200 + 20 * n, raised("lamp_out", LAMP, 200 + 20 * n))
    stage.step(390, cleared("lamp_out", LAMP, 390, lost_wh=5.0))
    stage.tick(509, every=10)
    assert len(stage.ledger.open()) == 1
    stage.tick(520, every=10)
    assert stage.ledger.open() == []
    assert stage.ledger.steps[-1][1:] == (Step.CLEARED, START + 510 * MINUTE)
    assert len(stage.ledger.told) == 4


def test_a_cause_that_flaps_stays_open_too() -> None:
    stage = Stage(TOWN.estate())
    for n in range(4):
        stage.step(20 * n, *all_of("lamp_dark", TOWN.feeder(), 20 * n))
        stage.tick(20 * n + 9, every=1)
        stage.step(20 * n + 10, *back("lamp_dark", TOWN.feeder(), 20 * n + 10))
    assert len(stage.ledger.alerts) == 1
    stage.tick(180, every=5)
    assert stage.ledger.only("feeder_outage").active
    stage.tick(200, every=5)
    assert not stage.ledger.only("feeder_outage").active


def test_a_child_raised_again_after_its_parent_is_over_stands_for_itself() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, *all_of("lamp_dark", TOWN.feeder(), 0))
    stage.tick(5, every=1)
    stage.step(16, raised("comms_lost", LAMP, 16))
    stage.step(20, *back("lamp_dark", TOWN.feeder(), 20), cleared("comms_lost", LAMP, 20))
    stage.step(45, raised("comms_lost", LAMP, 45))
    assert stage.ledger.only("comms_lost").parent is None
    stage.tick(54)
    assert stage.ledger.rules_told() == ["feeder_outage"]
    stage.tick(56)
    assert stage.ledger.rules_told() == ["feeder_outage", "comms_lost"]


def test_a_child_raised_again_under_the_same_parent_says_no_more_than_that() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, *all_of("lamp_dark", TOWN.feeder(), 0))
    stage.tick(5, every=1)
    stage.step(16, raised("comms_lost", LAMP, 16))
    stage.step(17, cleared("comms_lost", LAMP, 17))
    assert [c.step for c in stage.step(18, raised("comms_lost", LAMP, 18))] == [Step.RAISED_AGAIN]
    assert stage.ledger.only("comms_lost").parent == stage.ledger.only("feeder_outage").key


def test_an_alert_that_becomes_critical_says_so_once() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    changes = stage.step(5, raised("lamp_out", LAMP, 5, severity=Severity.CRITICAL, power_w=0.0))
    assert [(c.step, c.severity, c.notify) for c in changes] == [(Step.CHANGED, Severity.CRITICAL, True)]
    assert stage.step(6, raised("lamp_out", LAMP, 6)) == []


# Windows


@pytest.mark.parametrize(
    "given",
    [
        window("asset", str(LAMP), 0, 60),
        window("feeder", "R1/1", 0, 60),
        window("cabinet", "R1", -5, 60),
        window("supply_area", "A", 0, 60),
        window("municipality", "whatever it is called", 0, 60),
        window("asset", str(LAMP), 0, 60, rule="lamp_out"),
    ],
    ids=lambda w: w.scope.type,
)
def test_nothing_opens_inside_a_window_and_what_still_holds_opens_when_it_ends(given: Window) -> None:
    town = replace(TOWN, windows=(given,), changed={LAMP: {"supply_area": "A"}})
    stage = Stage(town.estate())
    stage.step(10, raised("lamp_out", LAMP, 10), raised("lamp_out", LAMP + 1, 10))
    stage.step(20, cleared("lamp_out", LAMP + 1, 20))
    stage.tick(59)
    assert {a.asset_id for a in stage.ledger.alerts.values()} <= {LAMP + 1}
    stage.tick(61)
    alert = next(a for a in stage.ledger.alerts.values() if a.asset_id == LAMP)
    assert alert.key.endswith(f"@{START + 10 * MINUTE}")
    assert (alert.key, Step.OPENED, START + 60 * MINUTE) in stage.ledger.steps


@pytest.mark.parametrize(
    "given",
    [
        window("feeder", "R1/1", 0, 60, owner=2),
        window("feeder", "R1/2", 0, 60),
        window("feeder", "R1/1", 20, 60),
        window("asset", str(LAMP), 0, 60, rule="day_burner"),
        window("supply_area", "A", 0, 60, owner=2),
    ],
)
def test_another_window_silences_nothing(given: Window) -> None:
    stage = Stage(replace(TOWN, windows=(given,)).estate())
    stage.step(10, raised("lamp_out", LAMP, 10))
    assert stage.ledger.rules_told() == ["lamp_out"]


def test_what_ends_within_its_window_is_never_told() -> None:
    stage = Stage(replace(TOWN, windows=(window("feeder", "R1/1", 0, 60),)).estate())
    stage.step(10, *all_of("lamp_dark", TOWN.feeder(), 10), raised("lamp_out", LAMP, 10))
    stage.step(50, *back("lamp_dark", TOWN.feeder(), 50), cleared("lamp_out", LAMP, 50))
    stage.tick(120, every=1)
    assert stage.ledger.alerts == {}


def test_a_feeder_still_dark_when_the_works_should_be_over_is_one_alert() -> None:
    stage = Stage(replace(TOWN, windows=(window("feeder", "R1/1", 0, 60),)).estate())
    stage.step(10, *all_of("lamp_dark", TOWN.feeder(), 10))
    stage.tick(90, every=1)
    assert stage.ledger.rules_told() == ["feeder_outage"]


def test_a_cabinet_in_maintenance_does_not_make_a_grid_outage_of_two_others() -> None:
    town = replace(Town(cabinets=4, lamps=0), windows=(window("cabinet", "R1", 0, 60),))
    stage = Stage(town.estate())
    stage.step(1, *all_of("cabinet_dark", (1, 2, 3), 1, supply_gone=True))
    stage.tick(30, every=1)
    assert stage.ledger.rules_told() == ["cabinet_outage", "cabinet_outage"]


def test_a_muted_cause_waits_for_the_end_of_its_mute() -> None:
    muted = window("asset", "1", 0, 60, rule="feeder_outage")
    stage = Stage(replace(TOWN, windows=(muted,)).estate())
    stage.step(1, *all_of("lamp_dark", TOWN.feeder(), 1))
    stage.tick(59, every=1)
    assert stage.ledger.alerts == {}
    stage.correlator.rollback()
    restarted = Stage(stage.estate)
    restarted.correlator.load(stage.correlator.dump())
    restarted.now_ms = stage.now_ms
    for one in (stage, restarted):
        one.tick(61, every=1)
        assert one.ledger.rules_told() == ["feeder_outage"]


def test_a_window_that_is_taken_away_lets_its_symptoms_out() -> None:
    stage = Stage(replace(TOWN, windows=(window("feeder", "R1/1", 0, 600),)).estate())
    stage.step(10, raised("lamp_out", LAMP, 10))
    stage.move(TOWN.estate())
    stage.step(20)
    assert stage.ledger.rules_told() == ["lamp_out"]


# Late readings


def test_late_readings_are_history_and_call_nobody() -> None:
    stage = Stage(TOWN.estate())
    begun = raised("lamp_out", LAMP, -600, since=-610, late=True)
    ended = cleared("lamp_out", LAMP, -300, late=True, lost_wh=120.0)
    changes = stage.step(0, begun, ended, raised("lamp_dark", LAMP, -500, late=True))
    assert [(c.step, c.at_ms, c.lost_wh) for c in changes] == [(Step.RECORDED, START - 300 * MINUTE, 120.0)]
    assert changes[0].key == f"lamp_out@asset/1/{LAMP}@{START - 610 * MINUTE}"
    assert stage.ledger.told == []
    assert stage.correlator.active == {}


def test_a_late_beginning_whose_end_is_not_known_is_written_down_too() -> None:
    stage = Stage(TOWN.estate())
    changes = stage.step(0, raised("lamp_out", LAMP, -600, late=True))
    assert [c.step for c in changes] == [Step.RECORDED]
    assert stage.step(1, cleared("lamp_out", LAMP, -300, late=True)) == []


def test_what_came_and_went_long_before_we_heard_of_it_is_history_and_what_did_so_just_now_is_not() -> None:
    stage = Stage(TOWN.estate())
    old = (raised("lamp_out", LAMP, -60), cleared("lamp_out", LAMP, -30))
    new = (raised("lamp_out", LAMP + 1, -3), cleared("lamp_out", LAMP + 1, -1))
    changes = stage.step(0, *old, *new)
    assert [(c.asset_id, c.step) for c in changes] == [
        (LAMP, Step.RECORDED),
        (LAMP + 1, Step.OPENED),
        (LAMP + 1, Step.CLEARED),
    ]


def test_an_alert_ends_also_by_readings_that_come_late_and_first_make_it_worse() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.step(90, raised("lamp_out", LAMP, 10, severity=Severity.CRITICAL), cleared("lamp_out", LAMP, 20))
    assert not stage.ledger.only("lamp_out").active


# The registry


def test_the_alert_of_an_asset_that_left_the_registry_is_cleared() -> None:
    stage = Stage(TOWN.estate())
    stage.step(
        0, raised("lamp_out", LAMP, 0), raised("comms_lost", LAMP + 1, 0), *all_of("lamp_dark", TOWN.feeder(), 0)
    )
    stage.tick(3)
    stage.move(TOWN.estate(without=TOWN.feeder()))
    stage.step(5)
    assert stage.ledger.open() == []
    assert stage.step(6, cleared("lamp_out", LAMP, 6), raised("lamp_out", LAMP, 6)) == []
    assert not stage.correlator.symptoms


def test_an_asset_that_changes_hands_leaves_its_alert_behind_and_opens_one_with_its_new_owner() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.move(TOWN.estate(owners={LAMP: 2}))
    stage.step(5)
    old, new = stage.ledger.alerts.values()
    assert (old.active, old.scope.municipality_id) == (False, 1)
    assert (new.active, new.scope.municipality_id) == (True, 2)
    assert new.key.endswith(f"@{START}")
    stage.step(6, cleared("lamp_out", LAMP, 6))
    assert stage.ledger.open() == []


def test_an_asset_that_comes_back_to_its_owner_goes_on_with_its_alert() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.move(TOWN.estate(owners={LAMP: 2}))
    stage.tick(100, every=50)
    stage.move(TOWN.estate())
    stage.step(101)
    first, second = stage.ledger.alerts.values()
    assert (first.active, second.active) == (True, False)


def test_a_registry_change_whose_step_is_taken_back_is_taken_in_by_the_next() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.move(TOWN.estate(without=[LAMP]))
    assert stage.correlator.step([], [], START + MINUTE)
    stage.correlator.rollback()
    stage.step(2)
    assert stage.ledger.open() == []


def test_the_alerts_of_a_rule_that_is_no_more_are_cleared() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, raised("lamp_out", LAMP, 0))
    stage.correlator.move(TOWN.estate(), [rule for rule in RULES if rule.name != "lamp_out"])
    stage.step(5)
    assert stage.ledger.open() == []


def test_a_lamp_moved_in_mid_fault_keeps_its_parent_until_that_is_over_and_counts_on_its_new_feeder() -> None:
    town = Town(feeders=2, lamps=10)
    stage = Stage(town.estate())
    first, second = town.feeder(1, 1), town.feeder(1, 2)
    stage.step(0, *all_of("lamp_dark", [*first, *second], 0))
    stage.tick(5, every=1)
    one, two = (a.key for a in sorted(stage.ledger.open("feeder_outage"), key=lambda a: a.key))
    stage.step(16, raised("comms_lost", first[0], 16))
    stage.move(replace(town, changed={first[0]: {"feeder": "R1/2"}}).estate())
    stage.step(17)
    assert stage.ledger.only("comms_lost").parent == one
    stage.step(20, *back("lamp_dark", first[1:], 20))
    assert not stage.ledger.alerts[one].active
    stage.tick(34)
    assert stage.ledger.only("comms_lost").parent == one
    stage.tick(36)
    assert stage.ledger.only("comms_lost").parent == two
    assert stage.ledger.rules_told() == ["feeder_outage", "feeder_outage"]


def test_a_group_that_is_renamed_in_mid_fault_ends_under_its_old_name_and_goes_on_under_the_new() -> None:
    stage = Stage(TOWN.estate())
    stage.step(0, *all_of("lamp_dark", TOWN.feeder(), 0))
    stage.tick(12, every=1)
    stage.move(replace(TOWN, changed={lamp: {"feeder": "new"} for lamp in TOWN.feeder()}).estate())
    stage.tick(30, every=1)
    assert [(a.scope.name, a.active) for a in stage.ledger.alerts.values()] == [("R1/1", False), ("new", True)]


def test_symptoms_of_assets_that_nobody_knows_are_left_alone() -> None:
    stage = Stage(TOWN.estate())
    assert stage.step(0, raised("lamp_out", 999_999, 0), cleared("lamp_out", 999_998, 0)) == []


def test_an_estate_without_anything_is_no_trouble() -> None:
    stage = Stage(Estate.of(0, []))
    assert stage.step(0, raised("lamp_out", LAMP, 0)) == []
    stage.move(Estate.of(1, [asset(5, "lamp")]))
    stage.step(1, raised("lamp_out", 5, 1))
    assert stage.ledger.rules_told() == ["lamp_out"]
