"""Whom to tell and when, to the minute: midnight, summer time and the end of the line included."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from kraj.alerts import AlertState, Severity, Step
from rules.elapsed import FORGOTTEN, PROOF, Life, elapsed
from rules.notices import Notice, Target, Turn, after_quiet, deliveries, following

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "quiet", "end"),
    [
        ("2026-11-21T21:59", (22, 6), "2026-11-21T21:59"),
        ("2026-11-21T22:00", (22, 6), "2026-11-22T06:00"),
        ("2026-11-22T05:59", (22, 6), "2026-11-22T06:00"),
        ("2026-11-22T06:00", (22, 6), "2026-11-22T06:00"),
        ("2026-11-22T12:30", (12, 13), "2026-11-22T13:00"),
        ("2026-11-22T12:30", (12, 12), "2026-11-22T12:30"),
        ("2026-10-24T23:00", (22, 6), "2026-10-25T06:00"),  # the night of 25 hours
    ],
)
def test_quiet_hours_end_by_the_local_clock(at: str, quiet: tuple[int, int], end: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=PRAGUE).astimezone(UTC)
    found = after_quiet(moment, (time(quiet[0]), time(quiet[1])), PRAGUE)
    assert found == datetime.fromisoformat(end).replace(tzinfo=PRAGUE)


def test_a_digest_at_an_hour_that_summer_time_leaves_out_still_comes() -> None:
    before = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert before < following(before, time(2, 30), PRAGUE) <= before + timedelta(days=1)


def notice(step: Step = Step.OPENED, escalations: int = 0, severity: Severity = Severity.CRITICAL) -> Notice:
    return Notice(
        municipality_id=1,
        step=step,
        at=NOW,
        severity=severity,
        state=AlertState.OPEN,
        active=True,
        notify=True,
        escalations=escalations,
    )


def turn(target_id: int, place: int, town: int | None = 1) -> Turn:
    return Turn(
        municipality_id=town,
        target_id=target_id,
        place=place,
        valid_from=NOW - timedelta(days=1),
        valid_to=NOW + timedelta(days=1),
    )


TARGETS = [Target(target_id=n, municipality_id=1) for n in (1, 2, 3)]


def told(notice: Notice, turns: list[Turn]) -> list[int]:
    return [delivery.target_id for delivery in deliveries(notice, TARGETS, turns, NOW, PRAGUE)]


def test_people_are_called_one_after_the_other_and_all_others_at_once() -> None:
    turns = [turn(3, 2), turn(2, 1)]
    assert told(notice(), turns) == [1, 2]
    assert told(notice(Step.ESCALATED, 1), turns) == [3]
    assert told(notice(Step.ESCALATED, 2), turns) == []


def test_a_town_without_people_of_its_own_uses_the_regions() -> None:
    assert told(notice(Step.ESCALATED, 1), [turn(8, 1, None), turn(9, 2, None)]) == [9]
    assert told(notice(Step.ESCALATED, 1), [turn(8, 1, 2), turn(9, 2, 2)]) == []


def test_nothing_moves_before_its_time() -> None:
    known = Life(municipality_id=1, severity=Severity.CRITICAL, state=AlertState.OPEN, active=True, notify=True)
    calm = replace(known, active=False, cleared_at=NOW - FORGOTTEN)
    unproven = replace(known, state=AlertState.FIXED, fixed_at=NOW - PROOF)
    unanswered = replace(known, told_at=NOW - timedelta(minutes=15))
    moment = timedelta(seconds=1)
    for life, step in ((calm, Step.CLOSED), (unproven, Step.REOPENED), (unanswered, Step.ESCALATED)):
        move = elapsed(life, [turn(2, 1), turn(3, 2)], NOW)
        assert move is not None
        assert move.step is step
        assert elapsed(life, [turn(2, 1), turn(3, 2)], NOW - moment) is None


def test_a_gap_in_the_calendar_silences_nothing() -> None:
    later = [replace(turn(n, n), valid_from=NOW + timedelta(hours=1)) for n in (1, 2, 3)]
    assert told(notice(), later) == [1, 2, 3]
    assert told(notice(), [*later, turn(2, 1)]) == [2]


def test_a_town_hears_of_an_alert_across_towns_in_which_something_of_its_own_hangs_on_it() -> None:
    regional = replace(notice(), municipality_id=None)
    assert told(regional, []) == []
    assert told(replace(regional, concerns=frozenset({1})), []) == [1, 2, 3]
    assert told(replace(regional, concerns=frozenset({2})), []) == []


def test_an_hour_that_comes_twice_is_waited_for_once() -> None:
    second_pass = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 2:15 for the second time
    assert following(second_pass, time(2, 30), PRAGUE) == second_pass + timedelta(minutes=15)
    first_pass = second_pass - timedelta(hours=1)
    assert following(first_pass, time(2, 30), PRAGUE) == first_pass + timedelta(minutes=15)


def test_a_major_goes_on_to_the_next_person_on_the_next_working_morning() -> None:
    saturday = datetime(2026, 11, 21, 18, tzinfo=UTC)
    known = Life(
        municipality_id=1,
        severity=Severity.MAJOR,
        state=AlertState.OPEN,
        active=True,
        notify=True,
        told_at=saturday,
    )
    valid = [replace(turn(n, n), valid_to=NOW + timedelta(days=9)) for n in (1, 2, 3)]
    monday, tuesday = (datetime(2026, 11, day, 8, tzinfo=PRAGUE) for day in (23, 24))

    def passed_on(life: Life, now: datetime) -> int | None:
        move = elapsed(life, valid, now, zone=PRAGUE)
        return None if move is None else move.target_id

    assert passed_on(known, monday - timedelta(seconds=1)) is None
    assert passed_on(known, monday) == 2
    assert passed_on(replace(known, escalations=1), monday) is None
    assert passed_on(replace(known, escalations=1), tuesday) == 3
    assert passed_on(replace(known, escalations=2), tuesday + timedelta(days=2)) is None
    assert passed_on(replace(known, state=AlertState.ACKNOWLEDGED), tuesday) is None
    assert passed_on(replace(known, severity=Severity.MINOR), tuesday) is None
