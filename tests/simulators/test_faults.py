"""Faults: each shows where and when it acts and nowhere else; scenarios are seeded and have the shares of life."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.errors import ConfigurationError
from kraj.kinds import LAMP, STOP
from simulators.asset import Asset, Region
from simulators.causes import CAUSES, NETWORK_CAUSES
from simulators.faults import APART_MS, PARENTS, chosen, disturbances, one, scenario
from simulators.physics.ailments import SIZES
from simulators.physics.frame import DAY_MS, Fault, Floats, Mask, Model
from simulators.region import region
from simulators.world import World
from tests.simulators.physics.days import HOUR_MS, MINUTE_MS, REGION, days, ms, place, powered, sample

START = ms(2026, 10, 5)
BEGINS = START + 12 * HOUR_MS
HOURS = 34.0
LARGE = region(3, 1000)

MADE = World(REGION)
"""A day out of order starts afresh, so one world serves all tests."""

Columns = dict[str, Floats]
Sign = Callable[[Columns, Asset], Mask]
"""Where it shows in an asset's columns, shapes ``(t,)``."""

FLAGS = {name: 2**bit for bit, name in enumerate(LAMP.by_name["failure_flags"].bits)}
USB = STOP.by_name["usb1_state"].states


def flagged(columns: Columns, name: str) -> Mask:
    return columns["failure_flags"].astype(int) & FLAGS[name] > 0


def off_voltage(columns: Columns, _: Asset) -> Mask:
    return np.any([(v < 207) | (v > 253) for name, v in columns.items() if name.endswith("voltage_v")], axis=0)


def due(columns: Columns) -> Mask:
    return (columns["level_commanded_pct"] >= 10) & (columns["voltage_v"] > 180)


def restarts(columns: Columns, _: Asset) -> Mask:
    """Lit on the grid before and after, and started meanwhile."""
    lit = columns["level_commanded_pct"] > 0
    lasting = np.append(False, lit[1:] & lit[:-1])
    return (np.diff(columns["lamp_starts"], prepend=columns["lamp_starts"][:1]) > 0) & lasting


def as_ever(lamp: Asset) -> Floats:
    return healthy("lamp")["power_w"][place(MADE.models["lamp"], lamp.key)]


def settled(columns: Columns) -> Mask:
    on = columns["level_commanded_pct"]
    return due(columns) & (on == np.roll(on, 3)) & (columns["power_w"] > 2)


