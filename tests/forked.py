"""Our programs as processes of their own, forked from one that has imported them: a start takes 20 ms, not 2 s."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kraj import clock

ROOT = Path(__file__).parents[1]
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["api.app", "ingest.service"])


class Clock:
    """The clock of a program that is to see minutes go by at once: a test moves it while the program runs."""

    def __init__(self, ahead_s: float) -> None:
        self.shared: Any = _CONTEXT.RawValue("d", ahead_s)

    def move(self, ahead_s: float) -> None:
        """From now on it is this much ahead of real time (behind it where negative)."""
        self.shared.value = ahead_s

    def goes_on(self, seconds: float, until_s: float) -> None:
        """As ``move``, by some seconds from where it is, but not beyond."""
        self.move(min(self.shared.value + seconds, until_s))

    def ms(self) -> int:
        return int((datetime.now(UTC).timestamp() + self.shared.value) * 1000)


class Program:
    """``python -m NAME`` with nothing but this environment, its output appended to a file; used as a ``Popen``."""

    def __init__(self, name: str, *, env: Mapping[str, str], log: Path, clock: Clock | None = None) -> None:
        log.touch()
        given = (name, dict(env), str(log), clock.shared if clock else None)
        self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(name: str, env: dict[str, str], log: str, ahead_s: Any) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [name]
    if ahead_s is not None:
        clock.real = lambda: datetime.now(UTC) + timedelta(seconds=ahead_s.value)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
