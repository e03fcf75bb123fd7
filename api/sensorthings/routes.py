"""The addresses below /sensorthings/v1.1: the service's root, entities, sets and properties, for anybody."""

import asyncio
import hashlib
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from fastapi import APIRouter, Request, Response

from api.problems import Problem
from api.sensorthings.shaping import Json, Shaper
from api.service import Service
from kraj.sensorthings.errors import QueryError, UnknownPathError
from kraj.sensorthings.model import PLURALS, Parts, parts, scope
from kraj.sensorthings.options import ON_MANY, ON_ONE, read
from kraj.sensorthings.paths import Resource, Step, resource
from kraj.store.sensorthings.reading import Row, single

ROOT: Final = "/sensorthings/v1.1"
AT_ONCE_MAX: Final = 2
"""Questions of anybody that the database answers at once: the others' connections are for those who work."""
WAITING_S_MAX: Final = 5.0
RETRY_S: Final = 5
KEPT_S: Final = 60
OPTIONS_MAX: Final = 10
WRITING: Final = ["POST", "PUT", "PATCH", "DELETE"]
_SPEC: Final = "http://www.opengis.net/spec/iot_sensing/1.1/req"
CONFORMANCE: Final = (
    f"{_SPEC}/datamodel",
    f"{_SPEC}/resource-path/resource-path-to-entities",
    *(
        f"{_SPEC}/request-data/{name}"
        for name in (
            *("order", "expand", "select", "status-code", "query-status-code", "orderby", "top", "skip", "count"),
            *("filter", "built-in-filter-operations", "pagination"),
        )
    ),
)
"""Not among them: built-in-filter-functions, as st_touches, st_overlaps, st_crosses, st_contains, st_relate and
geo.length make no sense of points."""
HEADERS: Final = {
    "cache-control": f"public, max-age={KEPT_S}",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}


def routes(service: Service) -> APIRouter:
    """GET and HEAD; the standard's own description says all, so the OpenAPI document leaves them out."""
    router = APIRouter()
    busy = asyncio.Semaphore(AT_ONCE_MAX)

    @router.api_route(ROOT, methods=WRITING)
    @router.api_route(ROOT + "/{path:path}", methods=WRITING)
    async def refused(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {"method": request.method, "path": request.url.path, "detail": "read-only"}
        raise Problem("method", 405, **given, allow="GET, HEAD")

    @router.api_route(ROOT, methods=["GET", "HEAD"])
    async def root(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        base = _base(request)
        sets = [{"name": name, "url": f"{base}/{name}"} for name in PLURALS]
        return _answer(request, {"value": sets, "serverSettings": {"conformance": CONFORMANCE}})

    @router.api_route(ROOT + "/{path:path}", methods=["GET", "HEAD"])
    async def found(path: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if not path:
            return await root(request)
        try:
            return await _one_of_few(path, request)
        except QueryError as error:
            raise Problem(f"sta_{error.code}", 400, **error.values) from error
        except UnknownPathError as error:
            raise Problem("sta_path", 404, path=path) from error

    async def _one_of_few(path: str, request: Request) -> Response:
        where = resource(path)
        try:
            await asyncio.wait_for(busy.acquire(), WAITING_S_MAX)
        except TimeoutError as error:
            raise Problem("sta_busy", 503, retry_s=RETRY_S) from error
        try:
            async with service.database.connection(snapshot=True) as connection:
                shaper = Shaper(connection, _base(request), service.clock())
                return _answer(request, await _resolved(shaper, where, request, path))
        finally:
            busy.release()

    return router


async def _resolved(shaper: Shaper, where: Resource, request: Request, path: str) -> Json | str | None:
    """The body: an object, a property's raw value as text, or None for a property that is not known."""
    given = _given(request)
    below: Parts = {}
    row: Row | None = None
    for place, step in enumerate(where.steps):
        below = _below(step, row, path)
        row = None
        if place < len(where.steps) - 1 or not where.many:
            row = await single(shaper.connection, step.entity, below, at=shaper.at)
            if row is None:
                raise UnknownPathError(path)
    entity = where.entity
    if row is None:
        asked = read(given, entity, ON_MANY)
        address = f"{shaper.base}/{path.strip('/')}"
        page = shaper.references if where.reference else shaper.page
        return await page(entity, below, asked, address)
    if where.field:
        read(given, entity, frozenset())
        return _property(row, where, path)
    if where.reference:
        return {"@iot.selfLink": shaper.own(entity, row.number)}
    return (await shaper.shaped(entity, [row], read(given, entity, ON_ONE)))[0]


def _below(step: Step, before: Row | None, path: str) -> Parts:
    """What tells the entities of a step apart from others."""
    found: Parts = {} if before is None else scope(step.entity, before.parts)
    if step.number is not None:
        own = parts(step.entity, step.number)
        if own is None or any(found.get(part, value) != value for part, value in own.items()):
            raise UnknownPathError(path)
        found |= own
    return found


def _property(row: Row, where: Resource, path: str) -> Json | str | None:
    value: Any = {**row.values, "id": row.number}
    for name in where.field:
        if not isinstance(value, dict) or name not in value:
            raise UnknownPathError(path)
        value = value[name]  # pyright: ignore[reportUnknownVariableType]
    if value is None:
        return None
    if where.value:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return {where.field[-1]: value}


def _given(request: Request) -> list[tuple[str, str]]:
    """The options, decoded: %24filter is $filter, and a plus sign a space."""
    try:
        return parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=OPTIONS_MAX, errors="strict")
    except ValueError as error:
        raise QueryError("value", option="?", value=str(request.url.query)[:60]) from error


def _base(request: Request) -> str:
    parts_ = urlsplit(str(request.base_url))
    return f"{parts_.scheme}://{parts_.netloc}{ROOT}"


def _answer(request: Request, body: Json | str | None) -> Response:
    if body is None:
        return Response(status_code=204, headers=HEADERS)
    media = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    content = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:24]}"'
    headers = HEADERS | {"etag": tag}
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media, headers=headers)
