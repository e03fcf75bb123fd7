"""Nobody reaches another municipality's things: every operation of the document with every foreign id."""

from typing import Any

import pytest

from stack.bench import wall
from stack.bench.wall import Planted
from tests.api.conftest import Region
from tests.api.registry.conftest import Clerks

TABLES = ("asset", "device", "installed", "asset_group", "alert", "membership")
OWN = Planted(
    {
        "municipality": ("olsinka",),
        "name": ("vlastni-1",),
        "asset_id": (1,),
        "alert_id": (4711,),
        "group_id": (4711,),
        "devices/name": ("lamp-1",),
        "unregistered/name": ("nikdo",),
        "kind": ("lamp",),
        "label": ("VO-1",),
        "step": ("suspended",),
        "new": ("lamp-nova",),
    },
    frozenset(),
)


def rows(region: Region) -> list[Any]:
    """Everything that belongs to the other municipality."""
    return [
        region.connection.execute(
            f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {t} t WHERE municipality_id = 2".encode()
        ).fetchone()
        for t in TABLES
    ]


@pytest.mark.parametrize("who", ["olsinka", "viewer", "nobody"])
async def test_what_is_anothers_is_not_there(clerks: Clerks, who: str, record_property: Any) -> None:
    planted = wall.plant(clerks.database.connection, "zdarna")
    before = rows(clerks.database)
    client = getattr(clerks, who)
    document = (await client.get("/openapi.json")).json()
    faults: list[str] = []
    tried: dict[str, int] = {}
    for attempt in wall.attempts(document, planted, OWN):
        headers = {"if-match": "*"} if attempt.method in ("patch", "delete", "put") else {}
        answer = await client.request(
            attempt.method, attempt.path, params=attempt.query or None, json=attempt.body, headers=headers
        )
        tried[attempt.operation] = tried.get(attempt.operation, 0) + 1
        if fault := attempt.fault(answer.status_code, answer.text, planted.words):
            faults.append(fault)
    record_property("attempts", sum(tried.values()))
    assert faults == []
    assert rows(clerks.database) == before
    with_ids = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
                if path.startswith("/v1/") and "{" in path}  # fmt: skip
    assert with_ids <= tried.keys(), "every operation on a thing was tried"
