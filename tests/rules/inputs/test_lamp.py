"""Inputs of lamps: as a plain loop over each lamp's readings has them, and as the field knows them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.inputs.layers import Bench
from tests.rules.lighting.twins import LampTwin
from tests.rules.street import at, lamp

NIGHT = at("2026-11-20 18:00")
KNOWN = (
    {"power_rated_w": 60.0, "power_min_w": 9.0},
    {"power_rated_w": 24.0, "power_standby_w": 0.4},
    {"power_rated_w": 150.0, "power_min_w": 20.0},
)
UNKNOWN = float("nan")
NOTHING: dict[str, float] = {}


def mostly(values: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.one_of(values, values, values, values, st.just(UNKNOWN))


SNAPSHOTS = st.fixed_dictionaries(
    {
        "level_commanded_pct": mostly(st.sampled_from([0.0, 10.0, 60.0, 60.3, 100.0])),
        "level_effective_pct": mostly(st.sampled_from([0.0, 59.0, 60.0, 100.0])),
        "power_w": mostly(st.sampled_from([0.5, 4.0, 20.0, 36.0, 45.0, 58.0, 61.0, 90.0, 140.0])),
        "voltage_v": mostly(st.sampled_from([0.0, 120.0, 205.0, 231.0, 256.0])),
        "lamp_starts": mostly(st.sampled_from([3.0, 900.0, 901.0, 904.0])),
        "supply_losses": mostly(st.sampled_from([3.0, 4.0])),
        "uptime_s": mostly(st.sampled_from([100.0, 4000.0, 5.0e6])),
        "shock_g": mostly(st.sampled_from([0.1, 2.5])),
        "tilt_deg": mostly(st.sampled_from([0.5, 1.4, 6.0, 12.0])),
        "level_measured_pct": mostly(st.sampled_from([0.0, 60.0, 85.0])),
        "gear_temp_degc": mostly(st.sampled_from([20.0, 82.0])),
        "failure_flags": mostly(st.sampled_from([0.0, 3.0, 16.0, 1024.0])),
    }
)
STEPS = st.lists(
    st.dictionaries(
        st.integers(0, 2),
        st.tuples(st.sampled_from([15, 60, 300, 301, 3600, 15_000, 90_000]), SNAPSHOTS),
        min_size=1,
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_many_lamps_at_once_are_as_each_alone(steps: list[dict[int, tuple[int, dict[str, float]]]]) -> None:
    bench = Bench("lamp", KNOWN)
    twins = [LampTwin(known) for known in KNOWN]
    clocks = [NIGHT] * len(twins)
    for step in steps:
        readings: dict[int, tuple[int, dict[str, float]]] = {}
        for slot, (later_s, snapshot) in step.items():
            clocks[slot] += later_s * 1000
            readings[slot] = (clocks[slot], snapshot)
            twins[slot].read(*readings[slot])
        with np.errstate(all="ignore"):
            layer = bench.tell(readings)
            said = {
                name: layer.column(name)
                for name in (
                    *("since_switching_s", "expected_power_w", "voltage_mean_min_v", "supply_gone", "since_shock_s"),
                    *("since_hot_s", "burning", "level_off_points", "power_off_points", "power_stuck_points"),
                    *("follows_dimming", "power_factor_min", "restarting", "settled_or_dark"),
                )
            }
        for row, slot in enumerate(readings):
            twin, (ts_ms, snapshot) = twins[slot], readings[slot]
            ought = {
                "since_switching_s": twin.since_s(ts_ms, snapshot),
                "expected_power_w": twin.expected(snapshot["level_commanded_pct"]),
                "voltage_mean_min_v": twin.mean_v,
                "supply_gone": float(twin.gone),
                "since_shock_s": UNKNOWN if twin.shock_ms is None else (ts_ms - twin.shock_ms) / 1000,
                "since_hot_s": UNKNOWN if twin.hot_ms is None else (ts_ms - twin.hot_ms) / 1000,
                "restarting": float(twin.restarting(ts_ms)),
                "settled_or_dark": twin.settled_or_dark(ts_ms, snapshot),
                **twin.judged(snapshot),
            }
            assert {n: column[row] for n, column in said.items()} == pytest.approx(ought, nan_ok=True, rel=1e-9)
            state = bench.states["lamp"]
            for name, value in (
                ("unexpected_total", twin.unexpected),
                ("level_before_pct", twin.level_before),
                ("power_before_w", twin.power_before),
            ):
                held = state.get(name)
                if held is not None:
                    assert held[slot] == pytest.approx(value, nan_ok=True), name


@settings(max_examples=60, deadline=None)
@given(st.lists(SNAPSHOTS, min_size=3, max_size=3), st.permutations([0, 1, 2]))
def test_a_row_does_not_depend_on_the_others(snapshots: list[dict[str, float]], order: list[int]) -> None:
    """The engine asks again for some rows of a piece."""
    bench = Bench("lamp", KNOWN)
    with np.errstate(all="ignore"):
        bench.tell({slot: (NIGHT, lamp(100)) for slot in range(3)})
        layer = bench.tell({slot: (NIGHT + 600_000, snapshots[slot]) for slot in range(3)})
        names = [given.name for given in bench.seam.inputs if given.name not in {"neighbours_alive"}]
        parts = layer.part(np.array(order, np.intp))
        fresh = bench.tell({slot: (NIGHT + 600_000, snapshots[slot]) for slot in order}, track=False)
        for name in names:
            whole = layer.column(name)[order]
            np.testing.assert_array_equal(parts.column(name), whole, err_msg=name)
            if name not in {"gap_s", "heartbeat_s"}:
                np.testing.assert_array_equal(fresh.column(name), whole, err_msg=name)


def test_light_is_not_watts() -> None:
    """Half of the light takes less than half of the power beyond the least, and the least level is no nothing."""
    bench = Bench("lamp", [{"power_rated_w": 100.0, "power_min_w": 16.0, "power_standby_w": 0.4}] * 5)
    levels = (100.0, 55.0, 10.0, 3.0, 0.0)
    layer = bench.tell({n: (NIGHT, lamp(level)) for n, level in enumerate(levels)})
    assert layer.column("expected_power_w") == pytest.approx([100.0, 16 + 84 * 0.47, 16.0, 16.0, 0.4], abs=0.01)


def test_a_lamp_without_a_data_sheet_is_a_typical_one() -> None:
    bench = Bench("lamp", [{"power_rated_w": 100.0}, {}])
    layer = bench.tell({0: (NIGHT, lamp(10)), 1: (NIGHT, lamp(100))})
    assert layer.column("expected_power_w") == pytest.approx([16.0, UNKNOWN], nan_ok=True)


def test_flags_of_heat_are_known_by_name_and_other_bits_are_not_heat() -> None:
    """Bits 4 and 9 derate, 5 and 10 shut down; bit 20 has no name here."""
    bench = Bench("lamp", [NOTHING] * 6)
    flags = (UNKNOWN, 0.0, 2.0**4, 2.0**9 + 1, 2.0**5, 2.0**20 + 2.0**10)
    layer = bench.tell({n: (NIGHT, lamp(100, failure_flags=bits)) for n, bits in enumerate(flags)})
    assert layer.column("gear_is_derating").tolist() == [0, 0, 1, 1, 0, 0]
    assert layer.column("gear_is_shut_down").tolist() == [0, 0, 0, 0, 1, 1]


def test_what_was_learnt_belongs_to_the_luminaire_in_the_registry() -> None:
    """The registry is put right after a retrofit: what the old entry had taught is forgotten."""
    bench = Bench("lamp", [{"power_rated_w": 100.0}])
    for hour in range(5):
        bench.tell({0: (NIGHT + hour * 3_600_000, lamp(100, power_w=82.0))})
    learnt = bench.states["lamp"]
    assert learnt.array("power_curve")[0, 1] == pytest.approx(-0.18)
    corrected = Bench("lamp", [{"power_rated_w": 82.0}])
    corrected.states = bench.states
    corrected.tell({0: (NIGHT + 5 * 3_600_000, lamp(100, power_w=82.0))})
    layer = corrected.tell({0: (NIGHT + 6 * 3_600_000, lamp(100, power_w=82.0))})
    assert layer.column("expected_power_w") == pytest.approx([82.0])


def test_learning_is_slow_and_bounded() -> None:
    """A driver that ages by a tenth in a year is followed; half of the power is never learnt."""
    bench = Bench("lamp", [{"power_rated_w": 100.0}] * 2)
    for hour in range(1500):
        ageing, broken = 100.0 - 20.0 * hour / 1500, 100.0 if hour < 20 else 50.0
        ts = NIGHT + hour * 3_600_000
        bench.tell({0: (ts, lamp(100, power_w=ageing)), 1: (ts, lamp(100, power_w=broken))})
    end = NIGHT + 1500 * 3_600_000
    layer = bench.tell({slot: (end, lamp(100)) for slot in (0, 1)})
    assert layer.column("expected_power_w") == pytest.approx([80.9, 100.0], abs=0.5)
