"""The pages on which a rule is written or changed, tried, and switched on when its verdict is known."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting
from api.alert_pages import counted
from api.alert_schemas import title
from api.language import choose
from api.problems import Problem, ProblemDetails
from api.rulebook import examples, failing, forms, keeping
from api.rulebook.bodies import TEXT_MAX, OffBody, TrialBody
from api.rulebook.routes import Number, shown
from api.rulebook.saying import parts
from api.rulebook.trials import Trials
from api.site import Site
from api.told import titles
from kraj.store import rulebook
from kraj.store.queries import folded
from rules.catalogue.pointing import Mistake
from rules.rule import Rule

POLL_MS = 1500


def routes(site: Site, running: Trials) -> APIRouter:
    """Own rules, other thresholds, and trials."""
    router = APIRouter(prefix="/rules", default_response_class=HTMLResponse, dependencies=[counted(site)])
    _add_own(router, site, running)
    _add_changed(router, site, running)
    _add_trials(router, site)
    failing.add_pages(router, site)
    return router


def _add_own(router: APIRouter, site: Site, running: Trials) -> None:
    @router.get("/own/new")
    async def new(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        fields = {"municipality": request.query_params.get("municipality", ""), "text": examples.TEXT}
        return await _own_form(site, request, fields)

    @router.get("/own/{number}")
    async def own(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        row = await _row(site, number)
        return await _own_form(site, request, {"municipality": row.municipality, "text": row.text}, row=row)

    @router.post("/own")
    async def propose(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _propose_own(site, running, request, None)

    @router.post("/own/{number}")
    async def change(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _propose_own(site, running, request, await _row(site, number))

    @router.post("/own/{number}/off")
    async def off(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        town = (await _row(site, number)).municipality
        async with site.service.database.connection(write=True) as connection:
            await keeping.custom_off(connection, number, town, site.service.clock())
        return RedirectResponse("/rules?said=off", 303)

    @router.post("/own/{number}/drop")
    async def drop(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        await keeping.drop(site.service, "custom_rule", number, (await _row(site, number)).municipality)
        return RedirectResponse("/rules?said=dropped", 303)


async def _row(site: Site, number: int) -> rulebook.CustomRow:
    async with site.service.database.connection() as connection:
        row = await rulebook.custom_rule(connection, number)
    if row is None:
        raise Problem("number", 404, name=number)
    return row


async def _propose_own(site: Site, running: Trials, request: Request, row: rulebook.CustomRow | None) -> Response:
    given = await forms.read(request)
    fields = {"municipality": given.get("municipality", ""), "text": given.get("text", "")}
    _, mistake = keeping.wrong(fields["text"])
    if mistake is not None:
        return await _own_form(site, request, fields, row=row, mistake=mistake)
    try:
        body = forms.checked(TrialBody, {**fields, "custom_rule_id": row and row.custom_rule_id})
        number = await keeping.proposed(site.service, running, body)
    except Problem as problem:
        return await _own_form(site, request, fields, row=row, wrong=forms.told(site.service, request, problem))
    return RedirectResponse(f"/rules/trials/{number}", 303)


async def _own_form(
    site: Site,
    request: Request,
    fields: dict[str, str],
    *,
    row: rulebook.CustomRow | None = None,
    mistake: Mistake | None = None,
    wrong: ProblemDetails | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        towns = [town for town in await rulebook.towns(connection) if town.writable]
    line = ""
    if mistake is not None and mistake.line is not None:
        line = (fields["text"].split("\n") + [""] * mistake.line)[mistake.line - 1]
    return site.page(
        request,
        "own_rule.html",
        400 if mistake is not None else 200 if wrong is None else wrong.status,
        row=row,
        fields=fields,
        towns=sorted(towns, key=lambda town: folded(town.title)),
        mistake=mistake,
        told=parts(mistake, site.service.texts[choose(request)]) if mistake is not None else [],
        line=line,
        wrong=wrong,
        names=titles,
        text_max=TEXT_MAX,
    )


def _add_changed(router: APIRouter, site: Site, running: Trials) -> None:
    @router.get("/change")
    async def change(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        fields = {name: request.query_params.get(name, "") for name in ("municipality", "rule", "group_id", "reason")}
        return await _change_form(site, request, fields)

    @router.post("/change")
    async def propose(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        common = {"municipality": given.get("municipality", ""), "rule": given.get("rule", "")}
        common |= {"group_id": given.get("group_id") or None, "reason": given.get("reason", "")}
        try:
            if given.get("do") == "off":
                wish = forms.checked(OffBody, common)
                async with site.service.database.connection(write=True) as connection:
                    await keeping.switch_off(connection, wish, site.service.clock())
                return RedirectResponse("/rules?said=off", 303)
            numbers = {
                name.removeprefix("t."): value.replace(",", ".").replace(" ", "")
                for name, value in given.items()
                if name.startswith("t.") and value.strip()
            }
            body = forms.checked(TrialBody, {**common, "thresholds": numbers})
            number = await keeping.proposed(site.service, running, body)
        except Problem as problem:
            wrong = forms.told(site.service, request, problem)
            return await _change_form(site, request, given, wrong=wrong)
        return RedirectResponse(f"/rules/trials/{number}", 303)

    @router.post("/changed/{number}/drop")
    async def drop(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection() as connection:
            row = await rulebook.override(connection, number)
        if row is None:
            raise Problem("number", 404, name=number)
        await keeping.drop(site.service, "rule_override", number, row.municipality)
        return RedirectResponse("/rules?said=dropped", 303)


async def _change_form(
    site: Site, request: Request, fields: dict[str, str], *, wrong: ProblemDetails | None = None
) -> Response:
    async with site.service.database.connection() as connection:
        towns = [town for town in await rulebook.towns(connection) if town.writable]
        chosen = next((town for town in towns if town.name == fields.get("municipality")), None)
        own = {} if chosen is None else await keeping.own_rules(connection, chosen.name)
        groups = [] if chosen is None else await rulebook.groups(connection)
        said = (
            []
            if chosen is None
            else await rulebook.overrides(connection, municipality=chosen.name, after=0, limit=rulebook.LISTED_MAX)
        )
    known: dict[str, Rule] = {**keeping.known_rules(), **{name: rule for name, (rule, _) in own.items()}}
    rule = None if chosen is None else known.get(fields.get("rule", ""))
    group_id = fields.get("group_id") or None
    before: dict[str, Any] = {}
    for one in said:
        if rule is not None and one.rule == rule.name and str(one.group_id or "") == (group_id or ""):
            before = one.thresholds
    language = choose(request)
    return site.page(
        request,
        "change_rule.html",
        200 if wrong is None else wrong.status,
        fields=fields,
        towns=sorted(towns, key=lambda town: folded(town.title)),
        chosen=chosen,
        rules=sorted(((name, title(one, language)) for name, one in known.items()), key=lambda pair: folded(pair[1])),
        rule=rule,
        rule_title=rule and title(rule, language),
        groups=[group for group in groups if chosen is not None and group.municipality == chosen.name],
        before=before,
        wrong=wrong,
        note_max=acting.NOTE_CHARS_MAX,
    )


def _add_trials(router: APIRouter, site: Site) -> None:
    @router.get("/trials/{number}")
    async def trial(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _trial(site, request, number)

    @router.post("/trials/{number}/adopt")
    async def adopt(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            async with site.service.database.connection(write=True) as connection:
                await keeping.adopt(connection, number, site.service.clock(), confirm=given.get("confirm") == "yes")
        except Problem as problem:
            return await _trial(site, request, number, wrong=forms.told(site.service, request, problem))
        return RedirectResponse("/rules?said=on", 303)


async def _trial(site: Site, request: Request, number: int, *, wrong: ProblemDetails | None = None) -> Response:
    language = choose(request)
    found = await shown(site.service, number, language)
    async with site.service.database.connection() as connection:
        towns = {town.name: town.title for town in await rulebook.towns(connection)}
    text = found.proposal.get("text")
    known, _ = (None, None) if text is None else keeping.wrong(text)
    rule = known or keeping.known_rules().get(found.proposal.get("rule", ""))
    return site.page(
        request,
        "trial.html",
        200 if wrong is None else wrong.status,
        trial=found,
        town=towns.get(found.municipality, found.municipality),
        rule_title=title(rule, language) if rule is not None else found.proposal.get("rule", ""),
        wrong=wrong,
        poll_ms=POLL_MS,
    )
