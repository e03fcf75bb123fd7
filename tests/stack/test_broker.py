"""mosquitto under our configuration delivers what a name may say and hear, and nothing else."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from kraj.errors import ConfigurationError
from kraj.topics import DOWN, UP
from stack.broker import Broker
from stack.probe import answers
from tests.waiting import PATIENCE_S

CREDENTIALS = {"lamp-1": "one-with$signs", "lamp-2": "two", "slot_0": "three"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Broker]:
    folder = Path(tempfile.mkdtemp(prefix="kraj-"))  # reachable for mosquitto's own account, unlike tmp_path
    with Broker(folder, credentials=CREDENTIALS) as broker:
        yield broker
    shutil.rmtree(folder)


class Client(mqtt.Client):
    """A peer that we did not write, with what it received."""

    def __init__(self, name: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.received: list[tuple[str, bytes, bool]] = []
        self.arrived = threading.Condition()
        self.on_message = self._note

    def _note(self, client: object, userdata: object, message: mqtt.MQTTMessage) -> None:
        with self.arrived:
            self.received.append((message.topic, bytes(message.payload), message.retain))
            self.arrived.notify_all()

    def until(self, topic: str) -> list[tuple[str, bytes, bool]]:
        """Return what came before the first message on ``topic``."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(m[0] == topic for m in self.received), PATIENCE_S), (
                topic,
                self.received,
            )
            return self.received[: next(i for i, m in enumerate(self.received) if m[0] == topic)]


@contextmanager
def connected(broker: Broker, name: str = "", password: str | None = None, will: str = "") -> Generator[Client]:
    client = Client(name)
    if password is not None:
        client.username_pw_set(name, password)
    if will:
        client.will_set(will, b"gone", qos=1, retain=True)
    ready = threading.Event()
    refused: list[str] = []

    def on_connect(client: object, userdata: object, flags: object, reason: object, properties: object) -> None:
        if str(reason) != "Success":
            refused.append(str(reason))
        ready.set()

    client.on_connect = on_connect
    client.connect("127.0.0.1", broker.port, keepalive=30)
    client.loop_start()
    try:
        assert ready.wait(PATIENCE_S)
        if refused:
            raise PermissionError(refused[0])
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def subscribe(client: Client, *filters: str) -> None:
    done = threading.Event()

    def on_subscribe(client: object, userdata: object, mid: object, reasons: object, properties: object) -> None:
        done.set()

    client.on_subscribe = on_subscribe
    client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in filters])
    assert done.wait(PATIENCE_S)


def publish(client: mqtt.Client, topic: str, payload: bytes, *, retain: bool = False) -> None:
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)


def test_a_device_speaks_on_its_own_topics_and_on_nobody_elses(guarded: Broker) -> None:
    with connected(guarded, "slot_0", "three") as slot, connected(guarded, "lamp-1", "one-with$signs") as lamp:
        subscribe(slot, *(f"kraj/+/+/{channel}" for channel in UP))
        for channel in (*UP, *DOWN):
            for name in ("lamp-2", "lamp-1", "slot_0"):
                publish(lamp, f"kraj/brno/{name}/{channel}", b"x")
        publish(lamp, "kraj/brno/lamp-1/deeper/telemetry", b"x")
        publish(lamp, "$SYS/kraj", b"x")
        publish(lamp, "kraj/zlin/lamp-1/result", b"end")
        heard = {message[0] for message in slot.until("kraj/zlin/lamp-1/result")}
    assert heard == {f"kraj/brno/lamp-1/{channel}" for channel in UP}


