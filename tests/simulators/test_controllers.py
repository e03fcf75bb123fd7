"""Controllers that fail: deaf ones and liars are found, lost brokers and clocks leave nobody in the dark."""

from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from kraj import dimming, sun
from kraj.errors import ConfigurationError
from rules.dimming import Programs, desired
from simulators.causes import CAUSES, VARIANTS
from simulators.faults import chosen, one
from simulators.physics.bank import is_dimmed
from simulators.physics.frame import DAY_MS, Floats
from simulators.physics.lamp import LampModel
from simulators.physics.told import FALLBACK, Told
from simulators.region import region
from simulators.score import Task, run
from simulators.world import World
from tests.simulators.physics.days import HOUR_MS, MINUTE_MS, REGION, ms, sample

START = ms(2026, 10, 20)
AUTUMN = datetime(2026, 10, 20, tzinfo=UTC)
SMALL = region(2, 60)


def dimmed_lamp(made: Any = SMALL) -> Any:
    lamps = [asset for asset in made.assets if asset.kind == "lamp"]
    plain = ("part_night", "report_interval_s", "feeder_switched")
    return next(
        lamp
        for lamp, dims in zip(lamps, is_dimmed(made.seed, lamps), strict=True)
        if dims and not any(lamp.number(name) for name in plain)
    )


@pytest.mark.parametrize("cause", ["controller_deaf", "controller_lying"])
def test_a_controller_that_does_not_follow_is_found(cause: str) -> None:
    task = Task(seed=2, days=2, devices=60, faults=f"{cause}@{dimmed_lamp().key}", start=AUTUMN, warm_up=3, batch_s=300)
    matching = run(task, lambda line: None).outcome.matching
    (found,) = [f for f in matching.found if f.label.cause != "snow"]
    assert (found.label.cause, found.detected) == ("dim_not_followed", True)
    assert not matching.false


def course(model: LampModel, row: int, start: int, faults: Any = (), told: Told | None = None) -> dict[str, Floats]:
    """A day of a lamp, minute by minute, after a day before."""
    made = World(REGION)
    fresh = cast("LampModel", made.models["lamp"])
    if told is not None:
        fresh.lamps.told = told
    for day in (start - DAY_MS, start):
        made.prepare(day, faults)
    ts = np.arange(start, start + DAY_MS, MINUTE_MS)
    return {name: values[0] for name, values in sample(fresh, ts, [row]).items()}


MODEL = cast("LampModel", World(REGION).models["lamp"])
LAMP = dimmed_lamp(REGION)
ROW = [asset.key for asset in MODEL.assets].index(LAMP.key)


@pytest.mark.parametrize(("cause", "says_so"), [("controller_deaf", True), ("controller_lying", False)])
def test_a_deaf_controller_stays_at_its_level_by_night_and_a_lying_one_says_it_has_followed(
    cause: str, says_so: bool
) -> None:
    ordinary = course(MODEL, ROW, START)
    fault = one(cause, REGION, 1, START + HOUR_MS, target=LAMP.key, hours=40)
    struck = course(MODEL, ROW, START, [fault])
    np.testing.assert_array_equal(struck["level_commanded_pct"], ordinary["level_commanded_pct"])
    lit = struck["level_commanded_pct"] > 0
    later = np.arange(1440) >= 60
    held = struck["level_effective_pct"][59]
    dimmed = np.abs(ordinary["level_commanded_pct"] - held) > 10
    wrong = lit & later & dimmed
    assert wrong.sum() > 60
    told = struck["level_effective_pct"][wrong]
    assert (np.abs(told - held) < 1).all() if says_so else (np.abs(told - held) > 10).all()
    settled = wrong & (struck["power_w"] > 0)
    assert np.abs(struck["power_w"][settled] - ordinary["power_w"][settled]).max() > 3
    assert (struck["level_effective_pct"][~lit & later] == 0).all(), "by day it is dark"


def test_a_lamp_that_has_lost_its_clock_goes_by_its_photocell_and_is_never_dark_by_night() -> None:
    fault = one("clock_lost", REGION, 1, START - DAY_MS, target=LAMP.key, hours=72)
    assert fault.cause == "clock_drift"
    told = Told()
    told.program(ROW, document(("20:00", 30)), START - DAY_MS)
    found = course(MODEL, ROW, START, [fault], told)
    assert (found["level_reason"] == FALLBACK).all()
    ts = np.arange(START, START + DAY_MS, MINUTE_MS)
    elevation = sun.elevation_deg(ts, LAMP.latitude, LAMP.longitude)
    assert (found["level_commanded_pct"][elevation < -6] == 100).all()
    assert (found["level_commanded_pct"][elevation > 3] == 0).all()


