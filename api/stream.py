"""Server-sent events: what changes in the alerts that one may see, and the newest values, for live views.

Each stream asks the database in the name of whoever opened it, so that a grant that ends acts within a poll. Streams
are few, and end after a while: the browser comes again with ``Last-Event-ID``, and is let in again, or not.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from api import parameters, principal, rest
from api.formats import iso
from api.problems import Problem, responses
from api.service import Service
from kraj.errors import UnavailableError
from kraj.store import queries
from kraj.store.queries import changes

STREAMS_MAX = 100
"""In one process; each costs a query in some seconds."""
STREAMS_PER_PERSON_MAX = 5
POLL_S = 2.0
REST = 10
"""However large the region: of the time, at most one part in so many is spent asking."""
BEAT_S = 15.0
"""A comment so often, so that proxies and browsers know that the line is alive."""
LIFE_S = 900.0
EVENTS_MAX = 200
VALUES_MAX = 500
RETRY_MS = 3000

EXAMPLE = 'id: 4711\nevent: alert\ndata: {"alert_id":4,"step":"opened","at":"2026-11-21T06:15:00.000Z"}\n\n'


class StreamParameters(parameters.AssetParameters):
    """Which assets' values; alerts of all that one may see come anyhow."""

    values: bool = Field(True, description="Send newest values, too.")


def routes(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/v1", tags=["stream"])
    open_streams: Counter[int] = Counter()

    @router.get(
        "/stream",
        response_class=StreamingResponse,
        responses=responses(400, 401, 429)
        | {200: {"content": {"text/event-stream": {"example": EXAMPLE}, "application/json": {"example": {}}}}},
    )
    async def stream(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[StreamParameters, Query()], request: Request
    ) -> StreamingResponse:
        """Events `alert` (a step of an alert) and `value` (an asset's newest headline), until you hang up.

        Reconnect with `Last-Event-ID` and no step of an alert is missed.
        """
        who = principal.current.get()
        if who is None:
            raise Problem("sign_in", 401)
        if open_streams.total() >= STREAMS_MAX or open_streams[who.person_id] >= STREAMS_PER_PERSON_MAX:
            raise Problem("streams", 429, retry_s=30, most=STREAMS_PER_PERSON_MAX)
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdecimal() and len(last) <= 18 else None
        return StreamingResponse(_events(service, asked, who, after, open_streams), media_type="text/event-stream")

    return router


async def _events(
    service: Service,
    asked: StreamParameters,
    who: principal.Principal,
    after: int | None,
    open_streams: "Counter[int]",
) -> AsyncGenerator[str]:
    principal.current.set(who)  # the body is sent after the middleware has let go of the request
    open_streams[who.person_id] += 1
    loop = asyncio.get_running_loop()
    began = beat = loop.time()
    seen: dict[int, Any] = {}
    try:
        yield f"retry: {RETRY_MS}\n\n"
        while loop.time() - began < LIFE_S:
            asked_at = loop.time()
            try:
                after, events = await _alerts(service, after)
                found = await _values(service, asked, seen) if asked.values else []
            except UnavailableError:
                break  # the browser comes again
            for event in (*events, *found):
                yield event
            if loop.time() - beat >= BEAT_S:
                beat = loop.time()
                yield ": still here\n\n"
            await asyncio.sleep(max(POLL_S, REST * (loop.time() - asked_at)))
    finally:
        open_streams[who.person_id] -= 1


async def _alerts(service: Service, after: int | None) -> tuple[int, list[str]]:
    async with service.database.connection() as connection:
        if after is None:
            return await changes.newest(connection), []
        rows = await changes.alert_events(connection, after, EVENTS_MAX)
    events = [
        _event(
            "alert",
            {"alert_id": row.alert_id, "step": row.step, "at": iso(row.at), "rule": row.rule, "severity": row.severity,
             "state": row.state, "asset_id": row.asset_id},
            row.alert_event_id,
        )
        for row in rows
    ]  # fmt: skip
    return (rows[-1].alert_event_id if rows else after), events


async def _values(service: Service, asked: StreamParameters, seen: dict[int, Any]) -> list[str]:
    async with service.database.connection() as connection:
        rows: list[queries.HeadlineRow] = await queries.headlines(connection, asked.filter, after=0, limit=VALUES_MAX)
    at, events = service.clock(), list[str]()
    for row in rows:
        shown = rest.glance(row, at)
        if shown is not None and seen.get(row.asset_id) != (row.ts, shown.condition):
            seen[row.asset_id] = (row.ts, shown.condition)
            events.append(_event("value", json.loads(shown.model_dump_json()), None))
    return events


def _event(name: str, data: dict[str, Any], number: int | None) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    numbered = "" if number is None else f"id: {number}\n"
    return f"{numbered}event: {name}\ndata: {text}\n\n"
