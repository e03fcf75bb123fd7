"""The resources of KPIs and of series under /v1, as JSON or (by Accept) as CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api import cursors, formats, parameters
from api.energy import bodies
from api.language import choose
from api.parameters import PAGE_MAX
from api.problems import Problem, responses
from api.registry.groups import GroupId
from api.rest import AssetId, link
from api.schemas import shortest
from api.service import Service
from kraj.kinds import KINDS
from kraj.kpis import KPIS, Kpi
from kraj.metrics import Kind
from kraj.store import kpis as store
from kraj.store import queries
from kraj.store.kpis import Span, Which
from kraj.store.queries.groups import group as group_of

CSV: Final = "text/csv"
STEPS_DEFAULT: Final = 100
STEP: Final = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
KpiName = Annotated[str, Path(description="The KPI's name.", examples=["lighting_availability_pct"])]


def routes(service: Service) -> APIRouter:
    """Definitions, figures and series."""
    router = APIRouter(prefix="/v1", tags=["energy"])
    _add_kpis(router, service)
    _add_series(router, service)
    return router


def definition(kpi: Kpi, language: str) -> bodies.KpiDefinition:
    """What a KPI is, in a language."""
    return bodies.KpiDefinition(
        name=kpi.name,
        title=getattr(kpi.title, language),
        meaning=getattr(kpi.meaning, language),
        formula=kpi.formula,
        source=kpi.source,
        unit=kpi.measure.symbol,
        domain=kpi.domain,
        grain=kpi.grain,
        by=list(store.subjects(kpi)),
    )


def _add_kpis(router: APIRouter, service: Service) -> None:
    @router.get("/kpis", responses=responses(400) | parameters.example(bodies.DEFINITIONS))
    async def kpis(  # pyright: ignore[reportUnusedFunction]
        _: Annotated[parameters.Parameters, Query()], request: Request, response: Response
    ) -> bodies.KpiList:
        """Every KPI with its definition, in the language that is asked for."""
        language = choose(request)
        response.headers["vary"] = "accept-language"
        response.headers["content-language"] = language
        return bodies.KpiList(items=[definition(kpi, language) for kpi in KPIS.values()])

    @router.get("/kpis/{name}", responses=responses(400, 404) | _answers(bodies.FIGURES), response_model=bodies.KpiPage)
    async def figures(  # pyright: ignore[reportUnusedFunction]
        name: KpiName, asked: Annotated[bodies.KpiParameters, Query()], request: Request
    ) -> Response:
        """A KPI's figures by period and subject. Without data there is no value; completeness says how much."""
        kpi = KPIS.get(name)
        if kpi is None:
            raise Problem("kpi", 404, name=name)
        if asked.by not in store.subjects(kpi):
            raise Problem("kpi_by", 404, name=name, by=asked.by, known=", ".join(store.subjects(kpi)))
        as_csv, limit = _form(request, asked.format, asked.limit)
        scope = f"kpis/{name}/{asked.per}/{asked.by}"
        after = None
        if asked.cursor is not None:
            ordinal, subject = cursors.decode(asked.cursor, scope, int, str)
            after = _day(int(ordinal)), str(subject)
        which = _which(asked, service.clock().astimezone(formats.local_zone()).date())
        async with service.database.connection() as connection:
            rows = await store.figures(connection, kpi, which, per=asked.per, by=asked.by, after=after, limit=limit + 1)
        items = [
            bodies.KpiFigure(
                period=row.period, subject=row.subject or None, value=row.value, completeness=row.completeness
            )
            for row in rows[:limit]
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        following = last and cursors.encode(scope, last.period.toordinal(), last.subject)
        head = ("period", "subject", kpi.name, "completeness")
        table = [(one.period.isoformat(), one.subject or "", one.value, one.completeness) for one in items]
        page = bodies.KpiPage(name=kpi.name, unit=kpi.measure.symbol, items=items, next_cursor=following)
        return _answer(request, page, f"{kpi.name}.csv", (head, table) if as_csv else None)


def _which(asked: bodies.KpiParameters, today: date) -> Which:
    end = asked.to or max(today, asked.from_ or today) + timedelta(days=1)
    first = asked.from_ or (end - timedelta(days=1)).replace(day=1)
    return Which(
        first=first, end=end, municipality=asked.municipality, group_id=asked.group_id, asset_id=asked.asset_id
    )


def _day(ordinal: int) -> date:
    try:
        return date.fromordinal(ordinal)
    except (ValueError, OverflowError) as error:
        raise Problem("cursor", 400) from error


def _add_series(router: APIRouter, service: Service) -> None:
    answers: Any = responses(400, 404) | _answers(bodies.SERIES)

    @router.get("/assets/{asset_id}/series", responses=answers, response_model=bodies.SeriesPage)
    async def of_asset(  # pyright: ignore[reportUnusedFunction]
        asset_id: AssetId, asked: Annotated[bodies.SeriesParameters, Query()], request: Request
    ) -> Response:
        """A metric of an asset in even steps, each with the share of it for which readings tell."""
        async with service.database.connection() as connection:
            found = await queries.asset(connection, asset_id)
        if found is None or found.kind not in KINDS:
            raise Problem("asset", 404, name=asset_id)
        return await _series(service, request, asked, KINDS[found.kind], {"asset_id": asset_id})

    @router.get("/groups/{group_id}/series", responses=answers, response_model=bodies.SeriesPage)
    async def of_group(  # pyright: ignore[reportUnusedFunction]
        group_id: GroupId, asked: Annotated[bodies.SeriesParameters, Query()], request: Request
    ) -> Response:
        """A metric of a group: powers and counters are sums over its assets, others are means."""
        async with service.database.connection() as connection:
            if await group_of(connection, group_id) is None:
                raise Problem("group", 404, name=group_id)
        kind = KINDS[asked.kind or "lamp"]
        return await _series(service, request, asked, kind, {"group_id": group_id})


async def _series(
    service: Service, request: Request, asked: bodies.SeriesParameters, kind: Kind, of: dict[str, int]
) -> Response:
    metric = kind.by_name.get(asked.metric)
    if metric is None or ("group_id" in of and metric.name not in store.names(kind, group=True)):
        known = ", ".join(store.names(kind, group="group_id" in of))
        raise Problem("metrics", 404, name=asked.metric, kind=kind.name, known=known)
    as_csv, limit = _form(request, asked.format, asked.limit)
    number = next(iter(of.values()))
    scope = f"series/{next(iter(of))}/{number}/{metric.name}/{asked.step}"
    to = asked.to or service.clock()
    after = cursors.number(asked.cursor, scope, 0)
    span = Span(
        step=asked.step,
        from_ts=asked.from_ or to - STEPS_DEFAULT * STEP[asked.step],
        to_ts=to,
        after=_instant(after) if asked.cursor else None,
        **of,
    )
    async with service.database.connection() as connection:
        rows = await store.series(connection, kind, metric, span, limit=limit + 1)
    items = [
        bodies.SeriesPoint(
            bucket=row.bucket,
            value=store.shown(metric, row.value),
            low=row.low,
            high=row.high,
            completeness=row.completeness,
        )
        for row in rows[:limit]
    ]
    following = cursors.encode(scope, int(items[-1].bucket.timestamp())) if len(rows) > limit else None
    page = bodies.SeriesPage(
        metric=metric.name, unit=metric.unit.symbol, step=asked.step, items=items, next_cursor=following
    )
    head = ("bucket", metric.name, "low", "high", "completeness")
    table = [
        (
            formats.iso(one.bucket),
            " ".join(one.value) if isinstance(one.value, list) else one.value,
            one.low,
            one.high,
            one.completeness,
        )
        for one in items
    ]
    return _answer(request, page, f"{kind.name}-{number}-{metric.name}.csv", (head, table) if as_csv else None)


def _instant(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Problem("cursor", 400) from error


def _form(request: Request, wish: str | None, limit: int | None) -> tuple[bool, int]:
    """Whether CSV is wanted, and how many rows."""
    as_csv = wish == "csv" or (wish is None and parameters.prefers_csv(request.headers.get("accept", "")))
    most = bodies.ROWS_MAX if as_csv else PAGE_MAX
    if limit is not None and limit > most:
        raise Problem("limit", 400, limit=limit, limit_max=most)
    return as_csv, limit or most


def _answer(
    request: Request,
    page: bodies.KpiPage | bodies.SeriesPage,
    name: str,
    table: tuple[Sequence[str], Sequence[Sequence[object]]] | None,
) -> Response:
    if table is None:
        answer = Response(page.model_dump_json(), media_type="application/json")
    else:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(table[0])
        writer.writerows([shortest(cell) if isinstance(cell, float) else cell for cell in row] for row in table[1])
        disposition = f'attachment; filename="{name}"'
        answer = Response(file.getvalue(), media_type=CSV, headers={"content-disposition": disposition})
    answer.headers["vary"] = "accept"
    link(request, answer, page.next_cursor)
    return answer


def _answers(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    content = parameters.example(example)[200]["content"]
    return {200: {"content": content | {CSV: {"schema": {"type": "string"}}}}}
