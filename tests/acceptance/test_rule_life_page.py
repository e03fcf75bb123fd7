"""A rule that failed, and one that is muted, are put right where they are seen: by buttons that fit a phone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from kraj.alerts import Scope
from tests.acceptance.test_crew_page import PHONE, fits
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, opened, site
from tests.api.alerting import change, told
from tests.api.conftest import Region

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]


@pytest.mark.parametrize("look", [PHONE | {"locale": "cs-CZ"}, {"locale": "en-GB", "color_scheme": "dark"}])
def test_a_failed_rule_is_tried_again_and_a_mute_lifted(
    browser: Browser, site: str, fleet: Connection, complaints: list[str], look: dict[str, Any]
) -> None:
    row = fleet.execute("SELECT asset_id, label FROM asset WHERE kind = 'lamp' ORDER BY 1 LIMIT 1").fetchone()
    assert row is not None
    lamp, label = row
    now = datetime.now(UTC)
    scope = Scope(type="region", name="voltage", municipality_id=None)
    fields: dict[str, Any] = {"asset_id": None, "municipality_id": None, "at": now - timedelta(hours=3)}
    error = {"rule": "voltage", "error": "ZeroDivisionError: division by zero"}
    told(Region(fleet), change(Region(fleet), label, "rule_failed", scope=scope, evidence=error, **fields))
    fleet.execute(
        "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at)"
        " VALUES (%s, 'lamp_out', %s, 'part', 'Jan', %s)",
        [lamp, now + timedelta(days=9), now],
    )
    czech = look["locale"] == "cs-CZ"
    page = opened(browser, complaints, **look)
    page.goto(f"{site}/assets/{lamp}")
    for summary in page.locator("section[aria-labelledby=rules] details:has(form) summary").all():
        summary.click()
    assert faultless(page) == []
    assert fits(page)
    page.get_by_role("button", name="Zrušit ztlumení" if czech else "Lift the mute").click()
    expect(page.get_by_role("status")).to_contain_text("Ztlumení je zrušené" if czech else "The mute is lifted")
    expect(page.get_by_role("button", name="Zrušit ztlumení" if czech else "Lift the mute")).to_have_count(0)

    page.goto(f"{site}/rules")
    expect(page.get_by_text("ZeroDivisionError")).to_be_visible()
    assert faultless(page) == []
    assert fits(page)
    page.goto(f"{site}/alerts/{fleet.execute('SELECT max(alert_id) FROM alert').fetchone()[0]}")  # pyright: ignore[reportOptionalSubscript]
    assert faultless(page) == []
    assert fits(page)
    page.get_by_role("button", name="Zkusit znovu" if czech else "Try again").click()
    expect(page.get_by_role("status")).to_contain_text("se zkusí znovu" if czech else "is tried again")
    expect(page.get_by_text("ZeroDivisionError")).to_have_count(0)
    assert fleet.execute("SELECT count(*) FROM rule_failure").fetchone() == (0,)
    assert complaints == []
    page.close()
