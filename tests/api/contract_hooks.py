"""What no schema tells of valid requests: cursors come from answers, and an end follows its beginning."""

from datetime import datetime, timedelta
from typing import Any

import schemathesis

from kraj.meters import check_digit

NOW = datetime.fromisoformat("2026-11-21T06:15:00+00:00")
"""As in tests/api/conftest.py."""
YEARS = frozenset(map(str, range(1970, 3000)))
"""As in api/parameters.py."""


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]) -> None:
    """A valid request that also makes sense; those that are to be refused stay as they are."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        if case.query:
            _sensible_query(case.query)
        if isinstance(case.body, dict):
            _sensible_body(case.body)


def _sensible_query(query: Any) -> None:
    query.pop("cursor", None)
    query.pop("metrics", None)
    for name in ("from", "to"):
        if str(query.get(name, "2026"))[:4] not in YEARS:
            del query[name]
    if "from" in query and "to" in query and not query["from"] < query["to"]:
        del query["to"]
    if query.get("format") != "csv" and "limit" in query:
        query["limit"] = min(int(query["limit"]), 200)


def _sensible_body(body: dict[str, Any]) -> None:
    if "scope_type" in body:
        body |= {"scope_type": "municipality", "scope_name": ""}
    if body.get("role") == "region_admin":
        body["municipality"] = None
    if isinstance(body.get("ean"), str):
        body["ean"] = body["ean"][:17] + check_digit(body["ean"][:17])
    for one in (body, body.get("asset")):
        if isinstance(one, dict) and "metadata" in one:
            one["metadata"] = {"x_note": "1"}  # its keys are those of the kind
    if "until" in body:
        body["until"] = (NOW + timedelta(days=1)).isoformat()
    if isinstance(body.get("valid_to"), str):
        body["valid_from"] = (NOW - timedelta(days=1)).isoformat() if "valid_from" in body else None
        body["valid_to"] = (NOW + timedelta(days=1)).isoformat()
        if body["valid_from"] is None:
            del body["valid_from"]
