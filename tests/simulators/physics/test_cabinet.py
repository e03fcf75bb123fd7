"""Cabinets: the meter is the sum of its lamps, exactly; faults of circuits show in it."""

from typing import cast

import numpy as np
import pytest

from kraj.kinds import CABINET
from kraj.metrics import Type
from simulators.faults import one
from simulators.physics.behind import tangent
from simulators.physics.cabinet import BATTERY_MS, LINE_LOSS, OWN_W, CabinetModel
from simulators.physics.frame import DAY_MS, Fault, Floats, Ints
from simulators.physics.lamp import LampModel
from simulators.world import World
from tests.simulators.physics.days import HOUR_MS, MINUTE_MS, REGION, days, ms, place, powered, sample, world

START = ms(2026, 10, 5)
NIGHT, NOON = START + 19 * HOUR_MS, START + 11 * HOUR_MS
MADE = world()
MODEL = cast("CabinetModel", MADE.models["cabinet"])
CABINETS = MODEL.assets
VILLAGES = [n for n, c in enumerate(CABINETS) if c.number("lamps") == c.number("lamps_unmetered")]
TOWNS = [n for n in range(len(CABINETS)) if n not in VILLAGES]
METERED = [n for n in TOWNS if not CABINETS[n].number("lamps_unmetered")]


def lamps_of(made: World, cabinet: int) -> list[int]:
    key = CABINETS[cabinet].key
    return [n for n, a in enumerate(made.models["lamp"].assets) if f"{a.municipality}/{a.word('cabinet')}" == key]


def summed_w(made: World, cabinet: int, ts: Ints) -> Floats:
    """The true power of a cabinet's lamps, one by one; shape ``(t,)``."""
    lamps = cast("LampModel", made.models["lamp"]).lamps
    total = np.zeros(len(ts))
    for lamp in lamps_of(made, cabinet):
        rows = np.full(len(ts), lamp)
        total += lamps.power_w(lamps.line.find(rows, ts), rows, ts)
    return total


@pytest.mark.parametrize("faults", [(), ("feeder_outage", "lamp_out", "cycling", "dim_not_followed")])
def test_a_cabinets_power_is_exactly_that_of_its_lamps_and_losses_at_any_moment(faults: tuple[str, ...]) -> None:
    made = world()
    befallen = [one(cause, REGION, 7, START + 17 * HOUR_MS, hours=5) for cause in faults]
    made.prepare(START, befallen)
    model = cast("CabinetModel", made.models["cabinet"])
    ts = np.arange(START, START + DAY_MS, 13 * MINUTE_MS) + 7_431
    assert METERED
    for cabinet in METERED:
        true_w = model.true_w(np.full(len(ts), cabinet), ts).sum(axis=1)
        assert np.allclose(true_w, summed_w(made, cabinet, ts) * (1 + LINE_LOSS) + OWN_W, rtol=1e-12)
        shown = model.at(np.full(len(ts), cabinet), ts)
        assert np.allclose(shown["power_w"], true_w, rtol=0.004)
        assert np.allclose(shown["power_w"], sum(shown[f"l{n}_power_w"] for n in (1, 2, 3)))


def test_its_energy_is_the_energy_of_its_lamps() -> None:
    made = world()
    _, found = days(made, "cabinet", START, 1, step_ms=20_000)
    watts, counted = found["power_w"], found["energy_wh"]
    summed = np.concatenate(
        [np.zeros((len(CABINETS), 1)), np.cumsum((watts[:, 1:] + watts[:, :-1]) / 2, axis=1)], axis=1
    )
    assert np.abs(counted - counted[:, :1] - summed * 20 / 3600).max() < 0.003 * summed.max() * 20 / 3600 + 2
    lamps = cast("LampModel", made.models["lamp"]).lamps
    for cabinet in METERED:
        theirs = np.ptp(lamps.grid_wh[lamps_of(made, cabinet)], axis=1).sum()
        last_step = 20 / 3600 * watts[cabinet, -1]
        assert np.ptp(counted[cabinet]) == pytest.approx(theirs * (1 + LINE_LOSS) + OWN_W * 24 - last_step, abs=1.5)


