"""A backlog drains: readings of an hour ago in lists of ten, after newer ones were stored, with an ``ack`` for all.

Devices send what is live first, so everything of a backlog is older than what its lamp has told already and must be
looked up before it is stored: the slow way in.
"""

import asyncio
import json
import mmap
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import psycopg

from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from stack.bench.generator import Plan
from stack.bench.ingest import WINDOW, payloads
from stack.bench.processes import await_ready, go, open_files_for, python, stop
from stack.bench.survive_site import TOWN, Site

READINGS = 1_000_000
LAMPS = 10_000
CONNECTIONS = 1000
PER_MESSAGE = 10
AGE_MS = 3_600_000
SECONDS_MAX = 70.0
LOOK_S = 0.05
MUST_BE_NONE = ("drain_lost", "drain_duplicates", "drain_unacknowledged")


async def run(
    site: Site,
    say: Callable[[str], None],
    *,
    readings: int = READINGS,
    lamps: int = LAMPS,
    connections: int = CONNECTIONS,
) -> dict[str, Any]:
    """Send and count; ``drain_readings_per_s`` is from the first one sent to the last one acknowledged to its lamp."""
    open_files_for(connections)
    return await asyncio.to_thread(_run, site, say, readings, lamps, connections)


def _run(site: Site, say: Callable[[str], None], readings: int, lamps: int, connections: int) -> dict[str, Any]:
    names = site.lamps("drain", lamps)
    topics = [f"kraj/{TOWN}/{name}/telemetry" for name in names]
    bodies, _ = payloads(np.random.default_rng(1))
    progress = site.folder / "progress"
    progress.write_bytes(bytes(8))
    plan = Plan(
        site.broker.port, connections, topics, bodies[:lamps], str(progress), SECONDS_MAX, acks=True, messages=lamps
    )
    with site.ingest(KRAJ_INGEST_WINDOW=str(WINDOW)):
        live = _send(site, plan)
        say(f"  {live['acked']:,} lamps have told something newer")
        plan.messages, plan.readings_per_message = readings // PER_MESSAGE, PER_MESSAGE
        plan.age_ms, plan.seq_start = AGE_MS, plan.seq_start + 10
        found = _send(site, plan)
    sent = int(found["messages"]) * PER_MESSAGE
    seconds = found["seconds"] + found["settle_s"]
    with psycopg.connect(site.database.url()) as owner:
        statement = (
            "SELECT count(*), count(DISTINCT (asset_id, seq)), count(*) FILTER (WHERE seq >= %(from)s)"  # noqa: S608
            f" FROM {LAMP.reading_table} JOIN installed i USING (asset_id) JOIN device d USING (device_id)"
            " WHERE d.name = ANY (%(names)s)"
        )
        stored, distinct, old = owner.execute(
            statement.encode(), {"from": plan.seq_start, "names": names}
        ).fetchone() or (0, 0, 0)
    if not sent:
        raise UnavailableError("nothing was sent: the measurement is worth nothing")
    say(f"  {sent:,} readings in {seconds:.1f} s")
    return {
        "drain_readings": sent,
        "drain_readings_per_s": round(sent / seconds),
        "drain_s": round(seconds, 1),
        "drain_lost": sent - old,
        "drain_duplicates": stored - distinct,
        "drain_unacknowledged": sent - int(found["acked"]),
    }


def _send(site: Site, plan: Plan) -> dict[str, float]:
    """Run the generator; what ingest has acknowledged to the broker holds it back, as in ``kraj bench ingest``."""
    file = site.folder / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    with open(plan.progress, "r+b") as opened:
        progress = mmap.mmap(opened.fileno(), 8)
    before = site.figure("messages_digested")
    progress[:8] = bytes(8)
    generator = python("stack.bench.generator", str(file))
    try:
        await_ready(generator)
        go(generator)
        while True:
            try:
                generator.wait(LOOK_S)
                break
            except subprocess.TimeoutExpired:
                pass
            progress[:8] = struct.pack("q", int(site.figure("messages_digested") - before))
        answer = generator.stdout.read() if generator.stdout else b""
        if not answer:
            raise UnavailableError("the load generator died")
        return json.loads(answer)
    finally:
        stop(generator)
