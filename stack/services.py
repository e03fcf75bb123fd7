"""The services of one machine under the supervisor: what ``kraj up`` runs, and what ``kraj demo`` builds on."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import typer

from kraj.clock import real
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings
from kraj.store.migrate import migrate
from stack import authority
from stack.broker import Broker
from stack.database import OWNER, EmbeddedPostgres
from stack.foreign import FEED
from stack.guard import GuardedBroker
from stack.process import free_port, port_free
from stack.secrets import load_or_create, write_private, write_private_bytes
from stack.supervisor import Program, Server, Supervisor, kraj

TLS_PORT = 8883
"""Of MQTT over TLS, as the standard's registration has it."""
LOCAL_NAMES = ("localhost", "127.0.0.1")
PORTS_TRIED = 20
"""How far above the wanted port a free one is looked for."""


class Prepared:
    """An embedded database that is migrated, and filled if need be, as soon as it runs."""

    def __init__(self, database: EmbeddedPostgres, prepare: Callable[[str], object]) -> None:
        self.database = database
        self._prepare = prepare

    @property
    def log(self) -> Path:
        return self.database.log

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        return self.database.process

    def start(self) -> None:
        self.database.start()
        try:
            self._prepare(self.database.url())
        except psycopg.OperationalError as error:  # it was stopped meanwhile, or has died
            raise UnavailableError(f"the database went away while it was being prepared: {error}") from error

    def stop(self) -> None:
        self.database.stop()


def embedded(settings: Settings) -> EmbeddedPostgres:
    """Return the embedded database of this installation, running or not."""
    return EmbeddedPostgres(settings.state_dir / "database", tcp_port=settings.database_port or None)


def database_url(settings: Settings, role: str = OWNER) -> str:
    """Return the URL of the database that the settings mean, for the role where the database is the embedded one."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    database = embedded(settings)
    if not (database.data / "PG_VERSION").exists():
        raise ConfigurationError(
            "there is no database yet; set KRAJ_DATABASE_URL to a PostgreSQL of yours, or run `kraj up`, "
            "which makes one, or `kraj demo`, which makes one with a simulated region"
        )
    return database.url(role)


@contextmanager
def running_database(settings: Settings) -> Generator[str]:
    """Give the owner's URL of a database that runs: the embedded one is started for the while if need be."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    prepare_folder(settings.state_dir)
    database = embedded(settings)
    if database.runs():
        yield database.url()
    else:
        with database:
            yield database.url()


def guarded_broker(
    settings: Settings, folder: Path, port: int, url: Callable[[], str]
) -> tuple[GuardedBroker, dict[str, str]]:
    """Return a broker of our own under mutual TLS, and by which settings ingest reaches it.

    Ingest on this machine comes by the Unix socket with a password that nobody types, as half of the broker's work is
    TCP and TLS; where the path is too long for a socket it comes by TLS with the certificate of its slot.
    """
    authorities = settings.authority_dir or folder / "authority"
    slot = settings.ingest_slot
    names = (slot, FEED)
    known = load_or_create(folder / "services.json", names)
    passwords = {name: known[name] for name in names}
    for name, password in passwords.items():
        write_private(folder / f"{name}.password", password + "\n")
    broker = Broker(folder / "broker", port=port, host=settings.broker_host, credentials=passwords)
    broker.reserve()
    asked = (name.strip() for name in settings.broker_names.split(","))
    reached_by = list(dict.fromkeys([*LOCAL_NAMES, *filter(None, asked)]))
    authority.ensure(authorities, real())
    env = {"KRAJ_MQTT_HOST": broker.address, "KRAJ_MQTT_PORT": str(broker.port)}
    if broker.address.startswith("/"):
        env |= {"KRAJ_MQTT_USERNAME": slot, "KRAJ_MQTT_PASSWORD_FILE": str(folder / f"{slot}.password")}
    else:
        own = authority.service(authorities, slot, real())
        env |= {"KRAJ_MQTT_CA_FILE": str(authority.roots_file(authorities))}
        env |= {"KRAJ_MQTT_CERTIFICATE_FILE": str(own.certificate), "KRAJ_MQTT_KEY_FILE": str(own.key)}
    return GuardedBroker(broker, authorities, reached_by, url, foreign_port=settings.foreign_port), env