def test_lamps_without_controllers_make_up_the_rest_of_the_rated_power() -> None:
    MADE.prepare(START)
    night = MODEL.true_w(np.arange(len(CABINETS)), np.full(len(CABINETS), START + 22 * HOUR_MS))
    for village in VILLAGES:
        rated = CABINETS[village].power_rated_w
        assert night[village].sum() == pytest.approx(rated * (1 + LINE_LOSS) + OWN_W, rel=0.02)
    mixed = [n for n in TOWNS if n not in METERED]
    assert VILLAGES
    assert mixed
    for cabinet in mixed:
        metered = summed_w(MADE, cabinet, np.array([START + 22 * HOUR_MS]))[0]
        each = CABINETS[cabinet].power_rated_w / CABINETS[cabinet].number("lamps")
        others = CABINETS[cabinet].number("lamps_unmetered") * each
        assert night[cabinet].sum() - (metered * (1 + LINE_LOSS) + OWN_W) == pytest.approx(others, rel=0.04)


@pytest.mark.parametrize("start", [START, ms(2026, 12, 20), ms(2027, 6, 20)])
def test_ordinary_days_are_plausible_and_counters_never_fall(start: int) -> None:
    _, found = days(MADE, "cabinet", start, 2)
    assert set(found) == set(CABINET.by_name)
    for name, values in found.items():
        metric = CABINET.by_name[name]
        low, high = metric.plausible or metric.possible
        known = values[~np.isnan(values)]
        assert known.min() >= low, name
        assert known.max() <= high, name
        if metric.type is Type.COUNTER:
            assert (np.diff(values, axis=1) >= 0).all(), name


def test_the_contactor_of_a_switched_cabinet_follows_the_sun_and_that_of_a_permanent_one_stays_closed() -> None:
    MADE.prepare(START)
    found = sample(MODEL, np.array([START + HOUR_MS, NOON, START + 22 * HOUR_MS]))["contactor_closed"]
    for n, cabinet in enumerate(CABINETS):
        assert found[n].tolist() == ([1, 0, 1] if cabinet.number("feeder_switched") else [1, 1, 1])


def test_a_mixed_cabinet_feeds_its_permanent_feeder_by_day_though_its_contactor_is_open() -> None:
    MADE.prepare(START)
    on = powered(MADE.models["lamp"], np.array([NOON]))[:, 0]
    for n, lamp in enumerate(MADE.models["lamp"].assets):
        assert on[n] == (lamp.number("feeder_switched") == 0)


def with_fault(cause: str, at_ms: int, hours: float = 3, size: float | None = None) -> tuple[World, Fault, int]:
    made = world()
    fault = one(cause, REGION, 3, at_ms, hours=hours, size=size)
    made.prepare(START, [fault])
    cabinet = next((place(MODEL, key) for key in fault.targets if key in {c.key for c in CABINETS}), -1)
    return made, fault, cabinet


def test_without_supply_a_cabinet_tells_of_dead_phases_for_half_an_hour_and_then_falls_silent() -> None:
    for cause in ("cabinet_outage", "grid_outage"):
        made, _, cabinet = with_fault(cause, NIGHT)
        model = made.models["cabinet"]
        ts = NIGHT + np.array([-1000, 1000, BATTERY_MS - 1000, BATTERY_MS + 1000, 3 * HOUR_MS + 1000])
        found = sample(model, ts, [cabinet])
        assert (found["l1_voltage_v"][0] > 200).tolist() == [True, False, False, False, True]
        assert (found["power_w"][0] > 100).tolist() == [True, False, False, False, True]
        assert powered(model, ts)[cabinet].tolist() == [True, True, True, False, True]
        dark = powered(made.models["lamp"], ts)[lamps_of(made, cabinet)]
        assert (dark == np.array([True, False, False, False, True])).all()


def test_a_grid_outage_strikes_at_least_three_cabinets() -> None:
    _, fault, _ = with_fault("grid_outage", NIGHT)
    assert sum(key in {c.key for c in CABINETS} for key in fault.targets) >= 3


def test_a_lost_phase_darkens_a_third_of_the_lamps() -> None:
    made, fault, cabinet = with_fault("phase_lost", NIGHT, size=2.0)
    ts = np.array([NIGHT - 1000, NIGHT + 1000])
    found = sample(made.models["cabinet"], ts, [cabinet])
    assert found["l2_voltage_v"][0, 1] < 1
    assert found["l2_power_w"][0, 1] == 0
    assert found["l1_voltage_v"][0, 1] > 200
    assert found["l1_power_w"][0, 1] == pytest.approx(found["l1_power_w"][0, 0], rel=0.02)
    on = powered(made.models["lamp"], ts)
    for lamp in lamps_of(made, cabinet):
        assert on[lamp, 0]
        assert on[lamp, 1] == (made.models["lamp"].assets[lamp].number("phase") != 2)
    assert len(fault.targets) - 1 == pytest.approx(len(lamps_of(made, cabinet)) / 3, abs=2)