SIGNS: dict[str, tuple[str, Sign]] = {
    "lamp_out": ("lamp", lambda c, a: due(c) & (c["power_w"] < np.maximum(3, 0.2 * a.power_rated_w))),
    "day_burner": ("lamp", lambda c, a: (c["level_commanded_pct"] == 0) & (c["power_w"] > 0.3 * a.power_rated_w)),
    # Ageing and constant light output leave lamps of one make a fifth apart: each is compared with itself.
    "power_deviation": ("lamp", lambda c, a: settled(c) & (np.abs(c["power_w"] / np.maximum(as_ever(a), 1) - 1) > 0.2)),
    "dim_not_followed": (
        "lamp",
        lambda c, _: settled(c) & (np.abs(c["level_effective_pct"] - c["level_commanded_pct"]) > 10),
    ),
    "low_power_factor": (
        "lamp",
        lambda c, _: settled(c) & (c["power_factor"] < 0.92 - 0.36 * ((100 - c["level_commanded_pct"]) / 90) ** 2),
    ),
    "voltage": ("lamp", lambda c, a: off_voltage(c, a) & (c["voltage_v"] > 0)),
    "voltage_cabinet": ("cabinet", off_voltage),
    "voltage_area": ("cabinet", off_voltage),
    "gear_temp": (
        "lamp",
        lambda c, a: (c["gear_temp_degc"] > a.number("gear_temp_max_degc")) & flagged(c, "gear_thermal_derating"),
    ),
    "gear_shutdown": ("lamp", lambda c, _: flagged(c, "gear_thermal_shutdown") & (c["level_effective_pct"] == 0)),
    "cycling": ("lamp", restarts),
    "knock_down": ("lamp", lambda c, _: c["tilt_deg"] > 5),
    "lumen_depreciation": ("lamp", lambda c, a: c["lamp_on_time_s"] > a.number("lifetime_l80_s")),
    "clock_drift": ("lamp", lambda c, _: np.abs(c["clock_offset_s"]) > 60),
    "feeder_outage": ("lamp", lambda c, _: flagged(c, "supply_undervoltage") & (c["voltage_v"] == 0)),
    "phase_lost": ("cabinet", lambda c, _: sum((c[f"l{n}_voltage_v"] < 1 for n in (1, 2, 3)), np.zeros(1)) == 1),
    "cabinet_outage": ("cabinet", lambda c, _: (c["l1_voltage_v"] < 1) & (c["power_w"] == 0)),
    "grid_outage": ("cabinet", lambda c, _: (c["l1_voltage_v"] < 1) & (c["power_w"] == 0)),
    "contactor_stuck": ("cabinet", lambda c, a: (c["contactor_closed"] == 1) & (c["illuminance_lx"] > 3000)),
    "door_open": ("cabinet", lambda c, _: c["door_open"] == 1),
    "leakage": ("cabinet", lambda c, _: c["leakage_ma"] > 300),
    "breaker": ("cabinet", lambda c, _: c["breaker_closed"] == 0),
    "theft": ("cabinet", lambda c, _: (c["power_w"] > 150) & (c["illuminance_lx"] > 3000)),
    "circuit_unlit": ("cabinet", lambda c, a: (c["power_w"] < 0.2 * a.power_rated_w) & _by_night(c)),
    "circuit_day_burning": (
        "cabinet",
        lambda c, a: (c["power_w"] > 0.3 * a.power_rated_w) & (c["illuminance_lx"] > 3000),
    ),
    "lamps_dark": (
        "cabinet",
        lambda c, a: (
            (c["illuminance_lx"] <= 0)
            & (c["power_w"] < a.power_rated_w * (1 - 1.5 / a.number("lamps")))
            & (np.roll(c["contactor_closed"], 3) == 1)
            & (c["contactor_closed"] == 1)
        ),
    ),
    "autonomy_low": ("stop", lambda c, _: c["load_light_power_w"] > 20),
    "autonomy_critical": ("stop", lambda c, _: c["load_light_power_w"] > 60),
    "pv_dead": ("stop", lambda c, a: _by_noon(c) & (c["pv_power_w"] < 0.002 * a.power_rated_w)),
    "usb_overcurrent": (
        "stop",
        lambda c, _: np.any([c[f"usb{n}_state"] >= USB.index("overcurrent") for n in (1, 2)], 0),
    ),
    "wifi_down": ("stop", lambda c, _: (c["wifi_up"] == 0) & (c["shedding"] < 2)),
    "uplink_down": ("stop", lambda c, _: c["uplink_loss_pct"] > 50),
    "display_stale": ("stop", lambda c, a: c["display_content_age_s"] > 2 * a.number("display_interval_s")),
    "stop_door_open": ("stop", lambda c, _: c["door_open"] == 1),
    "battery_hot": ("stop", lambda c, _: c["battery_temp_degc"] > 55),
    "water": ("stop", lambda c, _: c["water_present"] == 1),
    "sos_selftest": ("stop", lambda c, _: c["sos_selftest_ok"] == 0),
    "sos_unanswered": ("stop", lambda c, _: (c["sos_pressed"] == 1) & np.isnan(c["sos_answer_s"])),
    "voice_failed": ("stop", lambda c, _: (c["voice_selftest_ok"] == 0) | (c["voice_receiver_ok"] == 0)),
}
"""Of lighting and stops; those of roofs are held by their own tests."""
LATE = frozenset({"cabinet_outage", "grid_outage"})
"""After half an hour these silence the cabinet itself."""


def _by_noon(columns: Columns) -> Mask:
    return np.arange(len(columns["pv_power_w"])) % 288 // 12 == 11


def _by_night(columns: Columns) -> Mask:
    """From 18:00 to 03:00 UTC: in October well within the night."""
    hour = np.arange(len(columns["power_w"])) % 288 // 12
    return (hour >= 18) | (hour < 3)


@cache
def healthy(kind: str) -> Columns:
    return days(MADE, kind, START, 2)[1]


def own(columns: Columns, row: int) -> Columns:
    return {name: column[row] for name, column in columns.items()}


