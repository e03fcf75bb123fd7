"""A score from end to end: a small region, a known fault, the real rules."""

import json
from datetime import UTC, datetime

import pytest

from kraj.errors import ConfigurationError
from simulators.region import region
from simulators.score import Task, estate, explain, exposure, run, score
from simulators.scorecard import chosen_seeds, table

DEVICES = 60
BUILT = region(2, DEVICES)
AUTUMN = datetime(2026, 10, 20, tzinfo=UTC)


def quiet(line: str) -> None:
    del line


def task(faults: str, *, days: int = 1, warm_up: int = 1) -> Task:
    return Task(seed=2, days=days, devices=DEVICES, faults=faults, start=AUTUMN, warm_up=warm_up, batch_s=300)


def test_a_single_fault_is_found_once_and_timed() -> None:
    lamp = next(
        a for a in BUILT.assets if a.kind == "lamp" and not a.number("part_night") and not a.number("report_interval_s")
    )
    result, runs = score([task(f"lamp_out@{lamp.key}")], quiet)
    rule = result["rules"]["lamp_out"]
    assert (rule["labels"], rule["found"], rule["wrong"]) == (1, 1, 0)
    assert 0 < rule["latency_s_p50"] <= 30 * 60
    assert result["alerts_per_cause"] == 1.0
    assert explain(runs) == []
    wanted = {"totals", "rules", "false_per_1000_lamp_nights", "false_per_site_year", "alerts_per_cause"}
    assert wanted <= set(json.loads(json.dumps(result)))
    assert {"precision", "recall", "f1", "latency_s_p50", "latency_s_p95"} <= set(result["totals"])
    lines = table(result)
    assert any(line.startswith("lamp_out ") and " 1  " in line for line in lines)


def test_a_feeder_trip_is_one_alert() -> None:
    feeder = next(a for a in BUILT.assets if a.kind == "lamp" and not a.number("feeder_switched"))
    name = f"{feeder.municipality}/{feeder.word('feeder')}"
    done = run(task(f"feeder_outage@{name}"), quiet)
    (found,) = done.outcome.matching.found
    assert found.detected
    assert len(found.label.asset_ids) >= 10
    assert [alert.rule for alert in found.alerts if not alert.child] == ["feeder_outage"]
    assert not done.outcome.matching.false
    assert not found.surplus


def test_nothing_is_found_where_nothing_is_wrong_and_the_same_again() -> None:
    first, second = (run(task("none", days=1), quiet) for _ in range(2))
    labels = [found.label.cause for found in first.outcome.matching.found]
    assert set(labels) <= {"snow"}
    assert first.outcome.matching.false == second.outcome.matching.false == ()
    assert first.readings == second.readings > 10_000
    assert first.outcome.exposure.lamp_nights > 60


def test_the_estate_has_the_ids_that_deliveries_use() -> None:
    made = estate(BUILT)
    for number, asset in enumerate(BUILT.assets, 1):
        assert made.kind_by_asset[number] == asset.kind
        members = made.members[asset.kind]
        assert members.labels[int(members.slots(members.asset_id[members.asset_id == number])[0])] == asset.label


def test_time_with_a_fault_is_no_time_without() -> None:
    done = run(task("comms_lost"), quiet)
    label = done.outcome.matching.found[0].label
    start = task("none").start_ms
    whole = exposure(BUILT, [], start, start + 2 * 86_400_000)
    part = exposure(BUILT, [label], start, start + 2 * 86_400_000)
    assert whole.lamp_nights == 2 * sum(a.kind == "lamp" for a in BUILT.assets)
    assert 0 < whole.lamp_nights - part.lamp_nights <= 1


def test_seeds_have_seasons_of_their_own() -> None:
    starts = [Task(seed=seed, days=1, devices=1).start_ms for seed in range(1, 11)]
    months = {datetime.fromtimestamp(ms / 1000, UTC).month for ms in starts}
    assert len(months) >= 8
    assert all(ms % 86_400_000 == 0 for ms in starts)


def test_seeds_are_read_from_spans_and_lists() -> None:
    assert chosen_seeds("1-3") == [1, 2, 3]
    assert chosen_seeds("7, 9-10") == [7, 9, 10]
    for wrong in ("", "1-", "a", "5-1", "1-99999"):
        with pytest.raises(ConfigurationError, match="--seeds"):
            chosen_seeds(wrong)
