"""An energy manager at the page Energy: figures with what they cover, pictures with tables, on a telephone by night."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, opened, site

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]
MIDNIGHT = "date_trunc('month', now(), 'Europe/Prague')"


@pytest.fixture
def months(fleet: Connection) -> str:
    """The first day of this month of all assets; its town."""
    fleet.execute(
        f"INSERT INTO asset_day SELECT {MIDNIGHT}, asset_id, municipality_id, 86400, kind FROM asset".encode()
    )
    for kind, column in (("lamp", "energy_wh"), ("solar", "energy_wh"), ("stop", "load_power_w")):
        fleet.execute(f"SELECT ensure_rollup_partition('{kind}', '1d', ({MIDNIGHT})::date)".encode())
        fleet.execute(f"SELECT ensure_rollup_partition('{kind}', '1d', ({MIDNIGHT} - interval '1 day')::date)".encode())
        fleet.execute(
            f"INSERT INTO rollup_{kind}_1d (bucket, asset_id, municipality_id, readings, covered_s, {column})"
            f" SELECT {MIDNIGHT}, asset_id, municipality_id, 1, 70000, 400 FROM asset WHERE kind = '{kind}'"
            " AND asset_id % 2 = 0".encode()
        )
    fleet.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) SELECT municipality_id, 'Nádražní', 'segment'"
        " FROM municipality"
    )
    fleet.execute(
        "INSERT INTO asset_group_member SELECT group_id, asset_id FROM asset_group JOIN asset"
        " USING (municipality_id) WHERE asset.kind = 'lamp'"
    )
    row = fleet.execute(
        "SELECT m.name FROM municipality m JOIN asset USING (municipality_id) WHERE kind = 'solar' LIMIT 1"
    ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("look", [("cs", "dark", 360), ("en", "light", 1280)])
def test_the_page_of_energy_has_no_accessibility_fault_and_fits(
    browser: Browser, site: str, months: str, complaints: list[str], look: tuple[str, Any, int]
) -> None:
    language, scheme, width = look
    page = opened(browser, complaints, color_scheme=scheme, viewport={"width": width, "height": 780})
    page.goto(f"{site}/energy?municipality={months}&lang={language}")
    heading = {"cs": "Spotřeba svítidel", "en": "Energy of lamps"}[language]
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=heading, exact=True))
    expect(card.get_by_role("img")).to_be_visible()
    for closed in page.locator("main summary").all():
        closed.click()
    expect(card.get_by_role("table")).to_be_visible()
    assert faultless(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Nádražní").first.click()
    expect(page.get_by_role("heading", name="Nádražní", level=1)).to_be_visible()
    assert complaints == []
    page.close()
