"""The rules of lighting that are judged over nights, told as stories of several of them."""

from collections.abc import Callable, Mapping

import pytest

from tests.rules.street import HOUR_MS, MINUTE_MS, Street, at, cabinet, every, lamp, warmth

DAY_MS = 24 * HOUR_MS
Snapshot = Mapping[str, float]
FIRST = at("2026-11-20 16:30")
LIT_H = 14


def night(street: Street, number: int, snapshot: Callable[[int, float], Snapshot], *, minutes: float = 10) -> None:
    """A whole night of a lamp on its own, 100 %, 60 % from 22:00 and 100 % again from 05:00, and its verdict at noon.

    ``snapshot`` makes a reading from the moment and the level.
    """
    dusk, dawn = FIRST + number * DAY_MS, FIRST + number * DAY_MS + LIT_H * HOUR_MS
    street.tick(dusk - HOUR_MS)
    street.read("L1", dusk - 30 * MINUTE_MS, off(snapshot(0, 100.0)))
    for ts in every(dusk, dawn, minutes):
        late = 5.5 * HOUR_MS <= ts - dusk < 12.5 * HOUR_MS
        street.read("L1", ts, snapshot(ts - dusk, 60.0 if late else 100.0))
    street.read("L1", dawn + 10 * MINUTE_MS, off(snapshot(LIT_H * HOUR_MS, 100.0)))
    street.tick(dusk + 21 * HOUR_MS)


def off(lit: Snapshot) -> Snapshot:
    """The same lamp, switched off."""
    return {**lit, **{name: lamp(0)[name] for name in ("level_commanded_pct", "level_effective_pct", "power_w")}}


def of_share(share: float) -> Callable[[int, float], Snapshot]:
    """A lamp that takes so much of what it should, warm-up included."""
    return lambda passed, level: lamp(level, share=share * warmth(passed / MINUTE_MS), lamp_starts=901)


def test_half_of_the_power_is_told_after_two_nights_and_clears_after_one() -> None:
    street = Street()
    for number in range(2):
        night(street, number, of_share(1.0))
    night(street, 2, of_share(0.55))
    assert street.raised() == []
    night(street, 3, of_share(0.55))
    assert street.raised() == [("power_deviation", "L1")]
    night(street, 4, of_share(1.0))
    assert street.open() == set()


def test_more_power_is_told_as_well() -> None:
    street = Street()
    night(street, 0, of_share(1.0))
    for number in (1, 2):
        night(street, number, of_share(1.3))
    assert street.raised() == [("power_deviation", "L1")]


@pytest.mark.parametrize(("minutes", "told"), [(45, True), (25, False)])
def test_half_an_hour_a_night_is_what_counts(minutes: int, *, told: bool) -> None:
    street = Street()
    night(street, 0, of_share(1.0))
    for number in (1, 2):

        def snapshot(passed: int, level: float) -> Snapshot:
            odd = 2 * HOUR_MS <= passed < 2 * HOUR_MS + minutes * MINUTE_MS
            return lamp(level, share=0.6 if odd else warmth(passed / MINUTE_MS), lamp_starts=901)

        night(street, number, snapshot, minutes=5)
    assert street.raised() == ([("power_deviation", "L1")] if told else [])


def test_one_odd_night_is_nothing() -> None:
    street = Street()
    for number, share in enumerate((1.0, 0.6, 1.0, 0.6, 1.0)):
        night(street, number, of_share(share))
    assert street.raised() == []


def test_a_difference_of_ten_per_cent_is_nothing() -> None:
    street = Street()
    for number, share in enumerate((1.0, 0.9, 0.9, 0.9)):
        night(street, number, of_share(share))
    assert street.raised() == []


def test_a_lamp_with_constant_light_output_is_learnt_in_its_first_night() -> None:
    """It begins with 80 % of its rated power."""
    street = Street()
    for number in range(4):
        night(street, number, of_share(0.8))
    assert street.raised() == []


def test_a_deviation_stays_told_while_it_lasts() -> None:
    """What is wrong is never learnt as right."""
    street = Street()
    for number in range(2):
        night(street, number, of_share(1.0))
    for number in range(2, 12):
        night(street, number, of_share(0.7), minutes=15)
    assert street.open() == {("power_deviation", "L1")}


def test_a_retrofit_that_the_registry_does_not_know_of_is_no_deviation() -> None:
    """A new luminaire of 40 % of the old one's power: the counters of its gear begin afresh."""
    street = Street()
    for number in range(2):
        night(street, number, of_share(1.0))
    for number in range(2, 5):
        night(
            street,
            number,
            lambda passed, level: lamp(
                level, share=0.4 * warmth(passed / MINUTE_MS), lamp_starts=3, supply_losses=1, gear_starts=1
            ),
        )
    assert street.raised() == []


