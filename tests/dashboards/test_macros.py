"""Macros and variables become what Grafana makes of them."""

from datetime import UTC, datetime

import pytest

from dashboards.macros import Span, expand

SPAN = Span(datetime(2026, 11, 21, 6, tzinfo=UTC), datetime(2026, 11, 22, 6, 0, 0, 500_000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("$__time(ts)", 'ts AS "time"'),
        ("$__timeFilter(ts)", "ts BETWEEN '2026-11-21T06:00:00.000000Z' AND '2026-11-22T06:00:00.500000Z'"),
        ("$__timeFrom()", "'2026-11-21T06:00:00.000000Z'"),
        ("$__timeTo()", "'2026-11-22T06:00:00.500000Z'"),
        ("$__timeGroup(ts, '15m')", "floor(extract(epoch from ts)/900)*900"),
        ("$__timeGroupAlias(ts,1h)", 'floor(extract(epoch from ts)/3600)*3600 AS "time"'),
        ("$__unixEpochFilter(s)", "s >= 1795240800 AND s <= 1795327200"),
        ("$__interval", "86s"),
        ("a IN (${town})", "a IN ('1','O''Brien')"),
        ("a = '${one}'", "a = 'it''s'"),
        ("$one", "it''s"),
    ],
)
def test_a_statement_is_expanded_as_grafana_does(written: str, sent: str) -> None:
    assert expand(written, SPAN, {"town": ["1", "O'Brien"], "one": "it's"}) == sent


def test_what_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="timeFliter"):
        expand("$__timeFliter(ts)", SPAN, {})
    with pytest.raises(KeyError):
        expand("$nobody", SPAN, {})
