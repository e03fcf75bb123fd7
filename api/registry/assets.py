"""Assets: adding, changing, moving to another owner, retiring; and what each was."""

from fastapi import APIRouter, Request, Response

from api import parameters, schemas
from api.problems import Problem, responses
from api.registry import bodies, exchange, finding, shown, work
from api.registry.exchange import Answer, Connection
from api.rest import AssetId
from api.service import Service
from kraj.store import queries


def routes(service: Service) -> APIRouter:
    """The routes; reading one and listing them is in ``api.rest``."""
    router = APIRouter(tags=["registry"])
    _add_new(router, service)
    _add_changes(router, service)
    return router


def _add_new(router: APIRouter, service: Service) -> None:
    @router.post(
        "/assets",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(shown.ASSET, 201),
        openapi_extra=exchange.documented(bodies.AssetBody, once_only=True),
        response_model=schemas.Asset,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Add an asset, with a registered device or without one."""
        body, raw = await exchange.body_of(request, bodies.AssetBody)

        async def doing(connection: Connection) -> Answer:
            asset_id = await work.add_asset(connection, body, service.clock())
            return await _answer(connection, asset_id, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.get("/assets/{asset_id}/history", responses=responses(404) | parameters.example(shown.ASSET_HISTORY))
    async def history(asset_id: AssetId) -> shown.AssetHistory:  # pyright: ignore[reportUnusedFunction]
        """What an asset was called, and which devices served it."""
        async with service.database.connection() as connection:
            if await queries.asset(connection, asset_id) is None:
                raise Problem("asset", 404, name=asset_id)
            labels = await queries.labels(connection, asset_id)
            installed = await queries.installed_on(connection, asset_id)
        return shown.AssetHistory(
            asset_id=asset_id,
            labels=[shown.OldLabel.model_validate(row, from_attributes=True) for row in labels],
            installed=[shown.Installed.model_validate(row, from_attributes=True) for row in installed],
        )


def _add_changes(router: APIRouter, service: Service) -> None:
    @router.patch(
        "/assets/{asset_id}",
        responses=responses(400, 401, 403, 404, 409, 412, 413, 415, 428) | parameters.example(shown.ASSET),
        openapi_extra=exchange.documented(bodies.AssetChange, conditional=True),
        response_model=schemas.Asset,
    )
    async def change(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Change what is given: label, place, attributes, owner, device."""
        body, _ = await exchange.body_of(request, bodies.AssetChange)

        async def doing(connection: Connection) -> Answer:
            found = await finding.asset(connection, asset_id)
            version = exchange.expected(request, found.version)
            await work.change_asset(connection, asset_id, body, version, service.clock())
            return await _answer(connection, asset_id, 200)

        return await exchange.changing(service, doing)

    @router.delete(
        "/assets/{asset_id}",
        status_code=204,
        responses=responses(401, 403, 404, 409, 412, 428),
        openapi_extra=exchange.headers(conditional=True),
    )
    async def remove(request: Request, asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remove an asset that nothing refers to; any other is retired: in no list, with its history kept."""

        async def doing(connection: Connection) -> Answer:
            found = await finding.asset(connection, asset_id)
            version = exchange.expected(request, found.version)
            await work.remove_asset(connection, asset_id, version, service.clock())
            return Answer(None, 204)

        return await exchange.changing(service, doing)


async def _answer(connection: Connection, asset_id: int, status: int) -> Answer:
    row = await work.seen_asset(connection, asset_id)
    body = exchange.plain(schemas.Asset.model_validate(row, from_attributes=True))
    return Answer(body, status, {"etag": exchange.etag(row.version), "location": f"/v1/assets/{asset_id}"})
