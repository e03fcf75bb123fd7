"""A fault reported by anybody: the form, its thanks, and the page on which a report is followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from api import acting, problems
from api.language import LANGUAGES, accepted
from api.open311 import finding, taking
from api.problems import Problem
from api.public.facts import Facts, TownFacts
from api.public.guarding import STAMP, TRAP, Guard
from api.public.pages import frame, search
from api.public.shelf import QUERY_CHARS_MAX, Wish
from api.rulebook import forms
from api.site import Site
from kraj.service_requests import SERVICES
from kraj.store import public

REPORT = "/report"
CHOICES = {
    kind: [service for service in SERVICES.values() if not kind or not service.kinds or kind in service.kinds]
    for kind in ("lamp", "stop", "")
}
"""What may be wrong with a lamp, a stop, or with what nobody has named."""
NEAR_MAX = 6
"""Lamps beside the one that was picked: a finger is broader than a street on a map."""
FIELDS = ("service_code", "asset", "address", "latitude", "longitude", "description", "email")
ASSET_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Desk:
    """What the form needs."""

    site: Site
    facts: Facts
    guard: Guard


def routes(desk: Desk) -> APIRouter:
    """The pages."""
    site, guard = desk.site, desk.guard
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get(REPORT)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {name: value.replace("\0", "")[:QUERY_CHARS_MAX] for name, value in request.query_params.items()}
        return await _form(desk, request, given)

    @router.post(REPORT)
    async def send(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = {name: value.replace("\0", "") for name, value in (await forms.read(request)).items()}
        try:
            guard.check(given)
            if offered := await _offered(site, given):
                return await _form(desk, request, given, offered=offered)
            taken = await take(site, request, given, "page")
        except Problem as problem:
            if problem.status in (404, 405) or problem.status >= 500:
                raise
            return await _form(desk, request, given, problem)
        said = {"sent": "1"}
        said |= {name: "1" for name in ("merged", "duplicate") if getattr(taken, _SAID[name])}
        said |= {"lang": given["lang"]} if given.get("lang") in LANGUAGES else {}
        return RedirectResponse(f"{REPORT}/{taken.token}?{urlencode(said)}", 303)

    @router.get(REPORT + "/{token}")
    async def follow(request: Request, token: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        wanted = _wish(request, request.query_params.get("lang"))
        async with site.service.database.connection() as connection:
            found = await taking.follow(connection, token[:QUERY_CHARS_MAX], wanted.language)
        if found is None:
            raise Problem("report_unknown", 404)
        return _page(
            site,
            "public_followed.html",
            wanted,
            report=found,
            sent="sent" in request.query_params,
            merged="merged" in request.query_params,
            duplicate="duplicate" in request.query_params,
            link=str(request.url.replace(query="")),
        )

    return router


_SAID = {"merged": "merged_with_alert", "duplicate": "duplicate"}


async def take(site: Site, request: Request, given: dict[str, str], channel: Literal["page", "phone"]) -> taking.Taken:
    """Hand a filled form over; raises ``Problem`` for what it lacks."""
    fields: dict[str, Any] = {
        "service_code": given.get("service_code", ""),
        "asset_id": given.get("asset") or None,
        "latitude": (given.get("latitude") or "").replace(",", ".") or None,
        "longitude": (given.get("longitude") or "").replace(",", ".") or None,
        "address": given.get("address", "").strip() or None,
        "description": given.get("description", "").strip(),
        "email": given.get("email", "").strip() or None,
        "language": _wish(request, given.get("lang")).language,
    }
    if not fields["service_code"]:
        raise Problem("report_what", 400)
    try:
        wanted = taking.Wanted.model_validate(fields)
    except ValidationError as error:
        raise acting.wrong(error) from error
    client = request.client.host if request.client else ""
    source = taking.Source(channel=channel, client=client, at=site.service.clock())
    async with site.service.database.connection(write=True) as connection:
        return await taking.take(connection, wanted, source)


async def _offered(site: Site, given: dict[str, str]) -> tuple[finding.Found, ...]:
    """What of ours the words of a place may mean, to be asked once; a street is no thing to choose."""
    address = given.get("address", "").strip()[: taking.ADDRESS_CHARS_MAX]
    service = SERVICES.get(given.get("service_code", ""))
    if not address or service is None or "asset" in given or given.get("latitude") or given.get("longitude"):
        return ()
    async with site.service.database.connection() as connection:
        meant = await finding.find(connection, address, service.kinds)
    return tuple(one for one in meant.offered if one.asset_id is not None)


async def _form(
    desk: Desk,
    request: Request,
    given: dict[str, str],
    wrong: Problem | None = None,
    offered: Sequence[finding.Found] = (),
) -> Response:
    site, facts, guard = desk.site, desk.facts, desk.guard
    wanted = _wish(request, given.get("lang"))
    asset = given.get("asset", "")
    kind, town = await _known(site, facts, int(asset)) if asset.isdecimal() and int(asset) <= ASSET_MAX else ("", None)
    lamp = next((one for one in town.lamps if one.asset_id == int(asset)), None) if town and kind == "lamp" else None
    stop = (
        next((one for one in town.stops if one.stop.asset_id == int(asset)), None) if town and kind == "stop" else None
    )
    asked = given.get("q", "").strip()
    found = search(await facts.names(), asked) if asked else None
    async with site.service.database.connection() as connection:
        meant = await finding.find(connection, asked) if asked else finding.Meant(None)
    return _page(
        site,
        "public_report.html",
        wanted,
        status=wrong.status if wrong else 200,
        wrong=problems.details(site.service, _speaking(request, wanted), wrong) if wrong else None,
        given={name: given.get(name, "") for name in FIELDS},
        choices=CHOICES[kind],
        town=town.town if town else None,
        lamp=lamp,
        stop=stop,
        near=_near(town, lamp) if town and lamp else (),
        offered=offered,
        asked=asked,
        found=found,
        lamps=[one for one in meant.offered if one.kind in ("lamp", "cabinet")],
        trap=TRAP,
        stamp_name=STAMP,
        stamp=guard.stamp(),
        limits=taking,
    )


async def _known(site: Site, facts: Facts, asset_id: int) -> tuple[str, TownFacts | None]:
    async with site.service.database.connection() as connection:
        found = await public.kind_and_town(connection, asset_id)
    return (found[0], await facts.town(found[1])) if found else ("", None)


def _near(town: TownFacts, lamp: public.Lamp) -> list[public.Lamp]:
    """The nearest by the map; by the street where nobody knows a place."""
    if lamp.latitude is None or lamp.longitude is None:
        return [one for one in town.lamps if one.street == lamp.street and one.asset_id != lamp.asset_id][:NEAR_MAX]
    north, east = lamp.latitude, lamp.longitude
    others = [one for one in town.lamps if one.latitude is not None and one.asset_id != lamp.asset_id]
    others.sort(key=lambda one: ((one.latitude or 0) - north) ** 2 + (0.65 * ((one.longitude or 0) - east)) ** 2)
    return others[:NEAR_MAX]


def _wish(request: Request, language: str | None) -> Wish:
    chosen = language in LANGUAGES
    return Wish(
        request.url.path,
        language if chosen and language else accepted(request.headers.get("accept-language", "")),
        chosen,
    )


def _speaking(request: Request, wanted: Wish) -> Request:
    """The request as if its address named the language of the page, for the words of a problem."""
    return Request({**request.scope, "query_string": f"lang={wanted.language}".encode()})


def _page(site: Site, name: str, wanted: Wish, status: int = 200, **context: object) -> HTMLResponse:
    at = site.service.clock()
    html = site.alone(name, wanted.language, **frame(site, wanted, at), at=at, **context)
    return HTMLResponse(html, status, {"content-language": wanted.language, "vary": "accept-language"})
