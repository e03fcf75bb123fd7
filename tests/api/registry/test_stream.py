"""Live views are told what changes, of what they may see, and nothing else."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from api import stream
from tests.api import alerting
from tests.api.conftest import NOW
from tests.api.registry.conftest import Clerks, refused


async def heard(client: httpx.AsyncClient, **headers: str) -> list[tuple[str, Any]]:
    """What a stream has sent until it ended."""
    answer = await client.get("/v1/stream", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.split("\n\n") if block]
    return [(block["event"], json.loads(block["data"])) for block in blocks if "event" in block]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LIFE_S", 8.0)
    monkeypatch.setattr(stream, "REST", 0)
    monkeypatch.setattr(stream, "POLL_S", 0.2)


async def test_values_and_alerts_come_as_they_change(clerks: Clerks) -> None:
    listening = asyncio.create_task(heard(clerks.olsinka))
    other = asyncio.create_task(heard(clerks.zdarna))
    await asyncio.sleep(3)
    clerks.database.reading("VO-9 Nádražní", NOW, power_w=41.2)
    alerting.lamp_out(clerks.database)
    events = await listening
    assert {data["asset_id"] for name, data in events if name == "value"} == {1, 2}
    assert any(name == "value" and data["headline"] for name, data in events)
    assert [data["step"] for name, data in events if name == "alert"] == ["opened"]
    assert all(data["asset_id"] not in (1, 2) for _, data in await other)


async def test_what_was_missed_comes_again(clerks: Clerks) -> None:
    alerting.lamp_out(clerks.database)
    assert [data["step"] for name, data in await heard(clerks.olsinka, **{"last-event-id": "0"}) if name == "alert"]
    assert not [1 for name, _ in await heard(clerks.olsinka, **{"last-event-id": "x"}) if name == "alert"]


async def test_streams_are_few(clerks: Clerks) -> None:
    many = [asyncio.create_task(clerks.olsinka.get("/v1/stream")) for _ in range(stream.STREAMS_PER_PERSON_MAX)]
    await asyncio.sleep(3)
    await refused(await clerks.olsinka.get("/v1/stream"), 429, "streams")
    assert {answer.status_code for answer in await asyncio.gather(*many)} == {200}
    clerks.nobody.cookies.clear()
    await refused(await clerks.nobody.get("/v1/stream"), 401, "sign_in")
