"""The resources of the savings ledger under /v1: a segment's month, and what its old lamps took."""

import asyncio
import csv
import io
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api import parameters
from api.acting import Note
from api.database import Connection
from api.lighting import work
from api.lighting.bodies import Body
from api.lighting.routes import SegmentId
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.schemas import Instant, Number
from api.service import Service
from kraj.store import ledger as store
from rules.lighting import accounts, statement
from rules.lighting.accounts import Account

LAMPS_MAX: Final = 200
"""Beyond, a month of readings takes longer than a page waits: ``kraj ledger`` writes it."""
MONTH: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
CSV: Final = "text/csv"


class BaselineBody(Body):
    """What one old lamp of a segment took. It is never changed, only declared anew."""

    valid_from: date = Field(description="From this day on, in Prague.")
    power_w: float = Field(ge=1, le=2000, description="Its ballast included.")
    source: Note = Field(description="By which record.")


class LightingBaseline(BaseModel):
    """A declared power; the latest version that has begun holds on a day."""

    version: int
    valid_from: date
    power_w: Number
    source: str
    who: str
    at: Instant


class SegmentLedger(BaseModel):
    """Where a month's energy went: baseline = measured − outside + LED + dimming + outage (which is no saving)."""

    group_id: int
    municipality: str
    municipality_title: str
    name: str
    month: str = Field(description="In Prague.")
    until: Instant = Field(description="The month's end, or now.")
    lamps: int
    baseline_kwh: Number
    measured_kwh: Number
    outside_kwh: Number = Field(description="Of what was measured: taken when no light was due.")
    led_kwh: Number
    dimming_kwh: Number
    outage_kwh: Number
    uncovered_kwh: Number = Field(description="By counters while nothing was heard; counted on neither side.")
    due_h: Number
    covered_h: Number
    outage_h: Number
    completeness_pct: Number = Field(description="The share of due time that readings cover.")
    baselines: list[LightingBaseline]


BASELINE: Final[dict[str, Any]] = {
    "version": 1,
    "valid_from": "2026-01-01",
    "power_w": 115,
    "source": "Pasport 2025",
    "who": "Jana",
    "at": "2026-11-21T06:15:00.000Z",
}
EXAMPLE: Final[dict[str, Any]] = {
    "group_id": 4,
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "name": "Nádražní",
    "month": "2026-10",
    "until": "2026-10-31T23:00:00.000Z",
    "lamps": 42,
    "baseline_kwh": 1936.2,
    "measured_kwh": 521.7,
    "outside_kwh": 7.4,
    "led_kwh": 1262.7,
    "dimming_kwh": 148.1,
    "outage_kwh": 11.1,
    "uncovered_kwh": 3.2,
    "due_h": 16968.5,
    "covered_h": 16836.4,
    "outage_h": 97.5,
    "completeness_pct": 99.22,
    "baselines": [BASELINE],
}


class Asked(parameters.Parameters):
    """Which month."""

    month: str | None = Field(None, pattern=MONTH, description="Else this one.", examples=["2026-10"])
    format: Literal["json", "csv"] | None = Field(None, description="Else by Accept.")


def routes(service: Service) -> APIRouter:
    """A segment's ledger, and its baselines."""
    router = APIRouter(prefix="/v1", tags=["lighting"])
    _add_ledger(router, service)
    _add_baselines(router, service)
    return router


def _add_ledger(router: APIRouter, service: Service) -> None:
    @router.get(
        "/lighting/segments/{segment_id}/ledger",
        responses=responses(400, 404)
        | {200: {"content": {"application/json": {"example": EXAMPLE}, CSV: {"schema": {"type": "string"}}}}},
        response_model=SegmentLedger,
    )
    async def ledger(  # pyright: ignore[reportUnusedFunction]
        segment_id: SegmentId, asked: Annotated[Asked, Query()], request: Request
    ) -> Response:
        """A segment's month; as CSV a row a lamp. A whole municipality, signed: `kraj ledger`."""
        now = service.clock()
        month = date.fromisoformat(f"{asked.month or f'{now.astimezone(accounts.ZONE):%Y-%m}'}-01")
        found = await account_of(service, segment_id, month, now)
        rows = statement.lamp_rows(found)
        if asked.format == "csv" or (
            asked.format is None and parameters.prefers_csv(request.headers.get("accept", ""))
        ):
            name = f'attachment; filename="ledger-{segment_id}-{month:%Y-%m}.csv"'
            return Response(_csv(rows), media_type=CSV, headers={"content-disposition": name, "vary": "accept"})
        body = _shown(found, rows)
        return Response(body.model_dump_json(), media_type="application/json", headers={"vary": "accept"})


