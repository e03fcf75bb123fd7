"""How a roof stopped, when the sun rose, what the inverter said: against a slow twin; and the flags one by one."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.kinds.solar import EVENTS, STATES, THROTTLES
from rules.inputs.solar import output as module
from rules.layer import Layer
from tests.rules.inputs.solar.series import RATED_W, START_MS, Series, roof

MINUTE_MS = 60_000
MIDNIGHT_MS = START_MS - START_MS % 86_400_000


@dataclass
class Twin:
    """One roof, one reading at a time; NaN compares as false, as everywhere."""

    produced_clear_pct: float = math.nan
    good_ms: float = math.nan
    zero_ms: float = math.nan
    high_ms: float = math.nan
    fault_from: float = math.nan
    fault_to: float = math.nan
    mean_v: float = math.nan

    def read(self, ts: int, said: dict[str, float], clear_w: float, elevation: float) -> dict[str, float]:
        output = 100 * said["power_w"] / RATED_W
        index = said["power_w"] / clear_w if clear_w > 0.05 * RATED_W else math.nan
        if output >= 0.5:
            self.produced_clear_pct, self.zero_ms = 100 * clear_w / RATED_W, math.nan
        if output < 0.5 and math.isnan(self.zero_ms):
            self.zero_ms = ts
        if index >= 0.2:
            self.good_ms = ts
        if elevation < 0:
            self.high_ms = math.nan
        elif elevation >= 15 and math.isnan(self.high_ms):
            self.high_ms = ts
        now = said["state"] == STATES.index("fault")
        if not now and output >= 0.5:
            self.fault_from = math.nan
        if now and elevation > 5:
            self.fault_from = ts if math.isnan(self.fault_from) else self.fault_from
            self.fault_to = ts
        return {
            "stopped_by_day": 0.0 if self.produced_clear_pct < 10 else 1.0,
            "fell_abruptly": float(output < 0.5 and self.zero_ms - self.good_ms <= 15 * MINUTE_MS),
            "zero_s": (ts - self.zero_ms) / 1000 if output < 0.5 else 0.0,
            "morning_s": (ts - self.high_ms) / 1000,
            "fault_told": float(now or self.fault_to - self.fault_from >= 5 * MINUTE_MS),
        }


told = st.fixed_dictionaries(
    {
        "power_w": st.sampled_from([0.0, 0.0, 0.0, 30.0, 200.0, 1_500.0, 7_000.0, math.nan]),
        "state": st.sampled_from(
            [float(STATES.index(word)) for word in ("mppt", "off", "fault", "fault")] + [math.nan]
        ),
    }
)


@settings(deadline=None)
@given(st.integers(0, 1439), st.lists(st.tuples(st.sampled_from([5, 5, 10, 60]), told), min_size=1, max_size=40))
def test_what_is_remembered_of_production_is_the_slow_twins(
    start_minute: int, story: list[tuple[int, dict[str, float]]]
) -> None:
    series, twin = Series([roof(0)]), Twin()
    ts = MIDNIGHT_MS + start_minute * MINUTE_MS
    for minutes, said in story:
        ts += minutes * MINUTE_MS
        layer = series.read(ts, said)
        clear, elevation = layer.column("clear_power_w")[0], layer.column("sun_elevation_deg")[0]
        expected = twin.read(ts, said, float(clear), float(elevation))
        found = {name: float(layer.column(name)[0]) for name in expected}
        assert found == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(1, 1200), st.floats(200, 270) | st.just(math.nan)), min_size=1, max_size=30))
def test_the_voltage_is_a_mean_of_ten_minutes_of_the_highest_phase(story: list[tuple[int, float]]) -> None:
    series, mean, ts = Series([roof(0)]), math.nan, START_MS
    for turn, (seconds, volts) in enumerate(story):
        ts += seconds * 1000
        layer = series.read(ts, {"l1_voltage_v": volts - 5, "l2_voltage_v": volts})
        anew = turn == 0 or seconds > module.GAP_S or math.isnan(mean)
        mean = volts if anew else mean + (1 - math.exp(-seconds / module.VOLTAGE_S)) * (volts - mean)
        assert layer.column("voltage_mean_v")[0] == pytest.approx(mean, nan_ok=True)


def test_a_window_of_ten_minutes_is_as_calm_as_the_mean() -> None:
    noise = np.random.default_rng(0).standard_normal(20_000)
    smooth = np.zeros(len(noise))
    for n in range(1, len(noise)):
        smooth[n] = module.smooth(smooth[n - 1 : n], noise[n : n + 1], np.array([10.0]))[0]
    window = np.convolve(noise, np.ones(60) / 60, "valid")
    assert smooth[100:].std() == pytest.approx(window.std(), rel=0.1)


def one(**said: float) -> Layer:
    return Series([roof(0)]).read(START_MS, said)


@pytest.mark.parametrize("event", [*EVENTS, None])
def test_each_event_is_somebodys(event: str | None) -> None:
    layer = one(event_flags=0.0 if event is None else float(1 << EVENTS.index(event)))
    assert layer.flag("fault_event")[0] == (event in module.SERIOUS)
    assert layer.flag("ground_fault")[0] == (event == "ground_fault")
    assert layer.flag("string_fuse_blown")[0] == (event == "blown_string_fuse")


def test_an_unknown_mask_has_no_bits() -> None:
    layer = one()
    for name in ("fault_event", "ground_fault", "string_fuse_blown", "fault_told", "grid_throttled"):
        assert layer.column(name)[0] == 0


@pytest.mark.parametrize("reason", [*THROTTLES, None])
@pytest.mark.parametrize("state", ["throttled", "mppt"])
def test_the_grids_reasons_count_and_a_throttled_inverter_without_reasons(reason: str | None, state: str) -> None:
    flags = 0.0 if reason is None else float(1 << THROTTLES.index(reason))
    layer = one(state=STATES.index(state), throttle_flags=flags)
    expected = reason in module.GRID_THROTTLES or (reason is None and state == "throttled")
    assert layer.flag("grid_throttled")[0] == expected


@pytest.mark.parametrize(
    "said",
    [
        {"power_w": 0.0},
        {"state": STATES.index("fault")},
        {"throttle_flags": float(1 << THROTTLES.index("volt_watt"))},
        {"l3_voltage_v": 250.0},
        {"string1_current_a": 8.0, "string2_current_a": 0.1},
        {"event_flags": float(1 << EVENTS.index("blown_string_fuse"))},
    ],
    ids=lambda said: next(iter(said)),
)
def test_what_another_rule_tells_of_disturbs_the_day(said: dict[str, float]) -> None:
    sound = {"power_w": 6_000.0, "l1_voltage_v": 236.0, "string1_current_a": 8.0, "string2_current_a": 8.1}
    assert one(**sound).column("disturbed")[0] == 0
    assert one(**{**sound, **said}).column("disturbed")[0] == 1
