"""The rules of cabinets and of silence, told as stories: what hangs together over a circuit."""

import pytest

from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, cabinet, every, lamp, warmth

DUSK, NIGHT = at("2026-11-20 16:30"), at("2026-11-20 20:00")
NOON = at("2026-11-20 11:30")
DAY_MS = 24 * HOUR_MS
VILLAGE = {"lamps": 40, "lamps_unmetered": 40, "power_rated_w": 3200.0, "feeder_switched": 1}
ALIVE = ("L1", "L2", "L3", "L4")


def talk(street: Street, from_ms: int, to_ms: int, labels: tuple[str, ...] = ALIVE, minutes: int = 5) -> None:
    """These lamps report, and time goes by."""
    for ts in every(from_ms, to_ms, 1):
        if (ts - from_ms) % (minutes * MINUTE_MS) == 0:
            street.read_all(ts, dict.fromkeys(labels, lamp(100)))
        street.tick(ts)


# Silence


def test_a_lamp_that_misses_three_heartbeats_is_told_as_information() -> None:
    street = Street(4)
    talk(street, NIGHT, NIGHT + 20 * MINUTE_MS)
    talk(street, NIGHT + 25 * MINUTE_MS, NIGHT + 60 * MINUTE_MS, ALIVE[1:])
    (change,) = [c for c in street.changes if c.raised]
    assert (change.rule, change.severity) == ("comms_lost", "info")
    assert change.ts_ms - (NIGHT + 20 * MINUTE_MS) == pytest.approx(15 * MINUTE_MS, abs=2 * MINUTE_MS)
    talk(street, NIGHT + 65 * MINUTE_MS, NIGHT + 70 * MINUTE_MS)
    assert street.open() == set()


def test_after_a_day_of_silence_the_minor_alert_takes_over() -> None:
    street = Street(4)
    talk(street, NIGHT, NIGHT + 20 * MINUTE_MS)
    for ts in every(NIGHT + 25 * MINUTE_MS, NIGHT + 25 * HOUR_MS):
        street.read_all(ts, dict.fromkeys(ALIVE[1:], lamp(100)))
    assert street.raised() == [("comms_lost", "L1"), ("comms_lost_long", "L1")]
    assert street.open() == {("comms_lost_long", "L1")}


def test_where_all_are_silent_no_single_lamp_is_told() -> None:
    street = Street(4)
    talk(street, NIGHT, NIGHT + 20 * MINUTE_MS)
    street.wait(NIGHT + 21 * MINUTE_MS, NIGHT + 2 * HOUR_MS)
    assert street.raised() == []


def test_a_report_an_hour_is_enough_by_day() -> None:
    street = Street(4)
    for ts in every(NOON - 3 * HOUR_MS, NOON + 2 * HOUR_MS, 10):
        if (ts - NOON) % HOUR_MS == 0:
            street.read_all(ts, dict.fromkeys(ALIVE, lamp(0)))
        street.tick(ts)
    assert street.raised() == []


def test_an_hourly_lamp_may_be_silent_for_three_hours() -> None:
    street = Street({"L1": {"report_interval_s": 3600}, "L2": {}, "L3": {}})
    talk(street, NIGHT, NIGHT, ("L1",))
    talk(street, NIGHT, NIGHT + 175 * MINUTE_MS, ("L2", "L3"))
    assert street.raised() == []
    talk(street, NIGHT + 180 * MINUTE_MS, NIGHT + 190 * MINUTE_MS, ("L2", "L3"))
    assert street.raised() == [("comms_lost", "L1")]


def test_a_will_of_a_lamp_on_a_live_circuit_makes_it_dark() -> None:
    street = Street(2)
    talk(street, NIGHT, NIGHT + 5 * MINUTE_MS, ("L1", "L2"))
    street.status("L1", NIGHT + 6 * MINUTE_MS, online=False)
    street.tick(NIGHT + 7 * MINUTE_MS)
    assert street.raised("lamp_dark") == [("lamp_dark", "L1")]
    street.read("L1", NIGHT + 8 * MINUTE_MS, lamp(100))
    street.tick(NIGHT + 9 * MINUTE_MS)
    assert ("lamp_dark", "L1") not in street.open()


def test_a_last_gasp_makes_a_lamp_dark_before_its_will() -> None:
    street = Street(1)
    street.read("L1", NIGHT, lamp(100))
    street.read("L1", NIGHT + 1_000, lamp(100, of=0, voltage_v=0))
    street.tick(NIGHT + MINUTE_MS)
    (change,) = [c for c in street.changes if c.rule == "lamp_dark"]
    assert change.evidence["supply_gone"] is True


