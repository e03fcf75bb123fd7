"""A small region with something of everything that a page can show, and the address of each page in it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from api.app import create
from kraj.alerts import Severity
from kraj.settings import Settings
from kraj.store import founding
from stack import people
from tests.acceptance.test_crew_page import trip
from tests.api.alerting import change, told
from tests.api.signing import COOKIE, SESSION, person
from tests.kraj.importing.samples import csv_file
from tests.kraj.store.firmware import PUBLIC, release
from tests.waiting import PATIENCE_S

Connection = psycopg.Connection[Any]
HALF, UNPROVEN = "half", "unproven"
"""Sessions before a second factor: of somebody who has one, and of somebody who has none yet."""
EAN = "859182400200000003"
TOKEN = "a-token-of-the-tests"
OWN_RULE = """\
[stozar_nakloneny]
kind = "lamp"
when = "tilt_deg > 3"
guards = []
severity = "major"
title = { cs = "Stožár se naklání", en = "A pole leans" }
symptom = { cs = "Sklon {tilt_deg}°.", en = "It leans by {tilt_deg}°." }
"""
FOR_SYSTEMS = ("/v1/", "/open311/", "/sensorthings/", "/static/")
"""Below these nobody looks with a browser."""


def routes(folder: Path) -> set[str]:
    """The template of every path that answers GET, as the application itself has them, but for systems' own."""

    def walk(found: Any) -> Iterator[str]:
        for route in found:
            if hasattr(route, "effective_candidates"):  # what FastAPI makes of an included router
                yield from walk(route.effective_candidates())
            elif "GET" in (getattr(route, "methods", None) or ()):
                yield route.path

    app = create(Settings(state_dir=folder), "postgresql://nowhere/")
    return {path for path in walk(app.routes) if not path.startswith(FOR_SYSTEMS)}


def one(connection: Connection, statement: str, *values: object) -> Any:
    """The first value of the first row."""
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None, statement
    return row[0]


def seed(connection: Connection, site: str, segment: str) -> dict[str, list[str]]:
    """Add to a region with light and teams what is missing; a route's template → addresses under it.

    A route without parameters that is not named here is its own address.
    """
    now = datetime.now(UTC)
    region, _, labels = trip(connection)
    told(region, change(region, labels[1], "day_burner", severity=Severity.MINOR, evidence={"power_w": 40.0}))
    feeder = one(connection, "SELECT max(parent_id) FROM alert")
    alert = one(connection, "SELECT max(alert_id) FROM alert")
    connection.execute(
        "INSERT INTO alert_photo (alert_id, at, who, media_type, width, height, content)"
        " VALUES (%s, %s, 'Jana', 'image/png', 1, 1, '\\x00')",
        [alert, now],
    )
    town = one(connection, "SELECT name FROM municipality WHERE municipality_id = 1")
    metered(connection, now)
    ruled(connection, now)
    link = invited(connection, now)
    petr = person(connection, "petr@kraj.example", "viewer", title="Petr Novák", session=None)
    for name in (HALF, UNPROVEN):
        person(connection, f"{name}@kraj.example", "region_admin", session=name, second_factor=False)
    connection.execute(
        "UPDATE person SET totp_secret = 'JBSWY3DPEHPK3PXP', totp_confirmed_at = %s WHERE name = 'half@kraj.example'",
        [now],
    )
    lamp = one(connection, "SELECT asset_id FROM latest_lamp ORDER BY asset_id LIMIT 1 OFFSET 3")
    street = one(connection, "SELECT metadata->>'street' FROM asset WHERE asset_id = %s", lamp)
    connection.execute(
        "INSERT INTO service_request (service_request_id, service_code, municipality_id, asset_id, description,"
        " language, explained_by, requested_at, updated_at, source)"
        " VALUES (%s, 'dark_lamp', 1, %s, 'Tma', 'cs', '{}', %s, %s, 'page')",
        [TOKEN, lamp, now, now],
    )
    device = one(connection, "SELECT name FROM device ORDER BY 1 LIMIT 1")
    upload = uploaded(site)
    job = one(
        connection,
        "INSERT INTO job (person_id, kind, started_at, heard_at) SELECT person_id, 'metering', %s, %s FROM person"
        " WHERE name = 'jana@kraj.example' RETURNING job_id",
        now,
        now,
    )
    return {
        "/": ["/", f"/?municipality={town}", "/?q=nothing-like-it"],
        "/alerts": ["/alerts", "/alerts?severity_min=critical", "/alerts?state=closed"],
        "/alerts/route": [f"/alerts/route?alert={feeder}&alert={alert}"],
        "/alerts/{alert_id}": [f"/alerts/{alert}?said=acknowledged", f"/alerts/{feeder}"],
        "/alerts/{alert_id}/photos/{photo_id}": [f"/alerts/{alert}/photos/1"],
        "/assets/{asset_id}": [f"/assets/{lamp}", "/assets/1"],
        "/assets/{asset_id}/edit": [f"/assets/{lamp}/edit"],
        "/devices/{name}": [f"/devices/{device}"],
        "/foreign/mappings/{municipality}/{name}": [read_otherwise(connection, town, now)],
        "/firmware/campaigns/{campaign_id}": [f"/firmware/campaigns/{handed_out(connection, now)}"],
        "/groups/{group_id}": ["/groups/1?q=VO"],
        "/imports/{import_id}": [upload],
        "/lighting/orders/{order_id}": ["/lighting/orders/1"],
        "/lighting/programs/{program_id}": ["/lighting/programs/1"],
        "/lighting/{segment_id}": [segment, f"{segment}?evening=2026-10-24"],
        "/lighting/{segment_id}/ledger": [f"{segment}/ledger"],
        "/links/{code}": [link],
        "/metering/imports/{meter_import_id}": ["/metering/imports/1"],
        "/metering/jobs/{job_id}": [f"/metering/jobs/{job}"],
        "/metering/points/{ean}": [f"/metering/points/{EAN}"],
        "/notifications/targets/{number}": ["/notifications/targets/1"],
        "/people/{person_id}": [f"/people/{petr}"],
        "/people/{person_id}/export": [f"/people/{petr}/export"],
        "/problems/{code}": ["/problems/cursor"],
        "/public": ["/public", "/public?q=qqq"],
        "/public/{rest:path}": [f"/public/{town}{below}" for below in ("", "/stops", "/lighting", "/roofs")]
        + [f"/public/{town}/lighting?street={street}"],
        "/registry": ["/registry?q=VO"],
        "/registry/new": ["/registry/new", "/registry/new?kind=lamp"],
        "/report": ["/report", "/report?q=a", f"/report?asset={lamp}"],
        "/report/{token}": [f"/report/{TOKEN}?sent=1"],
        "/reports": [f"/reports?municipality={town}"],
        "/reports/{municipality}/{month}.{form}": [f"/reports/{town}/2026-10.html"],
        "/requests/{request_number}": ["/requests/1?q=a&said=saved"],
        "/requests": ["/requests", "/requests?status=unplaced&q=nic"],
        "/rules/change": ["/rules/change", f"/rules/change?municipality={town}&rule=knock_down"],
        "/rules/own/{number}": ["/rules/own/1"],
        "/rules/trials/{number}": ["/rules/trials/1", "/rules/trials/2"],
        "/rules/windows/{window_id}": ["/rules/windows/1"],
        "/teams/{team_id}": ["/teams/1"],
    }


