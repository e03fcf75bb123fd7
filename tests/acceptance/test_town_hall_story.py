"""A town hall's first day, and its bad night.

Eva works at the town hall of Olšinka. One lamp gets a controller; one laptop and one key get into wrong hands.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from pyotp.totp import TOTP

from api.door.keeper import COOKIE
from kraj import certificates
from kraj.store import founding
from kraj.store.registry import register
from stack import people
from stack.broker import Broker
from stack.database import OWNER
from stack.guard import GuardedBroker
from stack.process import free_port
from tests.acceptance.keys import enter
from tests.acceptance.test_page import answers, browser
from tests.api.signing import person
from tests.ingest.rig import Ingest
from tests.stack.mutual import Place, admitted, device
from tests.stack.test_broker import Client, publish, subscribe
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.browser
__all__ = ["browser"]

PASSWORD = "devět slepic na plotě"
LAMP = "lamp-70b3d5"
ENDED_S_MAX = 5.0
"""From revocation to the end of the session that the device's name has."""


@dataclass
class TownHall:
    """Everything that runs: the pages' address, the broker with its guard, and the authority."""

    site: str
    guard: GuardedBroker
    place: Place
    owner: psycopg.Connection[Any]


@pytest.fixture
def town_hall(
    database_url: str, database_role_url: Callable[[str], str], open_folder: Path, tmp_path: Path
) -> Iterator[TownHall]:
    """The pages, the broker under mutual TLS with its guard, and ingest, on a database with a town and nothing else."""
    place = Place(tmp_path)
    password = tmp_path / "password"
    password.write_text("secret")
    broker = Broker(open_folder / "broker", credentials={"slot_0": "secret"})
    guard = GuardedBroker(broker, place.folder, ("localhost", "127.0.0.1"), lambda: database_url)
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")} | {
        "KRAJ_DATABASE_URL": database_role_url("kraj_api"),
        "KRAJ_API_PORT": str(port),
        "KRAJ_AUTHORITY_DIR": str(place.folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as owner, (tmp_path / "api.log").open("wb") as log:
        register(owner, {"olsinka": "Olšinka"}, [], datetime.now(UTC))
        pages = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stdout=log, stderr=log)
        guard.start()
        settings = {"KRAJ_MQTT_USERNAME": "slot_0", "KRAJ_MQTT_PASSWORD_FILE": str(password)}
        ingest = Ingest(database_url, broker.address, broker.port, tmp_path / "ingest.log", **settings)
        try:
            ingest.ready()
            deadline = time.monotonic() + PATIENCE_S
            while not answers(port):
                assert time.monotonic() < deadline, (tmp_path / "api.log").read_text()
            yield TownHall(f"http://localhost:{port}", guard, place, owner)
        finally:
            ingest.stop()
            guard.stop()
            pages.terminate()
            pages.wait(PATIENCE_S)


def signed_in_the_first_time(browser: Browser, hall: TownHall) -> Page:
    """By the one-time link: a password, the code from the telephone, recovery codes."""
    name = "eva@olsinka.cz"
    person_id = founding.add(
        hall.owner, name, "Eva Nová", datetime.now(UTC), role="municipality_admin", municipality="olsinka"
    )
    assert person_id is not None
    code = founding.make_code(hall.owner, "invitation", person_id, datetime.now(UTC), people.INVITATION_LASTS)
    page = browser.new_page(locale="cs-CZ")
    page.goto(f"{hall.site}/links/{code}?lang=cs")
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    enter(page)
    secret = page.locator("ol.steps code").inner_text().replace(" ", "")
    page.get_by_label("Kód", exact=True).fill(TOTP(secret).now())
    enter(page)
    expect(page.locator(".codes li")).to_have_count(10)
    page.locator("a.button").click()
    expect(page.get_by_role("heading", name="Zařízení v terénu")).to_be_visible()
    again = browser.new_page()
    again.goto(f"{hall.site}/links/{code}")
    expect(again.locator("#password")).to_have_count(0)
    again.close()
    return page


def registered(page: Page, hall: TownHall) -> str:
    """The asset and its device by the form; the enrolment code that the page shows."""
    page.get_by_role("navigation").get_by_role("link", name="Evidence").click()
    page.get_by_role("link", name="Přidat prvek").click()
    page.get_by_role("link", name="Svítidlo").click()
    page.locator("#label").fill("VO-1 Nádražní")
    page.locator("#device").fill(LAMP)
    page.locator("#latitude").fill("49,5")
    page.locator("#longitude").fill("15,6")
    page.get_by_role("button", name="Uložit").click()
    page.goto(f"{hall.site}/devices/{LAMP}")
    page.get_by_role("button", name="Vydat kód pro první spuštění").click()
    return page.locator("strong.number code").inner_text()


