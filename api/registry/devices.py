"""Devices: registering with an asset in one step, the steps of their life, replacing in one action, their history."""

from fastapi import APIRouter, Request, Response

from api import parameters, schemas
from api.problems import responses
from api.registry import bodies, exchange, shown, work
from api.registry.exchange import Answer, Connection
from api.rest import DeviceName
from api.service import Service
from kraj.store import queries


def routes(service: Service) -> APIRouter:
    """The routes; reading one and listing them is in ``api.rest``."""
    router = APIRouter(tags=["registry"])
    _add_new(router, service)
    _add_life(router, service)
    return router


def _add_new(router: APIRouter, service: Service) -> None:
    @router.post(
        "/devices",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.DEVICE, 201),
        openapi_extra=exchange.documented(bodies.DeviceBody, once_only=True),
        response_model=schemas.Device,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Register a device: alone, with a new asset, or for one that is there.

        Messages that it sent before are taken in from the quarantine once it serves an asset.
        """
        body, raw = await exchange.body_of(request, bodies.DeviceBody)

        async def doing(connection: Connection) -> Answer:
            await work.add_device(connection, body, service.clock())
            return await _answer(connection, body.name, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.get("/devices/{name}/history", responses=responses(404) | parameters.example(shown.DEVICE_HISTORY))
    async def history(name: DeviceName) -> shown.DeviceHistory:  # pyright: ignore[reportUnusedFunction]
        """What happened to a device, and what it served."""
        async with service.database.connection() as connection:
            device = await work.seen_device(connection, name)
            life = await queries.life(connection, device.device_id)
            installed = await queries.served_by(connection, device.device_id)
        return shown.DeviceHistory(
            name=name,
            life=[shown.LifeStep.model_validate(row, from_attributes=True) for row in life],
            installed=[shown.Installed.model_validate(row, from_attributes=True) for row in installed],
        )


def _add_life(router: APIRouter, service: Service) -> None:
    @router.post(
        "/devices/{name}/provision",
        responses=responses(400, 401, 403, 404, 409, 422) | parameters.example(shown.PROVISIONED),
        openapi_extra=exchange.headers(once_only=True),
        response_model=shown.Provisioned,
    )
    async def provision(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """A one-time code by which the device enrols and gets its certificate; earlier codes count no more."""

        async def doing(connection: Connection) -> Answer:
            code, expires_at = await work.provision(connection, name, service.clock())
            answer = shown.Provisioned(device=name, code=code, expires_at=expires_at)
            return Answer(exchange.plain(answer), secret=("code",))

        return await exchange.posting(service, request, b"", doing)

    @router.post(
        "/devices/{name}/steps",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.DEVICE),
        openapi_extra=exchange.documented(bodies.StepBody, once_only=True),
        response_model=schemas.Device,
    )
    async def step(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Suspend a device, resume it, or take it out of use for ever."""
        body, raw = await exchange.body_of(request, bodies.StepBody)

        async def doing(connection: Connection) -> Answer:
            await work.take_step(connection, name, body, service.clock())
            return await _answer(connection, name, 200)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/devices/{name}/safe-mode",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.DEVICE),
        openapi_extra=exchange.documented(bodies.SafeModeBody, once_only=True),
        response_model=schemas.Device,
    )
    async def safe_mode(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Have a device of our firmware start in safe mode: link, commands and the light's fallback alone.

        For administrators. Told for an hour; `safe_mode` is true once the device has started so, for six hours or until
        it starts anew.
        """
        body, raw = await exchange.body_of(request, bodies.SafeModeBody)

        async def doing(connection: Connection) -> Answer:
            await work.safe_mode(connection, name, body, service.clock())
            return await _answer(connection, name, 200)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/devices/{name}/replace",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.DEVICE),
        openapi_extra=exchange.documented(bodies.ReplaceBody, once_only=True),
        response_model=schemas.Device,
    )
    async def replace(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Scan the old one, scan the new one: the new one serves all, the old one is out of use; answers the new."""
        body, raw = await exchange.body_of(request, bodies.ReplaceBody)

        async def doing(connection: Connection) -> Answer:
            await work.replace(connection, name, body, service.clock())
            return await _answer(connection, body.new, 200)

        return await exchange.posting(service, request, raw, doing)


async def _answer(connection: Connection, name: str, status: int) -> Answer:
    row = await work.seen_device(connection, name)
    body = exchange.plain(schemas.Device.model_validate(row, from_attributes=True))
    return Answer(body, status, {"etag": exchange.etag(row.version), "location": f"/v1/devices/{name}"})
