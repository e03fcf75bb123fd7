"""``kraj bench dimming``: programs of all lamps at one moment, and how fast all of them are told something new.

Broker, database and ingest are real; one process plays all lamps, obeys each command once by its id, and answers it.
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from kraj.dimming import Program, read
from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from kraj.store import commands
from kraj.store.commands import Scope
from kraj.store.migrate import migrate
from kraj.store.registry import NewAsset, NewDevice, register
from rules.dimming import Document, Programs, desired
from stack.bench.bare import progress_map
from stack.bench.estate import town
from stack.bench.processes import await_ready, ingest_process, metric, python, stop, wait_until
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.process import free_port

SEGMENTS_MAX = 2000
TOWNS = 20
"""Each with a sunset of its own."""
TIMES = 5
NIGHT = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)
"""Within a ramp of a tenth of the programs."""
WINDOW = 10_000
QUIET_S_MAX = 30.0
"""When nothing has arrived for so long, the rest is lost."""
LOOK_S = 0.02


def run(lamps: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and give what ``kraj bench dimming --json`` prints."""
    documents = _documents(min(SEGMENTS_MAX, max(1, lamps // 50)))
    evaluate_ms = _evaluate_ms(documents, lamps)
    say(f"{lamps:,} lamps of {len(documents):,} segments evaluated in {evaluate_ms:.1f} ms")
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o755)
    try:
        told = _Telling(folder, lamps, documents, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"lamps": lamps, "segments": len(documents), "evaluate_ms": round(evaluate_ms, 1), **told}


def _documents(segments: int) -> list[Document]:
    """A program of its own for each segment, in towns with a sunset of their own; workdays, weekends and holidays."""
    return [
        desired(_program(number), 20 + number % 20, 48.8 + number % TOWNS / 10, 14.0 + number % TOWNS / 4, NIGHT.date())
        for number in range(segments)
    ]


def _program(number: int) -> Program:
    late = {"at": f"22:{number % 60:02}", "level_pct": 60, "ramp_s": 600}
    steps = [{"at": "sunset+30", "level_pct": 90}, late, {"at": "00:30", "level_pct": 40, "ramp_s": 60}]
    morning = {"at": "sunrise-60", "level_pct": 80}
    plans = [
        {"holidays": True, "steps": [late]},
        {"days": ["fri", "sat"], "steps": [*steps[:2], {"at": "02:00", "level_pct": 50}]},
        {"steps": [*steps, {"at": "04:30", "level_pct": 70}, morning]},
    ]
    return read({"plans": plans})


def _evaluate_ms(documents: list[Document], lamps: int) -> float:
    programs = Programs.of(documents)
    which = np.arange(lamps) % len(documents)
    utc_s = np.full(lamps, int(NIGHT.timestamp()))
    spent: list[float] = []
    for _ in range(TIMES):
        before = time.perf_counter()
        programs.levels_pct(which, utc_s)
        spent.append(time.perf_counter() - before)
    return 1000 * min(spent)


class _Telling:
    """The servers, and what is told on them."""

    def __init__(self, folder: Path, lamps: int, documents: list[Document], say: Callable[[str], None]) -> None:
        self._folder = folder
        self._lamps = lamps
        self._documents = documents
        self._say = say
        self._database = EmbeddedPostgres(folder / "database")
        self._file, self._report = folder / "progress", folder / "report.json"
        self._file.write_bytes(bytes(8))

    def run(self) -> dict[str, Any]:
        """A new program for all, then full light for all."""
        with ExitStack() as stack:
            stack.enter_context(self._database)
            migrate(self._database.url())
            owner = stack.enter_context(psycopg.connect(self._database.url(), autocommit=True))
            self._register(owner)
            broker = stack.enter_context(Broker(self._folder / "broker", open=True, inflight=WINDOW))
            address = broker.address, str(broker.port), str(WINDOW)
            lamps = python("stack.bench.lamps", *address, str(self._file), str(self._report))
            stack.callback(stop, lamps)
            await_ready(lamps)
            port, url = free_port(), self._database.url("kraj_ingest")
            ingest = ingest_process(url, broker, metrics_port=port, log=self._folder / "ingest.log")
            stack.callback(stop, ingest)
            wait_until(lambda: metric(port, "kraj_ingest_broker_up") == 1, "ingest")
            desired_s = self._told(1, lambda: self._keep(owner), "a new program")
            emergency_s = self._told(0, lambda: asyncio.run(self._order()), "full light")
            settled = self._settled(owner)
            stop(lamps)
            return self._verdict(owner, desired_s, emergency_s, settled)

    def _register(self, owner: "psycopg.Connection[Any]") -> None:
        towns = {town(number): f"Obec {number}" for number in range(TOWNS)}
        devices = [
            NewDevice(
                name=f"lamp-{n:06}", municipality=town(n % TOWNS), assets={0: NewAsset(kind=LAMP.name, label=f"{n}")}
            )
            for n in range(self._lamps)
        ]
        register(owner, towns, devices, datetime.now(UTC))
        with owner.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO lamp_program (municipality_id, digest, document)"
                " SELECT min(municipality_id), sha256(convert_to(%s::text, 'UTF8')), %s FROM municipality",
                [(str(number), Jsonb(document)) for number, document in enumerate(self._documents)],
            )
        owner.execute("VACUUM ANALYZE")
        self._say(f"{self._lamps:,} lamps in {TOWNS} municipalities")

    def _keep(self, owner: "psycopg.Connection[Any]") -> None:
        owner.execute(
            "INSERT INTO desired (device_id, municipality_id, programs, interval_s, changed_at, who)"
            " SELECT device_id, municipality_id, jsonb_build_object('0', lamp_program_id), 300, %s, 'bench'"
            " FROM device JOIN (SELECT lamp_program_id, row_number() OVER () - 1 AS n FROM lamp_program) AS p"
            " ON p.n = device_id %% %s",
            [datetime.now(UTC), len(self._documents)],
        )

    async def _order(self) -> None:
        now = datetime.now(UTC)
        until = now + timedelta(hours=1)
        async with await psycopg.AsyncConnection[Any].connect(self._database.url()) as owner:
            number = await commands.order(
                owner, Scope(), kind="emergency", level_pct=100, until=until, reason="bench", who="bench", at=now
            )
            await commands.command(
                owner, Scope(), number, reason="emergency", level_pct=100, energises=True, until=until, who="", at=now
            )

    def _told(self, which: int, ask: Callable[[], None], what: str) -> float:
        """Seconds from when it is asked for (and committed) until the last lamp has it."""
        progress = np.frombuffer(progress_map(str(self._file)), np.int32)
        asked = time.perf_counter()
        ask()
        begun = last = time.perf_counter()
        self._say(f"{what}: written in {begun - asked:.1f} s")
        came = 0
        while came < self._lamps and time.perf_counter() - last < QUIET_S_MAX:
            if progress[which] > came:
                came, last = int(progress[which]), time.perf_counter()
            time.sleep(LOOK_S)
        if not came:
            raise UnavailableError(f"no lamp has got {what}: the measurement is worth nothing")
        self._say(f"{what}: {came:,} of {self._lamps:,} lamps have it, {came / (last - begun):,.0f}/s")
        return last - begun

    def _settled(self, owner: "psycopg.Connection[Any]") -> bool:
        """Wait until every answer is in the database."""
        until = time.monotonic() + QUIET_S_MAX
        while time.monotonic() < until:
            row = owner.execute(
                "SELECT (SELECT count(*) FROM command WHERE state = 'accepted'),"
                " (SELECT count(*) FROM desired WHERE reported_version = version)"
            ).fetchone()
            if row == (self._lamps, self._lamps):
                return True
            time.sleep(0.2)
        return False

    def _verdict(
        self, owner: "psycopg.Connection[Any]", desired_s: float, emergency_s: float, settled: bool
    ) -> dict[str, Any]:
        if not self._report.exists():
            raise UnavailableError("the lamps of the measurement died")
        found = json.loads(self._report.read_text())
        wanted = {row[0] for row in owner.execute("SELECT command_id::text FROM command").fetchall()}
        applied: dict[str, int] = found["commands"]
        answered = owner.execute("SELECT count(*) FROM command WHERE state = 'accepted'").fetchone() or (0,)
        rates = [round(self._lamps / seconds) for seconds in (desired_s, emergency_s)]
        return {
            "commands_per_s": min(rates),
            "desired_per_s": rates[0],
            "emergency_per_s": rates[1],
            "commands_lost": self._lamps - len(wanted & applied.keys()),
            "commands_unanswered": self._lamps - answered[0],
            "desired_lost": self._lamps - len(found["desired"]),
            "commands_doubled": sum(times - 1 for times in applied.values()),
            "deliveries_repeated": found["deliveries"] - len(applied),
            "desired_repeated": found["desired_deliveries"] - len(found["desired"]),
            "settled": settled,
        }
