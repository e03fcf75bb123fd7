"""A mayor opens last month's report: it has its styles, can be read by everybody, and fits a telephone by night."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.test_energy_page import months
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, opened, site

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "months", "site"]


@pytest.fixture
def subscribed(fleet: Connection, months: str) -> str:
    """Every town gets its report, and one waits; the town with figures."""
    fleet.execute(
        "INSERT INTO notification_target (municipality_id, name, url)"
        " SELECT municipality_id, 'rada', 'mailto://a:b@example.cz' FROM municipality"
    )
    fleet.execute(
        "INSERT INTO report_subscription (municipality_id, target_id, who, at)"
        " SELECT municipality_id, target_id, 'Jana', now() FROM notification_target"
    )
    fleet.execute(
        "INSERT INTO report_run (report_subscription_id, municipality_id, month, planned_at, due_at, error)"
        " SELECT report_subscription_id, municipality_id, '2026-10-01', now(), now(), 'full' FROM report_subscription"
    )
    return months


@pytest.mark.parametrize("look", [("cs", "dark", 360), ("en", "light", 1280)])
def test_a_report_has_no_accessibility_fault_and_fits(
    browser: Browser, site: str, subscribed: str, complaints: list[str], look: tuple[str, Any, int]
) -> None:
    language, scheme, width = look
    page = opened(browser, complaints, color_scheme=scheme, viewport={"width": width, "height": 780})
    page.goto(f"{site}/reports?municipality={subscribed}&lang={language}")
    assert faultless(page) == []
    page.locator("#months + ul a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text({"cs": "Zpráva za", "en": "Report of"}[language])
    heading = {"cs": "Spotřeba svítidel", "en": "Energy of lamps"}[language]
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=heading, exact=True))
    expect(card.get_by_role("img")).to_be_visible()
    expect(page.locator("main")).to_have_css("display", "block")
    expect(page.locator("ul.cards").first).to_have_css("display", "flex")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 24)"
    assert dark == (scheme == "dark")
    assert faultless(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []
    page.close()
