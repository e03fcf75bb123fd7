"""What a crew does with citizens' reports on an alert's page: says that one means the lamp beside it."""

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api import acting
from api.alerts import AlertId
from api.open311.desk_routes import RequestNumber
from api.problems import Problem
from api.site import Site
from kraj.store import request_desk as store


def routes(site: Site) -> APIRouter:
    """The form beside a report."""
    router = APIRouter()

    @router.post("/alerts/{alert_id}/reports/{request_number}/confirm")
    async def confirm(  # pyright: ignore[reportUnusedFunction]
        alert_id: AlertId, request_number: RequestNumber, request: Request
    ) -> Response:
        given = dict(parse_qsl((await acting.bounded(request)).decode("utf-8", "replace"), max_num_fields=20))
        version = given.get("version", "")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise Problem("body", 400, name="version", value=version)
        async with site.service.database.connection(write=True) as connection:
            row = await store.one(connection, request_number)
            if (
                row is None
                or row.candidate_id is None
                or not await store.place(
                    connection, request_number, int(version), row.candidate_id, site.service.clock()
                )
            ):
                raise Problem("report_changed", 409)
        return RedirectResponse(f"/alerts/{alert_id}?said=confirmed#said", 303)

    return router
