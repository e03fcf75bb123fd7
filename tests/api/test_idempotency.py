"""Every POST that makes something is done once for each Idempotency-Key, as the document of the API says."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api.registry.exchange import REPLAYED
from kraj.firmware_release import key_number, read
from tests.api.alerting import lamp_out
from tests.api.conftest import NOW, Region
from tests.api.orders.test_pictures import exif, jpeg
from tests.kraj.store.firmware import PUBLIC, container

JSON = "application/json"
CSV = "označení;druh;obec\nVO-{n};lamp;olsinka\n"
SPAN = {"valid_from": NOW.isoformat(), "valid_to": (NOW + timedelta(days=1)).isoformat()}
LAMP = {"asset_id": 1, "reason": "r"}
EANS = ("859182400123456789", "859182400501380873")
BILL = {"ean": EANS[0], "period_from": "2026-10-01", "period_until": "2026-10-31", "kwh": 1000, "czk": 5000}
SOON = int((NOW + timedelta(days=30)).timestamp())
RELEASE = read(container(1, expires=SOON), PUBLIC).digest
HOOK = "webhook+https://hooks.example.cz/a"


@dataclass(frozen=True)
class Case:
    """A request, one with another body, and the table in which it makes a row. ``secret``: what is told only once."""

    table: str
    first: Any
    other: Any
    secret: str | None = None
    media: str = JSON


def named(body: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return body, {**body, **(changes or {"name": "other"})}


CASES = {
    "/v1/assets": Case("asset", *named({"municipality": "olsinka", "kind": "lamp", "label": "VO-1"}, label="VO-2")),
    "/v1/devices": Case("device", *named({"municipality": "olsinka", "name": "lamp-9"}, name="lamp-8")),
    "/v1/municipalities": Case("municipality", *named({"name": "lhota", "title": "Lhota"}, name="lhotka")),
    "/v1/groups": Case("asset_group", *named({"municipality": "olsinka", "name": "north"})),
    "/v1/unregistered/{name}/claim": Case(
        "device",
        *named({"municipality": "olsinka", "asset": {"kind": "lamp", "label": "VO-3"}}, reason="again"),
    ),
    "/v1/imports": Case("import", CSV.format(n=1).encode(), CSV.format(n=2).encode(), media="text/csv"),
    "/v1/people": Case(
        "person",
        *named({"name": "eva@olsinka.cz", "title": "Eva", "role": "crew", "municipality": "olsinka"}, title="E"),
        secret="link",
    ),
    "/v1/memberships": Case(
        "membership", *named({"person_id": 2, "role": "crew", "municipality": "olsinka"}, role="viewer")
    ),
    "/v1/tokens": Case("access_token", *named({"name": "GIS", "scopes": ["read"]}), secret="token"),
    "/v1/teams": Case("team", *named({"name": "crew", "municipality": "olsinka"})),
    "/v1/grants": Case(
        "access_grant",
        *named({"municipality": "olsinka", "person_id": 2, "rights": ["read"], "reason": "r"}, reason="s"),
    ),
    "/v1/maintenance-windows": Case(
        "maintenance_window",
        *named({"municipality": "olsinka", "scope_type": "municipality", "reason": "r", **SPAN}, reason="s"),
    ),
    "/v1/rule-overrides": Case(
        "rule_override", *named({"municipality": "olsinka", "rule": "lamp_out", "reason": "r"}, reason="s")
    ),
    "/v1/notification-targets": Case(
        "notification_target", *named({"municipality": "olsinka", "name": "gis", "url": HOOK}), secret="secret"
    ),
    "/v1/on-call": Case("on_call", *named({"municipality": "olsinka", "target_id": 1, **SPAN}, place=2)),
    "/v1/alerts/{alert_id}/photos": Case("alert_photo", jpeg(exif(6)), jpeg(exif(1)), media="image/jpeg"),
    "/v1/mappings": Case(
        "mapping",
        *named(
            {
                "municipality": "olsinka",
                "name": "lamps",
                "document": {"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]},
            }
        ),
    ),
    "/v1/dimming/programs": Case(
        "dimming_program", *named({"municipality": "olsinka", "name": "Night", "document": {"plans": []}})
    ),
    "/v1/lighting/manual": Case("lighting_order", *named({**LAMP, "level_pct": 50}, level_pct=60)),
    "/v1/lighting/light-now": Case("lighting_order", *named(LAMP, reason="s")),
    "/v1/lighting/emergency": Case("lighting_order", *named({**LAMP, "until": SPAN["valid_to"]}, reason="s")),
    "/v1/lighting/locks": Case(
        "safety_lock",
        *named({"municipality": "olsinka", "attribute": "cabinet", "value": "RVO-1", "reason": "r"}, reason="s"),
    ),
    "/v1/lighting/segments/{segment_id}/baselines": Case(
        "lighting_baseline", *named({"valid_from": "2026-01-01", "power_w": 115, "source": "r"}, source="s")
    ),
    "/v1/tariffs": Case(
        "tariff",
        *named(
            {
                "municipality": "olsinka",
                "name": "2026",
                "direction": "import",
                "czk_per_kwh": 5,
                "valid_from": "2026-01-01",
                "source": "r",
            },
            source="s",
        ),
    ),
    "/v1/co2-factors": Case(
        "co2_factor", *named({"g_per_kwh": 400, "valid_from": "2026-01-01", "source": "r"}, source="s")
    ),
    "/v1/metering-points": Case(
        "metering_point", *named({"municipality": "olsinka", "ean": EANS[0], "title": "School"}, title="Hall")
    ),
    "/v1/metering-points/{ean}/links": Case(
        "metering_point_asset", *named({"asset_id": 1, "valid_from": "2026-01-01"}, valid_from="2026-02-01")
    ),
    "/v1/invoices": Case("invoice", *named({**BILL, "number": "1"}, number="2")),
    "/v1/allocation-keys": Case(
        "allocation_key",
        *named(
            {
                "ean": EANS[0],
                "valid_from": "2026-01-01",
                "shares": [{"ean": EANS[1], "share_pct": 60}],
                "source": "r",
            },
            source="s",
        ),
    ),
    "/v1/metering/imports": Case(
        "meter_import",
        f"od;ean;odběr kWh\n25.10.2026 00:00;{EANS[0]};9,5\n".encode(),
        f"od;ean;odběr kWh\n25.10.2026 00:00;{EANS[0]};9,4\n".encode(),
        media="text/csv",
    ),
    "/v1/firmware/releases": Case(
        "firmware_release", container(1, expires=SOON), container(2, expires=SOON), media="application/octet-stream"
    ),
    "/v1/firmware/campaigns": Case(
        "firmware_campaign",
        *named({"release": RELEASE, "municipality": "olsinka", "reason": "r"}, reason="s"),
    ),
    "/v1/pulls": Case("pull", *named({"name": "cloud", "device": "lamp-1", "url": "https://cloud.example/api"})),
}


async def made_ready(path: str, region: Region, client: httpx.AsyncClient) -> str:
    """What a request names is there; its address."""
    if path == "/v1/on-call":
        await client.post("/v1/notification-targets", json=CASES["/v1/notification-targets"].first)
    if path in {"/v1/memberships", "/v1/grants"}:
        await client.post("/v1/people", json={"name": "p@olsinka.cz", "title": "P", "role": "viewer"})
    if path == "/v1/pulls":
        await client.post("/v1/mappings", json=CASES["/v1/mappings"].first)
        await client.put("/v1/foreign/devices/lamp-1", json={"adapter": "json", "mapping": "lamps"})
    if path.startswith("/v1/firmware/"):
        region.connection.execute("INSERT INTO firmware_key VALUES (%s, 1, %s)", [key_number(PUBLIC[0]), PUBLIC[0]])
    if path == "/v1/firmware/campaigns":
        where, first = "/v1/firmware/releases", CASES["/v1/firmware/releases"].first
        await client.post(where, content=first, headers={"content-type": "application/octet-stream"})
    if path == "/v1/lighting/locks":
        region.connection.execute(
            """UPDATE asset SET metadata = metadata || '{"cabinet": "RVO-1"}' WHERE asset_id = 1"""
        )
    if path in {"/v1/metering-points/{ean}/links", "/v1/invoices", "/v1/allocation-keys", "/v1/metering/imports"}:
        await client.post("/v1/metering-points", json=CASES["/v1/metering-points"].first)
    if "claim" in path:
        region.connection.execute(
            "INSERT INTO quarantine (digest, first_at, last_at, topic, source, reason, detail, payload, payload_bytes,"
            " batch_id) VALUES ('d', now(), now(), 'kraj/olsinka/lamp-new/telemetry', 'lamp-new', 'unknown_device', '',"
            " %s, 20, 1)",
            [json.dumps({"power_w": 1}).encode()],
        )
    segment = 0
    if "segment_id" in path:
        body = {"municipality": "olsinka", "name": "Park", "kind": "segment", "assets": [1]}
        segment = (await client.post("/v1/groups", json=body)).json()["group_id"]
        region.connection.execute(
            "INSERT INTO lighting_segment (group_id, municipality_id, changed_at, who)"
            " SELECT group_id, municipality_id, now(), '' FROM asset_group WHERE group_id = %s",
            [segment],
        )
    return path.format(
        ean=EANS[0], name="lamp-new", segment_id=segment, alert_id=lamp_out(region) if "alert_id" in path else 0
    )


def rows(region: Region, table: str) -> int:
    found = region.connection.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchone()
    assert found is not None
    return found[0]


async def test_the_document_says_of_each_post_that_makes_something_that_it_takes_a_key(
    client: httpx.AsyncClient,
) -> None:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    making = {
        path: operations["post"]
        for path, operations in document["paths"].items()
        if "201" in operations.get("post", {}).get("responses", {})
    }
    assert making.keys() == CASES.keys(), "a new one belongs into the table above"
    for path, operation in making.items():
        names = [one["name"] for one in operation.get("parameters", ())]
        assert "Idempotency-Key" in names, path
        assert "422" in operation["responses"], path


@pytest.mark.parametrize("path", CASES)
async def test_a_request_that_is_sent_again_makes_one_thing(
    path: str, region: Region, client: httpx.AsyncClient
) -> None:
    case = CASES[path]
    address = await made_ready(path, region, client)
    before = rows(region, case.table)

    async def send(body: Any, key: str) -> httpx.Response:
        content = json.dumps(body).encode() if case.media == JSON else body
        headers = {"content-type": case.media, "idempotency-key": key, "accept-language": "en"}
        return await client.post(address, content=content, headers=headers)

    made = await send(case.first, "key-1")
    assert made.status_code == 201, made.text
    again = await send(case.first, "key-1")
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, "true")
    known = made.json()
    if case.secret is not None:
        assert known[case.secret]
        known[case.secret] = None
    assert again.json() == known
    assert again.headers.get("location") == made.headers.get("location")
    assert again.headers.get("etag") == made.headers.get("etag")
    assert rows(region, case.table) == before + 1
    other = await send(case.other, "key-1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency_other")
    assert "new key" in other.json()["hint"]
    assert rows(region, case.table) == before + 1
    wrong = await send(case.first, "a key with spaces")
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/idempotency_key")


async def test_a_trial_and_a_large_file_are_begun_once(region: Region, client: httpx.AsyncClient) -> None:
    """They answer 202, as they take their time; what runs is not begun again by asking again."""
    body = {"municipality": "olsinka", "rule": "lamp_out", "thresholds": {"power_out_share": 0.3}, "days": 1}
    trials = [await client.post("/v1/trials", json=body, headers={"idempotency-key": "t"}) for _ in range(2)]
    assert [one.status_code for one in trials] == [202, 202], trials[0].text
    assert rows(region, "rule_trial") == 1
    large = (CSV.format(n=1) + "VO-2;lamp;olsinka\n" * 20_000).encode()
    headers = {"content-type": "text/csv", "idempotency-key": "i"}
    files = [await client.post("/v1/imports", content=large, headers=headers) for _ in range(2)]
    assert [one.status_code for one in files] == [202, 202], files[0].text
    assert files[0].headers["location"] == files[1].headers["location"]
    assert rows(region, "job") == 1


async def test_a_step_of_an_alert_that_is_sent_again_is_taken_once_and_never_as_another_person(
    region: Region, client: httpx.AsyncClient
) -> None:
    """What waited in a telephone: its answer was lost, or somebody else has signed in meanwhile."""
    address = f"/v1/alerts/{lamp_out(region)}/steps"
    me = (await client.get("/v1/me")).json()["person_id"]
    body = {"step": "commented", "version": 1, "note": "the fuse"}
    before = rows(region, "alert_event")
    headers = {"idempotency-key": "s", "kraj-person": str(me + 1)}
    other = await client.post(address, json=body, headers=headers)
    assert (other.status_code, other.json()["type"]) == (403, "/problems/other_person")
    headers["kraj-person"] = str(me)
    made, again = [await client.post(address, json=body, headers=headers) for _ in range(2)]
    assert (made.status_code, made.json()["version"]) == (200, 2), made.text
    assert (again.status_code, again.headers[REPLAYED], again.json()) == (200, "true", made.json())
    assert rows(region, "alert_event") == before + 1
    changed = await client.post(address, json=body | {"note": "the cable"}, headers=headers)
    assert (changed.status_code, changed.json()["type"]) == (422, "/problems/idempotency_other")
