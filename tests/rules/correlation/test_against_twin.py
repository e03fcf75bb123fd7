"""Random towns and histories: the correlator tells what its slow twin tells, whatever happens to it on the way."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.alerts import AlertChange, SymptomChange
from rules.correlation import Correlator
from rules.estate import Estate
from tests.rules.correlation.scene import CAUSES, MINUTE, RULES, START, Ledger, Town, asset, cleared, raised
from tests.rules.correlation.twin import Twin

GRID = MINUTE // 2


@dataclass(frozen=True)
class Act:
    """After ``gap`` half minutes something comes or goes: on one asset, or on all of a group."""

    gap: int
    where: int
    rule: int
    comes: bool
    whole: bool
    gasp: bool


SWITCHED = {"feeder_switched": 1.0}
TOWNS = (
    Town(cabinets=1, feeders=1, lamps=4),
    Town(cabinets=1, feeders=2, lamps=4, gateway="gw"),
    Town(cabinets=2, feeders=1, lamps=5, gateway="gw", area=None),
    Town(cabinets=4, feeders=1, lamps=3),
    Town(cabinets=1, feeders=2, lamps=4, changed={1100 + n: SWITCHED for n in range(4)}),
    Town(cabinets=2, feeders=1, lamps=3, gateway="gw", changed={1100 + n: SWITCHED for n in range(3)}),
    Town(cabinets=3, feeders=2, lamps=3, gateway="gw"),
    Town(
        cabinets=2,
        feeders=1,
        lamps=4,
        changed={1100 + n: {"report_interval_s": (900.0, 1800.0)[n % 2]} for n in range(3)},
    ),
    Town(cabinets=1, feeders=1, lamps=3, extra=tuple(asset(n, "solar", site=f"S{n % 2}") for n in range(50, 55))),
)
BY_KIND = {
    "lamp": ("lamp_dark", "lamp_dark", "comms_lost", "day_burner", "lamp_out", "voltage"),
    "cabinet": (
        *("cabinet_dark", "cabinet_dark", "breaker", "load_lost", "comms_lost", "phase_dark", "voltage"),
        "circuit_rests",
    ),
    "solar": ("zero_output", "solar_silent", "solar_comms_lost", "snow_suspected", "inverter_fault", "string_open"),
}


def drawn(chance: random.Random) -> tuple[Town, list[Act]]:
    """A town and what happens there: much within minutes, some of it hours apart."""
    acts = [
        Act(
            gap=chance.choice((0, 0, 1, 2, 3, 5, 10, 20, chance.randrange(90))),
            where=chance.randrange(10_000),
            rule=chance.randrange(10_000),
            comes=chance.random() < 0.6,
            whole=chance.random() < 0.5,
            gasp=chance.random() < 0.25,
        )
        for _ in range(chance.randrange(5, 60))
    ]
    return chance.choice(TOWNS), acts


histories = st.integers(0, 2**32).map(lambda seed: drawn(random.Random(seed)))
"""By a seed: lists of Hypothesis' own are short, and it takes many symptoms for anything to happen here."""
Step = tuple[int, list[SymptomChange]]


def story(town: Town, chosen: Sequence[Act]) -> list[Step]:
    """The acts as steps in time; what is told twice is left in, because engines may."""
    rows = town.rows()
    now, steps = 0, list[Step]()
    for act in chosen:
        now += act.gap
        row = rows[act.where % len(rows)]
        rules = BY_KIND[row.kind]
        rule = rules[act.rule % len(rules)]
        group = (
            "gateway" if act.gasp and "gateway" in row.metadata else "feeder" if row.kind == "lamp" else "supply_area"
        )
        alike = [
            r.asset_id for r in rows if r.kind == row.kind and r.metadata.get(group, "") == row.metadata.get(group, "")
        ]
        assets = alike if act.whole else [row.asset_id]
        if act.comes:
            changes = [raised(rule, a, now / 2, supply_gone=act.gasp and not act.whole) for a in assets]
        else:
            changes = [cleared(rule, a, now / 2) for a in assets]
        if steps and steps[-1][0] == START + now * GRID:
            steps[-1][1].extend(changes)
        else:
            steps.append((START + now * GRID, changes))
    return steps


def once(changes: Sequence[SymptomChange]) -> list[SymptomChange]:
    """Of several about one symptom at one moment the first: their order is the engine's affair."""
    return list({(c.rule, c.asset_id): c for c in reversed(changes)}.values())[::-1]


def end_of(steps: Sequence[Step]) -> int:
    return (steps[-1][0] if steps else START) + 90 * GRID


def run(correlator: Correlator, steps: Sequence[Step], end_ms: int) -> list[AlertChange]:
    found: list[AlertChange] = []
    for now_ms, changes in [*steps, (end_ms, [])]:
        found += correlator.step(changes, [], now_ms)
        correlator.commit()
    return found


def correlator_of(town: Town) -> Correlator:
    return Correlator(town.estate(), RULES, CAUSES)


