"""Units: what is compared, added and multiplied with what, and how it converts."""

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from kraj.units import Unit
from rules.language import RuleTextError, Symbol, compile_condition, compile_number, unit_by_suffix
from rules.language.dimensions import OF_UNIT, SPELLINGS, SYMBOLS

NAMES = {
    "power_w": Symbol(Unit.WATT),
    "expected_power_w": Symbol(Unit.WATT),
    "voltage_v": Symbol(Unit.VOLT),
    "current_a": Symbol(Unit.AMPERE),
    "leakage_ma": Symbol(Unit.MILLIAMPERE),
    "energy_wh": Symbol(Unit.WATT_HOUR),
    "age_s": Symbol(Unit.SECOND),
    "rtt_ms": Symbol(Unit.MILLISECOND),
    "level_pct": Symbol(Unit.PERCENT),
    "power_factor": Symbol(Unit.RATIO),
    "isolation_ohm": Symbol(Unit.OHM),
    "starts": Symbol(Unit.COUNT),
    "lamps": Symbol(Unit.COUNT),
    "altitude": Symbol(Unit.NONE),
    "air_temp_degc": Symbol(Unit.CELSIUS),
    "irradiance_w_per_m2": Symbol(Unit.WATT_PER_SQUARE_METRE),
}


def holds(text: str, **values: float) -> bool:
    """Whether a condition holds on one row."""
    return bool(compile_condition(text, NAMES).evaluate(lambda name: np.array([values[name]], float))[0])


def number(text: str, unit: Unit, **values: float) -> float:
    return float(compile_number(text, NAMES, unit).evaluate(lambda name: np.array([values[name]], float)).flat[0])


@pytest.mark.parametrize(
    "text",
    [
        "power_w < voltage_v",
        "power_w < 3 V",
        "power_w + voltage_v > 3",
        "power_w > 10 min",
        "max(power_w, voltage_v) > 3",
        "min(3 W, 2 V) < power_w",
        "power_w < expected_power_w * expected_power_w",
        "power_w * 3 V > 3 W",
        "energy_wh > power_w",
        "energy_wh / age_s > energy_wh",
        "air_temp_degc > 3 %",
        "irradiance_w_per_m2 > power_w",
        "starts > power_factor",
        "clip(power_w, 1 V, 2 V) > 3",
        "first_known(power_w, current_a) > 3",
        "power_w - 5 % > 3",
        "2 < power_w < 3 V",
        "level_pct * power_w > expected_power_w",
    ],
)
def test_what_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(RuleTextError):
        compile_condition(text, NAMES)


@pytest.mark.parametrize(
    ("text", "unit", "values", "expected"),
    [
        ("voltage_v * current_a", Unit.WATT, {"voltage_v": 230, "current_a": 2}, 460),
        ("voltage_v * leakage_ma", Unit.WATT, {"voltage_v": 200, "leakage_ma": 500}, 100),
        ("voltage_v / current_a", Unit.OHM, {"voltage_v": 230, "current_a": 2}, 115),
        ("energy_wh / 2 h", Unit.WATT, {"energy_wh": 100}, 50),
        ("power_w * 30 min", Unit.WATT_HOUR, {"power_w": 100}, 50),
        ("power_w * age_s", Unit.WATT_HOUR, {"power_w": 100, "age_s": 7200}, 200),
        ("3 kW", Unit.WATT, {}, 3000),
        ("0.3 A", Unit.MILLIAMPERE, {}, 300),
        ("leakage_ma + 0.3 A", Unit.MILLIAMPERE, {"leakage_ma": 1}, 301),
        ("0.3 A + leakage_ma", Unit.AMPERE, {"leakage_ma": 100}, 0.4),
        ("min(3 h, age_s)", Unit.SECOND, {"age_s": 20_000}, 10_800),
        ("rtt_ms + age_s", Unit.MILLISECOND, {"rtt_ms": 5, "age_s": 2}, 2005),
        ("3 + power_w", Unit.WATT, {"power_w": 1}, 4),
        ("20 % * power_w", Unit.WATT, {"power_w": 50}, 10),
        ("power_w * (10 % + 5 %)", Unit.WATT, {"power_w": 200}, 30),
        ("power_w / 50 %", Unit.WATT, {"power_w": 50}, 100),
        ("level_pct * power_w / 100", Unit.WATT, {"level_pct": 60, "power_w": 50}, 30),
        ("level_pct / 100 * power_w", Unit.WATT, {"level_pct": 60, "power_w": 50}, 30),
        ("0.01 * level_pct * power_w", Unit.WATT, {"level_pct": 60, "power_w": 50}, 30),
        ("level_pct / 100 %", Unit.RATIO, {"level_pct": 60}, 0.6),
        ("level_pct / 100", Unit.RATIO, {"level_pct": 60}, 0.6),
        ("100 * (power_w / expected_power_w)", Unit.PERCENT, {"power_w": 30, "expected_power_w": 60}, 50),
        ("lamps * 60 W", Unit.WATT, {"lamps": 30}, 1800),
        ("starts / lamps", Unit.RATIO, {"starts": 3, "lamps": 4}, 0.75),
        ("altitude * power_w", Unit.WATT, {"altitude": 2, "power_w": 3}, 6),
        ("-power_w", Unit.WATT, {"power_w": 3}, -3),
        ("abs(power_w - 1 kW)", Unit.WATT, {"power_w": 400}, 600),
        ("first_known(power_w, 1 kW)", Unit.WATT, {"power_w": float("nan")}, 1000),
        ("power_w", Unit.NONE, {"power_w": 3}, 3),
    ],
)
def test_a_calculation_comes_out_in_its_unit(text: str, unit: Unit, values: dict[str, float], expected: float) -> None:
    assert number(text, unit, **values) == pytest.approx(expected, rel=1e-12)


