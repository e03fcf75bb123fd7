"""The pages of teams and grants are for who manages people, and only in their own municipality."""

from typing import Any

import httpx

from tests.api import signing
from tests.api.alerting import HTML
from tests.api.conftest import OWNER, Region, client, empty_region, region

__all__ = ["OWNER", "client", "empty_region", "region"]
GRANT = {"municipality": "olsinka", "whom": "region", "right.read": "1", "reason": "r"}


def rows(region: Region, table: str) -> int:
    row = region.connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return row[0]


async def test_who_does_not_manage_people_has_neither_page_nor_link(region: Region, client: httpx.AsyncClient) -> None:
    signing.person(region.connection, "v@olsinka.example", "viewer", "olsinka", session="viewer-session")
    signing.sign(client, "viewer-session")
    for path in ("/teams", "/teams/1", "/grants"):
        assert (await client.get(path, headers=HTML)).status_code == 403, path
    for path, data in (("/teams", {"name": "x"}), ("/grants", GRANT), ("/grants/1/end", {}), ("/teams/1", {})):
        assert (await client.post(path, data=data, headers=HTML)).status_code == 403, path
    page = (await client.get("/", headers=HTML)).text
    assert "/grants" not in page
    assert "/rules" in page
    assert (rows(region, "team"), rows(region, "access_grant")) == (0, 0)


async def test_a_towns_administrator_shares_its_own_assets_only(region: Region, client: httpx.AsyncClient) -> None:
    signing.person(region.connection, "eva@olsinka.example", "municipality_admin", "olsinka", session="evas-session")
    region.connection.execute("INSERT INTO asset_group (municipality_id, name) VALUES (2, 'theirs')")
    region.connection.execute("INSERT INTO team (municipality_id, name) VALUES (2, 'theirs')")
    region.connection.execute(
        "INSERT INTO access_grant (municipality_id, to_region, rights, valid_from, who, reason)"
        " VALUES (2, true, '{read}', now(), 'x', 'theirs')"
    )
    signing.sign(client, "evas-session")

    async def status(path: str, **data: Any) -> int:
        return (await client.post(path, data=data, headers=HTML)).status_code

    assert await status("/grants", **GRANT | {"municipality": "zdarna"}) == 404
    assert await status("/grants", **GRANT | {"group": "1"}) == 404
    assert await status("/grants", **GRANT | {"whom": ""}) == 400
    assert await status("/grants", **GRANT | {"until": "31. 12."}) == 400
    assert await status("/grants/1/end", version="1") == 404
    assert await status("/teams", name="x") == 403, "of the region"
    assert await status("/teams", name="x", municipality="zdarna") == 404
    assert await status("/teams/1", version="1") == 404
    assert await status("/grants", **GRANT) == 303
    assert rows(region, "access_grant") == 2
    page = (await client.get("/grants", headers=HTML)).text
    assert "theirs" not in page
    assert await status("/grants/2/end", version="7") == 412
    assert await status("/grants/2/end", version="1") == 303


async def test_whom_one_does_not_see_stays_in_a_team(region: Region, client: httpx.AsyncClient) -> None:
    signing.person(region.connection, "eva@olsinka.example", "municipality_admin", "olsinka", session="evas-session")
    crew = signing.person(region.connection, "c@olsinka.example", "crew", "olsinka", session=None)
    other = signing.person(region.connection, "o@zdarna.example", "crew", "zdarna", session=None)
    region.connection.execute("INSERT INTO team (municipality_id, name) VALUES (1, 'crew')")
    region.connection.execute("INSERT INTO team_member VALUES (1, %s)", [other])
    signing.sign(client, "evas-session")
    answer = await client.post("/teams/1", data={"version": "1", f"member.{crew}": "1"}, headers=HTML)
    assert answer.status_code == 303, answer.text
    found = region.connection.execute("SELECT person_id FROM team_member ORDER BY 1").fetchall()
    assert found == [(crew,), (other,)]
    stranger = await client.post("/teams/1", data={"version": "2", f"member.{other}": "1"}, headers=HTML)
    assert stranger.status_code == 303
    assert region.connection.execute("SELECT person_id FROM team_member").fetchall() == [(other,)]
