"""Two towns with one device of each kind, a year of their rollups and KPIs, and Grafana's roles that read them."""

import contextlib
import uuid
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store.grafana import drop_role, ensure_role, role_name
from kraj.store.registry import NewAsset, NewDevice, register
from kraj.store.rollup_schema import table_columns as rollup_columns
from stack.database import OWNER, EmbeddedPostgres
from tests.conftest import TEMPLATE

TOWNS = {"brno": "Brno", "zlin": "Zlín"}
SPANS = {"15m": timedelta(days=1), "1h": timedelta(days=30), "1d": timedelta(days=365)}
"""How far back the dashboards of a day, a month and a year look, and what they read."""
EANS = ("859182400000000005", "859182400000000012")
PASSWORD = "only of this test"


class Region:
    """The numbers of assets follow the kinds: one of each in Brno, then one of each in Zlín."""

    def __init__(self, owner: psycopg.Connection[Any], url: str) -> None:
        self.owner, self._url = owner, url
        self.at = datetime.now(UTC).replace(microsecond=0)
        devices = [
            NewDevice(
                name=f"{town}-{kind}",
                municipality=town,
                assets={
                    0: NewAsset(
                        kind=kind, label=f"{town} {kind}", latitude=49.2, longitude=16.6,
                        metadata={"power_peak_w": 10_000, "site": "school"},
                    )
                },
            )
            for town in TOWNS
            for kind in KINDS
        ]  # fmt: skip
        owner.execute("SET timezone TO 'Europe/Prague'")  # days of rollups and KPIs begin at its midnight
        register(owner, TOWNS, devices, self.at - timedelta(days=400))
        owner.execute("INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Nádražní', 'segment')")
        owner.execute("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE municipality_id = 1")
        for kind in KINDS.values():
            self._readings(kind)
            self._rollups(kind)
        self._alerts()
        self._days()
        self._meters()
        owner.execute(
            "INSERT INTO device_status (device_id, online, boot, changed_at) SELECT device_id, true, 1, %s FROM device",
            [self.at],
        )

    def _readings(self, kind: Kind) -> None:
        owner = self.owner
        for day in (self.at, self.at - timedelta(days=7)):
            owner.execute("SELECT ensure_partition(%s, date_trunc('week', %s::timestamptz)::date)", [kind.name, day])
        names = [metric.name for metric in kind.metrics]
        values = ", ".join("true" if metric.type.sql == "boolean" else "1" for metric in kind.metrics)
        for table, numbers in ((kind.reading_table, (1, 2, 5)), (kind.latest_table, (5,))):
            owner.execute(
                f"INSERT INTO {table} (asset_id, municipality_id, ts, seq, batch_id, implausible, {', '.join(names)})"
                f" SELECT asset_id, municipality_id, %s::timestamptz + seq * interval '1 minute', seq, 1, 0, {values}"
                " FROM asset, unnest(%s::bigint[]) AS seq WHERE kind = %s".encode(),
                [self.at - timedelta(minutes=10), list(numbers), kind.name],
            )

    def _rollups(self, kind: Kind) -> None:
        for step, span in SPANS.items():
            self.owner.execute(
                "SELECT ensure_rollup_partition(%s, %s, day::date)"
                " FROM generate_series(%s::timestamptz, %s, interval '28 days') AS day",
                [kind.name, step, self.at - span - timedelta(days=2), self.at + timedelta(days=31)],
            )
            for group in (False, True):
                found = [column for column in rollup_columns(kind, group=group) if column.metric]
                names, values = ", ".join(column.name for column in found), ", ".join("1" for _ in found)
                scope, who = ("group_id, assets", "group_id, 1") if group else ("asset_id, readings", "asset_id, 4")
                source = "asset_group" if group else f"asset WHERE kind = '{kind.name}'"
                self.owner.execute(
                    f"INSERT INTO {kind.rollup_table(step, group=group)}"
                    f" (bucket, municipality_id, covered_s, {scope}, {names})"
                    f" SELECT bucket, municipality_id, extract(epoch FROM %(step)s::interval), {who}, {values}"
                    f" FROM (SELECT * FROM {source}) AS what,"
                    " generate_series(date_trunc('day', %(since)s::timestamptz), %(until)s, %(step)s::interval) bucket"
                    " WHERE bucket + %(step)s::interval <= %(until)s".encode(),
                    {"step": step, "since": self.at - span, "until": self.at},
                )

    def _alerts(self) -> None:
        self.owner.execute(
            "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, state, active,"
            " notify, since, opened_at, changed_at, fixed_at, cleared_at, lost_wh)"
            " SELECT 'k' || asset_id || state, 'comms_lost', 'asset', asset_id || state, municipality_id, asset_id,"
            " 'critical', state, state = 'open', true, %(at)s - interval '3 hours', %(at)s - interval '2 hours',"
            " %(at)s, done, done, 700 FROM asset, (VALUES ('open', NULL), ('fixed', %(at)s - interval '1 hour'))"
            " AS alerted (state, done)",
            {"at": self.at},
        )
        self.owner.execute(
            "INSERT INTO alert_event (alert_id, at, step, who)"
            " SELECT alert_id, fixed_at, 'fixed', 'Jana' FROM alert WHERE fixed_at IS NOT NULL"
        )
        self.owner.execute(
            "INSERT INTO quarantine (digest, first_at, last_at, municipality_id, topic, source, reason, detail,"
            " payload, payload_bytes, batch_id) SELECT sha256(name::bytea), %(at)s, %(at)s, municipality_id, name,"
            " name, 'no_time', '', '', 0, 1 FROM municipality",
            {"at": self.at - timedelta(minutes=5)},
        )

    def _days(self) -> None:
        """What the day step of KPIs makes, and baselines, prices and factors by which its figures are weighed."""
        days = "(SELECT generate_series(date_trunc('day', %(at)s - interval '366 days'), %(at)s, '1 day') AS bucket) d"
        for statement in (
            f"INSERT INTO asset_day SELECT bucket, asset_id, municipality_id, 86400, kind FROM asset, {days}",
            "INSERT INTO lamp_day SELECT bucket, 10, 8, 1, 0.3, 0, 0, 0, 60, asset_id, municipality_id,"
            f" municipality_id, true, true FROM asset, {days} WHERE kind = 'lamp'",
            "INSERT INTO solar_day SELECT bucket, 9000, 8000, 10000, 8000, 40000, 30000, 30000, 40000, 39000, asset_id,"
            f" municipality_id, 9000, 8500, 30000, 8200, 8000, 30000 FROM asset, {days} WHERE kind = 'solar'",
            "INSERT INTO stop_day SELECT bucket, asset_id, municipality_id, 80000, 86400, 160000, 172800, 30000, 31000,"
            f" 32000 FROM asset, {days} WHERE kind = 'stop'",
            "INSERT INTO lighting_baseline (municipality_id, group_id, version, valid_from, power_w, source, who, at)"
            " SELECT municipality_id, group_id, 1, '2020-01-01', 100, 'pasport', 'Jana', %(at)s FROM asset_group",
            "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, source, who, at)"
            " SELECT municipality_id, direction, direction, municipality_id, '2020-01-01', 'smlouva', 'Jana', %(at)s"
            " FROM municipality, unnest(ARRAY['import', 'export']) AS direction",
            "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at)"
            " SELECT municipality_id, 400, '2020-01-01', 'OTE', 'Jana', %(at)s FROM municipality",
        ):
            self.owner.execute(statement.encode(), {"at": self.at})

    def _meters(self) -> None:
        """A metering point in each town, and its quarter-hours of two days."""
        for town, ean in enumerate(EANS, 1):
            given = {"town": town, "ean": ean, "at": self.at}
            self.owner.execute(
                "INSERT INTO metering_point (ean, municipality_id, title, at) VALUES (%(ean)s, %(town)s, 'x', %(at)s)",
                given,
            )
            self.owner.execute(
                "INSERT INTO meter_quarter SELECT bucket, 1, %(town)s, 100, 300, 200, 'measured', %(ean)s FROM"
                " generate_series(date_trunc('day', %(at)s - interval '1 day'), %(at)s, interval '15 minutes') bucket",
                given,
            )

    @contextlib.contextmanager
    def without(self, table: str, where: str) -> Generator[None]:
        """As if these rows had not come; afterwards they are there again."""
        rows = f"FROM {table} WHERE {where}"
        self.owner.execute(f"CREATE TEMP TABLE taken AS SELECT * {rows}; DELETE {rows}".encode(), prepare=False)
        yield
        self.owner.execute(f"INSERT INTO {table} SELECT * FROM taken; DROP TABLE taken".encode(), prepare=False)

    @contextlib.contextmanager
    def reads(self, town: int | None) -> Generator[psycopg.Connection[Any]]:
        """A connection such as Grafana's data source has: of the region, or of a municipality."""
        role = role_name(town, list(TOWNS)[town - 1] if town else "")
        ensure_role(self.owner, town, role, PASSWORD, self.at)
        with psycopg.connect(make_conninfo(self._url, user=role, password=PASSWORD), autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="module")
def region(request: pytest.FixtureRequest) -> Iterator[Region]:
    """One for all tests of a module, which leave it as it was."""
    server: EmbeddedPostgres = request.getfixturevalue("_migrated")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY".encode())
        with psycopg.connect(server.url(OWNER, database=name), autocommit=True) as owner:
            yield Region(owner, server.url("kraj_api", database=name))
            for role in owner.execute("SELECT role FROM grafana_role").fetchall():
                drop_role(owner, *role)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
