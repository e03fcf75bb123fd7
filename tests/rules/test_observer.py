"""A step is kept or taken back as one; what is remembered outlives registry, catalogue and process."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.alerts import Severity, Step, SymptomChange
from kraj.assets import DeviceStatus
from kraj.readings import Readings
from rules import archive
from rules.catalogue import load
from rules.estate import Estate, Override
from rules.inputs import of_kind, seam
from rules.layer import Input, Layer
from rules.observer import Observer
from rules.rule import Per, Rule
from tests.rules.world import MINUTE_MS, NAN, START_MS, TITLE, asset, lamps, mixed, plain, random_steps, readings, rule

CATALOGUE = load()
HOT = rule("hot", "power_w > 100", for_s=600, clear_when="power_w < 50", clear_for_s=600)


def power(asset_id: int, minute: float, watts: float) -> list[Readings]:
    values = {"power_w": watts, "level_commanded_pct": 100.0}  # lit: it reports every five minutes
    return [readings("lamp", [(asset_id, START_MS + int(minute * MINUTE_MS), values)])]


def told(changes: Sequence[SymptomChange]) -> list[tuple[str, int, bool]]:
    return [(c.rule, c.asset_id, c.raised) for c in changes]


def run(observer: Observer, batches: Sequence[tuple[int, float, float]]) -> list[tuple[str, int, bool]]:
    """Batches of one reading each: asset, minute and power."""
    found: list[SymptomChange] = []
    for asset_id, minute, watts in batches:
        found += observer.step(power(asset_id, minute, watts), [], START_MS + int(minute * MINUTE_MS))
        observer.commit()
    return told(found)


def remembered(observer: Observer) -> tuple[Any, dict[str, list[Any]]]:
    """All that an observer holds; arrays that hold nothing but their fill are as good as none."""
    document, arrays = observer.dump()
    fills = {
        f"{kind}/{n}": float(f) for kind, told_of in document["kinds"].items() for n, f in told_of["fills"].items()
    }
    found: dict[str, list[Any]] = {}
    for name, values in arrays.items():
        as_made = name in fills and np.array_equal(
            values, np.full_like(values, fills[name]), equal_nan=values.dtype.kind == "f"
        )
        if not as_made:
            found[name] = np.nan_to_num(values.astype(float), nan=-12345).tolist()
    return document["mind"], found


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_a_step_taken_back_has_never_been(seed: int) -> None:
    random = np.random.default_rng(seed)
    estate = mixed()
    careless, careful = Observer(estate, CATALOGUE), Observer(estate, CATALOGUE)
    for batch, statuses, now, attentive in random_steps(random, estate, 6):
        now_later = now + int(random.integers(0, 40)) * 3_600_000  # a night or two may be judged in vain
        before = remembered(careless)
        careless.step(batch[: int(random.integers(len(batch) + 1))], statuses, now_later, attentive=attentive)
        careless.rollback()
        assert remembered(careless) == before
        found = careless.step(batch, statuses, now, attentive=attentive)
        careless.commit()
        assert plain(found) == plain(careful.step(batch, statuses, now, attentive=attentive))
        careful.commit()
        assert remembered(careless) == remembered(careful)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=6, deadline=None)
def test_a_restored_checkpoint_goes_on_as_if_nothing_had_been(seed: int) -> None:
    random = np.random.default_rng(seed)
    estate = mixed()
    observer = Observer(estate, CATALOGUE)
    for batch, statuses, now, attentive in random_steps(random, estate, 6):
        copy = Observer(estate, CATALOGUE)
        copy.load(*archive.unpack(archive.pack(*observer.dump())))
        assert remembered(copy) == remembered(observer)
        later = now + int(random.integers(0, 3)) * 20 * 3_600_000
        assert plain(copy.step(batch, statuses, later, attentive=attentive)) == plain(
            observer.step(batch, statuses, later, attentive=attentive)
        )
        observer.commit()


RAISED = [(1, 0, 200), (1, 5, 200), (1, 10, 200)]
CALM = [(1, 15, 10), (1, 20, 10), (1, 25, 10)]


def test_a_symptom_is_raised_and_cleared_in_the_readings_own_time() -> None:
    observer = Observer(lamps(2), [HOT])
    found: list[SymptomChange] = []
    for asset_id, minute, watts in [*RAISED, *CALM]:
        found += observer.step(power(asset_id, minute, watts), [], START_MS + int(minute * MINUTE_MS) + 7000)
    raised, cleared = found
    assert (raised.ts_ms, raised.since_ms) == (START_MS + 10 * MINUTE_MS, START_MS)
    assert raised.evidence == {"power_w": 200}
    assert (cleared.ts_ms, cleared.since_ms) == (START_MS + 25 * MINUTE_MS, START_MS + 15 * MINUTE_MS)


@pytest.mark.parametrize(("quick", "after_s"), [(True, 70), (False, 120)])
def test_a_quick_rule_is_asked_every_ten_seconds(quick: bool, after_s: int) -> None:
    silent = rule("silent", "silent_s > 65 s", per=Per.TIME, quick=quick, clear_when="silent_s < 5 s")
    observer = Observer(lamps(2), [silent])
    observer.step(power(1, 0, 60), [], START_MS)
    found = [(s, told(observer.step([], [], START_MS + s * 1000))) for s in range(5, 140, 5)]
    assert [(s, changes) for s, changes in found if changes] == [(after_s, [("silent", 1, True)])]
    back = observer.step(power(1, 140 / 60, 60), [], START_MS + 140_000)
    back += observer.step([], [], START_MS + 141_000)
    assert told(back) == ([("silent", 1, False)] if quick else [])


@pytest.mark.parametrize(("unknown", "raised"), [((5,), True), ((3, 6), False), ((6,), False)])
def test_what_is_not_known_is_bridged_for_one_heartbeat(unknown: tuple[int, ...], raised: bool) -> None:
    observer = Observer(lamps(1), [HOT])
    batches = [(1, 0, 200.0), *((1, minute, NAN) for minute in unknown), (1, 10, 200.0)]
    assert run(observer, batches) == ([("hot", 1, True)] if raised else [])


def test_state_moves_with_the_asset_to_another_registry() -> None:
    observer = Observer(lamps(2), [HOT])
    assert run(observer, RAISED) == [("hot", 1, True)]
    # Another lamp in front, one gone, and ours on another feeder.
    observer.move(Estate.of(2, [asset(1, feeder="B"), asset(0)]), [HOT])
    assert run(observer, CALM) == [("hot", 1, False)]


def test_a_timer_goes_on_through_a_change_of_the_registry() -> None:
    observer = Observer(lamps(2), [HOT])
    run(observer, RAISED[:2])
    observer.move(lamps(3), [rule("another", "power_w > 1 kW"), HOT])
    assert run(observer, RAISED[2:]) == [("hot", 1, True)]


@pytest.mark.parametrize("how", ["move", "restore"])
def test_symptoms_of_a_rule_that_is_gone_or_another_end(how: str) -> None:
    observer = Observer(lamps(2), [HOT])
    run(observer, RAISED)
    hotter = [replace(HOT, when="power_w > 150")]
    if how == "move":
        observer.move(lamps(2), hotter)
    else:
        document, arrays = observer.dump()
        observer = Observer(lamps(2), hotter)
        observer.load(document, arrays)
    # It ends, and the new rule begins from nothing.
    assert run(observer, [(1, 15, 200), (1, 20, 200), (1, 25, 200)]) == [("hot", 1, False), ("hot", 1, True)]


def test_other_texts_for_people_change_nothing() -> None:
    observer = Observer(lamps(2), [HOT])
    run(observer, RAISED)
    observer.move(lamps(2), [replace(HOT, symptom=TITLE, source="a book", explained_by=("feeder_outage",))])
    assert run(observer, CALM) == [("hot", 1, False)]


# Thresholds and switches

WARM = rule("warm", "power_w > limit_w", thresholds={"limit_w": 100.0})


def override(**told_of: Any) -> Override:
    given_values: dict[str, Any] = {"asset_ids": None, "municipality_id": 1, "enabled": True, "thresholds": {}}
    return Override(rule="warm", **(given_values | told_of))


def street(*overrides: Override) -> Estate:
    rows = [asset(1), asset(2), asset(3, municipality_id=2)]
    return Estate.of(1, rows, overrides=overrides)


def warm(estate: Estate, rules: Sequence[Rule] = (WARM,)) -> dict[int, Any]:
    """Which of three lamps of 150 W are told of, and by which limit."""
    batch = [readings("lamp", [(a, START_MS, {"power_w": 150.0}) for a in (1, 2, 3)])]
    return {c.asset_id: c.evidence.get("limit_w") for c in Observer(estate, rules).step(batch, [], START_MS)}


def test_thresholds_are_overridden_where_it_is_said() -> None:
    assert warm(street()) == {1: 100, 2: 100, 3: 100}
    town = override(thresholds={"limit_w": 140.0})
    assert warm(street(town)) == {1: 140, 2: 140, 3: 100}
    some = override(asset_ids=frozenset({2, 3}), thresholds={"limit_w": 160.0})
    assert warm(street(some, town)) == {1: 140, 3: 100}  # what is said of some holds for them; 3 is not theirs
    assert warm(street(override(enabled=False))) == {3: 100}
    assert warm(street(override(enabled=False), override(asset_ids=frozenset({2})))) == {2: 100, 3: 100}


def test_a_municipalitys_own_rule_is_judged_on_its_assets_alone() -> None:
    assert warm(street(), [replace(WARM, municipality_id=2)]) == {3: 100}


def test_what_is_switched_off_while_it_is_active_ends() -> None:
    observer = Observer(street(), [WARM])
    assert run(observer, [(1, 0, 150)]) == [("warm", 1, True)]
    observer.move(street(override(enabled=False)), [WARM])
    assert run(observer, [(1, 5, 150), (1, 10, 150)]) == [("warm", 1, False)]


def test_energy_lost_is_booked_from_the_beginning_on() -> None:
    losing = rule("losing", "power_w > 100", for_s=600, loses="power_w - 60 W", clear_for_s=300)
    observer = Observer(lamps(1), [losing])
    found: list[SymptomChange] = []
    for minute, watts in [(0, 120), (5, 120), (10, 120), (15, 180), (70, 180), (75, 50), (80, 50)]:
        found += observer.step(power(1, minute, watts), [], START_MS + minute * MINUTE_MS)
    # 60 W for 10 min, 120 W for 5 min; nobody knows of the gap; what is below 60 W gives nothing back.
    assert [c.lost_wh for c in found] == [None, 20.0]


def test_a_symptom_that_becomes_critical_is_told_again() -> None:
    worse = rule("worse", "power_w > 100", critical_when="power_w > 150", clear_for_s=600)
    observer = Observer(lamps(1), [worse])
    found: list[SymptomChange] = []
    for minute, watts in [(0, 120), (5, 160), (10, 120), (15, 170), (20, 20), (30, 20)]:
        found += observer.step(power(1, minute, watts), [], START_MS + minute * MINUTE_MS)
    severities = [(c.raised, c.severity) for c in found]
    assert severities == [(True, Severity.MINOR), (True, Severity.CRITICAL), (False, Severity.CRITICAL)]
    assert found[1].since_ms == START_MS


# Late readings


def test_a_day_of_late_readings_is_history_and_leaves_the_present_alone() -> None:
    observer = Observer(lamps(1), [HOT])
    run(observer, [(1, 24 * 60, 10.0)])
    day = [
        readings(
            "lamp",
            [(1, START_MS + m * MINUTE_MS, {"power_w": 200.0 if 60 <= m < 120 else 10.0}) for m in range(0, 1440, 5)],
        )
    ]
    now = START_MS + 24 * 60 * MINUTE_MS + 1000
    before = remembered(observer)[1]
    raised, cleared = observer.step(day, [], now)
    assert (raised.late, raised.raised, raised.since_ms) == (True, True, START_MS + 60 * MINUTE_MS)
    assert (cleared.late, cleared.raised, cleared.ts_ms) == (True, False, START_MS + 130 * MINUTE_MS)
    after = remembered(observer)[1]
    assert {n for n in after if after[n] != before.get(n)} <= {"lamp/heard_ms", "lamp/online"}


# Silence

QUIET = rule("quiet", "silent_s > 15 min", per=Per.TIME, clear_for_s=0)


def ticks(observer: Observer, minutes: Sequence[int], *, attentive: bool = True) -> list[tuple[str, int, bool]]:
    found: list[SymptomChange] = []
    for minute in minutes:
        found += observer.step([], [], START_MS + minute * MINUTE_MS, attentive=attentive)
        observer.commit()
    return told(found)


def test_silence_is_told_by_time_alone_and_ends_with_any_message() -> None:
    observer = Observer(lamps(2), [QUIET])
    run(observer, [(1, 0, 10.0)])
    assert ticks(observer, range(1, 16)) == []
    assert ticks(observer, range(16, 20)) == [("quiet", 1, True)]  # of the other nothing has ever been heard
    online = [DeviceStatus(device_id=1001, online=True, ts_ms=START_MS)]
    assert told(observer.step([], online, START_MS + 20 * MINUTE_MS)) == [("quiet", 1, False)]


def test_a_will_is_no_message() -> None:
    observer = Observer(lamps(2), [QUIET, rule("gone", "not online", per=Per.TIME)])
    run(observer, [(1, 0, 10.0)])
    will = [DeviceStatus(device_id=1001, online=False, ts_ms=START_MS)]
    assert told(observer.step([], will, START_MS + 10 * MINUTE_MS)) == [("gone", 1, True)]
    assert ticks(observer, [16]) == [("quiet", 1, True)]


def test_our_own_absence_is_nobodys_silence() -> None:
    observer = Observer(lamps(2), [QUIET])
    run(observer, [(1, 0, 10.0)])
    assert ticks(observer, [10]) == []
    assert ticks(observer, [300], attentive=False) == []
    assert ticks(observer, range(301, 306)) == []
    assert ticks(observer, [306, 307]) == [("quiet", 1, True)]


# What fails


def broken(layer: Layer) -> Any:
    if (layer.column("power_w") > 500).any():
        raise ZeroDivisionError("a lamp without a curve")
    return layer.column("power_w")


def with_broken(name: str) -> Any:
    lamp = of_kind(name)
    own = Input("trap_w", of_kind("lamp").by_name["gap_s"].unit, TITLE, broken)
    return seam(lamp.kind, inputs=(own,), active=lamp.active) if name == "lamp" else lamp


def test_a_rule_that_fails_is_switched_off_told_once_and_the_others_go_on() -> None:
    trap = rule("trap", "trap_w > 400 s")
    observer = Observer(lamps(2), [trap, HOT], with_broken)
    run(observer, RAISED[:2])
    assert told(observer.step(power(2, 6, 600.0), [], START_MS + 6 * MINUTE_MS)) == []
    assert observer.failures == {"trap": "ZeroDivisionError: a lamp without a curve"}
    (alert,) = observer.tell_failures()
    assert (alert.step, alert.rule, alert.scope.name, alert.notify) == (Step.OPENED, "rule_failed", "trap", True)
    assert observer.tell_failures() == []
    observer.commit()
    assert run(observer, [(2, 8, 450.0), *RAISED[2:]]) == [("hot", 1, True)]
    observer.retry("trap")
    assert observer.failures == {}
    assert run(observer, [(2, 18, 450.0)]) == [("trap", 2, True), ("hot", 2, True)]
    (alert,) = observer.tell_failures()
    assert alert.step is Step.CLEARED


def test_a_rule_that_fails_while_it_is_active_is_not_cleared_by_that() -> None:
    stuck = rule("stuck", "level_commanded_pct > 50", clear_when="trap_w < 1 s")
    observer = Observer(lamps(2), [stuck], with_broken)
    assert run(observer, [(1, 0, 200.0), (1, 5, 600.0), (1, 10, 0.0)]) == [("stuck", 1, True)]
    assert observer.failures.keys() == {"stuck"}


def test_a_failure_is_taken_back_with_its_step() -> None:
    observer = Observer(lamps(2), [rule("trap", "trap_w > 400 s")], with_broken)
    observer.step(power(2, 6, 600.0), [], START_MS + 6 * MINUTE_MS)
    assert observer.failures
    observer.rollback()
    assert observer.failures == {}
    assert observer.tell_failures() == []
    assert run(observer, [(2, 8, 450.0)]) == [("trap", 2, True)]


def test_a_failure_survives_a_restart_and_ends_with_another_text() -> None:
    trap = rule("trap", "trap_w > 400 s")
    first = Observer(lamps(2), [trap], with_broken)
    first.step(power(2, 6, 600.0), [], START_MS + 6 * MINUTE_MS)
    first.tell_failures()
    first.commit()
    second = Observer(lamps(2), [trap], with_broken)
    second.load(*first.dump())
    assert run(second, [(2, 8, 450.0)]) == []
    assert second.failures.keys() == {"trap"}
    second.move(lamps(2), [replace(trap, when="trap_w > 420 s")])
    assert run(second, [(2, 9, 450.0)]) == [("trap", 2, True)]


def test_a_rule_that_cannot_be_compiled_does_not_stop_the_others() -> None:
    observer = Observer(lamps(1), [rule("typo", "pover_w > 3"), HOT])
    assert run(observer, RAISED) == [("hot", 1, True)]
    assert "power_w" in observer.failures["typo"]


def test_inputs_that_fail_switch_their_kind_off_and_telemetry_goes_on() -> None:
    lamp = of_kind("lamp")

    def track(layer: Layer) -> None:
        layer.state.array("half")
        layer.state.put("half", layer.slots, 1.0)
        broken(layer)

    observer = Observer(
        lamps(2), [HOT, QUIET], lambda name: seam(lamp.kind, track=track) if name == "lamp" else of_kind(name)
    )
    assert run(observer, [(1, 0, 600.0), *RAISED]) == []
    assert observer.failures.keys() == {"lamp readings"}
    assert ticks(observer, [40]) == [("quiet", 1, True)]
