"""Programs of many lamps: against a slow twin, on nights of daylight saving, on leap days, near the pole."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj import dimming
from kraj.dimming import DAYS, ProgramError
from rules.dimming import DARK, LIGHT, Programs, desired, holidays, night, sun_table, zone

PRAGUE, TROMSO = (50.087, 14.421), (69.649, 18.956)
TODAY = date(2026, 5, 1)
ZONE = ZoneInfo("Europe/Prague")
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
SHIFTS = st.builds("{}{:+}".format, st.sampled_from(["sunset", "sunrise"]), st.integers(-200, 200))
STEPS = st.fixed_dictionaries(
    {"at": CLOCKS | SHIFTS, "level_pct": st.integers(0, 100), "ramp_s": st.sampled_from([0, 60, 3600])}
)
PLANS = st.fixed_dictionaries(
    {
        "steps": st.lists(STEPS, max_size=4, unique_by=lambda step: step["at"]),
        "days": st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
        "on_min": st.integers(-60, 60),
        "off_min": st.integers(-60, 60),
    },
    optional={"holidays": st.just(True), "from": st.just("11-01"), "to": st.just("03-31")},
)
MOMENTS = st.one_of(
    st.integers(1735689600, 1861920000),  # 2025 to 2028
    st.sampled_from([1774746000, 1792890000, 1743296400]).flatmap(lambda s: st.integers(s - 90_000, s + 90_000)),
)


def slow_pct(  # noqa: C901 - one after another, as it is said
    program: dict[str, Any], table: dict[str, Any], floor: int, utc_s: int
) -> int:
    """The same by datetime and zoneinfo, from what people wrote; only the table of the sun is shared."""

    def sun(which: str, day: date) -> datetime | int:
        minutes = table[which][(date(2024, day.month, day.day) - date(2024, 1, 1)).days]
        return (
            minutes
            if minutes >= LIGHT
            else datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
        )

    def wall(day: date, minutes: int) -> datetime:
        local = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=ZONE)
        utc = local.astimezone(UTC)
        if utc.astimezone(ZONE).replace(tzinfo=None) == local.replace(tzinfo=None):
            return utc
        while (utc - timedelta(minutes=1)).astimezone(ZONE).utcoffset() == utc.astimezone(ZONE).utcoffset():
            utc -= timedelta(minutes=1)  # left out: back to the change
        return utc

    now = datetime.fromtimestamp(utc_s, UTC)
    day = (now.astimezone(ZONE).replace(tzinfo=None) - timedelta(hours=12)).date()
    after = day + timedelta(days=1)
    plan: dict[str, Any] = {"steps": []}
    for one in program["plans"]:
        start, end, today = one.get("from", "01-01"), one.get("to", "12-31"), f"{day:%m-%d}"
        season = start <= today <= end if start <= end else today >= start or today <= end
        if day in holidays(day.year) if one.get("holidays") else season and DAYS[day.weekday()] in one["days"]:
            plan = one
            break
    sets, rises = sun("set", day), sun("rise", after)
    if LIGHT in {sets, rises}:
        return 0
    begin = wall(day, 720) if sets == DARK else sets + timedelta(minutes=plan.get("on_min", 0))  # type: ignore[operator]
    end = wall(after, 720) if rises == DARK else rises + timedelta(minutes=plan.get("off_min", 0))  # type: ignore[operator]
    if not begin <= now < end:
        return 0
    come: list[tuple[datetime, int, int]] = []
    for step in plan["steps"]:
        anchor, minutes = dimming.Step(**step).moment
        if anchor == "clock":
            at: Any = wall(after if minutes < 720 else day, minutes)
        else:
            event = sets if anchor == "sunset" else rises
            at = None if isinstance(event, int) else event + timedelta(minutes=minutes)
        if at is not None and at <= now:
            come.append((at, step["level_pct"], step["ramp_s"]))
    come.sort(key=lambda one: one[0])
    level = come[-1][1] if come else 100
    if come and come[-1][0] > begin and now < come[-1][0] + timedelta(seconds=come[-1][2]):
        before = come[-2][1] if len(come) > 1 else 100
        gone = int((now - come[-1][0]).total_seconds())
        level = before + (level - before) * gone // come[-1][2]
    return max(level, floor)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PLANS, max_size=3), st.integers(0, 60), st.sampled_from([PRAGUE, TROMSO]), st.lists(MOMENTS, min_size=1)
)
def test_levels_are_those_of_the_slow_twin_and_never_below_the_floor(
    plans: list[dict[str, Any]], floor: int, place: tuple[float, float], moments: list[int]
) -> None:
    document = desired(dimming.read({"plans": plans}), floor, *place, TODAY)
    found = Programs.of([document]).levels_pct(np.zeros(len(moments), np.int64), np.array(moments))
    assert found.tolist() == [slow_pct({"plans": plans}, document["sun"], floor, s) for s in moments]
    assert ((found == 0) | (found >= floor)).all()


def made(*steps: tuple[str, int], floor: int = 0, place: tuple[float, float] = PRAGUE, **plan: Any) -> dict[str, Any]:
    listed = [{"at": at, "level_pct": level} for at, level in steps]
    return desired(dimming.read({"plans": [{"steps": listed} | plan]}), floor, *place, TODAY)


def at(document: dict[str, Any], wall: str) -> int:
    """The level when the clock in Prague shows this (of two such moments the first)."""
    utc_s = int(datetime.fromisoformat(wall).replace(tzinfo=ZONE).timestamp())
    return int(Programs.of([document]).levels_pct(np.array([0]), np.array([utc_s]))[0])


def test_in_spring_a_step_within_the_hour_that_is_left_out_comes_when_it_is_left_out() -> None:
    document = made(("02:30", 50))
    assert [at(document, f"2026-03-29 {wall}") for wall in ("01:59", "03:00", "03:29")] == [100, 50, 50]
    assert len(night(document, date(2026, 3, 28)).ts_s) == 23 * 60


def test_in_autumn_a_step_within_the_hour_that_comes_twice_comes_the_first_time() -> None:
    document = made(("02:30", 50), ("02:45", 70))
    found = night(document, date(2026, 10, 24))
    assert len(found.ts_s) == 25 * 60
    levels = found.level_pct[found.ts_s >= found.begin_s]
    changes = levels[np.flatnonzero(np.diff(levels)) + 1].tolist()
    assert changes == [50, 70, 0]


def test_midnight_is_in_the_middle_of_a_night() -> None:
    document = made(("23:59", 50), ("00:01", 70), days=["fri"])
    assert [at(document, f"2026-06-{wall}") for wall in ("05 23:58", "05 23:59", "06 00:00", "06 00:01")] == [
        100,
        50,
        50,
        70,
    ]
    assert at(document, "2026-06-06 23:59") == 100  # Saturday has no plan
    assert at(document, "2026-06-05 00:00") == 100  # still Thursday's night


def test_a_leap_day_has_a_night_of_its_own() -> None:
    document = made(("20:00", 50), dates=["2028-02-29"])
    assert [at(document, f"2028-{wall}") for wall in ("02-28 21:00", "02-29 21:00", "03-01 03:00", "03-01 21:00")] == [
        100,
        50,
        50,
        100,
    ]


def test_where_the_sun_does_not_set_nothing_is_lit_and_where_it_does_not_rise_all_day() -> None:
    document = made(("22:00", 60), place=TROMSO)
    summer, winter = night(document, date(2026, 6, 20)), night(document, date(2026, 12, 20))
    assert (summer.begin_s, summer.end_s, summer.level_pct.max()) == (0, 0, 0)
    assert (winter.level_pct > 0).all()
    assert {*sun_table(*TROMSO, 2026)[0]} >= {LIGHT, DARK}
    assert not {*sun_table(*PRAGUE, 2026)[0]} & {LIGHT, DARK}


def test_in_june_a_step_after_sunrise_does_not_keep_lamps_lit() -> None:
    document = made(("22:00", 60), ("05:30", 100))
    assert [at(document, f"2026-06-21 {wall}") for wall in ("03:00", "05:00", "05:30", "12:00")] == [60, 0, 0, 0]
    assert at(document, "2026-12-21 05:30") == 100


def test_a_night_of_many_lamps_takes_what_each_takes_alone() -> None:
    documents = [made(("22:00", 60)), made(("23:00", 30), floor=40), made(place=TROMSO)]
    programs, moments = Programs.of(documents), np.arange(1_780_000_000, 1_780_090_000, 997)
    which, ts = (part.ravel() for part in np.meshgrid(np.arange(3), moments, indexing="ij"))
    together = programs.levels_pct(which, ts).reshape(3, -1)
    for number, document in enumerate(documents):
        alone = Programs.of([document]).levels_pct(np.zeros(len(moments), np.int64), moments)
        np.testing.assert_array_equal(together[number], alone)
    assert len(Programs.of([]).levels_pct(np.zeros(0, np.int64), np.zeros(0, np.int64))) == 0


def test_energy_of_a_night_is_power_by_minutes() -> None:
    found = night(made(("22:00", 60)), date(2026, 12, 21))
    power_w = np.arange(101) * 0.5
    lit, dim = int((found.level_pct == 100).sum()), int((found.level_pct == 60).sum())
    assert found.energy_wh(power_w) == pytest.approx((lit * 50 + dim * 30) / 60)
    assert lit + dim == pytest.approx((found.end_s - found.begin_s) / 60, abs=1)


def test_the_zone_is_what_the_world_keeps() -> None:
    moments = zone(2026)
    assert moments[0][0] == int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    for utc_s, minutes in moments:
        for s, before in ((utc_s, 0), (utc_s + 86_400, 0)):
            offset = datetime.fromtimestamp(s + before, ZONE).utcoffset()
            assert offset == timedelta(minutes=minutes)
    assert len(moments) == 1 + 2 * 7


def test_holidays_of_a_year_are_thirteen_and_easter_moves() -> None:
    assert len(holidays(2026)) == 13
    assert date(2026, 4, 3) in holidays(2026)
    assert date(2027, 3, 29) in holidays(2027)


def test_an_unknown_step_is_refused_before_it_is_laid_out() -> None:
    with pytest.raises(ProgramError):
        made(("24:00", 60))
