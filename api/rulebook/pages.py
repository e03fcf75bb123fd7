"""The pages of the rulebook: everything at a glance, and the form of a maintenance window."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting
from api.alert_pages import counted
from api.alert_schemas import title
from api.language import choose
from api.problems import Problem, ProblemDetails
from api.rulebook import forms, keeping
from api.rulebook.bodies import SCOPES, WindowBody
from api.rulebook.routes import Number
from api.site import Site
from kraj.store import rulebook
from kraj.store.queries import folded

SAID = frozenset({"window", "dropped", "off", "on", "retried"})
WINDOW_LASTS = timedelta(hours=8)
"""What the form proposes."""


def routes(site: Site) -> APIRouter:
    """The overview and the windows."""
    router = APIRouter(prefix="/rules", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("")
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _overview(site, request)

    @router.get("/windows/new")
    async def new(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        at = site.service.clock()
        fields = {
            "municipality": request.query_params.get("municipality", ""),
            "scope_type": request.query_params.get("scope_type", "municipality"),
            "scope_name": request.query_params.get("scope_name", ""),
            "valid_from": forms.local(at, site.zone),
            "valid_to": forms.local(at + WINDOW_LASTS, site.zone),
            "reason": "",
        }
        return await _window_form(site, request, fields)

    @router.get("/windows/{window_id}")
    async def window(request: Request, window_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _window_form(site, request, await _fields(site, window_id), number=window_id)

    @router.post("/windows")
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, None)

    @router.post("/windows/{window_id}")
    async def change(request: Request, window_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, window_id)

    @router.post("/windows/{window_id}/drop")
    async def drop(request: Request, window_id: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        fields = await _fields(site, window_id)
        await keeping.drop(site.service, "maintenance_window", window_id, fields["municipality"])
        return RedirectResponse("/rules?said=dropped", 303)

    return router


async def _overview(site: Site, request: Request) -> Response:
    at = site.service.clock()
    language = choose(request)
    chosen = request.query_params.get("municipality", "").replace("\0", "") or None
    most = rulebook.LISTED_MAX
    async with site.service.database.connection() as connection:
        towns = await rulebook.towns(connection)
        windows = await rulebook.windows(connection, municipality=chosen, ended_before=at, after=0, limit=most)
        overrides = await rulebook.overrides(connection, municipality=chosen, after=0, limit=most)
        own = await rulebook.custom_rules(connection, municipality=chosen, after=0, limit=most)
        failures = await rulebook.failures(connection)
    rules = keeping.known_rules()
    said = request.query_params.get("said", "")
    return site.page(
        request,
        "rulebook.html",
        towns=sorted(towns, key=lambda row: folded(row.title)),
        chosen=chosen,
        writable=any(row.writable for row in towns),
        windows=sorted(windows, key=lambda row: row.valid_from),
        overrides=overrides,
        own=own,
        failures=[row for row in failures if chosen in {None, row.municipality} or row.municipality is None],
        titles={name: title(rule, language) for name, rule in rules.items()},
        rules=sorted(rules.values(), key=lambda rule: (rule.kinds, -rule.severity.rank, rule.name)),
        said=said if said in SAID else None,
    )


async def _fields(site: Site, number: int) -> dict[str, str]:
    async with site.service.database.connection() as connection:
        row = await rulebook.window(connection, number)
    if row is None:
        raise Problem("window", 404, name=number)
    return {
        "municipality": row.municipality,
        "scope_type": row.scope_type,
        "scope_name": row.label or ("" if row.scope_type == "municipality" else row.scope_name),
        "valid_from": forms.local(row.valid_from, site.zone),
        "valid_to": forms.local(row.valid_to, site.zone),
        "reason": row.reason,
    }


async def _window_form(
    site: Site,
    request: Request,
    fields: dict[str, str],
    *,
    number: int | None = None,
    wrong: ProblemDetails | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        towns = [row for row in await rulebook.towns(connection) if row.writable]
    return site.page(
        request,
        "window.html",
        200 if wrong is None else wrong.status,
        row_id=number,
        fields=fields,
        towns=sorted(towns, key=lambda row: folded(row.title)),
        scopes=SCOPES,
        wrong=wrong,
        note_max=acting.NOTE_CHARS_MAX,
    )


async def _write(site: Site, request: Request, number: int | None) -> Response:
    given = await forms.read(request)
    names = ("municipality", "scope_type", "scope_name", "valid_from", "valid_to", "reason")
    fields = {name: given.get(name, "") for name in names}
    try:
        body: dict[str, Any] = {
            **fields,
            "valid_from": forms.moment(fields["valid_from"], "valid_from", site.zone),
            "valid_to": forms.moment(fields["valid_to"], "valid_to", site.zone),
        }
        window = forms.checked(WindowBody, body)
        async with site.service.database.connection(write=True) as connection:
            await keeping.write_window(connection, number, window, site.service.clock())
    except Problem as problem:
        wrong = forms.told(site.service, request, problem)
        return await _window_form(site, request, fields, number=number, wrong=wrong)
    return RedirectResponse("/rules?said=window", 303)
