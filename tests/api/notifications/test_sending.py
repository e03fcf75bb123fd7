"""Messages through apprise to a real mail server and a real webhook: they arrive readable, and nothing hangs us."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller

from api.notifications.sending import LEFT_BEHIND_MAX, Sender, send, valid
from kraj.alerts import Severity
from stack.process import free_port
from tests.api.notifications.conftest import NOW, Town
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it

CZECH = "Příliš žluťoučký kůň – VO-9, Nádražní"


class Mailbox:
    """What the mail server has taken."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


class Hook(BaseHTTPRequestHandler):
    """A webhook that answers as ``answers`` says, 200 at last."""

    def do_POST(self) -> None:
        server = cast("HookServer", self.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = server.answers.pop(0) if server.answers else 200
        server.heard.append((status, body))
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        return


class HookServer(ThreadingHTTPServer):
    """Remembers what came and how it was answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.answers: list[int] = []
        self.heard: list[tuple[int, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_address[1]}/hook"


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with HookServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    """A mailbox and the address that leads there."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield mailbox, f"mailto://127.0.0.1:{controller.port}?from=kraj@example.cz&to=dispatch@example.cz"
    controller.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a service that takes the connection and says nothing."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"json://127.0.0.1:{server.getsockname()[1]}/"


async def test_a_mail_in_czech_arrives_as_it_was_written(town: Town, mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    town.target("dispatch", url)
    town.take(town.lamp(9))
    done = await town.worker(send).round(NOW)
    assert (done.sent, done.failed) == (1, 0), town.deliveries()
    (found,) = mailbox.mails
    assert found["subject"] == "[1] Svítidlo nesvítí – Olšinka, VO-9, Nádražní"
    assert found["to"] == "dispatch@example.cz"
    text = found.get_body(("plain", "html"))
    assert text is not None
    content = text.get_content()
    assert "Rozvaděč RVO-01, jistič vývodu RVO-01/2" in content
    assert "S sebou: Předřadník Xi-40" in content
    assert "http://kraj.test/alerts/1" in content


async def test_a_plain_address_is_reached_through_the_installations_own_server(mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    sender = Sender(server=lambda: url.partition("&to=")[0])
    assert await sender("mailto://starosta@olsinka.cz", "Zkouška", CZECH, Severity.INFO) is None
    assert await sender(url, "Zkouška", CZECH, Severity.INFO) is None
    assert [one["to"] for one in mailbox.mails] == ["starosta@olsinka.cz", "dispatch@example.cz"]


async def test_a_webhook_that_fails_twice_gets_the_message_the_third_time(town: Town, hook: HookServer) -> None:
    town.target("hook", hook.url)
    town.take(town.lamp(9))
    hook.answers = [503, 500]
    worker = town.worker(send)
    counts = [await worker.round(NOW + timedelta(seconds=s)) for s in (0, 29, 30, 89, 90, 150)]
    assert [(c.sent, c.failed) for c in counts] == [(0, 1), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0)]
    assert [status for status, _ in hook.heard] == [503, 500, 200]
    assert hook.heard[-1][1]["title"] == "[1] Svítidlo nesvítí – Olšinka, VO-9, Nádražní"
    assert "jistič vývodu RVO-01/2" in hook.heard[-1][1]["message"]
    assert town.deliveries() == [("hook", 3, True, False, None)]


async def test_why_it_failed_is_kept(town: Town, hook: HookServer) -> None:
    town.target("hook", hook.url)
    town.take(town.lamp(9))
    hook.answers = [503]
    await town.worker(send).round(NOW)
    ((_, _, _, _, error),) = town.deliveries()
    assert "503" in error


async def test_a_target_that_hangs_is_left_and_keeps_nobody_else_waiting(
    town: Town, silent: str, hook: HookServer
) -> None:
    town.target("silent", silent)
    town.target("hook", hook.url)
    town.take(*(town.lamp(n) for n in (1, 2, 3)))
    begin = time.monotonic()
    done = await town.worker(send, timeout_s=1.0).round(NOW)
    assert time.monotonic() - begin < 10, "one attempt for three messages"
    assert (done.sent, done.failed) == (3, 1)
    assert len(hook.heard) == 3
    assert [row[:3] for row in town.deliveries() if row[0] == "silent"] == [
        ("silent", 1, False),
        ("silent", 0, False),
        ("silent", 0, False),
    ]
    assert town.one("SELECT DISTINCT due_at FROM delivery WHERE sent_at IS NULL") == (NOW + timedelta(seconds=30),)
    assert town.one("SELECT max(error) FROM delivery") == ("no answer within 1 s",)


async def test_a_service_that_never_comes_back_costs_three_threads_at_most() -> None:
    gate = threading.Event()
    calls: list[str] = []

    def hang(url: str, _subject: str, _body: str, _severity: Severity) -> None:
        calls.append(url)
        gate.wait(30)

    sender = Sender(hang, timeout_s=0.02)
    said = [await sender("a", "", "", Severity.INFO) for _ in range(LEFT_BEHIND_MAX + 2)]
    assert said[LEFT_BEHIND_MAX:] == ["3 earlier messages still hang there"] * 2
    assert calls == ["a"] * LEFT_BEHIND_MAX
    gate.set()
    async with asyncio.timeout(PATIENCE_S):
        while await sender("a", "", "", Severity.INFO) is not None:  # noqa: ASYNC110 - three threads are to come back
            await asyncio.sleep(0.01)


async def test_a_plugin_that_raises_is_a_failed_attempt() -> None:
    def broken(_url: str, _subject: str, _body: str, _severity: Severity) -> str | None:
        raise KeyError("token")

    assert await Sender(broken)("a", "", "", Severity.INFO) == "KeyError: 'token'"


def test_what_went_wrong_is_told_without_the_password() -> None:
    url = f"json://user:hunter2@127.0.0.1:{free_port()}/secret-token"
    said = send(url, CZECH, CZECH, Severity.MAJOR)
    assert said
    assert "hunter2" not in said
    assert "secret-token" not in said
    assert send("nonsense://", "", "x", Severity.INFO)


def test_an_address_that_nobody_serves_is_known_before() -> None:
    assert valid("json://127.0.0.1/")
    assert valid("mailtos://user:password@example.cz")
    assert not valid("nonsense://example")
