"""The resources under /v1 of what is fetched over HTTPS for foreign devices."""

from typing import Annotated

import psycopg
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api import parameters
from api.database import Connection
from api.foreign import bodies
from api.problems import Problem, responses
from api.registry import exchange, finding
from api.registry.exchange import Answer
from api.service import Service
from kraj.sealing import Sealer
from kraj.store import pulls

LISTED_MAX = 1000
Town = Annotated[str, Path(description="Name of the municipality.", examples=["olsinka"])]
Named = Annotated[str, Path(description="Its name.", examples=["roofs"])]


def routes(service: Service, sealer: Sealer) -> APIRouter:
    """The routes."""
    router = APIRouter()
    _add_pulls(router, service, sealer)
    return router


def _pull(row: pulls.PullRow) -> bodies.Pull:
    return bodies.Pull.model_validate(row, from_attributes=True)


def _add_pulls(router: APIRouter, service: Service, sealer: Sealer) -> None:
    @router.get("/pulls", responses=responses(400, 401) | parameters.example({"items": [bodies.PULL_EXAMPLE]}))
    async def listed(asked: Annotated[bodies.Asked, Query()]) -> bodies.PullPage:  # pyright: ignore[reportUnusedFunction]
        """What is fetched, by municipality and name."""
        async with service.database.connection() as connection:
            rows = await pulls.pulls(connection, municipality=asked.municipality, name=None, limit=LISTED_MAX)
        return bodies.PullPage(items=[_pull(row) for row in rows])

    @router.post(
        "/pulls",
        status_code=201,
        response_model=bodies.Pull,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(bodies.PULL_EXAMPLE, 201),
        openapi_extra=exchange.documented(bodies.PullBody, once_only=True),
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Fetch something over HTTPS for a foreign device of the adapter json."""
        body, raw = await exchange.body_of(request, bodies.PullBody)

        async def doing(connection: Connection) -> Answer:
            await finding.device(connection, body.device)
            _sendable(body.headers)
            try:
                town = await pulls.add(
                    connection,
                    name=body.name,
                    device=body.device,
                    url=body.url,
                    headers=sealer.seal(body.headers) if body.headers else None,
                    interval_s=body.interval_s,
                    at=service.clock(),
                )
            except psycopg.errors.UniqueViolation as error:
                raise Problem("taken", 409, name=body.name) from error
            if town is None:
                raise Problem("device", 404, name=body.device)
            (row,) = await pulls.pulls(connection, municipality=town, name=body.name, limit=1)
            return Answer(exchange.plain(_pull(row)), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.delete("/pulls/{municipality}/{name}", status_code=204, responses=responses(401, 403, 404))
    async def remove(municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Fetch it no more."""

        async def doing(connection: Connection) -> Answer:
            await finding.municipality(connection, municipality)
            if not await pulls.drop(connection, municipality, name):
                raise Problem("pull", 404, name=name)
            return Answer(None, 204)

        return await exchange.changing(service, doing)


def _sendable(headers: dict[str, str]) -> None:
    """Header names and values that HTTP can carry; no line breaks that would make others of them."""
    for name, value in headers.items():
        fit = all(text.isascii() and text.isprintable() and 0 < len(text) <= 2000 for text in (name, value))
        if not fit or not name.replace("-", "").replace("_", "").isalnum():
            raise Problem("body", 400, name="headers", value=name)
