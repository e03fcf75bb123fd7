"""Towns keep their own rules, on real servers: a bad night, a rule with a mistake in it, and planned works."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from stack.broker import Broker
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, opened, site
from tests.api import signing
from tests.forked import Clock
from tests.ingest.rig import TOWN, Devices, Site, now_ms, query, wait_until

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "site"]
MINUTE_MS = 60_000
MISTAKEN = """\
[stozar_nakloneny]
kind = "lamp"
when = "tilt_dg > 3"
guards = []
severity = "major"
title = { cs = "Stožár se naklání", en = "A pole leans" }
symptom = { cs = "Sklon {tilt_deg}°.", en = "It leans by {tilt_deg}°." }
"""


class Hook(BaseHTTPRequestHandler):
    """Takes messages, as a town's dispatch does."""

    heard: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def dispatch() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a dispatch that hears messages, and what it has heard."""
    heard: list[dict[str, Any]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Hook,), {"heard": heard})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_address[1]}/", heard
        server.shutdown()


@pytest.fixture
def town(database_url: str, broker: Broker, open_folder: Path) -> Site:
    """Lhota with six lamps on one feeder of its cabinet."""
    found = Site(database_url, broker, open_folder)
    found.lamps(6)
    place: dict[str, Any] = {"feeder": "RVO-01/2", "cabinet": "RVO-01", "street": "Nádražní"}
    feeder = json.dumps(place | {"feeder_switched": False})  # the cabinet says nothing that would tell day from outage
    with psycopg.connect(database_url) as owner:
        owner.execute("UPDATE asset SET metadata = metadata || %s::jsonb", [feeder])
    return found


@dataclass
class Lhota:
    """A town of six lamps on real servers, its API, and a browser."""

    browser: Browser
    url: str
    town: Site
    connection: Connection
    complaints: list[str]

    def page(self, name: str | None = None, role: str = "", **options: Any) -> Page:
        """A page as the region's administrator, or as somebody of the town."""
        page = opened(self.browser, self.complaints, **options)
        if name is not None:
            session = f"session-of-{len(name)}"
            signing.person(self.connection, f"{role}@lhota.example", role, TOWN, title=name, session=session)
            page.context.clear_cookies()
            page.context.add_cookies([{"name": signing.COOKIE, "value": session, "domain": "localhost", "path": "/"}])
        return page


@pytest.fixture
def lhota(browser: Browser, site: str, town: Site, connection: Connection, complaints: list[str]) -> Lhota:
    """Everything together."""
    return Lhota(browser, site, town, connection, complaints)


def lean(devices: Devices, name: str, tilt: float = 20.0) -> None:
    """A pole is run into, and leans from then on: four readings, a minute apart."""
    until = now_ms()
    for minute in range(4):
        shock = 3.0 if minute == 0 else 0.0
        ts = until - (3 - minute) * MINUTE_MS
        devices.await_ack(devices.send(name, ts=ts, tilt_deg=tilt, shock_g=shock))


def alerts(town: Site) -> list[Any]:
    return query(town.url, "SELECT rule, state, active FROM alert WHERE parent_id IS NULL AND notify ORDER BY alert_id")


