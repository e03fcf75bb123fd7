"""The second factor: who owes one gets nowhere without it, and each code is good once."""

import re
from collections.abc import Callable

import httpx
import pytest
from pyotp.totp import TOTP

from api.door import second
from api.door.keeper import COOKIE
from tests.api.door.rig import People, Wall, at_door, mistake, sign_in

NAME = "jana@olsinka.example"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(wall: Wall, secret: str = SECRET, **offset: float) -> str:
    return TOTP(secret).at(int(wall.at.timestamp() + offset.get("seconds", 0)))


async def enter(client: httpx.AsyncClient, given: str, onward: str = "/alerts") -> httpx.Response:
    return await client.post("/second-factor", data={"code": given, "next": onward})


async def test_an_administrator_reaches_nothing_but_the_set_up_until_it_is_done(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    people.add(NAME, "municipality_admin", "olsinka")
    await sign_in(browser, NAME, next="/alerts")
    for path in ("/", "/alerts", "/account", "/people"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/second-factor"), path
    answer = await browser.get("/v1/me")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/second_factor")
    assert (await browser.post("/account/tokens", data={"name": "x"})).status_code == 403
    answer = await browser.get("/second-factor?next=/alerts")
    assert answer.headers["location"] == "/second-factor/set-up?next=%2Falerts"
    page = (await browser.get("/second-factor/set-up?next=/alerts")).text
    assert "<svg" in page
    found = re.search(r"<code>([A-Z2-7 ]{39})</code>", page)
    assert found is not None
    secret = found[1].replace(" ", "")
    assert secret in (await browser.get("/second-factor/set-up")).text.replace(" ", ""), "loading it again keeps it"
    wrong = await browser.post("/second-factor/set-up", data={"code": "000000"})
    assert (wrong.status_code, mistake(wrong)) == (403, "The code is wrong")
    before = browser.cookies[COOKIE]
    page = await browser.post("/second-factor/set-up", data={"code": code(wall, secret), "next": "/alerts"})
    assert page.status_code == 200
    assert len(re.findall(r"<li><code>[a-z2-9]{5}-[a-z2-9]{5}</code>", page.text)) == 10
    assert browser.cookies[COOKIE] != before, "what was half is another session now"
    assert (await browser.get("/v1/me")).json()["second_factor"] is True
    assert (await browser.get("/second-factor/set-up")).headers["location"] == "/second-factor"


async def test_a_contractor_with_a_grant_from_elsewhere_owes_one_and_a_crew_at_home_does_not(
    people: People, browser: httpx.AsyncClient
) -> None:
    person_id = people.add(NAME)
    people.connection.execute(
        "WITH t AS (INSERT INTO team (name) VALUES ('Elektro') RETURNING team_id), m AS (INSERT INTO team_member"
        " SELECT team_id, %s FROM t) INSERT INTO access_grant (municipality_id, team_id, rights, valid_from, who)"
        " SELECT 1, team_id, ARRAY['read', 'act'], now(), 'Jana' FROM t",
        [person_id],
    )
    await sign_in(browser, NAME)
    assert (await browser.get("/v1/me")).json()["type"] == "/problems/second_factor"
    await browser.post("/sign-out")
    people.add("petr@olsinka.example", "crew", "olsinka")
    await sign_in(browser, "petr@olsinka.example")
    assert (await browser.get("/v1/me")).status_code == 200


async def test_each_code_is_good_once_even_for_two_at_the_same_moment(
    people: People, browser: httpx.AsyncClient, wall: Wall, database_role_url: Callable[[str], str]
) -> None:
    people.add(NAME, "municipality_admin", "olsinka", totp=SECRET)
    await sign_in(browser, NAME)
    answer = await enter(browser, code(wall))
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")
    async with at_door(database_role_url, wall) as thief:
        await sign_in(thief, NAME)
        assert mistake(await enter(thief, code(wall))) == "The code is wrong", "replayed"
        assert mistake(await enter(thief, code(wall, seconds=-30))) == "The code is wrong", "an earlier one"
        assert (await thief.get("/v1/me")).status_code == 403
        wall.on(seconds=30)
        assert (await enter(thief, code(wall))).status_code == 303


async def test_codes_around_now_are_taken_and_others_are_not(wall: Wall) -> None:
    step = int(wall.at.timestamp()) // 30
    for offset, found in ((0, step), (-30, step - 1), (30, step + 1), (-60, None), (60, None)):
        assert second.step_of(SECRET, code(wall, seconds=offset), wall.at) == found, offset
    for given in ("", "12345", "1234567", "12345x", "１２３４５６", "-12345", "0x1234"):
        assert second.step_of(SECRET, given, wall.at) is None


async def test_guessing_codes_is_slow(people: People, browser: httpx.AsyncClient, wall: Wall) -> None:
    people.add(NAME, "municipality_admin", "olsinka", totp=SECRET)
    await sign_in(browser, NAME)
    answers = [await enter(browser, f"{n:06}") for n in range(12)]
    assert [one.status_code for one in answers].count(429) >= 2
    assert (await enter(browser, code(wall))).status_code == 429
    assert "retry-after" in answers[-1].headers


async def test_a_recovery_code_replaces_the_telephone_once(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "municipality_admin", "olsinka", totp=SECRET)
    people.connection.execute(
        "INSERT INTO recovery_code (person_id, digest) VALUES (%s, sha256('abcde-fghjk'))", [person_id]
    )
    await sign_in(browser, NAME)
    assert (await enter(browser, "abcde-fghjz")).status_code == 403
    assert (await enter(browser, " ABCDE fghjk ")).status_code == 303
    await browser.post("/sign-out")
    await sign_in(browser, NAME)
    assert (await enter(browser, "abcde-fghjk")).status_code == 403


async def test_a_password_alone_never_replaces_a_second_factor(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "municipality_admin", "olsinka", totp=SECRET)
    await sign_in(browser, NAME)
    await browser.get("/second-factor/set-up")
    await browser.post("/second-factor/set-up", data={"code": code(wall)})
    assert people.one("SELECT totp_secret FROM person WHERE person_id = %s", person_id) == SECRET
    assert (await browser.get("/v1/me")).status_code == 403


@pytest.mark.parametrize("given", ["abcde-fghjk", "ABCDEFGHJK", "abcde fghjk"])
def test_recovery_codes_are_read_as_people_write_them(given: str) -> None:
    assert second.recovery(given) == "abcde-fghjk"


def test_recovery_codes_differ() -> None:
    codes = [one for _ in range(50) for one in second.recovery_codes()]
    assert len(set(codes)) == 500
    assert all(second.recovery(one) == one for one in codes)
