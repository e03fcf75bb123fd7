"""Tokens for programs: what they open, what narrows them, and how soon they end."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.door.rig import People, Wall, at_door, sign_in

NAME = "eva@olsinka.example"


async def make(client: httpx.AsyncClient, *scopes: str, days: int = 30) -> str:
    answer = await client.post("/v1/tokens", json={"name": "GIS", "scopes": list(scopes), "days": days})
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_opens_the_api_within_its_scopes_and_nothing_else(
    people: People, browser: httpx.AsyncClient, database_role_url: Callable[[str], str], wall: Wall
) -> None:
    people.add(NAME, "energy_manager", "olsinka")
    await sign_in(browser, NAME)
    token = await make(browser, "read")
    assert re.fullmatch(r"kraj_[0-9]+_[A-Za-z0-9_-]{43}", token)
    assert token.split("_", 2)[2] not in str(people.connection.execute("SELECT * FROM access_token").fetchall())
    async with at_door(database_role_url, wall) as program:
        del program.headers["sec-fetch-site"]
        me = (await program.get("/v1/me", headers=bearer(token))).json()
        assert (me["rights"], me["scopes"]) == (["read"], ["read"])
        labels = [one["label"] for one in (await program.get("/v1/assets", headers=bearer(token))).json()["items"]]
        assert labels == ["VO-9 Nádražní", "VO-10 Školní"], "its own town's"
        for path in ("/", "/account", "/people"):
            assert (await program.get(path, headers=bearer(token))).status_code == 403, path
        answer = await program.post("/v1/tokens", json={"name": "x", "scopes": ["read"]}, headers=bearer(token))
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/token_by_token")
    assert people.one("SELECT seen_at IS NOT NULL FROM access_token") is True


async def test_nobody_makes_a_token_that_may_more_than_they(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "viewer", "olsinka")
    await sign_in(browser, NAME)
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"name": "x", "scopes": ["read", "people"]}, 403, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, 400, "body"),
        ({"name": "x", "scopes": ["*"]}, 400, "body"),
        ({"name": "x", "scopes": []}, 400, "body"),
        ({"name": "", "scopes": ["read"]}, 400, "body"),
        ({"name": "x", "scopes": ["read"], "days": 400}, 400, "body"),
        ({"name": "x", "scopes": ["read"], "person_id": 1}, 400, "field"),
    ]
    for body, status, code in wrong:
        answer = await browser.post("/v1/tokens", json=body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), body


async def test_a_wrong_token_is_refused_whatever_is_wrong_with_it(
    people: People, browser: httpx.AsyncClient, wall: Wall, known_s: float
) -> None:
    people.add(NAME, "viewer", "olsinka")
    people.add("jiny@zdarna.example", "viewer", "zdarna")
    await sign_in(browser, NAME)
    token, other = await make(browser, "read", days=1), await make(browser, "read")
    first, second = (one.split("_", 2) for one in (token, other))
    await browser.post("/sign-out")
    foreign = f"kraj_{first[1]}_{second[2]}"
    tampered = token[:-1] + ("A" if token[-1] != "A" else "B")
    long = f"kraj_{10**12}_{first[2]}"
    unknown = (f"kraj_999_{first[2]}", f"krajx_{first[1]}_{first[2]}", f"kraj_0{first[1]}_{first[2]}")
    for wrong in (foreign, tampered, long, *unknown, "", "kraj_", "kraj_1_", token + "é"):
        answer = await browser.get("/v1/me", headers=[(b"authorization", f"Bearer {wrong}".encode())])
        assert answer.status_code == 401, wrong
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.json()["type"] == "/problems/token"
    assert (await browser.get("/v1/me", headers={"authorization": f"Basic {token}"})).status_code == 401
    assert (await browser.get("/v1/me", headers=bearer(token))).status_code == 200
    wall.on(days=1, seconds=1)
    await asyncio.sleep(known_s)
    assert (await browser.get("/v1/me", headers=bearer(token))).status_code == 401, "expired"


async def test_a_revoked_token_ends_within_five_seconds_everywhere(
    people: People,
    browser: httpx.AsyncClient,
    database_role_url: Callable[[str], str],
    wall: Wall,
    known_s: float,
) -> None:
    people.add(NAME, "viewer", "olsinka")
    await sign_in(browser, NAME)
    token = await make(browser, "read")
    async with at_door(database_role_url, wall) as elsewhere:  # another process, with a memory of its own
        assert (await elsewhere.get("/v1/me", headers=bearer(token))).status_code == 200
        number = (await browser.get("/v1/tokens")).json()["items"][0]["token_id"]
        assert (await browser.delete(f"/v1/tokens/{number}")).status_code == 204
        assert (await browser.delete(f"/v1/tokens/{number}")).status_code == 404
        assert (await browser.get("/v1/me", headers=bearer(token))).status_code == 401, "here at once"
        await asyncio.sleep(known_s)
        assert (await elsewhere.get("/v1/me", headers=bearer(token))).status_code == 401


async def test_tokens_of_others_are_not_there(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "viewer", "olsinka")
    people.add("spravce@olsinka.example", "viewer", "olsinka")
    await sign_in(browser, NAME)
    await make(browser, "read")
    number = (await browser.get("/v1/tokens")).json()["items"][0]["token_id"]
    await browser.post("/sign-out")
    await sign_in(browser, "spravce@olsinka.example")
    assert (await browser.get("/v1/tokens")).json()["items"] == []
    assert (await browser.delete(f"/v1/tokens/{number}")).status_code == 404


async def test_a_token_made_without_a_second_factor_ends_when_one_is_owed(
    people: People, browser: httpx.AsyncClient
) -> None:
    person_id = people.add(NAME, "viewer", "olsinka")
    await sign_in(browser, NAME)
    token = await make(browser, "read")
    people.connection.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from)"
        " VALUES (%s, 1, 'municipality_admin', now() - interval '1 h')",
        [person_id],
    )
    answer = await browser.get("/v1/me", headers=bearer(token))
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/second_factor")


async def test_a_token_needs_no_origin_as_no_browser_sends_it_by_itself(
    people: People, browser: httpx.AsyncClient
) -> None:
    people.add(NAME, "viewer", "olsinka")
    await sign_in(browser, NAME)
    token = await make(browser, "read")
    browser.cookies.clear()
    del browser.headers["sec-fetch-site"]
    answer = await browser.delete("/v1/tokens/999", headers=bearer(token))
    assert answer.status_code == 404
    answer = await browser.delete("/v1/tokens/999", headers={**bearer(token), "origin": "https://evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize("days", ["0", "367", "many", ""])
async def test_the_page_shows_a_token_once_and_says_what_is_wrong(
    people: People, browser: httpx.AsyncClient, days: str
) -> None:
    people.add(NAME, "viewer", "olsinka")
    await sign_in(browser, NAME)
    fields = {"name": "GIS", "scope.read": "1", "days": "30"}
    page = await browser.post("/account/tokens", data=fields)
    found = re.search(r"kraj_\d+_[\w-]{43}", page.text)
    assert found is not None
    assert found[0] not in (await browser.get("/account")).text
    wrong = await browser.post("/account/tokens", data={**fields, "days": days})
    assert (wrong.status_code, "One field needs mending" in wrong.text) == (400, True)
