"""The resources of metering points under /v1: what hangs on them, their quarter-hours, invoices, and reconciliation."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters, rest
from api.database import Connection
from api.metering import bodies, examples, figures, work
from api.metering.routes import WRITES, Asked
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.service import Service
from kraj.meters import EAN, ZONE, Comparison
from kraj.store import meters
from kraj.tariffs import Direction

EanPath = Annotated[str, Path(pattern=f"^{EAN.pattern}$", description="The EAN.", examples=[examples.EAN])]
LinkId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The link's number.", examples=[1])]
InvoiceId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Our number of the invoice.", examples=[9])]
QUARTERS_MAX = 3000
"""A month has at most 2,980."""


class Span(parameters.Parameters):
    """Which time; a month at most."""

    from_: parameters.Time | None = Field(None, alias="from", description="From this time on; a day before `to`.")
    to: parameters.Time | None = Field(None, description="Before this time; now when left out.")


class Year(parameters.Parameters):
    """Which year and direction."""

    year: int | None = Field(None, ge=2000, le=2099, description="Else this one.")
    direction: Direction = Field("import", description="Energy from the grid, or into it.")


class InvoicesAsked(Asked):
    """Of which point."""

    ean: Annotated[str, Field(pattern=f"^{EAN.pattern}$")] | None = Field(None, description="Of this point alone.")


def routes(service: Service) -> APIRouter:
    """Metering points and all that belongs to them."""
    router = APIRouter(prefix="/v1", tags=["metering"])
    _add_points(router, service)
    _add_writing(router, service)
    _add_links(router, service)
    _add_figures(router, service)
    _add_invoices(router, service)
    return router


def _add_points(router: APIRouter, service: Service) -> None:
    @router.get("/metering-points", responses=responses(400) | parameters.example(examples.page(examples.POINT)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Asked, Query()], request: Request, response: Response
    ) -> bodies.PointPage:
        """Points by EAN."""
        after = cursors.text(asked.cursor, "metering_points")
        async with service.database.connection() as connection:
            rows = await meters.points(
                connection, municipality=asked.municipality or None, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.PointPage, rows, asked.limit, "metering_points", "ean", request, response)

    @router.get("/metering-points/{ean}", responses=responses(404) | parameters.example(examples.POINT))
    async def one(ean: EanPath, response: Response) -> bodies.PointAnswer:  # pyright: ignore[reportUnusedFunction]
        """One point, with its ETag."""
        async with service.database.connection() as connection:
            row = await work.point(connection, ean)
        response.headers["etag"] = exchange.etag(row.version)
        return bodies.PointAnswer.model_validate(row, from_attributes=True)


def _add_writing(router: APIRouter, service: Service) -> None:
    @router.post(
        "/metering-points",
        status_code=201,
        responses=WRITES | parameters.example(examples.POINT, 201),
        openapi_extra=exchange.documented(bodies.PointBody, once_only=True),
        response_model=bodies.PointAnswer,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Register a point."""
        body, raw = await exchange.body_of(request, bodies.PointBody)

        async def doing(connection: Connection) -> Answer:
            await work.add_point(connection, body, service.clock())
            return await _point(connection, body.ean, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.patch(
        "/metering-points/{ean}",
        responses=responses(400, 401, 403, 404, 409, 412, 413, 415, 428) | parameters.example(examples.POINT),
        openapi_extra=exchange.documented(bodies.PointChange, conditional=True),
        response_model=bodies.PointAnswer,
    )
    async def change(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another title, voltage, distributor or tolerance."""
        body, _ = await exchange.body_of(request, bodies.PointChange)

        async def doing(connection: Connection) -> Answer:
            row = await work.point(connection, ean, writing=True)
            version = exchange.expected(request, row.version)
            if not await meters.change_point(connection, ean, body.model_dump(exclude_none=True), version):
                raise exchange.changed()
            return await _point(connection, ean, 200)

        return await exchange.changing(service, doing)


def _add_links(router: APIRouter, service: Service) -> None:
    path = "/metering-points/{ean}/links"

    @router.get(path, responses=responses(404) | parameters.example({"items": [examples.LINK]}))
    async def listed(ean: EanPath) -> bodies.Links:  # pyright: ignore[reportUnusedFunction]
        """What hangs on a point, and did."""
        async with service.database.connection() as connection:
            await work.point(connection, ean)
            rows = await meters.links(connection, ean)
        return bodies.Links(items=[bodies.LinkAnswer.model_validate(row, from_attributes=True) for row in rows])

    @router.post(
        path,
        status_code=201,
        responses=WRITES | parameters.example(examples.LINK, 201),
        openapi_extra=exchange.documented(bodies.LinkBody, once_only=True),
        response_model=bodies.LinkAnswer,
    )
    async def add(request: Request, ean: EanPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Say what hangs on a point, from which day on."""
        body, raw = await exchange.body_of(request, bodies.LinkBody)

        async def doing(connection: Connection) -> Answer:
            number = await work.link(connection, ean, body, service.clock())
            made = next(row for row in await meters.links(connection, ean) if row.link_id == number)
            return Answer(exchange.plain(bodies.LinkAnswer.model_validate(made, from_attributes=True)), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        f"{path}/{{meter_link_id}}/end",
        responses=WRITES | parameters.example({"items": [examples.LINK]}),
        openapi_extra=exchange.documented(bodies.EndBody, once_only=True),
        response_model=bodies.Links,
    )
    async def end(request: Request, ean: EanPath, meter_link_id: LinkId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The last day; one before the link's first removes it."""
        body, raw = await exchange.body_of(request, bodies.EndBody)

        async def doing(connection: Connection) -> Answer:
            await work.end_link(connection, ean, meter_link_id, body.valid_until)
            rows = await meters.links(connection, ean)
            items = [bodies.LinkAnswer.model_validate(row, from_attributes=True) for row in rows]
            return Answer(exchange.plain(bodies.Links(items=items)))

        return await exchange.posting(service, request, raw, doing)


def _add_figures(router: APIRouter, service: Service) -> None:
    @router.get(
        "/metering-points/{ean}/quarters", responses=responses(400, 404) | parameters.example(examples.QUARTERS)
    )
    async def quarters(ean: EanPath, asked: Annotated[Span, Query()]) -> figures.QuartersAnswer:  # pyright: ignore[reportUnusedFunction]
        """What the distributor or the EDC says of a point, by quarter-hour; a month at most."""
        until = asked.to or service.clock()
        since = asked.from_ or until - timedelta(days=1)
        async with service.database.connection() as connection:
            await work.point(connection, ean)
            rows = await meters.quarters(connection, ean, since, until, QUARTERS_MAX)
        names = figures.QuarterAnswer.model_fields
        items = [figures.QuarterAnswer.model_validate(dict(zip(names, row, strict=True))) for row in rows]
        return figures.QuartersAnswer(items=items)

    @router.get(
        "/metering-points/{ean}/reconciliation",
        responses=responses(400, 404) | parameters.example(examples.RECONCILIATION),
    )
    async def reconciliation(  # pyright: ignore[reportUnusedFunction]
        ean: EanPath, asked: Annotated[Year, Query()]
    ) -> figures.Reconciliation:
        """Our meters, the distributor's and the invoices of a year, side by side; null wherever data are missing."""
        year = asked.year or service.clock().astimezone(ZONE).year
        async with service.database.connection() as connection:
            point = await work.point(connection, ean)
            months, billed = await work.reconciled(connection, point, asked.direction, year)
        return figures.Reconciliation(
            ean=ean,
            year=year,
            direction=asked.direction,
            difference_pct_max=point.difference_pct_max,
            months=[_compared(one) for one in months],
            invoices=[_compared(one) for one in billed],
        )


def _add_invoices(router: APIRouter, service: Service) -> None:
    @router.get("/invoices", responses=responses(400) | parameters.example(examples.page(examples.INVOICE)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[InvoicesAsked, Query()], request: Request, response: Response
    ) -> bodies.InvoicePage:
        """Invoices, the withdrawn ones too."""
        after = cursors.number(asked.cursor, "invoices", 0)
        async with service.database.connection() as connection:
            rows = await meters.invoices(
                connection, municipality=asked.municipality, ean=asked.ean, after=after, limit=asked.limit + 1
            )
        return rest.paged(bodies.InvoicePage, rows, asked.limit, "invoices", "invoice_id", request, response)

    @router.post(
        "/invoices",
        status_code=201,
        responses=WRITES | parameters.example(examples.INVOICE, 201),
        openapi_extra=exchange.documented(bodies.InvoiceBody, once_only=True),
        response_model=bodies.InvoiceAnswer,
    )
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Keep an invoice; many at once go by a file."""
        body, raw = await exchange.body_of(request, bodies.InvoiceBody)

        async def doing(connection: Connection) -> Answer:
            number = await work.add_invoice(connection, body, service.clock())
            return await _invoice(connection, number, 201)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/invoices/{invoice_id}/withdraw",
        responses=WRITES | parameters.example(examples.INVOICE),
        openapi_extra=exchange.documented(bodies.WithdrawBody, once_only=True),
        response_model=bodies.InvoiceAnswer,
    )
    async def withdraw(request: Request, invoice_id: InvoiceId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Let an invoice count no more; it stays in the list."""
        body, raw = await exchange.body_of(request, bodies.WithdrawBody)

        async def doing(connection: Connection) -> Answer:
            await work.withdraw_invoice(connection, invoice_id, body.reason, service.clock())
            return await _invoice(connection, invoice_id, 200)

        return await exchange.posting(service, request, raw, doing)


def _compared(one: Comparison) -> figures.ComparisonAnswer:
    return figures.ComparisonAnswer.model_validate(one, from_attributes=True)


async def _point(connection: Connection, ean: str, status: int) -> Answer:
    row = await work.point(connection, ean)
    headers = {"etag": exchange.etag(row.version), "location": f"/v1/metering-points/{ean}"}
    return Answer(exchange.plain(bodies.PointAnswer.model_validate(row, from_attributes=True)), status, headers)


async def _invoice(connection: Connection, number: int, status: int) -> Answer:
    row = await meters.invoice(connection, number)
    if row is None:
        raise Problem("invoice", 404, name=number)
    return Answer(exchange.plain(bodies.InvoiceAnswer.model_validate(row, from_attributes=True)), status)
