"""A person's data: given to them and to who manages them, and erased so that a pseudonym stays."""

from typing import Any

import httpx
import psycopg
import pytest

from kraj.audit import verify
from kraj.store import audit
from tests.api import signing
from tests.api.conftest import NOW
from tests.api.door.rig import People, Wall

ADMIN, PETR, TITLE = "jana@olsinka.example", "petr@olsinka.example", "Petr Novák"
VERSION = {"if-match": "*"}


@pytest.fixture
def admin(people: People, browser: httpx.AsyncClient) -> int:
    """An administrator of Olšinka is signed in with a second factor."""
    found = signing.person(people.connection, ADMIN, "municipality_admin", "olsinka", title="Jana Dvořáková")
    signing.sign(browser)
    return found


@pytest.fixture
def petr(people: People) -> int:
    """Somebody who has left traces wherever a person can."""
    who = signing.person(people.connection, PETR, "crew", "olsinka", title=TITLE, session="petr")
    traces(people.connection, who, "olsinka", TITLE)
    return who


def traces(connection: psycopg.Connection[Any], who: int, town: str, title: str) -> int:
    """An alert that they have worked on, targets, a rule, a token, a code; the alert's number."""
    given = {"who": who, "town": town, "title": title, "at": NOW, "mail": PETR if title == TITLE else "x@y.example"}
    run = connection.execute
    row = run(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, severity, active, notify, assignee,"
        " since, opened_at, changed_at, cause) SELECT 'k@' || name, 'lamp_dark', 'asset', 'lampa-' ||"
        " name, municipality_id, 'minor', true, true, %(title)s, %(at)s, %(at)s, %(at)s, 'opravil ' || %(title)s"
        " FROM municipality WHERE name = %(town)s RETURNING alert_id, municipality_id",
        given,
    ).fetchone()
    assert row is not None
    given |= {"alert": row[0], "place": row[1]}
    for statement in (
        "INSERT INTO alert_event (alert_id, at, step, who, note, detail) VALUES (%(alert)s, %(at)s, 'assigned',"
        " %(title)s, %(title)s || ' (' || %(mail)s || ') pojede; Petrovice ne', jsonb_build_object('assignee',"
        " %(title)s::text))",
        "INSERT INTO maintenance_window (municipality_id, scope_type, scope_name, valid_from, valid_to, reason, who)"
        " VALUES (%(place)s, 'asset', 'x', %(at)s, %(at)s + interval '1 day', 'žádal ' || %(title)s, %(title)s)",
        "INSERT INTO notification_target (municipality_id, name, url) VALUES (%(place)s, %(title)s, 'json://a')",
        "INSERT INTO access_token (digest, person_id, name, scopes, created_at, expires_at)"
        " VALUES ('s3cret-digest', %(who)s, 'GIS', '{read}', %(at)s, %(at)s)",
        "INSERT INTO recovery_code (person_id, digest) VALUES (%(who)s, 's3cret-code')",
        "INSERT INTO sign_in_attempt (name, address, at) VALUES (%(mail)s, '192.0.2.7', %(at)s)",
    ):
        run(statement.encode(), given)
    return row[0]


def whole(connection: psycopg.Connection[Any]) -> bool:
    with psycopg.connect(connection.info.dsn, password=connection.info.password) as other:
        return verify(audit.chain(other)) is None


