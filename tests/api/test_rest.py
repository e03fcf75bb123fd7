"""The resources: what they answer, page by page, and what they refuse."""

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from kraj import quarantine
from kraj.kinds import KINDS, LAMP
from tests.api.conftest import NOW, Region


async def ok(client: httpx.AsyncClient, url: str, **headers: str) -> Any:
    answer = await client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def problem(client: httpx.AsyncClient, url: str, status: int, language: str = "en") -> Any:
    answer = await client.get(url, headers={"accept-language": language})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "detail", "hint", "instance"}
    assert body["status"] == status
    assert all(body.values())
    return body


async def test_assets_are_paged_by_id_and_each_comes_once(region: Region, client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    url = "/v1/assets?limit=2"
    pages = 0
    while url:
        answer = await client.get(url)
        page = answer.json()
        seen += [item["label"] for item in page["items"]]
        pages += 1
        cursor = page["next_cursor"]
        assert ("link" in answer.headers) == (cursor is not None)
        url = f"/v1/assets?limit=2&cursor={cursor}" if cursor else ""
    assert pages == 3
    assert seen == ["VO-9 Nádražní", "VO-10 Školní", "Náměstí", "Střídač 1", "Střídač 2"]


async def test_an_asset_has_its_owner_place_and_device(region: Region, client: httpx.AsyncClient) -> None:
    region.status("lamp-1", online=True)
    asset = await ok(client, f"/v1/assets/{region.asset_id('VO-9 Nádražní')}")
    assert asset | {"asset_id": 0} == {
        "asset_id": 0,
        "kind": "lamp",
        "label": "VO-9 Nádražní",
        "municipality": "olsinka",
        "municipality_title": "Olšinka",
        "latitude": 49.5,
        "longitude": 15.6,
        "metadata": {"pole": 9},
        "device": "lamp-1",
        "channel": 0,
        "online": True,
        "retired_at": None,
    }


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("municipality=olsinka", ["VO-9 Nádražní", "VO-10 Školní"]),
        ("kind=stop", ["Náměstí"]),
        ("q=nadrazni", ["VO-9 Nádražní"]),
        ("q=ŠKOLNÍ", ["VO-10 Školní"]),
        ("q=gateway", ["Střídač 1", "Střídač 2"]),
        ("q=%25", []),
        ("q=_", []),
        ("municipality=nikde", []),
        ("q=", ["VO-9 Nádražní", "VO-10 Školní", "Náměstí", "Střídač 1", "Střídač 2"]),
    ],
)
async def test_assets_are_found_by_owner_kind_and_text(
    region: Region, client: httpx.AsyncClient, asked: str, labels: list[str]
) -> None:
    for path in ("/v1/assets", "/v1/latest"):
        page = await ok(client, f"{path}?{asked}")
        assert [item["label"] for item in page["items"]] == labels


async def test_devices_tell_what_they_serve_and_are_paged_by_name(region: Region, client: httpx.AsyncClient) -> None:
    region.status("lamp-1", online=False)
    region.connection.execute(
        "INSERT INTO unknown_key SELECT device_id, 'colour', %s, 1 FROM device WHERE name = 'lamp-1'", [NOW]
    )
    first = await ok(client, "/v1/devices?limit=1")
    assert [served["channel"] for served in first["items"][0]["assets"]] == [1, 2]
    second = await ok(client, f"/v1/devices?limit=200&cursor={first['next_cursor']}")
    assert [item["name"] for item in second["items"]] == ["lamp-1", "lamp-2", "stop-1"]
    lamp = await ok(client, "/v1/devices/lamp-1")
    assert lamp == second["items"][0]
    assert (lamp["online"], lamp["boot"], lamp["firmware"], lamp["unknown_keys"]) == (False, 7, "1.4.0", ["colour"])
    assert lamp["changed_at"] == "2026-11-21T06:15:00.000Z"
    assert [item["name"] for item in (await ok(client, "/v1/devices?kind=solar"))["items"]] == ["gateway-1"]
    assert [item["name"] for item in (await ok(client, "/v1/devices?q=namesti"))["items"]] == ["stop-1"]


