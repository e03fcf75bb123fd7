"""In a demo a repair is real: what is marked as fixed ends the fault behind it, and the lamp itself proves it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.app import create
from kraj.clock import shifted
from kraj.settings import Settings
from kraj.store.registry import register
from simulators.asset import Asset
from simulators.fault_file import FaultFile, turned
from simulators.physics.frame import Fault
from simulators.region import region
from stack.broker import Broker
from stack.database import OWNER
from stack.demo import new_device
from stack.mending import Fixed, mended
from tests.api import signing
from tests.forked import ROOT
from tests.ingest.rig import Ingest, query, wait_until

REAL_S_MAX = 60.0
PAST_S, SPEED = 3000, 600
"""The fleet hurries through what was before."""
FAULT = Fault(
    cause="lamp_out", scope="asset", municipality="obec", name="VO-1", targets=("obec/VO-1",), start_ms=100, end_ms=900
)
FIXED = Fixed(1, 500, "lamp_out", "asset", "7", "obec", "obec/VO-1")
TRIP = replace(FAULT, cause="feeder_outage", scope="feeder", name="R1/1", targets=("obec/VO-1", "obec/VO-2"))


@pytest.mark.parametrize(
    ("fault", "fixed", "ends"),
    [
        (FAULT, FIXED, True),
        (FAULT, replace(FIXED, at_ms=50), False),
        (FAULT, replace(FIXED, at_ms=950), False),
        (FAULT, replace(FIXED, asset="obec/VO-2"), False),
        (replace(FAULT, cause="clock_drift"), FIXED, True),
        (TRIP, FIXED, False),
        (TRIP, replace(FIXED, rule="feeder_outage", scope_type="feeder", scope_name="R1/1", asset="obec/R1"), True),
        (TRIP, replace(FIXED, rule="feeder_outage", scope_type="feeder", scope_name="R1/2", asset="obec/R1"), False),
        (replace(TRIP, municipality="jina"), replace(FIXED, scope_type="feeder", scope_name="R1/1", asset=None), False),
    ],
)
def test_a_repair_ends_what_is_wrong_at_the_asset_or_with_the_group(fault: Fault, fixed: Fixed, ends: bool) -> None:
    after, ended = mended([fault], [fixed])
    assert after == [replace(fault, end_ms=500) if ends else fault]
    assert ended == (after if ends else [])
    assert mended(after, [fixed]) == (after, []), "once"


def test_the_fleet_lets_nothing_end_in_a_past_that_it_has_lived_through(tmp_path: Path) -> None:
    over = replace(FAULT, end_ms=500)
    assert turned([FAULT], [over], 600) == (replace(FAULT, end_ms=600),)
    assert turned([over], [over], 600) == (over,)
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([asdict(FAULT)]))
    faults = FaultFile(file, [TRIP])
    assert faults.read() == (TRIP, FAULT)
    assert faults.changed() is None
    file.write_text("half a fi")
    os.utime(file, ns=(1, 1))
    assert faults.changed() is None, "it goes on with those that it has"
    file.write_text(json.dumps([asdict(over)]))
    os.utime(file, ns=(2, 2))
    assert faults.changed() == (TRIP, over)


@contextmanager
def process(log: Path, *arguments: str, **env: str) -> Generator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")}
    with log.open("wb") as out:
        command = [sys.executable, "-m", *arguments]
        running = subprocess.Popen(
            command, cwd=ROOT, env={**kept, **env, "PYTHONUNBUFFERED": "1"}, stdout=out, stderr=out
        )
    try:
        yield
        assert running.poll() is None, log.read_text()
    finally:
        running.terminate()
        running.wait(20)


async def test_a_dark_lamp_that_is_marked_as_fixed_burns_and_is_verified_within_a_minute(
    database_role_url: Callable[[str], str], broker: Broker, open_folder: Path
) -> None:
    """Ingest, a fleet, the unit that mends, and the application; the region's clock says 20:30 UTC, so it is night."""
    url = database_role_url(OWNER)
    real = datetime.now(UTC)
    night = real.replace(hour=20, minute=30, second=0, microsecond=0) - timedelta(days=1)
    offset_s = str((night - real).total_seconds())
    invented = region(1, 6)
    lamp = next(asset for asset in invented.assets if asset.kind == "lamp")
    with psycopg.connect(url) as connection:
        towns = {town.name: town.title for town in invented.municipalities}
        register(connection, towns, [new_device(device) for device in invented.devices], night - timedelta(days=1))
    signing.signed_in(url)
    faults = open_folder / "faults.json"
    faults.write_text(json.dumps([asdict(since_long(lamp, night))]))
    fleet = ["simulators", "--devices", "6", "--seed", "1", "--fault-file", str(faults), "--clock-offset-s", offset_s]
    fleet += ["--host", "127.0.0.1", "--port", str(broker.port), "--speed", f"{SPEED}"]
    fleet += ["--start", f"{night - timedelta(seconds=PAST_S):%Y-%m-%dT%H:%M:%S}"]
    app = create(Settings(), database_role_url("kraj_api"), clock=shifted(float(offset_s)))
    ingest = Ingest(url, broker.address, broker.port, open_folder / "ingest.log", KRAJ_CLOCK_OFFSET_S=offset_s)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        signing.sign(client)
        with (
            ingest,
            process(open_folder / "fleet.log", *fleet),
            process(
                open_folder / "repairs.log",
                "stack.mending",
                str(faults),
                KRAJ_DATABASE_URL=database_role_url("kraj_notify"),
            ),
        ):
            wait_until(lambda: " devices in " in (open_folder / "fleet.log").read_text(), "the fleet begins")
            now_at = time.monotonic() + PAST_S / (SPEED - 1) + 0.5
            (number,) = wait_until(
                lambda: dark(url) if time.monotonic() > now_at else [], "the fleet is here, and dark"
            )
            found = (await client.get(f"/v1/alerts/{number}")).json()
            fields = {"step": "fixed", "version": str(found["version"]), "cause": "driver", "light": "1"}
            answer = await client.post(f"/alerts/{number}/steps", data=fields, headers={"accept": "text/html"})
            assert answer.headers["location"].endswith("said=fixed#said")
            wait_until(lambda: state(url) == "closed", "verified", REAL_S_MAX)
            assert "Ověřeno měřením" in (await client.get(f"/alerts/{number}/repair")).text
    assert steps(url)[-3:] == [("proving", "telemetry"), ("cleared", "telemetry"), ("verified", "telemetry")]
    assert "repaired: lamp_out" in (open_folder / "repairs.log").read_text()


def since_long(lamp: Asset, night: datetime) -> Fault:
    start_ms = round((night - timedelta(seconds=PAST_S - 300)).timestamp() * 1000)
    return Fault(
        cause="lamp_out",
        scope="asset",
        municipality=lamp.municipality,
        name=lamp.label,
        targets=(lamp.key,),
        start_ms=start_ms,
        end_ms=start_ms + 10 * 3_600_000,
        size=0.95,
    )


def dark(url: str) -> list[Any]:
    return query(url, "SELECT alert_id FROM alert WHERE rule = 'lamp_out' AND active")


def state(url: str) -> str:
    return query(url, "SELECT state FROM alert WHERE rule = 'lamp_out'")[0]


def steps(url: str) -> list[Any]:
    return query(
        url,
        "SELECT step, who FROM alert_event JOIN alert USING (alert_id) WHERE rule = 'lamp_out' ORDER BY alert_event_id",
    )
