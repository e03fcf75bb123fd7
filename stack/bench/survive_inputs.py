"""Bad inputs by the million: to the decoder alone, through a real broker to a real ingest, and to the broker raw."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from random import Random
from typing import Any

import mqtt5
import psutil

from kraj.errors import UnavailableError
from stack.bench.observe import pid_of
from stack.bench.processes import await_ready, go, python, stop
from stack.bench.survive_crew import Crew
from stack.bench.survive_mutants import packets, payloads, topics
from stack.bench.survive_site import TOWN, Site

INPUTS = 1_000_000
DECODER_S_MAX = 55.0
BROKER_S = 40.0
WARM_SHARE = 0.25
MEMORY_MB_MAX = 20.0
LAMPS = 20
AT_ONCE = 200
IN_FLIGHT_MAX = 2000
CONNECTIONS = 8
"""Of those who speak no MQTT, at a time."""
ANSWER_S_MAX = 5.0
SETTLE_S = 30.0
MUST_BE_NONE = ("bad_inputs_crashes", "bad_inputs_broker_crashes", "bad_inputs_unanswered", "bad_inputs_memory_over_mb")


async def run(
    site: Site, say: Callable[[str], None], *, inputs: int = INPUTS, seconds: float = BROKER_S
) -> dict[str, Any]:
    """``bad_inputs`` went to the decoder, ``bad_inputs_broker`` through the broker (messages, and bytes to itself)."""
    decoder = await asyncio.to_thread(_decoder, inputs)
    say(f"  decoder: {decoder['inputs']:,} inputs, {decoder['crashes']} crashes, memory {decoder['memory_mb']:+.1f} MB")
    broker = await _Flood(site, seconds, inputs).run()
    say(f"  broker and ingest: {broker}")
    over = max(decoder["memory_mb"], broker["ingest_mb"], broker["broker_mb"])
    return {
        "bad_inputs": int(decoder["inputs"]),
        "bad_inputs_crashes": int(decoder["crashes"]) + broker["ingest_crashes"],
        "bad_inputs_memory_mb": round(decoder["memory_mb"], 1),
        "bad_inputs_broker": broker["messages"] + broker["connections"],
        "bad_inputs_broker_messages": broker["messages"],
        "bad_inputs_broker_connections": broker["connections"],
        "bad_inputs_broker_crashes": broker["broker_crashes"],
        "bad_inputs_broker_memory_mb": round(broker["broker_mb"], 1),
        "bad_inputs_ingest_memory_mb": round(broker["ingest_mb"], 1),
        "bad_inputs_unanswered": broker["unanswered"],
        "bad_inputs_memory_over_mb": round(max(0.0, over - MEMORY_MB_MAX), 1),
    }


def _decoder(inputs: int) -> dict[str, float]:
    """In as many processes as there are cores, each with other inputs; the one that grew most counts."""
    workers = max(1, min(os.cpu_count() or 1, inputs // 10_000))
    arguments = [(str(inputs // workers), str(seed), str(DECODER_S_MAX)) for seed in range(workers)]
    started = [python("stack.bench.survive_mutants", *one) for one in arguments]
    results: list[dict[str, float]] = []
    crashed = 0
    try:
        for process in started:
            await_ready(process)
            go(process)
        for process in started:
            answer = process.stdout.read() if process.stdout else b""
            if process.wait() == 0:
                results.append(json.loads(answer))
            else:
                crashed += 1
    finally:
        for process in started:
            stop(process)
    return {
        "inputs": sum(one["inputs"] for one in results),
        "crashes": crashed + sum(one["crashes"] for one in results),
        "memory_mb": max((one["memory_mb"] for one in results), default=0.0),
    }


def answered(data: bytes) -> tuple[int, bytes]:
    """How many whole packets there are in the broker's answers, all of them short, and what is left over."""
    count = at = 0
    while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
        at += 2 + data[at + 1]
        count += 1
    return count, data[at:]


