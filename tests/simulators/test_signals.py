"""The signals of every kind: all metrics, within their spans, at any hour."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj import sun, wire
from kraj.kinds import CABINET, KINDS, LAMP, SOLAR, STOP
from kraj.metrics import Kind, Type
from simulators.region import Asset, region
from simulators.signals import MODELS, World, readings, snapshot
from simulators.signals.state import Columns, Floats, Sites, State
from simulators.signals.weather import Weather, local_minute

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ASSETS = region(1, 400).assets
FEW = region(1, 40).assets


def ms(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


WINTER, SUMMER = ms(2026, 12, 20), ms(2026, 6, 20)


def sites(kind: Kind, assets: Iterable[Asset] = ASSETS) -> Sites:
    chosen = [a for a in assets if a.kind == kind.name]
    return Sites.of(chosen, [n % 3 > 0 for n in range(len(chosen))])


def state(seed: int = 1) -> State:
    return State(Weather.of(seed), np.random.default_rng(seed))


def run(kind: Kind, start: int, hours: float, step_s: float = 600) -> tuple[Any, dict[str, Floats]]:
    """Times, and each metric as an array of shape (times, sites)."""
    where, moving = sites(kind), state()
    times = np.arange(start, start + int(hours * HOUR_MS) + 1, int(step_s * 1000))
    shots = [snapshot(kind, where, int(ts), moving) for ts in times]
    return times, {name: np.array([shot[name] for shot in shots]) for name in shots[0]}


def each_kind(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)(test)


@each_kind
def test_every_metric_is_produced_or_absent_on_purpose(kind: Kind) -> None:
    _, found = run(kind, SUMMER, 24)
    absent = MODELS[kind.name].absent
    assert set(found) | absent == set(kind.by_name)
    assert not set(found) & absent
    assert [name for name, values in found.items() if np.isnan(values).all()] == []


@each_kind
@pytest.mark.parametrize("start", [WINTER, SUMMER, ms(2026, 3, 20), ms(2027, 10, 1)])
def test_a_healthy_asset_stays_plausible_for_a_week(kind: Kind, start: int) -> None:
    _, found = run(kind, start, 7 * 24, 900)
    for name, values in found.items():
        metric = kind.by_name[name]
        low, high = metric.plausible or metric.possible
        assert np.nanmin(values) >= low, name
        assert np.nanmax(values) <= high, name
        if metric.type.whole:
            known = values[~np.isnan(values)]
            assert (known == np.floor(known)).all(), name


@each_kind
@given(seed=st.integers(0, 2**32 - 1), start=st.integers(ms(2025, 6, 1), ms(2040, 1, 1)), data=st.data())
@settings(max_examples=25, deadline=None)
def test_values_are_possible_at_any_time_and_pace_and_counters_never_fall(
    kind: Kind, seed: int, start: int, data: st.DataObject
) -> None:
    where, moving, ts = sites(kind, FEW), state(seed), start
    before: Columns = {}
    for step in data.draw(st.lists(st.integers(-5_000, 40 * HOUR_MS), max_size=12)):
        found = snapshot(kind, where, ts, moving)
        for name, values in found.items():
            metric = kind.by_name[name]
            known = values[~np.isnan(values)]
            assert ((known >= metric.possible[0]) & (known <= metric.possible[1])).all(), name
            if metric.type is Type.COUNTER and before:
                assert not (values < before[name]).any(), name
        before, ts = found, ts + step


@each_kind
def test_the_same_seed_and_times_give_the_same_columns(kind: Kind) -> None:
    _, a = run(kind, SUMMER, 3)
    _, b = run(kind, SUMMER, 3)
    assert all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


@each_kind
def test_readings_are_what_the_platforms_strict_decoder_takes(kind: Kind) -> None:
    where, moving = sites(kind), state()
    for hour in range(24):
        columns = snapshot(kind, where, SUMMER + hour * HOUR_MS, moving)
        rows = readings(kind, columns, np.arange(min(len(where), 64)))
        records: Any = wire.decoder(kind).decode(msgspec.json.encode(rows))
        assert len(records) == len(rows)
        assert all(r.reset_cause == "power_on" for r in records)
        assert not any(value is None for row in rows for value in row.values())


def test_a_device_without_a_clock_does_not_know_its_offset() -> None:
    where = sites(LAMP)
    found = snapshot(LAMP, where, SUMMER, state())
    assert (np.isnan(found["clock_offset_s"]) == ~where.clock).all()


@given(st.integers(ms(2000, 1, 1), ms(2037, 12, 31)))
def test_local_time_agrees_with_the_time_zone_database(ts: int) -> None:
    oracle = datetime.fromtimestamp(ts / 1000, ZoneInfo("Europe/Prague"))
    assert local_minute(ts) == oracle.hour * 60 + oracle.minute


def test_lamps_shine_at_night_only_and_dim_from_ten_to_five() -> None:
    times, found = run(LAMP, WINTER, 24, 60)
    where = sites(LAMP)
    elevation = sun.elevation_deg(times[:, None], where.latitude, where.longitude)
    level, power = found["level_commanded_pct"], found["power_w"]
    assert (level[elevation > 0] == 0).all()
    assert (level[elevation < -4] >= 60).all()
    assert (power[elevation > 0] < 1).all()
    by_hour = {(t - WINTER) / HOUR_MS + 1: lv for t, lv in zip(times.tolist(), level, strict=True)}  # CET
    assert {float(v) for hour, lv in by_hour.items() if 22 <= hour < 24 or 1 <= hour < 5 for v in lv} == {60.0}
    assert {float(v) for hour, lv in by_hour.items() if 18 <= hour < 22 or 5 <= hour < 7 for v in lv} == {100.0}


def test_a_lamp_warms_up_within_ten_minutes_of_starting() -> None:
    _, found = run(LAMP, ms(2026, 12, 20, 14), 2.5, 10)
    where = sites(LAMP)
    share = found["power_w"] / where.rated_w
    for lamp in range(0, len(where), 20):
        start = int(np.argmax(found["level_effective_pct"][:, lamp] >= 100))
        assert start > 0, "the lamp starts within the run"
        # The fade takes 50 s of the warm-up already.
        assert share[start, lamp] < 0.87
        assert share[start + 60, lamp] > 0.96
    assert (found["lamp_starts"][-1] == found["lamp_starts"][0] + 1).all()


def test_a_lamps_energy_is_its_power_over_time() -> None:
    _, found = run(LAMP, WINTER, 24, 60)
    counted = found["energy_wh"][-1] - found["energy_wh"][0]
    assert np.allclose(counted, found["power_w"][1:].sum(axis=0) / 60, atol=2)


def test_a_cabinet_measures_about_the_sum_of_its_lamps_and_switches_its_contactor() -> None:
    _, lamps = run(LAMP, WINTER, 24, 300)
    times, cabinets = run(CABINET, WINTER, 24, 300)
    owners = {(a.municipality, a.label): n for n, a in enumerate(a for a in ASSETS if a.kind == "cabinet")}
    total = np.zeros_like(cabinets["power_w"])
    for n, lamp in enumerate(a for a in ASSETS if a.kind == "lamp"):
        total[:, owners[lamp.municipality, lamp.cabinet or ""]] += lamps["power_w"][:, n]
    closed = cabinets["contactor_closed"] == 1
    deep_night = (times - WINTER) % DAY_MS < 5 * HOUR_MS
    assert closed[deep_night].all()
    assert not closed[(times - WINTER) // HOUR_MS == 11].any()
    assert np.allclose(cabinets["power_w"][deep_night], total[deep_night] * 1.015 + 12, rtol=0.05)
    phases = sum(cabinets[f"l{n}_power_w"] for n in (1, 2, 3))
    assert np.allclose(cabinets["power_w"], phases)


def test_solar_follows_the_sun_and_sleeps_at_night() -> None:
    times, found = run(SOLAR, SUMMER, 24, 300)
    where = sites(SOLAR)
    elevation = sun.elevation_deg(times[:, None], where.latitude, where.longitude)
    assert (found["power_w"][elevation < 0] <= 0).all()
    assert (found["power_w"].max(axis=0) > 0.2 * where.rated_w).all()
    assert (found["power_w"] <= where.rated_w).all()
    assert (found["state"][elevation < 0] == SOLAR.by_name["state"].states.index("sleeping")).all()


def test_strings_carry_the_dc_power_between_them() -> None:
    _, found = run(SOLAR, SUMMER, 24, 300)
    each = [found[f"string{n}_current_a"] * found[f"string{n}_voltage_v"] for n in range(1, 9)]
    assert np.allclose(np.nansum(np.stack(each), axis=0), found["dc_power_w"], rtol=0.03, atol=1)


def test_a_summer_day_yields_several_times_a_winter_day() -> None:
    def days(start: int) -> float:
        _, found = run(SOLAR, start, 5 * 24, 300)
        hours = (found["energy_wh"][-1] - found["energy_wh"][0]) / sites(SOLAR).rated_w
        return hours.mean().item() / 5

    summer, winter = days(SUMMER), days(WINTER)
    assert 2.5 < summer < 8
    assert 0.1 < winter < 2
    assert summer > 3 * winter


def test_clouds_are_slow_and_shared_by_neighbours() -> None:
    _, found = run(SOLAR, ms(2026, 6, 20, 8), 4, 10)
    share = found["power_w"] / sites(SOLAR).rated_w
    assert np.abs(np.diff(share, axis=0)).max() < 0.03


def test_a_stop_sheds_its_services_as_charge_falls_and_takes_them_back_later() -> None:
    where, moving = sites(STOP), state()
    snapshot(STOP, where, WINTER, moving)
    seen: list[list[float]] = []
    for soc in (80, 59, 65, 69, 71, 44, 52, 56, 29, 14, 20, 26, 80):
        moving["soc"] = np.full(len(where), float(soc))
        found = snapshot(STOP, where, WINTER, moving)
        seen.append(found["shedding"].tolist())
    assert [row[0] for row in seen] == [0, 1, 1, 1, 0, 2, 2, 1, 3, 4, 4, 3, 0]
    assert all(len(set(row)) == 1 for row in seen)


def test_a_stop_in_december_lives_on_less_and_keeps_its_sos() -> None:
    _, found = run(STOP, WINTER, 21 * 24, 1800)
    assert found["battery_soc_pct"][-1].mean() < 60
    assert found["battery_soc_pct"].min() > 15
    assert (found["load_sos_power_w"] > 0).all()
    assert found["shedding"].max() >= 1


def test_a_world_gives_each_device_its_reading_once_in_a_round() -> None:
    built = region(3, 60)
    world = World(built, 5)
    seen = [(device, channel) for slot in range(5) for device, channel, metrics in world.step(SUMMER, slot) if metrics]
    assert sorted(seen) == sorted((d.name, i.channel) for d in built.devices for i in d.installed)


def test_another_asset_does_not_change_the_traits_of_the_others() -> None:
    lamps = [a for a in ASSETS if a.kind == "lamp"][:3]
    more = [replace(lamps[0], label="VO-9999"), *lamps]
    own = Sites.of(lamps, [True] * 3).own("dusk")
    assert np.array_equal(own, Sites.of(more, [True] * 4).own("dusk")[1:])
