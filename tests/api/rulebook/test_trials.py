"""A rule is tried before it is on: its verdict is what it would have told, and what tells of too much is refused."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.api import signing
from tests.api.conftest import Region
from tests.api.rulebook.conftest import ENGLISH, HOT, tried


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text
    return answer.json()


def version(region: Region) -> int:
    row = region.connection.execute("SELECT version FROM registry_version").fetchone()
    assert row is not None
    return row[0]


async def test_an_own_rule_is_tried_switched_on_listed_and_off_again(
    measured: Region, client: httpx.AsyncClient
) -> None:
    trial = await tried(client, text=HOT)
    assert trial["state"] == "done", trial
    verdict = trial["verdict"]
    assert (verdict["raised"], verdict["assets_raised"], verdict["assets"], verdict["readings"]) == (1, 1, 2, 144)
    assert verdict["most"][0]["label"] == "VO-9 Nádražní"
    assert verdict["most"][0]["evidence"]["gear_temp_degc"] == 80
    assert trial["sentence"] == ("In the last 30 days it would have fired 1 times, on 1 of 2 assets (144 readings).")
    assert measured.connection.execute("SELECT count(*) FROM custom_rule").fetchone() == (0,), "trying writes nothing"

    before = version(measured)
    path = f"/v1/trials/{trial['trial_id']}/adopt"
    on = refused(await client.post(path, json={}, headers=ENGLISH), 409, "too_many")
    assert "1 times on 1 assets" in on["detail"], "one of two lamps in a month is more than a tenth a week"
    assert (await client.post(path, json={"confirm": True})).status_code == 200
    refused(await client.post(path, json={"confirm": True}), 409, "trial_adopted")
    assert version(measured) > before, "ingest reads it at once"

    (own,) = (await client.get("/v1/custom-rules")).json()["items"]
    assert (own["name"], own["enabled"], own["who"], own["municipality"]) == ("gear_hot", True, "Jana", "olsinka")
    listed = {rule["rule"]: rule for rule in (await client.get("/v1/rules", headers=ENGLISH)).json()["items"]}
    assert listed["gear_hot"]["title"] == "Hot gear"
    assert listed["gear_hot"]["municipality"] == "olsinka"
    lamp = (await client.get(f"/v1/assets/{measured.asset_id('VO-9 Nádražní')}/rules", headers=ENGLISH)).json()
    assert {rule["rule"]: rule["standing"] for rule in lamp["items"]}["gear_hot"] == "runs"

    path = f"/v1/custom-rules/{own['custom_rule_id']}"
    assert (await client.post(f"{path}/off", json={})).json()["enabled"] is False
    assert "gear_hot" not in {rule["rule"] for rule in (await client.get("/v1/rules")).json()["items"]}
    refused(await client.delete(path), 428, "if_match")
    refused(await client.delete(path, headers={"if-match": '"another"'}), 412, "changed")
    tag = (await client.get(path)).headers["etag"]
    assert (await client.delete(path, headers={"if-match": tag})).status_code == 204
    refused(await client.get(path), 404, "number")


async def test_other_thresholds_are_tried_for_a_town_and_written_for_it(
    measured: Region, client: httpx.AsyncClient
) -> None:
    rules = {rule["rule"]: rule for rule in (await client.get("/v1/rules")).json()["items"]}
    name, threshold = next((n, t) for n, r in rules.items() for t in r["thresholds"] if "lamp" in r["kinds"])
    trial = await tried(client, rule=name, thresholds={threshold: 7}, reason="new lamps", days=3)
    assert trial["state"] == "done", trial
    assert trial["verdict"]["days"] == 3
    assert (await client.post(f"/v1/trials/{trial['trial_id']}/adopt", json={})).status_code == 200
    (said,) = (await client.get("/v1/rule-overrides?municipality=olsinka")).json()["items"]
    assert (said["rule"], said["thresholds"], said["enabled"]) == (name, {threshold: 7}, True)
    answer = await client.post(
        "/v1/rule-overrides", json={"municipality": "olsinka", "rule": name, "reason": "we rebuild"}
    )
    assert answer.status_code == 201
    assert (answer.json()["enabled"], answer.json()["thresholds"]) == (False, {threshold: 7})
    body = {"municipality": "olsinka", "rule": name, "thresholds": {"no_such": 1}}
    assert "no_such" in refused(await client.post("/v1/trials", json=body), 400, "thresholds")["detail"]
    refused(await client.post("/v1/trials", json={"municipality": "olsinka"}), 400, "proposal")
    refused(await client.post("/v1/trials", json={"municipality": "olsinka", "rule": "no_rule"}), 404, "rule")
    body = {"municipality": "olsinka", "rule": name, "thresholds": {threshold: 1}, "group_id": 99}
    refused(await client.post("/v1/trials", json=body), 404, "group")


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (HOT.replace("gear_temp_degc >", "gear_tmp_degc >"), (3, 9), "gear_temp_degc"),
        (HOT.replace("> limit_degc", "> 3 W"), (3, 26), "°C"),
        (HOT.replace('for = "10 min"', "for = 10"), (4, 7), "duration"),
        (HOT.replace("guards", "gards"), (5, 1), "guards"),
        (HOT.replace("title = {", "title = "), (8, 10), "rules"),
        (HOT.replace("[gear_hot]", "[lamp_out]"), (1, 1), "name of its own"),
    ],
)
async def test_a_mistake_is_told_with_its_place(
    region: Region, client: httpx.AsyncClient, text: str, place: tuple[int, int], says: str
) -> None:
    mistake = (await client.post("/v1/rules/check", json={"text": text})).json()["mistake"]
    assert (mistake["line"], mistake["column"]) == place, mistake
    assert says in f"{mistake['expected']} {mistake['hint']}"
    answer = await client.post("/v1/trials", json={"municipality": "olsinka", "text": text}, headers=ENGLISH)
    assert "Line {}, column {}".format(*place) in refused(answer, 400, "rule_text")["detail"]


async def test_a_town_sees_and_tries_its_own_only(measured: Region, client: httpx.AsyncClient) -> None:
    """An energy manager of the other town: no assets of this one are judged, nothing can be proposed for it."""
    signing.person(
        measured.connection, "eva@zdarna.example", "energy_manager", "zdarna", title="Eva", session="evas-session"
    )
    signing.person(measured.connection, "jan@olsinka.example", "crew", "olsinka", title="Jan", session="jans-session")
    trial = await tried(client, text=HOT)
    signing.sign(client, "evas-session")
    refused(await client.get(f"/v1/trials/{trial['trial_id']}"), 404, "trial")
    refused(await client.post("/v1/trials", json={"municipality": "olsinka", "text": HOT}), 404, "municipality")
    hers = await tried(client, municipality="zdarna", text=HOT)
    assert (hers["verdict"]["assets"], hers["verdict"]["readings"]) == (0, 0)
    signing.sign(client, "jans-session")
    refused(await client.post("/v1/trials", json={"municipality": "olsinka", "text": HOT}), 403, "rules_right")
    refused(await client.post(f"/v1/trials/{trial['trial_id']}/adopt", json={"confirm": True}), 403, "rules_right")


async def test_a_rules_name_is_one_rules_in_the_region(measured: Region, client: httpx.AsyncClient) -> None:
    for town, status in (("olsinka", 200), ("zdarna", 409)):
        trial = await tried(client, municipality=town, text=HOT)
        answer = await client.post(f"/v1/trials/{trial['trial_id']}/adopt", json={"confirm": True})
        assert answer.status_code == status, answer.text


async def test_requests_go_on_while_a_trial_is_judged(measured: Region, client: httpx.AsyncClient) -> None:
    """The trial's process takes some seconds to begin alone; meanwhile no request waits for it."""
    answer = await client.post("/v1/trials", json={"municipality": "olsinka", "text": HOT})
    slowest, state, asked = 0.0, "waiting", time.monotonic()
    while state in ("waiting", "running"):
        began = time.monotonic()
        state = (await client.get(answer.headers["location"])).json()["state"]
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(0.05)
    assert state == "done"
    assert slowest < max(1.5, (time.monotonic() - asked) / 2), "as little of the time as that, on a busy machine"