@pytest.mark.parametrize("cause", SIGNS)
def test_a_fault_shows_on_what_it_strikes_while_it_lasts_and_never_without(cause: str) -> None:
    kind, sign = SIGNS[cause]
    model = MADE.models[kind]
    keys = {asset.key: row for row, asset in enumerate(model.assets)}
    drawn = (one(cause, REGION, seed, BEGINS, hours=HOURS) for seed in range(60))
    for fault in islice((f for f in drawn if keys.keys() & set(f.targets)), 2):
        ts, found = days(MADE, kind, START, 2, faults=[fault])
        during = (ts >= fault.start_ms) & (ts < fault.end_ms)
        for row in (keys[target] for target in fault.targets if target in keys):
            shows = sign(own(found, row), model.assets[row])
            assert shows[during].any(), (model.assets[row].key, fault.size)
            # Recovery takes a ramp, or a start.
            assert not shows[(ts < fault.start_ms) | (ts > fault.end_ms + 10 * MINUTE_MS)].any()
            assert not sign(own(healthy(kind), row), model.assets[row]).any()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_fault_changes_nothing_before_it_begins_nor_on_other_assets(cause: str) -> None:
    fault = one(cause, REGION, 4, BEGINS, hours=HOURS)
    places = MADE.models["lamp"].assets
    fed = {f"{a.municipality}/{a.word('cabinet')}" for a in places if a.key in fault.targets}
    # An inverter's fault shows in the meter of its site, and snow lies on all of them.
    sites = {(a.municipality, a.word("site")) for a in REGION.assets if a.key in fault.targets and a.word("site")}
    ts = START + np.arange(0, DAY_MS, 5 * MINUTE_MS)
    before = {kind: healthy(kind) for kind in MADE.models}
    MADE.prepare(START, [fault])
    for kind, model in MADE.models.items():
        found = sample(model, ts)
        own_too = [
            a.key in fault.targets or a.key in fed or (a.municipality, a.word("site")) in sites for a in model.assets
        ]
        same = ~np.array(own_too)[:, None] | (ts < fault.start_ms)
        for name, column in found.items():
            changed = same & ~_alike(column, before[kind][name][:, : len(ts)])
            assert not changed.any(), (name, model.assets[int(np.argmax(changed.any(axis=1)))].key)


def _alike(a: Floats, b: Floats) -> Mask:
    return (a == b) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("cause", sorted(NETWORK_CAUSES))
def test_a_lost_network_leaves_everything_as_it_is(cause: str) -> None:
    fault = one(cause, LARGE if cause == "gateway_silent" else REGION, 1, BEGINS)
    if cause == "gateway_silent":
        assert len(fault.targets) >= 3
        return
    for kind in MADE.models:
        _, found = days(MADE, kind, START, 1, faults=[fault])
        assert all(np.array_equal(v, healthy(kind)[n][:, :288], equal_nan=True) for n, v in found.items())


@pytest.mark.parametrize("cause", sorted(PARENTS | {"phase_lost"}))
def test_lamps_without_supply_have_dead_controllers_until_it_returns(cause: str) -> None:
    fault = one(cause, REGION, 2, START + 19 * HOUR_MS, hours=2)
    MADE.prepare(START, [fault])
    lamps = MADE.models["lamp"]
    ts = fault.start_ms + np.array([-1, 0, 2 * HOUR_MS - 1, 2 * HOUR_MS])
    struck = [n for n, lamp in enumerate(lamps.assets) if lamp.key in fault.targets]
    on = powered(lamps, ts)
    assert len(struck) >= 3
    assert (on[struck] == np.array([True, False, False, True])).all()
    assert on[[n for n in range(len(lamps.assets)) if n not in struck]].all()


def test_a_driver_that_misreads_its_level_gives_six_percent_for_sixty_but_is_not_out() -> None:
    fault = one("dim_not_followed", REGION, 1, BEGINS, hours=HOURS, size=2.0)
    row = place(MADE.models["lamp"], fault.targets[0])
    _, found = days(MADE, "lamp", START, 2, faults=[fault], rows=[row])
    dimmed = settled(own(found, 0)) & (found["level_commanded_pct"][0] < 99)
    rated = MADE.models["lamp"].assets[row].power_rated_w
    late = dimmed & (np.arange(576) > 150) & (np.arange(576) < 540)
    assert (found["level_effective_pct"][0, late] < 10).all()
    assert (found["power_w"][0, late] > 0.05 * rated).all()


