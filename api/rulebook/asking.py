"""What routes and pages of the rulebook ask first: whose town, with what right, and whether somebody was faster."""

import hashlib

from fastapi import Request, Response
from pydantic import BaseModel

from api.problems import Problem
from kraj.store import rulebook
from kraj.store.connection import Connection
from kraj.store.rulebook import TownRow

REGION = ""
"""How forms and parameters name the region itself."""


async def town(connection: Connection, name: str) -> TownRow:
    """A municipality whose rules the principal may change; 404 for an unknown one, 403 without the right."""
    found = next((row for row in await rulebook.towns(connection) if row.name == name), None)
    if found is None:
        raise Problem("municipality", 404, name=name)
    if not found.writable:
        raise Problem("rules_right", 403, name=found.title)
    return found


def tagged(response: Response, model: BaseModel) -> None:
    """Say which state of a thing this is."""
    response.headers["etag"] = tag(model)


def tag(model: BaseModel) -> str:
    """A strong validator: the digest of what is shown."""
    return f'"{hashlib.sha256(model.model_dump_json().encode()).hexdigest()[:20]}"'


def match(request: Request, model: BaseModel) -> None:
    """Raise 428 without If-Match, 412 when it names another state than this one."""
    given = request.headers.get("if-match")
    if given is None:
        raise Problem("if_match", 428)
    if given.strip() != "*" and tag(model) not in {part.strip() for part in given.split(",")}:
        raise Problem("changed", 412)
