"""A day's route: chosen causes, or all of one's own, in a short order, with what to bring for all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import Request
from fastapi.responses import Response

from api import formats
from api.alert_pages import Line
from api.alerts import Desk, Place
from api.language import choose
from api.site import Site
from api.told import Told
from kraj.alerts import Severity
from kraj.distance import legs_m
from kraj.store import queries
from kraj.store.queries import AlertFilter, AlertRow
from rules import visiting

STOPS_MAX = 60
"""More than anybody does in a day; beyond it the most urgent ones are taken."""
KILOMETRE_M = 1000


@dataclass(frozen=True, slots=True)
class From:
    """Where somebody stands: as they wrote it, what was understood (None: nothing), and its name."""

    text: str
    place: Place | None
    title: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A place with all that is to be done there; ``leg_m`` from the stop before (or the beginning)."""

    number: int
    place: Place
    lines: tuple[Line, ...]
    leg_m: float | None


@dataclass(frozen=True, slots=True)
class Thing:
    """What to bring, and for which stops."""

    words: str
    stops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Stops in their order; ``nowhere`` are alerts of which nobody knows where they are."""

    stops: tuple[Stop, ...]
    nowhere: tuple[Line, ...]
    whole_m: float
    things: tuple[Thing, ...]


def metres(length_m: float, language: str) -> str:
    """A distance as people write it: 340 m, 1.2 km."""
    if length_m < KILOMETRE_M:
        return f"{round(length_m, -1):.0f}{formats.NO_BREAK_SPACE}m"
    kilometres = length_m / KILOMETRE_M
    shown = float(round(kilometres)) if kilometres >= 100 else round(kilometres, 1)
    return f"{formats.number(shown, language)}{formats.NO_BREAK_SPACE}km"


def plan(lines: Sequence[tuple[Line, str | None]], start: Place | None) -> Route:
    """The route through alerts (each with its spare part, if it is known) from a place, or from wherever is best."""
    places: dict[Place, list[tuple[Line, str | None]]] = {}
    nowhere: list[Line] = []
    for line, part in lines:
        if line.row.latitude is None or line.row.longitude is None:
            nowhere.append(line)
        else:
            places.setdefault((line.row.latitude, line.row.longitude), []).append((line, part))
    found = list(places)
    begin = [] if start is None else [start]
    legs = legs_m([*begin, *found])
    order = visiting.order(legs, 0 if begin else None)
    stops: list[Stop] = []
    things: dict[str, tuple[str, list[int]]] = {}
    for number, at in enumerate(order[len(begin) :], 1):
        place = found[at - len(begin)]
        before = number - 1 + len(begin) - 1
        leg_m = float(legs[order[before], at]) if before >= 0 else None
        stops.append(Stop(number, place, tuple(line for line, _ in places[place]), leg_m))
        for line, part in places[place]:
            for words in [*_things(line.told), *([part] if part else [])]:
                things.setdefault(words.casefold(), (words, []))[1].append(number)
    listed = tuple(Thing(words, tuple(sorted(set(numbers)))) for words, numbers in things.values())
    return Route(tuple(stops), tuple(nowhere), visiting.length_m(legs, order), listed)


def _things(told: Told) -> list[str]:
    """``Driver Xi 40, or a whole luminaire; lift`` are two things."""
    parts = (part.strip() for part in (told.bring or "").split(";"))
    return [part[0].upper() + part[1:] for part in parts if part]


async def page(site: Site, desk: Desk, request: Request, which: AlertFilter, start: From) -> Response:
    """The page: of the alerts chosen in the list, else of all that are one's own."""
    given = [value for name, value in request.query_params.multi_items() if name == "alert"]
    chosen = tuple(int(value) for value in given if re.fullmatch(r"[0-9]{1,18}", value))[:500]
    wanted = replace(which, alert_ids=chosen, closed=None) if chosen else replace(which, whose="mine", closed=False)
    rows = await _rows(site, wanted)
    say = site.service.texts[choose(request)]
    teller = await desk.telling()
    lines = [(Line(row, teller.tell(row, say)), _part(row)) for row in rows[:STOPS_MAX]]
    return site.page(
        request,
        "alert_route.html",
        route=plan(lines, start.place),
        start=start,
        chosen=chosen,
        left_out=max(0, len(rows) - STOPS_MAX),
        metres=lambda m: metres(m, say.language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )


async def _rows(site: Site, which: AlertFilter) -> list[AlertRow]:
    async with site.service.database.connection() as connection:
        rows = await queries.alerts(connection, which, before=None, limit=STOPS_MAX * 4)
    return sorted(rows, key=lambda row: -Severity(row.severity).rank)


def _part(row: AlertRow) -> str | None:
    """The spare part that the registry names."""
    part = (row.metadata or {}).get("spare_part")
    return str(part) if part else None
