"""Imports over HTTP: bounded while reading, shown before writing, applied and undone as a whole; and their pages."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from api.auditing import AuditPage
from api.importing import bodies, examples, receiving, routes
from tests.api import signing
from tests.api.conftest import Region
from tests.kraj.importing.samples import csv_file, geojson_file, workbook_file

CSV = {"content-type": "text/csv"}
XLSX = {"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
HEADINGS = ("Označení", "Zařízení", "Zeměpisná šířka", "Zeměpisná délka", "Jmenovitý výkon (W)")
ROWS = [(f"VO-{n}", f"lampa-{n}", 49.19 + n / 1000, 16.6, 70.5) for n in range(20, 25)]
WRONG = [*ROWS, ("VO-30", "Lampa č. 1", 16.6, 49.19, "asi 70"), ("VO-20", None, None, None, None)]
WHERE = {"kind": "lamp", "municipality": "olsinka"}

pytestmark = pytest.mark.usefixtures("region")


async def uploaded(
    client: httpx.AsyncClient, data: bytes, headers: dict[str, str] = CSV, **more: Any
) -> dict[str, Any]:
    answer = await client.post("/v1/imports", params=WHERE | more, content=data, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/imports/{answer.json()['import_id']}"
    return answer.json()


async def ended(client: httpx.AsyncClient, job: str) -> dict[str, Any]:
    for _ in range(600):
        found: dict[str, Any] = (await client.get(job, params={"lang": "en"})).json()
        if found["state"] != "running":
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{job} does not end")


async def viewer(client: httpx.AsyncClient, region: Region, role: str = "viewer", town: str = "olsinka") -> None:
    signing.person(region.connection, f"petr-{role}@kraj.cz", role, town, session=f"session-of-{role}")
    client.cookies.clear()
    signing.sign(client, f"session-of-{role}")


def assets(region: Region) -> int:
    row = region.connection.execute("SELECT count(*) FROM asset").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (csv_file(ROWS, HEADINGS), CSV),
        (csv_file(ROWS, HEADINGS), {"content-type": "application/vnd.ms-excel"}),
        (workbook_file(ROWS, HEADINGS), XLSX),
        (geojson_file(ROWS, HEADINGS), {"content-type": "application/geo+json"}),
    ],
)
async def test_a_file_is_shown_applied_and_undone(
    client: httpx.AsyncClient, region: Region, data: bytes, headers: dict[str, str]
) -> None:
    before = assets(region)
    found = await uploaded(client, data, headers)
    assert (found["state"], found["rows_new"], found["rows_wrong"], found["applicable"]) == ("preview", 5, 0, True)
    assert found["rows_absent"] == 2
    assert assets(region) == before
    address = f"/v1/imports/{found['import_id']}"
    page = (await client.get(address)).json()
    assert [item["action"] for item in page["items"]] == ["create"] * 5
    assert page["items"][0]["metadata"] == {"power_rated_w": 70.5}
    done = await client.post(f"{address}/apply")
    assert done.json() == {"import_id": found["import_id"], "rows_created": 5}
    assert assets(region) == before + 5
    again = await client.post(f"{address}/apply")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/import_state")
    listed = (await client.get("/v1/assets", params={"q": "VO-2"})).json()["items"]
    assert {row["label"] for row in listed} >= {row[0] for row in ROWS}
    back = await client.post(f"{address}/undo")
    assert back.json() == {"import_id": found["import_id"], "rows_removed": 5}
    assert assets(region) == before
    assert (await client.get(address)).json()["state"] == "undone"


async def test_every_error_stands_with_its_row_and_column_and_nothing_is_half_done(
    client: httpx.AsyncClient, region: Region
) -> None:
    before = assets(region)
    found = await uploaded(client, csv_file(WRONG, HEADINGS), lang="cs")
    assert (found["rows_wrong"], found["applicable"]) == (2, False)
    address = f"/v1/imports/{found['import_id']}"
    page = (await client.get(address, params={"only": "findings", "lang": "cs"})).json()
    said = {item["row"]: [(one["code"], one["column"]) for one in item["findings"]] for item in page["items"]}
    assert said == {
        7: [("device_name", "Zařízení"), ("swapped", "Zeměpisná šířka"), ("number", "Jmenovitý výkon (W)")],
        8: [("label_twice", None)],
    }
    assert "Prohoďte je: šířka 49,19, délka 16,6." in page["items"][0]["findings"][1]["remedy"]
    english = (await client.get(address, params={"only": "findings", "lang": "en"})).json()
    assert "Swap them" in english["items"][0]["findings"][1]["remedy"]
    refused = await client.post(f"{address}/apply")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/import_wrong")
    assert assets(region) == before


async def test_rows_come_in_pages(client: httpx.AsyncClient) -> None:
    found = await uploaded(client, csv_file(ROWS, HEADINGS))
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = await client.get(
            f"/v1/imports/{found['import_id']}", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        )
        seen += [item["row"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [2, 3, 4, 5, 6]


async def test_a_large_file_becomes_a_job(client: httpx.AsyncClient, region: Region) -> None:
    rows = [(f"X-{n}", f"velka-{n}", 49.19, 16.6 + n / 100_000, 70.5) for n in range(8000)]
    data = csv_file(rows, HEADINGS)
    assert len(data) > routes.AT_ONCE_BYTES_MAX
    answer = await client.post("/v1/imports", params=WHERE, content=data, headers=CSV)
    assert answer.status_code == 202
    job = answer.headers["location"]
    found = await ended(client, job)
    assert (found["state"], found["progress_pct"], found["problem"]) == ("done", 100, None)
    made = (await client.get(found["result"])).json()
    assert made["rows_new"] == 8000
    before = assets(region)
    assert (await client.post(f"{found['result']}/apply")).json()["rows_created"] == 8000
    assert assets(region) == before + 8000


async def test_a_large_file_that_is_no_table_fails_its_job_with_a_remedy(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/imports", content=b"PK" + bytes(400_000), headers=CSV)
    found = await ended(client, answer.headers["location"])
    assert found["state"] == "failed"
    assert "Excel workbook" in found["problem"]["remedy"]


async def test_a_job_is_seen_by_who_began_it_alone(client: httpx.AsyncClient, region: Region) -> None:
    answer = await client.post("/v1/imports", content=b"PK" + bytes(400_000), headers=CSV)
    await viewer(client, region, "municipality_admin", "zdarna")
    assert (await client.get(answer.headers["location"])).status_code == 404


@pytest.mark.parametrize("media", ["application/pdf", "image/png", "application/x-www-form-urlencoded", ""])
async def test_another_type_is_refused_with_a_hint(client: httpx.AsyncClient, media: str) -> None:
    answer = await client.post("/v1/imports", content=b"x", headers={"content-type": media, "accept-language": "en"})
    assert answer.status_code == 415
    assert "text/csv" in answer.json()["hint"]


async def test_an_endless_body_is_cut(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "BYTES_MAX", 100_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield b"x" * 10_000

    answer = await client.post("/v1/imports", content=endless(), headers=CSV)
    assert answer.status_code == 413

    async def form() -> AsyncIterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        async for part in endless():
            yield part

    answer = await client.post(
        "/v1/imports", content=form(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"--b\r\nrubbish", b"\x00" * 50])
async def test_a_form_without_a_file_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/v1/imports", "/imports"):
        answer = await client.post(path, content=body, headers={"content-type": "multipart/form-data; boundary=b"})
        assert answer.status_code == 400
    answer = await client.post("/v1/imports", content=body, headers={"content-type": "multipart/form-data"})
    assert answer.status_code == 400


async def test_a_file_of_which_nothing_can_be_taken_is_refused_with_a_remedy(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/imports", params={"lang": "cs"}, content=b"\xd0\xcf\x11\xe0", headers=CSV)
    assert answer.status_code == 422
    assert "uložte jako" in answer.json()["hint"]


async def test_who_may_not_register_may_not_import(client: httpx.AsyncClient, region: Region) -> None:
    await viewer(client, region)
    answer = await client.post("/v1/imports", content=csv_file(ROWS, HEADINGS), headers=CSV)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/import_right")
    assert "Only who may register" in (await client.get("/imports", params={"lang": "en"})).text


async def test_another_municipalitys_import_is_not_there(client: httpx.AsyncClient, region: Region) -> None:
    found = await uploaded(client, csv_file(ROWS, HEADINGS))
    await viewer(client, region, "municipality_admin", "zdarna")
    for method, path in (("GET", ""), ("POST", "/apply"), ("POST", "/undo")):
        answer = await client.request(method, f"/v1/imports/{found['import_id']}{path}")
        assert answer.status_code == 404, path
    mine = await client.post("/v1/imports", params=WHERE, content=csv_file(ROWS, HEADINGS), headers=CSV)
    assert mine.json()["rows_wrong"] == 5
    kept = (await client.get(f"/v1/imports/{mine.json()['import_id']}")).json()
    assert {one["code"] for item in kept["items"] for one in item["findings"]} == {"municipality"}


async def test_a_registry_that_changed_since_the_preview_is_noticed(client: httpx.AsyncClient, region: Region) -> None:
    found = await uploaded(client, csv_file(ROWS, HEADINGS))
    region.connection.execute("INSERT INTO device (name, municipality_id) VALUES ('lampa-22', 2)")
    before = assets(region)
    answer = await client.post(f"/v1/imports/{found['import_id']}/apply")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/import_changed")
    page = (await client.get(f"/v1/imports/{found['import_id']}", params={"only": "findings"})).json()
    assert [(item["row"], item["findings"][0]["code"]) for item in page["items"]] == [(4, "device_taken")]
    assert assets(region) == before


async def test_undo_is_refused_with_a_reason_for_rows_that_live(client: httpx.AsyncClient, region: Region) -> None:
    found = await uploaded(client, csv_file(ROWS, HEADINGS))
    address = f"/v1/imports/{found['import_id']}"
    await client.post(f"{address}/apply")
    region.connection.execute("UPDATE asset SET label = 'VO-22a' WHERE label = 'VO-22'")
    refused = await client.post(f"{address}/undo", params={"lang": "en"})
    assert refused.status_code == 409
    assert refused.json()["rows"] == [
        {"row": 4, "reason": "changed", "sentence": "the asset or the device was changed since the import"}
    ]
    page = await client.post(f"/imports/{found['import_id']}/undo", params={"lang": "en"})
    assert page.status_code == 409
    assert "Row 4: the asset or the device was changed" in page.text
    done = await client.post(f"{address}/undo", json={"leave": True})
    assert done.json()["rows_removed"] == 4


async def test_the_template_is_taken_back_as_it_is(client: httpx.AsyncClient) -> None:
    for kind in ("lamp", "cabinet", "stop", "solar"):
        for language in ("cs", "en"):
            answer = await client.get("/v1/imports/template.csv", params={"kind": kind, "lang": language})
            assert answer.content.startswith(b"\xef\xbb\xbf")
            cells = answer.text.strip("\ufeff\r\n").split(";")
            row = ["" for _ in cells]
            row[0] = "VO-1"
            data = answer.content + (";".join(row) + "\r\n").encode()
            found = await uploaded(client, data, kind=kind)
            assert found["findings"] == []
            assert all(column["field"] for column in found["columns"])


async def test_what_is_imported_is_in_the_audit_log(client: httpx.AsyncClient, region: Region) -> None:
    found = await uploaded(client, csv_file(ROWS, HEADINGS))
    await client.post(f"/v1/imports/{found['import_id']}/apply")
    entries = (await client.get("/v1/audit", params={"municipality": "olsinka"})).json()["items"]
    assert [(entry["action"], entry["subject"], entry["person"]) for entry in entries[:5]] == [
        ("import.applied", f"import {found['import_id']}", "Jana"),
        *((entry["action"], entry["subject"], "Jana") for entry in entries[1:5]),
    ]
    assert {(entry["action"], entry["subject"]) for entry in entries} >= {("created", "asset"), ("created", "device")}
    first = (await client.get("/v1/audit", params={"limit": 1})).json()
    second = (await client.get("/v1/audit", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert second["items"][0]["entry_id"] == first["items"][0]["entry_id"] - 1
    await viewer(client, region)
    assert (await client.get("/v1/audit")).status_code == 403


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (bodies.ImportBody, examples.IMPORT),
        (bodies.ImportPageBody, examples.PAGE),
        (bodies.JobBody, examples.JOB),
        (bodies.AppliedBody, examples.APPLIED),
        (bodies.UndoneBody, examples.UNDONE),
        (AuditPage, examples.AUDIT),
    ],
)
def test_the_documented_answers_are_such(model: type[BaseModel], example: dict[str, Any]) -> None:
    assert set(model.model_validate(example).model_dump()) == set(example)


async def test_the_pages_say_what_happens_in_both_languages(client: httpx.AsyncClient) -> None:
    form = {"kind": "lamp", "municipality": "olsinka"}
    for language in ("cs", "en"):
        assert (await client.get("/imports", params={"lang": language})).status_code == 200
        files = {"file": ("Pasport VO.csv", csv_file(WRONG, HEADINGS), "text/csv")}
        answer = await client.post("/imports", params={"lang": language}, data=form, files=files)
        assert answer.status_code == 303
        page = await client.get(answer.headers["location"])
        assert "Pasport VO.csv" in page.text
        assert {"cs": "Řádek 7", "en": "Row 7"}[language] in page.text
        table = page.text.partition("in-place")[2].partition("</table>")[0]
        cells = [cell.strip() for cell in re.findall(r"<td[^>]*>(?:<a[^>]*>)?([^<]*)", table)]
        assert cells[2:4] == ["16.6", "49.19"], "what is swapped stands as it does in the file"
        empty = {"file": ("x.csv", b"a;b\r\n", "text/csv")}
        refused = await client.post("/imports", params={"lang": language}, data=form, files=empty)
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
