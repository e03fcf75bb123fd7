"""The desk: what waits for a town hall's person and where, and everything that they can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.background import BackgroundTask

from api import rights
from api.alert_pages import counted
from api.desk import declared, label_pages, lists, town_pages
from api.desk.wirings import Wirings
from api.site import Site
from kraj.store import desk as store
from kraj.store.desk import NewTown

REPORT_DAYS: Final = 14
"""The first days of a month, in which the report of the month before is news."""
WHERE: Final[Mapping[str, str]] = {
    "requests": "/requests",
    "unregistered": "/unregistered",
    "not_installed": "/quarantine",
    "imports": "/imports",
    "never_heard": "/labels",
    "codes": "/labels",
    "grants": "/grants",
    "tariffs": "/tariffs",
    "reports": "/reports",
}
"""What is counted, in the order in which it is told, and where it is dealt with."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits; the texts are ``desk.waits.<key>`` and ``desk.waits_hint.<key>``."""

    key: str
    href: str
    count: int
    readings: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a town's first day; the text is ``desk.first.<key>``."""

    key: str
    href: str
    done: bool


def routes(site: Site, public_url: str | None) -> APIRouter:
    """The desk and the small pages of its room."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(site)])
    wirings = Wirings(site.service)

    @router.get(declared.DESK)
    async def desk(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = rights.signed_in()
        at = site.service.clock()
        async with site.service.database.connection() as connection:
            counts = await store.waiting(connection, who.rights, at)
            town = await store.new_town(connection) if "people" in who.rights else None
        if "register" in who.rights:
            counts["wirings"] = wirings.known(who.person_id)
        waits = _waits(counts, causes=request.state.causes, acts="act" in who.rights)
        here = at.astimezone(site.zone)
        reported = here.replace(day=1) - timedelta(days=1) if here.day <= REPORT_DAYS else None
        answer = site.page(
            request,
            "desk.html",
            waits=waits,
            reported=reported and reported.month,
            town=town,
            steps=first_day(town),
            groups=declared.desk(who.rights),
        )
        if "register" in who.rights:
            answer.background = BackgroundTask(wirings.look, who.person_id)
        return answer

    label_pages.add(router, site, public_url)
    lists.add(router, site)
    town_pages.add(router, site)
    return router


def _waits(counts: Mapping[str, int], *, causes: int, acts: bool) -> list[Waiting]:
    """What is more than nothing, alerts first."""
    found = [Waiting("causes", "/alerts", causes)] if causes and acts else []
    for key, href in (*WHERE.items(), ("wirings", "/wiring")):
        if count := counts.get(key, 0):
            found.append(Waiting(key, href, count, counts.get("unregistered_readings", 0)))
    return found


def first_day(town: NewTown | None) -> list[Step]:
    """What a new town does first; nothing once it is done, and that a town is not published was somebody's decision."""
    if town is None or (town.device and town.colleague and town.target):
        return []
    return [
        Step("device", f"/registry/new?municipality={town.name}", town.device),
        Step("colleague", "/people#invite", town.colleague),
        Step("target", "/notifications", town.target),
        Step("published", "/publishing", town.published),
    ]
