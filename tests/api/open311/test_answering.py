"""Answers to reporters: in their language, each once, and the address is forgotten; nothing of it is in a log."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from api.door.mail import Mail
from api.formats import local_zone
from api.notifications.sending import Sender
from api.notifications.worker import Worker
from api.open311.answering import Answerer
from kraj.alerts import Severity, Step
from kraj.store import alerts, leaving
from tests.api import signing
from tests.api.conftest import NOW
from tests.api.open311.conftest import STOP, Town


class Post:
    """A mail server that takes everything, or says what is wrong."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.error: str | None = None

    def __call__(self, url: str, subject: str, body: str, severity: Severity) -> str | None:
        if self.error is None:
            self.sent.append((url.partition("to=")[2], subject, body))
        return self.error


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def answerer(post: Post, database_role_url: Callable[[str], str]) -> Answerer:
    mail = Mail(lambda: "mailtos://server.test?from=kraj@kraj.test", Sender(post))
    return Answerer(database_role_url("kraj_notify"), mail, page="https://kraj.test/")


async def test_a_reporter_hears_when_it_is_taken_and_when_it_is_verified(
    town: Town, post: Post, answerer: Answerer
) -> None:
    lamp = town.lamp()
    token = await town.token(address_id=lamp, email="Jana@Example.cz", description="<script>alert(1)</script>")
    english = await town.client.post(
        "/open311/v2/requests.json?lang=en",
        data={"service_code": "stop_wifi", "address_id": town.region.asset_id(STOP), "email": "joe@example.com"},
    )
    await town.token(town.elsewhere("192.0.2.9"), address_id=lamp)
    with capture_logs() as logs:
        assert await answerer.round(NOW) == 2
        assert await answerer.round(NOW) == 0
    assert [to for to, _, _ in post.sent] == ["jana%40example.cz", "joe%40example.com"]
    subject, body = post.sent[0][1:]
    assert subject == "Hlášení je přijato: Nesvítí svítidlo"
    assert f"https://kraj.test/report/{token}?lang=cs" in body
    assert "script" not in body  # a stranger's words are mailed to nobody
    assert post.sent[1][1] == "Your report is taken: A stop's Wi-Fi is down"

    town.step(Step.OPENED, lamp)
    alert = town.one("SELECT alert_id FROM alert WHERE rule = 'lamp_out'")
    town.step(Step.CLEARED, lamp, minutes=5)
    for _ in range(2):
        with town.owner.transaction():
            town.owner.execute("UPDATE alert SET state = 'closed', closed_at = now() WHERE alert_id = %s", [alert])
            town.owner.execute(
                "INSERT INTO alert_event (alert_id, at, step, who) VALUES (%s, %s, 'verified', 'time')", [alert, NOW]
            )
    post.error = "jana@example.cz: mailbox of jana%40example.cz is full"
    with capture_logs() as logs:
        assert await answerer.round(NOW + timedelta(minutes=1)) == 0
    assert len(logs) == 1
    assert "jana" not in str(logs)
    post.error = None
    assert await answerer.round(NOW + timedelta(minutes=1)) == 0  # not at once again
    assert await answerer.round(NOW + timedelta(minutes=3)) == 1
    assert await answerer.round(NOW + timedelta(hours=1)) == 0
    assert post.sent[2][1] == "Hlášení je vyřízeno: Nesvítí svítidlo"
    assert "ověřeno měřením" in post.sent[2][2]
    assert town.one("SELECT string_agg(email, ' ') FROM service_request_contact") == "joe@example.com"
    assert english.status_code == 200
    assert await answerer.round(NOW + timedelta(days=91)) == 0
    assert town.one("SELECT count(*) FROM service_request_contact") == 0


async def test_without_a_mail_server_answers_are_given_up_and_addresses_go(
    town: Town, database_role_url: Callable[[str], str]
) -> None:
    await town.token(address_id=town.lamp(), email="jana@example.cz")
    idle = Answerer(database_role_url("kraj_notify"), None, page="https://kraj.test")
    assert await idle.round(NOW) == 0
    assert await idle.round(NOW + timedelta(days=4)) == 0
    assert town.one("SELECT error FROM service_request_answer") == "there is no mail server (KRAJ_MAIL_URL_FILE)"
    assert await idle.round(NOW + timedelta(days=91)) == 0
    assert town.one("SELECT count(*) FROM service_request_contact") == 0


