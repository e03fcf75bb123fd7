"""Every wrong text is refused with its place, what was found there and what was expected."""

import numpy as np
import pytest

from kraj.errors import KrajError
from kraj.kinds import CABINET, LAMP
from kraj.metrics import Title
from kraj.units import Unit
from rules.language import RuleTextError, compile_condition, compile_number, symbols
from rules.language.lexer import TEXT_MAX, TOKENS_MAX
from rules.language.parser import NESTING_MAX
from rules.layer import Form, Input, Layer

TITLE = Title(cs="Věc", en="Thing")


def zeros(layer: Layer) -> np.ndarray:
    return np.zeros(len(layer))


INPUTS = (
    Input("expected_power_w", Unit.WATT, TITLE, zeros),
    Input("settled", Unit.NONE, TITLE, zeros, Form.FLAG),
)
NAMES = symbols(LAMP, INPUTS, ["power_share"])


def refusal(text: str) -> RuleTextError:
    with pytest.raises(RuleTextError) as caught:
        compile_condition(text, NAMES)
    assert isinstance(caught.value, KrajError)
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("powr_w < 3", 1, "unknown name 'powr_w'.*did you mean 'power_w'"),
        ("power_w < voltage_v", 11, r"V \(voltage_v\), expected W as power_w"),
        ("power_w < 3 V", 11, r"V \(3 V\), expected W as power_w"),
        ("power_w / 0 > 1", 11, "a division by 0"),
        ("power_w / (2 - 2) > 1", 12, "a division by 0"),
        ("power_w / 0.0e5 > 1", 11, "a division by 0"),
        ("power_w / -0 > 1", 11, "a division by 0"),
        ("power_w", 1, "power_w in W, expected a condition; compare it"),
        ("power_w + 3 and settled", 1, r"expected a condition"),
        ("level_reason", 1, 'compare it with one of its words: level_reason == "emergency"'),
        ("failure_flags", 1, 'name a bit of it: failure_flags has "gear_failure"'),
        ("3", 1, "3, a number, expected a condition"),
        ('"manual"', 1, "the word 'manual', expected a condition"),
        ("power_w > 3 > settled", 11, "comparison of the flag settled"),
        ("1 < 2", 1, "two constants"),
        ("settled and 1 < 2", 13, "two constants"),
        ("known(3) and settled", 7, "expected a name or a calculation"),
        ("settled == 1", 1, "comparison of the flag settled.*write settled or not settled"),
        ("settled > power_w", 1, "comparison of the flag settled"),
        ("failure_flags == 1", 1, 'the flags failure_flags.*has "gear_failure"'),
        ('level_reason == "manul"', 17, "'manul' for level_reason.*did you mean 'manual'"),
        ("level_reason == manual", 17, "unknown name 'manual'"),
        ("level_reason == 2", 17, "expected one of its words.*words stand in quotes"),
        ("level_reason == level_reason", 17, "expected one of its words"),
        ('level_reason < "manual"', 1, "'<' with the state level_reason, expected == or !="),
        ("level_reason + 1 > 2", 1, "the state level_reason, expected a number"),
        ("settled + 1 > 2", 1, "the flag settled, expected a number"),
        ("failure_flags * 2 > 2", 1, "the flags failure_flags, expected a number"),
        ("(power_w > 3) + 1 > 2", 2, "the condition 'power_w > 3', expected a number"),
        ("(power_w > 3) == (power_w > 4)", 2, "the condition"),
        ('power_w == "manual"', 12, "the word 'manual'"),
        ('failure_flags has "gear_failur"', 19, "'gear_failur' for failure_flags.*did you mean 'gear_failure'"),
        ("failure_flags has gear_failure", 19, "unknown name"),
        ("failure_flags has 1", 19, "expected one of its bits"),
        ('power_w has "gear_failure"', 1, "expected a metric with flag bits"),
        ('level_reason has "manual"', 1, "expected a metric with flag bits"),
        ("207 < voltage_v < 253 < 300", 23, "a second '<'.*only a span may be chained"),
        ("207 < voltage_v > 100", 17, "a second '>'"),
        ("voltage_v == 230 == 230", 18, "a second '=='"),
        ("power_w = 3", 9, "equality is written =="),
        ("power_w ≤ 3", 9, "write <="),
        ("power_w > 3 && settled", 13, "write and"),
        ("!settled", 1, "write not"),
        ("power_w > 0,5", 12, "a decimal number is written with a point"),
        ("power_w > .5", 11, "a number begins with a digit"),
        ("power_w > 3 wats", 13, "'wats', expected a unit"),
        ("power_w > 3 voltage_v", 13, "expected a unit or a sign"),
        ("power_w > 1e99", 11, "expected 0, or a number from 1e-15 to 1e\\+15"),
        ("power_w > 1e-99", 11, "expected 0, or a number"),
        ("power_w > 3 AND settled", 13, "'AND', expected a unit|write and in small letters"),
        ("settled AND settled", 9, "write and in small letters"),
        ("settled == true", 12, "unknown name 'true'.*a flag stands alone"),
        ("(power_w > 3", 13, r"the end, expected the \) that closes column 1"),
        ("power_w > 3)", 12, "this parenthesis was never opened"),
        ("settled and", 12, "the end, expected a name or a number"),
        ("", 1, "the end"),
        ("   ", 4, "the end"),
        ("settled settled", 9, "'settled', expected a sign"),
        ("settled not settled", 9, "'not'"),
        ("power_w > not settled", 11, "put not before the whole comparison"),
        ("max(power_w) > 3", 1, "1 arguments of max, expected 2 to 20.*as in max"),
        ("clip(power_w, 3) > 3", 1, "2 arguments of clip, expected 3"),
        ("max() > 3", 5, r"'\)', expected a name or a number"),
        ("maxx(power_w, 3) > 3", 1, "unknown function 'maxx'.*did you mean 'max'"),
        ("power_w(3) > 3", 1, "unknown function 'power_w'"),
        ("max > 3", 1, r"a function takes its arguments in parentheses: max\(…\)"),
        ("known(power_w, 3)", 1, "2 arguments of known"),
        ('level_reason == "manual', 17, "a quote that is not closed"),
        ("power_w ** 2 > 3", 10, r"'\*', expected a name or a number"),
        ("power_w ^ 2 > 3", 9, "there are no powers"),
        ("power_w > 3; settled", 12, "a text is one condition"),
        ("power_w > 3 # why", 13, "comments belong beside the text"),
    ],
)
def test_a_wrong_text_is_told_where_and_how(text: str, column: int, says: str) -> None:
    error = refusal(text)
    assert (error.line, error.column) == (1, column)
    first, picture, mark = str(error).split("\n")
    assert first.startswith(f"line 1, column {column}: found ")
    assert picture[4:] == text
    assert mark == " " * (4 + column - 1) + "^"
    with pytest.raises(RuleTextError, match=says):
        compile_condition(text, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id') > 1",
        "__import__('os')",
        "power_w.__class__ > 1",
        "power_w[0] > 1",
        "lambda: 1",
        "(lambda x: x)(power_w) > 3",
        "[x for x in power_w] > 3",
        "{power_w} > 3",
        "eval('1') > power_w",
        "exec('1')",
        "open('/etc/passwd') > 3",
        "power_w if settled else 3",
        "power_w := 3",
        "f'{power_w}' == 'a'",
        "power_w @ power_w > 3",
        "power_w is 3",
        "power_w in (1, 2)",
        "*power_w > 3",
        "power_w > 3\\n",
        "power_w > 0x10",
        "power_w > 1_000",
        "power_w > 1j",
        "power_w // 2 > 1",
        "power_w % 2 > 1",
        "settled & settled",
        "~settled",
        "`id`",
        "$HOME > 3",
        "power_w > 3 @",
        "None == power_w",
        "await power_w",
        "yield",
        "import os",
        "\N{FULLWIDTH LATIN SMALL LETTER P}ower_w > 3",
        "power_w > \N{ARABIC-INDIC DIGIT THREE}",
        "power_w > 3\0",
        "power_w\N{NO-BREAK SPACE}> 3",
        "power_w > 3 \N{RIGHT-TO-LEFT OVERRIDE}",
    ],
)
def test_there_is_no_way_to_python(text: str) -> None:
    refusal(text)


