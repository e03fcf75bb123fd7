"""What people read: the text message alone suffices, says each cause once, and always fits."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.alerts import Severity, Step
from rules import catalogue
from rules.correlation import load
from rules.messages import SHORT_CHARS_MAX, Facts, Wording, digest, message

PRAGUE = ZoneInfo("Europe/Prague")
WORDINGS = {w.name: Wording(title=w.title, symptom=w.symptom, bring=w.bring) for w in [*catalogue.load(), *load()]}
LINK = "https://kraj.example/alerts/1234567"
FEEDER = Facts(
    alert_id=17,
    step=Step.OPENED,
    severity=Severity.CRITICAL,
    scope_type="feeder",
    scope_name="RVO-03/2",
    since=datetime(2026, 11, 21, 15, 42, tzinfo=UTC),
    active=True,
    municipality="Horní Lhota",
    label="RVO-03",
    kind="cabinet",
    metadata={"street": "Nádražní"},
    evidence={"name": "RVO-03/2", "lost": 30, "members": 30},
    children=31,
    link=LINK,
)
LAMP = replace(
    FEEDER,
    severity=Severity.MAJOR,
    scope_type="asset",
    scope_name="112",
    label="VO-0112",
    kind="lamp",
    metadata={"street": "Nádražní", "cabinet": "RVO-03", "feeder": "RVO-03/2", "driver_model": "XP-75"},
    evidence={"power_w": 0.4, "expected_power_w": 41.2, "level_commanded_pct": 100.0, "voltage_v": 231.0},
    children=0,
)


def test_a_text_message_of_a_feeder_says_all_that_the_crew_needs() -> None:
    short = message(FEEDER, WORDINGS["feeder_outage"], "cs", PRAGUE).short
    for part in ("Výpadek vývodu", "Horní Lhota", "RVO-03/2", "30 z 30", "Rozvaděč RVO-03", "S sebou: Jistič", LINK):
        assert part in short
    assert "od 21. 11. 16:42" in short


def test_a_text_message_of_a_lamp_names_pole_street_cabinet_breaker_and_driver() -> None:
    short = message(LAMP, WORDINGS["lamp_out"], "cs", PRAGUE).short
    for part in ("Svítidlo nesvítí", "VO-0112", "Nádražní", "Rozvaděč RVO-03, jistič vývodu RVO-03/2", "XP-75", LINK):
        assert part in short


def test_english_is_english_and_czech_has_its_comma() -> None:
    assert "0,4 W" in message(LAMP, WORDINGS["lamp_out"], "cs", PRAGUE).body
    body = message(LAMP, WORDINGS["lamp_out"], "en", PRAGUE).body
    assert "0.4 W" in body
    assert "Cabinet RVO-03" in body


def test_a_cause_counts_what_hangs_on_it_and_a_lone_alert_does_not() -> None:
    assert "Další příznaky téže příčiny: 31" in message(FEEDER, WORDINGS["feeder_outage"], "cs", PRAGUE).body
    assert "příčiny" not in message(LAMP, WORDINGS["lamp_out"], "cs", PRAGUE).body


@pytest.mark.parametrize("language", ["cs", "en"])
@pytest.mark.parametrize("name", list(WORDINGS))
def test_every_rule_and_cause_fits_into_a_text_message_with_place_time_and_link(name: str, language: str) -> None:
    facts = replace(LAMP, municipality="Nové Město nad Metují", evidence={"name": "RVO-03", **LAMP.evidence})
    short = message(facts, WORDINGS[name], language, PRAGUE).short
    assert len(short) <= SHORT_CHARS_MAX
    assert short.endswith(LINK)
    assert "VO-0112" in short
    assert "16:42" in short
    assert "\n\n" not in short


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400), st.sampled_from(sorted(WORDINGS)))
def test_whatever_things_are_called_it_fits_and_the_link_is_whole(
    town: str, label: str, cabinet: str, name: str
) -> None:
    facts = replace(LAMP, municipality=town, label=label, metadata={"cabinet": cabinet, "street": town})
    for short in (
        message(facts, WORDINGS[name], "cs", PRAGUE).short,
        digest([(facts, WORDINGS[name])] * 40, "cs", PRAGUE).short,
    ):
        assert len(short) <= SHORT_CHARS_MAX
        assert short.endswith(LINK)


def test_a_digest_begins_with_the_worst_and_says_how_many_there_are() -> None:
    alerts = [(replace(LAMP, alert_id=n, severity=Severity.MINOR), WORDINGS["low_power_factor"]) for n in range(1, 9)]
    found = digest([*alerts, (replace(LAMP, alert_id=9), WORDINGS["lamp_out"])], "cs", PRAGUE)
    assert found.subject.startswith("Souhrn hlášení: 9 [9, 1")
    assert found.body.startswith("[9] Svítidlo nesvítí")
    assert found.body.count(LINK) == 9
    assert re.match(r"Souhrn hlášení: 9\n\[9\] Svítidlo nesvítí.*\n\[1\] ", found.short)
    assert found.severity is Severity.MAJOR
