"""Errors as problem details (RFC 9457) for systems and as a page for people: what was wrong, where, what to do."""

import logging
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Route

from api.database import NotMigratedError, TooSlowError
from api.language import choose
from api.service import Service
from api.texts import Catalogue
from kraj.attributes import ATTRIBUTES
from kraj.errors import UnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_S = 5
REALM = 'Bearer realm="kraj"'
SHOWN_CHARS_MAX = 2000
"""A wrong value is shown back; the longest list of known metrics fits."""

PLAIN = """\
<!doctype html>
<html lang="cs">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Chyba · Kraj</title>
</head>
<body>
  <main>
    <h1>Chyba na naší straně</h1>
    <p>Stránku se nepodařilo ukázat. Podrobnosti jsou v záznamu služby; zkuste to za chvíli znovu.</p>
    <p><a href="/">Zpět na přehled</a></p>
    <div lang="en">
      <h2>A fault on our side</h2>
      <p>The page could not be shown. The log of the service has the details; try again in a while.</p>
      <p><a href="/">Back to the overview</a></p>
    </div>
  </main>
</body>
</html>
"""
"""Where even the page of an error fails: it needs neither templates nor texts nor a database."""

FOR_SYSTEMS = ("/v1/", "openapi")
"""What a hint for programs speaks of."""
OF_FIELDS = frozenset({"body", "metadata"})
"""Problems that name a field of a form."""
TITLES = {one.name: one.title for attributes in ATTRIBUTES.values() for one in attributes}

logger = logging.getLogger("kraj.api")


class Problem(Exception):  # noqa: N818  # it is what the RFC calls it
    """An error with its code in the catalogue (``problem.<code>.*``), its HTTP status and what the texts name."""

    def __init__(self, code: str, status: int, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.values = {k: v[:SHOWN_CHARS_MAX] if isinstance(v, str) else v for k, v in values.items()}


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/asset",
                    "title": "Unknown asset",
                    "status": 404,
                    "detail": "There is no asset 4711.",
                    "hint": "List the assets with GET /v1/assets.",
                    "instance": "/v1/assets/4711",
                }
            ]
        }
    )

    type: str = Field(description="A page that explains this kind of problem.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status again.")
    detail: str = Field(description="What was wrong this time.")
    hint: str = Field(description="What to do about it.")
    instance: str = Field(description="The path that was asked for.")