SWITCHED = {"feeder_switched": 1}


def switched_street(**cabinet_known: object) -> Street:
    return Street(dict.fromkeys(ALIVE, SWITCHED), {"R1": {"feeder_switched": 1, **cabinet_known}})


def whole_night(street: Street, dusk: int, hours: int = 12) -> int:
    """The contactor closes, the lamps start and report, and it opens again; gives the moment of that."""
    dawn = dusk + hours * HOUR_MS
    street.read("R1", dusk - HOUR_MS, cabinet(12, closed=False))
    for ts in every(dusk, dawn - 5 * MINUTE_MS, 5):
        street.read("R1", ts, cabinet(240))
        street.read_all(ts + MINUTE_MS, dict.fromkeys(ALIVE, lamp(100, uptime_s=(ts - dusk) / 1000)))
    return dawn


def day_after(street: Street, dawn: int, *, cabinet_first: bool) -> None:
    """The feeder is cut: the lamps' wills come within a minute and a half, their cabinet goes on hourly."""
    if cabinet_first:
        street.read("R1", dawn + 5_000, cabinet(12, closed=False))
    for label in ALIVE:
        street.status(label, dawn + 90_000, online=False)
    street.tick(dawn + 3 * MINUTE_MS)
    if not cabinet_first:
        street.read("R1", dawn + 5_000, cabinet(12, closed=False), comes_ms=dawn + 4 * MINUTE_MS)
    for ts in every(dawn + 5 * MINUTE_MS, dawn + 11 * HOUR_MS):
        if (ts - dawn) % HOUR_MS == 5 * MINUTE_MS:
            street.read("R1", ts, cabinet(12, closed=False))
        street.tick(ts)


def test_silence_while_the_contactor_is_open_is_normal() -> None:
    street = switched_street()
    dawn = whole_night(street, DUSK)
    day_after(street, dawn, cabinet_first=True)
    assert street.raised() == []
    assert street.raised("lamp_dark") == []


def test_wills_that_overtake_the_cabinets_word_are_taken_back() -> None:
    street = switched_street()
    dawn = whole_night(street, DUSK)
    day_after(street, dawn, cabinet_first=False)
    assert street.raised() == []
    assert len(street.raised("lamp_dark")) == 4
    assert street.open() == set()


def test_at_dusk_lamps_have_ten_minutes_to_come_back() -> None:
    street = switched_street()
    dawn = whole_night(street, DUSK)
    day_after(street, dawn, cabinet_first=True)
    dusk = DUSK + DAY_MS
    street.read("R1", dusk, cabinet(240))
    street.wait(dusk + MINUTE_MS, dusk + 8 * MINUTE_MS)
    assert street.raised("lamp_dark") == []
    for label in ALIVE[1:]:
        street.read(label, dusk + 9 * MINUTE_MS, lamp(100, uptime_s=500))
    street.read("R1", dusk + 9 * MINUTE_MS, cabinet(240))
    street.wait(dusk + 10 * MINUTE_MS, dusk + 12 * MINUTE_MS)
    assert street.raised("lamp_dark") == [("lamp_dark", "L1")]


def test_a_feeder_that_tripped_by_night_is_not_repaired_by_dawn() -> None:
    street = switched_street()
    trip = whole_night(street, DUSK, 8)
    for label in ALIVE:
        street.status(label, trip + 90_000, online=False)
    for ts in every(trip, trip + 4 * HOUR_MS):
        street.read("R1", ts, cabinet(12))
        street.tick(ts + MINUTE_MS)
    dawn = trip + 4 * HOUR_MS + 5 * MINUTE_MS
    street.read("R1", dawn, cabinet(12, closed=False))
    street.wait(dawn + MINUTE_MS, dawn + 10 * MINUTE_MS)
    assert {("lamp_dark", label) for label in ALIVE} <= street.open()


def test_a_circuit_rests_by_day_and_for_a_while_after_dusk_and_not_while_it_ought_to_be_lit() -> None:
    street = switched_street()
    dawn = whole_night(street, DUSK)
    day_after(street, dawn, cabinet_first=True)
    assert street.rests("R1")
    dusk = DUSK + DAY_MS
    for minute in range(0, 25, 5):
        street.read("R1", dusk + minute * MINUTE_MS, cabinet(240))
        assert street.rests("R1") is (minute < 15)
    street.read("R1", dusk + 5 * HOUR_MS, cabinet(12, closed=False))
    street.tick(dusk + 5 * HOUR_MS + MINUTE_MS)
    assert not street.rests("R1")  # on other nights its lamps burned at this hour


