"""The calendar that weather and people follow: the season of the year and Czech civil time, vectorised."""

import numpy as np

from simulators.physics.frame import DAY_MS, Floats, Ints
from simulators.physics.wander import by_number

YEAR_DAYS = 365.2425
HOUR_MS = 3_600_000
SUNDAY = 3
"""1970-01-04 was the first one."""


def at_season(monthly: Floats, ts_ms: Ints) -> Floats:
    """Twelve monthly means (last axis) as a course over the year without steps; shape ``(…, *ts_ms.shape)``.

    Straight from month's middle to month's middle, and from midnight to midnight: a day of many moments costs two days.
    """
    day = ts_ms // DAY_MS
    part = (ts_ms - day * DAY_MS) / DAY_MS
    before = by_number(day, lambda days: _on_day(monthly, days))
    after = by_number(day + 1, lambda days: _on_day(monthly, days))
    return before * (1 - part) + after * part


def _on_day(monthly: Floats, days: Ints) -> Floats:
    place = np.mod(days, YEAR_DAYS) / YEAR_DAYS * 12 - 0.5
    first = np.floor(place)
    part = place - first
    month = first.astype(np.intp) % 12
    return monthly[..., month] * (1 - part) + monthly[..., (month + 1) % 12] * part


def day_of_year(ts_ms: Ints) -> Floats:
    """Days since New Year, to a day."""
    return np.mod(ts_ms / DAY_MS, YEAR_DAYS)


def civil_ms(ts_ms: Ints) -> Ints:
    """Czech wall time as if it were UTC: an hour ahead, two between the last Sundays of March and October (EU)."""
    year = ts_ms.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970
    summer = (ts_ms >= _change_ms(year, 3)) & (ts_ms < _change_ms(year, 10))
    return ts_ms + np.where(summer, 2 * HOUR_MS, HOUR_MS)


def _change_ms(year: Ints, month: int) -> Ints:
    """One o'clock UTC on the last Sunday of the month (of 31 days)."""
    months = (year - 1970) * 12 + month
    last = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return (last - (last - SUNDAY) % 7) * DAY_MS + HOUR_MS
