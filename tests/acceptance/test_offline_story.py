"""A crew without a connection, in a real browser: what was seen is there, what was done waits, and is done once."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from kraj.store.registry import register
from tests.acceptance.test_page import Connection, browser, connection, faultless, site
from tests.api.alerting import lamp_out
from tests.api.conftest import DEVICES, MUNICIPALITIES, Region
from tests.api.orders.test_pictures import jpeg
from tests.api.signing import SESSION, SIGNED, person

pytestmark = pytest.mark.browser
__all__ = ["browser", "connection", "site"]

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "locale": "en-GB"}
WAITING = "Waiting to be sent"


@pytest.fixture
def crew(connection: Connection) -> Region:
    """Two lamps are out: alerts 1 and 2; Petr works in the town, too."""
    register(connection, MUNICIPALITIES, DEVICES, datetime.now(UTC))
    region = Region(connection)
    person(connection, "petr@kraj.example", "crew", "olsinka", title="Petr", session="petr")
    return region


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(**SIGNED, **PHONE)
    yield context
    context.close()


def said(page: Page, text: str) -> None:
    expect(page.locator("[data-offline-said]")).to_contain_text(text)


def until(page: Page, claim: str) -> None:
    """Wait for what the page itself can say; ``wait_for_function`` would need what its policy forbids."""
    for _ in range(200):
        if page.evaluate(claim):
            return
        page.wait_for_timeout(50)
    raise AssertionError(claim)


def waiting(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile(WAITING)).get_by_role("listitem")


def steps(region: Region, alert: int) -> list[tuple[str, str, str | None]]:
    return region.connection.execute(
        "SELECT step, who, note FROM alert_event WHERE alert_id = %s AND step <> 'opened' ORDER BY alert_event_id",
        [alert],
    ).fetchall()


def comment(page: Page, text: str) -> None:
    page.get_by_label("Text of the note").fill(text)
    page.get_by_role("button", name="Add the note").click()


def as_somebody(phone: BrowserContext, session: str) -> None:
    phone.add_cookies([{"name": "kraj_session", "value": session, "domain": "localhost", "path": "/"}])


def test_what_a_crew_does_without_a_connection_is_done_once(crew: Region, phone: BrowserContext, site: str) -> None:
    first = lamp_out(crew)
    lamp_out(crew, "VO-10 Školní")
    second = first + 1
    page = phone.new_page()
    page.goto(f"{site}/alerts")
    until(page, "navigator.serviceWorker.controller !== null")
    order = f"{site}/alerts/{first}"
    page.goto(order)
    page.goto(f"{site}/alerts")

    # It can be installed, as far as Chromium says.
    asked: Any = phone.new_cdp_session(page)
    errors = asked.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []

    # Offline: what was seen is there and says of when it is, what was not has a remedy.
    phone.set_offline(True)
    page.goto(order)
    expect(page.get_by_text(re.compile(r"Offline, as of \d\d:\d\d"))).to_be_visible()
    assert faultless(page) == []
    page.goto(f"{site}/alerts/{second}")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    page.goto(f"{site}/account")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    page.goto(f"{site}/alerts")
    expect(page.get_by_role("listitem").filter(has_text="VO-9 Nádražní")).to_be_visible()

    # A comment and a repair wait, here and in the list; what may not wait is refused with words.
    page.goto(order)
    comment(page, "The fuse was burnt")
    said(page, "Kept in the telephone")
    page.get_by_role("button", name="Mark as fixed").click()
    expect(waiting(page)).to_have_count(2)
    assert faultless(page) == []
    page.get_by_label("Reason").fill("later")
    page.get_by_role("button", name="Mute", exact=True).click()
    said(page, "is not kept")
    page.goto(f"{site}/alerts")
    expect(waiting(page)).to_have_count(2)
    assert steps(crew, first) == []

    # The first answer is lost after the server has written it down: the same key brings it again.
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    phone.route("**/v1/alerts/*/steps", lose)
    phone.set_offline(False)
    until(page, "krajQueue.all().then((all) => all[0].tried_at !== null)")
    while not lost:
        page.wait_for_timeout(50)
    expect(waiting(page)).to_have_count(2)
    assert [step for step, _, _ in steps(crew, first)] == ["commented"]
    page.reload()
    said(page, "Sent: 2")
    expect(waiting(page)).to_have_count(0)
    assert lost == [200]
    assert steps(crew, first) == [("commented", "Jana", "The fuse was burnt"), ("fixed", "Jana", None)]
    phone.unroute("**/v1/alerts/*/steps")

    # Somebody else closes an alert meanwhile: the text stays for the person to decide.
    page.goto(f"{site}/alerts/{second}")
    phone.set_offline(True)
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_label("Text of the note").fill("Cable is cut")
    page.get_by_role("button", name="Mark as fixed").click()
    expect(waiting(page)).to_have_count(2)
    crew.connection.execute(
        "UPDATE alert SET state = 'closed', closed_at = now(), version = version + 1 WHERE alert_id = %s", [second]
    )
    crew.connection.execute(
        "INSERT INTO alert_event (alert_id, at, step, who) VALUES (%s, now(), 'closed', 'Petr')", [second]
    )
    phone.set_offline(False)
    expect(waiting(page).filter(has_text="closed (Petr")).to_have_count(2)
    assert faultless(page) == []
    waiting(page).filter(has_text="Acknowledge").get_by_role("button", name="Discard").click()
    expect(waiting(page)).to_have_count(1)
    waiting(page).get_by_role("button", name="Send as a comment").click()
    said(page, "Sent: 1")
    found = steps(crew, second)
    assert [step for step, _, _ in found] == ["closed", "commented"]
    assert "Cable is cut" in (found[-1][2] or "")

    # Sign-in is lost while offline: it waits for the same person, and nobody else sends or sees it.
    page.goto(order)
    phone.set_offline(True)
    comment(page, "Second look")
    expect(waiting(page)).to_have_count(1)
    as_somebody(phone, "gone")
    phone.set_offline(False)
    expect(page.get_by_text("It is sent once the person who did it has signed in again")).to_be_visible()
    page.get_by_role("region", name=re.compile(WAITING)).get_by_role("link", name="Sign in").click()
    said(page, "wait in this telephone: 1")
    assert faultless(page) == []
    as_somebody(phone, "petr")
    page.goto(order)
    expect(page.get_by_role("link", name="Petr")).to_be_visible()
    expect(waiting(page)).to_have_count(0)
    assert page.evaluate("krajQueue.all().then((all) => all.length)") == 1
    as_somebody(phone, SESSION)
    page.goto(order)
    said(page, "Sent: 1")
    assert steps(crew, first)[-1] == ("commented", "Jana", "Second look")

    # Signing out empties what was kept of pages.
    copies = "caches.keys().then((names) => names.some((name) => name.startsWith('kraj-pages-')))"
    page.goto(f"{site}/alerts")
    until(page, copies)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("said=out"))
    assert not page.evaluate(copies)
    phone.set_offline(True)
    page.goto(order)
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    page.close()


def test_what_is_pressed_while_another_press_is_sent_is_done_too(
    crew: Region, phone: BrowserContext, site: str
) -> None:
    alert = lamp_out(crew)
    page = phone.new_page()
    page.goto(f"{site}/alerts/{alert}")
    asked: list[Route] = []

    def hold_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    phone.route("**/v1/alerts/*/steps", hold_the_first)
    page.get_by_role("button", name="Acknowledge").dblclick()
    page.get_by_role("button", name="Mark as fixed").click()
    while not asked:
        page.wait_for_timeout(20)
    asked[0].continue_()
    expect(page).to_have_url(re.compile("said=fixed"))
    assert len(asked) == 1, "one press of two; what is proved by light is the server's"
    assert [step for step, _, _ in steps(crew, alert)] == ["acknowledged", "fixed"]
    page.wait_for_load_state()
    assert page.evaluate("krajQueue.all().then((all) => all.length)") == 0
    photos_and_words(crew, phone, page, lamp_out(crew, "VO-10 Školní") + 1)
    page.close()


def photos_and_words(crew: Region, phone: BrowserContext, page: Page, alert: int) -> None:
    """A photo waits with its words and is told when it is refused; other forms keep what is typed; light waits not."""
    order = f"{page.url.split('/alerts')[0]}/alerts/{alert}"
    picture: Any = {"name": "stozar.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    none: Any = {"name": "dopis.png", "mimeType": "image/png", "buffer": b"no picture"}
    note, caption, photo = (page.get_by_label(label) for label in ("Text of the note", "About the photo", "A photo of"))
    add = page.get_by_role("button", name="Add the photo")
    page.goto(order)
    phone.set_offline(True)
    note.fill("Half a thought")
    caption.fill("The pole leans")
    photo.set_input_files(picture)
    add.click()
    said(page, "Kept in the telephone")
    expect(waiting(page)).to_have_count(2)
    expect(note).to_have_value("Half a thought")
    expect(caption).to_have_value("")
    photo.set_input_files(none)
    add.click()
    expect(waiting(page)).to_have_count(3)
    expect(page.get_by_label("Light at 100 %")).to_be_checked()
    page.get_by_role("button", name="Mark as fixed").click()
    said(page, "The lamp will not be switched on")
    expect(waiting(page)).to_have_count(4)
    assert faultless(page) == []
    phone.set_offline(False)
    said(page, "Sent: 3")
    refused = waiting(page).filter(has_text="The server has not taken it")
    expect(refused).to_contain_text("dopis.png")
    expect(waiting(page)).to_have_count(1)
    assert faultless(page) == []
    refused.get_by_role("button", name="Discard").click()
    expect(waiting(page)).to_have_count(0)
    found = [(step, text) for step, _, text in steps(crew, alert)]
    assert [step for step, _ in found] == ["commented", "commented", "fixed"]
    assert found[1:] == [("commented", "The pole leans"), ("fixed", "Half a thought")]
    assert crew.connection.execute("SELECT count(*) FROM alert_photo").fetchone() == (1,)
    lit = "SELECT count(*) FROM command JOIN alert USING (asset_id) WHERE alert_id = %s"
    assert crew.connection.execute(lit, [alert]).fetchone() == (0,)

    # With a connection a form that is sent turns the page, and what is in the other one stays.
    page.goto(order)
    note.fill("Kept while a photo goes")
    caption.fill("From below")
    photo.set_input_files(picture)
    add.click()
    expect(page).to_have_url(re.compile("said=photo"))
    expect(note).to_have_value("Kept while a photo goes")
    expect(caption).to_have_value("")
    caption.fill("From above")
    photo.set_input_files(picture)
    page.get_by_role("button", name="Add the note").click()
    expect(page).to_have_url(re.compile("said=commented"))
    expect(note).to_have_value("")
    expect(caption).to_have_value("From above")
    until(page, "document.querySelector('#photo').files[0]?.name === 'stozar.jpg'")
    add.click()
    expect(page.get_by_role("img", name=re.compile("hoto"))).to_have_count(3)
