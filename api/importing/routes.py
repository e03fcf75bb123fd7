"""The resources of imports and jobs under /v1."""

import csv
import io
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from api import acting, cursors, parameters
from api.importing import bodies, examples, receiving, work
from api.importing.work import Doing, Importer
from api.language import choose
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from api.service import Service
from api.texts import Catalogue
from kraj.importing import Unreadable
from kraj.importing.columns import headings
from kraj.importing.findings import FINDINGS, told
from kraj.kinds import KINDS
from kraj.store import imports, jobs
from kraj.store.jobs import JobRow

AT_ONCE_BYTES_MAX = 256 * 1024
"""About a thousand rows, read within half a second; larger files become a job."""
LOST_AFTER = timedelta(minutes=5)
"""A job that was silent for so long has lost its process."""

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
FILES = {
    media: {"schema": {"type": "string", "format": "binary"}}
    for media in (
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/geo+json",
    )
} | {
    receiving.FORM: {
        "schema": {
            "type": "object",
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "kind": {"type": "string", "enum": list(KINDS)},
                "municipality": {"type": "string"},
            },
            "required": ["file"],
        }
    }
}


class UploadParameters(parameters.Parameters):
    """What a file does not say itself."""

    kind: parameters.KindName | None = None
    municipality: parameters.Text | None = None
    file_name: parameters.Text | None = None


class RowParameters(parameters.Page):
    """Which rows."""

    only: Literal["all", "findings"] = "all"


class TemplateParameters(parameters.Parameters):
    """Which template."""

    kind: parameters.KindName = "lamp"


