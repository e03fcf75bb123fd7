"""``kraj bench queries``: every panel of every dashboard on a year of a town, and what a reading takes on disk.

Readings are made in numpy and written through COPY into the real tables; rollups are Kraj's own job's work, and the
panels are asked as a town's own role of Grafana, through the wall.
"""

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from psycopg.conninfo import make_conninfo

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.readings import DAY_MS, Ints, Readings
from kraj.rollups import STEPS
from kraj.store import archive, copy
from kraj.store.grafana import ensure_role, role_name
from kraj.store.migrate import migrate
from kraj.store.partitions import weeks
from stack import archive_files, kpi_days, rollup
from stack.bench import queries_panels as panels
from stack.bench import queries_told as told
from stack.bench import queries_town as towns
from stack.bench.queries_town import Sending, Town
from stack.database import EmbeddedPostgres

BYTES_A_READING: Final = 700
"""On disk with rollups, indexes and the log of changes, about: so much room is asked for beforehand."""
HOUR_MS: Final = 3_600_000
ARCHIVED_EVERY: Final = 8
"""Of the weeks; writing all of them would take longer than the panels."""
SEED: Final = 1
Say = Callable[[str], None]


def run(readings: int, devices: int, times: int, say: Say) -> dict[str, Any]:
    """Measure, and give what ``kraj bench queries --json`` prints. ``devices`` are those of one new
    hour; each panel is asked so many ``times`` after the first."""
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o711)
    try:
        _room(folder, readings)
        with EmbeddedPostgres(folder / "database") as server:
            migrate(server.url())
            with psycopg.connect(server.url(), autocommit=True) as owner:
                return measured(server, owner, readings, devices, times, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measured(  # noqa: PLR0917 - what it is measured on
    server: EmbeddedPostgres, owner: psycopg.Connection[Any], readings: int, devices: int, times: int, say: Say
) -> dict[str, Any]:
    """On a migrated, empty database."""
    at = datetime.now(UTC)
    town = towns.sized(readings, at)
    assets = towns.build(owner, town.counts, towns.since(town))
    sending = {kind: Sending(KINDS[kind], numbers, 1, SEED) for kind, numbers in assets.items()}
    filled = Filling(owner)
    filled.year(town, sending, at, say)
    told.declared(owner, town, at)
    told.faults(owner, town, at)
    began = time.perf_counter()
    rollup.catch_up(server.url("kraj_rollup"), at, _progress(say, "rolled up"))
    rollup_s = time.perf_counter() - began
    say(f"{filled.written:,} readings of {town.devices} devices in {town.days} days; rolled up in {rollup_s:.0f} s")
    kpi_days.catch_up(server.url("kraj_rollup"), at, since=towns.since(town))
    kpis_s = time.perf_counter() - began - rollup_s
    say(f"days of KPIs made in {kpis_s:.0f} s")
    _vacuum(owner)
    sizes = _sizes(owner, filled.written) | {"parquet_bytes_per_reading": _archived(owner, server.folder.parent)}
    with _grafana(owner, server) as reader:
        first = {kind: int(numbers[0]) for kind, numbers in assets.items()}
        found = panels.summed(panels.measure(reader, panels.statements(), first, at, times=times))
    say(f"{found['panels']} panels: p50 {found['p50_ms']} ms, p95 {found['p95_ms']} ms")
    written = filled.written
    hour_s = _hour(owner, server, filled, devices, at, say)
    return {
        "readings": written,
        "devices": town.devices,
        "days": town.days,
        **found,
        "rollup_s": round(rollup_s, 1),
        "kpi_days_s": round(kpis_s, 1),
        "rollup_hour_s": round(hour_s, 2),
        "rollup_hour_devices": devices,
        **sizes,
        "timescaledb": False,
    }


class Filling:
    """Batches of the one slot, as ingest writes them; ``written`` readings so far."""

    def __init__(self, owner: psycopg.Connection[Any]) -> None:
        self._owner = owner
        self._batch = 0
        self.written = 0
        owner.execute("INSERT INTO slot (name) VALUES ('slot_0')")

    def year(self, town: Town, sending: Mapping[str, Sending], until: datetime, say: Say) -> None:
        """Day by day."""
        until_ms = int(until.timestamp() * 1000)
        tell = _progress(say, "written")
        for number, day_ms in enumerate(towns.days(town), 1):
            self.write([one.day(day_ms, until_ms) for one in sending.values()])
            tell(number / town.days, self.written)

    def write(self, parts: list[Readings]) -> None:
        """One batch, and what is newest of each asset."""
        self._batch += 1
        count = 0
        for part in parts:
            if not len(part):
                continue
            kind = part.kind
            for week in weeks(part.ts_ms):
                self._owner.execute("SELECT ensure_partition(%s, %s)", [kind.name, week])
            with self._owner.cursor() as cursor:
                with cursor.copy(copy.statement(kind, kind.reading_table)) as stream:
                    stream.write(copy.binary(part, self._batch))
                self._newest(cursor, part)
            count += len(part)
        self._owner.execute("INSERT INTO batch VALUES (%s, 1, now(), %s, 0, 0)", [self._batch, count])
        self._owner.execute("UPDATE slot SET latest_batch_id = %s", [self._batch])
        self.written += count

    def _newest(self, cursor: psycopg.Cursor[Any], part: Readings) -> None:
        last: dict[int, int] = {asset: row for row, asset in enumerate(part.asset_id.tolist())}
        newest = part.take(_rows(last))
        table = part.kind.latest_table
        cursor.execute(f"DELETE FROM {table} WHERE asset_id = ANY (%s)".encode(), [list(last)])  # noqa: S608 - kinds
        with cursor.copy(copy.statement(part.kind, table)) as stream:
            stream.write(copy.binary(newest, self._batch))


def _rows(last: Mapping[int, int]) -> Ints:
    return np.fromiter(last.values(), np.int64, len(last))


def _room(folder: Path, readings: int) -> None:
    free, wanted = shutil.disk_usage(folder).free, readings * BYTES_A_READING
    if wanted > free:
        raise ConfigurationError(
            f"{folder.parent} has {free / 1e9:.0f} GB free and {readings:,} readings take about {wanted / 1e9:.0f};"
            " ask for fewer (--readings), or set TMPDIR to a larger disk"
        )


def _progress(say: Say, what: str) -> Callable[[float, int], None]:
    """Says each tenth once."""
    told = [0]

    def tell(share: float, readings: int) -> None:
        if int(share * 10) > told[0]:
            told[0] = int(share * 10)
            say(f"{what}: {10 * told[0]} % ({readings:,} readings)")

    return tell


def _vacuum(owner: psycopg.Connection[Any]) -> None:
    """What the server's own vacuum does with time: tables that hold rows, not those that are parted into others."""
    rows = owner.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname !~ '^(pg|sql)_'")
    owner.execute(f"VACUUM (ANALYZE) {', '.join(name for (name,) in rows.fetchall())}".encode())


def _grafana(owner: psycopg.Connection[Any], server: EmbeddedPostgres) -> psycopg.Connection[Any]:
    """As the data source of the town's own organisation."""
    role, password = role_name(1, towns.TOWN[0]), secrets.token_urlsafe(24)
    ensure_role(owner, 1, role, password, datetime.now(UTC))
    return psycopg.connect(make_conninfo(server.url(), user=role, password=password), autocommit=True)


def _sizes(owner: psycopg.Connection[Any], readings: int) -> dict[str, float]:
    """Bytes a reading of tables with their indexes."""

    def stored(tables: list[str]) -> int:
        row = owner.execute(
            "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits"
            " WHERE inhparent = ANY (%s::text[]::regclass[])",
            [tables],
        ).fetchone()
        return row[0] if row else 0

    rolled = [kind.rollup_table(step, group=g) for kind in KINDS.values() for step in STEPS for g in (False, True)]
    return {
        "bytes_per_reading": round(stored([kind.reading_table for kind in KINDS.values()]) / readings, 1),
        "rollup_bytes_per_reading": round(stored(rolled) / readings, 1),
    }


def _archived(owner: psycopg.Connection[Any], folder: Path) -> float:
    """Bytes a reading in the archive's own files, of some weeks of all seasons."""
    count = size = 0
    for kind in KINDS.values():
        for week in archive.weeks(owner, kind)[::ARCHIVED_EVERY]:
            for owned in archive.owned(owner, week):
                file = folder / "archive" / kind.name / f"{week.begins}.parquet"
                count += archive_files.write(file, kind, archive.rows(owner, week, owned)).rows
                size += file.stat().st_size
    return round(size / count, 1)


def _hour(  # noqa: PLR0917 - what it is measured on
    owner: psycopg.Connection[Any], server: EmbeddedPostgres, filled: Filling, devices: int, at: datetime, say: Say
) -> float:
    """Seconds that the job takes for one new hour of that many more devices, an hour at night, when all of them tell
    most."""
    midnight_ms = int(at.timestamp() * 1000) // DAY_MS * DAY_MS - DAY_MS
    begins_ms = midnight_ms + 22 * HOUR_MS
    assets = towns.build(owner, towns.hundreds(devices), at - timedelta(days=3), "nova-")
    day = [
        Sending(KINDS[kind], numbers, 1, SEED).day(midnight_ms, begins_ms + HOUR_MS) for kind, numbers in assets.items()
    ]
    filled.write([part.take((part.ts_ms >= begins_ms - HOUR_MS) & (part.ts_ms < begins_ms)) for part in day])
    url = server.url("kraj_rollup")
    rollup.catch_up(url, _moment(begins_ms))
    # As if the job had come by an hour ago: what holds on is worked out as well.
    owner.execute("UPDATE rollup_done SET at = %s", [_moment(begins_ms)])
    written = filled.written
    filled.write([part.take(part.ts_ms >= begins_ms) for part in day])
    began = time.perf_counter()
    rollup.catch_up(url, _moment(begins_ms + HOUR_MS))
    took = time.perf_counter() - began
    say(f"one new hour of {devices:,} devices, {filled.written - written:,} readings: rolled up in {took:.2f} s")
    return took


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
