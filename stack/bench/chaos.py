"""``kraj bench chaos``: SIGKILL broker, ingest and database at random under load, and count what was lost.

The devices are the simulated fleet over real MQTT, each with its ring. The oracle is on their side: whatever an
``ack`` named must be in the database, once. Faults befall cabinets and stops meanwhile; their alerts are held against
those that the committed readings give when they are judged once more. People order light (``orders``), which lamps of a
client of its own follow (``obeying``): each command must be done once, and each lamp keep the newest version.
"""

import asyncio
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from kraj.errors import UnavailableError
from kraj.kinds import KINDS
from kraj.store.migrate import migrate
from kraj.store.registry import register
from simulators.device import Link
from simulators.faults import one
from simulators.fleet import Fleet
from simulators.physics.frame import Fault
from simulators.region import Region, region
from simulators.ring import Resend
from stack.bench import orders
from stack.bench.obeying import Lamps
from stack.bench.processes import ingest_process, metric, open_files_for, stop, wait_until
from stack.bench.recount import recount
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.demo import new_device
from stack.process import free_port

DEVICES = 100
INTERVAL_S = 0.2
RESEND_SHARE = 0.2
"""This share of the devices is made to send readings again every second."""
RESEND_READINGS = 5
RESTART_AFTER_S = 0.1
WARM_UP_S = 3.0
SETTLE_S_MAX = 60.0
SETTLE_LOOK_S = 0.1
WATCH_S = 0.02
FOUND_AFTER_S = 35.0
"""Most of these rules wait for 30 s."""
MUST_BE_NONE = (
    *(
        "acknowledged_lost",
        "duplicates",
        "lost",
        "alerts_lost",
        "alerts_doubled",
        "commands_lost",
        "commands_applied_twice",
    ),
    *("levels_wrong", "desired_lost", "desired_not_retained"),
)
TARGETS = ("broker", "ingest", "database")


@dataclass(slots=True)
class Kill:
    """One kill, and when the first reading made after it was committed."""

    target: str
    at: float
    first_commit_s: float | None = None
    alone_s: float = 0.0
    """The same, from the last kill before that commit."""


@dataclass(slots=True)
class Servers:
    """What is killed and started again."""

    folder: Path
    database: EmbeddedPostgres
    broker: Broker
    metrics_port: int
    ingest: "subprocess.Popen[bytes] | None" = None
    kills: list[Kill] = field(default_factory=list[Kill])

    def start_ingest(self) -> None:
        url = self.database.url("kraj_ingest")
        log = self.folder / "ingest.log"
        self.ingest = ingest_process(url, self.broker, metrics_port=self.metrics_port, log=log)

    def kill(self, target: str) -> None:
        """SIGKILL one of them and start it again, as the supervisor would."""
        self.kills.append(Kill(target, time.time()))
        if target == "ingest" and self.ingest is not None:
            self.ingest.kill()
            self.ingest.wait()
        elif target == "broker":
            self.broker.kill()
        else:
            self.database.kill()
        time.sleep(RESTART_AFTER_S)
        if target == "ingest":
            self.start_ingest()
        elif target == "broker":
            self.broker.start()
        else:
            self.database.start()


