"""Alerts against labels, in cases small enough to count by hand."""

from dataclasses import replace

import pytest

from kraj.alerts import AlertChange, Scope, Severity, Step
from simulators.matching import Alert, Diary, Label, Matching, match

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
EQUIVALENTS = {"gear_dead": frozenset({"lamp_out"}), "feeder_outage": frozenset({"cabinet_outage"})}


def asset(number: int) -> Scope:
    return Scope(type="asset", name=str(number), municipality_id=1)


FEEDER = Scope(type="feeder", name="V1", municipality_id=1)
CABINET = Scope(type="cabinet", name="RVO-01", municipality_id=1)


def label(
    cause: str = "lamp_out", scope: Scope | None = None, *assets: int, at_h: float = 10, for_h: float = 5
) -> Label:
    return Label(
        cause=cause,
        scopes=frozenset({scope or asset(1)}),
        asset_ids=frozenset(assets or {1}),
        start_ms=int(at_h * HOUR_MS),
        end_ms=int((at_h + for_h) * HOUR_MS),
        shows_ms=int(at_h * HOUR_MS),
    )


def alert(rule: str = "lamp_out", scope: Scope | None = None, at_h: float = 10.5, *, child: bool = False) -> Alert:
    at = int(at_h * HOUR_MS)
    place = scope or asset(1)
    return Alert(key=f"{rule}@{place}@{at}", rule=rule, scope=place, opened_ms=at, told_ms=at + MINUTE_MS, child=child)


def put(labels: list[Label], alerts: list[Alert]) -> Matching:
    return match(labels, alerts, EQUIVALENTS, lambda rule: HOUR_MS)


def test_an_alert_of_the_cause_on_its_scope_in_its_time_detects_it() -> None:
    found = put([label()], [alert()])
    assert [f.detected for f in found.found] == [True]
    assert found.found[0].latency_s == 31 * 60
    assert not found.false


def test_another_rule_on_the_same_asset_is_no_detection_but_surplus() -> None:
    found = put([label()], [alert("voltage")])
    assert not found.found[0].detected
    assert [a.rule for a in found.found[0].surplus] == ["voltage"]
    assert not found.false


def test_the_same_rule_on_another_asset_is_false() -> None:
    found = put([label()], [alert(scope=asset(2))])
    assert not found.found[0].detected
    assert [a.scope for a in found.false] == [asset(2)]


def test_before_its_beginning_and_after_its_grace_an_alert_is_false() -> None:
    for at_h, detects in ((9.99, False), (10, True), (15, True), (16, True), (16.01, False)):
        found = put([label()], [alert(at_h=at_h)])
        assert found.found[0].detected == detects
        assert len(found.false) == (not detects)


def test_an_effect_that_lingers_may_be_told_later() -> None:
    slow = replace(label(), lingers_ms=2 * HOUR_MS)
    assert put([slow], [alert(at_h=16.9)]).found[0].detected
    assert not put([slow], [alert(at_h=17.1)]).found[0].detected


def test_an_alert_about_a_group_is_surplus_where_one_of_its_members_suffers() -> None:
    def members(scope: Scope) -> frozenset[int]:
        return frozenset({1, 2, 3}) if scope == FEEDER else frozenset()

    for suffers, false in ((3, 0), (4, 1)):
        labels = [label("lamp_out", asset(suffers), suffers)]
        found = match(labels, [alert("feeder_outage", FEEDER)], {}, lambda rule: 0, members)
        assert len(found.false) == false


def test_a_child_is_explained_and_neither_right_nor_wrong() -> None:
    found = put([label("feeder_outage", FEEDER, 1, 2, 3)], [alert("feeder_outage", FEEDER), alert(child=True)])
    assert found.found[0].detected
    assert not found.found[0].surplus
    assert not found.false


def test_a_child_that_tells_of_a_label_of_its_own_detects_it() -> None:
    labels = [label("feeder_outage", FEEDER, 1, 2, 3), label()]
    found = put(labels, [alert("feeder_outage", FEEDER), alert(child=True)])
    assert [f.detected for f in found.found] == [True, True]


def test_an_equivalent_counts_on_the_scope_and_on_an_asset_that_suffers() -> None:
    labels = [label("gear_dead"), label("feeder_outage", FEEDER, 1, 2, 3)]
    assert put(labels, [alert("lamp_out")]).found[0].detected
    assert put(labels, [alert("cabinet_outage", FEEDER)]).found[1].detected
    assert put(labels, [alert("cabinet_outage", asset(2))]).found[1].detected
    assert not put(labels, [alert("cabinet_outage", CABINET)]).found[1].detected
    assert not put([label("feeder_outage", FEEDER, 1)], [alert("lamp_out")]).found[0].detected


