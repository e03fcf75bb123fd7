"""What somebody has called fixed is proven by readings, or refuted: at once, once, and never by a flicker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from kraj.alerts import AlertChange, Repair, Scope, Step
from rules import archive
from rules.catalogue import load
from rules.rule import Rule
from rules.watch import Watch
from tests.rules.world import MINUTE_MS, START_MS, lamps, readings, rule

SECOND_MS = 1000
DUSK_MS = START_MS + 60 * MINUTE_MS
"""Of a November night: the lamps are lit."""
LAMP_OUT = [found for found in load() if found.name == "lamp_out"]
FULL = {"level_commanded_pct": 100.0, "voltage_v": 231.0}
LIT, DARK, WARMING = FULL | {"power_w": 58.0}, FULL | {"power_w": 0.5}, FULL | {"power_w": 30.0}
DIMMED = FULL | {"level_commanded_pct": 50.0, "power_w": 29.0}
ALERTING = 25
"""Minutes of darkness after which there is an alert: the lamp has settled, and has been dark for ten."""


class Night:
    """Some lamps under watch, told of reading by reading; ``told`` are the steps since the alert was called fixed."""

    def __init__(self, rules: Sequence[Rule] = LAMP_OUT, count: int = 1) -> None:
        self.estate, self.rules = lamps(count), rules
        self.watch = Watch(self.estate, rules)
        self.told: list[AlertChange] = []
        self.now_ms = DUSK_MS

    def hear(self, seconds: float, *values: Mapping[str, float], repairs: Sequence[Repair] = ()) -> list[Step]:
        """A batch so long after dusk, with a reading of this moment for each of the values; its steps."""
        self.now_ms = max(self.now_ms, DUSK_MS + round(seconds * SECOND_MS))
        rows = [(n + 1, DUSK_MS + round(seconds * SECOND_MS), named) for n, named in enumerate(values)]
        batch = [readings("lamp", rows)] if rows else []
        changes = self.watch.step(batch, [], self.now_ms, repairs=repairs)
        self.watch.commit()
        self.told += changes
        return [change.step for change in changes]

    def restart(self) -> None:
        self.watch = Watch.restore(self.watch.checkpoint(), self.estate, self.rules)


def dark(*, count: int = 1, rules: Sequence[Rule] = LAMP_OUT) -> Night:
    """A night on which the first lamp has been dark for so long that there is an alert; ``ALERTING`` minutes in."""
    night = Night(rules, count)
    night.hear(-300, *[LIT | {"lamp_starts": 7.0}] * count)
    steps = [step for minute in range(0, ALERTING, 5) for step in night.hear(minute * 60, *[DARK] * count)]
    assert steps.count(Step.OPENED) == count
    night.hear(ALERTING * 60 - 1, *[DARK] * count)
    night.told.clear()
    return night


FIXED_S = ALERTING * 60


def fixed(asset_id: int = 1, seconds: float = FIXED_S, name: str = "lamp_out") -> Repair:
    scope = Scope(type="asset", name=str(asset_id), municipality_id=1)
    return Repair(key="any", rule=name, scope=scope, fixed_ms=DUSK_MS + round(seconds * SECOND_MS))


def test_two_good_readings_after_fixed_prove_a_lamp_at_once_with_what_was_measured() -> None:
    night = dark()
    assert night.hear(FIXED_S + 1, DARK, repairs=[fixed()]) == [Step.PROVING]
    assert night.hear(FIXED_S + 10, LIT) == []
    assert night.hear(FIXED_S + 15, LIT) == [], "five seconds apart is one flicker"
    assert night.hear(FIXED_S + 20, LIT) == [Step.CLEARED, Step.VERIFIED]
    verified = night.told[-1]
    assert verified.evidence["power_w"] == 58.0
    assert verified.evidence["level_commanded_pct"] == 100.0
    assert night.watch.active == {}
    assert night.hear(FIXED_S + 300, LIT) == [], "once"


def test_a_cold_lamp_on_its_way_up_proves_it_too() -> None:
    night = dark()
    off = {"level_commanded_pct": 0.0, "voltage_v": 231.0, "power_w": 0.5}
    night.hear(FIXED_S + 1, off, repairs=[fixed()])
    night.hear(FIXED_S + 10, WARMING)
    assert night.hear(FIXED_S + 21, WARMING) == [Step.CLEARED, Step.VERIFIED]


@pytest.mark.parametrize(
    "between",
    [DARK, DIMMED, FULL | {"power_w": 20.0}, LIT | {"voltage_v": 100.0}, FULL | {"power_w": 90.0}],
    ids=["dark again", "dimmed", "too little", "no voltage", "too much"],
)
def test_one_bad_reading_in_between_begins_anew(between: dict[str, float]) -> None:
    night = dark()
    night.hear(FIXED_S + 5, LIT, repairs=[fixed()])
    assert night.hear(FIXED_S + 20, between) == []
    assert night.hear(FIXED_S + 40, LIT) == []
    assert night.hear(FIXED_S + 50, LIT) == [Step.CLEARED, Step.VERIFIED]


def test_readings_from_before_fixed_and_those_that_come_out_of_order_prove_nothing() -> None:
    night = dark()
    night.hear(FIXED_S + 30, LIT, repairs=[fixed(seconds=FIXED_S + 100)])
    night.hear(FIXED_S + 60, LIT)
    assert night.hear(FIXED_S + 110, LIT) == [], "the first one after it"
    assert night.hear(FIXED_S + 105, LIT) == [], "late"
    assert night.hear(FIXED_S + 50, LIT) == [], "late"
    assert night.hear(FIXED_S + 120, LIT) == [Step.CLEARED, Step.VERIFIED]


def test_the_start_that_a_repair_is_made_of_is_no_restart_of_its_own() -> None:
    night = dark()
    night.hear(FIXED_S + 5, DARK | {"lamp_starts": 7.0}, repairs=[fixed()])
    night.hear(FIXED_S + 10, LIT | {"lamp_starts": 8.0})
    assert night.hear(FIXED_S + 20, LIT | {"lamp_starts": 8.0}) == [Step.CLEARED, Step.VERIFIED]


def test_what_is_not_known_proves_and_refutes_nothing() -> None:
    night = dark()
    night.hear(FIXED_S + 5, LIT, repairs=[fixed()])
    assert night.hear(FIXED_S + 30, {"level_commanded_pct": 100.0, "voltage_v": 231.0}) == []
    assert night.hear(FIXED_S + 200, {"power_w": 0.0}) == []
    wrong = LIT | {"clock_offset_s": 900.0}
    assert night.hear(FIXED_S + 230, wrong) == [], "of a clock that is wrong nothing is believed"
    assert night.hear(FIXED_S + 240, LIT) == [Step.CLEARED, Step.VERIFIED]


def test_a_lamp_that_stays_dark_at_full_level_is_reopened_after_a_minute_and_its_symptom_holds() -> None:
    night = dark()
    night.hear(FIXED_S + 5, DARK, repairs=[fixed()])
    assert night.hear(FIXED_S + 40, DARK) == []
    assert night.hear(FIXED_S + 65, DARK) == [Step.REOPENED]
    assert night.told[-1].evidence["power_w"] == 0.5
    assert next(iter(night.watch.active.values()))[0] == "lamp_out"
    assert night.hear(FIXED_S + 200, DARK) == [], "once"
    assert night.hear(FIXED_S + 205, DARK, repairs=[fixed(seconds=FIXED_S + 203)]) == [Step.PROVING]
    night.hear(FIXED_S + 210, LIT)
    assert night.hear(FIXED_S + 220, LIT) == [Step.CLEARED, Step.VERIFIED], "fixed once more"


def test_what_comes_back_after_it_was_verified_is_raised_again() -> None:
    night = dark()
    night.hear(FIXED_S + 5, LIT, repairs=[fixed()])
    night.hear(FIXED_S + 15, LIT)
    steps = [step for minute in range(1, 15) for step in night.hear(FIXED_S + 60 * minute, DARK)]
    assert steps == [Step.RAISED_AGAIN]


def test_a_flapping_lamp_is_left_to_time() -> None:
    flapping = [rule("flap", "power_w > 100", proof_when="power_w < 50")]
    night = Night(flapping)
    for minute in range(8):
        night.hear(minute * 60, {"power_w": 10.0 if minute % 2 else 200.0})
    night.hear(500, {"power_w": 200.0})
    assert night.hear(510, {"power_w": 10.0}, repairs=[fixed(seconds=505, name="flap")]) == [Step.PROVING]
    assert night.hear(530, {"power_w": 10.0}) == []


def test_without_a_proof_and_without_fixed_everything_stays_as_it_is() -> None:
    plain_rules = [rule("hot", "power_w > 100")]
    night = Night(plain_rules)
    night.hear(0, {"power_w": 200.0})
    assert night.hear(10, {"power_w": 200.0}, repairs=[fixed(seconds=5, name="hot")]) == []
    lit = dark()
    assert lit.hear(FIXED_S + 10, LIT) == lit.hear(FIXED_S + 30, LIT) == []


def test_each_lamp_is_proven_by_its_own_readings() -> None:
    night = dark(count=2)
    night.hear(FIXED_S + 5, LIT, LIT, repairs=[fixed(2)])
    night.hear(FIXED_S + 15, LIT, LIT)
    assert {(c.step, c.asset_id) for c in night.told[1:]} == {(Step.CLEARED, 2), (Step.VERIFIED, 2)}


def test_a_replay_says_the_same_whatever_was_taken_back_or_restarted_meanwhile() -> None:
    story: list[tuple[float, Mapping[str, float], list[Repair]]] = [
        (FIXED_S + 5, DARK, [fixed()]),
        (FIXED_S + 12, LIT, []),
        (FIXED_S + 18, FULL, []),
        (FIXED_S + 24, LIT, []),
        (FIXED_S + 90, DARK, []),
    ]
    calm, troubled = dark(), dark()
    for seconds, values, repairs in story:
        calm.hear(seconds, values, repairs=repairs)
        batch = [readings("lamp", [(1, DUSK_MS + round(seconds * SECOND_MS), values)])]
        troubled.watch.step(batch, [], DUSK_MS + round(seconds * SECOND_MS), repairs=repairs)
        troubled.watch.rollback()
        troubled.restart()
        troubled.hear(seconds, values, repairs=repairs)
        troubled.restart()
    assert plain(troubled.told) == plain(calm.told)
    assert [c.step for c in calm.told] == [Step.PROVING, Step.CLEARED, Step.VERIFIED]
    documents = [archive.unpack(night.watch.checkpoint()) for night in (calm, troubled)]
    assert documents[0][0]["mind"] == documents[1][0]["mind"]
    assert len({arrays["correlation/correlation"].tobytes() for _, arrays in documents}) == 1


def plain(changes: list[AlertChange]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]
