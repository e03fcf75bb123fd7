"""From revocation to refusal: the registry decides who is heard, also in a session that is open already."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from kraj import certificates
from kraj.foreign import credential
from kraj.store import identity
from stack import authority
from stack.broker import Broker
from stack.guard import GuardedBroker
from stack.process import free_port
from tests.ingest.rig import TOWN, Ingest, now_ms, query, register_lamps, wait_until
from tests.stack.mutual import NAMES, Place, admitted, device
from tests.stack.test_broker import Client, publish, subscribe

SECONDS_MAX = 5.0


class Site:
    """Database, guarded broker and ingest; lamps with certificates that the registry knows."""

    def __init__(self, url: str, folder: Path, guard: GuardedBroker, ingest: Ingest, place: Place) -> None:
        self.url = url
        self.guard = guard
        self.broker: Broker = guard.broker
        self.ingest = ingest
        self.place = place
        self.seq = 0

    def lamp(self, name: str) -> Path:
        register_lamps(self.url, [name])
        return self.certificate(name)

    def certificate(self, name: str) -> Path:
        key = certificates.new_key()
        now = datetime.now(UTC)
        issued = certificates.issue_device(self.place.by, key.public_key(), name, now)
        with psycopg.connect(self.url, autocommit=True) as connection:
            identity.record(connection, [(name, issued)], 1, now)
        return self.place.device(name, issued, key)

    def send(self, client: Client, name: str) -> int:
        self.seq += 1
        publish(client, f"kraj/{TOWN}/{name}/telemetry", b'{"ts":%d,"boot":1,"seq":%d}' % (now_ms(), self.seq))
        return self.seq

    def quarantine(self, name: str) -> list[str]:
        return query(self.url, "SELECT reason FROM quarantine WHERE source = %s ORDER BY quarantine_id", name)

    def stored(self, name: str) -> int:
        statement = "SELECT count(*) FROM reading_lamp JOIN asset USING (asset_id) WHERE label = %s"
        return query(self.url, statement, name.upper())[0]

    def revoke(self, name: str, reason: str = "lost") -> None:
        statement = (
            "UPDATE device_certificate SET revoked_at = clock_timestamp(), reason = %s FROM device d"
            " WHERE d.device_id = device_certificate.device_id AND d.name = %s AND revoked_at IS NULL"
        )
        query(self.url, statement, reason, name)


@pytest.fixture
def site(database_url: str, open_folder: Path, tmp_path: Path) -> Iterator[Site]:
    place = Place(tmp_path)
    broker = Broker(open_folder / "broker", credentials={"slot_0": "secret"})
    password = tmp_path / "slot_0.password"
    password.write_text("secret")
    guard = GuardedBroker(broker, place.folder, NAMES, lambda: database_url)
    with ExitStack() as stack:
        guard.start()
        stack.callback(guard.stop)
        settings = {"KRAJ_MQTT_USERNAME": "slot_0", "KRAJ_MQTT_PASSWORD_FILE": str(password)}
        ingest = Ingest(database_url, broker.address, broker.port, tmp_path / "ingest.log", **settings)
        stack.callback(ingest.stop)
        yield Site(database_url, open_folder, guard, ingest.ready(), place)


def test_a_revoked_device_is_refused_in_its_live_session_and_at_the_door(site: Site) -> None:
    context = site.place.context(site.lamp("lamp-1"))
    other = site.place.context(site.lamp("lamp-2"))
    with device(site.broker, context, "lamp-1") as thief, device(site.broker, other, "lamp-2") as neighbour:
        gone: list[float] = []
        thief.on_disconnect = lambda *_: gone.append(time.monotonic())  # pyright: ignore[reportUnknownLambdaType]
        subscribe(thief, f"kraj/{TOWN}/lamp-1/ack")
        site.send(thief, "lamp-1")
        wait_until(lambda: site.stored("lamp-1") == 1, "the reading before")
        begin = time.monotonic()
        site.revoke("lamp-1")
        # It sends on as long as it can: from now on nothing of it is stored.
        while not gone:
            assert time.monotonic() - begin < SECONDS_MAX
            thief.publish(
                f"kraj/{TOWN}/lamp-1/telemetry", b'{"ts":%d,"boot":1,"seq":%d}' % (now_ms(), 100 + len(gone)), qos=1
            )
            time.sleep(0.2)
        wait_until(lambda: set(site.quarantine("lamp-1")) == {"revoked"}, "its readings in quarantine", SECONDS_MAX)
        assert time.monotonic() - begin < SECONDS_MAX
        assert site.stored("lamp-1") == 1
        assert not admitted(site.broker, context)
        site.send(neighbour, "lamp-2")
        wait_until(lambda: site.stored("lamp-2") == 1, "the neighbour goes on")
        # A new certificate, and it is heard again.
        with device(site.broker, site.place.context(site.certificate("lamp-1")), "lamp-1") as again:
            site.seq = 500
            site.send(again, "lamp-1")
            wait_until(lambda: site.stored("lamp-1") == 2, "heard again")


def test_a_decommissioned_device_is_out_for_good_and_a_suspended_one_until_resumed(site: Site) -> None:
    old, asleep = (site.place.context(site.lamp(name)) for name in ("lamp-1", "lamp-2"))
    query(site.url, "UPDATE device SET state = 'decommissioned' WHERE name = 'lamp-1'")
    query(site.url, "UPDATE device SET state = 'suspended' WHERE name = 'lamp-2'")
    wait_until(lambda: not admitted(site.broker, old), "refused at the door", SECONDS_MAX)
    with device(site.broker, asleep, "lamp-2") as lamp:
        site.send(lamp, "lamp-2")
        wait_until(lambda: site.quarantine("lamp-2") == ["suspended"], "in quarantine", SECONDS_MAX)
        query(site.url, "UPDATE device SET state = 'active' WHERE name = 'lamp-2'")
        site.send(lamp, "lamp-2")
        wait_until(lambda: site.stored("lamp-2") == 1, "heard again", SECONDS_MAX)


def test_what_was_revoked_stays_refused_over_a_restart_of_the_broker_without_a_database(site: Site) -> None:
    context = site.place.context(site.lamp("lamp-1"))
    site.revoke("lamp-1")
    wait_until(lambda: not admitted(site.broker, context), "refused at the door", SECONDS_MAX)
    away = GuardedBroker(site.broker, site.place.folder, NAMES, lambda: "postgresql://nobody@127.0.0.1:1/nowhere")
    site.guard.stop()
    away.start()
    try:
        assert not admitted(site.broker, context)
    finally:
        away.stop()


def test_ingest_may_come_by_tls_with_the_certificate_of_its_slot(site: Site, tmp_path: Path) -> None:
    context = site.place.context(site.lamp("lamp-1"))
    site.ingest.stop()
    own = authority.service(site.place.folder, "slot_0", datetime.now(UTC))
    roots = tmp_path / "roots.pem"
    roots.write_text(site.place.roots)
    settings = {
        "KRAJ_MQTT_CA_FILE": str(roots),
        "KRAJ_MQTT_CERTIFICATE_FILE": str(own.certificate),
        "KRAJ_MQTT_KEY_FILE": str(own.key),
    }
    ingest = Ingest(site.url, "localhost", site.broker.port, tmp_path / "tls.log", **settings)
    try:
        ingest.ready()
        with device(site.broker, context, "lamp-1") as lamp:
            subscribe(lamp, f"kraj/{TOWN}/lamp-1/ack")
            site.send(lamp, "lamp-1")
            lamp.until(f"kraj/{TOWN}/lamp-1/ack")
        assert site.stored("lamp-1") == 1
    finally:
        ingest.stop()


def test_another_makers_device_comes_by_password_on_a_listener_of_its_own(
    site: Site, open_folder: Path, tmp_path: Path
) -> None:
    register_lamps(site.url, ["plug-1", "plug-2"])
    password = credential.draw()
    statement = (
        "INSERT INTO foreign_device (device_id, municipality_id, adapter, credential, changed_at)"
        " SELECT device_id, municipality_id, 'tasmota', %s, clock_timestamp() FROM device WHERE name = %s"
    )
    broker = Broker(open_folder / "second", credentials={"slot_0": "secret"})
    port = free_port()
    guard = GuardedBroker(broker, site.place.folder, NAMES, lambda: site.url, foreign_port=port)
    guard.start()
    try:
        # The roots, as every other device has them: the RSA certificate is of the same authority.
        context = site.place.context(None)
        assert signed_in(port, context, "plug-1", password) is False
        query(site.url, statement, credential.hashed(password), "plug-1")
        wait_until(lambda: signed_in(port, context, "plug-1", password), "it comes in", SECONDS_MAX)
        assert signed_in(port, context, "plug-1", "guess") is False
        assert signed_in(port, context, "plug-2", password) is False
        assert signed_in(broker.port, site.place.context(None), "plug-1", password) is False  # here by certificate
        query(site.url, "UPDATE device SET state = 'suspended' WHERE name = 'plug-1'")
        wait_until(lambda: not signed_in(port, context, "plug-1", password), "it is refused", SECONDS_MAX)
    finally:
        guard.stop()


def signed_in(port: int, context: ssl.SSLContext, name: str, password: str) -> bool:
    """Whether the broker takes a name and password, asked by MQTT 3.1.1 as such devices speak it."""
    fields = b"".join(len(x).to_bytes(2, "big") + x.encode() for x in (name, name, password))
    body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + fields
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as wire,
            context.wrap_socket(wire, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"\x10" + bytes([len(body)]) + body)
            return connection.recv(4) == b"\x20\x02\x00\x00"
    except (ssl.SSLError, ConnectionError):
        return False
