"""The whole platform on one machine: it starts quickly, survives kills, stops cleanly, and goes on where it was."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg
import pytest

from kraj.settings import Settings
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.process import free_port
from stack.services import database_url
from tests.waiting import PATIENCE_S, best

WARM_S_MAX = 15.0


class Kraj:
    """A ``kraj`` command that runs, with what it said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.said.append(line)
                self._heard.notify_all()

    def until(self, pattern: str, timeout_s: float = 2 * PATIENCE_S) -> "re.Match[str]":
        with self._heard:
            self._heard.wait_for(lambda: self._find(pattern) or self._over(), timeout_s)
        match = self._find(pattern)
        assert match, "".join(self.said)
        return match

    def _find(self, pattern: str) -> "re.Match[str] | None":
        return re.search(pattern, "".join(self.said), re.MULTILINE)

    def _over(self) -> bool:
        return not self._listener.is_alive()

    def child(self, word: str) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if any(word in part for part in child.cmdline()))


@contextmanager
def running(state_dir: Path, *arguments: str, **env: str) -> Generator[Kraj]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")}
    env = {**kept, "KRAJ_STATE_DIR": str(state_dir), "KRAJ_MQTT_PORT": "0", "KRAJ_API_PORT": str(free_port()), **env}
    process = subprocess.Popen(
        [sys.executable, "-m", "stack.cli", *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    kraj = Kraj(process)
    try:
        yield kraj
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, "".join(kraj.said)
        assert not psutil.wait_procs(children, timeout=PATIENCE_S)[1]
    finally:
        left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        psutil.wait_procs(left, timeout=PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


def committed(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(sum(committed), 0)::bigint FROM batch").fetchone()
        assert row is not None
        return row[0]


def await_more_than(kraj: Kraj, url: str, number: int) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while (now := committed(url)) <= number:
        assert time.monotonic() < deadline, "".join(kraj.said)
        time.sleep(0.1)
    return now


def test_the_demo_starts_survives_kills_stops_and_goes_on(open_folder: Path) -> None:
    demo = ("demo", "--devices", "12", "--interval", "0.5", "--history", "2")
    with running(open_folder, *demo) as kraj:  # stopped in the midst of the days before: half of them are no past
        await_file(open_folder / "demo" / "past-unfinished")
    with running(open_folder, *demo) as kraj:
        kraj.until("ended while its past was being simulated: all begins anew")
        page = kraj.until(r"page +(http://\S+)").group(1)
        with urllib.request.urlopen(f"{page}openapi.json", timeout=PATIENCE_S) as answer:  # noqa: S310 — our own page
            assert answer.status == 200
        url = EmbeddedPostgres(open_folder / "demo" / "database").url()
        before = await_more_than(kraj, url, 20)
        for name, word in (("ingest", "ingest"), ("broker", "mosquitto"), ("database", "postgres")):
            kraj.child(word).kill()
            kraj.until(f"^{name} runs again")
            before = await_more_than(kraj, url, before)
        assert_secrets_are_kept(open_folder / "demo", kraj)

    def warm_s() -> float:
        begin = time.monotonic()
        with running(open_folder, *demo) as kraj:
            kraj.until("Kraj runs")
            took_s = time.monotonic() - begin
            assert kraj.until(r"it is \d\d:\d\d now(.*)").group(1) == " (as its data began; --fresh begins anew)"
            await_more_than(kraj, url, before)
        return took_s

    assert best(warm_s, WARM_S_MAX) < WARM_S_MAX


def await_file(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_secrets_are_kept(folder: Path, kraj: Kraj) -> None:
    files = [folder / "services.json", folder / "database" / "passwords.json"]
    identities = [file for file in (folder / "identities").glob("*.pem") if file.name != "roots.pem"]
    keys = [*identities, *(folder / "authority").rglob("*.key")]
    assert [file for file in (*files, *keys) if file.stat().st_mode & 0o077] == []
    passwords = [password for file in files for password in json.loads(file.read_text()).values()]
    passwords += [file.read_text().splitlines()[1] for file in keys]
    assert len(passwords) == len(set(passwords)) >= 12 + 5 + 1 + 3
    processes = psutil.Process(kraj.process.pid).children(recursive=True)
    shown = [*kraj.said, *(" ".join(process.cmdline()) for process in processes)]
    shown += [log.read_text() for log in folder.rglob("*.log")]
    assert [text for text in shown for password in passwords if password in text] == []


def test_a_taken_port_of_the_page_makes_the_demo_take_the_next(open_folder: Path, broker: Broker) -> None:
    with running(open_folder, "demo", "--devices", "4", "--history", "0", KRAJ_API_PORT=str(broker.port)) as kraj:
        page = kraj.until(r"page +http://127.0.0.1:(\d+)/").group(1)
        assert broker.port < int(page) <= broker.port + 20
        kraj.until(r"firmware +\S+, \S+, \S+, \S+ run the devices' own firmware")
        url = EmbeddedPostgres(open_folder / "demo" / "database").url()
        await_firmware(url, f"{version('kraj')}+1", 4)


def await_firmware(url: str, name: str, devices: int) -> None:
    """Until so many devices say that they run a release."""
    deadline = time.monotonic() + PATIENCE_S
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            found = connection.execute("SELECT firmware FROM device_status WHERE online").fetchall()
            if [row[0] for row in found].count(name) == devices:
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


def test_up_runs_the_services_on_a_broker_of_ones_own(open_folder: Path, broker: Broker) -> None:
    with running(open_folder, "up", KRAJ_MQTT_HOST="127.0.0.1", KRAJ_MQTT_PORT=str(broker.port)) as kraj:
        kraj.until("Kraj runs")
        url = database_url(Settings(state_dir=open_folder))
        assert committed(url) == 0
        assert "broker connected" in await_text(open_folder / "logs" / "ingest.log", "broker connected")


def test_up_brings_a_broker_under_mutual_tls(open_folder: Path) -> None:
    with running(open_folder, "up") as kraj:
        port = int(kraj.until(r"broker 127\.0\.0\.1:(\d+) \(mutual TLS\)").group(1))
        assert "broker connected" in await_text(open_folder / "logs" / "ingest.log", "broker connected")
        context = ssl.create_default_context(cafile=open_folder / "authority" / "root-1.pem")
        wire = socket.create_connection(("127.0.0.1", port), 5)
        with context.wrap_socket(wire, server_hostname="localhost") as connection, pytest.raises(ssl.SSLError):
            connection.recv(1)  # we have no certificate to show


def test_what_does_not_start_is_named_with_its_last_words(open_folder: Path, broker: Broker) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")}
    env = {**kept, "KRAJ_STATE_DIR": str(open_folder), "KRAJ_API_PORT": str(broker.port)}
    command = [sys.executable, "-m", "stack.cli", "up"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: port {broker.port} is taken")


def await_text(file: Path, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while text not in (found := file.read_text()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found
