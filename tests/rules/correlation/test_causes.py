"""Causes as data: what is refused, and that they and the catalogue speak of the same things."""

import re

import pytest

from kraj.errors import ConfigurationError
from rules import catalogue
from rules.catalogue import names_of
from rules.correlation import load
from rules.correlation.causes import parse
from rules.correlation.losses import together
from rules.correlation.power import dead_phases
from rules.correlation.records import CIRCUIT_RESTS
from rules.wording import placeholders

GOOD = """
[storm]
group = "feeder"
kinds = ["lamp"]
symptoms = ["lamp_dark"]
count = 3
severity = "minor"
title = { cs = "Bouřka", en = "Storm" }
symptom = { cs = "Bouřka u {name}", en = "Storm at {name}" }
"""
TOLD = {"name", "lost", "members", "phases", "last_gasps", "assets", "verdict"}
"""What the evidence of a cause may hold."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[storm", "x.toml: "),
        ("storm = 3", "x.toml: storm: a cause is a table"),
        (GOOD + 'windows = "5 min"', "unknown key 'windows'"),
        (GOOD.replace("count = 3\n", ""), "storm: 'count' is missing"),
        (GOOD.replace('"feeder"', '"street"'), "storm.group: 'street'; one of feeder"),
        (GOOD.replace('"lamp"]', '"lampion"]'), "storm.kinds: 'lampion'; of lamp"),
        (GOOD.replace("count = 3", "count = 0"), "count is at least 1"),
        (GOOD + "share = 1.5", "share and back are between 0 and 1"),
        (GOOD + 'window = "5 minutes"', "storm.window: '5 minutes'; write it like"),
        (GOOD + 'silence = ["day_burner"]', "storm.silence: 'day_burner' is none of its symptoms"),
        (GOOD + 'explained_by = ["rain"]', "storm.explained_by: unknown cause 'rain'"),
        (GOOD + 'explained_by = ["storm"]', "in a circle"),
        (GOOD + 'follows = ["storm"]', "storm.follows: only causes that explain it"),
        (GOOD.replace('"minor"', '"bad"'), "storm: 'bad' is not a valid Severity"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse(text, "x.toml")


def test_causes_that_explain_others_come_first() -> None:
    causes = load()
    order = [cause.name for cause in causes]
    assert all(order.index(above) < order.index(cause.name) for cause in causes for above in cause.explained_by)


def test_shares_are_not_off_by_one_for_rounding() -> None:
    (cause,) = parse(GOOD + "share = 0.2\nback = 0.8", "x.toml")
    assert [cause.needs(n) for n in (5, 15, 16, 30, 35)] == [3, 3, 4, 6, 7]
    assert [cause.over(1, n) for n in (4, 5, 6)] == [False, True, True]


def test_every_symptom_and_proof_of_a_cause_is_a_rule_of_one_of_its_kinds() -> None:
    rules = {rule.name: rule for rule in catalogue.load()}
    for cause in load():
        for name in cause.symptoms:
            assert name in rules, f"{cause.name} counts {name}, which is no rule"
            assert set(rules[name].kinds) & set(cause.kinds), f"{cause.name} counts {name} on other kinds"
        unknown = {*cause.proofs, cause.seconded_by or "lamp_dark"} - rules.keys()
        assert not unknown, f"{cause.name} names {unknown}, which are no rules"


def test_every_rule_is_explained_by_causes_or_rules_that_exist() -> None:
    rules = {rule.name for rule in catalogue.load()}
    causes = {cause.name for cause in load()}
    unknown = [(r.name, name) for r in catalogue.load() for name in r.explained_by if name not in rules | causes]
    assert unknown == []
    assert rules & causes == set()


def test_the_voltages_that_name_dead_phases_are_part_of_the_evidence() -> None:
    rules = {rule.name: rule for rule in catalogue.load()}
    assert all(f"l{n}_voltage_v" in rules["phase_dark"].when for n in (1, 2, 3))


def test_every_hidden_rule_feeds_a_cause() -> None:
    feeding = {CIRCUIT_RESTS}.union(*(cause.symptoms | cause.proofs for cause in load()))
    alone = {"silent_downtime"}  # told to the KPIs, not to correlation
    assert {rule.name for rule in catalogue.load() if rule.hidden} - feeding <= alone


def test_texts_name_only_what_evidence_holds() -> None:
    for cause in load():
        for title in (cause.title, cause.symptom, cause.bring):
            for text in (title.cs, title.en) if title else ():
                assert set(placeholders(text)) <= TOLD, f"{cause.name}: {text}"


def test_last_gasps_are_part_of_the_evidence_too() -> None:
    rules = {rule.name: rule for rule in catalogue.load()}
    for name, kind in (("lamp_dark", "lamp"), ("cabinet_dark", "cabinet")):
        assert "supply_gone" in rules[name].when
        assert "supply_gone" in names_of(rules[name], kind)


@pytest.mark.parametrize(
    ("began", "needed", "expected"),
    [
        ([], 1, None),
        ([5], 1, 5),
        ([0, 20, 25, 30], 3, 20),
        ([0, 11, 22], 2, None),
        ([30, 0, 10], 2, 0),
        ([1, 1, 1], 3, 1),
    ],
)
def test_together_is_the_first_window_that_holds_enough(began: list[int], needed: int, expected: int | None) -> None:
    assert together(began, needed, 10) == expected


def test_phases_are_dead_by_their_voltages_and_unknown_without() -> None:
    assert dead_phases({"l1_voltage_v": 0.4, "l2_voltage_v": None, "l3_voltage_v": 231}) == {1}
    assert dead_phases({"phases_dead": 1}) == frozenset()
