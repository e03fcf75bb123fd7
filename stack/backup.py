"""Backing a database up into one file, and restoring it: pg_dump and pg_restore of the wheel, which fit 15 to 18."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from kraj.errors import ConfigurationError, UnavailableError
from kraj.store import resend
from kraj.store.grafana import RIGHTS
from kraj.store.migrate import migrate
from stack.database import ROLES, wheel_bin_dir

TIMEOUT_S = 6 * 3600
VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
}
"""libpq's variables: on the command line everybody on the machine could read the password."""

TOO_NEW = b"SET transaction_timeout = 0;\n"
"""pg_restore of PostgreSQL 17 and later sets it on older servers too, which do not know it."""
HEAD_LINES_MAX = 100
"""It is among the first lines; beyond them the same bytes would be data."""
OTHERS: LiteralString = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
HELD: LiteralString = "SELECT to_regclass('public.migration') IS NOT NULL"
SET_ASIDE: LiteralString = "SELECT to_regnamespace('before_restore') IS NOT NULL"
ASIDE: LiteralString = "ALTER SCHEMA public RENAME TO before_restore"
# As initdb makes it; a backup holds only what differs from that.
EMPTY: LiteralString = """DROP SCHEMA IF EXISTS public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC"""
BACK: LiteralString = "DROP SCHEMA public CASCADE; ALTER SCHEMA before_restore RENAME TO public"


def backup(url: str, file: Path) -> int:
    """Write the whole database to ``file`` (readable for us alone) and return its size in bytes.

    The file appears under its name only when it is whole.
    """
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigurationError(f"cannot write {new}: {error.strerror}") from error
    try:
        _tool("pg_dump", url, ["--format=custom", "--compress=6", f"--file={new}"])
        _sync(new)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return file.stat().st_size


def restore(url: str, file: Path, *, replace: bool) -> None:
    """Restore a backup: all of it, or nothing.

    A database that holds Kraj already is refused unless ``replace``. What it holds is then set aside, and thrown away
    only when the backup is in its place. Services must be stopped, as they would write to what is set aside.
    """
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}")
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            if _one(connection, OTHERS):
                raise ConfigurationError("somebody works with this database; stop Kraj and whatever else is connected")
            for role in (*ROLES[1:], RIGHTS):  # the backup grants rights to them
                if not _one(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", role):
                    connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            if _one(connection, HELD) and not replace:
                raise ConfigurationError("the database holds data of Kraj already; `--replace` throws it away")
            # An earlier restore that was cut off by a power cut left the old data aside: that is what is held.
            if not _one(connection, SET_ASIDE):
                connection.execute(ASIDE)
            connection.execute(EMPTY)
            try:
                _play(url, file)
            except BaseException:
                connection.execute(BACK)
                raise
            connection.execute("DROP SCHEMA before_restore CASCADE")
        migrate(url)  # the backup may be of an older version
        with psycopg.connect(url, autocommit=True) as connection:
            resend.request(connection, datetime.now(UTC))
            resend.outgrow(connection)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error


def _one(connection: psycopg.Connection, query: LiteralString, *parameters: str) -> object:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _tool(name: str, url: str, arguments: Sequence[str]) -> None:
    command, env = _command(name, url, arguments)
    result = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT_S)
    if result.returncode != 0:
        raise UnavailableError(f"{name} failed: {result.stderr.strip()[-2000:]}")


def _play(url: str, file: Path) -> None:
    """Play the backup's statements into the database, in one transaction."""
    read, env = _command("pg_restore", url, ["--no-owner", "--file=-", str(file)])
    write, _ = _command("psql", url, ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"])
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(read, env=env, stdout=subprocess.PIPE, stderr=complaints) as reader,
        subprocess.Popen(write, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints) as writer,
    ):
        whole = False
        try:
            assert reader.stdout is not None  # noqa: S101 — PIPE above
            assert writer.stdin is not None  # noqa: S101
            with suppress(BrokenPipeError):  # psql gave up, and has said why
                for line in islice(reader.stdout, HEAD_LINES_MAX):
                    writer.stdin.write(b"" if line == TOO_NEW else line)
                shutil.copyfileobj(reader.stdout, writer.stdin)
                writer.stdin.flush()
                whole = reader.wait() == 0
        finally:
            # psql commits at the end of its input, so it must not see an end that is not the backup's.
            if not whole:
                writer.kill()
                reader.kill()
        with suppress(BrokenPipeError):
            writer.stdin.close()
        if writer.wait() != 0:
            complaints.seek(0)
            raise UnavailableError(f"pg_restore failed: {complaints.read().strip()[-2000:]}")


def _command(name: str, url: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    given = conninfo_to_dict(url)
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    env |= {variable: str(given[key]) for key, variable in VARIABLES.items() if given.get(key) is not None}
    bin_dir = wheel_bin_dir()
    env["LD_LIBRARY_PATH"] = str(bin_dir.parent / "lib")
    return [str(bin_dir / name), "--no-password", *arguments], env


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
