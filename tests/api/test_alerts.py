"""Alerts and rules over REST: what is listed, what people may do, and what each wrong request is told."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from kraj.alerts import Severity, Step
from tests.api.alerting import alert_id, change, feeder_trip, lamp_out, told
from tests.api.conftest import NOW, Region

CZECH, ENGLISH = {"accept-language": "cs"}, {"accept-language": "en"}


async def step(client: httpx.AsyncClient, number: int, **body: Any) -> httpx.Response:
    headers = body.pop("headers", ENGLISH)
    return await client.post(f"/v1/alerts/{number}/steps", json={"who": "Jana", **body}, headers=headers)


async def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["type"] == f"/problems/{code}"
    return answer.json()


async def test_a_feeder_trip_is_one_alert_with_its_lamps_under_it(region: Region, client: httpx.AsyncClient) -> None:
    number, children = feeder_trip(region)
    listed = (await client.get("/v1/alerts", headers=ENGLISH)).json()["items"]
    assert [item["alert_id"] for item in listed] == [number]
    assert listed[0]["children"] == 2
    assert listed[0]["symptom"] == "Lamps of feeder RVO-01/2 are dark or silent: 2 of 2."
    assert listed[0]["place"] == "Feeder RVO-01/2"
    everything = (await client.get("/v1/alerts?causes=false")).json()["items"]
    assert {item["alert_id"] for item in everything} == {number, *children}
    one = (await client.get(f"/v1/alerts/{number}", headers=CZECH)).json()
    assert one["title"] == "Výpadek vývodu"
    assert [child["alert_id"] for child in one["children_alerts"]] == children
    assert [event["step"] for event in one["events"]] == ["opened"]
    assert one["attributes"]["driver_model"] == "Xitanium 40"


async def test_texts_are_filled_with_evidence_in_the_readers_language(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    czech = (await client.get(f"/v1/alerts/{number}", headers=CZECH)).json()
    assert czech["symptom"] == "Má svítit na 60 %, ale odebírá jen 0,4 W (čeká se 41,3 W). Napětí 231 V má."
    assert "(typ neznámý)" in czech["bring"], "nobody has registered the driver"
    english = (await client.get(f"/v1/alerts/{number}", headers=ENGLISH)).json()
    assert "takes only 0.4 W (41.3 W expected)" in english["symptom"]
    assert english["evidence"]["expected_power_w"] == 41.25


async def test_alerts_are_filtered_and_paged_newest_first(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(5):
        told(
            region, change(region, "VO-9 Nádražní", f"own_{n}", at=NOW - timedelta(minutes=n), severity=Severity.MINOR)
        )
    told(region, change(region, "Náměstí", "water", severity=Severity.CRITICAL, at=NOW - timedelta(hours=1)))
    seen: list[str] = []
    url = "/v1/alerts?limit=2"
    while url:
        answer = await client.get(url)
        seen += [item["rule"] for item in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ["own_0", "own_1", "own_2", "own_3", "own_4", "water"]

    async def rules(query: str) -> list[str]:
        return [item["rule"] for item in (await client.get(f"/v1/alerts?{query}")).json()["items"]]

    assert await rules("municipality=zdarna") == ["water"]
    assert await rules("severity_min=major") == ["water"]
    assert await rules("rule=own_3") == ["own_3"]
    assert await rules(f"asset_id={region.asset_id('Náměstí')}") == ["water"]
    assert await rules("state=closed") == []
    assert len(await rules("state=all")) == 6
    assert await rules("municipality=nowhere") == []


async def test_an_alert_lives_from_acknowledged_to_closed(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    seen = (await step(client, number, step="acknowledged", version=1)).json()
    assert (seen["state"], seen["version"]) == ("acknowledged", 2)
    seen = (await step(client, number, step="assigned", assignee="Petr", version=2)).json()
    assert (seen["state"], seen["assignee"]) == ("assigned", "Petr")
    seen = (await step(client, number, step="commented", note="klíče u Petra", version=3)).json()
    assert (seen["state"], seen["events"][-1]["note"]) == ("assigned", "klíče u Petra")
    seen = (await step(client, number, step="fixed", cause="driver", version=4)).json()
    assert (seen["state"], seen["cause"], seen["fixed_at"]) == ("fixed", "driver", "2026-11-21T06:15:00.000Z")
    told(region, change(region, "VO-9 Nádražní", "lamp_out", Step.CLEARED, at=NOW))
    seen = (await client.get(f"/v1/alerts/{number}")).json()
    seen = (await step(client, number, step="closed", version=seen["version"])).json()
    assert (seen["state"], seen["closed_at"]) == ("closed", "2026-11-21T06:15:00.000Z")
    assert [event["who"] for event in seen["events"]] == ["telemetry", *["Jana"] * 4, "telemetry", "Jana"]
    assert seen["allowed"] == ["commented"]


async def test_a_false_alarm_has_its_cause_and_is_closed(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    problem = await refused(await step(client, number, step="false_alarm", version=1), 400, "cause")
    assert "crew_test" in problem["hint"]
    seen = (await step(client, number, step="false_alarm", cause="crew_test", version=1)).json()
    assert (seen["state"], seen["cause"]) == ("closed", "crew_test")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"step": "acknowledged", "version": 9}, (412, "stale", "Poruchu mezitím někdo změnil")),
        ({"step": "closed", "version": 1}, (409, "step_active", "Porucha ještě trvá")),
        ({"step": "assigned", "version": 1}, (400, "assignee", "Komu přidělit?")),
        ({"step": "commented", "version": 1}, (400, "note", "Prázdná poznámka")),
        ({"step": "fixed", "cause": "witchcraft", "version": 1}, (400, "cause", "Neznámá příčina")),
        ({"step": "opened", "version": 1}, (400, "body", "Neplatný údaj")),
        ({"step": "acknowledged", "version": 1, "who": " "}, (400, "body", "Neplatný údaj")),
        ({"step": "acknowledged", "version": 1, "who": "a\0b"}, (400, "body", "Neplatný údaj")),
        ({"step": "acknowledged"}, (400, "body", "Neplatný údaj")),
        ({"step": "commented", "version": 1, "note": "x" * 70_000}, (413, "too_large", "Požadavek je příliš velký")),
    ],
)
async def test_a_wrong_step_changes_nothing_and_says_why(
    region: Region, client: httpx.AsyncClient, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    status, code, czech = expected
    number = lamp_out(region)
    assert (await refused(await step(client, number, **body, headers=CZECH), status, code))["title"] == czech
    english = await refused(await step(client, number, **body), status, code)
    assert english["title"] != czech
    assert english["hint"]
    row = region.connection.execute("SELECT state, version FROM alert").fetchone()
    assert row == ("open", 1)


async def test_a_step_out_of_order_names_those_that_are_possible(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    await step(client, number, step="acknowledged", version=1)
    answer = await step(client, number, step="acknowledged", version=2, headers=CZECH)
    assert "assigned, fixed, false_alarm" in (await refused(answer, 409, "step"))["hint"]


async def test_a_page_elsewhere_cannot_act_through_a_visitors_browser(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        for path in (f"/v1/alerts/{number}/steps", f"/v1/alerts/{number}/mute", f"/alerts/{number}/steps"):
            answer = await client.post(path, json={}, headers=headers)
            assert (await refused(answer, 403, "cross_site"))["title"] == "Požadavek z cizí stránky"
    ours = {"sec-fetch-site": "same-origin", "origin": "http://localhost", **ENGLISH}
    assert (await step(client, number, step="acknowledged", version=1, headers=ours)).status_code == 200
    text = await client.post(f"/v1/alerts/{number}/steps", content="{}", headers={"content-type": "text/plain"})
    await refused(text, 415, "media_type")


async def test_bad_questions_are_answered_with_what_is_wrong(region: Region, client: httpx.AsyncClient) -> None:
    for url, status, code in (
        ("/v1/alerts/999", 404, "alert"),
        ("/v1/alerts/none", 404, "alert"),
        ("/v1/alerts?cursor=abc", 400, "cursor"),
        ("/v1/alerts?severity_min=awful", 400, "severity"),
        ("/v1/alerts?state=shut", 400, "parameter_value"),
        ("/v1/alerts?limit=0", 400, "limit"),
        ("/v1/alerts?colour=red", 400, "parameter"),
        ("/v1/assets/999/rules", 404, "asset"),
    ):
        for headers in (CZECH, ENGLISH):
            assert (await refused(await client.get(url, headers=headers), status, code))["hint"], url
    severity = await client.get("/v1/alerts?severity_min=awful", headers=CZECH)
    assert severity.json()["title"] == "Neznámá závažnost"
    assert "critical" in severity.json()["hint"]
    await refused(await step(client, 999, step="acknowledged", version=1), 404, "alert")
    cursor = (await client.get("/v1/assets?limit=1")).json()["next_cursor"]
    await refused(await client.get(f"/v1/alerts?cursor={cursor}"), 400, "cursor")


async def test_a_mute_is_heard_by_the_rules_and_stands_in_the_history(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)

    async def mute(until: Any, status: int = 200, which: int = number) -> httpx.Response:
        body = {"until": until, "reason": "čeká se na plošinu", "who": "Jana"}
        answer = await client.post(f"/v1/alerts/{which}/mute", json=body, headers=ENGLISH)
        assert answer.status_code == status, answer.text
        return answer

    before = region.connection.execute("SELECT version FROM registry_version").fetchone()
    seen = (await mute("2026-11-28T12:00:00+01:00")).json()
    assert "28\xa0Nov 2026" in seen["events"][-1]["note"]
    row = region.connection.execute("SELECT asset_id, rule, reason, who FROM rule_mute").fetchone()
    asset_id = region.asset_id("VO-9 Nádražní")
    assert row == (asset_id, "lamp_out", "čeká se na plošinu", "Jana")
    assert region.connection.execute("SELECT version FROM registry_version").fetchone() != before
    listed = (await client.get(f"/v1/assets/{asset_id}/rules")).json()["items"]
    assert {item["muted_by"] for item in listed if item["rule"] == "lamp_out"} == {"Jana"}
    await refused(await mute("2026-11-20T12:00:00Z", 400), 400, "mute_until")
    await refused(await mute("2036-11-20T12:00:00Z", 400), 400, "mute_until")
    await refused(await mute("tomorrow", 400), 400, "body")
    await refused(await mute("2026-11-28T12:00:00", 400), 400, "body")
    feeder, _ = feeder_trip(region)
    await refused(await mute("2026-11-28T12:00:00Z", 409, feeder), 409, "mute_scope")


async def test_every_rule_and_cause_is_told_in_both_languages(client: httpx.AsyncClient) -> None:
    czech = {item["rule"]: item for item in (await client.get("/v1/rules", headers=CZECH)).json()["items"]}
    english = {item["rule"]: item for item in (await client.get("/v1/rules", headers=ENGLISH)).json()["items"]}
    assert czech.keys() == english.keys()
    assert czech["lamp_out"]["title"] == "Svítidlo nesvítí"
    assert english["lamp_out"]["thresholds"]["voltage_live_v"] == 180
    assert (czech["feeder_outage"]["of"], czech["lamp_out"]["of"]) == ("group", "asset")


async def test_an_asset_says_which_rules_run_and_what_the_others_lack(
    region: Region, client: httpx.AsyncClient
) -> None:
    label = "VO-9 Nádražní"
    url = f"/v1/assets/{region.asset_id(label)}/rules"

    async def standing() -> dict[str, tuple[str, list[str]]]:
        items = (await client.get(url)).json()["items"]
        return {item["rule"]: (item["standing"], item["lacks"]) for item in items}

    assert (await standing())["voltage"] == ("lacks", ["voltage_v"])
    region.reading(label, NOW, power_w=41.2, voltage_v=231.0, level_commanded_pct=60.0, failure_flags=0)
    found = await standing()
    assert found["voltage"] == ("runs", [])
    assert found["lamp_out"] == ("lacks", ["power_rated_w"])
    assert found["gear_temp"] == ("runs", []), "flags alone may tell it"
    assert found["low_power_factor"] == ("lacks", ["power_factor", "power_rated_w"])
    assert "zero_output" not in found, "a rule of roofs"
    region.connection.execute(
        "UPDATE asset SET metadata = metadata || '{\"power_rated_w\": 70}' WHERE label = %s", [label]
    )
    assert (await standing())["lamp_out"] == ("runs", [])
    region.connection.execute(
        "INSERT INTO rule_override (municipality_id, rule, enabled) VALUES (1, 'lamp_out', false);"
        "INSERT INTO rule_failure VALUES ('voltage', now(), 'ZeroDivisionError')"
    )
    found = await standing()
    assert (found["lamp_out"][0], found["voltage"][0]) == ("off", "failed")


async def test_a_failed_rule_is_told_to_the_operator_in_words(region: Region, client: httpx.AsyncClient) -> None:
    evidence = {"rule": "own_rule", "error": "boom"}
    told(region, change(region, "Náměstí", "rule_failed", evidence=evidence, asset_id=None))
    seen = (await client.get(f"/v1/alerts/{alert_id(region, 'rule_failed')}", headers=ENGLISH)).json()
    assert seen["title"] == "Rule own_rule is off after an error"
    assert "boom" in seen["symptom"]