def test_a_retrofit_hides_no_later_fault() -> None:
    street = Street()
    night(street, 0, of_share(1.0))
    for number, share in enumerate((0.4, 0.4, 0.25, 0.25), 1):
        night(
            street,
            number,
            lambda passed, level, share=share: lamp(level, share=share * warmth(passed / MINUTE_MS), lamp_starts=3),
        )
    assert street.raised() == [("power_deviation", "L1")]


def test_a_loss_of_power_without_new_gear_is_told() -> None:
    """The near miss of a retrofit: the same power, the old counters."""
    street = Street()
    for number, share in enumerate((1.0, 1.0, 0.4, 0.4)):
        night(street, number, of_share(share))
    assert street.raised() == [("power_deviation", "L1")]


def test_a_lamp_that_is_out_is_not_told_again_for_its_power() -> None:
    street = Street()
    for number in range(2):
        night(street, number, of_share(1.0))
    for number in range(2, 5):
        night(street, number, lambda _, level: lamp(level, of=0, lamp_starts=901))
    assert street.raised() == [("lamp_out", "L1")]


def test_a_lamp_that_does_not_dim_is_not_told_again_for_its_power() -> None:
    street = Street()
    night(street, 0, of_share(1.0))
    for number in range(1, 4):
        night(street, number, lambda passed, level: lamp(level, of=100, share=warmth(passed / MINUTE_MS)))
    assert set(street.raised()) == {("dim_not_followed", "L1")}
    assert len(street.raised()) == 1, "full light is no proof in between"


def cycling(each_h: int, before: int = 901) -> Callable[[int, float], Snapshot]:
    """A lamp that goes out for some minutes now and then; its starts, so many before, are counted."""

    def snapshot(passed: int, level: float) -> Snapshot:
        times, rest = divmod(passed, each_h * HOUR_MS)
        if rest == 0 and times:
            return lamp(level, of=0, lamp_starts=before + times - 1)
        return lamp(level, share=warmth(rest / MINUTE_MS), lamp_starts=before + times)

    return snapshot


def test_a_lamp_that_starts_again_and_again_is_told_after_two_nights() -> None:
    street = Street()
    night(street, 0, of_share(1.0))
    night(street, 1, cycling(4))
    assert street.raised() == []
    night(street, 2, cycling(4, 904))
    assert street.raised() == [("cycling", "L1")]
    night(street, 3, lambda _, level: lamp(level, lamp_starts=907))
    assert street.open(), "two clean nights are needed"
    night(street, 4, lambda _, level: lamp(level, lamp_starts=907))
    assert street.open() == set()


def test_two_odd_starts_a_night_are_nothing() -> None:
    street = Street()
    for number in range(3):
        night(street, number, cycling(5, 901 + 2 * number))
    assert street.raised() == []


