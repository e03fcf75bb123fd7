"""Mappings are tried, saved and deleted by forms, pulls are begun and ended, keys of sharing are declared."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.api.conftest import Region

HTML = {"accept": "text/html", "accept-language": "en"}
DOCUMENT = {"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]}
NEW, PULLS = "/foreign/mappings/new", "/foreign/pulls"
POINT, SCHOOL, HALL = "859182400200000003", "859182400123456789", "859182400501380873"


async def sent(client: httpx.AsyncClient, path: str, status: int = 303, /, **fields: Any) -> httpx.Response:
    answer = await client.post(path, data=fields, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer


async def shown(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.usefixtures("region")
async def test_a_mapping_is_tried_saved_changed_and_deleted_by_forms(client: httpx.AsyncClient) -> None:
    given = {"municipality": "olsinka", "name": "lamps", "adapter": "json", "document": json.dumps(DOCUMENT)}
    tried = await sent(client, NEW, 200, **given, do="try", topic="data", message='{"p": 41.5}')
    assert "41.5" in tried.text
    assert "is stored" in tried.text
    assert (await client.get("/v1/mappings")).json()["items"] == []
    wrong = json.dumps({"readings": [{"kind": "lamp", "metrics": {"nonsense": "p"}}]})
    refused = await sent(client, NEW, 400, **given | {"document": wrong}, do="save")
    assert "readings[0].metrics" in refused.text
    assert "nonsense" in refused.text
    refused = await sent(client, NEW, 400, **given | {"document": "{"}, do="save")
    assert "The mapping is not JSON" in refused.text
    made = await sent(client, NEW, **given, do="save")
    here = made.headers["location"].partition("?")[0]
    assert here == "/foreign/mappings/olsinka/lamps"
    assert "the mapping is saved" in await shown(client, made.headers["location"])
    assert "is taken" in (await sent(client, NEW, 409, **given, do="save")).text
    other = {"readings": [{"kind": "lamp", "metrics": {"power_w": "q"}}]}
    await sent(client, here, document=json.dumps(other), version="1", do="save")
    assert (await client.get("/v1/mappings/olsinka/lamps")).json()["document"] == other
    late = await sent(client, here, 412, document=json.dumps(DOCUMENT), version="1", do="save")
    assert json.dumps(DOCUMENT)[:20].replace('"', "&#34;") in late.text  # what was written is not lost
    assert (await client.get("/v1/mappings/olsinka/lamps")).json()["version"] == 2
    assert here in await shown(client, "/foreign/mappings")
    gone = await sent(client, here, do="drop")
    assert "the mapping is deleted" in await shown(client, gone.headers["location"])
    assert (await client.get(here, headers=HTML)).status_code == 404


@pytest.mark.usefixtures("region")
async def test_a_pull_is_begun_and_ended_by_forms_and_its_secrets_are_not_shown(client: httpx.AsyncClient) -> None:
    assert "You have no device" in await shown(client, PULLS)
    body = {"municipality": "olsinka", "name": "lamps", "document": DOCUMENT}
    assert (await client.post("/v1/mappings", json=body)).status_code == 201
    await client.put("/v1/foreign/devices/lamp-1", json={"adapter": "json", "mapping": "lamps"})
    given = {"device": "lamp-1", "name": "cloud", "url": "https://cloud.example/api", "interval_min": "15"}
    secret = "Authorization: Bearer very-secret\nX-Town: 7"
    plain = await sent(client, PULLS, 400, **given | {"url": "http://cloud.example"}, headers=secret)
    assert "url" in plain.text
    assert "very-secret" not in plain.text
    begun = await sent(client, PULLS, **given, headers=secret)
    page = await shown(client, begun.headers["location"])
    assert "every 15 min" in page
    assert "very-secret" not in page
    (item,) = (await client.get("/v1/pulls")).json()["items"]
    assert (item["interval_s"], item["has_headers"]) == (900, True)
    assert (await sent(client, PULLS, 400, **given | {"name": "b", "interval_min": "0"})).status_code == 400
    await sent(client, f"{PULLS}/olsinka/cloud/drop")
    assert (await client.get("/v1/pulls")).json()["items"] == []


@pytest.mark.usefixtures("region")
async def test_a_key_of_sharing_is_declared_by_a_form_and_the_next_begins_with_it(client: httpx.AsyncClient) -> None:
    body = {"municipality": "olsinka", "ean": POINT, "title": "Roof"}
    assert (await client.post("/v1/metering-points", json=body)).status_code == 201
    page = f"/metering/points/{POINT}"
    given = {"valid_from": "2026-11-01", "source": "the co-operative"}
    for lines, said in (
        (f"{SCHOOL} 60\nschool 20", "Line 2"),
        (f"{SCHOOL} 60\n{SCHOOL} 20", "a second time"),
        (f"{POINT} 60", "the point itself"),
        (f"{SCHOOL} 60\n{HALL} 40,5", "more than 100"),
    ):
        refused = await sent(client, f"{page}/shares", 400, **given, shares=lines)
        assert said in refused.text
        assert lines in refused.text
    assert (await client.get("/v1/allocation-keys")).json()["items"] == []
    spaced = re.sub(r"(\d{6})", r"\1 ", SCHOOL).strip()
    made = await sent(client, f"{page}/shares", **given, shares=f"{spaced}\t60,5 %\r\n\r\n{HALL};30")
    items = (await client.get("/v1/allocation-keys")).json()["items"]
    assert [(one["ean_to"], one["share_pct"]) for one in items] == [(SCHOOL, 60.5), (HALL, 30.0)]
    after = await shown(client, made.headers["location"])
    assert "the key of sharing is declared" in after
    assert f"{SCHOOL} 60.5\n{HALL} 30</textarea>" in after
    assert "9.5 %" in after  # the rest
    taken = await sent(client, f"{page}/shares", 409, **given, shares=f"{SCHOOL} 10")
    assert f"{SCHOOL} 10</textarea>" in taken.text


async def test_who_only_reads_sees_no_forms(region: Region, client: httpx.AsyncClient) -> None:
    region.connection.execute("UPDATE membership SET role = 'viewer'")
    for path in ("/foreign/mappings", PULLS):
        assert 'method="post"' not in (await shown(client, path)).split("<main", 1)[1]
    refused = await client.post(
        NEW,
        data={"municipality": "olsinka", "name": "lamps", "adapter": "json", "document": json.dumps(DOCUMENT)},
        headers=HTML,
    )
    assert refused.status_code == 403
