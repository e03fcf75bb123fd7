"""What people do with foreign devices by API and page: try, keep, choose, watch; behind the wall."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from kraj.foreign import credential
from tests.api.conftest import NOW, Region

DOCUMENT: dict[str, Any] = {
    "readings": [{"kind": "lamp", "metrics": {"power_w": {"path": "kw", "factor": 1000}, "voltage_v": "u"}}]
}


async def keep(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    body = {"municipality": "olsinka", "name": "lamps", "document": DOCUMENT, **changes}
    return await client.post("/v1/mappings", json=body)


async def attempt(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/mappings/try?lang=en", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_trial_tells_readings_and_a_verdict_for_each_value(client: httpx.AsyncClient) -> None:
    said = await attempt(client, document=DOCUMENT, message='{"kw": 9, "u": 180}')
    (reading,) = said["readings"]
    assert reading["verdict"] == "stored"
    verdicts = {value["metric"]: (value["value"], value["verdict"], value["reason"]) for value in reading["values"]}
    assert verdicts == {"power_w": (9000, "refused", "value_impossible"), "voltage_v": (180, "flagged", None)}
    assert reading["values"][0]["sentence"].startswith("The value is outside")


async def test_a_trial_tells_what_is_wrong_with_the_mapping_and_where(client: httpx.AsyncClient) -> None:
    wrong = {"readings": [{"kind": "lamp", "metrics": {"power": "kw", "power_w": {"path": "a..b"}}}]}
    said = await attempt(client, document=wrong, message="{}")
    assert [error["at"] for error in said["errors"]] == [
        "readings[0].metrics.power",
        "readings[0].metrics.power_w.path",
    ]


async def test_a_trial_tells_why_a_message_is_refused(client: httpx.AsyncClient) -> None:
    said = await attempt(client, document=DOCUMENT, message='{"other": 1}')
    assert said["refused"]["reason"] == "foreign_mapping"
    assert "kw" in said["refused"]["detail"]
    assert (await attempt(client, document=DOCUMENT, message="{"))["refused"]["reason"] == "not_json"


async def test_a_known_system_is_tried_without_a_mapping(client: httpx.AsyncClient) -> None:
    message = json.dumps({"Time": "2026-11-21T07:14:50", "ENERGY": {"Power": 12, "Voltage": 231}})
    said = await attempt(client, adapter="tasmota", topic="tele/SENSOR", message=message)
    assert said["readings"][0]["reading"]["power_w"] == 12
    stop = await attempt(client, adapter="tasmota", topic="tele/SENSOR", message=message, kinds={"0": "stop"})
    assert stop["readings"][0]["reading"]["load_power_w"] == 12


async def test_a_mapping_is_kept_changed_and_removed(client: httpx.AsyncClient, region: Region) -> None:
    made = await keep(client)
    assert made.status_code == 201, made.text
    assert (await keep(client)).status_code == 409
    one = "/v1/mappings/olsinka/lamps"
    assert (await client.patch(one, json={"document": DOCUMENT})).status_code == 428
    changed = await client.patch(one, json={"document": DOCUMENT}, headers={"if-match": made.headers["etag"]})
    assert changed.json()["version"] == 2
    late = await client.patch(one, json={"document": DOCUMENT}, headers={"if-match": made.headers["etag"]})
    assert late.status_code == 412
    assert [row["name"] for row in (await client.get("/v1/mappings")).json()["items"]] == ["lamps"]
    assert (await client.delete(one)).status_code == 204
    assert (await client.get(one)).status_code == 404


async def test_a_wrong_mapping_is_not_kept(client: httpx.AsyncClient, region: Region) -> None:
    answer = await keep(client, document={"readings": [{"kind": "tram", "metrics": {}}]})
    assert answer.status_code == 400
    assert "readings[0].kind" in answer.json()["detail"]


async def test_a_device_is_read_by_a_mapping_and_gets_a_password(client: httpx.AsyncClient, region: Region) -> None:
    await keep(client)
    one = "/v1/foreign/devices/lamp-1"
    put = await client.put(one, json={"adapter": "json", "mapping": "lamps"})
    assert put.status_code == 200, put.text
    assert put.json()["topic"] == "foreign/olsinka/lamp-1/"
    assert (await client.delete("/v1/mappings/olsinka/lamps")).status_code == 409
    drawn = (await client.post(f"{one}/password")).json()
    (stored,) = region.connection.execute("SELECT credential FROM foreign_device").fetchone() or ("",)
    assert drawn["password"] not in stored
    assert stored.startswith("$7$")
    assert (await client.delete(one)).status_code == 204
    assert (await client.get("/v1/foreign/devices")).json()["items"] == []


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("lamp-1", {"adapter": "json", "mapping": "nothing"}, 404),
        ("nobody", {"adapter": "tasmota"}, 404),
        ("lamp-1", {"adapter": "zigbee"}, 400),
        ("lamp-1", {"adapter": "chirpstack", "address": "XYZ"}, 400),
    ],
)
async def test_what_cannot_be_is_refused(
    client: httpx.AsyncClient, region: Region, name: str, body: dict[str, Any], status: int
) -> None:
    assert (await client.put(f"/v1/foreign/devices/{name}", json=body)).status_code == status


def say(region: Region, verdict: str, **reason: Any) -> None:
    region.connection.execute(
        "INSERT INTO foreign_device (device_id, adapter, changed_at) SELECT device_id, 'tasmota', %s FROM device"
        " WHERE name = 'lamp-1' ON CONFLICT DO NOTHING",
        [NOW],
    )
    region.connection.execute(
        "INSERT INTO foreign_message SELECT device_id, 1, 1, municipality_id, %s, 'foreign/olsinka/lamp-1/tele/SENSOR',"
        " %s, 12, %s, %s, %s FROM device WHERE name = 'lamp-1'",
        [NOW - timedelta(seconds=3), b'<b>{"a":1}\xff', Jsonb([{"ts": 1, "power_w": 9}]), verdict, Jsonb([reason])],
    )


async def test_the_live_view_shows_message_reading_verdict_and_reason(
    client: httpx.AsyncClient, region: Region
) -> None:
    say(region, "refused", reason="not_json", detail="Expecting value")
    (item,) = (await client.get("/v1/foreign/messages?lang=en")).json()["items"]
    assert item["verdict"] == "refused"
    assert item["reasons"][0]["sentence"] == "The message is not valid JSON."
    page = (await client.get("/foreign?lang=en", headers={"accept": "text/html"})).text
    assert "lamp-1: refused" in page
    assert "The message is not valid JSON." in page
    assert "&lt;b&gt;" in page
    assert "power_w = 9" in page


async def test_the_page_tries_a_mapping(client: httpx.AsyncClient) -> None:
    empty = await client.get("/foreign/try", headers={"accept": "text/html"})
    assert empty.status_code == 200
    fields = {"adapter": "json", "document": json.dumps(DOCUMENT), "topic": "data", "message": '{"kw": 0.04}'}
    page = await client.post("/foreign/try?lang=en", data=fields, headers={"origin": "http://localhost"})
    assert "is stored" in page.text
    fields["document"] = "{"
    wrong = await client.post("/foreign/try?lang=en", data=fields, headers={"origin": "http://localhost"})
    assert "cannot be read" in wrong.text


async def test_a_pull_is_kept_with_its_headers_sealed(client: httpx.AsyncClient, region: Region) -> None:
    await keep(client)
    await client.put("/v1/foreign/devices/lamp-1", json={"adapter": "json", "mapping": "lamps"})
    body = {
        "name": "cloud",
        "device": "lamp-1",
        "url": "https://cloud.example/api",
        "headers": {"Authorization": "Bearer s3cret"},
    }
    made = await client.post("/v1/pulls", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["has_headers"] is True
    assert "s3cret" not in made.text
    (sealed,) = region.connection.execute("SELECT headers FROM pull").fetchone() or (b"",)
    assert b"s3cret" not in sealed
    for change in ({"url": "http://cloud.example"}, {"headers": {"A\r\nB": "x"}}, {"interval_s": 1}):
        answer = await client.post("/v1/pulls", json={**body, "name": "other", **change})
        assert answer.status_code == 400, change
    assert (await client.delete("/v1/pulls/olsinka/cloud")).status_code == 204


def test_a_password_is_hashed_as_the_brokers_tool_does() -> None:
    assert credential.hashed("x", bytes(12)) == credential.hashed("x", bytes(12)) != credential.hashed("y", bytes(12))
    assert len({credential.draw() for _ in range(50)}) == 50
