"""Units: suffixes that can end a metric's name, symbols for people."""

import re

import pytest

from kraj.units import Unit


@pytest.mark.parametrize("unit", Unit)
def test_suffix_can_end_a_name(unit: Unit) -> None:
    assert re.fullmatch(r"([a-z][a-z0-9]*(_[a-z0-9]+)*)?", unit.suffix)


def test_suffixes_tell_units_apart() -> None:
    suffixes = [unit.suffix for unit in Unit if unit.suffix]
    assert len(suffixes) == len(set(suffixes))


def test_no_suffix_hides_in_another() -> None:
    suffixes = [unit.suffix for unit in Unit if unit.suffix]
    assert not [(a, b) for a in suffixes for b in suffixes if a != b and b.endswith("_" + a)]


def test_no_unit_is_an_alias_of_another() -> None:
    assert len(Unit) == len(Unit.__members__)


@pytest.mark.parametrize("unit", [unit for unit in Unit if unit.suffix])
def test_a_unit_with_a_suffix_has_a_symbol(unit: Unit) -> None:
    assert unit.symbol


def test_watt_reads_as_people_write_it() -> None:
    assert (Unit.WATT.suffix, Unit.WATT.symbol) == ("w", "W")
    assert (Unit.CELSIUS.suffix, Unit.CELSIUS.symbol) == ("degc", "°C")