class Watch(threading.Thread):
    """Looks when the first reading that was made after each kill can be queried."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(daemon=True)
        self._servers = servers
        self._done = threading.Event()

    def end(self) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        tables = [kind.reading_table for kind in KINDS.values()]
        newest = " UNION ALL ".join(f"SELECT max(ts) FROM {table} WHERE ts >= %(at)s" for table in tables)  # noqa: S608
        while not self._done.wait(WATCH_S):
            waiting = [kill for kill in self._servers.kills if kill.first_commit_s is None]
            if not waiting:
                continue
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._servers.database.url(), autocommit=True, connect_timeout=2)
                at = datetime.fromtimestamp(waiting[0].at, UTC)
                rows = connection.execute(newest.encode(), {"at": at}).fetchall()
            except psycopg.OperationalError:
                continue
            seen = max((row[0].timestamp() for row in rows if row[0] is not None), default=0.0)
            now = time.time()
            for kill in waiting:
                if seen >= kill.at:
                    kill.first_commit_s = now - kill.at
                    # Kills that overlap are one disturbance, which began to mend after the last of them.
                    kill.alone_s = now - max(k.at for k in self._servers.kills if k.at <= seen)


async def _disturb(fleet: Fleet, rng: random.Random, end: asyncio.Event) -> None:
    """Make devices send again what is stored already."""
    while not end.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), 1.0)
        for device in fleet.devices.values():
            if rng.random() < RESEND_SHARE:
                newest = device.ring.counters.produced
                device.ring.resend(from_seq=max(1, newest - RESEND_READINGS), to_seq=newest)


async def _measure(
    servers: Servers, seconds: float, kills: int, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    rng = random.Random(seed)  # noqa: S311  # a reproducible order of kills
    invented = region(seed, DEVICES)
    migrate(servers.database.url())
    towns = {town.name: town.title for town in invented.municipalities} | orders.towns()
    listening = orders.devices()
    with psycopg.connect(servers.database.url(), autocommit=True) as connection:
        register(connection, towns, [*map(new_device, invented.devices), *listening], datetime.now(UTC))
    servers.start_ingest()
    await asyncio.to_thread(wait_until, lambda: metric(servers.metrics_port, "kraj_ingest_broker_up") == 1, "ingest")
    link = Link(host="127.0.0.1", port=servers.broker.port, backoff_longest_s=2.0, connect_spread_s=1.0)
    resend = Resend(first_ms=2000, longest_ms=10_000)
    fleet = Fleet(
        invented,
        link,
        interval_s=INTERVAL_S,
        resend=resend,
        keep_acknowledged=True,
        ring_capacity=20_000,
        faults=_faults(invented, seed, seconds),
    )
    halt, calm = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(fleet.run(halt))
    disturbing = asyncio.create_task(_disturb(fleet, rng, calm))
    lamps = Lamps([(device.municipality, device.name) for device in listening], servers.broker.port)
    obeying = asyncio.create_task(lamps.run())
    asking = asyncio.create_task(orders.ask(servers.database.url(), random.Random(seed), calm))  # noqa: S311
    watch = Watch(servers)
    watch.start()
    await asyncio.sleep(WARM_UP_S)
    order = [TARGETS[i % len(TARGETS)] for i in range(kills)]
    rng.shuffle(order)
    started = time.monotonic()
    moments = sorted(rng.uniform(0, seconds) for _ in order)
    for moment, target in zip(moments, order, strict=True):
        await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
        say(f"  {time.monotonic() - started:5.1f} s  kill -9 {target}; {fleet.counts()}")
        await asyncio.to_thread(servers.kill, target)
    await asyncio.sleep(max(WARM_UP_S, started + seconds - time.monotonic()))
    calm.set()
    await disturbing
    asked = await asking
    say("no more kills: the devices deliver what they still hold, and lamps hear what they have not heard")
    fleet.hush()
    for _ in range(int(SETTLE_S_MAX / SETTLE_LOOK_S)):
        if not fleet.counts().pending:
            break
        await asyncio.sleep(SETTLE_LOOK_S)
    settling_s = await orders.settle(servers.database.url())
    retained = await lamps.retained()
    halt.set()
    await running
    obeying.cancel()
    watch.end()
    with psycopg.connect(servers.database.url()) as connection:
        told = orders.verdict(connection, asked, lamps, retained)
    found = await asyncio.to_thread(_verdict, servers, fleet, say)
    return found | told | {"orders_settling_s": round(settling_s, 1)}


def _faults(invented: Region, seed: int, seconds: float) -> list[Fault]:
    """One on each cabinet and stop, beginning early enough to be found while servers die."""
    rng = random.Random(seed)  # noqa: S311  # a reproducible story
    now_ms = time.time_ns() // 1_000_000
    causes = {"cabinet": ("door_open", "leakage"), "stop": ("stop_door_open", "water")}
    return [
        one(
            rng.choice(causes[asset.kind]),
            invented,
            seed,
            now_ms + int(1000 * rng.uniform(0, max(1.0, seconds - FOUND_AFTER_S))),
            target=asset.key,
            hours=1,
        )
        for asset in invented.assets
        if asset.kind in causes
    ]


def _verdict(servers: Servers, fleet: Fleet, say: Callable[[str], None]) -> dict[str, Any]:
    counts = fleet.counts()
    stored: dict[tuple[str, int, int], int] = {}
    with psycopg.connect(servers.database.url()) as connection:
        for kind in KINDS.values():
            rows = connection.execute(
                (
                    f"SELECT d.name, r.boot, r.seq, count(*) FROM {kind.reading_table} r"  # noqa: S608
                    " JOIN installed i USING (asset_id) JOIN device d USING (device_id) GROUP BY 1, 2, 3"
                ).encode()
            )
            stored |= {(name, boot, seq): n for name, boot, seq, n in rows}
        totals = connection.execute("SELECT sum(committed), sum(duplicate), sum(quarantined) FROM slot").fetchone()
    if servers.ingest is not None:
        stop(servers.ingest)  # what it has taken in is judged and committed
    alerts = recount(servers.database.url())
    for what, names in (("lost", alerts.lost), ("told more than once", alerts.doubled)):
        for name in names:
            say(f"alert {what}: {name}")
    committed, duplicate, quarantined = totals or (0, 0, 0)
    result = {
        "kills": len(servers.kills),
        "readings": counts.produced,
        "resent": counts.resent,
        "acknowledged": len(fleet.acknowledged),
        "acknowledged_lost": len(fleet.acknowledged - stored.keys()),
        "duplicates": sum(n - 1 for n in stored.values()),
        "undelivered": counts.pending,
        "lost": counts.produced - counts.pending - counts.thinned - len(stored),
        "committed": int(committed),
        "duplicates_refused": int(duplicate),
        "quarantined": int(quarantined),
        "alerts": alerts.alerts,
        "alerts_lost": len(alerts.lost),
        "alerts_doubled": len(alerts.doubled),
        "first_commit_s_max": round(max((k.alone_s for k in servers.kills), default=0.0), 2),
        "outage_s_max": round(max((k.first_commit_s or 0.0 for k in servers.kills), default=0.0), 2),
        "never_recovered": sum(k.first_commit_s is None for k in servers.kills),
    }
    for target in TARGETS:
        spans = [k.alone_s for k in servers.kills if k.target == target]
        result[f"first_commit_s_max_{target}"] = round(max(spans, default=0.0), 2)
    return result


def run(seconds: float, kills: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Kill for ``seconds``; then let the devices deliver and compare."""
    open_files_for(DEVICES)
    folder = Path(tempfile.mkdtemp(prefix="kraj-chaos-"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            database = stack.enter_context(EmbeddedPostgres(folder / "database"))
            broker = stack.enter_context(Broker(folder / "broker", open=True))
            servers = Servers(folder, database, broker, free_port())
            stack.callback(lambda: stop(servers.ingest) if servers.ingest else None)
            result = asyncio.run(_measure(servers, seconds, kills, seed, say))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not result["acknowledged"]:
        raise UnavailableError("no reading was acknowledged at all: the measurement is worth nothing")
    return result
