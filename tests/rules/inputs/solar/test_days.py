"""A roof's day against its peers, its twins and its own past: slow twins, and what leaves a day without a verdict."""

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.readings import DAY_MS, Floats
from rules.inputs.solar.days import ALIKE_SHARE, BASELINE_LEAST, NOISE, SCATTER_MIN, STANDS_OUT
from rules.inputs.solar.rings import before, keep, push, recent
from rules.inputs.solar.rings import median as median_of_rows
from rules.layer import Layer
from tests.rules.inputs.solar.series import START_MS, Series, roof

MIDNIGHT_MS = START_MS - START_MS % DAY_MS - 3_720_000
"""When the sun is lowest at 15.5° E."""
CLEAR_WH = 50_000.0


class Days:
    """Roofs day by day, from what the engine would have added up."""

    def __init__(self, count: int = 8, twins: int = 0, *, valley: int = 0, east: tuple[int, ...] = ()) -> None:
        """The first ``twins`` on one site; the first ``valley`` seven kilometres from the rest; some face ``east``."""
        places = [n if n < valley else n + 10 * (valley > 0) for n in range(count)]
        sites = [{"site": "škola"} if n < twins else {} for n in range(count)]
        facing = [{"azimuth_deg": 90.0} if n in east else {} for n in range(count)]
        self.series = Series([roof(n, **sites[i], **facing[i]) for i, n in enumerate(places)])
        self.count, self.number = count, 0

    def over(self, index: Floats | float, **columns: Floats | float) -> Layer:
        """The layer of the next day, on which the roofs had this share of clear-sky energy."""
        self.number += 1
        layer = self.series.tick(MIDNIGHT_MS + self.number * DAY_MS)
        layer.inputs = self.series.seam.day_by_name
        given: dict[str, Floats | float] = {
            "output_wh": np.asarray(index) * CLEAR_WH,
            "clear_wh": CLEAR_WH,
            "coverage": 1.0,
            "disturbed_share": 0.0,
            "snow_share": 0.0,
            "shade_days": 0.0,
            "isolation_morning_ohm": 5e6,
            **columns,
        }
        layer.columns = {name: np.broadcast_to(value, self.count).astype(float) for name, value in given.items()}
        return layer


def alike(ratios: list[float], skies: list[float], sky: float) -> list[float]:
    """The slow twin: the known ratios of the third of the days whose sky was most like this one, fourteen at least."""
    known = sorted((abs(s - sky), r) for s, r in zip(skies, ratios, strict=True) if not math.isnan(r))
    asked = max(len(known) // ALIKE_SHARE, BASELINE_LEAST)
    limit = known[min(asked, len(known)) - 1][0] if known else 0.0
    return [r for far, r in known if far <= limit + 1e-7]  # kept in single precision


indices = st.lists(st.floats(0.5, 1.1), min_size=30, max_size=30)


@settings(deadline=None, max_examples=40)
@given(indices, st.sets(st.integers(0, 29), max_size=12))
def test_deviations_from_peers_and_twins_are_the_slow_twins(own: list[float], unknown: set[int]) -> None:
    days, peer_ratios, deviations, twin_ratios = Days(8, twins=2), list[float](), list[float](), list[float]()
    skies = list[float]()
    for number, index in enumerate(own):
        others = 0.9 + 0.02 * math.sin(number)
        everybody = np.full(8, others)
        everybody[0], everybody[1] = index, 0.8
        layer = days.over(everybody, disturbed_share=np.where(np.arange(8) == 0, 0.5 if number in unknown else 0, 0))
        found = {
            name: float(layer.column(name)[0])
            for name in (
                "peer_deviation_pct",
                "peer_deviation_3_of_5_pct",
                "sibling_deviation_pct",
                "sibling_deviation_sigmas",
            )
        }
        known = number not in unknown
        now_peer, now_twin = (index / others, index / 0.8) if known else (math.nan, math.nan)
        past = alike(peer_ratios, skies, others)
        usual = median(past) if len(past) >= BASELINE_LEAST else math.nan
        off = 1.4826 * median(abs(r - usual) for r in past) / usual if past else math.nan
        deviation = now_peer / usual - 1
        told = deviation >= -NOISE or deviation < -STANDS_OUT * off
        deviations.append(100 * deviation if told else math.nan)
        five = sorted(d for d in deviations[-5:] if not math.isnan(d))
        past_twin = [r for r in twin_ratios if not math.isnan(r)]
        usual_twin = median(past_twin) if len(past_twin) >= BASELINE_LEAST else math.nan
        sigma = max(1.4826 * median(abs(r - usual_twin) for r in past_twin), SCATTER_MIN) if past_twin else math.nan
        expected = {
            "peer_deviation_pct": deviations[-1],
            "peer_deviation_3_of_5_pct": five[2] if len(five) >= 3 else math.nan,
            "sibling_deviation_pct": 100 * (now_twin / usual_twin - 1),
            "sibling_deviation_sigmas": (now_twin - usual_twin) / sigma,
        }
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3, nan_ok=True)  # kept in single precision
        skies.append(others)
        peer_ratios.append(now_peer)
        twin_ratios.append(now_twin)


