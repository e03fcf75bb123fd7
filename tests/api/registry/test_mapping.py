"""Wiring to be looked at: proposed from outages and readings in the database, corrected or kept on its page."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from kraj.store.registry import NewAsset, NewDevice, register
from tests.api.conftest import NOW, Region
from tests.api.registry.conftest import Clerks, refused
from tests.api.registry.test_pages import page, sent

FEEDERS = ("RVO-01/1", "RVO-02/1")
STRAY = "VO-S"
"""Registered on the first feeder, and hanging on the second."""
OUT = timedelta(hours=1)
DAYS_AGO = {5: FEEDERS[1], 4: FEEDERS[0], 3: FEEDERS[1]}
"""Which feeder was out when."""


@pytest.fixture
def street(clerks: Clerks) -> Region:
    """Two feeders of four lamps each, three outages, and one of the whole grid."""
    region = clerks.database
    labels = {f"VO-{f}{n}": FEEDERS[f] for f in (0, 1) for n in range(4)} | {STRAY: FEEDERS[0]}
    devices = [
        NewDevice(
            name=f"street-{n}",
            municipality="olsinka",
            assets={
                0: NewAsset(kind="lamp", label=label, latitude=49.5 + n * 1e-4, longitude=15.6,
                            metadata={"feeder": feeder, "cabinet": feeder[:6], "phase": 1})
            },
        )
        for n, (label, feeder) in enumerate(labels.items())
    ]  # fmt: skip
    register(region.connection, {"olsinka": "Olšinka"}, devices, NOW - timedelta(days=30))
    for days, feeder in DAYS_AGO.items():
        outage(region, feeder, NOW - timedelta(days=days))
        for label, registered in labels.items():
            told(
                region, label, NOW - timedelta(days=days), lost=feeder == (FEEDERS[1] if label == STRAY else registered)
            )
    outage(region, FEEDERS[1], NOW - timedelta(days=2), parent=outage(region, "DO-001", NOW - timedelta(days=2)))
    return region


def outage(region: Region, name: str, begins: datetime, parent: int | None = None) -> int:
    row = region.connection.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, severity, state, active, notify,"
        " parent_id, since, opened_at, changed_at, cleared_at) VALUES (%(key)s, %(rule)s, %(type)s, %(name)s, 1,"
        " 'critical', 'closed', false, true, %(parent)s, %(begins)s, %(begins)s, %(ends)s, %(ends)s)"
        " RETURNING alert_id",
        {
            "key": f"{name}@{begins}", "name": name, "parent": parent, "begins": begins + timedelta(seconds=90),
            "ends": begins + OUT + timedelta(minutes=12),
            "rule": "feeder_outage" if "/" in name else "grid_outage",
            "type": "feeder" if "/" in name else "supply_area",
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    return row[0]


def told(region: Region, label: str, begins: datetime, *, lost: bool) -> None:
    """The last reading before an outage, and the first one that tells of it."""
    day = begins.toordinal()
    region.reading(label, begins - timedelta(minutes=5), day * 10, supply_losses=day * 2, uptime_s=9000, reset_cause=0)
    back = begins + OUT + timedelta(minutes=4)
    later: dict[str, Any] = (
        {"supply_losses": day * 2 + 1, "uptime_s": 240} if lost else {"supply_losses": day * 2, "uptime_s": 13140}
    )
    region.reading(label, back, day * 10 + 1, voltage_v=231, reset_cause=0, **later)


async def test_a_wrong_lamp_is_corrected_and_no_other_is_proposed(clerks: Clerks, street: Region) -> None:
    body = (await clerks.viewer.get("/v1/wiring?municipality=olsinka")).json()
    (one,) = body["items"]
    assert body["outages"] == len(DAYS_AGO)
    assert (one["label"], one["registered_feeder"]) == (STRAY, FEEDERS[0])
    assert (one["feeder"], one["cabinet"]) == (FEEDERS[1], "RVO-02")
    assert [(e["feeder"], e["says"]) for e in one["evidence"]] == [
        (FEEDERS[1], "shared"), (FEEDERS[0], "kept"), (FEEDERS[1], "shared")
    ]  # fmt: skip
    assert 0 < one["chance"] <= 0.01
    assert (await clerks.zdarna.get("/v1/wiring?municipality=olsinka")).json()["items"] == []
    await refused(await clerks.zdarna.get("/v1/wiring?municipality=nowhere"), 404, "municipality")

    where = f"/wiring/{one['asset_id']}/correct"
    assert where not in await page(clerks.viewer, "/wiring")
    text = await page(clerks.olsinka, "/wiring?lang=cs")
    assert "Zapojení k prověření" in text
    assert "nejvýš 1" in text
    changes = street.connection.execute("SELECT version FROM registry_version").fetchone()
    assert (await clerks.viewer.post(where, data={"version": "1", "feeder": "x"})).status_code == 403
    assert (await sent(clerks.olsinka, text, where, {"version": "9"})).status_code == 412
    answer = await sent(clerks.olsinka, text, where, {})
    assert answer.status_code == 303, answer.text
    assert "corrected" in answer.headers["location"]
    asset = (await clerks.olsinka.get(f"/v1/assets/{one['asset_id']}")).json()
    assert asset["metadata"] == {"feeder": FEEDERS[1], "cabinet": "RVO-02", "phase": 1}
    assert street.connection.execute("SELECT version FROM registry_version").fetchone() != changes
    audit = street.connection.execute("SELECT count(*) FROM audit_entry WHERE subject = 'asset' AND action = 'changed'")
    assert audit.fetchone() == (1,)
    text = await page(clerks.olsinka, f"{answer.headers['location']}&lang=en")
    assert "No lamp to be looked at" in text


async def test_what_is_right_is_kept_with_a_reason_until_other_outages_tell(clerks: Clerks, street: Region) -> None:
    text = await page(clerks.region, "/wiring?municipality=olsinka&lang=en")
    where = f"/wiring/{street.asset_id(STRAY)}/keep"
    assert (await sent(clerks.region, text, where, {"reason": ""})).status_code == 400
    assert (await clerks.viewer.post(where, data={"reason": "x", "outages": "1"})).status_code == 403
    answer = await sent(clerks.region, text, where, {"reason": "Measured by Novák"})
    assert answer.status_code == 303, answer.text
    text = await page(clerks.region, answer.headers["location"])
    assert "Measured by Novák" in text
    assert f"{where}" not in text
    row = street.connection.execute(
        "SELECT municipality_id, reason, who, cardinality(outages) FROM wiring_kept"
    ).fetchone()
    assert row == (1, "Measured by Novák", "Jana", 3)

    for days in (7, 9):  # others than those
        outage(street, FEEDERS[1], NOW - timedelta(days=days))
        for label in ("VO-00", "VO-01", "VO-10", "VO-11", "VO-12", STRAY):
            told(street, label, NOW - timedelta(days=days), lost=label[3] != "0")
    (one,) = (await clerks.region.get("/v1/wiring?municipality=olsinka")).json()["items"]
    assert len([e for e in one["evidence"] if e["says"] == "shared"]) == 2


async def test_a_town_is_chosen_and_one_without_outages_has_an_empty_page(clerks: Clerks) -> None:
    assert "<select" in await page(clerks.region, "/wiring?lang=en")
    assert "No lamp to be looked at" in await page(clerks.zdarna, "/wiring?lang=en")
    assert "/wiring" in await page(clerks.zdarna, "/registry")
