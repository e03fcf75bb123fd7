"""A region with lamps and stops, its anonymous client, and what ingest and a crew would say."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from api.app import create
from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.settings import Settings
from kraj.store.alerts import parameter
from tests.api.conftest import NOW, Region
from tests.api.contract import served

LAMP, OTHER_LAMP, STOP = "VO-9 Nádražní", "VO-10 Školní", "Náměstí"


@dataclass
class Town:
    """The region with its clock; requests come from ``here`` unless told."""

    region: Region
    client: httpx.AsyncClient
    elsewhere: Callable[[str], httpx.AsyncClient]
    at: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def owner(self) -> psycopg.Connection[Any]:
        return self.region.connection

    def lamp(self, label: str = LAMP) -> int:
        return self.region.asset_id(label)

    def one(self, statement: str, *values: object) -> Any:
        row = self.owner.execute(statement.encode(), list(values)).fetchone()
        return None if row is None else row[0] if len(row) == 1 else row

    def step(self, step: Step, asset_id: int, rule: str = "lamp_out", *, minutes: float = 0) -> None:
        """What the engine finds, taken as ingest takes it."""
        at_ms = int((self.at[0] + timedelta(minutes=minutes)).timestamp() * 1000)
        since_ms = int(NOW.timestamp() * 1000)
        change = AlertChange(
            key=f"{rule}@asset/1/{asset_id}@{since_ms}",
            step=step,
            at_ms=at_ms,
            rule=rule,
            scope=Scope(type="asset", name=str(asset_id), municipality_id=1),
            severity=Severity.MAJOR,
            since_ms=since_ms,
            asset_id=asset_id,
            municipality_id=1,
            notify=step is Step.OPENED,
        )
        self.owner.execute("SELECT take_alert_changes(%s::jsonb, 1)", [parameter([change])])

    async def report(self, client: httpx.AsyncClient | None = None, /, **fields: object) -> httpx.Response:
        given = {"service_code": "dark_lamp", **fields}
        return await (client or self.client).post("/open311/v2/requests.json", data=given)

    async def token(self, client: httpx.AsyncClient | None = None, /, **fields: object) -> str:
        answer = await self.report(client, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()[0]["service_request_id"]


@pytest.fixture
async def town(region: Region, database_role_url: Callable[[str], str]) -> AsyncIterator[Town]:
    at = [NOW]
    app = create(Settings(public_url="https://kraj.test"), database_role_url("kraj_api"), clock=lambda: at[0])

    def client(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 1234))
        return httpx.AsyncClient(transport=transport, base_url="https://kraj.test")

    async with app.router.lifespan_context(app), client("192.0.2.1") as found:
        yield Town(region, found, client, at)


@pytest.fixture
def georeport_url(database_role_url: Callable[[str], str]) -> Iterator[str]:
    """The same region behind a real server."""
    with served(create(Settings(), database_role_url("kraj_api"), clock=lambda: NOW)) as url:
        yield f"{url}/open311/v2"
