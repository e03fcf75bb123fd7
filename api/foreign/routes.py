"""The resources under /v1 of mappings: trying one on a pasted message, and keeping it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api import parameters
from api.database import Connection
from api.foreign import bodies, devices, keeping, pulling
from api.language import choose
from api.problems import Problem, responses
from api.registry import exchange, finding
from api.registry.exchange import Answer
from api.service import Service
from kraj.foreign import adapters, trial
from kraj.foreign.trial import Trial
from kraj.foreign.verdict import as_json
from kraj.kinds import KINDS
from kraj.sealing import Sealer
from kraj.store import foreign

LISTED_MAX = 1000
Town = Annotated[str, Path(description="Name of the municipality.", examples=["olsinka"])]
Named = Annotated[str, Path(description="Its name.", examples=["lamps"])]


def routes(service: Service, sealer: Sealer) -> APIRouter:
    """Every route about foreign devices."""
    router = APIRouter(prefix="/v1", tags=["foreign"])
    for add in (_add_trial, _add_mappings, _add_making, _add_removing):
        add(router, service)
    router.include_router(devices.routes(service))
    router.include_router(pulling.routes(service, sealer))
    return router


def _add_trial(router: APIRouter, service: Service) -> None:
    @router.post(
        "/mappings/try",
        responses=responses(400, 401, 413, 415) | parameters.example(bodies.TRIED_EXAMPLE),
        openapi_extra=exchange.documented(bodies.TryBody),
    )
    async def attempt(request: Request) -> bodies.Tried:  # pyright: ignore[reportUnusedFunction]
        """What a mapping would read from a pasted message, and what ingest would say to each value; stores nothing."""
        exchange.who()
        body, _ = await exchange.body_of(request, bodies.TryBody)
        return tried(body, int(service.clock().timestamp() * 1000), choose(request))


def tried(body: bodies.TryBody, now_ms: int, language: str) -> bodies.Tried:
    """The trial of a body, in words."""
    kinds = {}
    for channel, kind in body.kinds.items():
        if kind not in KINDS or not bodies.CHANNEL.fullmatch(channel):
            raise Problem("kind", 400, kind=f"{channel}: {kind}", kinds=", ".join(KINDS))
        kinds[int(channel)] = KINDS[kind]
    if not kinds and body.adapter not in adapters.PARTS_NEEDED:
        kinds = {0: KINDS["lamp"]}
    payload = body.message.encode("utf-8", "replace")
    found = trial.attempt(body.adapter, body.document, body.topic, payload, now_ms=now_ms, kinds=kinds)
    return _in_words(found, language)


def _in_words(found: Trial, language: str) -> bodies.Tried:
    readings: list[dict[str, Any]] = []
    for judged in found.readings:
        plain = as_json(judged)
        plain["sentence"] = bodies.sentence(judged.reason, language)
        for value in plain["values"]:
            value["sentence"] = bodies.sentence(value.get("reason"), language)
        readings.append(plain)
    refused = None
    if found.reason is not None:
        said = bodies.sentence(found.reason, language)
        refused = bodies.Reason(reason=found.reason, sentence=said, detail=found.detail or "")
    return bodies.Tried(
        errors=[bodies.MappingErrorAt(at=at, problem=problem) for at, problem in found.errors],
        refused=refused,
        ignored=found.ignored,
        online=found.online,
        notes=found.notes,
        readings=[bodies.TriedReading.model_validate(reading) for reading in readings],
    )


def _mapping(row: foreign.MappingRow) -> bodies.Mapping:
    return bodies.Mapping.model_validate(row, from_attributes=True)


ONE = "/mappings/{municipality}/{name}"


def _add_mappings(router: APIRouter, service: Service) -> None:
    @router.get("/mappings", responses=responses(400, 401) | parameters.example({"items": [bodies.MAPPING_EXAMPLE]}))
    async def mappings(asked: Annotated[bodies.Asked, Query()]) -> bodies.MappingPage:  # pyright: ignore[reportUnusedFunction]
        """Mappings by municipality and name."""
        async with service.database.connection() as connection:
            rows = await foreign.mappings(connection, municipality=asked.municipality, name=None, limit=LISTED_MAX)
        return bodies.MappingPage(items=[_mapping(row) for row in rows])

    @router.get(ONE, responses=responses(401, 404) | parameters.example(bodies.MAPPING_EXAMPLE))
    async def mapping(municipality: Town, name: Named, response: Response) -> bodies.Mapping:  # pyright: ignore[reportUnusedFunction]
        """One mapping."""
        async with service.database.connection() as connection:
            row = await keeping.mapping(connection, municipality, name)
        response.headers["etag"] = exchange.etag(row.version)
        return _mapping(row)


def _add_making(router: APIRouter, service: Service) -> None:
    @router.post(
        "/mappings",
        status_code=201,
        response_model=bodies.Mapping,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(bodies.MAPPING_EXAMPLE, 201),
        openapi_extra=exchange.documented(bodies.MappingBody, once_only=True),
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Keep a mapping; it must be right, and POST /v1/mappings/try tells whether it is."""
        body, raw = await exchange.body_of(request, bodies.MappingBody)

        async def doing(connection: Connection) -> Answer:
            await keeping.add_mapping(connection, body, service.clock())
            return await _answer(connection, body.municipality, body.name, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.patch(
        ONE,
        response_model=bodies.Mapping,
        responses=responses(400, 401, 403, 404, 412, 413, 415, 428) | parameters.example(bodies.MAPPING_EXAMPLE),
        openapi_extra=exchange.documented(bodies.MappingChange, conditional=True),
    )
    async def change(request: Request, municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another document; it counts from the next message on."""
        body, _ = await exchange.body_of(request, bodies.MappingChange)

        async def doing(connection: Connection) -> Answer:
            await finding.municipality(connection, municipality)
            found = await keeping.mapping(connection, municipality, name)
            version = exchange.expected(request, found.version)
            await keeping.change_mapping(connection, found, body.document, version, service.clock())
            return await _answer(connection, municipality, name, 200)

        return await exchange.changing(service, doing)


def _add_removing(router: APIRouter, service: Service) -> None:
    @router.delete(ONE, status_code=204, responses=responses(401, 403, 404, 409))
    async def remove(municipality: Town, name: Named) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remove a mapping that no device is read by."""

        async def doing(connection: Connection) -> Answer:
            await keeping.drop_mapping(connection, municipality, name)
            return Answer(None, 204)

        return await exchange.changing(service, doing)


async def _answer(connection: Connection, town: str, name: str, status: int) -> Answer:
    row = await keeping.mapping(connection, town, name)
    return Answer(exchange.plain(_mapping(row)), status, {"etag": exchange.etag(row.version)})
