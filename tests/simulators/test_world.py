"""All models of a region together: every metric, on the wire as the platform takes it, the same whenever asked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from kraj import wire
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.readings import spans
from simulators.faults import chosen
from simulators.physics.frame import DAY_MS, GRID_MS, Columns
from simulators.radio import RADIOS
from simulators.region import region
from simulators.stream import days
from simulators.wording import readings
from simulators.world import World, today

WINTER, SUMMER = 20_807 * DAY_MS, 20_624 * DAY_MS
"""2026-12-20 and 2026-06-20."""
BUILT = region(1, 200)
ABSENT = {
    "stop": {"sos_answer_s"},  # nobody presses it on an ordinary day
    "solar": {f"string{n}_{what}" for n in (7, 8) for what in ("current_a", "voltage_v")},  # 40 kW need six
}


def each_kind(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)(test)


@pytest.fixture(scope="module")
def world() -> World:
    return World(BUILT)


def whole_day(world: World, kind: Kind, start_ms: int, step_ms: int = 12 * GRID_MS) -> Columns:
    rows = np.arange(len(world.models[kind.name].assets))
    ts_ms = np.arange(start_ms, start_ms + DAY_MS, step_ms, dtype=np.int64)
    return world.at(kind.name, np.tile(rows, len(ts_ms)), np.repeat(ts_ms, len(rows)))


@each_kind
def test_every_metric_is_measured_by_somebody_or_absent_on_purpose(world: World, kind: Kind) -> None:
    world.prepare(SUMMER)
    found = whole_day(world, kind, SUMMER)
    known = {name for name, column in found.items() if not np.isnan(column).all()}
    assert known | ABSENT.get(kind.name, set()) == set(kind.by_name)


@each_kind
@pytest.mark.parametrize("start_ms", [WINTER, SUMMER])
def test_an_ordinary_day_is_plausible_and_whole_numbers_are_whole(world: World, kind: Kind, start_ms: int) -> None:
    world.prepare(start_ms)
    found = whole_day(world, kind, start_ms)
    low, high = spans(kind, plausible=True)
    for name, column in found.items():
        known = column[~np.isnan(column)]
        inside = (known >= low[kind.positions[name]]) & (known <= high[kind.positions[name]])
        # A lamp without supply measures no voltage; that is no ordinary value, and still no lie.
        dark = (known == 0) & (name == "voltage_v")
        assert (inside | dark).all(), name
        if kind.by_name[name].type.whole:
            assert (known == np.floor(known)).all(), name


@each_kind
def test_readings_are_what_the_platforms_strict_decoder_takes(world: World, kind: Kind) -> None:
    world.prepare(SUMMER)
    found = whole_day(world, kind, SUMMER)
    rows = readings(kind, {name: column[:64] for name, column in found.items()})
    records: Any = wire.decoder(kind).decode(msgspec.json.encode(rows))
    assert len(records) == len(rows) == 64
    assert not any(value is None for row in rows for value in row.values())


def test_the_same_question_has_the_same_answer_and_the_region_alone_decides() -> None:
    first, second = World(BUILT), World(region(1, 200))
    first.prepare(WINTER)
    second.prepare(WINTER)
    for kind in KINDS.values():
        a, b, again = whole_day(first, kind, WINTER), whole_day(second, kind, WINTER), whole_day(first, kind, WINTER)
        for name in a:
            assert np.array_equal(a[name], b[name], equal_nan=True), name
            assert np.array_equal(a[name], again[name], equal_nan=True), name


def test_rows_lead_to_their_devices_and_assets(world: World) -> None:
    seen: set[int] = set()
    for kind, model in world.models.items():
        for row, asset in enumerate(model.assets):
            assert BUILT.assets[int(world.asset[kind][row])] is asset
            device = BUILT.devices[int(world.device[kind][row])]
            assert asset in [installed.asset for installed in device.installed]
            seen.add(int(world.asset[kind][row]))
    assert seen == set(range(len(BUILT.assets)))


@pytest.mark.parametrize("devices", [1, 2, 3, 5, 9, 20])
def test_the_smallest_regions_have_days_too(devices: int) -> None:
    built = region(3, devices)
    found = [len(r) for delivery in days(built, WINTER, 1, radio=RADIOS["perfect"]) for r in delivery.readings]
    assert sum(found) >= 24 * devices


def test_a_fault_acts_on_its_day_alone() -> None:
    lamp = next(a for a in BUILT.assets if a.kind == "lamp")
    fault = chosen(f"lamp_out@{lamp.key}", BUILT, seed=1, start_ms=WINTER + DAY_MS // 2, days=1)[0]
    assert today([fault], WINTER) == [fault]
    assert today([fault], WINTER - DAY_MS) == []
    assert today([fault], fault.end_ms) == []
    assert today([fault], fault.end_ms // DAY_MS * DAY_MS + DAY_MS, after_ms=DAY_MS + 1) == [fault]


def test_a_fault_that_costs_only_in_the_sun_costs_nothing_at_night(world: World) -> None:
    roof = next(a for a in BUILT.assets if a.kind == "solar" and "," not in a.label)
    fault = chosen(f"zero_output@{roof.key}", BUILT, seed=1, start_ms=SUMMER, days=1)[0]
    world.prepare(SUMMER, [fault])
    costly = world.shown_ms(fault, SUMMER)
    assert len(costly) > 60
    assert ((costly - SUMMER > 2 * 3_600_000) & (costly - SUMMER < 21 * 3_600_000)).all()
    world.prepare(SUMMER, [])
    assert len(world.shown_ms(fault, SUMMER)) == 0


@pytest.mark.parametrize(("lost", "shows"), [(0.1, False), (0.95, True)])
def test_a_low_isolation_shows_by_day_where_it_is_below_its_limit(world: World, lost: float, shows: bool) -> None:
    roof = next(a for a in BUILT.assets if a.kind == "solar" and "," not in a.label)
    fault = replace(chosen(f"isolation@{roof.key}", BUILT, seed=1, start_ms=SUMMER, days=1)[0], size=lost)
    world.prepare(SUMMER, [fault])
    low = world.shown_ms(fault, SUMMER)
    assert (len(low) > 100) is shows
    assert not len(low) or (low - SUMMER > 2 * 3_600_000).all()
