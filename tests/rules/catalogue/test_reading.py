"""Rules in TOML: read as they are meant, and refused with file, rule and key where they are not."""

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from kraj.alerts import Severity
from kraj.metrics import Title
from rules.catalogue import RuleTextError, load, parse
from rules.catalogue.reading import FILE_MAX
from rules.rule import Per, Rule

LAMP_OUT = """
[lamp_out]
kind = "lamp"
when = "level_commanded_pct >= 10 and voltage_v >= voltage_min_v and power_w < 3 W"
for = "10 min"
clear_when = "power_w > 10 W"
clear_for = "1.5 h"
severity = "major"
critical_when = "crossing"
thresholds = { voltage_min_v = 180 }
loses = "power_w"
explained_by = ["feeder_outage"]
title = { cs = "Svítidlo nesvítí", en = "Lamp is out" }
symptom = { cs = "Příkon {power_w} W", en = "Power {power_w} W" }
bring = { cs = "Předřadník {driver_model}", en = "Driver {driver_model}" }
source = "lighting.md"
"""
SHORTEST = """
[dim]
kind = ["lamp", "cabinet"]
when = "power_w < 3"
severity = "minor"
title = "Slabé"
"""
KEYS = 'kind = "lamp"\nwhen = "power_w < 3 W"\nseverity = "minor"\ntitle = "Slabé"\n'


def only(text: str) -> Rule:
    (rule,) = parse(text, "a.toml")
    return rule


def refusal(text: str) -> str:
    with pytest.raises(RuleTextError) as caught:
        parse(text, "a.toml")
    return str(caught.value)


def test_every_key_is_read() -> None:
    assert only(LAMP_OUT) == Rule(
        name="lamp_out",
        kinds=("lamp",),
        per=Per.READING,
        when="level_commanded_pct >= 10 and voltage_v >= voltage_min_v and power_w < 3 W",
        for_s=600,
        clear_when="power_w > 10 W",
        clear_for_s=5400,
        severity=Severity.MAJOR,
        critical_when="crossing",
        guards=("clock_ok", "settled"),
        thresholds={"voltage_min_v": 180.0},
        loses="power_w",
        explained_by=("feeder_outage",),
        title=Title(cs="Svítidlo nesvítí", en="Lamp is out"),
        symptom=Title(cs="Příkon {power_w} W", en="Power {power_w} W"),
        bring=Title(cs="Předřadník {driver_model}", en="Driver {driver_model}"),
        source="lighting.md",
    )


def test_the_shortest_rule_says_nothing_of_what_can_be_assumed() -> None:
    rule = only(SHORTEST)
    assert rule.per is Per.READING
    assert rule.kinds == ("lamp", "cabinet")
    assert rule.severity is Severity.MINOR
    assert rule.title == rule.symptom == Title(cs="Slabé", en="Slabé")
    assert rule.of == (1, 1)
    assert (rule.for_s, rule.clear_for_s, rule.hidden, rule.bring) == (0, 0, False, None)
    assert rule.guards == ("clock_ok",), "what all of its kinds are guarded by"


def test_guards_may_be_taken_away() -> None:
    assert only(f"[dim]\n{KEYS}guards = []").guards == ()
    assert only(f"[dim]\n{KEYS}per = 'time'").guards == ()
    assert only(f"[dim]\n{KEYS}per = 'night'\nof = '2 of 3'").of == (2, 3)


