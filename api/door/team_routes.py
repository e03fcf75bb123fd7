"""The resources under /v1 of teams, and of grants by which a municipality lets others at its assets."""

from typing import Annotated

import psycopg
from fastapi import APIRouter, Path, Query, Request, Response

from api import cursors, parameters, rest, rights
from api.door import bodies, managing
from api.door.door import Door
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from kraj.store import people, teams

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[3])]


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1", tags=["people"])
    _add_teams(router, door)
    _add_grants(router, door)
    return router


def _add_teams(router: APIRouter, door: Door) -> None:
    @router.get("/teams", responses=responses(400, 401) | parameters.example(bodies.page(bodies.TEAM)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> bodies.TeamPage:
        """Teams by id."""
        after = cursors.number(asked.cursor, "teams", 0)
        async with door.service.database.connection() as connection:
            rows = await teams.teams(connection, after=after, limit=asked.limit + 1)
        return rest.paged(bodies.TeamPage, rows, asked.limit, "teams", "team_id", request, response)

    @router.get("/teams/{team_id}", responses=responses(401, 404) | parameters.example(bodies.TEAM))
    async def one(team_id: Number, response: Response) -> bodies.Team:  # pyright: ignore[reportUnusedFunction]
        """One team, with an ETag."""
        async with door.service.database.connection() as connection:
            answer = await _team(connection, team_id, 200)
        response.headers.update(answer.headers)
        return bodies.Team.model_validate(answer.body)

    @router.post(
        "/teams",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(bodies.TEAM, 201),
        openapi_extra=exchange.documented(bodies.TeamBody, once_only=True),
        response_model=bodies.Team,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Make a team of people whom one manages."""
        body, raw = await exchange.body_of(request, bodies.TeamBody)

        async def doing(connection: Connection) -> Answer:
            return await _team(connection, await make_team(connection, body), 201)

        response = await exchange.posting(door.service, request, raw, doing)
        door.memory.forget()
        return response

    @router.delete(
        "/teams/{team_id}",
        responses=responses(401, 403, 404, 412, 428) | parameters.example(bodies.TEAM),
        openapi_extra=exchange.headers(conditional=True),
        response_model=bodies.Team,
    )
    async def end(request: Request, team_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """End a team: nobody is in it any more."""

        async def doing(connection: Connection) -> Answer:
            rights.require("people")
            found = await teams.team(connection, team_id)
            if found is None:
                raise Problem("team", 404, name=team_id)
            if not await teams.end_team(connection, team_id, exchange.expected(request, found.version)):
                raise exchange.changed()
            return await _team(connection, team_id, 200)

        response = await exchange.changing(door.service, doing)
        door.memory.forget()
        return response


async def make_team(connection: Connection, body: bodies.TeamBody) -> int:
    """A new team of people whom one manages; its number."""
    municipality_id = await managing.place(connection, body.municipality)
    for person_id in body.members:
        if await people.person(connection, person_id) is None:
            raise Problem("person", 404, name=person_id)
    try:
        async with connection.transaction():
            return await teams.add_team(connection, municipality_id, body.name, sorted(set(body.members)))
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=body.name) from error


async def _team(connection: Connection, team_id: int, status: int) -> Answer:
    found = await teams.team(connection, team_id)
    if found is None:
        raise Problem("team", 404, name=team_id)
    body = bodies.Team.model_validate(found, from_attributes=True)
    return Answer(exchange.plain(body), status, {"etag": exchange.etag(found.version)})


def _add_grants(router: APIRouter, door: Door) -> None:
    @router.get("/grants", responses=responses(400, 401) | parameters.example(bodies.page(bodies.GRANT)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> bodies.GrantPage:
        """Grants by id, ended ones included: of municipalities whose people one manages, and to oneself."""
        after = cursors.number(asked.cursor, "grants", 0)
        async with door.service.database.connection() as connection:
            rows = await teams.grants(connection, after=after, limit=asked.limit + 1)
        return rest.paged(bodies.GrantPage, rows, asked.limit, "grants", "grant_id", request, response)

    @router.get("/grants/{grant_id}", responses=responses(401, 404) | parameters.example(bodies.GRANT))
    async def one(grant_id: Number, response: Response) -> bodies.Grant:  # pyright: ignore[reportUnusedFunction]
        """One grant, with an ETag."""
        async with door.service.database.connection() as connection:
            answer = await _grant(connection, grant_id, 200)
        response.headers.update(answer.headers)
        return bodies.Grant.model_validate(answer.body)

    @router.post(
        "/grants",
        status_code=201,
        responses=responses(400, 401, 403, 404, 413, 415, 422) | parameters.example(bodies.GRANT, 201),
        openapi_extra=exchange.documented(bodies.GrantBody, once_only=True),
        response_model=bodies.Grant,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Let a person, a team or the region at the municipality's assets, or at those of one group."""
        body, raw = await exchange.body_of(request, bodies.GrantBody)

        async def doing(connection: Connection) -> Answer:
            return await _grant(connection, await give_grant(connection, body), 201)

        response = await exchange.posting(door.service, request, raw, doing)
        door.memory.forget()
        return response

    @router.delete(
        "/grants/{grant_id}",
        responses=responses(401, 403, 404, 412, 428) | parameters.example(bodies.GRANT),
        openapi_extra=exchange.headers(conditional=True),
        response_model=bodies.Grant,
    )
    async def end(request: Request, grant_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """End a grant now; it stays in the list with its end."""

        async def doing(connection: Connection) -> Answer:
            rights.require("people")
            found = await teams.grant(connection, grant_id)
            if found is None:
                raise Problem("grant", 404, name=grant_id)
            if not await teams.end_grant(connection, grant_id, exchange.expected(request, found.version)):
                raise exchange.changed()
            return await _grant(connection, grant_id, 200)

        response = await exchange.changing(door.service, doing)
        door.memory.forget()
        return response


async def give_grant(connection: Connection, body: bodies.GrantBody) -> int:
    """Let somebody at a municipality's assets; the grant's number."""
    municipality_id = await managing.place(connection, body.municipality)
    if [body.person_id is not None, body.team_id is not None, body.to_region].count(
        True
    ) != 1 or municipality_id is None:
        raise Problem("grant_whom", 400)
    if body.group_id is not None and not await teams.group_of(connection, municipality_id, body.group_id):
        raise Problem("group", 404, name=body.group_id)
    try:
        async with connection.transaction():
            return await teams.add_grant(
                connection,
                municipality_id,
                person_id=body.person_id,
                team_id=body.team_id,
                group_id=body.group_id,
                rights=sorted(set(body.rights)),
                valid_from=body.valid_from,
                valid_to=body.valid_to,
                who=rights.signed_in().title,
                reason=body.reason,
            )
    except psycopg.errors.ForeignKeyViolation as error:
        raise Problem("grant_whom", 400) from error
    except psycopg.errors.CheckViolation as error:
        raise Problem("body", 400, name="valid_to", value=str(body.valid_to)) from error


async def _grant(connection: Connection, grant_id: int, status: int) -> Answer:
    found = await teams.grant(connection, grant_id)
    if found is None:
        raise Problem("grant", 404, name=grant_id)
    body = bodies.Grant.model_validate(found, from_attributes=True)
    return Answer(exchange.plain(body), status, {"etag": exchange.etag(found.version)})
