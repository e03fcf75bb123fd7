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