def test_a_clock_that_is_refused_falls_back_to_full_light_by_night() -> None:
    fault = one("clock_drift", REGION, 1, BEGINS, target=_dimmed_lamp().label, hours=HOURS, size=500.0)
    row = place(MADE.models["lamp"], fault.targets[0])
    ts, found = days(MADE, "lamp", START, 2, faults=[fault], rows=[row])
    during = (ts >= fault.start_ms) & (ts < fault.end_ms)
    reasons = LAMP.by_name["level_reason"].states
    assert {reasons[int(r)] for r in found["level_reason"][0, during]} == {"fallback"}
    assert set(found["level_commanded_pct"][0, during].tolist()) == {0.0, 100.0}
    assert set(found["level_commanded_pct"][0, ~during].tolist()) > {0.0}


def _dimmed_lamp() -> Asset:
    named = one("dim_not_followed", REGION, 1, BEGINS).targets[0]
    return next(asset for asset in REGION.assets if asset.key == named)


@given(seed=st.integers(0, 2**32), count=st.sampled_from([60, 300, 1000]), rate=st.floats(0, 3))
@settings(max_examples=15, deadline=None)
def test_no_asset_has_two_faults_at_once_but_for_stories_of_parent_and_child(
    seed: int, count: int, rate: float
) -> None:
    found = scenario(seed, region(seed % 7, count), START, 30, rate=rate)
    by_asset: dict[str, list[Fault]] = defaultdict(list)
    for fault in found:
        assert START <= fault.start_ms < START + 31 * DAY_MS
        assert fault.end_ms > fault.start_ms
        for target in fault.targets:
            by_asset[target].append(fault)
    for faults in by_asset.values():
        for a, b in ((a, b) for n, a in enumerate(faults) for b in faults[n + 1 :]):
            apart = a.end_ms + APART_MS <= b.start_ms or b.end_ms + APART_MS <= a.start_ms
            parent, child = (a, b) if a.cause in PARENTS else (b, a)
            assert apart or (parent.cause in PARENTS and parent.start_ms <= child.start_ms < parent.end_ms)


def test_a_scenario_is_its_seeds_and_its_number_follows_the_rate() -> None:
    assert scenario(1, LARGE, START, 30) == scenario(1, LARGE, START, 30)
    assert scenario(1, LARGE, START, 30) != scenario(2, LARGE, START, 30)
    numbers = [np.mean([len(scenario(seed, LARGE, START, 30, rate=r)) for seed in range(6)]) for r in (0.25, 1.0)]
    assert scenario(1, LARGE, START, 30, rate=0) == ()
    assert 3 < numbers[1] / numbers[0] < 5


def test_shares_are_those_of_life() -> None:
    found = Counter(f.cause for seed in range(8) for f in scenario(seed, LARGE, START, 30, rate=2))
    assert set(found) == set(CAUSES) - {"snow"}, "snow comes with the weather"
    assert found["lamp_out"] > 3 * found["day_burner"]
    assert found["feeder_outage"] > found["phase_lost"]
    # lighting.md: 5 % of the lamps a year; a scenario's month holds a year.
    lamps = sum(asset.kind == "lamp" for asset in LARGE.assets)
    ailing = sum(found[c] for c in CAUSES if SIGNS.get(c, ("", None))[0] == "lamp" and c != "feeder_outage")
    assert 0.05 < ailing / 8 / lamps < 0.15


def test_some_lamps_fail_while_their_feeder_is_dark_and_stay_dark() -> None:
    stories = 0
    for seed in range(12):
        found = scenario(seed, LARGE, START, 30, rate=3)
        parents = [f for f in found if f.cause in PARENTS]
        for child in (f for f in found if f.cause == "lamp_out"):
            above = [p for p in parents if child.targets[0] in p.targets and p.start_ms < child.start_ms < p.end_ms]
            stories += bool(above)
            assert all(child.end_ms > p.end_ms for p in above)
    assert stories > 2


def test_groups_strike_what_hangs_on_them() -> None:
    assets = {asset.key: asset for asset in LARGE.assets}
    trip = one("feeder_outage", LARGE, 1, BEGINS)
    assert len(trip.targets) >= 20
    assert {assets[t].word("feeder") for t in trip.targets} == {trip.name}
    grid = one("grid_outage", LARGE, 1, BEGINS)
    assert grid.municipality is None
    assert sum(assets[t].kind == "cabinet" for t in grid.targets) >= 3
    assert {a.key for a in LARGE.assets if a.word("supply_area") == grid.name} == set(grid.targets)
    gateway = one("gateway_silent", LARGE, 1, BEGINS)
    assert {assets[t].word("gateway") for t in gateway.targets} == {gateway.name}
    site = one("site_outage", LARGE, 1, BEGINS)
    assert len(site.targets) >= 2


