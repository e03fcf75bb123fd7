"""Every POST of the API looks at its Idempotency-Key before it does anything; those that need none say why."""

import json
from typing import Any

import httpx
import pytest

from api.registry.exchange import REPLAYED
from tests.api.alerting import lamp_out
from tests.api.conftest import NOW, Region
from tests.api.test_idempotency import CASES, CSV, EANS, HOOK, JSON, RELEASE, SPAN, rows

WITHOUT = {
    "/v1/dimming/preview": "a picture of a night; nothing is kept",
    "/v1/mappings/try": "a trial on a pasted message; nothing is kept",
    "/v1/rules/check": "reads a text; nothing is kept",
    "/v1/enrol": "a device that nobody has signed in: its code is good once",
    "/v1/enrol/renew": "a device, with nobody signed in: by the proof of the old key it renews again",
}
"""Sign-in and Open311 are not under /v1 and not in the document: the standard has no such header."""
BODIES: dict[str, dict[str, Any]] = {
    "/v1/alerts/{alert_id}/mute": {"until": SPAN["valid_to"], "reason": "r"},
    "/v1/alerts/{alert_id}/steps": {"step": "commented", "version": 1, "note": "n"},
    "/v1/devices/{name}/replace": {"new": "lamp-9"},
    "/v1/devices/{name}/safe-mode": {"reason": "r"},
    "/v1/devices/{name}/steps": {"step": "suspended"},
    "/v1/firmware/campaigns/{campaign_id}/steps": {"step": "stop"},
    "/v1/invoices/{invoice_id}/withdraw": {"reason": "r"},
    "/v1/lighting/rollouts/{rollout_id}/steps": {"step": "stop"},
    "/v1/metering-points/{ean}/links/{meter_link_id}/end": {"valid_until": "2026-10-31"},
    "/v1/tariffs/{tariff_id}/withdraw": {"reason": "r"},
    "/v1/trials": {"municipality": "olsinka", "rule": "lamp_out", "thresholds": {"power_out_share": 0.3}, "days": 1},
}
"""What a POST needs to be read at all, where that is not the empty object."""

VERDICT: dict[str, Any] = {
    "assets": 6,
    "days": 30,
    "readings": 9,
    "raised": 9,
    "assets_raised": 1,
    "per_asset_week": 1.0,
    "too_many": False,
    "most": [],
}


