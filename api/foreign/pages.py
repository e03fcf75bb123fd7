"""Pages on which people see whether their devices are understood: raw message, reading, verdict; and a trial."""

import json
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api import acting
from api.foreign import bodies, devices, trying
from api.language import choose
from api.registry import exchange
from api.site import Site
from kraj.foreign.records import Adapter
from kraj.store import foreign

SHOWN = 50


def routes(site: Site) -> APIRouter:
    """The pages."""
    router = APIRouter()

    @router.get("/foreign")
    async def live(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        device = request.query_params.get("device", "")[:63].replace("\0", "") or None
        async with site.service.database.connection() as connection:
            rows = await foreign.messages(connection, device=device, limit=SHOWN)
            known = await foreign.devices(connection, limit=devices.LISTED_MAX)
        found = [devices.message(row, choose(request)) for row in rows]
        return site.page(request, "foreign.html", messages=found, devices=known, device=device)

    @router.get("/foreign/try")
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _form(site, request, Adapter.JSON, json.dumps(bodies.DOCUMENT, indent=2, ensure_ascii=False), "data")

    @router.post("/foreign/try")
    async def attempt(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        exchange.who()
        fields = parse_qs((await acting.bounded(request)).decode("utf-8", "replace"), max_num_fields=8)
        given = {name: values[0] for name, values in fields.items()}
        text, topic, message = (given.get(name, "") for name in ("document", "topic", "message"))
        result: bodies.Tried | None = None
        problem: str | None = None
        try:
            result = trying.attempt(site.service, request, given)
        except (ValueError, RecursionError) as error:
            problem = str(error)[:300]
        return _form(site, request, trying.adapter(given), text, topic, message=message, result=result, problem=problem)

    return router


def _form(
    site: Site,
    request: Request,
    adapter: Adapter,
    document: str,
    topic: str,
    *,
    message: str = "",
    result: bodies.Tried | None = None,
    problem: str | None = None,
) -> Response:
    return site.page(
        request,
        "foreign_try.html",
        adapters=list(Adapter),
        adapter=adapter,
        document=document,
        topic=topic,
        message=message,
        result=result,
        problem=problem,
    )
