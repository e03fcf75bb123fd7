"""Groups of assets and their members, and what hangs together by attributes."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, WithJsonSchema

from api import cursors, examples, parameters, rest, schemas
from api.problems import Problem, responses
from api.registry import bodies, exchange, finding, shown, work
from api.registry.exchange import Answer, Connection
from api.rest import link
from api.service import Service
from kraj.attributes import ATTRIBUTES
from kraj.groups import CONNECTING, GroupKind, connects
from kraj.store import queries

GroupId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The group's number.", examples=[4])]


class GroupParameters(parameters.Page):
    """A page of groups."""

    municipality: parameters.Text | None = Field(None, description="Name of the owner.")
    kind: GroupKind | None = None


AttributeName = Annotated[
    parameters.Text,
    WithJsonSchema({"type": "string", "enum": sorted({one.name for known in ATTRIBUTES.values() for one in known})}),
]


class TopologyParameters(parameters.Page):
    """What hangs together by one attribute."""

    attribute: AttributeName = Field("feeder", description=f"Such as {', '.join(CONNECTING)}.")
    municipality: parameters.Text | None = Field(None, description="Name of the owner.")


def routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["registry"])
    _add_reading(router, service)
    _add_members(router, service)
    _add_writing(router, service)
    return router


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("/groups", responses=responses(400) | parameters.example(shown.GROUPS))
    async def groups(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[GroupParameters, Query()], request: Request, response: Response
    ) -> shown.GroupPage:
        """Groups by id."""
        after = cursors.number(asked.cursor, "groups", 0)
        async with service.database.connection() as connection:
            rows = await queries.groups(
                connection, municipality=asked.municipality, kind=asked.kind, after=after, limit=asked.limit + 1
            )
        return rest.paged(shown.GroupPage, rows, asked.limit, "groups", "group_id", request, response)

    @router.get("/topology", responses=responses(400) | parameters.example(shown.CONNECTED))
    async def topology(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[TopologyParameters, Query()], request: Request, response: Response
    ) -> shown.ConnectedPage:
        """Every feeder, cabinet, supply area and so on, as the assets' attributes tell them."""
        if not connects(asked.attribute):
            raise Problem("parameter_value", 400, name="attribute", value=asked.attribute)
        key = (
            cursors.decode(asked.cursor, f"topology/{asked.attribute}", str, str)
            if asked.cursor is not None
            else ["", ""]
        )
        async with service.database.connection() as connection:
            rows = await queries.connected(
                connection,
                asked.attribute,
                municipality=asked.municipality,
                after=(str(key[0]), str(key[1])),
                limit=asked.limit + 1,
            )
        items = [shown.Connected.model_validate(row, from_attributes=True) for row in rows[: asked.limit]]
        following = None
        if len(rows) > asked.limit:
            following = cursors.encode(f"topology/{asked.attribute}", items[-1].municipality, items[-1].name)
        link(request, response, following)
        return shown.ConnectedPage(items=items, next_cursor=following)

    @router.get("/groups/{group_id}", responses=responses(404) | parameters.example(shown.GROUP))
    async def group(group_id: GroupId, response: Response) -> shown.Group:  # pyright: ignore[reportUnusedFunction]
        """One group."""
        async with service.database.connection() as connection:
            found = await queries.group(connection, group_id)
        if found is None:
            raise Problem("group", 404, name=group_id)
        response.headers["etag"] = exchange.etag(found.version)
        return shown.Group.model_validate(found, from_attributes=True)


def _add_members(router: APIRouter, service: Service) -> None:
    @router.get("/groups/{group_id}/assets", responses=responses(400, 404) | parameters.example(examples.ASSETS))
    async def members(  # pyright: ignore[reportUnusedFunction]
        group_id: GroupId, asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> schemas.AssetPage:
        """The group's assets by id."""
        scope = f"group/{group_id}"
        after = cursors.number(asked.cursor, scope, 0)
        async with service.database.connection() as connection:
            if await queries.group(connection, group_id) is None:
                raise Problem("group", 404, name=group_id)
            which = queries.AssetFilter(group_id=group_id)
            rows = await queries.assets(connection, which, after=after, limit=asked.limit + 1)
        return rest.paged(schemas.AssetPage, rows, asked.limit, scope, "asset_id", request, response)

    @router.post(
        "/groups/{group_id}/assets",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.GROUP),
        openapi_extra=exchange.documented(bodies.MembersBody, once_only=True),
        response_model=shown.Group,
    )
    async def change_members(request: Request, group_id: GroupId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Put assets in and take assets out."""
        body, raw = await exchange.body_of(request, bodies.MembersBody)

        async def doing(connection: Connection) -> Answer:
            await finding.group(connection, group_id)
            await work.change_members(connection, group_id, body)
            return await _answer(connection, group_id, 200)

        return await exchange.posting(service, request, raw, doing)


def _add_writing(router: APIRouter, service: Service) -> None:
    @router.post(
        "/groups",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.GROUP, 201),
        openapi_extra=exchange.documented(bodies.GroupBody, once_only=True),
        response_model=shown.Group,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Make a group of listed assets, of those that have certain attributes now, or empty."""
        body, raw = await exchange.body_of(request, bodies.GroupBody)

        async def doing(connection: Connection) -> Answer:
            return await _answer(connection, await work.add_group(connection, body), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.patch(
        "/groups/{group_id}",
        responses=responses(400, 401, 403, 404, 409, 412, 413, 415, 428) | parameters.example(shown.GROUP),
        openapi_extra=exchange.documented(bodies.GroupChange, conditional=True),
        response_model=shown.Group,
    )
    async def change(request: Request, group_id: GroupId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another name or kind."""
        body, _ = await exchange.body_of(request, bodies.GroupChange)

        async def doing(connection: Connection) -> Answer:
            found = await finding.group(connection, group_id)
            await work.change_group(connection, group_id, body, exchange.expected(request, found.version))
            return await _answer(connection, group_id, 200)

        return await exchange.changing(service, doing)

    @router.delete(
        "/groups/{group_id}",
        status_code=204,
        responses=responses(401, 403, 404, 409, 412, 428),
        openapi_extra=exchange.headers(conditional=True),
    )
    async def remove(request: Request, group_id: GroupId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remove a group that no grant and no override names."""

        async def doing(connection: Connection) -> Answer:
            found = await finding.group(connection, group_id)
            await work.remove_group(connection, group_id, exchange.expected(request, found.version))
            return Answer(None, 204)

        return await exchange.changing(service, doing)


async def _answer(connection: Connection, group_id: int, status: int) -> Answer:
    row = await queries.group(connection, group_id)
    if row is None:
        raise Problem("group", 404, name=group_id)
    body = exchange.plain(shown.Group.model_validate(row, from_attributes=True))
    return Answer(body, status, {"etag": exchange.etag(row.version), "location": f"/v1/groups/{group_id}"})