def test_a_contactor_that_does_not_close_at_dusk_leaves_its_lamps_dark() -> None:
    """Their circuit is open and they are silent as on any day; but on other nights they burned at this hour."""
    street = switched_street()
    dawn = whole_night(street, DUSK)
    day_after(street, dawn, cabinet_first=True)
    assert street.raised("lamp_dark") == []
    for ts in every(dawn + 11 * HOUR_MS, dawn + 15 * HOUR_MS):
        street.read("R1", ts, cabinet(12, closed=False))
        street.tick(ts + MINUTE_MS)
    assert sorted(street.raised("lamp_dark")) == [("lamp_dark", label) for label in ALIVE]
    assert {("lamp_dark", label) for label in ALIVE} <= street.open()


def test_without_a_cabinet_nobody_knows_of_a_switched_feeder() -> None:
    street = Street(dict.fromkeys(ALIVE, SWITCHED))
    talk(street, NIGHT, NIGHT + 10 * MINUTE_MS)
    for label in ALIVE:
        street.status(label, NIGHT + 12 * MINUTE_MS, online=False)
    street.wait(NIGHT + 13 * MINUTE_MS, NIGHT + 2 * HOUR_MS)
    assert street.raised() == []
    assert street.raised("lamp_dark") == []


# The cabinet's supply


def test_a_cabinet_without_voltage_is_dark_by_its_last_words() -> None:
    street = Street({}, {"R1": {}})
    street.read("R1", NIGHT, cabinet(2000))
    street.read("R1", NIGHT + MINUTE_MS, cabinet(0, l1_voltage_v=0, l2_voltage_v=0.4, l3_voltage_v=0))
    street.tick(NIGHT + 2 * MINUTE_MS)
    assert street.raised("cabinet_dark") == [("cabinet_dark", "R1")]
    assert street.raised("phase_dark") == []
    street.read("R1", NIGHT + HOUR_MS, cabinet(2000))
    street.tick(NIGHT + HOUR_MS + MINUTE_MS)
    assert street.open() == set()


def test_a_cabinets_will_makes_it_dark_without_a_proof() -> None:
    """Correlation weighs it: the evidence says that the cabinet has told of no loss."""
    street = Street({}, {"R1": {}})
    street.read("R1", NIGHT, cabinet(2000))
    street.status("R1", NIGHT + MINUTE_MS, online=False)
    street.tick(NIGHT + 2 * MINUTE_MS)
    (change,) = [c for c in street.changes if c.rule == "cabinet_dark"]
    assert change.evidence == {"supply_gone": False, "online": False}


def test_one_dead_phase_of_three_is_a_missing_phase() -> None:
    street = Street({}, {"R1": {}})
    street.read("R1", NIGHT, cabinet(2000))
    for ts in (NIGHT + MINUTE_MS, NIGHT + 2 * MINUTE_MS):
        street.read("R1", ts, cabinet(1300, l2_voltage_v=12, l2_power_w=0))
    (change,) = [c for c in street.changes if c.rule == "phase_dark"]
    assert change.evidence["l2_voltage_v"] == 12
    assert street.raised() == [], "a dead phase is no question of its voltage"


def test_a_cabinet_of_one_phase_misses_none() -> None:
    street = Street({}, {"R1": {"phases": 1}})
    unknown = {f"l{n}_{what}": float("nan") for n in (2, 3) for what in ("voltage_v", "power_w")}
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("R1", ts, cabinet(2000) | unknown)
    assert street.raised("phase_dark") == []
    assert street.raised() == []


def test_the_voltage_of_a_cabinet_is_judged_by_its_worst_phase() -> None:
    street = Street({}, {"R1": {}})
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("R1", ts, cabinet(2000, l3_voltage_v=266))
    assert [(c.rule, c.severity) for c in street.changes if c.raised] == [("voltage", "critical")]


# Village mode


def village_nights(street: Street, count: int, power: float = 3200.0) -> int:
    """Ordinary nights; gives the dusk of the next."""
    for number in range(count):
        dusk = DUSK + number * DAY_MS
        street.read("R1", dusk - HOUR_MS, cabinet(12, closed=False))
        for ts in every(dusk, dusk + 14 * HOUR_MS, 10):
            street.read("R1", ts, cabinet(power * warmth((ts - dusk) / MINUTE_MS)))
        street.read("R1", dusk + 14 * HOUR_MS + 10 * MINUTE_MS, cabinet(12, closed=False))
    return DUSK + count * DAY_MS


