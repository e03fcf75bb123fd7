"""Who comes in by password, what a session is worth, and what everybody else is told."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import argon2
import httpx
import pytest

from api.door.keeper import COOKIE
from kraj.store.sign_in import ATTEMPTS_NAME_MAX
from tests.api.door.rig import PASSWORD, People, Wall, at_door, mistake, sign_in

NAME = "petr@olsinka.example"


async def test_who_is_not_signed_in_is_told_how(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/v1/assets")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="kraj"')
    assert answer.json()["type"] == "/problems/sign_in"
    assert "/sign-in" in answer.json()["hint"]
    page = await browser.get("/alerts?state=all")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2Falerts%3Fstate%3Dall")
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/static/kraj.css", "/sign-in", "/forgotten"):
        assert (await browser.get(path)).status_code in (200, 503), path


async def test_a_password_opens_a_session_in_a_safe_cookie(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    answer = await sign_in(browser, " Petr@Olsinka.example ", next="/alerts?state=all")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?state=all")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "this is plain http on loopback"
    assert (await browser.get("/v1/me")).json()["rights"] == ["act", "read"]
    secret = browser.cookies[COOKIE]
    stored = people.one("SELECT digest FROM sign_in_session")
    assert secret.encode() not in bytes(stored)
    assert "Petr" in (await browser.get("/")).text


async def test_behind_tls_the_cookie_is_secure_and_plain_http_is_refused(
    people: People, database_role_url: Callable[[str], str], wall: Wall
) -> None:
    from kraj.settings import Settings

    people.add(NAME, "crew", "olsinka")
    settings = Settings(public_url="https://kraj.example", api_host="0.0.0.0")  # noqa: S104
    async with at_door(database_role_url, wall, settings) as client:
        plain = await client.get("http://kraj.example/sign-in")
        assert (plain.status_code, "https only" in plain.text) == (421, True)
        answer = await client.post("https://kraj.example/sign-in", data={"name": NAME, "password": PASSWORD})
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await client.get("https://evil.example/sign-in")).status_code == 421


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "evil",
        "",
        "/%0d%0a x",
        "/x\r\ny",
    ],
)
async def test_nobody_is_sent_elsewhere_afterwards(people: People, browser: httpx.AsyncClient, wish: str) -> None:
    people.add(NAME, "crew", "olsinka")
    answer = await sign_in(browser, NAME, next=wish)
    assert answer.headers["location"] in ("/", "/%0d%0a"), wish


async def test_a_wrong_password_and_an_unknown_name_look_the_same(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    people.add("nikdo@olsinka.example", "crew", "olsinka", password=None)
    texts: set[str] = set()
    for name in (NAME, "nobody@olsinka.example", "nikdo@olsinka.example"):
        answer = await sign_in(browser, name, "wrong")
        assert answer.status_code == 403
        assert mistake(answer) == "The name or the password is wrong"
        texts.add(answer.text.replace(name, ""))
        assert COOKIE not in browser.cookies
    assert len(texts) == 1


async def test_a_name_that_nobody_has_costs_as_much_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from api.door.passwords import Passwords

    verified: list[str] = []
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    real = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, hashed: str, password: str) -> bool:
        verified.append(hashed)
        return real(self, hashed, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    passwords = Passwords(hasher)
    known = await passwords.hash(PASSWORD)
    assert await passwords.right(known, PASSWORD)
    assert not await passwords.right(known, "wrong")
    assert not await passwords.right(None, PASSWORD)
    assert len(verified) == 3
    assert verified[2].split("$")[:4] == known.split("$")[:4], "the same parameters, and so the same work"


async def test_a_hash_of_yesterdays_parameters_is_made_anew(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    assert "m=8," in people.one("SELECT password FROM person WHERE name = %s", NAME)
    await sign_in(browser, NAME)
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in people.one("SELECT password FROM person WHERE name = %s", NAME)
    browser.cookies.clear()
    assert (await sign_in(browser, NAME)).status_code == 303


async def test_guessing_is_slow_and_says_when_to_try_again(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    people.add(NAME, "crew", "olsinka")
    answers = await asyncio.gather(*(sign_in(browser, NAME, "wrong") for _ in range(ATTEMPTS_NAME_MAX + 3)))
    assert sorted(one.status_code for one in answers) == [403] * ATTEMPTS_NAME_MAX + [429] * 3
    answer = await sign_in(browser, NAME)
    assert answer.status_code == 429, "not even the right one is judged"
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    assert "Try again in 15 min" in answer.text
    wall.on(minutes=16)
    assert (await sign_in(browser, NAME)).status_code == 303


async def test_a_session_is_new_whatever_the_browser_brought(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    browser.headers["cookie"] = f"{COOKIE}=chosen-by-somebody-else"
    await sign_in(browser, NAME)
    del browser.headers["cookie"]
    first = browser.cookies[COOKIE]
    assert first != "chosen-by-somebody-else"
    await browser.post("/sign-out")
    assert COOKIE not in browser.cookies
    await sign_in(browser, NAME)
    assert browser.cookies[COOKIE] != first
    assert people.one("SELECT count(*) FROM sign_in_session") == 1, "signing out has ended the other one"


async def test_a_session_ends_after_twelve_idle_hours_and_after_thirty_days(
    people: People, browser: httpx.AsyncClient, wall: Wall, known_s: float
) -> None:
    people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME)
    for _ in range(29 * 3):
        wall.on(hours=8)
        people.connection.execute(
            "SELECT door_session_seen(session_id, %s, interval '12 h', interval '30 d') FROM sign_in_session", [wall.at]
        )
    assert (await browser.get("/v1/me")).status_code == 200
    wall.on(hours=25)
    await asyncio.sleep(known_s)
    assert (await browser.get("/v1/me")).status_code == 401


async def test_using_a_session_lets_it_last(people: People, browser: httpx.AsyncClient, wall: Wall) -> None:
    people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME)
    wall.on(hours=11)
    assert (await browser.get("/v1/me")).status_code == 200
    assert people.one("SELECT expires_at FROM sign_in_session") == wall.at + timedelta(hours=12)


async def test_who_is_shut_out_is_out_within_five_seconds(
    people: People, browser: httpx.AsyncClient, known_s: float
) -> None:
    person_id = people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME)
    assert (await browser.get("/v1/me")).status_code == 200
    people.connection.execute("UPDATE person SET disabled_at = now() WHERE person_id = %s", [person_id])
    assert (await browser.get("/v1/assets")).json().get("items", []) == [], "the wall itself is faster"
    await asyncio.sleep(known_s)
    assert (await browser.get("/v1/me")).status_code == 401
    assert (await sign_in(browser, NAME)).status_code == 403


async def test_a_cookie_does_nothing_without_a_page_of_ours(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME)
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[evil"},
    ):
        for path in ("/sign-out", "/account/language", "/sign-in"):
            answer = await browser.post(path, data={"language": "en"}, headers=headers)
            assert answer.status_code == 403, (path, headers)
            assert "another site" in answer.text
    del browser.headers["sec-fetch-site"]
    assert (await browser.post("/account/language", data={"language": "en"})).status_code == 403, (
        "no browser says nothing"
    )
    ours = {"origin": "http://localhost"}
    assert (await browser.post("/account/language", data={"language": "en"}, headers=ours)).status_code == 303


async def test_sign_ins_and_failures_are_written_down(people: People, browser: httpx.AsyncClient) -> None:
    people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME, "wrong")
    await sign_in(browser, NAME)
    await browser.post("/sign-out")
    rows = people.connection.execute(
        "SELECT action, a.pseudonym = p.pseudonym FROM audit_entry a, person p WHERE p.name = %s"
        " AND action LIKE 'sign_%%' ORDER BY entry_id",
        [NAME],
    ).fetchall()
    assert rows == [("sign_in.failed", True), ("sign_in", True), ("sign_out", True)]
    assert PASSWORD not in str(people.connection.execute("SELECT * FROM audit_entry").fetchall())
