"""Monthly reports under /v1: which there are, and each as JSON, as a page, printed, or as a table."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters
from api.language import choose
from api.mounting import mount
from api.problems import Problem, responses
from api.reports import bodies, making, pages
from api.reports.printing import MEDIA, PAGE, PRINT, TABLE, Printer, months
from api.rest import link
from api.service import Service
from api.site import Site
from kraj import reports
from kraj.store import rulebook

JSON: Final = "json"
FORMS: Final = (JSON, PAGE, TABLE, PRINT)
TYPES: Final = {JSON: "application/json"} | {form: media.partition(";")[0] for form, media in MEDIA.items()}
Name = Annotated[str, Path(max_length=100, description="The municipality's name.", examples=["olsinka"])]
Month = Annotated[
    str, Path(max_length=20, description="`2026-10`, with `.json`, `.html`, `.csv` or `.pdf` if you like.")
]


class Listed(parameters.Page):
    """Which reports."""

    municipality: parameters.Text | None = Field(None, description="Only this one's.")


class Asked(parameters.Parameters):
    """Of what, and in which form."""

    building: int | None = Field(None, ge=1, le=2**31 - 1, description="The number of a group, of kind site or list.")
    form: Literal["json", "html", "csv", "pdf"] | None = Field(None, description="Goes before suffix and Accept.")


def add(app: FastAPI, site: Site) -> None:
    """The resources and the pages, which print in turns."""
    printer = Printer(site.service.texts)
    mount(app, routes(site.service, printer))
    mount(app, pages.routes(site, printer), documented=False)


def routes(service: Service, printer: Printer) -> APIRouter:
    """Two resources."""
    router = APIRouter(prefix="/v1/reports", tags=["reports"])

    @router.get("", responses=responses(400, 404) | parameters.example(bodies.LISTED))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[Listed, Query()], request: Request, response: Response
    ) -> bodies.ReportPage:
        """Months of which there is a report, of each municipality that you may read."""
        return await _listed(service, asked, request, response)

    @router.get(
        "/{municipality}/{month}",
        response_model=bodies.ReportBody,
        responses=responses(400, 404, 503) | _forms(),
    )
    async def one(  # pyright: ignore[reportUnusedFunction]
        municipality: Name, month: Month, asked: Annotated[Asked, Query()], request: Request
    ) -> Response:
        """A month of a municipality, as `Accept` or the suffix wishes; made anew each time."""
        text, _, suffix = month.partition(".")
        form = asked.form or suffix or preferred(request.headers.get("accept", ""))
        at, language = service.clock(), choose(request)
        async with service.database.connection() as connection:
            of = await pages.readable(connection, municipality)
            if suffix and suffix not in FORMS:
                raise Problem("report_month", 404, name=month)
            first = pages.month_of(text, at)
            building = await pages.building_of(connection, of, str(asked.building or ""))
            document = await making.made(connection, of, first, at, language=language, building=building)
        if form == JSON:
            answer = Response(bodies.body(document, language).model_dump_json(), media_type=TYPES[JSON])
            answer.headers["content-language"] = language
        else:
            content = await pages.printed(printer, document, form, language)
            answer = pages.told(document, form, language, content)
        answer.headers["vary"] = "accept, accept-language, cookie"
        return answer

    return router


async def _listed(service: Service, asked: Listed, request: Request, response: Response) -> bodies.ReportPage:
    name, month = ("", "") if asked.cursor is None else map(str, cursors.decode(asked.cursor, "reports", str, str))
    today = service.clock().astimezone(reports.ZONE).date()
    async with service.database.connection() as connection:
        towns = sorted(await rulebook.towns(connection), key=lambda row: row.name)
    if asked.municipality is not None:
        towns = [row for row in towns if row.name == asked.municipality]
        if not towns:
            raise Problem("municipality", 404, name=asked.municipality[:100])
    every = [
        bodies.ReportMonth(
            municipality=row.name,
            title=row.title,
            month=f"{first:%Y-%m}",
            over=first < today.replace(day=1),
            url=f"/v1/reports/{row.name}/{first:%Y-%m}",
        )
        for row in towns
        if row.name >= name
        for first in months(today, pages.MONTHS_SHOWN)
        if row.name > name or not month or f"{first:%Y-%m}" < month
    ]
    items = every[: asked.limit]
    more = len(every) > asked.limit
    following = cursors.encode("reports", items[-1].municipality, items[-1].month) if more else None
    link(request, response, following)
    return bodies.ReportPage(items=items, next_cursor=following)


def preferred(accept: str) -> str:
    """The form that an Accept header wants most; JSON where it wants none of ours, or all alike."""
    best, form = 0.0, JSON
    for name, media in TYPES.items():
        weight = _weight(accept, media)
        if weight > best:
            best, form = weight, name
    return form


def _weight(accept: str, media: str) -> float:
    """Of a media type, by the most specific range that says anything of it (RFC 9110, 12.5.1)."""
    said: dict[str, float] = {}
    for part in accept[:500].split(","):
        given, *rest = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece.removeprefix("q=") for piece in rest if piece.startswith("q=")), "1")
        try:
            said[given] = float(quality)
        except ValueError:
            continue
    for wanted in (media, media.partition("/")[0] + "/*", "*/*"):
        if wanted in said:
            return said[wanted]
    return 0.0


def _forms() -> dict[int | str, dict[str, Any]]:
    content = parameters.example(bodies.REPORT)[200]["content"]
    binary = {"schema": {"type": "string", "format": "binary"}}
    text = {"schema": {"type": "string"}}
    return {200: {"content": content | {TYPES[PAGE]: text, TYPES[TABLE]: text, TYPES[PRINT]: binary}}}
