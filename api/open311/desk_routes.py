"""Citizens' reports under /v1/service-requests: the people of their town read, place, answer and close them."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api import cursors, parameters, rest
from api.open311 import desk_bodies as bodies
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from api.service import Service
from kraj.service_requests import SERVICES, THINGS
from kraj.store import queries
from kraj.store import request_desk as store

RequestNumber = Annotated[int, Path(ge=1, le=2**63 - 1, description="Its number.", examples=[7])]


def routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1/service-requests", tags=["service requests"])

    @router.get("", responses=responses(400, 401) | parameters.example(bodies.EXAMPLES))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[bodies.RequestParameters, Query()], request: Request, response: Response
    ) -> bodies.ServiceRequestPage:
        """Citizens' reports, newest first; each merged one stands for itself."""
        before = cursors.number(asked.cursor, "service-requests", cursors.BIGINT_MAX)
        async with service.database.connection() as connection:
            rows = await store.reports(connection, asked.which(), before=before, limit=asked.limit + 1)
        return rest.paged(
            bodies.ServiceRequestPage, rows, asked.limit, "service-requests", "request_number", request, response
        )

    @router.get("/{request_number}", responses=responses(401, 404) | parameters.example(bodies.EXAMPLE))
    async def one(  # pyright: ignore[reportUnusedFunction]
        request_number: RequestNumber, response: Response
    ) -> bodies.ServiceRequest:
        """One report, with an ETag."""
        async with service.database.connection() as connection:
            answer = await _answer(connection, request_number)
        response.headers.update(answer.headers)
        return bodies.ServiceRequest.model_validate(answer.body)

    @router.patch(
        "/{request_number}",
        responses=responses(400, 401, 403, 404, 412, 413, 415, 422, 428) | parameters.example(bodies.EXAMPLE),
        openapi_extra=exchange.documented(bodies.ServiceRequestChange, conditional=True),
        response_model=bodies.ServiceRequest,
    )
    async def change(request: Request, request_number: RequestNumber) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say what it means, when it will be repaired, how it ended, or that it is open again."""
        body, _ = await exchange.body_of(request, bodies.ServiceRequestChange)

        async def doing(connection: Connection) -> Answer:
            found = await seen(connection, request_number)
            version = exchange.expected(request, found.version)
            if not await changed(connection, found, version, body, service.clock()):
                raise exchange.changed()
            return await _answer(connection, request_number)

        return await exchange.changing(service, doing)

    return router


async def seen(connection: Connection, request_number: int) -> store.Report:
    """A report of a town that one sees; raises ``Problem('request_number')``."""
    found = await store.one(connection, request_number)
    if found is None:
        raise Problem("request_number", 404, name=request_number)
    return found


async def changed(
    connection: Connection, row: store.Report, version: int, body: bodies.ServiceRequestChange, now: datetime
) -> bool:
    """Do what a body says, all or nothing within the caller's transaction; False when somebody was faster.

    Raises ``Problem``: ``forbidden`` (403), ``asset`` (404), ``report_kind`` and ``contradiction`` (422).
    """
    if not await store.may_act(connection, row.request_number):
        raise Problem("forbidden", 403, right="act")
    told = body.told(row, now)
    if told:
        if not await store.tell(connection, row.request_number, version, told, now):
            return False
        version += 1
    if body.asset_id is None or body.asset_id == row.asset_id:
        return bool(told) or version == row.version
    thing = await queries.asset(connection, body.asset_id)
    if thing is None or thing.kind not in THINGS:
        raise Problem("asset", 404, name=body.asset_id)
    kinds = SERVICES[row.service_code].kinds
    if kinds and thing.kind not in kinds:
        raise Problem("report_kind", 422, service=row.service_code, name=body.asset_id)
    if not await store.may_act_on(connection, body.asset_id):
        raise Problem("forbidden", 403, right="act")
    return await store.place(connection, row.request_number, version, body.asset_id, now)


async def _answer(connection: Connection, request_number: int) -> Answer:
    found = await seen(connection, request_number)
    body = bodies.ServiceRequest.model_validate(found, from_attributes=True)
    return Answer(exchange.plain(body), headers={"etag": exchange.etag(found.version)})
