"""A maintenance window is set for a place that is there, changed by who has seen it, and taken away."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.api.alerting import HTML
from tests.api.conftest import NOW, Region
from tests.api.rulebook.conftest import ENGLISH


def body(**more: Any) -> dict[str, Any]:
    return {
        "municipality": "olsinka",
        "scope_type": "asset",
        "scope_name": "VO-9 Nádražní",
        "valid_from": NOW.isoformat(),
        "valid_to": (NOW + timedelta(hours=8)).isoformat(),
        "reason": "New poles",
    } | more


async def test_a_window_is_set_changed_and_cancelled(region: Region, client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/maintenance-windows", json=body())
    assert made.status_code == 201, made.text
    assert made.json()["scope_name"] == str(region.asset_id("VO-9 Nádražní"))
    assert (made.json()["label"], made.json()["who"]) == ("VO-9 Nádražní", "Jana")
    path = made.headers["location"]
    changed = body(scope_type="municipality", scope_name="")
    assert (await client.put(path, json=changed)).status_code == 428
    answer = await client.put(path, json=changed, headers={"if-match": made.headers["etag"]})
    assert (answer.status_code, answer.json()["scope_name"]) == (200, "olsinka")
    assert (await client.put(path, json=changed, headers={"if-match": made.headers["etag"]})).status_code == 412
    assert len((await client.get("/v1/maintenance-windows?municipality=olsinka")).json()["items"]) == 1
    assert (await client.get("/v1/maintenance-windows?municipality=zdarna")).json()["items"] == []
    assert (await client.delete(path, headers={"if-match": answer.headers["etag"]})).status_code == 204
    actions = region.connection.execute(
        "SELECT action FROM audit_entry WHERE subject = 'maintenance_window' ORDER BY entry_id"
    ).fetchall()
    assert [action for (action,) in actions] == ["created", "changed", "removed"]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"scope_name": "VO-99"}, 400, "window_place"),
        ({"scope_type": "feeder", "scope_name": "RVO-7/1"}, 400, "window_place"),
        ({"valid_to": NOW.isoformat()}, 400, "window_span"),
        (
            {"valid_from": (NOW - timedelta(days=2)).isoformat(), "valid_to": (NOW - timedelta(days=1)).isoformat()},
            400,
            "window_over",
        ),
        ({"valid_to": (NOW + timedelta(days=400)).isoformat()}, 400, "window_span"),
        ({"municipality": "nowhere"}, 404, "municipality"),
        ({"reason": ""}, 400, "body"),
        ({"scope_name": "\0"}, 400, "body"),
    ],
)
async def test_a_wrong_window_is_refused_with_what_is_wrong(
    region: Region, client: httpx.AsyncClient, more: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.post("/v1/maintenance-windows", json=body(**more))
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")
    assert region.connection.execute("SELECT count(*) FROM maintenance_window").fetchone() == (0,)


async def test_the_form_says_in_place_what_is_wrong_and_keeps_what_was_written(
    region: Region, client: httpx.AsyncClient
) -> None:
    fields = body(scope_name="VO-99", valid_from="2026-11-21T07:00", valid_to="2026-11-21T15:00")
    answer = await client.post("/rules/windows", data=fields, headers={**HTML, **ENGLISH})
    assert answer.status_code == 400
    for words in ('role="alert"', "There is no such place", 'value="VO-99"', 'value="New poles"'):
        assert words in answer.text
    answer = await client.post("/rules/windows", data=fields | {"scope_name": "VO-9 Nádražní"}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules?said=window")
    page = (await client.get("/rules?said=window", headers={**HTML, **ENGLISH})).text
    assert "The maintenance window is set." in page
    assert "VO-9 Nádražní" in page
    row = region.connection.execute("SELECT valid_from AT TIME ZONE 'Europe/Prague' FROM maintenance_window").fetchone()
    assert row is not None
    assert row[0].isoformat() == "2026-11-21T07:00:00", "times of the form are local"