@pytest.mark.parametrize(("left", "told"), [(0.67, True), (0.01, True), (0.9, False)])
def test_a_feeder_of_a_village_that_is_out_shows_in_the_load(left: float, *, told: bool) -> None:
    """One of three feeders, all of them, and a tenth of the lamps."""
    street = Street({}, {"R1": VILLAGE})
    dusk = village_nights(street, 2)
    street.tick(dusk)
    for ts in every(dusk, dusk + 3 * HOUR_MS):
        street.read("R1", ts, cabinet(3200.0 * warmth((ts - dusk) / MINUTE_MS)))
    for ts in every(dusk + 3 * HOUR_MS + MINUTE_MS, dusk + 4 * HOUR_MS):
        street.read("R1", ts, cabinet(3200.0 * left))
    found = [(c.rule, c.severity) for c in street.changes if c.raised and c.rule != "load_lost"]
    assert found == ([("circuit_unlit", "critical")] if told else [])


def test_a_contactor_that_does_not_close_leaves_a_village_dark() -> None:
    street = Street({}, {"R1": VILLAGE})
    dusk = village_nights(street, 2)
    street.tick(dusk)
    for ts in every(dusk - HOUR_MS, dusk + 3 * HOUR_MS):
        street.read("R1", ts, cabinet(12, closed=False))
    assert street.raised() == [("circuit_unlit", "R1")]


def test_a_part_night_village_is_dark_by_habit() -> None:
    street = Street({}, {"R1": VILLAGE})
    for number in range(3):
        dusk = DUSK + number * DAY_MS
        street.tick(dusk)
        street.read("R1", dusk - HOUR_MS, cabinet(12, closed=False))
        for ts in every(dusk, dusk + 14 * HOUR_MS, 10):
            lit = not 7 * HOUR_MS <= ts - dusk < 12 * HOUR_MS
            street.read("R1", ts, cabinet(3200 if lit else 12, closed=lit))
    assert street.raised() == []


def test_a_village_that_burns_by_day_is_told_after_twenty_minutes() -> None:
    street = Street({}, {"R1": VILLAGE})
    street.read("R1", NOON - HOUR_MS, cabinet(12, closed=False))
    for ts in every(NOON, NOON + 40 * MINUTE_MS):
        street.read("R1", ts, cabinet(3200))
    (change,) = street.changes
    assert (change.rule, change.severity) == ("circuit_day_burning", "major")


def test_a_crew_that_lights_a_village_by_day_raises_nothing() -> None:
    street = Street({}, {"R1": VILLAGE})
    street.read("R1", NOON - HOUR_MS, cabinet(12, closed=False))
    for ts in every(NOON, NOON + 2 * HOUR_MS):
        street.read("R1", ts, cabinet(3200, local_switch=1))
    assert street.raised() == []


def test_lamps_dimmed_by_hand_leave_no_circuit_dark() -> None:
    """Lamps that report themselves, all at ten per cent for a firework: no village."""
    street = Street(4, {"R1": {"lamps": 4, "power_rated_w": 240.0}})
    for ts in every(DUSK, NIGHT):
        street.read("R1", ts, cabinet(252))
    for ts in every(NIGHT + 5 * MINUTE_MS, NIGHT + HOUR_MS):
        street.read("R1", ts, cabinet(40))
    assert street.raised() == []


# Contacts and leakage


@pytest.mark.parametrize(
    ("rule", "severity", "bad"),
    [
        ("door_open", "major", {"door_open": 1.0}),
        ("breaker", "major", {"breaker_closed": 0.0}),
        ("leakage", "critical", {"leakage_ma": 450.0}),
    ],
)
def test_a_cabinets_contacts_are_told_after_half_a_minute(rule: str, severity: str, bad: dict[str, float]) -> None:
    street = Street({}, {"R1": {}})
    street.read("R1", NOON, cabinet(12, closed=False))
    street.read("R1", NOON + MINUTE_MS, cabinet(12, closed=False, **bad))
    assert street.raised() == [], "a bouncing contact"
    street.read("R1", NOON + 2 * MINUTE_MS, cabinet(12, closed=False, **bad))
    assert [(c.rule, c.severity) for c in street.changes] == [(rule, severity)]
    for ts in every(NOON + 3 * MINUTE_MS, NOON + 15 * MINUTE_MS):
        street.read("R1", ts, cabinet(12, closed=False))
    assert street.open() == set()


def test_a_little_leakage_is_ordinary() -> None:
    street = Street({}, {"R1": {"leakage_max_ma": 30.0}})
    for ts in every(NIGHT, NIGHT + HOUR_MS):
        street.read("R1", ts, cabinet(2000, leakage_ma=29))
    assert street.raised() == []