def handed_out(connection: Connection, now: datetime) -> int:
    """A release, and a campaign for a town's lamps of which one has failed; the campaign's number."""
    found = release(2, expires=int(now.timestamp()) + 86_400)
    number = one(
        connection,
        "INSERT INTO firmware_release (digest, product, release_version, name, runtime, expires_at, key_number, files,"
        " size_bytes, head, uploaded_at, who) VALUES (%s, 'kraj-node', 2, '1.2.0', 'mpy 6', %s, %s, 2, %s, %s, %s,"
        " 'Jana') RETURNING release_id",
        found.digest,
        now + timedelta(days=1),
        found.manifest.key,
        len(found.container),
        found.head,
        now,
    )
    connection.execute(
        "INSERT INTO firmware_container (release_id, container) VALUES (%s, %s)", [number, found.container]
    )
    connection.execute("INSERT INTO firmware_key VALUES (%s, 1, %s)", [found.manifest.key, PUBLIC[0]])
    campaign = one(
        connection,
        "INSERT INTO firmware_campaign (release_id, municipality_id, share_pct, failures_max_pct, soak_min, state,"
        " started_at, changed_at, who, reason, error) VALUES (%s, 1, 5, 5, 60, 'paused', %s, %s, 'Jana', 'Oprava', '1')"
        " RETURNING campaign_id",
        number,
        now,
        now,
    )
    connection.execute(
        "INSERT INTO firmware_update (campaign_id, device_id, municipality_id, place, state, next_at, changed_at,"
        " error) SELECT %s, device_id, 1, device_id, CASE device_id %% 3 WHEN 0 THEN 'waiting' WHEN 1 THEN 'failed'"
        " ELSE 'running' END, %s, %s, CASE device_id %% 3 WHEN 1 THEN 'update_failed' END FROM device"
        " WHERE municipality_id = 1",
        [campaign, now, now],
    )
    return campaign


