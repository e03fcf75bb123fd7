"""Bringing a database to this version: numbered SQL with checksums, then the tables derived from the kinds."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import psycopg

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store import kpi_views, open_views, public_quarters, public_views, rollup_schema, schema

LOCK_ID = 0x6B72616A
"""Advisory lock of migrations: two of them never run at once."""
LOCK_TIMEOUT_S = 5.0
"""While a migration waits for a table, everybody who comes for that table waits behind it."""
POSTGRES_MAJOR_MIN, POSTGRES_MAJOR_MAX = 15, 18


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(folder: Traversable | None = None) -> list[Migration]:
    """The files ``NNNN_name.sql`` in order, without gaps; None is the folder that comes with Kraj."""
    found: list[Migration] = []
    folder = folder or files("kraj.store").joinpath("migrations")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text("utf-8")))
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError(f"migrations must be numbered without gaps: {[m.number for m in found]}")
    return found


def migrate(
    url: str, kinds: Iterable[Kind] = tuple(KINDS.values()), *, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> list[str]:
    """Bring the database to this version and return what was done; safe to run again, and in two places at once.

    Raises ``UnavailableError`` when the server is away or somebody holds a table for more than ``lock_timeout_s``
    (nothing is changed then), ``ConfigurationError`` when the server is too old, when an applied
    file was edited, or when a declared kind contradicts its table.
    """
    try:
        with psycopg.connect(url) as connection:
            _check_version(connection)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_ID])
            # Not before: another migration may take as long as it needs.
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{lock_timeout_s * 1000:.0f}ms"])
            done = _apply(connection) + _derive(connection, kinds)
            kpi_views.make(connection)
            public_views.make(connection)
            public_quarters.make(connection)
            open_views.make(connection)
            connection.execute("SELECT grant_grafana()")  # of views that were made anew
            return done
    except psycopg.errors.LockNotAvailable as error:
        raise UnavailableError(
            f"database: {error.diag.message_primary}: another session holds a table that the migration changes. "
            "Nothing was changed. Stop ingest and whatever else has a transaction open (see pg_stat_activity, "
            "column xact_start), then run `kraj migrate` again"
        ) from error
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"database: {error.diag.message_primary}; migrate as the owner of the database, with CREATEROLE"
        ) from error


def _check_version(connection: psycopg.Connection) -> None:
    major = connection.info.server_version // 10_000
    if not POSTGRES_MAJOR_MIN <= major <= POSTGRES_MAJOR_MAX:
        raise ConfigurationError(
            f"PostgreSQL {major} is not supported; take {POSTGRES_MAJOR_MIN} to {POSTGRES_MAJOR_MAX}"
        )


def _apply(connection: psycopg.Connection) -> list[str]:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )
    applied: dict[int, str] = dict(connection.execute("SELECT number, checksum FROM migration").fetchall())
    known = migrations()
    newer = set(applied) - {m.number for m in known}
    if newer:
        raise ConfigurationError(f"the database has migration {max(newer)}, this version does not: upgrade Kraj")
    done: list[str] = []
    for migration in known:
        if migration.number in applied:
            if applied[migration.number] != migration.checksum:
                raise ConfigurationError(
                    f"migration {migration.number:04} {migration.name} was edited after it was applied; "
                    "restore the file and add a new one"
                )
            continue
        connection.execute(migration.text.encode())
        connection.execute(
            "INSERT INTO migration (number, name, checksum) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.checksum],
        )
        done.append(f"{migration.number:04} {migration.name}")
    return done


def has_timescaledb(connection: psycopg.Connection) -> bool:
    """Whether the extension is installed in this database."""
    return connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None


def _derive(connection: psycopg.Connection, kinds: Iterable[Kind]) -> list[str]:
    done: list[str] = []
    for kind in kinds:
        for table in (kind.reading_table, kind.latest_table):
            found = table_columns(connection, table)
            if not found:
                continue
            for column in schema.missing_columns(kind, found):
                statement = f"ALTER TABLE {table} ADD COLUMN {column.name} {column.sql}"
                connection.execute(statement.encode())
                done.append(f"{table}.{column.name}")
        if not table_columns(connection, kind.reading_table):
            for statement in schema.create_statements(kind, hypertable=has_timescaledb(connection)):
                connection.execute(statement.encode())
            done.append(kind.reading_table)
        if list(table_columns(connection, kind.reading_view)) != [column.name for column in schema.columns(kind)]:
            for statement in schema.view_statements(kind):
                connection.execute(statement.encode())
        for step in rollup_schema.STEPS:
            _derive_rollup(connection, kind, step, group=False)
            _derive_rollup(connection, kind, step, group=True)
    return done


def _derive_rollup(connection: psycopg.Connection, kind: Kind, step: str, *, group: bool) -> None:
    table = kind.rollup_table(step, group=group)
    found = table_columns(connection, table)
    if found:
        statements = [
            f"ALTER TABLE {table} ADD COLUMN {column.name} {column.sql}"
            for column in rollup_schema.missing_columns(kind, table, found, group=group)
        ]
    else:
        statements = rollup_schema.create_statements(kind, step, group=group)
    for statement in statements:
        connection.execute(statement.encode())
    now = list(table_columns(connection, table))
    if list(table_columns(connection, f"seen_{table}")) != now:
        for statement in rollup_schema.view_statements(kind, step, now, group=group):
            connection.execute(statement.encode())


def table_columns(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """Column name to SQL type, as ``schema`` writes it; empty when there is no such table."""
    rows = connection.execute(
        "SELECT attname, atttypid::regtype::text FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [f"public.{table}"],
    ).fetchall()
    return {name: "timestamptz" if kind == "timestamp with time zone" else kind for name, kind in rows}
