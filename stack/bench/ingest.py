"""``kraj bench ingest``: how many readings a second this machine takes from the broker into committed rows.

Broker, database, ingest and the load run together on this machine. Every phase is followed by a check of every row.
The ceiling of the same run is a bare subscriber of the same library that only acknowledges.
"""

import json
import mmap
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg

from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from kraj.metrics import Type
from kraj.store.migrate import migrate
from kraj.store.registry import NewAsset, NewDevice, register
from stack.bench.generator import Plan
from stack.bench.observe import Sampler, Totals, Watch, growth, pid_of
from stack.bench.processes import await_ready, go, ingest_process, metric, open_files_for, python, stop, wait_until
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.process import free_port

DEVICES = 10_000
CONNECTIONS = 1000
MUNICIPALITIES = 20
WINDOW = 10_000
PACED_PER_S = 10_000
READINGS_PER_LIST = 10
SETTLE_S_MAX = 60.0
TICK_S = 0.02
DIGEST_TICKS = 4


@dataclass(slots=True)
class Phase:
    """What one phase measured."""

    name: str
    readings: int = 0
    readings_per_s: float = 0.0
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0
    cpu_us: dict[str, float] = field(default_factory=dict[str, float])
    rss_mb: list[float] = field(default_factory=list[float])
    latency_ms: list[float] = field(default_factory=list[float])


