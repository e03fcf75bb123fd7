"""A served region with some hours of quarter-hours, started once for many claims."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from api.app import create
from kraj.kinds import KINDS
from kraj.settings import Settings
from kraj.store.registry import NewAsset, NewDevice, register
from stack.database import OWNER, EmbeddedPostgres
from tests.api import contract
from tests.api.conftest import DEVICES, MUNICIPALITIES, NOW
from tests.conftest import TEMPLATE

ROOT = "/sensorthings/v1.1"
HOURS = 30
BEGIN = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
HIDDEN = NewDevice(
    name="lamp-9",
    municipality="tajna",
    assets={0: NewAsset(kind="lamp", label="Tajné", latitude=49.9, longitude=15.9)},
)


@dataclass
class Served:
    """The service: ``base`` is its root, ``owner`` the database behind it."""

    base: str
    owner: psycopg.Connection[Any]
    client: httpx.Client

    def get(self, path: str, status: int = 200, **options: str) -> Any:
        """The JSON at a path below the root; ``filter`` is $filter."""
        given = {f"${name}": value for name, value in options.items()}
        answer = self.client.get(f"{self.base}/{path}".rstrip("/"), params=given or None)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()

    def names(self, path: str, **options: str) -> list[str]:
        return [one["name"] for one in self.get(path, 200, **options)["value"]]

    def value(self, statement: str, *given: object) -> Any:
        row = self.owner.execute(statement.encode(), given).fetchone()
        assert row is not None
        return row[0]

    def asset(self, label: str) -> int:
        return self.value("SELECT asset_id FROM asset WHERE label = %s", label)

    def stream(self, label: str, metric: str) -> int:
        """The number of a Datastream."""
        kind = KINDS[self.value("SELECT kind FROM asset WHERE label = %s", label)]
        return self.asset(label) << 6 | kind.positions[metric]


def rolled(owner: psycopg.Connection[Any], label: str, bucket: datetime, **values: object) -> None:
    """A quarter-hour as the rollup makes it (states as codes)."""
    row = owner.execute("SELECT kind, asset_id, municipality_id FROM asset WHERE label = %s", [label]).fetchone()
    assert row is not None
    kind, asset, town = row
    owner.execute("SELECT ensure_rollup_partition(%s, '15m', %s)", [kind, bucket.date()])
    cells = {"bucket": bucket, "asset_id": asset, "municipality_id": town, "readings": 3, "covered_s": 900, **values}
    owner.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(f"rollup_{kind}_15m"),
            sql.SQL(", ").join(map(sql.Identifier, cells)),
            sql.SQL(", ").join(sql.Placeholder() * len(cells)),
        ),
        list(cells.values()),
    )


@pytest.fixture(scope="package")
def served(_migrated: EmbeddedPostgres) -> Iterator[Served]:
    """Two published towns and one that is not; thirty hours of a stop and a lamp, the last quarter still running."""
    name = "test_sensorthings"
    with psycopg.connect(_migrated.url(database="postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY".encode())
    url: Callable[[str], str] = lambda role: _migrated.url(role, database=name)  # noqa: E731
    with psycopg.connect(url(OWNER), autocommit=True) as owner:
        register(owner, MUNICIPALITIES | {"tajna": "Tajná"}, (*DEVICES, HIDDEN), NOW - timedelta(days=30))
        owner.execute("UPDATE municipality SET published = false WHERE name = 'tajna'")
        _plant(owner)
        app = create(Settings(), url("kraj_api"), clock=lambda: NOW)
        with contract.served(app) as base, httpx.Client(timeout=30) as client:
            yield Served(base + ROOT, owner, client)
    with psycopg.connect(_migrated.url(database="postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _plant(owner: psycopg.Connection[Any]) -> None:
    for quarter in range(HOURS * 4 + 2):
        bucket = BEGIN + quarter * timedelta(minutes=15)
        rolled(
            *(owner, "Náměstí", bucket),
            air_temp_degc=quarter / 10 - 3,
            wifi_clients=2,
            presence_bucket=1,
            sos_pressed=0.5,
            charger_state=3 if quarter % 2 else 0,
            wifi_up=0.75,
            pv_energy_wh=2.5 * quarter,
        )
        rolled(owner, "VO-9 Nádražní", bucket, voltage_v=230.1, power_w=41.2, level_measured_pct=70)
        rolled(owner, "Tajné", bucket, voltage_v=231)
