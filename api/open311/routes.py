"""Open311 GeoReport v2 under /open311/v2: what may be reported, reporting it, and how far reports are."""

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from api import acting, problems
from api.database import Connection
from api.door.door import address
from api.formats import iso
from api.language import choose
from api.open311.forms import FORMATS, document, errors
from api.open311.taking import TOKEN, Source, Wanted, followed, take
from api.problems import Problem
from api.service import Service
from kraj.service_requests import NOTICE, SERVICES
from kraj.store import queries
from kraj.store import service_requests as store

PREFIX = "/open311/v2"
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
CHANGESET = datetime(2026, 11, 22, tzinfo=UTC)
"""When what stands here last changed its form."""
SPAN = timedelta(days=90)
PAGE_SIZE, PAGE_SIZE_MAX = 50, 200
PAGES_MAX = 10_000
IDS_MAX = 200
FIELDS_MAX = 100
BODY_BYTES_MAX = 256 * 1024
"""The longest description with each of its characters escaped fits four times."""
_NUMBER = re.compile(r"[0-9]{1,10}")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(service: Service, *, page: str | None = None) -> APIRouter:
    """Every route of the standard. ``page``: where people reach us, for links; by the request where it is None."""

    class Open311Route(APIRoute):
        """Answers whatever is wrong in the standard's way."""

        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except Exception as error:
                    problem = problems.translate(request, error)
                    if problem.status == 500:
                        raise  # it is logged where all are
                    return _refused(service, request, problem)

            return handle

    router = APIRouter(prefix=PREFIX, route_class=Open311Route)
    _add_services(router, service, page)
    _add_requests(router, service)

    @router.get("/{rest:path}")
    async def nothing(request: Request, rest: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        raise Problem("not_found", 404, path=request.url.path)

    return router


def _add_services(router: APIRouter, service: Service, page: str | None) -> None:
    @router.get("/discovery.{form}")
    async def discovery(request: Request, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        base = (page or str(request.base_url)).rstrip("/")
        say = service.texts[choose(request)]
        endpoint = {
            "specification": SPECIFICATION,
            "url": f"{base}{PREFIX}",
            "changeset": iso(CHANGESET),
            "type": "production",
            "formats": [media.partition(";")[0] for media in FORMATS.values()],
        }
        content = {
            "changeset": iso(CHANGESET),
            "contact": say("open311.contact"),
            "key_service": say("open311.key_service"),
            "endpoints": [endpoint],
        }
        return document(form, "discovery", content, language=choose(request))

    @router.get("/services.{form}")
    async def services(request: Request, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        await _town(service, request)
        language = choose(request)
        content = [
            {
                "service_code": one.code,
                "service_name": getattr(one.title, language),
                "description": getattr(one.description, language),
                "metadata": False,
                "type": "realtime",
                "keywords": getattr(one.keywords, language),
                "group": one.group,
            }
            for one in SERVICES.values()
        ]
        return document(form, "services", content, language=language)

    @router.get("/services/{code}.{form}")
    async def definition(request: Request, code: str, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        await _town(service, request)
        if code not in SERVICES:
            raise Problem("report_service", 404, name=code, known=", ".join(SERVICES))
        content: dict[str, Any] = {"service_code": code, "attributes": []}
        return document(form, "service_definition", content, language=choose(request))


def _add_requests(router: APIRouter, service: Service) -> None:
    @router.post("/requests.{form}")
    async def report(request: Request, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        language = choose(request)
        given = await _body(request)
        wanted = _wanted(given, language)
        source = Source(channel="open311", client=address(request), at=service.clock())
        async with service.database.connection(write=True) as connection:
            if jurisdiction := given.get("jurisdiction_id"):
                await _known(connection, jurisdiction)
            taken = await take(connection, wanted, source)
        notice = [getattr(NOTICE, language)]
        if taken.offered:
            named = "; ".join(one.title + (f" ({one.asset_id})" if one.asset_id else "") for one in taken.offered)
            notice.append(service.texts[language]("open311.offered", named=named))
        content = [{"service_request_id": taken.token, "service_notice": " ".join(notice), "account_id": None}]
        return document(form, "service_requests", content, language=language)

    @router.get("/requests.{form}")
    async def requests(request: Request, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        town = await _town(service, request)
        which: store.Which | list[str]
        if ids := _listed(request, "service_request_id"):
            which = [one for one in ids if TOKEN.fullmatch(one)]
        else:
            which = _which(request, service.clock(), town)
        async with service.database.connection() as connection:
            rows = await store.shown(connection, which) if which else []
        return document(form, "service_requests", [_told(row, request) for row in rows], language=choose(request))

    @router.get("/requests/{token}.{form}")
    async def one(request: Request, token: str, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        row = await _found(service, request, token)
        return document(form, "service_requests", [_told(row, request)], language=choose(request))

    @router.get("/tokens/{token}.{form}")
    async def token(request: Request, token: str, form: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        _form(request, form)
        row = await _found(service, request, token)
        content = [{"service_request_id": row.service_request_id, "token": row.service_request_id}]
        return document(form, "service_requests", content, language=choose(request))


def _form(request: Request, form: str) -> None:
    """Raise for a format that we do not speak."""
    if form not in FORMATS:
        raise Problem("not_found", 404, path=request.url.path)


def _refused(service: Service, request: Request, problem: Problem) -> Response:
    told = problems.details(service, request, problem)
    form = "json" if request.url.path.endswith(".json") else "xml"
    response = errors(form, problem.status, f"{told.detail} {told.hint}", language=choose(request))
    if problem.status == 503:
        response.headers["retry-after"] = str(problems.RETRY_S)
    if "retry_s" in problem.values:
        response.headers["retry-after"] = str(problem.values["retry_s"])
    return response


async def _known(connection: Connection, jurisdiction: str) -> str:
    towns = {row.name for row in await queries.municipalities(connection)}
    if jurisdiction not in towns:
        raise Problem("report_jurisdiction", 404, name=jurisdiction)
    return jurisdiction


async def _town(service: Service, request: Request) -> str | None:
    """The jurisdiction: a municipality's name, or nothing for all of them."""
    jurisdiction = request.query_params.get("jurisdiction_id")
    if not jurisdiction:
        return None
    async with service.database.connection() as connection:
        return await _known(connection, jurisdiction)


async def _found(service: Service, request: Request, token: str) -> store.Shown:
    await _town(service, request)
    rows: list[store.Shown] = []
    if TOKEN.fullmatch(token):
        async with service.database.connection() as connection:
            rows = await store.shown(connection, [token])
    if not rows:
        raise Problem("report_token", 404, name=token)
    return rows[0]


async def _body(request: Request) -> dict[str, str]:
    """Fields of the form; raise the problem for another body."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise Problem("form", 415, given=media)
    try:
        text = (await acting.bounded(request, BODY_BYTES_MAX)).decode()
        return {name: value.strip() for name, value in parse_qsl(text, max_num_fields=FIELDS_MAX)}
    except ValueError as error:
        raise Problem("body", 400, name="body", value="?") from error


def _wanted(given: dict[str, str], language: str) -> Wanted:
    code = given.get("service_code")
    if not code:
        raise Problem("parameter_value", 400, name="service_code", value="")
    number = given.get("address_id") or None
    if number is not None and not _NUMBER.fullmatch(number):
        raise Problem("report_asset", 404, name=number)
    fields = {
        "service_code": code,
        "asset_id": number,
        "latitude": given.get("lat") or None,
        "longitude": given.get("long") or None,
        "address": given.get("address_string") or None,
        "description": given.get("description", ""),
        "email": given.get("email") or None,
        "language": language,
    }
    try:
        return Wanted.model_validate(fields)
    except ValidationError as error:
        raise acting.wrong(error) from error


def _listed(request: Request, name: str) -> list[str]:
    """What is declared many times or joined by commas, as the standard has both."""
    found = [one.strip() for one in ",".join(request.query_params.getlist(name)).split(",") if one.strip()]
    if len(found) > IDS_MAX:
        raise Problem("parameter_value", 400, name=name, value=f"{len(found)} > {IDS_MAX}")
    return found


def _which(request: Request, now: datetime, town: str | None) -> store.Which:
    """What the query asks for; raise the problem for a word that it does not know."""
    given = request.query_params
    codes, statuses = _listed(request, "service_code"), _listed(request, "status")
    for name, listed, known in (("service_code", codes, set(SERVICES)), ("status", statuses, {"open", "closed"})):
        for wrong in (one for one in listed if one not in known):
            raise Problem("parameter_value", 400, name=name, value=wrong)
    since, until = (_time(given.get(name), name) for name in ("start_date", "end_date"))
    if until is None:
        until = now if since is None else min(now, since + SPAN)
    if since is None:
        since = until - SPAN
    if since > until or until - since > SPAN:
        raise Problem("report_span", 400, days=SPAN.days)
    size = _count(given.get("page_size"), "page_size", PAGE_SIZE, PAGE_SIZE_MAX)
    page = _count(given.get("page"), "page", 1, PAGES_MAX)
    return store.Which(
        since=since,
        until=until,
        codes=codes or None,
        statuses=statuses or None,
        municipality=town,
        limit=size,
        beyond=(page - 1) * size,
    )


def _time(given: str | None, name: str) -> datetime | None:
    """A moment with its zone, as the standard has it; a plus sign in an address is a space unless it is escaped."""
    if not given:
        return None
    try:
        when = datetime.fromisoformat(given.replace(" ", "+"))
        if when.tzinfo is None or not 1970 <= when.year < 3000:
            raise ValueError
    except ValueError as error:
        raise Problem("time", 400, name=name, value=given) from error
    return when.astimezone(UTC)


def _count(given: str | None, name: str, default: int, most: int) -> int:
    if not given:
        return default
    if not _NUMBER.fullmatch(given) or not 1 <= int(given) <= most:
        raise Problem("parameter_value", 400, name=name, value=given)
    return int(given)


def _told(row: store.Shown, request: Request) -> dict[str, Any]:
    """A report as the standard lists it. Of the reporter nothing, neither words nor position: they may name people."""
    language = choose(request)
    told = followed(row, language)
    return {
        "service_request_id": told.token,
        "status": told.status,
        "status_notes": told.notes,
        "service_name": told.service,
        "service_code": told.service_code,
        "description": getattr(SERVICES[told.service_code].description, language),
        "agency_responsible": told.municipality,
        "service_notice": getattr(NOTICE, language),
        "requested_datetime": iso(told.requested_at),
        "updated_datetime": iso(told.updated_at),
        "expected_datetime": told.expected_at and iso(told.expected_at),
        "address": ", ".join(filter(None, (told.place, told.municipality))) or None,
        "address_id": None if told.asset_id is None else str(told.asset_id),
        "zipcode": None,
        "lat": told.latitude,
        "long": told.longitude,
        "media_url": None,
    }
