"""A real region to test ingest in: its process, devices on an independent MQTT client, and waiting with a deadline."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.request import urlopen

import paho.mqtt.client as mqtt
import psutil
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from kraj.store.registry import NewAsset, NewDevice, register
from stack.broker import Broker
from tests.forked import ROOT, Clock, Program
from tests.waiting import PATIENCE_S

TOWN = "lhota"

T = TypeVar("T")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE_S) -> T:
    """Poll until the condition holds, and return what it gave; what takes long is asked less often, as asking costs."""
    begin = time.monotonic()
    while not (found := condition()):
        waited_s = time.monotonic() - begin
        assert waited_s < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(min(0.01 + waited_s / 10, 0.1))
    return found


def query(url: str, statement: str, *parameters: object) -> list[Any]:
    """Rows of a statement in a transaction of its own; single columns without their tuple."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode(), parameters)
        rows = cursor.fetchall() if cursor.description else []
    return [row[0] if len(row) == 1 else row for row in rows]


def register_lamps(url: str, names: Iterable[str]) -> None:
    """Register devices with one lamp each."""
    devices = [
        NewDevice(name=name, municipality=TOWN, assets={0: NewAsset(kind="lamp", label=name.upper())}) for name in names
    ]
    with psycopg.connect(url) as connection:
        register(connection, {TOWN: "Lhota", "dvory": "Dvory"}, devices, datetime.now(UTC))