async def test_trials_of_one_town_are_bounded(measured: Region, client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/v1/trials", json={"municipality": "olsinka", "text": HOT, "days": 1}) for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 409]


async def test_a_trial_whose_process_is_gone_says_so(region: Region, client: httpx.AsyncClient) -> None:
    region.connection.execute(
        "INSERT INTO rule_trial (municipality_id, proposal, who, asked_at, heard_at, state)"
        " VALUES (1, '{\"text\": \"\"}', 'Jana', now(), now() - interval '1 hour', 'running')"
    )
    found = (await client.get("/v1/trials/1", headers=ENGLISH)).json()
    assert found["state"] == "failed"
    assert "begin it again" in found["error"]


async def test_what_was_tried_on_nothing_or_too_little_is_switched_on_only_by_who_insists(
    measured: Region, client: httpx.AsyncClient
) -> None:
    slow = HOT.replace('for = "10 min"', 'for = "9 d"')
    for town, text, code in (("zdarna", HOT, "no_readings"), ("olsinka", slow, "too_short")):
        trial = await tried(client, municipality=town, text=text)
        assert trial["verdict"]["doubts"] == [code]
        path = f"/v1/trials/{trial['trial_id']}/adopt"
        refused(await client.post(path, json={}, headers=ENGLISH), 409, code)
        page = (await client.get(f"/rules/trials/{trial['trial_id']}", headers=ENGLISH | {"accept": "text/html"})).text
        assert {"no_readings": "nothing to judge by", "too_short": "needs 9 days at least, 3 have"}[code] in page
        assert 'name="confirm"' in page
    answer = await client.post(path, json={"confirm": True})
    assert answer.status_code == 200, answer.text
