"""The weather: as measured by class of day, Czech by season, alike among neighbours, and the same however asked."""

import importlib
import itertools
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.physics import clouds, irradiance
from simulators.physics.frame import DAY_MS, Floats, Ints
from simulators.physics.season import HOUR_MS, at_season, civil_ms
from simulators.physics.wander import identities, trait, wander
from simulators.physics.weather import AIR_DEGC, Weather
from simulators.physics.winter import STEP_HOURS, Winter

# These carry no complete types; they are only oracles here.
atmosphere: Any = importlib.import_module("pvlib.atmosphere")
clearsky: Any = importlib.import_module("pvlib.clearsky")
oracle: Any = importlib.import_module("pvlib.irradiance")
interpolate: Any = np.interp

YEAR_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1000
JUNE, DECEMBER = YEAR_MS + 151 * DAY_MS, YEAR_MS + 334 * DAY_MS
MINUTE_MS = 60_000
KM_NORTH = 1 / clouds.KM_PER_DEGREE
CORNERS = np.array([[49.3], [49.7]]), np.array([[15.15], [16.05]])
MOMENTS = st.integers(YEAR_MS, YEAR_MS + 3 * 365 * DAY_MS)


def noons(seed: int, days: Ints) -> tuple[Floats, Ints, Floats]:
    """Five-minute means of the six hours around noon at two places, ``(d, 72)``; the class of each, and whether the day
    belongs to it alone."""
    weather = Weather(seed)
    index: list[Floats] = []
    number: list[int] = []
    pure: list[bool] = []
    for day in days.tolist():
        ts = day * DAY_MS + 8 * HOUR_MS + np.arange(360) * MINUTE_MS
        today = weather.clouds.outlook(*CORNERS, ts)
        above = weather.clouds.overhead(*CORNERS, ts)
        found = weather.clouds.index(weather.clouds.thickness(above, ts, today)[0], today)
        index.extend(found.reshape(2, 72, 5).mean(axis=2))
        number.extend((today.left + np.round(today.part)).astype(int).ravel().tolist())
        pure.extend((np.abs(today.part - 0.5) > 0.45).ravel().tolist())
    return np.array(index), np.array(number), np.array(pure, np.float64)