class Ingest:
    """``python -m ingest`` on a database and a broker."""

    def __init__(
        self, url: str, host: str, port: int, log: Path, clock: Clock | None = None, /, **settings: str
    ) -> None:
        self.log = log
        env = {k: v for k, v in os.environ.items() if not k.startswith("KRAJ_")}
        env |= {"KRAJ_DATABASE_URL": url, "KRAJ_MQTT_HOST": host, "KRAJ_MQTT_PORT": str(port), **settings}
        env |= {"KRAJ_LOG_FORMAT": "json"}
        self._begins = log.stat().st_size if log.exists() else 0
        self.process = Program("ingest", env=env, log=log, clock=clock)
        self._address = ""

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far; a line that is not JSON is under ``text``."""
        lines = self.log.read_bytes()[self._begins :].decode().splitlines()
        return [json.loads(x) if x.startswith("{") and x.endswith("}") else {"event": "", "text": x} for x in lines]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == event]

    def ready(self) -> Self:
        """Wait until it holds its slot and its session."""
        wait_until(lambda: self.alive and self.figure("broker_up") == 1, f"ingest is ready: {self.log.read_text()}")
        return self

    @property
    def alive(self) -> bool:
        assert self.process.poll() is None, f"ingest ended with {self.process.returncode}: {self.log.read_text()}"
        return True

    def figures(self) -> dict[str, float]:
        """All of /metrics by name and labels, without our prefix."""
        if not self._address:
            found = self.said("metrics")
            if not found:
                return {}
            self._address = found[0]["address"]
        with urlopen(self._address, timeout=5) as answer:  # noqa: S310 — it is our own loopback address
            text: str = answer.read().decode()
        out: dict[str, float] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", maxsplit=1)
                out[name.removeprefix("kraj_ingest_")] = float(value)
        return out

    def figure(self, name: str) -> float:
        return self.figures().get(name, 0.0)

    def balance(self) -> dict[str, float]:
        """The terms of invariant 4."""
        found = self.figures()
        return {
            "received": found["received_total"],
            "committed": found["committed_total"],
            "duplicate": found["duplicate_total"],
            "quarantined": sum(v for k, v in found.items() if k.startswith("quarantined_total{")),
            "in_flight": found["in_flight"],
        }

    def quarantined(self, reason: str) -> float:
        return self.figure(f'quarantined_total{{reason="{reason}"}}')

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def memory_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()


class Site:
    """A database and a broker, in which ingests come and go."""

    def __init__(self, url: str, broker: Broker, folder: Path) -> None:
        self.url, self.broker, self.folder = url, broker, folder

    def ingest(self, *, clock: Clock | None = None, **settings: str) -> Ingest:
        """Start one; leave its context to stop it."""
        number = len(list(self.folder.glob("ingest-*.log")))
        log = self.folder / f"ingest-{number}.log"
        return Ingest(self.url, self.broker.address, self.broker.port, log, clock, **settings)

    def lamps(self, count: int) -> list[str]:
        """Register lamps; return their names."""
        names = [f"lamp-{n}" for n in range(count)]
        register_lamps(self.url, names)
        return names

    def stored(self) -> "Counter[tuple[str, int, int]]":
        """The marks of all stored readings of lamps."""
        rows = query(
            self.url,
            "SELECT name, boot, seq FROM reading_lamp JOIN installed USING (asset_id) JOIN device USING (device_id)",
        )
        return Counter(rows)


def refused(url: str, **settings: str) -> tuple[int, list[str]]:
    """Run an ingest that is to give up by itself; return its exit code and what it printed beside its log."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("KRAJ_")}
    env |= {"KRAJ_DATABASE_URL": url, "KRAJ_MQTT_PORT": "1", "KRAJ_LOG_FORMAT": "json", **settings}
    command = [sys.executable, "-m", "ingest"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, [line for line in done.stderr.splitlines() if not line.startswith("{")]


class OnBroker:
    """Something whose client runs in a thread of its own until it is left."""

    client: mqtt.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Devices(OnBroker):
    """Devices on one connection of a client that we did not write; each keeps what ``ack`` has not named.

    This is the oracle: ``kept`` is what devices would send again, ``acknowledged`` is what they have forgotten.
    """

    def __init__(self, port: int, name: str = "devices") -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.kept: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.acknowledged: dict[tuple[str, int, int], int] = defaultdict(int)
        self.sent: list[tuple[str, int, int]] = []
        self.acks: list[tuple[str, dict[str, Any]]] = []
        self._seq: dict[str, int] = defaultdict(int)
        self._lock = threading.RLock()
        self.client.max_inflight_messages_set(0)
        self.client.max_queued_messages_set(0)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_message = self._note
        self._subscribed = threading.Event()
        self.client.on_subscribe = self._ready
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe("kraj/+/+/ack", 0)

    def _ready(self, *_: object) -> None:
        self._subscribed.set()

    def _note(self, client: object, userdata: object, message: mqtt.MQTTMessage) -> None:
        device, document = message.topic.split("/")[2], json.loads(message.payload)
        with self._lock:
            self.acks.append((message.topic, document))
            for first, last in document["seq"]:
                for seq in range(first, last + 1):
                    key = (device, document.get("boot", -1), seq)
                    self.acknowledged[key] += 1
                    self.kept.pop(key, None)

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> None:
        """Anything, as any broken device might."""
        self.client.publish(topic, payload, qos, retain=retain)

    def reading(self, device: str, **fields: Any) -> dict[str, Any]:
        """The next reading of a device, kept until it is acknowledged."""
        with self._lock:
            self._seq[device] += 1
            values: dict[str, Any] = {
                "ts": now_ms(),
                "boot": 1,
                "seq": self._seq[device],
                "power_w": 41.5,
                "level_commanded_pct": 60,
            }
            out = {key: value for key, value in {**values, **fields}.items() if value is not None}
            mark = device, out.get("boot", -1), out["seq"]
            self.kept[mark] = out
            self.sent.append(mark)
            return out

    def send(self, device: str, *, channel: str = "telemetry", **fields: Any) -> tuple[str, int, int]:
        """Publish a good reading (with fields replaced; None leaves one out); return its mark."""
        out = self.reading(device, **fields)
        self.publish(f"kraj/{TOWN}/{device}/{channel}", json.dumps(out))
        return device, out.get("boot", -1), out["seq"]

    def send_again(self) -> int:
        """Publish once more all that is kept; return how many."""
        with self._lock:
            kept = list(self.kept.items())
        for (device, _, _), reading in kept:
            self.publish(f"kraj/{TOWN}/{device}/telemetry", json.dumps(reading))
        return len(kept)

    def forgot(self, *marks: tuple[str, int, int]) -> bool:
        with self._lock:
            return all(mark in self.acknowledged for mark in marks)

    def await_ack(self, *marks: tuple[str, int, int], seconds: float = PATIENCE_S) -> None:
        wait_until(lambda: self.forgot(*marks), f"acknowledged: {marks[:5]}", seconds)


class Load:
    """A thread in which many devices send; as evenly as it goes."""

    def __init__(self, devices: Devices, names: list[str], readings_per_s: float) -> None:
        self._devices, self._names, self._pause_s = devices, names, 1 / readings_per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        begin, sent = time.monotonic(), 0
        while not self._stop.wait(max(0.0, begin + sent * self._pause_s - time.monotonic())):
            self._devices.send(self._names[sent % len(self._names)])
            sent += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
