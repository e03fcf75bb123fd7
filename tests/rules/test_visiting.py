"""A crew's way is as short as the best of all orders, or nearly so, and begins where it is told."""

from itertools import permutations

import numpy as np
import pytest

from kraj.distance import between_m, legs_m
from rules import visiting


def places(seed: int, count: int) -> list[tuple[float, float]]:
    chance = np.random.default_rng(seed)
    return [(49.4 + 0.1 * north, 15.5 + 0.15 * east) for north, east in chance.random((count, 2))]


def best_m(legs: visiting.Legs, start: int | None) -> float:
    orders = permutations(range(len(legs)))
    return min(visiting.length_m(legs, one) for one in orders if start is None or one[0] == start)


@pytest.mark.parametrize("start", [None, 0])
def test_the_way_is_nearly_the_shortest_of_all(start: int | None) -> None:
    ratios: list[float] = []
    for seed in range(12):
        legs = legs_m(places(seed, 4 + seed % 4))
        found = visiting.order(legs, start)
        assert sorted(found) == list(range(len(legs)))
        assert start is None or found[0] == start
        ratios.append(visiting.length_m(legs, found) / best_m(legs, start))
    assert min(ratios) > 1 - 1e-9
    assert max(ratios) < 1.05
    assert sum(ratios) / len(ratios) < 1.01


def test_a_street_is_walked_from_end_to_end_whatever_the_order_given() -> None:
    street = [(49.5, 15.6 + 0.001 * n) for n in (5, 0, 3, 1, 4, 2)]
    found = visiting.order(legs_m(street))
    assert [street[n][1] for n in found] in (sorted(one for _, one in street), sorted((one for _, one in street))[::-1])


def test_sixty_places_are_ordered_at_once_and_shorter_than_as_they_came() -> None:
    legs = legs_m(places(7, 60))
    found = visiting.order(legs, 0)
    assert sorted(found) == list(range(60))
    assert visiting.length_m(legs, found) < 0.4 * visiting.length_m(legs, range(60))


def test_nothing_and_one_place_are_ways_too() -> None:
    assert visiting.order(legs_m([])) == []
    assert visiting.order(legs_m([(49.5, 15.6)]), 0) == [0]
    twice = legs_m([(49.5, 15.6), (49.5, 15.6)])
    assert visiting.length_m(twice, visiting.order(twice)) == 0


def test_distances_are_those_of_the_earth() -> None:
    prague, brno = (50.0875, 14.4214), (49.1951, 16.6068)
    assert between_m(*prague, *brno) == pytest.approx(185_000, rel=0.01)
    legs = legs_m([prague, brno])
    assert legs[0, 1] == legs[1, 0] == pytest.approx(between_m(*prague, *brno))