def test_a_lamp_that_hears_of_nobody_keeps_its_program() -> None:
    told = Told()
    told.program(ROW, document(("20:00", 30)), START - DAY_MS)
    fault = one("broker_lost", REGION, 1, START - HOUR_MS, target=LAMP.key, hours=24)
    assert fault.cause == "comms_lost"
    alone, heard = course(MODEL, ROW, START, [fault], told), course(MODEL, ROW, START, [], told)
    for name in ("level_commanded_pct", "level_reason", "power_w", "energy_wh"):
        np.testing.assert_array_equal(alone[name], heard[name])


def document(*steps: tuple[str, int], ramp_s: int = 0, floor: int = 0) -> dict[str, Any]:
    listed = [{"at": at, "level_pct": level, "ramp_s": ramp_s} for at, level in steps]
    program = dimming.read({"plans": [{"steps": listed}]})
    return desired(program, floor, LAMP.latitude, LAMP.longitude, AUTUMN.date())


def test_a_told_lamp_goes_by_its_document_at_every_second_ramps_and_drift_included() -> None:
    made = document(("19:30", 55), ("22:00", 20), ("04:40", 90), ramp_s=600, floor=30)
    programs = Programs.of([made])
    told = Told()
    told.program(ROW, made, START - DAY_MS)
    world = World(REGION)
    model = cast("LampModel", world.models["lamp"])
    model.lamps.told = told
    drift = one("clock_drift", REGION, 1, START - DAY_MS, target=LAMP.key, hours=72, size=120.0)
    for faults, ahead_s in (((), 0), ((drift,), 120)):
        world.prepare(START, faults)
        utc_s = np.arange(START // 1000, START // 1000 + 86_400, 7)
        found = model.at(np.full(len(utc_s), ROW), utc_s * 1000)["level_commanded_pct"]
        expected = programs.levels_pct(np.zeros(len(utc_s), np.int64), utc_s + ahead_s)
        np.testing.assert_array_equal(found, expected)
        assert len(np.unique(expected)) > 50


def test_an_order_begins_and_ends_at_its_moment_and_the_day_before_it_stays_as_it_was() -> None:
    world = World(REGION)
    model = cast("LampModel", world.models["lamp"])
    world.prepare(START)
    ts = np.arange(START, START + DAY_MS, 20_000)
    before = sample(model, ts, [ROW])
    noon = START + 12 * HOUR_MS + 7_000
    model.told.order(ROW, "manual", 70.0, noon, noon + HOUR_MS)
    world.prepare(START)
    after = sample(model, ts, [ROW])
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][:, ts < noon], values[:, ts < noon], err_msg=name)
    within = (ts >= noon) & (ts < noon + HOUR_MS)
    assert (after["level_commanded_pct"][0, within] == 70).all()
    assert (after["level_commanded_pct"][0, ~within] == before["level_commanded_pct"][0, ~within]).all()
    assert after["energy_wh"][0, -1] > before["energy_wh"][0, -1] + 10


def test_emergency_goes_before_the_cabinet_and_that_before_a_person_far_away() -> None:
    told = Told()
    told.order(0, "manual", 40.0, 0, 100)
    row = np.zeros(3, np.intp)
    base = np.array([60.0, 100.0, 100.0]), np.array([4.0, 1.0, 1.0])
    rest = (row, np.array([10, 10, 60]), np.zeros(3, np.int64), np.zeros(3, np.bool_), np.ones(3, np.bool_))
    level, reason = told.commanded(*base, *rest)
    assert (level.tolist(), reason.tolist()) == ([40, 100, 100], [2, 1, 1])
    told.order(0, "emergency", 100.0, 50, 100)
    level, reason = told.commanded(*base, *rest)
    assert (level.tolist(), reason.tolist()) == ([40, 100, 100], [2, 1, 0])
    assert told.release(0, None, 55)
    assert told.commanded(*base, *rest)[1].tolist() == [2, 1, 1]


def test_variants_are_labelled_by_what_must_tell_of_them_and_no_scenario_deals_them() -> None:
    assert not set(VARIANTS) & set(CAUSES)
    for name, variant in VARIANTS.items():
        assert variant.name in CAUSES
        assert variant.per_year == 0
        (fault,) = chosen(name, REGION, seed=1, start_ms=START, days=1)
        assert fault.cause == variant.name
    with pytest.raises(ConfigurationError, match="did you mean controller_deaf"):
        chosen("controller_def", REGION, seed=1, start_ms=START, days=1)
