"""Orders and their commands: who may, until when, what supersedes what; and safety locks that nothing passes."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from kraj.store.registry import NewAsset, NewDevice, register
from tests.api import signing
from tests.api.conftest import MUNICIPALITIES, NOW, Region
from tests.api.lighting.conftest import LAMPS, Signed

SOON = (NOW + timedelta(minutes=10)).isoformat()


async def give(client: httpx.AsyncClient, kind: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/lighting/{kind}", json={"reason": "Zkouška", **body})


async def states(client: httpx.AsyncClient, **asked: Any) -> list[tuple[str, str]]:
    items = (await client.get("/v1/lighting/commands", params=asked)).json()["items"]
    return sorted((one["do"], one["state"]) for one in items)


def lamp(region: Region, n: int) -> int:
    return region.asset_id(f"N-{n}")


async def lock(client: httpx.AsyncClient, attribute: str = "feeder", value: str = "F1") -> httpx.Response:
    body = {"municipality": "olsinka", "attribute": attribute, "value": value, "reason": "Výměna stožáru"}
    return await client.post("/v1/lighting/locks", json=body)


async def test_a_level_by_hand_ends_at_the_next_sunrise_unless_told(street: Region, client: httpx.AsyncClient) -> None:
    answer = await give(client, "manual", group_id=1, level_pct=30)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["counts"] == {"requested": LAMPS}
    # It is a quarter past seven; the sun rises at 7:18 in Olšinka.
    assert made["valid_until"].startswith("2026-11-21T06:17")
    found = (await client.get("/v1/lighting/commands", params={"asset_id": lamp(street, 1)})).json()["items"]
    assert [(one["level_pct"], one["reason"], one["state"]) for one in found] == [(30, "manual", "requested")]
    assert (await client.get(f"/v1/lighting/commands/{found[0]['command_id']}")).json() == found[0]


@pytest.mark.parametrize("level", [-1, 101, 50.5, "half", None])
async def test_a_level_outside_0_to_100_is_refused(street: Region, client: httpx.AsyncClient, level: Any) -> None:
    answer = await give(client, "manual", group_id=1, level_pct=level)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/body")
    assert await states(client) == []


async def test_an_emergency_without_an_expiry_is_refused(street: Region, client: httpx.AsyncClient) -> None:
    answer = await give(client, "emergency", municipality="olsinka")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/body")
    assert "until" in answer.json()["detail"]


@pytest.mark.parametrize("minutes", [-5, 0, 24 * 60 + 1])
@pytest.mark.parametrize("kind", ["manual", "light-now"])
async def test_an_override_with_a_past_or_too_late_expiry_is_refused(
    street: Region, client: httpx.AsyncClient, kind: str, minutes: int
) -> None:
    until = (NOW + timedelta(minutes=minutes)).isoformat()
    more = {"level_pct": 50} if kind == "manual" else {}
    answer = await give(client, kind, group_id=1, until=until, **more)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/order_until")
    assert await states(client) == []


async def test_light_now_lasts_half_an_hour_and_a_crew_may_order_it(street: Region, as_person: Signed) -> None:
    async with as_person("crew") as client:
        answer = await give(client, "light-now", group_id=1)
        assert answer.status_code == 201, answer.text
        assert answer.json()["valid_until"] == "2026-11-21T06:45:00.000Z"
        assert answer.json()["level_pct"] == 100
        denied = await give(client, "manual", group_id=1, level_pct=100)
        assert (denied.status_code, denied.json()["type"]) == (403, "/problems/control_right")
        assert (await give(client, "emergency", municipality="olsinka", until=SOON)).status_code == 403
        ended = await client.post(f"/v1/lighting/orders/{answer.json()['order_id']}/end")
        assert ended.status_code == 200, ended.text
    async with as_person("viewer") as client:
        assert (await give(client, "light-now", group_id=1)).status_code == 403
        assert (await client.get("/v1/lighting/orders?over=true")).json()["items"][0]["kind"] == "light_now"


async def test_a_crew_that_was_granted_a_group_lights_it_and_nothing_else(street: Region, as_person: Signed) -> None:
    who = signing.person(street.connection, "petr@cizi.example", None, title="Petr", session="petr")
    street.connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Jen jedna', 'list');"
        "INSERT INTO asset_group_member SELECT 2, asset_id FROM asset WHERE label = 'N-1';"
    )
    street.connection.execute(
        "INSERT INTO access_grant (municipality_id, person_id, group_id, rights, valid_from, who)"
        " VALUES (1, %s, 2, '{read,act}', now() - interval '1 day', 'mayor')",
        [who],
    )
    async with as_person("viewer") as client:
        signing.sign(client, "petr")
        assert (await give(client, "light-now", group_id=2)).status_code == 201
        assert (await give(client, "light-now", asset_id=lamp(street, 1))).status_code == 201
        assert (await give(client, "light-now", asset_id=lamp(street, 2))).status_code == 404
        assert (await give(client, "light-now", group_id=1)).status_code == 404
        assert (await give(client, "light-now", municipality="olsinka")).status_code == 403


async def test_an_emergency_lights_a_town_or_the_region_in_one_call(street: Region, client: httpx.AsyncClient) -> None:
    town = await give(client, "emergency", municipality="olsinka", until=SOON)
    assert town.json()["counts"] == {"requested": LAMPS + 2}
    region = await give(client, "emergency", until=SOON)
    assert (region.json()["municipality"], region.json()["counts"]) == (None, {"requested": LAMPS + 2})
    again = (await client.get(f"/v1/lighting/orders/{town.json()['order_id']}")).json()
    assert again["counts"] == {"superseded": LAMPS + 2}


async def test_only_who_controls_the_region_lights_all_of_it(street: Region, as_person: Signed) -> None:
    async with as_person("energy_manager") as client:
        answer = await give(client, "emergency", until=SOON)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/control_region")
        assert (await give(client, "emergency", municipality="zdarna", until=SOON)).status_code == 403
        assert (await give(client, "emergency", municipality="olsinka", until=SOON)).status_code == 201


async def test_an_order_sent_twice_with_one_key_is_given_once(street: Region, client: httpx.AsyncClient) -> None:
    body = {"reason": "Zkouška", "group_id": 1}
    for _ in range(2):
        answer = await client.post("/v1/lighting/light-now", json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == 201
    assert len(await states(client)) == LAMPS


@pytest.mark.parametrize("whom", [{}, {"group_id": 1, "municipality": "olsinka"}])
async def test_an_order_is_for_one_thing(street: Region, client: httpx.AsyncClient, whom: Any) -> None:
    answer = await give(client, "light-now", **whom)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/order_whom")


async def test_a_newer_order_supersedes_and_a_release_follows_an_early_end(
    street: Region, client: httpx.AsyncClient
) -> None:
    first = (await give(client, "manual", group_id=1, level_pct=30)).json()["order_id"]
    second = (await give(client, "light-now", asset_id=lamp(street, 1))).json()["order_id"]
    assert await states(client, asset_id=lamp(street, 1)) == [("set_level", "requested"), ("set_level", "superseded")]
    street.connection.execute("UPDATE command SET state = 'accepted' WHERE state = 'requested'")
    await client.post(f"/v1/lighting/orders/{first}/end")
    assert await states(client, order_id=first) == sorted(
        [("release", "requested")] * (LAMPS - 1) + [("set_level", "superseded")] * LAMPS
    )
    assert await states(client, order_id=second) == [("set_level", "accepted")]  # the newer one goes on
    ended = await client.post(f"/v1/lighting/orders/{first}/end")
    assert ended.status_code == 200
    assert ended.json()["ended_at"]
    assert len(await states(client, order_id=first)) == 2 * LAMPS - 1


async def test_what_was_never_sent_needs_no_release(street: Region, client: httpx.AsyncClient) -> None:
    number = (await give(client, "light-now", group_id=1)).json()["order_id"]
    await client.post(f"/v1/lighting/orders/{number}/end")
    assert await states(client) == [("set_level", "superseded")] * LAMPS


async def test_a_lamp_without_a_device_cannot_be_told(street: Region, client: httpx.AsyncClient) -> None:
    street.connection.execute("INSERT INTO asset (municipality_id, kind, label) VALUES (1, 'lamp', 'Bez jednotky')")
    answer = await give(client, "light-now", asset_id=street.asset_id("Bez jednotky"))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/lamp_uncontrolled")
    stop = await give(client, "light-now", asset_id=street.asset_id("Náměstí"))
    assert stop.status_code == 409


async def test_a_lamp_of_another_system_is_refused_at_once_and_left_out_of_wider_orders(
    street: Region, client: httpx.AsyncClient
) -> None:
    street.connection.execute(
        "INSERT INTO foreign_device (device_id, municipality_id, adapter, changed_at)"
        " SELECT device_id, municipality_id, 'tasmota', now() FROM device WHERE name = 'street-1'"
    )
    answer = await give(client, "light-now", asset_id=lamp(street, 1))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/lamp_foreign")
    assert await states(client) == []
    rest = await give(client, "light-now", group_id=1)
    assert rest.json()["counts"] == {"requested": LAMPS - 1}


async def test_a_command_to_a_decommissioned_lamp_is_refused(street: Region, client: httpx.AsyncClient) -> None:
    street.connection.execute("UPDATE device SET state = 'decommissioned' WHERE name = 'street-1'")
    street.connection.execute("UPDATE asset SET retired_at = now() WHERE label = 'N-2'")
    device = await give(client, "light-now", asset_id=lamp(street, 1))
    assert (device.status_code, device.json()["type"]) == (409, "/problems/lamp_uncontrolled")
    retired = await give(client, "light-now", asset_id=lamp(street, 2))
    assert (retired.status_code, retired.json()["type"]) == (409, "/problems/retired")
    rest = await give(client, "light-now", group_id=1)
    assert rest.json()["counts"] == {"requested": LAMPS - 2}


async def test_a_suspended_device_gets_no_command(street: Region, client: httpx.AsyncClient) -> None:
    street.connection.execute("UPDATE device SET state = 'suspended' WHERE name = 'street-1'")
    answer = await give(client, "light-now", asset_id=lamp(street, 1))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/lamp_suspended")
    street.connection.execute("UPDATE device SET state = 'suspended' WHERE name LIKE 'street-%'")
    every = await give(client, "light-now", group_id=1)
    assert (every.status_code, every.json()["type"]) == (409, "/problems/lamps_none")


async def test_a_group_that_spans_towns_needs_a_right_in_each(street: Region, as_person: Signed) -> None:
    register(
        street.connection,
        MUNICIPALITIES,
        [NewDevice(name="far", municipality="zdarna", assets={0: NewAsset(kind="lamp", label="Z-1")})],
        NOW,
    )
    street.connection.execute("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE label = 'Z-1'")
    async with as_person("energy_manager") as client:
        answer = await give(client, "manual", group_id=1, level_pct=50)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/group_spans")
        town = street.connection.execute("SELECT municipality_id FROM municipality WHERE name = 'zdarna'").fetchone()
        assert town is not None
        street.connection.execute(
            "INSERT INTO access_grant (municipality_id, person_id, rights, valid_from, who) SELECT %s, person_id,"
            " '{read,control}', now() - interval '1 day', 'mayor' FROM person WHERE name LIKE 'energy_manager@%%'",
            [town[0]],
        )
        granted = await give(client, "manual", group_id=1, level_pct=50)
        assert granted.json()["counts"] == {"requested": LAMPS + 1}


async def test_a_device_that_reports_an_older_version_than_desired_is_shown_as_behind(
    street: Region, client: httpx.AsyncClient
) -> None:
    body = {"interval_s": 60, "reason": "Měření"}
    for version in range(3):
        await client.patch("/v1/lighting/desired/street-1", json=body, headers={"if-match": f'"{version}"'})
    for reported, spread in ((2, "behind"), (3, "applied"), (9, "ahead")):
        street.connection.execute("UPDATE desired SET reported_version = %s", [reported])
        found = (await client.get("/v1/lighting/desired/street-1")).json()
        assert (found["version"], found["reported_version"], found["spread"]) == (3, reported, spread)
        behind = (await client.get("/v1/lighting/desired?behind=true")).json()["items"]
        assert [one["device"] for one in behind] == ([] if spread == "applied" else ["street-1"])


async def test_a_lock_refuses_every_energising_command_and_says_who_holds_it(
    street: Region, client: httpx.AsyncClient, as_person: Signed
) -> None:
    async with as_person("crew") as crew:
        taken = await lock(crew)
        assert taken.status_code == 201, taken.text
        assert (taken.json()["holder_title"], taken.json()["assets"]) == ("crew", 10)
    one = {"asset_id": lamp(street, 1)}
    for kind, more in (("light-now", {}), ("emergency", {"until": SOON}), ("manual", {"level_pct": 1})):
        answer = await give(client, kind, **one, **more)
        assert (answer.status_code, answer.json()["type"]) == (423, "/problems/locked"), kind
        assert "crew" in answer.json()["detail"]
        assert "F1" in answer.json()["detail"]
    assert await states(client) == []
    dark = await give(client, "manual", **one, level_pct=0)
    assert dark.status_code == 201  # what takes load away is let through
    other = await give(client, "light-now", asset_id=lamp(street, 11))
    assert other.status_code == 201


async def test_a_wider_order_leaves_out_what_is_locked_and_says_so(street: Region, client: httpx.AsyncClient) -> None:
    await lock(client)
    answer = await give(client, "emergency", municipality="olsinka", until=SOON)
    assert answer.json()["counts"] == {"requested": 12, "refused": 10}
    refused = (await client.get("/v1/lighting/commands?state=refused")).json()["items"]
    assert all(one["error"] == "locked: feeder F1: Jana" for one in refused)
    await lock(client, "cabinet", "R1")
    group = await give(client, "light-now", group_id=1)
    assert group.status_code == 423


async def test_a_lock_stops_what_is_on_its_way_and_a_release_that_could_energise(
    street: Region, client: httpx.AsyncClient
) -> None:
    dark = (await give(client, "manual", group_id=1, level_pct=0)).json()["order_id"]
    street.connection.execute("UPDATE command SET state = 'confirmed', settled_at = now()")
    await give(client, "emergency", group_id=1, until=SOON)
    await lock(client)
    assert (await states(client, asset_id=lamp(street, 1)))[-1] == ("set_level", "refused")
    assert (await states(client, asset_id=lamp(street, 11)))[-1] == ("set_level", "requested")
    await client.post(f"/v1/lighting/orders/{dark}/end")
    assert ("release", "refused") in await states(client, asset_id=lamp(street, 1))
    assert ("release", "requested") in await states(client, asset_id=lamp(street, 11))


async def test_only_the_holder_or_the_regions_administrator_releases_a_lock(
    street: Region, client: httpx.AsyncClient, as_person: Signed
) -> None:
    async with as_person("crew") as crew:
        number = (await lock(crew)).json()["lock_id"]
        assert (await lock(crew)).json()["type"] == "/problems/lock_held"
    async with as_person("municipality_admin") as other:
        answer = await other.post(f"/v1/lighting/locks/{number}/release")
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/lock_right")
        assert "crew" in answer.json()["detail"]
    assert (await give(client, "light-now", asset_id=lamp(street, 1))).status_code == 423
    async with as_person("crew") as crew:
        assert (await crew.post(f"/v1/lighting/locks/{number}/release")).json()["released_at"]
        second = (await lock(crew)).json()["lock_id"]
    assert (await client.post(f"/v1/lighting/locks/{second}/release")).json()["released_at"]  # the administrator
    assert (await give(client, "light-now", asset_id=lamp(street, 1))).status_code == 201


async def test_a_lock_is_taken_of_what_there_is_by_who_works_there(street: Region, as_person: Signed) -> None:
    async with as_person("crew") as crew:
        answer = await lock(crew, value="F9")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/lock_place")
    async with as_person("viewer") as viewer:
        assert (await lock(viewer)).status_code == 403


async def test_a_lock_holds_whoever_writes_commands(street: Region, client: httpx.AsyncClient) -> None:
    await lock(client)
    with pytest.raises(Exception, match="locked by Jana"):
        street.connection.execute(
            'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
            " next_at, who) SELECT 1, device_id, asset_id, 'set_level', 100, 'manual', now(), now(), now(), 'x'"
            " FROM installed WHERE asset_id = %s",
            [lamp(street, 1)],
        )


async def test_orders_programs_and_locks_are_in_the_audit_log(street: Region, client: httpx.AsyncClient) -> None:
    await lock(client)
    await give(client, "light-now", asset_id=lamp(street, 11))
    rows = street.connection.execute("SELECT subject, action FROM audit_entry ORDER BY entry_id").fetchall()
    assert ("safety_lock", "created") in rows
    assert ("lighting_order", "created") in rows
    assert not any(subject in {"command", "desired"} for subject, _ in rows)
