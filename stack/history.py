"""A past for a demo: days of the simulated region written as if they had come in, in a fraction of the time.

The same models, the same writer and, for the last days, the same rules as for readings from the broker; only the broker
is left out.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import structlog

from ingest.counters import Counters
from ingest.database import Database
from ingest.judge import Judge
from kraj.readings import Ints, Readings
from kraj.store.batch import Batch, EventRow, StatusRow
from kraj.store.write import Writer
from simulators.asset import Region
from simulators.physics.frame import DAY_MS, Fault
from simulators.stream import Delivery, Stream
from simulators.world import World

JUDGED_DAYS = 3
"""Before them history has no alerts: a page shows the last days, and judging costs four fifths of the time."""
BATCH_S = 3600
JUDGED_BATCH_S = 600
"""Ten minutes at once: fine enough for wills and causes."""


def load(
    url: str,
    slot: str,
    region: Region,
    faults: Sequence[Fault],
    *,
    start_ms: int,
    until_ms: int,
    report: Callable[[float, int], None],
    keeping: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Write what the region's devices measured from ``start_ms`` (the beginning of a day) until ``until_ms``.

    ``url`` is of the role ``kraj_ingest``, ``slot`` the slot that ingest will take. ``report`` is told the share done
    and the readings written. ``keeping`` is what lamps and contactors keep, by the keys of assets. Returns the
    number of readings.
    """
    with _quiet():
        return asyncio.run(_load(url, slot, region, faults, start_ms, until_ms, report, keeping or {}))


def is_empty(url: str) -> bool:
    """Whether nothing was ever committed there."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM batch LIMIT 1").fetchone() is None


@contextmanager
def _quiet() -> Generator[None]:
    """Let the judge only warn: it logs as a service does, and in a command nobody has said where that goes."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


async def _load(  # noqa: PLR0917 - the public function names them
    url: str,
    slot: str,
    region: Region,
    faults: Sequence[Fault],
    start_ms: int,
    until_ms: int,
    report: Callable[[float, int], None],
    keeping: Mapping[str, Mapping[str, Any]],
) -> int:
    counters = Counters()
    at = [moment(start_ms)]
    judge = Judge(counters, clock=lambda: at[0].timestamp())
    judge.listening(on=True)
    database = Database(url, slot, time.monotonic, counters, now=lambda: at[0], resume=judge.resume, patient=False)
    judged_ms = until_ms - JUDGED_DAYS * DAY_MS
    world = World(region)
    world.tell(keeping, start_ms)
    stream = Stream(world, start_ms, faults)
    written = 0
    try:
        async with database.writer() as writer:
            await writer.connection.execute("SET idle_session_timeout = 0")  # a day is simulated between two writes
            ids = await _Ids.read(writer, region)
            for day_ms in range(start_ms, until_ms, DAY_MS):
                judged = day_ms + DAY_MS > judged_ms
                for delivery in stream.day(day_ms, JUDGED_BATCH_S if judged else BATCH_S):
                    if delivery.now_ms > until_ms:
                        break
                    at[0] = moment(delivery.now_ms)
                    written += await _write(writer, judge if judged else None, ids, delivery, at[0])
                    report((delivery.now_ms - start_ms) / (until_ms - start_ms), written)
            await writer.idle(at[0], 0)
            await judge.checkpoint(writer.connection)
    finally:
        await database.close()
    return written


async def _write(writer: Writer, judge: Judge | None, ids: "_Ids", delivery: Delivery, at: datetime) -> int:
    readings = [ids.readings(found) for found in delivery.readings]
    count = sum(map(len, readings))
    statuses = [replace(s, device_id=int(ids.device[s.device_id])) for s in delivery.statuses]
    batch = Batch(
        await writer.next_batch_id(),
        ids.version,
        at,
        readings,
        _nobody,
        received=count,
        statuses=[StatusRow(s.device_id, s.online, s.boot, None, s.reset) for s in statuses],
        events=[
            EventRow(
                s.device_id,
                int(ids.device_owner[s.device_id]),
                "status",
                json.dumps({"online": s.online, "boot": s.boot, "reset": s.reset}).encode(),
                0,
            )
            for s in statuses
        ],
    )
    if judge is None:
        await writer.write(batch, 0)
    else:
        await writer.write(batch, 0, judge.judging)
        judge.settle(committed=True)
    return count


class _Ids:
    """The database's ids by the region's own numbers, which count from 1."""

    def __init__(self, version: int, asset: Ints, device: Ints, town: Ints, device_owner: Ints) -> None:
        self.version = version
        self.device = device
        self.device_owner = device_owner
        self._asset = asset
        self._town = town

    @classmethod
    async def read(cls, writer: Writer, region: Region) -> "_Ids":
        async def rows(statement: str) -> list[Any]:
            return await (await writer.connection.execute(statement.encode())).fetchall()

        towns = {name: number for number, name in await rows("SELECT municipality_id, name FROM municipality")}
        assets = {
            (owner, label): number
            for number, owner, label in await rows("SELECT asset_id, municipality_id, label FROM asset")
        }
        devices = {
            name: (number, owner)
            for number, name, owner in await rows("SELECT device_id, name, municipality_id FROM device")
        }
        found = [devices[device.name] for device in region.devices]
        owners = np.zeros(max(number for number, _ in found) + 1, np.int64)
        for number, owner in found:
            owners[number] = owner
        version = await rows("SELECT version FROM registry_version")
        return cls(
            version[0][0],
            _from_one(assets[towns[asset.municipality], asset.label] for asset in region.assets),
            _from_one(number for number, _ in found),
            _from_one(towns[town.name] for town in region.municipalities),
            owners,
        )

    def readings(self, found: Readings) -> Readings:
        return replace(found, asset_id=self._asset[found.asset_id], municipality_id=self._town[found.municipality_id])


def _from_one(numbers: Any) -> Ints:
    return np.array([0, *numbers], np.int64)


def moment(ts_ms: int) -> datetime:
    """Unix milliseconds as a time."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC)


def _nobody(message: int, detail: str) -> Any:
    raise RuntimeError(f"the database refuses simulated reading {message}: {detail}")
