"""What somebody calls fixed is proven in the transaction of the reading that shows it, whatever dies in between."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kraj.alerts import AlertState, Step
from kraj.store import alerts
from kraj.store.registry import NewAsset, NewDevice, register
from stack.broker import Broker
from tests.ingest.rig import TOWN, Devices, Ingest, Site, now_ms, query, wait_until

MINUTE_MS = 60_000
LAMPS = ("lamp-a", "lamp-b")
FULL: dict[str, Any] = {"level_commanded_pct": 100, "voltage_v": 231.0, "clock_offset_s": 0.0}


@pytest.fixture
def site(database_url: str, broker: Broker, open_folder: Path) -> Site:
    devices = [
        NewDevice(
            name=name,
            municipality=TOWN,
            assets={0: NewAsset(kind="lamp", label=name.upper(), metadata={"power_rated_w": 60.0})},
        )
        for name in LAMPS
    ]
    with psycopg.connect(database_url) as connection:
        register(connection, {TOWN: "Lhota"}, devices, datetime.now(UTC))
    return Site(database_url, broker, open_folder)


def dark(devices: Devices, until_ms: int) -> None:
    """Half an hour of darkness at full level, up to a moment."""
    for minute in range(30, -1, -5):
        devices.await_ack(*(devices.send(n, ts=until_ms - minute * MINUTE_MS, power_w=0.5, **FULL) for n in LAMPS))


async def call_fixed(site: Site, at: datetime) -> None:
    async with await psycopg.AsyncConnection.connect(site.url) as connection:
        rows = await (
            await connection.execute("SELECT alert_id, version FROM alert WHERE rule = 'lamp_out'")
        ).fetchall()
        for number, version in rows:
            await alerts.act(
                connection, number, version=version, step=Step.FIXED, state=AlertState.FIXED, who="jana", at=at
            )


def standing(site: Site) -> list[tuple[str, str, bool]]:
    return query(
        site.url,
        "SELECT s.label, a.state, a.active FROM alert a JOIN asset s USING (asset_id) WHERE rule = 'lamp_out'"
        " ORDER BY s.label",
    )


def proving(site: Site) -> int:
    return len(query(site.url, "SELECT 1 FROM alert_event WHERE step = 'proving'"))


async def test_a_repair_is_proven_and_another_refuted_although_ingest_dies_twice_on_the_way(site: Site) -> None:
    """Killed after the rules have heard of the repairs, and once more between the two readings that decide."""
    began = now_ms()
    with Devices(site.broker.port) as devices:
        with site.ingest().ready() as first:
            dark(devices, began)
            assert standing(site) == [("LAMP-A", "open", True), ("LAMP-B", "open", True)]
            await call_fixed(site, datetime.fromtimestamp((began + 500) / 1000, UTC))
            wait_until(lambda: proving(site) == 2, "the rules have heard of both, without a reading")
            first.kill()
        with site.ingest().ready() as second:
            decide(devices, began + 5_000)
            assert {state for _, state, _ in standing(site)} == {"fixed"}, "one reading proves nothing"
            Ingest.kill(second)
        with site.ingest().ready() as third:
            decide(devices, began + 66_000)
            assert third.said("rules ready")[0]["replayed"] >= 1
            assert standing(site) == [("LAMP-A", "closed", False), ("LAMP-B", "open", True)]
            decide(devices, began + 90_000)
    events = "SELECT step, who, (detail->>'power_w')::float FROM alert_event WHERE step = ANY (%s) ORDER BY step"
    decided = [("reopened", "telemetry", 0.5), ("verified", "telemetry", 58.0)]
    assert query(site.url, events, ["verified", "reopened"]) == decided, "once each"
    together = query(
        site.url,
        "SELECT DISTINCT e.batch_id FROM alert_event e JOIN reading_lamp r USING (batch_id) WHERE step = 'verified'",
    )
    assert len(together) == 1, "in the transaction of its reading"


def decide(devices: Devices, at_ms: int) -> None:
    """One lamp gives light, the other does not."""
    devices.await_ack(
        devices.send(LAMPS[0], ts=at_ms, power_w=58.0, **FULL), devices.send(LAMPS[1], ts=at_ms, power_w=0.5, **FULL)
    )
