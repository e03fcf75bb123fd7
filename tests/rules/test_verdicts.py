"""Rules over nights are judged on the last nights of which something is known."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.alerts import Severity, SymptomChange
from kraj.kinds import LAMP
from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.compiled import Compiled, compile_rule
from rules.inputs import Daily, seam
from rules.layer import Input, Layer
from rules.rule import Per, Rule
from rules.state import State
from rules.verdicts import Verdicts, reach
from tests.rules.world import NAN, START_MS, lamps, rule

DAY_MS = 86_400_000
POWER = Daily("mean_w", Unit.WATT, Title(cs="x", en="x"), "mean", lambda layer: layer.column("power_w"))


def _broken(layer: Layer) -> Floats:
    raise ArithmeticError(len(layer))


BROKEN = Input("broken", Unit.NONE, Title(cs="x", en="x"), _broken)
SEAM = seam(LAMP, daily=(POWER,), day_inputs=(BROKEN,))
ESTATE = lamps(3)


@dataclass
class Nights:
    """The slow twin of one lamp under one rule: values of all nights, NaN for unknown."""

    rule: Rule
    seen: list[float] = field(default_factory=list[float])
    active: bool = False
    critical: bool = False
    calm: int = 0
    lost_wh: float = 0

    def night(self, value: float) -> list[tuple[Any, ...]]:
        self.seen.append(value)
        least, of = self.rule.of
        lately = [(ago, v) for ago, v in enumerate(reversed(self.seen[-reach(of) :])) if not math.isnan(v)][:of]
        bad = [ago for ago, v in lately if v > 100]
        if not self.active:
            if value > 100 and len(bad) >= least:
                self.active, self.critical, self.calm, self.lost_wh = True, value > 200, 0, value * 24
                return [("raised", bad[-1] + 1, self.critical, None)]
            return []
        self.lost_wh += 0 if math.isnan(value) else value * 24
        if value < 80:
            self.calm += 1
        elif not math.isnan(value):
            self.calm = 0
        if self.calm >= max(1, round(self.rule.clear_for_s / 86400)):
            self.active, lost, self.lost_wh = False, self.lost_wh, 0
            self.critical = False
            return [("cleared", 1, False, round(lost, 1))]
        if value > 200 and not self.critical:
            self.critical = True
            return [("raised", 1, True, None)]
        return []


def over(least: int, of: int, clear_nights: int) -> Rule:
    return rule(
        "heavy",
        "mean_w > 100",
        per=Per.NIGHT,
        of=(least, of),
        clear_when="mean_w < 80",
        clear_for_s=clear_nights * 86400.0,
        critical_when="mean_w > 200",
        loses="mean_w",
    )


def judged(
    compiled: Compiled, state: State, night: int, values: list[float], verdicts: Verdicts
) -> list[SymptomChange]:
    layer = Layer(
        kind=LAMP,
        estate=ESTATE,
        states={"lamp": state},
        slots=np.arange(3),
        ts_ms=np.full(3, START_MS + night * DAY_MS),
        values=np.empty((0, 3)),
        gap_s=np.full(3, NAN),
        now_ms=START_MS + night * DAY_MS,
        inputs=SEAM.day_by_name,
        columns={"mean_w": np.array(values)},
    )
    return verdicts.judge(layer)


VALUE = st.sampled_from([NAN, 50.0, 90.0, 150.0, 250.0])


@given(
    st.lists(st.tuples(VALUE, VALUE, VALUE), max_size=50),
    st.integers(1, 4).flatmap(lambda of: st.tuples(st.integers(1, of), st.just(of))),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_nights_are_judged_as_by_the_twin(nights: list[tuple[float, ...]], of: tuple[int, int], clear: int) -> None:
    heavy = over(*of, clear)
    state, twins = State(3), [Nights(heavy) for _ in range(3)]
    verdicts = Verdicts(
        "night_rules", [compile_rule(heavy, SEAM, ESTATE)], lambda _, error: (_ for _ in ()).throw(error)
    )
    for number, values in enumerate(nights):
        found = judged(verdicts.rules[0], state, number, list(values), verdicts)
        told = sorted(
            (
                c.asset_id,
                "raised" if c.raised else "cleared",
                (c.ts_ms - c.since_ms) // DAY_MS,
                c.severity is Severity.CRITICAL,
                c.lost_wh,
            )
            for c in found
        )
        wanted = [
            (a, *change)
            for a, (twin, value) in enumerate(zip(twins, values, strict=True), 1)
            for change in twin.night(value)
        ]
        assert told == wanted
        assert sorted(slot for _, slot in verdicts.active(state)) == [n for n, twin in enumerate(twins) if twin.active]


def test_a_long_silence_is_forgotten() -> None:
    heavy = over(2, 2, 1)
    state, verdicts = State(3), Verdicts("n", [compile_rule(heavy, SEAM, ESTATE)], lambda _, e: None)
    nights = [[150.0, 50, 50], *([[NAN, 50, 50]] * reach(2)), [150.0, 50, 50]]
    found = [judged(verdicts.rules[0], state, n, values, verdicts) for n, values in enumerate(nights)]
    assert found == [[]] * len(nights)
    assert [c.asset_id for c in judged(verdicts.rules[0], state, 99, [150.0, 50, 50], verdicts)] == [1]


def test_a_rule_that_fails_is_given_up_alone() -> None:
    failed: list[str] = []
    texts = {"one": "broken > 1", "two": "mean_w > 100"}
    rules = [compile_rule(rule(name, when, per=Per.NIGHT), SEAM, ESTATE) for name, when in texts.items()]
    verdicts = Verdicts("n", rules, lambda compiled, error: failed.append(compiled.rule.name))
    for night in range(2):
        found = judged(rules[1], State(3), night, [150.0, 50.0, NAN], verdicts)
        assert [c.rule for c in found] == ["two"]
    assert failed == ["one"]
