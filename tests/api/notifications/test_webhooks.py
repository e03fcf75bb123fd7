"""Signed webhooks: what a receiver with the library of Standard Webhooks takes and refuses, and who knows what."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import httpx
import psycopg
import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from structlog.testing import capture_logs

from api.notifications import webhooks
from api.notifications.sending import Sender, valid
from api.notifications.worker import Worker
from kraj.store.outbox import Address
from stack.process import free_port
from tests.api import signing
from tests.api.alerting import HTML
from tests.api.conftest import NOW as NOON
from tests.api.conftest import OWNER, Region, client, empty_region, region
from tests.api.notifications.conftest import NOW, PRAGUE, Town
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
__all__ = ["OWNER", "client", "empty_region", "region"]


@dataclass
class Receiver:
    """A program that takes posts on a real socket: what came, and what it answers (a status, headers, a body)."""

    port: int = 0
    came: list[tuple[dict[str, str], str]] = field(default_factory=list[tuple[dict[str, str], str]])
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list[tuple[int, dict[str, str], bytes]])

    @property
    def url(self) -> str:
        return f"webhook+http://127.0.0.1:{self.port}/kraj?from=1"

    def verified(self, secret: str, number: int = -1) -> dict[str, Any]:
        headers, body = self.came[number]
        return Webhook(secret).verify(body, headers)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.came.append((headers | {"path": self.path}, body))
            status, headers, answer = found.answers.pop(0) if found.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def hook(town: Town, url: str, secret: str, **more: Any) -> int:
    """A target with a secret, as the API writes it."""
    row = {"municipality_id": 1, "name": "gis", "url": url, "webhook_secret": secret, "language": "en", **more}
    marks = ", ".join(f"%({name})s" for name in row)
    return town.owner.execute(
        f"INSERT INTO notification_target ({', '.join(row)}) VALUES ({marks}) RETURNING target_id".encode(),
        row,
    ).fetchall()[0][0]


async def test_a_step_of_an_alert_arrives_signed_with_the_alert_as_the_api_shows_it(
    town: Town, receiver: Receiver
) -> None:
    secret = webhooks.new_secret()
    hook(town, receiver.url, secret)
    town.take(town.lamp(1))
    await town.worker().round(NOW)
    said = receiver.verified(secret)
    assert (said["type"], said["timestamp"]) == ("alert.opened", "2026-11-21T18:30:00.000Z")
    assert said["data"]["title"] == "Lamp is out"
    assert said["data"]["evidence"]["expected_power_w"] == 41.5
    assert said["data"]["link"] == "http://kraj.test/alerts/1"
    assert said["data"]["municipality"] == "olsinka"
    headers, _ = receiver.came[0]
    assert headers["path"] == "/kraj?from=1"
    assert headers["webhook-id"] == "delivery_1"


async def test_the_receiver_refuses_another_body_another_secret_and_an_old_message(
    town: Town, receiver: Receiver
) -> None:
    secret = webhooks.new_secret()
    hook(town, receiver.url, secret)
    town.take(town.lamp(1))
    await town.worker().round(NOW)
    headers, body = receiver.came[0]
    for given, key, changed in (
        (body.replace("opened", "closed"), secret, {}),
        (body, webhooks.new_secret(), {}),
        (body, secret, {"webhook-id": "delivery_2"}),
    ):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Webhook(key).verify(given, headers | changed)
    old = datetime.now(UTC) - timedelta(minutes=6)
    signature = Webhook(secret).sign("delivery_1", old, body)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(
            body, headers | {"webhook-timestamp": str(int(old.timestamp())), "webhook-signature": signature}
        )


async def test_a_retry_has_the_same_id_a_new_time_and_each_step_its_own_post(town: Town, receiver: Receiver) -> None:
    secret = webhooks.new_secret()
    hook(town, receiver.url, secret, digest_at="20:00")
    receiver.answers = [(500, {}, b"down for maintenance")]
    town.take(*(town.lamp(n, severity="minor") for n in (1, 2)))
    worker = town.worker()
    await worker.round(NOW)
    assert receiver.came == [], "the digest is not due"
    with capture_logs() as logs:
        await worker.round(NOW + timedelta(minutes=31))
    (entry,) = [entry for entry in logs if entry["event"] == "not sent"]
    assert entry["error"] == "the receiver answers 500: down for maintenance"
    await worker.round(NOW + timedelta(minutes=33))
    ids = [headers["webhook-id"] for headers, _ in receiver.came]
    assert ids == ["delivery_1", "delivery_1", "delivery_2"]
    assert [receiver.verified(secret, n)["data"]["asset_id"] for n in range(3)] == [1, 1, 2]
    assert [(attempts, sent) for _, attempts, sent, _, _ in town.deliveries()] == [(2, True), (1, True)]
    assert secret not in str(logs) + str(town.deliveries()) + str(receiver.came)


async def test_a_redirect_is_not_followed_and_an_endless_answer_is_left(receiver: Receiver) -> None:
    address = Address(name="gis", language="cs", url=receiver.url, secrets=[webhooks.new_secret()])
    receiver.answers = [
        (307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}, b""),
        (500, {}, b"x" * 10_000_000),
    ]
    said = webhooks.post(address, "test_1", "{}")
    assert said is not None
    assert "redirects are not followed" in said
    assert len(receiver.came) == 1
    said = webhooks.post(address, "test_2", "{}")
    assert said is not None
    assert len(said) <= webhooks.ERROR_CHARS_MAX
    gone = webhooks.post(
        Address(name="g", language="cs", url="webhook+http://u:hunter2@127.0.0.1:9/t0ken", secrets=address.secrets),
        "test_3",
        "{}",
    )
    assert gone is not None
    assert "hunter2" not in gone
    assert "t0ken" not in gone
    assert address.secrets[0] not in repr(address) + said + gone


def test_plain_http_is_for_this_machine_and_private_networks_only() -> None:
    assert valid("webhook+https://example.cz/kraj")
    assert valid("webhook+http://10.0.0.5/kraj")
    for wrong in ("webhook+http://example.cz/kraj", "webhook+https://", "webhook+https:///x", "webhook+ftp://a.cz"):
        assert not valid(wrong), wrong


async def test_a_secret_is_shown_once_renewed_with_a_day_of_both_and_known_to_the_worker_alone(
    region: Region, client: httpx.AsyncClient, database_role_url: Callable[[str], str], receiver: Receiver
) -> None:
    body = {"municipality": "olsinka", "name": "gis", "url": receiver.url}
    made = await client.post("/v1/notification-targets", json=body, headers={"idempotency-key": "a"})
    assert made.status_code == 201, made.text
    first, path = made.json()["secret"], made.headers["location"]
    again = await client.post("/v1/notification-targets", json=body, headers={"idempotency-key": "a"})
    assert (again.json()["target_id"], again.json()["secret"]) == (made.json()["target_id"], None)
    found = await client.get(path)
    assert found.headers["etag"] == made.headers["etag"]
    assert found.json()["webhook"] is True
    changed = await client.put(path, json={**body, "url": None}, headers={"if-match": "*"})
    assert changed.json()["secret"] is None, "without an address it keeps its secret"

    worker = Worker(database_role_url("kraj_notify"), Sender(), page="http://kraj.test", zone=PRAGUE)

    async def tried(minutes: int) -> None:
        assert (await client.post(f"{path}/test", json={})).status_code == 202
        await worker.round(NOON + timedelta(minutes=minutes))
        assert (await client.get(path)).json()["test_error"] is None

    await tried(0)
    assert receiver.verified(first)["type"] == "kraj.test"
    second = (await client.post(f"{path}/secret", json={})).json()["secret"]
    assert second != first
    await tried(1)
    assert receiver.verified(first) == receiver.verified(second)
    region.connection.execute("UPDATE notification_target SET webhook_before_until = now() - interval '1 second'")
    await tried(2)
    assert receiver.verified(second)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(first)
    moved = await client.put(path, json=body | {"url": f"{receiver.url}&b=2"}, headers={"if-match": "*"})
    await tried(3)
    assert receiver.verified(moved.json()["secret"])
    with pytest.raises(WebhookVerificationError):
        receiver.verified(second)

    secrets = (first, second, moved.json()["secret"])
    shown = [(await client.get(where, headers=HTML)).text for where in ("/notifications", "/notifications/targets/1")]
    kept = region.connection.execute(
        "SELECT (SELECT string_agg(detail::text, '') FROM audit_entry),"
        " (SELECT string_agg(answer::text, '') FROM idempotency_key)"
    ).fetchone()
    assert not any(secret in str((shown, kept)) for secret in secrets)
    with psycopg.connect(database_role_url("kraj_api"), autocommit=True) as api:
        for column in ("webhook_secret", "webhook_secret_before", "url"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute(f"SELECT {column} FROM notification_target".encode())
    with (
        psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as ingest,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        ingest.execute("SELECT webhook_secret FROM notification_target")
    with psycopg.connect(database_role_url("kraj_notify"), autocommit=True) as notify:
        assert notify.execute("SELECT webhook_secret FROM notification_target").fetchone() == (secrets[-1],)


async def test_what_is_no_webhook_has_no_secret(region: Region, client: httpx.AsyncClient) -> None:
    body = {"municipality": "olsinka", "name": "mail", "url": "json://hooks.example.cz/a"}
    made = await client.post("/v1/notification-targets", json=body)
    assert (made.json()["webhook"], made.json()["secret"]) == (False, None)
    refused = await client.post(f"{made.headers['location']}/secret", json={})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/target_unsigned")
    hooked = await client.put(
        made.headers["location"], json=body | {"url": "webhook+https://hooks.example.cz/a"}, headers={"if-match": "*"}
    )
    assert hooked.json()["secret"].startswith("whsec_")
    back = await client.put(made.headers["location"], json=body, headers={"if-match": "*"})
    assert (back.json()["webhook"], back.json()["secret"]) == (False, None)
    assert region.connection.execute("SELECT webhook_secret FROM notification_target").fetchone() == (None,)


async def test_a_town_posts_by_https_to_the_outside_only(region: Region, client: httpx.AsyncClient) -> None:
    signing.person(region.connection, "eva@olsinka.example", "municipality_admin", "olsinka", session="evas-session")
    signing.sign(client, "evas-session")
    for url, code in (
        ("webhook+http://hooks.example.cz/", "target_url"),
        ("webhook+http://10.0.0.5/", "target_local"),
        ("webhook+https://[::1]/", "target_local"),
    ):
        answer = await client.post(
            "/v1/notification-targets", json={"municipality": "olsinka", "name": "b", "url": url}
        )
        assert answer.json()["type"] == f"/problems/{code}", url


async def test_the_page_shows_the_secret_once_and_renews_it(region: Region, client: httpx.AsyncClient) -> None:
    fields = {"municipality": "olsinka", "name": "gis", "url": "webhook+https://hooks.example.cz/a", "enabled": "yes"}
    made = await client.post("/notifications/targets", data=fields | {"language": "cs", "severity_min": "minor"})
    assert made.status_code == 200
    (first,) = region.connection.execute("SELECT webhook_secret FROM notification_target").fetchone() or ("",)
    assert first in made.text
    assert "podepsaný webhook" in (await client.get("/notifications", headers=HTML)).text
    form = (await client.get("/notifications/targets/1", headers=HTML)).text
    assert first not in form
    assert 'action="/notifications/targets/1/secret"' in form
    renewed = await client.post("/notifications/targets/1/secret", headers=HTML)
    rows = region.connection.execute("SELECT webhook_secret, webhook_secret_before FROM notification_target").fetchone()
    assert rows is not None
    assert rows[1] == first
    assert rows[0] in renewed.text
    assert first not in renewed.text


def test_a_body_is_what_the_specification_asks_for() -> None:
    said = json.loads(webhooks.test_event("cs", NOW))
    assert said.keys() == {"type", "timestamp", "data"}
    assert datetime.fromisoformat(said["timestamp"]) == NOW


def test_the_receiver_of_the_documentation_takes_what_is_signed_and_nothing_else() -> None:
    page = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    secret, port = webhooks.new_secret(), free_port()
    program = found[1].replace("whsec_…", secret).replace("8099", str(port))
    address = Address(name="a", language="en", url=f"webhook+http://127.0.0.1:{port}/", secrets=[secret])
    body = webhooks.event("alert.opened", NOW, {"place": "VO-9", "link": "http://kraj.test/alerts/1"})
    with subprocess.Popen([sys.executable, "-uc", program], stdout=PIPE, stderr=DEVNULL, text=True) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while (said := webhooks.post(address, "delivery_1", body)) is not None:
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            assert process.stdout is not None
            assert process.stdout.readline() == "alert.opened VO-9 http://kraj.test/alerts/1\n"
            forged = replace(address, secrets=[webhooks.new_secret()])
            assert webhooks.post(forged, "delivery_2", body) is not None
        finally:
            process.kill()