async def test_what_a_crew_has_fixed_is_closed_and_nobody_says_that_it_was_measured(
    town: Town, database_role_url: Callable[[str], str]
) -> None:
    token = await town.token(address_id=town.lamp())
    ingest = await psycopg.AsyncConnection[Any].connect(database_role_url("kraj_ingest"))
    async with ingest:
        assert await alerts.active_keys(ingest, 1) == {}  # a restart of ingest does not end it as unsupported
    sent: list[str] = []
    sender = Sender(lambda _url, subject, _body, _severity: sent.append(subject))
    worker = Worker(database_role_url("kraj_notify"), sender, page="https://kraj.test", zone=local_zone())
    town.owner.execute("INSERT INTO notification_target (municipality_id, name, url) VALUES (1, 'crew', 'json://crew')")
    assert (await worker.round(NOW)).sent == 1
    assert sent == ["[1] Hlášení občana – Olšinka, VO-9 Nádražní"]
    town.owner.execute("UPDATE alert SET state = 'fixed', fixed_at = %s, changed_at = %s", [NOW, NOW])
    assert town.one("SELECT active FROM alert") is False
    await worker.round(NOW + timedelta(minutes=31))
    assert town.one("SELECT step, who FROM alert_event ORDER BY alert_event_id DESC LIMIT 1") == ("closed", "time")
    (shown,) = (await town.client.get(f"/open311/v2/requests/{token}.json?lang=en")).json()
    assert shown["status_notes"] == "Repaired, as the crew says."
    again = await town.token(address_id=town.lamp())
    assert again != token
    assert town.one("SELECT count(*) FROM alert WHERE rule = 'citizen_report'") == 2


async def test_one_address_is_not_mailed_without_end(town: Town) -> None:
    sent = {"service_code": "other", "email": "victim@example.cz"}
    answers = [
        (await town.report(town.elsewhere(f"192.0.2.{n}"), **sent, address_string=f"Olšinka {n}")).status_code
        for n in range(12)
    ]
    assert answers == [200] * 10 + [429] * 2


async def test_a_town_that_leaves_takes_its_reports_along_and_a_clerk_sees_their_own(town: Town) -> None:
    person = signing.person(town.owner, role="municipality_admin", municipality="olsinka")
    await town.token(address_id=town.lamp(), email="jana@example.cz")
    await town.token(town.elsewhere("192.0.2.7"), address_id=town.lamp(), email="joe@example.cz")
    town.owner.execute(
        "UPDATE service_request SET source = 'phone', who = 'Jana', status_notes = 'Jana to ví' WHERE parent_id IS NULL"
    )
    town.owner.execute("SELECT set_config('kraj.principal', %s, false)", [str(person)])
    export = town.one("SELECT kraj_person_export(%s)", person)
    assert [one["service_code"] for one in export["service_requests"]] == ["dark_lamp"]
    assert export["account"]["name"] == signing.NAME
    town.owner.execute("SELECT forget_words(%s)", [person])
    assert town.one("SELECT who, status_notes FROM service_request WHERE parent_id IS NULL") == (
        "anonym",
        "anonym to ví",
    )

    whose = leaving.town(town.owner, "olsinka")
    assert whose is not None
    held = {table.name: leaving.count(town.owner, table, whose) for table in leaving.tables(town.owner)}
    assert (held["service_request"], held["service_request_contact"], held["service_request_answer"]) == (2, 2, 2)
    with town.owner.transaction():
        leaving.begin(town.owner, whose, "0" * 64, NOW)
        leaving.erase_rest(town.owner, whose, NOW)
    left = "SELECT (SELECT count(*) FROM service_request) + (SELECT count(*) FROM service_request_contact)"
    assert town.one(left) == 0
