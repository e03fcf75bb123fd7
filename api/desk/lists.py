"""The log of who did what, for who manages people."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api import cursors, rights
from api.site import Site, with_parameters
from kraj.store import audit

ROWS = 100
SUBJECT_CHARS_MAX = 60


def add(router: APIRouter, site: Site) -> None:
    """The page."""

    @router.get("/audit")
    async def log(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("people")
        before = cursors.number(request.query_params.get("cursor"), "audit", cursors.BIGINT_MAX)
        subject = request.query_params.get("subject", "").replace("\0", "").strip()[:SUBJECT_CHARS_MAX]
        which = audit.AuditFilter(subject=subject or None)
        async with site.service.database.connection() as connection:
            rows = await audit.page(connection, which, before=before, limit=ROWS + 1)
        older = cursors.encode("audit", rows[ROWS - 1].entry_id) if len(rows) > ROWS else None
        return site.page(
            request,
            "desk_audit.html",
            rows=rows[:ROWS],
            subject=subject,
            older=older and with_parameters(request, cursor=older),
        )
