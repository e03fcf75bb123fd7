"""Alerts as the engine writes them, for the tests of pages and API."""

import json
from datetime import datetime, timedelta
from typing import Any

from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.store.alerts import parameter
from tests.api.conftest import NOW, Region

HTML = {"accept": "text/html"}


def told(region: Region, *changes: AlertChange) -> None:
    """Let the database take what the engine found."""
    region.connection.execute("SELECT take_alert_changes(%s::jsonb, 1)", [parameter(changes)])


def change(region: Region, label: str, rule: str, step: Step = Step.OPENED, **more: Any) -> AlertChange:
    """A step of a rule's alert on one asset, ten minutes before ``NOW``."""
    asset_id = region.asset_id(label)
    row = region.connection.execute("SELECT municipality_id FROM asset WHERE asset_id = %s", [asset_id]).fetchone()
    assert row is not None
    scope = more.pop("scope", Scope(type="asset", name=str(asset_id), municipality_id=row[0]))
    at: datetime = more.pop("at", NOW - timedelta(minutes=10))
    at_ms = round(at.timestamp() * 1000)
    known: dict[str, Any] = {
        "key": f"{rule}@{scope}@1",
        "at_ms": at_ms,
        "since_ms": at_ms - 600_000,
        "rule": rule,
        "scope": scope,
        "severity": Severity.MAJOR,
        "asset_id": asset_id,
        "municipality_id": row[0],
        "notify": True,
    }
    return AlertChange(step=step, **{**known, **more})


def alert_id(region: Region, rule: str) -> int:
    row = region.connection.execute("SELECT alert_id FROM alert WHERE rule = %s ORDER BY alert_id", [rule]).fetchone()
    assert row is not None
    return row[0]


def lamp_out(region: Region, label: str = "VO-9 Nádražní", **more: Any) -> int:
    """An open alert about a dark lamp; its id."""
    evidence = {"level_commanded_pct": 60, "power_w": 0.4, "expected_power_w": 41.25, "voltage_v": 231.0}
    told(region, change(region, label, "lamp_out", evidence=evidence, **more))
    return alert_id(region, "lamp_out")


def feeder_trip(region: Region) -> tuple[int, list[int]]:
    """One alert for a feeder with the two lamps of Olšinka under it: its id and the children's."""
    metadata = json.dumps({"feeder": "RVO-01/2", "cabinet": "RVO-01", "phase": 2, "driver_model": "Xitanium 40"})
    region.connection.execute("UPDATE asset SET metadata = metadata || %s::jsonb WHERE kind = 'lamp'", [metadata])
    feeder = Scope(type="feeder", name="RVO-01/2", municipality_id=1)
    evidence = {"name": "RVO-01/2", "lost": 2, "members": 2}
    labels = ("VO-9 Nádražní", "VO-10 Školní")
    told(
        region,
        *(change(region, label, "lamp_dark", severity=Severity.MINOR, notify=False) for label in labels),
        change(region, labels[0], "feeder_outage", scope=feeder, severity=Severity.CRITICAL, evidence=evidence),
        *(
            change(region, label, "lamp_dark", Step.ATTACHED, parent=f"feeder_outage@{feeder}@1", notify=False)
            for label in labels
        ),
    )
    rows = region.connection.execute("SELECT alert_id FROM alert WHERE parent_id IS NOT NULL ORDER BY 1").fetchall()
    return alert_id(region, "feeder_outage"), [row[0] for row in rows]
