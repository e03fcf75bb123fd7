"""How long a revoked device's live session lasts: from the API's answer until the broker has closed its connection."""

import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from kraj import certificates
from kraj.errors import UnavailableError
from stack.bench.processes import wait_until
from stack.broker import LOOPBACK, Broker
from stack.guard import GuardedBroker
from stack.probe import CONNACK

SESSION_S_MAX = 30.0
CONNECT = b"\x10\x0d\x00\x04MQTT\x05\x02\x02\x58\x00\x00\x00"
"""An MQTT 5 CONNECT that keeps alive for 600 s: silence does not end the session while it is measured."""
CLOSED = (b"", b"\xe0")
"""The end of the connection, or a DISCONNECT before it."""


def measure(  # noqa: PLR0917 - where, by whom, what
    url: str, base: str, signed: Mapping[str, str], folder: Path, devices: Sequence[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """Enrol ``devices`` over the API at ``base``, let them live under mutual TLS, and revoke them one by one.

    They must not have had a certificate: one that is replaced ends their session as well. ``url`` is the database's as
    the owner, ``folder`` holds the authority of the API. Times are in seconds.
    """
    guard = GuardedBroker(Broker(folder / "broker"), folder / "authority", ["localhost", LOOPBACK], lambda: url)
    guard.start()
    try:
        with ExitStack() as stack, httpx.Client(base_url=base, headers=dict(signed), timeout=SESSION_S_MAX) as client:
            contexts = {name: _enrolled(client, name) for name in devices}
            live = {
                name: stack.enter_context(_session(context, guard.broker.port)) for name, context in contexts.items()
            }
            spent = [_revoked(client, name, live[name]) for name in devices]
            again = sum(_admitted(context, guard.broker.port) for context in contexts.values())
    finally:
        guard.stop()
    say(f"revocation to the end of the live session: {max(spent):.2f} s at most of {len(spent)}; let in again: {again}")
    return {"revocation_s": round(max(spent), 2), "revocations": len(spent), "revoked_let_in": again}


def _enrolled(client: httpx.Client, name: str) -> ssl.SSLContext:
    """What a device connects with, by a code of the API; others enrol from this address, too."""
    code = client.post(f"/v1/devices/{name}/provision").raise_for_status().json()["code"]
    key = certificates.new_key()
    body = {"code": code, "csr": certificates.request(key).decode()}
    got: list[dict[str, str]] = []

    def enrols() -> bool:
        answer = client.post("/v1/enrol", json=body)
        if answer.status_code != 429:
            got.append(answer.raise_for_status().json())
        return bool(got)

    wait_until(enrols, f"the enrolment of {name}")
    context = ssl.create_default_context(cadata=got[0]["roots"])
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # mode 0600
        file.write(certificates.key_pem(key) + got[0]["certificate"])
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _session(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """A session that the broker has taken in."""
    with ExitStack() as stack:
        wire = stack.enter_context(socket.create_connection((LOOPBACK, port), SESSION_S_MAX))
        connection = stack.enter_context(context.wrap_socket(wire, server_hostname=LOOPBACK))
        connection.sendall(CONNECT)
        answer = connection.recv(256)
        if len(answer) < 4 or answer[0] != CONNACK or answer[3] != 0:
            raise UnavailableError(f"the broker did not take in a device that had just enrolled: {answer!r}")
        stack.pop_all()
        return connection


def _revoked(client: httpx.Client, name: str, session: ssl.SSLSocket) -> float:
    """Seconds from the API's answer to the end of the session; raises ``UnavailableError`` where it does not end."""
    body = {"step": "decommissioned", "reason": "bench"}
    client.post(f"/v1/devices/{name}/steps", json=body).raise_for_status()
    began = time.monotonic()
    try:
        while session.recv(256)[:1] not in CLOSED:
            pass
    except TimeoutError as error:
        raise UnavailableError(f"{name} was revoked and lives on after {SESSION_S_MAX:.0f} s") from error
    except OSError:
        pass  # the connection was reset, which ends it, too
    return time.monotonic() - began


def _admitted(context: ssl.SSLContext, port: int) -> bool:
    try:
        _session(context, port).close()
    except (OSError, UnavailableError):
        return False
    return True