class _Flood:
    """Messages through the broker to ingest, and connections that begin with anything; for ``seconds`` or ``most``."""

    def __init__(self, site: Site, seconds: float, most: int) -> None:
        self._site = site
        self._seconds = seconds
        self._most = most
        self._messages = self._connections = 0

    async def run(self) -> dict[str, Any]:
        site = self._site
        names = await asyncio.to_thread(site.lamps, "bad", LAMPS)
        good = await asyncio.to_thread(site.lamps, "neighbour", 1)
        broker_pid = pid_of(site.broker.process)
        ingest = await asyncio.to_thread(site.start_ingest)
        try:
            await asyncio.to_thread(site.ready)
            processes = {"ingest": psutil.Process(ingest.pid), "broker": psutil.Process(broker_pid)}
            async with Crew(good, [site.broker.port], interval_s=1.0) as crew:
                began = asyncio.get_running_loop().time()
                end = began + self._seconds
                speaking = [asyncio.create_task(self._speak(names, end))]
                speaking += [asyncio.create_task(self._babble(seed, end)) for seed in range(CONNECTIONS)]
                await asyncio.sleep(WARM_SHARE * self._seconds)
                before = {name: process.memory_info().rss for name, process in processes.items()}
                await asyncio.gather(*speaking)
                for _ in range(10):
                    crew.record()
                await crew.settle(SETTLE_S)
                unanswered = crew.pending
                grown = {
                    name: (process.memory_info().rss - before[name]) / 2**20 for name, process in processes.items()
                }
            ended = ingest.poll() is not None
        except psutil.NoSuchProcess as error:
            raise UnavailableError(f"ingest or broker ended: {error}; see {site.log}") from error
        finally:
            await asyncio.to_thread(stop, ingest)
        return {
            "messages": self._messages,
            "connections": self._connections,
            "ingest_crashes": int(ended),
            "broker_crashes": int(site.broker.process is None or site.broker.process.poll() is not None),
            "unanswered": unanswered,
            "ingest_mb": grown["ingest"],
            "broker_mb": grown["broker"],
        }

    async def _speak(self, names: list[str], end: float) -> None:
        """Well-formed PUBLISH packets whose payload is bad, held back by PUBACKs and by what ingest has digested."""
        random = Random(1)  # noqa: S311 - reproducible
        places, bodies = topics(random, TOWN, names), payloads(random)
        loop = asyncio.get_running_loop()
        acked, rest = 0, b""
        async with self._site.line() as (reader, writer):
            writer.write(mqtt5.ConnectPacket("flood", clean_start=True, keep_alive=0).write())
            await reader.read(100)
            while loop.time() < end and self._messages < self._most // 2:
                for _ in range(AT_ONCE):
                    self._messages += 1
                    number = self._messages % 65_535 + 1
                    packet = mqtt5.PublishPacket(
                        next(places), next(bodies), qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number
                    )
                    writer.write(packet.write())
                await writer.drain()
                while self._messages - acked > IN_FLIGHT_MAX:
                    data = await asyncio.wait_for(reader.read(1 << 16), SETTLE_S)
                    if not data:
                        raise UnavailableError("the broker cut the connection of well-formed packets")
                    answers, rest = answered(rest + data)
                    acked += answers
                await asyncio.to_thread(self._await_digested)

    def _await_digested(self) -> None:
        """What ingest has not taken yet must not fill the broker's queue, which is no question of ours here."""
        waited = 0
        while self._site.figure("messages_digested") < self._messages - 10 * IN_FLIGHT_MAX and waited < 100:
            waited += 1

    async def _babble(self, seed: int, end: float) -> None:
        """Connections that begin with no MQTT; the broker's part is to close them, ours not to wait for it."""
        found = packets(Random(seed))  # noqa: S311 - reproducible
        loop = asyncio.get_running_loop()
        while loop.time() < end and self._connections < self._most // 2:
            with contextlib.suppress(OSError, TimeoutError):
                async with self._site.line() as (reader, writer):
                    writer.write(next(found))
                    writer.write_eof()
                    await asyncio.wait_for(reader.read(), ANSWER_S_MAX)
            self._connections += 1
