"""Programs and segments: kept above the class, handed out in steps, shown as a night before anybody sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from api.lighting import bodies, examples
from ingest.recompile import recompile
from kraj.store import dimming
from rules.dimming import YEARS_AHEAD
from tests.api.conftest import NOW, Region
from tests.api.lighting.conftest import PROGRAM, Signed, light, program

LIT = {"designed_class": "M3", "permitted_class": "M5"}  # 50 %


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (bodies.DimmingProgramPage, examples.PROGRAMS),
        (bodies.LightingSegmentPage, examples.SEGMENTS),
        (bodies.NightPreview, examples.PREVIEW),
        (bodies.LightingOrderPage, examples.ORDERS),
        (bodies.LightingCommandPage, examples.COMMANDS),
        (bodies.DesiredStatePage, examples.DESIRED_PAGE),
        (bodies.SafetyLockPage, examples.LOCKS),
        (bodies.DimmingRolloutPage, examples.ROLLOUTS),
    ],
)
def test_examples_are_true(model: Any, example: Any) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


async def test_a_program_is_made_changed_and_removed(street: Region, client: httpx.AsyncClient) -> None:
    made = await program(client)
    path = f"/v1/dimming/programs/{made['program_id']}"
    answer = await client.get(path)
    assert (answer.json(), answer.headers["etag"]) == (made, '"1"')
    assert (await client.patch(path, json={"name": "Jiný"})).status_code == 428
    changed = await client.patch(path, json={"name": "Jiný"}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.json()["name"], changed.headers["etag"]) == (200, "Jiný", '"2"')
    assert (await client.patch(path, json={"name": "X"}, headers={"if-match": '"1"'})).status_code == 412
    assert (await client.delete(path, headers={"if-match": '"2"'})).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_a_program_sent_twice_with_one_key_is_made_once(street: Region, client: httpx.AsyncClient) -> None:
    body = {"municipality": "olsinka", "name": "Noc", "document": PROGRAM}
    answers = [await client.post("/v1/dimming/programs", json=body, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await client.get("/v1/dimming/programs")).json()["items"]) == 1
    again = await client.post("/v1/dimming/programs", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/program_name")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"plans": [{"steps": [{"at": "22:00", "level_pct": 101}]}]}, "level_pct"),
        ({"plans": [{"steps": [{"at": "22:00", "level_pct": -1}]}]}, "level_pct"),
        ({"plans": [{"steps": [{"at": "22:00", "level_pct": 50}, {"at": "22:00", "level_pct": 60}]}]}, "22:00 again"),
        ({"plans": [{"steps": [{"at": "25:00", "level_pct": 50}]}]}, "25:00"),
        ({"plans": 7}, "plans"),
        ({"plan": []}, "plan"),
    ],
)
async def test_a_program_that_cannot_be_followed_is_refused_at_its_place(
    street: Region, client: httpx.AsyncClient, document: Any, said: str
) -> None:
    body = {"municipality": "olsinka", "name": "Noc", "document": document}
    answer = await client.post("/v1/dimming/programs?lang=en", json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/program_wrong")
    assert said in answer.json()["detail"]


async def test_a_segment_follows_its_program_and_lamps_get_it_in_steps(
    street: Region, client: httpx.AsyncClient, database_role_url: Any
) -> None:
    made = await program(client)
    answer = await light(client, program_id=made["program_id"], **LIT)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["floor_pct"], found["lamps"], found["told"], found["applied"]) == (50, 20, 1, 0)
    rollout = (await client.get(f"/v1/lighting/rollouts/{found['rollout_id']}")).json()
    assert (rollout["state"], rollout["stage"], rollout["given"], rollout["devices"]) == ("running", 1, 1, 20)
    [kept] = (await client.get("/v1/lighting/desired?behind=true")).json()["items"]
    assert (kept["version"], kept["reported_version"], kept["spread"]) == (1, None, "behind")
    ingest = await psycopg.AsyncConnection.connect(database_role_url("kraj_ingest"), autocommit=True)
    async with ingest:
        assert await dimming.step_rollouts(ingest, NOW) == 0  # the first lamp has not answered
        street.connection.execute("UPDATE desired SET reported_version = version")
        assert await dimming.step_rollouts(ingest, NOW) > 0
        assert (await client.get("/v1/lighting/segments/1")).json()["told"] == 20
        street.connection.execute("UPDATE desired SET reported_version = version")
        await dimming.step_rollouts(ingest, NOW)
    assert (await client.get(f"/v1/lighting/rollouts/{found['rollout_id']}")).json()["state"] == "done"
    after = (await client.get("/v1/lighting/segments/1")).json()
    assert (after["applied"], after["rollout_id"]) == (20, None)
    row = street.connection.execute(
        "SELECT document FROM lamp_program WHERE lamp_program_id = (SELECT (programs->>'0')::int FROM desired LIMIT 1)"
    ).fetchone()
    assert row is not None
    assert row[0]["floor_pct"] == 50
    assert row[0]["plans"][0]["steps"][1] == [1, 23 * 60 + 30, 50, 60]


async def test_a_device_that_refuses_stops_the_rollout_until_a_person_goes_on(
    street: Region, client: httpx.AsyncClient, database_role_url: Any
) -> None:
    made = await program(client)
    number = (await light(client, program_id=made["program_id"], **LIT)).json()["rollout_id"]
    path = f"/v1/lighting/rollouts/{number}"
    street.connection.execute("UPDATE desired SET reported_version = 0, reported_error = 'too long'")
    ingest = await psycopg.AsyncConnection.connect(database_role_url("kraj_ingest"), autocommit=True)
    async with ingest:
        await dimming.step_rollouts(ingest, NOW)
    found = (await client.get(path)).json()
    assert (found["state"], found["failed"], found["given"]) == ("paused", 1, 1)
    assert "1 of 1" in found["error"]
    [kept] = (await client.get("/v1/lighting/desired")).json()["items"]
    assert kept["spread"] == "failed"
    on = await client.post(f"{path}/steps", json={"step": "go_on"})
    assert (on.status_code, on.json()["given"], on.json()["stage"]) == (200, 20, 2)
    stopped = await client.post(f"{path}/steps", json={"step": "stop"})
    assert stopped.json()["state"] == "stopped"
    assert (await client.post(f"{path}/steps", json={"step": "resume"})).status_code == 409


async def test_a_rollout_can_be_paused_and_resumed(street: Region, client: httpx.AsyncClient) -> None:
    made = await program(client)
    number = (await light(client, program_id=made["program_id"], **LIT)).json()["rollout_id"]
    for step, state in (("pause", "paused"), ("resume", "running")):
        answer = await client.post(f"/v1/lighting/rollouts/{number}/steps", json={"step": step})
        assert answer.json()["state"] == state


async def test_a_lamp_with_a_new_controller_gets_the_program_of_its_segment(
    street: Region, client: httpx.AsyncClient, database_role_url: Any
) -> None:
    made = await program(client)
    await light(client, program_id=made["program_id"], share_pct=100, **LIT)
    street.connection.execute("UPDATE desired SET reported_version = version")
    ingest = await psycopg.AsyncConnection.connect(database_role_url("kraj_ingest"), autocommit=True)
    async with ingest:
        await dimming.step_rollouts(ingest, NOW)
        street.connection.execute(
            "INSERT INTO device (name, municipality_id, state) VALUES ('spare', 1, 'active');"
            "UPDATE installed SET valid_to = now() WHERE asset_id = (SELECT asset_id FROM asset WHERE label = 'N-3');"
            "INSERT INTO installed (asset_id, device_id, valid_from) SELECT asset_id, d.device_id, now()"
            " FROM asset, device d WHERE label = 'N-3' AND d.name = 'spare'"
        )
        assert (await client.get("/v1/lighting/desired/spare")).status_code == 404
        assert await dimming.step_rollouts(ingest, NOW) == 1
    assert (await client.get("/v1/lighting/desired/spare")).json()["programs"]


async def test_programs_are_compiled_anew_each_year_and_when_lamps_have_moved_and_go_out_in_steps(
    street: Region, client: httpx.AsyncClient, database_role_url: Any
) -> None:
    made = await program(client)
    await light(client, program_id=made["program_id"], share_pct=100, **LIT)
    newest = "SELECT document FROM lamp_program ORDER BY lamp_program_id DESC LIMIT 1"
    rollouts = "SELECT count(*), count(*) FILTER (WHERE state = 'running' AND stage = 1) FROM rollout"
    ingest = await psycopg.AsyncConnection[Any].connect(database_role_url("kraj_ingest"), autocommit=True)
    async with ingest:

        async def recompiled(at: datetime) -> int:
            found = await recompile(ingest, at)
            for _ in range(3):  # lamps take it; the share, then the rest
                await dimming.step_rollouts(ingest, at)
                street.connection.execute("UPDATE desired SET reported_version = version")
            return found

        assert await recompiled(NOW) == 0, "its rollout goes on"
        assert await recompiled(NOW) == 0, "it is as it was"
        year = NOW.replace(year=NOW.year + 1)
        assert await recompile(ingest, year) == 1
        assert street.connection.execute(rollouts).fetchone() == (2, 1), "some lamps first"
        row = street.connection.execute(newest).fetchone()
        assert row is not None
        assert datetime.fromtimestamp(row[0]["zone"][-1][0], UTC).year == year.year + YEARS_AHEAD
        assert await recompile(ingest, year + timedelta(days=2)) == 0, "a rollout that goes on is left alone"
        await recompiled(year)
        assert (await client.get("/v1/lighting/segments/1")).json()["applied"] == 20
        street.connection.execute("UPDATE asset SET latitude = 49.9 WHERE metadata->>'cabinet' = 'R1'")
        assert await recompile(ingest, year + timedelta(hours=1)) == 0, "once a day"
        assert await recompile(ingest, year + timedelta(days=2)) == 1
        found = (await client.get("/v1/lighting/segments/1")).json()
        assert (found["who"], found["program"]) == ("kraj", "Noc")


async def test_a_program_below_its_class_is_refused_for_the_segment(street: Region, client: httpx.AsyncClient) -> None:
    made = await program(client)
    answer = await light(client, program_id=made["program_id"], designed_class="M3", permitted_class="M4")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/below_class")
    assert "75 %" in answer.json()["detail"]
    unknown = await light(client, program_id=made["program_id"])  # no class: nobody has permitted anything
    assert unknown.status_code == 400
    assert (await client.get("/v1/lighting/segments/1")).headers["etag"] == '"0"'


async def test_a_class_changed_later_cannot_leave_the_program_below_it(
    street: Region, client: httpx.AsyncClient
) -> None:
    made = await program(client)
    assert (await light(client, program_id=made["program_id"], **LIT)).status_code == 200
    answer = await light(client, permitted_class="M4")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/below_class")
    assert (await client.get("/v1/lighting/segments/1")).json()["permitted_class"] == "M5"


async def test_a_program_changed_later_cannot_go_below_the_class_of_its_segments(
    street: Region, client: httpx.AsyncClient
) -> None:
    made = await program(client)
    await light(client, program_id=made["program_id"], **LIT)
    path = f"/v1/dimming/programs/{made['program_id']}"
    darker = {"plans": [{"steps": [{"at": "22:00", "level_pct": 30}]}]}
    answer = await client.patch(path, json={"document": darker}, headers={"if-match": "*"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/below_class")
    assert "Nádražní" in answer.json()["detail"]
    lighter = {"plans": [{"steps": [{"at": "22:00", "level_pct": 60}]}]}
    before = (await client.get("/v1/lighting/segments/1")).json()["rollout_id"]
    assert (await client.patch(path, json={"document": lighter}, headers={"if-match": "*"})).status_code == 200
    after = (await client.get("/v1/lighting/segments/1")).json()["rollout_id"]
    assert after != before
    assert (await client.get(f"/v1/lighting/rollouts/{before}")).json()["state"] == "stopped"
    assert (await client.delete(path, headers={"if-match": "*"})).status_code == 409


@pytest.mark.parametrize("classes", [("M3", "P4"), ("M4", "M3")])
async def test_classes_that_do_not_go_together_are_refused(
    street: Region, client: httpx.AsyncClient, classes: tuple[str, str]
) -> None:
    answer = await light(client, designed_class=classes[0], permitted_class=classes[1])
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/class_wrong")


async def test_a_lamp_is_in_one_segment_at_most_however_it_would_come_into_a_second(
    street: Region, client: httpx.AsyncClient
) -> None:
    (lamp,) = street.connection.execute("SELECT asset_id FROM asset WHERE label = 'N-1'").fetchone() or (0,)
    group = {"municipality": "olsinka", "name": "Jiná"}
    attempts = [
        await client.post("/v1/groups?lang=en", json={**group, "kind": "segment", "assets": [lamp]}),
        await client.post("/v1/groups?lang=en", json={**group, "kind": "segment", "where": {"feeder": "F1"}}),
    ]
    made = (await client.post("/v1/groups", json={**group, "kind": "segment"})).json()["group_id"]
    attempts.append(await client.post(f"/v1/groups/{made}/assets?lang=en", json={"add": [lamp]}))
    zone = (await client.post("/v1/groups", json={**group, "name": "Zóna", "assets": [lamp]})).json()["group_id"]
    attempts.append(
        await client.patch(f"/v1/groups/{zone}?lang=en", json={"kind": "segment"}, headers={"if-match": "*"})
    )
    for answer in attempts:
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/segment_overlap")
        assert answer.json()["detail"].endswith("is in segment Nádražní already.")
        assert "N-1" in answer.json()["detail"]
    assert (await client.post("/v1/groups/1/assets", json={"remove": [lamp]})).status_code == 200
    assert (await client.patch(f"/v1/groups/{zone}", json={"kind": "segment"}, headers={"if-match": "*"})).is_success


async def test_the_database_itself_keeps_a_lamp_out_of_a_second_segment(street: Region) -> None:
    street.connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Jiná', 'segment'), (1, 'Zóna', 'zone')"
    )
    put = "INSERT INTO asset_group_member (group_id, asset_id) SELECT %s, asset_id FROM asset WHERE label = 'N-1'"
    street.connection.execute(put, [3])
    for statement, given in ((put, [2]), ("UPDATE asset_group SET kind = 'segment' WHERE group_id = %s", [3])):
        with pytest.raises(psycopg.errors.UniqueViolation, match="asset_group_member_segment"):
            street.connection.execute(statement.encode(), given)


async def test_a_segment_that_reaches_into_another_town_needs_its_grant(street: Region, as_person: Signed) -> None:
    street.connection.execute("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE label = 'Náměstí'")
    async with as_person("energy_manager") as client:
        answer = await light(client, **LIT)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/group_spans")


@pytest.mark.parametrize("role", ["crew", "viewer"])
async def test_who_does_not_control_changes_no_light(street: Region, as_person: Signed, role: str) -> None:
    async with as_person(role) as client:
        answer = await light(client, **LIT)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/control_right")
        body: dict[str, Any] = {"municipality": "olsinka", "name": "Noc", "document": {}}
        assert (await client.post("/v1/dimming/programs", json=body)).status_code == 403


async def test_a_preview_shows_the_night_and_what_it_takes(street: Region, client: httpx.AsyncClient) -> None:
    await light(client, **LIT)
    body = {"document": PROGRAM, "group_id": 1, "evening": "2026-11-21"}
    night = (await client.post("/v1/dimming/preview", json=body)).json()
    assert len(night["levels_pct"]) == 24 * 60
    assert set(night["levels_pct"]) == {0, 50, 70, 100}
    assert (night["floor_pct"], night["lamps"], night["unrated"]) == (50, 20, 0)
    assert night["begins_at"].startswith("2026-11-21T15:")
    assert night["ends_at"].startswith("2026-11-22T06:")
    lit_h = sum(level > 0 for level in night["levels_pct"]) / 60
    assert night["kwh_undimmed"] == pytest.approx(20 * 0.04 * lit_h, rel=0.01)
    assert 0.5 * night["kwh_undimmed"] < night["kwh"] < 0.8 * night["kwh_undimmed"]
    street.connection.execute(
        "INSERT INTO lamp_curve SELECT asset_id, 0.1, 0.1, 50, 40, now() FROM asset WHERE metadata->>'feeder' = 'F1'"
    )
    seen = (await client.post("/v1/dimming/preview", json=body)).json()
    assert (night["measured"], seen["measured"]) == (0, 10)
    assert seen["kwh_undimmed"] == pytest.approx(1.05 * night["kwh_undimmed"], rel=0.001), "half of them take 10 % more"
    picture = await client.post("/v1/dimming/preview", json=body, headers={"accept": "image/svg+xml"})
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<title" in picture.text
    assert "<desc" in picture.text
    below = {**body, "document": {"plans": [{"steps": [{"at": "22:00", "level_pct": 20}]}]}}
    assert (await client.post("/v1/dimming/preview", json=below)).status_code == 400


async def test_a_night_of_daylight_saving_has_an_hour_more(street: Region, client: httpx.AsyncClient) -> None:
    body = {"document": PROGRAM, "municipality": "olsinka", "evening": "2026-10-24"}
    night = (await client.post("/v1/dimming/preview", json=body)).json()
    assert len(night["levels_pct"]) == 25 * 60


async def test_an_interval_raises_the_version_of_what_the_device_is_to_keep(
    street: Region, client: httpx.AsyncClient
) -> None:
    path, body = "/v1/lighting/desired/street-1", {"interval_s": 60, "reason": "Měření"}
    first = await client.patch(path, json=body, headers={"if-match": '"0"'})
    assert (first.status_code, first.json()["version"], first.json()["interval_s"]) == (200, 1, 60)
    assert (await client.patch(path, json=body, headers={"if-match": '"0"'})).status_code == 412
    second = await client.patch(path, json={**body, "interval_s": None}, headers={"if-match": '"1"'})
    assert (second.json()["version"], second.json()["interval_s"]) == (2, None)
