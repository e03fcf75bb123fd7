"""Sends monthly reports by e-mail: each once, on the third day of a month, and once more when somebody asks."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.notifications.sending import ERROR_CHARS_MAX, Sender, send, through
from api.notifications.worker import connect
from api.reports import making
from api.reports.printing import MEDIA, PAGE, PRINT, TABLE, Attached, NoPangoError, Printer, file_name
from api.texts import catalogues
from kraj import reports
from kraj.alerts import Severity
from kraj.errors import KrajError
from kraj.store import outbox
from kraj.store import report_runs as runs
from kraj.store import reports as store
from kraj.store.connection import Connection, translated
from kraj.store.report_runs import Due

EVERY_S: Final = 30.0
"""Between two looks; nobody waits for a report by the second."""
AGAIN: Final = timedelta(hours=1)
GIVE_UP: Final = timedelta(days=3)
SEND_S_MAX: Final = 60.0
"""Of a mail with a megabyte attached."""

Mail = Callable[[str, str, str, Sequence[Attached]], str | None]
"""(url, subject, text, files) → None when it is sent, else what went wrong; may block."""

log: Any = structlog.get_logger(__name__)


def mail(url: str, subject: str, text: str, files: Sequence[Attached]) -> str | None:
    """Send by apprise and wait; returns what went wrong, without the address' secrets."""
    import apprise  # takes a third of a second and 30 MB: only who sends pays for it
    from apprise.attachment.memory import AttachMemory

    # Bytes as they are; the library's annotation knows text alone.
    made: list[Any] = [AttachMemory(content=one.content, name=one.name, mimetype=one.media) for one in files]
    return send(url, subject, text, Severity.INFO, attach=apprise.AppriseAttachment(made))


class Reporter:
    """Works with the rights of ``kraj_notify``; any number may, on one database."""

    def __init__(self, url: str, *, page: str, mail: Mail = mail, server: Callable[[], str] | None = None) -> None:
        given = str(conninfo_to_dict(url).get("options") or "")
        self._url = make_conninfo(
            url, application_name="kraj-reports", connect_timeout=5, options=f"{given} -c timezone=UTC"
        )
        self._page = page.rstrip("/")
        self._mail = mail
        self._server = server
        self._sender = Sender(timeout_s=SEND_S_MAX)
        self._texts = catalogues()
        self._printer = Printer(self._texts)

    async def round(self, now: datetime) -> int:
        """Plan what is due by ``now`` and send it; how many went out. Raises ``UnavailableError``."""
        sent = 0
        async with await connect(self._url) as connection:
            with translated(connection):
                await runs.plan(connection, *reports.sending(now), now)
                while (gone := await self._next(connection, now)) is not None:
                    sent += gone
        return sent

    async def _next(self, connection: Connection, now: datetime) -> bool | None:
        """Send the next one; None when nothing is due.

        Its row stays locked until it is marked: who dies in between leaves this one report to be sent again.
        """
        async with connection.transaction():
            due = await runs.next_due(connection, now)
            if due is None:
                return None
            try:
                async with connection.transaction():
                    error, final = await self._send(connection, due, now)
            except (KrajError, psycopg.errors.DataError, psycopg.errors.ProgrammingError) as problem:
                # Whatever is wrong with this one, the others are to go out.
                error, final = f"{type(problem).__name__}: {problem}"[:ERROR_CHARS_MAX], False
            final = final or now - due.planned_at >= GIVE_UP
            await runs.done(connection, due.report_run_id, error, now, None if final else now + AGAIN)
        if error is not None:
            log.warning("report not sent", municipality=due.municipality, month=f"{due.month:%Y-%m}", error=error)
        return error is None

    async def _send(self, connection: Connection, due: Due, now: datetime) -> tuple[str | None, bool]:
        """What went wrong, and whether to leave it at that."""
        address = await outbox.address(connection, due.target_id)
        if address is None:
            return "target is switched off", True
        if not address.url.lower().startswith(("mailto://", "mailtos://")):
            return "target is no e-mail address any more", True
        await store.announce(connection, due.municipality_id)
        of = await store.town(connection, due.municipality)
        if of is None:
            return "there is no such municipality", True
        building = None
        if due.group_id is not None:
            building = await making.found_building(connection, of, due.group_id)
            if building is None:
                return "its group is no building any more", True
        document = await making.made(connection, of, due.month, now, language=due.language, building=building)
        link = f"{self._page}/reports/{of.name}/{due.month:%Y-%m}.html"
        text = self._printer.text(
            document, due.language, link if building is None else f"{link}?building={due.group_id}"
        )
        try:
            made, form = await asyncio.to_thread(self._printer.pdf, document, due.language), PRINT
        except NoPangoError as problem:
            log.warning("report without PDF", error=str(problem))
            made, form = self._printer.html(document, due.language).encode(), PAGE
            text = f"{text}\n\n{self._texts[due.language]('report.mail_no_pdf')}"
        table = self._printer.csv(document, due.language)
        files = [
            Attached(file_name(document, kind), MEDIA[kind].partition(";")[0], content)
            for kind, content in ((form, made), (TABLE, table))
        ]
        subject = self._printer.title(document, due.language)
        url = through(address.url, self._server)
        return await self._sender.run(address.url, lambda: self._mail(url, subject, text, files)), False
