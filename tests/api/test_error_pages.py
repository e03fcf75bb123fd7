"""Whatever goes wrong, people get a page in their language: what it was, what to do, and a way on."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jinja2 import Environment

from api import problems, texts
from api.app import create
from kraj.settings import Settings
from stack.database import OWNER
from tests.api import signing
from tests.api.conftest import Region

HTML = {"accept": "text/html,*/*;q=0.8"}
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
CASES: list[tuple[int, str, str, dict[str, Any]]] = [
    (404, "GET", "/nowhere", {}),
    (404, "GET", "/assets/999999", {}),
    (404, "GET", "/public/nowhere", {}),
    (405, "DELETE", "/alerts", {}),
    (403, "POST", "/rules/windows", {"headers": {"sec-fetch-site": "cross-site"}, "content": b""}),
    (413, "POST", "/rules/own", {"headers": FORM, "content": b"text=" + bytes(3_000_000)}),
    (422, "POST", "/labels", {"headers": FORM, "content": b""}),
    (410, "GET", "/links/none", {}),
]


API = Path(problems.__file__).parent
FOR_SYSTEMS_ALONE = {"form", "field"}
"""Problems that no form of a page can have."""


def test_no_page_sends_people_to_the_api() -> None:
    """What is not there is told in general; any other hint about the API has one of its own for pages."""
    source = "\n".join(path.read_text("utf-8") for path in sorted(API.rglob("*.py")))
    statuses = dict(re.findall(r'Problem\(\s*"([a-z_0-9]+)",\s*(\d{3})', source))
    said = texts.read("cs")
    lacking = {
        code
        for code, status in statuses.items()
        if any(one in said[f"problem.{code}.hint"] for one in problems.FOR_SYSTEMS)
        and status != "404"
        and f"problem.{code}.page_hint" not in said
    }
    assert lacking == FOR_SYSTEMS_ALONE
    assert not any(one in text for key, text in said.items() if ".page_" in key for one in problems.FOR_SYSTEMS)


async def test_an_error_leads_back_to_where_one_was_and_nowhere_else(client: httpx.AsyncClient) -> None:
    for came, shown in (
        ("http://localhost/assets/1?x=%22", True),
        ("http://evil.test/a", False),
        ("http://localhost//evil.test", False),
    ):
        answer = await client.get("/assets/999999", headers=HTML | {"accept-language": "cs", "referer": came})
        assert ("Zpět, kde jste byli" in answer.text) is shown, came
        assert ('href="/assets/1?x=%22"' in answer.text) is shown
        assert "/v1/" not in answer.text


def says_what_to_do(page: str, status: int, language: str) -> None:
    assert re.search(rf'<html[^>]* lang="{language}"', page)
    assert len(re.findall(r"<h1[ >]", page)) == 1
    title, heading = re.search(r"<title>(.*?)</title>", page, re.DOTALL), re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert title is not None
    assert heading is not None
    assert heading[1].strip() in title[1]
    main = page[page.index("<main") : page.index("</main>")]
    assert len(re.findall(r"<p>[^<]{15,}", main)) >= (1 if status == 410 else 2), "what it was, and what to do"
    assert re.search(r'<a [^>]*href="/', main), "a way on"
    assert 'href="/accessibility' in page


@pytest.mark.parametrize("language", ["cs", "en"])
async def test_every_error_is_a_page(client: httpx.AsyncClient, language: str) -> None:
    for status, method, path, given in CASES:
        headers = HTML | {"accept-language": language} | given.get("headers", {})
        answer = await client.request(method, path, headers=headers, content=given.get("content"))
        assert answer.status_code == status, (method, path, answer.text[:300])
        assert answer.headers["content-type"].startswith("text/html"), (method, path)
        says_what_to_do(answer.text, status, language)


async def test_a_fault_of_ours_is_a_page_without_what_it_was(region: Region, client: httpx.AsyncClient) -> None:
    region.connection.execute("ALTER VIEW seen_reading_lamp RENAME COLUMN power_w TO power_kw")
    for path in ("/", "/nowhere"):
        answer = await client.get(path, headers=HTML | {"accept-language": "en"})
        assert answer.headers["content-type"].startswith("text/html"), path
        assert "power_k" not in answer.text
        says_what_to_do(answer.text, answer.status_code, "en")


async def test_what_nobody_expected_is_a_page_and_in_the_log(
    database_role_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the page of an error is itself at fault."""
    signing.signed_in(database_role_url(OWNER))
    app = create(Settings(), database_role_url("kraj_api"))

    @app.get("/broken")
    def broken() -> None:  # pyright: ignore[reportUnusedFunction]
        raise RuntimeError("a secret of ours")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        signing.sign(client)
        for language in ("cs", "en"):
            caplog.clear()
            answer = await client.get("/broken", headers=HTML | {"accept-language": language})
            assert answer.status_code == 500
            assert answer.headers["content-type"].startswith("text/html")
            says_what_to_do(answer.text, 500, language)
            assert "secret" not in answer.text
            assert "GET /broken failed" in caplog.text
            assert "a secret of ours" in caplog.text
        answer = await client.get("/broken", headers={"accept": "application/json"})
        assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")

        caplog.clear()
        monkeypatch.setattr(Environment, "get_template", None)
        for path, status in (("/broken", 500), ("/nowhere", 404)):
            answer = await client.get(path, headers=HTML)
            assert answer.status_code == status
            assert answer.text == problems.PLAIN
        assert caplog.text.count("the page of the error at") == 2
        assert caplog.text.count("TypeError: 'NoneType'") == 2


@pytest.mark.parametrize("language", ["cs", "en"])
async def test_without_a_database_there_is_a_page(language: str) -> None:
    app = create(Settings(), "postgresql://kraj_api@127.0.0.1:9/kraj")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=20) as client,
    ):
        signing.sign(client)
        for path in ("/",):
            answer = await client.get(path, headers=HTML | {"accept-language": language})
            if answer.status_code != 200:
                assert answer.status_code == 503, path
                assert answer.headers.get("retry-after") == "5", path
                says_what_to_do(answer.text, 503, language)
        statement = await client.get("/accessibility", headers=HTML | {"accept-language": language})
        assert statement.status_code == 200
        assert 'href="mailto:' not in statement.text
        assert "KRAJ_ACCESSIBILITY_CONTACT" in statement.text


async def test_the_statement_names_who_answers_and_every_page_links_to_it(client: httpx.AsyncClient) -> None:
    settings = Settings(accessibility_contact="pomoc@kraj.example", opendata_publisher="Kraj Vysočina")
    app = create(settings, "postgresql://kraj_api@127.0.0.1:9/kraj")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as one:
        page = (await one.get("/accessibility?lang=cs", headers=HTML)).text
    assert 'href="mailto:pomoc@kraj.example"' in page
    assert "Kraj Vysočina se zavazuje" in page
    for words in ("99/2019", "EN 301 549", "částečně v souladu", "NVDA", "Orca", "22. 11. 2026", "dia.gov.cz"):
        assert words in page, words
    for path in ("/", "/public", "/report", "/offline", "/opendata"):
        assert 'href="/accessibility' in (await client.get(path, headers=HTML)).text, path
