"""Publishing readings for devices that do not publish themselves, and waiting until they are committed.

Files and vendors' clouds can be asked again, so they have what a foreign device on the broker has not: their readings
go out as native ones, and count as delivered only when ``ack`` has named them.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import msgspec

from kraj.errors import UnavailableError
from kraj.quarantine import PAYLOAD_BYTES_MAX
from kraj.topics import Channel, Topic
from kraj.wire import READINGS_PER_MESSAGE_MAX

CLIENT = "feed_0"
"""User name and client id at the broker; it may write ``telemetry`` and read ``ack`` of every device."""
WAIT_S = 30.0
"""As long as a device waits before it sends again."""
TRIES = 20
IN_FLIGHT_MAX = 2_000
"""Readings sent and not yet named; far below what ingest holds a flood."""


class Feed:
    """One connection; devices take turns."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._waiting: dict[str, dict[int, asyncio.Future[None]]] = {}

    async def deliver(self, municipality: str, device: str, readings: list[dict[str, Any]]) -> None:
        """Return when every reading is committed, a duplicate, or kept in quarantine.

        Raises ``UnavailableError`` when nobody says so for long; sending them all again later is safe.
        """
        for start in range(0, len(readings), IN_FLIGHT_MAX):
            await self._deliver(municipality, device, readings[start : start + IN_FLIGHT_MAX])

    async def _deliver(self, municipality: str, device: str, readings: list[dict[str, Any]]) -> None:
        telemetry = str(Topic(municipality, device, Channel.TELEMETRY))
        loop = asyncio.get_running_loop()
        waiting = self._waiting[device] = {reading["seq"]: loop.create_future() for reading in readings}
        try:
            missing = readings
            for attempt in range(TRIES):
                missing = [reading for reading in readings if not waiting[reading["seq"]].done()]
                if not missing:
                    return
                try:
                    for payload in messages(missing):
                        await self._client.publish(telemetry, payload, qos=1, timeout=WAIT_S)
                except aiomqtt.MqttError as error:
                    raise UnavailableError(f"broker: {error}") from error
                await asyncio.wait(waiting.values(), timeout=WAIT_S if attempt else WAIT_S / 3)
        finally:
            del self._waiting[device]
            for future in waiting.values():
                future.cancel()
        raise UnavailableError(f"{len(missing)} readings of {device} were not acknowledged; is ingest running?")

    async def listen(self) -> None:
        """Take acknowledgements until cancelled."""
        async for message in self._client.messages:
            name = str(message.topic).split("/")[2]
            waiting = self._waiting.get(name)
            if waiting is None:
                continue
            for first, last in json.loads(message.payload).get("seq", ()):
                for seq in [seq for seq in waiting if first <= seq <= last]:
                    if not waiting[seq].done():
                        waiting[seq].set_result(None)


@asynccontextmanager
async def feed(host: str, port: int, username: str | None, password: str | None) -> AsyncGenerator[Feed]:
    """A feed on a connection of its own; raises ``UnavailableError``."""
    name = username or CLIENT
    try:
        async with aiomqtt.Client(
            host,
            port,
            identifier=name,
            username=username,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            transport="unix" if host.startswith("/") else "tcp",
            timeout=10,
        ) as client:
            await client.subscribe("kraj/+/+/ack", qos=0)
            made = Feed(client)
            listening = asyncio.create_task(made.listen())
            try:
                yield made
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    except aiomqtt.MqttError as error:
        raise UnavailableError(f"broker at {host}:{port}: {error}") from error


def messages(readings: Iterable[dict[str, Any]]) -> list[bytes]:
    """Readings as messages that the wire format takes: at most 64 of them, and 64 KiB."""
    out: list[bytes] = []
    batch: list[bytes] = []
    size = 2
    for reading in readings:
        encoded = msgspec.json.encode(reading)
        if batch and (len(batch) == READINGS_PER_MESSAGE_MAX or size + len(encoded) + 1 > PAYLOAD_BYTES_MAX):
            out.append(b"[" + b",".join(batch) + b"]")
            batch, size = [], 2
        batch.append(encoded)
        size += len(encoded) + 1
    if batch:
        out.append(b"[" + b",".join(batch) + b"]")
    return out
