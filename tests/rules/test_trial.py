"""A trial's verdict does not get better by trying longer: what holds nearly everywhere is doubted at any length."""

from collections import Counter

import pytest

from rules.rule import Per
from rules.trial import Result
from tests.rules.world import rule


@pytest.mark.parametrize(
    ("days", "raised", "doubts"),
    [
        (7, 20, ["too_many", "too_many_assets"]),
        (112, 20, ["too_many_assets"]),
        (112, 8, ["too_many_assets"]),
        (30, 8, ["too_many_assets"]),
        (30, 2, []),
        (7, 2, []),
        (3, 2, ["too_many"]),
    ],
)
def test_raising_once_on_so_many_of_twenty_assets(days: float, raised: int, doubts: list[str]) -> None:
    once = Counter(range(raised))
    result = Result(rule("always", "power_w > 0"), 20, days, readings=1000, heard_days=days, raised=once)
    assert result.doubts == doubts
    assert result.too_many is bool(doubts)


def test_days_before_the_first_reading_are_not_quiet_days() -> None:
    result = Result(rule("always", "power_w > 0"), 20, 30.0, readings=40, heard_days=1.0, raised=Counter({1: 1, 2: 1}))
    assert result.per_asset_week == pytest.approx(0.7)
    assert result.doubts == ["too_many"]


@pytest.mark.parametrize(("heard", "short"), [(1.0, True), (4.0, True), (4.8, False)])
def test_nights_and_long_durations_need_their_time(heard: float, short: bool) -> None:
    for asked in (rule("n", "x > 0", per=Per.NIGHT, of=(3, 5)), rule("f", "x > 0", for_s=5 * 86_400)):
        result = Result(asked, 20, 30.0, readings=40, heard_days=heard)
        assert result.needed_days == 5
        assert result.doubts == (["too_short"] if short else [])
