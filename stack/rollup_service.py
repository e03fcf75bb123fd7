"""The rollup process: a round every minute, then the days of KPIs; SIGTERM stops it between two transactions."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any, Final

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ingest.service import configure_logs
from kraj.clock import shifted
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings
from kraj.store import rollup as store
from stack import kpi_days, rollup, rollup_groups

SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REGROUP_S: Final = 10.0
"""Of a round, for the history of groups whose members have changed."""
SETTLE_S: Final = 600.0
"""Between two looks for days whose KPIs wait."""

log: Any = structlog.get_logger(__name__)


class Figures:
    """What waits, and what rounds have done."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.working = Gauge("kraj_rollup_up", "1 while this process does the work; others stand by.", registry=r)
        self.readings_left = Gauge("kraj_rollup_waiting_readings", "Readings not yet rolled up.", registry=r)
        self.batches_left = Gauge("kraj_rollup_waiting_batches", "Batches not yet rolled up.", registry=r)
        self.lag_s = Gauge("kraj_rollup_lag_seconds", "How long the first of them has waited.", registry=r)
        self.readings = Counter("kraj_rollup_readings", "Readings rolled up.", registry=r)
        self.quarters = Counter("kraj_rollup_quarters", "Quarters of an hour made, or made anew.", registry=r)
        self.round_s = Histogram("kraj_rollup_round_seconds", "Time of a round.", buckets=SECONDS, registry=r)

    def see(self, left: tuple[int, int, datetime | None], at: datetime) -> None:
        """What waits as of a moment."""
        readings, batches, since = left
        self.readings_left.set(readings)
        self.batches_left.set(batches)
        self.lag_s.set(0.0 if since is None else max(0.0, (at - since).total_seconds()))


def run(settings: Settings, url: str, every_s: float) -> None:
    """Serve until SIGTERM or Ctrl-C; ``url`` is of the role ``kraj_rollup``."""
    configure_logs(settings.log_format)
    figures, stop = Figures(), threading.Event()
    try:
        server, thread = start_http_server(settings.rollup_metrics_port, "127.0.0.1", figures.registry)
    except OSError as error:
        raise ConfigurationError(
            f"KRAJ_ROLLUP_METRICS_PORT={settings.rollup_metrics_port}: {error.strerror}"
        ) from error
    log.info("metrics", address=f"http://127.0.0.1:{server.server_port}/metrics")

    def told(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    try:
        serve(url, shifted(settings.clock_offset_s), every_s, stop, figures)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve(url: str, now: Callable[[], datetime], every_s: float, stop: Event, figures: Figures) -> None:
    """Rounds until told to stop. Who does not get the lock looks again, and when the database is away, too."""
    settle_at = 0.0
    while not stop.is_set():
        try:
            with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url, autocommit=True) as reader:
                rollup.prepare(connection)
                rollup.prepare(reader)
                while not stop.is_set():
                    if store.lock(connection):
                        _round(connection, reader, now, figures, stop)
                        if time.monotonic() >= settle_at:
                            kpi_days.catch_up(url, now())
                            settle_at = time.monotonic() + SETTLE_S
                    stop.wait(every_s)
        except (psycopg.OperationalError, UnavailableError) as error:
            log.warning("the database is away", error=str(error).strip())
        figures.working.set(0)
        stop.wait(min(every_s, 5.0))


def _round(
    connection: store.Connection,
    reader: store.Connection,
    now: Callable[[], datetime],
    figures: Figures,
    stop: Event,
) -> None:
    figures.working.set(1)
    told = 0

    def say(_share: float, readings: int) -> None:
        nonlocal told
        figures.readings.inc(readings - told)
        told = readings
        figures.see(store.left(connection), now())

    began = time.perf_counter()
    figures.see(store.left(connection), now())
    figures.quarters.inc(rollup.rounds(connection, reader, now(), say, stop.is_set))
    rollup_groups.follow(connection, now(), REGROUP_S)
    figures.see(store.left(connection), now())
    figures.round_s.observe(time.perf_counter() - began)
