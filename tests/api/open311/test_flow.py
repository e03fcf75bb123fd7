"""The whole way of a report: a form sent to a real server, crew, measurements, and a mail that a mail server heard."""

import asyncio
import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from api.app import create
from api.door.mail import Mail
from api.formats import local_zone
from api.notifications.sending import Sender
from api.notifications.worker import Worker
from api.open311.answering import Answerer
from api.public import guarding
from kraj.alerts import Step
from kraj.settings import Settings
from stack.process import free_port
from tests.api import signing
from tests.api.conftest import NOW
from tests.api.contract import SIGNED, served
from tests.api.open311.conftest import LAMP, Town
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it


class Mailbox:
    """What the mail server has taken."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    found = Mailbox()
    controller = Controller(found, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield found, f"mailto://127.0.0.1:{controller.port}?from=kraj@kraj.example"
    controller.stop()


async def test_a_stranger_s_report_is_repaired_verified_and_answered(
    town: Town,
    database_role_url: Callable[[str], str],
    mailbox: tuple[Mailbox, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guarding, "SOONEST_S", 0.0)  # a test reads a form faster than anybody
    notify = database_role_url("kraj_notify")
    worker = Worker(
        notify, Sender(lambda _url, _subject, _body, _severity: None), page="https://kraj.test", zone=local_zone()
    )
    lamp = town.lamp()
    app = create(Settings(), database_role_url("kraj_api"), clock=lambda: town.at[0])

    def asked(base: str) -> tuple[str, str]:
        """As a browser without scripts does it: words, the lamp that they offer, thanks."""
        with httpx.Client(base_url=base, headers={"accept": "text/html"}, timeout=PATIENCE_S) as stranger:
            form = stranger.get("/report?lang=cs").text
            stamp = re.search(r'name="stamp" value="([^"]+)"', form)
            assert stamp is not None
            given = {"stamp": stamp[1], "website": "", "lang": "cs", "service_code": "dark_lamp"}
            given |= {"address": "lampa vo-9", "email": "jana@example.cz", "description": "Tma"}
            offered = stranger.post("/report", data=given)
            assert (offered.status_code, f'name="asset" value="{lamp}"' in offered.text) == (200, True)
            assert "Tma" in offered.text, "nothing that was written is lost"
            assert town.one("SELECT count(*) FROM service_request") == 0
            sent = stranger.post("/report", data=given | {"asset": str(lamp)})
            assert sent.status_code == 303, sent.text
            thanks = stranger.get(sent.headers["location"]).text
            assert LAMP in thanks
            return sent.headers["location"], thanks

    def repaired(base: str) -> None:
        """A crew takes the alert that is in its list and says that it is fixed."""
        with httpx.Client(base_url=base, headers=SIGNED, timeout=PATIENCE_S) as crew:
            alert = town.one("SELECT alert_id FROM alert WHERE rule = 'lamp_out'")
            assert "Tma" in crew.get(f"/alerts/{alert}", headers={"accept": "text/html"}).text
            (report,) = crew.get("/v1/service-requests").json()["items"]
            assert report["alert_id"] == alert
            note = {"status_notes": "Vyměnili jsme předřadník."}
            address = f"/v1/service-requests/{report['request_number']}"
            assert crew.patch(address, json=note, headers={"if-match": f'"{report["version"]}"'}).is_success
            version = crew.get(f"/v1/alerts/{alert}").json()["version"]
            step = {"step": "fixed", "version": version, "cause": "driver"}
            assert crew.post(f"/v1/alerts/{alert}/steps", json=step).is_success

    with served(app) as base:
        location, _ = await asyncio.to_thread(asked, base)
        signing.person(town.owner)
        town.step(Step.OPENED, lamp)
        await asyncio.to_thread(repaired, base)
        town.step(Step.CLEARED, lamp, minutes=1)
        later = town.at[0].replace(hour=NOW.hour + 1)
        await worker.round(later)
        followed = await asyncio.to_thread(httpx.get, f"{base}{location.partition('?')[0]}?lang=cs")
    assert "ověřeno měřením" in followed.text
    assert "Vyměnili jsme předřadník." in followed.text
    found, url = mailbox
    answerer = Answerer(notify, Mail(lambda: url), page="https://kraj.test")
    assert await answerer.round(later) == 2
    assert [mail["to"] for mail in found.mails] == ["jana@example.cz"] * 2
    text = found.mails[1].get_body(("plain", "html"))
    assert text is not None
    assert found.mails[1]["subject"] == "Hlášení je vyřízeno: Nesvítí svítidlo"
    assert "Vyměnili jsme předřadník." in text.get_content()
    assert town.one("SELECT count(*) FROM service_request_contact") == 0
