"""``kraj doctor``: checks of everything that commonly goes wrong, each with its remedy."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import psycopg

from kraj import clock
from kraj.certificates import DEVICE_LIFE
from kraj.errors import ConfigurationError, KrajError
from kraj.settings import Settings
from kraj.store.identity import ending
from kraj.store.migrate import POSTGRES_MAJOR_MAX, POSTGRES_MAJOR_MIN, migrations
from stack import authority, opendata
from stack.broker import find_mosquitto
from stack.database import SERVICE_ROLES, EmbeddedPostgres, wheel_bin_dir
from stack.probe import answers
from stack.process import port_free
from stack.services import TLS_PORT, embedded

PYTHON_MIN = (3, 11)
DISK_BYTES_MIN = 2 * 1024**3
MOSQUITTO_MIN = (2, 0, 10)
"""Older ones lose messages of a session that comes back with a smaller window."""
CLOCK_S_MAX = 2.0
CONNECT_S_MAX = 3
ENDING_SOON = timedelta(days=30)
NAMED_MAX = 10
OPENDATA_OLD = timedelta(days=2)
GUARDS = ("fsync", "full_page_writes", "synchronous_commit")
SECRETS = (
    "passwords.json",
    "devices.json",
    "services.json",
    "*.password",
    "passwords",
    "acl",
    "mosquitto.conf",
    "server.key",
    "foreign.key",
)


class Verdict(StrEnum):
    """Of one check: a note is worth knowing and nothing to repair."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(settings: Settings, now: Callable[[], datetime] = clock.real) -> list[Check]:
    """Run every check; none of them changes anything."""
    checks = [_python(), _state_dir(settings), _disk(settings), _secrets(settings), _mosquitto()]
    database = list(_database(settings, now))
    runs = any(check.name == "database" and check.verdict is Verdict.OK for check in database)
    return [
        *checks,
        _authority(settings, now()),
        *database,
        _broker(settings, expected=runs),
        _port(settings),
        _opendata(settings, now()),
    ]


def _ok(name: str, found: str) -> Check:
    return Check(name, Verdict.OK, found)


def _failed(name: str, found: str, remedy: str) -> Check:
    return Check(name, Verdict.FAILED, found, remedy)


def _python() -> Check:
    found = ".".join(str(number) for number in sys.version_info[:3])
    if sys.version_info < PYTHON_MIN:
        return _failed("Python", found, "install Python 3.11 or newer, then `make setup`")
    return _ok("Python", found)


def _state_dir(settings: Settings) -> Check:
    folder = settings.state_dir
    nearest = _nearest(folder)
    if not os.access(nearest, os.W_OK | os.X_OK):
        remedy = "set KRAJ_STATE_DIR to a folder that you may write to, or run as its owner"
        return _failed("state folder", f"{folder} is not writable", remedy)
    return _ok("state folder", str(folder) if nearest == folder else f"{folder} (not made yet)")


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(_nearest(settings.state_dir)).free
    found = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_BYTES_MIN:
        return _failed("disk", found, "free some space, or set KRAJ_STATE_DIR to a larger disk")
    return _ok("disk", found)


def _secrets(settings: Settings) -> Check:
    folder = settings.state_dir
    if not os.access(_nearest(folder), os.R_OK | os.X_OK):
        return Check("secrets", Verdict.NOTE, "not readable for you; run as the owner of the state folder to check")
    folders = (
        folder,
        folder / "database",
        folder / "broker",
        folder / "demo",
        folder / "demo" / "database",
        folder / "demo" / "broker",
    )
    files = [file for folder in folders for name in SECRETS for file in folder.glob(name)]
    if settings.mqtt_password_file is not None and settings.mqtt_password_file.exists():
        files.append(settings.mqtt_password_file)
    loose = [str(file) for file in files if file.stat().st_mode & 0o077]
    if loose:
        return _failed("secrets", f"others may read {', '.join(loose)}", f"chmod 600 {' '.join(loose)}")
    return _ok("secrets", f"{len(files)} files, readable for their owner alone")


def _authority(settings: Settings, at: datetime) -> Check:
    folder = settings.authority_folder
    if not os.access(_nearest(folder), os.R_OK | os.X_OK):
        return Check("authority", Verdict.NOTE, "not readable for you; run as the owner of the state folder to check")
    if not folder.exists():
        return _ok("authority", f"{folder} (not made yet)")
    loose = [str(file) for file in authority.loose(folder)]
    if loose:
        return _failed("authority", f"others may read {', '.join(loose)}", f"chmod go= {' '.join(loose)}")
    if not authority.generations(folder):
        return _failed("authority", f"there is no issuing key in {folder}", "restore the folder from a backup")
    try:
        return _certificates_of_ours(folder, at)
    except ConfigurationError as error:
        return _failed("authority", str(error), "restore it from a backup")


