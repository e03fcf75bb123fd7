"""The pages of orders: what was ordered, how far it is, and the emergency, which asks before it lights."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import acting
from api.alert_pages import counted
from api.lighting import bodies, forms, ordering
from api.lighting.order_routes import NEWEST, OrderId
from api.lighting.pages import said
from api.problems import Problem, ProblemDetails
from api.rulebook import forms as simple
from api.site import Site
from kraj.commands import CommandState
from kraj.store import commands
from kraj.store.queries import lighting

ORDERS_MAX, COMMANDS_MAX = 100, 200
HOURS = (1, 2, 4, 8, 12, 24, 72)
REGION = "@region"
"""How the form names the region, so that a field that is missing never means all of it."""


def routes(site: Site) -> APIRouter:
    """Orders and the emergency."""
    router = APIRouter(prefix="/lighting", default_response_class=HTMLResponse, dependencies=[counted(site)])

    @router.get("/orders")
    async def orders(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            rows = await commands.orders(connection, municipality=None, open_at=None, before=NEWEST, limit=ORDERS_MAX)
        at = site.service.clock()
        held = [row.ended_at is None and row.valid_until > at for row in rows]
        listed = list(zip(rows, held, strict=True))
        return site.page(request, "light_orders.html", rows=listed, states=list(CommandState), said=said(request))

    @router.get("/orders/{order_id}")
    async def order(request: Request, order_id: OrderId) -> Response:  # pyright: ignore[reportUnusedFunction]
        async with site.service.database.connection() as connection:
            row = await ordering.order(connection, order_id)
            told = await commands.commands(connection, order_id=order_id, limit=COMMANDS_MAX)
        over = row.ended_at is not None or row.valid_until <= site.service.clock()
        return site.page(request, "light_order.html", row=row, commands=told, over=over, states=list(CommandState))

    @router.post("/orders/{order_id}/end")
    async def end(request: Request, order_id: OrderId) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        async with site.service.database.connection(write=True) as connection:
            await ordering.end(connection, order_id, site.service.clock())
        return RedirectResponse("/lighting/orders?said=ended", 303)

    @router.get("/emergency")
    async def emergency(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        fields = {"municipality": request.query_params.get("municipality", ""), "hours": "2", "reason": ""}
        return await _emergency(site, request, fields)

    @router.post("/emergency")
    async def declare(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _declare(site, request)

    return router


async def _declare(site: Site, request: Request) -> Response:
    given = await simple.read(request)
    at = site.service.clock()
    try:
        hours = given.get("hours", "")
        if hours not in {str(one) for one in HOURS}:
            raise Problem("body", 400, name="hours", value=repr(hours[:20]))
        fields: dict[str, Any] = {"until": at + timedelta(hours=int(hours)), "reason": given.get("reason", "")}
        town = given.get("municipality", "")
        if town != REGION:
            fields["municipality"] = town
        body = simple.checked(bodies.EmergencyBody, fields)
        if given.get("confirm") == "yes":
            async with site.service.database.connection(write=True) as connection:
                made = await ordering.emergency(connection, body, at)
            return RedirectResponse(f"/lighting/orders/{made.order_id}", 303)
        async with site.service.database.connection() as connection:
            whom = await ordering.scope(connection, body, ("control",), regional=True)
            reached = await commands.targets(connection, whom)
            locks = await commands.locks_over(connection, whom)
    except Problem as problem:
        return await _emergency(site, request, given, wrong=forms.told(site.service, request, problem))
    return await _emergency(site, request, given, reached=reached, locks=locks)


async def _emergency(
    site: Site,
    request: Request,
    fields: dict[str, str],
    *,
    wrong: ProblemDetails | None = None,
    reached: commands.Targets | None = None,
    locks: list[tuple[str, str, str]] | None = None,
) -> Response:
    async with site.service.database.connection() as connection:
        towns = [town for town in await lighting.towns(connection) if town.controls]
        regional = await lighting.may(connection, "control", municipality_id=None, group_id=None, asset_id=None)
    return site.page(
        request,
        "emergency.html",
        200 if wrong is None else wrong.status,
        fields=fields,
        towns=towns,
        regional=regional,
        chosen=next((town.title for town in towns if town.name == fields.get("municipality")), None),
        hours=HOURS,
        region=REGION,
        reached=reached,
        locks=locks or [],
        wrong=wrong,
        note_max=acting.NOTE_CHARS_MAX,
    )