def everything(connection: psycopg.Connection[Any]) -> str:
    """Every row of every table, as text."""
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return "".join(
        str(connection.execute(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {name} t".encode()).fetchone())
        for (name,) in names
    )


async def test_one_gets_everything_that_is_kept_and_nothing_secret(
    people: People, browser: httpx.AsyncClient, petr: int
) -> None:
    signing.sign(browser, "petr")
    answer = await browser.get("/v1/me/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["account"]["name"], found["account"]["title"]) == (PETR, TITLE)
    assert [(row["municipality"], row["role"]) for row in found["memberships"]] == [("olsinka", "crew")]
    lengths = {"sessions": 1, "tokens": 1, "assigned_alerts": 1, "alert_events": 1, "sign_in_attempts": 1}
    assert {name: len(found[name]) for name in lengths} == lengths
    assert "s3cret" not in answer.text
    assert "digest" not in answer.text
    again = (await browser.get("/v1/me/export")).json()
    assert [row["action"] for row in again["audit_entries"]] == ["person.export"], "and that they asked for it"
    page = await browser.get("/account")
    assert 'href="/account/export"' in page.text
    assert (await browser.get("/account/export")).json()["account"]["name"] == PETR


async def test_who_manages_somebody_exports_for_them_and_nobody_else_does(
    people: People, browser: httpx.AsyncClient, admin: int, petr: int
) -> None:
    other = signing.person(people.connection, "eva@zdarna.example", "crew", "zdarna", title=TITLE, session=None)
    traces(people.connection, other, "zdarna", TITLE)
    found = (await browser.get(f"/v1/people/{petr}/export")).json()
    assert len(found["alert_events"]) == 1, "a namesake's work in another town is not shown"
    assert (await browser.get(f"/v1/people/{other}/export")).status_code == 404
    signing.sign(browser, "petr")
    assert (await browser.get(f"/v1/people/{admin}/export")).status_code == 403


async def test_what_stays_of_an_erased_person_is_a_pseudonym(
    people: People, browser: httpx.AsyncClient, admin: int, petr: int
) -> None:
    pseudonym = people.one("SELECT pseudonym::text FROM person WHERE person_id = %s", petr)
    signing.sign(browser, "petr")
    await browser.get("/v1/me/export")
    signing.sign(browser)
    assert (await browser.delete(f"/v1/people/{petr}")).status_code == 428
    answer = await browser.delete(f"/v1/people/{petr}", headers=VERSION)
    assert answer.status_code == 204, answer.text
    rest = everything(people.connection)
    for word in (PETR, TITLE, "s3cret"):
        assert word not in rest, word
    assert "anonym (anonym) pojede; Petrovice ne" in rest, "whole words only"
    assert people.one("SELECT detail->>'assignee' FROM alert_event") == "anonym"
    assert people.one("SELECT assignee || cause FROM alert") == "anonymopravil anonym"
    assert people.one("SELECT url || enabled::text FROM notification_target") == "false"
    assert people.one("SELECT count(*) FROM audit_entry WHERE pseudonym = %s::uuid", pseudonym) == 1
    assert people.one("SELECT action FROM audit_entry WHERE subject = %s ORDER BY 1 LIMIT 1", f"person {petr}") == (
        "person.erase"
    )
    assert whole(people.connection)
    signing.sign(browser, "petr")
    assert (await browser.get("/v1/me")).status_code == 401


async def test_a_namesake_in_another_town_keeps_the_name(
    people: People, browser: httpx.AsyncClient, admin: int, petr: int
) -> None:
    other = signing.person(people.connection, "eva@zdarna.example", "crew", "zdarna", title=TITLE, session=None)
    alert = traces(people.connection, other, "zdarna", TITLE)
    assert (await browser.delete(f"/v1/people/{petr}", headers=VERSION)).status_code == 204
    assert people.one("SELECT assignee FROM alert WHERE alert_id = %s", alert) == TITLE
    assert people.one("SELECT who FROM alert_event WHERE alert_id = %s", alert) == TITLE


async def test_the_last_administrator_is_not_erased(
    people: People, browser: httpx.AsyncClient, admin: int, wall: Wall
) -> None:
    region = signing.person(people.connection, "r@kraj.example", session="region")
    signing.sign(browser, "region")
    answer = await browser.delete(f"/v1/people/{admin}", headers=VERSION)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/last_administrator")
    assert "Olšinka" in answer.json()["detail"]
    page = await browser.post(f"/people/{admin}/erase", data={"version": "1", "confirm": "erase"})
    assert page.status_code == 409
    assert "last administrator" in page.text
    signing.person(people.connection, "k@olsinka.example", "municipality_admin", "olsinka", session=None)
    assert (await browser.post(f"/people/{admin}/erase", data={"version": "1"})).status_code == 400
    page = await browser.post(f"/people/{admin}/erase", data={"version": "1", "confirm": "erase"})
    assert (page.status_code, page.headers["location"]) == (303, "/people?said=erased#said")
    assert "erased" in (await browser.get("/people?said=erased")).text
    assert (await browser.delete(f"/v1/people/{region}", headers=VERSION)).status_code == 404, "not oneself"


async def test_nobody_erases_who_has_a_role_elsewhere_too(
    people: People, browser: httpx.AsyncClient, admin: int, petr: int
) -> None:
    signing.person(people.connection, PETR, "crew", "zdarna", title=TITLE, session=None)
    assert (await browser.delete(f"/v1/people/{petr}", headers=VERSION)).status_code == 403
    assert people.one("SELECT name FROM person WHERE person_id = %s", petr) == PETR


def test_whatever_names_a_person_goes_with_them(people: People) -> None:
    """A later table that refers to people must say what becomes of its rows."""
    rows = people.connection.execute(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'person'::regclass"
        " AND confdeltype NOT IN ('c', 'n')"
    ).fetchall()
    assert rows == []
