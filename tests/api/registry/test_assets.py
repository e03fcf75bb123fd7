"""Assets are added, changed by who has seen their state, move between owners, and keep their past."""

from typing import Any

import pytest

from tests.api.registry.conftest import Clerks, made, refused

LAMP: dict[str, Any] = {
    "municipality": "olsinka",
    "kind": "lamp",
    "label": "VO-117",
    "latitude": 49.5,
    "longitude": 15.6,
    "metadata": {"feeder": "RVO-01/2", "power_rated_w": 41, "x_note": "u kostela"},
}


async def test_an_asset_is_added_and_read_back_with_its_state(clerks: Clerks) -> None:
    answer = await clerks.olsinka.post("/v1/assets", json=LAMP)
    assert answer.status_code == 201, answer.text
    asset = answer.json()
    assert asset["metadata"] == LAMP["metadata"]
    assert asset["municipality_title"] == "Olšinka"
    assert answer.headers["location"] == f"/v1/assets/{asset['asset_id']}"
    again = await clerks.olsinka.get(answer.headers["location"])
    assert again.json() == asset
    assert again.headers["etag"] == answer.headers["etag"] == '"1"'


async def test_an_asset_with_a_device_is_served_by_it(clerks: Clerks) -> None:
    await made(clerks.olsinka, "/v1/devices", {"name": "lamp-9", "municipality": "olsinka"})
    asset = await made(clerks.olsinka, "/v1/assets", LAMP | {"device": "lamp-9", "channel": 3})
    assert (asset["device"], asset["channel"]) == ("lamp-9", 3)
    other = await clerks.olsinka.post("/v1/assets", json=LAMP | {"label": "VO-118", "device": "lamp-9", "channel": 3})
    await refused(other, 409, "served")


