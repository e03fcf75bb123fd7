"""Figures of the views against what one reckons by hand, and no wrong number where data is missing."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.kraj.kpis.conftest import ZONE, World, midnight

DAY, NEXT = date(2026, 11, 2), date(2026, 11, 3)
HOURS = 3600.0


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-5)


def segment(world: World, *baselines: tuple[int, date, float]) -> int:
    town = world.town("olsinka")
    group = world.one(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (%s, 'Nádražní', 'segment') RETURNING group_id",
        town,
    )
    for version, since, watts in baselines:
        baseline(world, group, version, since, watts)
    return group


def baseline(world: World, group: int, version: int, since: date, watts: float) -> None:
    whose = {"municipality_id": world.town("olsinka"), "group_id": group, "source": "pasport", "who": "Jana"}
    world.row("lighting_baseline", version=version, valid_from=since, power_w=watts, at=midnight(since), **whose)


def tariff(world: World, since: date, until: date | None, price: float, direction: str = "import") -> None:
    whose = {"municipality_id": world.town("olsinka"), "name": "sazba", "source": "smlouva", "who": "Jana"}
    dates = {"valid_from": since, "valid_until": until, "at": midnight(since)}
    world.row("tariff", direction=direction, czk_per_kwh=price, **whose, **dates)


def test_savings_of_a_street_are_split_and_darkness_saves_nothing(world: World) -> None:
    group = segment(world, (1, date(2026, 1, 1), 100))
    # 8 h lit at 20 W instead of 40 W, 2 h dark, of 10 h: 100 W before.
    lamp: dict[str, Any] = {
        "group_id": group,
        "full_w": 40,
        "lit_h": 8,
        "outage_h": 2,
        "lit_kwh": 0.16,
        "dark_kwh": 0.001,
    }
    world.lamp("L1", DAY, lit_2200=True, **lamp)
    world.lamp("L2", DAY, group_id=group, full_w=40)  # nothing was heard of it
    assert world.figure("lighting_saved_led_kwh") == (near(0.48), near(0.5))
    assert world.figure("lighting_saved_dimming_kwh") == (near(0.16), near(0.5))
    assert world.figure("lighting_outage_kwh") == (near(0.199), near(0.5))
    assert world.figure("lighting_availability_pct") == (near(80), near(0.5))
    assert world.figure("lighting_lit_2200_pct") == (near(100), near(0.5))
    assert world.figure("lighting_saved_co2_kg") == (None, near(0))
    world.row("co2_factor", g_per_kwh=400, valid_from=DAY, source="OTE", who="Jana", at=midnight(DAY))
    assert world.figure("lighting_saved_co2_kg") == (near(0.64 * 0.4), near(0.5))


def test_a_baseline_declared_later_holds_from_its_day_on(world: World) -> None:
    group = segment(world)
    for day in (DAY, NEXT):
        world.lamp("L1", day, group_id=group, full_w=40, lit_h=10, lit_kwh=0.4)
    assert world.days("lighting_saved_led_kwh") == [(DAY, None), (NEXT, None)]
    baseline(world, group, 1, DAY, 100)
    assert world.days("lighting_saved_led_kwh") == [(DAY, near(0.6)), (NEXT, near(0.6))]
    baseline(world, group, 2, NEXT, 140)
    assert world.days("lighting_saved_led_kwh") == [(DAY, near(0.6)), (NEXT, near(1.0))]


def test_energy_in_crowns_leaves_out_days_without_a_price(world: World) -> None:
    for day in (DAY, NEXT):
        world.day("L1", day)
        world.rollup("L1", midnight(day), covered_s=86_400, energy_wh=2000)
    assert world.figure("lighting_energy_kwh") == (near(4), near(1))
    assert world.figure("lighting_cost_czk") == (None, near(0))
    tariff(world, date(2026, 1, 1), DAY, 5)
    assert world.figure("lighting_cost_czk") == (near(10), near(0.5))


def test_a_month_without_data_is_no_data(world: World) -> None:
    for n in range(30):
        world.day("R1", date(2026, 11, 1) + timedelta(days=n))
    for name in ("pv_energy_kwh", "pv_specific_yield_kwh_per_kwp", "pv_self_consumption_pct", "pv_expected_kwh"):
        assert world.figure(name) == (None, 0)


def test_a_town_without_devices_has_no_rows(world: World) -> None:
    assert world.figure("lighting_energy_kwh", "pustina") == (None, None)
    assert world.figure("stop_uptime_pct", "pustina") == (None, None)


def test_a_restarted_counter_makes_a_day_unknown_and_not_negative(world: World) -> None:
    for day, energy in ((DAY, 20_000.0), (NEXT, None)):  # what the rollup says of a counter that it cannot trust
        world.day("R1", day)
        world.rollup("R1", midnight(day), covered_s=86_400, energy_wh=energy)
    assert world.days("pv_energy_kwh") == [(DAY, near(20)), (NEXT, None)]
    assert world.figure("pv_specific_yield_kwh_per_kwp") == (near(4), near(0.5))


def test_a_roof_that_changed_hands_counts_for_each_owner_in_its_time(world: World) -> None:
    for day, town, energy in ((DAY, "olsinka", 10_000), (NEXT, "zdarna", 30_000)):
        world.day("R1", day, town)
        world.rollup("R1", midnight(day), town, covered_s=86_400, energy_wh=energy)
    world.connection.execute("UPDATE asset SET municipality_id = %s WHERE label = 'R1'", [world.town("zdarna")])
    assert world.figure("pv_energy_kwh", "olsinka") == (near(10), near(1))
    assert world.figure("pv_energy_kwh", "zdarna") == (near(30), near(1))


def test_a_device_that_was_moved_to_another_kind_is_due_only_while_it_served(world: World) -> None:
    world.day("L1", DAY, due_s=6 * HOURS)
    world.rollup("L1", midnight(DAY), covered_s=6 * HOURS, energy_wh=100)
    assert world.figure("lighting_energy_kwh") == (near(0.1), near(1))


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 10, 25), 25), (date(2026, 3, 29), 23)])
def test_days_of_changing_clocks_are_whole(world: World, day: date, hours: int) -> None:
    world.day("S1", day, "zdarna")
    world.rollup("S1", midnight(day), "zdarna", covered_s=hours * HOURS)
    assert world.figure("stop_uptime_pct", "zdarna") == (near(100), near(1))
    assert world.days("stop_uptime_pct") == [(day, near(100))]


def test_roofs_are_compared_where_both_sides_are_known(world: World) -> None:
    world.day("R1", DAY)
    energy: dict[str, Any] = {"energy_wh": 20_000, "export_energy_wh": 5_000, "import_energy_wh": 5_000}
    world.rollup("R1", midnight(DAY), covered_s=43_200, **energy)
    made = {"expected_wh": 20_000, "expected_of_wh": 18_000, "reference_wh": 24_000, "reference_of_wh": 18_000}
    seconds = {"light_s": 36_000, "expected_s": 27_000, "reference_s": 18_000, "known_s": 30_000, "giving_s": 27_000}
    whose = {"asset_id": world.asset("R1"), "municipality_id": world.town("olsinka")}
    world.row("solar_day", bucket=midnight(DAY), **whose, **made, **seconds)
    assert world.figure("pv_specific_yield_kwh_per_kwp") == (near(4), near(0.5))
    assert world.figure("pv_expected_kwh") == (near(20), near(0.75))
    assert world.figure("pv_performance_index_pct") == (near(90), near(0.75))
    assert world.figure("pv_performance_ratio_pct") == (near(75), near(0.5))
    assert world.figure("pv_availability_pct") == (near(90), near(30 / 36))
    assert world.figure("pv_self_consumption_pct") == (near(75), near(0.5))
    assert world.figure("pv_self_sufficiency_pct") == (near(75), near(0.5))
    assert world.figure("pv_export_kwh") == (near(5), near(0.5))


def test_stops_tell_the_truth_and_last(world: World) -> None:
    world.day("S1", DAY, "zdarna")
    values: dict[str, Any] = {"battery_soc_pct": 65, "battery_soh_pct": 100, "load_power_w": 10}
    values |= {"sos_selftest_ok": 0.75, "sos_selftest_age_s": 86_400}
    world.rollup("S1", midnight(DAY), "zdarna", covered_s=43_200, **values)
    whose = {"asset_id": world.asset("S1"), "municipality_id": world.town("zdarna")}
    fine = {"display_true_s": 40_000, "display_known_s": 43_200, "usb_up_s": 60_000, "usb_known_s": 80_000}
    world.row("stop_day", bucket=midnight(DAY), **whose, **fine)
    assert world.figure("stop_autonomy_d", "zdarna") == (near(0.5 * 1000 * 0.95 / 240), near(0.5))
    assert world.figure("stop_display_truth_pct", "zdarna") == (near(40_000 / 432), near(0.5))
    assert world.figure("stop_charging_uptime_pct", "zdarna") == (near(75), near(0.5))
    assert world.figure("stop_uptime_pct", "zdarna") == (near(50), near(1))
    assert world.figure("stop_sos_availability_pct", "zdarna") == (near(75), near(0.5))


def test_a_stop_that_nobody_heard_was_down_all_day(world: World) -> None:
    world.day("S1", DAY, "zdarna")
    assert world.figure("stop_uptime_pct", "zdarna") == (0, near(1))


def test_where_nothing_was_due_completeness_is_unknown_and_not_whole(world: World) -> None:
    group = segment(world, (1, date(2026, 1, 1), 100))
    world.lamp("L1", DAY, group_id=group, full_w=40, due_2200=False)
    found = world.one("SELECT array_agg(completeness) FROM kpi_lighting_lit_2200_pct")
    assert found in (None, [None])


def alert(world: World, key: str, hours: float | None, *, lost_wh: float | None = None, days: int = 0) -> int:
    since = datetime(2026, 11, 2, 10, tzinfo=ZONE)
    opened = since + timedelta(minutes=30)
    cleared = None if hours is None else opened + timedelta(hours=hours, days=days)
    whose = {"municipality_id": world.town("olsinka"), "asset_id": world.asset("R1")}
    times = {"since": since, "opened_at": opened, "changed_at": opened, "cleared_at": cleared}
    told = {"key": key, "rule": key, "scope_type": "asset", "scope_name": "1", "severity": "major", "notify": True}
    world.row("alert", **told, **whose, **times, active=hours is None, lost_wh=lost_wh)
    return world.one("SELECT alert_id FROM alert WHERE key = %s", key)


def test_faults_are_found_and_repaired_and_false_ones_told_apart(world: World) -> None:
    alert(world, "zero_output", 12)
    alert(world, "string_open", 12, days=9)
    alert(world, "isolation", None)
    numbers = [alert(world, "shading", 1), alert(world, "no_start", 2)]
    for number, step in zip(numbers, ("false_alarm", "fixed"), strict=True):
        world.row("alert_event", alert_id=number, at=midnight(NEXT), step=step, who="Jana")
    assert world.figure("fault_time_to_detect_h") == (near(0.5), near(1))
    assert world.figure("fault_time_to_repair_h") == (near((12 + 228 + 2) / 3), near(0.75))
    assert world.figure("fault_repaired_7d_pct") == (near(200 / 3), near(0.75))
    assert world.figure("fault_false_dispatch_pct") == (near(50), near(1))


def test_what_a_fault_lost_has_a_price_on_each_of_its_days_or_none(world: World) -> None:
    alert(world, "zero_output", 24, lost_wh=6000)  # from 2 to 3 November
    assert world.figure("pv_lost_kwh") == (near(6), near(1))
    tariff(world, date(2026, 1, 1), DAY, 2, "export")
    assert world.figure("pv_lost_czk") == (None, near(0))
    tariff(world, NEXT, None, 3, "export")
    assert world.figure("pv_lost_czk") == (near(15), near(1))
    assert world.days("pv_lost_kwh") == [(NEXT, near(6))]


def test_quarter_hours_that_are_missing_are_due(world: World) -> None:
    ean = "859182400100000004"
    town = world.town("olsinka")
    world.row("metering_point", ean=ean, municipality_id=town, title="Škola", at=midnight(DAY))
    for n in range(100):  # the clocks go back: 25 hours, of which the last two were sent only in part
        begin = midnight(date(2026, 10, 25)).timestamp() + n * 900
        if n == 97:
            continue
        export = {"export_wh": 400, "shared_wh": 300 if n else None}
        at = datetime.fromtimestamp(begin, ZONE)
        world.row(
            "meter_quarter",
            bucket=at,
            import_id=1,
            municipality_id=town,
            status="measured",
            ean=ean,
            import_wh=100,
            **export,
        )
    assert world.figure("ean_import_kwh") == (near(9.9), near(0.99))
    assert world.figure("ean_export_kwh", ean=ean) == (near(39.6), near(0.99))
    assert world.figure("ean_unshared_kwh") == (near(9.8), near(0.98))
    for name in ("ean_import_kwh", "ean_export_kwh", "ean_shared_kwh", "ean_unshared_kwh"):
        assert world.by_day(name) == near(world.figure(name))


def test_who_sees_one_town_sees_its_figures_alone(world: World) -> None:
    for label, town in (("R1", "olsinka"), ("S1", "zdarna")):
        world.day(label, DAY, town)
        world.rollup(label, midnight(DAY), town, covered_s=86_400)
    person = world.one(
        "INSERT INTO person (name, title, created_at) VALUES ('a@kraj.example', 'A', now()) RETURNING person_id"
    )
    world.connection.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
        " VALUES (%s, %s, 'municipality_admin', now() - interval '1 h')",
        [person, world.town("zdarna")],
    )
    for principal, seen in ((person, (0, 1)), ("", (0, 0))):
        world.connection.execute("SELECT set_config('kraj.principal', %s, false)", [str(principal)])
        world.connection.execute("SET ROLE kraj_api")
        counts = [world.one(f"SELECT count(*) FROM kpi_{name}") for name in ("pv_energy_kwh", "stop_uptime_pct")]
        world.connection.execute("RESET ROLE")
        assert tuple(counts) == seen
