"""Roofs: energy adds up, days are ordinary, one question has one answer, and a year yields what Czech ones do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.kinds import SOLAR
from kraj.kinds.solar import STATES
from kraj.metrics import Type
from simulators.physics.ailments import SIZES
from simulators.physics.frame import DAY_MS, GRID_MS, Columns, Effects, Fault, Floats, Ints
from simulators.physics.meters import building_load_w
from simulators.physics.roofs import Roofs
from simulators.physics.solar import SolarModel
from simulators.physics.weather import Weather
from simulators.region import region
from tests.simulators.physics.rooftop import (
    HOUR_MS,
    MINUTE_MS,
    SEED,
    YEAR_MS,
    day,
    fair_day,
    fault,
    minutes,
    model,
    roof,
)

JUNE, OCTOBER, DECEMBER = (YEAR_MS + n * DAY_MS for n in (151, 273, 334))
REGION = region(3, 400)
ROOFS = [asset for asset in REGION.assets if asset.kind == "solar"]
CLEAR = fair_day(Weather(SEED), JUNE)
DULL = fair_day(Weather(SEED), OCTOBER, clear=False)
HEALTH = {"clock_offset_s", "rssi_dbm", "uptime_s", "reset_cause"}


def integral_wh(power_w: Floats, ts_ms: Ints) -> Floats:
    mean = (power_w[..., 1:] + power_w[..., :-1]) / 2
    return (mean * np.diff(ts_ms) / HOUR_MS).sum(axis=-1)


def test_every_metric_is_produced() -> None:
    with_health = SolarModel.of(REGION, Weather(3))
    _, found = day(with_health, CLEAR)
    assert set(found) == set(SOLAR.by_name)
    _, without = day(model(ROOFS), CLEAR)
    assert set(SOLAR.by_name) - set(without) == HEALTH
    assert [name for name, values in found.items() if np.isnan(values).all() and not name.startswith("string")] == []


@pytest.mark.parametrize("start", [YEAR_MS, YEAR_MS + 90 * DAY_MS, JUNE, OCTOBER], ids=["1", "4", "6", "10"])
def test_ordinary_weeks_are_plausible_and_counters_whole_and_rising(start: int) -> None:
    roofs = model(ROOFS, 3)
    before: dict[str, Floats] = {}
    for number in range(7):
        _, found = day(roofs, start + number * DAY_MS)
        for name, values in found.items():
            metric = SOLAR.by_name[name]
            low, high = metric.plausible or metric.possible
            known = values[~np.isnan(values)]
            assert known.min(initial=low) >= low, name
            assert known.max(initial=high) <= high, name
            if metric.type.whole:
                assert (known == np.floor(known)).all(), name
            if metric.type is Type.COUNTER:
                whole = np.concatenate([before[name], values], axis=1) if name in before else values
                assert not (np.diff(whole, axis=1) < 0).any(), name
                before[name] = values[:, -1:]
        rating = np.array([asset.power_rated_w for asset in ROOFS])[:, None]
        assert (found["power_w"] <= 1.02 * rating).all()
        assert (found["power_w"] >= -0.02 * rating).all()


@given(st.integers(0, 2**31), st.integers(0, 3 * 365), st.data())
@settings(max_examples=12, deadline=None)
def test_whatever_befalls_a_roof_its_values_are_possible(seed: int, number: int, data: st.DataObject) -> None:
    start = YEAR_MS + number * DAY_MS
    few = ROOFS[:8]
    faults: list[Fault] = []
    for cause in data.draw(st.lists(st.sampled_from(sorted(SIZES)), max_size=6)):
        size = data.draw(st.floats(0, 2 * SIZES[cause][1]))
        from_ms = start + data.draw(st.integers(-30 * DAY_MS, DAY_MS))
        faults.append(fault(cause, data.draw(st.sampled_from(few)), from_ms, from_ms + 40 * DAY_MS, size))
    _, found = day(model(few, seed), start, faults)
    for name, values in found.items():
        low, high = SOLAR.by_name[name].possible
        known = values[~np.isnan(values)]
        assert ((known >= low) & (known <= high)).all(), name


@pytest.mark.parametrize("start", [CLEAR, CLEAR + DAY_MS, DULL])
def test_power_adds_up_to_the_counter(start: int) -> None:
    roofs = model(ROOFS)
    grid = start + np.arange(289) * GRID_MS
    ts, found = day(roofs, start, ts_ms=np.minimum(grid, start + DAY_MS - 1))
    counted = found["energy_wh"][:, -1] - found["energy_wh"][:, 0]
    assert integral_wh(np.maximum(found["power_w"], 0), grid) == pytest.approx(counted, rel=0.005, abs=5)
    _, fine = day(roofs, start, ts_ms=minutes(start, 1))
    assert integral_wh(np.maximum(fine["power_w"], 0), minutes(start, 1)) == pytest.approx(counted, rel=0.06, abs=10)
    assert len(ts) == 289


def test_the_meter_knows_what_the_building_used() -> None:
    alone = [roof(f"r{n}") for n in range(12)]
    together = [roof(f"s{n}", site="hala") for n in range(3)]
    roofs = model(alone + together)
    rows = np.arange(15)[:, None]
    grid = CLEAR + np.arange(289) * GRID_MS
    _, found = day(roofs, CLEAR)
    used = integral_wh(building_load_w(SEED, roofs.roofs, rows, grid), grid)
    gained = {n: found[n][:, -1] - found[n][:, 0] for n in ("energy_wh", "import_energy_wh", "export_energy_wh")}
    metered = roofs.roofs.meter[:12]
    assert metered.any()
    drawn = gained["import_energy_wh"] - gained["export_energy_wh"]
    assert (drawn + gained["energy_wh"])[:12][metered] == pytest.approx(used[:12][metered], rel=0.02)
    assert not roofs.roofs.meter[13:].any(), "a building has one meter"
    assert np.isnan(found["import_energy_wh"][13:]).all()


def test_the_meter_of_a_building_counts_all_its_inverters() -> None:
    hall = [roof(f"s{n}", site="hala") for n in range(3)]
    seed = next(seed for seed in range(20) if Roofs.of(hall, seed).meter[0])
    roofs = model(hall, seed)
    start = fair_day(Weather(seed), JUNE)
    _, found = day(roofs, start)
    exported = found["export_energy_wh"][0, -1] - found["export_energy_wh"][0, 0]
    produced = found["energy_wh"][:, -1] - found["energy_wh"][:, 0]
    assert exported > 1.2 * produced[0]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, DAY_MS - 1)), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_a_moment_is_the_same_alone_and_in_any_company(asked: list[tuple[int, int]]) -> None:
    roofs = model(ROOFS[:6])
    roofs.prepare(CLEAR, Effects.of([fault("partial_loss", ROOFS[2], CLEAR, CLEAR + DAY_MS, 0.2)], ROOFS[:6]))
    rows, ts = np.array([r for r, _ in asked]), CLEAR + np.array([t for _, t in asked])
    together = roofs.at(rows, ts)
    assert all(np.array_equal(roofs.at(rows, ts)[name], values, equal_nan=True) for name, values in together.items())
    for place in range(len(asked)):
        alone = roofs.at(rows[place : place + 1], ts[place : place + 1])
        for name, values in together.items():
            # Vector units round the last digit by the length of what they are given; counters may stand on the edge.
            within = 1.0 if SOLAR.by_name[name].type is Type.COUNTER else 1e-6
            assert alone[name][0] == pytest.approx(values[place], rel=1e-9, abs=within, nan_ok=True), name


def test_a_roof_does_not_depend_on_the_others() -> None:
    _, many = day(model(ROOFS), CLEAR)
    for number in (0, len(ROOFS) - 1):
        _, one = day(model([ROOFS[number]]), CLEAR)
        for name in set(many) - {"import_energy_wh", "export_energy_wh"}:
            assert one[name][0] == pytest.approx(many[name][number], rel=1e-9, abs=1e-6, nan_ok=True), name


def test_a_fault_added_at_noon_leaves_the_morning_as_it_was() -> None:
    roofs, few = model(ROOFS[:4]), ROOFS[:4]
    day(roofs, CLEAR - DAY_MS)
    ts, before = day(roofs, CLEAR)
    noon = CLEAR + 11 * HOUR_MS
    _, after = day(roofs, CLEAR, [fault("zero_output", few[1], noon, noon + 9 * DAY_MS)])
    past = ts < noon
    for name, values in before.items():
        # The step of the grid that ends at noon already knows what begins there.
        known = past & (ts < noon - GRID_MS)
        assert np.array_equal(values[:, known], after[name][:, known], equal_nan=True), name
    assert after["energy_wh"][1, -1] < before["energy_wh"][1, -1]
    assert np.array_equal(after["energy_wh"][[0, 2, 3]], before["energy_wh"][[0, 2, 3]])


def test_days_in_order_carry_their_counters_on_and_others_start_afresh() -> None:
    roofs = model(ROOFS[:5])
    _, first = day(roofs, CLEAR)
    _, second = day(roofs, CLEAR + DAY_MS)
    assert (second["energy_wh"][:, 0] - first["energy_wh"][:, -1] <= 1).all()
    _, later = day(roofs, CLEAR + 40 * DAY_MS)
    assert (later["energy_wh"][:, 0] > 0).all()
    _, again = day(model(ROOFS[:5]), CLEAR + 40 * DAY_MS)
    assert np.array_equal(later["energy_wh"], again["energy_wh"])


def test_a_south_roof_yields_what_czech_ones_do() -> None:
    """950 to 1,050 kWh/kWp a year, 0.65 a day in December and 4.5 in June, over four years of weather."""
    years: list[Floats] = []
    ends = np.array([[0], [DAY_MS - 1]])
    for seed in range(4):
        roofs = model([roof(f"r{n}", latitude=49.3 + 0.2 * n, longitude=15.3 + 0.3 * n) for n in range(3)], seed)
        daily: list[float] = []
        for start in range(YEAR_MS, YEAR_MS + 365 * DAY_MS, 2 * DAY_MS):
            _, found = day(roofs, start, ts_ms=start + ends.ravel())
            daily.append(float(np.diff(found["energy_wh"], axis=1).sum() / roofs.roofs.peak_w.sum()))
        years.append(np.array(daily))
    every = np.array(years)  # every other day
    assert 950 < 365 * every.mean() < 1050
    assert np.abs(every.mean(axis=1) * 365 - 1000).max() < 130
    assert 0.4 < every[:, 334 // 2 :].mean() < 0.9
    assert 4.1 < every[:, 151 // 2 : 181 // 2].mean() < 5.2
    assert 6 < every.max() < 7.5


def test_a_clear_day_has_its_shape() -> None:
    east, west = roof("východ", azimuth_deg=90.0), roof("západ", azimuth_deg=270.0)
    ts, found = day(model([roof("jih"), east, west]), CLEAR)
    peaks = ts[found["power_w"].argmax(axis=1)] - CLEAR
    assert peaks[1] < 10 * HOUR_MS < peaks[0] < 12 * HOUR_MS < peaks[2]
    state: list[int] = found["state"][0].astype(int).tolist()
    order = [STATES[s] for s, later in zip(state, [*state[1:], -1], strict=True) if s != later]
    assert order == ["sleeping", "starting", "mppt", "shutting_down", "sleeping"]
    feeds = found["power_w"][0] > 0
    assert (found["power_w"][0][~feeds] < 0).all(), "an inverter at night draws a little"
    much = found["power_w"][0] > 2000
    assert 0.93 < (found["power_w"][0][much] / found["dc_power_w"][0][much]).mean() < 0.985


def test_strings_add_up_and_lie_on_their_planes() -> None:
    both = roof("sedlo", strings=4, azimuth_deg=90.0, string3_plane=2, string4_plane=2)
    ts, found = day(model([both]), CLEAR)
    amps = np.stack([found[f"string{n}_current_a"][0] for n in range(1, 5)])
    volts = np.stack([found[f"string{n}_voltage_v"][0] for n in range(1, 5)])
    assert np.isnan(found["string5_current_a"]).all()
    light = found["dc_power_w"][0] > 1000
    assert (amps * volts).sum(axis=0)[light] == pytest.approx(found["dc_power_w"][0][light], rel=0.05)
    morning, evening = (np.flatnonzero(ts == CLEAR + h * HOUR_MS)[0] for h in (6, 16))
    assert amps[:2, morning].min() > 2 * amps[2:, morning].max()
    assert amps[2:, evening].min() > 2 * amps[:2, evening].max()
    noon = np.flatnonzero(ts == CLEAR + 11 * HOUR_MS)[0]
    assert amps[0, noon] == pytest.approx(amps[1, noon], rel=0.12)
    assert 300 < volts[0, noon] < 500


def test_an_inverter_clips_at_its_rating_and_throttles_at_its_export_limit() -> None:
    small, limited = roof("malý", modules=22), roof("omezený", export_limit_w=6000.0)
    _, found = day(model([small, limited]), CLEAR)
    assert found["power_w"][0].max() == pytest.approx(10_000, rel=0.01)
    assert found["throttle_pct"][0].max() == 0
    assert found["power_w"][1].max() == pytest.approx(6_000, rel=0.01)
    throttled = found["state"][1] == STATES.index("throttled")
    assert throttled.any()
    assert (found["throttle_flags"][1][throttled] == 1).all()
    assert (found["throttle_pct"][1][throttled] > 0).all()
    assert (
        found["string1_voltage_v"][1][throttled].min() > found["string1_voltage_v"][1][found["power_w"][1] > 5000].min()
    )


def test_modules_warm_with_a_lag_and_sensors_are_on_a_share_of_roofs() -> None:
    roofs = model([roof(f"r{n}") for n in range(60)])
    _, found = day(roofs, CLEAR)
    has = roofs.roofs.sensor
    assert 0.25 < has.mean() < 0.55
    assert (np.isnan(found["module_temp_degc"]).all(axis=1) == ~has).all()
    assert (np.isnan(found["irradiance_w_per_m2"]).all(axis=1) == ~has).all()
    one = int(np.flatnonzero(has)[0])
    warm, light = found["module_temp_degc"][one], found["irradiance_w_per_m2"][one]
    assert 40 < warm.max() < 75
    assert 850 < light.max() < 1150
    broken = next(s for s in range(CLEAR, CLEAR + 60 * DAY_MS, DAY_MS) if restless(roofs, s))
    ts = minutes(broken, 1)
    _, fine = day(roofs, broken, ts_ms=ts)
    assert np.abs(np.diff(fine["irradiance_w_per_m2"][one])).max() > 150
    assert np.abs(np.diff(fine["module_temp_degc"][one])).max() < 5


def restless(roofs: SolarModel, start: int) -> bool:
    _, found = day(roofs, start)
    return bool(np.abs(np.diff(found["power_w"][0])).max() > 4000)


def test_isolation_falls_on_wet_mornings_but_not_to_the_limit() -> None:
    roofs = model([roof(f"r{n}") for n in range(20)])
    mornings: list[Floats] = []
    for number in range(25):
        _, found = day(roofs, OCTOBER + number * DAY_MS)
        mornings.append(found["isolation_ohm"][:, 200])
    ohm = np.array(mornings)
    share = ohm.min(axis=0) / ohm.max(axis=0)
    assert (share < 0.85).all()
    assert (share > 0.5).all()
    assert ohm.min() > 1e6


def test_roofs_differ_within_what_healthy_ones_do() -> None:
    same = [roof(f"r{n}") for n in range(80)]
    _, found = day(model(same), CLEAR)
    energy = found["energy_wh"][:, -1] - found["energy_wh"][:, 0]
    assert 0.008 < energy.std() / energy.mean() < 0.04
    facing_horizon = Roofs.of(same, SEED).horizon_deg(np.arange(80)[:, None], np.arange(0.0, 360, 5))
    assert facing_horizon.min() >= 0
    assert 2 < facing_horizon.max() < 10


def test_rows_without_roofs_and_questions_without_rows_are_fine() -> None:
    nobody = model([])
    nobody.prepare(CLEAR, Effects({}))
    none: Columns = nobody.at(np.zeros(0, np.intp), np.zeros(0, np.int64))
    assert all(len(values) == 0 for values in none.values())
    some = model(ROOFS[:2])
    some.prepare(CLEAR, Effects({}))
    assert all(len(values) == 0 for values in some.at(np.zeros(0, np.intp), np.zeros(0, np.int64)).values())
    assert some.active(np.array([0, 0]), CLEAR + np.array([0, 11 * HOUR_MS])).tolist() == [False, True]
    assert some.powered(np.array([0]), np.array([CLEAR + MINUTE_MS])).tolist() == [True]
