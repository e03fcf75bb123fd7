"""Releases and campaigns over the API and as pages without scripts: who may, what is refused, how far it has come."""

import hashlib
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.firmware import examples
from kraj.firmware_release import SLOT_BYTES, key_number
from kraj.store.registry import NewAsset, NewDevice, register
from tests.api.conftest import MUNICIPALITIES, NOW, Region
from tests.api.lighting.conftest import Signed, as_person, street
from tests.kraj.store.firmware import PUBLIC, SPARE, container

__all__ = ["as_person", "street"]  # fixtures

HTML = {"accept": "text/html"}
BINARY = {"content-type": "application/octet-stream"}
SOON = int((NOW + timedelta(days=30)).timestamp())
LAMPS = 20


@pytest.fixture
def trusted(street: Region) -> Region:
    """The street in a region that trusts two keys; its devices run 1.1.0."""
    for place, key in enumerate(PUBLIC, 1):
        street.connection.execute("INSERT INTO firmware_key VALUES (%s, %s, %s)", [key_number(key), place, key])
    street.connection.execute(
        "INSERT INTO device_status (device_id, online, firmware, changed_at)"
        " SELECT device_id, true, '1.1.0', %s FROM device WHERE name LIKE 'street-%%'",
        [NOW],
    )
    return street


