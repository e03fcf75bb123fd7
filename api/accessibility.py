"""The accessibility statement (Act 99/2019, EN 301 549): what conforms, what does not, what was tried and what not."""

from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.public.pages import frame
from api.public.shelf import wish_of
from api.site import Site

PATH: Final = "/accessibility"
FRESH_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Statement:
    """The one declaration; each word names a text ``accessibility.<group>.<word>``."""

    prepared: date
    reviewed: date
    status: str
    """full, partial or none, by the model statement (EU) 2018/1523."""
    not_conform: tuple[str, ...]
    out_of_scope: tuple[str, ...]
    checked: tuple[str, ...]
    heard: tuple[str, ...]
    """What a screen reader was heard to say."""
    not_tried: tuple[str, ...]


STATEMENT: Final = Statement(
    prepared=date(2026, 11, 22),
    reviewed=date(2026, 11, 22),
    status="partial",
    not_conform=("pdf", "photos", "words", "order"),
    out_of_scope=("grafana", "navigation"),
    checked=("axe", "keyboard", "size", "motion", "tasks"),
    heard=("alerts", "order", "taken", "report"),
    not_tried=("readers", "telephones", "people", "speech"),
)


def routes(site: Site, *, operator: str | None, contact: str | None) -> APIRouter:
    """The page; ``operator`` is whose pages these are, ``contact`` their e-mail; without one the page says so."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get(PATH)
    def statement(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        wanted = wish_of(request.scope)
        at = site.service.clock()
        html = site.alone(
            "accessibility.html",
            wanted.language,
            **frame(site, wanted, at),
            at=at,
            statement=STATEMENT,
            operator=operator,
            contact=contact,
            dated=lambda day: dated(day, wanted.language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
            mail=quote(contact or "", safe="@"),
        )
        headers = {"cache-control": f"public, max-age={FRESH_S}", "vary": "accept-language"}
        return HTMLResponse(html, headers=headers | {"content-language": wanted.language})

    return router


def dated(day: date, language: str) -> str:
    """A day with its year."""
    return f"{day.day}. {day.month}. {day.year}" if language == "cs" else f"{day.day} {day:%B %Y}"
