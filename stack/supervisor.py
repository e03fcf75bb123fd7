"""Keeps a row of servers running: starts them in order, starts again what dies, stops all in reverse order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kraj.errors import KrajError, UnavailableError
from stack.process import end, rotate, spawn, tail

BACKOFF_S_MIN = 0.2
BACKOFF_S_MAX = 10.0
HEALTHY_S = 30.0
"""What ran this long did not die of its start: its next restart is quick again."""
READY_S_MAX = 90.0
STOP_S_MAX = 10.0
"""How long a program may take to finish what it has in hand."""
WATCH_S = 0.05
LOG_CHECK_S = 10.0


class Server(Protocol):
    """What can be supervised: a program of ours, the embedded database, the broker."""

    @property
    def log(self) -> Path: ...

    @property
    def process(self) -> "subprocess.Popen[bytes] | None": ...

    def start(self) -> None:
        """Start and return when ready; raise ``KrajError`` otherwise."""
        ...

    def stop(self) -> None: ...


class Program:
    """A command that runs until it is told to stop, its output in a log file.

    Args:
        command: the argument list.
        log: file that the output is appended to.
        env: variables over ours.
        ready: asked again and again until it says yes; None: ready as soon as it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._command = list(command)
        self._env = dict(env or {})
        self._ready = ready

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = process = spawn(self._command, log=self.log, folder=Path.cwd(), env={**os.environ, **self._env})
        deadline = time.monotonic() + READY_S_MAX
        while self._ready is not None and not self._ready():
            if process.poll() is not None:
                raise UnavailableError(f"it {ending(process.returncode)}; the end of {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"it is not ready after {READY_S_MAX:.0f} s; see {self.log}:\n{tail(self.log)}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            end(self.process, (signal.SIGTERM, STOP_S_MAX))
            self.process = None


@dataclass(slots=True)
class Unit:
    """A server with its name and what the supervisor knows of it.

    The thread belongs to it for as long as the supervisor lives, as a child dies with the thread that started it.
    """

    name: str
    server: Server
    restarts: int = 0
    backoff_s: float = BACKOFF_S_MIN
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    starting: "asyncio.Future[None] | None" = None


class Supervisor:
    """Runs units until SIGTERM or Ctrl-C; a second signal ends everything at once."""

    def __init__(self, *, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._units: list[Unit] = []

    async def run(self, units: Sequence[tuple[str, Server]], *, on_ready: Callable[[], None]) -> None:
        """Start the servers in order, each when the one before it is ready, and keep them until we are told to stop.

        Raises:
            KrajError: one did not start the first time; everything has been stopped again.
        """
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, told)
        tasks: list[asyncio.Task[None]] = []
        try:
            for name, server in units:
                unit = Unit(name, server)
                self._units.append(unit)
                tasks.append(asyncio.create_task(self._start(unit)))
                await _first(told, tasks[-1])
                if told.done():
                    return
                tasks[-1] = asyncio.create_task(self._keep(unit))
            on_ready()
            await _first(told, *tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for unit in reversed(self._units):
                await self._stop(unit)

    def _on_signal(self, told: "asyncio.Future[None]") -> None:
        if told.done():
            os._exit(130)  # the children follow by their death signal
        told.set_result(None)
        self._tell("stopping; once more to stop at once")

    async def _start(self, unit: Unit) -> None:
        loop = asyncio.get_running_loop()
        unit.starting = asyncio.ensure_future(loop.run_in_executor(unit.thread, unit.server.start))
        try:
            await asyncio.shield(unit.starting)
        except KrajError as error:
            raise type(error)(f"{unit.name} did not start: {error}") from error
        finally:
            if unit.starting.done():
                unit.starting = None

    async def _keep(self, unit: Unit) -> None:
        """Watch one server, and start it again whenever it has died."""
        while True:
            began = time.monotonic()
            how = await _until_dead(unit.server)
            if time.monotonic() - began > HEALTHY_S:
                unit.backoff_s = BACKOFF_S_MIN
            self._tell(f"{unit.name} {how}; starting it again in {unit.backoff_s:.1f} s (see {unit.server.log})")
            while not await self._revive(unit):
                self._tell(f"{unit.name}: trying again in {unit.backoff_s:.1f} s")

    async def _revive(self, unit: Unit) -> bool:
        await asyncio.sleep(unit.backoff_s)
        unit.backoff_s = min(2 * unit.backoff_s, BACKOFF_S_MAX)
        unit.restarts += 1
        try:
            await self._start(unit)
        except (KrajError, OSError) as error:  # a full disk is an OSError, and passes
            self._tell(str(error))
            await asyncio.get_running_loop().run_in_executor(unit.thread, unit.server.stop)
            return False
        self._tell(f"{unit.name} runs again")
        return True

    async def _stop(self, unit: Unit) -> None:
        if unit.starting is not None:
            # A start may wait for long, a database in recovery for minutes: killing the process ends it at once.
            while not unit.starting.done():
                if unit.server.process is not None:
                    unit.server.process.kill()
                await asyncio.wait((unit.starting,), timeout=WATCH_S)
            with contextlib.suppress(KrajError):
                unit.starting.result()
        await asyncio.get_running_loop().run_in_executor(unit.thread, unit.server.stop)
        unit.thread.shutdown()


def kraj(command: str, *arguments: str) -> list[str]:
    """Return the argument list of one of our own commands, by the interpreter that runs us."""
    return [sys.executable, "-m", "stack.cli", command, *arguments]


def ending(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


async def _until_dead(server: Server) -> str:
    """Wait until the server's process has ended, keeping its log within bounds; return how it ended."""
    process = server.process
    log_due = time.monotonic() + LOG_CHECK_S
    while process is not None and process.poll() is None:
        await asyncio.sleep(WATCH_S)
        if time.monotonic() > log_due:
            log_due = time.monotonic() + LOG_CHECK_S
            rotate(server.log)
    if process is None:
        return "was stopped"
    return ending(process.returncode) + (_last_words(server.log) if process.returncode > 0 else "")


def _last_words(log: Path) -> str:
    """Return the last line of a log that says something: of a traceback, the error itself."""
    lines = [line.strip(" |+-") for line in tail(log).splitlines()]
    return next((f" ({line[:200]})" for line in reversed(lines) if line), "")


async def _first(*futures: "asyncio.Future[None]") -> None:
    """Wait for the first that is done; raise what it raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
