"""Everything that the API does has a page, or a reason why it has none: docs/municipality.md is held to both."""

import re
from pathlib import Path

from tests.api.desk.test_desk import clerks
from tests.api.registry.conftest import Clerks
from tests.api.registry.test_pages import page

__all__ = ["clerks"]
DOCS = Path(__file__).parents[3] / "docs" / "municipality.md"


async def test_each_group_of_operations_has_a_page_that_is_there(clerks: Clerks) -> None:
    table = DOCS.read_text("utf-8").partition("| API (`/v1/…`)")[2].partition("\n\n")[0]
    rows = [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]] for line in table.splitlines()[2:]]
    told = [group for groups, _ in rows for group in groups]
    document = (await clerks.region.get("/openapi.json")).json()
    there = {path.split("/")[2] for path in document["paths"] if path.startswith("/v1/")}
    assert set(told) == there
    assert len(told) == len(there)
    for _, pages in rows:
        assert pages
        for href in pages:
            await page(clerks.region, href)