def enrolled(hall: TownHall, code: str) -> Path:
    """The device makes its own key, asks with the code, and keeps what it is answered."""
    key = certificates.new_key()
    body = {"code": code, "csr": certificates.request(key, LAMP).decode()}
    answer = httpx.post(f"{hall.site}/v1/enrol", json=body, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    assert httpx.post(f"{hall.site}/v1/enrol", json=body, timeout=PATIENCE_S).status_code >= 400, "a code counts once"
    file = hall.place.files / f"{LAMP}.pem"
    file.write_text(certificates.key_pem(key) + answer.json()["certificate"])
    return file


def sent(client: Client, seq: int, power_w: float) -> None:
    """A reading over mutual TLS, and the acknowledgement that it is stored."""
    subscribe(client, f"kraj/olsinka/{LAMP}/ack")
    ts = int(time.time() * 1000)
    publish(
        client,
        f"kraj/olsinka/{LAMP}/telemetry",
        f'{{"ts":{ts},"boot":1,"seq":{seq},"power_w":{power_w}}}'.encode(),
    )
    client.until(f"kraj/olsinka/{LAMP}/ack")


def test_a_town_halls_first_day_and_bad_night(browser: Browser, town_hall: TownHall) -> None:
    hall, broker = town_hall, town_hall.guard.broker
    page = signed_in_the_first_time(browser, hall)
    file = enrolled(hall, registered(page, hall))
    with device(broker, hall.place.context(file), LAMP) as lamp:
        sent(lamp, 1, 41.5)
        page.goto(f"{hall.site}/?q=VO-1")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="VO-1 Nádražní"))
        expect(row).to_contain_text("41,5")  # the newest value follows by a second

    # The night: Petr's laptop is gone, with a session that is open.
    petr = person(hall.owner, "petr@olsinka.cz", "municipality_admin", "olsinka", title="Petr", session="petrs-session")
    hall.owner.execute(
        "UPDATE person SET totp_secret = 'JBSWY3DPEHPK3PXP', totp_confirmed_at = now() WHERE person_id = %s", [petr]
    )
    thief = httpx.Client(base_url=hall.site, cookies={COOKIE: "petrs-session"}, timeout=PATIENCE_S)
    assert thief.get("/registry").status_code == 200
    page.goto(f"{hall.site}/people/{petr}")
    page.get_by_role("button", name="Zrušit kód z telefonu").click()
    expect(page.get_by_text("Kód z telefonu je zrušený.")).to_be_visible()
    turned_away = thief.get("/registry")
    assert (turned_away.status_code, turned_away.headers["location"]) == (303, "/sign-in?next=%2Fregistry")
    assert thief.get("/v1/assets").status_code == 401
    thief.close()
    page.goto(f"{hall.site}/people/{petr}")
    page.get_by_role("button", name="Vytvořit odkaz pro heslo").click()
    link = re.search(r"/links/[\w-]+", page.content())
    assert link is not None
    renewed = browser.new_page(locale="cs-CZ")
    renewed.goto(f"{hall.site}{link[0]}?lang=cs")
    renewed.locator("#password").fill(PASSWORD)
    renewed.locator("#again").fill(PASSWORD)
    enter(renewed)
    expect(renewed.get_by_role("heading", name="Nastavit kód z telefonu")).to_be_visible()
    assert "JBSWY3DPEHPK3PXP" not in renewed.locator("ol.steps code").inner_text().replace(" ", "")
    renewed.close()

    # And the lamp's key was copied: whoever has it is on the line.
    context = hall.place.context(file)
    with device(broker, context, LAMP) as copy:
        ended, ends = threading.Event(), list[datetime]()

        def end(*_: object) -> None:
            ends.append(datetime.now(UTC))
            ended.set()

        copy.on_disconnect = end
        page.goto(f"{hall.site}/devices/{LAMP}")
        page.locator("#gone-reason").fill("klíč někdo zkopíroval")
        page.get_by_label(f"Opravdu: {LAMP} už se nevrátí").check()
        page.get_by_role("button", name="Vyřadit natrvalo").click()
        assert ended.wait(PATIENCE_S)
        revoked = hall.owner.execute("SELECT max(revoked_at) FROM device_certificate").fetchone()
        assert revoked is not None
        assert (ends[0] - revoked[0]).total_seconds() < ENDED_S_MAX
    assert not admitted(broker, context)
    expect(page.get_by_text("klíč někdo zkopíroval").first).to_be_visible()
    readings = hall.owner.execute("SELECT count(*) FROM reading_lamp").fetchone()
    assert readings == (1,), "what it measured stays"
    page.close()
