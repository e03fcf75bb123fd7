"""The page of a large file about meters while it is read: how far it is, then its preview or what is wrong with it."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.importing.receiving import Received
from api.importing.routes import Number, job_body
from api.importing.work import Importer
from api.language import choose
from api.metering import import_routes, work
from api.problems import Problem
from api.site import Site
from kraj.importing.quarters import Given
from kraj.store import jobs

POLL_MS: Final = 1000


async def begin(importer: Importer, content: str, file: Received, told: Given) -> int:
    """Begin to read a large file; the job's number."""
    service = importer.service
    await work.may_upload(service)
    async with service.database.connection(write=True) as connection:
        number = await importer.begin(connection, "metering")
    importer.run(number, import_routes.reading(service, content, file, told))
    return number


def add(router: APIRouter, site: Site) -> None:
    """The page of a job."""

    @router.get("/metering/jobs/{job_id}")
    async def job(job_id: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            row = await jobs.get(connection, job_id)
        if row is None or row.kind != "metering":
            raise Problem("job", 404, name=job_id)
        if row.result is not None:
            return RedirectResponse(row.result.removeprefix("/v1"), 303)
        body = job_body(site.service, row, choose(request))
        return site.page(request, "metering_job.html", job=body, poll_ms=POLL_MS)
