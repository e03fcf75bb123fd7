"""Whether a broker answers: by one MQTT packet without a name, or by a TLS handshake with an empty hand."""

import socket
import ssl

CONNECT = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00"
"""A whole MQTT 5 CONNECT without name or password: any broker answers it by a CONNACK, if only to refuse."""
CONNACK = 0x20


def answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether an MQTT 5 broker answers there, be it by a refusal; a host with ``/`` is a Unix socket's path.

    A broker that wants TLS is one that answers a TLS handshake; by our empty hand it is refused behind that.
    """
    return _answers_plain(host, port, timeout_s) or (not host.startswith("/") and _answers_tls(host, port, timeout_s))


def _answers_plain(host: str, port: int, timeout_s: float) -> bool:
    try:
        with _reach(host, port, timeout_s) as connection:
            connection.sendall(CONNECT)
            return connection.recv(1)[:1] == bytes((CONNACK,))
    except OSError:
        return False


def _reach(host: str, port: int, timeout_s: float) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        connection.connect(host)
    except OSError:
        connection.close()
        raise
    return connection


def _answers_tls(host: str, port: int, timeout_s: float) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is said, and nothing believed
    try:
        with socket.create_connection((host, port), timeout_s) as wire, context.wrap_socket(wire):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason or "")
    except OSError:
        return False
