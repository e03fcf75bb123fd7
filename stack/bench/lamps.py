"""All lamps of a measurement on one connection: each obeys a command once by its id, keeps a version, and answers."""

import asyncio
import json
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ingest.session import Credentials, Link, Outgoing, connect
from stack.bench.bare import progress_map

REMEMBERED = 64
"""Ids that a lamp remembers, as docs/wire.md has it."""
FILTERS = ("kraj/+/+/command", "kraj/+/+/desired")
ANSWERS_MAX = 1000
CLIENT_ID = "lamps"


class _Command(msgspec.Struct):
    id: str


class _Desired(msgspec.Struct):
    version: int


class Lamps:
    """What arrived and what was done; ``progress`` counts those that obeyed and that keep a version, 32 bits each."""

    def __init__(self, progress: Any) -> None:
        self._progress = np.frombuffer(progress, np.int32)
        self._remembered: dict[str, OrderedDict[str, None]] = {}
        self._waiting: list[Outgoing] = []
        self._came = asyncio.Event()
        self.applied: dict[str, int] = {}
        self.deliveries = 0
        self.kept: dict[str, int] = {}
        self.desired_deliveries = 0

    def inbox(self, link: Link, messages: list[tuple[str, bytes, int]]) -> None:
        """Obey, note the answers, and let the broker go on."""
        for topic, payload, _ in messages:
            head, channel = topic.rsplit("/", 1)
            if channel == "command":
                self._obey(head, msgspec.json.decode(payload, type=_Command).id)
            else:
                self._keep(head, msgspec.json.decode(payload, type=_Desired).version)
        self._progress[:2] = len(self.applied), len(self.kept)
        self._came.set()
        link.acknowledge(np.fromiter((m[2] for m in messages if m[2]), np.uint16))

    def _obey(self, lamp: str, id_: str) -> None:
        self.deliveries += 1
        mine = self._remembered.setdefault(lamp, OrderedDict())
        if id_ not in mine:
            mine[id_] = None
            self.applied[id_] = self.applied.get(id_, 0) + 1
            if len(mine) > REMEMBERED:
                mine.popitem(last=False)
        self._waiting.append((f"{lamp}/result", b'{"id":"%s","ok":true}' % id_.encode(), None))

    def _keep(self, lamp: str, version: int) -> None:
        self.desired_deliveries += 1
        self.kept[lamp] = max(version, self.kept.get(lamp, 0))
        self._waiting.append((f"{lamp}/reported", b'{"version":%d,"ok":true}' % version, None))

    async def answer(self, link: Link) -> None:
        """Send the answers, in order."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                now, self._waiting = self._waiting[:ANSWERS_MAX], self._waiting[ANSWERS_MAX:]
                await link.deliver_each(now)


async def main(host: str, port: int, window: int, progress_file: str, report_file: str) -> None:
    """Until SIGTERM; then what arrived goes into the report."""
    lamps, stop = Lamps(progress_map(progress_file)), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    link = await connect(Credentials(host, port, CLIENT_ID), window, FILTERS, lamps.inbox)
    answering = asyncio.create_task(lamps.answer(link))
    print("ready", flush=True)  # noqa: T201  # the signal to whoever measures
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([link.closed, waiting, answering], return_when=asyncio.FIRST_COMPLETED)
    report = {
        "commands": lamps.applied,
        "deliveries": lamps.deliveries,
        "desired": lamps.kept,
        "desired_deliveries": lamps.desired_deliveries,
    }
    await asyncio.to_thread(Path(report_file).write_text, json.dumps(report))
    answering.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]))
