"""Photograph a running demo for the README: starts one of its own, signs in by its link, takes each picture."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import typer
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
READY_S_MAX = 300
ROLLED_UP_S = 60
"""History is rolled up and the first faults have come by then."""
LINK = re.compile(r"http://\S+/links/\S+")
COLOURS = 128
DESK = (1200, 800)
PHONE = (390, 844)


@dataclass(frozen=True)
class Picture:
    """One picture: its file, the page (or a link on it to follow), and how one looks at it."""

    name: str
    path: str
    follow: str | None = None
    viewport_px: tuple[int, int] = DESK
    scheme: Literal["light", "dark"] = "light"
    language: str = "cs"


PICTURES = (
    Picture("fleet", "/"),
    Picture("alerts", "/alerts", viewport_px=PHONE, scheme="dark"),
    Picture("alert", "/alerts", follow=".causes a[data-part=title]", viewport_px=PHONE, scheme="dark"),
    Picture("public", "/public", viewport_px=PHONE),
    Picture("energy", "/energy"),
    Picture("segment", "/lighting", follow="main table a, main li a[href^='/lighting/']"),
)


def main() -> int:
    """Make every picture anew, or those that are named on the command line."""
    wanted = [one for one in PICTURES if len(sys.argv) == 1 or one.name in sys.argv[1:]]
    if len(wanted) < len(sys.argv) - 1:
        typer.echo("there are: " + ", ".join(one.name for one in PICTURES), err=True)
        return 2
    with tempfile.TemporaryDirectory(prefix="kraj-") as folder:
        Path(folder).chmod(0o711)
        environment = os.environ | {"KRAJ_STATE_DIR": folder}
        log = Path(folder) / "demo.log"
        with log.open("wb") as out:
            demo = subprocess.Popen([".venv/bin/kraj", "demo"], stdout=out, stderr=out, env=environment)
            try:
                link = _link(demo, log)
                typer.echo("the demo runs; its history is being rolled up")
                time.sleep(ROLLED_UP_S)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(args=["--no-sandbox"], executable_path=_chromium())
                    _take(browser, link, wanted)
            finally:
                demo.send_signal(signal.SIGINT)
                demo.wait(60)
    return 0


def _link(demo: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + READY_S_MAX
    while demo.poll() is None and time.monotonic() < deadline:
        if found := LINK.search(log.read_text(errors="replace")):
            return found.group()
        time.sleep(0.5)
    raise SystemExit(f"the demo did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _chromium() -> str | None:
    """The system's browser, or None for Playwright's own."""
    return next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)


def _take(browser: Browser, link: str, wanted: list[Picture]) -> None:
    door = browser.new_context()
    page = door.new_page()
    page.goto(link)
    page.wait_for_load_state()
    for button in page.locator("main form button").all()[:1]:
        button.click()
        page.wait_for_load_state()
    site = link.split("/links/")[0]
    signed = door.storage_state()
    for picture in wanted:
        looker = browser.new_context(
            storage_state=signed,
            viewport={"width": picture.viewport_px[0], "height": picture.viewport_px[1]},
            color_scheme=picture.scheme,
            locale=f"{picture.language}-{'CZ' if picture.language == 'cs' else 'GB'}",
            reduced_motion="reduce",
        )
        _photograph(looker.new_page(), site, picture)
        looker.close()
    door.close()


def _photograph(page: Page, site: str, picture: Picture) -> None:
    page.goto(f"{site}{picture.path}?lang={picture.language}")
    if picture.follow:
        page.locator(picture.follow).first.click()
    page.wait_for_load_state()
    page.wait_for_timeout(1000)  # values that come after the page
    image = Image.open(BytesIO(page.screenshot()))
    path = IMAGES / f"{picture.name}.png"
    image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    typer.echo(f"{path.relative_to(Path.cwd())}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
