"""A street of twenty lamps with controllers, as a segment, and people who may do this and that with it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from api.app import create
from kraj.settings import Settings
from kraj.store.registry import NewAsset, NewDevice, register
from tests.api import signing
from tests.api.conftest import MUNICIPALITIES, NOW, Region

LAMPS = 20
PROGRAM = {"plans": [{"steps": [{"at": "22:00", "level_pct": 70}, {"at": "23:30", "level_pct": 50, "ramp_s": 60}]}]}
Signed = Callable[[str], Any]


@pytest.fixture
def street(region: Region) -> Region:
    """Lamps 1–20 of Nádražní in group 1 (kind segment), ten on feeder F1 and ten on F2 of cabinet R1."""
    lamps = [
        NewDevice(
            name=f"street-{n}",
            municipality="olsinka",
            assets={
                0: NewAsset(
                    kind="lamp",
                    label=f"N-{n}",
                    latitude=49.5,
                    longitude=15.6,
                    metadata={"feeder": "F1" if n <= 10 else "F2", "cabinet": "R1", "power_rated_w": 40.0},
                )
            },
        )
        for n in range(1, LAMPS + 1)
    ]
    register(region.connection, MUNICIPALITIES, lamps, NOW)
    region.connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind)"
        " SELECT municipality_id, 'Nádražní', 'segment' FROM municipality WHERE name = 'olsinka'"
    )
    region.connection.execute(
        "INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE metadata->>'cabinet' = 'R1'"
    )
    return region


@pytest.fixture
async def as_person(street: Region, database_role_url: Callable[[str], str]) -> AsyncIterator[Signed]:
    """A client of somebody with a role in Olšinka: ``async with as_person("crew") as client``."""
    app = create(Settings(), database_role_url("kraj_api"), clock=lambda: NOW)

    @asynccontextmanager
    async def signed(role: str, municipality: str | None = "olsinka") -> AsyncGenerator[httpx.AsyncClient]:
        session = f"session-of-{role}-{municipality}"
        signing.person(
            street.connection, f"{role}@{municipality}.example", role, municipality, title=role, session=session
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
            signing.sign(found, session)
            yield found

    async with app.router.lifespan_context(app):
        yield signed


async def program(client: httpx.AsyncClient, document: Any = PROGRAM, name: str = "Noc") -> dict[str, Any]:
    """A program that is kept."""
    answer = await client.post(
        "/v1/dimming/programs", json={"municipality": "olsinka", "name": name, "document": document}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def light(client: httpx.AsyncClient, **change: Any) -> httpx.Response:
    """Give segment 1 classes and a program, as it is now."""
    etag = (await client.get("/v1/lighting/segments/1")).headers["etag"]
    body = {"reason": "Zkouška", **change}
    return await client.patch("/v1/lighting/segments/1", json=body, headers={"if-match": etag})
