"""Devices that are sending and that nobody has registered: what they are like, and claiming them."""

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters
from api.problems import responses
from api.registry import bodies, exchange, shown, work
from api.registry.exchange import Answer, Connection
from api.rest import link
from api.service import Service
from kraj.devices import guess_kind
from kraj.quarantine import printable
from kraj.store import unregistered
from kraj.wire import CORE

SAMPLE_CHARS_MAX = 400
METRICS_MAX = 100
Name = Annotated[str, Path(description="The name in its topics.", examples=["lamp-77c0de"])]


class UnregisteredParameters(parameters.Page):
    """A page of devices that nobody has registered."""

    municipality: parameters.Text | None = Field(None, description="Under this municipality's topics.")


def routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["registry"])

    @router.get("/unregistered", responses=responses(400) | parameters.example(shown.UNREGISTERED))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[UnregisteredParameters, Query()], request: Request, response: Response
    ) -> shown.UnregisteredPage:
        """These devices are sending, but nobody has registered them; newest first, with a guess of their kind."""
        page = await waiting(service, asked)
        link(request, response, page.next_cursor)
        return page

    @router.post(
        "/unregistered/{name}/claim",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.CLAIMED, 201),
        openapi_extra=exchange.documented(bodies.ClaimBody, once_only=True),
        response_model=shown.Claimed,
    )
    async def claim(request: Request, name: Name) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Register the device with its asset in one step; what it has sent so far is taken in from quarantine."""
        body, raw = await exchange.body_of(request, bodies.ClaimBody)

        async def doing(connection: Connection) -> Answer:
            messages = await work.claim(connection, name, body, service.clock())
            row = await work.seen_device(connection, name)
            asset_id = next((served["asset_id"] for served in row.assets), None)
            answer = shown.Claimed(device=name, asset_id=asset_id, messages_waiting=messages)
            return Answer(exchange.plain(answer), 201, {"location": f"/v1/devices/{name}"})

        return await exchange.posting(service, request, raw, doing)

    return router


async def waiting(service: Service, asked: UnregisteredParameters) -> shown.UnregisteredPage:
    """A page of them."""
    before = cursors.number(asked.cursor, "unregistered", cursors.BIGINT_MAX)
    async with service.database.connection() as connection:
        rows = await unregistered.listed(
            connection, before=before, limit=asked.limit + 1, municipality=asked.municipality
        )
    items = [_shown(row) for row in rows[: asked.limit]]
    following = cursors.encode("unregistered", rows[asked.limit - 1].last_id) if len(rows) > asked.limit else None
    return shown.UnregisteredPage(items=items, next_cursor=following)


def _shown(row: unregistered.UnregisteredRow) -> shown.Unregistered:
    metrics = sorted(keys_of(row.samples))[:METRICS_MAX]
    return shown.Unregistered(
        name=row.name,
        municipality=row.municipality,
        municipality_title=row.municipality_title,
        messages=row.messages,
        first_at=row.first_at,
        last_at=row.last_at,
        topic=row.topic,
        kind=guess_kind(metrics),
        metrics=metrics,
        sample=printable(row.samples[0].decode("utf-8", "replace"))[:SAMPLE_CHARS_MAX] if row.samples else "",
    )


def keys_of(samples: Iterable[bytes]) -> set[str]:
    """The keys of readings in these messages, without those that every reading has."""
    found: set[str] = set()
    for sample in samples:
        try:
            message: Any = json.loads(sample)
        except (ValueError, RecursionError):
            continue
        readings: list[Any] = message if isinstance(message, list) else [message]  # pyright: ignore[reportUnknownVariableType]
        for reading in readings:
            if isinstance(reading, dict):
                found |= {printable(str(key))[:60] for key in reading}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return found - {*CORE, "event"}
