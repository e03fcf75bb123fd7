"""Every panel's statement runs as Grafana's own role, over a day, a month and a year, and shows what there is."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from dashboards import kpi_sql
from dashboards.macros import Span, expand
from kraj.kinds import KINDS
from kraj.kpis import KPIS
from tests.dashboards.asked import DASHBOARDS, asked
from tests.dashboards.conftest import SPANS, Region


def test_every_statement_runs_and_shows_data(region: Region) -> None:
    empty: set[str] = set()
    ran = 0
    with region.reads(None) as connection:
        for name in DASHBOARDS:
            if not name.startswith("cs/"):
                continue  # the statements differ by titles only, which another test holds
            for step, span in SPANS.items():
                for one in asked(name):
                    rows = run(connection, one.sql, Span(region.at - span, region.at), variables(name, step))
                    ran += 1
                    if not any(value is not None for row in rows for value in row[1:] or row):
                        empty.add(f"{one.where} {step}")
    assert ran > 500
    assert empty == set()


def test_statements_show_a_town_its_own_alone_whatever_is_chosen(region: Region) -> None:
    with region.reads(2) as connection:
        for one in asked("cs/overview.json"):
            rows = run(
                connection, one.sql, Span(region.at - SPANS["15m"], region.at), variables("cs/overview.json", "15m")
            )
            assert "Brno" not in str(rows), one.where
        (rows,) = [
            run(connection, one.sql, Span(region.at - SPANS["15m"], region.at), variables("cs/overview.json", "15m"))
            for one in asked("cs/overview.json")
            if one.where.endswith("$municipality")
        ]
        assert rows == [("Zlín", 2)]


def test_without_any_devices_there_is_no_number(region: Region) -> None:
    nothing = dict(variables("cs/lamp.json", "15m"), municipality=["999"], asset="")
    span = Span(region.at - SPANS["15m"], region.at)
    with region.reads(None) as connection:
        for name in DASHBOARDS:
            for one in asked(name) if name.startswith("cs/") else ():
                if one.kind in {"variable", "annotation"} or one.where.endswith("Otevřené výstrahy"):
                    continue
                rows = run(connection, one.sql, span, nothing)
                assert not any(value is not None for row in rows for value in row), one.where


def test_a_line_breaks_where_buckets_are_missing(region: Region) -> None:
    since = region.at - timedelta(hours=12)
    (power,) = [one for one in asked("cs/overview.json") if one.where.endswith("Příkon svítidel")]
    missing = f"bucket BETWEEN '{since}' AND '{since + timedelta(hours=3)}'"
    with region.without("rollup_lamp_15m", missing), region.reads(None) as connection:
        rows = run(
            connection, power.sql, Span(region.at - SPANS["15m"], region.at), variables("cs/overview.json", "15m")
        )
    inside = [value for at, value in rows if since <= at <= since + timedelta(hours=3)]
    assert inside == [None]
    assert {value for _, value in rows} == {2.0, None}


def test_completeness_counts_what_was_never_heard(region: Region) -> None:
    (complete,) = {one.sql for one in asked("cs/lighting.json") if one.where.endswith(": Úplnost údajů")}
    span = Span(region.at - timedelta(hours=20), region.at)
    with region.reads(None) as connection:
        before = run(connection, complete, span, variables("cs/lighting.json", "15m"))[0][0]
        with region.without("rollup_lamp_15m", "municipality_id = 2"):
            after = run(connection, complete, span, variables("cs/lighting.json", "15m"))[0][0]
    assert before == pytest.approx(1, abs=0.03)
    assert after == pytest.approx(0.5, abs=0.03)


def test_a_kpi_of_one_row_is_what_its_view_says_and_of_none_nothing(region: Region) -> None:
    """The panels' formula is the declaration's, and no data has no completeness either."""
    with region.reads(1) as connection:
        for kpi in KPIS.values():
            key = kpi.key[0]
            row = connection.execute(
                f"SELECT bucket, {key}, {kpi.name}, completeness FROM {kpi.days_view} WHERE part IS NOT NULL"
                " ORDER BY bucket DESC LIMIT 1".encode()
            ).fetchone()
            assert row, kpi.name
            bucket, number, *shown = row
            for where, wanted in (
                (f"bucket = '{bucket}' AND {key} = '{number}' AND part IS NOT NULL", shown),
                ("false", [None, None]),
            ):
                panel = kpi_sql.figure(kpi, where, "value", "known")
                (found,) = run(connection, panel, Span(region.at - SPANS["1d"], region.at), {})
                assert list(found) == [value if value is None else pytest.approx(value) for value in wanted], kpi.name


def test_missing_days_lower_completeness_and_are_no_zero(region: Region) -> None:
    (asked_for,) = [one for one in asked("cs/roofs.json") if one.where.endswith(": Výroba střech")]
    span = Span(region.at - timedelta(days=10), region.at - timedelta(days=1))
    chosen = dict(variables("cs/roofs.json", "1h"), municipality=["1"])
    with region.reads(1) as connection:
        ((before, known),) = run(connection, asked_for.sql, span, chosen)
        half = f"municipality_id = 1 AND bucket BETWEEN '{span.since}' AND '{region.at - timedelta(days=6)}'"
        with region.without("rollup_solar_1d", half):
            ((after, less),) = run(connection, asked_for.sql, span, chosen)
    assert (before, known) == (pytest.approx(0.010), pytest.approx(1, abs=0.01))
    assert (after, less) == (pytest.approx(0.006), pytest.approx(0.6, abs=0.01))


def test_the_loss_ledger_names_the_numbers_that_are_missing(region: Region) -> None:
    ledger = [one for one in asked("cs/quality.json") if one.where.endswith(("Kniha ztrát", "Chybí měření"))]
    with region.reads(None) as connection:
        missing, gaps = (
            run(
                connection,
                one.sql,
                Span(region.at - timedelta(hours=1), region.at),
                variables("cs/quality.json", "15m"),
            )
            for one in ledger
        )
    assert missing == [(2,)]
    assert [row[2:] for row in gaps] == [(3, 4, 2)]


@pytest.mark.parametrize(("hours", "step"), [(24, "15m"), (49, "15m"), (24 * 30, "1h"), (24 * 365, "1d")])
def test_the_time_range_tells_which_rollups_are_read(region: Region, hours: int, step: str) -> None:
    (chosen,) = {one.sql for one in asked("cs/overview.json") if one.where.endswith("$step")}
    span = Span(region.at - timedelta(hours=hours), region.at)
    assert run(region.owner, chosen, span, {}) == [(step,)]


def variables(name: str, step: str) -> dict[str, Any]:
    """As somebody who has just opened the dashboard: every town, every group, the first device of the kind."""
    kind = name.removesuffix(".json").partition("/")[2]
    place = list(KINDS).index(kind) + 1 if kind in KINDS else 1
    chosen = {"municipality": ["1", "2"], "group": "0", "point": ["0"], "asset": str(place)}
    return {**chosen, "step": step, "kraj_url": "", "ds": "x"}


def run(connection: psycopg.Connection[Any], sql: str, span: Span, chosen: dict[str, Any]) -> list[Any]:
    return connection.execute(expand(sql, span, chosen).encode(), prepare=False).fetchall()
