"""The audit log under /v1/audit: who did what, for who manages people in a municipality or in the region."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api import cursors, parameters, principal, rest
from api.importing import examples
from api.problems import Problem, responses
from api.service import Service
from kraj.store import audit


class AuditParameters(parameters.Page):
    """Which entries."""

    action: parameters.Text | None = Field(None, examples=["changed"])
    subject: parameters.Text | None = Field(None, description="A table, or such as `import 17`.", examples=["asset"])
    municipality: parameters.Text | None = None
    from_: parameters.Time | None = Field(None, alias="from")
    to: parameters.Time | None = None


class AuditBody(BaseModel):
    """An entry of the log."""

    entry_id: int = Field(description="1, 2, 3, … without gaps.")
    at: datetime
    pseudonym: str | None = Field(description="Who; null for a service of the platform itself.")
    person: str | None = Field(description="The name, where it is still known and may be seen.")
    action: str
    subject: str
    municipality: str | None
    detail: dict[str, Any]
    digest: str = Field(description="SHA-256 over the entry and the digest before it, in hexadecimal.")


class AuditPage(BaseModel):
    """A page of entries."""

    items: list[AuditBody]
    next_cursor: str | None


def routes(service: Service) -> APIRouter:
    """The log, newest first."""
    router = APIRouter(prefix="/v1", tags=["audit"])

    @router.get("/audit", responses=responses(400, 403) | parameters.example(examples.AUDIT))
    async def entries(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AuditParameters, Query()], request: Request, response: Response
    ) -> AuditPage:
        """Changes, sign-ins, exports and reads of personal data; a municipality's people see the municipality's."""
        who = principal.current.get()
        if who is None or "people" not in who.rights:
            raise Problem("audit_right", 403)
        before = cursors.number(asked.cursor, "audit", cursors.BIGINT_MAX)
        which = audit.AuditFilter(
            action=asked.action,
            subject=asked.subject,
            municipality=asked.municipality,
            from_at=asked.from_,
            to_at=asked.to,
        )
        async with service.database.connection() as connection:
            rows = await audit.page(connection, which, before=before, limit=asked.limit + 1)
        return rest.paged(AuditPage, rows, asked.limit, "audit", "entry_id", request, response)

    return router
