"""The page about open data: what each data set holds, since when, how large its files are, and its first rows."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from api import formats
from api.mounting import mount
from api.opendata.serving import FRESH_S, PREFIX, Files, routes
from api.public.pages import frame
from api.public.shelf import wish_of
from api.site import Site
from kraj.opendata import DATASETS
from kraj.opendata.published import LICENCE, Made

UNITS: Final = ("B", "kB", "MB", "GB")


def install(app: FastAPI, site: Site, folder: Path) -> None:
    """Add the page and the files."""
    files = Files(folder)
    mount(app, page(site, files), routes(files), documented=False)


def page(site: Site, files: Files) -> APIRouter:
    """The page knows of nobody."""
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get(PREFIX)
    @router.head(PREFIX)
    def shown(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        wanted = wish_of(request.scope)
        at = site.service.clock()
        found = files.current()
        kept: Mapping[str, Made] = found.manifest.sets if found else {}
        newest = max((made.moment for made in kept.values()), default=at)
        html = site.alone(
            "opendata.html",
            wanted.language,
            **frame(site, wanted, newest),
            at=newest,
            sets=[(one, kept[one.name]) for one in DATASETS.values() if one.name in kept],
            made=datetime.fromisoformat,
            words=lambda title: getattr(title, wanted.language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
            size=lambda count: size(count, wanted.language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
            licence=LICENCE,
        )
        headers = {"cache-control": f"public, max-age={FRESH_S}", "vary": "accept-language"}
        return HTMLResponse(html, headers=headers | {"content-language": wanted.language})

    return router


def size(count: int, language: str) -> str:
    """Of a file, for people, with two or three digits."""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    shown = round(value, 1) if value < 10 else round(value)
    return f"{formats.number(shown, language)}{formats.NO_BREAK_SPACE}{UNITS[unit]}"
