"""mosquitto as our own child process: its configuration, identities and access list, start, stop and kill."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from kraj.errors import ConfigurationError, UnavailableError
from kraj.firmware_blocks import ROOT as RELEASES
from kraj.topics import DOWN, NAME, ROOT, UP
from stack import foreign
from stack.probe import answers
from stack.process import Account, end, free_port, permits, port_free, rotate, run, service_account, spawn, tail
from stack.secrets import write_private

LOOPBACK = "127.0.0.1"
ACCOUNT = "mosquitto"
"""Made by Debian's package; we make it where a package does not."""

START_S_MAX = 10.0
INFLIGHT_MAX = 65_535
"""MQTT 5 counts the receive maximum in two bytes."""
PACKET_BYTES_MAX = 256 * 1024
QUEUED_MAX = 200_000
"""Per session; at 496 bytes each about 100 MB, which the one session of ingest may take, and then it is full."""
KEEPALIVE_S_MAX = 600

KEY, CERTIFICATE, TRUSTED, REVOKED = "server.key", "server.pem", "trusted.pem", "revoked.pem"
FOREIGN_KEY, FOREIGN_CERTIFICATE = "foreign.key", "foreign.pem"

SERVICE = re.compile(r"[a-z0-9]+_[a-z0-9_]{1,62}")
"""Names of our own services, which no device can have."""
PASSWORD = re.compile(r"[!-9;-~]{1,200}")
"""Visible ASCII but the colon: mosquitto_passwd 2.0.11 cuts a password at a second colon without a word."""

SOCKET_PATH_BYTES_MAX = 107


@dataclass(frozen=True, slots=True)
class Tls:
    """What the broker shows and trusts, as PEM; ``revoked`` needs a list for each issuing authority that is trusted."""

    key: str
    certificate: str
    trusted: str
    revoked: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A listener for other makers' devices: its port, key and certificate (PEM), device name → hashed password."""

    port: int
    key: str
    certificate: str
    credentials: Mapping[str, str]


