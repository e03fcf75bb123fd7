"""The broker dies and comes back, and everybody with it: how long until the last device is there again.

Everybody comes by the devices' own backoff. Plain: no password is asked for. Mutual TLS: whole handshakes with P-256,
no session is resumed; the certificates have names of their own and one key, as only their making would cost time.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from kraj import certificates
from kraj.errors import UnavailableError
from stack import authority
from stack.bench.observe import pid_of
from stack.bench.processes import await_ready, go, open_files_for, python, stop
from stack.bench.survive_clients import Plan
from stack.broker import Broker, Tls

PLAIN, MUTUAL = 18_000, 5_000
TOWN = "pruba"
SECONDS_MAX = 45.0
DEAD_S = 0.3
"""Between the kill and the start: everybody has noticed by then."""
MUST_BE_NONE = ("storm_plain_missing", "storm_tls_missing")


def measure(folder: Path, say: Callable[[str], None], *, plain: int = PLAIN, mutual: int = MUTUAL) -> dict[str, Any]:
    """Both storms; the counts are part of the keys. ``…_missing`` are devices that did not come back at all."""
    open_files_for(max(plain, mutual))
    result: dict[str, Any] = {}
    with Broker(folder / "broker", open=True) as broker:
        found = _storm(folder, broker, _names("plain", plain), say)
        result |= _told("plain", plain, found)
    say("  making certificates")
    names = _names("tls", mutual)
    tls = _identities(folder, names)
    with Broker(folder / "broker-tls", tls=tls) as broker:
        found = _storm(folder, broker, names, say, identities=folder / "identities")
        result |= _told("tls", mutual, found)
    return result


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:05}" for number in range(count)]


def _told(kind: str, count: int, found: dict[str, float]) -> dict[str, Any]:
    missing = count - int(found["back"])
    return {
        f"storm_{kind}_{count}_s": None if missing else round(found["all_s"], 2),
        f"storm_{kind}_half_s": round(found["half_s"], 2) if found["back"] else None,
        f"storm_{kind}_tries": int(found["tries"]),
        f"storm_{kind}_missing": missing,
        f"storm_{kind}_broker_cpu_s": round(found["broker_cpu_s"], 1),
        f"storm_{kind}_clients_cpu_s": round(found["cpu_s"], 1),
    }


def _storm(
    folder: Path, broker: Broker, names: list[str], say: Callable[[str], None], identities: Path | None = None
) -> dict[str, float]:
    """Seconds are from the moment when the broker begins to start."""
    plan = folder / "plan.json"
    plan.write_bytes(
        msgspec.json.encode(Plan(broker.port, TOWN, names, SECONDS_MAX, str(identities) if identities else ""))
    )
    clients = python("stack.bench.survive_clients", str(plan))
    try:
        await_ready(clients)
        say(f"  {len(names):,} are there; the broker is killed")
        go(clients)
        broker.kill()
        time.sleep(DEAD_S)
        started = time.monotonic()
        broker.start()
        answer = clients.stdout.read() if clients.stdout else b""
        if not answer:
            raise UnavailableError("the devices of the storm died")
        found: dict[str, float] = json.loads(answer)
        times = psutil.Process(pid_of(broker.process)).cpu_times()
    finally:
        stop(clients)
    found["broker_cpu_s"] = times.user + times.system
    found |= {"all_s": found["last_at"] - started, "half_s": found["half_at"] - started}
    say(f"  {found['back']:,} are back, the last one after {max(0.0, found['all_s']):.2f} s")
    return found


def _identities(folder: Path, names: list[str]) -> Tls:
    """An authority, the broker's certificate, and a file for each device."""
    now = datetime.now(UTC)
    place, files = folder / "authority", folder / "identities"
    files.mkdir()
    issuer = authority.ensure(place, now)
    key = certificates.new_key()
    key_text, chain = certificates.key_pem(key), certificates.pem(issuer.authority.certificate)
    for name in names:
        issued = certificates.issue_device(issuer.authority, key.public_key(), name, now)
        (files / f"{name}.pem").write_text(key_text + certificates.pem(issued) + chain)
    (files / "roots.pem").write_text(certificates.pem(*issuer.roots))
    own = authority.server(place, ("localhost", "127.0.0.1"), now)
    revoked = authority.revocation_lists(place, [], "", now)
    return Tls(own.key.read_text(), own.certificate.read_text(), authority.trusted(place), revoked)
