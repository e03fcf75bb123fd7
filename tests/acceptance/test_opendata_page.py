"""Somebody who wants data: finds a set, sees its columns and first rows, and takes the file; in both languages."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from kraj.opendata import DATASETS
from stack import opendata
from stack.database import OWNER
from stack.process import free_port
from tests.acceptance.test_page import answers, browser, complaints, faultless
from tests.forked import Program
from tests.stack.opendata_region import AT, REGION, settle
from tests.waiting import PATIENCE_S

__all__ = ["browser", "complaints"]
pytestmark = pytest.mark.browser
LOOKS: tuple[tuple[int, Literal["light", "dark"], str], ...] = (
    (360, "dark", "cs"),
    (390, "light", "cs"),
    (1200, "dark", "en"),
    (1200, "light", "cs"),
)


@pytest.fixture
def address(database_role_url: Callable[[str], str], tmp_path: Path) -> Iterator[str]:
    """The API with files of two municipalities."""
    folder, port = tmp_path / "opendata", free_port()
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as owner:
        settle(owner)
    opendata.build(database_role_url("kraj_api"), folder, REGION, AT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")} | {
        "KRAJ_DATABASE_URL": database_role_url("kraj_api"),
        "KRAJ_API_PORT": str(port),
        "KRAJ_OPENDATA_DIR": str(folder),
    }
    process = Program("api", env=environment, log=tmp_path / "api.log")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < deadline, "the API does not answer"
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_a_stranger_takes_a_data_set(browser: Browser, address: str, complaints: list[str]) -> None:
    page = browser.new_page(locale="cs-CZ", accept_downloads=True)
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{address}/public")
    page.get_by_role("link", name="Otevřená data").click()
    expect(page.get_by_role("heading", name="Otevřená data", level=1)).to_be_visible()
    title = DATASETS["outages"].title.cs
    page.get_by_role("link", name=title).click()
    part = page.get_by_role("region", name=title, exact=True)
    part.get_by_text("Ukázka", exact=True).click()
    expect(part.get_by_role("cell", name="Nádražní").first).to_be_visible()
    with page.expect_download() as taken:
        part.get_by_role("link", name="outages.csv", exact=True).click()
    assert Path(taken.value.path()).read_text("utf-8").startswith("since,municipality,")
    for width, scheme, language in LOOKS:
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{address}/opendata?lang={language}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert faultless(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.context.cookies() == []
    assert complaints == []
