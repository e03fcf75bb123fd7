"""``kraj bench rollups``: how long the job takes for one new hour of many devices, in which all of them tell most."""

import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from kraj.kinds import KINDS
from kraj.readings import DAY_MS
from kraj.rollups import STEPS
from kraj.store.migrate import migrate
from stack import rollup
from stack.bench import queries_town as towns
from stack.bench.filling import SEED, Filling, Say
from stack.bench.queries_town import Sending
from stack.database import EmbeddedPostgres

HOUR_MS: Final = 3_600_000
FIRST: Final = 19
"""Of the hours of UTC that are measured: dark in all seasons but high summer."""
HOURS: Final = 3


def run(devices: int, say: Say) -> dict[str, Any]:
    """Measure on an empty database, and give what ``kraj bench rollups --json`` prints."""
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o711)
    try:
        with EmbeddedPostgres(folder / "database") as server:
            migrate(server.url())
            with psycopg.connect(server.url(), autocommit=True) as owner:
                return hour(owner, server, Filling(owner), devices, datetime.now(UTC), say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hour(  # noqa: PLR0917 - what it is measured on
    owner: psycopg.Connection[Any], server: EmbeddedPostgres, filled: Filling, devices: int, at: datetime, say: Say
) -> dict[str, Any]:
    """Seconds that the job takes for one new hour of that many more devices (``hour_s``, the middle of three hours of
    yesterday's evening) and those of processor time, its own and the server's (``cpu_s``); how many ``readings`` came,
    and how many ``rows`` of rollups tell of the hour."""
    midnight_ms = int(at.timestamp() * 1000) // DAY_MS * DAY_MS - DAY_MS
    begins_ms = midnight_ms + FIRST * HOUR_MS
    assets = towns.build(owner, towns.hundreds(devices), at - timedelta(days=3), "nova-")
    evening = [
        Sending(KINDS[kind], numbers, 1, SEED).day(midnight_ms, begins_ms + HOURS * HOUR_MS)
        for kind, numbers in assets.items()
    ]
    url = server.url("kraj_rollup")

    def come(from_ms: int) -> int:
        before = filled.written
        filled.write([part.take((part.ts_ms >= from_ms) & (part.ts_ms < from_ms + HOUR_MS)) for part in evening])
        return filled.written - before

    come(begins_ms - HOUR_MS)
    rollup.catch_up(url, _moment(begins_ms))
    # As if the job had come by an hour ago: what holds on is worked out as well.
    owner.execute("UPDATE rollup_done SET at = %s", [_moment(begins_ms)])
    spent: list[tuple[float, float, int, int]] = []
    for from_ms in range(begins_ms, begins_ms + HOURS * HOUR_MS, HOUR_MS):
        readings = come(from_ms)
        began, cpu_s = time.perf_counter(), _cpu_s(server)
        rollup.catch_up(url, _moment(from_ms + HOUR_MS))
        spent.append((time.perf_counter() - began, _cpu_s(server) - cpu_s, readings, _rows(owner, from_ms)))
        say(f"one new hour of {devices:,} devices, {readings:,} readings: rolled up in {spent[-1][0]:.2f} s")
    hour_s, cpu_s, readings, rows = (statistics.median(one) for one in zip(*spent, strict=True))
    return {
        "devices": devices,
        "hour_s": round(hour_s, 2),
        "cpu_s": round(cpu_s, 2),
        "readings": readings,
        "rows": rows,
    }


def _cpu_s(server: EmbeddedPostgres) -> float:
    """Processor time of this process and of the server's ones, those that have ended too."""
    if server.process is None:
        return time.process_time()
    postmaster = psutil.Process(server.process.pid)
    ended = postmaster.cpu_times()
    spent = time.process_time() + ended.user + ended.system + ended.children_user + ended.children_system
    for child in postmaster.children():
        try:
            running = child.cpu_times()
        except psutil.NoSuchProcess:  # counted among those that have ended from now on
            continue
        spent += running.user + running.system
    return spent


def _rows(owner: psycopg.Connection[Any], from_ms: int) -> int:
    counted = " + ".join(
        f"(SELECT count(*) FROM {kind.rollup_table(step, group=group)}"  # noqa: S608 - kinds
        f" WHERE bucket > %(begins)s - interval '{step}' AND bucket < %(ends)s)"
        for kind in KINDS.values()
        for step in STEPS
        for group in (False, True)
    )
    given = {"begins": _moment(from_ms), "ends": _moment(from_ms + HOUR_MS)}
    row = owner.execute(f"SELECT {counted}".encode(), given).fetchone()
    return row[0] if row else 0


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
