"""The resources of programs, segments and previews under /v1."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters, rest
from api.database import Connection
from api.language import choose
from api.lighting import bodies, drawing, examples, shown, work
from api.parameters import Text
from api.problems import responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.service import Service
from kraj.store.queries import lighting

ProgramId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The program's number.", examples=[3])]
SegmentId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The group's number.", examples=[4])]
SVG = "image/svg+xml"


class Asked(parameters.Page):
    """Of which municipality."""

    municipality: Text | None = Field(None, description="Name of the owner.", examples=["olsinka-nad-mlynkou"])


def routes(service: Service) -> APIRouter:
    """Programs, segments, and previews."""
    router = APIRouter(prefix="/v1", tags=["lighting"])
    _add_programs(router, service)
    _add_program_changes(router, service)
    _add_segments(router, service)
    _add_preview(router, service)
    return router


def _add_programs(router: APIRouter, service: Service) -> None:
    @router.get("/dimming/programs", responses=responses(400) | parameters.example(examples.PROGRAMS))
    async def programs(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.DimmingProgramPage:
        """Programs by number."""
        after = cursors.number(asked.cursor, "programs", 0)
        async with service.database.connection() as connection:
            rows = await lighting.programs(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(
            bodies.DimmingProgramPage,
            rows,
            asked.limit,
            "programs",
            "dimming_program_id",
            request,
            response,
            shown.program,
        )

    @router.get("/dimming/programs/{program_id}", responses=responses(404) | parameters.example(examples.PROGRAM))
    async def program(  # pyright: ignore[reportUnusedFunction]
        program_id: ProgramId, response: Response
    ) -> bodies.DimmingProgram:
        """One program, with its ETag."""
        async with service.database.connection() as connection:
            row = await work.program(connection, program_id)
        response.headers["etag"] = exchange.etag(row.version)
        return shown.program(row)

    @router.post(
        "/dimming/programs",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(examples.PROGRAM, 201),
        openapi_extra=exchange.documented(bodies.ProgramBody, once_only=True),
        response_model=bodies.DimmingProgram,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Keep a program; no lamp follows it before a segment does."""
        body, raw = await exchange.body_of(request, bodies.ProgramBody)

        async def doing(connection: Connection) -> Answer:
            return await _program(connection, await work.add_program(connection, body, service.clock()), 201)

        return await exchange.posting(service, request, raw, doing)


def _add_program_changes(router: APIRouter, service: Service) -> None:
    @router.patch(
        "/dimming/programs/{program_id}",
        responses=responses(400, 401, 403, 404, 409, 412, 413, 415, 428) | parameters.example(examples.PROGRAM),
        openapi_extra=exchange.documented(bodies.ProgramChange, conditional=True),
        response_model=bodies.DimmingProgram,
    )
    async def change(request: Request, program_id: ProgramId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another name or document; segments that follow it are given the new one, 5 % of their lamps first."""
        body, _ = await exchange.body_of(request, bodies.ProgramChange)

        async def doing(connection: Connection) -> Answer:
            row = await work.program(connection, program_id, writing=True)
            version = exchange.expected(request, row.version)
            await work.change_program(connection, row, body, version, service.clock())
            return await _program(connection, program_id, 200)

        return await exchange.changing(service, doing)

    @router.delete(
        "/dimming/programs/{program_id}",
        status_code=204,
        responses=responses(401, 403, 404, 409, 412, 428),
        openapi_extra=exchange.headers(conditional=True),
    )
    async def remove(request: Request, program_id: ProgramId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remove a program that no segment follows."""

        async def doing(connection: Connection) -> Answer:
            row = await work.program(connection, program_id, writing=True)
            await work.drop_program(connection, row, exchange.expected(request, row.version))
            return Answer(None, 204)

        return await exchange.changing(service, doing)


def _add_segments(router: APIRouter, service: Service) -> None:
    @router.get("/lighting/segments", responses=responses(400) | parameters.example(examples.SEGMENTS))
    async def segments(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.LightingSegmentPage:
        """Groups of kind `segment`, with how they are lit now."""
        after = cursors.number(asked.cursor, "segments", 0)
        async with service.database.connection() as connection:
            rows = await lighting.segments(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(
            bodies.LightingSegmentPage, rows, asked.limit, "segments", "group_id", request, response, shown.segment
        )

    @router.get("/lighting/segments/{segment_id}", responses=responses(404) | parameters.example(examples.SEGMENT))
    async def segment(  # pyright: ignore[reportUnusedFunction]
        segment_id: SegmentId, response: Response
    ) -> bodies.LightingSegment:
        """One segment, with its ETag."""
        async with service.database.connection() as connection:
            row = await work.segment(connection, segment_id)
        response.headers["etag"] = exchange.etag(row.version)
        return shown.segment(row)

    @router.patch(
        "/lighting/segments/{segment_id}",
        responses=responses(400, 401, 403, 404, 409, 412, 413, 415, 428) | parameters.example(examples.SEGMENT),
        openapi_extra=exchange.documented(bodies.SegmentChange, conditional=True),
        response_model=bodies.LightingSegment,
    )
    async def change(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Give a segment classes and a program, 5 % of the lamps first unless told."""
        body, _ = await exchange.body_of(request, bodies.SegmentChange)

        async def doing(connection: Connection) -> Answer:
            row = await work.segment(connection, segment_id, writing=True)
            version = exchange.expected(request, row.version)
            await work.change_segment(connection, row, body, version, service.clock())
            after = await work.segment(connection, segment_id)
            headers = {"etag": exchange.etag(after.version)}
            return Answer(exchange.plain(shown.segment(after)), 200, headers)

        return await exchange.changing(service, doing)


def _add_preview(router: APIRouter, service: Service) -> None:
    @router.post(
        "/dimming/preview",
        responses=responses(400, 403, 404, 413, 415)
        | {
            200: {
                "description": "The night; as a picture for `Accept: image/svg+xml`.",
                "content": {
                    "application/json": {"example": examples.PREVIEW},
                    SVG: {"schema": {"type": "string"}},
                },
            }
        },
        openapi_extra=exchange.documented(bodies.PreviewBody),
        response_model=bodies.NightPreview,
    )
    async def preview(  # pyright: ignore[reportUnusedFunction]
        request: Request, asked: Annotated[parameters.Parameters, Query()]
    ) -> Response:
        """The levels of a night by the minute, and the expected kWh."""
        body, _ = await exchange.body_of(request, bodies.PreviewBody)
        async with service.database.connection() as connection:
            found = await work.night(connection, body, service.clock().date())
        if SVG in request.headers.get("accept", ""):
            words = shown.words(found, body.evening, service.texts[choose(request)])
            picture = drawing.svg(found.night, found.floor_pct, shown.ZONE, words, alone=True)
            return Response(picture, media_type=SVG, headers={"vary": "accept, accept-language"})
        return schemas_json(shown.night(found, body.evening))


def schemas_json(found: bodies.NightPreview) -> Response:
    """A model as it stands."""
    return Response(found.model_dump_json(), media_type="application/json", headers={"vary": "accept"})


async def _program(connection: Connection, number: int, status: int) -> Answer:
    row = await work.program(connection, number)
    headers = {"etag": exchange.etag(row.version), "location": f"/v1/dimming/programs/{number}"}
    return Answer(exchange.plain(shown.program(row)), status, headers)
