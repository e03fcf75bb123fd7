"""Sending one message to one address through apprise, in a thread that may be left behind."""

import asyncio
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from api.notifications import alertmanager, push, webhooks
from api.notifications.wordings import test_message
from kraj.alerts import Severity
from kraj.store.outbox import Address

SEND_S_MAX = 20.0
"""A service that takes longer is taken for dead; a mail server that greets slowly needs about ten."""
LEFT_BEHIND_MAX = 3
"""Threads that may hang on one address: a thread cannot be ended, and each costs memory and a socket."""
ERROR_CHARS_MAX = 500
TERSE_CHARS_MAX = 1000
"""Of text messages apprise knows limits from 70 to 918 characters; chats and mail take thousands."""
_KINDS = {Severity.CRITICAL: "failure", Severity.MAJOR: "warning", Severity.MINOR: "warning"}
"""How apprise colours a message, where the service has colours."""

PLAIN = re.compile(r"[^@\s:/?#&%]{1,64}@[^@\s:/?#&%]{1,190}")
"""An e-mail address of a person, and nothing else."""
PLAIN_SCHEME = "mailto://"
"""Before a plain address as it is kept: it goes by the installation's own mail server, whose password is nobody's."""

Send = Callable[[str, str, str, Severity], str | None]
"""(url, subject, body, severity) → None when it is sent, else what went wrong; may block."""


def through(url: str, server: Callable[[], str] | None) -> str:
    """The address itself, or the installation's mail server's with this plain one behind it."""
    plain = url.removeprefix(PLAIN_SCHEME)
    return to(server(), plain) if server and url != plain and PLAIN.fullmatch(plain) else url


def to(server: str, address: str) -> str:
    """A mail server's address, in apprise's notation, with somebody to write to."""
    return f"{server}{'&' if '?' in server else '?'}to={quote(address)}"


def send(url: str, subject: str, body: str, severity: Severity, *, attach: Any = None) -> str | None:
    """Send by apprise and wait; returns what went wrong, without the address' secrets. ``attach``: apprise's."""
    if alertmanager.known(url):
        return alertmanager.post(url, [alertmanager.test_alert(subject, body, datetime.now(UTC))])
    service = _apprise()
    if not service.add(url):
        return "no service is reached by this address"
    heard: list[str] = []

    def hear(entry: Any, _service: Any) -> None:
        if entry.level in ("WARNING", "ERROR", "CRITICAL"):
            heard.append(entry.message)

    sent = service.notify(
        body=body,
        title=subject,
        notify_type=_KINDS.get(severity, "info"),
        body_format="text",
        attach=attach,
        log_callback=hear,
    )
    said = "; ".join(heard).replace(url, "…")[:ERROR_CHARS_MAX]
    return None if sent else said or "the service refused it and did not say why"


def valid(url: str) -> bool:
    """Whether apprise, or one of our own ways, knows what to do with an address."""
    return alertmanager.known(url) or webhooks.known(url) or bool(_apprise().add(url))


def terse(url: str) -> bool:
    """Whether what is reached by this address takes short texts only, as text messages do."""
    service = _apprise()
    return bool(service.add(url)) and min(one.body_maxlen for one in service) <= TERSE_CHARS_MAX


def _apprise() -> Any:
    import apprise  # takes a third of a second and 30 MB: only who sends pays for it

    return apprise.Apprise()


class Sender:
    """Sends with a limit in time; what hangs is left to itself and counted."""

    def __init__(
        self,
        send: Send = send,
        *,
        timeout_s: float = SEND_S_MAX,
        push: push.Push | None = None,
        server: Callable[[], str] | None = None,
    ) -> None:
        self._send = send
        self._push = push
        self._server = server
        self._timeout_s = timeout_s
        self._left: Counter[str] = Counter()

    async def __call__(self, url: str, subject: str, body: str, severity: Severity) -> str | None:
        """None when it is sent, else what went wrong."""
        return await self.run(url, lambda: self._send(through(url, self._server), subject, body, severity))

    async def test(self, address: Address, now: datetime) -> str | None:
        """Send a test message; None when it is sent, else what went wrong."""
        if address.secrets:
            body = webhooks.test_event(address.language, now)
            return await self.signed(address, f"test_{uuid.uuid4().hex}", body)
        if push.known(address.url):
            return await self.pushed(address, *test_message(address.language), "/notifications")
        return await self(address.url, *test_message(address.language), Severity.INFO)

    async def signed(self, address: Address, message_id: str, body: str) -> str | None:
        """Post a body to a webhook; None when it is taken, else what went wrong."""
        return await self.run(address.url, lambda: webhooks.post(address, message_id, body))

    async def pushed(self, address: Address, title: str, body: str, link: str) -> str | None:
        """Push to a browser; None when its service has taken it, ``push.GONE``, or else what went wrong."""
        service = self._push
        if service is None:
            return "KRAJ_PUSH_KEY_FILE is not set; `kraj up` makes the key"
        return await self.run(address.url, lambda: service.post(address.url, title, body, link, address.language))

    async def run(self, url: str, send: Callable[[], str | None]) -> str | None:
        """Do it in a thread, within the limit."""
        if self._left[url] >= LEFT_BEHIND_MAX:
            return f"{LEFT_BEHIND_MAX} earlier messages still hang there"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def settle(said: str | None) -> None:
            if answer.done():  # it was given up; the thread has come back at last
                self._left[url] -= 1
            else:
                answer.set_result(said)

        def work() -> None:
            try:
                said = send()
            except Exception as error:  # a service's plugin may raise whatever it likes; the others go on
                said = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
            try:
                loop.call_soon_threadsafe(settle, said)
            except RuntimeError:  # the loop is closed: we are stopping
                return

        # A daemon: the executor's threads would be waited for when the process ends.
        threading.Thread(target=work, name="notification", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self._timeout_s)
        except TimeoutError:
            self._left[url] += 1
            answer.cancel()
            return f"no answer within {self._timeout_s:g} s"
