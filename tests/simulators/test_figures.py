"""Precision, recall and rates, of cases small enough to reckon by hand."""

from dataclasses import replace

import pytest

from simulators.figures import Exposure, Outcome, f1, figures, mean_and_worst
from simulators.matching import Alert, Label, match
from tests.simulators.test_matching import FEEDER, alert, asset, label

KINDS = dict.fromkeys(range(1, 10), "lamp") | dict.fromkeys(range(10, 20), "solar") | {20: "stop"}
EXPOSURE = Exposure(lamp_nights=2000, site_years=0.5)


def outcome(labels: list[Label], alerts: list[Alert]) -> Outcome:
    matching = match(labels, alerts, {}, lambda rule: 0)
    return Outcome(matching=matching, exposure=EXPOSURE, daily=frozenset({"cycling"}), kinds=KINDS)


FAULTS = [label(scope=asset(n)) for n in (1, 2, 3, 4)]
RIGHT = [alert(scope=asset(n)) for n in (1, 2, 3, 4)]


def test_everything_found_and_nothing_else_is_perfect() -> None:
    found = figures([outcome(FAULTS, RIGHT)])
    for part in (found["totals"], found["rules"]["lamp_out"]):
        assert (part["precision"], part["recall"], part["f1"]) == (1.0, 1.0, 1.0)
    assert found["false_per_1000_lamp_nights"] == 0
    assert found["false_per_site_year"] == 0
    assert found["alerts_per_cause"] == 1.0


def test_a_false_alert_lowers_precision_and_nothing_else() -> None:
    found = figures([outcome(FAULTS, [*RIGHT, alert(scope=asset(9))])])
    assert found["rules"]["lamp_out"]["precision"] == 0.8
    assert found["rules"]["lamp_out"]["recall"] == 1.0
    assert found["totals"]["false"] == 1
    assert found["false_per_1000_lamp_nights"] == 0.5
    assert found["alerts_per_cause"] == 1.0


def test_a_label_without_an_alert_lowers_recall_and_nothing_else() -> None:
    found = figures([outcome([*FAULTS, label(scope=asset(5))], RIGHT)])
    assert found["rules"]["lamp_out"]["recall"] == 0.8
    assert found["rules"]["lamp_out"]["precision"] == 1.0
    assert found["totals"]["f1"] == pytest.approx(2 * 0.8 / 1.8, abs=1e-4)


def test_a_second_alert_for_one_cause_is_wrong_for_its_rule_and_shows_per_cause() -> None:
    found = figures([outcome(FAULTS, [*RIGHT, alert("voltage")])])
    assert found["rules"]["voltage"]["precision"] == 0
    assert found["rules"]["voltage"]["recall"] is None
    assert found["rules"]["lamp_out"]["precision"] == 1.0
    assert found["totals"]["precision"] == 0.8
    assert (found["totals"]["surplus"], found["totals"]["false"]) == (1, 0)
    assert found["alerts_per_cause"] == 1.25
    assert found["false_per_1000_lamp_nights"] == 0


def test_children_do_not_count_per_cause() -> None:
    trip = label("feeder_outage", FEEDER, 1, 2, 3, 4)
    told = [alert("feeder_outage", FEEDER), *(replace(one, child=True) for one in RIGHT)]
    found = figures([outcome([trip], told)])
    assert found["alerts_per_cause"] == 1.0
    assert found["totals"]["precision"] == 1.0


def test_excluded_labels_count_nowhere_but_are_counted_with_their_reason() -> None:
    hidden = [replace(one, excluded="never lit") for one in FAULTS[:3]]
    found = figures([outcome([*hidden, FAULTS[3]], [RIGHT[3]])])
    assert found["totals"]["recall"] == 1.0
    assert found["totals"]["labels"] == 1
    assert found["totals"]["excluded"] == 3
    assert found["totals"]["excluded_why"] == {"never lit": 3}


def test_latency_is_the_median_and_the_ninety_fifth_percentile_of_what_was_found() -> None:
    told = [alert(scope=asset(n), at_h=10 + n / 10) for n in (1, 2, 3, 4)]
    found = figures([outcome([*FAULTS, label(scope=asset(5))], told)])["rules"]["lamp_out"]
    minutes = [7.0, 13.0, 19.0, 25.0]
    assert found["latency_s_p50"] == 60 * (minutes[1] + minutes[2]) / 2
    assert found["latency_s_p95"] == pytest.approx(60 * (25 - 0.15 * 6), abs=0.1)


def test_what_is_judged_by_nights_is_told_apart() -> None:
    labels = [FAULTS[0], label("cycling", asset(2))]
    found = figures([outcome(labels, [RIGHT[0]])])["totals"]
    assert (found["streaming"]["recall"], found["daily"]["recall"], found["recall"]) == (1.0, 0.0, 0.5)


def test_false_alerts_are_put_to_lamps_and_roofs_and_never_to_both() -> None:
    told = [alert(scope=asset(n)) for n in (1, 10, 11, 20)]
    found = figures([outcome([], told)])
    assert found["false_per_1000_lamp_nights"] == 0.5
    assert found["false_per_site_year"] == 4.0
    assert found["totals"]["false"] == 4
    assert found["totals"]["precision"] == 0


def test_runs_are_pooled_by_counts_and_not_by_shares() -> None:
    good, bad = outcome(FAULTS, RIGHT), outcome([label(scope=asset(5))], [])
    found = figures([good, bad])
    assert found["totals"]["recall"] == 0.8
    assert found["lamp_nights"] == 4000
    each = mean_and_worst([figures([good]), figures([bad])])
    assert each["totals"]["all"]["recall"] == {"mean": 0.5, "worst": 0.0}
    assert each["rules"]["lamp_out"]["precision"] == {"mean": 1.0, "worst": 1.0}


def test_what_cannot_be_said_is_not_said() -> None:
    found = figures([outcome([], [])])
    assert found["totals"]["f1"] is None
    assert found["alerts_per_cause"] is None
    assert f1(0.0, 0.0) == 0.0
    assert f1(None, 1.0) is None
