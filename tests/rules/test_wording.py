"""Texts with names in braces: filled with what is known, and nothing but plain names is followed."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from rules.language import RuleTextError
from rules.wording import filled, placeholders


def test_names_are_filled_in_and_what_is_not_known_is_a_question_mark() -> None:
    values = {"power_w": 41.23456, "energy_wh": 123456.0, "driver_model": "X{y}", "level": float("nan"), "starts": 3}
    text = "{power_w} W, {energy_wh} Wh, {driver_model}, {level} %, {starts}, {missing}, {{a}}"
    assert filled(text, values) == "41.23 W, 123456 Wh, X{y}, ? %, 3, ?, {a}"


def test_flags_and_lists_read_as_words() -> None:
    assert filled("{flags} {none}", {"flags": ["gear_failure", "supply_overvoltage"], "none": []}) == (
        "gear_failure, supply_overvoltage ?"
    )


def test_placeholders_are_told_once_each_in_order() -> None:
    assert placeholders("{power_w} {label} {power_w} {{no}}") == ("power_w", "label")


@pytest.mark.parametrize(
    "text", ["{a.b}", "{a[0]}", "{a!r}", "{a:9999999}", "{}", "{0}", "{A}", "{", "}", "{a", "{ a }"]
)
def test_anything_but_a_plain_name_is_refused(text: str) -> None:
    with pytest.raises(RuleTextError):
        placeholders(text)
    with pytest.raises(RuleTextError):
        filled(text, {"a": 1})


@given(st.text(alphabet="ab_{}.[]!:0 é", max_size=30))
def test_any_text_is_refused_or_filled(text: str) -> None:
    try:
        named = placeholders(text)
    except RuleTextError:
        return
    assert filled(text, dict.fromkeys(named, "x")).count("?") == text.count("?")
