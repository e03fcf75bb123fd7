"""Open data over HTTP: for anybody and any page, in parts, packed, once a generation, and a page for people."""

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from api.app import create
from api.opendata.pages import size
from kraj.opendata import DATASETS
from kraj.opendata.catalogue import Publisher
from kraj.settings import Settings
from stack import opendata
from tests.api.conftest import NOW, Region

BASE = Publisher(base="https://kraj.example")
IDENTITY = {"accept-encoding": "identity"}


@pytest.fixture
async def anybody(database_role_url: Callable[[str], str], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is nobody, of an application without files yet."""
    app = create(Settings(opendata_dir=tmp_path / "opendata"), database_role_url("kraj_api"), clock=lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as found,
    ):
        yield found


async def test_anybody_reads_files_whole_in_parts_packed_and_only_when_they_have_changed(
    anybody: httpx.AsyncClient, database_role_url: Callable[[str], str], region: Region, tmp_path: Path
) -> None:
    empty = await anybody.get("/opendata", headers={"accept-language": "en"})
    assert (empty.status_code, "No files yet" in empty.text) == (200, True)
    assert (await anybody.get("/opendata/stops.csv")).status_code == 404
    folder, url = tmp_path / "opendata", database_role_url("kraj_api")
    opendata.build(url, folder, BASE, NOW)

    plain = await anybody.get("/opendata/stops.csv", headers=IDENTITY)
    assert plain.content == (folder / "current" / "stops.csv").read_bytes()
    assert plain.content.count(b"\r\n") == 2
    assert plain.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert plain.headers["access-control-allow-origin"] == "*"
    assert plain.headers["cross-origin-resource-policy"] == "cross-origin"
    assert plain.headers["cache-control"] == "public, max-age=60"
    assert plain.headers["link"].startswith("<stops.csv-metadata.json>")
    assert "set-cookie" not in plain.headers

    tag = plain.headers["etag"]
    packed = await anybody.get("/opendata/stops.csv", headers={"accept-encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain.content)
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.headers["etag"] != tag, "another representation"
    part = await anybody.get("/opendata/stops.csv", headers={"range": "bytes=3-9", "accept-encoding": "gzip"})
    assert (part.status_code, part.content) == (206, plain.content[3:10])
    assert part.headers["content-range"] == f"bytes 3-9/{len(plain.content)}"
    assert "content-encoding" not in part.headers
    beyond = await anybody.get("/opendata/stops.csv", headers={"range": "bytes=999999-"})
    assert beyond.status_code == 416
    head = await anybody.head("/opendata/stops.parquet")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "application/vnd.apache.parquet"
    assert head.headers["accept-ranges"] == "bytes"

    known = {"if-none-match": tag, **IDENTITY}
    assert (await anybody.get("/opendata/stops.csv", headers=known)).status_code == 304
    opendata.build(url, folder, BASE, NOW)
    assert (await anybody.get("/opendata/stops.csv", headers=known)).status_code == 304, "made anew and the same"
    region.connection.execute("UPDATE asset SET label = 'Nádraží' WHERE label = 'Náměstí'")
    opendata.build(url, folder, BASE, NOW)
    changed = await anybody.get("/opendata/stops.csv", headers=known)
    assert (changed.status_code, "Nádraží" in changed.text) == (200, True)
    late = {"range": "bytes=0-3", "if-range": tag}
    assert (await anybody.get("/opendata/stops.csv", headers=late)).status_code == 200, "parts of two files do not fit"
    packed_file = folder / "current" / "stops.csv.gz"
    assert gzip.decompress(packed_file.read_bytes()) == changed.content

    for name, media in (
        ("catalog.jsonld", "application/ld+json"),
        ("stops.jsonld", "application/ld+json"),
        ("stops.geojson", "application/geo+json"),
        ("stops.csv-metadata.json", "application/csvm+json"),
    ):
        found = await anybody.get(f"/opendata/{name}")
        assert (found.status_code, found.headers["content-type"]) == (200, media)
    asked = await anybody.options(
        "/opendata/stops.csv",
        headers={"origin": "https://a.example", "access-control-request-method": "GET"},
    )
    assert (asked.status_code, "Range" in asked.headers["access-control-allow-headers"]) == (204, True)


async def test_what_the_catalogue_names_is_there_and_whatever_else_is_asked_is_answered_with_a_problem(
    anybody: httpx.AsyncClient, database_role_url: Callable[[str], str], region: Region, tmp_path: Path
) -> None:
    opendata.build(database_role_url("kraj_api"), tmp_path / "opendata", BASE, NOW)
    media = "http://www.iana.org/assignments/media-types/"

    async def named(url: str) -> httpx.Response:
        assert url.startswith(f"{BASE.base}/opendata"), url
        found = await anybody.get(url.removeprefix(BASE.base))
        assert found.status_code == 200, url
        return found

    catalogue = (await named(f"{BASE.base}/opendata/catalog.jsonld")).json()
    assert (await named(catalogue["domovská_stránka"])).headers["content-type"].startswith("text/html")
    assert len(catalogue["datová_sada"]) == len(DATASETS)
    for url in catalogue["datová_sada"]:
        one = (await named(url)).json()
        assert one["iri"] == url, "an IRI is where its document lies"
        page, _, place = one["vstupní_stránka"].partition("#")
        assert f'id="{place}"' in (await named(page)).text
        for distribution in one["distribuce"]:
            file = await named(distribution["soubor_ke_stažení"])
            assert media + file.headers["content-type"].split(";")[0] == distribution["typ_média"]
            if "schéma" not in distribution:
                continue
            table = (await named(distribution["schéma"])).json()
            assert table["url"] in distribution["soubor_ke_stažení"]
            heads = [column["name"] for column in table["tableSchema"]["columns"] if not column.get("virtual")]
            assert file.text.partition("\r\n")[0].split(",") == heads

    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
        for path in (
            "/opendata",
            "/opendata/",
            "/opendata/stops.csv",
            "/opendata/%00",
            "/opendata/" + "a" * 5000,
            "/opendata/a/b",
        ):
            for headers in (
                {"accept": "*/*"},
                {"range": "bytes=9-3", "if-range": "no tag"},
                {"range": "lines=1-2", "if-none-match": ",,W/", "if-modified-since": "yesterday"},
                {"accept-encoding": "gzip;q=0", "range": "bytes=" + "0-1," * 40 + "5-"},
            ):
                answer = await anybody.request(method, path, headers=headers)
                assert answer.status_code in {200, 204, 206, 304, 307, 400, 403, 404, 405, 416}, (method, path, headers)
                if answer.status_code in {403, 404, 405} and method != "HEAD":
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.json()["status"] == answer.status_code
                if answer.status_code == 405:
                    assert "GET" in answer.headers["allow"]


async def test_nothing_else_of_the_folder_is_given_and_nobody_writes(
    anybody: httpx.AsyncClient, database_role_url: Callable[[str], str], region: Region, tmp_path: Path
) -> None:
    opendata.build(database_role_url("kraj_api"), tmp_path / "opendata", BASE, NOW)
    (tmp_path / "secret.csv").write_text("x")
    for name in ("manifest.json", ".lock", "stops.csv.gz", "stops.txt", "current", "..%2Fsecret.csv", "faults.geojson"):
        assert (await anybody.get(f"/opendata/{name}")).status_code == 404, name
    assert (await anybody.post("/opendata/stops.csv")).status_code in (403, 405)
    assert "access-control-allow-origin" not in (await anybody.get("/public")).headers, "these files alone"


async def test_the_page_tells_people_what_there_is_in_their_language(
    anybody: httpx.AsyncClient, database_role_url: Callable[[str], str], region: Region, tmp_path: Path
) -> None:
    opendata.build(database_role_url("kraj_api"), tmp_path / "opendata", BASE, NOW)
    found = await anybody.get("/opendata", headers={"accept-language": "cs"})
    assert found.headers["content-language"] == "cs"
    for of in DATASETS.values():
        assert f'<h2 id="{of.name}">{of.title.cs}</h2>' in found.text
        assert all(f'href="/opendata/{of.name}.{ending}"' in found.text for ending in of.forms)
    assert "VO-9 Nádražní" in found.text, "a preview"
    assert "https://creativecommons.org/licenses/by/4.0/" in found.text
    assert "Z 7:15, obnovuje se každou hodinu. Řádků: 2." in found.text
    english = await anybody.get("/opendata?lang=en")
    assert "<h1>Open data</h1>" in english.text
    assert "set-cookie" not in english.headers
    assert 'href="/opendata"' in (await anybody.get("/public", headers={"accept-language": "cs"})).text
    assert [size(n, "cs") for n in (0, 999, 1234, 56_780, 12_300_000)] == [
        f"{n}\u00a0{unit}" for n, unit in (("0", "B"), ("999", "B"), ("1,2", "kB"), ("57", "kB"), ("12", "MB"))
    ]
