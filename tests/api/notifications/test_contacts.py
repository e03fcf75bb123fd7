"""Whom to tell is kept over the API and the pages: addresses go in and never come out, tests are sent by the worker."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create
from api.notifications.sending import Sender
from api.notifications.worker import Worker
from kraj.alerts import Severity
from kraj.settings import Settings
from stack.database import OWNER
from tests.api import signing
from tests.api.alerting import HTML
from tests.api.conftest import NOW, Region, client, empty_region, region
from tests.api.notifications.conftest import PRAGUE

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
__all__ = ["OWNER", "client", "empty_region", "region"]
SECRET = "hunter2"
URL = f"json://user:{SECRET}@hooks.example.cz/alerts"
BODY: dict[str, Any] = {
    "municipality": "olsinka",
    "name": "dispatch",
    "url": URL,
    "severity_min": "major",
    "quiet_from": "22:00",
    "quiet_to": "06:00",
    "digest_at": "07:00",
}


async def test_an_address_goes_in_and_never_comes_out(
    region: Region, client: httpx.AsyncClient, database_role_url: Callable[[str], str]
) -> None:
    made = await client.post("/v1/notification-targets", json=BODY)
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    assert (made.json()["quiet_from"], made.json()["digest_at"]) == ("22:00", "07:00")
    changed = {**BODY, "name": "crew", "url": None}
    answer = await client.put(path, json=changed, headers={"if-match": made.headers["etag"]})
    assert (answer.status_code, answer.json()["name"]) == (200, "crew")
    assert region.connection.execute("SELECT url FROM notification_target").fetchall() == [(URL,)], "it keeps its own"
    for where in ("/v1/notification-targets", path, "/notifications", "/notifications/targets/1"):
        shown = await client.get(where, headers=HTML if not where.startswith("/v1") else {})
        assert shown.status_code == 200
        assert SECRET not in shown.text
    entries = region.connection.execute("SELECT detail::text FROM audit_entry").fetchall()
    assert entries
    assert SECRET not in str(entries)


async def test_a_test_message_is_sent_by_the_worker_and_its_fate_is_shown(
    region: Region, client: httpx.AsyncClient, database_role_url: Callable[[str], str]
) -> None:
    path = (await client.post("/v1/notification-targets", json=BODY)).headers["location"]
    asked = await client.post(f"{path}/test", json={})
    assert (asked.status_code, asked.json()["test_waits"]) == (202, True)
    heard: list[tuple[str, str]] = []

    def send(url: str, subject: str, _body: str, _severity: Severity) -> str | None:
        heard.append((url, subject))
        return None if len(heard) == 1 else "refused by the service"

    worker = Worker(database_role_url("kraj_notify"), Sender(send), page="http://kraj.test", zone=PRAGUE)
    await worker.round(NOW)
    assert heard == [(URL, "[Kraj] Zkušební zpráva")]
    found = (await client.get(path)).json()
    assert (found["test_waits"], found["test_error"]) == (False, None)
    assert found["tested_at"] is not None
    await client.post(f"{path}/test", json={})
    await worker.round(NOW + timedelta(minutes=1))
    assert (await client.get(path)).json()["test_error"] == "refused by the service"


async def test_who_is_on_call_is_written_down_listed_and_taken_off(region: Region, client: httpx.AsyncClient) -> None:
    target = (await client.post("/v1/notification-targets", json=BODY)).json()["target_id"]
    body = {
        "target_id": target,
        "municipality": "olsinka",
        "valid_from": NOW.isoformat(),
        "valid_to": (NOW + timedelta(days=7)).isoformat(),
        "escalate_after_min": 10,
    }
    made = await client.post("/v1/on-call", json=body)
    assert made.status_code == 201, made.text
    (turn,) = (await client.get("/v1/on-call")).json()["items"]
    assert (turn["target"], turn["place"], turn["escalate_after_min"]) == ("dispatch", 1, 10)
    assert "dispatch" in (await client.get("/notifications", headers=HTML)).text
    wrong = await client.post("/v1/on-call", json={**body, "valid_to": body["valid_from"]})
    assert wrong.json()["type"] == "/problems/turn_span"
    tag = (await client.get(made.headers["location"])).headers["etag"]
    assert (await client.delete(made.headers["location"], headers={"if-match": tag})).status_code == 204
    assert (await client.get("/v1/on-call")).json()["items"] == []


async def test_a_towns_administrator_sets_its_own_recipients_and_none_inside(
    region: Region, client: httpx.AsyncClient
) -> None:
    signing.person(
        region.connection, "eva@olsinka.example", "municipality_admin", "olsinka", title="Eva", session="evas-session"
    )
    signing.sign(client, "evas-session")

    async def code(**more: Any) -> tuple[int, str]:
        answer = await client.post("/v1/notification-targets", json={**BODY, **more})
        return answer.status_code, answer.json().get("type", "")

    assert await code() == (201, "")
    assert await code() == (409, "/problems/target_name")
    assert await code(municipality=None, name="b") == (403, "/problems/region_right")
    assert await code(municipality="zdarna", name="b") == (404, "/problems/municipality")
    assert await code(name="b", url="nonsense://x") == (400, "/problems/target_url")
    assert await code(name="b", url="starosta@olsinka.cz") == (409, "/problems/target_mail"), "there is no mail server"
    assert await code(name="b", quiet_to=None) == (400, "/problems/quiet_hours")
    for inside in ("json://127.0.0.1:5432/", "json://localhost/", "json://[::1]/", "json://10.0.0.5/", "syslog://"):
        assert await code(name="b", url=inside) == (400, "/problems/target_local"), inside


async def test_the_form_of_a_recipient_works_without_scripts(region: Region, client: httpx.AsyncClient) -> None:
    fields = {**BODY, "enabled": "yes", "language": "cs", "digest_at": ""}
    answer = await client.post("/notifications/targets", data=fields | {"url": "nonsense://x"}, headers=HTML)
    assert answer.status_code == 400
    assert 'value="dispatch"' in answer.text
    assert "nonsense" not in answer.text
    answer = await client.post("/notifications/targets", data=fields, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/notifications?said=target")
    answer = await client.post("/notifications/targets/1/test", headers=HTML)
    assert answer.headers["location"] == "/notifications?said=test"
    answer = await client.post("/notifications/targets/1/drop", headers=HTML)
    assert answer.status_code == 303
    assert region.connection.execute("SELECT count(*) FROM notification_target").fetchone() == (0,)


async def test_where_there_is_a_mail_server_a_plain_address_is_enough(
    region: Region, database_role_url: Callable[[str], str], tmp_path: Path
) -> None:
    server = tmp_path / "mail"
    server.write_text("mailtos://kraj:hunter2@mail.example.cz?from=kraj@example.cz\n")
    app = create(Settings(mail_url_file=server), database_role_url("kraj_api"), clock=lambda: NOW)
    signing.signed_in(database_role_url(OWNER))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as own,
    ):
        signing.sign(own)
        fields = {**BODY, "enabled": "yes", "language": "cs", "url": "", "email": "starosta@olsinka"}
        answer = await own.post("/notifications/targets", data=fields | {"quiet_to": ""}, headers=HTML)
        assert (answer.status_code, 'value="starosta@olsinka"' in answer.text) == (400, True), "what was typed stays"
        fields["email"] = "starosta@olsinka.cz"
        answer = await own.post("/notifications/targets", data=fields, headers=HTML)
        assert answer.status_code == 303, answer.text
    kept = region.connection.execute("SELECT url FROM notification_target").fetchall()
    assert kept == [("mailto://starosta@olsinka.cz",)], "the server's password is nobody's"