class Broker:
    """A mosquitto in one folder on one port, running as our direct child.

    The broker is disposable: what it holds is lost with it, and the devices send again what was not committed.

    Args:
        folder: holds configuration, passwords and log; made when missing. When we are root its parents must be
            passable for everybody, as mosquitto runs as an account of its own.
        port: 0 takes a free one, kept over restarts.
        host: the address that it hears on.
        open: let everybody do everything without a password, for benchmarks and tests.
        credentials: user name → password. Devices are named as in their topics, ingest by its slot (``slot_0``).
        tls: devices come by mutual TLS, and their certificate's common name is their name; passwords then count on
            the Unix socket alone, which is for services on this machine.
        inflight: messages that ingest may leave unacknowledged at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        host: str = LOOPBACK,
        open: bool = False,  # noqa: A002 — it says what it does, and hides nothing that is used here
        credentials: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        inflight: int = 10_000,
    ) -> None:
        if not 1 <= inflight <= INFLIGHT_MAX:
            raise ConfigurationError(f"inflight must be from 1 to {INFLIGHT_MAX}, not {inflight}")
        self.folder = folder.absolute()
        self.log = self.folder / "mosquitto.log"
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.tls = tls
        self.foreign: Foreign | None = None
        self._host = host
        self._open = open
        self._inflight = inflight
        self._credentials = dict(credentials or {})

    @property
    def address(self) -> str:
        """Where ingest connects: the Unix socket, or loopback where that is not possible."""
        path = socket_path(self.folder)
        return str(path) if path else LOOPBACK

    def start(self) -> None:
        """Write the files, start mosquitto and wait until it answers MQTT.

        Raises:
            ConfigurationError: mosquitto is missing, the port is taken or the folder not usable.
            UnavailableError: it did not start; the message has the end of its log.
        """
        if self.process is not None and self.process.poll() is None:
            return
        program = find_mosquitto()
        self.reserve()
        if not port_free(self.port):
            raise ConfigurationError(f"port {self.port} is taken; stop what listens there, or set KRAJ_MQTT_PORT")
        # Not started as root for mosquitto to step down by itself: so it never is root, and what it cannot read
        # after a reload it cannot read at the start either.
        account = service_account(ACCOUNT)
        self._prepare_folder(account)
        self._write_files(account)
        command = [program, "-c", str(self.folder / "mosquitto.conf")]
        self.process = spawn(command, log=self.log, folder=self.folder, account=account)
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def reserve(self) -> None:
        """Choose the port now, for those who must know it before the start."""
        self.port = self.port or free_port()

    def stop(self) -> None:
        """Stop it in good order: clients are told, wills are sent."""
        if self.process is not None:
            end(self.process, (signal.SIGTERM, 5.0))
            self.process = None

    def kill(self) -> None:
        """SIGKILL, as the out-of-memory killer would; ``start`` takes the same port again."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def admit(self, credentials: Mapping[str, str]) -> None:
        """Replace all credentials; a running broker takes them in for new connections."""
        self._credentials = dict(credentials)
        if self.process is not None:
            self._write_files(service_account(ACCOUNT))
            self.process.send_signal(signal.SIGHUP)

    def present(self, tls: Tls, other: Foreign | None = None) -> None:
        """Show another certificate, and let in and refuse others; a running broker does so with new connections.

        What it trusts it learns at a start only: after a rotation of the authority it must be restarted.
        """
        self.tls, self.foreign = tls, other
        if self.process is not None:
            self._write_files(service_account(ACCOUNT))
            self.process.send_signal(signal.SIGHUP)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_folder(self, account: Account | None) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make {self.folder} ({error.strerror}); set KRAJ_STATE_DIR to a folder that you may write to"
            ) from error
        if account is not None:
            self.folder.chmod(self.folder.stat().st_mode | 0o011)  # may be passed through, not listed
        if not permits(account, "-x", self.folder):
            raise ConfigurationError(
                f"the user {ACCOUNT} cannot reach {self.folder}, because a folder above it is closed to others; "
                f"set KRAJ_STATE_DIR to a folder such as /var/lib/kraj"
            )
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        if account is not None:
            os.chown(run, account.uid, account.gid)
        run.chmod(0o700)
        rotate(self.log)

    def _write_files(self, account: Account | None) -> None:
        folder = self.folder
        conf = folder / "mosquitto.conf"
        text = configuration(
            folder, host=self._host, port=self.port, open=self._open, tls=self.tls is not None, inflight=self._inflight
        )
        if self.foreign is not None:
            shown = {"certificate": folder / FOREIGN_CERTIFICATE, "key": folder / FOREIGN_KEY}
            text += "\n".join(foreign.listener(self.foreign.port, self._host, **shown)) + "\n"
        write_private(conf, text)
        files = [conf]
        if self.tls is not None:
            self._write_tls(self.tls, account)
        if not self._open:
            acl, passwords = folder / "acl", folder / "passwords"
            write_private(acl, access_list(name for name in self._credentials if SERVICE.fullmatch(name)))
            hashed = foreign.passwords(self.foreign.credentials) if self.foreign is not None else ""
            _write_passwords(passwords, self._credentials, hashed)
            files += [acl, passwords]
        if account is not None:
            for file in files:
                os.chown(file, account.uid, account.gid)

    def _write_tls(self, tls: Tls, account: Account | None) -> None:
        files = {KEY: tls.key, CERTIFICATE: tls.certificate, TRUSTED: tls.trusted, REVOKED: tls.revoked}
        if self.foreign is not None:
            files |= {FOREIGN_KEY: self.foreign.key, FOREIGN_CERTIFICATE: self.foreign.certificate}
        for name, content in files.items():
            write_private(self.folder / name, content)
            if account is not None:
                os.chown(self.folder / name, account.uid, account.gid)

    @property
    def _local(self) -> str:
        """Where we reach it ourselves."""
        return LOOPBACK if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 — that is what it stands for

    def _await_ready(self) -> None:
        process = self.process
        assert process is not None  # noqa: S101 — start() has just set it
        deadline = time.monotonic() + START_S_MAX
        while process.poll() is None and time.monotonic() < deadline:
            path = socket_path(self.folder) if self.tls is not None else None
            if answers(str(path) if path else self._local, self.port):
                return
            time.sleep(0.01)
        what = "does not answer" if process.poll() is None else f"ended with {process.returncode}"
        raise UnavailableError(f"mosquitto {what} on port {self.port}; the end of {self.log}:\n{tail(self.log)}")


def find_mosquitto() -> str:
    """Return the path of mosquitto; Debian puts it where the path of a normal user does not lead."""
    return _find("mosquitto", "/usr/sbin/mosquitto")


