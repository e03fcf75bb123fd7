"""The oracle of commands: lamps of a client of its own, which obeys each id once, as wire.md has it, and notes it all.

It shares nothing with ingest: another MQTT library, another session. It is never killed, and loses its connection with
the broker only; what it remembers of ids and versions outlives that, as it does in a device.
"""

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable

import msgspec
from aiomqtt import Client, Message, MqttError, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from kraj.topics import Channel, Topic, parse
from simulators.messages import COMMAND, Command, Reported, Result
from stack.broker import LOOPBACK

REMEMBERED = 64
"""Ids, as docs/wire.md has it."""
CLIENT_ID = "oracle-lamps"
SESSION_EXPIRY_S = 3600
BACKOFF_S = 0.3
WAITING_MAX = 100_000
"""Messages that wait to be read; more than a whole measurement has."""
RETAINED_S_MAX = 10.0


class _Desired(msgspec.Struct):
    version: int


_DESIRED = msgspec.json.Decoder(_Desired)


class Lamps:
    """Lamps by (municipality, device). ``applied`` counts by id how often one was done, ``last`` is by lamp and reason
    what was done last, ``kept`` the versions."""

    def __init__(self, lamps: Iterable[tuple[str, str]], port: int) -> None:
        self._lamps = list(lamps)
        self._port = port
        self._answers: dict[str, OrderedDict[str, Result]] = {device: OrderedDict() for _, device in self._lamps}
        self.devices = self._answers.keys()
        self.applied: Counter[str] = Counter()
        self.deliveries = 0
        self.last: dict[tuple[str, str], str] = {}
        self.kept: dict[str, int] = {}
        self.older = 0
        """Versions that came behind newer ones."""
        self.sessions = 0

    async def run(self) -> None:
        """Until cancelled; connects again whenever the broker is there again."""
        while True:
            with contextlib.suppress(MqttError, OSError):
                await self._session()
            await asyncio.sleep(BACKOFF_S)

    async def _session(self) -> None:
        async with self._client(CLIENT_ID) as client:
            await client.subscribe(self._filters(Channel.COMMAND, Channel.DESIRED))
            self.sessions += 1
            telling = asyncio.create_task(self._hello(client))
            try:
                async for message in client.messages:
                    await self._take(client, message)
            finally:
                telling.cancel()
                with contextlib.suppress(asyncio.CancelledError, MqttError):
                    await telling

    async def _hello(self, client: Client) -> None:
        status = msgspec.json.encode({"online": True, "boot": 1, "firmware": "oracle"})
        for lamp in self._lamps:
            await client.publish(str(Topic(*lamp, Channel.STATUS)), status, qos=1, retain=True)

    def _client(self, name: str) -> Client:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        return Client(
            LOOPBACK,
            self._port,
            identifier=name,
            protocol=ProtocolVersion.V5,
            clean_start=False,
            timeout=5.0,
            properties=properties,
            max_queued_incoming_messages=WAITING_MAX,
        )

    def _filters(self, *channels: Channel) -> list[tuple[str, int]]:
        towns = sorted({town for town, _ in self._lamps})
        return [(f"kraj/{town}/+/{channel}", 1) for town in towns for channel in channels]

    async def _take(self, client: Client, message: Message) -> None:
        topic = parse(message.topic.value)
        if topic.channel == Channel.COMMAND:
            answer = self._obey(topic.device, COMMAND.decode(message.payload))
            back = str(Topic(topic.municipality, topic.device, Channel.RESULT))
            await client.publish(back, msgspec.json.encode(answer), qos=1)
        else:
            reported = self._keep(topic.device, _DESIRED.decode(message.payload).version)
            back = str(Topic(topic.municipality, topic.device, Channel.REPORTED))
            await client.publish(back, msgspec.json.encode(reported), qos=1, retain=True)

    def _obey(self, device: str, command: Command) -> Result:
        self.deliveries += 1
        mine = self._answers[device]
        answer = mine.get(command.id)
        if answer is None:
            answer = mine[command.id] = self._do(device, command)
            if len(mine) > REMEMBERED:
                mine.popitem(last=False)
        return answer

    def _do(self, device: str, command: Command) -> Result:
        if command.until is None or command.until <= time.time() * 1000:
            return Result(command.id, ok=False, error="expired")
        self.applied[command.id] += 1
        self.last[device, command.reason or ""] = command.id
        return Result(command.id, ok=True)

    def _keep(self, device: str, version: int) -> Reported:
        kept = self.kept.get(device, 0)
        self.older += version < kept
        self.kept[device] = max(kept, version)
        if version < kept:
            return Reported(kept, ok=False, error="older", wanted=version)
        return Reported(version, ok=True)

    async def retained(self) -> dict[str, int]:
        """The versions that the broker keeps for whoever connects now."""
        found: dict[str, int] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETAINED_S_MAX), self._client(f"{CLIENT_ID}-new") as client:
                await client.subscribe(self._filters(Channel.DESIRED))
                async for message in client.messages:
                    if message.retain:
                        found[parse(message.topic.value).device] = _DESIRED.decode(message.payload).version
                    if len(found) == len(self._lamps):
                        break
        return found
