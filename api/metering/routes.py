"""The resources of prices, CO2 factors and allocation keys under /v1."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api import cursors, parameters, rest
from api.database import Connection
from api.metering import bodies, examples, work
from api.parameters import Text
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.service import Service
from kraj.meters import ZONE
from kraj.store import meters, tariffs

TariffId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The version's number.", examples=[3])]
WRITES = responses(400, 401, 403, 404, 409, 413, 415, 422)


class Asked(parameters.Page):
    """Of which municipality."""

    municipality: Text | None = Field(None, description="Name of the owner.", examples=["olsinka-nad-mlynkou"])


class PriceAsked(parameters.Parameters):
    """Of what, and of which day."""

    municipality: Text = Field(description="Name of the owner.", examples=["olsinka-nad-mlynkou"])
    asset_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Else of the municipality as a whole.")
    day: date | None = Field(None, description="In Prague; else today.")


def routes(service: Service) -> APIRouter:
    """Prices, factors, keys."""
    router = APIRouter(prefix="/v1", tags=["metering"])
    _add_tariffs(router, service)
    _add_withdrawing(router, service)
    _add_factors(router, service)
    _add_allocations(router, service)
    return router


def shown(model: type[BaseModel], row: object) -> BaseModel:
    """A row of the store for the API."""
    return model.model_validate(row, from_attributes=True)


def _add_tariffs(router: APIRouter, service: Service) -> None:
    @router.get("/tariffs", responses=responses(400) | parameters.example(examples.page(examples.TARIFF)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.TariffPage:
        """Versions of prices by number, the withdrawn ones too."""
        after = cursors.number(asked.cursor, "tariffs", 0)
        async with service.database.connection() as connection:
            rows = await tariffs.tariffs(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.TariffPage, rows, asked.limit, "tariffs", "tariff_id", request, response)

    @router.get("/tariffs/{tariff_id}", responses=responses(404) | parameters.example(examples.TARIFF))
    async def one(tariff_id: TariffId) -> bodies.TariffAnswer:  # pyright: ignore[reportUnusedFunction]
        """One version."""
        async with service.database.connection() as connection:
            return await _tariff(connection, tariff_id)

    @router.post(
        "/tariffs",
        status_code=201,
        responses=WRITES | parameters.example(examples.TARIFF, 201),
        openapi_extra=exchange.documented(bodies.TariffBody, once_only=True),
        response_model=bodies.TariffAnswer,
    )
    async def declare(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Declare a price. Versions of one scope and direction do not overlap (409)."""
        body, raw = await exchange.body_of(request, bodies.TariffBody)

        async def doing(connection: Connection) -> Answer:
            number = await work.declare(connection, body, service.clock())
            headers = {"location": f"/v1/tariffs/{number}"}
            return Answer(exchange.plain(await _tariff(connection, number)), 201, headers)

        return await exchange.posting(service, request, raw, doing)


def _add_withdrawing(router: APIRouter, service: Service) -> None:
    @router.post(
        "/tariffs/{tariff_id}/withdraw",
        responses=WRITES | parameters.example(examples.TARIFF),
        openapi_extra=exchange.documented(bodies.WithdrawBody, once_only=True),
        response_model=bodies.TariffAnswer,
    )
    async def withdraw(request: Request, tariff_id: TariffId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Withdraw a version that was wrong; it stays in the list, and holds for no day."""
        body, raw = await exchange.body_of(request, bodies.WithdrawBody)

        async def doing(connection: Connection) -> Answer:
            await work.withdraw(connection, tariff_id, body.reason, service.clock())
            return Answer(exchange.plain(await _tariff(connection, tariff_id)))

        return await exchange.posting(service, request, raw, doing)

    @router.get("/prices", responses=responses(400, 404) | parameters.example(examples.PRICE))
    async def price(asked: Annotated[PriceAsked, Query()]) -> bodies.PriceAnswer:  # pyright: ignore[reportUnusedFunction]
        """What holds on a day: the asset's price, else its group's, else the municipality's. Null in a gap."""
        day = asked.day or service.clock().astimezone(ZONE).date()
        async with service.database.connection() as connection:
            town = await tariffs.town(connection, asked.municipality)
            if town is None:
                raise Problem("municipality", 404, name=asked.municipality)
            bought = await tariffs.price(connection, town[0], asked.asset_id, day, "import")
            sold = await tariffs.price(connection, town[0], asked.asset_id, day, "export")
            factor = await tariffs.co2(connection, town[0], day)
        values = (None if one is None else float(one) for one in (bought, sold, factor))
        names = ("import_czk_per_kwh", "export_czk_per_kwh", "co2_g_per_kwh")
        return bodies.PriceAnswer(day=day, **dict(zip(names, values, strict=True)))


def _add_factors(router: APIRouter, service: Service) -> None:
    @router.get("/co2-factors", responses=responses(400) | parameters.example(examples.page(examples.FACTOR)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.FactorPage:
        """Declared factors by number, the region's among them."""
        after = cursors.number(asked.cursor, "co2_factors", 0)
        async with service.database.connection() as connection:
            rows = await tariffs.factors(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.FactorPage, rows, asked.limit, "co2_factors", "co2_factor_id", request, response)

    @router.post(
        "/co2-factors",
        status_code=201,
        responses=WRITES | parameters.example(examples.FACTOR, 201),
        openapi_extra=exchange.documented(bodies.FactorBody, once_only=True),
        response_model=bodies.FactorAnswer,
    )
    async def declare(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Declare a factor with its source. It takes the place of earlier ones from its day on."""
        body, raw = await exchange.body_of(request, bodies.FactorBody)

        async def doing(connection: Connection) -> Answer:
            number = await work.declare_factor(connection, body, service.clock())
            rows = await tariffs.factors(connection, municipality=None, after=number - 1, limit=1)
            return Answer(exchange.plain(shown(bodies.FactorAnswer, rows[0])), 201)

        return await exchange.posting(service, request, raw, doing)


def _add_allocations(router: APIRouter, service: Service) -> None:
    @router.get("/allocation-keys", responses=responses(400) | parameters.example(examples.page(examples.ALLOCATION)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.AllocationPage:
        """Shares by number. Those of one EAN and day are a version; the latest that has begun holds."""
        after = cursors.number(asked.cursor, "allocation_keys", 0)
        async with service.database.connection() as connection:
            rows = await meters.allocations(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(
            bodies.AllocationPage, rows, asked.limit, "allocation_keys", "allocation_key_id", request, response
        )

    @router.post(
        "/allocation-keys",
        status_code=201,
        responses=WRITES | parameters.example(examples.page(examples.ALLOCATION), 201),
        openapi_extra=exchange.documented(bodies.AllocationBody, once_only=True),
        response_model=bodies.AllocationPage,
    )
    async def allocate(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Declare who gets what of that which a point feeds in."""
        body, raw = await exchange.body_of(request, bodies.AllocationBody)

        async def doing(connection: Connection) -> Answer:
            first = await work.allocate(connection, body, service.clock())
            rows = await meters.allocations(connection, municipality=None, after=first - 1, limit=len(body.shares))
            items = [bodies.AllocationAnswer.model_validate(row, from_attributes=True) for row in rows]
            return Answer(exchange.plain(bodies.AllocationPage(items=items, next_cursor=None)), 201)

        return await exchange.posting(service, request, raw, doing)


async def _tariff(connection: Connection, number: int) -> bodies.TariffAnswer:
    row = await tariffs.tariff(connection, number)
    if row is None:
        raise Problem("tariff", 404, name=number)
    return bodies.TariffAnswer.model_validate(row, from_attributes=True)
