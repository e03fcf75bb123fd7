"""What is off after a failure, and "try again": the row goes, and ingest asks the rule with its next batch."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from api import acting, parameters
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rulebook import bodies, examples
from api.service import Service
from api.site import Site
from kraj.store import rulebook
from kraj.store.connection import Connection

Name = Annotated[str, Path(min_length=1, max_length=80, pattern="^[a-z0-9_ ]+$", examples=["lamp_out"])]
"""Of a rule, or of what rules stand on (``lamp readings``)."""


def add_routes(router: APIRouter, service: Service) -> None:
    """The resources under ``/v1``."""

    @router.get("/rule-failures", responses=responses() | parameters.example(examples.FAILURES))
    async def failures() -> bodies.RuleFailures:  # pyright: ignore[reportUnusedFunction]
        """Rules that raised an error and are off until somebody has them tried again."""
        async with service.database.connection() as connection:
            rows = await rulebook.failures(connection)
        return bodies.RuleFailures(items=[_shown(row) for row in rows])

    @router.post(
        "/rule-failures/{rule}/retry",
        responses=responses(400, 403, 404, 413, 415, 422) | parameters.example(examples.FAILURE),
        openapi_extra=exchange.documented(bodies.EmptyBody, once_only=True),
        response_model=bodies.RuleFailure,
    )
    async def retry(rule: Name, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Ask the rule again, with the next readings; if it fails again, that is told again."""
        _, raw = await exchange.body_of(request, bodies.EmptyBody)

        async def doing(connection: Connection) -> Answer:
            return Answer(exchange.plain(_shown(await try_again(connection, rule))))

        return await exchange.posting(service, request, raw, doing)


def add_pages(router: APIRouter, site: Site) -> None:
    """What the button does, wherever a failure is seen."""

    @router.post("/failed/{rule}/retry")
    async def retry(request: Request, rule: Name) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection(write=True) as connection:
            await try_again(connection, rule)
        return RedirectResponse("/rules?said=retried#said", 303)


async def try_again(connection: Connection, rule: str) -> rulebook.FailureRow:
    """What was forgotten; 404 where nothing of this name is off, 403 for who may not change rules there."""
    found = next((row for row in await rulebook.failures(connection) if row.rule == rule), None)
    if found is None:
        raise Problem("rule_failure", 404, name=rule)
    if not found.writable and found.municipality is None:
        raise Problem("rules_region", 403)
    if not found.writable:
        raise Problem("rules_right", 403, name=found.municipality_title)
    if not await rulebook.try_again(connection, rule):
        raise Problem("rule_failure", 404, name=rule)
    return found


def _shown(row: rulebook.FailureRow) -> bodies.RuleFailure:
    return bodies.RuleFailure.model_validate(row, from_attributes=True)
