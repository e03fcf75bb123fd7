"""A town of hundreds of lamps on its map: a picture without scripts; with them each mark is a link that stays true."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from api.marks import DOTS_MIN
from tests.acceptance.marks import marks, place
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, lamp, opened, site

__all__ = ["browser", "complaints", "connection", "fleet", "site"]
pytestmark = pytest.mark.browser

MANY = DOTS_MIN + 100
ELEMENTS_MAX = 120
"""In the drawing, whatever the number of marks: a path and a shape for four kinds in five conditions each."""
COLOURS = {"light": {"reporting": (27, 117, 64), "silent": (179, 38, 30)}, "dark": {"reporting": (98, 207, 146)}}
"""``--reporting`` and ``--silent`` of kraj.css."""


def grown(fleet: Connection, town: str) -> None:
    """The town gets many lamps in rows, far enough from one another to be told apart."""
    fleet.execute(
        "WITH m AS (SELECT municipality_id, min(latitude) AS south, min(longitude) AS west FROM asset"
        " JOIN municipality m USING (municipality_id) WHERE m.name = %s GROUP BY 1),"
        " a AS (INSERT INTO asset (municipality_id, kind, label, latitude, longitude) SELECT municipality_id, 'lamp',"
        " 'Nová ' || n, south - 0.002 - (n %% 20) * 0.001, west + n / 20 * 0.001 FROM m, generate_series(1, %s) n"
        " RETURNING asset_id, municipality_id)"
        " INSERT INTO latest_lamp (asset_id, municipality_id, ts, seq, boot, batch_id, implausible, power_w)"
        " SELECT asset_id, municipality_id, now(), 1, 1, 1, 0, 40 FROM a",
        [town, MANY],
    )


def painted(page: Page, at: tuple[float, float]) -> set[Any]:
    """The colours around a place of the window."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    x, y = round(at[0]), round(at[1])
    return {picture.getpixel((x + right, y + down)) for right in range(-9, 10) for down in range(-9, 10)}


def test_hundreds_of_lamps_are_drawn_found_and_kept_fresh(
    browser: Browser, site: str, fleet: Connection, complaints: list[str]
) -> None:
    _, _, town = lamp(fleet)
    grown(fleet, town)
    new = [
        row[0] for row in fleet.execute("SELECT asset_id FROM asset WHERE label LIKE 'Nová %' ORDER BY 1").fetchall()
    ]
    placed = {
        row[0]
        for row in fleet.execute(
            "SELECT asset_id FROM asset JOIN municipality m USING (municipality_id)"
            " WHERE m.name = %s AND latitude IS NOT NULL",
            [town],
        ).fetchall()
    }
    fleet.execute("UPDATE latest_lamp SET ts = ts - interval '9 h' WHERE asset_id = %s", [new[0]])

    # Without scripts it is a picture, and the list says the same.
    for scheme in ("light", "dark"):
        page = opened(browser, complaints, java_script_enabled=False, color_scheme=scheme)
        page.goto(f"{site}/?municipality={town}&lang=en")
        drawn = marks(page)
        assert set(drawn) == placed
        assert drawn[new[0]][2:] == ("lamp", "silent")
        assert COLOURS[scheme]["reporting"] in painted(page, place(page, new[-1]))
        if scheme == "light":
            assert COLOURS["light"]["silent"] in painted(page, place(page, new[0]))
        assert page.locator(".drawing *").count() <= ELEMENTS_MAX
        expect(page.locator("svg.drawing")).to_have_accessible_description("Everything on the map is in the list too.")
        page.close()

    page = opened(browser, complaints, locale="en-GB")
    page.goto(f"{site}/?municipality={town}")
    page.mouse.move(*place(page, new[-1]))
    mark = page.locator(f'a.marker[data-marker="{new[-1]}"]')
    expect(mark).to_have_attribute("aria-label", f"Lamp Nová {MANY}, reporting")
    assert page.locator(".drawing a").count() <= 2, "what is under the pointer, and what the keys have walked to"
    assert faultless(page) == []

    # It goes silent before one's eyes: its colour and its name change, and nothing else.
    spot, other = place(page, new[-1]), place(page, new[1])
    assert COLOURS["light"]["silent"] not in painted(page, spot)
    fleet.execute("UPDATE latest_lamp SET ts = ts - interval '9 h' WHERE asset_id = %s", [new[-1]])
    expect(mark).to_have_attribute("aria-label", f"Lamp Nová {MANY}, silent")
    page.mouse.move(0, 0)
    expect(mark).to_have_count(0)
    assert COLOURS["light"]["silent"] in painted(page, spot)
    assert COLOURS["light"]["reporting"] in painted(page, other)
    assert page.locator(".drawing *").count() <= ELEMENTS_MAX
    page.mouse.click(*spot)
    page.wait_for_url(f"**/assets/{new[-1]}")

    # Nearer, marks keep a size that one can tell apart; a finger takes the nearest.
    page.goto(f"{site}/?municipality={town}")
    page.get_by_role("button", name="Zoom in").click()
    x, y = place(page, new[20])
    page.mouse.click(x + 6, y + 6)
    page.wait_for_url(f"**/assets/{new[20]}")
    assert complaints == []
    page.close()
