"""Inputs of stops: as a plain loop over each stop's readings has them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.inputs.layers import Bench
from tests.rules.lighting.twins import StopTwin
from tests.rules.street import at

START = at("2026-11-20 18:00")
KNOWN = ({"power_rated_w": 200.0, "battery_capacity_wh": 1280.0}, {"power_rated_w": 0.0, "display_interval_s": 60.0})
WEAK_W = (0.80 * 200 / 24, 0.0)
UNKNOWN = float("nan")
NOTHING: dict[str, float] = {}


def mostly(values: st.SearchStrategy[float]) -> st.SearchStrategy[float]:
    return st.one_of(values, values, values, st.just(UNKNOWN))


SNAPSHOTS = st.fixed_dictionaries(
    {
        "load_power_w": mostly(st.sampled_from([3.0, 8.0, 60.0])),
        "battery_soc_pct": mostly(st.sampled_from([5.0, 50.0, 100.0])),
        "battery_soh_pct": mostly(st.sampled_from([80.0, 100.0])),
        "shedding": mostly(st.sampled_from([0.0, 2.0, 3.0])),
        "usb1_faults": mostly(st.sampled_from([0.0, 1.0, 2.0, 5.0])),
        "usb3_faults": mostly(st.sampled_from([0.0, 4.0])),
        "sos_pressed": mostly(st.sampled_from([0.0, 1.0])),
        "sos_answer_s": st.sampled_from([UNKNOWN, 20.0, 30.0]),
    }
)
STEPS = st.lists(
    st.dictionaries(
        st.integers(0, 1), st.tuples(st.sampled_from([1, 60, 600, 1800, 30_000, 90_000]), SNAPSHOTS), min_size=1
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_many_stops_at_once_are_as_each_alone(steps: list[dict[int, tuple[int, dict[str, float]]]]) -> None:
    bench = Bench("stop", KNOWN)
    twins = [StopTwin(known) for known in KNOWN]
    clocks = [START] * len(twins)
    for step in steps:
        readings: dict[int, tuple[int, dict[str, float]]] = {}
        for slot, (later_s, snapshot) in step.items():
            clocks[slot] += later_s * 1000
            readings[slot] = (clocks[slot], snapshot)
            twins[slot].read(*readings[slot])
        if max(clocks) > at("2026-11-30 12:00"):
            return  # another month, another sun
        with np.errstate(all="ignore"):
            layer = bench.tell(readings)
            said = {
                name: layer.column(name)
                for name in (
                    *("autonomy_days", "autonomy_lowest_days", "display_age_max_s"),
                    *("usb_overcurrents_1h", "sos_waiting_s"),
                )
            }
        for row, slot in enumerate(readings):
            twin, (ts_ms, snapshot) = twins[slot], readings[slot]
            twin.autonomies.append((ts_ms, twin.autonomy_days(snapshot, WEAK_W[slot])))
            ought = {
                "autonomy_days": twin.autonomies[-1][1],
                "autonomy_lowest_days": twin.autonomy_lowest(ts_ms),
                "display_age_max_s": twin.display_age_max_s(ts_ms),
                "usb_overcurrents_1h": twin.overcurrents_1h(ts_ms),
                "sos_waiting_s": twin.waiting_s(ts_ms),
            }
            assert {n: column[row] for n, column in said.items()} == pytest.approx(ought, nan_ok=True, rel=1e-9)


def test_a_december_sun_gives_what_the_design_reckons_with() -> None:
    """stops.md: 200 Wp give about 130 Wh a day."""
    bench = Bench("stop", [{"power_rated_w": 200.0, "battery_capacity_wh": 1000.0, "battery_soc_min_pct": 15.0}])
    start = at("2026-12-10 12:00")
    snapshot = {"load_power_w": 230 / 24, "battery_soc_pct": 65.0, "battery_soh_pct": 100.0}
    for hour in range(8):
        bench.tell({0: (start + hour * 3_600_000, snapshot)})
    layer = bench.tell({0: (start + 8 * 3_600_000, snapshot)})
    # 500 Wh, 95 % of which come out, against 230 Wh of load and 130 Wh of sun a day.
    assert layer.column("autonomy_days") == pytest.approx([4.75])


def test_what_is_off_to_save_energy_is_not_due() -> None:
    bench = Bench("stop", [NOTHING] * 6)
    states = (UNKNOWN, 0.0, 1.0, 2.0, 3.0, 4.0)
    layer = bench.tell({n: (START, {"shedding": state}) for n, state in enumerate(states)})
    assert layer.column("wifi_due").tolist() == [1, 1, 1, 0, 0, 0]
    assert layer.column("display_works").tolist() == [1, 1, 1, 1, 1, 0]
