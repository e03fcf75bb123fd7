"""For whoever watches the process: is it alive, can it do its work, how much of it does it do."""

from datetime import timedelta

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from api.database import NotMigratedError
from api.service import Service
from kraj.errors import UnavailableError
from kraj.store import queries

HEARTBEAT_AGE_S_MAX = 10
"""Ingest beats each second; after ten it is not there."""


class Health(BaseModel):
    """The process answers."""

    alive: bool = True


class Part(BaseModel):
    """One thing that the service needs."""

    part: str = Field(examples=["database"])
    ready: bool
    detail: str


class Readiness(BaseModel):
    """Whether everything that the service needs is there."""

    ready: bool
    parts: list[Part]


def routes(service: Service) -> APIRouter:
    """The three routes."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> Health:  # pyright: ignore[reportUnusedFunction]
        """Whether the process is alive; asks nobody else."""
        return Health()

    @router.get("/readyz", responses={503: {"model": Readiness, "description": "Some part is not ready."}})
    async def readyz(response: Response) -> Readiness:  # pyright: ignore[reportUnusedFunction]
        """Whether the database answers, has this version's schema, and ingest is at work."""
        parts = await _parts(service)
        ready = all(part.ready for part in parts)
        if not ready:
            response.status_code = 503
        return Readiness(ready=ready, parts=parts)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Prometheus metrics of this process."""
        return Response(generate_latest(service.requests.registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _parts(service: Service) -> list[Part]:
    answers = Part(part="database", ready=True, detail="answers")
    try:
        async with service.database.connection() as connection:
            missing = await queries.missing_columns(connection)
            if missing:
                detail = f"lacks {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}; run `kraj migrate`"
                return [answers, Part(part="schema", ready=False, detail=detail)]
            totals = await queries.totals(connection)
    except NotMigratedError as error:
        return [answers, Part(part="schema", ready=False, detail=str(error))]
    except UnavailableError as error:
        return [Part(part="database", ready=False, detail=f"does not answer: {error.__cause__!r:.200}")]
    schema = Part(part="schema", ready=True, detail="is of this version")
    return [answers, schema, *([_slot(service, slot) for slot in totals] or [_NO_SLOT])]


_NO_SLOT = Part(part="ingest", ready=False, detail="has never run; start it with `kraj ingest`")


def _slot(service: Service, slot: queries.SlotTotals) -> Part:
    if slot.heartbeat_at is None:
        return Part(part=slot.name, ready=False, detail="has not started yet")
    age = service.clock() - slot.heartbeat_at
    return Part(
        part=slot.name,
        ready=age < timedelta(seconds=HEARTBEAT_AGE_S_MAX),
        detail=f"last heartbeat {max(0, age.total_seconds()):.0f} s ago",
    )
