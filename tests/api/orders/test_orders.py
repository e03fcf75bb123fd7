"""A work order takes photos, is given to people and teams who may work on it, and tells of warranty and road."""

import json
from typing import Any

import httpx

from tests.api import signing
from tests.api.alerting import HTML, lamp_out
from tests.api.conftest import NOW, Region
from tests.api.orders.test_pictures import PLACE, exif, jpeg

ENGLISH = {"accept-language": "en"}
RAW = jpeg(exif(6))


async def test_a_photo_is_kept_without_its_place_shown_and_taken_away(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    made = await client.post(f"/v1/alerts/{number}/photos", content=RAW, headers={"content-type": "image/jpeg"})
    assert made.status_code == 201, made.text
    assert (made.json()["width"], made.json()["who"]) == (640, "Jana")
    path = made.headers["location"]
    got = await client.get(path)
    assert (got.headers["content-type"], got.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert PLACE in RAW
    assert PLACE not in got.content
    order = (await client.get(f"/alerts/{number}", headers={**HTML, **ENGLISH})).text
    assert 'alt="Photo 1 of the place, added by Jana"' in order
    assert "A photo was added." in order or "Přidána fotografie." in order
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["type"] == "/problems/photo_unknown"


async def test_what_is_too_large_too_many_or_no_photo_is_refused(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)

    async def code(raw: bytes) -> tuple[int, str]:
        answer = await client.post(f"/v1/alerts/{number}/photos", content=raw)
        return answer.status_code, answer.json().get("type", "")

    assert await code(b"<svg/>") == (415, "/problems/photo")
    assert await code(RAW + b"\0" * 5 * 1024 * 1024) == (413, "/problems/too_large")
    assert [(await code(RAW))[0] for _ in range(12)] == [201] * 12
    assert await code(RAW) == (409, "/problems/photos_many")


async def test_the_form_takes_a_photo_without_scripts(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    answer = await client.post(f"/alerts/{number}/photos", files={"photo": ("a.jpg", RAW, "image/jpeg")}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alerts/{number}?said=photo#said")
    assert "Fotografie je přidaná." in (await client.get(answer.headers["location"], headers=HTML)).text
    answer = await client.post(f"/alerts/{number}/photos/1/drop", headers=HTML)
    assert answer.status_code == 303
    answer = await client.post(f"/alerts/{number}/photos", files={"photo": ("a.txt", b"hello")}, headers=HTML)
    assert answer.status_code == 415


async def test_an_alert_is_given_to_people_and_teams_of_the_place(region: Region, client: httpx.AsyncClient) -> None:
    connection = region.connection
    crew = signing.person(connection, "petr@a.example", "crew", "olsinka", title="Petr Lampář", session=None)
    stranger = signing.person(connection, "cizi@b.example", "crew", "zdarna", title="Cizí", session=None)
    connection.execute("INSERT INTO team (municipality_id, name) VALUES (1, 'Četa sever'), (2, 'Jiná četa')")
    number = lamp_out(region)
    found = (await client.get(f"/v1/alerts/{number}/assignees")).json()
    assert [one["name"] for one in found["people"]] == ["Jana", "Petr Lampář"]
    assert [one["name"] for one in found["teams"]] == ["Četa sever"]
    assert 'value="Četa sever"' in (await client.get(f"/alerts/{number}", headers=HTML)).text

    async def assign(version: int, **to: Any) -> httpx.Response:
        body = {"step": "assigned", "version": version, **to}
        return await client.post(f"/v1/alerts/{number}/steps", json=body, headers=ENGLISH)

    given = (await assign(1, person_id=crew)).json()
    assert (given["assignee"], given["state"], given["events"][-1]["who"]) == ("Petr Lampář", "assigned", "Jana")
    given = (await assign(2, team_id=found["teams"][0]["team_id"])).json()
    assert given["assignee"] == "Četa sever"
    assert (await assign(3, person_id=stranger)).json()["type"] == "/problems/assignee_unknown"


async def test_who_only_looks_is_told_so(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    signing.person(region.connection, "v@a.example", "viewer", "olsinka", title="Divák", session="viewer-session")
    signing.sign(client, "viewer-session")
    order = (await client.get(f"/alerts/{number}", headers=HTML)).text
    assert "Přebírám" not in order
    body = {"step": "acknowledged", "version": 1}
    for answer in (
        await client.post(f"/v1/alerts/{number}/steps", json=body),
        await client.post(f"/v1/alerts/{number}/photos", content=RAW),
        await client.post(f"/v1/alerts/{number}/mute", json={"until": NOW.replace(day=28).isoformat(), "reason": "x"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/act_right")
    assert (await client.get(f"/v1/alerts/{number}/assignees")).json() == {"people": [], "teams": []}


async def test_the_order_tells_of_warranty_road_and_spare_part(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    known = {"warranty_until": "2027-05-31", "road_class": "III/1234, jeden pruh", "spare_part": "Xi LP 40W"}
    region.connection.execute("UPDATE asset SET metadata = metadata || %s::jsonb", [json.dumps(known)])
    order = (await client.get(f"/alerts/{number}", headers={**HTML, **ENGLISH})).text
    for words in ("It is under warranty", "III/1234, jeden pruh", "Xi LP 40W"):
        assert words in order
    region.connection.execute('UPDATE asset SET metadata = metadata || \'{"warranty_until": "2026-05-31"}\'')
    assert "The warranty is over." in (await client.get(f"/alerts/{number}", headers={**HTML, **ENGLISH})).text
