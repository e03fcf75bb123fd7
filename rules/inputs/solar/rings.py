"""The last days of a figure for each roof, and medians and scatter along them."""

import numpy as np

from kraj.readings import Floats
from rules.layer import Layer
from rules.state import State

Single = np.float32
"""Enough for ratios, and half the checkpoint."""


def keep(layer: Layer, name: str, days: int, day: Floats, values: Floats) -> None:
    """Remember the figure of a day (NaN: unknown); writing a day again changes nothing."""
    _ring(layer.state, name, days)
    layer.state.put(name, (layer.slots, day.astype(np.intp) % days), values.astype(Single))


def push(layer: Layer, name: str, days: int, values: Floats) -> None:
    """Remember a figure among the last ``days`` that were known; unknown ones leave everything as it is."""
    ring = _ring(layer.state, name, days)
    rows = np.flatnonzero(~np.isnan(values))
    slots = layer.slots[rows]
    moved = np.concatenate([values[rows, None].astype(Single), ring[slots, :-1]], axis=1)
    layer.state.put(name, slots, moved)


def recent(layer: Layer, name: str, days: int) -> Floats:
    """What ``push`` remembers, newest first, shape ``(n, days)``."""
    return _ring(layer.state, name, days)[layer.slots].astype(np.float64)


def before(layer: Layer, name: str, days: int, day: Floats) -> Floats:
    """What ``keep`` remembers of the days before this one, newest first, shape ``(n, days - 1)``."""
    ring = _ring(layer.state, name, days)[layer.slots]
    place = (day.astype(np.intp)[:, None] - np.arange(1, days)) % days
    return np.take_along_axis(ring, place, axis=1).astype(np.float64)


def median(values: Floats, least: int = 1) -> Floats:
    """Of the known values of each row, NaN where fewer than ``least`` are known; shape ``(n,)``."""
    ranked = np.sort(values, axis=1)  # NaN sorts last
    known = np.count_nonzero(~np.isnan(values), axis=1)
    rows = np.arange(len(values))
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, values.shape[1] - 1)
    return np.where(known >= max(least, 1), (ranked[rows, low] + ranked[rows, high]) / 2, np.nan)


def scatter(values: Floats, middle: Floats) -> Floats:
    """The standard deviation that the median distance from the middle tells of (1.4826 · MAD, for normal values)."""
    return 1.4826 * median(np.abs(values - middle[:, None]))


def nth_smallest(values: Floats, n: int) -> Floats:
    """The ``n``-th smallest known value of each row, NaN where fewer are known."""
    return np.sort(values, axis=1)[:, n - 1]


def _ring(state: State, name: str, days: int) -> Floats:
    return state.array(name, dtype=Single, shape=(days,))
