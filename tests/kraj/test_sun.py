"""The sun against pvlib's SPA, and against itself where the oracle is coarse."""

import importlib
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj import sun

# pvlib and pandas carry no complete types; they are only the oracle here.
pandas: Any = importlib.import_module("pandas")
solarposition: Any = importlib.import_module("pvlib.solarposition")

Floats = npt.NDArray[np.float64]

CZECH = {"Praha": (50.08, 14.43), "Aš": (50.22, 12.19), "Hrčava": (49.52, 18.86), "Znojmo": (48.86, 16.05)}
FAR = {"Svalbard": (78.22, 15.65), "Amundsen-Scott": (-89.99, 0.0), "Quito": (-0.18, -78.47), "Suva": (-18.14, 178.44)}
LIMIT_DEG = 0.012
SAMPLES = 20_000
FROM_MS, TO_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000) for year in (2020, 2036))

sites = pytest.mark.parametrize("site", (CZECH | FAR).values(), ids=(CZECH | FAR).keys())
times = st.integers(FROM_MS, TO_MS)
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def oracle(ts_ms: npt.NDArray[np.int64], latitude: float, longitude: float) -> tuple[Floats, Floats]:
    """pvlib's elevation without refraction, and azimuth."""
    index = pandas.to_datetime(ts_ms, unit="ms", utc=True)
    frame = solarposition.get_solarposition(index, latitude, longitude, method="nrel_numpy")
    return frame["elevation"].to_numpy(), frame["azimuth"].to_numpy()


def vector(elevation_deg: Floats, azimuth_deg: Floats) -> Floats:
    elevation, azimuth = np.radians(elevation_deg), np.radians(azimuth_deg)
    east, north = np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth)
    return np.stack((east, north, np.sin(elevation)))


@sites
def test_direction_is_within_the_limit_of_pvlib(site: tuple[float, float]) -> None:
    ts = np.random.default_rng(2020).integers(FROM_MS, TO_MS, SAMPLES)
    elevation, azimuth = sun.position(ts, *site)
    expected_elevation, expected_azimuth = oracle(ts, *site)
    assert np.abs(elevation - expected_elevation).max() <= LIMIT_DEG
    # Azimuth alone has no meaning at the zenith: what counts is the angle between the two directions.
    apart = np.linalg.norm(vector(elevation, azimuth) - vector(expected_elevation, expected_azimuth), axis=0)
    assert np.degrees(2 * np.arcsin(apart / 2)).max() <= LIMIT_DEG


@pytest.mark.parametrize("site", CZECH.values(), ids=CZECH.keys())
def test_czech_azimuth_is_within_three_hundredths_of_a_degree(site: tuple[float, float]) -> None:
    ts = np.random.default_rng(2035).integers(FROM_MS, TO_MS, SAMPLES)
    azimuth = sun.position(ts, *site)[1]
    assert np.abs((azimuth - oracle(ts, *site)[1] + 180) % 360 - 180).max() <= 0.03


def test_times_and_sites_broadcast_like_single_calls() -> None:
    ts = np.array([[FROM_MS], [1_750_000_000_000], [TO_MS]])
    latitude, longitude = np.array(list(CZECH.values())).T
    elevation, azimuth = sun.position(ts, latitude, longitude)
    assert elevation.shape == azimuth.shape == (3, len(CZECH))
    for row, moment in enumerate(ts[:, 0]):
        for column, site in enumerate(CZECH.values()):
            assert sun.position(int(moment), *site) == (elevation[row, column], azimuth[row, column])


@given(times, latitudes, longitudes)
def test_angles_stay_in_their_ranges(ts: int, latitude: float, longitude: float) -> None:
    elevation, azimuth = sun.position(ts, latitude, longitude)
    assert -90 <= elevation <= 90
    assert 0 <= azimuth <= 360
    assert sun.elevation_deg(ts, latitude, longitude) == elevation


@given(times, latitudes)
def test_the_earth_is_round(ts: int, latitude: float) -> None:
    west, east = sun.position(ts, latitude, -180), sun.position(ts, latitude, 180)
    assert np.allclose(vector(*west), vector(*east), atol=1e-9)


def test_ten_thousand_sites_are_one_call() -> None:
    latitude = np.linspace(48.5, 51.1, 10_000)
    assert sun.elevation_deg(1_750_000_000_000, latitude, 15.0).shape == (10_000,)


@pytest.mark.parametrize("site", CZECH.values(), ids=CZECH.keys())
def test_czech_sunrise_and_sunset_are_within_five_seconds_of_pvlib(site: tuple[float, float]) -> None:
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2036-01-01"))
    index = pandas.DatetimeIndex(days).tz_localize("UTC")
    frame = solarposition.sun_rise_set_transit_spa(index, *site)
    for ours, column in zip(sun.rise_and_set(days, *site), ("sunrise", "sunset"), strict=True):
        theirs = frame[column].dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
        assert np.abs(ours - theirs).max() <= 5_000


@sites
def test_pvlib_sees_the_sun_on_the_horizon_at_each_event(site: tuple[float, float]) -> None:
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2029-01-01"))
    for events in sun.rise_and_set(days, *site):
        ts = events[~np.isnan(events)].astype(np.int64)
        assert np.abs(oracle(ts, *site)[0] - sun.HORIZON_DEG).max(initial=0) <= LIMIT_DEG + 0.001


@sites
def test_the_sun_rises_before_it_sets_and_is_up_between(site: tuple[float, float]) -> None:
    rise, fall = sun.rise_and_set(np.arange(np.datetime64("2024-01-01"), np.datetime64("2025-01-01")), *site)
    both = ~np.isnan(rise) & ~np.isnan(fall)
    assert (rise[both] < fall[both]).all()
    assert (sun.elevation_deg((rise[both] + fall[both]) / 2, *site) > sun.HORIZON_DEG).all()


@pytest.mark.parametrize("day", [date(2026, 6, 21), date(2026, 12, 21)])
def test_polar_day_and_night_have_no_events(day: date) -> None:
    for latitude in (78.22, -78.22, 90, -90):
        rise, fall = sun.rise_and_set(day, latitude, 15.65)
        assert np.isnan(rise)
        assert np.isnan(fall)


def test_days_and_sites_broadcast() -> None:
    days = np.arange(np.datetime64("2026-01-01"), np.datetime64("2027-01-02"))[:, np.newaxis]
    latitude, longitude = np.array(list(CZECH.values())).T
    rise, fall = sun.rise_and_set(days, latitude, longitude)
    assert rise.shape == fall.shape == (366, len(CZECH))
    assert (fall > rise).all()
