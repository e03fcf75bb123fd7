"""The resources under /v1 of people: who asks, people, their roles, and tokens of one's own."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api import cursors, parameters, rest, rights
from api.door import bodies, managing, tokens
from api.door import door as doors
from api.door.door import Door
from api.parameters import Text
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from kraj.store import people

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[3])]


class Asked(parameters.Page):
    """Which people."""

    municipality: Text | None = None


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1", tags=["people"])
    _add_me(router, door)
    _add_people(router, door)
    _add_changes(router, door)
    _add_memberships(router, door)
    _add_tokens(router, door)
    return router


def _add_me(router: APIRouter, door: Door) -> None:
    @router.get("/me", responses=responses(401) | parameters.example(bodies.ME))
    async def me() -> bodies.Me:  # pyright: ignore[reportUnusedFunction]
        """Who asks, and what they may do."""
        who = rights.signed_in()
        return bodies.Me(
            person_id=who.person_id,
            name=who.name,
            title=who.title,
            language=who.language,
            rights=sorted(who.rights),
            scopes=list(who.scopes),
            second_factor=who.second_factor,
        )


def shown(row: people.PersonRow) -> bodies.Person:
    """A person as others may see them."""
    return bodies.Person(
        person_id=row.person_id,
        name=row.name,
        title=row.title,
        language=row.language,
        second_factor=row.totp_confirmed_at is not None,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        version=row.version,
    )


def _add_people(router: APIRouter, door: Door) -> None:
    @router.get("/people", responses=responses(400, 401, 403) | parameters.example(bodies.page(bodies.PERSON)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.PersonPage:
        """People whom one manages, by id."""
        rights.require("people")
        after = cursors.number(asked.cursor, "people", 0)
        async with door.service.database.connection() as connection:
            rows = await people.people(connection, municipality=asked.municipality, after=after, limit=asked.limit + 1)
        return rest.paged(bodies.PersonPage, rows, asked.limit, "people", "person_id", request, response, shown)

    @router.get("/people/{person_id}", responses=responses(401, 403, 404) | parameters.example(bodies.PERSON))
    async def one(person_id: Number, response: Response) -> bodies.Person:  # pyright: ignore[reportUnusedFunction]
        """One person, with an ETag."""
        rights.require("people")
        async with door.service.database.connection() as connection:
            found = await people.person(connection, person_id)
        if found is None:
            raise Problem("person", 404, name=person_id)
        response.headers["etag"] = exchange.etag(found.version)
        return shown(found)

    @router.post(
        "/people",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(bodies.INVITED, 201),
        openapi_extra=exchange.documented(managing.InvitationBody, once_only=True),
        response_model=bodies.Invited,
    )
    async def invite(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Invite somebody; they choose a password by the link, which is mailed where mail is configured."""
        body, raw = await exchange.body_of(request, managing.InvitationBody)
        codes: list[str] = []

        async def doing(connection: Connection) -> Answer:
            made, code = await managing.invite(door, connection, body)
            codes.extend([code] if code else [])
            answer = bodies.Invited(
                person=shown(made.person),
                membership_id=made.membership_id,
                link=made.link,
                mailed=bool(code) and door.mail is not None,
            )
            return Answer(exchange.plain(answer), 201, secret=("link",))

        response = await exchange.posting(door.service, request, raw, doing)
        door.memory.forget()
        for code in codes:
            await doors.send(door, request, body.name, "invitation", language=body.language, link=door.link(code))
        return response


