"""The disk is full: ingest holds what it has, nobody is told that it is stored, and all comes when there is room again.

Database, its log and that of ingest lie on a small file system in memory, which is filled up while lamps report: at
first tables cannot grow, then the write-ahead log cannot, of which the database dies. It is started again, as the
supervisor does, for as long as it takes.
"""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg

from kraj.errors import KrajError, UnavailableError
from kraj.store.migrate import migrate
from stack.bench.processes import environment, stop
from stack.bench.survive_crew import Crew
from stack.bench.survive_oracle import judge
from stack.bench.survive_site import Site
from stack.broker import Broker
from stack.database import EmbeddedPostgres
from stack.process import mortal

SIZE_MB = 400
LAMPS = 50
INTERVAL_S = 0.2
CALM_S = 3.0
FULL_S = 12.0
ROUNDS = 3
SETTLE_S = 30.0
CHUNK = 1 << 20
LOOK_S = 0.1
COMMANDS_S_MAX = 110.0
LOST, FALSE = "disk_full_lost", "disk_full_acknowledged_falsely"
MUST_BE_NONE = (LOST, FALSE, "disk_full_duplicates", "disk_full_ingest_ended")


def measure(
    folder: Path, say: Callable[[str], None], numbers: Mapping[str, float] = MappingProxyType({})
) -> dict[str, Any]:
    """On a file system of its own: as root mounted here, else in a user namespace; where neither works, say so.

    ``numbers`` are those of ``run`` by name.
    """
    if os.geteuid() == 0:
        try:
            with small_disk(folder / "disk", SIZE_MB) as disk:
                return run(disk, say, **numbers) | {"disk_full_by": "mount"}
        except PermissionError as error:
            return _not_measured(str(error))
    return _in_namespace(folder, say, numbers)


def run(
    disk: Path,
    say: Callable[[str], None],
    *,
    lamps: float = LAMPS,
    full_s: float = FULL_S,
    rounds: float = ROUNDS,
    calm_s: float = CALM_S,
) -> dict[str, Any]:
    """On this small file system."""
    with (
        EmbeddedPostgres(disk / "database", shared_buffers="32MB") as database,
        Broker(disk / "broker", open=True) as broker,
    ):
        migrate(database.url())
        return asyncio.run(_Full(Site(disk, database, broker), say).run(int(lamps), full_s, int(rounds), calm_s))


class _Full:
    """The course of events; what ends meanwhile is started again and counted."""

    def __init__(self, site: Site, say: Callable[[str], None]) -> None:
        self._site = site
        self._say = say
        self._ballast = site.folder / "ballast"
        self._ended = {"database": 0, "ingest": 0}
        self._refused = 0.0

    async def run(self, lamps: int, full_s: float, rounds: int, calm_s: float) -> dict[str, Any]:
        site = self._site
        names = await asyncio.to_thread(site.lamps, "disk", lamps)
        self._ingest = await asyncio.to_thread(site.start_ingest)
        await asyncio.to_thread(site.ready)
        keeping = asyncio.create_task(self._keep())
        try:
            async with Crew(names, [site.broker.port], interval_s=INTERVAL_S) as crew:
                reporting = asyncio.create_task(crew.report(1e9))
                for number in range(rounds):
                    await asyncio.sleep(calm_s)
                    await self._fill(full_s, log_too=number > 0)
                reporting.cancel()
                settling_s = await crew.settle(SETTLE_S)
            stored = await asyncio.to_thread(site.stored, names)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await asyncio.to_thread(stop, self._ingest)
        verdict = judge(crew.made, crew.acknowledged, stored)
        if not self._refused or not verdict.acknowledged:
            raise UnavailableError("the disk was never full for the database: the measurement is worth nothing")
        return verdict.figures("disk_full") | {
            "disk_full_ingest_ended": self._ended["ingest"],
            "disk_full_database_ended": self._ended["database"],
            "disk_full_commits_refused": int(self._refused),
            "disk_full_settling_s": round(settling_s, 1),
        }

    async def _fill(self, seconds: float, *, log_too: bool) -> None:
        """No byte is left for a while; with ``log_too`` the write-ahead log needs room at once."""
        fill(self._ballast)
        if log_too:
            with contextlib.suppress(psycopg.Error):
                await asyncio.to_thread(self._site.rows, "SELECT pg_switch_wal()")
        before = await self._retries()
        await asyncio.sleep(seconds)
        self._refused += max(0.0, await self._retries() - before)
        self._say(f"  the disk was full for {seconds:.0f} s; ended and started again: {self._ended}")
        self._ballast.unlink()

    async def _retries(self) -> float:
        whys = ("commit", "database away")
        found = [await asyncio.to_thread(self._site.figure, f'commit_retries_total{{why="{why}"}}') for why in whys]
        return sum(one for one in found if one == one)  # noqa: PLR0124 - NaN where it has not happened

    async def _keep(self) -> None:
        """The supervisor's part."""
        database, tries = self._site.database, 0
        while True:
            await asyncio.sleep(LOOK_S)
            if self._ingest.poll() is not None:
                self._ended["ingest"] += 1
                self._ingest = await asyncio.to_thread(self._site.start_ingest)
            if database.process is None or database.process.poll() is not None:
                self._ended["database"] += database.process is not None
                try:
                    await asyncio.to_thread(database.start)
                except (KrajError, OSError) as error:
                    tries += 1
                    if tries == 1:
                        self._say(f"  the database does not start: {str(error).splitlines()[-1]}")
                    await asyncio.to_thread(database.stop)
                    await asyncio.sleep(1)


def fill(file: Path) -> None:
    """Take all room of the file system."""
    with file.open("wb", buffering=0) as out:
        size = CHUNK
        while size:
            try:
                if out.write(bytes(size)) < size:
                    size //= 2
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Generator[Path]:
    """A file system in memory, mounted as long as it is needed. Raises ``PermissionError`` where we may not mount."""
    folder.mkdir(mode=0o755)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise PermissionError(made.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _in_namespace(folder: Path, say: Callable[[str], None], numbers: Mapping[str, float]) -> dict[str, Any]:
    """As a normal user: mount in a user namespace of our own, and be ourselves again in a second one inside it."""
    disk = folder / "disk"
    disk.mkdir()
    again = ["unshare", "--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}", "--"]
    inside = [*again, sys.executable, "-m", "stack.bench.survive_disk", str(disk), json.dumps(dict(numbers))]
    mounting = f'mount -t tmpfs -o size={SIZE_MB}m,mode=0755 tmpfs "$0" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c", mounting, str(disk), *inside]
    if shutil.which("unshare") is None:
        return _not_measured("not root, and unshare(1) is missing")
    say("  in a user namespace, as we are not root")
    done = subprocess.run(
        mortal(command), env=environment(), capture_output=True, text=True, check=False, timeout=COMMANDS_S_MAX
    )
    try:
        return json.loads(done.stdout.splitlines()[-1]) | {"disk_full_by": "namespace"}
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return _not_measured(f"not root, and no user namespace: {last[:200]}")


def _not_measured(why: str) -> dict[str, Any]:
    return {LOST: None, FALSE: None, "disk_full_by": None, "disk_full_not_measured": why}


if __name__ == "__main__":
    numbers: dict[str, float] = json.loads(sys.argv[2])
    found = run(Path(sys.argv[1]), lambda line: print(line, file=sys.stderr), **numbers)  # noqa: T201
    print(json.dumps(found))  # noqa: T201  # the result
