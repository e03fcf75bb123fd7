"""The ingest process: settings in, session and pipeline wired together, SIGTERM drains."""

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
import sys
import time
from functools import partial
from typing import Any, TextIO, cast

import structlog
from prometheus_client import start_http_server

from ingest.claims import Claims
from ingest.counters import Counters
from ingest.database import Database
from ingest.dispatch import Dispatcher
from ingest.foreign.translating import FILTER
from ingest.judge import Judge
from ingest.pipeline import Pipeline
from ingest.resend import grant_resends
from ingest.session import Credentials, Link, connect, keep_session
from ingest.telling import tell_commands
from kraj import topics
from kraj.clock import shifted
from kraj.errors import ConfigurationError
from kraj.settings import Settings

DRAIN_S_MAX = 10.0
"""On SIGTERM what is in flight gets this long; what is left the broker sends again to whoever comes next."""
GC_THRESHOLDS = (50_000, 20, 100)
"""A batch allocates thousands of tuples and no cycles; at Python's own 700 the collector would walk the routes of all
devices again and again."""

log: Any = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C."""
    configure_logs(settings.log_format)
    if settings.database_url is None:
        raise ConfigurationError("ingest needs KRAJ_DATABASE_URL; `kraj demo` sets it for its embedded database")
    asyncio.run(serve(settings, settings.database_url.get_secret_value()))


def configure_logs(log_format: str) -> None:
    """Structured lines on standard error: for people, or JSON."""
    last: Any = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Enduring(sys.stderr))),
    )


class Enduring:
    """A stream for logs, of which nobody dies: what cannot be written (the disk is full) is left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


async def serve(settings: Settings, database_url: str) -> None:
    """Ingest until told to stop."""
    gc.set_threshold(*GC_THRESHOLDS)
    counters = Counters()
    password, tls = _password(settings), _tls(settings)
    try:
        server, _ = start_http_server(settings.ingest_metrics_port, "127.0.0.1", counters.registry)
    except OSError as error:
        raise ConfigurationError(
            f"KRAJ_INGEST_METRICS_PORT={settings.ingest_metrics_port}: {error.strerror}"
        ) from error
    log.info("metrics", address=f"http://127.0.0.1:{server.server_port}/metrics")
    now = shifted(settings.clock_offset_s)
    judge = Judge(counters) if settings.ingest_rules else None
    database = Database(
        database_url,
        settings.ingest_slot,
        time.monotonic,
        counters,
        now=now,
        resume=judge.resume if judge is not None else None,
    )
    pipeline = Pipeline(
        database,
        counters,
        time.monotonic,
        batch_messages=settings.ingest_batch_messages,
        linger_s=settings.ingest_linger_ms / 1000,
        acknowledge_devices=settings.ingest_acknowledge_devices,
        now=now,
        judge=judge,
    )
    line = _Line(counters, judge)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    who = Credentials(
        settings.mqtt_host, settings.mqtt_port, settings.ingest_slot, settings.mqtt_username, password, tls
    )
    work = asyncio.create_task(pipeline.run())
    filters = (*topics.subscriptions(), FILTER)
    connect_once = partial(connect, who, settings.ingest_window, filters, pipeline.inbox)
    session = asyncio.create_task(keep_session(connect_once, line.connected, database.held.wait))
    waiter = asyncio.create_task(stop.wait())
    resends = asyncio.create_task(grant_resends(database, lambda: line.link))
    telling = asyncio.create_task(tell_commands(database, lambda: line.link))
    dispatching = asyncio.create_task(Dispatcher(database_url, lambda: line.link, now).run())
    claims = asyncio.create_task(Claims(database, counters, judge, in_flight=lambda: pipeline.in_flight).run())
    try:
        done, _ = await asyncio.wait([work, session, waiter], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        log.info("stopping: committing what is in flight")
        if line.link is not None:
            line.link.pause_reading()
        try:
            async with asyncio.timeout(DRAIN_S_MAX):
                await pipeline.drain()
        except TimeoutError:
            log.warning("not everything could be committed in time; the broker will send it again")
    finally:
        tasks: list[asyncio.Task[Any]] = [claims, resends, telling, dispatching, session, work, waiter]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()
        server.shutdown()
        server.server_close()


class _Line:
    """The connection to the broker as it comes and goes, and its figures over all connections."""

    def __init__(self, counters: Counters, judge: Judge | None) -> None:
        self.link: Link | None = None
        self._digested_before = 0
        self._counters = counters
        self._judge = judge
        counters.digested.set_function(lambda: self._digested_before + (self.link.digested if self.link else 0))
        counters.broker_lag_s.set_function(lambda: self.link.digest_s if self.link else 0.0)

    def connected(self, new: Link | None) -> None:
        """There is another connection, or (None) there is none."""
        self._digested_before += self.link.digested if self.link else 0
        self.link = new
        self._counters.broker_up.set(0 if new is None else 1)
        if self._judge is not None:
            self._judge.listening(new is not None)


def _password(settings: Settings) -> str | None:
    if settings.mqtt_password_file is None:
        return None
    try:
        return settings.mqtt_password_file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"KRAJ_MQTT_PASSWORD_FILE: {settings.mqtt_password_file}: {error.strerror}") from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 at least, the broker's name and authority checked; by our certificate the broker knows the slot."""
    if settings.mqtt_ca_file is None:
        if settings.mqtt_certificate_file is not None:
            raise ConfigurationError("KRAJ_MQTT_CERTIFICATE_FILE is of no use without KRAJ_MQTT_CA_FILE, its roots")
        return None
    try:
        context = ssl.create_default_context(cafile=settings.mqtt_ca_file)
        if settings.mqtt_certificate_file is not None:
            context.load_cert_chain(settings.mqtt_certificate_file, settings.mqtt_key_file)
    except OSError as error:  # ssl.SSLError is one
        files = f"{settings.mqtt_ca_file}, {settings.mqtt_certificate_file} and {settings.mqtt_key_file}"
        raise ConfigurationError(f"KRAJ_MQTT_CA_FILE and what belongs to it ({files}): {error}") from error
    return context
