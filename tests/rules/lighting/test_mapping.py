"""Lamps on a wrong feeder are found from shared outages, and no right one is, whatever else befalls it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kraj.kinds import LAMP
from kraj.wiring import MARGIN, Around, Outage, Wired
from rules.lighting import mapping
from rules.lighting.mapping import KEPT, LOST, UNKNOWN, Fates, Proposal
from simulators.asset import Asset, Region
from simulators.miswiring import registered_wrongly
from simulators.physics.frame import Fault
from simulators.region import region
from simulators.stream import days
from tests.rules.lighting import wiring_twin

START_MS = 1_762_905_600_000  # 2025-11-12T00:00Z
HOUR_MS = 3_600_000
LATE_MS, LONGER_MS = 90_000, 12 * 60_000
"""An alert begins with the first will, and ends when most are back and known to be."""
GRACE_MS, BEFORE_MS = 3 * HOUR_MS, 3 * HOUR_MS
DEVICES, DAYS, WRONG = 1900, 3, 8


@cache
def town(seed: int) -> Region:
    """One town of about six feeders."""
    whole = region(seed, DEVICES, clockless_share=0.0)
    name = whole.municipalities[0].name
    kept = tuple(
        d for d in whole.devices if d.municipality == name and d.installed[0].asset.kind in {"lamp", "cabinet"}
    )
    return replace(whole, municipalities=whole.municipalities[:1], devices=kept)


def lamps_of(found: Region) -> list[tuple[int, Asset]]:
    return [(n, asset) for n, asset in enumerate(found.assets, 1) if asset.kind == "lamp"]


def wired(found: Region) -> Wired:
    lamps = lamps_of(found)
    return Wired(
        asset_id=np.array([n for n, _ in lamps], np.int64),
        feeder=[a.word("feeder") for _, a in lamps],
        cabinet=[a.word("cabinet") for _, a in lamps],
        latitude=np.array([a.latitude for _, a in lamps]),
        longitude=np.array([a.longitude for _, a in lamps]),
    )


def fault(  # noqa: PLR0917 - as a fault is told
    cause: str, scope: str, name: str, targets: Sequence[Asset], from_h: float, hours: float
) -> Fault:
    start_ms = START_MS + int(from_h * HOUR_MS)
    keys = tuple(asset.key for asset in targets)
    return Fault(cause=cause, scope=scope, municipality=targets[0].municipality, name=name, targets=keys,
                 start_ms=start_ms, end_ms=start_ms + int(hours * HOUR_MS))  # fmt: skip


def trip(found: Region, feeder: str, from_h: float, hours: float = 1.2) -> Fault:
    on_it = [a for _, a in lamps_of(found) if a.word("feeder") == feeder]
    return fault("feeder_outage", "feeder", feeder, on_it, from_h, hours)


def alert(key: int, one: Fault) -> Outage:
    """The alert that rules make of a fault."""
    return Outage(
        key=key,
        feeder=one.name if one.scope == "feeder" else None,
        cabinet=None if one.scope == "feeder" else one.name,
        from_ms=one.start_ms + LATE_MS,
        to_ms=one.end_ms + LONGER_MS,
    )


def around(found: Region, faults: Sequence[Fault], outages: Sequence[Outage], lamps: Wired) -> Around:
    """What the store reads, from the simulated readings of the true region."""
    parts = [r for d in days(found, START_MS, DAYS, faults, batch_s=3600) for r in d.readings if r.kind.name == "lamp"]
    asset, ts = (np.concatenate([getattr(p, name) for p in parts]) for name in ("asset_id", "ts_ms"))
    values = np.concatenate([p.values for p in parts])
    order = np.lexsort((ts, asset))
    asset, ts, values = asset[order], ts[order], values[order]
    uptime, losses, reset, volts = (
        values[:, LAMP.positions[name]] for name in ("uptime_s", "supply_losses", "reset_cause", "voltage_v")
    )
    rows: list[tuple[object, ...]] = []
    for o, n in np.argwhere(mapping.asked(outages, lamps)).tolist():
        mine = np.flatnonzero(asset == lamps.asset_id[n])
        before = mine[(ts[mine] < outages[o].from_ms) & (ts[mine] >= outages[o].from_ms - BEFORE_MS)]
        begun = outages[o].from_ms + MARGIN.total_seconds() * 1000
        after = mine[(ts[mine] > begun) & (ts[mine] <= outages[o].to_ms + GRACE_MS)]
        b, a = (ts[before[-1]], losses[before[-1]]) if len(before) else (np.nan, np.nan), after[:1]
        seen = (ts[a[0]], uptime[a[0]], losses[a[0]], reset[a[0]] == 0, volts[a[0]]) if len(a) else (np.nan,) * 5
        rows.append((o, n, *b, *seen))
    table = np.array(rows, np.float64).reshape(-1, 9).T
    return Around(
        outage=table[0].astype(np.int64), lamp=table[1].astype(np.int64), before_ms=table[2], losses_before=table[3],
        ts_ms=table[4], uptime_s=table[5], losses=table[6], restarted=table[7], voltage_v=table[8],
    )  # fmt: skip


def heard(true: Region, told: Region, faults: Sequence[Fault], outages: Sequence[Outage]) -> list[Proposal]:
    lamps = wired(told)
    return mapping.proposals(outages, lamps, mapping.fates(outages, lamps, around(true, faults, outages, lamps)))


def names(found: Region, kind: str) -> list[str]:
    return sorted({word for _, a in lamps_of(found) if (word := a.word(kind))})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_wrong_lamp_is_proposed_where_it_hangs_and_no_right_one(seed: int) -> None:
    true = town(seed)
    told, wrong = registered_wrongly(true, seed, WRONG)
    feeders = names(true, "feeder")
    faults = [trip(true, f, night * 24 + 16.5 + 1.7 * n) for night in (0, 1) for n, f in enumerate(feeders)]
    found = heard(true, told, faults, [alert(n, one) for n, one in enumerate(faults)])
    by_id = dict(lamps_of(true))
    assert len(wrong) == WRONG
    assert {by_id[one.asset_id].key for one in found} == set(wrong)
    assert all(one.feeder == by_id[one.asset_id].word("feeder") for one in found)
    assert all(one.cabinet == by_id[one.asset_id].word("cabinet") for one in found)


def test_the_evidence_names_outages_on_both_sides_and_how_likely_they_are_chance() -> None:
    true = town(1)
    told, wrong = registered_wrongly(true, 1, 1)
    (lamp,) = (n for n, a in lamps_of(true) if a.key == wrong[0])
    right, registered = (dict(lamps_of(one))[lamp].word("feeder") or "" for one in (true, told))
    faults = [trip(true, right, 17), trip(true, registered, 19), trip(true, right, 42)]
    (one,) = heard(true, told, faults, [alert(n, each) for n, each in enumerate(faults)])
    assert (one.asset_id, one.registered_feeder, one.feeder) == (lamp, registered, right)
    assert [(e.outage.key, e.says) for e in one.evidence] == [(2, "shared"), (1, "kept"), (0, "shared")]
    hours = 25 + 1.2  # between the readings before the first outage and after the return from the last
    assert one.chance == pytest.approx(2 * (1 - np.exp(-0.5 / hours / 3)) ** 2, rel=0.05)
    outages = [alert(n, each) for n, each in enumerate(faults)]
    lamps = wired(told)
    found = mapping.fates(outages, lamps, around(true, faults, outages, lamps))
    assert mapping.proposals(outages, lamps, found, {lamp: frozenset({2})}) == []
    assert len(mapping.proposals(outages, lamps, found, {lamp: frozenset({1}), 7: frozenset({0, 2})})) == 1


def test_what_befalls_a_right_lamp_by_itself_or_by_radio_is_no_evidence() -> None:
    true = town(1)
    mine, other = names(true, "feeder")[:2]
    alone, loose, deaf, once, twice = [a for _, a in lamps_of(true) if a.word("feeder") == mine][:5]
    nights = [trip(true, other, 17), trip(true, other, 42), trip(true, other, 66)]
    faults = [
        *nights,
        # One that went out with the neighbours once, one twice but not the third time, one whose joint is loose, one
        # that nobody heard.
        fault("feeder_outage", "asset", "x", [once], 17, 1.2),
        *(fault("feeder_outage", "asset", "v", [twice], h, 1.2) for h in (17, 42)),
        *(fault("feeder_outage", "asset", "y", [loose], h, 0.2) for h in np.arange(16, 71, 0.5) if h % 24 != 18),
        fault("comms_lost", "asset", "z", [deaf], 17, 1.2),
        fault("comms_lost", "asset", "z", [deaf], 42, 1.2),
        # Dark each time, but back at another one.
        *(fault("feeder_outage", "asset", "w", [alone], h, 2.0) for h in (17, 42, 66)),
    ]
    assert heard(true, true, faults, [alert(n, each) for n, each in enumerate(nights)]) == []


def test_switching_contactors_by_day_are_no_evidence() -> None:
    true = town(5)
    told, wrong = registered_wrongly(true, 5, WRONG)
    by_switch = {a.word("feeder"): a.number("feeder_switched") for _, a in lamps_of(true)}
    assert set(by_switch.values()) == {0.0, 1.0}
    assert sum(map(bool, by_switch.values())) > 1
    spans = [(4.0, 4.0), (9.0, 3.0), (12.5, 2.0), (15.0, 2.0)]  # over dawn, by day, until dusk closes them, over it
    by_id = dict(lamps_of(true))
    for feeder in sorted(str(name) for name, switched in by_switch.items() if switched):
        for from_h, hours in spans:
            faults = [trip(true, feeder, day * 24 + from_h, hours) for day in (0, 1)]
            found = heard(true, told, faults, [alert(n, one) for n, one in enumerate(faults)])
            assert {by_id[one.asset_id].key for one in found} <= set(wrong), (feeder, from_h)
            # With all feeders of a cabinet dark until dusk, it is the cabinet that is known.
            assert all(one.feeder in {None, by_id[one.asset_id].word("feeder")} for one in found)
            assert all(one.cabinet == by_id[one.asset_id].word("cabinet") for one in found)


def test_a_cabinet_tells_the_cabinet_only_and_a_grid_outage_nothing() -> None:
    true = town(1)
    told, wrong = registered_wrongly(true, 1, WRONG)
    by_id = dict(lamps_of(true))
    first, second = names(true, "cabinet")[:2]

    def dark(cabinet: str, from_h: float) -> Fault:
        return fault(
            "cabinet_outage", "cabinet", cabinet, [a for a in true.assets if a.word("cabinet") == cabinet], from_h, 1.2
        )

    faults = [dark(first, 17), dark(second, 20), dark(first, 42), dark(second, 45)]
    found = heard(true, told, faults, [alert(n, one) for n, one in enumerate(faults)])
    astray = {a.key for n, a in lamps_of(told) if a.word("cabinet") != by_id[n].word("cabinet")}
    assert astray
    assert astray < set(wrong)
    assert {by_id[one.asset_id].key for one in found} == astray
    assert all((one.feeder, one.cabinet) == (None, by_id[one.asset_id].word("cabinet")) for one in found)

    some = {a.word("cabinet"): a.word("feeder") or "" for n, a in lamps_of(true) if a != dict(lamps_of(told))[n]}
    for at_once in ([dark(first, 17), dark(second, 17)], [trip(true, feeder, 17) for feeder in some.values()]):
        grid = [
            *at_once,
            *(replace(o, start_ms=o.start_ms + 25 * HOUR_MS, end_ms=o.end_ms + 25 * HOUR_MS) for o in at_once),
        ]
        assert len(grid) == 4
        assert heard(true, told, grid, [alert(n, one) for n, one in enumerate(grid)]) == []


def test_a_lamp_that_was_wired_anew_is_proposed_when_all_that_speaks_against_it_is_older() -> None:
    true = town(1)
    mine, other = names(true, "feeder")[:2]
    moved = next(a for _, a in lamps_of(true) if a.word("feeder") == mine)
    first, then = trip(true, mine, 17), [trip(true, other, 24 * n + 18) for n in (1, 2)]
    then = [replace(one, targets=(*one.targets, moved.key)) for one in then]
    late = replace(trip(true, mine, 70), targets=tuple(k for k in trip(true, mine, 70).targets if k != moved.key))
    faults = [first, *then, late]
    (one,) = heard(true, true, faults, [alert(n, each) for n, each in enumerate(faults)])
    assert (one.feeder, [e.says for e in one.evidence]) == (other, ["kept", "shared", "shared", "with_registered"])
    again = [*then, trip(true, mine, 70)]
    assert heard(true, true, again, [alert(n, each) for n, each in enumerate(again)]) == []


def test_without_uptime_the_counter_decides_and_the_voltage_and_else_nothing() -> None:
    lamps = wired(town(1))
    nan = float("nan")
    cases = [  # losses before and after, uptime, restarted for power, voltage
        (5, 6, nan, nan, 230, LOST), (5, 5, nan, nan, 230, KEPT), (nan, nan, nan, nan, 230, UNKNOWN),
        (nan, nan, nan, nan, 0.4, LOST), (nan, nan, 60, 1, 230, LOST), (nan, nan, 60, 0, 230, UNKNOWN),
        (5, 5, 60, 1, 230, UNKNOWN), (5, 6, 9e5, 1, 230, KEPT), (nan, nan, nan, nan, nan, UNKNOWN),
    ]  # fmt: skip
    count = len(cases)
    table = np.array([case[:5] for case in cases], np.float64).T
    outage = Outage(key=1, feeder=None, cabinet="nowhere", from_ms=START_MS, to_ms=START_MS + HOUR_MS)
    found = mapping.fates(
        [outage], lamps,
        Around(
            outage=np.zeros(count, np.int64), lamp=np.arange(count), before_ms=np.full(count, START_MS - 60_000.0),
            losses_before=table[0], ts_ms=np.full(count, START_MS + 1.5 * HOUR_MS), uptime_s=table[2], losses=table[1],
            restarted=table[3], voltage_v=table[4],
        ),
    )  # fmt: skip
    assert found.state[0, :count].tolist() == [case[5] for case in cases]
    assert (found.state[0, count:] == UNKNOWN).all()


def test_nothing_is_proposed_where_there_is_nothing() -> None:
    lamps = wired(town(1))
    none = np.zeros(0)
    empty = Around(
        outage=none.astype(np.int64), lamp=none.astype(np.int64), before_ms=none, losses_before=none, ts_ms=none,
        uptime_s=none, losses=none, restarted=none, voltage_v=none,
    )  # fmt: skip
    assert mapping.proposals([], lamps, mapping.fates([], lamps, empty)) == []
    assert mapping.asked([], lamps).shape == (0, len(lamps))


def test_it_equals_its_slow_twin_on_any_town() -> None:
    proposed = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        count, rows = 40, 14
        lamps, outages, found = drawn(random, count, rows)
        settled = {int(i): frozenset(random.integers(0, rows, 2).tolist()) for i in random.integers(0, count, 4)}
        slow = wiring_twin.proposals(outages, lamps, found, settled)
        fast = {
            one.asset_id: (one.feeder, one.cabinet, one.chance, tuple((e.outage.key, e.says) for e in one.evidence))
            for one in mapping.proposals(outages, lamps, found, settled)
        }
        assert fast.keys() == slow.keys(), seed
        for asset_id, (feeder, cabinet, chance, says) in fast.items():
            assert (feeder, cabinet, says) == (slow[asset_id][0], slow[asset_id][1], slow[asset_id][3])
            assert chance == pytest.approx(slow[asset_id][2])
        proposed += len(fast)
    assert proposed > 50


def drawn(random: np.random.Generator, count: int, rows: int) -> tuple[Wired, list[Outage], Fates]:
    """A town in which anything may be, its outages and what became of its lamps, mostly as they are wired."""
    feeders = [f"R{c}/{n}" for c in (1, 2) for n in (1, 2)]
    true = [str(one) for one in random.choice(feeders, count)]
    told = [str(random.choice(feeders)) if random.random() < 0.2 else one for one in true]
    lamps = Wired(
        asset_id=np.arange(count),
        feeder=[None if random.random() < 0.1 else one for one in told],
        cabinet=[None if random.random() < 0.2 else one[:2] for one in told],
        latitude=np.full(count, np.nan),
        longitude=np.full(count, np.nan),
    )
    moments = np.round(random.uniform(0, 12 * 24 * 6, rows)) * 10 * 60_000 + START_MS
    names = [str(one) for one in random.choice([*feeders, *feeders, "R1", "R2"], rows)]
    outages = [
        Outage(key=n, feeder=name if "/" in name else None, cabinet=None if "/" in name else name,
               from_ms=int(at), to_ms=int(at) + HOUR_MS)
        for n, (name, at) in enumerate(zip(names, moments, strict=True))
    ]  # fmt: skip
    state = np.array([[LOST if one.startswith(name) else KEPT for one in true] for name in names], np.int64)
    noise = random.random(state.shape)
    state = np.where(noise < 0.03, LOST, np.where(noise < 0.05, KEPT, np.where(noise < 0.15, UNKNOWN, state)))
    losses = np.where(random.random(count) < 0.2, np.nan, random.integers(0, 8, count))
    width = np.where(random.random(state.shape) < 0.2, 1.3, 1 / 3)
    return (
        lamps,
        outages,
        Fates(state=state, width_h=width, losses=losses, hours=np.where(np.isnan(losses), np.nan, 300.0)),
    )