class Bench:
    """The processes of a run, and the phases on them."""

    def __init__(self, folder: Path, seconds: float, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._seconds = seconds
        self._say = say
        self._progress = folder / "progress"
        self._progress.write_bytes(bytes(8))
        self._rng = np.random.default_rng(1)
        self._database = EmbeddedPostgres(folder / "database")
        self._seq = 1_000_000_000
        self._metrics_port = free_port()
        self._topics = [f"kraj/town-{i % MUNICIPALITIES:02}/lamp-{i:06}/telemetry" for i in range(DEVICES)]
        self._payloads, self._expected = payloads(self._rng)

    def run(self) -> dict[str, Any]:
        """All phases; the figures under the names that the documentation gives them."""
        with ExitStack() as stack:
            self._say("starting the database and registering 10,000 devices")
            stack.enter_context(self._database)
            url = self._database.url()
            migrate(url)
            self._register(url)
            ceiling = self._ceiling()
            bare = self._phase("one reading a message, no rules", acks=False, rules=False)
            single = self._phase("one reading a message", acks=False)
            acked = self._phase("with ack to every device", acks=True)
            lists = self._phase("lists of ten", acks=False, readings_per_message=READINGS_PER_LIST)
            paced = self._phase("paced", acks=False, paced=PACED_PER_S)
        phases = (bare, single, acked, lists, paced)
        latency = np.array(paced.latency_ms)
        return {
            "readings_per_s": round(single.readings_per_s),
            "readings_per_s_without_rules": round(bare.readings_per_s),
            "rules_ratio": round(single.readings_per_s / bare.readings_per_s, 3),
            "readings_per_s_acked": round(acked.readings_per_s),
            "readings_per_s_lists": round(lists.readings_per_s),
            "ceiling_per_s": round(ceiling),
            "ratio": round(single.readings_per_s / ceiling, 3),
            "latency_ms_p50": round(float(np.percentile(latency, 50)), 1),
            "latency_ms_p99": round(float(np.percentile(latency, 99)), 1),
            "rss_mb": round(max(max(p.rss_mb) for p in phases), 1),
            "rss_mb_growth": round(max(growth(p.rss_mb) for p in phases), 1),
            "cpu_us_ingest": round(single.cpu_us["ingest"], 2),
            "cpu_us_database": round(single.cpu_us["database"], 2),
            "cpu_us_broker": round(single.cpu_us["broker"], 2),
            "cpu_us_generator": round(single.cpu_us["generator"], 2),
            "readings": sum(p.readings for p in phases),
            "lost": sum(p.lost for p in phases),
            "duplicates": sum(p.duplicates for p in phases),
            "wrong_values": sum(p.wrong for p in phases),
        }

    def _register(self, url: str) -> None:
        devices = [
            NewDevice(
                name=topic.split("/")[2],
                municipality=topic.split("/")[1],
                assets={0: NewAsset(kind="lamp", label=f"VO-{i:06}", latitude=49.5, longitude=15.5)},
            )
            for i, topic in enumerate(self._topics)
        ]
        with psycopg.connect(url) as connection:
            register(
                connection, {f"town-{i:02}": f"Town {i}" for i in range(MUNICIPALITIES)}, devices, datetime.now(UTC)
            )

    def _ceiling(self) -> float:
        self._say("ceiling: a bare subscriber that only acknowledges")
        with Broker(self._new_folder("broker"), open=True, inflight=WINDOW) as broker:
            subscriber = python("stack.bench.bare", broker.address, str(broker.port), str(WINDOW), str(self._progress))
            try:
                await_ready(subscriber)
                result = self._load(
                    Plan(broker.port, CONNECTIONS, self._topics, self._payloads, str(self._progress), self._seconds),
                    self._handled,
                )
            finally:
                stop(subscriber)
        rate = result["messages"] / result["span_s"]
        self._say(f"  {rate:,.0f} messages/s")
        return rate

    def _phase(
        self,
        name: str,
        *,
        acks: bool,
        rules: bool = True,
        readings_per_message: int = 1,
        paced: float | None = None,
    ) -> Phase:
        self._say(name)
        phase = Phase(name)
        with ExitStack() as stack:
            broker = stack.enter_context(Broker(self._new_folder("broker"), open=True, inflight=WINDOW))
            owner = stack.enter_context(psycopg.connect(self._database.url(), autocommit=True))
            owner.execute("TRUNCATE reading_lamp, latest_lamp; CHECKPOINT")
            worker = self._worker(broker, acks=acks, rules=rules)
            stack.callback(stop, worker)
            totals = Totals(owner)
            start = totals.read()
            wait_until(lambda: metric(self._metrics_port, "kraj_ingest_broker_up") == 1, "ingest")
            plan = Plan(
                broker.port,
                CONNECTIONS,
                self._topics,
                self._payloads,
                str(self._progress),
                self._seconds,
                readings_per_message=readings_per_message,
                messages_per_s=paced,
                acks=acks,
                seq_start=self._seq,
            )
            servers = {"broker": pid_of(broker.process), "database": pid_of(self._database.process)}
            watch = Watch({"ingest": worker.pid, **servers})
            sampler = stack.enter_context(Sampler(worker.pid, self._database.url() if paced else None))
            result = self._load(plan, lambda: (totals.read() - start) // readings_per_message, watch)
            self._seq += int(result["messages"] / DEVICES + 2) * readings_per_message
            phase.readings = int(result["messages"]) * readings_per_message
            phase.readings_per_s = phase.readings / result["span_s"]
            phase.cpu_us = {k: v / phase.readings * 1e6 for k, v in watch.spent().items()}
            phase.cpu_us["generator"] = result["cpu_s"] / phase.readings * 1e6
            phase.rss_mb = sampler.rss_mb
            wait_until(totals.latest_written, "the last upsert of latest")
            self._verify(owner, phase, plan)
            phase.duplicates += totals.duplicates()
            if acks and result["acked"] != phase.readings:
                phase.lost += abs(phase.readings - int(result["acked"]))
            if paced:
                phase.latency_ms = sampler.latencies(owner)
        cpu = ", ".join(f"{who} {us:.1f}" for who, us in phase.cpu_us.items())
        self._say(
            f"  {phase.readings_per_s:,.0f} readings/s; CPU µs a reading: {cpu}; lost {phase.lost}, "
            f"duplicates {phase.duplicates}, wrong {phase.wrong}; memory {max(phase.rss_mb):,.0f} MB"
        )
        return phase

    def _worker(self, broker: Broker, *, acks: bool, rules: bool) -> "subprocess.Popen[bytes]":
        return ingest_process(
            self._database.url("kraj_ingest"),
            broker,
            metrics_port=self._metrics_port,
            log=self._folder / "ingest.log",
            KRAJ_INGEST_WINDOW=str(WINDOW),
            KRAJ_INGEST_ACKNOWLEDGE_DEVICES=str(acks),
            KRAJ_INGEST_RULES=str(rules),
        )

    def _load(self, plan: Plan, handled: Callable[[], int], watch: "Watch | None" = None) -> dict[str, float]:
        """Run the generator; ``handled()`` messages are known to be done. Adds ``span_s``: first sent to last done.

        The generator is held back by what the broker has digested: it reads one PUBACK a turn of its loop, and
        thousands of devices that send without a pause would drown those until its queue overflows.
        """
        file = self._folder / "plan.json"
        file.write_bytes(msgspec.json.encode(plan))
        with self._progress.open("r+b") as opened:
            progress = mmap.mmap(opened.fileno(), 8)
        progress[:8] = bytes(8)
        generator = python("stack.bench.generator", str(file))
        try:
            await_ready(generator)
            if watch:
                watch.start()
            started = done_at = time.perf_counter()
            go(generator)
            result: dict[str, float] = {}
            done = tick = 0
            while not result or (done < result["messages"] and time.perf_counter() - done_at < SETTLE_S_MAX):
                tick += 1
                if handled != self._handled and tick % DIGEST_TICKS == 0:
                    progress[:8] = struct.pack("q", int(metric(self._metrics_port, "kraj_ingest_messages_digested")))
                now_done = handled()
                if now_done > done:
                    done, done_at = now_done, time.perf_counter()
                if not result and generator.poll() is not None:
                    result = json.loads((generator.stdout or sys.stdin).read() or "{}")
                    if not result:
                        raise UnavailableError("the load generator died")
                time.sleep(TICK_S)
            result["span_s"] = done_at - started
            return result
        finally:
            stop(generator)

    def _handled(self) -> int:
        return struct.unpack("q", self._progress.read_bytes())[0]

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir(mode=0o755)
        return folder

    def _verify(self, owner: "psycopg.Connection[Any]", phase: Phase, plan: Plan) -> None:
        """Each device's rows: as many as were sent, numbered without a gap, every metric as it was sent, one latest."""
        names = [m.name for m in LAMP.metrics]
        spans = ", ".join(f"min({n}), max({n})" for n in names)
        rows = owner.execute(
            (
                f"SELECT d.name, count(*), count(DISTINCT seq), min(seq), max(seq), {spans}"  # noqa: S608
                " FROM reading_lamp r JOIN installed i USING (asset_id) JOIN device d USING (device_id)"
                " GROUP BY d.name"
            ).encode()
        ).fetchall()
        total = sum(row[1] for row in rows)
        phase.lost += max(0, phase.readings - total)
        phase.duplicates += sum(row[1] - row[2] for row in rows)
        for row in rows:
            if row[4] - row[3] + 1 != row[2] or row[3] != plan.seq_start:
                phase.wrong += 1
            expected = self._expected[int(row[0].rsplit("-", 1)[1])]
            for i, value in enumerate(expected):
                low, high = row[5 + 2 * i], row[6 + 2 * i]
                if low is None or float(low) != float(high) or abs(float(low) - value) > 1e-6 * max(1.0, abs(value)):
                    phase.wrong += 1
        (latest,) = owner.execute(
            "SELECT count(*) FROM latest_lamp l JOIN (SELECT asset_id, max(seq) AS seq FROM reading_lamp GROUP BY 1) r"
            " USING (asset_id, seq)"
        ).fetchone() or (0,)
        phase.wrong += len(rows) - latest


def payloads(rng: np.random.Generator) -> tuple[list[str], list[list[float]]]:
    """A reading of every device with all metrics of the lamp, of one length, and the values that must be stored."""
    texts: list[list[str]] = []
    values: list[list[float]] = []
    for one in LAMP.metrics:
        low, high = one.plausible or one.possible
        if one.type is Type.STATE:
            codes = rng.integers(0, len(one.states), DEVICES)
            texts.append([f'"{one.states[c]}"' for c in codes])
            values.append([float(c) for c in codes])
        elif one.type is Type.BOOLEAN:
            bits = rng.integers(0, 2, DEVICES)
            texts.append(["true" if b else "false" for b in bits])
            values.append([float(b) for b in bits])
        elif one.type.whole:
            top = int(min(high, 10_000_000))
            numbers = rng.integers(max(0, int(low)), top, DEVICES, endpoint=True)
            texts.append([str(n) for n in numbers])
            values.append([float(n) for n in numbers])
        else:
            reals = np.round(rng.uniform(low, min(high, 5000), DEVICES), 1)
            texts.append([str(v) for v in reals])
            values.append([float(v) for v in reals])
    out: list[str] = []
    for i in range(DEVICES):
        body = ",".join(f'"{m.name}":{texts[k][i]}' for k, m in enumerate(LAMP.metrics))
        out.append(f'{{"ts":{"T" * 13},"boot":7,"seq":{"N" * 10},{body}}}')
    width = max(map(len, out))
    return [o.ljust(width) for o in out], [list(column) for column in zip(*values, strict=True)]


def run(seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure; ``seconds`` is the length of each of the six phases."""
    open_files_for(CONNECTIONS)
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o755)
    try:
        return Bench(folder, seconds, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
