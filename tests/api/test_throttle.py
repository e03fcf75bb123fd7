"""A bucket a name fills again; one municipality's programs do not take what others, or its own people, need."""

from collections.abc import AsyncIterator, Callable

import httpx
import psycopg
import pytest

from api.app import create
from api.throttle import NAMES_MAX, Throttle
from kraj.settings import Settings
from stack.database import OWNER
from tests.api import signing
from tests.api.conftest import NOW, Region

BURST = 4


def test_a_bucket_fills_again_and_forgets_the_oldest_name() -> None:
    now = 0.0
    throttle = Throttle(1.0, 3.0, lambda: now)
    assert [throttle.take("a") for _ in range(4)] == [True, True, True, False]
    assert throttle.wait_s("a") == 1.0
    now = 2.0
    assert throttle.wait_s("a") == 0.0
    assert [throttle.take("a") for _ in range(3)] == [True, True, False]
    for number in range(NAMES_MAX):
        throttle.take(str(number))
    assert throttle.left("a") == 3.0


@pytest.fixture
async def shared(region: Region, database_role_url: Callable[[str], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client without anybody's cookie, where a municipality may ask four times and then hardly ever."""
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as connection:
        for name, role, town in (
            ("region", "region_admin", None),
            ("eva", "municipality_admin", "olsinka"),
            ("ivo", "viewer", "olsinka"),
            ("ota", "viewer", "zdarna"),
            ("firm", None, None),
        ):
            signing.person(connection, f"{name}@x.example", role, town, session=f"session-of-{name}")
    settings = Settings(api_share_per_s=0.0001, api_share_burst=BURST)
    app = create(settings, database_role_url("kraj_api"), clock=lambda: NOW)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield client


async def asked(client: httpx.AsyncClient, who: str, times: int = 1) -> list[int]:
    client.cookies.clear()
    signing.sign(client, f"session-of-{who}")
    return [(await client.get("/v1/me")).status_code for _ in range(times)]


async def test_a_municipality_has_one_share_for_all_its_people_and_others_have_theirs(
    shared: httpx.AsyncClient,
) -> None:
    assert await asked(shared, "eva", BURST - 1) == [200] * (BURST - 1)
    assert await asked(shared, "ivo", 2) == [200, 429]
    assert await asked(shared, "ota", 2) == [200, 200]
    assert await asked(shared, "firm", BURST + 1) == [200] * BURST + [429]
    assert await asked(shared, "region", 3 * BURST) == [200] * 3 * BURST


async def test_its_programs_do_not_shut_its_people_out_and_are_told_when_to_come_again(
    shared: httpx.AsyncClient,
) -> None:
    signing.sign(shared, "session-of-eva")
    made = await shared.post("/v1/tokens", json={"name": "GIS", "scopes": ["read"]})
    assert made.status_code == 201, made.text
    shared.cookies.clear()
    headers = {"authorization": f"Bearer {made.json()['token']}", "accept-language": "en"}
    answers = [await shared.get("/v1/assets", headers=headers) for _ in range(BURST + 1)]
    assert [one.status_code for one in answers] == [200] * BURST + [429]
    refused = answers[-1]
    assert refused.json()["type"] == "/problems/share"
    assert 0 < int(refused.headers["retry-after"]) <= 10_000
    assert refused.headers["retry-after"] in refused.json()["hint"]
    assert await asked(shared, "eva", 2) == [200, 200]
    page = await shared.get("/account", headers={"accept": "text/html"})
    assert page.status_code == 200
    page = await shared.get("/account", headers={"accept": "text/html"})
    assert (page.status_code, "retry-after" in page.headers) == (429, True)
    assert "<html" in page.text
