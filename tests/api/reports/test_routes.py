"""Reports over HTTP: which there are, each in the form that is wished, and nothing of what is not one's own."""

from typing import Any

import httpx
import pytest

from api.reports import bodies
from api.reports.routes import preferred
from tests.api import signing
from tests.api.conftest import Region

PATH = "/v1/reports/olsinka/2026-10"


async def get(client: httpx.AsyncClient, path: str, accept: str = "*/*", **asked: Any) -> httpx.Response:
    answer = await client.get(path, params=asked, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_month_comes_as_json_with_completeness_and_what_it_hangs_on(
    client: httpx.AsyncClient, town: Region
) -> None:
    body = (await get(client, PATH)).json()
    bodies.ReportBody.model_validate(body)
    assert (body["title"], body["last"], body["over"], body["missing_days"]) == ("Olšinka", "2026-10-31", True, 1)
    (lighting,) = [section for section in body["sections"] if section["domain"] == "lighting"]
    (energy,) = [one for one in lighting["figures"] if one["name"] == "lighting_energy_kwh"]
    assert energy["value"] == pytest.approx(31 + 1 / 24, abs=0.01)
    assert (energy["completeness"], energy["partly"]) == (0.5, True)
    assert "=Nádražní" in [row["title"] for row in lighting["rows"]]
    assert [(one["name"], one["later"]) for one in body["used"]] == [("Ceník", False), ("Nový", True)]
    building = (await get(client, PATH, building=2, lang="en")).json()
    assert building["building"] == "Škola"
    (lighting, *_) = building["sections"]
    assert lighting["figures"][0]["value"] is None, "of its only lamp nothing came"


async def test_accept_suffix_and_parameter_choose_the_form(client: httpx.AsyncClient, town: Region) -> None:
    for path, accept, asked, media in (
        (PATH, "text/html", {}, "text/html"),
        (PATH, "application/pdf;q=0.9, text/csv", {}, "text/csv"),
        (PATH + ".pdf", "application/json", {}, "application/pdf"),
        (PATH + ".csv", "*/*", {}, "text/csv"),
        (PATH + ".html", "*/*", {"form": "json"}, "application/json"),
    ):
        answer = await get(client, path, accept, **asked)
        assert answer.headers["content-type"].partition(";")[0] == media, path
        assert "accept" in answer.headers["vary"]
    assert "Zpráva za říjen 2026: Olšinka" in (await get(client, PATH, "text/html")).text


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/*", "html"),
        ("text/csv, application/json;q=0.5", "csv"),
        ("application/json, text/html", "json"),
        ("text/html;q=0, */*;q=0.1", "json"),
        ("application/pdf;q=x", "json"),
        ("image/png", "json"),
    ],
)
def test_what_a_header_prefers(accept: str, form: str) -> None:
    assert preferred(accept) == form


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/reports/olsinka/2027-01", 404, "report_month"),
        ("/v1/reports/olsinka/2026-13.csv", 404, "report_month"),
        ("/v1/reports/olsinka/2026-10.xml", 404, "report_month"),
        ("/v1/reports/nowhere/2026-10", 404, "municipality"),
        ("/v1/reports/olsinka/2026-10?building=99", 404, "report_building"),
        ("/v1/reports/zdarna/2026-10?building=2", 404, "report_building"),
        ("/v1/reports?municipality=nowhere", 404, "municipality"),
        ("/v1/reports?cursor=x", 400, "cursor"),
    ],
)
async def test_what_is_not_there_is_said(
    client: httpx.AsyncClient, town: Region, path: str, status: int, code: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, code), answer.text


async def test_months_are_listed_by_pages_of_ones_own_towns(client: httpx.AsyncClient, town: Region) -> None:
    signing.person(town.connection, "eva@zdarna.cz", "viewer", "zdarna", session="eva", title="Eva")
    whole = (await get(client, "/v1/reports", limit=200)).json()["items"]
    assert len(whole) == 48
    assert whole[0] == {
        "municipality": "olsinka",
        "title": "Olšinka",
        "month": "2026-11",
        "over": False,
        "url": "/v1/reports/olsinka/2026-11",
    }
    paged: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await get(client, "/v1/reports", limit=20, **cursor)).json()
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == whole
    client.cookies.clear()
    eva = {"cookie": f"{signing.COOKIE}=eva"}
    mine = (await client.get("/v1/reports", headers=eva)).json()["items"]
    assert {one["municipality"] for one in mine} == {"zdarna"}
    assert (await client.get(PATH, headers=eva)).status_code == 404
    assert (await client.get(PATH)).status_code == 401
    assert (await client.get("/v1/reports")).status_code == 401
