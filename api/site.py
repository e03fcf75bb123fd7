"""Rendering: templates in the language of a request, with everything that they may call."""

import hashlib
from datetime import datetime
from importlib.resources import files
from os import PathLike, stat_result
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import chart, formats, maps
from api.desk import declared
from api.freshness import Condition
from api.language import COOKIE, COOKIE_S, LANGUAGES, choose
from api.orders.pictures import BYTES_MAX
from api.problems import ProblemDetails
from api.service import Service
from api.texts import Catalogue
from kraj.kinds import KINDS
from kraj.metrics import Metric, Title
from kraj.store import queries

KEPT_OFFLINE = ("/alerts", "/notifications", "/sign-in")
"""Pages with what works without a connection, or ends it."""


FOREVER = "public, max-age=31536000, immutable"


class Static(StaticFiles):
    """Scripts, styles and icons.

    Whoever names the version keeps a file for good, as another version is another address; what is asked for without
    it (by a script that imports another, by the list of what works offline) is asked about again each time.
    """

    def __init__(self) -> None:
        super().__init__(packages=[("api", "static")])
        self._version = version().encode()

    def file_response(
        self, full_path: PathLike[str] | str, stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file with how long it may be kept."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = FOREVER if scope["query_string"] == self._version else "no-cache"
        return response


class Site:
    """Renders templates in the language of a request."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.zone = formats.local_zone()
        self._environment = Environment(
            loader=PackageLoader("api"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        known: dict[str, Any] = {
            "kinds": KINDS,
            "conditions": list(Condition),
            "shape": maps.shape,
            "map_width": maps.WIDTH,
            "map_height": maps.HEIGHT,
            "chart_width": chart.WIDTH,
            "chart_height": chart.HEIGHT,
            "chart_left": chart.LEFT,
            "chart_right": chart.WIDTH - chart.RIGHT,
            "iso": formats.iso,
            "version": version(),
            "photo_bytes_max": BYTES_MAX,
            "menu": declared.menu,
        }
        self._environment.globals.update(known)

    def page(self, request: Request, name: str, status: int = 200, **context: object) -> HTMLResponse:
        """Render a template; a language asked for by ``?lang=`` is remembered."""
        language = choose(request)
        say = self.service.texts[language]
        at = self.service.clock()

        def number(value: float) -> str:
            return formats.number(value, language)

        def words(title: Title) -> str:
            return str(getattr(title, language))

        def ago(ts: datetime) -> str:
            return formats.ago(ts, at, say)

        def instant(ts: datetime) -> str:
            return formats.instant(ts, language, self.zone)

        def value(metric: Metric, given: queries.Value) -> str:
            return _shown(metric, given, say)

        html = self._environment.get_template(name).render(
            say=say,
            language=language,
            languages=[(code, with_parameters(request, lang=code)) for code in LANGUAGES],
            path=request.url.path,
            causes=getattr(request.state, "causes", None),
            kept_offline=request.url.path.startswith(KEPT_OFFLINE),
            offline_texts=_offline(say),
            me=getattr(request.state, "principal", None),
            half=getattr(request.state, "half", None),
            at=at,
            number=number,
            words=words,
            value=value,
            ago=ago,
            instant=instant,
            **context,
        )
        headers = {"content-language": language, "vary": "accept-language, cookie"}
        response = HTMLResponse(html, status, headers)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(COOKIE, language, max_age=COOKIE_S, samesite="lax", httponly=True)
        return response

    def alone(self, name: str, language: str, **context: object) -> str:
        """Render a template that knows of nobody: neither who asks nor anything else of a request."""
        return self._environment.get_template(name).render(
            say=self.service.texts[language],
            language=language,
            number=lambda value: formats.number(value, language),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
            **context,
        )

    def problem(self, request: Request, details: ProblemDetails) -> Response:
        """The page of an error."""
        return self.page(request, "problem.html", details.status, problem=details, back=_back(request))


def _back(request: Request) -> str | None:
    """The page of ours that one came from; of another site's nothing is told."""
    came = urlsplit(request.headers.get("referer", ""))
    ours = came.netloc == request.headers.get("host") and came.path[:2] not in ("", "//")
    again = request.method == "GET" and came.path == request.url.path
    return urlunsplit(("", "", came.path, came.query, "")) if ours and not again else None


def with_parameters(request: Request, **changes: str) -> str:
    """The address of this page with other parameters; another selection starts on the first page."""
    asked = {name: value for name, value in request.query_params.items() if value and name != "lang"}
    if "municipality" in changes:
        asked.pop("page", None)
    return f"{request.url.path}?{urlencode(asked | changes)}"


def _shown(metric: Metric, given: queries.Value, say: Catalogue) -> str:
    """A value as people read it, without its unit."""
    match given:
        case bool():
            return say("yes_no.yes" if given else "yes_no.no")
        case str():
            return say.word(given)
        case list():
            return ", ".join(map(say.word, given)) or "–"
        case _:
            return formats.number(int(given) if metric.type.whole else given, say.language)


def _offline(say: Catalogue) -> dict[str, str]:
    """What scripts say of actions that wait for a connection."""
    return {name: text for name, text in say.texts.items() if name.startswith(("offline.said.", "step."))}


def version() -> str:
    """Changes with the scripts and styles, so that browsers take new ones."""
    digest = hashlib.sha256()
    for entry in sorted(files("api").joinpath("static").iterdir(), key=lambda entry: entry.name):
        digest.update(entry.read_bytes())
    return digest.hexdigest()[:10]