async def test_a_change_needs_the_state_that_was_seen(clerks: Clerks) -> None:
    url = f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}"
    await refused(await clerks.olsinka.patch(url, json={"label": "VO-90"}), 428, "if_match")
    for stale in ('"7"', 'W/"1"', "1", '""'):
        answer = await clerks.olsinka.patch(url, json={"label": "VO-90"}, headers={"if-match": stale})
        await refused(answer, 412, "changed")
    answer = await clerks.olsinka.patch(url, json={"label": "VO-90"}, headers={"if-match": '"5", "1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    answer = await clerks.olsinka.patch(url, json={"label": "VO-91"}, headers={"if-match": '"1"'})
    await refused(answer, 412, "changed")
    assert (await clerks.olsinka.patch(url, json={"label": "VO-91"}, headers={"if-match": "*"})).status_code == 200


async def test_an_old_label_stays_searchable(clerks: Clerks) -> None:
    asset_id = clerks.database.asset_id("VO-9 Nádražní")
    url = f"/v1/assets/{asset_id}"
    await clerks.olsinka.patch(url, json={"label": "VO-1009"}, headers={"if-match": '"1"'})
    for text in ("nadrazni", "VO-9 Nádražní", "1009"):
        found = (await clerks.olsinka.get("/v1/assets", params={"q": text})).json()["items"]
        assert [item["asset_id"] for item in found] == [asset_id], text
    history = (await clerks.olsinka.get(f"{url}/history")).json()
    assert history["labels"] == [{"label": "VO-9 Nádražní", "valid_to": "2026-11-21T06:15:00.000Z"}]
    assert [row["device"] for row in history["installed"]] == ["lamp-1"]
    assert (await clerks.zdarna.get("/v1/assets", params={"q": "nadrazni"})).json()["items"] == []


async def test_attributes_are_merged_and_null_takes_one_away(clerks: Clerks) -> None:
    url = f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}"
    body = {"metadata": {"street": "Nádražní", "crossing": True}}
    changed = (await clerks.olsinka.patch(url, json=body, headers={"if-match": "*"})).json()
    assert changed["metadata"] == {"pole": 9, "street": "Nádražní", "crossing": 1}, "what was stored before stays"
    changed = await clerks.olsinka.patch(
        url, json={"metadata": {"street": None, "pole": None}}, headers={"if-match": "*"}
    )
    await refused(changed, 400, "metadata")
    changed = await clerks.olsinka.patch(url, json={"metadata": {"street": None}}, headers={"if-match": "*"})
    assert changed.json()["metadata"] == {"pole": 9, "crossing": 1}


async def test_an_asset_changes_owner_and_its_past_stays(clerks: Clerks) -> None:
    asset_id = clerks.database.asset_id("VO-9 Nádražní")
    url, seen = f"/v1/assets/{asset_id}", {"if-match": "*"}
    group = await made(clerks.olsinka, "/v1/groups", {"municipality": "olsinka", "name": "Park", "assets": [asset_id]})
    await refused(await clerks.olsinka.patch(url, json={"municipality": "zdarna"}, headers=seen), 403, "right")
    moved = await clerks.region.patch(url, json={"municipality": "zdarna"}, headers=seen)
    assert moved.json()["municipality"] == "zdarna"
    assert (await clerks.olsinka.get(url)).status_code == 404
    assert (await clerks.zdarna.get(url)).json()["device"] == "lamp-1", "the device went along, its topic did not"
    members = await clerks.region.get(f"/v1/groups/{group['group_id']}/assets")
    assert members.json()["items"] == [], "whom the old owner let at it sees it no more"
    step = {"step": "suspended"}
    assert (await clerks.zdarna.post("/v1/devices/lamp-1/steps", json=step)).status_code == 200


async def test_what_was_never_used_is_removed_and_the_rest_retired(clerks: Clerks) -> None:
    fresh = await made(clerks.olsinka, "/v1/assets", LAMP)
    seen = {"if-match": '"1"'}
    assert (await clerks.olsinka.delete(f"/v1/assets/{fresh['asset_id']}", headers=seen)).status_code == 204
    assert (await clerks.olsinka.get(f"/v1/assets/{fresh['asset_id']}")).status_code == 404
    used = f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}"
    assert (await clerks.olsinka.delete(used, headers=seen)).status_code == 204
    asset = (await clerks.olsinka.get(used)).json()
    assert (asset["retired_at"], asset["device"]) == ("2026-11-21T06:15:00.000Z", None)
    listed = (await clerks.olsinka.get("/v1/assets")).json()["items"]
    assert [item["label"] for item in listed] == ["VO-10 Školní"]
    await refused(await clerks.olsinka.patch(used, json={"label": "x"}, headers={"if-match": "*"}), 409, "retired")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"kind": "tram"}, "body"),
        ({"label": ""}, "body"),
        ({"label": "a\0b"}, "body"),
        ({"label": "x" * 121}, "body"),
        ({"latitude": 91}, "body"),
        ({"latitude": None}, "body"),
        ({"latitude": "NaN"}, "body"),
        ({"municipality": "../x"}, "body"),
        ({"asset_id": 4711}, "field"),
        ({"version": 3}, "field"),
        ({"municipality_id": 2}, "field"),
        ({"metadata": {"feder": "x"}}, "metadata"),
        ({"metadata": {"power_rated_w": "41"}}, "metadata"),
        ({"metadata": {"crossing": "yes"}}, "metadata"),
        ({"metadata": {"street": "x" * 201}}, "metadata"),
        ({"metadata": {"x_note": {"nested": 1}}}, "metadata"),
        ({"metadata": {f"x_{n}": 1 for n in range(51)}}, "metadata"),
        ({"metadata": []}, "body"),
        ({"channel": 1000}, "body"),
    ],
)
async def test_bad_input_is_named_and_nothing_is_written(clerks: Clerks, change: dict[str, Any], code: str) -> None:
    await refused(await clerks.olsinka.post("/v1/assets", json=LAMP | change), 400, code)
    assert len((await clerks.olsinka.get("/v1/assets")).json()["items"]) == 2


async def test_bodies_are_bounded_and_of_one_type(clerks: Clerks) -> None:
    answer = await clerks.olsinka.post("/v1/assets", content=b"kind=lamp", headers={"content-type": "text/plain"})
    await refused(answer, 415, "media_type")
    answer = await clerks.olsinka.post(
        "/v1/assets", content=b" " * 70_000, headers={"content-type": "application/json"}
    )
    await refused(answer, 413, "too_large")
    for broken in (b"", b"{", b"[" * 10_000, b'"x"', b"\xff\xfe", b"null"):
        answer = await clerks.olsinka.post(
            "/v1/assets", content=broken, headers={"content-type": "application/json; charset=utf-8"}
        )
        await refused(answer, 400, "body")


async def test_who_may_only_read_is_told_so(clerks: Clerks) -> None:
    url = f"/v1/assets/{clerks.database.asset_id('VO-9 Nádražní')}"
    await refused(await clerks.viewer.post("/v1/assets", json=LAMP), 403, "right")
    await refused(await clerks.viewer.patch(url, json={"label": "x"}, headers={"if-match": "*"}), 403, "right")
    await refused(await clerks.viewer.delete(url, headers={"if-match": "*"}), 403, "right")
    await refused(await clerks.zdarna.post("/v1/assets", json=LAMP), 403, "right")
    await refused(await clerks.zdarna.patch(url, json={"label": "x"}, headers={"if-match": "*"}), 404, "asset")
    await refused(await clerks.nobody.get(url), 404, "asset")