async def bring(client: httpx.AsyncClient, version: int = 2, **other: Any) -> dict[str, Any]:
    answer = await client.post(
        "/v1/firmware/releases", content=container(version, expires=SOON, **other), headers=BINARY
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def begin(client: httpx.AsyncClient, release: str, **other: Any) -> httpx.Response:
    body = {"release": release, "municipality": "olsinka", "reason": "oprava", **other}
    return await client.post("/v1/firmware/campaigns", json=body)


def problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


async def test_a_release_is_kept_as_it_was_signed_and_once(trusted: Region, client: httpx.AsyncClient) -> None:
    made = await bring(client)
    assert made.keys() == examples.RELEASE.keys()
    assert (made["name"], made["version"], made["published_at"]) == ("1.2.0", 2, None)
    again = await client.post("/v1/firmware/releases", content=container(2, expires=SOON), headers=BINARY)
    assert (again.status_code, again.json()) == (200, made)
    assert (await client.get("/v1/firmware/releases")).json()["items"] == [made]
    assert (await client.get(f"/v1/firmware/releases/{made['release']}")).json() == made
    [kept] = trusted.connection.execute("SELECT container FROM firmware_container").fetchall()
    assert kept[0] == container(2, expires=SOON)
    keys = (await client.get("/v1/firmware/keys")).json()["items"]
    assert [key["key"] for key in keys] == [key_number(key) for key in PUBLIC]
    assert (await bring(client, 3, key=SPARE))["key"] == key_number(PUBLIC[1])


async def test_what_no_key_of_the_region_has_signed_is_refused(trusted: Region, client: httpx.AsyncClient) -> None:
    good = container(2, expires=SOON)
    other = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
    for content, status, code in (
        (container(2, key=other, expires=SOON), 422, "release_key"),
        (good[:-1] + b"\0", 422, "release_file"),
        (good[: len(good) // 2], 422, "release_file"),
        (b"", 422, "release_form"),
        (b"PK\3\4" + bytes(500), 422, "release_form"),
        (container(2, expires=int(NOW.timestamp())), 422, "release_expired"),
        (bytes(SLOT_BYTES + 1), 413, "too_large"),
    ):
        problem(await client.post("/v1/firmware/releases", content=content, headers=BINARY), status, code)
    problem(await client.post("/v1/firmware/releases", json={}), 415, "firmware_media")
    wrong = bytearray(good)
    wrong[40] ^= 1
    assert (await client.post("/v1/firmware/releases", content=bytes(wrong), headers=BINARY)).status_code == 422
    await bring(client)
    taken = await client.post("/v1/firmware/releases", content=container(2, expires=SOON + 1), headers=BINARY)
    problem(taken, 409, "release_taken")
    trusted.connection.execute("DELETE FROM firmware_key")
    problem(await client.post("/v1/firmware/releases", content=good, headers=BINARY), 409, "firmware_keys")
    assert trusted.connection.execute("SELECT count(*) FROM firmware_release").fetchone() == (1,)


async def test_a_campaign_is_begun_told_and_steered(trusted: Region, client: httpx.AsyncClient) -> None:
    made = await bring(client)
    answer = await begin(client, made["release"], kind="lamp", share_pct=10)
    assert answer.status_code == 201, answer.text
    campaign = answer.json()
    assert campaign.keys() == examples.CAMPAIGN.keys()
    known = (campaign["devices"], campaign["offered"], campaign["waiting"])
    assert known == (campaign["offered"] + campaign["waiting"], -(-campaign["devices"] // 10), known[2])
    where = f"/v1/firmware/campaigns/{campaign['campaign_id']}"
    devices = (await client.get(f"{where}/devices", params={"limit": 200})).json()["items"]
    assert devices[0].keys() == examples.UPDATES["items"][0].keys()
    assert len(devices) == campaign["devices"] >= LAMPS
    offered = (await client.get(f"{where}/devices", params={"state": "offered"})).json()["items"]
    assert len(offered) == campaign["offered"]
    page = (await client.get(f"{where}/devices", params={"limit": 1})).json()
    assert page["next_cursor"]
    for step, state in (("pause", "paused"), ("resume", "running"), ("go_on", "running"), ("stop", "stopped")):
        answer = await client.post(f"{where}/steps", json={"step": step})
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert answer.json()["cancelled"] == campaign["devices"]
    problem(await client.post(f"{where}/steps", json={"step": "resume"}), 409, "campaign_step")
    listed = (await client.get("/v1/firmware/campaigns", params={"release": made["release"]})).json()["items"]
    assert [one["campaign_id"] for one in listed] == [campaign["campaign_id"]]


async def test_a_campaign_that_can_reach_nobody_or_says_two_things_is_refused(
    trusted: Region, client: httpx.AsyncClient
) -> None:
    made = await bring(client)
    problem(await begin(client, "0" * 16), 404, "release")
    problem(await begin(client, made["release"], municipality="nowhere"), 404, "municipality")
    problem(await begin(client, made["release"], group_id=1), 400, "campaign_what")
    problem(await begin(client, made["release"], municipality=None, group_id=99), 404, "group")
    problem(await begin(client, made["release"], kind="stop"), 409, "campaign_empty")
    problem(await begin(client, made["release"], kind="toaster"), 400, "kind")
    problem(await begin(client, made["release"], share_pct=0), 400, "body")
    trusted.connection.execute("UPDATE device_status SET firmware = '1.2.0'")
    problem(await begin(client, made["release"], municipality=None, group_id=1), 409, "campaign_empty")
    assert trusted.connection.execute("SELECT count(*) FROM firmware_campaign").fetchone() == (0,)
    answer = await client.post(f"/v1/firmware/releases/{made['release']}/withdraw")
    assert answer.json()["withdrawn_at"]
    assert (await client.post(f"/v1/firmware/releases/{made['release']}/withdraw")).json() == answer.json()
    problem(await begin(client, made["release"]), 409, "release_withdrawn")


async def test_a_town_hands_out_at_home_and_brings_no_release(
    trusted: Region, client: httpx.AsyncClient, as_person: Signed
) -> None:
    made = await bring(client)
    async with as_person("municipality_admin") as admin, as_person("viewer") as viewer:
        content = container(5, expires=SOON)
        problem(await admin.post("/v1/firmware/releases", content=content, headers=BINARY), 403, "firmware_right")
        problem(await admin.post(f"/v1/firmware/releases/{made['release']}/withdraw"), 403, "firmware_right")
        problem(await begin(admin, made["release"], municipality=None), 403, "control_right")
        problem(await begin(admin, made["release"], municipality="zdarna"), 403, "control_right")
        problem(await begin(viewer, made["release"]), 403, "control_right")
        campaign = (await begin(admin, made["release"])).json()
        where = f"/v1/firmware/campaigns/{campaign['campaign_id']}"
        assert (await viewer.get(where)).json()["devices"] == campaign["devices"]
        problem(await viewer.post(f"{where}/steps", json={"step": "stop"}), 403, "control_right")
        everywhere = (await begin(client, made["release"], municipality=None)).json()
        assert everywhere["municipality"] is None
        foreign = f"/v1/firmware/campaigns/{everywhere['campaign_id']}"
        problem(await admin.get(foreign), 404, "campaign")
        problem(await admin.get(f"{foreign}/devices"), 404, "campaign")
        problem(await admin.post(f"{foreign}/steps", json={"step": "stop"}), 404, "campaign")


async def test_the_pages_do_all_of_it_without_scripts(trusted: Region, client: httpx.AsyncClient) -> None:
    files = {"file": ("kraj-1.2.0.bin", container(2, expires=SOON), "application/octet-stream")}
    answer = await client.post("/firmware/releases", files=files, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/firmware?said=release#said")
    digest = (await client.get("/v1/firmware/releases")).json()["items"][0]["release"]
    text = (await client.get("/firmware", headers=HTML)).text
    assert digest in text
    assert "1.2.0" in text
    form = {"release": digest, "whom": "olsinka", "kind": "lamp", "share_pct": "10", "soak_min": "0"}
    form |= {"failures_max_pct": "5", "reason": ""}
    wrong = await client.post("/firmware/campaigns", data=form, headers=HTML)
    assert wrong.status_code == 400
    assert 'value="10"' in wrong.text
    none = await client.post("/firmware/campaigns", data=form | {"whom": "", "reason": "oprava"}, headers=HTML)
    assert none.status_code in {400, 404}, "a missing field never means the whole region"
    answer = await client.post("/firmware/campaigns", data=form | {"reason": "oprava"}, headers=HTML)
    where = answer.headers["location"].partition("?")[0]
    for language in ("cs", "en"):
        page = await client.get(where, params={"lang": language, "state": "offered"}, headers=HTML)
        assert page.status_code == 200
        assert "1.1.0" in page.text
    answer = await client.post(f"{where}/steps", data={"step": "pause"}, headers=HTML)
    assert answer.status_code == 303
    again = await client.post(f"{where}/steps", data={"step": "pause"}, headers=HTML)
    assert again.status_code == 409
    group = form | {"whom": "group:1", "reason": "skupina"}
    assert (await client.post("/firmware/campaigns", data=group, headers=HTML)).status_code == 303
    answer = await client.post(f"/firmware/releases/{digest}/withdraw", headers=HTML)
    assert answer.headers["location"] == "/firmware?said=withdrawn#said"
    assert (await client.get("/firmware", params={"lang": "en"}, headers=HTML)).text.count("withdrawn") >= 1
    broken = {"file": ("x.bin", b"no release", "application/octet-stream")}
    answer = await client.post("/firmware/releases", files=broken, headers=HTML | {"accept-language": "en"})
    assert answer.status_code == 422
    assert "kraj firmware build" in answer.text


async def test_what_was_done_stands_in_the_audit_log(trusted: Region, client: httpx.AsyncClient) -> None:
    made = await bring(client)
    await begin(client, made["release"])
    rows = trusted.connection.execute(
        "SELECT subject, action FROM audit_entry WHERE subject LIKE 'firmware%' ORDER BY entry_id"
    ).fetchall()
    assert ("firmware_release", "created") in rows
    assert ("firmware_campaign", "created") in rows


async def test_a_device_that_serves_two_assets_is_told_once(trusted: Region, client: httpx.AsyncClient) -> None:
    two = {n: NewAsset(kind="stop", label=f"Z-{n}") for n in (0, 1)}
    register(trusted.connection, MUNICIPALITIES, [NewDevice(name="two", municipality="olsinka", assets=two)], NOW)
    made = await bring(client)
    campaign = (await begin(client, made["release"], kind="stop", share_pct=100)).json()
    assert (campaign["devices"], campaign["offered"], campaign["stage"]) == (1, 1, 2)


def test_digests_of_releases_are_counted_from_their_heads(trusted: Region) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        trusted.connection.execute(
            "INSERT INTO firmware_release (digest, product, release_version, name, runtime, expires_at, key_number,"
            " files, size_bytes, head, uploaded_at, who)"
            " VALUES (%s, 'kraj-node', 1, '1', 'mpy 6', %s, %s, 1, 1, %s, %s, 'x')",
            [hashlib.sha256(b"other").hexdigest()[:16], NOW, "0" * 16, b"head", NOW],
        )