def settled(count: int = 12, *, valley: int = 0, east: tuple[int, ...] = (), new: tuple[int, ...] = ()) -> Days:
    """Roofs that have been alike for three weeks; of ``new`` ones nothing is known."""
    days = Days(count, valley=valley, east=east)
    unknown = np.where(np.isin(np.arange(count), new), 0.0, 1.0)
    for number in range(20):
        index = 0.9 + 0.01 * np.sin(np.arange(count) + number)
        days.over(index, coverage=unknown).column("peer_deviation_pct")
    return days


def test_a_day_of_fog_in_one_valley_is_no_verdict_on_its_roofs() -> None:
    index = np.full(12, 0.9)
    index[:3] = 0.4
    layer = settled(valley=3).over(index)
    assert np.isnan(layer.column("peer_deviation_sure_pct")[:3]).all()
    assert np.isnan(layer.column("peer_deviation_pct")[:3]).all()
    assert layer.column("peer_deviation_pct")[6:] == pytest.approx(0, abs=3)


def test_half_of_a_single_roof_is_sure_and_what_the_weather_may_do_is_not_known() -> None:
    index = np.full(12, 0.9)
    index[0] = 0.45
    assert settled().over(index).column("peer_deviation_sure_pct")[0] == pytest.approx(-50, abs=3)
    patchy = 0.9 * (1 + 0.2 * np.array([-0.6, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1]))
    layer = settled().over(patchy)
    assert np.isnan(layer.column("peer_deviation_pct")[0])
    assert np.isnan(layer.column("peer_deviation_sure_pct")).all()


@pytest.mark.parametrize(
    "why",
    [
        {"coverage": 0.6},
        {"disturbed_share": 0.2},
        {"snow_share": 0.05},
        {"clear_wh": 2_000.0},
        {"clear_wh": math.nan},
    ],
    ids=lambda why: next(iter(why)),
)
def test_a_day_that_cannot_be_compared_has_no_verdict(why: dict[str, float]) -> None:
    assert np.isnan(Days().over(0.9, **why).column("day_clear_index")).all()
    assert not np.isnan(Days().over(0.9).column("day_clear_index")).any()


def test_four_peers_are_no_verdict_and_a_dark_day_is_none() -> None:
    assert np.isnan(Days(5).over(0.9).column("peer_day_index")).all()
    assert not np.isnan(Days(6).over(0.9).column("peer_day_index")).any()
    days = Days()
    for _ in range(20):
        days.over(0.9).column("peer_deviation_pct")
    dark = days.over(np.array([0.01] + [0.05] * 7))
    assert np.isnan(dark.column("peer_deviation_pct")).all()


def test_what_is_lost_is_what_the_usual_share_would_have_been() -> None:
    days = Days()
    for _ in range(20):
        days.over(0.9).column("peer_deviation_pct")
    index = np.full(8, 0.9)
    index[0] = 0.6
    lost = days.over(index).column("lost_day_w")
    assert lost[0] == pytest.approx(0.3 * CLEAR_WH / 24, rel=0.01)
    assert lost[1:] == pytest.approx(0, abs=1)


def test_isolation_is_compared_with_dry_days_alone() -> None:
    days = Days()
    for number in range(24):
        clear = number % 2 == 0
        days.over(0.9 if clear else 0.4, isolation_morning_ohm=6e6 if clear else 1e6).column("isolation_drop_pct")
    assert days.over(0.9, isolation_morning_ohm=2.4e6).column("isolation_drop_pct") == pytest.approx(60)


def test_the_sensors_of_the_whole_region_stand_in_for_those_near() -> None:
    """Eight sensors, none of which has five near it that face alike."""
    rows = [roof(n, azimuth_deg=45.0 * n) for n in range(8)]
    days = Days()
    days.series = Series(rows)
    found = np.zeros(8)
    for number in range(4):
        sensed = np.full(8, 6_000.0)
        sensed[0] = 7_500
        layer = days.over(0.9, sensed_wh_per_m2=sensed, sensed_clear_wh_per_m2=6_500.0, clear_day=1.0)
        found = layer.column("sensor_deviation_pct")
        assert np.isnan(found).all() == (number < 2)
    assert found.tolist() == pytest.approx([25] + [0] * 7)


# Rings


values = st.lists(st.floats(-100, 100, width=32) | st.just(math.nan), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.floats(0, 9, width=32)), min_size=1, max_size=20))
def test_a_ring_holds_the_days_before(story: list[tuple[int, float]]) -> None:
    layer, day, told = Series([roof(0)]).tick(START_MS), 20_000, dict[int, float]()
    for ahead, value in story:
        for _ in range(ahead):  # each day is told, known or not
            day += 1
            keep(layer, "ring", 7, np.array([float(day)]), np.array([math.nan]))
        keep(layer, "ring", 7, np.array([float(day)]), np.array([value]))
        told[day] = value
        expected = [told.get(day - n, math.nan) for n in range(1, 7)]
        assert before(layer, "ring", 7, np.array([float(day)]))[0].tolist() == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(values)