async def posts(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return {path: operations["post"] for path, operations in document["paths"].items() if "post" in operations}


async def test_every_post_is_said_to_take_a_key_or_is_named_here_with_the_reason(client: httpx.AsyncClient) -> None:
    found = await posts(client)
    keyed = {p for p, one in found.items() if "Idempotency-Key" in {given["name"] for given in one["parameters"]}}
    assert found.keys() - keyed == WITHOUT.keys()
    assert all("422" in found[path]["responses"] for path in keyed)


async def test_every_post_looks_at_its_key_before_it_does_anything(region: Region, client: httpx.AsyncClient) -> None:
    """The key was used for something else: whoever looks at it says so, whoever does not acts or answers otherwise."""
    me = (await client.get("/v1/me")).json()["person_id"]
    region.connection.execute(
        "INSERT INTO idempotency_key (person_id, key, route, digest, at, status) VALUES (%s, 'k', '/', '', %s, 200)",
        [me, NOW],
    )
    others: dict[str, tuple[int, str]] = {}
    found = await posts(client)
    for path in found.keys() - WITHOUT.keys():
        case = CASES.get(path)
        given = BODIES.get(path, {}) if case is None else case.first
        content = given if isinstance(given, bytes) else json.dumps(given).encode()
        names = {one["name"]: 1 for one in found[path]["parameters"] if one["in"] == "path"}
        address = path.format(**names | {"ean": EANS[0], "name": "lamp-1", "release": RELEASE})
        headers = {"content-type": JSON if case is None else case.media, "idempotency-key": "k", "if-match": "*"}
        answer = await client.post(address, content=content, headers=headers)
        if (answer.status_code, answer.json().get("type")) != (422, "/problems/idempotency_other"):
            others[path] = (answer.status_code, answer.text[:200])
    assert not others


@pytest.fixture
async def acts(region: Region, client: httpx.AsyncClient) -> dict[str, tuple[str, Any, str]]:
    """What acts on something that is there: address, body, and the table whose rows must not double."""
    foreign = {"adapter": "tasmota"}
    assert (await client.put("/v1/foreign/devices/lamp-1", json=foreign)).status_code == 200
    target = {"municipality": "olsinka", "name": "gis", "url": HOOK}
    number = (await client.post("/v1/notification-targets", json=target)).json()["target_id"]
    file = CSV.format(n=77).encode()
    upload = (await client.post("/v1/imports", content=file, headers={"content-type": "text/csv"})).json()
    await client.post("/v1/metering-points", json=CASES["/v1/metering-points"].first)
    case = CASES["/v1/metering/imports"]
    meter = await client.post("/v1/metering/imports", content=case.first, headers={"content-type": case.media})
    metering = f"/v1/metering/imports/{meter.json()['meter_import_id']}"
    eva = {"name": "eva@olsinka.cz", "title": "Eva", "role": "crew", "municipality": "olsinka"}
    person = (await client.post("/v1/people", json=eva)).json()["person"]["person_id"]
    (trial,) = region.connection.execute(
        "INSERT INTO rule_trial (municipality_id, proposal, state, who, asked_at, heard_at, verdict)"
        " VALUES (1, %s, 'done', 'w', %s, %s, %s) RETURNING rule_trial_id",
        [
            json.dumps({"rule": "lamp_out", "thresholds": {"power_out_share": 0.3}}),
            NOW,
            NOW,
            json.dumps(VERDICT),
        ],
    ).fetchone() or (0,)
    (own,) = region.connection.execute(
        "INSERT INTO custom_rule (municipality_id, name, text, enabled, who, at)"
        " VALUES (1, 'mine', 'x', true, 'w', now()) RETURNING custom_rule_id"
    ).fetchone() or (0,)
    imported = f"/v1/imports/{upload['import_id']}"
    return {
        "mute": (f"/v1/alerts/{lamp_out(region)}/mute", BODIES["/v1/alerts/{alert_id}/mute"], "alert_event"),
        "password": ("/v1/foreign/devices/lamp-1/password", None, "audit_entry"),
        "test": (f"/v1/notification-targets/{number}/test", {}, "target_test"),
        "apply": (f"{imported}/apply", None, "asset"),
        "undo": (f"{imported}/undo", None, "asset"),
        "count": (f"{metering}/apply", None, "audit_entry"),
        "uncount": (f"{metering}/undo", None, "audit_entry"),
        "disable": (f"/v1/people/{person}/disable", {}, "audit_entry"),
        "adopt": (f"/v1/trials/{trial}/adopt", {}, "rule_override"),
        "off": (f"/v1/custom-rules/{own}/off", {}, "audit_entry"),
    }


async def test_what_acts_is_done_once_and_answers_the_same_again(
    acts: dict[str, tuple[str, Any, str]], region: Region, client: httpx.AsyncClient
) -> None:
    tag = (await client.get(acts["disable"][0].removesuffix("/disable"))).headers["etag"]
    for name, (address, body, table) in acts.items():
        headers = {"idempotency-key": name, "if-match": tag}
        made = await client.post(address, json=body, headers=headers)
        assert made.status_code in {200, 202}, (name, made.text)
        after = rows(region, table)
        again = await client.post(address, json=body, headers=headers)
        assert (again.status_code, again.headers.get(REPLAYED)) == (made.status_code, "true"), (name, again.text)
        secret = {"password": None} if name == "password" else {}
        assert again.json() == made.json() | secret, name
        assert rows(region, table) == after, name


async def test_a_file_that_can_not_be_applied_any_more_shows_why_and_keeps_no_answer(
    region: Region, client: httpx.AsyncClient
) -> None:
    """The registry has changed since the preview: 409, the preview says where, and the key is free."""
    csv = "označení;druh;obec;zařízení\nVO-78;lamp;olsinka;lamp-78\n".encode()
    upload = (await client.post("/v1/imports", content=csv, headers={"content-type": "text/csv"})).json()
    assert upload["rows_wrong"] == 0, upload
    elsewhere = {"name": "lamp-78", "municipality": "zdarna"}
    assert (await client.post("/v1/devices", json=elsewhere)).status_code == 201
    address = f"/v1/imports/{upload['import_id']}"
    answer = await client.post(f"{address}/apply", headers={"idempotency-key": "a"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/import_changed")
    assert (await client.get(address)).json()["rows_wrong"] == 1
    assert rows(region, "idempotency_key") == 0
