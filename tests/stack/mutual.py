"""An authority, a broker under mutual TLS and devices with certificates, for tests."""

import socket
import ssl
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from kraj import certificates
from kraj.certificates import Authority, Certificate, Key
from stack import authority
from stack.broker import Broker, Tls
from stack.probe import CONNECT
from tests.stack.test_broker import Client
from tests.waiting import PATIENCE_S

NAMES = ("localhost", "127.0.0.1")


def now() -> datetime:
    return datetime.now(UTC)


class Place:
    """The folder of an authority, and PEM files of devices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "authority"
        self.files = folder / "devices"
        self.files.mkdir(exist_ok=True)
        self.by: Authority = authority.ensure(self.folder, now()).authority
        self.roots = certificates.pem(*authority.ensure(self.folder, now()).roots)

    def tls(self, names: Sequence[str] = NAMES, revoked: str = "") -> Tls:
        own = authority.server(self.folder, names, now())
        return Tls(
            own.key.read_text(),
            own.certificate.read_text(),
            authority.trusted(self.folder),
            revoked or authority.revocation_lists(self.folder, [], "", now()),
        )

    def device(self, name: str, issued: Certificate | None = None, key: Key | None = None) -> Path:
        """Write key and certificate of a device into a file, and return it; by default a good one."""
        key = key or certificates.new_key()
        issued = issued or certificates.issue_device(self.by, key.public_key(), name, now())
        file = self.files / f"{name}-{certificates.serial_text(issued)}.pem"
        file.write_text(certificates.key_pem(key) + certificates.pem(issued, self.by.certificate))
        return file

    def context(self, device: Path | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=self.roots)
        if device is not None:
            made.load_cert_chain(device)
        return made


def admitted(broker: Broker, context: ssl.SSLContext, host: str = "127.0.0.1") -> bool:
    """Whether the broker takes a client in; what the client refuses is raised."""
    with socket.create_connection(("127.0.0.1", broker.port), 5) as wire:
        try:
            with context.wrap_socket(wire, server_hostname=host) as connection:
                connection.sendall(CONNECT)
                answer = connection.recv(64)
        except ssl.SSLCertVerificationError:
            raise
        except (ssl.SSLError, ConnectionError):
            return False
    return len(answer) > 3 and answer[0] == 0x20 and answer[3] == 0


@contextmanager
def device(broker: Broker, context: ssl.SSLContext, name: str = "") -> Generator[Client]:
    """A device's session, by an MQTT library that is not ours."""
    client = Client(name)
    client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]
    ready = threading.Event()
    client.on_connect = lambda *_: ready.set()  # pyright: ignore[reportUnknownLambdaType]
    client.connect("127.0.0.1", broker.port, keepalive=30)
    client.loop_start()
    try:
        assert ready.wait(PATIENCE_S)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
