"""Who cannot say yet that it is well: lamps of a switched feeder wait for dusk, slow reporters for their reports."""

import pytest

from tests.rules.correlation.scene import Stage, Town, all_of, back, cleared, raised

SWITCHED = {lamp: {"feeder_switched": 1.0} for lamp in Town(lamps=12).feeder()}


def _phase_back_by_day(town: Town, *, rests: bool) -> Stage:
    """A phase with all lamps of a feeder is back after an hour, and none of them says so."""
    stage = Stage(town.estate())
    stage.step(0, raised("phase_dark", 1, 0, l1_voltage_v=230.0, l2_voltage_v=1.0, l3_voltage_v=230.0))
    stage.step(1, *all_of("lamp_dark", town.feeder(), 1))
    if rests:
        stage.step(50, raised("circuit_rests", 1, 50))
    stage.tick(60, every=10)
    assert stage.ledger.only("feeder_outage").parent == stage.ledger.only("phase_lost").key
    stage.step(60, cleared("phase_dark", 1, 60))
    return stage


@pytest.mark.parametrize("rests", [True, False])
def test_lamps_of_a_switched_feeder_are_held_while_it_rests_and_told_at_once_where_it_does_not(rests: bool) -> None:
    town = Town(lamps=12, changed={lamp: {**SWITCHED[lamp], "phase": 2} for lamp in SWITCHED})
    stage = _phase_back_by_day(town, rests=rests)
    stage.tick(300, every=10)
    assert stage.ledger.rules_told() == ["phase_lost", *([] if rests else ["feeder_outage"])]


def test_a_permanent_feeder_that_stays_dark_is_told_though_the_contactor_of_others_is_open() -> None:
    town = Town(lamps=12, changed={lamp: {"phase": 2} for lamp in SWITCHED})
    stage = _phase_back_by_day(town, rests=True)
    stage.tick(80, every=5)
    assert stage.ledger.rules_told() == ["phase_lost", "feeder_outage"]


@pytest.mark.parametrize("well", [True, False])
def test_at_dusk_a_feeder_that_rested_says_whether_it_is_well(well: bool) -> None:
    town = Town(lamps=12, changed={lamp: {**SWITCHED[lamp], "phase": 2} for lamp in SWITCHED})
    stage = _phase_back_by_day(town, rests=True)
    if well:
        stage.step(500, *back("lamp_dark", town.feeder(), 500))
    stage.step(505, cleared("circuit_rests", 1, 505))
    stage.tick(540, every=1)
    assert stage.ledger.rules_told() == ["phase_lost", *([] if well else ["feeder_outage"])]
    assert bool(stage.ledger.open("feeder_outage")) is not well


def test_what_rests_is_held_by_the_next_outage_too_and_for_no_longer_than_a_day() -> None:
    town = Town(lamps=12, changed={lamp: {**SWITCHED[lamp], "phase": 2} for lamp in SWITCHED})
    stage = _phase_back_by_day(town, rests=True)
    first = stage.ledger.only("phase_lost").key
    stage.step(200, raised("phase_dark", 1, 200, l1_voltage_v=230.0, l2_voltage_v=1.0, l3_voltage_v=230.0))
    second = next(a.key for a in stage.ledger.open("phase_lost"))
    assert second != first
    assert stage.ledger.only("feeder_outage").parent == second
    stage.step(260, cleared("phase_dark", 1, 260))
    stage.tick(260 + 24 * 60 - 1, every=15)
    assert stage.ledger.rules_told() == ["phase_lost", "phase_lost"]
    stage.tick(260 + 24 * 60)
    assert stage.ledger.rules_told() == ["phase_lost", "phase_lost", "feeder_outage"]


@pytest.mark.parametrize(("interval_s", "until"), [(None, 45), (900, 75), (3600, 210)])
def test_who_reports_seldom_is_held_for_three_reports_of_its_own(interval_s: int | None, until: int) -> None:
    """The voltage of an area is right again at 30; the lamps of one cabinet have not said so."""
    town = Town(cabinets=2, lamps=4)
    if interval_s:
        town.changed = {lamp: {"report_interval_s": float(interval_s)} for lamp in town.feeder()}
    stage = Stage(town.estate())
    stage.step(0, *all_of("voltage", [1, 2, *town.feeder()], 0))
    stage.tick(30, every=1)
    stage.step(30, cleared("voltage", 1, 30), cleared("voltage", 2, 30))
    stage.tick(until - 1, every=1)
    assert stage.ledger.rules_told() == ["voltage_area"]
    stage.tick(until, every=1)
    assert set(stage.ledger.rules_told()) == {"voltage_area", "voltage_cabinet"}
