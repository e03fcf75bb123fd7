"""A mapping from a form, tried on the message that was pasted beside it."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from api.foreign import bodies
from api.foreign import routes as resources
from api.language import choose
from api.service import Service
from kraj.foreign.records import Adapter


def adapter(given: Mapping[str, str]) -> Adapter:
    """The system that was chosen; a message in JSON of one's own where none was."""
    return Adapter(given["adapter"]) if given.get("adapter") in list(Adapter) else Adapter.JSON


def document(text: str) -> dict[str, Any]:
    """The mapping as JSON; raises ``ValueError`` or ``RecursionError`` with what is wrong."""
    found: Any = json.loads(text or "{}")
    if not isinstance(found, dict):
        raise ValueError("{ is expected at the beginning")
    return found  # pyright: ignore[reportUnknownVariableType]


def attempt(service: Service, request: Request, given: Mapping[str, str]) -> bodies.Tried:
    """What would be read. Raises as ``document`` does, and ``ValueError`` for what is too long."""
    body = bodies.TryBody.model_validate(
        {
            "adapter": adapter(given),
            "document": document(given.get("document", "")),
            "topic": given.get("topic", ""),
            "message": given.get("message", ""),
        }
    )
    return resources.tried(body, int(service.clock().timestamp() * 1000), choose(request))