def test_faults_of_shared_controllers_are_their_sites() -> None:
    shared = {i.asset.key for d in LARGE.devices if len(d.installed) > 1 for i in d.installed}
    assert shared
    for seed in range(40):
        for cause in ("solar_comms_lost", "clock_drift"):
            assert not shared & set(one(cause, LARGE, seed, BEGINS).targets)


def test_crews_test_lamps_by_day_by_hand_or_at_the_cabinet() -> None:
    found = disturbances(1, LARGE, START, 60)
    assert {f.size for f in found} == {1.0, 2.0}
    test = next(f for f in disturbances(5, REGION, START, 300) if f.size == 2.0)
    day = test.start_ms // DAY_MS * DAY_MS
    ts, lamps = days(MADE, "lamp", day, 1, faults=[test])
    _, cabinets = days(MADE, "cabinet", day, 1, faults=[test])
    during = (ts >= test.start_ms) & (ts < test.end_ms)
    lamp = place(MADE.models["lamp"], test.targets[0])
    cabinet = place(MADE.models["cabinet"], test.targets[-1])
    reasons = LAMP.by_name["level_reason"].states
    assert (lamps["level_commanded_pct"][lamp, during] == 100).all()
    assert reasons[int(lamps["level_reason"][lamp, during][0])] == "cabinet"
    assert (cabinets["local_switch"][cabinet] == 1).tolist() == during.tolist()


def test_a_choice_is_a_list_of_none_scenario_causes_and_causes_at_targets() -> None:
    given_ = {"seed": 1, "start_ms": BEGINS, "days": 30}
    assert chosen("none", REGION, **given_) == ()
    assert chosen("scenario", REGION, **given_) == scenario(1, REGION, BEGINS, 30)
    lamp = next(a for a in REGION.assets if a.kind == "lamp")
    for spec in (f"lamp_out@{lamp.key}", f"lamp_out@{lamp.label}"):
        (fault,) = chosen(spec, REGION, **given_)
        assert fault.cause == "lamp_out"
        assert fault.targets[0].endswith(lamp.label)
        assert fault.start_ms == BEGINS
    both = chosen("door_open, water", REGION, **given_)
    assert [f.cause for f in both] == ["door_open", "water"]


def test_a_target_may_contain_commas() -> None:
    lamp = next(i for d in REGION.devices for i in d.installed if i.asset.kind == "lamp")
    named = replace(lamp, asset=replace(lamp.asset, label="Na Kopci 5, sloup 3"))
    device = next(d for d in REGION.devices if lamp in d.installed)
    renamed = replace(REGION, devices=(replace(device, installed=(named,)),))
    for spec in ("lamp_out@Na Kopci 5, sloup 3,cycling", "none , lamp_out@Na Kopci 5, sloup 3 , cycling"):
        found = chosen(spec, renamed, seed=1, start_ms=BEGINS, days=30)
        assert found[0].name == "Na Kopci 5, sloup 3"
        assert [f.cause for f in found] == ["lamp_out", "cycling"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [("lamp_ot", "lamp_out"), ("zzz", "there are"), ("lamp_out@VO-none", "VO-none"), ("water@RVO-01", "RVO-01")],
)
def test_an_impossible_fault_is_refused_with_what_there_is(spec: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        chosen(spec, REGION, seed=1, start_ms=BEGINS, days=1)


def test_a_region_without_a_target_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing"):
        one("grid_outage", region(1, 2), 1, BEGINS)
    assert isinstance(region(1, 2), Region)
    assert scenario(1, region(1, 2), START, 30, rate=50)


def test_every_cause_that_the_roofs_know_can_be_dealt() -> None:
    assert set(SIZES) <= set(CAUSES)
    for cause, (least, most) in SIZES.items():
        sizes = [one(cause, LARGE, seed, BEGINS).size for seed in range(20)]
        assert all(least <= size <= most or cause == "string_open" for size in sizes)


def test_models_keep_to_their_frame() -> None:
    for model in MADE.models.values():
        framed: Model = model
        assert framed.assets
        assert {asset.kind for asset in framed.assets} == {framed.kind.name}