def test_what_is_pushed_are_the_last_known(told: list[float]) -> None:
    layer = Series([roof(0)]).tick(START_MS)
    for value in told:
        push(layer, "last", 5, np.array([value]))
    known = [value for value in told if not math.isnan(value)][::-1][:5]
    assert recent(layer, "last", 5)[0].tolist() == pytest.approx(known + [math.nan] * (5 - len(known)), nan_ok=True)


@given(st.lists(values, min_size=1, max_size=5), st.integers(0, 6))
def test_medians_of_rows_are_of_what_is_known(rows: list[list[float]], least: int) -> None:
    table = np.full((len(rows), 20), np.nan)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    known = [[value for value in row if not math.isnan(value)] for row in rows]
    expected = [median(row) if len(row) >= max(least, 1) else math.nan for row in known]
    assert median_of_rows(table, least).tolist() == pytest.approx(expected, nan_ok=True)


def test_what_is_usual_is_asked_of_days_under_such_a_sky() -> None:
    days = Days(12)
    for number in range(40):
        grey = number % 2 == 0
        index = np.full(12, 0.3 if grey else 0.9)
        index[0] = 0.42 if grey else 0.9  # it lies flatter than its peers: under clouds it sees more of the sky
        days.over(index).column("peer_deviation_pct")
    assert days.over(0.9).column("peer_deviation_pct")[0] == pytest.approx(0, abs=1)
    grey = np.full(12, 0.3)
    grey[0] = 0.42
    assert days.over(grey).column("peer_deviation_pct")[0] == pytest.approx(0, abs=1)
    worse = np.full(12, 0.9)
    worse[0] = 0.72
    assert days.over(worse).column("peer_deviation_pct")[0] == pytest.approx(-20, abs=1)


def test_no_grey_day_is_a_proof_by_itself() -> None:
    index = np.full(12, 0.9)
    index[0] = 0.4
    assert settled().over(index).column("peer_deviation_sure_pct")[0] == pytest.approx(-55, abs=3)
    assert np.isnan(settled().over(index * 0.3).column("peer_deviation_sure_pct")[0])


def test_where_no_morning_was_dry_those_of_the_last_weeks_tell_what_is_usual() -> None:
    days = Days()
    for _ in range(BASELINE_LEAST):
        assert np.isnan(days.over(0.2, isolation_morning_ohm=4e6).column("isolation_drop_pct")).all()
    assert days.over(0.2, isolation_morning_ohm=1.2e6).column("isolation_drop_pct") == pytest.approx(70, abs=0.1)


def test_a_sensor_is_off_only_if_its_own_roof_says_so_too() -> None:
    def deviation(light: float, power: float) -> float:
        """Of the sensor of roof 0 after three days, on which it saw and its roof gave so much of clear sky."""
        days, found = Days(8), math.nan
        for _ in range(3):
            index, sensed = np.full(8, 0.9), np.full(8, 900.0)
            index[0], sensed[0] = power, 1000 * light
            layer = days.over(index, sensed_wh_per_m2=sensed, sensed_clear_wh_per_m2=1000.0)
            found = float(layer.column("sensor_deviation_pct")[0])
        return found

    assert deviation(0.6, 0.9) == pytest.approx(33.3, abs=0.1)
    assert deviation(0.6, 0.6) == pytest.approx(0, abs=0.1)  # clouds of its own
    assert deviation(0.9, 0.6) == pytest.approx(0, abs=0.1)  # its roof lacks something


def test_days_after_snow_compare_with_nothing() -> None:
    days = settled()
    assert np.isnan(days.over(0.9, snow_share=0.3).column("peer_deviation_pct")).all()
    for _ in range(2):
        assert np.isnan(days.over(0.9).column("peer_deviation_pct")).all()
    assert not np.isnan(days.over(0.9).column("peer_deviation_pct")).any()


@pytest.mark.parametrize(("east", "new"), [((1, 2), ()), ((), (1, 2))], ids=["facing another way", "without a past"])
@pytest.mark.parametrize(("around", "sure"), [(0.4, False), (0.88, True)])
def test_the_nearest_roofs_tell_of_the_sky_though_they_cannot_be_compared_themselves(
    east: tuple[int, ...], new: tuple[int, ...], around: float, sure: bool
) -> None:
    index = np.full(12, 0.9)
    index[0], index[1:3] = 0.4, around
    layer = settled(valley=3, east=east, new=new).over(index)
    assert np.isnan(layer.column("peer_deviation_pct")[1:3]).all()
    assert (not np.isnan(layer.column("peer_deviation_sure_pct")[0])) is sure