def _add_changes(router: APIRouter, door: Door) -> None:
    @router.post(
        "/people/{person_id}/disable",
        responses=responses(400, 401, 403, 404, 412, 413, 415, 422, 428) | parameters.example(bodies.HANDED_OVER),
        openapi_extra=exchange.documented(bodies.Disabling, once_only=True, conditional=True),
        response_model=bodies.HandedOver,
    )
    async def disable(request: Request, person_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Shut somebody out everywhere at once; what they had in hand goes to a successor."""
        exchange.seen(request)  # before the key: who left out both is told so
        body, raw = await exchange.body_of(request, bodies.Disabling)

        async def doing(connection: Connection) -> Answer:
            found = await managing.known(connection, person_id)
            version = exchange.expected(request, found.version)
            handed = await managing.shut_out(door, connection, person_id, version, body.successor)
            return Answer(exchange.plain(bodies.HandedOver.model_validate(handed, from_attributes=True)))

        response = await exchange.posting(door.service, request, raw, doing)
        door.memory.forget()
        return response


def _add_memberships(router: APIRouter, door: Door) -> None:
    @router.get("/memberships", responses=responses(400, 401) | parameters.example(bodies.page(bodies.MEMBERSHIP)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> bodies.MembershipPage:
        """Roles by id, ended ones included: one's own, and of whom one manages."""
        after = cursors.number(asked.cursor, "memberships", 0)
        async with door.service.database.connection() as connection:
            rows = await people.memberships(connection, after=after, limit=asked.limit + 1)
        return rest.paged(bodies.MembershipPage, rows, asked.limit, "memberships", "membership_id", request, response)

    @router.get("/memberships/{membership_id}", responses=responses(401, 404) | parameters.example(bodies.MEMBERSHIP))
    async def one(  # pyright: ignore[reportUnusedFunction]
        membership_id: Number, response: Response
    ) -> bodies.Membership:
        """One role, with an ETag."""
        async with door.service.database.connection() as connection:
            answer = await _membership(connection, membership_id, 200)
        response.headers.update(answer.headers)
        return bodies.Membership.model_validate(answer.body)

    @router.post(
        "/memberships",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(bodies.MEMBERSHIP, 201),
        openapi_extra=exchange.documented(managing.MembershipBody, once_only=True),
        response_model=bodies.Membership,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Give a role more to somebody."""
        body, raw = await exchange.body_of(request, managing.MembershipBody)

        async def doing(connection: Connection) -> Answer:
            return await _membership(connection, await managing.give(connection, body), 201)

        response = await exchange.posting(door.service, request, raw, doing)
        door.memory.forget()
        return response

    @router.delete(
        "/memberships/{membership_id}",
        responses=responses(401, 403, 404, 409, 412, 428) | parameters.example(bodies.MEMBERSHIP),
        openapi_extra=exchange.headers(conditional=True),
        response_model=bodies.Membership,
    )
    async def end(request: Request, membership_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """End a role now; it stays in the list with its end."""

        async def doing(connection: Connection) -> Answer:
            found = await people.membership(connection, membership_id)
            if found is None:
                raise Problem("membership", 404, name=membership_id)
            await managing.end_role(connection, membership_id, exchange.expected(request, found.version))
            return await _membership(connection, membership_id, 200)

        response = await exchange.changing(door.service, doing)
        door.memory.forget()
        return response


async def _membership(connection: Connection, membership_id: int, status: int) -> Answer:
    found = await people.membership(connection, membership_id)
    if found is None:
        raise Problem("membership", 404, name=membership_id)
    body = bodies.Membership.model_validate(found, from_attributes=True)
    return Answer(exchange.plain(body), status, {"etag": exchange.etag(found.version)})


def _add_tokens(router: APIRouter, door: Door) -> None:
    made: dict[str, Any] = bodies.TOKEN | {"token": "kraj_7_…"}

    @router.get("/tokens", responses=responses(400, 401) | parameters.example(bodies.page(bodies.TOKEN)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> bodies.TokenPage:
        """One's own tokens by id, ended ones included."""
        after = cursors.number(asked.cursor, "tokens", 0)
        async with door.service.database.connection() as connection:
            rows = await people.tokens(connection, after=after, limit=asked.limit + 1)
        return rest.paged(bodies.TokenPage, rows, asked.limit, "tokens", "token_id", request, response)

    @router.post(
        "/tokens",
        status_code=201,
        responses=responses(400, 401, 403, 409, 413, 415, 422) | parameters.example(made, 201),
        openapi_extra=exchange.documented(tokens.TokenBody, once_only=True),
        response_model=bodies.NewToken,
    )
    async def make(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Make a token, shown this once; a token itself cannot make others."""
        body, raw = await exchange.body_of(request, tokens.TokenBody)

        async def doing(connection: Connection) -> Answer:
            found = await tokens.make(door, connection, body)
            row = bodies.Token.model_validate(found.row, from_attributes=True)
            return Answer({**exchange.plain(row), "token": found.secret}, 201, secret=("token",))

        return await exchange.posting(door.service, request, raw, doing)

    @router.delete("/tokens/{token_id}", status_code=204, responses=responses(401, 404))
    async def revoke(token_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """End a token at once."""
        await tokens.revoke(door, token_id)
        return Response(status_code=204)
