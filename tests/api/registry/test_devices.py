"""Devices are registered with their asset, live step by step, and are replaced in one action."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.api import signing
from tests.api.conftest import NOW
from tests.api.registry.conftest import Clerks, made, refused

DEVICE: dict[str, Any] = {
    "name": "lamp-77c0de",
    "municipality": "olsinka",
    "asset": {"kind": "lamp", "label": "VO-200", "latitude": 49.5, "longitude": 15.6},
}


async def test_a_device_and_its_asset_are_registered_in_one_step(clerks: Clerks) -> None:
    device = await made(clerks.olsinka, "/v1/devices", DEVICE)
    assert (device["state"], [served["label"] for served in device["assets"]]) == ("registered", ["VO-200"])
    history = (await clerks.olsinka.get("/v1/devices/lamp-77c0de/history")).json()
    assert [(step["step"], step["who"]) for step in history["life"]] == [("registered", "olsinka@kraj.example")]
    await refused(await clerks.olsinka.post("/v1/devices", json=DEVICE), 409, "taken")
    labels = [item["label"] for item in (await clerks.olsinka.get("/v1/assets")).json()["items"]]
    assert labels.count("VO-200") == 1, "nothing is left of what was refused"


async def test_a_device_may_serve_an_asset_that_is_there(clerks: Clerks) -> None:
    asset = await made(clerks.olsinka, "/v1/assets", {"municipality": "olsinka", "kind": "lamp", "label": "VO-300"})
    body = {"name": "lamp-3", "municipality": "olsinka", "asset_id": asset["asset_id"]}
    assert (await made(clerks.olsinka, "/v1/devices", body))["assets"][0]["asset_id"] == asset["asset_id"]
    await refused(await clerks.olsinka.post("/v1/devices", json=body | {"name": "lamp-4"}), 409, "served")
    both = body | {"asset": DEVICE["asset"]}
    await refused(await clerks.olsinka.post("/v1/devices", json=both), 400, "body")


async def test_nobody_takes_anothers_asset_or_device(clerks: Clerks) -> None:
    stop = clerks.database.asset_id("Náměstí")
    body = {"name": "lamp-3", "municipality": "olsinka", "asset_id": stop}
    await refused(await clerks.olsinka.post("/v1/devices", json=body), 404, "asset")
    asset = {"municipality": "olsinka", "kind": "stop", "label": "U školy", "device": "stop-1", "channel": 5}
    await refused(await clerks.olsinka.post("/v1/assets", json=asset), 404, "device")
    await refused(await clerks.olsinka.post("/v1/devices/lamp-1/replace", json={"new": "stop-1"}), 409, "taken")


async def test_a_code_is_shown_once(clerks: Clerks) -> None:
    await made(clerks.olsinka, "/v1/devices", DEVICE)
    url, key = "/v1/devices/lamp-77c0de/provision", {"idempotency-key": "a"}
    first = await clerks.olsinka.post(url, headers=key)
    assert first.status_code == 200, first.text
    assert len(first.json()["code"]) == 23
    again = await clerks.olsinka.post(url, headers=key)
    assert (again.json()["code"], again.headers["idempotent-replay"]) == (None, "true")
    assert again.json()["expires_at"] == first.json()["expires_at"]
    kept = clerks.database.connection.execute("SELECT answer::text FROM idempotency_key").fetchall()
    assert first.json()["code"] not in str(kept)
    assert (await clerks.olsinka.get("/v1/devices/lamp-77c0de")).json()["state"] == "provisioned"


async def test_a_device_lives_step_by_step(clerks: Clerks) -> None:
    url = "/v1/devices/lamp-1/steps"
    await refused(await clerks.olsinka.post(url, json={"step": "resumed"}), 409, "device_step")
    for step, state in (("suspended", "suspended"), ("resumed", "provisioned"), ("decommissioned", "decommissioned")):
        answer = await clerks.olsinka.post(url, json={"step": step, "reason": "porucha"})
        assert answer.json()["state"] == state, answer.text
    body = await refused(await clerks.olsinka.post(url, json={"step": "resumed"}), 409, "device_step")
    assert "–" in body["hint"]
    asset = (await clerks.olsinka.get(f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}")).json()
    assert asset["device"] is None
    history = (await clerks.olsinka.get("/v1/devices/lamp-1/history")).json()
    assert [step["reason"] for step in history["life"]] == ["porucha"] * 3
    await refused(await clerks.olsinka.post("/v1/devices/lamp-1/provision"), 409, "device_step")
    await refused(await clerks.olsinka.post("/v1/devices", json=DEVICE | {"name": "lamp-1"}), 409, "taken")


async def test_scan_the_old_scan_the_new(clerks: Clerks) -> None:
    new = await made(clerks.zdarna, "/v1/devices/gateway-1/replace", {"new": "gateway-2", "reason": "blesk"}, 200)
    assert [(served["channel"], served["label"]) for served in new["assets"]] == [(1, "Střídač 1"), (2, "Střídač 2")]
    old = (await clerks.zdarna.get("/v1/devices/gateway-1")).json()
    assert (old["state"], old["assets"]) == ("decommissioned", [])
    history = (await clerks.zdarna.get(f"/v1/assets/{clerks.database.asset_id('Střídač 1')}/history")).json()
    assert [row["device"] for row in history["installed"]] == ["gateway-2", "gateway-1"]
    assert history["installed"][0]["valid_from"] == history["installed"][1]["valid_to"]
    await refused(
        await clerks.zdarna.post("/v1/devices/gateway-1/replace", json={"new": "gateway-3"}), 409, "device_step"
    )
    await refused(
        await clerks.zdarna.post("/v1/devices/gateway-2/replace", json={"new": "gateway-2"}), 400, "replace_self"
    )
    await refused(
        await clerks.zdarna.post("/v1/devices/gateway-2/replace", json={"new": "gateway-1"}), 409, "device_step"
    )


async def test_of_many_who_replace_at_once_one_wins(clerks: Clerks) -> None:
    """The same old lamp by many, many old ones by the same new one: every asset has one device, nothing is lost."""
    same_old = [clerks.olsinka.post("/v1/devices/lamp-1/replace", json={"new": f"new-{n}"}) for n in range(8)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*same_old))
    assert statuses == [200] + [409] * 7
    winner = (await clerks.olsinka.get(f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}")).json()["device"]
    answers = await asyncio.gather(
        clerks.olsinka.post(f"/v1/devices/{winner}/replace", json={"new": "shared-1"}),
        clerks.olsinka.post("/v1/devices/lamp-2/replace", json={"new": "shared-1"}),
        clerks.olsinka.post("/v1/devices/lamp-2/replace", json={"new": winner}),
    )
    assert [answer.status_code for answer in answers].count(200) >= 1
    rows = clerks.database.connection.execute(
        "SELECT count(*), count(DISTINCT asset_id) FROM installed WHERE valid_to IS NULL"
    ).fetchone()
    assert rows == (5, 5)


async def test_a_post_with_a_key_is_done_once(clerks: Clerks) -> None:
    key = {"idempotency-key": "4f1c"}
    answers = await asyncio.gather(*(clerks.olsinka.post("/v1/devices", json=DEVICE, headers=key) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replay" in answer.headers for answer in answers) == 4
    other = await clerks.olsinka.post("/v1/devices", json=DEVICE | {"name": "lamp-x"}, headers=key)
    await refused(other, 422, "idempotency_other")
    odd = await clerks.olsinka.post("/v1/groups", json=DEVICE, headers={b"idempotency-key": "ž".encode()})
    await refused(odd, 400, "field")
    await made(clerks.zdarna, "/v1/groups", {"municipality": "zdarna", "name": "A"}, 201, **key)
    failed = {"idempotency-key": "again"}
    await refused(await clerks.olsinka.post("/v1/devices", json=DEVICE, headers=failed), 409, "taken")
    await made(clerks.olsinka, "/v1/devices", {"name": "lamp-y", "municipality": "olsinka"}, 201, **failed)


@pytest.mark.parametrize("name", ["Lamp", "a", "a_b", "-a", "a" * 64, "a/b", "a\n", ""])
async def test_a_name_that_no_topic_can_hold_is_refused(clerks: Clerks, name: str) -> None:
    await refused(await clerks.olsinka.post("/v1/devices", json=DEVICE | {"name": name}), 400, "body")
    assert (await clerks.olsinka.post("/v1/devices/lamp-1/replace", json={"new": name})).status_code == 400


async def test_administrators_have_a_device_of_our_firmware_start_in_safe_mode_and_nobody_else(clerks: Clerks) -> None:
    url, body = "/v1/devices/lamp-1/safe-mode", {"reason": "restartuje se"}
    told = clerks.database.connection

    def waiting() -> list[Any]:
        found = told.execute("SELECT payload, expires_at FROM device_command WHERE done_at IS NULL").fetchall()
        return [(json.loads(payload), expires_at) for payload, expires_at in found]

    await refused(await clerks.olsinka.post(url, json=body), 409, "safe_mode")
    told.execute(
        "INSERT INTO device_status (device_id, online, safe_mode, changed_at)"
        " SELECT device_id, true, false, now() FROM device WHERE name IN ('lamp-1', 'stop-1')"
        " ON CONFLICT (device_id) DO UPDATE SET safe_mode = false"
    )
    crew = signing.person(told, "crew@kraj.example", "crew", "olsinka", session="session-of-crew")
    lent = "INSERT INTO access_grant (municipality_id, person_id, rights, reason, valid_from, who)"
    told.execute(f"{lent} VALUES (1, %s, '{{read,act,register,control}}', 'r', now(), 'w')".encode(), [crew])
    signing.sign(clerks.nobody, "session-of-crew")
    await refused(await clerks.nobody.post(url, json=body), 403, "forbidden")
    await refused(await clerks.viewer.post(url, json=body), 403, "right")
    await refused(await clerks.zdarna.post(url, json=body), 404, "device")
    for wrong in ({}, {"reason": ""}, {"reason": " "}):
        await refused(await clerks.olsinka.post(url, json=wrong), 400, "body")
    assert waiting() == []
    answer = await clerks.olsinka.post(url, json=body)
    assert (answer.status_code, answer.json()["safe_mode"], answer.json()["state"]) == (200, False, "provisioned")
    await clerks.region.post(url, json={"reason": "znovu"})
    [(command, expires_at)] = waiting()
    assert (command.keys(), command["do"], expires_at - NOW) == ({"id", "do"}, "safe_mode", timedelta(hours=1))
    life = (await clerks.olsinka.get("/v1/devices/lamp-1/history")).json()["life"]
    assert [(step["step"], step["who"], step["reason"]) for step in life[:2]] == [
        ("safe_mode", "region@kraj.example", "znovu"),
        ("safe_mode", "olsinka@kraj.example", "restartuje se"),
    ]
    entries = "SELECT municipality_id FROM audit_entry WHERE action = 'device.safe_mode' AND pseudonym IS NOT NULL"
    assert told.execute(entries.encode()).fetchall() == [(1,), (1,)]
    await made(clerks.olsinka, "/v1/devices/lamp-1/steps", {"step": "suspended"}, 200)
    await refused(await clerks.olsinka.post(url, json=body), 409, "device_step")


async def test_the_apis_role_can_leave_no_other_command_and_none_for_anothers_device(
    clerks: Clerks, database_role_url: Callable[[str], str]
) -> None:
    told = clerks.database.connection
    told.execute(
        "INSERT INTO device_status (device_id, online, safe_mode, changed_at) SELECT device_id, true, false, now()"
        " FROM device ON CONFLICT (device_id) DO UPDATE SET safe_mode = false"
    )
    names = "SELECT (SELECT person_id FROM person WHERE name = 'olsinka@kraj.example'), (SELECT device_id FROM device"
    found = told.execute(
        f"{names} WHERE name = 'lamp-1'), (SELECT min(device_id) FROM device WHERE municipality_id <> 1)".encode()
    )
    who, own, other = found.fetchone() or (0, 0, 0)
    ask = "SELECT ask_safe_mode({}, now(), now() + interval '1 hour')"
    for scopes, statement in (
        ("*", "INSERT INTO device_command (device_id, payload, expires_at) VALUES (1, '{}', now())"),
        ("*", "SELECT payload FROM device_command"),
        ("*", ask.format(other)),
        ("read,register,control", ask.format(own)),
    ):
        with psycopg.connect(database_role_url("kraj_api")) as api:
            api.execute("SELECT set_config('kraj.principal', %s, true)", [str(who)])
            api.execute("SELECT set_config('kraj.scopes', %s, true)", [scopes])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute(statement.encode())