async def test_the_newest_reading_has_words_and_shortest_numbers(region: Region, client: httpx.AsyncClient) -> None:
    region.reading("VO-9 Nádražní", NOW - timedelta(minutes=1), 1, power_w=12)
    region.reading(
        "VO-9 Nádražní",
        NOW,
        2,
        implausible=("voltage_v",),
        power_w=41.2,
        voltage_v=199,
        level_reason=LAMP.by_name["level_reason"].states.index("program"),
        failure_flags=0b101 | 1 << 20,
        energy_wh=2**53,
    )
    answer = await client.get(f"/v1/assets/{region.asset_id('VO-9 Nádražní')}/latest")
    body = answer.json()
    assert body["condition"] == "unusual"
    reading = body["reading"]
    assert reading["values"] == {
        "power_w": 41.2,
        "voltage_v": 199,
        "level_reason": "program",
        "failure_flags": ["gear_failure", "supply_overvoltage", "bit_20"],
        "energy_wh": 2**53,
    }
    assert (reading["ts"], reading["seq"], reading["boot"]) == ("2026-11-21T06:15:00.000Z", 2, 7)
    assert reading["implausible"] == ["voltage_v"]
    assert '"voltage_v":199,' in answer.text


async def test_an_asset_that_never_sent_has_no_reading(region: Region, client: httpx.AsyncClient) -> None:
    body = await ok(client, f"/v1/assets/{region.asset_id('Náměstí')}/latest")
    assert (body["condition"], body["reading"]) == ("never", None)


async def test_every_asset_shows_at_a_glance(region: Region, client: httpx.AsyncClient) -> None:
    region.reading("VO-9 Nádražní", NOW - timedelta(seconds=4), power_w=41.2)
    region.reading("VO-10 Školní", NOW - timedelta(hours=4), power_w=40)
    region.reading("Náměstí", NOW, implausible=("battery_soc_pct",), battery_soc_pct=9.5)
    region.reading("Střídač 1", NOW, power_w=5000)
    region.status("gateway-1", online=False)
    page = await ok(client, "/v1/latest")
    assert page["at"] == "2026-11-21T06:15:00.000Z"
    assert {item["label"]: item["condition"] for item in page["items"]} == {
        "VO-9 Nádražní": "reporting",
        "VO-10 Školní": "silent",
        "Náměstí": "unusual",
        "Střídač 1": "offline",
        "Střídač 2": "never",
    }
    assert page["items"][0]["headline"] == {"metric": "power_w", "value": 41.2, "unit": "W", "plausible": True}
    assert page["items"][2]["headline"] == {"metric": "battery_soc_pct", "value": 9.5, "unit": "%", "plausible": False}
    assert page["items"][4]["headline"] is None


