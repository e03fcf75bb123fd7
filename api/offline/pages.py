"""The manifest, the service worker and the page for what cannot be shown without a connection; nobody's, and open."""

import json
from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from api.language import LANGUAGES, choose
from api.mounting import mount
from api.site import Site, version

BRAND, PAPER = "#0b5d52", "#f6f7f5"
"""``--brand`` and ``--paper`` of kraj.css."""
KEPT = (".js", ".css", ".svg")
"""Of the static files; icons are for the launcher, which has them already."""
ICONS = (("icon-192.png", 192, "any"), ("icon-512.png", 512, "any"), ("icon-maskable-512.png", 512, "maskable"))


def install(app: FastAPI, site: Site) -> None:
    """All of it."""
    mount(app, routes(site), documented=False)


def routes(site: Site) -> APIRouter:
    """The routes."""
    router = APIRouter()
    static = files("api").joinpath("static")
    names = sorted(entry.name for entry in static.iterdir() if entry.name.endswith(KEPT))
    worker = static.joinpath("sw.js").read_text("utf-8")
    known = {"version": version(), "files": [f"/static/{name}" for name in names], "languages": LANGUAGES}

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        language = choose(request)
        headers = {"content-language": language, "vary": "accept-language, cookie", "cache-control": "no-cache"}
        return JSONResponse(_manifest(site, language), headers=headers, media_type="application/manifest+json")

    @router.get("/sw.js")
    async def service_worker() -> Response:  # pyright: ignore[reportUnusedFunction]
        """Another version is another text, by which browsers know that there is a new worker."""
        text = f"const KRAJ = {json.dumps(known)};\n{worker}"
        return Response(text, media_type="text/javascript", headers={"cache-control": "no-cache"})

    @router.get("/offline")
    async def offline(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return site.page(request, "offline.html", unsent="unsent" in request.query_params)

    return router


def _manifest(site: Site, language: str) -> dict[str, object]:
    say = site.service.texts[language]
    return {
        "id": "/",
        "start_url": "/alerts",
        "scope": "/",
        "display": "standalone",
        "lang": language,
        "name": say("offline.name"),
        "short_name": say("page.title"),
        "description": say("page.tagline"),
        "background_color": PAPER,
        "theme_color": BRAND,
        "icons": [
            {"src": f"/static/{name}", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for name, size, purpose in ICONS
        ],
        "shortcuts": [{"name": say("page.alerts"), "url": "/alerts"}],
    }