def test_starts_after_a_loss_of_supply_are_expected() -> None:
    """Four short outages of the grid in each of two nights."""
    street = Street()
    for number in range(3):

        def snapshot(passed: int, level: float, number: int = number) -> Snapshot:
            outages = 4 * number + min(4, passed // (3 * HOUR_MS))
            return lamp(level, lamp_starts=901 + outages, supply_losses=3 + outages)

        night(street, number, snapshot)
    assert street.raised() == []


VILLAGE = {"lamps": 40, "lamps_unmetered": 40, "power_rated_w": 3200.0, "feeder_switched": 1}


def village_night(street: Street, number: int, power: float, *, by_day: float = 12.0) -> None:
    """A night and the day after of a cabinet whose lamps have no controllers; 80 W each."""
    dusk = FIRST + number * DAY_MS
    street.tick(dusk - HOUR_MS)
    street.read("R1", dusk - 10 * MINUTE_MS, cabinet(by_day, closed=False))
    for ts in every(dusk, dusk + LIT_H * HOUR_MS, 10):
        # Nights differ by some tens of watts, and readings within one as well.
        ripple = 12.0 * ((number * 7 + ts // (10 * MINUTE_MS)) % 5 - 2)
        street.read("R1", ts, cabinet((power + ripple) * warmth((ts - dusk) / MINUTE_MS)))
    for ts in every(dusk + LIT_H * HOUR_MS + 10 * MINUTE_MS, dusk + 23 * HOUR_MS, 60):
        street.read("R1", ts, cabinet(by_day, closed=False))
        street.tick(ts)


def test_two_dark_lamps_of_a_village_are_told_from_the_cabinet() -> None:
    street = Street({}, {"R1": VILLAGE})
    for number in range(7):
        village_night(street, number, 3200.0)
    village_night(street, 7, 3200.0 - 2 * 80)
    assert street.raised() == []
    village_night(street, 8, 3200.0 - 2 * 80)
    village_night(street, 9, 3200.0 - 2 * 80)
    (change,) = [c for c in street.changes if c.raised and c.rule == "lamps_dark"]
    assert change.evidence["lamps_dark_estimate"] == pytest.approx(2, abs=0.4)
    for number in (10, 11):
        village_night(street, number, 3200.0)
    assert street.open() == set()


def test_a_village_that_is_dark_as_a_whole_has_not_lost_some_lamps() -> None:
    street = Street({}, {"R1": VILLAGE})
    for number in range(8):
        village_night(street, number, 3200.0)
    for number in (8, 9, 10):
        village_night(street, number, 20.0)
    assert "lamps_dark" not in {rule for rule, _ in street.raised()}


def test_one_dark_lamp_of_a_village_drowns_in_its_nights() -> None:
    street = Street({}, {"R1": VILLAGE})
    for number in range(7):
        village_night(street, number, 3200.0)
    for number in range(7, 10):
        village_night(street, number, 3200.0 - 80)
    assert street.raised() == []


def test_what_is_taken_by_day_from_a_village_is_told_after_three_nights() -> None:
    street = Street({}, {"R1": VILLAGE})
    village_night(street, 0, 3200.0)
    for number in (1, 2):
        village_night(street, number, 3200.0, by_day=160.0)
    assert street.raised() == []
    for number in (3, 4):
        village_night(street, number, 3200.0, by_day=160.0)
    assert street.raised() == [("theft", "R1")]


def test_a_watch_and_a_heater_in_a_cabinet_are_no_theft() -> None:
    street = Street({}, {"R1": VILLAGE})
    for number in range(5):
        village_night(street, number, 3200.0, by_day=95.0)
    assert street.raised() == []


def metered_night(street: Street, number: int, stolen: float) -> None:
    """A cabinet whose three lamps of 60 W report themselves, and what somebody takes besides."""
    dusk = FIRST + number * DAY_MS
    street.tick(dusk - HOUR_MS)
    for ts in every(dusk, dusk + 23 * HOUR_MS, 15):
        lit = ts < dusk + LIT_H * HOUR_MS
        share = warmth((ts - dusk) / MINUTE_MS)
        one = lamp(100, share=share, lamp_starts=901) if lit else lamp(0, lamp_starts=901)
        meter = cabinet((180 * share * 1.015 if lit else 1.5) + 12 + stolen)
        street.read_all(ts, {"L1": one, "L2": one, "L3": one, "R1": meter})


@pytest.mark.parametrize(("stolen", "told"), [(40.0, True), (25.0, False)])
def test_a_meter_that_shows_more_than_the_lamps_is_told_after_three_nights(stolen: float, *, told: bool) -> None:
    """40 W are 12 % of the load beyond losses and own consumption, 25 W are 7 %."""
    street = Street(3, {"R1": {"lamps": 3, "power_rated_w": 180.0}})
    metered_night(street, 0, 0.0)
    for number in range(1, 5):
        metered_night(street, number, stolen)
        if number < 3:
            assert street.raised() == []
    assert street.raised() == ([("theft", "R1")] if told else [])


@pytest.mark.parametrize(("dark_min", "raised"), [(80, []), (95, [("lamp_out", "L1")])])
def test_a_lamp_that_has_started_again_by_itself_is_out_only_after_an_hour(
    dark_min: int, raised: list[tuple[str, str]]
) -> None:
    """It will do so once more: cycling is told of whole nights, and not as a lamp that is out."""
    street = Street()
    warm = FIRST + 90 * MINUTE_MS
    street.read("L1", FIRST - 20 * MINUTE_MS, lamp(0))
    for ts in every(FIRST, warm):
        street.read("L1", ts, lamp(share=warmth((ts - FIRST) / MINUTE_MS), lamp_starts=901))
    for ts in every(warm + MINUTE_MS, warm + 5 * MINUTE_MS):
        street.read("L1", ts, lamp(of=0, lamp_starts=901))
    for ts in every(warm + 6 * MINUTE_MS, warm + 20 * MINUTE_MS):
        street.read("L1", ts, lamp(lamp_starts=902))
    for ts in every(warm + 21 * MINUTE_MS, warm + (6 + dark_min) * MINUTE_MS):
        street.read("L1", ts, lamp(of=0, lamp_starts=902))
    assert street.raised() == raised
