"""What a supervisor and Prometheus ask, and what every answer carries."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from api.app import create, run
from api.watch import local_host
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from tests.api import signing
from tests.api.conftest import NOW, Region


async def test_ready_means_database_schema_and_a_beating_ingest(region: Region, client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert [(part["part"], part["ready"]) for part in answer.json()["parts"]] == [
        ("database", True),
        ("schema", True),
        ("ingest", False),
    ]
    region.slot(NOW - timedelta(seconds=9))
    assert (await client.get("/readyz")).status_code == 200
    region.slot(NOW - timedelta(seconds=11), "slot_1")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"][-1] == {"part": "slot_1", "ready": False, "detail": "last heartbeat 11 s ago"}


async def test_a_lacking_column_is_named(region: Region, client: httpx.AsyncClient) -> None:
    region.connection.execute("ALTER VIEW seen_reading_lamp RENAME COLUMN power_w TO power_kw")
    parts = (await client.get("/readyz")).json()["parts"]
    assert parts[1]["detail"] == "lacks seen_reading_lamp.power_w; run `kraj migrate`"
    region.connection.execute("REVOKE SELECT ON slot FROM kraj_api")
    region.connection.execute("ALTER VIEW seen_reading_lamp RENAME COLUMN power_kw TO power_w")
    parts = (await client.get("/readyz")).json()["parts"]
    assert (parts[1]["part"], parts[1]["ready"]) == ("schema", False)
    answer = await client.get("/v1/totals", headers={"accept-language": "en"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not_migrated")


async def test_without_a_database_the_process_lives_and_says_so() -> None:
    app = create(Settings(), "postgresql://kraj_api@127.0.0.1:9/kraj")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=20) as client,
    ):
        signing.sign(client)
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["parts"][0]["part"]) == (503, "database")
        answer = await client.get("/v1/assets", headers={"accept-language": "en"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "/problems/unavailable"
        page = await client.get("/", headers={"accept": "text/html", "accept-language": "en"})
        assert page.status_code == 503
        assert "The database does not answer" in page.text


async def test_requests_are_counted_by_route_and_not_by_address(region: Region, client: httpx.AsyncClient) -> None:
    await client.get("/v1/assets/1")
    await client.get("/v1/assets/2")
    await client.get("/v1/assets/999")
    await client.get("/random/address")
    text = (await client.get("/metrics")).text
    route = 'method="GET",route="/v1/assets/{asset_id}"'
    assert f'kraj_api_requests_total{{{route},status="200"}} 2.0' in text
    assert f'kraj_api_requests_total{{{route},status="404"}} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert 'kraj_api_request_seconds_count{route="/v1/assets/{asset_id}"} 3.0' in text


@pytest.mark.parametrize("path", ["/", "/quarantine", "/v1/assets", "/nowhere", "/static/kraj.css", "/healthz"])
async def test_every_answer_carries_the_security_headers(region: Region, client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


async def test_another_host_name_is_turned_away(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/assets", headers={"host": "evil.example"})).status_code == 421


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("", False),
        ("kraj.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("192.168.1.2", False),
    ],
)
def test_only_names_of_this_machine_are_local(host: str, local: bool) -> None:
    assert local_host(host) == local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "kraj.example", ""])  # noqa: S104
def test_it_listens_where_others_could_reach_it_only_behind_tls(host: str) -> None:
    for public in (None, "http://kraj.example"):
        with pytest.raises(ConfigurationError, match="KRAJ_PUBLIC_URL=https"):
            create(Settings(api_host=host, public_url=public), "postgresql://localhost/kraj")
    create(Settings(api_host=host, public_url="https://kraj.example"), "postgresql://localhost/kraj")


def test_without_a_database_url_it_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="KRAJ_DATABASE_URL"):
        run(Settings())


async def test_a_connection_comes_back_clean_and_slow_queries_end(
    region: Region, database_role_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from api import database

    monkeypatch.setattr(database, "STATEMENT_S_MAX", 1)
    monkeypatch.setattr(database, "CONNECTIONS_MAX", 1)
    async with database.Database(database_role_url("kraj_api")) as pool:
        async with pool.connection() as connection:
            await connection.execute("SET kraj.principal = 'somebody'")
            await connection.execute("SET statement_timeout = 0")
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT current_setting('kraj.principal', true), current_setting('statement_timeout')"
            )
            assert await cursor.fetchone() == ("", "1s")
        with pytest.raises(database.TooSlowError):
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(3)")
