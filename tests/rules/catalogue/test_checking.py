"""Rules against what their kinds have: every text compiled, every name known, every threshold used."""

import re

import numpy as np
import pytest

from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.catalogue import RuleTextError, check, load, parse, with_overrides
from rules.correlation import causes
from rules.inputs import Seam
from rules.layer import Form, Input, Layer
from rules.rule import Rule

TITLE = Title(cs="Věc", en="Thing")


def zeros(layer: Layer) -> Floats:
    return np.zeros(len(layer))


def seam_of(kind: str) -> Seam:
    """A kind with a few inputs of its own, so that these tests do not depend on which there are."""
    return Seam(
        kind=KINDS[kind],
        inputs=(
            Input("expected_power_w", Unit.WATT, TITLE, zeros),
            Input("silent_s", Unit.SECOND, TITLE, zeros),
            Input("settled", Unit.NONE, TITLE, zeros, Form.FLAG),
            Input("clock_ok", Unit.NONE, TITLE, zeros, Form.FLAG),
        ),
        day_inputs=(Input("starts_night", Unit.COUNT, TITLE, zeros), Input("missing_w", Unit.WATT, TITLE, zeros)),
    )


def rule(when: str, *more: str, kind: str = '"lamp"') -> Rule:
    lines = ["[dim]", f"kind = {kind}", f"when = '''\n{when}'''", 'severity = "minor"', *more]
    if not any(line.startswith("title") for line in more):
        lines.append('title = "Slabé"')
    (read,) = parse("\n".join(lines), "a.toml")
    return read


@pytest.mark.parametrize(
    "read",
    [
        rule("power_w < 3 W"),
        rule("power_w < 0.2 * expected_power_w", 'loses = "expected_power_w - power_w"'),
        rule("power_w < power_min_w and crossing"),
        rule("silent_s > silent_max_s", 'per = "time"', "thresholds = { silent_max_s = 900 }"),
        rule("starts_night >= 3", 'per = "night"', 'loses = "missing_w"'),
        rule("power_w < 3", kind='["lamp", "cabinet"]'),
        rule("power_w < 3", 'title = "{label}: {power_w} W, {driver_model}, {street}, {{}}"'),
        rule("voltage_v < a_v", 'clear_when = "voltage_v > b_v"', "thresholds = { a_v = 1, b_v = 2 }"),
    ],
)
def test_a_right_rule_passes(read: Rule) -> None:
    check(read, seam_of)


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (rule("powr_w < 3"), "dim.when: line 1, column 1: found unknown name 'powr_w'.*did you mean 'power_w'"),
        (rule("\npower_w < 3 V"), r"dim.when: line 2, column 11: found V \(3 V\), expected W as power_w"),
        (rule("power_w < 3", 'clear_when = "power_w"'), "dim.clear_when: line 1, column 1"),
        (rule("power_w < 3", 'critical_when = "power_w / 0 > 3"'), "dim.critical_when: .* a division by 0"),
        (rule("power_w < 3", 'loses = "voltage_v"'), "dim.loses: .*expected a number in W"),
        (rule("battery_soc_pct < 3"), "stop has it, lamp has not"),
        (rule("power_w < 3", 'per = "time"'), "metrics come with readings; a rule per time has derived values"),
        (rule("power_w < 3", 'per = "night"'), "metrics come with readings; a rule per night has aggregates"),
        (rule("starts_night > 3"), "unknown name 'starts_night'"),
        (rule("starts_night > 3", 'per = "day"', 'loses = "starts_night"'), "dim.loses: .*a number in W"),
        (rule("driver_model > 3"), "it is a text; conditions are about numbers"),
        (
            rule("voltage_v < 3", kind='["lamp", "cabinet"]'),
            "dim.when on cabinet: line 1.*lamp has it, cabinet has not",
        ),
        (
            rule("power_w < 3", "thresholds = { a_w = 3 }"),
            "dim.thresholds: found the threshold a_w, expected a condition",
        ),
        (rule("power_w < a_v", "thresholds = { a_v = 3 }"), r"found V \(a_v\), expected W"),
        (
            rule("power_w < 3", "thresholds = { voltage_v = 3 }"),
            "threshold voltage_v, expected a name that means nothing",
        ),
        (rule("power_w < 3", "thresholds = { settled = 3 }"), "the threshold settled, expected a name"),
        (rule("power_w < 3", 'guards = ["setled"]'), "dim.guards: found 'setled'.*did you mean 'settled'"),
        (rule("power_w < 3", 'guards = ["power_w"]'), "dim.guards: found 'power_w', expected flags"),
        (
            rule("power_w < 3", 'bring = "{powr_w}"'),
            r"dim.bring.cs: found '\{powr_w\}', expected a name in when.*'power_w'",
        ),
        (rule("power_w < 3", 'bring = "{voltage_v}"'), "bring.cs: found .*only what when speaks of is evidence"),
        (
            rule("power_w < 3", 'symptom = { cs = "a", en = "{power_w.real}" }'),
            "dim.symptom.en: found '{power_w.real'",
        ),
        (rule("power_w < 3", 'symptom = "{power_w!r}"'), "expected a plain name in braces"),
        (rule("power_w < 3", 'symptom = "{power_w:9999}"'), "expected a plain name in braces"),
        (rule("power_w < 3", 'symptom = "{power_w[0]}"'), "expected a plain name in braces"),
        (rule("power_w < 3", 'symptom = "{}"'), "expected a plain name in braces"),
        (rule("power_w < 3", 'symptom = "{0}"'), "expected a plain name in braces"),
        (rule("power_w < 3", 'explained_by = ["feeder_outag"]'), "dim.explained_by: .*did you mean 'feeder_outage'"),
        (rule("power_w < 3", 'symptom = "{power_w"'), "braces that do not fit"),
    ],
)
def test_a_wrong_rule_is_told_by_rule_key_and_place(read: Rule, says: str) -> None:
    with pytest.raises(RuleTextError) as caught:
        check(read, seam_of, causes=["feeder_outage"], where="a.toml")
    told = str(caught.value)
    assert told.startswith("a.toml: dim")
    assert re.search(says, told), told


