"""The resources of files of quarter-hours and invoices under /v1: preview, apply, undo."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import acting, cursors, parameters
from api.database import Connection
from api.importing import bodies as job_bodies
from api.importing import receiving
from api.importing.receiving import Received
from api.importing.routes import AT_ONCE_BYTES_MAX, begun, unreadable
from api.importing.work import Doing, Importer, Tell
from api.language import choose
from api.metering import examples, figures, work
from api.metering.routes import WRITES
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rest import link
from api.service import Service
from kraj.importing import Unreadable
from kraj.importing.quarters import Found, Given
from kraj.meters import is_ean
from kraj.store import meters
from kraj.store.meters import MeterImport

ImportId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The import's number.", examples=[5])]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NEWEST = 2**63 - 1
PACKED = 8
"""How many times smaller a workbook is than the same as CSV, at least."""


class Uploaded(parameters.Parameters):
    """What the file is, and what it does not say itself."""

    content: Literal["quarters", "invoices"] = Field("quarters", description="What the file holds.")
    ean: str | None = Field(None, max_length=18, description="Whose, where no column says it.", examples=[examples.EAN])
    direction: Literal["import", "export"] | None = Field(None, description="Of columns that say only kWh.")
    times: Literal["start", "end"] | None = Field(None, description="What the only time of a row is.")
    file_name: str | None = Field(None, max_length=200, description="For people.")


def routes(importer: Importer) -> APIRouter:
    """Files about meters."""
    router = APIRouter(prefix="/v1/metering", tags=["metering"])
    service = importer.service
    _add_upload(router, importer)
    _add_reading(router, service)
    _add_steps(router, service)
    return router


def given(fields: dict[str, str | None]) -> Given:
    """What whoever uploads says, checked."""
    ean = (fields.get("ean") or "").replace(" ", "")
    if ean and not is_ean(ean):
        raise Problem("ean", 404, name=ean)
    direction, times = fields.get("direction") or None, fields.get("times") or None
    if direction not in {None, "import", "export"}:
        raise Problem("parameter_value", 400, name="direction", value=direction)
    if times not in {None, "start", "end"}:
        raise Problem("parameter_value", 400, name="times", value=times)
    return Given(ean or None, direction, times)


async def kept(service: Service, connection: Connection, content: str, file: Received, told: Given) -> int:
    """Read a file and keep its preview; raises ``Unreadable``."""
    at = service.clock()
    return await work.keep(connection, file, await work.read_file(content, file, told, at), at)


def large(file: Received) -> bool:
    """Whether reading it takes longer than a request should; what a workbook packs is many times its size."""
    packed = file.data.startswith(b"PK")
    return len(file.data) > (AT_ONCE_BYTES_MAX // PACKED if packed else AT_ONCE_BYTES_MAX)


def reading(service: Service, content: str, file: Received, told: Given) -> Doing:
    """A large file's job; it ends with the import's address."""

    async def doing(tell: Tell) -> str:
        at = service.clock()
        await tell(5)
        read = await work.read_file(content, file, told, at)
        await tell(60)
        async with service.database.connection(write=True) as connection:
            return f"/v1/metering/imports/{await work.keep(connection, file, read, at)}"

    return doing


def _add_upload(router: APIRouter, importer: Importer) -> None:
    service = importer.service
    body = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": body["schema"]}}}
    content = dict.fromkeys(("text/csv", XLSX), body) | {receiving.FORM: form}

    @router.post(
        "/imports",
        status_code=201,
        responses=WRITES
        | parameters.example(examples.IMPORT, 201)
        | {202: {"description": "A large file: the job is at Location.", "model": job_bodies.JobBody}},
        openapi_extra={"requestBody": {"required": True, "content": content}, **exchange.headers(once_only=True)},
        response_model=figures.MeterImportAnswer,
    )
    async def upload(  # pyright: ignore[reportUnusedFunction]
        request: Request, asked: Annotated[Uploaded, Query()]
    ) -> Response:
        """Upload a file of the EDC, of a distributor, or a plain table, and see what it says; nothing counts yet."""
        file = await receiving.received(request)
        fields = asked.model_dump() | file.fields
        if fields["content"] not in {"quarters", "invoices"}:
            raise Problem("parameter_value", 400, name="content", value=fields["content"])
        told = given(fields)
        if large(file):
            raw = repr((file.name, fields["content"], told)).encode() + file.data
            await work.may_upload(service)
            found = reading(service, fields["content"], file, told)
            return await begun(importer, request, raw, found, kind="metering")

        async def doing(connection: Connection) -> Answer:
            try:
                number = await kept(service, connection, fields["content"], file, told)
            except Unreadable as error:
                raise unreadable(error, choose(request)) from error
            body = shown(service, await work.an_import(connection, number), choose(request))
            return Answer(exchange.plain(body), 201, {"location": f"/v1/metering/imports/{number}"})

        return await exchange.posting(service, request, file.data, doing)


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("/imports", responses=responses(400) | parameters.example(examples.page(examples.IMPORT)))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> figures.MeterImportPage:
        """Imports, newest first."""
        before = cursors.number(asked.cursor, "meter_imports", NEWEST)
        async with service.database.connection() as connection:
            rows = await meters.imports(connection, after=before, limit=asked.limit + 1)
        more = len(rows) > asked.limit
        following = cursors.encode("meter_imports", rows[asked.limit - 1].meter_import_id) if more else None
        link(request, response, following)
        items = [shown(service, row, choose(request)) for row in rows[: asked.limit]]
        return figures.MeterImportPage(items=items, next_cursor=following)

    @router.get("/imports/{meter_import_id}", responses=responses(404) | parameters.example(examples.IMPORT))
    async def one(meter_import_id: ImportId, request: Request) -> figures.MeterImportAnswer:  # pyright: ignore[reportUnusedFunction]
        """One import."""
        async with service.database.connection() as connection:
            row = await work.an_import(connection, meter_import_id)
        return shown(service, row, choose(request))


def _add_steps(router: APIRouter, service: Service) -> None:
    async def taken(request: Request, number: int, *, undone: bool) -> Response:
        raw = await acting.bounded(request)

        async def doing(connection: Connection) -> Answer:
            await work.step(connection, number, service.clock(), undone=undone)
            body = shown(service, await work.an_import(connection, number), choose(request))
            return Answer(exchange.plain(body))

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/imports/{meter_import_id}/apply",
        responses=responses(400, 403, 404, 409, 422) | parameters.example(examples.IMPORT | {"state": "applied"}),
        openapi_extra=exchange.headers(once_only=True),
        response_model=figures.MeterImportAnswer,
    )
    async def apply(meter_import_id: ImportId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Let the file count; what it says takes the place of what earlier files said."""
        return await taken(request, meter_import_id, undone=False)

    @router.post(
        "/imports/{meter_import_id}/undo",
        responses=responses(400, 403, 404, 409, 422) | parameters.example(examples.IMPORT | {"state": "undone"}),
        openapi_extra=exchange.headers(once_only=True),
        response_model=figures.MeterImportAnswer,
    )
    async def undo(meter_import_id: ImportId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a file back: what earlier files said holds again, its invoices are withdrawn."""
        return await taken(request, meter_import_id, undone=True)


def shown(service: Service, row: MeterImport, language: str) -> figures.MeterImportAnswer:
    """An import for the API and the pages."""
    say = service.texts[language]

    def found(one: dict[str, Any]) -> figures.FoundAnswer:
        values = {"value": "", "column": "", "ean": "", "day": "", "import": ""} | one["values"]
        values["import_id"] = values.pop("import")
        known = Found(one["code"], one["row"], one["values"])
        sentence = say(f"metering.found.{known.code}", **values)
        return figures.FoundAnswer(code=known.code, row=known.row, wrong=known.wrong, sentence=sentence)

    return figures.MeterImportAnswer.model_validate(
        {
            **{name: getattr(row, name) for name in row.__dataclass_fields__},
            "rows": row.rows_all,
            "applicable": work.applicable(row),
            "findings": [found(one) for one in row.findings],
            "points": row.summary,
        }
    )