def worked(url: str, at: datetime) -> None:
    """One round of the notification worker at a moment, in a thread of its own (the browser's loop runs in this)."""
    import asyncio

    from api.notifications.sending import Sender
    from api.notifications.worker import Worker

    def work() -> None:
        worker = Worker(url, Sender(), page="http://localhost", zone=ZoneInfo("Europe/Prague"))
        asyncio.run(worker.round(at))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_crews_bad_night(
    lhota: Lhota, dispatch: tuple[str, list[dict[str, Any]]], database_role_url: Callable[[str], str]
) -> None:
    """A storm trips a feeder: one alert and one message for six lamps; it is taken, assigned, fixed and verified."""
    site, town, connection = lhota.url, lhota.town, lhota.connection
    url, heard = dispatch
    page = lhota.page(locale="cs-CZ", viewport={"width": 360, "height": 740})
    page.goto(f"{site}/notifications")
    page.get_by_role("link", name="Přidat příjemce").click()
    page.get_by_label("Jak mu říkáte").fill("dispečink")
    page.get_by_label("Adresa").fill(url)
    page.get_by_role("button", name="Uložit").click()
    expect(page.get_by_role("status")).to_contain_text("Příjemce je uložený.")
    page.get_by_role("button", name="Poslat zkoušku").click()
    worked(database_role_url("kraj_notify"), datetime.now(UTC))
    assert [message["title"] for message in heard] == ["[Kraj] Zkušební zpráva"]
    page.reload()
    expect(page.get_by_text("zkušební zpráva odešla")).to_be_visible()

    names = [f"lamp-{n}" for n in range(6)]
    clock = Clock(-600)
    with town.ingest(clock=clock).ready(), Devices(town.broker.port) as devices:
        for name in names:
            devices.publish(f"kraj/{TOWN}/{name}/status", '{"online":true,"boot":1}')
            devices.await_ack(devices.send(name, ts=clock.ms()))
        for name in names:
            devices.publish(f"kraj/{TOWN}/{name}/status", '{"online":false}')
        lost = "SELECT count(*) FROM device_status WHERE NOT online"
        wait_until(lambda: query(town.url, lost) == [len(names)], "the wills are heard")
        assert alerts(town) == [], "more may follow"
        outage = ("feeder_outage", "open", True)
        wait_until(lambda: clock.goes_on(3, 0) or outage in alerts(town), "one alert for the feeder", 240)
        assert alerts(town) == [outage]
        clock.move(0)
        for _ in range(2):
            worked(database_role_url("kraj_notify"), datetime.now(UTC))
        assert len(heard) == 2, "one message for six lamps"
        assert "RVO-01/2" in heard[1]["title"]

        signing.person(connection, "petr@lhota.example", "crew", TOWN, title="Petr Lampář", session=None)
        page.goto(f"{site}/alerts")
        page.get_by_role("link", name="Výpadek vývodu").click()
        page.get_by_role("button", name="Přebírám").click()
        expect(page.get_by_role("status")).to_contain_text("Porucha je vaše.")
        page.get_by_label("Komu").fill("Petr Lampář")
        page.get_by_role("button", name="Přidělit").click()
        expect(page.get_by_role("status")).to_contain_text("Přiděleno")
        page.get_by_label("Co bylo vadné").select_option("Pojistka nebo jistič")
        page.get_by_role("button", name="Opraveno").click()
        expect(page.get_by_role("status")).to_contain_text("Zapsáno jako opravené")
        for name in names:
            devices.publish(f"kraj/{TOWN}/{name}/status", '{"online":true,"boot":2,"reset":"power_on"}')
            devices.await_ack(devices.send(name, boot=2))
        mended = [("feeder_outage", "fixed", False)]
        wait_until(lambda: clock.goes_on(3, 300) or alerts(town) == mended, "telemetry sees the lamps again", 240)
        worked(database_role_url("kraj_notify"), datetime.now(UTC) + timedelta(minutes=45))
    assert alerts(town) == [("feeder_outage", "closed", False)]
    steps = query(
        town.url,
        "SELECT step, who FROM alert_event JOIN alert USING (alert_id)"
        " WHERE rule = 'feeder_outage' AND who <> 'telemetry' ORDER BY alert_event_id",
    )
    assert steps == [("acknowledged", "Jana"), ("assigned", "Jana"), ("fixed", "Jana"), ("verified", "time")]
    page.close()


def test_a_technician_writes_a_rule_with_a_mistake_tries_it_and_switches_it_on(lhota: Lhota) -> None:
    """The mistake is shown where it is; the verdict comes before the switch; ingest judges by it at once."""
    site, town = lhota.url, lhota.town
    page = lhota.page("Tomáš", "energy_manager", locale="cs-CZ", viewport={"width": 1000, "height": 800})
    with town.ingest().ready(), Devices(town.broker.port) as devices:
        for hour in range(6):
            devices.await_ack(devices.send("lamp-0", ts=now_ms() - (6 - hour) * 60 * MINUTE_MS, tilt_deg=1.0))
        page.goto(f"{site}/rules")
        page.get_by_role("link", name="Napsat vlastní pravidlo").click()
        page.get_by_label("Text pravidla").fill(MISTAKEN)
        page.get_by_role("button", name="Vyzkoušet").click()
        mistake = page.get_by_role("alert")
        expect(mistake).to_contain_text("řádek 3, sloupec 9")
        expect(mistake).to_contain_text("nemysleli jste 'tilt_deg'?")
        expect(page.get_by_label("Text pravidla")).to_have_value(MISTAKEN)
        assert faultless(page) == []
        page.get_by_label("Text pravidla").fill(MISTAKEN.replace("tilt_dg", "tilt_deg"))
        page.get_by_role("button", name="Vyzkoušet").click()
        expect(page.get_by_text("by neohlásilo nic")).to_be_visible()
        assert faultless(page) == []
        assert query(town.url, "SELECT count(*) FROM custom_rule") == [0], "not yet"
        page.get_by_role("button", name="Zapnout").click()
        expect(page.get_by_role("status")).to_contain_text("Pravidlo je zapnuté.")
        devices.await_ack(devices.send("lamp-1", tilt_deg=4.0))
        wait_until(lambda: [row[0] for row in alerts(town)] == ["stozar_nakloneny"], "ingest judges by it")
    page.goto(f"{site}/alerts")
    page.get_by_role("link", name="Stožár se naklání").click()
    expect(page.get_by_text("Sklon 4°.")).to_be_visible()
    assert [text for text in lhota.complaints if "400" not in text] == []
    page.close()


