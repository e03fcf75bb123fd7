"""The resources under /v1 of what is fetched over HTTPS for foreign devices."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api import parameters
from api.database import Connection
from api.foreign import bodies, keeping
from api.problems import responses
from api.registry import exchange
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
            row = await keeping.add_pull(connection, sealer, body, service.clock())
            return Answer(exchange.plain(_pull(row)), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.delete("/pulls/{municipality}/{name}", status_code=204, responses=responses(401, 403, 404))
    async def remove(municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Fetch it no more."""

        async def doing(connection: Connection) -> Answer:
            await keeping.drop_pull(connection, municipality, name)
            return Answer(None, 204)

        return await exchange.changing(service, doing)