def socket_path(folder: Path) -> Path | None:
    """The Unix socket for ingest on the same machine; None where the path is too long for one.

    Half of the broker's work is the kernel's, and on loopback most of that is TCP: 18 % more messages a second went
    through where only the devices' side spoke TCP.
    """
    path = folder / "run" / "broker.sock"
    return path if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX else None


def configuration(
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int,
    open: bool,  # noqa: A002 — as in Broker
    tls: bool = False,
    inflight: int,
) -> str:
    """Return mosquitto.conf."""
    address = socket_path(folder)
    # Without it a device that connects under the client id of ingest takes over ingest's session. It belongs to the
    # listener above it alone, whatever per_listener_settings says.
    own_session = [] if open else ["use_username_as_clientid true"]
    lines = [
        "# Written at each start by Kraj.",
        "per_listener_settings false",
        f"listener {port} {host}",
        *(_mutual_tls(folder) if tls else ()),
        *own_session,
        *([f"listener 0 {address}", *own_session] if address else []),
        # The window of ingest, which acknowledges after COMMIT: throughput is at most window / commit latency.
        f"max_inflight_messages {inflight}",
        f"max_queued_messages {QUEUED_MAX}",
        f"max_packet_size {PACKET_BYTES_MAX}",
        f"max_keepalive {KEEPALIVE_S_MAX}",
        "set_tcp_nodelay true",
        "persistence false",
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if open:
        lines += ["allow_anonymous true", "connection_messages false"]
    else:
        lines += [
            "allow_anonymous false",
            f"password_file {folder / 'passwords'}",
            f"acl_file {folder / 'acl'}",
        ]
    return "\n".join(lines) + "\n"


def _mutual_tls(folder: Path) -> list[str]:
    """A listener on which a certificate of ours is the only way in, and its common name is the user."""
    return [
        f"cafile {folder / TRUSTED}",
        f"certfile {folder / CERTIFICATE}",
        f"keyfile {folder / KEY}",
        f"crlfile {folder / REVOKED}",
        "require_certificate true",
        "use_identity_as_username true",
        "tls_version tlsv1.2",  # at least
    ]


def access_list(services: Iterable[str]) -> str:
    """Return the access list: a device speaks and hears for itself alone, a slot of ingest for all.

    It holds no line per device; the name in the certificate or the password's user name fills in ``%u``.
    """
    lines = ["# Written at each start by Kraj."]
    slots = sorted(set(services) - {foreign.FEED})
    for name in slots:
        lines.append(f"user {name}")
        lines += [f"topic read {ROOT}/+/+/{channel}" for channel in UP]
        lines += [f"topic write {ROOT}/+/+/{channel}" for channel in DOWN]
        lines.append(f"topic write {RELEASES}/+/+")
    lines += foreign.access_of_services(slots)
    lines += [f"pattern write {ROOT}/+/%u/{channel}" for channel in UP]
    lines += [f"pattern read {ROOT}/+/%u/{channel}" for channel in DOWN]
    lines.append(f"pattern read {RELEASES}/+/+")  # what is signed is no secret
    lines += foreign.access_of_devices()  # other makers' devices, each below a name of its own
    return "\n".join(lines) + "\n"


def _write_passwords(file: Path, credentials: Mapping[str, str], hashed_already: str) -> None:
    """Write the password file, hashed by mosquitto's own tool; lines that are hashed already go behind."""
    for name, password in credentials.items():
        if not (NAME.fullmatch(name) or SERVICE.fullmatch(name)):
            raise ConfigurationError(f"the broker takes no user {name!r}; names match {NAME.pattern}")
        if not PASSWORD.fullmatch(password):
            raise ConfigurationError(f"the password of {name} has characters that the broker's file cannot hold")
    new = file.with_name(file.name + ".plain")
    write_private(new, "".join(f"{name}:{password}\n" for name, password in credentials.items()))
    try:
        if credentials:
            tool = _find("mosquitto_passwd", "/usr/bin/mosquitto_passwd")
            hashed = run([tool, "-U", str(new)], account=None, folder=file.parent)
            if hashed.returncode != 0:
                raise ConfigurationError(f"mosquitto_passwd failed: {hashed.stderr.strip() or hashed.stdout.strip()}")
        write_private(file, new.read_text() + hashed_already)
    finally:
        new.unlink(missing_ok=True)


def _find(program: str, usual: str) -> str:
    found = shutil.which(program) or (usual if Path(usual).exists() else None)
    if found is None:
        raise ConfigurationError(f"{program} is not installed; run `apt-get install mosquitto`")
    return found
