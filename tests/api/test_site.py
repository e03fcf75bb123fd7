"""Scripts and styles are fetched once a version, and never an old one for a new page."""

import re
from importlib.resources import files

import httpx
import pytest

from api.site import FOREVER, version
from tests.api.conftest import Region

STATIC = files("api").joinpath("static")


@pytest.mark.parametrize("path", ["/", "/alerts", "/public", "/offline"])
async def test_what_a_page_names_is_kept_for_good(region: Region, client: httpx.AsyncClient, path: str) -> None:
    page = (await client.get(path, headers={"accept": "text/html"})).text
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert any(".css" in address for address in addresses)
    for address in addresses:
        answer = await client.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOREVER), address


async def test_what_is_named_without_the_version_is_asked_about_again(client: httpx.AsyncClient) -> None:
    imported = {
        address
        for entry in STATIC.iterdir()
        if entry.name.endswith(".js")
        for address in re.findall(r'^import .*"(.+)";', entry.read_text("utf-8"), re.MULTILINE)
    }
    assert imported
    for address in {*imported, "/static/kraj.css", "/static/kraj.css?0123456789", f"/static/sw.js?{version()}x"}:
        first = await client.get(address)
        assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache"), address
        again = await client.get(address, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"], again.content) == (304, "no-cache", b"")
        other = await client.get(address, headers={"if-none-match": '"another"'})
        assert other.status_code == 200
    assert (await client.get("/sw.js")).headers["cache-control"] == "no-cache"
    assert (await client.get(f"/static/nothing.js?{version()}")).headers["cache-control"] == "no-store"
    kept = await client.get(f"/static/kraj.css?{version()}", headers={"if-none-match": "*"})
    assert kept.status_code == 304
    assert kept.headers["cache-control"] == FOREVER
