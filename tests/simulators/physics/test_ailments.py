"""Each cause shows in the physics of its roofs, while it lasts, and nowhere else."""

import numpy as np
import pytest

from kraj.kinds.solar import EVENTS, STATES, THROTTLES
from simulators.physics.ailments import SIZES, snow_faults
from simulators.physics.frame import DAY_MS, Effects, Floats, Ints, Mask
from simulators.physics.roofs import has_sensor
from simulators.physics.solar import BATTERY_MS
from simulators.physics.weather import Weather
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

CLEAR = fair_day(Weather(SEED), YEAR_MS + 151 * DAY_MS)
LARGE_W = 20_000.0
"""More than the modules give: nothing is clipped."""
SENSING = next(r for r in (roof(f"r{n}", strings=3, rated_w=LARGE_W) for n in range(40)) if has_sensor(r, SEED))
FLEET = [
    SENSING,
    roof("vedle", strings=3, rated_w=LARGE_W),
    roof("dál", strings=3, rated_w=LARGE_W, latitude=49.6),
]
FROM, TO = CLEAR + 10 * HOUR_MS, CLEAR + 13 * HOUR_MS
DEAD = ("inverter_fault", "zero_output", "site_outage", "grid_outage")


def healthy() -> dict[str, Floats]:
    return day(model(FLEET), CLEAR)[1]


def sick(cause: str, size: float | None = None, from_ms: int = FROM, to_ms: int = TO) -> dict[str, Floats]:
    worst = SIZES[cause][1] if size is None else size
    return day(model(FLEET), CLEAR, [fault(cause, SENSING, from_ms, to_ms, worst)])[1]


def during(from_ms: int = FROM, to_ms: int = TO) -> Mask:
    ts = minutes(CLEAR)
    return (ts >= from_ms) & (ts < to_ms)


def state(found: dict[str, Floats], when: Mask) -> set[str]:
    return {STATES[int(code)] for code in found["state"][0][when]}


def bits(found: dict[str, Floats], name: str, words: tuple[str, ...], when: Mask) -> set[str]:
    mask = int(np.bitwise_or.reduce(found[name][0][when].astype(np.int64)))
    return {word for n, word in enumerate(words) if mask >> n & 1}


@pytest.mark.parametrize("cause", SIZES)
def test_a_cause_shows_on_its_roof_while_it_lasts_and_nowhere_else(cause: str) -> None:
    before = healthy()
    # What begins in the morning or grows over days is looked at later in its life.
    early = cause in {"no_start", "isolation", "peer_underperformance", "shading"}
    from_ms, to_ms = (CLEAR - 12 * DAY_MS, CLEAR + 2 * DAY_MS) if early else (FROM, TO)
    found = sick(cause, from_ms=from_ms, to_ms=to_ms)
    counters = {"energy_wh", "import_energy_wh", "export_energy_wh"}
    differs = {
        name: ~np.isclose(found[name], values, rtol=0.03, atol=1.0, equal_nan=True) for name, values in before.items()
    }
    shown = np.any([differs[name][0] for name in before if name not in counters], axis=0)
    assert shown.any()
    if not early:
        assert shown[during()].mean() > 0.9
        # Modules and inverter take their time to cool and warm, and the grid must have been back for five minutes.
        calm = ~during(FROM - 5 * MINUTE_MS, TO + 50 * MINUTE_MS)
        assert not shown[calm].any()
    for name, values in before.items():
        assert np.array_equal(found[name][1:], values[1:], equal_nan=True), f"{cause} changes {name} of another roof"


@pytest.mark.parametrize("cause", SIZES)
def test_a_cause_of_another_day_changes_nothing(cause: str) -> None:
    before, past = healthy(), (CLEAR - 9 * DAY_MS, CLEAR - 2 * DAY_MS)
    found = sick(cause, from_ms=past[0], to_ms=past[1])
    assert all(np.array_equal(found[name], values, equal_nan=True) for name, values in before.items())


@pytest.mark.parametrize("cause", DEAD)
def test_a_dead_roof_gives_nothing_and_counts_nothing(cause: str) -> None:
    found, when = sick(cause), during()
    assert found["power_w"][0][when].max() <= 0
    assert found["dc_power_w"][0][when].max() == 0
    assert np.ptp(found["energy_wh"][0][when][1:]) == 0
    assert found["power_w"][0][~when].max() > 5000
    assert np.abs(found["string1_current_a"][0][when]).max() < 0.1


