"""Live views are told what changes, of what they may see, and nothing else."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from api import stream
from api.service import Service
from tests.api import alerting
from tests.api.conftest import NOW
from tests.api.registry.conftest import Clerks, refused
from tests.waiting import PATIENCE_S


async def heard(client: httpx.AsyncClient, **headers: str) -> list[tuple[str, Any]]:
    """What a stream has sent until it ended."""
    answer = await client.get("/v1/stream", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.split("\n\n") if block]
    return [(block["event"], json.loads(block["data"])) for block in blocks if "event" in block]


class Rounds:
    """How often each open stream has asked for what is new; streams last until they are told to end."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._asked: Counter[int] = Counter()
        values = stream._values  # pyright: ignore[reportPrivateUsage]

        async def counted(service: Service, asked: stream.StreamParameters, seen: dict[int, Any]) -> list[str]:
            events = await values(service, asked, seen)
            self._asked[id(seen)] += 1  # each stream has its own
            return events

        patch.setattr(stream, "_values", counted)
        patch.setattr(stream, "REST", 0)
        patch.setattr(stream, "POLL_S", 0.05)

    async def more(self, streams: int) -> None:
        """Return when so many streams are open and each has asked twice from now on: once from its beginning."""
        begun = self._asked.copy()
        async with asyncio.timeout(PATIENCE_S):
            while sum(count >= begun[one] + 2 for one, count in self._asked.items()) < streams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def end(self) -> None:
        self._patch.setattr(stream, "LIFE_S", 0.0)


@pytest.fixture(autouse=True)
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(monkeypatch)


async def test_values_and_alerts_come_as_they_change(clerks: Clerks, rounds: Rounds) -> None:
    listening = asyncio.create_task(heard(clerks.olsinka))
    other = asyncio.create_task(heard(clerks.zdarna))
    await rounds.more(2)
    clerks.database.reading("VO-9 Nádražní", NOW, power_w=41.2)
    alerting.lamp_out(clerks.database)
    await rounds.more(2)
    rounds.end()
    events = await listening
    assert {data["asset_id"] for name, data in events if name == "value"} == {1, 2}
    assert any(name == "value" and data["headline"] for name, data in events)
    assert [data["step"] for name, data in events if name == "alert"] == ["opened"]
    assert all(data["asset_id"] not in (1, 2) for _, data in await other)


async def test_what_was_missed_comes_again(clerks: Clerks, rounds: Rounds) -> None:
    alerting.lamp_out(clerks.database)
    both = [asyncio.create_task(heard(clerks.olsinka, **{"last-event-id": after})) for after in ("0", "x")]
    await rounds.more(2)
    rounds.end()
    missed, unknown = await asyncio.gather(*both)
    assert [data["step"] for name, data in missed if name == "alert"]
    assert not [1 for name, _ in unknown if name == "alert"]


async def test_streams_are_few(clerks: Clerks, rounds: Rounds) -> None:
    many = [asyncio.create_task(clerks.olsinka.get("/v1/stream")) for _ in range(stream.STREAMS_PER_PERSON_MAX)]
    await rounds.more(stream.STREAMS_PER_PERSON_MAX)
    await refused(await clerks.olsinka.get("/v1/stream"), 429, "streams")
    rounds.end()
    assert {answer.status_code for answer in await asyncio.gather(*many)} == {200}
    clerks.nobody.cookies.clear()
    await refused(await clerks.nobody.get("/v1/stream"), 401, "sign_in")
