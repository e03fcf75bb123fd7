"""Links that are good once: invitations, resets, the demo's sign-in; and what a good password is."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.door.keeper import COOKIE
from api.door.mail import Mail
from api.door.passwords import weak
from kraj.alerts import Severity
from tests.api.door.rig import PASSWORD, People, Wall, at_door, mistake, sign_in

NAME = "petr@olsinka.example"
NEW = "devět slepic na plotě"


async def use(client: httpx.AsyncClient, code: str, password: str = NEW, again: str | None = None) -> httpx.Response:
    return await client.post(
        f"/links/{code}", data={"password": password, "again": password if again is None else again}
    )


async def test_an_invited_person_chooses_a_password_once(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "crew", "olsinka", password=None)
    code = people.code(person_id, "invitation", wall.at)
    page = await browser.get(f"/links/{code}")
    assert (page.status_code, "Petr, petr@olsinka.example" in page.text) == (200, True)
    for bad, said in (
        ("short", "The password is short"),
        ("heslohesloheslo", "The password is among those that are tried first"),
        ("aaaaaaaaaaaaaa", "The password is among those that are tried first"),
        ("petr@olsinka.example", "The password is made of your name"),
        ("x" * 201, "The password is long"),
    ):
        answer = await use(browser, code, bad)
        assert (answer.status_code, mistake(answer)) == (400, said)
    assert mistake(await use(browser, code, NEW, "something else")) == "The passwords differ"
    answer = await use(browser, code)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await browser.get("/v1/me")).json()["name"] == NAME
    for again in (await use(browser, code), await browser.get(f"/links/{code}")):
        assert (again.status_code, "The link is not valid" in again.text) == (410, True)
    browser.cookies.clear()
    assert (await sign_in(browser, NAME, NEW)).status_code == 303


async def test_of_two_at_the_same_moment_one_gets_in(
    people: People, browser: httpx.AsyncClient, wall: Wall, database_role_url: Callable[[str], str]
) -> None:
    code = people.code(people.add(NAME, "crew", "olsinka"), "reset", wall.at)
    async with at_door(database_role_url, wall) as other:
        answers = await asyncio.gather(use(browser, code), use(other, code, NEW + " dva"))
    assert sorted(one.status_code for one in answers) == [303, 410]


async def test_a_link_that_ran_out_or_was_made_up_opens_nothing(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "crew", "olsinka")
    people.code(person_id, "reset", wall.at, "old-code", minutes=5)
    wall.on(minutes=6)
    for code in ("old-code", "made-up", "x" * 500, "řeřicha"):
        for answer in (await browser.get(f"/links/{code}"), await use(browser, code)):
            assert answer.status_code == 410, code
    assert (await browser.get("/links/%00")).status_code == 404  # no path has a zero byte
    assert (await sign_in(browser, NAME)).status_code == 303, "the password stays"


async def test_a_reset_ends_every_session_and_other_link(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "crew", "olsinka")
    await sign_in(browser, NAME)
    old = browser.cookies[COOKIE]
    people.code(person_id, "reset", wall.at, "other")
    await use(browser, people.code(person_id, "reset", wall.at))
    assert people.one("SELECT count(*) FROM sign_in_session") == 1
    assert browser.cookies[COOKIE] != old
    assert (await browser.get("/links/other")).status_code == 410


async def test_a_reset_does_not_go_around_the_second_factor(
    people: People, browser: httpx.AsyncClient, wall: Wall
) -> None:
    person_id = people.add(NAME, "municipality_admin", "olsinka", totp="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    await use(browser, people.code(person_id, "reset", wall.at))
    assert (await browser.get("/v1/me")).json()["type"] == "/problems/second_factor"


async def test_the_link_of_the_demo_signs_in_on_this_machine_only(
    people: People, browser: httpx.AsyncClient, wall: Wall, database_role_url: Callable[[str], str]
) -> None:
    from api.app import create
    from kraj.settings import Settings

    person_id = people.add("demo@kraj.example", "region_admin", password=None)
    code = people.code(person_id, "sign_in", wall.at)
    people.connection.execute("UPDATE one_time_code SET detail = '{\"demo\": true}'")
    elsewhere = Settings(public_url="https://kraj.example")
    app = create(elsewhere, database_role_url("kraj_api"), wall=wall)
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1234))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://kraj.example", headers=browser.headers) as other,
    ):
        assert (await other.post(f"/links/{code}")).status_code == 403
    page = (await browser.get(f"/links/{code}")).text
    assert "A real installation has nothing like it" in page
    assert (await browser.post(f"/links/{code}")).status_code == 303
    assert (await browser.get("/v1/me")).json()["second_factor"] is True
    assert (await browser.post(f"/links/{code}")).status_code == 410


async def test_a_forgotten_password_is_mailed_and_nobody_learns_who_is_known(
    people: People,
    wall: Wall,
    database_role_url: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from api.notifications.sending import Sender
    from kraj.settings import Settings

    sent: list[tuple[str, str]] = []

    def send(url: str, subject: str, body: str, severity: Severity) -> None:
        sent.append((url, body))

    def mail(_: Path) -> Mail:
        return Mail(lambda: "mailtos://u:p@mail.example", Sender(send))

    monkeypatch.setattr("api.door.opening.mail.from_file", mail)
    people.add(NAME, "crew", "olsinka")
    people.add("glass@kraj.example", "region_admin", break_glass=True)
    settings = Settings(mail_url_file=tmp_path / "mail", public_url="http://localhost:8080")
    async with at_door(database_role_url, wall, settings) as client:
        texts = {
            (await client.post("/forgotten", data={"name": name})).text
            for name in (NAME, "nobody@olsinka.example", "glass@kraj.example")
        }
        assert len(texts) == 1
        assert len(sent) == 1
        assert "to=petr%40olsinka.example" in sent[0][0]
        found = re.search(r"http://localhost:8080/links/(\S+)", sent[0][1])
        assert found is not None
        assert (await use(client, found[1])).status_code == 303
        assert (await sign_in(client, NAME, NEW)).status_code == 303
        answers = [await client.post("/forgotten", data={"name": NAME}) for _ in range(12)]
        assert answers[-1].status_code == 429, "nobody's mailbox is filled"
    assert len(sent) <= 11


async def test_without_mail_the_page_says_who_can_help(browser: httpx.AsyncClient) -> None:
    assert "sends no e-mail" in (await browser.get("/forgotten")).text


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        (PASSWORD, None),
        ("Tři.veverky&lampa", None),
        ("correct horse battery", None),
        ("Petr Novák olšinka", "own_name"),
        ("petrpetrpetrpetr", "common"),
        ("novak12345678", None),
        ("123456789012", "common"),
        ("HESLO1234567", "common"),
        ("", "short"),
        ("elevenchars", "short"),
    ],
)
def test_a_password_is_long_and_not_the_first_that_is_tried(password: str, fault: str | None) -> None:
    assert weak(password, "petr.novak@olsinka.example", "Petr Novák") == fault
