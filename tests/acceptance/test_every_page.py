"""Every page that the application has, whoever adds one: for a screen reader, by keyboard, on a phone, by night."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page

from api.door.keeper import COOKIE
from tests.acceptance.everything import HALF, UNPROVEN, addresses, routes, seed
from tests.acceptance.test_light_page import lit
from tests.acceptance.test_page import RULES, Connection, browser, connection, fleet, site
from tests.acceptance.test_sharing_pages import shared
from tests.api.signing import SESSION

pytestmark = pytest.mark.browser
__all__ = ["browser", "connection", "fleet", "lit", "shared", "site"]

LOOKED_AT = Path(__file__).with_name("looked_at.js").read_text("utf-8")
LOOKS: tuple[tuple[str, Any, int], ...] = (("cs", "light", 360), ("en", "dark", 1200))
"""Each page is seen in both languages, on a telephone and on a desk, and by axe by day and by night in each."""
OTHER: dict[str, Any] = {"light": "dark", "dark": "light"}
OPENS_ALL = "() => { for (const one of document.querySelectorAll('main details')) one.open = true; }"
FINDS = """tags => axe.run({runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]}).then(found =>
    found.violations.flatMap(({id, nodes}) =>
        nodes.map(one => `${id}: ${one.html.slice(0, 200)} ${one.failureSummary}`)))
"""
STRANGERS = (
    *("/accessibility", "/forgotten", "/links/{code}", "/links/none", "/opendata", "/public", "/report"),
    *("/report/{token}", "/sign-in"),
)
SESSIONS = {**dict.fromkeys(STRANGERS, ""), "/second-factor": HALF, "/second-factor/set-up": UNPROVEN}
"""Who opens a page; any other is opened by an administrator."""
ERRORS = {"/nowhere": 404, "/links/none": 410}
"""Pages of errors, and their status."""
NO_PAGES = {"/alerts/{alert_id}/repair", "/opendata/{name}"}
"""What a script puts into a page that is walked, too; files."""


def comes_as(context: BrowserContext, session: str) -> None:
    context.clear_cookies()
    if session:
        context.add_cookies([{"name": COOKIE, "value": session, "domain": "localhost", "path": "/"}])


def worth_saying(message: ConsoleMessage) -> bool:
    """Browsers ask for an icon of what is no page."""
    return message.type == "error" and not message.location["url"].endswith("/favicon.ico")


def shown(page: Page, address: str, route: str) -> bool | None:
    """Whether a page for people is shown there; None where it is a file, or something for a program."""
    try:
        answer = page.goto(address)
    except Error as error:
        if "Download is starting" in str(error):
            return None
        raise
    assert answer is not None
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return None
    return answer.status == ERRORS.get(route, 200) and page.url.startswith(address.partition("?")[0])


def test_every_page_is_for_everybody(browser: Browser, site: str, shared: Connection, lit: str, tmp_path: Path) -> None:
    """Whoever adds a route with parameters names an address for it in ``everything.seed``."""
    found, unknown = addresses(seed(shared, site, lit), routes(tmp_path) - NO_PAGES)
    assert unknown == [], "no address is known for these routes"
    found += [(path, path) for path in ERRORS]
    faults: dict[str, list[str]] = defaultdict(list)
    for language, scheme, width in LOOKS:
        context = browser.new_context(
            color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 780}
        )
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text) if worth_saying(message) else None)
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        titles: dict[str, set[str]] = defaultdict(set)
        session = None
        for route, path in found:
            if SESSIONS.get(route, SESSION) != session:
                session = SESSIONS.get(route, SESSION)
                comes_as(context, session)
            said.clear()
            here = faults[f"{path} ({language}, {scheme}, {width} px)"]
            is_shown = shown(page, f"{site}{path}{'&' if '?' in path else '?'}lang={language}", route)
            if is_shown is None:
                continue
            if not is_shown:
                here.append(f"is not shown: {page.url} {page.title()}")
                continue
            page.evaluate(OPENS_ALL)
            here += page.evaluate(LOOKED_AT, language)
            page.evaluate(AXE_SCRIPT)
            for look in (OTHER[scheme], scheme):
                page.emulate_media(color_scheme=look)
                here += [f"{look}: {fault}" for fault in page.evaluate(FINDS, RULES)]
            titles[page.title()].add(route)
            if route not in ERRORS:
                here += said
        for title, those in titles.items():
            if len(those) > 1:
                faults[title] = [f"is the title of all of {sorted(those)}"]
        context.close()
    told = [f"{where}: {fault}" for where, those in faults.items() for fault in those]
    assert not told, "\n".join(told)
