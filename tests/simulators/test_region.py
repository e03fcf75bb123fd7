"""The simulated region: what it holds and that a seed fixes it."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.attributes import ATTRIBUTES
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.topics import NAME
from simulators.region import DEVICES_MAX, TOWNS, Asset, Region, region, slug
from simulators.town import GATEWAY_INVERTERS

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


def test_metadata_holds_declared_attributes_of_the_right_form_only() -> None:
    for asset in region(1, 1000).assets:
        known = {a.name: a for a in ATTRIBUTES[asset.kind]}
        for name, value in asset.metadata.items():
            assert isinstance(value, str) == known[name].words, (asset.key, name)
            assert not known[name].flag or value in {0, 1}


def test_lamps_hang_on_a_cabinet_of_their_town_that_carries_their_number_and_power() -> None:
    built = region(1, 1000)
    cabinets = {a.key: a for a in built.assets if a.kind == "cabinet"}
    load: Counter[str] = Counter()
    lamps: Counter[str] = Counter()
    for lamp in (a for a in built.assets if a.kind == "lamp"):
        key = f"{lamp.municipality}/{lamp.word('cabinet')}"
        assert str(lamp.word("feeder")).startswith(f"{lamp.word('cabinet')}/")
        assert lamp.word("supply_area") == cabinets[key].word("supply_area")
        load[key] += round(lamp.power_rated_w)
        lamps[key] += 1
    for key, cabinet in cabinets.items():
        unmetered = cabinet.number("lamps_unmetered")
        assert cabinet.number("lamps") == lamps[key] + unmetered
        assert (cabinet.power_rated_w > load[key]) == (unmetered > 0)
        assert unmetered or cabinet.power_rated_w == load[key]


def lamps_by_feeder(built: Region) -> dict[tuple[str, str], list[Asset]]:
    out: dict[tuple[str, str], list[Asset]] = defaultdict(list)
    for lamp in (a for a in built.assets if a.kind == "lamp"):
        out[lamp.municipality, str(lamp.word("feeder"))].append(lamp)
    return out


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_feeders_of_a_large_region_have_twenty_to_thirty_lamps_evenly_on_three_phases(seed: int) -> None:
    for lamps in lamps_by_feeder(region(seed, 5000)).values():
        assert 20 <= len(lamps) <= 30
        phases = Counter(lamp.number("phase") for lamp in lamps)
        assert set(phases) == {1, 2, 3}
        assert max(phases.values()) - min(phases.values()) <= 1


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_third_of_the_feeders_is_switched_some_are_part_night_some_speak_through_a_gateway(seed: int) -> None:
    feeders = [lamps[0] for lamps in lamps_by_feeder(region(seed, 5000)).values()]
    share = {name: sum(f.number(name) for f in feeders) / len(feeders) for name in ("feeder_switched", "part_night")}
    assert 0.2 < share["feeder_switched"] < 0.45
    assert 0.05 < share["part_night"] < 0.2
    assert 0.2 < sum(f.word("gateway") is not None for f in feeders) / len(feeders) < 0.5
    assert {f.metadata.get("report_interval_s") for f in feeders} == {None, 900, 3600}
    assert all(f.word("gateway") for f in feeders if "report_interval_s" in f.metadata)


def test_a_cabinet_is_switched_if_any_of_its_feeders_is_or_none_has_controllers() -> None:
    built = region(1, 3000)
    switched: dict[str, list[float]] = defaultdict(list)
    for lamp in (a for a in built.assets if a.kind == "lamp"):
        switched[f"{lamp.municipality}/{lamp.word('cabinet')}"].append(lamp.number("feeder_switched"))
    for cabinet in (a for a in built.assets if a.kind == "cabinet"):
        assert cabinet.number("feeder_switched") == max(switched[cabinet.key], default=1)
    assert any(0 < sum(flags) < len(flags) for flags in switched.values()), "some cabinet feeds both ways"


@pytest.mark.parametrize("devices", [60, 120, 1000])
def test_there_is_a_village_of_lamps_without_controllers(devices: int) -> None:
    cabinets = [a for a in region(1, devices).assets if a.kind == "cabinet"]
    villages = [c for c in cabinets if c.number("lamps") == c.number("lamps_unmetered")]
    assert villages
    assert all(c.street == "Náves" and c.number("lamps") >= 20 for c in villages)


@given(SEEDS, st.integers(60, 2000))
@settings(max_examples=20, deadline=None)
def test_supply_areas_have_three_to_five_cabinets_and_reach_across_towns(seed: int, devices: int) -> None:
    cabinets = [a for a in region(seed, devices).assets if a.kind == "cabinet"]
    areas = Counter(c.word("supply_area") for c in cabinets)
    assert all(3 <= count <= 5 for count in areas.values())
    assert len({(c.municipality, c.word("supply_area")) for c in cabinets}) > len(areas) or len(areas) == 1


def test_roofs_map_all_their_modules_to_strings_and_some_sites_have_several_inverters() -> None:
    roofs = [a for a in region(1, 1000).assets if a.kind == "solar"]
    for roof in roofs:
        strings = range(1, int(roof.number("strings")) + 1)
        modules = [roof.number(f"string{n}_modules") for n in strings]
        assert sum(modules) * 430 == roof.number("power_peak_w")
        assert max(modules) <= 18
        assert roof.metadata.keys().isdisjoint({f"string{n}_modules" for n in range(len(modules) + 1, 9)})
    assert {roof.number("string8_plane") for roof in roofs} | {roof.number("string2_plane") for roof in roofs} >= {1, 2}
    sites = Counter((roof.municipality, roof.word("site")) for roof in roofs if roof.word("site"))
    assert sorted(set(sites.values())) == [2, 3]


def test_lamps_of_a_street_stand_some_thirty_metres_apart() -> None:
    for lamps in lamps_by_feeder(region(1, 120)).values():
        for a, b in pairwise(lamps):
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