def test_a_number_in_the_wrong_unit_is_refused() -> None:
    with pytest.raises(RuleTextError, match="expected a number in W"):
        compile_number("voltage_v", NAMES, Unit.WATT)


def test_a_written_number_converts_exactly() -> None:
    assert holds("leakage_ma == 1.001 A", leakage_ma=1001.0)
    assert 1.001 * 1000 != 1001  # what a conversion in floating point would have made of it
    assert holds("isolation_ohm == 1.1 MΩ", isolation_ohm=1_100_000.0)
    assert holds("age_s == 0.1 h", age_s=360.0)


def test_a_bare_number_takes_any_unit() -> None:
    assert holds("power_w < 3", power_w=2)
    assert holds("age_s < 3", age_s=2)
    assert holds("altitude < 3 W", altitude=2)


def test_a_ratio_compared_with_per_cent_is_told_what_it_would_be() -> None:
    with pytest.raises(RuleTextError, match=r"as a ratio it is 0\.6\n"):
        compile_condition("power_factor < 60 %", NAMES)


def test_every_unit_of_a_metric_may_be_written_behind_a_number() -> None:
    for unit in Unit:
        if unit in (Unit.NONE, Unit.RATIO, Unit.COUNT):
            continue
        table = {"x": Symbol(unit)}
        compiled = compile_condition(f"x == 3 {unit.symbol}", table)
        assert compiled.evaluate(lambda _: np.array([3.0, 4.0])).tolist() == [True, False]


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_every_spelling_means_what_it_is_shown_as(spelling: str) -> None:
    shown = SPELLINGS[spelling]
    unit = next(unit for unit, dimension in OF_UNIT.items() if dimension.exponents == SYMBOLS[shown].exponents)
    one = compile_number(f"1 {spelling}", {}, unit).evaluate(lambda _: np.zeros(0))
    assert float(one) == float(SYMBOLS[shown].scale / OF_UNIT[unit].scale)
    compile_condition(f"x < 1{spelling} and x > 1 {spelling}", {"x": Symbol(unit)})


@given(
    st.integers(0, 10**6),
    st.sampled_from([("W", Unit.WATT, 1), ("kW", Unit.WATT, 1000), ("mA", Unit.AMPERE, Fraction(1, 1000))]),
    st.integers(0, 10**9),
)
def test_comparing_across_units_is_comparing_the_quantities(
    value: int, written: tuple[str, Unit, Fraction], measured: int
) -> None:
    symbol, unit, scale = written
    compiled = compile_condition(f"x < {value} {symbol}", {"x": Symbol(unit)})
    assert compiled.evaluate(lambda _: np.array([float(measured)])).tolist() == [measured < value * scale]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("voltage_min_v", Unit.VOLT),
        ("leakage_max_ma", Unit.MILLIAMPERE),
        ("age_max_s", Unit.SECOND),
        ("irradiance_w_per_m2", Unit.WATT_PER_SQUARE_METRE),
        ("deviation_pct", Unit.PERCENT),
        ("power_share", Unit.NONE),
        ("v", Unit.NONE),
        ("age_min", Unit.NONE),
    ],
)
def test_a_threshold_has_the_unit_that_ends_its_name(name: str, unit: Unit) -> None:
    assert unit_by_suffix(name) is unit
