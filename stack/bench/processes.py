"""The processes that a measurement starts: an ingest, Python modules of ours, and waiting for them."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from kraj.errors import ConfigurationError, UnavailableError
from stack.broker import Broker

START_S_MAX = 30.0
STOP_S_MAX = 15.0


def environment() -> dict[str, str]:
    """Ours without settings: a measurement must not depend on those of an installation."""
    return {k: v for k, v in os.environ.items() if not k.startswith("KRAJ_")} | {"PYTHONUNBUFFERED": "1"}


def ingest_process(
    database_url: str, broker: Broker, *, metrics_port: int, log: Path, module: str = "ingest", **settings: str
) -> "subprocess.Popen[bytes]":
    """Start an ingest on the broker and database; what it says goes to the end of ``log``. ``settings`` win."""
    env = environment() | {
        "KRAJ_DATABASE_URL": database_url,
        "KRAJ_MQTT_HOST": broker.address,
        "KRAJ_MQTT_PORT": str(broker.port),
        "KRAJ_INGEST_METRICS_PORT": str(metrics_port),
        **settings,
    }
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", module], env=env, stderr=out)


def python(module: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a module of ours that says ``ready`` and then waits for ``go``."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())


def await_ready(process: "subprocess.Popen[bytes]") -> None:
    """Wait for its ``ready``."""
    line = process.stdout.readline() if process.stdout else b""
    if line.strip() != b"ready":
        raise UnavailableError(f"{process.args} did not start: {line.decode()}")


def go(process: "subprocess.Popen[bytes]") -> None:
    """Let it begin."""
    if process.stdin:
        process.stdin.write(b"go\n")
        process.stdin.flush()


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop it in good order, or else by force."""
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what it did not read any more
                pipe.close()


def metric(port: int, name: str) -> float:
    """A figure of a running ingest; NaN while it is not there."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
    return float("nan")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_S_MAX) -> None:
    """Return when the condition holds; raise ``UnavailableError`` when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise UnavailableError(f"{what} did not start in {seconds:.0f} s")
        time.sleep(0.05)


def open_files_for(connections: int) -> None:
    """Raise our limit of open files, which the processes we start inherit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < connections + 100:
        raise ConfigurationError(f"{connections} connections need `ulimit -Hn` of {connections + 100}; it is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
