"""A small world for KPIs: two towns, a few assets, rollups and days written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from kraj.kpis import KPIS
from kraj.store.registry import NewAsset, NewDevice, register

ZONE = ZoneInfo("Europe/Prague")
TOWNS = {"olsinka": "Olšinka", "zdarna": "Žďárná", "pustina": "Pustina"}
SINCE = datetime(2026, 1, 1, tzinfo=ZONE)
DEVICES = (
    NewDevice(name="d-lamp", municipality="olsinka", assets={0: NewAsset(kind="lamp", label="L1")}),
    NewDevice(name="d-lamp2", municipality="olsinka", assets={0: NewAsset(kind="lamp", label="L2")}),
    NewDevice(
        name="d-roof",
        municipality="olsinka",
        assets={0: NewAsset(kind="solar", label="R1", metadata={"power_peak_w": 5000})},
    ),
    NewDevice(
        name="d-stop",
        municipality="zdarna",
        assets={
            0: NewAsset(kind="stop", label="S1", metadata={"battery_capacity_wh": 1000, "display_interval_s": 300})
        },
    ),
)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


@dataclass
class World:
    """Writes what the rollup job and the day step would."""

    connection: psycopg.Connection[Any]

    def one(self, statement: str, *given: Any) -> Any:
        row = self.connection.execute(statement.encode(), given).fetchone()
        return None if row is None else row[0]

    def asset(self, label: str) -> int:
        return self.one("SELECT asset_id FROM asset WHERE label = %s", label)

    def town(self, name: str) -> int:
        return self.one("SELECT municipality_id FROM municipality WHERE name = %s", name)

    def row(self, table: str, **values: Any) -> None:
        self.connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(sql.Placeholder() * len(values)),
            ),
            list(values.values()),
        )

    def day(self, label: str, day: date, town: str = "olsinka", *, due_s: float | None = None) -> None:
        """The calendar: somebody was to be heard."""
        kind = self.one("SELECT kind FROM asset WHERE label = %s", label)
        length = (midnight(day + timedelta(days=1)).timestamp() - midnight(day).timestamp()) if due_s is None else due_s
        whose = {"asset_id": self.asset(label), "municipality_id": self.town(town)}
        self.row("asset_day", bucket=midnight(day), kind=kind, due_s=length, **whose)

    def rollup(
        self, label: str, bucket: datetime, town: str = "olsinka", step: str = "1d", *, covered_s: float, **values: Any
    ) -> None:
        kind = self.one("SELECT kind FROM asset WHERE label = %s", label)
        self.connection.execute("SELECT ensure_rollup_partition(%s, %s, %s)", [kind, step, bucket.date()])
        whose = {"asset_id": self.asset(label), "municipality_id": self.town(town)}
        self.row(f"rollup_{kind}_{step}", bucket=bucket, readings=1, covered_s=covered_s, **whose, **values)

    def lamp(self, label: str, day: date, town: str = "olsinka", **values: Any) -> None:
        """A lamp's day in the ledger."""
        usual = {"due_h": 10, "lit_h": 0, "outage_h": 0, "lit_kwh": 0, "dark_kwh": 0, "outside_kwh": 0}
        usual |= {"uncovered_kwh": 0, "due_2200": True}
        whose = {"asset_id": self.asset(label), "municipality_id": self.town(town)}
        self.row("lamp_day", bucket=midnight(day), **whose, **{**usual, **values})

    def figure(self, name: str, town: str = "olsinka", **more: Any) -> tuple[float | None, float | None]:
        """Value and completeness over all days, as the API divides them."""
        kpi = KPIS[name]
        where = "".join(f" AND {column} = %({column})s" for column in more)
        statement = f"""SELECT {kpi.scale} * sum(part) / {"nullif(sum(whole), 0)" if kpi.ratio else "1"},
            sum(covered::float8) / nullif(sum(due::float8), 0)
            FROM {kpi.view} WHERE municipality_id = %(town)s{where}"""
        row = self.connection.execute(statement.encode(), {"town": self.town(town), **more}).fetchone()
        assert row is not None
        return row

    def by_day(self, name: str) -> tuple[float | None, float | None]:
        """The same as ``figure``, of the rows of days where a KPI has finer ones."""
        statement = f"SELECT sum(part), sum(covered) / nullif(sum(due), 0) FROM {KPIS[name].days_view}"
        row = self.connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row

    def days(self, name: str) -> list[tuple[date, float | None]]:
        statement = f"SELECT day, {name} FROM {KPIS[name].view} ORDER BY day, municipality_id, asset_id"
        return self.connection.execute(statement.encode()).fetchall()


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Read in the name of the region's administrator."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        register(connection, TOWNS, DEVICES, SINCE)
        found = World(connection)
        person = found.one(
            "INSERT INTO person (name, title, created_at) VALUES ('jana@kraj.example', 'Jana', now())"
            " RETURNING person_id"
        )
        connection.execute(
            "INSERT INTO membership (person_id, role, valid_from) VALUES (%s, 'region_admin', now() - interval '1 h')",
            [person],
        )
        connection.execute("SELECT set_config('kraj.principal', %s, false)", [str(person)])
        yield found
