"""What is seen around a roof, against a slow twin; and that what is old, or of few, is not seen."""

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.inputs.solar.neighbours import FRESH_MS
from rules.peers import near, peers, siblings
from tests.rules.inputs.solar.series import RATED_W, START_MS, Series, roof

powers = st.one_of(st.just(math.nan), st.sampled_from([0.0, 290.0, 310.0, 2_000.0, 4_000.0, 7_000.0]))
readings = st.lists(st.tuples(st.integers(0, 30), powers), min_size=1, max_size=14)
NAMES = (
    "peers_reporting",
    "peers_producing",
    "peer_output_pct",
    "peer_clear_index",
    "sibling_output_pct",
    "near_output_pct",
)


def seen_slowly(series: Series, here: int, told: dict[int, tuple[float, float]]) -> dict[str, float]:
    """The slow twin: ``told`` has output in % and clear-sky index of each roof that was heard of lately."""
    members = series.estate.members["solar"]
    around = [told[n] for n in peers(members)[here].tolist() if n >= 0 and n in told]
    beside = [told[n] for n in siblings(members)[here].tolist() if n >= 0 and n in told]
    outputs = [output for output, _ in around if not math.isnan(output)]
    indices = [index for _, index in around if not math.isnan(index)]
    others = [output for output, _ in beside if not math.isnan(output)]
    close = [told[n][0] for n in near(members)[here].tolist() if n >= 0 and n in told and not math.isnan(told[n][0])]
    return {
        "peers_reporting": len(outputs),
        "peers_producing": sum(output > 3 for output in outputs),
        "peer_output_pct": median(outputs) if len(outputs) >= 5 else math.nan,
        "peer_clear_index": median(indices) if len(indices) >= 5 else math.nan,
        "sibling_output_pct": median(others) if others else math.nan,
        "near_output_pct": median(close) if close else math.nan,
    }


@settings(deadline=None)
@given(readings)
def test_medians_of_peers_and_siblings_are_the_slow_twins(story: list[tuple[int, float]]) -> None:
    series = Series([roof(n, **({"site": "škola"} if n % 3 == 0 else {})) for n in range(len(story))])
    told: dict[int, tuple[float, float]] = {}
    for number in sorted(range(len(story)), key=lambda n: -story[n][0]):
        ago, power = story[number]
        layer = series.read(START_MS - ago * 60_000, {"power_w": power}, [number])
        if ago * 60_000 <= FRESH_MS:
            told[number] = (float(layer.column("output_pct")[0]), float(layer.column("clear_index")[0]))
    tick = series.tick(START_MS)
    for here in range(len(story)):
        expected = seen_slowly(series, here, told)
        found = {name: float(tick.column(name)[here]) for name in NAMES}
        assert found == pytest.approx(expected, nan_ok=True)


def test_what_was_seen_long_ago_is_not_known_any_more() -> None:
    series = Series([roof(n) for n in range(8)])
    series.read(START_MS, {"power_w": 5_000.0})
    series.tick(START_MS)
    soon = series.read(START_MS + 5 * 60_000, {"power_w": 5_000.0}, [0])
    assert soon.column("peer_output_pct")[0] == 50
    late = series.read(START_MS + 16 * 60_000, {"power_w": 5_000.0}, [0])
    assert all(np.isnan(late.column(name)[0]) for name in NAMES)


def test_the_nearest_that_has_been_dead_for_half_a_day_does_not_make_it_dark() -> None:
    series = Series([roof(0), roof(1)])
    for minute in range(-7 * 60, 1, 15):
        ts = START_MS + minute * 60_000
        series.read(ts, {"power_w": np.array([5_000.0, 0.0])})
        dark = bool(series.tick(ts).column("near_output_pct")[0] < 1)
        # Since the sun rose above 15°, some five hours ago, it has given nothing.
        assert dark
    late = START_MS + 3 * 3_600_000
    series.read(late, {"power_w": np.array([5_000.0, 0.0])})
    assert np.isnan(series.tick(late).column("near_output_pct")[0])


def expected_w(**said: float) -> tuple[float, float]:
    """Expected and clear-sky power of roof 0 among seven that give 40 % of clear sky."""
    series = Series([roof(n) for n in range(8)])
    first = series.read(START_MS, {"power_w": 0.0})
    series.read(START_MS + 60_000, {"power_w": 0.4 * first.column("clear_power_w")})
    series.tick(START_MS + 60_000)
    layer = series.read(START_MS + 120_000, {"power_w": 0.0, **said}, [0])
    return float(layer.column("expected_power_w")[0]), float(layer.column("clear_power_w")[0])


def test_without_sensors_a_roof_is_expected_to_have_its_peers_share_of_clear_sky() -> None:
    expected, clear = expected_w()
    assert expected == pytest.approx(0.4 * clear, rel=0.01)


def test_with_a_sensor_it_is_expected_to_make_what_it_sees() -> None:
    expected, clear = expected_w(irradiance_w_per_m2=900.0, module_temp_degc=45.0)
    assert 0.85 * clear < expected < 1.15 * clear
    hotter, _ = expected_w(irradiance_w_per_m2=900.0, module_temp_degc=65.0)
    assert hotter == pytest.approx(expected * (1 - 0.0038 * 20), rel=0.02)


def test_nothing_is_expected_where_nobody_can_tell() -> None:
    layer = Series([roof(0)]).read(START_MS, {"power_w": 5_000.0})
    assert np.isnan(layer.column("expected_power_w")[0])


def test_a_sensor_that_has_stood_still_is_not_asked() -> None:
    series = Series([roof(n) for n in range(8)])
    still = {"power_w": 3_000.0, "irradiance_w_per_m2": 1_000.0}
    for minute in range(0, 35, 5):
        series.read(START_MS + minute * 60_000, still)
        series.tick(START_MS + minute * 60_000)
    layer = series.read(START_MS + 35 * 60_000, still)
    assert layer.column("irradiance_flat_s")[0] == 35 * 60
    assert layer.column("expected_power_w")[0] == pytest.approx(3_000, rel=0.02)


def test_expected_power_knows_rating_and_limit() -> None:
    series = Series([roof(0, power_peak_w=20_000.0), roof(1, export_limit_w=4_000.0), roof(2)])
    layer = series.read(START_MS, {"irradiance_w_per_m2": 1_000.0, "power_w": np.array([9_850.0, 3_930.0, 9_000.0])})
    assert layer.column("output_limit_w").tolist() == [RATED_W, 4_000.0, RATED_W]
    assert (layer.column("expected_power_w") <= layer.column("output_limit_w")).all()
    assert layer.column("clipping").tolist() == [1, 1, 0]