def routes(importer: Importer) -> APIRouter:
    """Imports and jobs."""
    router = APIRouter(prefix="/v1", tags=["import"])
    service = importer.service
    _add_upload(router, importer)
    _add_steps(router, service)

    @router.get(
        "/imports/template.csv",
        responses=responses(400) | {200: {"content": {"text/csv": {}}}},
        response_class=Response,
    )
    async def template(asked: Annotated[TemplateParameters, Query()], request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The headings of a kind as CSV that Excel opens: UTF-8 with its mark, semicolons."""
        return template_csv(asked.kind, choose(request))

    @router.get("/imports/{import_id}", responses=responses(400, 404) | parameters.example(examples.PAGE))
    async def preview(  # pyright: ignore[reportUnusedFunction]
        import_id: Number, asked: Annotated[RowParameters, Query()], request: Request
    ) -> bodies.ImportPageBody:
        """What a file would register, with everything that is wrong with it."""
        language = choose(request)
        after = cursors.number(asked.cursor, "import", 0)
        async with service.database.connection() as connection:
            record = await work.found(connection, import_id)
            rows = await imports.rows(
                connection, import_id, after=after, limit=asked.limit + 1, found_only=asked.only == "findings"
            )
        following = cursors.encode("import", rows[asked.limit - 1].number) if len(rows) > asked.limit else None
        items = [bodies.row(row, language) for row in rows[: asked.limit]]
        whole = bodies.record(record, language).model_dump()
        return bodies.ImportPageBody(**whole, items=items, next_cursor=following)

    @router.get("/jobs/{job_id}", responses=responses(404) | parameters.example(examples.JOB), tags=["jobs"])
    async def job(job_id: Number, request: Request) -> bodies.JobBody:  # pyright: ignore[reportUnusedFunction]
        """How far a job of one's own is."""
        async with service.database.connection() as connection:
            row = await jobs.get(connection, job_id)
        if row is None:
            raise Problem("job", 404, name=job_id)
        return job_body(service, row, choose(request))

    return router


def _add_upload(router: APIRouter, importer: Importer) -> None:
    @router.post(
        "/imports",
        status_code=201,
        response_model=bodies.ImportBody,
        responses=responses(400, 403, 413, 415, 422)
        | {201: {"content": {"application/json": {"example": examples.IMPORT}}}}
        | {202: {"description": "A large file: the job is at Location.", "model": bodies.JobBody}},
        openapi_extra={"requestBody": {"required": True, "content": FILES}, **exchange.headers(once_only=True)},
    )
    async def upload(asked: Annotated[UploadParameters, Query()], request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Upload CSV, XLSX or GeoJSON, as the body or as `file` of a form. Nothing is registered yet."""
        work.registering_person()
        language = choose(request)
        file = await receiving.received(request)
        said = {"kind": asked.kind or "", "municipality": asked.municipality or ""}
        defaults = work.defaults({**said, **{name: value for name, value in file.fields.items() if value}})
        service = importer.service
        raw = repr((file.name, defaults)).encode() + file.data
        if len(file.data) > AT_ONCE_BYTES_MAX:
            return await begun(importer, request, raw, importer.reading(file, defaults))
        try:
            parsed = await importer.parsed(file, defaults)
        except Unreadable as error:
            raise unreadable(error, language) from error

        async def doing(connection: Connection) -> Answer:
            import_id = await importer.keep(connection, file, parsed)
            made = bodies.record(await work.found(connection, import_id), language)
            return Answer(exchange.plain(made), 201, {"location": f"/v1/imports/{import_id}"})

        return await exchange.posting(service, request, raw, doing)


async def begun(importer: Importer, request: Request, raw: bytes, doing: Doing, *, kind: str = "import") -> Response:
    """A large file: the job that reads it."""
    started: list[int] = []

    async def starting(connection: Connection) -> Answer:
        job_id = await importer.begin(connection, kind)
        started.append(job_id)
        row = await jobs.get(connection, job_id)
        if row is None:
            raise Problem("job", 404, name=job_id)
        body = job_body(importer.service, row, choose(request))
        return Answer(exchange.plain(body), 202, {"location": f"/v1/jobs/{job_id}"})

    response = await exchange.posting(importer.service, request, raw, starting)
    for job_id in started:  # not when it is only answered again
        importer.run(job_id, doing)
    return response


def _add_steps(router: APIRouter, service: Service) -> None:
    @router.post(
        "/imports/{import_id}/apply",
        response_model=bodies.AppliedBody,
        responses=responses(400, 403, 404, 409, 422) | parameters.example(examples.APPLIED),
        openapi_extra=exchange.headers(once_only=True),
    )
    async def apply(import_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Register every new row, or, where anything is wrong, none."""
        raw = await acting.bounded(request)

        async def doing(connection: Connection) -> Answer:
            made = await work.apply(connection, import_id, service.clock())
            return Answer(exchange.plain(bodies.AppliedBody(import_id=import_id, rows_created=made)))

        async with work.applying(service, import_id):
            return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/imports/{import_id}/undo",
        response_model=bodies.UndoneBody,
        responses=responses(400, 403, 404, 422)
        | parameters.example(examples.UNDONE)
        | responses(409, schema=bodies.StandingProblem.model_json_schema()),
        openapi_extra=exchange.documented(bodies.UndoBody, once_only=True),
    )
    async def undo(import_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take back what an import has registered, as one action.

        Where rows have readings, are used by something else or were changed since, nothing is done and 409 lists them;
        with `leave` those stay and the others go.
        """
        raw = await acting.bounded(request)
        leave = exchange.read(bodies.UndoBody, raw).leave if raw.strip() else False

        async def doing(connection: Connection) -> Answer:
            removed = await work.undo(connection, import_id, service.clock(), leave=leave)
            return Answer(exchange.plain(bodies.UndoneBody(import_id=import_id, rows_removed=removed)))

        try:
            return await exchange.posting(service, request, raw, doing)
        except work.StandingError as error:
            return _standing(error.rows, service.texts[choose(request)], request.url.path)


def _standing(rows: dict[int, str], say: Catalogue, path: str) -> Response:
    listed = [
        {"row": row, "reason": reason, "sentence": say(f"import.standing.{reason}")} for row, reason in rows.items()
    ]
    details = {
        "type": "/problems/import_standing",
        "title": say("problem.import_standing.title"),
        "status": 409,
        "detail": say("problem.import_standing.detail", count=len(rows)),
        "hint": say("problem.import_standing.hint"),
        "instance": path,
        "rows": listed[: parameters.PAGE_MAX],
    }
    return JSONResponse(details, 409, media_type="application/problem+json")


def unreadable(error: Unreadable, language: str) -> Problem:
    """Nothing of the file can be taken."""
    sentence, remedy = told(error.finding, language)
    return Problem("import_file", 422, sentence=sentence, remedy=remedy)


def job_body(service: Service, row: JobRow, language: str) -> bodies.JobBody:
    """A job for the API."""
    problem = row.problem
    if problem is not None and problem.get("code") not in FINDINGS:
        say = service.texts[language]
        problem_body = bodies.FoundBody(
            code=str(problem.get("code")),
            level="error",
            column=None,
            sentence=say("import.job.failed"),
            remedy=say("import.job.again"),
        )
    else:
        problem_body = None if problem is None else bodies.finding(problem, language)
    lost = row.state == "running" and service.clock() - row.heard_at > LOST_AFTER
    return bodies.JobBody(
        job_id=row.job_id,
        kind=row.kind,
        state="lost" if lost else row.state,  # pyright: ignore[reportArgumentType]
        progress_pct=row.progress_pct,
        result=row.result,
        problem=problem_body,
        started_at=row.started_at,
    )


def template_csv(kind: str, language: str) -> Response:
    """The headings of a kind."""
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerow(headings(kind, language))
    name = f'attachment; filename="kraj-{kind}.csv"'
    return Response(text.getvalue().encode("utf-8-sig"), media_type="text/csv", headers={"content-disposition": name})
