"""Working days, against dates from the calendar on the wall."""

from datetime import date

import pytest

from rules.holidays import easter, following, working


@pytest.mark.parametrize(
    "sunday", [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2027, 3, 28), date(2038, 4, 25)]
)
def test_easter_is_where_the_calendar_says(sunday: date) -> None:
    assert easter(sunday.year) == sunday


@pytest.mark.parametrize(
    ("day", "open_"),
    [
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),
        (date(2026, 11, 17), False),
        (date(2026, 4, 3), False),
        (date(2026, 4, 6), False),
        (date(2026, 4, 7), True),
        (date(2026, 12, 31), True),
    ],
)
def test_offices_are_closed_on_weekends_and_public_holidays(day: date, open_: bool) -> None:
    assert working(day) is open_


def test_what_waits_for_the_office_waits_over_christmas() -> None:
    assert following(date(2026, 12, 23)) == date(2026, 12, 28)
    assert following(date(2026, 12, 23), 2) == date(2026, 12, 29)
