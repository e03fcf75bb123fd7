"""The resources of orders, commands, what devices keep, safety locks and rollouts under /v1."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters, rest
from api.database import Connection
from api.lighting import bodies, examples, ordering, shown, work
from api.lighting.ordering import Ordered
from api.lighting.routes import Asked
from api.parameters import Text
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rest import link
from api.service import Service
from kraj.store import commands as store
from kraj.store.queries import lighting
from kraj.topics import NAME

Aim = TypeVar("Aim", bound=bodies.Aimed)
NEWEST = 2**63 - 1
OrderId = Annotated[int, Path(ge=1, le=NEWEST, description="The order's number.", examples=[7])]
CommandId = Annotated[UUID, Path(description="The command's id.")]
LockId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The lock's number.", examples=[2])]
RolloutId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The rollout's number.", examples=[5])]
DeviceName = Annotated[
    str, Path(pattern=f"^{NAME.pattern}$", description="The device's name.", examples=["lamp-3fa2b1"])
]


class AskedOrders(Asked):
    """Which orders."""

    over: bool = Field(False, description="Also those that are over.")


class AskedCommands(parameters.Page):
    """Which commands."""

    asset_id: int | None = Field(None, ge=1, le=2**31 - 1)
    device: Text | None = Field(None, description="The device's name.")
    order_id: int | None = Field(None, ge=1, le=NEWEST)
    state: bodies.State | None = None


class AskedDesired(Asked):
    """Which devices."""

    group_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Of a segment or another group.")
    behind: bool = Field(False, description="Only those that do not say that they keep it.")


class AskedLocks(Asked):
    """Which locks."""

    over: bool = Field(False, description="Also those that were released.")


class AskedRollouts(Asked):
    """Which rollouts."""

    group_id: int | None = Field(None, ge=1, le=2**31 - 1)


def routes(service: Service) -> APIRouter:
    """Every route about what lamps are told."""
    router = APIRouter(prefix="/v1/lighting", tags=["lighting"])
    _add_orders(router, service)
    _add_ordering(router, service)
    _add_commands(router, service)
    _add_desired(router, service)
    _add_locks(router, service)
    _add_rollouts(router, service)
    return router


def _add_orders(router: APIRouter, service: Service) -> None:
    @router.get("/orders", responses=responses(400) | parameters.example(examples.ORDERS))
    async def orders(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedOrders, Query()], request: Request, response: Response
    ) -> bodies.LightingOrderPage:
        """Orders, newest first."""
        before = cursors.number(asked.cursor, "orders", NEWEST)
        async with service.database.connection() as connection:
            rows = await store.orders(
                connection,
                municipality=asked.municipality or None,
                open_at=None if asked.over else service.clock(),
                before=before,
                limit=asked.limit + 1,
            )
        return rest.paged(
            bodies.LightingOrderPage, rows, asked.limit, "orders", "order_id", request, response, shown.order
        )

    @router.get("/orders/{order_id}", responses=responses(404) | parameters.example(examples.ORDER))
    async def order(order_id: OrderId) -> bodies.LightingOrder:  # pyright: ignore[reportUnusedFunction]
        """One order, with how many of its commands are how far."""
        async with service.database.connection() as connection:
            return shown.order(await ordering.order(connection, order_id))

    @router.post(
        "/orders/{order_id}/end",
        responses=responses(401, 403, 404, 413, 422, 423) | parameters.example(examples.ORDER),
        openapi_extra=exchange.headers(once_only=True),
        response_model=bodies.LightingOrder,
    )
    async def end(request: Request, order_id: OrderId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """End an order early: its lamps follow their program again."""

        async def doing(connection: Connection) -> Answer:
            await ordering.end(connection, order_id, service.clock())
            return Answer(exchange.plain(shown.order(await ordering.order(connection, order_id))))

        return await exchange.posting(service, request, b"", doing)


def _add_ordering(router: APIRouter, service: Service) -> None:
    def posts(
        path: str, model: type[Aim], give: Callable[[Connection, Aim, datetime], Awaitable[Ordered]], summary: str
    ) -> None:
        @router.post(
            path,
            status_code=201,
            summary=summary,
            responses=responses(400, 401, 403, 404, 409, 413, 415, 422, 423) | parameters.example(examples.ORDER, 201),
            openapi_extra=exchange.documented(model, once_only=True),
            response_model=bodies.LightingOrder,
            name=path,
        )
        async def order(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
            body, raw = await exchange.body_of(request, model)

            async def doing(connection: Connection) -> Answer:
                made = await give(connection, body, service.clock())
                found = shown.order(await ordering.order(connection, made.order_id))
                return Answer(exchange.plain(found), 201, {"location": f"/v1/lighting/orders/{made.order_id}"})

            return await exchange.posting(service, request, raw, doing)

    posts("/manual", bodies.ManualBody, ordering.manual, "Set a level by hand, until it ends")
    posts("/light-now", bodies.LightNowBody, ordering.light_now, "Full light for a crew")
    posts("/emergency", bodies.EmergencyBody, ordering.emergency, "Full light, above every other order")


def _add_commands(router: APIRouter, service: Service) -> None:
    @router.get("/commands", responses=responses(400) | parameters.example(examples.COMMANDS))
    async def commands(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedCommands, Query()], request: Request, response: Response
    ) -> bodies.LightingCommandPage:
        """What lamps were told, newest first, and what became of it."""
        async with service.database.connection() as connection:
            rows = await store.commands(
                connection,
                asset_id=asked.asset_id,
                device=asked.device,
                order_id=asked.order_id,
                state=asked.state,
                before=_before(asked.cursor),
                limit=asked.limit + 1,
            )
        items = [shown.command(row) for row in rows[: asked.limit]]
        following = None
        if len(rows) > asked.limit:
            last = items[-1]
            following = cursors.encode("commands", last.requested_at.isoformat(), str(last.command_id))
        link(request, response, following)
        return bodies.LightingCommandPage(items=items, next_cursor=following)

    @router.get("/commands/{command_id}", responses=responses(404) | parameters.example(examples.COMMAND))
    async def command(command_id: CommandId) -> bodies.LightingCommand:  # pyright: ignore[reportUnusedFunction]
        """One command's life."""
        async with service.database.connection() as connection:
            found = await store.commands(connection, command_id=command_id)
        if not found:
            raise Problem("command", 404, name=command_id)
        return shown.command(found[0])


