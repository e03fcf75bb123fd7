"""The pages of teams with their members, and of grants by which a municipality lets others at its assets."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting, rights
from api.alert_pages import counted
from api.database import Connection
from api.door import bodies, team_routes
from api.door.door import Door
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.rulebook import forms
from kraj.people import GRANTABLE
from kraj.store import people, queries, teams
from kraj.store.people import PersonRow

TEAMS, GRANTS = "/teams", "/grants"
LISTED_MAX = 500
TICKED = "member."
"""Before the number of a person whose box is ticked."""
SAID = frozenset({"made", "changed", "ended"})


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(door.site)])
    _add_teams(router, door)
    _add_team(router, door)
    _add_grants(router, door)
    return router


def _add_teams(router: APIRouter, door: Door) -> None:
    @router.get(TEAMS)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _teams(door, request)

    @router.post(TEAMS)
    async def make(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        wish = {"name": given.get("name", ""), "municipality": given.get("municipality") or None}
        try:
            body = forms.checked(bodies.TeamBody, {**wish, "members": sorted(_ticked(given))})
            async with door.service.database.connection(write=True) as connection:
                team_id = await team_routes.make_team(connection, body)
        except Problem as problem:
            return await _teams(door, request, given, forms.told(door.service, request, problem))
        door.memory.forget()
        return RedirectResponse(f"{TEAMS}/{team_id}?said=made#said", 303)


def _add_team(router: APIRouter, door: Door) -> None:
    @router.get(f"{TEAMS}/{{team_id}}")
    async def one(request: Request, team_id: team_routes.Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("people")
        async with door.service.database.connection() as connection:
            team = await _known(connection, team_id)
            found = await _people(connection)
        shown = [row for row in found if row.disabled_at is None or row.person_id in team.members]
        return door.site.page(request, "team.html", team=team, people=shown, said=_said(request))

    @router.post(f"{TEAMS}/{{team_id}}")
    async def change(request: Request, team_id: team_routes.Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("people")
        given = await forms.read(request)
        async with door.service.database.connection(write=True) as connection:
            team = await _known(connection, team_id)
            mine = {row.person_id for row in await _people(connection)}
            wanted = _ticked(given) & mine
            if not await teams.change_members(
                connection, team_id, _version(given, team.version), add=wanted, remove=mine - wanted
            ):
                raise exchange.changed()
        door.memory.forget()
        return RedirectResponse(f"{TEAMS}/{team_id}?said=changed#said", 303)

    @router.post(f"{TEAMS}/{{team_id}}/end")
    async def end(request: Request, team_id: team_routes.Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("people")
        given = await forms.read(request)
        async with door.service.database.connection(write=True) as connection:
            team = await _known(connection, team_id)
            if not await teams.end_team(connection, team_id, _version(given, team.version)):
                raise exchange.changed()
        door.memory.forget()
        return RedirectResponse(f"{TEAMS}?said=ended#said", 303)


def _add_grants(router: APIRouter, door: Door) -> None:
    @router.get(GRANTS)
    async def listed(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _grants(door, request)

    @router.post(GRANTS)
    async def give(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            body = forms.checked(bodies.GrantBody, _wish(door, given))
            async with door.service.database.connection(write=True) as connection:
                await team_routes.give_grant(connection, body)
        except Problem as problem:
            return await _grants(door, request, given, forms.told(door.service, request, problem))
        door.memory.forget()
        return RedirectResponse(f"{GRANTS}?said=made#said", 303)

    @router.post(f"{GRANTS}/{{grant_id}}/end")
    async def end(request: Request, grant_id: team_routes.Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.require("people")
        given = await forms.read(request)
        async with door.service.database.connection(write=True) as connection:
            found = await teams.grant(connection, grant_id)
            if found is None:
                raise Problem("grant", 404, name=grant_id)
            if not await teams.end_grant(connection, grant_id, _version(given, found.version)):
                raise exchange.changed()
        door.memory.forget()
        return RedirectResponse(f"{GRANTS}?said=ended#said", 303)


async def _teams(
    door: Door, request: Request, given: Mapping[str, str] | None = None, wrong: ProblemDetails | None = None
) -> Response:
    rights.require("people")
    async with door.service.database.connection() as connection:
        found = await teams.teams(connection, limit=LISTED_MAX)
        everybody = await _people(connection)
        towns = await people.towns(connection)
        region = await people.manages_region(connection)
    return door.site.page(
        request,
        "teams.html",
        wrong.status if wrong else 200,
        teams=[row for row in found if row.ended_at is None],
        titles={row.person_id: row.title for row in everybody},
        people=[row for row in everybody if row.disabled_at is None],
        towns=towns,
        region=region,
        given=given or {},
        ticked=_ticked(given or {}),
        wrong=wrong,
        said=_said(request),
    )


async def _grants(
    door: Door, request: Request, given: Mapping[str, str] | None = None, wrong: ProblemDetails | None = None
) -> Response:
    rights.require("people")
    at = door.wall()
    async with door.service.database.connection() as connection:
        found = await teams.grants(connection, limit=LISTED_MAX)
        everybody = await _people(connection)
        crews = await teams.teams(connection, limit=LISTED_MAX)
        towns = await people.towns(connection)
        groups = await queries.groups(connection, municipality=None, kind=None, after=0, limit=LISTED_MAX)
    titles = {town.name: town.title for town in towns}
    return door.site.page(
        request,
        "grants.html",
        wrong.status if wrong else 200,
        valid=[row for row in found if row.valid_to is None or row.valid_to > at],
        over=[row for row in found if row.valid_to is not None and row.valid_to <= at],
        towns=towns,
        town_titles=titles,
        people=[row for row in everybody if row.disabled_at is None],
        person_titles={row.person_id: row.title for row in everybody},
        teams=[row for row in crews if row.ended_at is None],
        team_names={row.team_id: row.name for row in crews},
        groups=[row for row in groups if row.municipality in titles],
        group_names={row.group_id: row.name for row in groups},
        grantable=GRANTABLE,
        given=given or {"right.read": "1"},
        wrong=wrong,
        said=_said(request),
        note_max=acting.NOTE_CHARS_MAX,
    )


def _wish(door: Door, given: Mapping[str, str]) -> dict[str, Any]:
    """A grant as the API takes it; a day means all of it."""
    kind, _, number = given.get("whom", "").partition(".")
    day = given.get("until", "").strip()
    return {
        "municipality": given.get("municipality", ""),
        "person_id": number if kind == "person" else None,
        "team_id": number if kind == "team" else None,
        "to_region": kind == "region",
        "group_id": given.get("group") or None,
        "rights": [right for right in GRANTABLE if given.get(f"right.{right}")],
        "valid_to": acting.end_of_day(day, door.site.zone) if day else None,
        "reason": given.get("reason", ""),
    }


async def _people(connection: Connection) -> list[PersonRow]:
    return sorted(await people.people(connection, limit=LISTED_MAX), key=lambda row: row.title)


async def _known(connection: Connection, team_id: int) -> teams.TeamRow:
    found = await teams.team(connection, team_id)
    if found is None:
        raise Problem("team", 404, name=team_id)
    return found


def _ticked(given: Mapping[str, str]) -> set[int]:
    numbers = [name.removeprefix(TICKED) for name in given if name.startswith(TICKED)]
    return {int(one) for one in numbers if one.isascii() and one.isdecimal() and len(one) < 10}


def _version(given: Mapping[str, str], version: int) -> int:
    if given.get("version") != str(version):
        raise exchange.changed()
    return version


def _said(request: Request) -> str | None:
    said = request.query_params.get("said")
    return said if said in SAID else None