@pytest.mark.parametrize("read", load(), ids=lambda read: read.name)
def test_every_rule_of_the_catalogue_can_be_judged_on_its_kinds(read: Rule) -> None:
    check(read, causes=[*(cause.name for cause in causes.load()), *(other.name for other in load())])
    assert read.title.cs != read.title.en or read.title.cs.isascii()
    assert read.source, "where its thresholds come from"


class TestOverrides:
    READ = rule("voltage_v < voltage_min_v", "thresholds = { voltage_min_v = 180 }")

    def test_a_threshold_is_put_in_its_place(self) -> None:
        assert with_overrides(self.READ, {"voltage_min_v": 200}).thresholds == {"voltage_min_v": 200.0}
        assert self.READ.thresholds == {"voltage_min_v": 180.0}
        assert with_overrides(self.READ, {}) == self.READ

    @pytest.mark.parametrize(
        ("thresholds", "says"),
        [
            (
                {"voltag_min_v": 3},
                r"dim: found unknown threshold 'voltag_min_v', expected .*\(voltage_min_v\); did you",
            ),
            ({"voltage_min_v": "3"}, "dim: voltage_min_v: found '3', expected a number"),
            ({"voltage_min_v": True}, "found true"),
            ({"voltage_min_v": float("nan")}, "expected a number within"),
            ({"voltage_min_v": float("inf")}, "expected a number within"),
            ({"voltage_min_v": None}, "expected a number without quotes"),
            ({"voltage_min_v": 10**400}, "an enormous number"),
        ],
    )
    def test_what_the_rule_lacks_or_what_is_no_number_is_refused(
        self, thresholds: dict[str, object], says: str
    ) -> None:
        with pytest.raises(RuleTextError, match=says):
            with_overrides(self.READ, thresholds)

    def test_a_rule_without_thresholds_says_so(self) -> None:
        with pytest.raises(RuleTextError, match=r"a threshold that this rule has \(none\)"):
            with_overrides(rule("power_w < 3"), {"power_min_w": 3})
