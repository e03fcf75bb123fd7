"""Foreign devices at a real mosquitto: their own password, their own topics, MQTT 3.1.1 and 5 over TLS by RSA."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from kraj.foreign import credential
from stack import foreign
from stack.broker import answers, find_mosquitto
from stack.process import free_port
from tests.ingest.rig import wait_until

PASSWORD = credential.draw()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A mosquitto with nothing but the listener for foreign devices; and its certificate."""
    folder = tmp_path_factory.mktemp("mosquitto")
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret, users, acl = (folder / n for n in ("server.pem", "server.key", "passwords", "acl"))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    hashed = credential.hashed(PASSWORD)
    users.write_text(foreign.passwords({"plug-1": hashed, "plug-2": credential.hashed(PASSWORD), "slot_0": hashed}))
    acl.write_text("\n".join([*foreign.access_of_services(["slot_0"]), *foreign.access_of_devices()]) + "\n")
    number, plain = free_port(), free_port()
    lines = [
        "user root",
        "per_listener_settings false",
        f"listener {plain} 127.0.0.1",
        *foreign.listener(number, "127.0.0.1", certificate=certificate, key=secret),
        f"password_file {users}",
        f"acl_file {acl}",
    ]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([find_mosquitto(), "-c", str(folder / "mosquitto.conf")])
    try:
        wait_until(lambda: answers("127.0.0.1", plain), "mosquitto answers")
        yield number, certificate
    finally:
        process.terminate()
        process.wait(10)


class Client:
    """A client that has connected, or was refused."""

    def __init__(self, port: tuple[int, Path], user: str, password: str, version: MQTTProtocolVersion) -> None:
        self.heard: list[str] = []
        self.codes: list[bool] = []
        self._met = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="anything", protocol=version)
        self.client.username_pw_set(user, password)
        self.client.tls_set(  # pyright: ignore[reportUnknownMemberType]
            ca_certs=str(port[1]), tls_version=ssl.PROTOCOL_TLS_CLIENT
        )
        self.client.on_connect = self._connected
        self.client.on_message = lambda _c, _u, message: self.heard.append(message.topic)
        self.client.connect("localhost", port[0])
        self.client.loop_start()
        assert self._met.wait(10)

    def _connected(self, _client: object, _data: object, _flags: object, reason: object, _properties: object) -> None:
        self.codes.append(bool(getattr(reason, "is_failure", True)))
        self._met.set()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_a_device_speaks_below_its_own_name_and_nowhere_else(
    port: tuple[int, Path], version: MQTTProtocolVersion
) -> None:
    ingest = Client(port, "slot_0", PASSWORD, version)
    ingest.client.subscribe("foreign/+/+/#", 1)
    device = Client(port, "plug-1", PASSWORD, version)
    assert device.codes == [False]
    for topic in (
        "foreign/lhota/plug-2/tele/SENSOR",
        "kraj/lhota/plug-1/telemetry",
        "foreign/lhota/plug-1/tele/SENSOR",
    ):
        device.client.publish(topic, version.name, 1)
    found = wait_until(lambda: list(ingest.heard), "the message is heard")
    assert set(found) == {"foreign/lhota/plug-1/tele/SENSOR"}
    ingest.close()
    device.close()


def test_a_wrong_password_is_refused(port: tuple[int, Path]) -> None:
    stranger = Client(port, "plug-1", "wrong", MQTTProtocolVersion.MQTTv311)
    assert stranger.codes == [True]
    stranger.close()