def test_errors_count_lines_within_a_text_of_several() -> None:
    error = refusal("power_w > 3\n  and voltag_v < 3")
    assert (error.line, error.column) == (2, 7)
    assert str(error).endswith("\n      and voltag_v < 3\n          ^")


def test_a_long_line_is_shown_around_the_error_only() -> None:
    error = refusal(" and ".join(["settled"] * 60 + ["setled"]))
    picture, mark = str(error).split("\n")[1:]
    assert len(picture) <= 4 + 100
    assert picture[mark.index("^") :].startswith("setled")


def test_an_error_is_told_from_outside_by_file_rule_and_key() -> None:
    error = refusal("powr_w < 3").within("when").within("lamp.toml: lamp_out")
    assert str(error).startswith("lamp.toml: lamp_out: when: line 1, column 1: found unknown name 'powr_w'")
    assert (error.line, error.column) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1000,
        "(" * (NESTING_MAX + 1) + "settled" + ")" * (NESTING_MAX + 1),
        "not " * 240 + "settled",
        "power_w > " + "-" * 240 + "3",
        "power_w > " + "abs(" * 100 + "3" + ")" * 100,
        "power_w > " + "1 + " * TOKENS_MAX + "1",
        "settled and " * TOKENS_MAX + "settled",
        "x" * 500,
        "settled" + " " * TEXT_MAX,
        "power_w > " + "9" * 1000,
        "power_w > 1" + "0" * 41,
        "max(" + ", ".join(["power_w"] * 30) + ") > 3",
    ],
)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    refusal(text)