def _certificates_of_ours(folder: Path, at: datetime) -> Check:
    shown = authority.overview(folder)
    issuing = authority.read_issuing(folder, authority.generations(folder)[-1])
    if issuing.not_valid_after_utc - at < DEVICE_LIFE:
        end = f"what issues ends on {issuing.not_valid_after_utc:%F}, sooner than what it should issue"
        return _failed("authority", end, "`kraj authority rotate`, then restart `kraj up`")
    ended = [what for what, certificate in shown if certificate.not_valid_after_utc <= at]
    if ended:
        return _failed("authority", f"{', '.join(ended)} has ended", "restart `kraj up`, which renews its own")
    kept = sorted((folder / authority.OFFLINE).glob("*.key"))
    if kept:
        remedy = (
            f"move {folder / authority.OFFLINE} to a medium in a safe; it is needed for `kraj authority rotate` only"
        )
        return Check("authority", Verdict.NOTE, "the keys of the roots are on this machine", remedy)
    return _ok("authority", f"generation {authority.generations(folder)[-1]}, {len(shown)} certificates")


def _certificates(connection: psycopg.Connection, at: datetime) -> Check:
    told = ending(connection, at, at + ENDING_SOON, NAMED_MAX)
    if told.devices:
        more = ", …" if told.ended + told.soon > len(told.devices) else ""
        found = (
            f"of {told.ended} devices the certificate has ended, of {told.soon} it ends within {ENDING_SOON.days} days"
            f": {', '.join(told.devices)}{more}"
        )
        remedy = (
            "those on our own firmware are renewed while they are connected (`GET /v1/lighting/commands?device=NAME` "
            "tells what became of it; firmware of before needs an update first), once it has ended by a new code "
            "(`kraj authority code NAME`) and the cable (`kraj firmware flash`); others renew by themselves when they "
            "can reach the API, or need a new code"
        )
        return Check("certificates", Verdict.NOTE, found, remedy)
    return _ok("certificates", f"no device's ends within {ENDING_SOON.days} days")


def _mosquitto() -> Check:
    try:
        program = find_mosquitto()
    except ConfigurationError as error:
        return _failed("mosquitto", "not installed", str(error).rsplit("; ", maxsplit=1)[-1])
    # It prints its help and ends with an error code, in every version.
    answer = subprocess.run([program, "-h"], capture_output=True, text=True, check=False, timeout=10).stdout
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", answer)
    if match is None:
        return _failed("mosquitto", f"{program} does not tell its version", "apt-get install --reinstall mosquitto")
    version = tuple(int(number) for number in match.groups())
    found = f"{'.'.join(match.groups())} at {program}"
    if version < MOSQUITTO_MIN:
        least = ".".join(str(number) for number in MOSQUITTO_MIN)
        return _failed("mosquitto", found, f"upgrade to {least} or newer")
    return _ok("mosquitto", found)


def _database(settings: Settings, now: Callable[[], datetime]) -> Iterator[Check]:
    try:
        wheel_bin_dir()
        if settings.database_url is not None:
            url = settings.database_url.get_secret_value()
        else:
            running = _running(settings)
            if running is None:
                yield Check("database", Verdict.NOTE, "the embedded one does not run", "`kraj up` or `kraj demo`")
                return
            url = running.url()
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S_MAX) as connection:
            yield _version(connection)
            yield _guards(connection)
            yield _migrated(connection)
            yield _roles(connection)
            yield _clock(connection, now)
            yield _certificates(connection, now())
    except KrajError as error:
        yield _failed("database", str(error), "see the message")
    except psycopg.Error as error:
        remedy = "start the server, and check address, user and password in KRAJ_DATABASE_URL"
        yield _failed("database", str(error).strip().splitlines()[-1], remedy)


def _running(settings: Settings) -> EmbeddedPostgres | None:
    for database in (embedded(settings), EmbeddedPostgres(settings.state_dir / "demo" / "database")):
        if database.runs():
            return database
    return None


def _version(connection: psycopg.Connection) -> Check:
    number = connection.info.server_version
    found = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if not POSTGRES_MAJOR_MIN <= number // 10_000 <= POSTGRES_MAJOR_MAX:
        return _failed("database", found, f"take PostgreSQL {POSTGRES_MAJOR_MIN} to {POSTGRES_MAJOR_MAX}")
    return _ok("database", found)