def _before(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    at, number = cursors.decode(cursor, "commands", str, str)
    try:
        return datetime.fromisoformat(str(at)), UUID(str(number))
    except ValueError as error:
        raise Problem("cursor", 400, cursor=cursor) from error


def _add_desired(router: APIRouter, service: Service) -> None:
    @router.get("/desired", responses=responses(400) | parameters.example(examples.DESIRED_PAGE))
    async def desired(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedDesired, Query()], request: Request, response: Response
    ) -> bodies.DesiredStatePage:
        """What devices are to keep beside what they report; whoever is behind is asked again."""
        after = cursors.number(asked.cursor, "desired", 0)
        async with service.database.connection() as connection:
            rows = await lighting.desired(
                connection,
                municipality=asked.municipality or None,
                group_id=asked.group_id,
                behind=asked.behind,
                after=after,
                limit=asked.limit + 1,
            )
        return rest.paged(
            bodies.DesiredStatePage, rows, asked.limit, "desired", "device_id", request, response, shown.desired
        )

    @router.get("/desired/{name}", responses=responses(404) | parameters.example(examples.DESIRED))
    async def of_device(name: DeviceName, response: Response) -> bodies.DesiredState:  # pyright: ignore[reportUnusedFunction]
        """What one device is to keep, with its ETag."""
        async with service.database.connection() as connection:
            found = await _desired(connection, name)
        response.headers["etag"] = exchange.etag(found.version)
        return found

    @router.patch(
        "/desired/{name}",
        responses=responses(400, 401, 403, 404, 412, 413, 415, 428) | parameters.example(examples.DESIRED),
        openapi_extra=exchange.documented(bodies.IntervalBody, conditional=True),
        response_model=bodies.DesiredState,
    )
    async def change(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """How often a device reports; of one that was told nothing yet the ETag is `"0"`."""
        body, _ = await exchange.body_of(request, bodies.IntervalBody)

        async def doing(connection: Connection) -> Answer:
            now = await lighting.desired(connection, device=name, limit=1)
            version = exchange.expected(request, now[0].version if now else 0)
            await work.set_interval(connection, name, version, body, service.clock())
            after = await _desired(connection, name)
            return Answer(exchange.plain(after), 200, {"etag": exchange.etag(after.version)})

        return await exchange.changing(service, doing)


async def _desired(connection: Connection, name: str) -> bodies.DesiredState:
    found = await lighting.desired(connection, device=name, limit=1)
    if not found:
        raise Problem("desired", 404, name=name)
    return shown.desired(found[0])


def _add_locks(router: APIRouter, service: Service) -> None:
    @router.get("/locks", responses=responses(400) | parameters.example(examples.LOCKS))
    async def locks(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedLocks, Query()], request: Request, response: Response
    ) -> bodies.SafetyLockPage:
        """Safety locks that are held, newest first. A lock never replaces mechanical isolation."""
        before = cursors.number(asked.cursor, "locks", 2**31 - 1)
        async with service.database.connection() as connection:
            rows = await store.locks(
                connection,
                municipality=asked.municipality or None,
                held=not asked.over,
                before=before,
                limit=asked.limit + 1,
            )
        return rest.paged(bodies.SafetyLockPage, rows, asked.limit, "locks", "lock_id", request, response, shown.lock)

    @router.get("/locks/{lock_id}", responses=responses(404) | parameters.example(examples.LOCK))
    async def lock(lock_id: LockId) -> bodies.SafetyLock:  # pyright: ignore[reportUnusedFunction]
        """One lock."""
        async with service.database.connection() as connection:
            return shown.lock(await ordering.lock(connection, lock_id))

    @router.post(
        "/locks",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(examples.LOCK, 201),
        openapi_extra=exchange.documented(bodies.LockBody, once_only=True),
        response_model=bodies.SafetyLock,
    )
    async def take(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a lock: from now on nothing there is told to switch on. It never replaces mechanical isolation."""
        body, raw = await exchange.body_of(request, bodies.LockBody)

        async def doing(connection: Connection) -> Answer:
            number = await ordering.take_lock(connection, body, service.clock())
            found = shown.lock(await ordering.lock(connection, number))
            return Answer(exchange.plain(found), 201, {"location": f"/v1/lighting/locks/{number}"})

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/locks/{lock_id}/release",
        responses=responses(401, 403, 404, 413, 422) | parameters.example(examples.LOCK),
        openapi_extra=exchange.headers(once_only=True),
        response_model=bodies.SafetyLock,
    )
    async def release(request: Request, lock_id: LockId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Release a lock: its holder does, or who administers the region."""

        async def doing(connection: Connection) -> Answer:
            await ordering.release_lock(connection, lock_id, service.clock())
            return Answer(exchange.plain(shown.lock(await ordering.lock(connection, lock_id))))

        return await exchange.posting(service, request, b"", doing)


def _add_rollouts(router: APIRouter, service: Service) -> None:
    @router.get("/rollouts", responses=responses(400) | parameters.example(examples.ROLLOUTS))
    async def rollouts(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedRollouts, Query()], request: Request, response: Response
    ) -> bodies.DimmingRolloutPage:
        """How far programs have come, newest first."""
        before = cursors.number(asked.cursor, "rollouts", 2**31 - 1)
        async with service.database.connection() as connection:
            rows = await lighting.rollouts(
                connection,
                municipality=asked.municipality or None,
                group_id=asked.group_id,
                after=before,
                limit=asked.limit + 1,
            )
        return rest.paged(
            bodies.DimmingRolloutPage, rows, asked.limit, "rollouts", "rollout_id", request, response, shown.rollout
        )

    @router.get("/rollouts/{rollout_id}", responses=responses(404) | parameters.example(examples.ROLLOUT))
    async def rollout(rollout_id: RolloutId) -> bodies.DimmingRollout:  # pyright: ignore[reportUnusedFunction]
        """One rollout."""
        async with service.database.connection() as connection:
            return shown.rollout(await work.rollout(connection, rollout_id))

    @router.post(
        "/rollouts/{rollout_id}/steps",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(examples.ROLLOUT),
        openapi_extra=exchange.documented(bodies.RolloutStep, once_only=True),
        response_model=bodies.DimmingRollout,
    )
    async def step(request: Request, rollout_id: RolloutId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Pause, resume or stop a rollout, or have it go on to all lamps."""
        body, raw = await exchange.body_of(request, bodies.RolloutStep)

        async def doing(connection: Connection) -> Answer:
            await work.take_rollout_step(connection, rollout_id, body, service.clock())
            return Answer(exchange.plain(shown.rollout(await work.rollout(connection, rollout_id))))

        return await exchange.posting(service, request, raw, doing)
