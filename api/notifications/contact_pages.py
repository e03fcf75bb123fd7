"""The pages about whom to tell: everybody at a glance, the form of a target, and who is on call."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting, rights
from api.alert_pages import counted
from api.notifications import contacts as keeping
from api.notifications import telephone_pages
from api.notifications.contact_routes import Number
from api.notifications.contacts import TargetBody, TurnBody
from api.problems import Problem, ProblemDetails
from api.rulebook import forms
from api.site import Site
from kraj.alerts import Severity
from kraj.store import contacts, rulebook, telephones
from kraj.store.queries import folded

SAID = frozenset({"target", "dropped", "test", "tested", "turn"})
TOLD = frozenset({"on", "off", "test"})
"""Of one's own telephones."""
TURN_LASTS = timedelta(days=7)
"""What the form proposes."""
FIELDS = ("municipality", "name", "severity_min", "quiet_from", "quiet_to", "digest_at", "language")


def routes(site: Site, push_key: str | None = None) -> APIRouter:
    """Every page about whom to tell; ``push_key`` is public, by which browsers know us."""
    router = APIRouter(prefix="/notifications", default_response_class=HTMLResponse, dependencies=[counted(site)])
    _add_targets(router, site, push_key)
    router.include_router(telephone_pages.routes(site, enabled=push_key is not None))
    _add_turns(router, site)
    return router


def _add_targets(router: APIRouter, site: Site, push_key: str | None) -> None:
    service = site.service

    @router.get("")
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _overview(site, request, push_key=push_key)

    @router.get("/targets/new")
    async def new(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _form(
            site, request, dict.fromkeys((*FIELDS, "webhook"), "") | {"severity_min": "minor", "enabled": "yes"}
        )

    @router.get("/targets/{number}")
    async def target(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _form(site, request, await _fields(site, number), number=number)

    @router.post("/targets")
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, None)

    @router.post("/targets/{number}")
    async def change(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _write(site, request, number)

    @router.post("/targets/{number}/drop")
    async def drop(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        await keeping.drop(service, number)
        return RedirectResponse("/notifications?said=dropped", 303)

    @router.post("/targets/{number}/secret")
    async def renew(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with service.database.connection(write=True) as connection:
            name = (await keeping.known(connection, number)).name
            written = await keeping.renew(connection, number)
        return _secret(site, request, name, written.secret or "")

    @router.post("/targets/{number}/test")
    async def test(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with service.database.connection(write=True) as connection:
            await keeping.test(connection, number, service.clock())
        return RedirectResponse("/notifications?said=test", 303)


def _add_turns(router: APIRouter, site: Site) -> None:
    @router.post("/turns")
    async def put_on_call(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            body = {
                "target_id": given.get("target_id", ""),
                "municipality": given.get("municipality") or None,
                "place": given.get("place", ""),
                "escalate_after_min": given.get("escalate_after_min", ""),
                "valid_from": forms.moment(given.get("valid_from", ""), "valid_from", site.zone),
                "valid_to": forms.moment(given.get("valid_to", ""), "valid_to", site.zone),
            }
            turn = forms.checked(TurnBody, body)
            async with site.service.database.connection(write=True) as connection:
                await keeping.put_on_call(connection, turn, site.service.clock())
        except Problem as problem:
            return await _overview(site, request, given, forms.told(site.service, request, problem))
        return RedirectResponse("/notifications?said=turn", 303)

    @router.post("/turns/{number}/drop")
    async def take_off(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        await keeping.take_off(site.service, number)
        return RedirectResponse("/notifications?said=dropped", 303)


async def _overview(
    site: Site,
    request: Request,
    given: dict[str, str] | None = None,
    wrong: ProblemDetails | None = None,
    push_key: str | None = None,
) -> Response:
    at = site.service.clock()
    who = rights.signed_in()
    async with site.service.database.connection() as connection:
        towns = await rulebook.towns(connection)
        region = await rulebook.may(connection, "rules", None)
        targets = await contacts.targets(connection)
        turns = await contacts.turns(connection, at)
        own = await telephones.telephones(connection, who.person_id)
    begin = at.replace(minute=0, second=0, microsecond=0)
    proposed = {
        "valid_from": forms.local(begin, site.zone),
        "valid_to": forms.local(begin + TURN_LASTS, site.zone),
        "target_id": "",
        "municipality": "",
        "place": "1",
        "escalate_after_min": "15",
    }
    said = request.query_params.get("said", "")
    if said == "test" and not any(row.test_waits for row in targets):
        said = "tested"
    return site.page(
        request,
        "notifications.html",
        200 if wrong is None else wrong.status,
        targets=sorted(targets, key=lambda row: (row.municipality is not None, row.municipality or "", row.name)),
        turns=sorted(turns, key=lambda row: (row.valid_from, row.place)),
        towns=sorted((row for row in towns if row.writable), key=lambda row: folded(row.title)),
        region=region,
        fields=proposed | (given or {}),
        wrong=wrong,
        said=said if said in SAID else None,
        telephones=own,
        push_key=push_key,
        severities=list(Severity),
        told=told if (told := request.query_params.get("telephone", "")) in TOLD else None,
    )


async def _fields(site: Site, number: int) -> dict[str, str]:
    async with site.service.database.connection() as connection:
        row = await keeping.known(connection, number)
    found: dict[str, Any] = {name: getattr(row, name) for name in FIELDS}
    for name in ("quiet_from", "quiet_to", "digest_at"):
        found[name] = found[name] and found[name].strftime("%H:%M")
    return {name: value or "" for name, value in found.items()} | {
        "enabled": "yes" if row.enabled else "",
        "webhook": "yes" if row.webhook else "",
    }


async def _form(
    site: Site,
    request: Request,
    fields: dict[str, str],
    *,
    number: int | None = None,
    wrong: ProblemDetails | None = None,
    email: str = "",
) -> Response:
    async with site.service.database.connection() as connection:
        towns = [row for row in await rulebook.towns(connection) if row.writable]
        region = await rulebook.may(connection, "rules", None)
    return site.page(
        request,
        "target.html",
        200 if wrong is None else wrong.status,
        row_id=number,
        fields=fields,
        towns=sorted(towns, key=lambda row: folded(row.title)),
        region=region,
        severities=list(Severity),
        wrong=wrong,
        mails=site.service.mails,
        email=email,
        url_max=keeping.URL_CHARS_MAX,
    )


async def _write(site: Site, request: Request, number: int | None) -> Response:
    given = await forms.read(request)
    fields = {name: given.get(name, "") for name in (*FIELDS, "enabled", "webhook")}
    try:
        body: dict[str, Any] = {
            **{name: fields[name] for name in FIELDS},
            "municipality": fields["municipality"] or None,
            "url": given.get("email", "").strip() or given.get("url", "").strip() or None,
            "enabled": fields["enabled"] == "yes",
            **{name: forms.clock(fields[name], name) for name in ("quiet_from", "quiet_to", "digest_at")},
        }
        wanted = forms.checked(TargetBody, body)
        async with site.service.database.connection(write=True) as connection:
            written = await keeping.write(connection, number, wanted, mails=site.service.mails)
    except Problem as problem:
        wrong = forms.told(site.service, request, problem)
        return await _form(site, request, fields, number=number, wrong=wrong, email=given.get("email", ""))
    if written.secret is not None:
        return _secret(site, request, wanted.name, written.secret)
    return RedirectResponse("/notifications?said=target", 303)


def _secret(site: Site, request: Request, name: str, secret: str) -> Response:
    """The secret stands on the answer itself: it is shown once and in no address."""
    return site.page(request, "webhook_secret.html", called=name, secret=secret)