def _guards(connection: psycopg.Connection) -> Check:
    rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(GUARDS)]).fetchall()
    # synchronous_commit has levels above `on`; whichever waits for the disk will do.
    weak = [f"{name} = {value}" for name, value in rows if value in ("off", "local")]
    if weak:
        remedy = "set " + ", ".join(f"{entry.split(' ', maxsplit=1)[0]} = on" for entry in weak) + " in postgresql.conf"
        return _failed("durability", ", ".join(weak), remedy)
    return _ok("durability", ", ".join(GUARDS) + " on")


def _migrated(connection: psycopg.Connection) -> Check:
    row = connection.execute("SELECT to_regclass('public.migration') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return _failed("schema", "not there", "`kraj migrate`")
    applied = {number for (number,) in connection.execute("SELECT number FROM public.migration").fetchall()}
    known = {migration.number for migration in migrations()}
    if known - applied:
        return _failed("schema", f"{len(known - applied)} migrations behind", "`kraj migrate`")
    if applied - known:
        return _failed("schema", f"{len(applied - known)} migrations ahead of this version", "upgrade Kraj")
    return _ok("schema", f"migration {max(known)}")


def _roles(connection: psycopg.Connection) -> Check:
    found = dict(
        connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = ANY(%s)",
            [list(SERVICE_ROLES)],
        ).fetchall()
    )
    missing = set(SERVICE_ROLES) - set(found)
    if missing:
        return _failed("roles", f"missing: {', '.join(sorted(missing))}", "`kraj migrate` makes them")
    powerful = sorted(name for name, power in found.items() if power)
    if powerful:
        remedy = "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE"
        return _failed("roles", f"{', '.join(powerful)} may see every municipality", remedy)
    return _ok("roles", f"{', '.join(SERVICE_ROLES)}: without special rights")


def _clock(connection: psycopg.Connection, now: Callable[[], datetime]) -> Check:
    before = now()
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    after = now()
    there: datetime = row[0] if row else before
    apart_s = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    found = f"{apart_s:.1f} s apart from the database's"
    if apart_s > CLOCK_S_MAX:
        return _failed("clock", found, "run a time service (chrony, systemd-timesyncd) on both machines")
    return _ok("clock", found)


def _broker(settings: Settings, *, expected: bool) -> Check:
    # Without an address it is the broker of `kraj up`.
    own = not {"mqtt_host", "mqtt_port"} & settings.model_fields_set
    port = TLS_PORT if own else settings.mqtt_port
    address = f"{settings.mqtt_host}:{port}"
    if answers(settings.mqtt_host, port, CONNECT_S_MAX):
        return _ok("broker", f"{address} answers")
    remedy = "start it, and check KRAJ_MQTT_HOST and KRAJ_MQTT_PORT; `kraj demo` brings its own"
    loopback = settings.mqtt_host in ("127.0.0.1", "localhost", "::1")
    return Check("broker", Verdict.FAILED if expected or not loopback else Verdict.NOTE, f"{address} is silent", remedy)


def _port(settings: Settings) -> Check:
    if port_free(settings.api_port):
        return _ok("page", f"port {settings.api_port} is free")
    return Check(
        "page",
        Verdict.NOTE,
        f"port {settings.api_port} is taken",
        "nothing to do if it is Kraj that runs there; else set KRAJ_API_PORT (`kraj demo` takes the next free one)",
    )


def _opendata(settings: Settings, at: datetime) -> Check:
    """Nothing of open data is a failure of this machine; what was never built needs no settings yet."""
    made = opendata.read(settings.opendata_folder)
    if made is None or not made.sets:
        return _ok("open data", f"{settings.opendata_folder} (not made yet)")
    age = at - min(one.moment for one in made.sets.values())
    found = f"{len(made.sets)} data sets of {len(made.towns)} municipalities"
    if age > OPENDATA_OLD:
        remedy = "look into opendata.log in the folder of logs, then `kraj opendata build`"
        return Check("open data", Verdict.NOTE, f"{found}, the oldest {age.days} days old", remedy)
    missing = opendata.publisher(settings).missing
    if missing:
        remedy = f"set {', '.join(missing)}; the national catalogue wants them, and https addresses"
        return Check("open data", Verdict.NOTE, f"{found}; the catalogue is not complete", remedy)
    return _ok("open data", found)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
