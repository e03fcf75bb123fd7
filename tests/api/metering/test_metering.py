"""Prices have gaps and no overlaps; files of quarter-hours count once, and can be taken back; nothing is made up."""

from datetime import date
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import TypeAdapter

from api.metering import bodies, examples, figures
from tests.api import signing
from tests.api.conftest import Region
from tests.kraj.importing.test_quarters import AUTUMN, SCHOOL, SOLAR, edc

TOWN = {"municipality": "olsinka"}
PRICE = {**TOWN, "name": "2026", "direction": "import", "czk_per_kwh": 5.25, "source": "Smlouva 1"}
PROBLEM = "application/problem+json"


async def made(client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def points(client: httpx.AsyncClient) -> None:
    for ean in (SOLAR, SCHOOL):
        await made(client, "/v1/metering-points", {**TOWN, "ean": ean, "title": "Škola"})


async def uploaded(client: httpx.AsyncClient, text: str, status: int = 201, **asked: str) -> dict[str, Any]:
    answer = await client.post(
        "/v1/metering/imports", content=text.encode(), headers={"content-type": "text/csv"}, params=asked
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def held(region: Region) -> list[Any]:
    return region.connection.execute(
        "SELECT ean, bucket, import_wh, export_wh, shared_wh, status FROM meter_quarter ORDER BY 1, 2"
    ).fetchall()


def by_day(region: Region) -> list[Any]:
    """Days of points as they are kept, without those of which there is nothing."""
    return region.connection.execute(
        "SELECT ean, bucket, due, quarters, import_wh, import_known, export_wh, export_known, shared_wh, shared_known,"
        " unshared_wh, unshared_known FROM meter_day WHERE quarters > 0 ORDER BY 1, 2"
    ).fetchall()


def summed(region: Region) -> list[Any]:
    """The same, summed up from what holds of the quarter-hours."""
    return region.connection.execute(
        "WITH u AS (SELECT *, date_trunc('day', bucket, 'Europe/Prague') AS begins, CASE WHEN export_wh = 0 THEN 0"
        " WHEN shared_wh IS NOT NULL THEN greatest(export_wh - shared_wh, 0) END AS unshared_wh FROM meter_quarter)"
        " SELECT ean, begins, (SELECT count(*) FROM generate_series(begins, date_trunc('day', begins + interval"
        " '30 h', 'Europe/Prague') - interval '1 s', interval '15 min')), count(*), sum(import_wh), count(import_wh),"
        " sum(export_wh), count(export_wh), sum(shared_wh), count(shared_wh), sum(unshared_wh), count(unshared_wh)"
        " FROM u GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()


async def price(client: httpx.AsyncClient, day: str, asset_id: int | None = None) -> float | None:
    asked = {**TOWN, "day": day} | ({"asset_id": str(asset_id)} if asset_id else {})
    return (await client.get("/v1/prices", params=asked)).json()["import_czk_per_kwh"]


async def test_a_price_holds_on_its_days_and_a_gap_has_none(region: Region, client: httpx.AsyncClient) -> None:
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2025-01-01", "valid_until": "2025-06-30"})
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2025-09-01"})
    days = ("2024-12-31", "2025-01-01", "2025-06-30", "2025-07-01", "2025-08-31", "2025-09-01", "2099-01-01")
    assert [await price(client, day) for day in days] == [None, 5.25, 5.25, None, None, 5.25, 5.25]
    # The next version ends the one that was to hold until further notice.
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2026-01-01", "czk_per_kwh": 4})
    assert [await price(client, day) for day in ("2025-12-31", "2026-01-01")] == [5.25, 4]
    refused = await client.post("/v1/tariffs", json={**PRICE, "valid_from": "2025-06-30", "valid_until": "2025-07-02"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/tariff_overlap")
    # An asset's own goes before; its gap is a gap, and beside it the municipality's holds.
    for since, until in (("2025-02-01", "2025-02-28"), ("2025-04-01", "2025-04-30")):
        await made(
            client,
            "/v1/tariffs",
            {**PRICE, "asset_id": 1, "czk_per_kwh": 1, "valid_from": since, "valid_until": until},
        )
    days = ("2025-01-31", "2025-02-01", "2025-03-15", "2025-04-30", "2025-05-01")
    assert [await price(client, day, 1) for day in days] == [5.25, 1, None, 1, 5.25]
    with pytest.raises(psycopg.errors.ExclusionViolation):
        region.connection.execute(
            "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, source, who, at)"
            " VALUES (1, 'x', 'import', 1, '2026-05-01', 's', 'w', now())"
        )
    wrong = await client.post("/v1/tariffs", json={**PRICE, "asset_id": 3, "valid_from": "2026-01-01"})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/metering_scope")


async def test_a_withdrawn_version_holds_no_more_and_groups_that_disagree_have_no_price(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = (await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2026-01-01"}))["tariff_id"]
    await made(client, f"/v1/tariffs/{number}/withdraw", {"reason": "Překlep"}, 200)
    assert await price(client, "2026-02-01") is None
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2026-01-01", "czk_per_kwh": 6})
    tariff: dict[str, Any] = {}
    for n, czk in enumerate((2, 3)):
        group = await made(client, "/v1/groups", {**TOWN, "name": f"g{n}", "assets": [1]})
        body = {**PRICE, "group_id": group["group_id"], "czk_per_kwh": czk, "valid_from": "2026-03-01"}
        tariff = await made(client, "/v1/tariffs", body)
        if n == 0:
            assert [await price(client, day, 1) for day in ("2026-02-01", "2026-03-01")] == [6, 2]
    assert (await price(client, "2026-03-01", 1), await price(client, "2026-03-01", 2)) == (None, 6)
    again = await client.post(f"/v1/tariffs/{number}/withdraw", json={"reason": "r"})
    assert again.status_code == 409
    with pytest.raises(psycopg.errors.CheckViolation):
        region.connection.execute(
            "UPDATE tariff SET withdrawn_at = now() - interval '1 h' WHERE tariff_id = %s", [number]
        )
    assert tariff["withdrawn_at"] is None


async def test_co2_is_the_municipalitys_else_the_regions_else_unknown(
    client: httpx.AsyncClient, region: Region
) -> None:
    def asked(day: str) -> Any:
        return client.get("/v1/prices", params={**TOWN, "day": day})

    await made(client, "/v1/co2-factors", {"g_per_kwh": 400, "valid_from": "2025-01-01", "source": "X"})
    await made(client, "/v1/co2-factors", {**TOWN, "g_per_kwh": 300, "valid_from": "2026-01-01", "source": "X"})
    found = [(await asked(day)).json()["co2_g_per_kwh"] for day in ("2024-12-31", "2025-12-31", "2026-01-01")]
    assert found == [None, 400, 300]


async def test_a_file_counts_once_and_can_be_taken_back(region: Region, client: httpx.AsyncClient) -> None:
    await points(client)
    preview = await uploaded(client, edc(AUTUMN))
    assert (preview["applicable"], held(region)) == (True, [])
    summary = {one["ean"]: one for one in preview["points"]}
    assert (summary[SCHOOL]["quarters"], summary[SCHOOL]["missing"], summary[SCHOOL]["import_kwh"]) == (100, 0, 75)
    await made(client, f"/v1/metering/imports/{preview['meter_import_id']}/apply", {}, 200)
    first = held(region)
    assert len(first) == 200
    assert [row[2:6] for row in by_day(region) if row[0] == SCHOOL] == [(100, 100, 75_000, 100)]
    again = await uploaded(client, edc(AUTUMN))
    assert (again["applicable"], again["findings"][0]["code"]) == (False, "same_file")
    refused = await client.post(f"/v1/metering/imports/{again['meter_import_id']}/apply")
    assert refused.status_code == 409
    other = await uploaded(client, edc(AUTUMN, end="\n"))  # the same values in other bytes
    assert {one["changed"] for one in other["points"]} == {0}
    await made(client, f"/v1/metering/imports/{other['meter_import_id']}/apply", {}, 200)
    assert held(region) == first
    later = await uploaded(client, f"od;ean;odběr kWh;stav\n25.10.2026 00:00;{SCHOOL};9,5;náhradní\n")
    assert later["points"][0]["changed"] == 1
    await made(client, f"/v1/metering/imports/{later['meter_import_id']}/apply", {}, 200)
    at = next(row for row in held(region) if row[0] == SCHOOL)
    assert at[2:] == (9500, None, 500, "substitute")
    assert by_day(region) == summed(region)
    for one in (later, other, preview):
        await made(client, f"/v1/metering/imports/{one['meter_import_id']}/undo", {}, 200)
        assert held(region) == ([] if one is preview else first)
        assert by_day(region) == summed(region)
    assert region.connection.execute("SELECT count(*) FROM meter_day").fetchone() == (0,)


async def test_days_of_a_year_follow_from_its_quarter_hours_whatever_becomes_of_them(
    region: Region, client: httpx.AsyncClient
) -> None:
    await points(client)
    region.connection.execute(
        "INSERT INTO meter_quarter (ean, bucket, import_id, municipality_id, import_wh, export_wh, shared_wh, status)"
        " SELECT ean, b, 1, 1, n, CASE n %% 3 WHEN 0 THEN 0 WHEN 1 THEN n END, CASE WHEN n %% 5 = 0 THEN n END,"
        " 'measured'"
        " FROM unnest(%s::text[]) AS ean, generate_series('2026-03-10T23:00Z'::timestamptz, '2026-11-02T00:00Z',"
        " interval '15 min') WITH ORDINALITY AS g(b, n) WHERE n %% 97 > 2",
        [[SCHOOL, SOLAR]],
    )
    assert by_day(region) == summed(region)
    lengths = "SELECT array_agg(DISTINCT due ORDER BY due), sum(due), count(*) FROM meter_day WHERE ean = %s"
    assert region.connection.execute(lengths, [SCHOOL]).fetchone() == ([92, 96, 100], 237 * 96, 237)
    # What is changed, lost, moved to another day and another point; a gap of days stays due, and ends at the last one.
    for statement in (
        "UPDATE meter_quarter SET import_wh = NULL, shared_wh = 7 WHERE bucket::time = '04:15'",
        "UPDATE meter_quarter SET bucket = bucket + interval '1 year' WHERE ean = %(ean)s AND bucket > '2026-11-01'",
        "DELETE FROM meter_quarter WHERE bucket BETWEEN '2026-04-01' AND '2026-05-01' OR bucket < '2026-03-15'",
        "DELETE FROM meter_quarter WHERE ean = %(ean)s AND bucket > '2027-01-01'",
    ):
        region.connection.execute(statement.encode(), {"ean": SCHOOL})
        assert by_day(region) == summed(region)
        gaps = region.connection.execute(
            "SELECT ean, count(*), count(DISTINCT bucket), sum(quarters), bool_and(due >= quarters),"
            " (max(bucket) AT TIME ZONE 'Europe/Prague')::date - (min(bucket) AT TIME ZONE 'Europe/Prague')::date + 1,"
            " (SELECT count(*) FROM meter_quarter q WHERE q.ean = d.ean) FROM meter_day d GROUP BY 1"
        ).fetchall()
        assert len(gaps) == 2
        for _, days, different, quarters, within, from_first_to_last, kept in gaps:
            assert (days, different, quarters, within) == (from_first_to_last, days, kept, True)


async def test_a_broken_file_stores_nothing_and_an_unknown_ean_is_left_out(
    region: Region, client: httpx.AsyncClient
) -> None:
    for broken in ("", "PK\x03\x04", "a;b\n1;2", "\0", '"'):
        await uploaded(client, broken, 422)
    await made(client, "/v1/metering-points", {**TOWN, "ean": SCHOOL, "title": "Škola"})
    wrong = await uploaded(client, edc(AUTUMN).replace("-0,75", "x", 1))
    assert (wrong["applicable"], wrong["rows_wrong"], wrong["findings"][-1]["row"]) == (False, 1, 2)
    row = region.connection.execute("SELECT count(*) FROM meter_quarter_said").fetchone()
    assert row == (0,)
    some = await uploaded(client, edc(AUTUMN))
    assert ([one["ean"] for one in some["points"]], some["findings"][0]["code"]) == ([SCHOOL], "unknown_ean")
    await uploaded(client, edc(AUTUMN), 404, ean="859182400123456784")


async def test_invoices_come_by_form_or_file_once_and_without_a_figure_there_is_no_difference(
    region: Region, client: httpx.AsyncClient
) -> None:
    await points(client)
    head = "Číslo faktury;EAN;Od;Do;kWh;Kč\n"
    file = await uploaded(client, f"{head}17;{SCHOOL};1. 10. 2026;31.10.2026;1 000,5;5 000\n", content="invoices")
    await made(client, f"/v1/metering/imports/{file['meter_import_id']}/apply", {}, 200)
    body = {
        "ean": SCHOOL,
        "number": "17",
        "period_from": "2026-10-01",
        "period_until": "2026-10-31",
        "kwh": 1,
        "czk": 1,
    }
    assert (await client.post("/v1/invoices", json=body)).json()["type"] == "/problems/invoice_taken"
    path = f"/v1/metering-points/{SCHOOL}/reconciliation"
    year = (await client.get(path, params={"year": 2026})).json()
    october = year["months"][9]
    assert (october["billed"], october["theirs"], october["ours"]) == (
        {"kwh": 1000.5, "completeness": 1},
        {"kwh": None, "completeness": 0},
        {"kwh": None, "completeness": 0},
    )
    assert (october["difference_pct"], october["verdict"], len(year["invoices"])) == (None, "no_data", 1)
    region.connection.execute(
        "INSERT INTO meter_quarter (ean, bucket, import_id, municipality_id, import_wh, status)"
        " SELECT %s, b, 1, 1, 300, 'measured' FROM generate_series('2026-09-30T22:00Z'::timestamptz,"
        " '2026-10-31T22:45Z', interval '15 min') AS b",
        [SCHOOL],
    )
    october = (await client.get(path, params={"year": 2026})).json()["months"][9]
    assert (october["theirs"], october["verdict"]) == ({"kwh": 894, "completeness": 1}, "check")
    assert october["billed_difference_pct"] == pytest.approx(11.91, abs=0.01)
    region.connection.execute("DELETE FROM meter_quarter WHERE bucket = '2026-10-10T10:00Z'")
    october = (await client.get(path, params={"year": 2026})).json()["months"][9]
    assert (october["theirs"]["kwh"], october["verdict"]) == (None, "no_data")
    await made(client, f"/v1/metering/imports/{file['meter_import_id']}/undo", {}, 200)
    assert (await client.get(path, params={"year": 2026})).json()["invoices"] == []


async def test_another_towns_prices_and_meters_are_behind_the_wall(region: Region, client: httpx.AsyncClient) -> None:
    await points(client)
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2026-01-01"})
    signing.person(region.connection, "petr@zdarna.cz", "energy_manager", "zdarna", session="petr")
    client.cookies.clear()
    client.cookies.set("kraj_session", "petr")
    for path in ("/v1/tariffs", "/v1/metering-points", "/v1/invoices", "/v1/metering/imports"):
        assert (await client.get(path)).json()["items"] == []
    assert await price(client, "2026-02-01") is None
    assert (await client.get(f"/v1/metering-points/{SCHOOL}")).status_code == 404
    assert (await client.post("/v1/tariffs", json={**PRICE, "valid_from": "2027-01-01"})).status_code == 403
    mine = {**PRICE, "municipality": "zdarna", "valid_from": "2027-01-01"}
    assert (await client.post("/v1/tariffs", json=mine)).status_code == 201


async def test_the_pages_show_versions_gaps_and_comparisons(region: Region, client: httpx.AsyncClient) -> None:
    await points(client)
    await made(client, "/v1/tariffs", {**PRICE, "valid_from": "2025-01-01", "valid_until": "2025-06-30"})
    form = {**TOWN, "scope": "", "direction": "import", "name": "Nová", "czk_per_kwh": "4,5", "source": "Ceník"}
    answer = await client.post("/tariffs", data={**form, "valid_from": "2025-09-01"})
    assert answer.status_code == 303, answer.text
    page = (await client.get("/tariffs")).text
    assert "Mezera" in page
    assert "2025-07-01 – 2025-08-31" in page
    again = await client.post("/tariffs", data={**form, "valid_from": "2025-06-01", "valid_until": "2025-06-02"})
    assert (again.status_code, "Ceny se překrývají" in again.text) == (409, True)
    file = {"file": ("edc.csv", edc(AUTUMN).encode(), "text/csv")}
    answer = await client.post("/metering/imports", files=file, data={"content": "quarters"})
    assert answer.status_code == 303, answer.text
    where = answer.headers["location"]
    assert "Sdíleno kWh" in (await client.get(where)).text
    assert (await client.post(f"{where}/apply")).status_code == 303
    link = {"scope": "asset:1", "valid_from": "2026-01-01"}
    assert (await client.post(f"/metering/points/{SCHOOL}/links", data=link)).status_code == 303
    assert "bez údajů" in (await client.get(f"/metering/points/{SCHOOL}?year=2026")).text
    assert SCHOOL in (await client.get("/metering", headers={"accept-language": "en"})).text


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (bodies.TariffAnswer, examples.TARIFF),
        (bodies.PriceAnswer, examples.PRICE),
        (bodies.FactorAnswer, examples.FACTOR),
        (bodies.PointAnswer, examples.POINT),
        (bodies.LinkAnswer, examples.LINK),
        (bodies.InvoiceAnswer, examples.INVOICE),
        (bodies.AllocationAnswer, examples.ALLOCATION),
        (figures.Reconciliation, examples.RECONCILIATION),
        (figures.QuartersAnswer, examples.QUARTERS),
        (figures.MeterImportAnswer, examples.IMPORT),
    ],
)
def test_an_example_fits_its_model(model: Any, example: Any) -> None:
    adapter = TypeAdapter[Any](model)
    assert adapter.dump_python(adapter.validate_python(example), mode="json", exclude_unset=True) == example


def test_the_autumn_day_is_one_with_a_doubled_hour() -> None:
    assert date(2026, 10, 25) == AUTUMN
