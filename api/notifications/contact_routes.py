"""The resources under /v1 about whom to tell: targets without their addresses, test messages, turns on call."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api import acting, cursors, parameters, rest
from api.notifications import contacts as keeping
from api.notifications.contacts import Target, TargetBody, TargetPage, Turn, TurnBody, TurnPage
from api.problems import Problem, responses
from api.rulebook.asking import match, tagged
from api.rulebook.bodies import EmptyBody
from api.rulebook.routes import Asked
from api.service import Service
from kraj.store import contacts

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
    "tested_at": "2026-11-21T06:15:00.000Z",
    "test_error": None,
    "test_waits": False,
}
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
        items = [Target.model_validate(row, from_attributes=True) for row in rows[: asked.limit]]
        following = cursors.encode("targets", items[-1].target_id) if len(rows) > asked.limit else None
        rest.link(request, response, following)
        return TargetPage(items=items, next_cursor=following)

    @router.get(ONE, responses=responses(404) | parameters.example(TARGET))
    async def target(target_id: Number, response: Response) -> Target:  # pyright: ignore[reportUnusedFunction]
        """One target, with its ETag."""
        return await _tagged(service, target_id, response)


def _add_changes(router: APIRouter, service: Service) -> None:
    @router.post(
        PATH,
        status_code=201,
        responses=responses(400, 403, 404, 409, 413, 415) | {201: parameters.example(TARGET)[200]},
        openapi_extra=acting.documented(TargetBody),
    )
    async def add(request: Request, response: Response) -> Target:  # pyright: ignore[reportUnusedFunction]
        """Add somebody to tell; the address is kept and never shown again."""
        number = await keeping.write(service, None, await acting.json_body(request, TargetBody))
        response.headers["location"] = f"/v1{PATH}/{number}"
        return await _tagged(service, number, response)

    @router.put(
        ONE,
        responses=responses(400, 403, 404, 409, 412, 413, 415, 428) | parameters.example(TARGET),
        openapi_extra=acting.documented(TargetBody),
    )
    async def change(target_id: Number, request: Request, response: Response) -> Target:  # pyright: ignore[reportUnusedFunction]
        """Change a target; without `url` it keeps its address."""
        body = await acting.json_body(request, TargetBody)
        match(request, await _target(service, target_id))
        await keeping.write(service, target_id, body)
        return await _tagged(service, target_id, response)

    @router.delete(ONE, status_code=204, responses=responses(403, 404, 412, 428))
    async def drop(target_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a target away, with its address and its turns on call."""
        match(request, await _target(service, target_id))
        await keeping.drop(service, target_id)
        return Response(status_code=204)

    @router.post(
        f"{ONE}/test",
        status_code=202,
        responses=responses(400, 403, 404, 413, 415) | {202: parameters.example(TARGET)[200]},
        openapi_extra=acting.documented(EmptyBody),
    )
    async def test(target_id: Number, request: Request) -> Target:  # pyright: ignore[reportUnusedFunction]
        """Send a test message; `test_waits`, `tested_at` and `test_error` tell what became of it."""
        await acting.json_body(request, EmptyBody)
        await keeping.test(service, target_id)
        return await _target(service, target_id)


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
        items = [Turn.model_validate(row, from_attributes=True) for row in rows[: asked.limit]]
        following = cursors.encode("turns", items[-1].on_call_id) if len(rows) > asked.limit else None
        rest.link(request, response, following)
        return TurnPage(items=items, next_cursor=following)

    @router.get("/on-call/{turn_id}", responses=responses(404) | parameters.example(TURN))
    async def turn(turn_id: Number, response: Response) -> Turn:  # pyright: ignore[reportUnusedFunction]
        """One turn, with its ETag."""
        found = await _turn(service, turn_id)
        tagged(response, found)
        return found

    @router.post(
        "/on-call",
        status_code=201,
        responses=responses(400, 403, 404, 409, 413, 415) | {201: parameters.example(TURN)[200]},
        openapi_extra=acting.documented(TurnBody),
    )
    async def put_on_call(request: Request, response: Response) -> Turn:  # pyright: ignore[reportUnusedFunction]
        """Put a target on call."""
        number = await keeping.put_on_call(service, await acting.json_body(request, TurnBody))
        response.headers["location"] = f"/v1/on-call/{number}"
        return await _turn(service, number)

    @router.delete("/on-call/{turn_id}", status_code=204, responses=responses(403, 404, 412, 428))
    async def take_off(turn_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a turn away."""
        match(request, await _turn(service, turn_id))
        await keeping.take_off(service, turn_id)
        return Response(status_code=204)


async def _target(service: Service, number: int) -> Target:
    async with service.database.connection() as connection:
        row = await contacts.target(connection, number)
    if row is None:
        raise Problem("target", 404, name=number)
    return Target.model_validate(row, from_attributes=True)


async def _tagged(service: Service, number: int, response: Response) -> Target:
    found = await _target(service, number)
    tagged(response, found)
    return found


async def _turn(service: Service, number: int) -> Turn:
    async with service.database.connection() as connection:
        row = await contacts.turn(connection, number)
    if row is None:
        raise Problem("turn", 404, name=number)
    return Turn.model_validate(row, from_attributes=True)
