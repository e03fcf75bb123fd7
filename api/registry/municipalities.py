"""Municipalities: anybody may list them, the region founds, renames and drops them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api import cursors, parameters
from api.problems import Problem, responses
from api.registry import bodies, exchange, finding, shown, work
from api.registry.exchange import Answer, Connection
from api.rest import link
from api.service import Service
from kraj.store import registering

Name = Annotated[str, Path(description="The municipality's name.", examples=["dolni-lhota"])]


def routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["registry"])
    _add_reading(router, service)
    _add_writing(router, service)
    return router


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("/municipalities", responses=responses(400) | parameters.example(shown.MUNICIPALITIES))
    async def municipalities(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> shown.MunicipalityPage:
        """Municipalities by name."""
        after = cursors.text(asked.cursor, "municipalities")
        async with service.database.connection() as connection:
            rows = await registering.municipalities(connection, after=after, limit=asked.limit + 1)
        items = [
            shown.Municipality(name=name, title=title, published=open_) for name, title, open_ in rows[: asked.limit]
        ]
        following = cursors.encode("municipalities", items[-1].name) if len(rows) > asked.limit else None
        link(request, response, following)
        return shown.MunicipalityPage(items=items, next_cursor=following)

    @router.get("/municipalities/{name}", responses=responses(404) | parameters.example(shown.MUNICIPALITY))
    async def municipality(name: Name, response: Response) -> shown.Municipality:  # pyright: ignore[reportUnusedFunction]
        """One municipality."""
        async with service.database.connection() as connection:
            found = await finding.any_municipality(connection, name)
        response.headers["etag"] = exchange.etag(found.version)
        return shown.Municipality(name=found.name, title=found.title, published=found.published)


def _add_writing(router: APIRouter, service: Service) -> None:
    @router.post(
        "/municipalities",
        status_code=201,
        responses=responses(400, 401, 403, 409, 413, 415, 422) | parameters.example(shown.MUNICIPALITY, 201),
        openapi_extra=exchange.documented(bodies.MunicipalityBody, once_only=True),
        response_model=shown.Municipality,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Found a municipality; the region only."""
        body, raw = await exchange.body_of(request, bodies.MunicipalityBody)

        async def doing(connection: Connection) -> Answer:
            await work.found_municipality(connection, body)
            return await _answer(connection, body.name, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.patch(
        "/municipalities/{name}",
        responses=responses(400, 401, 403, 404, 412, 413, 415, 428) | parameters.example(shown.MUNICIPALITY),
        openapi_extra=exchange.documented(bodies.MunicipalityChange, conditional=True),
        response_model=shown.Municipality,
    )
    async def change(request: Request, name: Name) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another title, by the region; and whether anybody may see its public pages, by who manages its people."""
        body, _ = await exchange.body_of(request, bodies.MunicipalityChange)

        async def doing(connection: Connection) -> Answer:
            await _change(request, connection, name, body)
            return await _answer(connection, name, 200)

        return await exchange.changing(service, doing)

    @router.delete(
        "/municipalities/{name}",
        status_code=204,
        responses=responses(401, 403, 404, 409, 412, 428),
        openapi_extra=exchange.headers(conditional=True),
    )
    async def drop(request: Request, name: Name) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remove one that was founded by mistake and owns nothing; the region only."""

        async def doing(connection: Connection) -> Answer:
            found = await finding.governed(connection, name)
            await work.drop_municipality(connection, name, exchange.expected(request, found.version))
            return Answer(None, 204)

        return await exchange.changing(service, doing)


async def _change(request: Request, connection: Connection, name: str, body: bodies.MunicipalityChange) -> None:
    found = await (finding.governed if body.title is not None else finding.any_municipality)(connection, name)
    if body.published is not None:
        await work.may_publish(connection, name)
    version = exchange.expected(request, found.version)
    if body.title is not None:
        if not await registering.rename_municipality(connection, name, body.title, version):
            raise exchange.changed()
        version += 1
    if body.published is not None:
        await work.publish(connection, name, published=body.published, version=version)


async def _answer(connection: Connection, name: str, status: int) -> Answer:
    found = await registering.municipality(connection, name)
    if found is None:
        raise Problem("municipality", 404, name=name)
    headers = {"etag": exchange.etag(found.version), "location": f"/v1/municipalities/{name}"}
    return Answer({"name": found.name, "title": found.title, "published": found.published}, status, headers)
