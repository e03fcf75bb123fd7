"""The OpenAPI 3.1 document: what routes say of themselves, and once for all what holds for each of them."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import problems
from api.door import paths
from api.door.keeper import COOKIE

Json = dict[str, Any]

SECURITY = {
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Somebody who is signed in."},
    "token": {"type": "http", "scheme": "bearer", "description": "A token of one's own: POST /v1/tokens."},
}
TAG = r'"[!#-~]{0,100}"'
TAGS = rf"^(\*|{TAG}( ?, ?{TAG})*)$"
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the state that you have seen.",
    "schema": {"type": "string", "pattern": TAGS},
    "example": '"3"',
}
REFERENCE = "#/components/schemas/"
ONCE_ONLY = "Idempotency-Key"
HEADERS: Mapping[int, Json] = {
    401: {"WWW-Authenticate": {"description": "How to sign in.", "required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}},
}
ETAG = {"ETag": {"description": "For If-Match.", "required": True, "schema": {"type": "string"}}}


def openapi(app: FastAPI) -> Json:
    """The document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts: Json = schema["components"]
        parts["securitySchemes"] = SECURITY
        parts["schemas"]["ProblemDetails"] = problems.ProblemDetails.model_json_schema()
        shared: Json = {}
        parts["responses"] = shared
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _hoist(operation, parts["schemas"])
                _complete(path, method, operation, operations, shared)
        for name in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(name, None)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(path: str, method: str, operation: Json, siblings: Json, shared: Json) -> None:
    """Say who may ask, and every problem that the operation may answer."""
    answers: Json = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]  # FastAPI's own, which we never send
    given = [one for one in operation.get("parameters", []) if one["name"] != IF_MATCH["name"]]
    operation["parameters"] = given + ([IF_MATCH] if "428" in answers else [])
    is_open = paths.is_open(path)
    operation["security"] = [] if is_open else [{name: []} for name in SECURITY]
    for status in _statuses(path, operation, is_open=is_open):
        answers.setdefault(str(status), problems.responses(status)[status])
    for status in list(answers):
        if answers[status].get("content", {}).get(problems.MEDIA_TYPE, {}).get("schema") == problems.SCHEMA:
            shared[f"Problem{status}"] = answers[status] | {"headers": HEADERS.get(int(status), {})}
            answers[status] = {"$ref": f"#/components/responses/Problem{status}"}
    if (
        "200" in answers
        and method in {"get", "put", "patch"}
        and any("428" in one["responses"] for one in siblings.values())
    ):
        answers["200"].setdefault("headers", {}).update(ETAG)


def _statuses(path: str, operation: Json, *, is_open: bool) -> set[int]:
    """What follows from where an operation is and what it takes."""
    if not path.startswith("/v1/"):
        return set()
    places = {one["in"] for one in operation["parameters"]}
    names = {one["name"] for one in operation["parameters"]}
    found = {429, 503}
    found |= set() if is_open else {401, 403}
    found |= {404} if "path" in places else set()
    found |= {400} if places & {"query", "header"} else set()
    found |= {400, 408, 413, 415} if "requestBody" in operation else set()
    found |= {412, 428} if IF_MATCH["name"] in names else set()
    return found | ({422} if ONCE_ONLY in names else set())


def _hoist(found: Json | list[Any], schemas: Json) -> None:
    """Put what a body's own schema defines among the document's, where its references can find it."""
    if isinstance(found, dict):
        defined: Json = found.pop("$defs", {})
        _hoist([*defined.values()], schemas)
        schemas.update(defined)
        if "$ref" in found:
            found["$ref"] = found["$ref"].replace("#/$defs/", REFERENCE)
        found = list(found.values())
    for one in found:
        if isinstance(one, (dict, list)):
            _hoist(one, schemas)  # pyright: ignore[reportUnknownArgumentType]
