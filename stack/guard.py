"""The broker under mutual TLS with whom it lets in and refuses: the database tells, the broker learns it here.

One place makes revocation lists, and it runs beside the broker: whoever revokes, by page, API or command, writes to
the database alone. A list counts for new connections; the session that a revoked device still has is ended by
connecting once in its name.
"""

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import Popen

import psycopg
import structlog

from api.issuing import Issuer, issuer
from kraj import certificates
from kraj.clock import Clock, real
from kraj.errors import KrajError
from kraj.store import foreign, identity
from kraj.store.identity import Revoked
from stack import authority
from stack.broker import LOOPBACK, REVOKED, Broker, Foreign, Tls
from stack.probe import CONNACK, CONNECT

LOOK_S = 1.0
"""How often the database is asked who is revoked: of the 5 s from revocation to refusal the rest is reserve."""
UPKEEP_S = 3600.0
"""How often the broker's own certificate is looked at; it is renewed months before its end."""
GUEST_LIFE = timedelta(minutes=5)
ENDED_MAX = 200
"""Sessions that are ended in one look; the others' devices are refused by ingest all the same."""
CONNECT_S_MAX = 3
DISCONNECT = b"\xe0\x00"

log = structlog.get_logger(__name__)


class GuardedBroker:
    """A broker for the supervisor; its certificate, whom it trusts and whom it refuses come from the authority.

    Args:
        broker: not started yet.
        folder: the authority's.
        names: host names and addresses by which devices reach the broker.
        url: of the database, as the owner.
        foreign_port: where other makers' devices are heard, by TLS and passwords; 0: nowhere.
    """

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        names: Sequence[str],
        url: Callable[[], str],
        *,
        foreign_port: int = 0,
        clock: Clock = real,
    ) -> None:
        self.broker = broker
        self._folder = folder
        self._names = list(names)
        self._url = url
        self._foreign_port = foreign_port
        self._clock = clock
        self._known: frozenset[int] = frozenset()
        self._credentials: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._using = threading.Lock()

    @property
    def log(self) -> Path:
        return self.broker.log

    @property
    def process(self) -> "Popen[bytes] | None":
        return self.broker.process

    def start(self) -> None:
        """Start the broker with what is known now; when the database is away, with what was known before."""
        with self._using:
            authority.ensure(self._folder, self._clock())
            try:
                rows, credentials = self._read()
            except psycopg.OperationalError:
                rows, credentials = None, self._credentials
            self.broker.tls, self.broker.foreign = self._tls(rows), self._foreign(credentials)
            self.broker.start()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="broker guard", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stopping.clear()
        self.broker.stop()

    def _watch(self) -> None:
        since_upkeep = 0.0
        while not self._stopping.wait(LOOK_S):
            since_upkeep += LOOK_S
            # The database is away, the disk is full: it passes, and what is refused stays refused meanwhile.
            try:
                with self._using:
                    self.look(upkeep=since_upkeep >= UPKEEP_S)
            except (psycopg.Error, KrajError, OSError) as error:
                log.warning("revocations cannot be looked up", error=str(error).strip())
            else:
                since_upkeep = 0.0 if since_upkeep >= UPKEEP_S else since_upkeep

    def look(self, *, upkeep: bool = False) -> None:
        """Let the broker refuse whoever was revoked since the last look, and end the sessions that they have."""
        rows, credentials = self._read()
        known = self._known
        new = [row for row in rows if row.serial not in known]
        if not new and not upkeep and credentials == self._credentials:
            return
        self.broker.present(self._tls(rows), self._foreign(credentials))
        if new:
            log.info("broker refuses revoked certificates", new=len(new), all=len(rows))
        # A renewed device holds another certificate already, and nobody else ever held this one.
        names = sorted({row.device for row in new if row.reason != "renewed"})[:ENDED_MAX]
        by = issuer(self._folder)
        for name in names:
            with contextlib.suppress(OSError):
                end_session(name, by, LOOPBACK, self.broker.port, self._clock())

    def _read(self) -> tuple[list[Revoked], dict[str, str]]:
        """Who is revoked, and the hashed passwords of other makers' devices."""
        with psycopg.connect(self._url(), autocommit=True, connect_timeout=CONNECT_S_MAX) as connection:
            rows = identity.revoked(connection, self._clock())
            return rows, foreign.credentials(connection) if self._foreign_port else {}

    def _foreign(self, credentials: dict[str, str]) -> Foreign | None:
        if not self._foreign_port:
            return None
        own = authority.foreign_server(self._folder, self._names, self._clock())
        self._credentials = credentials
        return Foreign(self._foreign_port, own.key.read_text(), own.certificate.read_text(), credentials)

    def _tls(self, rows: list[Revoked] | None) -> Tls:
        now = self._clock()
        own = authority.server(self._folder, self._names, now)
        file = self.broker.folder / REVOKED
        before = file.read_text() if file.exists() else ""
        if rows is None and before.count("BEGIN X509 CRL") == len(authority.generations(self._folder)):
            revoked = before
        else:
            revoked = authority.revocation_lists(self._folder, rows or [], before, now)
            self._known = frozenset(row.serial for row in rows or [])
        return Tls(
            key=own.key.read_text(),
            certificate=own.certificate.read_text(),
            trusted=authority.trusted(self._folder),
            revoked=revoked,
        )


def end_session(name: str, by: Issuer, host: str, port: int, now: datetime) -> None:
    """End a device's session by connecting once in its name, with a certificate that is good for minutes.

    Whoever connects under a client id takes over its session (MQTT 5, 3.1.4-3), which is the only way to end one from
    outside that every broker has.
    """
    key = certificates.new_key()
    guest = certificates.issue_client(by.authority, key.public_key(), name, now, GUEST_LIFE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificates.pem(*by.roots))
    context.check_hostname = False  # it is the broker that we started, by whichever names
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # mode 0600
        file.write(certificates.key_pem(key) + certificates.pem(guest, by.authority.certificate))
        file.flush()
        context.load_cert_chain(file.name)
    with socket.create_connection((host, port), CONNECT_S_MAX) as wire, context.wrap_socket(wire) as connection:
        connection.sendall(CONNECT)
        if connection.recv(1)[:1] == bytes((CONNACK,)):
            connection.sendall(DISCONNECT)
