"""The pages of who manages people: the list, an invitation, one person with roles, links and a successor."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import rights
from api.alert_pages import counted
from api.database import Connection
from api.door import door as doors
from api.door import managing
from api.door.door import Door
from api.problems import Problem, details
from api.rulebook import forms
from kraj.people import REGIONAL, ROLES
from kraj.store import people

PEOPLE = "/people"
PEOPLE_MAX = 500
SAID = frozenset({"role", "ended", "factor", "disabled"})


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(door.site)])
    _add_list(router, door)
    _add_person(router, door)
    _add_shutting_out(router, door)
    return router


def _add_list(router: APIRouter, door: Door) -> None:
    @router.get(PEOPLE)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _list(door, request)

    @router.post(PEOPLE)
    async def invite(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            rights.require("people")
            fields = {name: given.get(name, "") for name in ("name", "title", "role", "language")}
            wish = {**fields, "municipality": given.get("municipality") or None}
            body = forms.checked(managing.InvitationBody, wish)
            async with door.service.database.connection(write=True) as connection:
                made, code = await managing.invite(door, connection, body)
        except Problem as problem:
            return await _list(door, request, problem, given)
        door.memory.forget()
        mailed = code is not None and await doors.send(
            door, request, made.person.name, "invitation", language=body.language, link=door.link(code)
        )
        return door.site.page(
            request, "invited.html", person=made.person, link=made.link, mailed=mailed, purpose="invitation"
        )


async def _list(
    door: Door, request: Request, wrong: Problem | None = None, given: dict[str, str] | None = None
) -> Response:
    rights.require("people")
    chosen = request.query_params.get("municipality") or None
    at = door.wall()
    async with door.service.database.connection() as connection:
        found = await people.people(connection, municipality=chosen, limit=PEOPLE_MAX)
        roles = await people.memberships(connection, person_ids=[row.person_id for row in found])
        towns = await people.towns(connection)
        region = await people.manages_region(connection)
    mine = {row.person_id: [role for role in roles if role.person_id == row.person_id] for row in found}
    return door.site.page(
        request,
        "people.html",
        wrong.status if wrong else 200,
        people=found,
        roles={who: [r for r in held if r.valid_to is None or r.valid_to > at] for who, held in mine.items()},
        towns=towns,
        region=region,
        chosen=chosen,
        known_roles=list(ROLES),
        regional=REGIONAL,
        given=given or {},
        erased=request.query_params.get("said") == "erased",
        wrong=wrong and details(door.service, request, wrong),
    )


def _add_person(router: APIRouter, door: Door) -> None:
    @router.get(f"{PEOPLE}/{{person_id}}")
    async def person(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await person_page(door, request, person_id)

    @router.post(f"{PEOPLE}/{{person_id}}/roles")
    async def give(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        wish = {
            "person_id": person_id,
            "role": given.get("role", ""),
            "municipality": given.get("municipality") or None,
        }

        async def doing(connection: Connection) -> None:
            await managing.give(connection, forms.checked(managing.MembershipBody, wish))

        return await _do(door, request, person_id, "role", doing)

    @router.post(f"{PEOPLE}/{{person_id}}/roles/{{membership_id}}")
    async def end(  # pyright: ignore[reportUnusedFunction]
        request: Request, person_id: int, membership_id: int
    ) -> Response:
        version = number(await forms.read(request), "version")

        async def doing(connection: Connection) -> None:
            await managing.end_role(connection, membership_id, version)

        return await _do(door, request, person_id, "ended", doing)

    @router.post(f"{PEOPLE}/{{person_id}}/link")
    async def link(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            async with door.service.database.connection(write=True) as connection:
                found, purpose, url = await managing.make_link(door, connection, person_id)
        except Problem as problem:
            return await person_page(door, request, person_id, problem)
        mailed = await doors.send(door, request, found.name, purpose, language=found.language, link=url)
        return door.site.page(request, "invited.html", person=found, link=url, mailed=mailed, purpose=purpose)


def _add_shutting_out(router: APIRouter, door: Door) -> None:
    @router.post(f"{PEOPLE}/{{person_id}}/second-factor")
    async def factor(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        async def doing(connection: Connection) -> None:
            await managing.known(connection, person_id)
            await people.forget_totp(connection, person_id)

        return await _do(door, request, person_id, "factor", doing)

    @router.post(f"{PEOPLE}/{{person_id}}/disable")
    async def disable(request: Request, person_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            version = number(given, "version")
            successor = number(given, "successor") if given.get("successor") else None
            async with door.service.database.connection(write=True) as connection:
                found = await managing.known(connection, person_id)
                handed = await managing.shut_out(door, connection, person_id, version, successor)
        except Problem as problem:
            return await person_page(door, request, person_id, problem)
        door.memory.forget()
        return door.site.page(request, "handed_over.html", person=found, handed=handed)


async def _do(door: Door, request: Request, person_id: int, said: str, doing: Any) -> Response:
    rights.require("people")
    try:
        async with door.service.database.connection(write=True) as connection:
            await doing(connection)
    except Problem as problem:
        return await person_page(door, request, person_id, problem)
    door.memory.forget()
    return RedirectResponse(f"{PEOPLE}/{person_id}?said={said}#said", 303)


def number(given: dict[str, str], name: str) -> int:
    """A number in a form; raise ``Problem('body')`` for anything else."""
    text = given.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 10:
        raise Problem("body", 400, name=name, value=text[:20])
    return int(text)


async def person_page(door: Door, request: Request, person_id: int, wrong: Problem | None = None) -> Response:
    """The page of one person, with what was wrong."""
    who = rights.require("people")
    at = door.wall()
    async with door.service.database.connection() as connection:
        found = await people.person(connection, person_id) if 0 < person_id < 2**31 else None
        if found is None:
            raise Problem("person", 404, name=person_id)
        roles = await people.memberships(connection, person_ids=[person_id])
        whole = await people.manages(connection, person_id)
        heirs = await people.people(connection, limit=PEOPLE_MAX)
        towns = await people.towns(connection)
        region = await people.manages_region(connection)
    said = request.query_params.get("said")
    return door.site.page(
        request,
        "person.html",
        wrong.status if wrong else 200,
        person=found,
        roles=[role for role in roles if role.valid_to is None or role.valid_to > at],
        whole=whole and found.person_id != who.person_id and found.disabled_at is None,
        erasable=whole and found.person_id != who.person_id and not found.break_glass,
        own=found.person_id == who.person_id,
        heirs=[row for row in heirs if row.disabled_at is None and row.person_id != person_id and not row.break_glass],
        towns=towns,
        region=region,
        known_roles=list(ROLES),
        regional=REGIONAL,
        said=said if said in SAID else None,
        wrong=wrong and details(door.service, request, wrong),
    )
