"""Large files of quarter-hours are read by a job: the same preview, errors and undo, once for a key, two at once."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from api.importing.routes import AT_ONCE_BYTES_MAX
from kraj.meters import ZONE, check_digit
from tests.api import signing
from tests.api.conftest import Region
from tests.kraj.importing.test_quarters import AUTUMN, starts

POINTS = 20
EANS = [f"{digits}{check_digit(digits)}" for digits in (f"859182400{n:08d}" for n in range(POINTS))]
DAYS = 12
QUARTERS = DAYS * 96 + 4
"""Over the day of 25 hours."""


def group(value: str = "-0,75") -> bytes:
    """As the EDC exports a sharing group of twenty consumers, around the end of summer time."""
    lines = ["Datum;Cas od;Cas do;" + ";".join(f"IN-{ean}-O;OUT-{ean}-O" for ean in EANS)]
    for day in (AUTUMN + timedelta(days=n - DAYS // 2) for n in range(DAYS)):
        for start in starts(day):
            here, until = start.astimezone(ZONE), (start + timedelta(minutes=15)).astimezone(ZONE)
            lines.append(f"{here:%d.%m.%Y;%H:%M};{until:%H:%M};" + f"{value};-0,25;" * POINTS)
    return "\r\n".join(lines).encode()


async def twenty(client: httpx.AsyncClient) -> None:
    for n, ean in enumerate(EANS):
        body = {"municipality": "olsinka", "ean": ean, "title": f"Budova {n}"}
        assert (await client.post("/v1/metering-points", json=body)).status_code == 201


async def upload(client: httpx.AsyncClient, file: bytes, **headers: str) -> httpx.Response:
    return await client.post("/v1/metering/imports", content=file, headers={"content-type": "text/csv", **headers})


async def ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """The job once it runs no more."""
    job: dict[str, Any] = {}
    for _ in range(1000):
        job = (await client.get(path)).json()
        if job["state"] != "running":
            break
        await asyncio.sleep(0.02)
    return job


def count(region: Region, table: str) -> int:
    row = region.connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return row[0]


async def test_a_large_file_is_read_by_a_job_into_the_same_preview_and_once_for_a_key(
    region: Region, client: httpx.AsyncClient
) -> None:
    await twenty(client)
    file = group()
    assert len(file) > AT_ONCE_BYTES_MAX
    answers = await asyncio.gather(
        upload(client, file, **{"idempotency-key": "one"}),
        upload(client, group("-0,5"), **{"idempotency-key": "two"}),
        upload(client, file, **{"idempotency-key": "one"}),
    )
    assert [one.status_code for one in answers] == [202, 202, 202], answers[0].text
    places = [one.headers["location"] for one in answers]
    assert places[0] == places[2] != places[1]
    assert (count(region, "job"), answers[0].json()["kind"]) == (2, "metering")
    mine, other = [await ended(client, place) for place in places[:2]]
    assert [(job["state"], job["progress_pct"], job["problem"]) for job in (mine, other)] == [("done", 100, None)] * 2
    assert count(region, "meter_import") == 2
    preview = (await client.get(mine["result"])).json()
    assert (preview["applicable"], preview["rows"], preview["rows_wrong"]) == (True, QUARTERS, 0)
    assert {(one["quarters"], one["missing"], one["import_kwh"]) for one in preview["points"]} == {
        (QUARTERS, 0, QUARTERS * 0.75)
    }
    assert count(region, "meter_quarter") == 0
    for job, expected in ((mine, POINTS * QUARTERS), (other, POINTS * QUARTERS)):
        assert (await client.post(f"{job['result']}/apply")).status_code == 200
        assert count(region, "meter_quarter") == expected
    for job, expected in ((other, POINTS * QUARTERS), (mine, 0)):
        assert (await client.post(f"{job['result']}/undo")).status_code == 200
        assert count(region, "meter_quarter") == expected


async def test_a_large_file_that_is_broken_says_what_a_small_one_does_and_leaves_nothing(
    region: Region, client: httpx.AsyncClient
) -> None:
    await twenty(client)
    rows = b"\r\n".join([b"a;b", *[b"1;2"] * (AT_ONCE_BYTES_MAX // 4)])
    small = await upload(client, b"a;b\r\n1;2")
    job = await ended(client, (await upload(client, rows)).headers["location"])
    assert (small.status_code, job["state"], job["result"]) == (422, "failed", None)
    assert small.json()["detail"] == job["problem"]["sentence"]
    assert count(region, "meter_import") == 0
    wrong = group().replace(b"-0,75", b"x", 1)
    job = await ended(client, (await upload(client, wrong)).headers["location"])
    preview = (await client.get(job["result"])).json()
    assert (preview["applicable"], preview["rows_wrong"], preview["findings"][-1]["row"]) == (False, 1, 2)
    assert count(region, "meter_quarter_said") == 0


async def test_the_page_leads_a_large_file_to_its_preview_and_shows_it_to_nobody_else(
    region: Region, client: httpx.AsyncClient
) -> None:
    await twenty(client)
    file = {"file": ("edc.csv", group(), "text/csv")}
    answer = await client.post("/metering/imports", files=file, data={"content": "quarters"})
    assert answer.status_code == 303, answer.text
    page = answer.headers["location"]
    number = page.rpartition("/")[2]
    seen = await client.get(page)
    assert seen.status_code in {200, 303}  # it may be read already
    if seen.status_code == 200:
        assert "<progress" in seen.text
    await ended(client, f"/v1/jobs/{number}")
    there = (await client.get(page)).headers["location"]
    assert "edc.csv" in (await client.get(urlsplit(there).path)).text
    region.connection.execute(
        "UPDATE job SET state = 'running', result = NULL, progress_pct = 60, heard_at = %s", [region_now(region)]
    )
    shown = (await client.get(page)).text
    assert 'value="60"' in shown
    assert f'href="{page}"' in shown
    region.connection.execute("UPDATE job SET state = 'failed', problem = '{\"code\": \"failed\"}'")
    assert "Zpracování souboru selhalo" in (await client.get(page)).text
    signing.person(region.connection, "petr@zdarna.cz", "energy_manager", "zdarna", session="petr")
    client.cookies.clear()
    client.cookies.set("kraj_session", "petr")
    assert (await client.get(page)).status_code == 404
    signing.person(region.connection, "x@y.cz", "viewer", "zdarna", session="x")
    client.cookies.clear()
    client.cookies.set("kraj_session", "x")
    assert (await upload(client, group())).status_code == 403


def region_now(region: Region) -> datetime:
    row = region.connection.execute("SELECT max(heard_at) FROM job").fetchone()
    assert row is not None
    return row[0]


def test_the_file_spans_the_end_of_summer_time() -> None:
    assert AUTUMN - timedelta(days=DAYS // 2) < date(2026, 10, 25) < AUTUMN + timedelta(days=DAYS // 2)
