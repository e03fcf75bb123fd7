"""The pages of sign-in and people in a real browser: for a screen reader, by keyboard, without scripts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from pyotp.totp import TOTP

from api.door.keeper import COOKIE
from stack import people
from stack.database import OWNER
from tests.acceptance.keys import enter
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, site
from tests.api.signing import SIGNED, person

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


@pytest.mark.parametrize("look", [("cs", "light"), ("cs", "dark"), ("en", "light"), ("en", "dark")])
def test_no_page_of_sign_in_and_people_has_an_accessibility_fault(
    browser: Browser, site: str, fleet: Connection, database_role_url: Callable[[str], str], look: tuple[str, Any]
) -> None:
    language, scheme = look
    link = invitation(database_role_url, "nova@kraj.example", "region_admin")
    outside = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 844})
    for path in ("/sign-in", "/forgotten", link, "/links/none"):
        outside.goto(f"{site}{path}?lang={language}")
        assert faultless(outside) == [], path
        assert outside.evaluate("document.documentElement.scrollWidth") <= 390, path
    outside.close()
    other = person(fleet, "petr@kraj.example", "viewer", title="Petr Novák", session=None)
    half = person(fleet, "half@kraj.example", "region_admin", session="half", second_factor=False)
    assert half
    inside = browser.new_page(**SIGNED, color_scheme=scheme)
    for path in ("/account", "/people", f"/people/{other}"):
        inside.goto(f"{site}{path}?lang={language}")
        assert faultless(inside) == [], path
    inside.context.add_cookies([{"name": COOKIE, "value": "half", "domain": "localhost", "path": "/"}])
    inside.goto(f"{site}/?lang={language}")
    expect(inside).to_have_url(re.compile("/second-factor/set-up"))
    assert faultless(inside) == []
    inside.close()


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
