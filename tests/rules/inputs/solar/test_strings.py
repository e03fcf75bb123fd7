"""Strings against each other, against a slow twin that takes one string after another."""

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.kinds.solar import STRINGS
from rules.inputs.solar.output import GAP_S, VOLTAGE_S
from rules.inputs.solar.strings import LIGHT_A, SUSPECT
from tests.rules.inputs.solar.series import START_MS, Series, roof

currents = st.lists(
    st.one_of(st.just(math.nan), st.sampled_from([0.0, 0.5, 1.5, 8.0, 8.2, 10.0])), min_size=8, max_size=8
)


def smooth_slowly(mean: float, now: float, gap_s: float) -> float:
    if math.isnan(mean) or math.isnan(gap_s) or gap_s > GAP_S:
        return now
    return mean + (1 - math.exp(-gap_s / VOLTAGE_S)) * (now - mean)


def weakest_slowly(amperes: list[float], modules: list[float], planes: list[float]) -> tuple[float, float]:
    """The least share in % of the median of its siblings per module, and whose it is; else how all of them differ."""
    known = [n for n in range(8) if not math.isnan(amperes[n])]
    if len(known) < 2 or max(amperes[n] for n in known) <= LIGHT_A:
        return math.nan, math.nan
    least, most = min(amperes[n] for n in known), max(amperes[n] for n in known)
    if least > SUSPECT * most:
        return 100 * least / most, math.nan
    if any(math.isnan(modules[n]) for n in known):
        modules = [1.0] * 8
    shares: dict[int, float] = {}
    for n in known:
        beside = [amperes[m] / modules[m] for m in known if m != n and planes[m] == planes[n]]
        if beside and median(beside) * modules[n] > LIGHT_A:
            shares[n] = 100 * amperes[n] / modules[n] / median(beside)
    if not shares:
        return math.nan, math.nan
    worst = min(shares, key=lambda n: shares[n])
    return shares[worst], worst + 1


@given(
    st.lists(st.tuples(st.integers(10, 1200), currents), min_size=1, max_size=8),
    st.lists(st.sampled_from([10.0, 10.0, 20.0, math.nan]), min_size=8, max_size=8),
    st.lists(st.sampled_from([1.0, 1.0, 2.0]), min_size=8, max_size=8),
)
def test_the_weakest_string_is_the_slow_twins(
    readings: list[tuple[int, list[float]]], modules: list[float], planes: list[float]
) -> None:
    metadata = {f"string{n}_plane": planes[n - 1] for n in STRINGS}
    metadata |= {f"string{n}_modules": modules[n - 1] for n in STRINGS if not math.isnan(modules[n - 1])}
    series = Series([roof(0, **metadata), roof(1)])
    mean, ts = [math.nan] * 8, START_MS
    for turn, (seconds, amperes) in enumerate(readings):
        ts += seconds * 1000
        layer = series.read(ts, {f"string{n}_current_a": amperes[n - 1] for n in STRINGS}, [0])
        gap_s = seconds if turn else math.nan
        mean = [smooth_slowly(mean[n], amperes[n], gap_s) for n in range(8)]
        worst, number = weakest_slowly(mean, modules, planes)
        assert layer.column("string_worst_pct")[0] == pytest.approx(worst, nan_ok=True)
        assert layer.column("string_worst")[0] == pytest.approx(number, nan_ok=True)


def ratio(amperes: list[float], **metadata: float) -> tuple[float, float]:
    series = Series([roof(0, **metadata)])
    layer = series.read(START_MS, {f"string{n + 1}_current_a": value for n, value in enumerate(amperes)})
    return float(layer.column("string_worst_pct")[0]), float(layer.column("string_worst")[0])


def test_of_two_strings_the_open_one_is_told() -> None:
    assert ratio([8.0, 0.1]) == (pytest.approx(1.25), 2)


def test_a_string_of_another_plane_is_not_compared() -> None:
    assert np.isnan(ratio([8.0, 0.5], string2_plane=2.0)).all()


def test_fewer_modules_in_parallel_carry_less() -> None:
    share, number = ratio([12.0, 12.0, 4.0], string1_modules=30.0, string2_modules=30.0, string3_modules=10.0)
    assert (share, number) == (pytest.approx(100), 1)


def test_in_the_dark_nothing_is_said() -> None:
    assert np.isnan(ratio([0.9, 0.0])).all()