@pytest.mark.parametrize(
    ("written", "seconds"), [("30 s", 30), ("10 min", 600), ("2 h", 7200), ("1 d", 86_400), ("0.5h", 1800)]
)
def test_durations(written: str, seconds: float) -> None:
    assert only(f'[dim]\n{KEYS}for = "{written}"').for_s == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a.toml: found no rule"),
        ("[dim]\nkind = lamp", r"a\.toml: found no TOML \(.*line 2, column 8\)"),
        ("dim = 3", "a.toml: dim: found the number 3, expected a rule"),
        ('when = "power_w < 3"', r"a rule begins with its name: \[name_of_rule\]"),
        (f"[Dim]\n{KEYS}", "a.toml: found 'Dim', expected a name of 2 to 48 small letters"),
        (f"[dim]\n{KEYS}wen = 3", "a.toml: dim: found unknown key 'wen', expected one of .*did you mean 'when'"),
        (f'[dim]\n{KEYS}clear_wen = "x"', "did you mean 'clear_when'"),
        (f"[dim]\n{KEYS}name = 'x'", "unknown key 'name'"),
        ("[dim]\nkind = 'lamp'", "a.toml: dim: found no key 'when'"),
        (KEYS and f"[dim]\n{KEYS}for = 10", "a.toml: dim.for: found the number 10, expected a duration"),
        (f"[dim]\n{KEYS}for = '10'", "dim.for: found '10', expected a duration: \"30 s\""),
        (f"[dim]\n{KEYS}for = '10 minut'", "dim.for: found '10 minut'"),
        (f"[dim]\n{KEYS}for = '-10 min'", "dim.for: found '-10 min'"),
        (f"[dim]\n{KEYS}for = '40 d'", "dim.for: found '40 d', expected at most 31 d"),
        (f"[dim]\n{KEYS}for = 07:32:00", "dim.for: found a date or time"),
        (f"[dim]\n{KEYS}hidden = 1", "dim.hidden: found the number 1, expected true or false"),
        (f"[dim]\n{KEYS}hidden = 'true'", "dim.hidden: found 'true', expected true or false, without quotes"),
        (f"[dim]\n{KEYS}guards = 'clock_ok'", "dim.guards: found 'clock_ok', expected a list of names"),
        (f"[dim]\n{KEYS}guards = ['clock_ok', 'clock_ok']", "dim.guards: found 'clock_ok' twice"),
        (f"[dim]\n{KEYS}guards = ['a b']", "dim.guards: found 'a b', expected a name"),
        (f"[dim]\n{KEYS}guards = {['g' * 3 + str(i) for i in range(20)]}", "dim.guards: found a list of 20"),
        (f"[dim]\n{KEYS}thresholds = 3", "dim.thresholds: found the number 3, expected a table"),
        (f"[dim]\n{KEYS}thresholds = {{ a_w = '3 W' }}", "dim.thresholds: a_w: found '3 W', expected a number"),
        (f"[dim]\n{KEYS}thresholds = {{ a_w = nan }}", "dim.thresholds: a_w: found an enormous number"),
        (f"[dim]\n{KEYS}thresholds = {{ a_w = true }}", "dim.thresholds: a_w: found true"),
        (f"[dim]\n{KEYS}thresholds = {{ a_w = 1{'0' * 400} }}", "dim.thresholds: a_w: found an enormous number"),
        (f"[dim]\n{KEYS}thresholds = {{ max = 3 }}", "dim.thresholds: found the name 'max'"),
        (f"[dim]\n{KEYS}thresholds = {{ 'a b' = 3 }}", "dim.thresholds: found the name 'a b'"),
        (f"[dim]\n{KEYS}of = '2 of 3'", 'dim.of: found days in a rule per reading.*for = "10 min"'),
        (f"[dim]\n{KEYS}per = 'night'\nof = '3 of 2'", "dim.of: found '3 of 2'"),
        (f"[dim]\n{KEYS}per = 'night'\nof = '0 of 2'", "dim.of: found '0 of 2'"),
        (
            f"[dim]\n{KEYS}per = 'night'\nof = '2 z 3'",
            "dim.of: found '2 z 3', expected how many of how many: \"2 of 3\"",
        ),
        (f"[dim]\n{KEYS}per = 'night'\nfor = '10 min'", "dim.for: found a duration in a rule per night"),
        (f"[dim]\n{KEYS}per = 'nigh'", "dim.per: found 'nigh', expected one of .*did you mean 'night'"),
        (f"[dim]\n{KEYS}bring = {{ cs = 'x' }}", "dim.bring: found a table, expected a text, or"),
        (f"[dim]\n{KEYS}bring = {{ cs = 'x', en = 'x', de = 'x' }}", "dim.bring: found a table"),
        (f"[dim]\n{KEYS}bring = {{ cs = 'x', en = 3 }}", "dim.bring: found the number 3, expected a text"),
        (
            f"[dim]\n{KEYS}quick = true",
            'dim.quick: found quick in a rule per reading, expected quick only with per = "time"',
        ),
        (f"[dim]\n{KEYS}bring = ''", "dim.bring: found '', expected a text"),
        (f"[dim]\n{KEYS}bring = '{'x' * 700}'", "dim.bring: found a text of 700 characters, expected at most 600"),
        (f"[dim]\n{KEYS}".replace('"lamp"', '"lampa"'), "dim.kind: found 'lampa', expected .*did you mean 'lamp'"),
        (f"[dim]\n{KEYS}".replace('"lamp"', "[]"), "dim.kind: found a list of 0"),
        (f"[dim]\n{KEYS}".replace('"lamp"', '["lamp", "lamp"]'), "dim.kind: found 'lamp' twice"),
        (f"[dim]\n{KEYS}".replace('"minor"', '"minr"'), "dim.severity: found 'minr'.*did you mean 'minor'"),
        (f"[dim]\n{KEYS}".replace('"power_w < 3 W"', "3"), "dim.when: found the number 3, expected a text"),
        (f"[dim]\n{KEYS}" + "x" * FILE_MAX, "characters, expected at most"),
        ("a = " + "[" * 5000, "lists within lists|no TOML"),
        ("a = " + "9" * 5000, "no TOML"),
        ("".join(f"[r{i:03}]\n{KEYS}" for i in range(201)), "found 201 rules, expected at most 200"),
        (f"[dim]\n{KEYS}[dim]\n{KEYS}", "no TOML.*line 6"),
    ],
)
def test_what_is_wrong_is_told_by_file_rule_and_key(text: str, says: str) -> None:
    told = refusal(text)
    assert told.startswith("a.toml: ")
    assert re.search(says, told), told


def test_the_catalogue_is_read_and_names_are_unique() -> None:
    rules = load()
    assert len({rule.name for rule in rules}) == len(rules) > 20
    assert {kind for rule in rules for kind in rule.kinds} >= {"lamp", "cabinet", "stop"}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    tried(content.decode("latin-1"))


PIECES = [
    *["[", "]", "{", "}", '"', "'", "=", "\n", "\\", ",", "#", "3", "-1", "1e400", "nan", "true", "1979-05-27", "'''"],
    *["per = 'night'\n", "of = '2 of 3'\n", "for = '1 h'\n", "thresholds = { a_w = 3 }\n", "when = 3\n", "\u0000"],
]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([LAMP_OUT, SHORTEST]), st.data())
def test_any_damaged_rule_is_refused_or_read(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 20)))
        text = text[:begin] + data.draw(st.sampled_from(PIECES)) + text[end:]
    tried(text)


def tried(text: str) -> None:
    refused = None
    try:
        rules = parse(text, "a.toml")
    except RuleTextError as error:
        refused = str(error)
    else:
        assert rules
    assert refused is None or refused.startswith("a.toml: ")
