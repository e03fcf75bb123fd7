"""An energy manager at the pages of light: a program is written, its night seen, and a street follows it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from kraj import dimming
from rules.dimming import MIDDLE, desired
from tests.acceptance.test_page import Connection, browser, complaints, connection, fleet, opened, site

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]
PROGRAM = {"plans": [{"steps": [{"at": "22:00", "level_pct": 70, "ramp_s": 900}, {"at": "23:30", "level_pct": 50}]}]}


@pytest.fixture
def lit(fleet: Connection) -> str:
    """A segment of the first town that has its program, an order of each kind, a lock, and devices that are behind."""
    now = datetime.now(UTC)
    row = fleet.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) SELECT municipality_id, 'Nádražní', 'segment' FROM asset"
        " WHERE kind = 'lamp' ORDER BY asset_id LIMIT 1 RETURNING group_id, municipality_id"
    ).fetchone()
    assert row is not None
    group, town = row
    fleet.execute(
        'UPDATE asset SET metadata = metadata || \'{"feeder": "F1", "cabinet": "R1", "power_rated_w": 40}\''
        " WHERE kind = 'lamp' AND municipality_id = %s",
        [town],
    )
    fleet.execute(
        "INSERT INTO asset_group_member SELECT %s, asset_id FROM asset WHERE kind = 'lamp' AND municipality_id = %s",
        [group, town],
    )
    fleet.execute(
        "INSERT INTO dimming_program (municipality_id, name, document, changed_at, who)"
        " VALUES (%s, 'Ulice', %s, %s, 'Jana')",
        [town, json.dumps(PROGRAM), now],
    )
    kept = desired(dimming.read(PROGRAM), 40, *MIDDLE, now.date())
    fleet.execute(
        "INSERT INTO lamp_program (municipality_id, digest, document) VALUES (%s, sha256('x'), %s)",
        [town, json.dumps(kept)],
    )
    fleet.execute(
        "INSERT INTO lighting_segment (group_id, municipality_id, designed_class, permitted_class, dimming_program_id,"
        " lamp_program_id, changed_at, who, reason) VALUES (%s, %s, 'P3', 'P5', 1, 1, %s, 'Jana', 'Noc')",
        [group, town, now],
    )
    fleet.execute(
        "INSERT INTO desired (device_id, municipality_id, programs, changed_at, who, reported_version, reported_error)"
        " SELECT device_id, %s, '{\"0\": 1}', %s, 'Jana', CASE WHEN device_id %% 3 > 0 THEN device_id %% 3 END,"
        " CASE WHEN device_id %% 5 = 0 THEN 'no room' END"
        " FROM installed JOIN asset_group_member USING (asset_id) WHERE group_id = %s",
        [town, now, group],
    )
    fleet.execute(
        "INSERT INTO rollout (municipality_id, group_id, lamp_program_id, stage, started_at, changed_at, who)"
        " VALUES (%s, %s, 1, 1, %s, %s, 'Jana')",
        [town, group, now, now],
    )
    for kind, level in (("manual", 30), ("light_now", 100), ("emergency", 100)):
        fleet.execute(
            "INSERT INTO lighting_order (municipality_id, kind, group_id, level_pct, valid_from, valid_until, reason,"
            " who, created_at) VALUES (%s, %s, %s, %s, %s, %s, 'Zkouška', 'Jana', %s)",
            [town, kind, group, level, now, now + timedelta(hours=1), now],
        )
    fleet.execute(
        'INSERT INTO command (municipality_id, device_id, asset_id, order_id, "do", level_pct, reason, until, state,'
        " requested_at, next_at, settled_at, error, who) SELECT %s, device_id, asset_id, 1, 'set_level', 30, 'manual',"
        " %s, 'refused', %s, %s, %s, 'clock', 'Jana' FROM installed JOIN asset_group_member USING (asset_id)",
        [town, now + timedelta(hours=1), now, now, now],
    )
    fleet.execute(
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder, holder_title, reason, since)"
        " SELECT %s, 'feeder', 'F1', person_id, 'Petr', 'Výměna stožáru', %s FROM person LIMIT 1",
        [town, now],
    )
    return f"/lighting/{group}"


PATHS = ("/lighting", "/lighting/orders", "/lighting/orders/1", "/lighting/emergency", "/lighting/programs/1")


def test_a_manager_writes_a_program_without_scripts_and_gives_it_to_a_street(
    browser: Browser, site: str, lit: str, connection: Connection
) -> None:
    connection.execute("UPDATE safety_lock SET released_at = since")
    page = opened(browser, [], java_script_enabled=False)
    town = connection.execute(
        "SELECT m.name FROM lighting_segment JOIN municipality m USING (municipality_id)"
    ).fetchone()
    assert town is not None
    page.goto(f"{site}/lighting/programs/new?lang=en&municipality={town[0]}")
    page.get_by_label("Name of the program").fill("Quiet street")
    page.locator('[id="p0.s1.level_pct"]').fill("130")
    page.get_by_role("button", name="Save").click()
    wrong = page.locator('[aria-invalid="true"]')
    expect(wrong).to_have_id("p0.s1.level_pct")
    expect(wrong).to_have_value("130")
    wrong.fill("45")
    page.get_by_role("button", name="Show the night").click()
    expect(page.locator("svg.chart")).to_be_visible()
    expect(page.get_by_role("paragraph").filter(has_text="at least 45 %")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    page.goto(f"{site}{lit}?lang=en")
    page.locator("#program_id").select_option(label="Quiet street")
    page.locator("#light-reason").fill("Nobody walks here after midnight")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("rolled out")
    expect(page.get_by_text("Quiet street", exact=True).first).to_be_visible()
    row = connection.execute("SELECT count(*) FROM rollout WHERE state = 'running'").fetchone()
    assert row == (1,)
    page.close()
