"""A simulated device goes to another server when the platform's authority says so, and only then."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from kraj import certificates, moving
from simulators.device import Link, SimulatedDevice
from simulators.ring import Ring
from tests.kraj.test_certificates import authority
from tests.simulators.rig import DEVICE, PREFIX, Broker, Platform, until


async def test_a_signed_order_takes_the_device_and_its_readings_to_the_new_server(
    broker: Broker, platform: Platform, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    ours, theirs = authority(now=now), authority(now=now)
    platform.answer = lambda _: []
    other = Broker(tmp_path)
    there = Platform(other.port)
    link = Link(host="127.0.0.1", port=broker.port, connect_spread_s=0, backoff_first_s=0.05, backoff_longest_s=0.1)
    device = SimulatedDevice(DEVICE, Ring(7, Random(1)), link, Random(2), roots=[ours.root])
    task = asyncio.create_task(device.run())
    try:
        await until(lambda: device.connected, "connected")
        device.record({"power_w": 1}, 1000)
        await until(lambda: platform.readings, "the old server has heard it, and stored nothing")
        to = moving.server(f"127.0.0.1:{other.port}", certificates.pem(theirs.root))
        forged = moving.order(theirs, DEVICE.name, DEVICE.municipality, to, "move-1", now)
        await asyncio.to_thread(platform.publish, f"{PREFIX}/command", forged)
        await until(lambda: platform.results, "an answer")
        assert not platform.results[0]["ok"]
        assert "signed_by" in platform.results[0]["error"]
        assert device.connected
        order = moving.order(ours, DEVICE.name, DEVICE.municipality, to, "move-2", now)
        await asyncio.to_thread(platform.publish, f"{PREFIX}/command", order)
        await until(lambda: there.readings, "the new server hears what nobody had stored")
        assert platform.results[1] == {"id": "move-2", "ok": True}
        assert [reading["seq"] for _, reading in there.readings] == [1]
        await until(lambda: not device.ring.pending, "stored there")
        assert other.connections()[DEVICE.name] == 1
    finally:
        device.stop()
        await task
        there.close()
        other.close()
