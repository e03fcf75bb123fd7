"""Answers to reporters: a mail when a report is taken and one when it ends, each once; then the address is deleted."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.door.mail import Mail
from api.notifications.worker import connect
from api.texts import Catalogue, catalogues
from kraj.errors import ConfigurationError
from kraj.service_requests import HOW, SERVICES
from kraj.store import service_requests as store
from kraj.store.connection import Connection, translated

EVERY_S: Final = 10.0
"""Between two looks; a reporter does not count seconds."""
RETRY_FIRST: Final = timedelta(minutes=1)
RETRY_MAX: Final = timedelta(hours=2)
GIVE_UP: Final = timedelta(days=3)
ERROR_CHARS_MAX: Final = 200

log: Any = structlog.get_logger(__name__)


class Answerer:
    """Works with the rights of ``kraj_notify``; any number may, on one database. Without ``mail`` it only forgets."""

    def __init__(self, url: str, mail: Mail | None, *, page: str) -> None:
        given = str(conninfo_to_dict(url).get("options") or "")
        self._url = make_conninfo(
            url, application_name="kraj-answers", connect_timeout=5, options=f"{given} -c timezone=UTC"
        )
        self._mail = mail
        self._page = page.rstrip("/")
        self._texts: Mapping[str, Catalogue] = catalogues()

    async def round(self, now: datetime) -> int:
        """Forget what is too old and send what is due by ``now``; how many went out. Raises ``UnavailableError``."""
        sent = 0
        async with await connect(self._url) as connection:
            with translated(connection):
                await store.tidy(connection, now)
                while (gone := await self._next(connection, now)) is not None:
                    sent += gone
        return sent

    async def _next(self, connection: Connection, now: datetime) -> bool | None:
        """Send the next one; None when nothing is due. Its row stays locked until it is marked."""
        async with connection.transaction():
            due = await store.next_due(connection, now)
            if due is None:
                return None
            if due.email is None:
                await store.answered(connection, due, now, "the address is forgotten")
                return False
            error = await self._send(due, due.email)
            if error is None:
                await store.answered(connection, due, now)
                return True
            if now - due.planned_at >= GIVE_UP:
                await store.answered(connection, due, now, error)
            else:
                wait = min(RETRY_FIRST * 2 ** min(due.attempts, 20), RETRY_MAX)
                await store.postpone(connection, due, now + wait)
            log.warning("answer not sent", request=due.request_number, what=due.what, error=error)
            return False

    async def _send(self, due: store.Due, email: str) -> str | None:
        """None when it is sent, else what went wrong, without the address."""
        if self._mail is None:
            return "there is no mail server (KRAJ_MAIL_URL_FILE)"
        try:
            error = await self._mail(email, *self.words(due))
        except ConfigurationError as problem:
            error = str(problem)
        return None if error is None else _without(error, email)[:ERROR_CHARS_MAX]

    def words(self, due: store.Due) -> tuple[str, str]:
        """Subject and text: ours alone, as anybody may have given anybody's address."""
        say = self._texts[due.language]
        service = getattr(SERVICES[due.service_code].title, due.language)
        place = ", ".join(filter(None, (due.place, due.municipality))) or say("open311.mail_place_unknown")
        how = getattr(HOW[due.closed_how], due.language) if due.closed_how else ""
        link = f"{self._page}/report/{due.service_request_id}?lang={due.language}"
        said = {"service": service, "place": place, "link": link, "how": how, "notes": due.status_notes or ""}
        subject = say(f"open311.mail_{due.what}_subject", **said)
        return subject, "\n".join(say(f"open311.mail_{due.what}_body", **said).splitlines())


def _without(text: str, email: str) -> str:
    for form in (email, quote(email), quote(email, safe="")):
        text = text.replace(form, "…")
    return text


async def rounds(answerer: Answerer, now: Any, stop: asyncio.Event) -> None:
    """Look again and again until told to stop."""
    while not stop.is_set():
        try:
            sent = await answerer.round(now())
        except Exception as error:  # alerts go out all the same; the next look tries again
            log.warning("answers wait", error=type(error).__name__)
        else:
            if sent:
                log.info("answers", sent=sent)
        try:
            await asyncio.wait_for(stop.wait(), EVERY_S)
        except TimeoutError:
            continue
