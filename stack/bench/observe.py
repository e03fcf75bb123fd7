"""What a measurement looks at from outside: totals in the database, CPU time, memory, when a batch can be queried."""

import subprocess
import threading
import time
from typing import Any

import numpy as np
import psutil
import psycopg

from kraj.errors import UnavailableError


class Totals:
    """The slot's committed totals, read over the owner's connection."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._duplicates = self._one("SELECT coalesce(sum(duplicate), 0) FROM slot")

    def _one(self, statement: str) -> Any:
        row = self._connection.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def read(self) -> int:
        return int(self._one("SELECT coalesce(sum(committed + duplicate + quarantined), 0) FROM slot"))

    def latest_written(self) -> bool:
        return bool(self._one("SELECT max(latest_batch_id) >= (SELECT max(batch_id) FROM batch) FROM slot"))

    def duplicates(self) -> int:
        return int(self._one("SELECT coalesce(sum(duplicate), 0) FROM slot")) - int(self._duplicates)


class Watch:
    """CPU time of processes and their children since ``start``."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._before: dict[str, float] = {}

    def start(self) -> None:
        self._before = {name: _cpu_s(pid) for name, pid in self._pids.items()}

    def spent(self) -> dict[str, float]:
        return {name: _cpu_s(pid) - self._before[name] for name, pid in self._pids.items()}


def pid_of(process: "subprocess.Popen[bytes] | None") -> int:
    """The process id of a server that must be running."""
    if process is None:
        raise UnavailableError("a server of the measurement is not running")
    return process.pid


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    own = process.cpu_times()
    return total + own.children_user + own.children_system


class Sampler:
    """In a thread: memory of ingest twice a second; when asked, at what moment each batch could first be queried."""

    def __init__(self, pid: int, url: str | None) -> None:
        self._process = psutil.Process(pid)
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.rss_mb: list[float] = []
        self._seen: list[tuple[int, float]] = []

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = psycopg.connect(self._url, autocommit=True) if self._url else None
        tick = 0
        while not self._stop.wait(0.005 if connection else 0.5):
            tick += 1
            if connection:
                row = connection.execute("SELECT max(batch_id) FROM batch").fetchone()
                if row and row[0] and (not self._seen or row[0] > self._seen[-1][0]):
                    self._seen.append((row[0], time.time() * 1000))
            if not connection or tick % 100 == 0:
                try:
                    self.rss_mb.append(self._process.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    break
        if connection:
            connection.close()

    def latencies(self, owner: "psycopg.Connection[Any]") -> list[float]:
        """Milliseconds from a reading's publication to the moment when another connection saw its batch."""
        rows = np.array(
            owner.execute("SELECT batch_id, (extract(epoch FROM ts) * 1000)::bigint FROM reading_lamp").fetchall(),
            np.int64,
        )
        seen = np.array(self._seen)
        place = np.minimum(np.searchsorted(seen[:, 0], rows[:, 0]), len(seen) - 1)
        return (seen[place, 1] - rows[:, 1]).tolist()


def growth(rss_mb: list[float]) -> float:
    """Median of the last quarter less that of the second: flat is about zero."""
    quarter = max(1, len(rss_mb) // 4)
    return float(np.median(rss_mb[-quarter:]) - np.median(rss_mb[quarter : 2 * quarter] or rss_mb))