def responses(*statuses: int, schema: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """The documentation of a route's errors; ``api.document`` adds those that follow from what a route takes."""
    content = {MEDIA_TYPE: {"schema": SCHEMA if schema is None else schema}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


SCHEMA = {"$ref": "#/components/schemas/ProblemDetails"}
_DESCRIPTIONS = {
    400: "A parameter, or something in the body, is wrong.",
    401: "Nobody is signed in.",
    403: "One's rights do not reach so far, or another site's page has sent this.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "Not now; the hint says what is possible.",
    412: "Somebody else has changed it meanwhile; read it again.",
    413: "The body is too large.",
    415: "The body is of a kind that is not taken here.",
    422: "The Idempotency-Key was used for another request.",
    423: "A safety lock refuses it; the detail says whose.",
    428: "If-Match is missing: say which state you change.",
    429: "Too many attempts; wait as long as Retry-After says.",
    503: "The database is away; try again.",
}


def details(service: Service, request: Request, problem: Problem) -> ProblemDetails:
    """The problem in the language of the request, and in words for whoever reads it: a page knows no API."""
    say = service.texts[choose(request)]
    people = for_people(request)
    values = _for_people(problem, say) if people else problem.values
    whole = people and problem.code == "body" and values["name"] == "body"
    code = "body_whole" if whole else problem.code

    def text(part: str) -> str:
        if part == "detail" and people and code in OF_FIELDS and not values["value"]:
            return say("problem.page.empty", name=values["name"])
        own = f"problem.{code}.page_{part}"
        said = say(own if people and own in say.texts else f"problem.{code}.{part}", **values)
        gone = people and problem.status == 404 and any(one in said for one in FOR_SYSTEMS)
        return say("problem.page.gone") if gone else said

    return ProblemDetails(
        type=f"/problems/{problem.code}",
        title=text("title"),
        status=problem.status,
        detail=text("detail"),
        hint=text("hint"),
        instance=request.url.path,
    )


def _for_people(problem: Problem, say: Catalogue) -> dict[str, Any]:
    """Fields by the words of the forms, values as they were written."""
    values, name = problem.values, str(problem.values.get("name", "")).rpartition(".")[2]
    if problem.code not in OF_FIELDS:
        return values
    written = str(values.get("value", ""))
    try:
        found = literal_eval(written)
    except (ValueError, SyntaxError):
        found = written
    title = say.texts.get(f"field.{name}") or TITLES.get(name)
    shown = "" if found in (None, "") else f"„{found}“"
    return values | {"name": getattr(title, say.language, title) or name, "value": shown}


def answer(service: Service, request: Request, problem: Problem) -> Response:
    """The JSON answer."""
    found = details(service, request, problem)
    headers = {"content-language": choose(request), "vary": "accept-language"} | _told_besides(problem)
    if problem.status == 401:
        headers["www-authenticate"] = REALM
    return JSONResponse(found.model_dump(), problem.status, headers, MEDIA_TYPE)


def _told_besides(problem: Problem) -> dict[str, str]:
    """Headers of a problem for people and programs alike: when to try again, and what is allowed instead."""
    found = {"retry-after": str(RETRY_S)} if problem.status == 503 else {}
    if "retry_s" in problem.values:
        found["retry-after"] = str(problem.values["retry_s"])
    if "allow" in problem.values:
        found["allow"] = str(problem.values["allow"])
    return found


def translate(request: Request, error: Exception) -> Problem:
    """Any error as a problem."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnavailableError):
        return Problem(next((code for kind, code in _UNAVAILABLE if isinstance(error, kind)), "unavailable"), 503)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
        given = {"method": request.method, "path": request.url.path, "detail": str(error.detail)}
        return Problem(code, error.status_code, **given, **_allowed(request, error))
    return Problem("internal", 500)


def _allowed(request: Request, error: HTTPException) -> dict[str, str]:
    """What a 405 says besides: the methods of all operations at this path, where the router knows those of one only."""
    if error.status_code != 405:
        return {}
    found: set[str] = set()
    for route in _routes(request.app.routes):
        if route.path_regex.match(request.url.path):
            found |= route.methods or set()
    return {"allow": ", ".join(sorted(found)) or (error.headers or {}).get("Allow", "GET")}


def _routes(given: Iterable[Any]) -> Iterator[Route]:
    """Also those of routers that the application includes."""
    for one in given:
        if hasattr(one, "effective_candidates"):
            yield from _routes(one.effective_candidates())
        elif hasattr(one, "methods"):
            yield one


_UNAVAILABLE = ((NotMigratedError, "not_migrated"), (TooSlowError, "too_slow"))


_UNKNOWN = {"month": "report_month", "photo": "photo_unknown", "token": "token_id"}
"""Codes of what is named in a path, where they are not the parameter's name."""


def _of_validation(error: RequestValidationError) -> Problem:
    first: dict[str, Any] = error.errors()[0]
    place, *_, name = (*first["loc"], "") if len(first["loc"]) == 1 else first["loc"]
    if place == "path":
        code = str(name).removesuffix("_id")
        return Problem(_UNKNOWN.get(code, code), 404, name=first["input"])
    if name == "limit":
        return Problem("limit", 400, limit=first["input"], limit_max=first.get("ctx", {}).get("le", 200))
    return Problem("parameter_value", 400, name=name, value=first["input"])


def install(
    app: FastAPI, service: Service, page: Callable[[Request, ProblemDetails], Response]
) -> Callable[[Request, Exception], Response]:
    """Handle every error of the application; ``page`` makes the page for people. Gives what answers an error."""

    def handle(request: Request, error: Exception) -> Response:
        problem = translate(request, error)
        if problem.status == 500:
            logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        elif isinstance(error, UnavailableError):
            logger.warning("%s %s: %s", request.method, request.url.path, error)
        if not for_people(request):
            return answer(service, request, problem)
        try:
            shown = page(request, details(service, request, problem))
        except Exception:
            logger.exception("the page of the error at %s failed", request.url.path)
            shown = HTMLResponse(PLAIN, problem.status)
        shown.headers.update(_told_besides(problem))
        return shown

    for kind in (Problem, UnavailableError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)
    return handle


def for_people(request: Request) -> bool:
    """Whether a page is wanted rather than JSON."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")
