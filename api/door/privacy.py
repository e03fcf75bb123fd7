"""A person's data by API and page: given to themselves or by who manages them, and erased for good."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from api import parameters, rights
from api.alert_pages import counted
from api.database import Connection
from api.door import managing, people_pages
from api.door.door import Door
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.rulebook import forms
from kraj.store import audit, privacy

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Its number.", examples=[3])]
CONFIRMED = "erase"


class PersonExport(BaseModel):
    """Everything that is kept about a person; secrets (hashes, codes, keys) are not in it."""

    account: dict[str, Any] = Field(description="E-mail, name, pseudonym in the audit log, and the account's state.")
    memberships: list[dict[str, Any]]
    teams: list[dict[str, Any]]
    grants: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    tokens: list[dict[str, Any]]
    links: list[dict[str, Any]] = Field(description="Invitations and new passwords: purpose and times.")
    recovery_codes: int = Field(description="How many are left.")
    sign_in_attempts: list[dict[str, Any]]
    imports: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    assigned_alerts: list[dict[str, Any]]
    alert_events: list[dict[str, Any]] = Field(description="What they did with alerts.")
    photos: list[dict[str, Any]]
    notification_targets: list[dict[str, Any]]
    audit_entries: list[dict[str, Any]] = Field(description="The audit log's entries under their pseudonym.")


_EMPTY: dict[str, Any] = {name: 0 if name == "recovery_codes" else [] for name in PersonExport.model_fields}
EXAMPLE: dict[str, Any] = _EMPTY | {
    "account": {"person_id": 3, "name": "petr.novak@olsinka.cz", "title": "Petr Novák", "language": "cs"},
    "memberships": [{"membership_id": 5, "municipality": "olsinka", "role": "crew"}],
}


def routes(door: Door) -> APIRouter:
    """The resources under /v1."""
    router = APIRouter(prefix="/v1", tags=["people"])

    @router.get("/me/export", responses=responses(401) | parameters.example(EXAMPLE), response_model=PersonExport)
    async def mine() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Everything that is kept about who asks."""
        return await _export(door, rights.signed_in().person_id)

    @router.get(
        "/people/{person_id}/export",
        responses=responses(401, 403, 404) | parameters.example(EXAMPLE),
        response_model=PersonExport,
    )
    async def theirs(person_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Everything that is kept about a person whom one manages, as far as one's municipalities reach."""
        return await _export(door, person_id)

    @router.delete(
        "/people/{person_id}",
        status_code=204,
        responses=responses(401, 403, 404, 409, 412, 428),
        openapi_extra=exchange.headers(conditional=True),
    )
    async def erase(request: Request, person_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Erase a person for good: the account goes, what must stay says `anonym`. There is no way back."""

        async def doing(connection: Connection) -> Answer:
            found = await managing.known(connection, person_id)
            await _erase(connection, person_id, exchange.expected(request, found.version))
            return Answer(None, 204)

        response = await exchange.changing(door.service, doing)
        door.memory.forget()
        return response

    return router


def pages(door: Door) -> APIRouter:
    """The buttons on the pages of the account and of a person."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(door.site)])

    @router.get("/account/export")
    async def mine() -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _export(door, rights.signed_in().person_id)

    @router.get("/people/{person_id}/export")
    async def theirs(person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _export(door, person_id)

    @router.post("/people/{person_id}/erase")
    async def erase(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            if given.get("confirm") != CONFIRMED:
                raise Problem("erase_unsure", 400)
            async with door.service.database.connection(write=True) as connection:
                await managing.known(connection, person_id)
                await _erase(connection, person_id, people_pages.number(given, "version"))
        except Problem as problem:
            return await people_pages.person_page(door, request, person_id, problem)
        door.memory.forget()
        return RedirectResponse(f"{people_pages.PEOPLE}?said=erased#said", 303)

    return router


async def _export(door: Door, person_id: int) -> Response:
    who = rights.signed_in()
    async with door.service.database.connection(write=True) as connection:
        if who.person_id != person_id:
            await managing.known(connection, person_id)
        found = await privacy.export(connection, person_id)
        if found is None:
            raise Problem("person", 404, name=person_id)
        await audit.note(connection, "person.export", f"person {person_id}")
    body = json.dumps(found, ensure_ascii=False, indent=1)
    name = f'attachment; filename="kraj-person-{person_id}.json"'
    headers = {"content-disposition": name, "cache-control": "no-store"}
    return Response(body, 200, headers, "application/json")


async def _erase(connection: Connection, person_id: int, version: int) -> None:
    town = await privacy.last_administrator(connection, person_id)
    if town is not None:
        raise Problem("last_administrator" if town else "last_administrator_region", 409, town=town)
    if not await privacy.erase(connection, person_id, version):
        raise Problem("changed", 412)
