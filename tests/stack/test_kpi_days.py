"""The day step with the rights of the rollup's role, over real rollups: what it makes, when again, and of whom."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from kraj.store.registry import NewAsset, NewDevice, register
from stack import kpi_days, rollup
from stack.database import OWNER

ZONE = ZoneInfo("Europe/Prague")
DAY = date(2026, 10, 25)
"""The clocks go back: 25 hours."""
BEGIN, END = (datetime(2026, 10, day, tzinfo=ZONE).astimezone(UTC) for day in (25, 26))
LATER = END + timedelta(hours=4)
PLACE: Any = {"latitude": 49.5, "longitude": 15.6}
ROOF = {"power_peak_w": 5000, "power_rated_w": 5000, "tilt_deg": 30, "azimuth_deg": 180}
DEVICES = (
    NewDevice(
        name="lamp-1",
        municipality="olsinka",
        assets={0: NewAsset(kind="lamp", label="L1", metadata={"power_rated_w": 40}, **PLACE)},
    ),
    NewDevice(name="lamp-2", municipality="olsinka", assets={0: NewAsset(kind="lamp", label="L2", **PLACE)}),
    NewDevice(
        name="roof-1", municipality="olsinka", assets={0: NewAsset(kind="solar", label="R1", metadata=ROOF, **PLACE)}
    ),
    NewDevice(name="stop-1", municipality="olsinka", assets={0: NewAsset(kind="stop", label="S1", **PLACE)}),
)


class Town:
    """A town whose readings come as ingest stores them."""

    def __init__(self, connection: psycopg.Connection[Any], role_url: Callable[[str], str]) -> None:
        self.connection, self.role_url, self.batch = connection, role_url, 0
        connection.execute("INSERT INTO slot (name) VALUES ('slot_0')")

    def readings(self, kind: str, label: str, rows: list[dict[str, Any]]) -> None:
        """One batch."""
        self.batch += 1
        self.connection.execute("INSERT INTO batch VALUES (%s, 1, now(), %s, 0, 0)", [self.batch, len(rows)])
        self.connection.execute("UPDATE slot SET latest_batch_id = %s", [self.batch])
        found = self.connection.execute(
            "SELECT asset_id, municipality_id FROM asset WHERE label = %s", [label]
        ).fetchone()
        assert found is not None
        for seq, row in enumerate(rows, 1000 * self.batch):
            self.connection.execute("SELECT ensure_partition(%s, %s)", [kind, _monday(row["ts"])])
            whole = {
                "asset_id": found[0],
                "municipality_id": found[1],
                "seq": seq,
                "batch_id": self.batch,
                "implausible": 0,
            }
            names = sql.SQL(", ").join(map(sql.Identifier, whole | row))
            marks = sql.SQL(", ").join(sql.Placeholder() * len(whole | row))
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(f"reading_{kind}"), names, marks)
            self.connection.execute(insert, list((whole | row).values()))

    def settle(self, at: datetime) -> int:
        rollup.catch_up(self.role_url("kraj_rollup"), at)
        return kpi_days.catch_up(self.role_url("kraj_rollup"), at)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement.encode()).fetchall()


def _monday(ts: datetime) -> date:
    return (ts - timedelta(days=ts.weekday())).date()


def every(minutes: int, values: Callable[[datetime], dict[str, Any]], begin: datetime = BEGIN) -> list[dict[str, Any]]:
    count = int((END - begin) / timedelta(minutes=minutes)) + 1
    moments = [begin + timedelta(minutes=minutes) * n for n in range(count)]
    return [{"ts": at, **values(at)} for at in moments]


@pytest.fixture
def town(database_role_url: Callable[[str], str]) -> Iterator[Town]:
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as connection:
        register(connection, {"olsinka": "Olšinka"}, DEVICES, BEGIN - timedelta(days=1))
        yield Town(connection, database_role_url)


def night(at: datetime) -> bool:
    return not 5 <= at.hour < 16


def test_a_day_is_made_of_what_came_and_again_of_what_came_late(town: Town) -> None:
    lamp = every(
        15, lambda at: {"power_w": 40.0 if night(at) else 0.0, "level_commanded_pct": 100.0 if night(at) else 0.0}
    )
    town.readings("lamp", "L1", lamp)
    sun = every(
        5,
        lambda at: {
            "power_w": 2000.0 if 8 <= at.hour < 14 else 0.0,
            "irradiance_w_per_m2": 500.0,
            "module_temp_degc": 25.0,
        },
    )
    town.readings("solar", "R1", sun)
    stop = every(
        5,
        lambda at: {
            "display_content_age_s": 60 if at.hour >= 12 else 900,
            "usb1_state": 1,
            "usb2_state": 4,
            "light_level_pct": 60.0 if at.hour < 2 or at.hour > 10 else 0.0,
        },
    )
    town.readings("stop", "S1", stop)

    assert town.settle(LATER) == 2  # and the running day
    assert town.settle(LATER) == 0
    due = town.rows(f"SELECT DISTINCT due_s FROM asset_day WHERE bucket = '{BEGIN}'")
    assert due == [(25 * 3600,)]
    assert len(town.rows(f"SELECT FROM asset_day WHERE bucket = '{BEGIN}'")) == 4

    (first, second) = town.rows(
        "SELECT due_h, lit_h, outage_h, lit_kwh, full_w, due_2200, lit_2200 FROM lamp_day ORDER BY asset_id"
    )
    assert first[0] == second[0] == pytest.approx(14.7, abs=0.5)  # from dusk to dawn, in 25 hours
    assert first[1] > 0.9 * first[0]
    assert first[3] == pytest.approx(first[1] * 0.04, rel=0.06)
    assert first[4:] == (40, True, True)
    assert second[1:] == (0, 0, 0, None, True, None)

    expected, of, reference, reference_of, light, known, giving = town.rows(
        "SELECT expected_wh, expected_of_wh, reference_wh, reference_of_wh, light_s, known_s, giving_s FROM solar_day"
    )[0]
    assert of == reference_of == pytest.approx(12_000, rel=0.01)
    assert reference == pytest.approx(0.5 * 5000 * light / 3600, rel=0.01)
    assert 0.8 * reference < expected < reference
    assert giving == pytest.approx(6 * 3600, abs=1)
    assert giving < known <= light
    truth = town.rows("SELECT display_true_s / display_known_s, usb_up_s / usb_known_s FROM stop_day")[0]
    assert truth == (pytest.approx(13 / 25, abs=0.01), pytest.approx(0.5))
    lit, known_dark, dark = town.rows("SELECT light_lit_s, light_known_s, dark_s FROM stop_day")[0]
    assert known_dark == dark == pytest.approx(13.7 * 3600, abs=1200)  # without twilight, in 25 hours
    assert dark - lit == pytest.approx(3.1 * 3600, abs=1200)  # from three in the morning, by CET, to dawn

    town.readings("lamp", "L2", every(60, lambda at: {"power_w": 0.0, "level_commanded_pct": 100.0}))
    assert town.settle(LATER + timedelta(minutes=30)) == 0  # not again within the hour
    assert town.settle(LATER + timedelta(hours=1)) == 2  # its last reading is the next day's
    dark = town.rows("SELECT lit_2200 FROM lamp_day ORDER BY asset_id")
    assert dark == [(True,), (False,)]


def test_a_town_that_hears_nothing_is_due_all_the_same(town: Town) -> None:
    town.readings("stop", "S1", [{"ts": BEGIN, "usb1_state": 1}])
    assert town.settle(END + timedelta(days=2, hours=4)) == 4
    assert town.rows("SELECT bucket, count(*) FROM asset_day GROUP BY 1 ORDER BY 1")[1] == (END, 4)
    assert town.rows("SELECT sum(covered_h) FROM (SELECT lit_h + outage_h AS covered_h FROM lamp_day) l") == [(0,)]


def test_days_of_an_earlier_edition_are_made_anew_a_few_at_a_time_while_their_readings_are_kept(town: Town) -> None:
    now = END + timedelta(days=6, hours=4)
    town.readings("stop", "S1", [{"ts": BEGIN + timedelta(days=n), "light_level_pct": 50.0} for n in range(6)])
    town.settle(now)
    old = BEGIN - timedelta(days=395)
    town.connection.execute("UPDATE kpi_day SET edition = 1")
    town.connection.execute("UPDATE stop_day SET dark_s = NULL, light_lit_s = NULL, light_known_s = NULL")
    town.connection.execute("INSERT INTO kpi_day VALUES (%s, 1, %s, %s, 1)", [old, old + timedelta(hours=27), old])
    before = town.rows("SELECT count(*) FROM kpi_day WHERE edition = 1")[0][0]
    made = [town.settle(now) for _ in range(3)]
    assert (sum(made), max(made)) == (before - 1, kpi_days.ANEW_AT_ONCE)
    assert town.rows("SELECT bucket FROM kpi_day WHERE edition = 1") == [(old,)]  # its readings are gone
    assert town.rows("SELECT count(*) FROM stop_day WHERE dark_s IS NULL") == [(0,)]
