"""Under mutual TLS a certificate of ours is the only way in, and its name is all that a device can be."""

import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kraj import certificates
from kraj.store.identity import Revoked
from kraj.topics import DOWN, UP
from stack import authority
from stack.broker import Broker
from stack.probe import answers
from tests.stack.mutual import Place, admitted, device, now
from tests.stack.test_broker import Client, publish, subscribe
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="kraj-"))
    folder.chmod(0o711)
    yield Place(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def broker(place: Place) -> Iterator[Broker]:
    with Broker(place.folder.parent / "broker", tls=place.tls(), credentials={"slot_0": "three"}) as made:
        yield made


class Slot(mqtt.Client):
    """What ingest hears, over the Unix socket."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, "slot_0", protocol=mqtt.MQTTv5, transport="unix")
        self.heard: list[str] = []
        self._news = threading.Condition()
        self.username_pw_set("slot_0", "three")
        self.on_message = self._note
        self.connect(broker.address, broker.port)
        self.loop_start()

    def _note(self, client: object, userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self.heard.append(message.topic)
            self._news.notify_all()

    def until(self, topic: str) -> list[str]:
        with self._news:
            assert self._news.wait_for(lambda: topic in self.heard, PATIENCE_S), self.heard
            return self.heard[: self.heard.index(topic)]

    def end(self) -> None:
        self.disconnect()
        self.loop_stop()


def listen(client: mqtt.Client, *filters: str) -> None:
    done = threading.Event()
    client.on_subscribe = lambda *_: done.set()  # pyright: ignore[reportUnknownLambdaType]
    client.subscribe([(topic, 1) for topic in filters])
    assert done.wait(PATIENCE_S)


def test_a_certificate_of_ours_is_taken_in_and_nothing_else(place: Place, broker: Broker) -> None:
    assert admitted(broker, place.context(place.device("lamp-1")))
    assert not admitted(broker, place.context(None))
    key = certificates.new_key()
    old = now() - certificates.DEVICE_LIFE - timedelta(hours=2)
    expired = certificates.issue_device(place.by, key.public_key(), "lamp-1", old)
    assert not admitted(broker, place.context(place.device("lamp-1", expired, key)))
    early = certificates.issue_device(place.by, key.public_key(), "lamp-1", now() + timedelta(hours=2))
    assert not admitted(broker, place.context(place.device("lamp-1", early, key)))
    # The broker's own certificate opens nothing, were its key stolen.
    server = certificates.issue_server(place.by, key.public_key(), ["localhost"], now())
    assert not admitted(broker, place.context(place.device("server", server, key)))


def test_another_authority_of_the_same_name_is_not_ours(place: Place, broker: Broker, tmp_path: Path) -> None:
    other = Place(tmp_path)
    assert other.by.certificate.subject == place.by.certificate.subject
    forged = place.context(None)
    forged.load_cert_chain(other.device("lamp-1"))
    assert not admitted(broker, forged)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_is_spoken(place: Place, broker: Broker, version: ssl.TLSVersion) -> None:
    context = place.context(place.device("lamp-1"))
    context.minimum_version = context.maximum_version = version
    assert admitted(broker, context)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_tls_is_not(place: Place, broker: Broker) -> None:
    context = place.context(place.device("lamp-1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert not admitted(broker, context)


def test_a_device_refuses_a_wrong_name_a_wrong_authority_and_an_expired_broker(
    place: Place, broker: Broker, tmp_path: Path, open_folder: Path
) -> None:
    own = place.device("lamp-1")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        admitted(broker, place.context(own), "broker.example")
    stranger = Place(tmp_path).context(own)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        admitted(broker, stranger)
    key = certificates.new_key()
    past = now() - certificates.SERVICE_LIFE - timedelta(hours=2)
    ended = certificates.issue_server(place.by, key.public_key(), ["127.0.0.1"], past)
    tls = place.tls()
    shown = type(tls)(
        certificates.key_pem(key), certificates.pem(ended, place.by.certificate), tls.trusted, tls.revoked
    )
    with (
        Broker(open_folder / "ended", tls=shown, credentials={"slot_0": "x"}) as expired,
        pytest.raises(ssl.SSLCertVerificationError, match="expired"),
    ):
        admitted(expired, place.context(own))


def test_plain_mqtt_is_not_answered(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), 5) as wire:
        wire.sendall(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00")
        with suppress(ConnectionError):
            assert wire.recv(100)[:1] != b"\x20"
    assert answers("127.0.0.1", broker.port)  # by TLS
    assert answers(broker.address, 0)


def test_passwords_open_nothing_on_the_network(place: Place, broker: Broker) -> None:
    context = place.context(place.device("lamp-1"))
    heard = Slot(broker)
    listen(heard, "kraj/+/+/event")
    client = Client("slot_0")
    client.username_pw_set("slot_0", "three")  # beside a device's certificate it counts for nothing
    client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    publish(client, "kraj/brno/lamp-2/event", b"x")
    publish(client, "kraj/brno/lamp-1/event", b"x")
    assert heard.until("kraj/brno/lamp-1/event") == []
    client.disconnect()
    client.loop_stop()
    heard.end()


def test_of_eight_devices_each_speaks_and_hears_for_itself_alone(place: Place, broker: Broker) -> None:
    names = [f"node-{number}" for number in range(8)]
    heard = Slot(broker)
    listen(heard, *(f"kraj/+/+/{channel}" for channel in UP))
    with ExitStack() as stack:
        devices = {n: stack.enter_context(device(broker, place.context(place.device(n)), n)) for n in names}
        for name, client in devices.items():
            subscribe(client, "#", "kraj/#", *(f"kraj/+/{other}/{channel}" for other in names for channel in DOWN))
            for other in names:
                for channel in (*UP, *DOWN):
                    publish(client, f"kraj/brno/{other}/{channel}", name.encode())
        for name in names:
            for channel in DOWN:
                publish(heard, f"kraj/brno/{name}/{channel}", b"down")
        publish(devices["node-7"], "kraj/zlin/node-7/result", b"end")
        said = heard.until("kraj/zlin/node-7/result")
        for name, client in devices.items():
            publish(heard, f"kraj/zlin/{name}/ack", b"end")
            got = {(topic, payload) for topic, payload, _ in client.until(f"kraj/zlin/{name}/ack")}
            assert got == {(f"kraj/brno/{name}/{channel}", b"down") for channel in DOWN}, name
    # 8 × 8 attempts on each channel: what arrived is each device's own, once.
    assert sorted(said) == sorted(f"kraj/brno/{name}/{channel}" for name in names for channel in UP)
    heard.end()


def test_a_slot_may_come_by_its_certificate_too(place: Place, broker: Broker) -> None:
    own = authority.service(place.folder, "slot_0", now())
    context = place.context(None)
    context.load_cert_chain(own.certificate, own.key)
    with device(broker, context, "slot_0") as client, device(broker, place.context(place.device("lamp-1"))) as lamp:
        subscribe(client, "kraj/+/+/telemetry")
        publish(lamp, "kraj/brno/lamp-1/telemetry", b"x")
        client.until("kraj/brno/lamp-1/telemetry")


def test_what_is_revoked_is_refused_from_the_next_connection_on(place: Place, open_folder: Path) -> None:
    key = certificates.new_key()
    issued = [certificates.issue_device(place.by, key.public_key(), f"lamp-{n}", now()) for n in range(3)]
    contexts = [place.context(place.device(f"lamp-{n}", made, key)) for n, made in enumerate(issued)]
    lists = authority.revocation_lists(place.folder, [], "", now())
    with Broker(open_folder / "broker", tls=place.tls(), credentials={"slot_0": "x"}) as made:
        revoked: list[Revoked] = []
        for number in range(3):  # within one second, where OpenSSL would take no list for a later one
            assert [admitted(made, context) for context in contexts] == [n >= number for n in range(3)]
            revoked.append(Revoked(issued[number].serial_number, 1, f"lamp-{number}", now(), "lost"))
            lists = authority.revocation_lists(place.folder, revoked, lists, now())
            made.present(place.tls(revoked=lists))
            wait_until_refused(made, contexts[number])


def wait_until_refused(broker: Broker, context: ssl.SSLContext) -> None:
    deadline = now() + timedelta(seconds=5)
    while admitted(broker, context):
        assert now() < deadline


def test_after_a_rotation_both_generations_come_in_until_the_old_one_is_dropped(
    tmp_path: Path, open_folder: Path
) -> None:
    place = Place(tmp_path)
    old = place.context(place.device("lamp-1"))
    broker = Broker(open_folder / "broker", tls=place.tls(), credentials={"slot_0": "x"})
    with broker:
        assert admitted(broker, old)
    place.by = authority.rotate(place.folder, place.folder / "offline", now()).authority
    new = place.context(place.device("lamp-2"))
    broker.tls = place.tls()
    with broker:  # the old device knows the new broker by its second root
        assert admitted(broker, old)
        assert admitted(broker, new)
    authority.drop(place.folder, 1)
    broker.tls = place.tls()
    with broker:
        assert not admitted(broker, old)
        assert admitted(broker, new)


def test_the_brokers_key_is_readable_for_the_broker_alone(broker: Broker) -> None:
    for name in ("server.key", "server.pem", "trusted.pem", "revoked.pem", "mosquitto.conf"):
        assert (broker.folder / name).stat().st_mode & 0o777 == 0o600
