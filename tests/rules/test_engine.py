"""The engine judges as its slow twin does, whatever comes in whatever order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.alerts import SymptomChange
from rules.catalogue import load
from rules.observer import Observer
from rules.rule import Per
from rules.twin import Twin
from tests.rules.world import lamps, mixed, plain, random_steps, rule

OWN = (
    rule("at_once", "power_w > 300"),
    rule("timed", "power_w < 100 and voltage_v > 210", for_s=600, clear_when="power_w > 200", clear_for_s=600),
    rule("losing", "power_w > 10", for_s=60, loses="power_w - 5 W", clear_for_s=120),
    rule("guarded", "voltage_v > 230", for_s=300, guards=("clock_ok",), thresholds={"never_used_v": 3.0}),
    rule("critical", "gear_temp_degc > 20", for_s=60, critical_when="gear_temp_degc > 80", clear_for_s=60),
    rule("negated", "not (power_w > 300 or level_commanded_pct < 50)", for_s=120),
    rule("own", "power_w > 50", for_s=60, clear_for_s=60, municipality_id=1),
    rule("foreign", "power_w > 50", municipality_id=2),
    rule("silent", "silent_s > 15 min and neighbours_alive", per=Per.TIME, for_s=120, clear_for_s=60),
    rule("seldom", "silent_s > 3 * heartbeat_s", per=Per.TIME),
)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_rules_of_every_form_are_judged_as_by_the_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    estate = lamps(4)
    engine, twin = Observer(estate, OWN), Twin(estate, OWN)
    for batch, statuses, now, attentive in random_steps(random, estate, 12):
        found = engine.step(batch, statuses, now, attentive=attentive)
        engine.commit()
        assert plain(found) == plain(twin.step(batch, statuses, now, attentive=attentive))
    assert engine.failures == {}


def test_the_whole_catalogue_is_judged_as_by_the_twin() -> None:
    catalogue = [r for r in load() if r.per in {Per.READING, Per.TIME}]
    estate, told = mixed(), list[SymptomChange]()
    for seed in range(8):
        random = np.random.default_rng(seed)
        engine, twin = Observer(estate, catalogue), Twin(estate, catalogue)
        for batch, statuses, now, attentive in random_steps(random, estate, 20):
            found = engine.step(batch, statuses, now, attentive=attentive)
            engine.commit()
            with np.errstate(all="ignore"):
                assert plain(found) == plain(twin.step(batch, statuses, now, attentive=attentive))
            told += found
        assert engine.failures == {}
    # A comparison of nothing with nothing would say nothing.
    assert len({change.rule for change in told}) > len(catalogue) // 2
    assert {(c.raised, c.late) for c in told} >= {(True, False), (False, False), (True, True)}