def test_an_inverters_fault_says_so() -> None:
    found = sick("inverter_fault")
    assert state(found, during()) == {"fault"}
    told = bits(found, "event_flags", EVENTS, during())
    assert len(told) == 1
    assert "ground_fault" not in told
    assert bits(found, "event_flags", EVENTS, ~during()) == set()


def test_a_roof_without_output_says_nothing() -> None:
    found = sick("zero_output")
    assert "fault" not in state(found, during())
    assert found["event_flags"][0].max() == 0
    assert found["string1_voltage_v"][0][during()].min() > healthy()["string1_voltage_v"][0][during()].max()


def test_what_does_not_start_runs_on_until_the_evening_and_stays_off_next_morning() -> None:
    roofs = model(FLEET)
    faults = [fault("no_start", SENSING, FROM, CLEAR + 2 * DAY_MS)]
    _, first = day(roofs, CLEAR, faults)
    assert np.array_equal(first["power_w"], healthy()["power_w"])
    ts, second = day(roofs, CLEAR + DAY_MS, faults)
    assert second["power_w"][0].max() < 0
    assert second["power_w"][1].max() > 1000
    noon = np.flatnonzero(ts == CLEAR + DAY_MS + 11 * HOUR_MS)[0]
    assert STATES[int(second["state"][0][noon])] == "starting"
    _, third = day(roofs, CLEAR + 2 * DAY_MS, faults)
    assert third["power_w"][0].max() > 300


@pytest.mark.parametrize("count", [1, 2])
def test_open_strings_carry_no_current_and_their_power_is_missing(count: int) -> None:
    before, found, when = healthy(), sick("string_open", count), during()
    amps = np.stack([found[f"string{n}_current_a"][0][when] for n in (1, 2, 3)])
    dead = amps.mean(axis=1) < 0.1
    assert dead.sum() == count
    assert amps[~dead].min() > 3
    lost = 1 - found["power_w"][0][when] / before["power_w"][0][when]
    assert lost == pytest.approx(count / 3, abs=0.03)


def test_partial_loss_and_soiling_take_their_share() -> None:
    before = healthy()
    partial = sick("partial_loss", 0.2)
    assert (partial["power_w"] / before["power_w"])[0][during()] == pytest.approx(0.8, abs=0.02)
    grown = [
        sick("peer_underperformance", 0.5, CLEAR - days * DAY_MS, CLEAR + DAY_MS)["power_w"][0][132]
        / before["power_w"][0][132]
        for days in (1, 5, 20)
    ]
    assert grown == pytest.approx([0.93, 0.74, 0.51], abs=0.04)


def test_a_new_obstacle_shades_at_one_azimuth_day_after_day() -> None:
    roofs = model(FLEET)
    lost: list[Ints] = []
    for start in (CLEAR, fair_day(Weather(SEED), CLEAR + 5 * DAY_MS)):
        ts, before = day(roofs, start)
        _, found = day(roofs, start, [fault("shading", SENSING, CLEAR - DAY_MS, CLEAR + 99 * DAY_MS)])
        bright = before["power_w"][0] > 1500
        share = 1 - found["power_w"][0] / np.where(bright, before["power_w"][0], 1.0)
        lost.append((ts - start)[bright & (share > 0.3)])
        assert 30 < len(lost[-1]) * 5 < 180
    assert lost[0].mean() == pytest.approx(lost[1].mean(), abs=25 * MINUTE_MS)


def test_high_voltage_throttles_a_whole_area() -> None:
    before = healthy()
    targets = [fault("voltage_derating", r, CLEAR, CLEAR + DAY_MS) for r in FLEET]
    _, found = day(model(FLEET), CLEAR, targets)
    when = during()
    volts = np.stack([found[f"l{n}_voltage_v"] for n in (1, 2, 3)]).max(axis=0)
    assert (volts[:, when] > 1.08 * 230).all()
    assert (volts < 1.13 * 230).all()
    assert (found["power_w"][:, when] < 0.9 * before["power_w"][:, when]).all()
    assert state(found, when) == {"throttled"}
    assert bits(found, "throttle_flags", THROTTLES, when) == {"volt_watt"}
    offered = found["power_w"][0][when] / (1 - found["throttle_pct"][0][when] / 100)
    assert offered == pytest.approx(before["power_w"][0][when], rel=0.03)
    assert volts[0][:12].min() > np.stack([before[f"l{n}_voltage_v"] for n in (1, 2, 3)]).max(axis=0)[0][:12].max()


