"""The embedded PostgreSQL starts, dies, and comes back with everything that was committed."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from kraj.errors import ConfigurationError, UnavailableError
from stack.database import ROLES, EmbeddedPostgres, wheel_bin_dir


@pytest.fixture(params=["wheel", "system"])
def each_server(request: pytest.FixtureRequest, open_folder: Path) -> EmbeddedPostgres:
    bin_dir = None if request.param == "wheel" else min(Path("/usr/lib/postgresql").glob("*/bin"))
    return EmbeddedPostgres(open_folder / "database", bin_dir=bin_dir, shared_buffers="32MB")


@pytest.fixture
def server(open_folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(open_folder / "database", shared_buffers="32MB")


def one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def test_every_role_signs_in_with_its_own_password_and_no_other(each_server: EmbeddedPostgres) -> None:
    with each_server:
        for role in ROLES:
            assert one(each_server.url(role), "SELECT current_user") == role
        wrong = each_server.url("kraj_api").replace("kraj_api:", "kraj_ingest:")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong).close()
    assert (each_server.folder / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_everything_that_guards_a_commit_is_on(each_server: EmbeddedPostgres) -> None:
    with each_server:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert one(each_server.url(), f"SHOW {name}") == "on", name
        assert one(each_server.url(), "SHOW wal_compression") != "off"
        assert one(each_server.url(), "SHOW timezone") == "UTC"


def test_nothing_listens_on_tcp_unless_asked(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder / "a", shared_buffers="32MB") as quiet:
        assert one(quiet.url(), "SHOW listen_addresses") == ""
        with pytest.raises(ConfigurationError, match="no TCP port"):
            quiet.url(tcp=True)
    with EmbeddedPostgres(open_folder / "b", shared_buffers="32MB", tcp_port=0) as loud:
        assert one(loud.url("kraj_api", tcp=True), "SELECT current_user") == "kraj_api"
        assert one(loud.url(), "SHOW listen_addresses") == "127.0.0.1"


def test_the_server_is_our_direct_child_and_stops_in_good_order(server: EmbeddedPostgres) -> None:
    server.start()
    process = server.process
    assert process is not None
    assert psutil.Process(process.pid).ppid() == os.getpid()
    assert psutil.Process(process.pid).name() == "postgres"
    server.stop()
    assert process.returncode == 0
    assert not psutil.pid_exists(process.pid)
    server.start()  # roles and database are there already
    server.stop()


def test_a_killed_server_restarts_beside_its_busy_orphans_and_keeps_commits(each_server: EmbeddedPostgres) -> None:
    with each_server:
        with psycopg.connect(each_server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        # A backend in the middle of a query does not notice that its postmaster is gone; this one has no end.
        with closing(psycopg.connect(each_server.url(), autocommit=True)) as busy:
            busy.pgconn.send_query(b"WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n")
            each_server.kill()
            each_server.start()
            assert one(each_server.url(), "SELECT answer FROM kept") == 42


def test_a_stale_pid_file_that_names_another_living_process_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.start()
    server.kill()
    file = server.data / "postmaster.pid"
    file.write_text("\n".join([str(os.getppid()), *file.read_text().splitlines()[1:]]))
    server.start()
    server.stop()


def test_a_second_start_in_the_same_folder_is_refused(server: EmbeddedPostgres) -> None:
    with server, pytest.raises(ConfigurationError, match="running already"):
        EmbeddedPostgres(server.folder, bin_dir=server.bin_dir, shared_buffers="32MB").start()


def test_a_server_that_does_not_start_shows_the_end_of_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    with (server.data / "local.conf").open("a") as file:
        file.write("recovery_target_time = 'never'\n")
    with pytest.raises((UnavailableError, ConfigurationError), match="recovery_target_time"):
        server.start()
    assert server.process is None


def test_lost_passwords_are_named(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.folder / "passwords.json").unlink()
    with pytest.raises(ConfigurationError, match=r"passwords\.json"):
        server.start()


def test_data_of_another_version_is_refused(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="was made by PostgreSQL 9"):
        server.start()


def test_an_interrupted_initdb_is_done_again(server: EmbeddedPostgres) -> None:
    left = server.folder / "data.new"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    with server:
        assert one(server.url(), "SELECT 1") == 1


def test_a_long_path_moves_the_socket_elsewhere(open_folder: Path) -> None:
    deep = open_folder / ("long-" * 12) / ("name-" * 12)
    with EmbeddedPostgres(deep, shared_buffers="32MB") as server:
        assert one(server.url("kraj_ingest"), "SELECT current_user") == "kraj_ingest"
        assert EmbeddedPostgres(deep).url() == server.url()


if os.geteuid() == 0:  # for a normal user the server runs as that user, and these claims mean nothing

    def test_binaries_that_the_account_cannot_reach_are_copied(open_folder: Path) -> None:
        closed = open_folder / "closed"
        closed.mkdir(mode=0o700)
        install = wheel_bin_dir().parent
        package = install.parent
        shutil.copytree(install, closed / package.name / install.name, symlinks=True)
        shutil.copytree(f"{package}.libs", closed / f"{package.name}.libs")
        bin_dir = closed / package.name / install.name / "bin"
        with EmbeddedPostgres(open_folder / "database", bin_dir=bin_dir, shared_buffers="32MB") as server:
            assert server.bin_dir.is_relative_to(server.folder)
            assert one(server.url(), "SELECT 1") == 1

    def test_a_folder_that_the_account_cannot_reach_is_refused_and_nothing_is_opened(open_folder: Path) -> None:
        closed = open_folder / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(ConfigurationError, match="KRAJ_STATE_DIR"):
            EmbeddedPostgres(closed / "database").start()
        assert closed.stat().st_mode & 0o777 == 0o700


def test_the_server_shuts_down_when_its_parent_is_killed(open_folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from stack.database import EmbeddedPostgres\n"
        f"server = EmbeddedPostgres(Path({str(open_folder / 'database')!r}), shared_buffers='32MB')\n"
        "server.start(); print(server.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([server], timeout=20)[0]
    assert "database system is shut down" in (open_folder / "database" / "postgres.log").read_text()
