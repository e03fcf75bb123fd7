"""Who manages people: inviting, roles, teams, grants, shutting out with a successor; and what is not theirs to do."""

import re
from typing import Any

import httpx
import pytest

from tests.api import signing
from tests.api.door.rig import PASSWORD, People, Wall, sign_in

ADMIN = "jana@olsinka.example"


@pytest.fixture
def admin(people: People, browser: httpx.AsyncClient) -> int:
    """An administrator of Olšinka is signed in with a second factor."""
    found = signing.person(people.connection, ADMIN, "municipality_admin", "olsinka", title="Jana Dvořáková")
    signing.sign(browser)
    return found


def invitation(**more: Any) -> dict[str, Any]:
    return {"name": "Petr@Olsinka.example", "title": "Petr Novák", "role": "crew", "municipality": "olsinka", **more}


async def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_an_invitation_makes_a_person_a_role_and_a_link_shown_once(
    people: People, browser: httpx.AsyncClient, admin: int
) -> None:
    headers = {"idempotency-key": "one"}
    answer = await browser.post("/v1/people", json=invitation(), headers=headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["person"]["name"] == "petr@olsinka.example"
    again = (await browser.post("/v1/people", json=invitation(), headers=headers)).json()
    assert (again["person"], again["link"]) == (made["person"], None), "sent again, done once, and the secret stays one"
    code = made["link"].rpartition("/")[2]
    browser.cookies.clear()
    browser.cookies.set("lang", "en")
    answer = await browser.post(f"/links/{code}", data={"password": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 303
    me = (await browser.get("/v1/me")).json()
    assert (me["title"], me["rights"]) == ("Petr Novák", ["act", "read"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"municipality": "zdarna"}, (404, "municipality")),
        ({"municipality": "nowhere"}, (404, "municipality")),
        ({"municipality": None}, (403, "forbidden")),
        ({"municipality": None, "role": "region_admin"}, (403, "forbidden")),
        ({"role": "region_admin"}, (400, "role_place")),
        ({"municipality": None, "role": "municipality_admin"}, (400, "role_place")),
        ({"role": "king"}, (400, "body")),
        ({"name": "nobody"}, (400, "body")),
        ({"name": "a b@c"}, (400, "body")),
        ({"name": "a@b\0"}, (400, "body")),
        ({"title": ""}, (400, "body")),
        ({"valid_to": "2020-01-01T00:00:00Z"}, (422, "contradiction")),
        ({"password": "x"}, (400, "field")),
    ],
)
async def test_nobody_is_invited_beyond_ones_own_town(
    people: People, browser: httpx.AsyncClient, admin: int, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await problem(await browser.post("/v1/people", json=invitation(**change))) == expected
    assert people.one("SELECT count(*) FROM person") == 1, "nothing is left of it"


async def test_no_link_to_the_account_of_somebody_who_has_rights_elsewhere(
    people: People, browser: httpx.AsyncClient, admin: int
) -> None:
    waiting = people.add("eva@zdarna.example", "municipality_admin", "zdarna", password=None)
    answer = (await browser.post("/v1/people", json=invitation(name="eva@zdarna.example"))).json()
    assert answer["link"] is None, "it would open the other town"
    version = answer["person"]["version"]
    headers = {"if-match": f'"{version}"'}
    answer = await browser.post(f"/v1/people/{waiting}/disable", json={}, headers=headers)
    assert await problem(answer) == (403, "elsewhere")
    page = await browser.post(f"/people/{waiting}/link")
    assert (page.status_code, "/links/" in page.text) == (403, False)
    assert people.one("SELECT count(*) FROM one_time_code") == 0


async def test_people_of_other_towns_are_not_there(people: People, browser: httpx.AsyncClient, admin: int) -> None:
    other = people.add("eva@zdarna.example", "crew", "zdarna")
    mine = people.add("petr@olsinka.example", "crew", "olsinka")
    listed = (await browser.get("/v1/people")).json()["items"]
    assert [one["person_id"] for one in listed] == [admin, mine]
    for answer in (
        await browser.get(f"/v1/people/{other}"),
        await browser.post(f"/v1/people/{other}/disable", json={}, headers={"if-match": '"1"'}),
        await browser.post("/v1/memberships", json={"person_id": other, "role": "crew", "municipality": "olsinka"}),
    ):
        assert await problem(answer) == (404, "person")
    roles = (await browser.get("/v1/memberships")).json()["items"]
    assert {one["person_id"] for one in roles} == {admin, mine}
    foreign = people.one("SELECT membership_id FROM membership WHERE person_id = %s", other)
    assert await problem(await browser.delete(f"/v1/memberships/{foreign}", headers={"if-match": '"1"'})) == (
        404,
        "membership",
    )


async def test_a_crew_manages_nobody(people: People, browser: httpx.AsyncClient) -> None:
    people.add("petr@olsinka.example", "crew", "olsinka")
    await sign_in(browser, "petr@olsinka.example")
    for answer in (
        await browser.get("/v1/people"),
        await browser.post("/v1/people", json=invitation()),
        await browser.post("/v1/teams", json={"name": "x", "municipality": "olsinka"}),
        await browser.post(
            "/v1/grants", json={"municipality": "olsinka", "to_region": True, "rights": ["read"], "reason": "x"}
        ),
    ):
        assert await problem(answer) == (403, "forbidden")
    assert (await browser.get("/people")).status_code == 403
    assert "/people" not in (await browser.get("/account")).text


async def test_a_role_ends_at_once_with_if_match(people: People, browser: httpx.AsyncClient, admin: int) -> None:
    person_id = people.add("petr@olsinka.example", "crew", "olsinka")
    number = people.one("SELECT membership_id FROM membership WHERE person_id = %s", person_id)
    path = f"/v1/memberships/{number}"
    etag = (await browser.get(path)).headers["etag"]
    assert await problem(await browser.delete(path)) == (428, "if_match")
    assert await problem(await browser.delete(path, headers={"if-match": '"9"'})) == (412, "changed")
    answer = await browser.delete(path, headers={"if-match": etag})
    assert (answer.status_code, answer.json()["valid_to"] is not None) == (200, True)
    assert await problem(await browser.delete(path, headers={"if-match": answer.headers["etag"]})) == (412, "changed")
    own = people.one("SELECT membership_id FROM membership WHERE person_id = %s", admin)
    assert await problem(await browser.delete(f"/v1/memberships/{own}", headers={"if-match": '"1"'})) == (
        409,
        "own_role",
    )


async def test_who_leaves_is_out_and_a_successor_has_their_work(
    people: People, browser: httpx.AsyncClient, admin: int, wall: Wall
) -> None:
    leaver = people.add("petr@olsinka.example", "crew", "olsinka", title="Petr Novák")
    heir = people.add("eva@olsinka.example", "crew", "olsinka", title="Eva Malá")
    people.connection.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, severity, active, notify, since,"
        " opened_at, changed_at, assignee, state) VALUES ('k', 'r', 'feeder', 'f', 1, 'minor', true, true, now(),"
        " now(), now(), 'Petr Novák', 'assigned')"
    )
    people.connection.execute(
        "WITH t AS (INSERT INTO notification_target (municipality_id, name, url) VALUES (1, 'Petr Novák', 'json://a'),"
        " (1, 'Eva Malá', 'json://b') RETURNING target_id, name) INSERT INTO on_call (municipality_id, target_id,"
        " place, valid_from, valid_to) SELECT 1, target_id, 1, now(), now() + interval '7 d' FROM t"
        " WHERE name = 'Petr Novák'"
    )
    people.connection.execute(
        "INSERT INTO access_token (digest, person_id, name, scopes, created_at, expires_at)"
        " VALUES ('x', %s, 'GIS', '{read}', now(), now() + interval '1 d')",
        [leaver],
    )
    path = f"/v1/people/{leaver}"
    etag = (await browser.get(path)).headers["etag"]
    bad = await browser.post(f"{path}/disable", json={"successor": leaver}, headers={"if-match": etag})
    assert await problem(bad) == (400, "successor")
    answer = await browser.post(f"{path}/disable", json={"successor": heir}, headers={"if-match": etag})
    assert answer.json() == {"alerts": 1, "turns": 1, "uncovered": 0, "targets": 1}
    assert people.one("SELECT assignee FROM alert") == "Eva Malá"
    assert people.one("SELECT t.name FROM on_call JOIN notification_target t USING (target_id)") == "Eva Malá"
    assert people.one("SELECT enabled FROM notification_target WHERE name = 'Petr Novák'") is False
    assert people.one("SELECT revoked_at IS NOT NULL FROM access_token") is True
    browser.cookies.clear()
    assert (await sign_in(browser, "petr@olsinka.example")).status_code == 403


async def test_nobody_shuts_out_themselves(people: People, browser: httpx.AsyncClient, admin: int) -> None:
    answer = await browser.post(f"/v1/people/{admin}/disable", json={}, headers={"if-match": '"1"'})
    assert await problem(answer) == (404, "person")


async def test_teams_and_grants_are_made_and_ended(people: People, browser: httpx.AsyncClient, admin: int) -> None:
    person_id = people.add("petr@olsinka.example", "crew", "olsinka")
    stranger = people.add("eva@zdarna.example", "crew", "zdarna")
    body = {"name": "Údržba", "municipality": "olsinka", "members": [person_id]}
    assert await problem(await browser.post("/v1/teams", json={**body, "members": [stranger]})) == (404, "person")
    assert await problem(await browser.post("/v1/teams", json={**body, "municipality": None})) == (403, "forbidden")
    team = await browser.post("/v1/teams", json=body)
    assert (team.status_code, team.json()["members"]) == (201, [person_id])
    assert await problem(await browser.post("/v1/teams", json=body)) == (409, "taken")
    wish = {
        "municipality": "olsinka",
        "team_id": team.json()["team_id"],
        "rights": ["read", "act"],
        "reason": "smlouva",
    }
    grant = await browser.post("/v1/grants", json=wish)
    assert (grant.status_code, grant.json()["who"]) == (201, "Jana Dvořáková")
    for change, expected in (
        ({"to_region": True}, (400, "grant_whom")),
        ({"team_id": None}, (400, "grant_whom")),
        ({"team_id": 999}, (400, "grant_whom")),
        ({"municipality": "zdarna"}, (404, "municipality")),
        ({"group_id": 999}, (404, "group")),
        ({"rights": ["people"]}, (400, "body")),
        ({"reason": ""}, (400, "body")),
    ):
        assert await problem(await browser.post("/v1/grants", json={**wish, **change})) == expected, change
    path = f"/v1/grants/{grant.json()['grant_id']}"
    ended = await browser.delete(path, headers={"if-match": grant.headers["etag"]})
    assert ended.json()["valid_to"] is not None
    path = f"/v1/teams/{team.json()['team_id']}"
    ended = await browser.delete(path, headers={"if-match": team.headers["etag"]})
    assert (ended.json()["members"], ended.json()["ended_at"] is not None) == ([], True)
    assert await problem(await browser.delete(path, headers={"if-match": ended.headers["etag"]})) == (412, "changed")


async def test_the_pages_invite_give_a_role_and_shut_out(
    people: People, browser: httpx.AsyncClient, admin: int
) -> None:
    fields = {
        "name": "petr@olsinka.example",
        "title": "Petr <i>",
        "role": "crew",
        "municipality": "olsinka",
        "language": "cs",
    }
    page = await browser.post("/people", data=fields)
    assert re.search(r"http://127.0.0.1:8080/links/[\w-]{43}", page.text), page.text
    assert "<i>" not in (await browser.get("/people")).text
    wrong = await browser.post("/people", data=fields)
    assert (wrong.status_code, "They have this role already" in wrong.text) == (409, True)
    person_id = people.one("SELECT person_id FROM person WHERE name = 'petr@olsinka.example'")
    gives = {"role": "viewer", "municipality": "olsinka"}
    assert (await browser.post(f"/people/{person_id}/roles", data=gives)).headers["location"].endswith("said=role#said")
    text = (await browser.get(f"/people/{person_id}?said=role")).text
    assert "The role is added." in text
    ends = re.search(
        rf'action="(/people/{person_id}/roles/\d+)"><input type="hidden" name="version" value="(\d+)"', text
    )
    assert ends is not None
    assert (await browser.post(ends[1], data={"version": ends[2]})).status_code == 303
    assert (await browser.post(ends[1], data={"version": "x"})).status_code == 400
    version = people.one("SELECT version FROM person WHERE person_id = %s", person_id)
    page = await browser.post(f"/people/{person_id}/disable", data={"version": str(version), "successor": ""})
    assert "The access has ended." in page.text
    for path in ("/people/999", f"/people/{10**12}", "/people/x"):
        assert (await browser.get(path)).status_code == 404, path


async def test_an_administrator_takes_a_lost_second_factor_away(
    people: People, browser: httpx.AsyncClient, admin: int
) -> None:
    other = people.add("eva@olsinka.example", "municipality_admin", "olsinka", totp="JBSWY3DPEHPK3PXP")
    assert (await browser.post(f"/people/{other}/second-factor")).status_code == 303
    assert people.one("SELECT totp_confirmed_at FROM person WHERE person_id = %s", other) is None
    await browser.post(f"/people/{admin}/second-factor")
    assert people.one("SELECT totp_confirmed_at FROM person WHERE person_id = %s", other) is None


async def test_the_use_of_the_account_for_emergencies_is_told_to_the_operator(
    people: People, browser: httpx.AsyncClient
) -> None:
    people.add("break-glass@kraj.local", "region_admin", break_glass=True)
    await sign_in(browser, "break-glass@kraj.local")
    assert (await browser.get("/v1/me")).json()["second_factor"] is True, "it is for when telephones do not work"
    assert people.one("SELECT count(*) FROM outbox JOIN alert USING (alert_id) WHERE severity = 'critical'") == 1
    alerts = (await browser.get("/v1/alerts")).json()["items"]
    assert alerts[0]["title"] == "The account for emergencies was used"
    assert people.one("SELECT count(*) FROM audit_entry WHERE subject = 'break_glass'") == 1
