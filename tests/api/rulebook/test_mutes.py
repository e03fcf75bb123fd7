"""A mute is lifted or made shorter on the asset's page and by the API, by who works on alerts there; the log knows."""

from datetime import timedelta

import httpx

from tests.api import signing
from tests.api.alerting import HTML, lamp_out
from tests.api.conftest import NOW, Region
from tests.api.rulebook.conftest import ENGLISH
from tests.api.rulebook.test_trials import refused, version

LABEL = "VO-9 Nádražní"


async def mute(client: httpx.AsyncClient, number: int, days: int) -> None:
    until = (NOW + timedelta(days=days)).isoformat()
    answer = await client.post(f"/v1/alerts/{number}/mute", json={"until": until, "reason": "waits for a part"})
    assert answer.status_code == 200, answer.text


async def muted(client: httpx.AsyncClient, asset_id: int) -> tuple[str | None, str | None]:
    items = (await client.get(f"/v1/assets/{asset_id}/rules")).json()["items"]
    (found,) = [item for item in items if item["rule"] == "lamp_out"]
    return found["muted_until"], found["muted_by"]


async def test_a_mute_is_shortened_by_another_and_lifted(region: Region, client: httpx.AsyncClient) -> None:
    number, lamp = lamp_out(region), region.asset_id(LABEL)
    await mute(client, number, 30)
    await mute(client, number, 2)
    assert await muted(client, lamp) == ((NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z"), "Jana")
    before, path = version(region), f"/v1/assets/{lamp}/rules/lamp_out/unmute"
    answer = await client.post(path, json={}, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["rule"], answer.json()["who"]) == (200, "lamp_out", "Jana")
    assert await muted(client, lamp) == (None, None), "no older one comes back"
    assert version(region) > before, "ingest reads it at once"
    assert (await client.post(path, json={}, headers={"idempotency-key": "k"})).status_code == 200
    refused(await client.post(path, json={}), 404, "mute")
    entries = region.connection.execute(
        "SELECT action, detail->'keys', pseudonym IS NOT NULL, municipality_id FROM audit_entry"
        " WHERE subject = 'rule_mute' ORDER BY entry_id"
    ).fetchall()
    assert entries == [("created", [n], True, 1) for n in (1, 2, 3)]


async def test_the_button_stands_at_the_rule_and_only_for_who_may(region: Region, client: httpx.AsyncClient) -> None:
    number, lamp = lamp_out(region), region.asset_id(LABEL)
    await mute(client, number, 30)
    action = f'action="/assets/{lamp}/rules/lamp_out/unmute"'
    page = (await client.get(f"/assets/{lamp}", headers=HTML)).text
    assert action in page
    assert "Zrušit ztlumení" in page
    assert "Lift the mute" in (await client.get(f"/assets/{lamp}", headers=HTML | ENGLISH)).text
    signing.person(region.connection, "ina@x.example", "viewer", "olsinka", title="Ina", session="inas-session")
    signing.sign(client, "inas-session")
    page = (await client.get(f"/assets/{lamp}", headers=HTML)).text
    assert "ztlumil(a) Jana" in page
    assert action not in page
    refused(await client.post(f"/v1/assets/{lamp}/rules/lamp_out/unmute", json={}), 403, "act_right")
    signing.person(region.connection, "jan@x.example", "crew", "olsinka", title="Jan", session="jans-session")
    signing.sign(client, "jans-session")
    answer = await client.post(f"/assets/{lamp}/rules/lamp_out/unmute", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/assets/{lamp}?said=unmuted#said")
    page = (await client.get(f"/assets/{lamp}?said=unmuted", headers=HTML)).text
    assert "Ztlumení je zrušené" in page
    assert action not in page
