"""In which order a crew visits places: nearest neighbour first, then reversed and moved until nothing gets shorter."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

STARTS_MAX = 12
"""Beginnings that are tried where none is given."""
GAIN_M = 0.01
"""What saves less is no gain but rounding."""

Legs = npt.NDArray[np.float64]


def length_m(legs: Legs, order: Sequence[int]) -> float:
    """Metres from the first to the last."""
    return float(sum(legs[here, there] for here, there in pairwise(order)))


def order(legs: Legs, start: int | None = None) -> list[int]:
    """All rows of ``legs`` (metres, shape (n, n), symmetric) in a short order from ``start`` to wherever it ends.

    Without ``start`` it begins anywhere, too. Not always the shortest there is: within some percent of it.
    """
    count = len(legs)
    if count < 2:
        return list(range(count))
    if start is not None:
        return _improved(legs, _nearest(legs, start), fixed=True)
    # The places farthest from the rest are those at which a short way begins or ends.
    begins = np.argsort(-legs.sum(axis=1), kind="stable")[:STARTS_MAX]
    found = [_improved(legs, _nearest(legs, int(begin)), fixed=False) for begin in begins]
    return min(found, key=lambda one: length_m(legs, one))


def _nearest(legs: Legs, start: int) -> list[int]:
    found = [start]
    left = np.ones(len(legs), dtype=np.bool_)
    left[start] = False
    while left.any():
        away = np.where(left, legs[found[-1]], np.inf)
        found.append(int(away.argmin()))
        left[found[-1]] = False
    return found


def _improved(legs: Legs, order: list[int], *, fixed: bool) -> list[int]:
    """Reverse stretches (2-opt) and move short ones elsewhere until neither saves anything."""
    first = 1 if fixed else 0
    while True:
        changed = _reversed(legs, order, first) or _moved(legs, order, first)
        if changed is None:
            return order
        order = changed


def _reversed(legs: Legs, order: list[int], first: int) -> list[int] | None:
    """With the stretch reversed that saves most; None where none does."""
    count = len(order)
    at = np.array(order)
    steps = legs[at[:-1], at[1:]]
    best, gain = None, GAIN_M
    for begin in range(first, count - 1):
        ends = np.arange(begin + 1, count)
        before = np.zeros(len(ends))
        after = np.zeros(len(ends))
        if begin > 0:
            before += steps[begin - 1]
            after += legs[at[begin - 1], at[ends]]
        inner = ends[ends < count - 1]
        before[: len(inner)] += steps[inner]
        after[: len(inner)] += legs[at[begin], at[inner + 1]]
        saved = before - after
        most = int(saved.argmax())
        if saved[most] > gain:
            best, gain = (begin, int(ends[most])), float(saved[most])
    if best is None:
        return None
    begin, end = best
    return [*order[:begin], *reversed(order[begin : end + 1]), *order[end + 1 :]]


def _moved(legs: Legs, order: list[int], first: int) -> list[int] | None:
    """With a stretch of one to three places moved to where it saves anything; None where it nowhere does."""
    whole = length_m(legs, order)
    for size in (1, 2, 3):
        for begin in range(first, len(order) - size + 1):
            stretch, rest = order[begin : begin + size], [*order[:begin], *order[begin + size :]]
            if len(rest) < 2:
                continue
            at = np.array(rest)
            inside = length_m(legs, stretch)
            base = length_m(legs, rest)
            for taken in (stretch, stretch[::-1]):
                # Between each two neighbours; behind the last; before the first where it is free.
                between = legs[at[:-1], taken[0]] + legs[taken[-1], at[1:]] - legs[at[:-1], at[1:]]
                costs = np.append(between, legs[at[-1], taken[0]])
                place = int(costs.argmin())
                cost, put = float(costs[place]), place + 1
                if not first and legs[taken[-1], at[0]] < cost:
                    cost, put = float(legs[taken[-1], at[0]]), 0
                if base + inside + cost < whole - GAIN_M:
                    return [*rest[:put], *taken, *rest[put:]]
    return None
