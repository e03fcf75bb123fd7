"""A stop's light by night: quarter-hours of darkness alone count, what is not known is on neither side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kraj import sun
from rules.waiting.light import DARK_DEG, QUARTER_S, lit_when_dark

BEGINS_MS = 1_792_879_200_000 + np.arange(96) * 900_000
"""2026-10-24 in Prague."""
PLACE = (49.5, 15.6)


def slowly(level: list[float | None], covered: list[float]) -> tuple[float, float, float]:
    lit = known = dark = 0.0
    for begin, said, seconds in zip(BEGINS_MS, level, covered, strict=True):
        if sun.elevation_deg(begin + 450_000, *PLACE) >= DARK_DEG:
            continue
        dark += QUARTER_S
        if said is not None:
            known += seconds
            lit += seconds if said > 0 else 0
    if any(covered) and all(said is None for said in level):
        dark = 0
    return lit, known, dark


LEVELS = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 30.0, 100.0])), min_size=96, max_size=96)
COVERED = st.lists(st.sampled_from([0.0, 300.0, 900.0]), min_size=96, max_size=96)


@given(st.lists(st.tuples(LEVELS, COVERED), min_size=1, max_size=3))
def test_it_is_what_is_counted_one_by_one(stops: list[tuple[list[float | None], list[float]]]) -> None:
    level = np.array([[np.nan if said is None else said for said in one] for one, _ in stops])
    place = (np.full(len(stops), PLACE[0]), np.full(len(stops), PLACE[1]))
    found = lit_when_dark(BEGINS_MS, place, level, np.array([covered for _, covered in stops]))
    rows = zip(found.light_lit_s, found.light_known_s, found.dark_s, strict=True)
    assert [tuple(row) for row in rows] == [slowly(*one) for one in stops]


def test_a_stop_without_a_light_is_due_none_and_a_silent_one_is() -> None:
    nothing = np.full((2, 96), np.nan)
    heard = np.array([np.full(96, 900.0), np.zeros(96)])
    found = lit_when_dark(BEGINS_MS, (np.full(2, PLACE[0]), np.full(2, PLACE[1])), nothing, heard)
    assert found.dark_s[0] == 0
    assert found.dark_s[1] > 11 * 3600