def test_a_device_hears_its_own_acknowledgements_and_nobody_elses(guarded: Broker) -> None:
    with connected(guarded, "slot_0", "three") as slot, connected(guarded, "lamp-1", "one-with$signs") as lamp:
        # A broker may grant these filters; what counts is what it delivers.
        subscribe(lamp, "#", "kraj/#", "kraj/+/lamp-2/ack", "kraj/+/+/ack", "kraj/brno/lamp-1/ack")
        with connected(guarded, "lamp-2", "two") as other:
            publish(other, "kraj/brno/lamp-2/telemetry", b"x")
        for name in ("lamp-2", "lamp-1"):
            for channel in DOWN:
                publish(slot, f"kraj/brno/{name}/{channel}", b"x")
        publish(slot, "kraj/zlin/lamp-1/ack", b"end")
        heard = {message[0] for message in lamp.until("kraj/zlin/lamp-1/ack")}
    assert heard == {f"kraj/brno/lamp-1/{channel}" for channel in DOWN}


def test_ingest_cannot_forge_what_devices_say(guarded: Broker) -> None:
    with connected(guarded, "slot_0", "three") as slot, connected(guarded, "lamp-1", "one-with$signs") as lamp:
        subscribe(slot, "kraj/+/+/telemetry", "kraj/+/+/result")
        publish(slot, "kraj/brno/lamp-1/telemetry", b"forged")
        publish(lamp, "kraj/brno/lamp-1/result", b"end")
        assert slot.until("kraj/brno/lamp-1/result") == []


def test_devices_read_releases_that_ingest_alone_may_write(guarded: Broker) -> None:
    topic = "kraj_release/0123456789abcdef"
    with connected(guarded, "slot_0", "three") as slot, connected(guarded, "lamp-1", "one-with$signs") as lamp:
        publish(slot, f"{topic}/0", b"block", retain=True)
        publish(slot, f"{topic}/manifest", b"head", retain=True)
        for forged in (f"{topic}/0", f"{topic}/1", "kraj_release/fedcba9876543210/0", "kraj_release/x"):
            publish(lamp, forged, b"forged", retain=True)
        publish(slot, "kraj_release/too/deep/0", b"x", retain=True)
        subscribe(lamp, "kraj_release/#")
        subscribe(lamp, "kraj/brno/lamp-1/ack")
        publish(slot, "kraj/brno/lamp-1/ack", b"end")
        heard = lamp.until("kraj/brno/lamp-1/ack")
        assert sorted(heard) == [(f"{topic}/0", b"block", True), (f"{topic}/manifest", b"head", True)]
        for name in ("0", "manifest"):
            publish(slot, f"{topic}/{name}", b"", retain=True)


def test_nobody_connects_without_a_right_password(guarded: Broker) -> None:
    for name, password in (("", None), ("lamp-1", None), ("lamp-1", "two"), ("lamp-3", "two")):
        with pytest.raises(PermissionError), connected(guarded, name, password):
            pass


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_device_cannot_take_over_the_session_of_ingest(guarded: Broker, transport: Literal["tcp", "unix"]) -> None:
    with connected(guarded, "slot_0", "three") as slot:
        subscribe(slot, "kraj/+/+/event")
        thief = mqtt.Client(CallbackAPIVersion.VERSION2, "slot_0", protocol=mqtt.MQTTv5, transport=transport)
        thief.username_pw_set("lamp-1", CREDENTIALS["lamp-1"])
        thief.connect(guarded.address if transport == "unix" else "127.0.0.1", guarded.port)
        thief.loop_start()
        thief.publish("kraj/brno/lamp-1/event", b"x", qos=1).wait_for_publish(10)
        slot.until("kraj/brno/lamp-1/event")
        thief.disconnect()
        thief.loop_stop()


def test_status_is_retained_and_the_will_replaces_it(guarded: Broker) -> None:
    topic = "kraj/brno/lamp-1/status"
    with connected(guarded, "slot_0", "three") as slot:
        with connected(guarded, "lamp-1", "one-with$signs", will=topic) as lamp:
            publish(lamp, topic, b"online", retain=True)
            subscribe(slot, "kraj/+/+/status")
            slot.until(topic)
            assert slot.received == [(topic, b"online", True)]
            connection = lamp.socket()
            assert isinstance(connection, socket.socket)
            connection.shutdown(socket.SHUT_RDWR)  # no DISCONNECT: the will is due
            with slot.arrived:
                assert slot.arrived.wait_for(lambda: len(slot.received) == 2, PATIENCE_S)
        assert slot.received[1][:2] == (topic, b"gone")


