"""The pages in a real browser: a person with a mouse, a keyboard, a phone, a dark screen, a screen reader."""

import http.client
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg import sql

from kraj.kinds import KINDS
from kraj.store.registry import NewAsset, NewDevice, register
from simulators.region import region
from stack.database import OWNER
from stack.process import free_port
from tests.acceptance import marks
from tests.acceptance.keys import enter
from tests.api.signing import SIGNED, signed_in
from tests.forked import Program
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SHIFT_MAX = 0.1
SHIFTS = """() => { self.shifted = 0; new PerformanceObserver((list) => {
    for (const one of list.getEntries()) self.shifted += one.value;
}).observe({type: "layout-shift", buffered: true}); }"""
"""Sums how far what one reads jumps, from the first paint on (CLS, but for what one has caused)."""
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; for this module alone, as Playwright's loop would stand in the way of other tests."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """The database as ingest would write it."""
    with psycopg.connect(database_url, autocommit=True) as found:
        yield found


@pytest.fixture
def site(database_role_url: Callable[[str], str], tmp_path: Path) -> Iterator[str]:
    """``python -m api`` as its own process, reading as ``kraj_api``, with an administrator signed in; its address."""
    signed_in(database_role_url(OWNER))
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")},
        "KRAJ_DATABASE_URL": database_role_url("kraj_api"),
        "KRAJ_API_PORT": str(port),
    }
    process = Program("api", env=environment, log=tmp_path / "api.log")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(port):
            assert process.poll() is None, (tmp_path / "api.log").read_text()
            assert time.monotonic() < deadline, "the API does not answer"
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def answers(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        client.request("GET", "/healthz")
        return client.getresponse().status == 200
    except OSError:
        time.sleep(0.05)
        return False
    finally:
        client.close()


@pytest.fixture
def fleet(connection: Connection) -> Connection:
    """A simulated region of three towns; most assets have sent, one never, one long ago, one device is offline."""
    simulated = region(1, 90)
    register(
        connection,
        {town.name: town.title for town in simulated.municipalities},
        [
            NewDevice(
                name=device.name,
                municipality=device.municipality,
                assets={
                    found.channel: NewAsset(
                        kind=found.asset.kind,
                        label=found.asset.label,
                        latitude=found.asset.latitude,
                        longitude=found.asset.longitude,
                        metadata={"street": found.asset.street},
                    )
                    for found in device.installed
                },
            )
            for device in simulated.devices
        ],
        datetime.now(UTC),
    )
    now = datetime.now(UTC)
    for kind in KINDS.values():
        tables = {"reading": sql.Identifier(kind.reading_table), "latest": sql.Identifier(kind.latest_table)}
        insert = sql.SQL(
            "INSERT INTO {reading} (ts, seq, batch_id, implausible, asset_id, municipality_id, {headline})"
            " SELECT %s, %s, 1, 0, asset_id, municipality_id, 40 + %s FROM asset WHERE kind = %s AND asset_id > 1"
        ).format(headline=sql.Identifier(kind.headline), **tables)
        newest = sql.SQL(
            "INSERT INTO {latest} SELECT DISTINCT ON (asset_id) * FROM {reading} ORDER BY asset_id, ts DESC"
        )
        for back in range(12):
            at = now - timedelta(minutes=back * 10)
            monday = (at - timedelta(days=at.weekday())).date()
            connection.execute("SELECT ensure_partition(%s, %s)", [kind.name, monday])
            connection.execute(insert, [at, 100 - back, back, kind.name])
        connection.execute(newest.format(**tables))
    connection.execute(
        "UPDATE latest_lamp SET ts = ts - interval '9 h' WHERE asset_id = (SELECT max(asset_id) FROM latest_lamp);"
        "UPDATE latest_stop SET implausible = 1 WHERE asset_id = (SELECT min(asset_id) FROM latest_stop)"
    )
    connection.execute(
        "INSERT INTO device_status SELECT device_id, device_id <> 5, 1, '1.0', 'power_on', %s FROM device", [now]
    )
    connection.execute(
        "INSERT INTO slot (name, heartbeat_at, received, committed, duplicate, quarantined)"
        " VALUES ('slot_0', %s, 1023, 1000, 20, 3)",
        [now],
    )
    for number, (reason, payload) in enumerate((("not_json", b"{"), ("unknown_device", b'{"seq": 1}'))):
        connection.execute(
            "INSERT INTO quarantine (digest, first_at, last_at, times, topic, source, reason, detail, payload,"
            " payload_bytes, batch_id) VALUES (%s, %s, %s, 2, 'kraj/a/lamp-x', 'lamp-x', %s, 'what', %s, 9, 1)",
            [bytes([number]), now, now, reason, payload],
        )
    return connection


def lamp(connection: Connection) -> tuple[int, str, str]:
    """A lamp that reports: its id, its label, and its municipality."""
    row = connection.execute(
        "SELECT asset_id, label, m.name FROM asset JOIN latest_lamp USING (asset_id)"
        " JOIN municipality m ON m.municipality_id = asset.municipality_id ORDER BY asset_id LIMIT 1 OFFSET 3"
    ).fetchone()
    assert row is not None
    return row


def set_power(connection: Connection, asset_id: int, power_w: float) -> None:
    connection.execute(
        "UPDATE latest_lamp SET power_w = %s, ts = %s WHERE asset_id = %s", [power_w, datetime.now(UTC), asset_id]
    )


def faultless(page: Page) -> list[str]:
    """What axe finds, as ``rule: element``."""
    axe: Any = Axe()
    results = axe.run(page, options={"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said; nothing may be left in it."""
    return []


def opened(browser: Browser, complaints: list[str], **options: Any) -> Page:
    page = browser.new_page(**SIGNED, **options)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def test_an_empty_platform_has_no_accessibility_fault(browser: Browser, site: str, complaints: list[str]) -> None:
    page = opened(browser, complaints)
    for path in ("/", "/quarantine"):
        page.goto(f"{site}{path}?lang=en")
        assert faultless(page) == []
    expect(page.get_by_role("heading", name="The quarantine is empty")).to_be_visible()
    page.close()


def test_values_update_by_themselves_until_paused_and_the_focus_stays(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    asset_id, label, town = lamp(fleet)
    page = opened(browser, complaints, locale="en-GB")
    page.goto(f"{site}/?municipality={town}")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=label, exact=True))
    link = row.get_by_role("link", name=label)
    page.evaluate(SHIFTS)
    link.focus()
    set_power(fleet, asset_id, 77.25)
    fleet.execute("UPDATE slot SET received = received + 1, committed = committed + 1")
    expect(row).to_contain_text("77.3")
    expect(row).to_contain_text("just now")
    expect(page.get_by_role("row", name="Received")).to_contain_text("1,024")
    expect(link).to_be_focused()
    page.mouse.move(*marks.place(page, asset_id))
    marker = page.locator(f'[data-marker="{asset_id}"]').last
    expect(marker).to_have_attribute("aria-label", f"Lamp {label}, reporting")
    summary = page.get_by_role("status")
    before = summary.inner_text()
    fleet.execute("UPDATE latest_lamp SET implausible = 1 WHERE asset_id = %s", [asset_id])
    expect(marker).to_have_attribute("aria-label", f"Lamp {label}, unusual")
    expect(summary).not_to_have_text(before)

    page.get_by_role("button", name="Pause updates").click()
    expect(page.get_by_text("Updates are paused.")).to_be_visible()
    set_power(fleet, asset_id, 11.5)
    with pytest.raises(AssertionError):
        expect(row).to_contain_text("11.5", timeout=5000)
    page.get_by_role("button", name="Resume updates").click()
    expect(row).to_contain_text("11.5")
    assert page.evaluate("self.shifted") <= SHIFT_MAX
    assert complaints == []
    page.close()


def test_the_page_says_when_the_server_is_away_and_recovers(browser: Browser, site: str, fleet: Connection) -> None:
    page = browser.new_page(**SIGNED, locale="en-GB")
    page.goto(site)
    page.route("**/v1/**", lambda route: route.abort())
    expect(page.get_by_text("The connection to the server was lost")).to_be_visible()
    page.unroute("**/v1/**")
    expect(page.get_by_text("Values update by themselves.")).to_be_visible()
    page.close()


def test_everything_can_be_reached_by_keyboard(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    page = opened(browser, complaints, locale="en-GB")
    page.goto(site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    enter(page)
    expect(page.locator("main")).to_be_focused()
    for name in ("Pause updates", "Municipality", "Kind", "Search", "Show", "Zoom out", "Zoom in"):
        page.keyboard.press("Tab")
        assert name in focused(page)
    width = page.locator(".drawing").evaluate("drawing => drawing.clientWidth")
    enter(page)
    assert page.locator(".drawing").evaluate("drawing => drawing.clientWidth") == pytest.approx(2 * width, abs=4)
    page.keyboard.press("Tab")
    assert "Map" in focused(page)
    page.keyboard.press("Tab")
    first = focused(page)
    assert "silent or offline" in first
    walked = {first}
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
        walked.add(focused(page))
    assert len(walked) > 1
    enter(page)
    page.wait_for_url("**/?municipality=*")
    marker = page.locator("a.marker").first
    marker.focus()
    enter(page)
    page.wait_for_url("**/assets/*")
    expect(page.get_by_role("heading", name="All metrics")).to_be_visible()
    enter(page.get_by_role("link", name="Back to the overview"))
    expect(page.get_by_role("heading", name="In the field")).to_be_visible()
    assert complaints == []
    page.close()


def focused(page: Page) -> str:
    return page.evaluate(
        "() => { const e = document.activeElement; return e.getAttribute('aria-label')"
        " || e.labels?.[0]?.textContent || e.textContent; }"
    )


def test_it_fits_a_phone_and_targets_are_big_enough(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    asset_id, _, town = lamp(fleet)
    page = opened(browser, complaints, viewport={"width": 390, "height": 844}, has_touch=True)
    for path in ("/", f"/?municipality={town}", f"/assets/{asset_id}", "/quarantine"):
        page.goto(f"{site}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        for target in page.locator(
            "button:visible, select:visible, input:visible, nav a:visible, summary:visible"
        ).all():
            box = target.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 24, target
        assert faultless(page) == []
        assert len(page.screenshot()) > 10_000
    assert complaints == []
    page.close()


def test_without_scripts_it_is_a_list_with_links(browser: Browser, site: str, fleet: Connection) -> None:
    _, label, town = lamp(fleet)
    page = browser.new_page(**SIGNED, java_script_enabled=False, locale="en-GB")
    page.goto(site)
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    page.get_by_label("Municipality").select_option(town)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("path.reporting[d*=L]").first).to_be_visible()
    assert len(marks.marks(page)) == page.locator("[data-asset]").count()
    page.get_by_role("link", name=label, exact=True).click()
    expect(page.get_by_role("heading", name=label)).to_be_visible()
    page.get_by_role("link", name="Česky").click()
    expect(page.get_by_role("heading", name="Všechny veličiny")).to_be_visible()
    page.close()


def test_nothing_moves_for_who_asked_for_that(browser: Browser, site: str, fleet: Connection) -> None:
    asset_id, _, town = lamp(fleet)
    for motion, moves in (("reduce", False), ("no-preference", True)):
        page = browser.new_page(**SIGNED, reduced_motion=motion)  # pyright: ignore[reportArgumentType]
        page.goto(f"{site}/?municipality={town}")
        value = page.locator(f'tr[data-asset="{asset_id}"] [data-part=value]')
        set_power(fleet, asset_id, 50 + moves)
        expect(value).to_have_class("changed")
        assert value.evaluate("e => getComputedStyle(e).animationName !== 'none'") is moves
        page.close()