def programs(
    url: Callable[[str], str],
    *,
    logs: Path,
    api_host: str,
    api_port: int,
    metrics_port: int,
    env: dict[str, str],
    ingest_env: dict[str, str],
    authority_dir: Path,
    secrets_dir: Path,
    opendata_dir: Path,
    rollup_port: int = 0,
) -> list[tuple[str, Server]]:
    """Return ingest, API, notifications, rollups and open data, each with the database role that is its own.

    ``ingest_env`` are the secrets of ingest; the API alone is told where the issuing key is, and notifications alone
    where the key is that signs pushed messages.
    """
    metrics_port = metrics_port or free_port()
    ingest = {
        "KRAJ_DATABASE_URL": url("kraj_ingest"),
        "KRAJ_INGEST_METRICS_PORT": str(metrics_port),
        **ingest_env,
    }
    pages = {"KRAJ_API_HOST": api_host, "KRAJ_API_PORT": str(api_port)}
    push_key, push_public = push_keys(secrets_dir)
    api = {"KRAJ_DATABASE_URL": url("kraj_api"), "KRAJ_AUTHORITY_DIR": str(authority_dir), **pages}
    api |= {"KRAJ_PUSH_PUBLIC_KEY": push_public, "KRAJ_OPENDATA_DIR": str(opendata_dir)}
    opendata = {"KRAJ_DATABASE_URL": url("kraj_api"), "KRAJ_OPENDATA_DIR": str(opendata_dir), **pages}
    # Its messages link to the pages, so it knows where they are.
    notify = {"KRAJ_DATABASE_URL": url("kraj_notify"), "KRAJ_PUSH_KEY_FILE": str(push_key), **pages}
    rollup = {"KRAJ_DATABASE_URL": url("kraj_rollup"), "KRAJ_ROLLUP_METRICS_PORT": str(rollup_port)}
    return [
        (
            "ingest",
            Program(
                kraj("ingest"),
                log=logs / "ingest.log",
                env={**env, **ingest},
                ready=lambda: listens("127.0.0.1", metrics_port),
            ),
        ),
        (
            "api",
            Program(kraj("api"), log=logs / "api.log", env={**env, **api}, ready=lambda: listens(api_host, api_port)),
        ),
        ("notify", Program(kraj("notify"), log=logs / "notify.log", env={**env, **notify})),
        ("rollup", Program(kraj("rollup"), log=logs / "rollup.log", env={**env, **rollup})),
        ("opendata", Program(kraj("opendata", "serve"), log=logs / "opendata.log", env={**env, **opendata})),
    ]


def push_keys(folder: Path) -> tuple[Path, str]:
    """The file of the key that signs messages to telephones, made where there is none, and its public key.

    It is kept for good: every browser that was switched on takes messages of this key alone.
    """
    from api.notifications import push  # only who starts services pays for it

    file = folder / "push.pem"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private_bytes(file, push.new_key())
    return file, push.public_key(file)


def up(settings: Settings) -> None:
    """Run ingest, API, notifications, rollups, open data and the daily archive until told to stop; migrate first.

    Without KRAJ_DATABASE_URL the embedded database runs beside them, without KRAJ_MQTT_HOST a broker under mutual TLS.
    """
    units: list[tuple[str, Server]] = []
    if settings.database_url is None:
        database = embedded(settings)
        units.append(("database", Prepared(database, migrate)))
        url = database.url
        prepare_folder(settings.state_dir)
    else:
        configured = settings.database_url.get_secret_value()
        migrate(configured)

        own = {
            "kraj_ingest": settings.ingest_database_url,
            "kraj_api": settings.api_database_url,
            "kraj_notify": settings.notify_database_url,
            "kraj_rollup": settings.rollup_database_url,
        }

        def url(role: str = OWNER) -> str:
            secret = own.get(role)
            return configured if secret is None else secret.get_secret_value()

    if not port_free(settings.api_port):
        raise ConfigurationError(f"port {settings.api_port} is taken; stop what listens there, or set KRAJ_API_PORT")
    authority.ensure(settings.authority_folder, real())
    ingest_env: dict[str, str] = {}
    if "mqtt_host" in settings.model_fields_set:
        broker = f"{settings.mqtt_host}:{settings.mqtt_port}"
    else:
        prepare_folder(settings.state_dir)
        port = settings.mqtt_port if "mqtt_port" in settings.model_fields_set else TLS_PORT
        guarded, ingest_env = guarded_broker(settings, settings.state_dir, port, url)
        units.append(("broker", guarded))
        broker = f"{settings.broker_host}:{guarded.broker.port} (mutual TLS)"
    units += programs(
        url,
        logs=settings.state_dir / "logs",
        api_host=settings.api_host,
        api_port=settings.api_port,
        metrics_port=settings.ingest_metrics_port,
        env={},
        ingest_env=ingest_env,
        authority_dir=settings.authority_folder,
        secrets_dir=settings.state_dir / "secrets",
        opendata_dir=settings.opendata_folder,
        rollup_port=settings.rollup_metrics_port,
    )
    archive = {"KRAJ_DATABASE_URL": url()}
    units.append(
        (
            "archive",
            Program(kraj("archive", "--every", "24"), log=settings.state_dir / "logs" / "archive.log", env=archive),
        )
    )
    page = f"http://{settings.api_host}:{settings.api_port}/"
    supervise(units, on_ready=lambda: typer.echo(f"Kraj runs: page {page}, broker {broker}; Ctrl-C stops it."))


def supervise(units: Sequence[tuple[str, Server]], *, on_ready: Callable[[], None]) -> None:
    """Run the units until told to stop, saying on the terminal what dies and comes back."""
    supervisor = Supervisor(tell=lambda line: typer.secho(line, fg="yellow", err=True))
    asyncio.run(supervisor.run(units, on_ready=on_ready))


def prepare_folder(folder: Path) -> None:
    """Make a state folder that the servers' own accounts can pass through."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {folder} ({error.strerror}); set KRAJ_STATE_DIR to a folder that you may write to"
        ) from error
    if os.geteuid() == 0:
        folder.chmod(folder.stat().st_mode | 0o011)


def listens(host: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), 1.0):
            return True
    except OSError:
        return False


def free_port_from(wanted: int) -> int:
    """Return the wanted port or the next one above it that is free."""
    for port in range(wanted, wanted + PORTS_TRIED):
        if port_free(port):
            return port
    raise ConfigurationError(f"the ports {wanted} to {wanted + PORTS_TRIED - 1} are all taken; set KRAJ_API_PORT")
