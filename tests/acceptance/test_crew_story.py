"""Somebody who has never seen it finds the nearest fault on a phone, goes there in thought, repairs, sees it proven."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from kraj.alerts import Severity
from tests.acceptance.keys import enter
from tests.acceptance.test_crew_page import fits, trip
from tests.acceptance.test_page import (
    Connection,
    browser,
    complaints,
    connection,
    faultless,
    fleet,
    opened,
    site,
)
from tests.api.alerting import change, told
from tests.api.conftest import Region

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "locale": "cs-CZ",
    "color_scheme": "dark",
}


def bad_night(fleet: Connection) -> tuple[Region, list[str], tuple[float, float]]:
    """A feeder and two more lamps are dark: the region, labels of the lamps, and where the first of them stands."""
    region, _, labels = trip(fleet)
    fleet.execute(
        "UPDATE asset SET metadata = metadata || %s::jsonb WHERE kind = 'lamp'",
        [json.dumps({"cabinet": "RVO-01", "feeder": "RVO-01/2", "power_rated_w": 40, "driver_model": "Xi 40"})],
    )
    now = datetime.now(UTC)
    evidence = {"level_commanded_pct": 100, "power_w": 0.4, "expected_power_w": 40.0, "voltage_v": 231.0}
    others = fleet.execute(
        "SELECT label FROM asset JOIN latest_lamp USING (asset_id) WHERE NOT label = ANY (%s)"
        " AND label IN (SELECT label FROM asset GROUP BY label HAVING count(*) = 1) ORDER BY asset.asset_id LIMIT 2",
        [labels],
    ).fetchall()
    dark = [row[0] for row in others]
    told(region, *(change(region, one, "lamp_out", evidence=evidence, at=now) for one in dark))
    told(region, change(region, labels[2], "voltage", severity=Severity.MINOR, at=now, evidence={"voltage_v": 251.0}))
    row = fleet.execute("SELECT latitude, longitude FROM asset WHERE label = %s", [dark[0]]).fetchone()
    assert row is not None
    return region, dark, row


def proven(fleet: Connection, region: Region, label: str) -> None:
    """What devices, ingest and time do after a repair."""
    at = datetime.now(UTC)
    fleet.execute("UPDATE command SET state = 'confirmed', settled_at = %s", [at])
    fleet.execute(
        "UPDATE latest_lamp SET power_w = 39.5, level_commanded_pct = 100, ts = %s WHERE asset_id = %s",
        [at + timedelta(seconds=1), region.asset_id(label)],
    )


def test_a_stranger_finds_the_nearest_fault_repairs_it_and_sees_it_proven(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    region, dark, (north, east) = bad_night(fleet)
    page = opened(browser, complaints, **PHONE, geolocation={"latitude": north, "longitude": east})
    page.context.grant_permissions(["geolocation"])
    page.goto(site)
    page.get_by_role("link", name=re.compile("^Poruchy")).click()
    page.get_by_role("button", name="Podle mé polohy").tap()
    expect(page.get_by_role("heading", name="Poruchy od nejbližší")).to_be_visible()
    causes = page.get_by_role("list", name="Poruchy od nejbližší").get_by_role("listitem")
    expect(causes.first).to_contain_text(dark[0])
    expect(causes.first).to_contain_text("0\u00a0m odsud")
    _looks_right(page)
    _map_by_keyboard(page)

    for box in page.get_by_role("checkbox", name=re.compile("^Do cesty")).all()[:3]:
        box.check()
    button = page.get_by_role("button", name="Naplánovat cestu")
    button.focus()
    enter(button)
    expect(page.get_by_role("heading", name="Cesta na dnešek")).to_be_visible()
    expect(page.get_by_role("list", name="Zastávky v pořadí").get_by_role("listitem")).not_to_have_count(0)
    expect(page.get_by_role("region", name="Co vzít s sebou")).to_contain_text("Předřadník Xi 40")
    first = page.get_by_role("link", name=re.compile("^Navigovat")).first
    assert (first.get_attribute("href") or "").startswith("geo:")
    _looks_right(page)

    page.get_by_role("link", name="Svítidlo nesvítí").first.click()
    expect(page.get_by_role("link", name="Navigovat")).to_be_visible()
    page.get_by_label("Co bylo vadné").select_option("Předřadník")
    page.get_by_label("Použitý náhradní díl").fill("Xitanium 40")
    expect(page.get_by_role("checkbox", name="Hned rozsvítit na 100 % a ověřit příkon")).to_be_checked()
    page.get_by_role("button", name="Opraveno").tap()
    repair = page.get_by_role("region", name="Jak oprava dopadla")
    expect(repair).to_contain_text("Zatím neověřeno")
    expect(repair).to_contain_text("Příkaz 100 % čeká na odeslání")
    _looks_right(page)

    note = page.get_by_label("Text poznámky")
    note.fill("Rozsvítila se")
    proven(fleet, region, dark[0])
    expect(repair).to_contain_text("Svítí.")
    expect(repair).to_contain_text("39,5 W z 40 W: svítí")
    expect(note).to_be_focused()
    expect(note).to_have_value("Rozsvítila se")
    page.get_by_role("button", name="Pozastavit").tap()
    fleet.execute(
        "UPDATE alert SET state = 'closed', active = false, closed_at = now() WHERE state = 'fixed';"
        "INSERT INTO alert_event (alert_id, at, step, who)"
        " SELECT alert_id, now(), 'verified', 'time' FROM alert WHERE spare_part IS NOT NULL"
    )
    page.wait_for_timeout(3500)
    expect(repair).to_contain_text("Svítí.")
    page.get_by_role("button", name="Pokračovat v aktualizacích").tap()
    expect(repair).to_contain_text("Ověřeno měřením")
    assert complaints == []
    page.close()


def _looks_right(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    assert faultless(page) == []
    assert fits(page)


def _map_by_keyboard(page: Page) -> None:
    """What hangs on one feeder is one mark that opens with Enter; each mark is in the list, too."""
    marks = page.get_by_role("group", name="Mapa poruch").get_by_role("link")
    together = page.get_by_role("link", name=re.compile("poruch na jednom místě"))
    expect(together.first).to_be_visible()
    listed = page.locator("[data-alert]").count()
    assert 0 < marks.count() < listed
    opens = together.and_(page.locator("[href*='area=']"))
    if opens.count():
        opens.first.focus()
        enter(opens.first)
        expect(page.get_by_role("link", name="Celá mapa")).to_be_visible()
        page.go_back()


def test_without_a_position_and_without_scripts_a_place_is_enough(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    _, dark, _ = bad_night(fleet)
    page = opened(browser, complaints, **PHONE)
    page.context.clear_permissions()
    page.goto(f"{site}/alerts")
    page.get_by_role("button", name="Podle mé polohy").tap()
    expect(page.get_by_text("Prohlížeč polohu nedal.")).to_be_visible()
    page.close()
    page = opened(browser, [], **PHONE, java_script_enabled=False)
    page.goto(f"{site}/alerts")
    expect(page.get_by_role("button", name="Podle mé polohy")).to_have_count(0)
    page.get_by_label("Odkud").fill(dark[1])
    page.get_by_role("button", name="Nejbližší napřed").click()
    causes = page.get_by_role("list", name="Poruchy od nejbližší").get_by_role("listitem")
    expect(causes.first).to_contain_text(dark[1])
    page.close()


def test_a_photo_too_large_is_told_before_it_is_sent_and_what_is_none_keeps_the_words(
    browser: Browser, site: str, fleet: Connection
) -> None:
    _, dark, _ = bad_night(fleet)
    page = opened(browser, [], **PHONE)
    page.goto(f"{site}/alerts?q={dark[0]}")
    page.get_by_role("link", name="Svítidlo nesvítí").first.click()
    photo = page.get_by_label("Fotografie z místa")
    photo.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": bytes(6 * 1024 * 1024)})
    expect(page.get_by_text("Zmenšete ji")).to_be_visible()
    photo.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"%PDF-1.7"})
    page.get_by_label("Popis k fotografii").fill("Ulomený výložník")
    page.get_by_role("button", name="Přidat fotografii").tap()
    expect(page.get_by_role("alert")).to_contain_text("Tohle není fotografie")
    expect(page.get_by_label("Popis k fotografii")).to_have_value("Ulomený výložník")
    assert faultless(page) == []
    page.close()
