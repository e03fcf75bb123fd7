"""The crew's story in a real browser: one alert for a feeder, taken over, fixed; a false alarm; a mute."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from kraj.alerts import Scope, Severity, Step
from tests.acceptance.test_page import (
    Connection,
    browser,
    complaints,
    connection,
    fleet,
    opened,
    site,
)
from tests.api.alerting import change, told
from tests.api.conftest import Region
from tests.api.signing import SIGNED

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "locale": "en-GB"}


def trip(fleet: Connection) -> tuple[Region, str, list[str]]:
    """A feeder of three lamps is out: the region, the title of its town and the lamps' labels."""
    region = Region(fleet)
    rows = fleet.execute(
        "SELECT label, a.municipality_id, m.title FROM asset a JOIN municipality m USING (municipality_id)"
        " WHERE kind = 'lamp' AND label IN (SELECT label FROM asset GROUP BY label HAVING count(*) = 1)"
        " AND municipality_id = (SELECT municipality_id FROM asset WHERE kind = 'lamp' GROUP BY 1"
        " ORDER BY count(*) DESC, 1 LIMIT 1) ORDER BY asset_id LIMIT 3"
    ).fetchall()
    assert len(rows) == 3
    labels, owner, now = [row[0] for row in rows], rows[0][1], datetime.now(UTC)
    feeder = Scope(type="feeder", name="RVO-01/2", municipality_id=owner)
    key = f"feeder_outage@{feeder}@1"
    at = now - timedelta(minutes=3)
    evidence = {"name": "RVO-01/2", "lost": 3, "members": 3}
    told(region, *(change(region, label, "lamp_dark", at=at, notify=False) for label in labels))
    told(
        region,
        change(region, labels[0], "feeder_outage", scope=feeder, severity=Severity.CRITICAL, evidence=evidence, at=at),
        *(change(region, label, "lamp_dark", Step.ATTACHED, parent=key, notify=False, at=now) for label in labels),
    )
    return region, rows[0][2], labels


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_crew_takes_over_a_feeder_and_marks_it_fixed(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    """One line for the feeder, not one for each lamp: taken over, driven to, repaired, with what it was."""
    _, town, labels = trip(fleet)
    page = opened(browser, complaints, **PHONE)
    page.goto(site)
    page.get_by_role("link", name=re.compile("^Alerts")).click()
    causes = page.get_by_role("list", name="Alerts by cause").get_by_role("listitem")
    expect(causes).to_have_count(1)
    for words in ("critical", "Feeder RVO-01/2", town, "3 of 3", "related: 3", "insulation tester"):
        expect(causes).to_contain_text(words)
    page.get_by_role("link", name="Feeder is out").click()
    expect(page.get_by_role("heading", name="What suffers from it (3)")).to_be_visible()
    for label in labels:
        expect(page.get_by_role("region", name="What suffers from it")).to_contain_text(label)

    page.get_by_role("button", name="Acknowledge").tap()
    expect(page.get_by_role("status")).to_have_text("✓ The alert is yours.")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_label("What was at fault").select_option("Fuse or breaker")
    page.get_by_role("button", name="Mark as fixed").tap()
    expect(page.get_by_role("status")).to_contain_text("readings will now verify it")
    history = page.get_by_role("region", name="History").get_by_role("listitem")
    expect(history).to_have_count(3)
    expect(history.last).to_contain_text("Jana: Fuse or breaker")
    assert complaints == []
    page.close()


def test_a_false_alarm_is_one_tap_and_a_rule_is_muted_until_a_date(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    region, _, labels = trip(fleet)
    told(region, change(region, labels[0], "day_burner", severity=Severity.MINOR, evidence={"power_w": 40.0}))
    told(region, change(region, labels[1], "lamp_out", evidence={"power_w": 0.4}))
    page = opened(browser, complaints, **PHONE)
    page.goto(f"{site}/alerts")
    page.get_by_role("link", name="Lamp burns by day").click()
    page.get_by_role("button", name="A test or work by a technician").tap()
    expect(page.get_by_role("status")).to_have_text("✓ Written down as a false alarm.")
    page.get_by_role("link", name="All alerts").click()
    expect(page.get_by_role("link", name="Lamp burns by day")).to_have_count(0)

    page.get_by_role("link", name="Lamp is out").click()
    page.get_by_label("Reason").fill("The lift comes next week")
    page.get_by_role("button", name="Mute", exact=True).tap()
    expect(page.get_by_role("status")).to_have_text("✓ The rule is muted on this asset.")
    expect(page.get_by_text("Muted until", exact=True)).to_be_visible()
    assert fleet.execute("SELECT rule, reason, who FROM rule_mute").fetchall() == [
        ("lamp_out", "The lift comes next week", "Jana")
    ]
    assert complaints == []
    page.close()


def test_who_comes_second_is_told_that_somebody_was_faster(browser: Browser, site: str, fleet: Connection) -> None:
    trip(fleet)
    page = browser.new_page(**SIGNED, **PHONE)
    page.goto(f"{site}/alerts")
    page.get_by_role("link", name="Feeder is out").click()
    fleet.execute("UPDATE alert SET version = version + 1")
    page.get_by_role("button", name="Acknowledge").tap()
    expect(page.get_by_role("heading", name="Somebody has changed the alert meanwhile")).to_be_visible()
    page.get_by_role("link", name="Back to the alert").click()
    page.get_by_role("button", name="Acknowledge").tap()
    page.close()


def test_the_list_updates_by_itself_until_paused_and_the_focus_stays(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    region, _, labels = trip(fleet)
    page = opened(browser, complaints, **PHONE)
    page.goto(f"{site}/alerts")
    link = page.get_by_role("link", name="Feeder is out")
    link.focus()
    told(region, change(region, labels[0], "lamp_out", evidence={"power_w": 0.4}, at=datetime.now(UTC)))
    expect(page.get_by_role("link", name="Lamp is out")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^Alerts"))).to_have_text("Alerts 2")
    expect(link).to_be_focused()
    fleet.execute("UPDATE alert SET state = 'closed' WHERE rule = 'feeder_outage'")
    expect(page.locator(".gone")).to_have_count(1)
    expect(link).to_be_focused()
    page.get_by_role("button", name="Pause updates").click()
    told(region, change(region, labels[1], "day_burner", at=datetime.now(UTC)))
    with pytest.raises(AssertionError):
        expect(page.get_by_role("link", name="Lamp burns by day")).to_be_visible(timeout=7000)
    page.get_by_role("button", name="Resume updates").click()
    expect(page.get_by_role("link", name="Lamp burns by day")).to_be_visible()
    assert complaints == []
    page.close()


def test_without_scripts_the_buttons_work_as_well(browser: Browser, site: str, fleet: Connection) -> None:
    trip(fleet)
    page = browser.new_page(**SIGNED, java_script_enabled=False, locale="cs-CZ")
    page.goto(f"{site}/alerts")
    page.get_by_role("link", name="Výpadek vývodu").click()
    page.get_by_role("button", name="Přebírám").click()
    expect(page.get_by_text("Porucha je vaše.")).to_be_visible()
    page.close()
