"""The whole engine: alerts of a step are a function of what came before, through rollback, restart and failure."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.alerts import AlertChange, Step
from kraj.errors import ConfigurationError
from rules import archive
from rules.catalogue import load
from rules.watch import Watch
from tests.rules.world import MINUTE_MS, START_MS, lamps, mixed, random_steps, readings, rule

CATALOGUE = load()
HOT = rule("hot", "power_w > 100")


def plain(changes: list[AlertChange]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_alerts_are_the_same_through_rollback_and_restart(seed: int) -> None:
    random = np.random.default_rng(seed)
    estate = mixed()
    calm, troubled = Watch(estate, CATALOGUE), Watch(estate, CATALOGUE)
    for batch, statuses, now, attentive in random_steps(random, estate, 8):
        wanted = calm.step(batch, statuses, now, attentive=attentive)
        calm.commit()
        if random.random() < 0.5:
            troubled.step(batch[:1], [], now)
            troubled.rollback()
        if random.random() < 0.5:
            troubled = Watch.restore(troubled.checkpoint(), estate, CATALOGUE)
        assert plain(troubled.step(batch, statuses, now, attentive=attentive)) == plain(wanted)
        troubled.commit()
        assert troubled.active == calm.active
    assert calm.failures == {}


def test_a_symptom_becomes_an_alert_and_is_active_until_it_ends() -> None:
    watch = Watch(lamps(1), [HOT])
    told: list[tuple[Step, str, str]] = []
    for minute, watts in ((0, 200.0), (5, 10.0)):
        batch = [readings("lamp", [(1, START_MS + minute * MINUTE_MS, {"power_w": watts})])]
        changes = watch.step(batch, [], START_MS + minute * MINUTE_MS)
        watch.commit()
        told += [(change.step, change.rule, change.scope.type) for change in changes]
        assert len(watch.active) == int(watts > 100)
    assert told == [(Step.OPENED, "hot", "asset"), (Step.CLEARED, "hot", "asset")]


def test_the_operator_is_told_of_a_rule_that_cannot_be_compiled() -> None:
    watch = Watch(lamps(1), [rule("typo", "pover_w > 3")])
    told = [(c.step, c.rule, c.scope.name) for c in [*watch.step([], [], START_MS), *watch.step([], [], START_MS + 1)]]
    assert told == [(Step.OPENED, "rule_failed", "typo")]


def test_a_checkpoint_of_another_format_is_refused() -> None:
    document, arrays = archive.unpack(Watch(lamps(1), [HOT]).checkpoint())
    with pytest.raises(ConfigurationError, match="another format"):
        Watch.restore(archive.pack(document | {"format": 0}, arrays), lamps(1), [HOT])


OPENED, CLEARED = Step.OPENED, Step.CLEARED


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ((0, 20), [(2, OPENED, 0), (20, CLEARED, 0)]),
        ((6, 25), [(17, OPENED, 15), (25, CLEARED, 15)]),
        ((7, 12), []),
    ],
)
def test_a_clock_that_jumps_nine_minutes_ahead_and_back_doubles_nothing(
    fault: tuple[int, int], expected: list[tuple[int, Step, int]]
) -> None:
    """What comes with a time before the newest calls nobody; once the clock has passed that time, all is as ever."""
    watch = Watch(lamps(1), [rule("hot", "power_w > 100", for_s=120)])
    told: list[tuple[int, Step, int]] = []
    for minute in range(30):
        ahead = 9 if minute in (4, 5) else 0
        watts = 200.0 if fault[0] <= minute < fault[1] else 10.0
        row = (1, START_MS + (minute + ahead) * MINUTE_MS, {"power_w": watts})
        changes = watch.step([readings("lamp", [row])], [], START_MS + minute * MINUTE_MS)
        watch.commit()
        told += [(minute, change.step, (change.since_ms - START_MS) // MINUTE_MS) for change in changes]
    assert told == expected
