"""Real servers for the tests: two PostgreSQL versions, a fresh migrated database for each test, a broker."""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from stack.broker import Broker
from stack.database import OWNER, ROLES, EmbeddedPostgres
from tests import lazily

# How long an example takes says how busy the machine is.
settings.register_profile("kraj", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kraj")

TEMPLATE = "kraj_template"
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
MEMORY_BYTES_MIN = 4 << 30
GARBAGE = (20_000, 20, 20)
"""How many things are made between two looks, as the interpreter counts them; its own numbers cost a sixth."""
LONG = ("tests/api/test_contract.py", "tests/acceptance/test_every_page.py", "tests/benchmarks/")


def pytest_collection() -> None:
    """What is imported stays: looking through it for garbage again and again was a third of the work."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that no worker is alone with it in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """As what is there by now stays, too, only what tests make is looked through, and not at each application's end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()
    lazily.install()


def _open_folder() -> Path:
    """Make a temporary folder that the servers' own accounts can reach, which pytest's ``tmp_path`` is not.

    In memory where there is room: making and dropping a database takes 20 ms there, on a disk 150.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    folder = Path(tempfile.mkdtemp(prefix="kraj-", dir=MEMORY if roomy else None))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that the servers' own accounts can reach."""
    folder = _open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    """The same for all tests of a file."""
    folder = _open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL of the wheel, empty."""
    yield from _serve(None)


@pytest.fixture(scope="session")
def postgres15() -> Iterator[EmbeddedPostgres]:
    """The oldest PostgreSQL that we support, or the oldest that the system's packages have, empty."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not found:
        pytest.fail("the system's PostgreSQL is missing; run `make setup` or `apt-get install postgresql`")
    yield from _serve(found[0])


def _serve(bin_dir: Path | None) -> Iterator[EmbeddedPostgres]:
    folder = _open_folder()
    with EmbeddedPostgres(folder, bin_dir=bin_dir, shared_buffers="64MB") as server:
        _quicken(server)
        yield server
    shutil.rmtree(folder)


def _quicken(server: EmbeddedPostgres) -> None:
    """Tests connect tens of thousands of times: with one round of hashing instead of 4096 that takes half the work."""
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as connection:
        # Who gives up amidst signing in may leave the line open, and until it is cut no database can be dropped.
        connection.execute("ALTER SYSTEM SET authentication_timeout = '5s'")
        connection.execute("SELECT pg_reload_conf()")
        if connection.info.server_version < 160000:
            return
        connection.execute("SET scram_iterations = 1")
        for role in ROLES:
            password = unquote(urlsplit(server.url(role)).password or "")
            change = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(change.format(sql.Identifier(role), sql.Literal(password)))


@pytest.fixture(scope="session")
def _migrated(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    return with_template(postgres)


@pytest.fixture(scope="session")
def _migrated15(postgres15: EmbeddedPostgres) -> EmbeddedPostgres:
    return with_template(postgres15)


def with_template(server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The server with a migrated database, of which ``fresh`` makes copies: migrating takes a second, a copy 20 ms."""
    from kraj.store.migrate import migrate  # here, so that tests without a database do not need the store

    _admin(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(server.url(database=TEMPLATE))
    return server


@pytest.fixture
def database_role_url(_migrated: EmbeddedPostgres) -> Iterator[Callable[[str], str]]:
    """A fresh migrated database: role → its URL."""
    yield from fresh(_migrated)


@pytest.fixture(scope="module")
def module_database_url(_migrated: EmbeddedPostgres) -> Iterator[str]:
    """The owner's URL of a migrated database that the tests of a file share."""
    for url in fresh(_migrated):
        yield url(OWNER)


@pytest.fixture
def database_url(database_role_url: Callable[[str], str]) -> str:
    """The owner's URL of a fresh migrated database (the same one as ``database_role_url``)."""
    return database_role_url(OWNER)


@pytest.fixture
def database15_role_url(_migrated15: EmbeddedPostgres) -> Iterator[Callable[[str], str]]:
    """A fresh migrated database on the oldest PostgreSQL: role → its URL."""
    yield from fresh(_migrated15)


@pytest.fixture
def database15_url(database15_role_url: Callable[[str], str]) -> str:
    """The owner's URL of a fresh migrated database on the oldest PostgreSQL."""
    return database15_role_url(OWNER)


def fresh(server: EmbeddedPostgres) -> Iterator[Callable[[str], str]]:
    """A migrated database as long as it is needed: role → its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    _admin(server, create.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    yield lambda role: server.url(role, database=name)
    _admin(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _admin(server: EmbeddedPostgres, statement: sql.Composed) -> None:
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def _broker() -> Iterator[Broker]:
    folder = _open_folder()
    with Broker(folder, open=True) as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture
def broker(_broker: Broker) -> Iterator[Broker]:
    """A broker without passwords, that holds nothing of earlier tests: no sessions, and no messages for newcomers."""
    yield _broker
    _broker.kill()
    _broker.start()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run in CI when a test was skipped: there everything that a test needs is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter is not None else 0
    if os.environ.get("CI") == "true" and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        assert reporter is not None
        reporter.write_line(f"CI: {skipped} skipped tests count as failed", red=True)
