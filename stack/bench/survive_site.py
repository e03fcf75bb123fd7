"""Where it is tried what the platform survives: a database, a broker, an ingest that comes and goes, and lamps."""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from kraj.store.registry import NewAsset, NewDevice, register
from stack.bench.processes import ingest_process, metric, stop, wait_until
from stack.bench.survive_oracle import Mark
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.process import free_port

TOWN = "pruba"
READING = {"power_w": 41.5, "level_commanded_pct": 60}


class _Numbered(msgspec.Struct):
    boot: int
    seq: int


_READING, _READINGS = msgspec.json.Decoder(_Numbered), msgspec.json.Decoder(list[_Numbered])


class Site:
    """A migrated database and a broker that run; lamps are registered and ingests started as they are needed."""

    def __init__(self, folder: Path, database: EmbeddedPostgres, broker: Broker) -> None:
        self.folder = folder
        self.database = database
        self.broker = broker
        self.log = folder / "ingest.log"
        self.metrics_port = free_port()

    def lamps(self, prefix: str, count: int) -> list[str]:
        """Register lamps of one device each; return their names, all of one length."""
        names = [f"{prefix}-{n:05}" for n in range(count)]
        devices = [
            NewDevice(name=name, municipality=TOWN, assets={0: NewAsset(kind=LAMP.name, label=name)}) for name in names
        ]
        with psycopg.connect(self.database.url(), autocommit=True) as connection:
            register(connection, {TOWN: "Průba"}, devices, datetime.now(UTC))
        return names

    def start_ingest(self, url: str = "", *, module: str = "ingest", **settings: str) -> "subprocess.Popen[bytes]":
        """Start an ingest, by default straight at the database and the broker."""
        url = url or self.database.url("kraj_ingest")
        return ingest_process(url, self.broker, metrics_port=self.metrics_port, log=self.log, module=module, **settings)

    @contextmanager
    def ingest(self, url: str = "", **settings: str) -> Generator["subprocess.Popen[bytes]"]:
        """An ingest that is ready; raises ``UnavailableError`` when it has ended by itself meanwhile."""
        process = self.start_ingest(url, **settings)
        try:
            self.ready()
            yield process
            if process.poll() is not None:
                raise UnavailableError(f"ingest ended with {process.returncode}; see {self.log}")
        finally:
            stop(process)

    def ready(self) -> None:
        """Wait until ingest has its session at the broker."""
        wait_until(lambda: self.figure("broker_up") == 1, "ingest")

    def figure(self, name: str) -> float:
        """One of ingest's figures; NaN while it is not there."""
        return metric(self.metrics_port, f"kraj_ingest_{name}")

    @asynccontextmanager
    async def line(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare connection to the broker, for who speaks no proper MQTT."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.broker.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    def stored(self, names: Sequence[str]) -> Counter[Mark]:
        """How often each reading of these lamps is in the database."""
        rows = self.rows(
            f"SELECT d.name, r.boot, r.seq, count(*) FROM {LAMP.reading_table} r JOIN installed i USING (asset_id)"  # noqa: S608
            " JOIN device d USING (device_id) WHERE d.name = ANY (%s) GROUP BY 1, 2, 3",
            list(names),
        )
        return Counter({(name, boot, seq): times for name, boot, seq, times in rows})

    def kept(self, names: Sequence[str]) -> set[Mark]:
        """Which readings of these lamps are in quarantine, whole."""
        rows = self.rows(
            "SELECT source, payload FROM quarantine WHERE source = ANY (%s) AND metric IS NULL", list(names)
        )
        found: set[Mark] = set()
        for source, payload in rows:
            with suppress(msgspec.DecodeError):
                found |= {(source, one.boot, one.seq) for one in _READINGS.decode(payload)}
            with suppress(msgspec.DecodeError):
                one = _READING.decode(payload)
                found.add((source, one.boot, one.seq))
        return found

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Of a statement on a connection of its own."""
        with psycopg.connect(self.database.url(), autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()
