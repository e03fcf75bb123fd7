"""The resources under /v1 about whom to tell: targets without their addresses, test messages, turns on call."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api import acting, cursors, parameters, rest
from api.notifications import contacts as keeping
from api.notifications.contacts import (
    Target,
    TargetBody,
    TargetPage,
    Turn,
    TurnBody,
    TurnPage,
    Written,
    WrittenTarget,
)
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rulebook.asking import match, tag, tagged
from api.rulebook.bodies import EmptyBody
from api.rulebook.routes import Asked
from api.service import Service
from kraj.store import contacts
from kraj.store.connection import Connection

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[2])]
PATH, ONE = "/notification-targets", "/notification-targets/{target_id}"
TARGET: dict[str, Any] = {
    "target_id": 2,
    "municipality": "olsinka-nad-mlynkou",
    "name": "dispatch",
    "severity_min": "minor",
    "quiet_from": "22:00",
    "quiet_to": "06:00",
    "digest_at": "07:00",
    "language": "cs",
    "enabled": True,
    "webhook": False,
    "tested_at": "2026-11-21T06:15:00.000Z",
    "test_error": None,
    "test_waits": False,
}
WRITTEN: dict[str, Any] = TARGET | {"secret": None}
RENEWED: dict[str, Any] = TARGET | {"webhook": True, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwUkVGb5vRn2o="}
TARGETS: dict[str, Any] = {"items": [TARGET], "next_cursor": None}
TURN: dict[str, Any] = {
    "on_call_id": 2,
    "municipality": "olsinka-nad-mlynkou",
    "target_id": 2,
    "target": "dispatch",
    "place": 1,
    "valid_from": "2026-11-23T06:00:00.000Z",
    "valid_to": "2026-11-30T06:00:00.000Z",
    "escalate_after_min": 15,
}
TURNS: dict[str, Any] = {"items": [TURN], "next_cursor": None}


def routes(service: Service) -> APIRouter:
    """Every route about whom to tell."""
    router = APIRouter(prefix="/v1", tags=["notifications"])
    _add_targets(router, service)
    _add_changes(router, service)
    _add_turns(router, service)
    return router


def _add_targets(router: APIRouter, service: Service) -> None:
    @router.get(PATH, responses=responses(400) | parameters.example(TARGETS))
    async def targets(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> TargetPage:
        """Whom messages go to, by number."""
        after = cursors.number(asked.cursor, "targets", 0)
        async with service.database.connection() as connection:
            rows = await contacts.targets(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(TargetPage, rows, asked.limit, "targets", "target_id", request, response)

    @router.get(ONE, responses=responses(404) | parameters.example(TARGET))
    async def target(target_id: Number, response: Response) -> Target:  # pyright: ignore[reportUnusedFunction]
        """One target, with its ETag."""
        async with service.database.connection() as connection:
            found = await _target(connection, target_id)
        tagged(response, found)
        return found


def _add_changes(router: APIRouter, service: Service) -> None:
    @router.post(
        PATH,
        status_code=201,
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(WRITTEN, 201),
        openapi_extra=exchange.documented(TargetBody, once_only=True),
        response_model=WrittenTarget,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Add somebody to tell; the address is kept and never shown again, a webhook's secret is shown this once."""
        body, raw = await exchange.body_of(request, TargetBody)

        async def doing(connection: Connection) -> Answer:
            return await _written(connection, await keeping.write(connection, None, body, mails=service.mails), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.put(
        ONE,
        responses=responses(400, 403, 404, 409, 412, 413, 415, 428) | parameters.example(WRITTEN),
        openapi_extra=acting.documented(TargetBody),
        response_model=WrittenTarget,
    )
    async def change(target_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Change a target; without `url` it keeps its address, and with it the secret of a webhook."""
        body = await acting.json_body(request, TargetBody)

        async def doing(connection: Connection) -> Answer:
            match(request, await _target(connection, target_id))
            written = await keeping.write(connection, target_id, body, mails=service.mails)
            return await _written(connection, written, 200)

        return await exchange.changing(service, doing)

    @router.delete(ONE, status_code=204, responses=responses(403, 404, 412, 428))
    async def drop(target_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a target away, with its address and its turns on call."""
        async with service.database.connection() as connection:
            match(request, await _target(connection, target_id))
        await keeping.drop(service, target_id)
        return Response(status_code=204)

    @router.post(
        f"{ONE}/test",
        status_code=202,
        responses=responses(400, 403, 404, 413, 415, 422) | {202: parameters.example(TARGET)[200]},
        openapi_extra=exchange.documented(EmptyBody, once_only=True),
        response_model=Target,
    )
    async def test(target_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Send a test message; `test_waits`, `tested_at` and `test_error` tell what became of it."""
        _, raw = await exchange.body_of(request, EmptyBody)

        async def doing(connection: Connection) -> Answer:
            await keeping.test(connection, target_id, service.clock())
            return Answer(exchange.plain(await _target(connection, target_id)), 202)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        f"{ONE}/secret",
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(RENEWED),
        openapi_extra=exchange.documented(EmptyBody, once_only=True),
        response_model=WrittenTarget,
    )
    async def renew(target_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Give a webhook a new secret, shown this once; for 24 hours the one before signs, too."""
        _, raw = await exchange.body_of(request, EmptyBody)

        async def doing(connection: Connection) -> Answer:
            return await _written(connection, await keeping.renew(connection, target_id), 200)

        return await exchange.posting(service, request, raw, doing)


def _add_turns(router: APIRouter, service: Service) -> None:
    @router.get("/on-call", responses=responses(400) | parameters.example(TURNS))
    async def turns(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> TurnPage:
        """Who is on call, now and later, by number."""
        after = cursors.number(asked.cursor, "turns", 0)
        async with service.database.connection() as connection:
            rows = await contacts.turns(
                connection,
                service.clock(),
                municipality=asked.municipality or None,
                after=after,
                limit=asked.limit + 1,
            )
        return rest.paged(TurnPage, rows, asked.limit, "turns", "on_call_id", request, response)

    @router.get("/on-call/{turn_id}", responses=responses(404) | parameters.example(TURN))
    async def turn(turn_id: Number, response: Response) -> Turn:  # pyright: ignore[reportUnusedFunction]
        """One turn, with its ETag."""
        async with service.database.connection() as connection:
            found = await _turn(connection, turn_id)
        tagged(response, found)
        return found

    @router.post(
        "/on-call",
        status_code=201,
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(TURN, 201),
        openapi_extra=exchange.documented(TurnBody, once_only=True),
        response_model=Turn,
    )
    async def put_on_call(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Put a target on call."""
        body, raw = await exchange.body_of(request, TurnBody)

        async def doing(connection: Connection) -> Answer:
            number = await keeping.put_on_call(connection, body, service.clock())
            made = await _turn(connection, number)
            return Answer(exchange.plain(made), 201, {"location": f"/v1/on-call/{number}"})

        return await exchange.posting(service, request, raw, doing)

    @router.delete("/on-call/{turn_id}", status_code=204, responses=responses(403, 404, 412, 428))
    async def take_off(turn_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a turn away."""
        async with service.database.connection() as connection:
            match(request, await _turn(connection, turn_id))
        await keeping.take_off(service, turn_id)
        return Response(status_code=204)


async def _target(connection: Connection, number: int) -> Target:
    row = await contacts.target(connection, number)
    if row is None:
        raise Problem("target", 404, name=number)
    return Target.model_validate(row, from_attributes=True)


async def _written(connection: Connection, written: Written, status: int) -> Answer:
    found = await _target(connection, written.number)
    headers = {"etag": tag(found), "location": f"/v1{PATH}/{written.number}"}
    return Answer({**exchange.plain(found), "secret": written.secret}, status, headers, secret=("secret",))


async def _turn(connection: Connection, number: int) -> Turn:
    row = await contacts.turn(connection, number)
    if row is None:
        raise Problem("turn", 404, name=number)
    return Turn.model_validate(row, from_attributes=True)
