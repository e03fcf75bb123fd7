"""``kraj bench queries``: every panel of every dashboard on a year of a town, and what a reading takes on disk.

Readings are made in numpy and written through COPY into the real tables; rollups are Kraj's own job's work, and the
panels are asked as a town's own role of Grafana, through the wall.
"""

import secrets
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.rollups import STEPS
from kraj.store import archive
from kraj.store.grafana import ensure_role, role_name
from kraj.store.migrate import migrate
from stack import archive_files, kpi_days, rollup
from stack.bench import queries_panels as panels
from stack.bench import queries_told as told
from stack.bench import queries_town as towns
from stack.bench.filling import SEED, Filling, Say, progress
from stack.bench.queries_town import Sending
from stack.bench.rollups import hour
from stack.database import EmbeddedPostgres

BYTES_A_READING: Final = 700
"""On disk with rollups, indexes and the log of changes, about: so much room is asked for beforehand."""
ARCHIVED_EVERY: Final = 8
"""Of the weeks; writing all of them would take longer than the panels."""


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
    rollup.catch_up(server.url("kraj_rollup"), at, progress(say, "rolled up"))
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
    new = hour(owner, server, filled, devices, at, say)
    return {
        "readings": written,
        "devices": town.devices,
        "days": town.days,
        **found,
        "rollup_s": round(rollup_s, 1),
        "kpi_days_s": round(kpis_s, 1),
        "rollup_hour_s": new["hour_s"],
        "rollup_hour_devices": devices,
        **sizes,
        "timescaledb": False,
    }


def _room(folder: Path, readings: int) -> None:
    free, wanted = shutil.disk_usage(folder).free, readings * BYTES_A_READING
    if wanted > free:
        raise ConfigurationError(
            f"{folder.parent} has {free / 1e9:.0f} GB free and {readings:,} readings take about {wanted / 1e9:.0f};"
            " ask for fewer (--readings), or set TMPDIR to a larger disk"
        )


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
