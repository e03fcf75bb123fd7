"""Olšinka leaves: it takes its data and its lamp along, and what is left is a certificate and a silent neighbour."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest
from typer.testing import CliRunner

from kraj import certificates
from kraj.store.registry import NewAsset, NewDevice, register
from simulators.device import Link, SimulatedDevice
from simulators.region import Device
from simulators.ring import Ring
from stack import authority, leaving
from stack.broker import Broker
from stack.cli import app
from tests.ingest.rig import Devices, Ingest, now_ms, query
from tests.kraj.test_certificates import authority as another_authority
from tests.simulators import rig
from tests.waiting import PATIENCE_S


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        await asyncio.sleep(0.05)


async def test_a_town_leaves_and_takes_its_data_and_its_lamp_along(
    database_url: str, open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url) as connection:
        lamps = [
            NewDevice(name=f"{town}-lamp", municipality=town, assets={0: NewAsset(kind="lamp", label=f"VO {town}")})
            for town in ("olsinka", "zdarna")
        ]
        register(connection, {"olsinka": "Olšinka", "zdarna": "Žďárná"}, lamps, datetime.now(UTC))
    ours = authority.ensure(tmp_path / "authority", datetime.now(UTC)).authority
    new_root = tmp_path / "olsinka-root.pem"
    new_root.write_text(certificates.pem(another_authority(now=datetime.now(UTC)).root))
    with Broker(open_folder / "broker", open=True) as broker:
        env = {
            "KRAJ_DATABASE_URL": database_url,
            "KRAJ_MQTT_HOST": "127.0.0.1",
            "KRAJ_MQTT_PORT": str(broker.port),
            "KRAJ_STATE_DIR": str(tmp_path / "state"),
            "KRAJ_AUTHORITY_DIR": str(tmp_path / "authority"),
        }

        async def kraj(*words: str) -> tuple[int, str]:
            result = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=env)
            return result.exit_code, f"{result.output}{result.exception or ''}"

        theirs = rig.Broker(tmp_path)
        platform = rig.Platform(theirs.port)
        link = Link(host="127.0.0.1", port=broker.port, connect_spread_s=0, backoff_first_s=0.05, backoff_longest_s=0.1)
        thing = Device(name="olsinka-lamp", municipality="olsinka", installed=())
        lamp = SimulatedDevice(thing, Ring(7, Random(1)), link, Random(2), roots=[ours.root])
        task = asyncio.create_task(lamp.run())
        try:
            with Ingest(database_url, broker.address, broker.port, tmp_path / "ingest.log") as ingest:
                await asyncio.to_thread(ingest.ready)
                with Devices(broker.port) as neighbour:
                    neighbour.publish("kraj/zdarna/zdarna-lamp/telemetry", json.dumps(neighbour.reading("zdarna-lamp")))
                    await asyncio.to_thread(neighbour.await_ack, ("zdarna-lamp", 1, 1))
                lamp.record({"power_w": 41.0}, now_ms())
                await until(lambda: query(database_url, "SELECT count(*) FROM reading_lamp") == [2], "both are stored")

                # The town hall wants its data. As long as the lamp sends, it is told so.
                code, said = await kraj("leave", "olsinka", "--to", str(tmp_path / "first"))
                assert code != 0
                assert "olsinka-lamp" in said
                assert "--server" in said
                there = f"127.0.0.1:{theirs.port}"
                code, said = await kraj(
                    "leave", "olsinka", "--to", str(tmp_path / "first"), "--server", there, "--authority", str(new_root)
                )
                assert code == 0, said
                # The lamp follows the signed order, and sends to the town's own server from now on.
                await until(lambda: theirs.connections()["olsinka-lamp"], "the lamp has moved")
                lamp.record({"power_w": 42.0}, now_ms())
                await until(lambda: platform.readings, "its readings come there")
                offline = "SELECT online FROM device_status JOIN device USING (device_id) WHERE name = 'olsinka-lamp'"
                await until(lambda: query(database_url, offline) == [False], "here it is away")
                result = "SELECT body ->> 'ok' FROM device_event WHERE channel = 'result'"
                assert query(database_url, result) == ["true"]

                topic = "kraj/olsinka/olsinka-lamp/status"
                assert await asyncio.to_thread(rig.retained, broker.port, "kraj/olsinka/#") == {
                    topic: {"online": False}
                }

                # A quarter of an hour later nothing comes any more. What is here now is all there is.
                monkeypatch.setattr(leaving, "QUIET", timedelta(0))
                code, said = await kraj("leave", "olsinka", "--erase", "--yes", "--export", str(tmp_path / "first"))
                assert "export again" in said, "the lamp has said goodbye since, which is not in the first export"
                code, said = await kraj("leave", "olsinka", "--to", str(tmp_path / "second"))
                assert code == 0, said
                proof = tmp_path / "certificate.json"
                code, said = await kraj(
                    *("leave", "olsinka", "--erase", "--yes", "--export", str(tmp_path / "second")),
                    *("--certificate", str(proof)),
                )
                assert code == 0, said

                code, said = await kraj("leave", "--verify", str(proof))
                assert code == 0, said
                assert "Olšinka (olsinka) was erased" in said
                assert json.loads(json.loads(proof.read_text())["document"])["deleted"]["reading_lamp"] == 1
                assert query(database_url, "SELECT name FROM municipality") == ["zdarna"]
                names = query(database_url, "SELECT name FROM device")
                assert names == ["zdarna-lamp"]
                assert query(database_url, "SELECT count(*) FROM reading_lamp") == [1]

                # A straggler is nobody's: its reading is kept in quarantine, and not in the town.
                with Devices(broker.port) as straggler:
                    late = straggler.reading("olsinka-lamp")
                    straggler.publish("kraj/olsinka/olsinka-lamp/telemetry", json.dumps(late))
                    await asyncio.to_thread(straggler.await_ack, ("olsinka-lamp", 1, 1))
                refused = "SELECT reason, municipality_id FROM quarantine WHERE topic LIKE '%%telemetry'"
                assert query(database_url, refused) == [("unknown_device", None)]
                assert query(database_url, "SELECT count(*) FROM reading_lamp") == [1]
                monkeypatch.setattr(rig, "PATIENCE_S", 2.0)
                assert await asyncio.to_thread(rig.retained, broker.port, "kraj/olsinka/#") == {}
        finally:
            lamp.stop()
            await task
            platform.close()
            theirs.close()