def test_new_credentials_count_from_the_next_connection(open_folder: Path) -> None:
    with Broker(open_folder / "broker", credentials=CREDENTIALS) as broker:
        broker.admit({**CREDENTIALS, "lamp-3": "new"})
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with connected(broker, "lamp-3", "new"):
                    break
            except PermissionError:
                assert time.monotonic() < deadline


def test_a_password_that_the_file_would_cut_is_refused(open_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="password of lamp-1"):
        Broker(open_folder / "broker", credentials={"lamp-1": "one:two"}).start()


@pytest.mark.parametrize("name", ["a/b", "#", "+", "a:b", "Lamp", "a\nb", ""])
def test_a_name_that_could_widen_the_access_list_is_refused(open_folder: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        Broker(open_folder / "broker", credentials={name: "x"}).start()


def test_secrets_are_readable_for_the_broker_alone_and_hashed(guarded: Broker) -> None:
    for name in ("passwords", "acl", "mosquitto.conf"):
        assert (guarded.folder / name).stat().st_mode & 0o777 == 0o600
    assert not list(guarded.folder.glob("*.plain"))
    assert not re.search(r"with\$signs|:two|:three", (guarded.folder / "passwords").read_text())
    assert guarded.process is not None
    assert psutil.Process(guarded.process.pid).uids().effective != 0


def test_the_window_is_the_one_that_was_asked_for(open_folder: Path) -> None:
    with Broker(open_folder / "broker", open=True, inflight=60_000) as broker:
        # A subscriber that never acknowledges gets as many messages as its window has places.
        silent = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, manual_ack=True)
        got = threading.Semaphore(0)

        def on_message(client: object, userdata: object, message: object) -> None:
            got.release()

        silent.on_message = on_message
        subscribed = threading.Event()

        def on_subscribe(client: object, userdata: object, mid: object, reasons: object, properties: object) -> None:
            subscribed.set()

        silent.on_subscribe = on_subscribe
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = 65_535
        silent.connect("127.0.0.1", broker.port, properties=properties)
        silent.loop_start()
        silent.subscribe("kraj/#", qos=1)
        assert subscribed.wait(PATIENCE_S)
        command = ["mosquitto_pub", "-p", str(broker.port), "-t", "kraj/a/b/telemetry", "-q", "1", "-l"]
        subprocess.run(command, input="x\n" * 25_000, text=True, check=True, timeout=PATIENCE_S)
        assert all(got.acquire(timeout=PATIENCE_S) for _ in range(25_000))
        silent.disconnect()
        silent.loop_stop()


def test_a_killed_broker_comes_back_on_its_port_and_a_stopped_one_leaves_it(open_folder: Path) -> None:
    broker = Broker(open_folder / "broker", open=True)
    broker.start()
    port, process = broker.port, broker.process
    assert process is not None
    assert psutil.Process(process.pid).name() == "mosquitto"
    assert psutil.Process(process.pid).ppid() == os.getpid()
    broker.kill()
    assert process.returncode == -signal.SIGKILL
    broker.start()
    assert broker.port == port
    assert answers("127.0.0.1", port)
    broker.stop()
    assert not answers("127.0.0.1", port)


def test_a_taken_port_is_named(open_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            Broker(open_folder / "broker", open=True, port=port).start()


def nothing_exists(_: Path) -> bool:
    return False


def test_a_missing_mosquitto_is_named_with_its_remedy(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(open_folder))
    monkeypatch.setattr(Path, "exists", nothing_exists)
    with pytest.raises(ConfigurationError, match="apt-get install mosquitto"):
        Broker(open_folder / "broker", open=True).start()