def _add_baselines(router: APIRouter, service: Service) -> None:
    @router.post(
        "/lighting/segments/{segment_id}/baselines",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(BASELINE, 201),
        openapi_extra=exchange.documented(BaselineBody, once_only=True),
        response_model=LightingBaseline,
    )
    async def declare(request: Request, segment_id: SegmentId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Declare what one old lamp took; earlier versions stay as they are."""
        body, raw = await exchange.body_of(request, BaselineBody)

        async def doing(connection: Connection) -> Answer:
            await work.segment(connection, segment_id, writing=True)
            version = await declare_baseline(connection, segment_id, body, who=exchange.who().title, at=service.clock())
            kept = await store.baselines(connection, segment_id)
            made = next(one for one in kept if one.version == version)
            return Answer(exchange.plain(LightingBaseline.model_validate(made, from_attributes=True)), 201)

        return await exchange.posting(service, request, raw, doing)


async def declare_baseline(
    connection: Connection, segment_id: int, body: BaselineBody, *, who: str, at: datetime
) -> int:
    """Keep what one old lamp took; the new version."""
    return await store.declare(
        connection,
        segment_id,
        valid_from=body.valid_from,
        power_w=body.power_w,
        source=body.source,
        who=who,
        at=at,
    )


async def account_of(service: Service, segment_id: int, month: date, now: datetime) -> Account:
    """A segment's month until ``now``, of ``LAMPS_MAX`` lamps at most."""
    try:
        bounds_s = accounts.bounds(month, now)
    except ValueError as error:
        raise Problem("ledger_month", 400, month=f"{month:%Y-%m}") from error
    first, last = (datetime.fromtimestamp(int(bounds_s[n]), accounts.ZONE) for n in (0, -1))
    async with service.database.connection() as connection:
        segment = await store.segment(connection, segment_id, last)
        if segment is None:
            raise Problem("segment", 404, name=segment_id)
        if len(segment.lamps) > LAMPS_MAX:
            raise Problem("ledger_lamps", 400, lamps=len(segment.lamps), lamps_max=LAMPS_MAX)
        read = store.readings(
            connection,
            [lamp.asset_id for lamp in segment.lamps],
            first - accounts.MARGIN,
            last + accounts.MARGIN,
            store.VIEW,
        )
        tables = [found async for found in read]
    # A second of numpy must not hold up everybody else.
    parts = [await asyncio.to_thread(accounts.observe, segment, batch, table, bounds_s) for batch, table in tables]
    return accounts.account(segment, parts, month, bounds_s)


def _shown(found: Account, rows: list[statement.Row]) -> SegmentLedger:
    segment = found.segment
    return SegmentLedger(
        group_id=segment.group_id,
        municipality=segment.municipality,
        municipality_title=segment.municipality_title,
        name=segment.name,
        month=f"{found.month:%Y-%m}",
        until=datetime.fromtimestamp(found.until_s, accounts.ZONE),
        lamps=len(segment.lamps),
        **statement.totals(rows),  # pyright: ignore[reportArgumentType] - the figures, by their names
        baselines=[LightingBaseline.model_validate(one, from_attributes=True) for one in segment.baselines],
    )


def _csv(rows: list[statement.Row]) -> str:
    file = io.StringIO()
    table = csv.DictWriter(file, statement.LAMP_HEAD, lineterminator="\r\n")
    table.writeheader()
    table.writerows(statement.harmless(row) for row in rows)
    return file.getvalue()
