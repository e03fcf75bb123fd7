"""Forms of the rulebook and of notifications: read with a bound, checked by the same models, shown again if wrong."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api import acting, problems
from api.problems import SHOWN_CHARS_MAX, Problem, ProblemDetails
from api.service import Service

Body = TypeVar("Body", bound=BaseModel)
IN_PLACE = frozenset({400, 409})
"""What is told beside the form that was sent; the rest is a page of its own."""


async def read(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name."""
    raw = (await acting.bounded(request)).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise Problem("body", 400, name="form", value="") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value.replace("\r\n", "\n"))
    return found


def checked(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """The fields as this model; raise ``Problem('body')``."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise acting.wrong(error) from error


def moment(text: str, name: str, zone: ZoneInfo) -> datetime:
    """A local time as a browser sends it (``2026-12-01T07:00``)."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError as error:
        raise Problem("body", 400, name=name, value=repr(text[:SHOWN_CHARS_MAX])) from error


def clock(text: str, name: str) -> time | None:
    """A time of day (``22:00``); empty is none."""
    if not text:
        return None
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise Problem("body", 400, name=name, value=repr(text[:SHOWN_CHARS_MAX])) from error


def local(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as ``<input type="datetime-local">`` takes it."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def told(service: Service, request: Request, problem: Problem) -> ProblemDetails:
    """A problem as it stands beside the form; raised on where it is no matter of the form."""
    if problem.status not in IN_PLACE:
        raise problem
    return problems.details(service, request, problem)
