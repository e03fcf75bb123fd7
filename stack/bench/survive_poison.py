"""One message in a hundred is poison, some of which only the database refuses: good neighbours are not held up."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import mqtt5
import psycopg

from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from simulators.fleet import wall_clock_ms
from stack.bench.processes import stop
from stack.bench.survive_crew import Crew
from stack.bench.survive_oracle import judge, percentile, waits_ms
from stack.bench.survive_site import TOWN, Site

LAMPS = 100
INTERVAL_S = 0.2
CALM_S = 15.0
SECONDS = 45.0
SETTLE_S = 10.0
EVERY = 100
"""A poison message for so many good ones."""
LATE_S = 1.0
POISON_W = 66.5
"""A power that this database refuses by a constraint of ours, as a damaged page or a fault of a migration might."""
MUST_BE_NONE = ("poison_delayed", "poison_lost", "poison_acknowledged_falsely", "poison_duplicates")


async def run(
    site: Site, say: Callable[[str], None], *, lamps: int = LAMPS, seconds: float = SECONDS, late_s: float = LATE_S
) -> dict[str, Any]:
    """Lamps report, then go on for ``seconds`` beside a sender of poison; who waits above ``late_s`` is counted."""
    names = await asyncio.to_thread(site.lamps, "good", lamps)
    (bad,) = await asyncio.to_thread(site.lamps, "poison", 1)
    await asyncio.to_thread(_refuse, site)
    ingest = await asyncio.to_thread(site.start_ingest)
    sent = 0
    try:
        await asyncio.to_thread(site.ready)
        async with (
            Crew(names, [site.broker.port], interval_s=INTERVAL_S) as crew,
            site.line() as (reader, writer),
        ):
            writer.write(mqtt5.ConnectPacket("poison", clean_start=True, keep_alive=0).write())
            await reader.read(100)
            await crew.report(seconds * CALM_S / SECONDS)
            calm = len(crew.made)
            reporting = asyncio.create_task(crew.report(seconds))
            kinds = poison(Random(1))  # noqa: S311 - reproducible
            while not reporting.done():
                while sent < (len(crew.made) - calm) // EVERY:
                    sent += 1
                    topic = f"kraj/{TOWN}/{bad}/telemetry"
                    packet_id = sent % 65_535 + 1
                    packet = mqtt5.PublishPacket(topic, next(kinds), qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id)
                    writer.write(packet.write())
                await asyncio.sleep(0.02)
            await reporting
            await crew.settle(SETTLE_S)
            end = asyncio.get_running_loop().time()
        refused = await asyncio.to_thread(site.figure, 'quarantined_total{reason="database"}')
        ended = ingest.poll() is not None
    finally:
        await asyncio.to_thread(stop, ingest)
    stored = await asyncio.to_thread(site.stored, names)
    if not refused > 0:
        raise UnavailableError("the database refused nothing: the measurement is worth nothing")
    every = waits_ms(crew.made, crew.acknowledged, until=end)
    before, waits = every[:calm], every[calm:]
    say(f"  {sent} poison messages among {len(waits)} readings, {refused:.0f} of them refused by the database")
    return judge(crew.made, crew.acknowledged, stored).figures("poison") | {
        "poison_messages": sent,
        "poison_refused_by_database": int(refused),
        "poison_delayed": sum(wait > 1000 * late_s for wait in waits),
        "poison_wait_ms_p99_before": round(percentile(before, 99), 1),
        "poison_wait_ms_p99": round(percentile(waits, 99), 1),
        "poison_wait_ms_max": round(max(waits), 1),
        "poison_ingest_ended": int(ended),
    }


def poison(random: Random) -> Iterator[bytes]:
    """All sorts without an end; every second one is for the database to refuse."""
    for number in itertools.count(1):
        core = b'"ts":%d,"boot":1,"seq":%d' % (wall_clock_ms(), number)
        if number % 2:
            yield b'{%s,"power_w":%.1f}' % (core, POISON_W)
        else:
            yield random.choice(
                (
                    random.randbytes(200),
                    b"[" * 60_000,
                    b'{"a":' * 10_000,
                    b"[" + b",".join([b"{}"] * 65) + b"]",
                    b'{%s,"power_w":"\xc3\x28"}' % core,
                    b'{%s,"power_w":1e999}' % core,
                    b'{%s,"power_w":41,"power_w":42}' % core,
                    b'{"seq":5}',
                    b'"' + b"x" * 65_000,
                )
            )


def _refuse(site: Site) -> None:
    with psycopg.connect(site.database.url(), autocommit=True) as owner:
        table, name = LAMP.reading_table, "poison_of_a_measurement"
        owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (power_w <> {POISON_W}) NOT VALID".encode())
