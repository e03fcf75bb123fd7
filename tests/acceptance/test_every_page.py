"""Every page that the application has, whoever adds one: for a screen reader, by keyboard, on a phone, by night."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from fastapi import Request
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Route

from api import problems
from api.database import Database
from api.door.keeper import COOKIE
from api.service import Service
from api.site import Site
from api.texts import catalogues
from kraj import clock
from tests.acceptance.everything import HALF, UNPROVEN, addresses, routes, seed
from tests.acceptance.test_light_page import lit
from tests.acceptance.test_page import RULES, SHIFT_MAX, Connection, browser, connection, fleet, site
from tests.acceptance.test_sharing_pages import shared
from tests.api.signing import SESSION

pytestmark = pytest.mark.browser
__all__ = ["browser", "connection", "fleet", "lit", "shared", "site"]

LOOKED_AT = Path(__file__).with_name("looked_at.js").read_text("utf-8")
TABBED = Path(__file__).with_name("tabbed.js").read_text("utf-8")
LOOKS: tuple[tuple[str, tuple[Any, ...], int], ...] = (("cs", ("light", "dark"), 360), ("en", ("dark", "light"), 1200))
"""Each page is seen in both languages, on a telephone and on a desk, and by axe by day and by night in each."""
COLOURS = ("color-contrast", "link-in-text-block")
"""What axe judges by colours; nothing else of a page is another one by night."""
OPENS_ALL = """() => {
    self.touchedFrom = performance.now();
    for (const one of document.querySelectorAll('main details')) one.open = true;
}"""
SHIFTS = """self.shifts = []; new PerformanceObserver((list) => self.shifts.push(...list.getEntries()))
    .observe({type: "layout-shift", buffered: true});"""
UNTOUCHED = "() => { self.touchedTo = performance.now() + 100; }"
SHIFTED = """() => self.shifts.filter((one) => !one.hadRecentInput
        && (one.startTime < self.touchedFrom || one.startTime > self.touchedTo))
    .reduce((sum, one) => sum + one.value, 0)"""
"""How far what one reads jumps from the first paint on (CLS), but for what a test has touched itself."""
FINDS = """only => axe.run({runOnly: only, resultTypes: ["violations"]}).then(found =>
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
FAULTS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    *((403, "forbidden", {"right": "register"}), (405, "method", {"method": "DELETE", "path": "/a"})),
    *((413, "too_large", {"size_max": 1}), (422, "labels", {"count": 0, "most": 60})),
    *((500, "internal", {}), (503, "unavailable", {})),
)
"""Errors that no address shows on its own: status, code, what the texts name."""
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


def found_by_axe(page: Page, schemes: tuple[Any, ...]) -> list[str]:
    """All rules in the first scheme, which is shown, and those about colours in the others."""
    page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(FINDS, {"type": "tag", "values": RULES})
    for scheme in schemes[1:]:
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {fault}" for fault in page.evaluate(FINDS, {"type": "rule", "values": COLOURS})]
        page.emulate_media(color_scheme=schemes[0])
    return found


def tabbed(page: Page) -> list[str]:
    """What is wrong with the first presses of Tab, and with the last."""
    page.evaluate(TABBED, "begin")
    for _ in range(3):
        page.keyboard.press("Tab")
    found: list[str] = page.evaluate(TABBED, "go on")
    page.keyboard.press("Tab")
    return found + page.evaluate(TABBED, "judge")


def wrong_with(page: Page, language: str, schemes: tuple[Any, ...], *, pressed: bool) -> list[str]:
    """What is wrong with the page that is shown; ``pressed``: Tab is pressed, too."""
    page.evaluate(OPENS_ALL)
    found: list[str] = page.evaluate(LOOKED_AT, language)
    found += tabbed(page) if pressed else []
    page.evaluate(UNTOUCHED)
    found += found_by_axe(page, schemes)
    shift = page.evaluate(SHIFTED)
    return found if shift <= SHIFT_MAX else [*found, f"jumps by {shift}"]


def errors_shown(page: Page, site: str, language: str) -> Iterator[str]:
    """Show each page of an error as if the server had answered it; gives its name."""
    service = Service(Database("postgresql://nowhere/"), clock.real, catalogues())
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/alerts/1/steps", "headers": []}
    asked = Request(scope | {"query_string": f"lang={language}".encode()})
    bodies = {"plain": problems.PLAIN.encode()} if language == "cs" else {}
    for status, code, values in FAULTS if language == "cs" else FAULTS[-1:]:
        told = problems.details(service, asked, problems.Problem(code, status, **values))
        bodies[str(status)] = bytes(Site(service).problem(asked, told).body)

    def answer(route: Route) -> None:
        route.fulfill(body=bodies[route.request.url.rpartition("/")[2]], content_type="text/html")

    page.route(f"{site}/fault/*", answer)
    for name in bodies:
        page.goto(f"{site}/fault/{name}")
        yield f"error {name}"


def test_every_page_is_for_everybody(browser: Browser, site: str, shared: Connection, lit: str, tmp_path: Path) -> None:
    """Whoever adds a route with parameters names an address for it in ``everything.seed``."""
    found, unknown = addresses(seed(shared, site, lit), routes(tmp_path) - NO_PAGES)
    assert unknown == [], "no address is known for these routes"
    found += [(path, path) for path in ERRORS]
    faults: dict[str, list[str]] = defaultdict(list)
    for language, schemes, width in LOOKS:
        context = browser.new_context(
            color_scheme=schemes[0], reduced_motion="reduce", viewport={"width": width, "height": 780}
        )
        context.add_init_script(SHIFTS)
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
            here = faults[f"{path} ({language}, {width} px)"]
            is_shown = shown(page, f"{site}{path}{'&' if '?' in path else '?'}lang={language}", route)
            if is_shown is None:
                continue
            if not is_shown:
                here.append(f"is not shown: {page.url} {page.title()}")
                continue
            here += wrong_with(page, language, schemes, pressed=width == LOOKS[0][2])
            titles[page.title()].add(route)
            if route not in ERRORS:
                here += said
        for name in errors_shown(page, site, language):
            here = faults[f"{name} ({language})"]
            here += page.evaluate(LOOKED_AT, language)
            here += found_by_axe(page, schemes)
        for title, those in titles.items():
            if len(those) > 1:
                faults[title] = [f"is the title of all of {sorted(those)}"]
        context.close()
    told = [f"{where}: {fault}" for where, those in faults.items() for fault in those]
    assert not told, "\n".join(told)
