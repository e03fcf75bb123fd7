"""The command ``move``: a device goes to another server, by an order that the platform's authority has signed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kraj import certificates, signed
from kraj.certificates import Authority, Certificate, RequestError
from kraj.errors import ConfigurationError, PayloadError

DO = "move"
LASTS = timedelta(days=7)
"""A device that is away for longer is told again by running the command again."""
PORT_MAX = 65535
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Server:
    """Where devices go: a host, a port, and by which roots (PEM) they know it."""

    host: str
    port: int
    authority: str


def server(address: str, authority: str) -> Server:
    """A server from ``HOST:PORT`` and PEM; raises ``ConfigurationError`` for what no device could reach."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(host) or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        raise ConfigurationError(f"--server: {address!r} is no HOST:PORT, such as mqtt.example.cz:8883")
    try:
        for one in authorities(authority):
            certificates.public_key(one)
    except RequestError as error:
        raise ConfigurationError(f"--authority: {error}; give the root of the new server's authority (PEM)") from error
    return Server(host, int(port), authority)


def authorities(pem: str) -> list[Certificate]:
    """The certificates in PEM; raises ``RequestError`` where there is none."""
    end = "-----END CERTIFICATE-----"
    parts = [part + end for part in pem.split(end)[:-1]]
    if not parts:
        raise RequestError("certificate_form", "there is no certificate")
    return [certificates.read_certificate(part.encode()) for part in parts]


def order(  # noqa: PLR0917 - what the order says
    by: Authority, device: str, municipality: str, to: Server, id_: str, now: datetime
) -> dict[str, Any]:
    """The payload of the command to one device; it counts until ``LASTS`` from now."""
    document = {
        "do": DO,
        "id": id_,
        "device": device,
        "municipality": municipality,
        "host": to.host,
        "port": to.port,
        "authority": to.authority,
        "expires_ms": int((now + LASTS).timestamp() * 1000),
    }
    return {"id": id_, "do": DO, **signed.sign(by, document).as_json()}


def obey(payload: Mapping[str, Any], device: str, roots: Iterable[Certificate], now_ms: int) -> Server:
    """Where the command sends this device; raises ``PayloadError`` for one that it must not follow.

    ``roots`` are those that the device carries. Besides the reasons of ``signed.check``: ``move_other`` (another
    device, another command, another id) and ``move_expired``.
    """
    document = signed.check(signed.read(payload), roots)
    if (document.get("do"), document.get("device"), document.get("id")) != (DO, device, payload.get("id")):
        raise PayloadError("move_other", "the signed document is not about this command to this device")
    expires = document.get("expires_ms")
    if not isinstance(expires, int) or expires <= now_ms:
        raise PayloadError("move_expired", f"the order ended at {_shown(expires)}")
    try:
        return server(f"{document['host']}:{document['port']}", str(document["authority"]))
    except (KeyError, ConfigurationError) as error:
        raise PayloadError("signed_form", f"the order names no server: {error}") from error


def _shown(moment: object) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat() if isinstance(moment, int) else "no time"
