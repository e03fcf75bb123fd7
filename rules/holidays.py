"""Working days in Czechia: what waits for the office waits over weekends and public holidays (Act 245/2000 Coll.)."""

from datetime import date, timedelta

FIXED = frozenset({(1, 1), (5, 1), (5, 8), (7, 5), (7, 6), (9, 28), (10, 28), (11, 17), (12, 24), (12, 25), (12, 26)})
"""Month and day. Good Friday and Easter Monday move."""
SATURDAY = 5


def working(day: date) -> bool:
    """Whether offices are open."""
    if day.weekday() >= SATURDAY or (day.month, day.day) in FIXED:
        return False
    return day - easter(day.year) not in (timedelta(days=-2), timedelta(days=1))


def following(day: date, count: int = 1) -> date:
    """The ``count``-th working day after this one."""
    while count:
        day += timedelta(days=1)
        count -= working(day)
    return day


def easter(year: int) -> date:
    """Easter Sunday, by the rule of 1876 for the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    century, of_century = divmod(year, 100)
    leaps, odd = divmod(century, 4)
    golden = year % 19
    shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - shift + 15) % 30
    weekday = (32 + 2 * odd + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