def test_a_feeder_trip_takes_its_share_of_the_load_and_thirty_controllers() -> None:
    made, fault, _ = with_fault("feeder_outage", NIGHT)
    lamps = [place(made.models["lamp"], key) for key in fault.targets]
    cabinet = next(n for n in TOWNS if lamps[0] in lamps_of(made, n))
    ts = np.array([NIGHT - 1000, NIGHT + 1000])
    on = powered(made.models["lamp"], ts)
    assert on[lamps, 0].all()
    assert not on[lamps, 1].any()
    before, after = sample(made.models["cabinet"], ts, [cabinet])["power_w"][0]
    rated = sum(made.models["lamp"].assets[n].power_rated_w for n in lamps)
    assert before - after > 0.3 * rated


def test_a_stuck_contactor_burns_by_day_what_it_switches_and_nothing_else() -> None:
    made, fault, cabinet = with_fault("contactor_stuck", START + 6 * HOUR_MS, hours=9)
    ts = np.array([NOON])
    assert sample(made.models["cabinet"], ts, [cabinet])["contactor_closed"][0, 0] == 1
    found = sample(made.models["lamp"], ts)
    burning = set(np.flatnonzero(found["power_w"][:, 0] > 10).tolist())
    assert burning == {place(made.models["lamp"], key) for key in fault.targets[1:]}
    assert (found["level_commanded_pct"][sorted(burning), 0] == 0).all()
    assert made.models["cabinet"].at(np.array([cabinet]), ts)["power_w"][0] > 0.5 * sum(
        made.models["lamp"].assets[n].power_rated_w for n in burning
    )


@pytest.mark.parametrize("size", [1.0, 2.0])
def test_a_village_goes_dark_and_only_a_contactor_says_so(size: float) -> None:
    made, _, village = with_fault("circuit_unlit", NIGHT, size=size)
    found = sample(made.models["cabinet"], np.array([NIGHT - 1000, NIGHT + 1000]), [village])
    assert found["power_w"][0, 1] < 2 * OWN_W < 0.3 * found["power_w"][0, 0]
    assert found["contactor_closed"][0].tolist() == [1, 1 if size == 1 else 0]
    assert (found["l1_voltage_v"] > 200).all()


def test_dark_lamps_of_a_village_are_a_step_in_its_night_power() -> None:
    made, _, village = with_fault("lamps_dark", NIGHT, size=2.0)
    before, after = sample(made.models["cabinet"], np.array([NIGHT - 1000, NIGHT + 1000]), [village])["power_w"][0]
    each = CABINETS[village].power_rated_w / CABINETS[village].number("lamps")
    assert before - after == pytest.approx(2 * each, rel=0.25)
    ts, healthy = days(MADE, "cabinet", START, 6, rows=[village])
    deep = (ts % DAY_MS) < 3 * HOUR_MS
    nightly = np.median(healthy["power_w"][0, deep].reshape(6, -1), axis=1)
    assert np.ptp(nightly) < 0.5 * each, "ordinary nights must not drown a lamp"


def test_a_day_burning_village_burns_at_noon() -> None:
    made, _, village = with_fault("circuit_day_burning", START + 7 * HOUR_MS, hours=8)
    power = sample(made.models["cabinet"], np.array([NOON]), [village])["power_w"][0, 0]
    assert power > 0.9 * CABINETS[village].power_rated_w


def test_theft_is_on_one_phase_and_in_no_lamp() -> None:
    made, fault, cabinet = with_fault("theft", NIGHT, size=700.0)
    ts = np.array([NIGHT - 1000, NIGHT + 1000])
    model = cast("CabinetModel", made.models["cabinet"])
    found = model.true_w(np.full(2, cabinet), ts)
    lamps = summed_w(made, cabinet, ts) * (1 + LINE_LOSS)
    assert np.sort(np.diff(found, axis=0)[0]) == pytest.approx([0, 0, 700], abs=5)
    assert found[1].sum() - lamps[1] - (found[0].sum() - lamps[0]) == pytest.approx(700)
    assert len(fault.targets) == 1


def test_currents_follow_from_power_voltage_and_power_factor() -> None:
    MADE.prepare(START)
    found = sample(MODEL, np.array([START + 2 * HOUR_MS, NOON, NIGHT]))
    for n in (1, 2, 3):
        reckoned = found[f"l{n}_power_w"] / (found[f"l{n}_voltage_v"] * found[f"l{n}_power_factor"])
        assert np.allclose(found[f"l{n}_current_a"], reckoned, rtol=0.005, atol=0.002)
    assert tangent(np.array([0.6]))[0] == pytest.approx(4 / 3)
