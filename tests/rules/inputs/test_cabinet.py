"""Inputs of cabinets: usual loads and sums over lamps, as plain loops have them; and whose circuit ought to be live."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.assets import AssetRow
from rules.inputs import health
from rules.lighting import circuit, load
from tests.rules.inputs.layers import Bench
from tests.rules.street import CABINET, HOUR_MS, MINUTE_MS, at, cabinet

NIGHT = at("2026-11-20 18:00")
DAWN = at("2026-11-20 07:00")
UNKNOWN = float("nan")


def lamps(count: int, **known: object) -> list[AssetRow]:
    """Lamps of the cabinets ``X0`` to ``X2`` in turn, and every fifth of none."""
    return [
        AssetRow(
            asset_id=100 + n,
            municipality_id=1,
            kind="lamp",
            label=f"L{n}",
            latitude=49.5,
            longitude=15.6,
            metadata={"feeder_switched": int(n % 2), **known, **({} if n % 5 == 4 else {"cabinet": f"X{n % 3}"})},
        )
        for n in range(count)
    ]


LAMPS = 13
STATES = st.lists(
    st.fixed_dictionaries(
        {
            "power": st.sampled_from([0.5, 40.0, 60.0, UNKNOWN]),
            "age_s": st.sampled_from([10, 700, 900, 4000]),
            "heartbeat_s": st.sampled_from([300.0, 3600.0]),
        }
    ),
    min_size=LAMPS,
    max_size=LAMPS,
)


@settings(max_examples=100, deadline=None)
@given(STATES)
def test_sums_over_lamps_are_as_counted_one_by_one(states: list[dict[str, float]]) -> None:
    rows = lamps(LAMPS)
    bench = Bench("cabinet", [CABINET] * 3, rows)
    known = bench.states["lamp"]
    known.array("power_last_w")[:] = [s["power"] for s in states]
    known.array("heartbeat_s")[:] = [s["heartbeat_s"] for s in states]
    health.newest_ms(known)[:] = [NIGHT - s["age_s"] * 1000 for s in states]
    assert bench.seam.refresh is not None
    bench.seam.refresh(bench.at(NIGHT))
    for slot in range(3):
        mine = [s for s, row in zip(states, rows, strict=True) if row.metadata.get("cabinet") == f"X{slot}"]
        fresh = [s for s in mine if s["age_s"] <= 2.5 * s["heartbeat_s"] and s["power"] == s["power"]]
        watts = sum(s["power"] for s in fresh) * len(mine) / len(fresh) if fresh else UNKNOWN
        enough = len(fresh) >= 0.95 * len(mine)
        assert bench.states["cabinet"].array("lamps_power_w")[slot] == pytest.approx(
            watts if enough else UNKNOWN, nan_ok=True
        )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([5, 10, 25, 55, 600]), st.sampled_from([12.0, 900.0, 2000.0, 2100.0, 3000.0])),
        min_size=1,
        max_size=60,
    )
)
def test_the_usual_load_is_as_learnt_one_reading_after_the_other(readings: list[tuple[int, float]]) -> None:
    bench = Bench("cabinet", [{"power_rated_w": 3000.0}])
    usual: dict[int, float] = {}
    ts, last, switched = NIGHT, None, NIGHT
    for later, power in readings:
        ts += later * MINUTE_MS
        switched = ts if last is None else switched
        layer = bench.tell({0: (ts, cabinet(power))})
        minute = layer.column("local_minute")[0]
        dark = layer.column("sun_elevation_deg")[0] < -6
        here = int(minute // 30)
        if dark and ts - switched >= 600_000:
            gap = 0.0 if last is None else min((ts - last) / 1000, 1800.0)
            before = usual.get(here, power)
            near = abs(power - before) <= 0.15 * before
            usual[here] = before + gap / (10_800 if near else 108_000) * (power - before)
        last = ts
        least = min(usual[n % 48] for n in range(here - 3, here + 4) if n % 48 in usual) if here in usual else 750.0
        ought = least if dark and least >= 100 else UNKNOWN
        assert layer.column("load_usual_w")[0] == pytest.approx(ought, nan_ok=True, rel=1e-5)


def test_a_night_of_outage_does_not_become_usual() -> None:
    bench = Bench("cabinet", [CABINET])
    for night, power in enumerate((3200.0, 3200.0, 12.0)):
        for step in range(12):
            bench.tell({0: (NIGHT + night * 24 * HOUR_MS + step * 5 * MINUTE_MS, cabinet(power))})
    layer = bench.tell({0: (NIGHT + 72 * HOUR_MS, cabinet(3200.0))})
    assert layer.column("load_usual_w")[0] > 0.95 * 3200


def test_other_lamps_in_the_registry_make_another_usual_load() -> None:
    before, after = Bench("cabinet", [CABINET]), Bench("cabinet", [CABINET | {"power_rated_w": 2000.0}])
    for step in range(6):
        before.tell({0: (NIGHT + step * 5 * MINUTE_MS, cabinet(6000))})
    after.states = before.states
    for step in range(6, 9):
        after.tell({0: (NIGHT + step * 5 * MINUTE_MS, cabinet(2000))})
    layer = after.tell({0: (NIGHT + 9 * 5 * MINUTE_MS, cabinet(2000))})
    assert layer.column("load_usual_w") == pytest.approx([2000])


def test_a_cabinet_is_a_villages_where_it_alone_can_tell() -> None:
    fed = [row for row in lamps(6) if row.metadata.get("cabinet") != "X2"]
    bench = Bench("cabinet", [{"lamps": 40, "lamps_unmetered": 30}, {"lamps": 40, "lamps_unmetered": 4}, {}], fed)
    assert bench.at(NIGHT).column("village").tolist() == [1, 0, 1]


def test_phases_are_counted_where_there_is_a_meter() -> None:
    bench = Bench("cabinet", [CABINET] * 4)
    volts = ((231, 230, 229), (231, 20, 0), (0, 0, 0), (231, UNKNOWN, UNKNOWN))
    snapshots = [cabinet(2000) | {f"l{i + 1}_voltage_v": v for i, v in enumerate(each)} for each in volts]
    layer = bench.tell({n: (NIGHT, snapshot) for n, snapshot in enumerate(snapshots)})
    assert layer.column("phases_dead").tolist() == [0, 2, 3, 0]
    assert layer.column("phases_live").tolist() == [3, 1, 0, 1]
    assert layer.column("supply_gone").tolist() == [0, 0, 1, 0]


def lamp_bench(contactor: float | None, changed_min: float, heard_min: float) -> Bench:
    """Four lamps: of a cabinet on a permanent and on a switched feeder, and the same without a cabinet."""
    known = [
        {"cabinet": "C", "feeder_switched": 0},
        {"cabinet": "C", "feeder_switched": 1},
        {"feeder_switched": 0},
        {"feeder_switched": 1},
    ]
    fed_by = AssetRow(
        asset_id=9, municipality_id=1, kind="cabinet", label="C", latitude=49.5, longitude=15.6, metadata={}
    )
    bench = Bench("lamp", known, [fed_by])
    state = bench.states["cabinet"]
    if contactor is not None:
        state.array("contactor")[:] = contactor
        state.array("contactor_ms", dtype=np.int64, fill=0)[:] = NIGHT - int(changed_min * MINUTE_MS)
    health.heard_ms(state)[:] = NIGHT - int(heard_min * MINUTE_MS)
    return bench


@pytest.mark.parametrize(
    ("contactor", "changed_min", "heard_min", "due"),
    [
        (1.0, 60, 5, 1.0),
        (1.0, 5, 5, UNKNOWN),  # they are just starting
        (0.0, 5, 5, 0.0),
        (0.0, 600, 50, 0.0),
        (0.0, 600, 200, UNKNOWN),  # the cabinet has not been heard of for three hours
        (None, 0, 5, UNKNOWN),
    ],
)
def test_a_switched_circuit_is_due_while_its_contactor_is_closed(
    contactor: float | None, changed_min: float, heard_min: float, due: float
) -> None:
    found = circuit.due(lamp_bench(contactor, changed_min, heard_min).at(NIGHT)).tolist()
    assert found == pytest.approx([1.0, due, 1.0, UNKNOWN], nan_ok=True)


@pytest.mark.parametrize(
    ("moment", "spoke_min", "due"),
    [
        (DAWN, 3, UNKNOWN),  # the lamp went a minute ago, and its cabinet may be about to say why
        (DAWN, 0.5, 1.0),
        (NIGHT, 3, 1.0),
    ],
)
def test_at_dawn_the_cabinet_is_asked_before_a_silent_lamp_counts(moment: int, spoke_min: float, due: float) -> None:
    bench = lamp_bench(1.0, 600, 1)
    for state in bench.states.values():
        health.heard_ms(state)[:] = moment - int(spoke_min * MINUTE_MS)
    health.newest_ms(bench.states["cabinet"])[:] = moment - int(spoke_min * MINUTE_MS)
    bench.states["cabinet"].array("contactor_ms", dtype=np.int64, fill=0)[:] = moment - 600 * MINUTE_MS
    bench.states["lamp"].array("online")[:] = 0.0
    health.offline_ms(bench.states["lamp"])[:] = moment - MINUTE_MS
    assert circuit.due(bench.at(moment)).tolist() == pytest.approx([1.0, due, 1.0, UNKNOWN], nan_ok=True)


@pytest.mark.parametrize(("silent_min", "lost"), [(3, 1.0), (7, 1.0), (20, 0.0)])
def test_a_lamp_is_lost_by_switching_if_it_was_heard_of_until_then(silent_min: float, lost: float) -> None:
    """The contactor opened a minute ago; a lit lamp reports every five."""
    bench = lamp_bench(0.0, 1, 0.5)
    bench.states["lamp"].array("heartbeat_s")[:] = 300.0
    health.newest_ms(bench.states["lamp"])[:] = NIGHT - int(silent_min * MINUTE_MS)
    assert circuit.lost_by_switching(bench.at(NIGHT)).tolist() == [0.0, lost, 0.0, 0.0]


def test_a_program_that_moves_by_some_minutes_leaves_the_usual_load_below_it() -> None:
    """Dimmed at 22:05 one night and at 21:20 the next: the least within an hour is what counts."""
    assert load.BINS * load.BIN_MIN == 24 * 60
    bench = Bench("cabinet", [CABINET])
    for night, change in enumerate((at("2026-11-20 22:05"), at("2026-11-21 21:20"))):
        start = at("2026-11-20 20:00") + night * 24 * HOUR_MS
        for step in range(40):
            ts = start + step * 5 * MINUTE_MS
            layer = bench.tell({0: (ts, cabinet(3000.0 if ts < change else 1800.0))})
            if night == 1:
                assert not layer.column("power_w")[0] < 0.9 * layer.column("load_usual_w")[0]
