"""What an installed page needs is open to everybody, of its right type, in both languages, and nobody's."""

import json
from importlib.resources import files

import httpx

from api.site import version


async def test_the_manifest_the_worker_and_the_page_for_no_connection_are_open_and_nobodys(
    client: httpx.AsyncClient,
) -> None:
    client.cookies.clear()
    for language, name in (("cs", "poruchy"), ("en", "alerts")):
        found = await client.get(f"/manifest.webmanifest?lang={language}")
        assert found.headers["content-type"] == "application/manifest+json"
        manifest = found.json()
        assert (manifest["id"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
        assert name in manifest["name"]
        assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
        for icon in manifest["icons"]:
            picture = await client.get(icon["src"])
            assert picture.headers["content-type"] == "image/png"
            width = int.from_bytes(picture.content[16:20], "big")
            assert icon["sizes"] == f"{width}x{width}"
        page = await client.get(f"/offline?lang={language}")
        assert (page.status_code, page.headers["content-language"]) == (200, language)
        assert "/sign-out" not in page.text
    worker = await client.get("/sw.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    known = json.loads(worker.text.splitlines()[0].removeprefix("const KRAJ = ").removesuffix(";"))
    assert known["version"] == version()
    static = {f"/static/{entry.name}" for entry in files("api").joinpath("static").iterdir()}
    assert {"/static/queue.js", "/static/kraj.css"} <= set(known["files"]) <= static
