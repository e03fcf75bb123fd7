"""What every writing route does: bodies read with a bound, If-Match, ETags, a POST that may be sent again."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from api import acting, principal
from api.database import Connection
from api.principal import Principal
from api.problems import Problem
from api.service import Service
from kraj.store import idempotency

KEPT = timedelta(hours=24)
KEY = re.compile(r"[\x21-\x7e]{1,255}")
MERGE = "application/merge-patch+json"
REPLAYED = "idempotent-replay"
ETAG = re.compile(r'"(\d{1,10})"')

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a piece of work answers. ``secret`` names members that are shown once: they are not kept for a replay."""

    body: Mapping[str, Any] | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    secret: tuple[str, ...] = ()


Work = Callable[[Connection], Awaitable[Answer]]


def who() -> Principal:
    """Who asks; raises ``Problem('sign_in')`` where nobody does."""
    found = principal.current.get()
    if found is None:
        raise Problem("sign_in", 401)
    return found


async def body_of(request: Request, model: type[Body]) -> tuple[Body, bytes]:
    """The body as this model, and its bytes; raises a problem that names what is wrong with it."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not (media == MERGE and request.method == "PATCH"):
        raise Problem("media_type", 415, given=media)
    raw = await acting.bounded(request)
    return read(model, raw), raw


def read(model: type[Body], raw: bytes) -> Body:
    """JSON as this model."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise wrong(error) from error


def wrong(error: ValidationError) -> Problem:
    """The first thing that is wrong; a field that nobody knows is named as such."""
    first = error.errors(include_url=False, include_context=False, include_input=True)[0]
    name = ".".join(map(str, first["loc"])) or "body"
    if first["type"] == "extra_forbidden":
        return Problem("field", 400, name=name)
    return Problem("body", 400, name=name, value=repr(first.get("input"))[:200])


def etag(version: int) -> str:
    """Strong: it names exactly one state of the row."""
    return f'"{version}"'


def seen(request: Request) -> str:
    """What If-Match says; 428 without it, whatever else is wrong."""
    given = request.headers.get("if-match")
    if given is None:
        raise Problem("if_match", 428)
    return given


def expected(request: Request, version: int) -> int:
    """The version that the caller has seen, which is the one there is; 428 without If-Match, 412 for another one."""
    given = seen(request)
    if given.strip() == "*":
        return version
    if version not in [int(match[1]) for part in given.split(",") if (match := ETAG.fullmatch(part.strip()))]:
        raise changed()
    return version


def changed() -> Problem:
    """Somebody was faster."""
    return Problem("changed", 412)


async def changing(service: Service, work: Work) -> Response:
    """A PATCH or DELETE: If-Match makes it safe to send again."""
    who()
    async with service.database.connection(write=True) as connection:
        answer = await work(connection)
    return _response(answer.body, answer.status, answer.headers)


async def posting(service: Service, request: Request, raw: bytes, work: Work) -> Response:
    """A POST, done once for each Idempotency-Key within a day.

    The key is taken in the transaction of the work: of two that come at once the second waits for the first, and what
    failed leaves no trace.
    """
    key = request.headers.get("idempotency-key")
    return await once(service, key, request.url.path, raw, work)


async def once(service: Service, key: str | None, route: str, raw: bytes, work: Work) -> Response:
    """The same for whoever has a key of its own, such as a form."""
    person = who()
    if key is None:
        taken = None
    elif KEY.fullmatch(key):
        taken = idempotency.Key(person.person_id, key, route, hashlib.sha256(raw).digest())
    else:
        raise Problem("idempotency_key", 400)
    async with service.database.connection(write=True) as connection:
        if taken is not None:
            at = service.clock()
            kept = await idempotency.take(connection, taken, at=at, since=at - KEPT)
            if kept is not None:
                if (kept.route, kept.digest) != (taken.route, taken.digest):
                    raise Problem("idempotency_other", 422, key=key)
                return _response(kept.answer, kept.status or 200, {**(kept.headers or {}), REPLAYED: "true"})
        answer = await work(connection)
        if taken is not None:
            public = answer.body and {k: None if k in answer.secret else v for k, v in answer.body.items()}
            await idempotency.keep(connection, taken, answer.status, public, answer.headers)
    return _response(answer.body, answer.status, answer.headers)


def _response(body: Mapping[str, Any] | None, status: int, headers: Mapping[str, str]) -> Response:
    if body is None:
        return Response(status_code=status, headers=dict(headers))
    return JSONResponse(dict(body), status, dict(headers))


def plain(model: BaseModel) -> dict[str, Any]:
    """A model as JSON can hold it."""
    return json.loads(model.model_dump_json())


def documented(model: type[BaseModel], *, once_only: bool = False, conditional: bool = False) -> dict[str, Any]:
    """What the OpenAPI document says of a body read by ``body_of``, and of the headers that go with it."""
    return {**acting.documented(model), **headers(once_only=once_only, conditional=conditional)}


def headers(*, once_only: bool = False, conditional: bool = False) -> dict[str, Any]:
    """The same for routes without a body."""
    found: list[dict[str, Any]] = []
    if once_only:
        found.append(
            _header("Idempotency-Key", "A name of your own for this request: for 24 hours it is done once.", "4f1c-7d")
            | {"schema": {"type": "string", "pattern": f"^{KEY.pattern}$"}}
        )
    if conditional:
        found.append(_header("If-Match", "The ETag of the state that you have seen.", '"3"') | {"required": True})
    return {"parameters": found}


def _header(name: str, description: str, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}, "example": example}