def read_otherwise(connection: Connection, town: str, now: datetime) -> str:
    """A device with JSON of its own, fetched over HTTPS with an error; the path of its mapping."""
    device = one(connection, "SELECT min(device_id) FROM device WHERE municipality_id = 1")
    document = {"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]}
    mapping = one(
        connection,
        "INSERT INTO mapping (municipality_id, name, adapter, document, changed_at) VALUES (1, 'lamps', 'json', %s, %s)"
        " RETURNING mapping_id",
        json.dumps(document),
        now,
    )
    connection.execute(
        "INSERT INTO foreign_device (device_id, municipality_id, adapter, mapping_id, changed_at)"
        " VALUES (%s, 1, 'json', %s, %s)",
        [device, mapping, now],
    )
    connection.execute(
        "INSERT INTO pull (municipality_id, name, device_id, url, interval_s, due_at, last_at, last_error, failures)"
        " VALUES (1, 'cloud', %s, 'https://cloud.example/api/v2/a-rather-long-path-that-has-to-wrap/latest', 300, %s,"
        " %s, '503', 2)",
        [device, now, now],
    )
    return f"/foreign/mappings/{town}/lamps"


def metered(connection: Connection, now: datetime) -> None:
    """A metering point that shares what it feeds in, a price, and a file with a fault."""
    found = [{"code": "unknown_ean", "row": None, "values": {"ean": EAN}}]
    connection.execute(
        "INSERT INTO metering_point (ean, municipality_id, title, at) VALUES (%s, 1, 'Škola', %s)", [EAN, now]
    )
    connection.execute(
        "INSERT INTO allocation_key (municipality_id, ean, ean_to, share_pct, valid_from, source, who, at) VALUES"
        " (1, %s, '859182400501380873', 60.5, '2026-10-01', 'Smlouva 2', 'Jana', %s)",
        [EAN, now],
    )
    connection.execute(
        "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, source, who, at)"
        " VALUES (1, 'Ceník', 'import', 5, '2026-10-01', 'Smlouva 1', 'Jana', '2026-09-01')"
    )
    connection.execute(
        "INSERT INTO meter_import (content, file_name, file_digest, format, findings, summary, rows_all, rows_wrong,"
        " uploaded_at, person_id) SELECT 'quarters', 'x.csv', '', 'csv', %s, '[]', 2, 0, %s, person_id FROM person"
        " WHERE name = 'jana@kraj.example'",
        [json.dumps(found), now],
    )


def ruled(connection: Connection, now: datetime) -> None:
    """A rule of one's own, planned works, and trials of which one has ended."""
    town = "(SELECT municipality_id FROM asset WHERE kind = 'lamp' AND metadata ? 'feeder' LIMIT 1)"
    connection.execute(
        f"INSERT INTO maintenance_window (municipality_id, scope_type, scope_name, valid_from, valid_to, reason, who)"
        f" VALUES ({town}, 'feeder', 'F1', %(now)s, %(later)s, 'works', 'Eva')".encode(),
        {"now": now, "later": now + timedelta(days=1)},
    )
    connection.execute(
        "INSERT INTO custom_rule (municipality_id, name, text, who, at) VALUES (1, 'own_rule', %s, 'Eva', %s)",
        [OWN_RULE, now],
    )
    fired: dict[str, Any] = {"asset_id": 1, "label": "Svítidlo 7", "times": 9, "evidence": {"tilt_deg": 12}}
    fired["first_at"] = "2026-11-01T10:00:00+00:00"
    verdict = {"assets": 6, "days": 30, "readings": 9, "raised": 9, "assets_raised": 1, "per_asset_week": 1.0}
    connection.execute(
        "INSERT INTO rule_trial (municipality_id, proposal, state, verdict, who, asked_at)"
        " VALUES (1, %s, 'done', %s, 'Eva', %s), (1, %s, 'running', NULL, 'Eva', %s)",
        [
            json.dumps({"rule": "knock_down", "thresholds": {"knock_tilt_deg": 9}}),
            json.dumps({**verdict, "too_many": True, "most": [fired]}),
            now,
            json.dumps({"text": OWN_RULE, "thresholds": {}}),
            now,
        ],
    )


def invited(connection: Connection, now: datetime) -> str:
    """The path of a link for a new person."""
    newcomer = founding.add(connection, "nova@kraj.example", "Jana Dvořáková", now, role="region_admin")
    assert newcomer is not None
    return f"/links/{founding.make_code(connection, 'invitation', newcomer, now, people.INVITATION_LASTS)}"


def uploaded(site: str) -> str:
    """The path of a file's preview with a good row and a wrong one."""
    heads = ("Číslo stožáru", "Řídicí jednotka", "X (S-JTSK)", "Y (S-JTSK)", "Příkon (W)", "Poznámka")
    place = (1_160_000.5, 598_000.25)
    content = csv_file([("P-1", "p-1", *place, 70.5, ""), ("P-2", "p 2", *place, "asi 70", "?")], heads)
    answer = httpx.post(
        f"{site}/imports",
        data={"municipality": "", "kind": "lamp"},
        files={"file": ("pasport.csv", content, "text/csv")},
        headers={"sec-fetch-site": "same-origin", "accept": "text/html"},
        cookies={COOKIE: SESSION},
        timeout=PATIENCE_S,
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def addresses(known: dict[str, list[str]], templates: set[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Each address with its route, and routes that have parameters but no address; both in a stable order."""
    unknown = [path for path in sorted(templates) if "{" in path and path not in known]
    found = [(path, one) for path in sorted(templates) if path not in unknown for one in known.get(path, [path])]
    return found, unknown