async def test_readings_are_paged_by_time_and_number(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(5):
        region.reading("VO-9 Nádražní", NOW - timedelta(minutes=5 - n // 2), n, power_w=n)
    path = f"/v1/assets/{region.asset_id('VO-9 Nádražní')}/readings"
    found: list[int] = []
    url = f"{path}?limit=2"
    while url:
        page = await ok(client, url)
        found += [item["seq"] for item in page["items"]]
        url = f"{path}?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert found == [0, 1, 2, 3, 4]


async def test_readings_of_a_range_include_from_and_exclude_to(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(4):
        region.reading("VO-9 Nádražní", NOW - timedelta(days=30, minutes=-n), n, power_w=n)
    path = f"/v1/assets/{region.asset_id('VO-9 Nádražní')}/readings"
    asked = "from=2026-10-22T07:16:00+01:00&to=2026-10-22T06:18:00Z&metrics=power_w, voltage_v"
    page = await ok(client, f"{path}?{asked}")
    assert [item["values"] for item in page["items"]] == [{"power_w": 1}, {"power_w": 2}]
    assert (await ok(client, path))["items"] == []  # the last 24 hours when nothing is said


@pytest.mark.parametrize("wish", ["?format=csv", "accept"])
async def test_readings_come_as_csv(region: Region, client: httpx.AsyncClient, wish: str) -> None:
    region.reading("Náměstí", NOW - timedelta(minutes=2), 1, battery_soc_pct=41.2, door_open=False, shedding=1)
    region.reading("Náměstí", NOW - timedelta(minutes=1), 2, implausible=("battery_soc_pct",), battery_soc_pct=1e-5)
    path = f"/v1/assets/{region.asset_id('Náměstí')}/readings"
    answer = await client.get(path if wish == "accept" else path + wish, headers={"accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    kind = KINDS["stop"]
    assert list(rows[0]) == ["ts", "seq", "boot", *(metric.name for metric in kind.metrics), "implausible"]
    assert rows[0]["ts"] == "2026-11-21T06:13:00.000Z"
    assert (rows[0]["battery_soc_pct"], rows[0]["door_open"], rows[0]["shedding"]) == ("41.2", "false", "usb_off")
    assert (rows[0]["air_temp_degc"], rows[0]["implausible"]) == ("", "")
    assert (rows[1]["battery_soc_pct"], rows[1]["implausible"]) == ("1e-05", "battery_soc_pct")


async def test_csv_pages_go_on_by_the_link(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(5):
        region.reading("VO-9 Nádražní", NOW - timedelta(minutes=5), n, power_w=n)
    url = f"/v1/assets/{region.asset_id('VO-9 Nádražní')}/readings?format=csv&limit=2&metrics=power_w"
    found: list[str] = []
    while url:
        answer = await client.get(url)
        found += [row["seq"] for row in csv.DictReader(io.StringIO(answer.text))]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert found == ["0", "1", "2", "3", "4"]


async def test_the_quarantine_tells_why_in_the_readers_language(region: Region, client: httpx.AsyncClient) -> None:
    region.refused("not_json", b'{"ts": \xff\x00')
    region.refused("value_impossible", b"x" * 1000, metric="power_w")
    first = await ok(client, "/v1/quarantine?limit=1", **{"accept-language": "en-GB,en;q=0.8"})
    assert first["items"][0]["sentence"] == quarantine.REASONS["value_impossible"].en
    assert (len(first["items"][0]["payload"]), first["items"][0]["payload_bytes"]) == (400, 1000)
    second = await ok(client, f"/v1/quarantine?cursor={first['next_cursor']}", **{"accept-language": "de, cs;q=0.5"})
    (item,) = second["items"]
    assert item["sentence"] == quarantine.REASONS["not_json"].cs
    assert (item["payload"], item["times"], item["municipality"]) == ('{"ts": ��', 3, "olsinka")
    assert second["beyond_quota"] == 0


async def test_totals_add_up_in_each_slot_and_in_sum(region: Region, client: httpx.AsyncClient) -> None:
    region.slot(NOW, received=15, committed=10, duplicate=3, quarantined=2, in_flight=1, values_quarantined=4)
    region.slot(NOW, "slot_1", received=100, committed=100)
    body = await ok(client, "/v1/totals")
    for counts in (body, *body["slots"]):
        parts = ("committed", "duplicate", "quarantined", "in_flight")
        assert counts["received"] == sum(counts[part] for part in parts)
    assert (body["received"], body["values_quarantined"], len(body["slots"])) == (116, 4, 2)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/assets?limit=0", (400, "limit", "1")),
        ("/v1/assets?limit=201", (400, "limit", "200")),
        ("/v1/assets?limit=many", (400, "limit", "200")),
        ("/v1/assets?cursor=nonsense!", (400, "cursor", "cursor")),
        ("/v1/assets?cursor=WzEsMl0", (400, "cursor", "cursor")),
        ("/v1/assets?cursor=WyJkZXZpY2VzIiwieCJd", (400, "cursor", "cursor")),
        ("/v1/assets?cursor=WyJhc3NldHMiLDk5OTk5OTk5OTk5OTk5OTk5OTk5OV0", (400, "cursor", "cursor")),
        ("/v1/assets?kind=tram", (400, "kind", "lamp")),
        ("/v1/assets?colour=red", (400, "parameter", "municipality")),
        ("/v1/assets?q=%00", (400, "parameter_value", "q")),
        ("/v1/assets/999", (404, "asset", "999")),
        ("/v1/assets/lamp", (404, "asset", "lamp")),
        ("/v1/assets/99999999999", (404, "asset", "99999999999")),
        ("/v1/assets/999/latest", (404, "asset", "999")),
        ("/v1/assets/999/readings", (404, "asset", "999")),
        ("/v1/devices/Lamp_1", (404, "device", "Lamp_1")),
        ("/v1/devices/lamp-9", (404, "device", "lamp-9")),
        ("/v1/nothing", (404, "not_found", "/v1/nothing")),
        ("/v1/assets/{lamp}/readings?metrics=power", (400, "metrics", "power_w")),
        ("/v1/assets/{lamp}/readings?from=yesterday", (400, "time", "from")),
        ("/v1/assets/{lamp}/readings?from=2026-11-21T06:00:00", (400, "time", "from")),
        ("/v1/assets/{lamp}/readings?to=0001-01-01T00:00:00%2B23:00", (400, "time", "to")),
        ("/v1/assets/{lamp}/readings?from=2026-11-21T07:00:00Z&to=2026-11-21T06:00:00Z", (400, "range", "from")),
        ("/v1/assets/{lamp}/readings?limit=201", (400, "limit", "200")),
        ("/v1/assets/{lamp}/readings?format=csv&limit=10001", (400, "limit", "10000")),
        ("/v1/assets/{lamp}/readings?format=xml", (400, "parameter_value", "format")),
        ("/v1/quarantine?cursor=WyJhc3NldHMiLDFd", (400, "cursor", "cursor")),
    ],
)
async def test_a_wrong_request_is_told_what_to_do_in_both_languages(
    region: Region, client: httpx.AsyncClient, path: str, expected: tuple[int, str, str]
) -> None:
    status, code, named = expected
    url = path.replace("{lamp}", str(region.asset_id("VO-9 Nádražní")))
    english = await problem(client, url, status)
    czech = await problem(client, url, status, "cs")
    assert english["type"] == czech["type"] == f"/problems/{code}"
    assert named in english["detail"] + english["hint"]
    assert english["hint"] != czech["hint"]
    page = await client.get(english["type"], headers={"accept": "text/html"})
    assert english["title"] in (await client.get(english["type"] + "?lang=en")).text
    assert page.status_code == 200


async def test_only_reading_is_allowed(region: Region, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/totals", headers={"accept-language": "en"})
    assert (answer.status_code, answer.json()["type"]) == (405, "/problems/method")


async def test_the_api_cannot_write_even_if_it_wanted_to(region: Region, database_role_url: Any) -> None:
    with psycopg.connect(database_role_url("kraj_api")) as connection:
        assert connection.execute("DELETE FROM asset").rowcount == 0, "nobody asks, so nothing is there to be deleted"
        for statement in (
            "DELETE FROM reading_lamp",
            "UPDATE slot SET committed = 0",
            "INSERT INTO quarantine DEFAULT VALUES",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


async def test_an_unknown_kind_of_a_newer_version_is_left_out(region: Region, client: httpx.AsyncClient) -> None:
    region.connection.execute("UPDATE asset SET kind = 'tram' WHERE label = 'Náměstí'")
    assert "Náměstí" not in [item["label"] for item in (await ok(client, "/v1/latest"))["items"]]
    await problem(client, f"/v1/assets/{region.asset_id('Náměstí')}/latest", 404)
