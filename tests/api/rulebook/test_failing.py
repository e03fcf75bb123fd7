"""What is off after a failure is tried again by who may change rules there, by API and page, and the log knows it."""

from typing import Any

import httpx
import pytest

from kraj.alerts import Scope
from tests.api import signing
from tests.api.alerting import HTML, alert_id, change, told
from tests.api.conftest import Region
from tests.api.rulebook.conftest import ENGLISH, HOT, tried
from tests.api.rulebook.test_trials import refused, version


def fail(region: Region, rule: str, town: int | None = None) -> int:
    """Tell of a failure as ingest does; the alert's number."""
    scope = Scope(type="region", name=rule, municipality_id=town)
    evidence = {"rule": rule, "error": "ZeroDivisionError: boom"}
    row = region.connection.execute("SELECT count(*) FROM alert").fetchone()
    fields: dict[str, Any] = {"key": f"rule_failed@{scope}@{row}", "municipality_id": town, "asset_id": None}
    told(region, change(region, "VO-9 Nádražní", "rule_failed", scope=scope, evidence=evidence, **fields))
    return alert_id(region, "rule_failed")


def off(region: Region) -> list[str]:
    return [rule for (rule,) in region.connection.execute("SELECT rule FROM rule_failure ORDER BY rule").fetchall()]


@pytest.fixture
def people(region: Region, client: httpx.AsyncClient) -> Any:
    """Sign in as the admin of Olšinka, the one of Zdárná, or the region's."""
    for name, town in (("ola", "olsinka"), ("zoe", "zdarna")):
        signing.person(
            region.connection, f"{name}@x.example", "municipality_admin", town, title=name, session=f"session-of-{name}"
        )

    def sign_in(name: str) -> None:
        signing.sign(client, f"session-of-{name}")

    return sign_in


async def test_a_failure_of_the_catalogue_is_seen_by_all_and_tried_again_by_the_region(
    region: Region, client: httpx.AsyncClient, people: Any
) -> None:
    number, before = fail(region, "lamp readings"), version(region)
    shown = (await client.get("/v1/rule-failures")).json()["items"]
    assert [(one["rule"], one["municipality"], one["error"]) for one in shown] == [
        ("lamp readings", None, "ZeroDivisionError: boom")
    ]
    path = "/v1/rule-failures/lamp%20readings/retry"
    done = await client.post(path, json={}, headers={"idempotency-key": "once"})
    assert (done.status_code, done.json()["rule"]) == (200, "lamp readings")
    assert (await client.post(path, json={}, headers={"idempotency-key": "once"})).status_code == 200
    refused(await client.post(path, json={}), 404, "rule_failure")
    assert off(region) == []
    assert version(region) > before, "ingest looks"
    assert region.connection.execute(
        "SELECT action, detail->'keys', pseudonym IS NOT NULL FROM audit_entry WHERE subject = 'rule_failure'"
        " ORDER BY entry_id DESC LIMIT 1"
    ).fetchone() == ("removed", ["lamp readings"], True)
    assert (await client.get(f"/v1/alerts/{number}")).json()["active"], "ended by ingest, when it has looked"
    region.connection.execute("UPDATE alert SET active = false")
    fail(region, "voltage")
    people("ola")
    assert [one["rule"] for one in (await client.get("/v1/rule-failures")).json()["items"]] == ["voltage"]
    refused(await client.post("/v1/rule-failures/voltage/retry", json={}), 403, "rules_region")
    assert off(region) == ["voltage"]


async def test_an_own_rule_is_its_owners_to_try_again(region: Region, client: httpx.AsyncClient, people: Any) -> None:
    fail(region, "gear_hot", 1)
    people("zoe")
    assert (await client.get("/v1/rule-failures")).json()["items"] == []
    refused(await client.post("/v1/rule-failures/gear_hot/retry", json={}), 404, "rule_failure")
    signing.person(region.connection, "jan@x.example", "crew", "olsinka", title="Jan", session="session-of-jan")
    people("jan")
    refused(await client.post("/v1/rule-failures/gear_hot/retry", json={}), 403, "rules_right")
    people("ola")
    assert (await client.post("/v1/rule-failures/gear_hot/retry", json={})).status_code == 200
    assert off(region) == []


async def test_a_new_version_of_an_own_rule_has_not_failed(measured: Region, client: httpx.AsyncClient) -> None:
    async def adopt(text: str, **more: Any) -> int:
        trial = await tried(client, text=text, **more)
        answer = await client.post(f"/v1/trials/{trial['trial_id']}/adopt", json={"confirm": True})
        assert answer.status_code == 200, answer.text
        (own,) = (await client.get("/v1/custom-rules")).json()["items"]
        return own["custom_rule_id"]

    number, lamp = await adopt(HOT), measured.asset_id("VO-9 Nádražní")
    fail(measured, "gear_hot", 1)
    page = (await client.get(f"/assets/{lamp}", headers=HTML | ENGLISH)).text
    assert 'action="/rules/failed/gear_hot/retry"' in page
    await adopt(HOT.replace("limit_degc = 70", "limit_degc = 71"), custom_rule_id=number)
    assert off(measured) == []
    rules = (await client.get(f"/v1/assets/{lamp}/rules")).json()["items"]
    assert {rule["rule"]: rule["standing"] for rule in rules}["gear_hot"] == "runs"


async def test_the_row_comes_and_goes_with_the_alert(region: Region) -> None:
    fail(region, "voltage")
    assert off(region) == ["voltage"]
    region.connection.execute("UPDATE alert SET active = false")
    assert off(region) == []


async def test_the_button_stands_where_the_failure_is_seen(
    region: Region, client: httpx.AsyncClient, people: Any
) -> None:
    number = fail(region, "voltage")
    lamp = region.asset_id("VO-9 Nádražní")
    places = (f"/alerts/{number}", f"/assets/{lamp}", "/rules")
    for address in places:
        text = (await client.get(address, headers=HTML)).text
        assert 'action="/rules/failed/voltage/retry"' in text, address
        assert "Zkusit znovu" in text
        assert "Try again" in (await client.get(address, headers=HTML | ENGLISH)).text
    answer = await client.post("/rules/failed/voltage/retry", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rules?said=retried#said")
    said = (await client.get("/rules?said=retried", headers=HTML)).text
    assert "zkusí znovu s nejbližším" in said
    assert "Vypnutá po chybě" not in said
    for address in places[:2]:
        assert "/rules/failed/" not in (await client.get(address, headers=HTML)).text
    region.connection.execute("UPDATE alert SET active = false")
    fail(region, "voltage")
    people("ola")
    for address in ("/rules", f"/assets/{lamp}"):
        text = (await client.get(address, headers=HTML)).text
        assert "Vypnutá po chybě" in text, address
        assert "/rules/failed/" not in text, "it is the region's"
