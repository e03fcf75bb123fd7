"""KPIs and series over HTTP as JSON and CSV, and the page of a municipality's month."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kraj.kpis import KPIS
from tests.api.conftest import NOW, Region

MIDNIGHT = datetime(2026, 11, 19, 23, tzinfo=UTC)
"""Of 20 November in Prague."""
HTML = {"accept": "text/html"}


def rollup(region: Region, label: str, step: str, bucket: datetime, covered_s: float, **values: Any) -> None:
    row = region.connection.execute(
        "SELECT asset_id, municipality_id, kind FROM asset WHERE label = %s", [label]
    ).fetchone()
    assert row is not None
    asset, town, kind = row
    region.connection.execute("SELECT ensure_rollup_partition(%s, %s, %s)", [kind, step, bucket.date()])
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    region.connection.execute(
        f"INSERT INTO rollup_{kind}_{step} (bucket, asset_id, municipality_id, readings, covered_s, {names})"
        f" VALUES (%s, %s, %s, 1, %s, {marks})".encode(),
        [bucket, asset, town, covered_s, *values.values()],
    )


def day(region: Region, label: str, bucket: datetime) -> None:
    region.connection.execute(
        "INSERT INTO asset_day SELECT %s, asset_id, municipality_id, 86400, kind FROM asset WHERE label = %s",
        [bucket, label],
    )


@pytest.fixture
def town(region: Region) -> Region:
    """Two days of two lamps and a stop; of the second lamp nothing came."""
    for n in range(2):
        bucket = MIDNIGHT - timedelta(days=n)
        for label in ("VO-9 Nádražní", "VO-10 Školní", "Náměstí"):
            day(region, label, bucket)
        rollup(
            region,
            "VO-9 Nádražní",
            "1d",
            bucket,
            86_400,
            energy_wh=400 + 100 * n,
            power_w=20,
            power_w_min=0,
            power_w_max=40,
        )
        rollup(region, "Náměstí", "1d", bucket, 43_200, battery_soc_pct=80)
    region.connection.execute("INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Nádražní', 'segment')")
    region.connection.execute("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE kind = 'lamp'")
    return region


async def get(client: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    answer = await client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_kpi_is_told_with_its_definition(client: httpx.AsyncClient) -> None:
    for language in ("cs", "en"):
        items = (await get(client, "/v1/kpis", lang=language))["items"]
        assert [item["name"] for item in items] == list(KPIS)
        assert [item["meaning"] for item in items] == [getattr(kpi.meaning, language) for kpi in KPIS.values()]


async def test_figures_come_by_day_and_subject_with_completeness(client: httpx.AsyncClient, town: Region) -> None:
    path, days = "/v1/kpis/lighting_energy_kwh", {"from": "2026-11-01", "to": "2026-12-01"}
    assert (await get(client, path, **days))["items"] == [
        {"period": "2026-11-01", "subject": None, "value": 0.9, "completeness": 0.5}
    ]
    by_day = (await get(client, path, per="day", municipality="olsinka", **days))["items"]
    assert [(one["period"], one["value"]) for one in by_day] == [("2026-11-19", 0.5), ("2026-11-20", 0.4)]
    lamp, silent = town.asset_id("VO-9 Nádražní"), town.asset_id("VO-10 Školní")
    by_asset = (await get(client, path, by="asset", group_id=1, **days))["items"]
    assert [(one["subject"], one["value"], one["completeness"]) for one in by_asset] == [
        (str(lamp), 0.9, 1),
        (str(silent), None, 0),
    ]
    assert (await get(client, path, by="group", per="month", **days))["items"][0]["subject"] == "1"
    assert (await get(client, path, municipality="zdarna", **days))["items"] == []
    assert (await get(client, path, asset_id=silent))["items"][0]["value"] is None


async def test_figures_are_paged_and_come_as_csv(client: httpx.AsyncClient, town: Region) -> None:
    path, asked = "/v1/kpis/lighting_energy_kwh", {"per": "day", "by": "asset", "from": "2026-11-01"}
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(client, path, limit=3, **asked, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(found) == 4
    answer = await client.get(path, params=asked, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["lighting_energy_kwh"] for row in rows] == ["0.5", "", "0.4", ""]
    other = await client.get(path, params={"per": "month", **cursor})
    assert other.status_code == 400


async def test_a_series_tells_how_much_of_each_step_is_known(client: httpx.AsyncClient, town: Region) -> None:
    lamp = town.asset_id("VO-9 Nádražní")
    asked = {"metric": "power_w", "step": "1d"}
    page = await get(client, f"/v1/assets/{lamp}/series", **asked)
    assert page["items"][-1] == {
        "bucket": "2026-11-19T23:00:00.000Z",
        "value": 20,
        "low": 0,
        "high": 40,
        "completeness": 1,
    }
    paged = await get(client, f"/v1/assets/{lamp}/series", limit=1, **asked)
    after = await get(client, f"/v1/assets/{lamp}/series", limit=1, cursor=paged["next_cursor"], **asked)
    assert [*paged["items"], *after["items"]] == page["items"]
    rollup(town, "Náměstí", "1h", NOW.replace(minute=0) - timedelta(hours=1), 1800, usb1_state=2)
    stop = town.asset_id("Náměstí")
    (point,) = (await get(client, f"/v1/assets/{stop}/series", metric="usb1_state"))["items"]
    assert (point["value"], point["completeness"]) == ("charging", 0.5)


async def test_a_group_is_known_as_far_as_all_its_assets_are(client: httpx.AsyncClient, town: Region) -> None:
    town.connection.execute("SELECT ensure_rollup_partition('lamp', '1d', '2026-11-19')")
    town.connection.execute(
        "INSERT INTO rollup_group_lamp_1d (bucket, covered_s, group_id, municipality_id, assets, power_w)"
        " VALUES (%s, 86400, 1, 1, 1, 20)",
        [MIDNIGHT],
    )
    (point,) = (await get(client, "/v1/groups/1/series", metric="power_w", step="1d"))["items"]
    assert (point["value"], point["completeness"]) == (20, 0.5)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/kpis/happiness_pct", 404, "kpi"),
        ("/v1/kpis/ean_import_kwh?by=asset", 404, "kpi_by"),
        ("/v1/kpis/pv_energy_kwh?from=2026-11-02&to=2026-11-01", 400, "range"),
        ("/v1/kpis/pv_energy_kwh?from=1826-11-02", 400, "time"),
        ("/v1/kpis/pv_energy_kwh?limit=201", 400, "limit"),
        ("/v1/kpis/pv_energy_kwh?cursor=abc", 400, "cursor"),
        ("/v1/assets/4711/series?metric=power_w", 404, "asset"),
        ("/v1/assets/1/series?metric=happiness", 404, "metrics"),
        ("/v1/groups/4711/series?metric=power_w", 404, "group"),
        ("/v1/groups/1/series?metric=level_reason", 404, "metrics"),
    ],
)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient, town: Region, path: str, status: int, code: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, code), answer.text


async def test_the_page_shows_the_month_and_what_is_missing(client: httpx.AsyncClient, town: Region) -> None:
    text = (await client.get("/energy", params={"municipality": "olsinka"}, headers=HTML)).text
    assert "Spotřeba svítidel" in text
    assert "0,9" in text
    assert "50&nbsp;%" in text
    assert "bez údajů" in text
    assert "Zastávky</h2>" not in text
    assert 'href="/lighting/1"' in text
    stops = (await client.get("/energy?municipality=zdarna&lang=en", headers=HTML)).text
    assert "Uptime of stops" in stops
    assert f'href="/assets/{town.asset_id("Náměstí")}"' in stops


async def test_an_empty_month_and_a_wrong_one_say_so(client: httpx.AsyncClient, town: Region) -> None:
    text = (await client.get("/energy?municipality=olsinka&month=2026-08", headers=HTML)).text
    assert "nemá zařízení" in text
    for month in ("2027-01", "2026-13", "x"):
        assert (await client.get(f"/energy?month={month}", headers=HTML)).status_code == 400


async def test_an_empty_region_has_a_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/energy", headers=HTML)).status_code == 200
