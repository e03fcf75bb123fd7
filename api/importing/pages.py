"""The pages of the import: upload, what the file would do with every error in its place, apply, undo."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting, principal
from api.alert_pages import counted
from api.importing import bodies, in_place, receiving, work
from api.importing.routes import Number, unreadable
from api.importing.work import Importer
from api.language import choose
from api.problems import Problem
from api.site import Site
from kraj.importing import Unreadable
from kraj.importing.columns import FIELDS
from kraj.store import imports
from kraj.store.queries import folded

LISTED_MAX = 20
FOUND_ROWS_MAX = 200
"""With more errors a person mends the cause of the first ones and uploads again."""
SAMPLE_ROWS = 20
STANDING_SHOWN = 50
SAID = frozenset({"applied", "undone"})


def routes(site: Site, importer: Importer) -> APIRouter:
    """Every page of the import."""
    router = APIRouter(prefix="/imports", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("")
    async def start(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _start(site, request)

    @router.post("")
    async def upload(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        work.registering_person()
        file = await receiving.received(request)
        try:
            import_id = await importer.preview(file, work.defaults(file.fields))
        except Unreadable as error:
            return await _start(site, request, unreadable(error, choose(request)))
        return RedirectResponse(f"/imports/{import_id}", 303)

    @router.get("/{import_id}")
    async def preview(request: Request, import_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _preview(site, request, import_id)

    @router.post("/{import_id}/apply")
    async def apply(request: Request, import_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        service = site.service
        async with work.applying(service, import_id), service.database.connection(write=True) as connection:
            await work.apply(connection, import_id, service.clock())
        return RedirectResponse(f"/imports/{import_id}?said=applied#said", 303)

    @router.post("/{import_id}/undo")
    async def undo(request: Request, import_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        body = await acting.bounded(request)
        leave = b"leave=yes" in body.split(b"&")
        try:
            async with site.service.database.connection(write=True) as connection:
                await work.undo(connection, import_id, site.service.clock(), leave=leave)
        except work.StandingError as error:
            return await _preview(site, request, import_id, error.rows)
        return RedirectResponse(f"/imports/{import_id}?said=undone#said", 303)

    return router


async def _start(site: Site, request: Request, problem: Problem | None = None) -> Response:
    who = principal.current.get()
    async with site.service.database.connection() as connection:
        there = await imports.registry(connection, [])
        listed = await imports.newest(connection, LISTED_MAX)
    return site.page(
        request,
        "import.html",
        422 if problem else 200,
        allowed=who is not None and "register" in who.rights,
        towns=sorted(there.towns, key=lambda town: folded(town.title)),
        imports=listed,
        problem=problem and problem.values,
    )


async def _preview(site: Site, request: Request, import_id: int, standing: dict[int, str] | None = None) -> Response:
    language = choose(request)
    async with site.service.database.connection() as connection:
        record = await work.found(connection, import_id)
        found = await imports.rows(connection, import_id, after=0, limit=FOUND_ROWS_MAX + 1, found_only=True)
        sample = await imports.rows(connection, import_id, after=0, limit=SAMPLE_ROWS)
    made = bodies.record(record, language)
    wrong = in_place.lines(found[:FOUND_ROWS_MAX], record.columns, language) if record.state == "preview" else []
    said = request.query_params.get("said")
    return site.page(
        request,
        "import_preview.html",
        409 if standing else 200,
        record=made,
        columns=[(heading, None if name is None else FIELDS[name].title) for heading, name in record.columns],
        found=[bodies.row(row, language) for row in found[:FOUND_ROWS_MAX]],
        more=len(found) > FOUND_ROWS_MAX,
        wrong=wrong,
        jumps=in_place.jumps(wrong, record.columns),
        sample=[bodies.row(row, language) for row in sample],
        standing=list((standing or {}).items())[:STANDING_SHOWN],
        standing_count=len(standing or {}),
        said=said if said in SAID else None,
    )
