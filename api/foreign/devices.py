"""The resources under /v1 of foreign devices: how each is read, its password, its last messages."""

from typing import Annotated

import psycopg
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from api import acting, parameters
from api.database import Connection
from api.foreign import bodies
from api.language import choose
from api.problems import Problem, responses
from api.registry import exchange, finding
from api.registry.exchange import Answer
from api.service import Service
from kraj.foreign import adapters, credential
from kraj.foreign.records import Adapter
from kraj.store import foreign

LISTED_MAX = 1000
MESSAGES_DEFAULT = 50
DeviceName = Annotated[str, Path(description="The device's name.", examples=["plug-1"])]
ONE = "/foreign/devices/{name}"


class MessageParameters(parameters.Parameters):
    """Of which device."""

    device: parameters.Text | None = Field(None, description="The device's name; of all when left out.")
    limit: int = Field(MESSAGES_DEFAULT, ge=1, le=parameters.PAGE_MAX, description="How many at most.")


def routes(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter()
    for add in (_add_devices, _add_password, _add_messages):
        add(router, service)
    return router


def _device(row: foreign.DeviceRow) -> bodies.ForeignDevice:
    fields = {name: getattr(row, name) for name in bodies.ForeignDevice.model_fields if name != "topic"}
    return bodies.ForeignDevice(**fields, topic=f"{adapters.ROOT}/{row.municipality}/{row.device}/")


async def _one_device(connection: Connection, name: str) -> bodies.ForeignDevice:
    found = await foreign.devices(connection, name=name, limit=1)
    if not found:
        raise Problem("device", 404, name=name)
    return _device(found[0])


def _add_devices(router: APIRouter, service: Service) -> None:
    @router.get("/foreign/devices", responses=responses(401) | parameters.example({"items": [bodies.DEVICE_EXAMPLE]}))
    async def devices() -> bodies.ForeignDevicePage:  # pyright: ignore[reportUnusedFunction]
        """Foreign devices by name."""
        async with service.database.connection() as connection:
            rows = await foreign.devices(connection, limit=LISTED_MAX)
        return bodies.ForeignDevicePage(items=[_device(row) for row in rows])

    @router.put(
        ONE,
        response_model=bodies.ForeignDevice,
        responses=responses(400, 401, 403, 404, 409, 413, 415) | parameters.example(bodies.DEVICE_EXAMPLE),
        openapi_extra=exchange.documented(bodies.DeviceBody),
    )
    async def put(request: Request, name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say which system a registered device speaks, and by which mapping it is read."""
        body, _ = await exchange.body_of(request, bodies.DeviceBody)

        async def doing(connection: Connection) -> Answer:
            await finding.device(connection, name)
            try:
                there = await foreign.set_device(
                    connection,
                    device=name,
                    adapter=body.adapter,
                    mapping=body.mapping,
                    address=body.address,
                    at=service.clock(),
                )
            except psycopg.errors.UniqueViolation as error:
                raise Problem("taken", 409, name=body.address or "") from error
            if not there:
                raise Problem("mapping", 404, name=body.mapping or "")
            return Answer(exchange.plain(await _one_device(connection, name)))

        return await exchange.changing(service, doing)


def _add_password(router: APIRouter, service: Service) -> None:
    @router.post(
        f"{ONE}/password",
        responses=responses(400, 401, 403, 404, 422) | parameters.example(bodies.PASSWORD_EXAMPLE),
        openapi_extra=exchange.headers(once_only=True),
    )
    async def draw(name: DeviceName, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Draw a new password at the broker; it is shown this once, and the old one is good no more."""
        raw = await acting.bounded(request)

        async def doing(connection: Connection) -> Answer:
            await finding.device(connection, name)
            found = await _one_device(connection, name)
            password = credential.draw()
            hashed = credential.hashed(password)
            await foreign.set_credential(connection, name, hashed, service.clock())
            said = {"user": name, "password": password, "topic": found.topic}
            return Answer(said, 200, {"cache-control": "no-store"}, ("password",))

        return await exchange.posting(service, request, raw, doing)

    @router.delete(ONE, status_code=204, responses=responses(401, 403, 404))
    async def remove(name: DeviceName) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The device speaks no other system any more, and its password is good no more."""

        async def doing(connection: Connection) -> Answer:
            await finding.device(connection, name)
            if not await foreign.unset_device(connection, name):
                raise Problem("device", 404, name=name)
            return Answer(None, 204)

        return await exchange.changing(service, doing)


def message(row: foreign.MessageRow, language: str) -> bodies.Message:
    """A message of the ring, with its reasons in words."""
    reasons = [
        bodies.Reason(
            reason=item.get("reason"),
            sentence=bodies.sentence(item.get("reason"), language),
            detail=str(item.get("detail", "")),
            metric=item.get("metric"),
        )
        for item in row.reasons
    ]
    return bodies.Message(
        at=row.at,
        device=row.device,
        adapter=Adapter(row.adapter),
        topic=row.topic,
        payload=row.payload.decode("utf-8", "replace"),
        payload_bytes=row.payload_bytes,
        readings=row.readings,
        verdict=row.verdict,
        reasons=reasons,
    )


def _add_messages(router: APIRouter, service: Service) -> None:
    @router.get(
        "/foreign/messages", responses=responses(400, 401) | parameters.example({"items": [bodies.MESSAGE_EXAMPLE]})
    )
    async def messages(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[MessageParameters, Query()], request: Request
    ) -> bodies.MessagePage:
        """The last messages of foreign devices: raw, what was read from each, and the verdict with its reasons."""
        async with service.database.connection() as connection:
            rows = await foreign.messages(connection, device=asked.device, limit=asked.limit)
        return bodies.MessagePage(items=[message(row, choose(request)) for row in rows])