@pytest.mark.parametrize("language", ["cs", "en"])
def test_a_clerk_sets_planned_works_and_nobody_is_woken(lhota: Lhota, language: str) -> None:
    """While the window lasts the town's rules are silent; when it is cancelled, what still holds is told."""
    czech = language == "cs"
    site, town = lhota.url, lhota.town
    locale = "cs-CZ" if czech else "en-GB"
    page = lhota.page("Eva", "municipality_admin", java_script_enabled=False, locale=locale)
    with town.ingest().ready(), Devices(town.broker.port) as devices:
        page.goto(f"{site}/rules/windows/new")
        page.get_by_label("Čeho se týká" if czech else "What it is about").select_option("feeder")
        page.get_by_label("Označení" if czech else "Its name").fill("RVO-01/9")
        page.get_by_label("Důvod" if czech else "Reason").fill("Stěhování stožárů")
        earlier = (datetime.now(ZoneInfo("Europe/Prague")) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
        page.get_by_label("Od" if czech else "From", exact=True).fill(earlier)
        page.get_by_role("button", name="Uložit" if czech else "Save").click()
        expect(page.get_by_role("alert")).to_contain_text("RVO-01/9")
        page.get_by_label("Označení" if czech else "Its name").fill("RVO-01/2")
        page.get_by_role("button", name="Uložit" if czech else "Save").click()
        expect(page.get_by_role("status")).to_contain_text("Odstávka platí" if czech else "is set")
        lean(devices, "lamp-2")
        assert alerts(town) == [], "the crew itself has moved the pole"
        page.get_by_role("link", name="RVO-01/2").click()
        page.get_by_role("button", name="Zrušit odstávku" if czech else "Cancel the window").click()
        expect(page.get_by_role("status")).to_be_visible()
        devices.await_ack(devices.send("lamp-2", tilt_deg=20.0, shock_g=0.0))
        wait_until(lambda: [row[0] for row in alerts(town)] == ["knock_down"], "what still holds is told")
    page.close()


@pytest.mark.parametrize("look", [("cs", "light"), ("en", "dark")])
def test_no_page_of_the_rulebook_has_an_accessibility_fault(lhota: Lhota, look: tuple[str, Any]) -> None:
    language, scheme = look
    site, connection = lhota.url, lhota.connection
    connection.execute(
        "INSERT INTO notification_target (municipality_id, name, url) VALUES (1, 'dispatch', 'json://example.cz')"
    )
    connection.execute(
        "INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to)"
        " VALUES (1, 1, 1, now(), now() + interval '7 days')"
    )
    connection.execute(
        "INSERT INTO maintenance_window (municipality_id, scope_type, scope_name, valid_from, valid_to, reason, who)"
        " VALUES (1, 'feeder', 'RVO-01/2', now(), now() + interval '1 day', 'works', 'Eva')"
    )
    connection.execute(
        "INSERT INTO rule_override (municipality_id, rule, thresholds)"
        " VALUES (1, 'knock_down', '{\"knock_tilt_deg\": 9}')"
    )
    connection.execute(
        "INSERT INTO custom_rule (municipality_id, name, text, who, at) VALUES (1, 'own_rule', %s, 'Eva', now())",
        [MISTAKEN],
    )
    verdict = {"assets": 6, "days": 30, "readings": 9, "raised": 9, "assets_raised": 1, "per_asset_week": 1.0}
    fired = {"asset_id": 1, "label": "L", "times": 9, "first_at": "2026-11-01T10:00:00+00:00", "evidence": {"a": 1}}
    connection.execute(
        "INSERT INTO rule_trial (municipality_id, proposal, state, verdict, who, asked_at)"
        " VALUES (1, %s, 'done', %s, 'Eva', now()), (1, %s, 'running', NULL, 'Eva', now())",
        [
            json.dumps({"rule": "knock_down", "thresholds": {"knock_tilt_deg": 9}}),
            json.dumps({**verdict, "too_many": True, "most": [fired]}),
            json.dumps({"text": MISTAKEN, "thresholds": {}}),
        ],
    )
    page = lhota.page(color_scheme=scheme, viewport={"width": 360, "height": 740}, has_touch=True)
    paths = ["", "/windows/new", "/windows/1", "/own/new", "/own/1", "/trials/1", "/trials/2"]
    paths += ["/change", "/change?municipality=lhota&rule=knock_down"]
    for path in [*(f"/rules{p}" for p in paths), "/notifications", "/notifications/targets/1"]:
        page.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={language}")
        for closed in page.locator("main summary").all():
            closed.click()
        assert faultless(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert lhota.complaints == []
    page.close()
