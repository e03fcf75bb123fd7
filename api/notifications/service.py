"""The notification process: settings in, a round every two seconds, SIGTERM stops after the message in hand."""

import asyncio
import contextlib
import signal
import sys
from typing import Any

import structlog

from api.door import mail
from api.formats import local_zone
from api.notifications.push import Push
from api.notifications.sending import SEND_S_MAX, Sender
from api.notifications.worker import Worker
from api.open311 import answering
from api.reports.worker import EVERY_S, Reporter
from kraj import clock
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings

ROUND_S = 2.0
"""Between two rounds; an idle one is a handful of queries by index."""
AWAY_S_MAX = 30.0
"""While the database is away it is asked again after this long at most."""
CONTACT = "mailto:kraj@localhost"
"""Of an installation without an https address: push services ask for one, and only loopback works without https."""

log: Any = structlog.get_logger(__name__)


def page_url(settings: Settings) -> str:
    """Where the pages are that messages link to."""
    return settings.public_url or f"http://{settings.api_host}:{settings.api_port}"


def run(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C."""
    if settings.database_url is None:
        raise ConfigurationError("notifications need KRAJ_DATABASE_URL; `kraj up` and `kraj demo` set it")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer()
            if settings.log_format == "json"
            else structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(serve(settings, settings.database_url.get_secret_value()))


async def serve(settings: Settings, database_url: str) -> None:
    """Work until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    now = clock.shifted(settings.clock_offset_s)
    page = page_url(settings)
    contact = page if page.startswith("https://") else CONTACT
    push = None if settings.push_key_file is None else Push.from_file(settings.push_key_file, contact)
    server = None if settings.mail_url_file is None else mail.server_of(settings.mail_url_file)
    worker = Worker(database_url, Sender(push=push, server=server), page=page, zone=local_zone())
    reporter = Reporter(database_url, page=page, server=server)
    answerer = answering.Answerer(database_url, server and mail.Mail(server), page=page)
    work = asyncio.create_task(_rounds(worker, now, stop))
    answers = asyncio.create_task(answering.rounds(answerer, now, stop))
    reports = asyncio.create_task(_reports(reporter, now, stop))  # beside: an alert does not wait for a PDF
    waiter = asyncio.create_task(stop.wait())
    log.info("notifications run", page=page_url(settings))
    await asyncio.wait((work, reports, answers, waiter), return_when=asyncio.FIRST_COMPLETED)
    with contextlib.suppress(TimeoutError):  # what is cut off here is sent again by whoever comes next
        await asyncio.wait_for(asyncio.gather(work, reports, answers), SEND_S_MAX / 4)
    waiter.cancel()


async def _rounds(worker: Worker, now: clock.Clock, stop: asyncio.Event) -> None:
    pause_s = ROUND_S
    while not stop.is_set():
        try:
            done = await worker.round(now())
        except* UnavailableError as group:
            log.warning("waiting for the database", error=str(group.exceptions[0]))
            pause_s = min(2 * pause_s, AWAY_S_MAX)
        else:
            pause_s = ROUND_S
            if done.sent or done.failed or done.moved:
                log.info("round", moved=done.moved, planned=done.planned, sent=done.sent, failed=done.failed)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s)


async def _reports(reporter: Reporter, now: clock.Clock, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            sent = await reporter.round(now())
        except Exception as error:  # alerts go out all the same; the next look tries again
            log.warning("reports wait", error=f"{type(error).__name__}: {error}")
        else:
            if sent:
                log.info("reports", sent=sent)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)
