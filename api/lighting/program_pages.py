"""The page on which a program is written: plans and steps as a form, and the night that they make."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from api import acting
from api.acting import NAME_CHARS_MAX
from api.alert_pages import counted
from api.language import choose
from api.lighting import bodies, drawing, forms, shown, wording, work
from api.lighting.forms import Form, Mistake, PlanFields
from api.lighting.pages import evening_of
from api.lighting.preview import Preview
from api.lighting.routes import ProgramId
from api.problems import Problem, ProblemDetails
from api.registry import exchange
from api.rulebook import forms as simple
from api.site import Site
from kraj.dimming import DAYS, PLANS_MAX, STEPS_MAX
from kraj.store.queries import lighting
from kraj.store.queries.lighting import ProgramRow

NEW: dict[str, Any] = {
    "plans": [
        {
            "steps": [
                {"at": "22:00", "level_pct": 75, "ramp_s": 60},
                {"at": "23:30", "level_pct": 50, "ramp_s": 60},
                {"at": "5:00", "level_pct": 100, "ramp_s": 60},
            ]
        }
    ]
}
"""What the form proposes."""


def routes(site: Site) -> APIRouter:
    """A new program, and one that is kept."""
    router = APIRouter(prefix="/lighting/programs", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/new")
    async def new(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {"municipality": request.query_params.get("municipality", "")}
        return await _form(site, request, None, forms.fields("", NEW), given)

    @router.get("/{program_id}")
    async def program(request: Request, program_id: ProgramId) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            row = await work.program(connection, program_id)
        return await _form(site, request, row, forms.fields(row.name, row.document), {"version": str(row.version)})

    @router.post("")
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, None)

    @router.post("/{program_id}")
    async def change(request: Request, program_id: ProgramId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, program_id)

    @router.post("/{program_id}/drop")
    async def drop(request: Request, program_id: ProgramId) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection(write=True) as connection:
            row = await work.program(connection, program_id, writing=True)
            await work.drop_program(connection, row, row.version)
        return RedirectResponse("/lighting?said=dropped", 303)

    return router


async def _write(site: Site, request: Request, number: int | None) -> Response:
    given = await forms.read(request)
    document = forms.document(given)
    name = given.get("name", "").strip()
    row: ProgramRow | None = None
    try:
        async with site.service.database.connection(write=True) as connection:
            if number is not None:
                row = await work.program(connection, number, writing=True)
            work.readable(document)
            if given.get("do") == "save":
                fields = {"name": name, "document": document}
                if row is None:
                    town = {"municipality": given.get("municipality", "")}
                    body = simple.checked(bodies.ProgramBody, {**fields, **town})
                    await work.add_program(connection, body, site.service.clock())
                else:
                    if given.get("version") != str(row.version):
                        raise exchange.changed()
                    change = simple.checked(bodies.ProgramChange, fields)
                    await work.change_program(connection, row, change, row.version, site.service.clock())
                return RedirectResponse("/lighting?said=program", 303)
    except Problem as problem:
        wrong = forms.told(site.service, request, problem)
        return await _form(site, request, row, forms.fields(name, document), given, wrong=wrong)
    return await _form(site, request, row, forms.fields(name, document), given)


async def _form(
    site: Site,
    request: Request,
    row: ProgramRow | None,
    form: Form,
    given: dict[str, str],
    *,
    wrong: ProblemDetails | None = None,
) -> Response:
    today = site.service.clock().astimezone(site.zone).date()
    text = given.get("evening", "")
    try:
        evening = simple.checked(bodies.PreviewBody, {"evening": text}).evening if text else evening_of(request, today)
    except Problem:
        evening = today
    night: Preview | None = None
    async with site.service.database.connection() as connection:
        towns = [town for town in await lighting.towns(connection) if town.controls]
        if wrong is None:
            document = row.document if row is not None and not given.get("do") else forms.document(given)
            if not given.get("do") and row is None:
                document = NEW
            town = row.municipality if row is not None else given.get("municipality") or None
            body = {"document": document, "evening": evening, "municipality": town}
            night = await work.night(connection, simple.checked(bodies.PreviewBody, body), today)
        following = []
        if row is not None:
            following = await lighting.segments(connection, program=row.dimming_program_id, after=0, limit=100)
    say = site.service.texts[choose(request)]
    picture = None
    if night is not None:
        words = shown.words(night, evening, say) | {"description": shown.hours(night, say)}
        picture = Markup(drawing.svg(night.night, 0, site.zone, words, alone=False))  # noqa: S704 - made by us
    mistake = Mistake() if wrong is None else forms.mistake(wrong.detail)
    return site.page(
        request,
        "program.html",
        200 if wrong is None else wrong.status,
        row=row,
        form=form,
        given=given,
        towns=towns,
        following=following,
        days=DAYS,
        spare_plan=PlanFields() if len(form.plans) < PLANS_MAX else None,
        spare_steps=forms.SPARE_STEPS,
        steps_max=STEPS_MAX,
        name_max=NAME_CHARS_MAX,
        evening=evening,
        picture=picture,
        described=None if night is None else shown.hours(night, say),
        night_rows=[] if night is None else drawing.rows(night.night, site.zone),
        wrong=wrong and wording.told(wrong, say),
        mistake=mistake,
    )
