"""Citizens: a stranger reports a dark lamp in three taps and follows it; a clerk writes a call down."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance import marks
from tests.acceptance.keys import enter
from tests.acceptance.test_page import (
    Connection,
    browser,
    complaints,
    connection,
    faultless,
    fleet,
    focused,
    lamp,
    opened,
    site,
)
from tests.waiting import PATIENCE_S

__all__ = ["browser", "complaints", "connection", "fleet", "site"]
pytestmark = pytest.mark.browser

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
FIRST_PAGE_BYTES_MAX = 300_000
SENT = re.compile(r"/report/[A-Za-z0-9_-]{16,}\?sent=1")
UNPACKED_BYTES = """() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
    .reduce((bytes, one) => bytes + one.decodedBodySize, 0)"""
OLD_ENOUGH = "() => performance.now() > 1300"
"""A form that comes back sooner than a person could is asked for once more; so long one has looked at it."""


def stranger(browser: Browser, complaints: list[str], **options: Any) -> Page:
    """Somebody without an account."""
    options.setdefault("locale", "en-GB")
    page = browser.new_page(**options)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def send(page: Page) -> None:
    page.wait_for_function(OLD_ENOUGH)
    page.get_by_role("button", name=re.compile("Send the report|Odeslat hlášení")).click()


def reports(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT asset_id, service_code, source, who, address FROM service_request ORDER BY request_number"
    ).fetchall()


def test_a_stranger_reports_a_lamp_in_three_taps_and_follows_it(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    asset_id, label, town = lamp(fleet)
    page = stranger(browser, complaints, **PHONE)
    page.goto(f"{site}/public", wait_until="networkidle")
    assert 10_000 < page.evaluate(UNPACKED_BYTES) <= FIRST_PAGE_BYTES_MAX
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name=re.compile("outage|no data")).first.scroll_into_view_if_needed()

    page.goto(f"{site}/public/{town}/lighting")
    page.touchscreen.tap(*marks.place(page, asset_id))  # one
    page.wait_for_url("**/report?asset=*")
    if f"asset={asset_id}" not in page.url:  # a neighbour stands closer than a finger: it is offered
        page.get_by_role("link", name=label).first.tap()
    expect(page.get_by_text(f"Lamp {label}")).to_be_visible()
    assert faultless(page) == []
    page.get_by_role("radio", name="A street lamp is dark").tap()  # two
    page.wait_for_function(OLD_ENOUGH)
    page.get_by_role("button", name="Send the report").tap()  # three
    page.wait_for_url(SENT)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("report")
    assert faultless(page) == []
    assert reports(fleet) == [(asset_id, "dark_lamp", "page", None, None)]
    page.get_by_role("link", name=re.compile("^http")).tap()
    expect(page.get_by_role("heading", name="Your report")).to_be_visible()
    expect(page.get_by_text("being dealt with")).to_be_visible()
    assert page.context.cookies() == [], "nothing is kept in the browser"
    assert complaints == []

    # Twenty times the same, as an angry person or a script does it: one report, one answer.
    token = page.url.rpartition("/")[2].partition("?")[0]
    form = page.request.get(f"{site}/report?asset={asset_id}").text()
    stamp = re.search(r'name="stamp" value="([^"]+)"', form)
    assert stamp is not None
    given = {"stamp": stamp[1], "website": "", "asset": str(asset_id), "service_code": "dark_lamp"}
    early = httpx.post(f"{site}/report", data=given, headers={"accept": "text/html"}, timeout=PATIENCE_S)
    assert early.status_code == 400
    assert "once more" in early.text or "ještě jednou" in early.text
    page.goto(f"{site}/report?asset={asset_id}")
    page.wait_for_function(OLD_ENOUGH)
    for _ in range(20):
        answer = httpx.post(f"{site}/report", data=given, timeout=PATIENCE_S)
        assert answer.status_code == 303
        assert f"/report/{token}?" in answer.headers["location"]
    assert httpx.post(f"{site}/report", data=given | {"website": "http://spam"}, timeout=PATIENCE_S).status_code == 400
    assert (
        httpx.post(f"{site}/report", data=given | {"stamp": "1.00." + "0" * 32}, timeout=PATIENCE_S).status_code == 400
    )
    assert len(reports(fleet)) == 1
    page.close()


def test_places_are_described_calls_written_down_and_nonsense_is_told(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    asset_id, label, town = lamp(fleet)
    row = fleet.execute("SELECT title FROM municipality WHERE name = %s", [town]).fetchone()
    assert row is not None
    page = stranger(browser, complaints, java_script_enabled=False, **PHONE)  # scripts are no condition
    page.goto(f"{site}/report")
    page.get_by_label("Where it is").fill(f"{row[0]}, behind the school")
    page.get_by_label("A street lamp is dark").check()
    page.wait_for_timeout(1300)  # without scripts nothing else can be waited for
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()

    page.goto(f"{site}/report")
    page.get_by_text("Give coordinates").click()
    page.get_by_label("Latitude").fill("48.2")
    page.get_by_label("Longitude").fill("16.4")
    page.get_by_label("Something else").check()
    page.wait_for_timeout(1300)
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Latitude")).to_have_value("48.2")
    page.close()

    clerk = opened(browser, complaints, locale="cs-CZ")
    clerk.goto(f"{site}/reports/phone")
    assert faultless(clerk) == []
    clerk.get_by_label("Co je špatně").select_option("dark_lamp")
    clerk.get_by_label("Obec").select_option(town)
    clerk.get_by_label("Číslo svítidla").fill(label)
    enter(clerk.get_by_label("Číslo svítidla"))
    expect(clerk.get_by_role("status")).to_contain_text("Zapsáno")
    assert faultless(clerk) == []
    found = reports(fleet)
    assert [(source, who) for _, _, source, who, _ in found] == [("page", None), ("phone", "Jana")]
    assert found[0][4] == f"{row[0]}, behind the school"
    assert found[1][0] == asset_id

    # The town withdraws: it is on no public page any more.
    clerk.goto(f"{site}/publishing")
    assert faultless(clerk) == []
    clerk.get_by_role("button", name=f"Přestat zveřejňovat: {row[0]}").click()
    expect(clerk.get_by_role("status")).to_contain_text("Uloženo")
    assert httpx.get(f"{site}/public/{town}", timeout=PATIENCE_S).status_code == 404
    assert row[0] not in httpx.get(f"{site}/public?lang=en", timeout=PATIENCE_S).text
    assert row[0] not in httpx.get(f"{site}/report?q={row[0]}", timeout=PATIENCE_S).text.replace(
        f'value="{row[0]}"', ""
    ).replace(f"„{row[0]}“", "")
    assert label not in httpx.get(f"{site}/report?asset={asset_id}", timeout=PATIENCE_S).text
    assert [one for one in complaints if "400" not in one] == [], "but for the place outside the region"
    clerk.close()


def test_all_public_pages_are_for_everybody(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    asset_id, label, town = lamp(fleet)
    fleet.execute("INSERT INTO municipality (name, title) VALUES ('pusta', 'Pustá')")
    now = datetime.now(UTC)
    fleet.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
        " since, opened_at, changed_at) SELECT 'k', 'lamp_out', 'asset', asset_id::text, municipality_id, asset_id,"
        " 'major', true, true, %(at)s, %(at)s, %(at)s FROM asset WHERE asset_id = %(asset)s",
        {"at": now, "asset": asset_id},
    )
    stop = fleet.execute("SELECT asset_id FROM asset WHERE kind = 'stop' ORDER BY 1 LIMIT 1").fetchone()
    assert stop is not None
    paths = ["/public", "/public?q=a", "/public?q=qqq", f"/public/{town}", "/public/pusta", "/public/pusta/stops"]
    paths += [f"/public/{town}/{section}" for section in ("stops", "lighting", "roofs")]
    street = fleet.execute("SELECT metadata->>'street' FROM asset WHERE asset_id = %s", [asset_id]).fetchone()
    assert street is not None
    paths += [f"/public/{town}/lighting?street={street[0]}", "/report", "/report?q=a", f"/report?asset={asset_id}"]
    paths += [f"/report?asset={stop[0]}"]
    for language in ("cs", "en"):
        page = stranger(browser, complaints, **PHONE)
        for path in paths:
            page.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={language}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert faultless(page) == [], (path, language, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
            page.set_viewport_size(PHONE["viewport"])
            assert page.locator("html").get_attribute("lang") == language
        page.close()
    assert complaints == []

    # By keyboard alone, from the front page to the answer.
    page = stranger(browser, complaints)
    page.goto(f"{site}/public")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    enter(page)
    page.keyboard.press("Tab")
    assert "Report a fault" in focused(page)
    enter(page)
    page.wait_for_url("**/report")
    page.get_by_label("Stop, street or municipality").focus()
    page.keyboard.type(street[0])
    enter(page)
    page.wait_for_url("**/report?q=*")
    enter(page.get_by_role("link", name=street[0]).first)
    page.wait_for_url("**/lighting?street=*")
    link = page.get_by_role("main").get_by_role("listitem").get_by_role("link", name=label)
    enter(link.first)
    page.wait_for_url("**/report?asset=*")
    expect(page.get_by_role("status")).to_contain_text("We have known since")
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    assert "Send the report" in focused(page), "the trap is out of the keys' reach"
    page.wait_for_function(OLD_ENOUGH)
    enter(page)
    page.wait_for_url(SENT)
    expect(page.get_by_role("status")).to_contain_text("We know of that fault already")
    assert complaints == []
    page.close()