def test_bad_isolation_is_seen_in_the_morning_and_stops_the_roof_when_it_is_a_short() -> None:
    before = healthy()
    poor = sick("isolation", 0.7, CLEAR + 2 * HOUR_MS, CLEAR + DAY_MS)
    noon, night = 132, 6
    assert poor["isolation_ohm"][0][noon] == pytest.approx(0.3 * before["isolation_ohm"][0][noon], rel=0.01)
    assert poor["isolation_ohm"][0][night] == before["isolation_ohm"][0][night]
    assert np.array_equal(poor["power_w"], before["power_w"])
    short = sick("isolation", 1.0, CLEAR, CLEAR + DAY_MS)
    assert short["power_w"][0].max() < 0
    assert bits(short, "event_flags", EVENTS, during()) == {"ground_fault"}
    assert state(short, during()) == {"fault"}


def test_sensors_fade_stand_still_or_shine_at_night() -> None:
    before, when = healthy()["irradiance_w_per_m2"][0], during()
    assert (sick("irradiance_sensor", 0.3)["irradiance_w_per_m2"][0] / before)[when] == pytest.approx(0.7, abs=0.01)
    flat = sick("irradiance_sensor", 1.0)["irradiance_w_per_m2"][0][when]
    assert np.ptp(flat) < 1e-6
    assert flat[0] == pytest.approx(before[when][0], rel=0.02)
    offset = sick("irradiance_sensor", 25.0, CLEAR, CLEAR + DAY_MS)["irradiance_w_per_m2"][0]
    assert offset[:6] == pytest.approx(25, abs=4)


def test_without_grid_the_controller_is_silent_and_starts_anew() -> None:
    roofs = model(FLEET)
    roofs.prepare(CLEAR, Effects.of([fault("site_outage", SENSING, FROM, TO)], FLEET))
    rows, ts = np.zeros(3, np.intp), np.array([FROM - 1, FROM + BATTERY_MS, TO])
    assert roofs.powered(rows, ts).tolist() == [True, False, True]
    assert roofs.powered(rows[:1], np.array([FROM + BATTERY_MS - 1])).all(), "by its battery it tells of the loss"
    lost = roofs.at(rows[:1], np.array([FROM + 1]))["event_flags"].astype(int)
    assert lost & 2 ** EVENTS.index("grid_disconnect")
    found = roofs.at(rows, np.array([FROM + 1, TO + 4 * MINUTE_MS, TO + 6 * MINUTE_MS]))
    assert found["l1_voltage_v"].tolist()[0] == 0
    assert found["power_w"][1] < 0 < found["power_w"][2], "the grid is watched for five minutes first"
    assert STATES[int(found["state"][1])] == "starting"


def test_snow_stops_cold_roofs_and_hides_their_sensors() -> None:
    weather = Weather(SEED)
    labels = snow_faults(weather, FLEET, YEAR_MS + 212 * DAY_MS, 300)
    assert len(labels) > 5
    assert {label.cause for label in labels} == {"snow"}
    assert all(label.targets == tuple(r.key for r in FLEET) for label in labels)
    longest = max(labels, key=lambda label: label.end_ms - label.start_ms)
    noon = next(
        start + 11 * HOUR_MS
        for start in range(longest.start_ms // DAY_MS * DAY_MS, longest.end_ms, DAY_MS)
        if longest.start_ms < start + 11 * HOUR_MS < longest.end_ms - 3 * HOUR_MS
    )
    ts, found = day(model(FLEET), noon // DAY_MS * DAY_MS)
    under = np.abs(ts - noon) < HOUR_MS
    assert (found["module_temp_degc"][0][under] < 1).all()
    assert (found["power_w"][:, under] < 0.04 * LARGE_W).all()
    _, labelled = day(model(FLEET), noon // DAY_MS * DAY_MS, labels)
    assert all(np.array_equal(found[n], values, equal_nan=True) for n, values in labelled.items()), "only a label"
    covered = sick("snow", 1.0)
    assert (covered["power_w"][0] / healthy()["power_w"][0])[during()].max() < 0.05


def test_the_truth_about_a_loss_is_known() -> None:
    roofs = model(FLEET)
    _, found = day(roofs, CLEAR, [fault("partial_loss", SENSING, FROM, TO, 0.3)])
    ts = minutes(CLEAR)[during()]
    truth = roofs.healthy_power_w(np.zeros(len(ts), np.intp), ts)
    assert truth == pytest.approx(healthy()["power_w"][0][during()], rel=0.02)
    assert found["power_w"][0][during()] == pytest.approx(0.7 * truth, rel=0.03)