def test_of_two_labels_that_fit_the_one_without_an_alert_goes_first() -> None:
    labels = [label(), label(at_h=12)]
    found = put(labels, [alert(at_h=12.1), alert(at_h=12.2)])
    assert [f.detected for f in found.found] == [True, True]
    assert put(labels, [alert(at_h=12.1)]).found[1].detected


def test_two_alerts_for_one_label_are_both_right_and_show_as_two() -> None:
    found = put([label()], [alert(), alert(at_h=12)])
    assert len(found.found[0].alerts) == 2
    assert not found.false


def test_an_alert_of_an_excluded_label_is_neutral() -> None:
    found = put([replace(label(), excluded="by day")], [alert()])
    assert not found.found[0].alerts
    assert len(found.neutral) == 1
    assert not found.false


def test_an_alert_goes_to_a_label_that_could_show_before_an_excluded_one() -> None:
    found = put([replace(label(), excluded="by day"), label()], [alert()])
    assert [f.detected for f in found.found] == [False, True]


def test_history_detects_without_a_latency() -> None:
    found = put([label()], [replace(alert(), recorded=True)])
    assert found.found[0].detected
    assert found.found[0].latency_s is None


def test_what_shows_later_is_timed_from_when_it_shows() -> None:
    late = replace(label(), shows_ms=int(10.25 * HOUR_MS))
    assert put([late], [alert()]).found[0].latency_s == 16 * 60


def change(step: Step, at_h: float, parent: str | None = None, key: str = "k", *, notify: bool = False) -> AlertChange:
    return AlertChange(
        key=key,
        step=step,
        at_ms=int(at_h * HOUR_MS),
        rule="lamp_out",
        scope=asset(1),
        severity=Severity.MAJOR,
        since_ms=0,
        parent=parent,
        notify=notify,
    )


def test_the_diary_follows_an_alert_through_its_life() -> None:
    diary = Diary()
    diary.write([change(Step.OPENED, 1)], 3 * HOUR_MS)
    diary.write([change(Step.CHANGED, 2, notify=True)], 4 * HOUR_MS)
    diary.write([change(Step.CLEARED, 5)], 6 * HOUR_MS)
    (found,) = diary.alerts.values()
    assert (found.opened_ms, found.told_ms, found.cleared_ms) == (HOUR_MS, 3 * HOUR_MS, 5 * HOUR_MS)
    assert found.notified
    assert not found.child
    diary.write([change(Step.RAISED_AGAIN, 5.5)], 6 * HOUR_MS)
    assert found.cleared_ms is None
    assert found.opened_ms == HOUR_MS


def test_who_is_let_go_by_a_parent_is_no_child_any_more() -> None:
    diary = Diary()
    diary.write([change(Step.OPENED, 1, parent="p")], HOUR_MS)
    assert diary.alerts["k"].child
    diary.write([change(Step.CHANGED, 1)], HOUR_MS)
    assert diary.alerts["k"].child, "a change of severity says nothing of the parent"
    diary.write([change(Step.DETACHED, 2)], HOUR_MS)
    assert not diary.alerts["k"].child
    diary.write([change(Step.ATTACHED, 3, parent="p")], HOUR_MS)
    assert diary.alerts["k"].child


def test_what_is_recorded_late_is_marked() -> None:
    diary = Diary()
    diary.write([change(Step.RECORDED, 1)], 9 * HOUR_MS)
    assert diary.alerts["k"].recorded


SITE = Scope(type="site", name="Hala", municipality_id=1)


@pytest.mark.parametrize(
    ("cause", "verdict", "detects"),
    [
        ("site_outage", "power", True),
        ("site_outage", "communication", False),
        ("site_outage", None, False),
        ("site_silent", "power", False),
        ("site_silent", "communication", True),
        ("site_silent", None, True),
    ],
)
def test_a_silence_tells_of_an_outage_by_its_verdict_alone(cause: str, verdict: str | None, detects: bool) -> None:
    told = alert("site_silent", SITE)
    told.verdict, told.ended_ms = verdict, None if verdict is None else 14 * HOUR_MS
    (found,) = put([label(cause, SITE)], [told]).found
    assert found.detected == detects
    assert found.surplus == (() if detects else (told,))
    if detects:  # an outage is known when the verdict is
        assert found.latency_s == (4 * 3600 if cause == "site_outage" else 31 * 60)


def test_a_verdict_is_read_when_it_is_said() -> None:
    diary = Diary()
    opened = AlertChange(
        key="k", step=Step.OPENED, at_ms=1, rule="site_silent", scope=SITE, severity=Severity.MINOR, since_ms=1
    )
    diary.write([opened, replace(opened, step=Step.CHANGED, at_ms=5, evidence={"verdict": "power"})], 9)
    assert (diary.alerts["k"].verdict, diary.alerts["k"].ended_ms) == ("power", 9)
