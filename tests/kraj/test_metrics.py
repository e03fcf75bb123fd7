"""Metrics and kinds refuse wrong declarations and say what is wrong."""

from typing import Any

import pytest

from kraj.errors import ConfigurationError
from kraj.metrics import COUNTER_MAX, METRICS_MAX, Kind, Metric, Title, Type, counter, flag, flags, state
from kraj.units import Unit

TITLE = Title(cs="Příkon", en="Power")
POWER = Metric("power_w", Unit.WATT, TITLE, possible=(0, 100))


def metric(**changes: Any) -> Metric:
    fields: dict[str, Any] = {"name": "power_w", "unit": Unit.WATT, "title": TITLE, "possible": (0, 100)}
    return Metric(**{**fields, **changes})


def kind(metrics: tuple[Metric, ...], headline: str = "power_w") -> Kind:
    return Kind("thing", TITLE, metrics, heartbeat_s=300, heartbeat_idle_s=3600, headline=headline)


@pytest.mark.parametrize(
    "name", ["", "w", "Power_w", "power w", "power-w", "1_power_w", "_w", "výkon_w", "p" * 47 + "_w"]
)
def test_name_is_lower_case_words_joined_by_underscores(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a name is lower-case words"):
        metric(name=name)


@pytest.mark.parametrize(("name", "unit"), [("power", Unit.WATT), ("power_kw", Unit.WATT), ("flow", Unit.VOLT)])
def test_name_ends_with_its_unit(name: str, unit: Unit) -> None:
    with pytest.raises(ConfigurationError, match=f"must end with _{unit.suffix}"):
        metric(name=name, unit=unit)


@pytest.mark.parametrize("changes", [{"type": Type.STATE}, {"states": ("on", "off")}])
def test_states_and_their_type_need_each_other(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"states belong to Type\.STATE"):
        metric(**changes)


@pytest.mark.parametrize(
    "possible", [(1, 1), (2, 1), (0, COUNTER_MAX + 2), (-COUNTER_MAX - 2, 0), (0, float("inf")), (0, float("nan"))]
)
def test_possible_is_a_span_of_exact_numbers(possible: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="possible must be a span"):
        metric(possible=possible)


@pytest.mark.parametrize("plausible", [(-1, 50), (0, 101), (50, 50), (60, 40)])
def test_plausible_lies_within_possible(plausible: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="plausible must lie within possible"):
        metric(plausible=plausible)


@pytest.mark.parametrize(
    "changes", [{"bits": ("fault",)}, {"type": Type.FLAGS, "bits": tuple(f"bit{i}" for i in range(32))}]
)
def test_bits_belong_to_flags_and_fit_their_column(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"bits belong to Type\.FLAGS"):
        metric(**changes)


@pytest.mark.parametrize("deadband", [-1, float("nan")])
def test_deadband_is_not_negative(deadband: float) -> None:
    with pytest.raises(ConfigurationError, match="a deadband is not negative"):
        metric(deadband=deadband)


@pytest.mark.parametrize(
    "changes",
    [{"deadband_pct": 3}, {"deadband": 0, "deadband_pct": 3}, *({"deadband": 2, "deadband_pct": p} for p in (0, 100))],
)
def test_relative_deadband_widens_an_absolute_one(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="deadband_pct"):
        metric(**changes)


def test_every_message_names_the_metric() -> None:
    with pytest.raises(ConfigurationError, match="'power_w'"):
        metric(possible=(1, 0))


def test_kind_refuses_a_metric_declared_twice() -> None:
    with pytest.raises(ConfigurationError, match="'thing': a metric is declared twice"):
        kind((POWER, POWER))


def test_kind_refuses_more_metrics_than_the_mask_has_bits() -> None:
    metrics = (POWER, *(metric(name=f"p{i}_w") for i in range(METRICS_MAX - 1)))
    assert len(kind(metrics).metrics) == METRICS_MAX
    with pytest.raises(ConfigurationError, match=f"at most {METRICS_MAX} metrics"):
        kind((*metrics, metric(name="one_more_w")))


def test_kind_refuses_a_headline_that_it_does_not_have() -> None:
    with pytest.raises(ConfigurationError, match="headline 'energy_wh'"):
        kind((POWER,), headline="energy_wh")


def test_kind_finds_metrics_by_name_and_names_its_tables() -> None:
    thing = kind((POWER, state("mode", TITLE, ("on", "off"), source="test"), flag("door", TITLE, source="test")))
    assert thing.by_name["power_w"] is POWER
    assert [m.name for m in thing.numeric] == ["power_w", "door"]
    assert (thing.reading_table, thing.latest_table) == ("reading_thing", "latest_thing")


def test_a_single_state_is_a_valid_span() -> None:
    assert state("mode", TITLE, ("on",), source="test").possible == (0, 1)


def test_flags_hold_every_bit_of_a_signed_column() -> None:
    metric = flags("faults", TITLE, ("short", "open"), source="test")
    assert (metric.type, metric.possible, metric.bits) == (Type.FLAGS, (0, 2**31 - 1), ("short", "open"))


def test_counters_count_as_far_as_a_double_is_exact() -> None:
    high = counter("energy_wh", Unit.WATT_HOUR, TITLE, source="test").possible[1]
    assert float(high) == high
    assert float(high + 1) == high


@pytest.mark.parametrize(
    ("type_", "sql", "whole"),
    [
        (Type.REAL, "real", False),
        (Type.INTEGER, "integer", True),
        (Type.COUNTER, "bigint", True),
        (Type.BOOLEAN, "boolean", True),
        (Type.STATE, "smallint", True),
        (Type.FLAGS, "integer", True),
    ],
)
def test_each_type_has_its_column(type_: Type, sql: str, whole: bool) -> None:
    assert (type_.sql, type_.whole) == (sql, whole)


def test_a_sensor_tells_no_more_than_a_tenth_of_its_deadband() -> None:
    deadbands = {20: 0, 2: 1, 0.1: 2, 0.02: 3, 50_000: -3, 0: 3}
    assert {band: metric(deadband=band).decimals for band in deadbands} == deadbands
    assert (metric(name="level_pct", unit=Unit.PERCENT, deadband=0).decimals, metric().decimals) == (1, 3)
    assert metric(type=Type.COUNTER, deadband=2).decimals == 0