def test_what_is_just_within_the_bounds_works_even_deep_in_a_stack() -> None:
    deep = "(" * NESTING_MAX + "settled" + ")" * NESTING_MAX
    long = "power_w" + " + power_w" * (TOKENS_MAX // 2 - 2) + " > 3"
    mixed = "power_w" + " * (power_w / 3 - (3" * 20 + "))" * 20 + " > 3 W"

    def below(levels: int) -> int:
        if levels:
            return below(levels - 1)
        held = compile_condition(deep, NAMES).evaluate(lambda _: np.ones(3)).sum()
        held += compile_condition(long, NAMES).evaluate(lambda _: np.ones(3)).sum()
        with pytest.raises(RuleTextError):
            compile_condition(mixed, NAMES)
        return int(held)

    assert below(200) == 6


def test_dividing_by_a_zero_that_only_shows_later_is_unknown() -> None:
    compiled = compile_condition("expected_power_w / power_w > 1", NAMES)
    values = {"expected_power_w": np.array([1.0, 0.0, 4.0]), "power_w": np.array([0.0, -0.0, 2.0])}
    assert compiled.evaluate(values.__getitem__).tolist() == [False, False, True]
    assert compiled.refute(values.__getitem__).tolist() == [False, False, False]


def test_names_are_known_in_order_of_appearance() -> None:
    compiled = compile_condition("settled and power_w < power_share * expected_power_w or power_w > 3", NAMES)
    assert compiled.ordered == ("settled", "power_w", "power_share", "expected_power_w")
    assert compiled.names == {"settled", "power_w", "power_share", "expected_power_w"}
    assert compile_number("3 W", NAMES, Unit.WATT).names == frozenset()


def test_a_constant_number_has_one_value() -> None:
    assert compile_number("60 W", NAMES, Unit.WATT).evaluate(lambda _: np.zeros(0)).tolist() == 60


def test_what_is_constant_by_a_threshold_still_answers_for_every_row() -> None:
    table = symbols(LAMP, (), ["power_share"])
    column = {"power_share": np.full(3, 0.2), "power_w": np.ones(3)}.__getitem__
    for text, answer in {
        "power_share > 0.1": True,
        "power_share > 0.3": False,
        "power_share > 0.1 and power_w > 0": True,
        "power_share > 0.3 or power_w > 3": False,
        "1 / (power_share - power_share) > 3": None,
        "known(power_share)": True,
        "known(1 / (power_share * 0))": False,
    }.items():
        compiled = compile_condition(text, table, {"power_share": 0.2})
        assert compiled.evaluate(column).tolist() == [answer is True] * 3
        assert compiled.refute(column).tolist() == [answer is False] * 3


def test_the_table_of_a_kind_has_metrics_inputs_attributes_and_thresholds() -> None:
    table = symbols(LAMP, INPUTS, ["voltage_min_v", "power_w"])
    assert table["level_reason"].states[0] == "emergency"
    assert table["failure_flags"].bits[0] == "gear_failure"
    assert table["settled"].form is Form.FLAG
    assert table["crossing"].form is Form.FLAG
    assert table["power_rated_w"].unit is Unit.WATT
    assert table["voltage_min_v"].unit is Unit.VOLT
    assert table["power_w"].unit is Unit.WATT
    assert "driver_model" not in table
    assert symbols(CABINET, ())["door_open"].form is Form.FLAG


def test_without_a_reading_there_are_no_metrics() -> None:
    table = symbols(LAMP, INPUTS, metrics=False)
    assert "power_w" not in table
    assert "settled" in table
    assert "power_rated_w" in table
