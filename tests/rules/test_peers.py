"""Who is compared with whom, against a slow twin that looks at every pair."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.assets import AssetRow
from rules.estate import Estate, Members
from rules.peers import KM_PER_DEGREE, NEAR, NEAR_KM, PEERS, RADII_KM, SIBLINGS, near, peers, siblings, twins


def roof(number: int, latitude: float | None, longitude: float | None, **metadata: object) -> AssetRow:
    return AssetRow(
        asset_id=number + 1,
        municipality_id=1,
        kind="solar",
        label=f"FVE {number}",
        latitude=latitude,
        longitude=longitude,
        metadata={"tilt_deg": 30.0, "azimuth_deg": 180.0, "power_rated_w": 10_000.0, **metadata},
    )


def members(rows: list[AssetRow]) -> Members:
    return Estate.of(1, rows).members["solar"]


def scattered(seed: int, count: int, span_deg: float) -> Members:
    """Roofs at random in a square; some on one site, some flat, some without a place."""
    random = np.random.default_rng(seed)
    rows = [
        roof(
            number,
            None if random.random() < 0.05 else 49.5 + random.uniform(0, span_deg),
            15.5 + random.uniform(0, span_deg),
            tilt_deg=float(random.choice([5, 10, 30, 40])),
            azimuth_deg=float(random.choice([0, 10, 90, 170, 200, 350])),
            **({"site": f"areál {random.integers(3)}"} if random.random() < 0.2 else {}),
        )
        for number in range(count)
    ]
    return members(rows)


def alike(  # noqa: PLR0917 - two roofs and three limits
    all_roofs: Members, a: int, b: int, facing_deg: float = 30, tilt_deg: float = 15, flat_deg: float = 10
) -> bool:
    tilt, facing = all_roofs.numbers["tilt_deg"], all_roofs.numbers["azimuth_deg"]
    turned = abs((facing[a] - facing[b] + 180) % 360 - 180)
    return bool((turned <= facing_deg or max(tilt[a], tilt[b]) <= flat_deg) and abs(tilt[a] - tilt[b]) <= tilt_deg)


def distances_slowly(all_roofs: Members, here: int, radius_km: float, *, facing: bool) -> dict[int, float]:
    """The slow twin: distance of each roof within the radius on another site, those that face alike or all."""
    found: dict[int, float] = {}
    if math.isnan(all_roofs.latitude[here]):
        return found
    parallel = math.cos(math.radians(float(all_roofs.latitude[~np.isnan(all_roofs.latitude)].mean())))
    site = all_roofs.group["site"]
    for there in range(len(all_roofs)):
        east = float(all_roofs.longitude[there] - all_roofs.longitude[here]) * KM_PER_DEGREE * parallel
        north = float(all_roofs.latitude[there] - all_roofs.latitude[here]) * KM_PER_DEGREE
        distance = math.hypot(east, north)
        one_site = site[here] >= 0 and site[here] == site[there]
        fits = not facing or alike(all_roofs, here, there)
        if there != here and distance <= radius_km and not one_site and fits:
            found[there] = distance
    return found


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.02, 0.2, 1.0]))
def test_peers_and_neighbours_are_the_nearest_that_qualify(seed: int, count: int, span_deg: float) -> None:
    all_roofs = scattered(seed, count, span_deg)
    for found, most, radius_km, facing in (
        (peers(all_roofs), PEERS, RADII_KM[-1], True),
        (near(all_roofs), NEAR, NEAR_KM, False),
    ):
        assert found.shape == (count, most)
        for here in range(count):
            check(found[here].tolist(), most, distances_slowly(all_roofs, here, radius_km, facing=facing))


def check(listed: list[int], most: int, expected: dict[int, float]) -> None:
    chosen = [other for other in listed if other >= 0]
    assert len(set(chosen)) == len(chosen) == min(most, len(expected))
    # By distance, as roofs of one place may stand in for each other.
    nearest = sorted(expected.values())[: len(chosen)]
    assert [expected[other] for other in chosen] == pytest.approx(nearest, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_siblings_are_the_others_of_the_site_and_twins_those_on_the_same_plane(seed: int, count: int) -> None:
    all_roofs = scattered(seed, count, 0.2)
    site = all_roofs.group["site"]
    beside, faced = siblings(all_roofs), twins(all_roofs)
    for here in range(count):
        others = {there for there in range(count) if there != here and site[here] >= 0 and site[there] == site[here]}
        chosen = [other for other in beside[here].tolist() if other >= 0]
        assert len(set(chosen)) == len(chosen) == min(SIBLINGS, len(others))
        assert set(chosen) <= others
        assert {o for o in faced[here].tolist() if o >= 0} == {o for o in chosen if alike(all_roofs, here, o, 15, 5, 0)}


def test_an_inverter_with_half_its_strings_on_the_other_slope_is_nobodys_twin() -> None:
    split: dict[str, object] = {"site": "škola", "strings": 2.0, "string2_plane": 2.0}
    rows = [roof(0, 49.5, 15.5, site="škola", strings=2.0), *(roof(n, 49.5, 15.5, **split) for n in (1, 2))]
    assert [row[row >= 0].tolist() for row in twins(members(rows))] == [[], [2], [1]]


def test_a_gable_is_compared_with_flat_roofs_and_not_with_those_of_its_first_slope() -> None:
    gable, other = (roof(n, 49.5, 15.5 + n / 100, strings=2.0, string2_plane=2.0) for n in (0, 1))
    flat, south = roof(2, 49.5, 15.52, tilt_deg=5.0, azimuth_deg=90.0), roof(3, 49.5, 15.53)
    found = peers(members([gable, other, flat, south]))
    assert [row[row >= 0].tolist() for row in found] == [[1, 2], [0, 2], [1, 0], []]


def test_inverters_are_twins_only_if_all_their_planes_are() -> None:
    split: dict[str, object] = {"site": "škola", "strings": 2.0, "string2_plane": 2.0}
    rows = [roof(0, 49.5, 15.5, **split), roof(1, 49.5, 15.5, **split, plane2_azimuth_deg=90.0)]
    assert (twins(members(rows)) == -1).all()


def test_no_roof_is_compared_beyond_25_km_or_with_another_direction() -> None:
    near, far, east, steep = (
        roof(1, 49.5 + 24 / KM_PER_DEGREE, 15.5),
        roof(2, 49.5 + 26 / KM_PER_DEGREE, 15.5),
        roof(3, 49.51, 15.5, azimuth_deg=120.0),
        roof(4, 49.51, 15.5, tilt_deg=60.0),
    )
    found = peers(members([roof(0, 49.5, 15.5), near, far, east, steep]))
    assert found[0].tolist() == [1] + [-1] * (PEERS - 1)


def test_an_estate_without_roofs_has_no_peers() -> None:
    assert peers(members([])).shape == (0, PEERS)
    assert near(members([])).shape == (0, NEAR)
    assert peers(members([roof(0, None, None)])).tolist() == [[-1] * PEERS]
    assert siblings(members([roof(0, 49.5, 15.5)])).tolist() == [[-1] * SIBLINGS]


def test_the_index_is_computed_once_an_estate() -> None:
    all_roofs = scattered(1, 20, 0.2)
    assert peers(all_roofs) is peers(all_roofs)
    assert siblings(all_roofs) is siblings(all_roofs)
    assert twins(all_roofs) is twins(all_roofs)
    assert near(all_roofs) is near(all_roofs)