@pytest.fixture(scope="module")
def by_class() -> dict[str, Floats]:
    """Days of each class from three seeds, all seasons."""
    parts = [noons(seed, YEAR_MS // DAY_MS + np.random.default_rng(seed).choice(2000, 260, False)) for seed in range(3)]
    index, number, pure = (np.concatenate(p) for p in zip(*parts, strict=True))
    return {name: index[(number == n) & (pure > 0)] for n, name in enumerate(clouds.CLASSES)}


@pytest.mark.parametrize("name", clouds.CLASSES)
def test_a_class_has_the_measured_distribution_steps_and_memory(name: str, by_class: dict[str, Floats]) -> None:
    days = by_class[name]
    assert len(days) > 80
    quantiles = np.quantile(days, clouds.QUANTILES)
    assert quantiles == pytest.approx(np.array(clouds.KC_QUANTILES[name]), abs=0.12)
    assert np.median(days) == pytest.approx(clouds.KC_QUANTILES[name][4], abs=0.03)
    steps = np.quantile(np.abs(np.diff(days, axis=1)), (0.5, 0.9, 0.99))
    # Fitted by four weights and one restlessness: within a factor of two, the large steps within a third.
    assert np.abs(np.log(steps / clouds.STEP_QUANTILES[name])).max() < np.log(2)
    assert steps[2] == pytest.approx(clouds.STEP_QUANTILES[name][2], rel=0.33)
    beside = days - days.mean()
    memory = [float((beside[:, lag:] * beside[:, :-lag]).mean() / beside.var()) for lag in (1, 3, 6, 12, 24)]
    assert memory == pytest.approx(clouds.MEMORY[name], abs=0.2)


def test_classes_are_told_apart_by_their_steps(by_class: dict[str, Floats]) -> None:
    restless = {name: float(np.diff(days, axis=1).std()) for name, days in by_class.items()}
    assert restless["clear"] < restless["overcast"] < restless["mixed"] < restless["broken"]


def test_seasons_are_czech() -> None:
    days = YEAR_MS // DAY_MS + np.arange(4 * 365)
    overcast: list[float] = []
    for month in (11, 6):
        chosen = days[(days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12) == month]
        found = [Weather(seed).clouds.outlook(*CORNERS, chosen * DAY_MS) for seed in range(3)]
        overcast.append(float(np.mean([(o.left + np.round(o.part) == 3).mean() for o in found])))
    assert overcast[0] > 0.65, "most December days are overcast"
    assert overcast[1] < 0.32


def test_a_day_is_warm_by_season_and_hour() -> None:
    hours = YEAR_MS + np.arange(365 * 24) * HOUR_MS
    air = np.stack([Weather(seed).air_degc(hours) for seed in range(6)])
    month = hours.astype("datetime64[ms]").astype("datetime64[M]").astype(int) % 12
    means = np.array([air[:, month == n].mean() for n in range(12)])
    assert means == pytest.approx(AIR_DEGC, abs=2.0)
    assert air.min() > -25
    assert air.max() < 40
    by_hour = air.reshape(-1, 24).mean(axis=0)
    assert by_hour.argmax() in (13, 14)
    assert by_hour.max() - by_hour.min() > 6
    assert np.abs(np.diff(air)).max() < 4, "no jumps, at midnight neither"


@given(st.integers(0, 2**31), st.lists(MOMENTS, min_size=1, max_size=6), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_one_moment_and_a_day_of_everything_agree(seed: int, moments: list[int], places: int) -> None:
    random = np.random.default_rng(places)
    latitude, longitude = random.uniform(49.2, 49.8, 3), random.uniform(15.0, 16.3, 3)
    weather, ts = Weather(seed), np.array(moments)
    grid = weather.sky(latitude[:, None], longitude[:, None], ts)
    row, step = np.indices((3, len(ts))).reshape(2, -1)
    pairs = Weather(seed).sky(latitude[row], longitude[row], ts[step])
    single = weather.sky(latitude[:1], longitude[:1], ts[:1])
    for name in ("index", "air_degc", "wind_m_per_s", "rain_mm_per_h", "storm", "elevation_deg"):
        # Vector units round the last digit by the length of what they are given.
        assert getattr(pairs, name) == pytest.approx(getattr(grid, name).ravel(), rel=1e-9, abs=1e-9), name
        assert getattr(single, name)[0] == pytest.approx(getattr(grid, name)[0, 0], rel=1e-9, abs=1e-9), name
    assert pairs.light.ground == pytest.approx(grid.light.ground.ravel(), rel=1e-9, abs=1e-9)


def test_another_seed_is_another_weather() -> None:
    ts = JUNE + np.arange(288) * 5 * MINUTE_MS
    one, other = (Weather(seed).clear_sky_index(*CORNERS, ts) for seed in (1, 2))
    assert np.abs(one - other).mean() > 0.05


def apart(km: float, minutes: int, *, changes: bool) -> float:
    """Correlation of two places' means over some minutes about those of each day, or of their changes, on days that
    are neither clear nor overcast."""
    latitude, longitude = np.array([[49.3], [49.3 + km * KM_NORTH]]), np.array([[15.5], [15.5]])
    pairs: list[Floats] = []
    for seed in range(6):
        weather = Weather(seed)
        for day in range(0, 60, 3):
            ts = JUNE + day * DAY_MS + 8 * HOUR_MS + np.arange(360) * MINUTE_MS
            if weather.clouds.outlook(*CORNERS, ts).left.max() != 1:
                continue
            means = weather.clear_sky_index(latitude, longitude, ts).reshape(2, -1, minutes).mean(axis=2)
            means = np.diff(means, axis=1) if changes else means - means.mean(axis=1, keepdims=True)
            pairs.append(means)
    one, other = np.concatenate(pairs, axis=1)
    return float(np.corrcoef(one, other)[0, 1])


def test_neighbours_share_their_quarters_of_an_hour_but_not_their_minutes() -> None:
    assert apart(0.1, 1, changes=True) > 0.9
    assert apart(1, 15, changes=False) > 0.85
    assert apart(3, 15, changes=False) > 0.65
    assert apart(3, 1, changes=True) < 0.35
    assert apart(5, 1, changes=True) < apart(5, 15, changes=True)
    ts = JUNE + 12 * HOUR_MS + np.arange(90)[:, None] * DAY_MS + np.arange(15) * MINUTE_MS
    latitude = np.array([49.3, 49.3 + 3 * KM_NORTH])[:, None, None]
    quarters = Weather(2).clear_sky_index(latitude, np.full((2, 1, 1), 15.5), ts).mean(axis=2)
    assert np.corrcoef(quarters)[0, 1] > 0.9


def test_tens_of_kilometres_away_is_other_weather_of_the_same_day() -> None:
    assert apart(50, 15, changes=True) < 0.25
    assert apart(50, 15, changes=False) < apart(3, 15, changes=False) - 0.2


def test_clouds_come_with_the_wind() -> None:
    later: list[float] = []
    same: list[float] = []
    for seed in range(8):
        weather = Weather(seed)
        ts = JUNE + 10 * HOUR_MS + np.arange(240) * MINUTE_MS
        east, north = (float(w.mean()) for w in weather.clouds.wind_m_per_s(ts))
        travel_s = 20 * 60
        latitude = np.array([[49.5], [49.5 + north * travel_s / 1000 * KM_NORTH]])
        width = KM_NORTH / np.cos(np.radians(clouds.ORIGIN_DEG[0]))
        longitude = np.array([[15.5], [15.5 + east * travel_s / 1000 * width]])
        here, there = weather.clear_sky_index(latitude, longitude, ts)
        later.append(np.corrcoef(here[:-20], there[20:])[0, 1])
        same.append(np.corrcoef(here, there)[0, 1])
    assert np.mean(later) > np.mean(same) + 0.25


def test_storms_turn_summer_days_dark_for_minutes() -> None:
    dark: list[float] = []
    for seed in range(3):
        weather = Weather(seed)
        for day in range(90):
            ts = JUNE + day * DAY_MS + np.arange(4, 20, 1 / 12) * HOUR_MS
            sky = weather.sky(*CORNERS, ts.astype(np.int64))
            dark.extend(((sky.index < 0.02) & (sky.storm > 0.9)).sum(axis=1) * 5.0)
            assert (sky.rain_mm_per_h[sky.storm > 0.9] > 10).all()
    minutes = np.array(dark)
    assert 0.03 < (minutes > 0).mean() < 0.2
    assert 5 <= np.median(minutes[minutes > 0]) <= 60
    january = Weather(1).sky(*CORNERS, YEAR_MS + np.arange(30 * 24) * HOUR_MS)
    assert january.storm.max() == 0


def test_it_rains_as_in_czechia() -> None:
    hours = YEAR_MS + np.arange(365 * 24) * HOUR_MS
    years = [Weather(seed).rain_mm_per_h(*CORNERS, hours) for seed in range(4)]
    assert 500 < np.mean([year.sum(axis=1).mean() for year in years]) < 900
    assert 0.08 < np.mean([(year > 0.05).mean() for year in years]) < 0.25
    assert max(float(year.max()) for year in years) < 60


@pytest.mark.parametrize("linke", [2.7, 4.7])
def test_the_clear_sky_is_near_pvlibs_and_not_the_same(linke: float) -> None:
    elevation = np.arange(15.0, 66, 5)
    ts = np.full(len(elevation), JUNE)
    ours = irradiance.clear_sky(elevation, irradiance.extraterrestrial(ts), np.full(len(elevation), linke), 430.0)
    air = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(90 - elevation), atmosphere.alt2pres(430))
    theirs = clearsky.ineichen(90 - elevation, air, linke, 430, irradiance.extraterrestrial(ts))
    assert ours.ground == pytest.approx(theirs["ghi"], rel=0.12)
    assert ours.ground[elevation >= 30] == pytest.approx(theirs["ghi"][elevation >= 30], rel=0.03)
    assert np.abs(ours.direct / theirs["dni"] - 1).max() > 0.01


@given(st.floats(3, 62), st.floats(60, 300), st.floats(0, 90), st.floats(0, 360), st.floats(0.05, 1.1))
def test_planes_get_what_pvlibs_reindl_says(
    up: float, azimuth: float, tilt: float, facing: float, index: float
) -> None:
    up_, azimuth_ = np.array([up]), np.array([azimuth])
    clear = irradiance.clear_sky(up_, np.array([1340.0]), np.array([4.0]), 430.0)
    light = irradiance.under_clouds(clear, np.sin(np.radians(up_)), np.array([index]))
    plane = irradiance.on_plane(light, up_, azimuth_, np.array(tilt), np.array(facing))
    theirs = oracle.get_total_irradiance(
        tilt, facing, 90 - up_, azimuth_, light.direct, light.ground, light.diffuse, 1340.0, model="reindl", albedo=0.2
    )
    assert plane.facing == pytest.approx(theirs["poa_global"], rel=0.01, abs=0.5)
    assert plane.beam + plane.rest <= plane.facing + 1e-9


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(-15, 15), st.floats(0, 500)), min_size=3, max_size=60))
def test_snow_falls_melts_and_slides_as_a_plain_loop_says(hours: list[tuple[float, float, float]]) -> None:
    columns = tuple(np.array([h[n] for h in hours]) for n in range(3))
    winter = Winter.of(0, *columns)
    for tilt in (0.0, 25.0, 60.0):
        depth = 0.0
        for step in range(len(hours) // STEP_HOURS):
            three = hours[step * STEP_HOURS : (step + 1) * STEP_HOURS]
            depth += sum(rain for rain, air, _ in three if air < 0.5)
            warm, light = sum(h[1] for h in three) / 3, sum(h[2] for h in three) / 3
            wet = max(min(max(warm + 1, 0), 1), min(light / 100, 1) * (warm > -8))
            depth *= (1 - 0.9 * np.sin(np.radians(tilt)) * wet) * (1 - 0.6 * max(tilt - 45, 0) / 45)
            depth = max(depth - max(warm, 0) * 0.7 - (light / 1000 * 12 if warm > -8 else 0), 0.0)
            at = np.array((step + 1) * STEP_HOURS * HOUR_MS)
            assert winter.depth(np.array(tilt), at) == pytest.approx(depth, abs=0.05)


def test_snow_lies_in_winter_longest_on_flat_roofs() -> None:
    weather, hours = Weather(4), YEAR_MS + 212 * DAY_MS + np.arange(365 * 24) * HOUR_MS
    days = [float((weather.snow_cm(np.array(tilt), hours) > 0.75).mean() * 365) for tilt in (10.0, 35.0, 60.0)]
    assert 60 > days[0] > days[1] > days[2] > 3
    assert weather.snow_cm(np.array(10.0), JUNE + np.arange(90 * 24) * HOUR_MS).max() == 0
    spans = weather.snow_spans(YEAR_MS + 212 * DAY_MS, 365)
    lies = float((weather.snow_cm(np.array(25.0), hours) >= 0.15).mean() * 365)
    assert days[1] < lies <= sum(to - start for start, to in spans) / DAY_MS < 1.2 * lies  # with gaps of some hours
    assert all(later[0] - before[1] >= 6 * HOUR_MS for before, later in itertools.pairwise(spans))


@given(st.integers(946_684_800_000, 2_145_916_800_000))
def test_civil_time_agrees_with_the_time_zone_database(ts: int) -> None:
    offset = datetime.fromtimestamp(ts / 1000, ZoneInfo("Europe/Prague")).utcoffset()
    assert offset is not None
    assert civil_ms(np.array([ts]))[0] == ts + offset.total_seconds() * 1000


@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_a_season_is_straight_between_the_middles_of_months(moments: list[int]) -> None:
    monthly = np.array([AIR_DEGC, AIR_DEGC[::-1]])
    ts = np.array(moments)
    middles = (np.arange(12) + 0.5) / 12 * 365.2425
    place = ts / DAY_MS % 365.2425
    for found, means in zip(at_season(monthly, ts), monthly, strict=True):
        slow = interpolate(place, middles, means, period=365.2425)
        assert np.abs(found - slow).max() < 0.1


@given(st.lists(st.tuples(st.integers(0, 4), MOMENTS), min_size=1, max_size=12), st.integers(60_000, 10**9))
def test_what_wanders_depends_on_nobody_else(asked: list[tuple[int, int]], period: int) -> None:
    ids = identities([f"town/{n}" for n in range(5)])
    rows, ts = np.array([n for n, _ in asked]), np.array([t for _, t in asked])
    together = wander(1, ids[rows], ts, period, 5)
    grid = wander(1, ids[:, None], ts, period, 5)
    for place, (row, moment) in enumerate(asked):
        alone = wander(1, ids[row : row + 1], np.array([moment]), period, 5)[0]
        assert together[place] == alone == grid[row, place]


def test_what_wanders_is_normal_and_traits_are_even() -> None:
    ids = identities([f"town/{n}" for n in range(400)])
    values = wander(3, ids[:, None], YEAR_MS + np.arange(500) * HOUR_MS, 7 * HOUR_MS, 2)
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, abs=0.05)
    assert np.abs(np.diff(values)).max() < 2
    traits = trait(3, ids, 9, 2.0, 4.0)
    assert traits.min() < 2.05
    assert traits.max() > 3.95
    assert traits.mean() == pytest.approx(3, abs=0.1)
    assert abs(np.corrcoef(traits, trait(3, ids, 10))[0, 1]) < 0.15
