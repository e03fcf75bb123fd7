"""What a device on the real firmware keeps through losses of power and deaths of the broker: every reading.

A small platform stores each reading and acknowledges it then; the device tells of each reading the moment its flash has
taken it. At the end both are compared, with their contents.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aiomqtt import Client, MqttError, ProtocolVersion

from simulators.firmware.host import Host, Options
from stack.broker import Broker

SCRIPT = """
import asyncio, _host, main
from node import app, ring
keep = ring.Ring.append
def append(self, values, *rest):
    number = keep(self, values, *rest)
    _host.told("kept", "%d %d %d" % (self.boot, number, values.get("power_w", -1)))
    return number
ring.Ring.append = append
async def more():
    count = 0
    while True:
        await asyncio.sleep_ms(40)
        here = app.here
        if here is not None and here.ring is not None and here.ring.pending < 200:
            count = (count + 7) % 20000
            here.ring.append({"power_w": count}, here.clock.utc_ms(), here.clock.ticks_ms())
            here.link.wake()
asyncio.create_task(more())
main.main()
"""
QUIET = SCRIPT.replace("asyncio.create_task(more())", "")
SETTLED_S_MAX = 90.0
WRITE_BYTES = (200, 3000)
"""A cut within a write comes after so many bytes."""


class Platform:
    """Stores and then acknowledges, over the broker's Unix socket; comes back by itself."""

    def __init__(self, broker: Broker, name: str, password: str) -> None:
        self._broker, self._name, self._password = broker, name, password
        self.stored: dict[tuple[int, int], set[int]] = {}
        """By boot and number the powers that came, in tenths of a watt: one each, however often it came."""
        self.unstamped = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(MqttError, OSError):
                await self._session()
            await asyncio.sleep(0.05)

    async def _session(self) -> None:
        address = self._broker.address
        async with Client(
            address,
            self._broker.port,
            transport="unix" if address.startswith("/") else "tcp",
            identifier=self._name,
            username=self._name,
            password=self._password,
            protocol=ProtocolVersion.V5,
            timeout=5,
        ) as client:
            await client.subscribe("kraj/+/+/telemetry", qos=1)
            async for message in client.messages:
                body: Any = json.loads(bytes(message.payload))  # pyright: ignore[reportArgumentType]
                readings = cast("list[dict[str, Any]]", body if isinstance(body, list) else [body])
                for one in readings:
                    power = round(10 * one.get("power_w", -0.1))
                    self.stored.setdefault((one["boot"], one["seq"]), set()).add(power)
                    self.unstamped += "uptime_ms" in one
                prefix = message.topic.value.rsplit("/", 1)[0]
                for boot in {one["boot"] for one in readings}:
                    ranges = [[one["seq"], one["seq"]] for one in readings if one["boot"] == boot]
                    await client.publish(f"{prefix}/ack", json.dumps({"boot": boot, "seq": ranges}), qos=0)


async def run(  # noqa: PLR0917 - where, on what, how much
    folder: Path, broker: Broker, platform: Platform, faults: int, seed: int, say: Callable[[str], None]
) -> dict[str, int]:
    """So many faults on the device whose flash and secrets are in ``folder``; then it settles, and is compared."""
    chance = random.Random(seed)  # noqa: S311 - a failure must be found again
    kept: dict[tuple[int, int], int] = {}
    twice: list[tuple[int, int]] = []
    listening = asyncio.create_task(platform.run())
    host = await _start(folder, chance.randrange(*WRITE_BYTES))
    done = 0
    try:
        while done < faults:
            which = chance.choice(("power", "write", "broker"))
            if which == "write":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(host.wait(), 4)
            await asyncio.sleep(chance.uniform(0.2, 1.2))
            if which == "broker":
                await _kill(broker)
                done += 1
            if which != "broker" or not host.running:
                host.kill()
                await host.wait()
                _hear(host, kept, twice)
                done += which != "broker"
                host = await _start(folder, chance.randrange(*WRITE_BYTES) if chance.random() < 0.5 else None)
            if done % 10 == 0:
                say(f"{done} of {faults} faults, {len(kept)} readings kept, {len(platform.stored)} stored")
        host.kill()
        await host.wait()
        _hear(host, kept, twice)
        host = await _start(folder, None, QUIET)
        deadline = asyncio.get_running_loop().time() + SETTLED_S_MAX
        while not kept.keys() <= platform.stored.keys() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            _hear(host, kept, twice)
    finally:
        host.kill()
        await host.wait()
        listening.cancel()
        await asyncio.wait([listening])
    if not listening.cancelled() and (fault := listening.exception()):
        raise fault
    return told(done, kept, twice, platform.stored)


def told(
    faults: int,
    kept: Mapping[tuple[int, int], int],
    twice: Sequence[tuple[int, int]],
    stored: Mapping[tuple[int, int], set[int]],
) -> dict[str, int]:
    """What became of the readings over so many faults; ``twice`` are numbers that the device gave again."""
    found = compared(kept, stored)
    return {
        "faults": faults,
        "readings": len(kept),
        "acknowledged_lost": found["acknowledged_lost"],
        "altered": found["altered"],
        "numbers_used_twice": len(twice) + found["reused"],
    }


def compared(kept: Mapping[tuple[int, int], int], stored: Mapping[tuple[int, int], set[int]]) -> dict[str, int]:
    """By boot and number what a device kept, and what the platform stored: readings lost, altered, numbers reused."""
    lost = [key for key in kept if key not in stored]
    altered = [key for key, powers in stored.items() if len(powers) > 1 or (key in kept and powers != {kept[key]})]
    numbers = [number for _, number in stored]
    return {
        "acknowledged_lost": len(lost),
        "altered": len(altered),
        "reused": len(numbers) - len(set(numbers)),
    }


async def _start(folder: Path, cut_after: int | None, script: str = SCRIPT) -> Host:
    return await Host.start(Options(folder=folder, kind="lamp", script=script, cut_after=cut_after))


async def _kill(broker: Broker) -> None:
    if broker.process is not None:
        broker.process.kill()
        await asyncio.to_thread(broker.process.wait)
    await asyncio.to_thread(broker.start)


def _hear(host: Host, kept: dict[tuple[int, int], int], twice: list[tuple[int, int]]) -> None:
    while not host.told.empty():
        told = host.told.get_nowait()
        if "kept" in told:
            boot, number, power = (int(word) for word in told["kept"].split())
            if (boot, number) in kept:
                twice.append((boot, number))
            kept[boot, number] = power