@settings(max_examples=25, deadline=None)
@given(histories)
def test_it_tells_what_its_slow_twin_tells(history: tuple[Town, list[Act]]) -> None:
    town, chosen = history
    steps = [(now_ms, once(changes)) for now_ms, changes in story(town, chosen)]
    correlator, ledger = correlator_of(town), Ledger()
    twin = Twin(town.rows(), RULES, CAUSES)
    due = dict(steps)
    for now_ms in range(START, end_of(steps) + 1, GRID):
        twin.take(due.get(now_ms, ()), now_ms)
        if now_ms in due or now_ms % (10 * GRID) == 0:
            ledger.take(correlator.step(due.get(now_ms, ()), [], now_ms))
            correlator.commit()
            who = {key: (a.rule, a.scope.name, int(key.rsplit("@", 1)[1])) for key, a in ledger.alerts.items()}
            assert {who[key] for key in ledger.told} == twin.told()
            assert {who[a.key]: a.parent and who[a.parent] for a in ledger.open()} == twin.open_now()


@settings(max_examples=40, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_ticks_change_nothing(history: tuple[Town, list[Act]], chance: random.Random) -> None:
    town, chosen = history
    steps = story(town, chosen)
    end_ms = end_of(steps)
    ticks: list[Step] = [(chance.randrange(START, end_ms), []) for _ in range(50)]
    with_ticks = sorted([*steps, *ticks], key=lambda step: (step[0], -len(step[1])))
    assert run(correlator_of(town), steps, end_ms) == run(correlator_of(town), with_ticks, end_ms)


@settings(max_examples=40, deadline=None)
@given(histories, histories)
def test_a_step_that_is_taken_back_leaves_no_trace(
    history: tuple[Town, list[Act]], other: tuple[Town, list[Act]]
) -> None:
    town, chosen = history
    steps, disturbing = story(town, chosen), story(town, other[1])
    end_ms = end_of(steps)
    plain, disturbed = correlator_of(town), correlator_of(town)
    found: list[AlertChange] = []
    for place, (now_ms, changes) in enumerate([*steps, (end_ms, [])]):
        for later_ms, strange in disturbing[place : place + 3]:
            disturbed.step(strange, [], max(now_ms, later_ms))
        disturbed.rollback()
        found += disturbed.step(changes, [], now_ms)
        disturbed.commit()
    assert found == run(plain, steps, end_ms)
    assert disturbed.dump()["correlation"].tobytes() == plain.dump()["correlation"].tobytes()


@settings(max_examples=40, deadline=None)
@given(histories, st.integers(0, 40))
def test_a_checkpoint_goes_on_where_it_was_made(history: tuple[Town, list[Act]], place: int) -> None:
    town, chosen = history
    steps = story(town, chosen)
    end_ms = end_of(steps)
    place = min(place, len(steps))
    plain, first, second = correlator_of(town), correlator_of(town), correlator_of(town)
    found: list[AlertChange] = []
    for now_ms, changes in steps[:place]:
        found += first.step(changes, [], now_ms)
        first.commit()
    second.load({name: array.copy() for name, array in first.dump().items()})
    assert second.active == first.active
    found += run(second, steps[place:], end_ms)
    assert found == run(plain, steps, end_ms)
    assert second.dump()["correlation"].tobytes() == plain.dump()["correlation"].tobytes()


@settings(max_examples=40, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_the_order_within_a_step_does_not_matter(history: tuple[Town, list[Act]], chance: random.Random) -> None:
    town, chosen = history
    steps = [(now_ms, once(changes)) for now_ms, changes in story(town, chosen)]
    shuffled = [(now_ms, chance.sample(changes, len(changes))) for now_ms, changes in steps]
    assert run(correlator_of(town), steps, end_of(steps)) == run(correlator_of(town), shuffled, end_of(steps))


def moves(town: Town, chance: random.Random) -> Iterator[Estate]:
    """The registry changes: lamps leave, change hands, hang on another feeder."""
    rows = town.rows()
    while True:
        some = [r.asset_id for r in chance.sample(rows, min(3, len(rows)))]
        yield town.estate(without=some)
        yield town.estate(owners=dict.fromkeys(some, 2))
        yield replace(town, changed={a: {"feeder": "R1/1", "cabinet": "R1"} for a in some}).estate()
        yield town.estate()


@settings(max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_whatever_the_registry_does_alerts_stay_whole(history: tuple[Town, list[Act]], chance: random.Random) -> None:
    town, chosen = history
    correlator, ledger, estates = correlator_of(town), Ledger(), moves(town, chance)
    here = town.estate()
    for now_ms, changes in story(town, chosen):
        if chance.random() < 0.3:
            here = next(estates)
            correlator.move(here, RULES)
        ledger.take(correlator.step([c for c in changes if c.asset_id in here.kind_by_asset], [], now_ms))
        correlator.commit()
        assert set(correlator.active) == {a.key for a in ledger.open()}
        # What is in its calm time clears by itself, whatever the registry says.
        here_only = [a for a in ledger.open() if a.scope.type == "asset" and ledger.times_raised(a.key) < 4]
        assert all(int(a.scope.name) in here.kind_by_asset for a in here_only)
