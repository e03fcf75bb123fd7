"""A small region in a real database, and a client on the application without a network."""

from collections.abc import AsyncIterator, Callable, Iterator
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
from stack.database import OWNER
from tests.api import signing

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


@dataclass
class Region:
    """Writes what ingest would."""

    connection: psycopg.Connection[Any]

    def asset_id(self, label: str) -> int:
        row = self.connection.execute("SELECT asset_id FROM asset WHERE label = %s", [label]).fetchone()
        assert row is not None
        return row[0]

    def reading(
        self, label: str, ts: datetime, seq: int = 1, *, implausible: tuple[str, ...] = (), **values: object
    ) -> None:
        """Store a reading (columns as stored: states as codes) as history and, when it is the newest, as latest."""
        found = self.connection.execute(
            "SELECT asset_id, municipality_id, kind FROM asset WHERE label = %s", [label]
        ).fetchone()
        assert found is not None
        asset_id, municipality_id, name = found
        kind = KINDS[name]
        monday = (ts - timedelta(days=ts.weekday())).date()
        self.connection.execute("SELECT ensure_partition(%s, %s)", [name, monday])
        mask = sum(1 << [m.name for m in kind.metrics].index(metric) for metric in implausible)
        row: dict[str, object] = {
            "asset_id": asset_id,
            "municipality_id": municipality_id,
            "ts": ts,
            "seq": seq,
            "boot": 7,
            "batch_id": 1,
            "implausible": mask,
            **values,
        }
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
        marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
        self.connection.execute(insert.format(sql.Identifier(kind.reading_table), names, marks), list(row.values()))
        self.connection.execute(
            sql.SQL("DELETE FROM {} WHERE asset_id = %s AND (ts, seq) < (%s, %s)").format(
                sql.Identifier(kind.latest_table)
            ),
            [asset_id, ts, seq],
        )
        self.connection.execute(
            insert.format(sql.Identifier(kind.latest_table), names, marks) + sql.SQL(" ON CONFLICT DO NOTHING"),
            list(row.values()),
        )

    def slot(self, heartbeat_at: datetime, name: str = "slot_0", **counts: int) -> None:
        row: dict[str, object] = {"name": name, "heartbeat_at": heartbeat_at, **counts}
        self.connection.execute(
            sql.SQL("INSERT INTO slot ({}) VALUES ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
            ),
            list(row.values()),
        )

    def status(self, device: str, *, online: bool) -> None:
        self.connection.execute(
            "INSERT INTO device_status SELECT device_id, %s, 7, '1.4.0', 'power_on', %s FROM device WHERE name = %s",
            [online, NOW, device],
        )

    def refused(self, reason: str, payload: bytes, *, number: int = 0, metric: str | None = None) -> None:
        self.connection.execute(
            "INSERT INTO quarantine (digest, first_at, last_at, times, municipality_id, topic, source, reason, detail,"
            " metric, payload, payload_bytes, batch_id)"
            " VALUES (%s, %s, %s, 3, 1, 'kraj/olsinka/lamp-1/telemetry', 'lamp-1', %s, 'detail', %s, %s, %s, 1)",
            [f"{reason}{number}".encode(), NOW, NOW, reason, metric, payload, len(payload)],
        )


DEVICES = (
    NewDevice(
        name="lamp-1",
        municipality="olsinka",
        assets={0: NewAsset(kind="lamp", label="VO-9 Nádražní", latitude=49.5, longitude=15.6, metadata={"pole": 9})},
    ),
    NewDevice(
        name="lamp-2",
        municipality="olsinka",
        assets={0: NewAsset(kind="lamp", label="VO-10 Školní", latitude=49.501, longitude=15.602)},
    ),
    NewDevice(
        name="stop-1",
        municipality="zdarna",
        assets={0: NewAsset(kind="stop", label="Náměstí", latitude=49.3, longitude=15.3)},
    ),
    NewDevice(
        name="gateway-1",
        municipality="zdarna",
        assets={n: NewAsset(kind="solar", label=f"Střídač {n}") for n in (1, 2)},
    ),
)
MUNICIPALITIES = {"olsinka": "Olšinka", "zdarna": "Žďárná"}


@pytest.fixture
def empty_region(database_url: str) -> Iterator[Region]:
    """A migrated database with nothing in it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Region(connection)


@pytest.fixture
def region(empty_region: Region) -> Region:
    """Two municipalities, four devices, five assets; nothing was sent yet."""
    register(empty_region.connection, MUNICIPALITIES, DEVICES, NOW - timedelta(days=30))
    return empty_region


@pytest.fixture
async def client(database_role_url: Callable[[str], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a signed-in administrator on the application, which reads as ``kraj_api``; it is ``NOW``."""
    signing.signed_in(database_role_url(OWNER))
    app = create(Settings(), database_role_url("kraj_api"), clock=lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as found,
    ):
        signing.sign(found)
        yield found
