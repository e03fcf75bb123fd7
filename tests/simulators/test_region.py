"""The simulated region: what it holds and that a seed fixes it."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.topics import NAME
from simulators.region import DEVICES_MAX, GATEWAY_INVERTERS, TOWNS, region, slug

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_a_region_has_the_devices_asked_for_with_unique_valid_names(seed: int, devices: int) -> None:
    built = region(seed, devices)
    assert len(built.devices) == devices
    names = {d.name for d in built.devices}
    assert len(names) == devices
    towns = {m.name for m in built.municipalities}
    assert all(NAME.fullmatch(name) for name in names | towns)
    assert all(d.municipality in towns for d in built.devices)


@given(SEEDS, st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_labels_are_unique_within_a_municipality_and_kinds_are_known(seed: int, devices: int) -> None:
    built = region(seed, devices)
    assert max(Counter((a.municipality, a.label) for a in built.assets).values()) == 1
    assert {a.kind for a in built.assets} <= set(KINDS)
    assert all(i.asset.municipality == d.municipality for d in built.devices for i in d.installed)


@given(SEEDS, st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_assets_lie_in_czechia_near_their_towns(seed: int, devices: int) -> None:
    built = region(seed, devices)
    towns = {m.name: m for m in built.municipalities}
    for asset in built.assets:
        town = towns[asset.municipality]
        north = (asset.latitude - town.latitude) * 111_320
        east = (asset.longitude - town.longitude) * 111_320 * math.cos(math.radians(town.latitude))
        assert math.hypot(north, east) < 3_000
        assert 49.2 < asset.latitude < 49.8
        assert 15.0 < asset.longitude < 16.3


def test_the_same_seed_gives_the_same_region_and_another_one_another() -> None:
    assert region(5, 60) == region(5, 60)
    assert region(5, 60).devices != region(6, 60).devices


def test_a_demo_region_has_every_kind_in_every_town_and_one_gateway() -> None:
    built = region(1, 120)
    assert len(built.municipalities) == 4
    for town in built.municipalities:
        assert {a.kind for a in built.assets if a.municipality == town.name} == set(KINDS)
    gateways = [d for d in built.devices if len(d.installed) > 1]
    assert [[i.channel for i in d.installed] for d in gateways] == [list(range(1, GATEWAY_INVERTERS + 1))]
    assert all(i.channel == 0 for d in built.devices if d not in gateways for i in d.installed)


def test_lamps_hang_on_a_cabinet_of_their_town_that_carries_their_power() -> None:
    built = region(1, 120)
    cabinets = {(a.municipality, a.label): a for a in built.assets if a.kind == "cabinet"}
    load: Counter[tuple[str, str]] = Counter()
    for lamp in (a for a in built.assets if a.kind == "lamp"):
        assert lamp.cabinet
        load[lamp.municipality, lamp.cabinet] += round(lamp.power_rated_w)
    assert load == {key: round(a.power_rated_w) for key, a in cabinets.items()}


def test_lamps_of_a_street_stand_some_thirty_metres_apart() -> None:
    lamps = [a for a in region(1, 120).assets if a.kind == "lamp"]
    pairs = [(a, b) for a, b in pairwise(lamps) if a.cabinet == b.cabinet]
    for a, b in pairs:
        east = (a.longitude - b.longitude) * 111_320 * math.cos(math.radians(a.latitude))
        assert 20 < math.hypot((a.latitude - b.latitude) * 111_320, east) < 45


def test_the_share_without_a_clock_is_a_parameter() -> None:
    assert all(d.clock for d in region(1, 60, clockless_share=0).devices)
    assert not any(d.clock for d in region(1, 60, clockless_share=1).devices)
    assert 0 < sum(not d.clock for d in region(1, 1000).devices) < 150


def test_slugs_of_all_towns_are_distinct_names() -> None:
    assert len({slug(title) for title in TOWNS}) == len(TOWNS)
    assert slug("Žďárná Lhotka") == "zdarna-lhotka"


@pytest.mark.parametrize("devices", [0, -1, DEVICES_MAX + 1])
def test_an_impossible_number_of_devices_is_refused_with_the_limit(devices: int) -> None:
    with pytest.raises(ConfigurationError, match=str(DEVICES_MAX)):
        region(1, devices)
