"""Trials as jobs: started by a request, judged by a process each, one at a time, with a limit and with progress."""

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from typing import Any, Self

import structlog

from api.rulebook.trying import Job
from api.service import Service
from kraj.errors import KrajError
from kraj.store import trials

SECONDS_MAX = 300.0
"""Judging half a year of a large town may take longer; then the verdict is about the days that were judged."""
GRACE_S = 60.0
"""Within it a process that is at its limit ends by itself."""
HEARD_S = 5.0
"""So often a trial that waits or runs says that it is alive; far less than what counts as lost."""
LINE_BYTES_MAX = 1 << 20
AT_ONCE = 1

log: Any = structlog.get_logger(__name__)


class Trials:
    """Runs trials in the background of the API; ends with it (who waits for one asks again)."""

    def __init__(self, service: Service, url: str, *, seconds_max: float = SECONDS_MAX) -> None:
        self.url = url
        self.seconds_max = seconds_max
        self._service = service
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, number: int, job: Job) -> None:
        """Judge it as soon as it is its turn, in the name of who asks now."""
        task = asyncio.create_task(self._run(number, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: int, job: Job) -> None:
        try:
            while not await self._turn():
                await self._heard(number, "waiting", 0.0)
            try:
                verdict, error = await self._judged(number, job)
            finally:
                self._slots.release()
            async with self._service.database.connection(write=True) as connection:
                await trials.finished(connection, number, verdict, error)
        except (KrajError, OSError) as error:  # the row tells by its silence that nobody works on it
            log.warning("a trial was lost", trial=number, error=str(error))

    async def _turn(self) -> bool:
        try:
            await asyncio.wait_for(self._slots.acquire(), HEARD_S)
        except TimeoutError:
            return False
        return True

    async def _heard(self, number: int, state: str, progress: float) -> None:
        async with self._service.database.connection(write=True) as connection:
            await trials.heard(connection, number, state, progress)

    async def _judged(self, number: int, job: Job) -> tuple[dict[str, Any] | None, str | None]:
        """The verdict, or what was wrong."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api.rulebook.trying",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES_MAX,
        )
        try:
            async with asyncio.timeout(job.seconds_max + GRACE_S):
                return await self._talk(process, number, job)
        except TimeoutError:
            return None, f"no verdict within {job.seconds_max:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _talk(
        self, process: asyncio.subprocess.Process, number: int, job: Job
    ) -> tuple[dict[str, Any] | None, str | None]:
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(json.dumps(asdict(job)).encode())
        process.stdin.close()
        progress = 0.0
        while True:
            await self._heard(number, "running", progress)
            try:
                line = await asyncio.wait_for(process.stdout.readline(), HEARD_S)
            except TimeoutError:
                continue
            if not line:
                return None, "the process that judged it has died"
            said = json.loads(line)
            if "verdict" in said or "error" in said:
                return said.get("verdict"), said.get("error")
            progress = said["progress"]
