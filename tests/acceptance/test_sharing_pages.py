"""Teams, grants, groups, secrets and the registry in a browser: for a screen reader, by keyboard, without scripts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pyotp.totp import TOTP

from tests.acceptance.keys import enter
from tests.acceptance.test_page import Connection, browser, connection, faultless, fleet, site
from tests.api.signing import NAME, SIGNED, person

pytestmark = pytest.mark.browser
__all__ = ["browser", "connection", "fleet", "site"]

TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LINE_PX = 75
"""A header of one line is lower than this."""


@pytest.fixture
def shared(fleet: Connection) -> Connection:
    """The first town by number has a group of five assets, a team of three, and lets the team at the group."""
    fleet.execute("INSERT INTO asset_group (municipality_id, name) VALUES (1, 'Vývod RVO-01/2')")
    fleet.execute(
        "INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE municipality_id = 1 ORDER BY 2 LIMIT 5"
    )
    for number in range(3):
        person(fleet, f"p{number}@kraj.example", "crew", title=f"Petra Nováková {number}", session=None)
    fleet.execute("INSERT INTO team (municipality_id, name) VALUES (1, 'Elektro Vysočina')")
    fleet.execute("INSERT INTO team_member SELECT 1, person_id FROM person WHERE name LIKE 'p_@%'")
    fleet.execute(
        "INSERT INTO access_grant (municipality_id, team_id, to_region, group_id, rights, valid_from, valid_to, who,"
        " reason) VALUES (1, 1, false, 1, '{read,act}', now(), now() + interval '90 days', 'Jana', 'smlouva 2027/14'),"
        " (1, 1, false, NULL, '{read}', now() - interval '2 days', now() - interval '1 day', 'Jana', 'zkouška')"
    )
    fleet.execute("UPDATE person SET totp_secret = %s, totp_confirmed_at = now() WHERE name = %s", [TOTP_SECRET, NAME])
    fleet.execute(
        "INSERT INTO notification_target (name, url, webhook_secret) VALUES ('GIS', 'webhook+https://g.cz/', 'whsec_')"
    )
    return fleet


def one(connection: Connection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_open_menu_has_no_accessibility_fault(browser: Browser, site: str, shared: Connection) -> None:
    page = browser.new_page(**SIGNED)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{site}/quarantine?lang={'cs' if scheme == 'light' else 'en'}")
        page.locator("nav summary").click()
        assert faultless(page) == [], scheme
    page.close()


@pytest.mark.parametrize("language", ["cs", "en"])
def test_the_header_is_one_line_and_its_menu_opens_by_keyboard_without_scripts(
    browser: Browser, site: str, shared: Connection, language: str
) -> None:
    person(shared, NAME, title="Ing. Jana Dvořáková-Nováková, Ph.D.")
    page = browser.new_page(**SIGNED, viewport={"width": 1200, "height": 800}, java_script_enabled=False)
    page.goto(f"{site}/?lang={language}")
    box = page.locator("header.top").bounding_box()
    assert box is not None
    assert box["height"] < LINE_PX
    link = page.locator("nav a[href='/grants']")
    expect(link).to_be_hidden()
    enter(page.locator("nav summary"))
    expect(link).to_be_visible()
    box = page.locator("header.top").bounding_box()
    assert box is not None
    assert box["height"] < LINE_PX, "the menu lies over the page"
    enter(link)
    expect(page).to_have_url(f"{site}/grants")
    page.close()


def english(browser: Browser) -> Page:
    return browser.new_page(**SIGNED, java_script_enabled=False, locale="en-GB")


def test_a_team_is_made_its_members_changed_and_it_ends(browser: Browser, site: str, shared: Connection) -> None:
    page = english(browser)
    page.goto(f"{site}/teams")
    page.get_by_label("Name of the team").fill("Elektro Vysočina")
    taken = one(shared, "SELECT name FROM municipality WHERE municipality_id = 1")
    page.get_by_label("Municipality").select_option(taken)
    page.get_by_label("Petra Nováková 1").check()
    enter(page.get_by_role("button", name="Make the team"))
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Petra Nováková 1")).to_be_checked()
    page.get_by_label("Name of the team").fill("Crew north")
    enter(page)
    expect(page.get_by_role("heading", name="Crew north")).to_be_visible()
    page.get_by_label("Petra Nováková 1").uncheck()
    page.get_by_label("Petra Nováková 2").check()
    enter(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("The members are saved.")).to_be_visible()
    members = (
        "SELECT string_agg(p.title, ',') FROM team_member m JOIN team USING (team_id) JOIN person p USING (person_id)"
    )
    assert one(shared, f"{members} WHERE team.name = 'Crew north'") == "Petra Nováková 2"
    enter(page.get_by_role("button", name="End the team"))
    expect(page.get_by_text("The team has ended.")).to_be_visible()
    expect(page.get_by_role("link", name="Crew north")).to_have_count(0)
    page.close()


def test_a_grant_is_given_for_a_group_until_a_day_and_ended(browser: Browser, site: str, shared: Connection) -> None:
    page = english(browser)
    page.goto(f"{site}/grants")
    town = one(shared, "SELECT name FROM municipality WHERE municipality_id = 1")
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    page.get_by_label("Whose assets").select_option(town)
    page.get_by_label("To whom").select_option("region")
    page.get_by_label("Which assets").select_option("1")
    page.get_by_label("work on alerts").check()
    page.get_by_label("Until which day").fill("2020-01-01")
    page.get_by_label("Why").fill("contract 7")
    enter(page.get_by_role("button", name="Grant access"))
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Why")).to_have_value("contract 7")
    page.get_by_label("Until which day").fill(until)
    enter(page.get_by_role("button", name="Grant access"))
    expect(page.get_by_text("The grant is valid.")).to_be_visible()
    row = shared.execute(
        "SELECT to_region, group_id, rights, valid_to > now() + interval '29 days', who FROM access_grant"
        " WHERE reason = 'contract 7'"
    ).fetchone()
    assert row == (True, 1, ["act", "read"], True, "Jana")
    enter(page.get_by_role("button", name="End contract 7"))
    expect(page.get_by_text("The grant has ended.")).to_be_visible()
    assert one(shared, "SELECT valid_to <= now() FROM access_grant WHERE reason = 'contract 7'")
    page.close()


def test_assets_are_found_put_into_a_group_and_taken_out_and_other_towns_have_none_there(
    browser: Browser, site: str, shared: Connection
) -> None:
    shared.execute("UPDATE asset SET label = 'Testovaci' WHERE asset_id IN (SELECT max(asset_id) FROM asset)")
    label = one(
        shared,
        "SELECT label FROM asset a WHERE municipality_id = 1 AND kind = 'lamp' AND NOT EXISTS"
        " (SELECT FROM asset_group_member m WHERE m.asset_id = a.asset_id) ORDER BY asset_id LIMIT 1",
    )
    page = english(browser)
    page.goto(f"{site}/groups")
    enter(page.get_by_role("link", name="Vývod RVO-01/2"))
    page.get_by_role("searchbox").fill("Testovaci")
    enter(page)
    expect(page.get_by_text("nothing like that in the group's municipality")).to_be_visible()
    page.get_by_role("searchbox").fill(label)
    enter(page)
    enter(page.get_by_role("button", name=f"Add {label}", exact=True))
    expect(page.get_by_text("Put into the group.")).to_be_visible()
    assert one(shared, "SELECT count(*) FROM asset_group_member WHERE group_id = 1") == 6
    enter(page.get_by_role("button", name=f"Remove {label}", exact=True))
    expect(page.get_by_text("Taken out of the group.")).to_be_visible()
    assert one(shared, "SELECT count(*) FROM asset_group_member WHERE group_id = 1") == 5
    page.close()
    foreign = one(shared, "SELECT asset_id FROM asset WHERE municipality_id = 2 LIMIT 1")
    context = browser.new_context(**SIGNED)
    answer = context.request.post(
        f"{site}/groups/1/members", form={"add": str(foreign)}, headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status == 404
    assert one(shared, "SELECT count(*) FROM asset_group_member WHERE group_id = 1") == 5
    context.close()


def test_recovery_codes_are_renewed_by_who_has_the_telephone(browser: Browser, site: str, shared: Connection) -> None:
    person_id = one(shared, f"SELECT person_id FROM person WHERE name = '{NAME}'")
    shared.execute("INSERT INTO recovery_code (person_id, digest) VALUES (%s, 'old')", [person_id])
    page = english(browser)
    page.goto(f"{site}/account")
    right = TOTP(TOTP_SECRET).now()
    page.get_by_label("Code from the telephone").fill(f"{(int(right) + 1) % 1_000_000:06}")
    enter(page)
    expect(page.get_by_role("alert")).to_be_visible()
    assert one(shared, "SELECT count(*) FROM recovery_code WHERE digest = 'old'") == 1
    page.get_by_label("Code from the telephone").fill(TOTP(TOTP_SECRET).now())
    enter(page)
    expect(page.locator(".codes li")).to_have_count(10)
    expect(page.get_by_text("earlier ones no more")).to_be_visible()
    assert one(shared, "SELECT count(*) FROM recovery_code WHERE digest = 'old'") == 0
    assert one(shared, "SELECT count(*) FROM recovery_code") == 10
    page.close()


def test_a_webhooks_secret_is_seen_once(browser: Browser, site: str, shared: Connection) -> None:
    page = english(browser)
    page.goto(f"{site}/notifications/targets/new")
    page.locator("#name").fill("Dispatch")
    page.get_by_label("Address", exact=True).fill("webhook+https://hooks.example.cz/kraj")
    enter(page)
    shown = page.get_by_role("region", name="Secret of the signed webhook").inner_text()
    assert shown.startswith("whsec_")
    enter(page.locator(".back a"))
    expect(page.get_by_text("signed webhook").first).to_be_visible()
    assert shown not in page.content()
    page.close()
