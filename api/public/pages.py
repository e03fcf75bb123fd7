"""The pages about the region and its municipalities: figures, map and lists, rendered for nobody in particular."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api import formats
from api.language import LANGUAGES
from api.problems import Problem
from api.public import drawing
from api.public.facts import SERVICES, Facts, Names, TownFacts
from api.public.shelf import PREFIX, Answer, Shelf, Wish, wish_of
from api.site import Site
from kraj.store import public
from kraj.store.queries import folded

ROWS_MAX = 100
"""Of a list; more are on the next page of it."""
FOUND_MAX = 30
SECTIONS = ("stops", "lighting", "roofs")


def routes(shelf: Shelf) -> APIRouter:
    """The pages themselves come from the shelf."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get(PREFIX)
    @router.head(PREFIX)
    async def region(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Answer(await shelf.get(wish_of(request.scope)))

    @router.get(PREFIX + "/{rest:path}")
    @router.head(PREFIX + "/{rest:path}")
    async def town(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Answer(await shelf.get(wish_of(request.scope)))

    return router


class Pages:
    """Renders wishes."""

    def __init__(self, site: Site, facts: Facts) -> None:
        self._site = site
        self._facts = facts

    async def make(self, wanted: Wish) -> str:
        """The page of a wish; raises ``Problem('not_found')`` for what is not there or not published."""
        parts = wanted.path.removeprefix(PREFIX).strip("/").split("/")
        if parts == [""]:
            return await self._region(wanted)
        facts = await self._facts.town(parts[0])
        if facts is None or len(parts) > 2 or (len(parts) == 2 and parts[1] not in SECTIONS):
            raise Problem("not_found", 404, path=wanted.path)
        return self._town(wanted, facts, parts[1] if len(parts) == 2 else "")

    async def _region(self, wanted: Wish) -> str:
        facts = await self._facts.region()
        found = search(await self._facts.names(), wanted.q) if wanted.q else None
        return self._render(
            "public_region.html",
            wanted,
            facts.at,
            figures=facts.figures,
            towns=facts.towns,
            map=drawing.region(facts),
            found=found,
        )

    def _town(self, wanted: Wish, facts: TownFacts, section: str) -> str:
        rows, count = _rows(wanted, facts, section)
        pages = max(1, -(-count // ROWS_MAX))
        page = min(int(wanted.page), pages) if wanted.page.isdecimal() and int(wanted.page) > 0 else 1
        lamps = [lamp for lamp in facts.lamps if (lamp.street or lamp.cabinet or "–") == wanted.street]
        return self._render(
            f"public_{section or 'town'}.html",
            wanted,
            facts.at,
            facts=facts,
            town=facts.town,
            figures=facts.figures,
            map=drawing.town(facts) if section in ("", "lighting") else None,
            section=section,
            sections=SECTIONS,
            rows=rows[(page - 1) * ROWS_MAX : page * ROWS_MAX],
            count=count,
            lamps=lamps,
            page_number=page,
            pages=pages,
        )

    def _render(self, name: str, wanted: Wish, at: datetime, **context: object) -> str:
        return self._site.alone(
            name, wanted.language, **frame(self._site, wanted, at), at=at, services=SERVICES, **context
        )


def frame(site: Site, wanted: Wish, at: datetime) -> Mapping[str, object]:
    """What every public page needs: links that keep the language, other languages, moments as people read them."""
    kept = {name: getattr(wanted, name) for name in ("q", "street") if getattr(wanted, name)}

    def to(path: str, **parameters: object) -> str:
        given = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
        given |= {"lang": wanted.language} if wanted.chosen else {}
        return f"{quote(path)}?{urlencode(given)}" if given else quote(path)

    def moment(when: datetime) -> str:
        return told_moment(when, at, wanted.language, site.zone)

    def day(when: datetime | date) -> str:
        return told_day(when.astimezone(site.zone).date() if isinstance(when, datetime) else when, wanted.language)

    return {
        "to": to,
        "moment": moment,
        "day": day,
        "path": wanted.path,
        "q": wanted.q,
        "street": wanted.street,
        "chosen": wanted.chosen,
        "others": [(code, f"{quote(wanted.path)}?{urlencode(kept | {'lang': code})}") for code in LANGUAGES],
    }


def told_moment(when: datetime, at: datetime, language: str, zone: ZoneInfo) -> str:
    """The time of day, with the day when it is another than that of ``at``."""
    local = when.astimezone(zone)
    clock = f"{local.hour}:{local:%M}"
    if local.date() == at.astimezone(zone).date():
        return clock
    return f"{told_day(local.date(), language)} {clock}"


def told_day(when: date, language: str) -> str:
    """A day with its year."""
    space = formats.NO_BREAK_SPACE
    if language == "cs":
        return f"{when.day}.{space}{when.month}.{space}{when.year}"
    return f"{when.day}{space}{when:%b}{space}{when.year}"


def _rows(wanted: Wish, facts: TownFacts, section: str) -> tuple[Sequence[object], int]:
    """The rows of a section that a search leaves."""
    asked = folded(wanted.q)
    rows: Sequence[object] = ()
    if section == "stops":
        rows = [one for one in facts.stops if matches(asked, one.stop.label, one.stop.street)]
    elif section == "roofs":
        rows = [one for one in facts.roofs if matches(asked, one[0].label, one[0].site, one[0].street)]
    elif section == "lighting":
        rows = [one for one in facts.streets if matches(asked, one.street, one.cabinet)]
    return rows, len(rows)


def matches(asked: str, *texts: str | None) -> bool:
    """Whether all words of a folded search stand in the texts."""
    hay = folded(" ".join(text for text in texts if text))
    return all(word in hay for word in asked.split())


def search(names: Names, text: str) -> dict[str, Sequence[public.Town | public.Stop | public.Street]]:
    """Towns, stops and streets of the region by words; as many of each as one reads."""
    asked = folded(text)
    titles = {town.name: town.title for town in names.towns}
    return {
        "towns": [town for town in names.towns if matches(asked, town.title)][:FOUND_MAX],
        "stops": [
            stop for stop in names.stops if matches(asked, stop.label, stop.street, titles.get(stop.municipality))
        ][:FOUND_MAX],
        "streets": [
            street
            for street in names.streets
            if street.street and matches(asked, street.street, titles.get(street.municipality))
        ][:FOUND_MAX],
    }
