"""The resources under /v1: assets, devices, readings, quarantine and totals, read-only."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api import cursors, examples, parameters, schemas
from api.formats import iso
from api.freshness import Condition, condition
from api.language import choose
from api.parameters import CSV_ROWS_MAX, PAGE_MAX
from api.problems import Problem, responses
from api.service import Service
from kraj import quarantine
from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Type
from kraj.store import queries
from kraj.topics import NAME

Page = TypeVar("Page", bound=BaseModel)
Row = TypeVar("Row")

READINGS_DEFAULT = timedelta(hours=24)

AssetId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The asset's number.", examples=[17])]
DeviceName = Annotated[str, Path(description="The device's name.", examples=["lamp-3fa2b1"])]


def routes(service: Service) -> APIRouter:
    """Every route under /v1."""
    router = APIRouter(prefix="/v1")
    _add_registry(router, service)
    _add_latest(router, service)
    _add_readings(router, service)
    _add_accounts(router, service)
    return router


def _add_registry(router: APIRouter, service: Service) -> None:
    @router.get("/assets", responses=responses(400) | parameters.example(examples.ASSETS), tags=["registry"])
    async def assets(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.AssetPageParameters, Query()], request: Request, response: Response
    ) -> schemas.AssetPage:
        """Assets by id."""
        after = cursors.number(asked.cursor, "assets", 0)
        async with service.database.connection() as connection:
            rows = await queries.assets(connection, asked.filter, after=after, limit=asked.limit + 1)
        return paged(schemas.AssetPage, rows, asked.limit, "assets", "asset_id", request, response)

    @router.get("/assets/{asset_id}", responses=responses(404) | parameters.example(examples.ASSET), tags=["registry"])
    async def asset(asset_id: AssetId, response: Response) -> schemas.Asset:  # pyright: ignore[reportUnusedFunction]
        """One asset."""
        async with service.database.connection() as connection:
            row = await queries.asset(connection, asset_id)
        if row is None:
            raise Problem("asset", 404, name=asset_id)
        response.headers["etag"] = f'"{row.version}"'
        return schemas.Asset.model_validate(row, from_attributes=True)

    @router.get("/devices", responses=responses(400) | parameters.example(examples.DEVICES), tags=["registry"])
    async def devices(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.AssetPageParameters, Query()], request: Request, response: Response
    ) -> schemas.DevicePage:
        """Devices by name."""
        after = cursors.text(asked.cursor, "devices")
        async with service.database.connection() as connection:
            rows = await queries.devices(connection, asked.filter, after=after, limit=asked.limit + 1)
        return paged(schemas.DevicePage, rows, asked.limit, "devices", "name", request, response)

    @router.get("/devices/{name}", responses=responses(404) | parameters.example(examples.DEVICE), tags=["registry"])
    async def device(name: DeviceName, response: Response) -> schemas.Device:  # pyright: ignore[reportUnusedFunction]
        """One device."""
        row = None
        if NAME.fullmatch(name):
            async with service.database.connection() as connection:
                row = await queries.device(connection, name)
        if row is None:
            raise Problem("device", 404, name=name)
        response.headers["etag"] = f'"{row.version}"'
        return schemas.Device.model_validate(row, from_attributes=True)


def _add_latest(router: APIRouter, service: Service) -> None:
    @router.get("/latest", responses=responses(400) | parameters.example(examples.GLANCES), tags=["readings"])
    async def latest(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.GlanceParameters, Query()], request: Request, response: Response
    ) -> schemas.GlancePage:
        """Every asset's headline: what a map or a wall display shows. Up to 10,000 assets in one answer."""
        page = await glances(service, asked)
        link(request, response, page.next_cursor)
        return page

    @router.get(
        "/assets/{asset_id}/latest",
        response_model=schemas.union(0),
        responses=responses(404) | parameters.example(examples.LATEST),
        tags=["readings"],
    )
    async def latest_of_asset(asset_id: AssetId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The newest reading of an asset, every known metric."""
        async with service.database.connection() as connection:
            found = await queries.asset(connection, asset_id)
            if found is None or found.kind not in KINDS:
                raise Problem("asset", 404, name=asset_id)
            kind = KINDS[found.kind]
            row = await queries.latest(connection, kind, asset_id)
        at = service.clock()
        state = condition(
            kind,
            online=found.online,
            last=row and row.ts,
            implausible=bool(row and row.implausible),
            at=at,
        )
        body = {
            "asset_id": asset_id,
            "kind": kind.name,
            "condition": state,
            "at": iso(at),
            "reading": row and reading_json(row),
        }
        return JSONResponse(body)


async def glances(service: Service, asked: parameters.GlanceParameters) -> schemas.GlancePage:
    """Assets at a glance, as they stand now."""
    after = cursors.number(asked.cursor, "latest", 0)
    async with service.database.connection() as connection:
        rows = await queries.headlines(connection, asked.filter, after=after, limit=asked.limit + 1)
    at = service.clock()
    items = [found for row in rows[: asked.limit] if (found := glance(row, at)) is not None]
    following = cursors.encode("latest", rows[asked.limit - 1].asset_id) if len(rows) > asked.limit else None
    return schemas.GlancePage(at=at, items=items, next_cursor=following)


def glance(row: queries.HeadlineRow, at: datetime) -> schemas.Glance | None:
    """An asset as it stands at the time ``at``; None for a kind of a newer version, of which nothing can be said."""
    stands = standing(row, at)
    if stands is None:
        return None
    return schemas.Glance(
        asset_id=row.asset_id,
        kind=row.kind,
        label=row.label,
        municipality=row.municipality,
        device=row.device,
        online=row.online,
        condition=stands,
        ts=row.ts,
        headline=_headline(KINDS[row.kind], row),
    )


def standing(row: queries.HeadlineRow, at: datetime) -> Condition | None:
    """The condition alone, for thousands at once; None as with ``glance``."""
    kind = KINDS.get(row.kind)
    if kind is None:
        return None
    return condition(kind, online=row.online, last=row.ts, implausible=bool(row.implausible), at=at)


def _headline(kind: Kind, row: queries.HeadlineRow) -> schemas.Headline | None:
    if row.headline is None:
        return None
    metric = kind.by_name[kind.headline]
    flagged = (row.implausible or 0) >> kind.positions[metric.name] & 1
    return schemas.Headline(
        metric=metric.name, value=_value(metric, row.headline), unit=metric.unit.symbol, plausible=not flagged
    )


def _value(metric: Metric, text: str) -> queries.Value:
    match metric.type:
        case Type.REAL:
            return float(text)
        case Type.INTEGER | Type.COUNTER:
            return int(text)
        case Type.BOOLEAN:
            return text == "true"
        case Type.STATE:
            return text
        case Type.FLAGS:
            return text.split()


def _add_readings(router: APIRouter, service: Service) -> None:
    @router.get(
        "/assets/{asset_id}/readings",
        response_model=schemas.union(1),
        responses=responses(400, 404) | _readings_answers(),
        tags=["readings"],
    )
    async def readings(  # pyright: ignore[reportUnusedFunction]
        asset_id: AssetId, asked: Annotated[parameters.ReadingParameters, Query()], request: Request
    ) -> Response:
        """Readings of an asset by time and number, as JSON or (by `Accept` or `format=csv`) as CSV.

        States are words, flags lists of words, a metric that is not known is left out (empty in CSV). In CSV the
        cursor of the next page stands in the `Link` header.
        """
        csv = asked.format == "csv" or (
            asked.format is None and parameters.prefers_csv(request.headers.get("accept", ""))
        )
        most = CSV_ROWS_MAX if csv else PAGE_MAX
        limit = asked.limit or most
        if limit > most:
            raise Problem("limit", 400, limit=limit, limit_max=most)
        async with service.database.connection(snapshot=csv) as connection:
            found = await queries.asset(connection, asset_id)
            if found is None or found.kind not in KINDS:
                raise Problem("asset", 404, name=asset_id)
            kind = KINDS[found.kind]
            metrics = _metrics(kind, asked.metrics)
            stretch = queries.Stretch(
                asset_id=asset_id,
                from_ts=asked.from_ or (asked.to or service.clock()) - READINGS_DEFAULT,
                to_ts=asked.to,
                after=cursors.reading(asked.cursor, asset_id),
            )
            if csv:
                body, last = await queries.readings_csv(connection, kind, metrics, stretch, limit=limit)
                rows: list[queries.ReadingRow] = []
            else:
                body, last = b"", None
                rows = await queries.readings(connection, kind, metrics, stretch, limit=limit + 1)
        if len(rows) > limit:
            last = rows[limit - 1].ts, rows[limit - 1].seq
        following = last and cursors.of_reading(asset_id, *last)
        if csv:
            name = f'attachment; filename="{kind.name}-{asset_id}.csv"'
            answer = Response(body, media_type="text/csv", headers={"content-disposition": name})
        else:
            items = [reading_json(row) for row in rows[:limit]]
            answer = JSONResponse({"asset_id": asset_id, "kind": kind.name, "items": items, "next_cursor": following})
        answer.headers["vary"] = "accept"
        link(request, answer, following)
        return answer


def _readings_answers() -> dict[int | str, dict[str, Any]]:
    content = parameters.example(examples.READINGS)[200]["content"]
    return {200: {"content": content | {"text/csv": {"schema": {"type": "string"}, "example": examples.READINGS_CSV}}}}


def _metrics(kind: Kind, names: str | None) -> list[Metric]:
    if names is None:
        return list(kind.metrics)
    found: dict[str, Metric] = {}
    for name in (part.strip() for part in names.split(",")):
        if name not in kind.by_name:
            raise Problem("metrics", 400, name=name, kind=kind.name, known=", ".join(kind.by_name))
        found[name] = kind.by_name[name]
    return list(found.values())


def reading_json(row: queries.ReadingRow) -> dict[str, Any]:
    """A reading as the API shows it."""
    core = {"ts": iso(row.ts), "seq": row.seq} | ({} if row.boot is None else {"boot": row.boot})
    return core | {"values": schemas.known(row.values), "implausible": row.implausible}


def _add_accounts(router: APIRouter, service: Service) -> None:
    @router.get("/quarantine", responses=responses(400) | parameters.example(examples.QUARANTINE), tags=["accounts"])
    async def refused(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> schemas.QuarantinePage:
        """What was not taken as a reading, newest first, with the reason."""
        page = await quarantined(service, asked, choose(request))
        link(request, response, page.next_cursor)
        response.headers["vary"] = "accept-language"
        response.headers["content-language"] = choose(request)
        return page

    @router.get("/totals", responses=responses() | parameters.example(examples.TOTALS), tags=["accounts"])
    async def totals() -> schemas.Totals:  # pyright: ignore[reportUnusedFunction]
        """received = committed + duplicate + quarantined + in_flight, since the beginning, counted in readings."""
        return await all_totals(service)


async def quarantined(service: Service, asked: parameters.Page, language: str) -> schemas.QuarantinePage:
    """A page of the quarantine with sentences in ``language``."""
    before = cursors.number(asked.cursor, "quarantine", cursors.BIGINT_MAX)
    async with service.database.connection() as connection:
        rows = await queries.quarantine(connection, before=before, limit=asked.limit + 1)
        beyond = await queries.quarantine_beyond_quota(connection)
    items = [_quarantined(row, language) for row in rows[: asked.limit]]
    following = cursors.encode("quarantine", items[-1].quarantine_id) if len(rows) > asked.limit else None
    return schemas.QuarantinePage(items=items, next_cursor=following, beyond_quota=beyond)


def _quarantined(row: queries.QuarantineRow, language: str) -> schemas.Quarantined:
    title = quarantine.REASONS.get(row.reason)
    payload = quarantine.printable(row.payload.decode("utf-8", "replace"))
    return schemas.Quarantined(
        quarantine_id=row.quarantine_id,
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
        municipality=row.municipality,
        source=row.source,
        topic=row.topic,
        reason=row.reason,
        sentence=row.reason if title is None else getattr(title, language),
        detail=row.detail,
        metric=row.metric,
        payload=payload,
        payload_bytes=row.payload_bytes,
    )


async def all_totals(service: Service) -> schemas.Totals:
    """The totals of each slot and their sums."""
    async with service.database.connection() as connection:
        rows = await queries.totals(connection)
    slots = [
        schemas.NamedSlotTotals(
            slot=row.name,
            heartbeat_at=row.heartbeat_at,
            received=row.received,
            committed=row.committed,
            duplicate=row.duplicate,
            quarantined=row.quarantined,
            in_flight=row.in_flight,
            values_quarantined=row.values_quarantined,
        )
        for row in rows
    ]
    sums = {name: sum(getattr(slot, name) for slot in slots) for name in schemas.SlotTotals.model_fields}
    return schemas.Totals(slots=slots, **sums)


def link(request: Request, response: Response, cursor: str | None) -> None:
    """Put the address of the next page into the ``Link`` header."""
    if cursor is not None:
        url = request.url.include_query_params(cursor=cursor)
        response.headers["link"] = f'<{url.path}?{url.query}>; rel="next"'


def paged(  # noqa: PLR0917 - what FastAPI gives and what the list is
    page: type[Page],
    rows: Sequence[Row],
    limit: int,
    scope: str,
    key: str,
    request: Request,
    response: Response,
    shown: Callable[[Row], BaseModel] | None = None,
) -> Page:
    """``rows``, of which one more than ``limit`` was asked for, as a page with its cursor and ``Link`` header.

    ``scope`` names the list, ``key`` the attribute by which it goes on. ``shown`` makes an item of a row; without it
    rows are read by their attributes.
    """
    following = [cursors.encode(scope, getattr(row, key)) for row in rows[:limit][-1:]]
    cursor = following[0] if len(rows) > limit else None
    link(request, response, cursor)
    items = rows[:limit] if shown is None else [shown(row) for row in rows[:limit]]
    return page.model_validate({"items": items, "next_cursor": cursor}, from_attributes=True)
