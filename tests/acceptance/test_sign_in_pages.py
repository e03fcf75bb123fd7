"""The pages of sign-in and people in a real browser: for a screen reader, by keyboard, without scripts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from pyotp.totp import TOTP

from stack import people
from stack.database import OWNER
from tests.acceptance.keys import enter
from tests.acceptance.test_page import Connection, browser, complaints, connection, fleet, site

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]

PASSWORD = "devět slepic na plotě"


def invitation(database_role_url: Callable[[str], str], name: str, role: str) -> str:
    """The path of a link for a new person."""
    from kraj.store import founding

    with psycopg.connect(database_role_url(OWNER)) as connection:
        person_id = founding.add(connection, name, "Jana Dvořáková", datetime.now(UTC), role=role)
        assert person_id is not None
        code = founding.make_code(connection, "invitation", person_id, datetime.now(UTC), people.INVITATION_LASTS)
    return f"/links/{code}"


def test_an_administrator_comes_in_the_first_time_by_keyboard_and_without_scripts(
    browser: Browser, site: str, fleet: Connection, database_role_url: Callable[[str], str]
) -> None:
    link = invitation(database_role_url, "nova@kraj.example", "region_admin")
    page = browser.new_page(java_script_enabled=False, locale="en-GB")
    page.goto(f"{site}{link}?lang=en")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password once more").fill(PASSWORD)
    enter(page)
    expect(page.get_by_role("heading", name="Set up codes")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("QR"))).to_be_visible()
    secret = page.locator("ol.steps code").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(TOTP(secret).now())
    enter(page)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    expect(page.locator(".codes li")).to_have_count(10)
    recovery = page.locator(".codes li").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="In the field")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(f"{site}/quarantine")
    page.get_by_label("E-mail").fill("nova@kraj.example")
    page.get_by_label("Password").fill(PASSWORD)
    enter(page)
    page.get_by_label("Code", exact=True).fill(recovery)
    enter(page)
    expect(page).to_have_url(f"{site}/quarantine")
    page.close()
