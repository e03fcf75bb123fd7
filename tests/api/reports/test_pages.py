"""Months to choose from, the report in three forms, and switching its sending on, by whoever may and nobody else."""

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.api import signing
from tests.api.conftest import Region

HTML = {"accept": "text/html"}


def target(region: Region, name: str = "rada", url: str = "mailto://a:b@example.cz", town: int = 1) -> int:
    row = region.connection.execute(
        "INSERT INTO notification_target (municipality_id, name, url) VALUES (%s, %s, %s) RETURNING target_id",
        [town, name, url],
    ).fetchone()
    assert row is not None
    return row[0]


def kept(region: Region, statement: str) -> list[tuple[Any, ...]]:
    return region.connection.execute(statement.encode()).fetchall()


async def test_a_month_is_read_printed_and_taken_to_a_spreadsheet(client: httpx.AsyncClient, town: Region) -> None:
    page = (await client.get("/reports?municipality=olsinka", headers=HTML)).text
    assert 'href="/reports/olsinka/2026-10.html"' in page
    assert "říjen 2026" in page
    html = await client.get("/reports/olsinka/2026-10.html")
    assert "Zpráva za říjen 2026: Olšinka" in html.text
    assert "Report of October 2026" in (await client.get("/reports/olsinka/2026-10.html?lang=en")).text
    table = await client.get("/reports/olsinka/2026-10.csv?building=2")
    assert table.content.startswith("\ufeffOblast;".encode())
    assert table.headers["content-disposition"] == 'attachment; filename="olsinka-2-2026-10.csv"'
    printed = await client.get("/reports/olsinka/2026-10.pdf")
    assert (printed.headers["content-type"], printed.content[:4]) == ("application/pdf", b"%PDF")
    empty = (await client.get("/reports/zdarna/2026-08.html")).text
    assert "nejsou zařízení" in empty


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/reports/olsinka/2027-01.html", 404, "report_month"),
        ("/reports/olsinka/x.csv", 404, "report_month"),
        ("/reports/nowhere/2026-10.html", 404, "municipality"),
        ("/reports/olsinka/2026-10.html?building=99", 404, "report_building"),
        ("/reports/zdarna/2026-10.html?building=2", 404, "report_building"),
        ("/reports?municipality=nowhere", 404, "municipality"),
    ],
)
async def test_what_is_not_there_is_said(
    client: httpx.AsyncClient, town: Region, path: str, status: int, code: str
) -> None:
    answer = await client.get(path, headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, code), answer.text


async def test_sending_is_switched_on_asked_for_again_and_off(client: httpx.AsyncClient, town: Region) -> None:
    number = target(town)
    hook = target(town, "hook", "json://example.cz")
    page = (await client.get("/reports?municipality=olsinka", headers=HTML)).text
    assert f'<option value="{number}">rada</option>' in page
    assert "hook" not in page
    form = {"municipality": "olsinka", "target_id": str(number), "building": "", "language": "en"}
    for given in (form, form, form | {"building": "2"}):
        assert (await client.post("/reports/subscriptions", data=given)).status_code == 303
    assert kept(town, "SELECT target_id, group_id, language, who FROM report_subscription ORDER BY 2 NULLS FIRST") == [
        (number, None, "en", "Jana"),
        (number, 2, "en", "Jana"),
    ]
    for wrong in ({"target_id": str(hook)}, {"target_id": "x"}, {"municipality": "zdarna"}):
        answer = await client.post("/reports/subscriptions", data=form | wrong, headers=HTML)
        assert answer.status_code == 400
        assert "Sem zprávy posílat nejde" in answer.text
    for _ in range(2):
        answer = await client.post("/reports/subscriptions/1/again", data={"month": "2026-10"})
        assert answer.headers["location"] == "/reports?said=again"
    assert kept(town, "SELECT month::text, again, state FROM report_run ORDER BY 2") == [
        ("2026-10-01", 1, "waiting"),
        ("2026-10-01", 2, "waiting"),
    ]
    page = (await client.get("/reports?municipality=olsinka&said=again", headers=HTML)).text
    assert "čeká na odeslání" in page
    assert (await client.post("/reports/subscriptions/1/again", data={"month": "2027-01"})).status_code == 400
    assert (await client.post("/reports/subscriptions/1/drop")).status_code == 303
    assert (await client.post("/reports/subscriptions/1/drop")).status_code == 404
    assert kept(town, "SELECT group_id FROM report_subscription") == [(2,)]
    assert (
        len(kept(town, "SELECT FROM audit_entry WHERE subject = 'report_subscription' AND pseudonym IS NOT NULL")) >= 3
    )


async def test_another_town_sees_nothing_and_who_may_only_read_changes_nothing(
    client: httpx.AsyncClient, town: Region, database_role_url: Callable[[str], str]
) -> None:
    number = target(town)
    town.connection.execute(
        "INSERT INTO report_subscription (municipality_id, target_id, who, at) VALUES (1, %s, 'Jana', now())", [number]
    )
    signing.person(town.connection, "eva@zdarna.cz", "municipality_admin", "zdarna", session="eva", title="Eva")
    signing.person(town.connection, "ota@olsinka.cz", "viewer", "olsinka", session="ota", title="Ota")
    form = {"municipality": "olsinka", "target_id": str(number), "building": "2"}
    eva, ota = ({"cookie": f"{signing.COOKIE}={session}"} for session in ("eva", "ota"))
    client.cookies.clear()
    assert (await client.get("/reports/olsinka/2026-10.html", headers=eva)).status_code == 404
    assert (await client.get("/reports?municipality=olsinka", headers=HTML | eva)).status_code == 404
    assert (await client.post("/reports/subscriptions", data=form, headers=eva)).status_code == 404
    assert (await client.get("/reports/olsinka/2026-10.html", headers=ota)).status_code == 200
    assert (await client.post("/reports/subscriptions", data=form, headers=ota)).status_code == 403
    for who in (eva, ota):
        again = await client.post("/reports/subscriptions/1/again", data={"month": "2026-10"}, headers=who)
        drop = await client.post("/reports/subscriptions/1/drop", headers=who)
        assert (again.status_code, drop.status_code) == (404, 404)
    assert kept(town, "SELECT count(*) FROM report_run") == [(0,)]
    # The worker's setting means nothing in the hands of the API.
    with psycopg.connect(database_role_url("kraj_api"), autocommit=True) as api, api.transaction():
        api.execute("SELECT set_config('kraj.report', '1', true)")
        assert api.execute("SELECT count(*) FROM kpi_lighting_energy_kwh").fetchone() == (0,)
        assert api.execute("SELECT count(*) FROM report_subscription").fetchone() == (0,)
    with psycopg.connect(database_role_url("kraj_notify"), autocommit=True) as worker, worker.transaction():
        towns = "SELECT array_agg(DISTINCT municipality_id) FROM kpi_lighting_energy_kwh"
        assert worker.execute(towns).fetchone() == (None,)
        worker.execute("SELECT set_config('kraj.report', '2', true)")
        assert worker.execute(towns).fetchone() == (None,)
        worker.execute("SELECT set_config('kraj.report', '1', true)")
        assert worker.execute(towns).fetchone() == ([1],)
