"""``kraj bench pages``: what a page weighs and takes on a telephone, how fast maps are drawn, public pages a second.

A real API process on a region of one large town, a real Chromium told through its DevTools protocol to have a slow line
and a slow processor. The client of the load runs on the same machine, and is counted with it.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from kraj.errors import ConfigurationError, UnavailableError
from kraj.store.migrate import migrate
from stack.bench import estate
from stack.bench.estate import Clerk
from stack.bench.processes import environment, stop, wait_until
from stack.bench.requests import Requests
from stack.database import EmbeddedPostgres
from stack.process import free_port

CONNECTIONS = 16
FIRST_LOOKS = 3
"""Of each page on the slow line; the slowest counts."""
DRAWINGS = 5
"""Of each map; the median counts."""
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LINE = {"offline": False, "latency": 150, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 750_000 / 8}
"""Lighthouse's slow 4G: 150 ms there and back, 1.6 Mbit/s down."""
SLOWER = 4
"""So many times slower than this machine's is a cheap telephone's processor taken to be."""
WEIGHT = """() => {
    const all = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
    const sum = (part) => all.reduce((bytes, one) => bytes + one[part], 0);
    const [page] = performance.getEntriesByType("navigation");
    const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null;
    return {bytes: sum("transferSize"), unpacked: sum("decodedBodySize"), painted, loaded: page.loadEventEnd};
}"""
DRAWN = """() => new Promise((done) => {
    const [page] = performance.getEntriesByType("navigation");
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - page.responseEnd)));
})"""
"""From the last byte of the page to the second frame after its scripts have run: read, laid out and painted."""
SHOWN = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const marks = [...document.querySelectorAll("[data-numbers]")].map((path) => path.getAttribute("d"));
    return {
        first_byte_ms: page.responseStart - page.requestStart, bytes: page.transferSize,
        bytes_unpacked: page.decodedBodySize, elements: document.querySelectorAll("*").length,
        marks: marks.reduce((sum, path) => sum + (path.match(/[ML]/g) ?? []).length, 0),
    };
}"""


def run(devices: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and give what ``kraj bench pages --json`` prints.

    Raises ``ConfigurationError`` without Playwright or Chromium, which a developer's machine has and a town's need not.
    """
    chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
    if chromium is None:
        raise ConfigurationError("no Chromium: install one (apt-get install chromium)")
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "database") as server:
        migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as owner:
            estate.build(owner, devices, 1, say)
            owner.execute(
                "UPDATE asset SET metadata = metadata || jsonb_build_object('street', 'Ulice ' || asset_id / 40),"
                " latitude = 49.2 + (asset_id % 71) / 3000.0, longitude = 15.2 + (asset_id / 71) / 2000.0"
            )
            clerk = estate.sign_in(owner, "clerk@kraj.example", "region_admin", None)
        port = free_port()
        env = environment() | {"KRAJ_DATABASE_URL": server.url("kraj_api"), "KRAJ_API_PORT": str(port)}
        with (folder / "api.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "api"], env=env, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(port), "the API")
            found = asyncio.run(_load(port, seconds, say))
            found |= _looks(port, chromium, clerk, say)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the API failed: {error!r}; see {folder / 'api.log'}") from error
        finally:
            stop(process)
    return {"devices": devices, **found}


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


async def _load(port: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Ask for the front page and a town's in turn, as fast as answers come."""
    spent, failed = list[float](), 0
    paths = ("/public", f"/public/{estate.town(0)}")
    headers = {"accept-encoding": "gzip", "accept-language": "cs"}

    async with Requests(port, CONNECTIONS) as load:
        for path in paths:
            await load.get(path, headers)
        until = time.perf_counter() + seconds

        async def ask(number: int) -> None:
            nonlocal failed
            while time.perf_counter() < until:
                began = time.perf_counter()
                failed += await load.get(paths[number % len(paths)], headers) != 200
                spent.append(1000 * (time.perf_counter() - began))
                number += 1

        began = time.perf_counter()
        await asyncio.gather(*(ask(number) for number in range(CONNECTIONS)))
        took = time.perf_counter() - began
    spent.sort()
    rate = round(len(spent) / took, 1)
    say(f"{rate:,} public pages a second over {CONNECTIONS} connections, client included")
    return {
        "public_requests_per_s": rate,
        "public_failed": failed,
        "public_p50_ms": round(spent[len(spent) // 2], 2),
        "public_p99_ms": round(spent[int(0.99 * len(spent))], 2),
    }


def _looks(port: int, chromium: str, clerk: Clerk, say: Callable[[str], None]) -> dict[str, Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ConfigurationError("kraj bench pages needs Playwright: pip install -e '.[dev]'") from error
    base, town = f"http://localhost:{port}", estate.town(0)
    pages = {"public": "/public", "report": "/report", "public_town": f"/public/{town}"}
    maps = {"public_map": (f"/public/{town}", False), "fleet_map": (f"/?municipality={town}", True)}
    found: dict[str, Any] = {"pages": {}, "maps": {}}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name, path in pages.items():
            looks = [_first_look(browser, base + path) for _ in range(FIRST_LOOKS)]
            found["pages"][name] = {key: round(max(look[key] or 0 for look in looks)) for key in looks[0]}
            say(f"{name}: {found['pages'][name]}")
        for name, (path, signed) in maps.items():
            found["maps"][name] = _drawing(browser, base, path, clerk if signed else None)
            say(f"{name}: {found['maps'][name]}")
        browser.close()
    return found


def _first_look(browser: Any, url: str) -> dict[str, float | None]:
    """With nothing in the browser's cache, on a slow line with a slow processor."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="cs-CZ")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", LINE)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url, wait_until="load")
    page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    look: dict[str, float | None] = page.evaluate(WEIGHT)
    context.close()
    return {
        "bytes": look["bytes"],
        "bytes_unpacked": look["unpacked"],
        "painted_ms": look["painted"],
        "loaded_ms": look["loaded"],
    }


def _drawing(browser: Any, base: str, path: str, clerk: Clerk | None) -> dict[str, Any]:
    """On this machine's own processor and line: how long the browser takes for the page with the map."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, locale="cs-CZ")
    if clerk is not None:
        context.add_cookies([{"name": "kraj_session", "value": clerk.session, "url": base}])
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.send("Performance.enable")
    looks = list[dict[str, float]]()
    for _ in range(DRAWINGS):
        before = _worked(session)["ProcessTime"]
        page.goto(base + path, wait_until="domcontentloaded")
        drawn = page.evaluate(DRAWN)
        worked = _worked(session)
        looks.append(
            {
                "drawn_ms": drawn,
                "thread_ms": 1000 * worked["ThreadTime"],
                "process_ms": 1000 * (worked["ProcessTime"] - before),
                **page.evaluate(SHOWN),
            }
        )
    context.close()
    return {key: round(sorted(look[key] for look in looks)[DRAWINGS // 2]) for key in looks[0]}


def _worked(session: Any) -> dict[str, float]:
    """Seconds of a processor, which others on the machine do not lengthen: of the page's thread since it was asked for
    (``ThreadTime``), and of all threads of its process (``ProcessTime``), which paint as well."""
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
