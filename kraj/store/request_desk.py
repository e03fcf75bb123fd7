"""Citizens' reports as the people of their town have them: listed, placed, answered and closed, behind the wall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.store.queries.registry import folded, folded_sql, literally

Connection = psycopg.AsyncConnection[Any]
MERGED_MAX = 120
"""Of one report; more are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report in its reporter's words; ``municipality`` is a name, ``place`` and ``candidate`` are labels."""

    request_number: int
    service_request_id: str
    service_code: str
    status: str
    closed_how: str | None
    municipality: str | None
    municipality_title: str | None
    asset_id: int | None
    place: str | None
    candidate_id: int | None
    candidate: str | None
    alert_id: int | None
    merged_into: int | None
    latitude: float | None
    longitude: float | None
    address: str | None
    description: str
    source: str
    who: str | None
    status_notes: str | None
    expected_at: datetime | None
    requested_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What a report may mean; ``municipality`` is a title."""

    asset_id: int
    kind: str
    label: str
    street: str | None
    municipality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which reports; ``placed``: whether it is known which thing each means; ``first_only``: none that is merged."""

    status: Literal["open", "closed"] | None = None
    placed: bool | None = None
    municipality: str | None = None
    text: str | None = None
    source: str | None = None
    first_only: bool = False


_COLUMNS = """
    SELECT r.request_number, r.service_request_id, r.service_code, r.status, r.closed_how, m.name AS municipality,
           m.title AS municipality_title, r.asset_id, a.label AS place, r.candidate_id, c.label AS candidate,
           r.alert_id, r.parent_id AS merged_into, r.latitude, r.longitude, r.address, r.description, r.source, r.who,
           r.status_notes, r.expected_at, r.requested_at, r.updated_at, r.version
    FROM service_request r LEFT JOIN municipality m ON m.municipality_id = r.municipality_id
    LEFT JOIN asset a ON a.asset_id = r.asset_id LEFT JOIN asset c ON c.asset_id = r.candidate_id
"""
_CONDITIONS: Mapping[str, str] = {
    "status": "r.status = %(status)s",
    "municipality": "m.name = %(municipality)s",
    "source": "r.source = %(source)s",
    "placed": "(r.asset_id IS NOT NULL) = %(placed)s",
    "text": folded_sql("concat_ws(' ', a.label, c.label, r.address, r.description, r.who)") + " LIKE %(text)s",
    "first_only": "r.parent_id IS NULL",
}


_WHERE = folded_sql("concat_ws(' ', a.label, a.metadata ->> 'street', m.title)")


async def reports(connection: Connection, which: Which, *, before: int, limit: int) -> list[Report]:
    """Reports with numbers below ``before``, the newest first."""
    given: dict[str, Any] = {
        name: value for name in _CONDITIONS if (value := getattr(which, name)) is not None and value != ""
    }
    if not which.first_only:
        given.pop("first_only")
    where = " AND ".join(["r.request_number < %(before)s", *(_CONDITIONS[name] for name in given)])
    if "text" in given:
        given["text"] = f"%{literally(folded(given['text']))}%"
    statement = f"{_COLUMNS} WHERE {where} ORDER BY r.request_number DESC LIMIT %(limit)s"
    return await _rows(connection, statement, given | {"before": before, "limit": limit})


async def one(connection: Connection, request_number: int) -> Report | None:
    """A report by its number."""
    found = await _rows(connection, f"{_COLUMNS} WHERE r.request_number = %(number)s", {"number": request_number})
    return found[0] if found else None


async def merged(connection: Connection, numbers: Sequence[int]) -> list[Report]:
    """Reports that are merged into those of these numbers, the first one first."""
    statement = f"{_COLUMNS} WHERE r.parent_id = ANY(%(numbers)s) ORDER BY r.request_number LIMIT %(limit)s"
    return await _rows(connection, statement, {"numbers": list(numbers), "limit": MERGED_MAX * max(len(numbers), 1)})


async def may_act(connection: Connection, request_number: int) -> bool:
    """Whether who asks may act on a report that they see."""
    row = await (await connection.execute("SELECT request_may_act(%s)", [request_number])).fetchone()
    return bool(row and row[0])


async def may_act_on(connection: Connection, asset_id: int) -> bool:
    """Whether who asks may say that a report means a thing."""
    statement = "SELECT asset_id = ANY (kraj_assets('act')) OR municipality_id = ANY (kraj_municipalities('act'))"
    row = await (
        await connection.execute(f"{statement} FROM asset WHERE asset_id = %s".encode(), [asset_id])
    ).fetchone()
    return bool(row and row[0])


async def things(
    connection: Connection, text: str, municipality: str | None, kinds: Sequence[str], limit: int
) -> list[Thing]:
    """Things that one sees with all words of a text in label or street; in a municipality, where one is given."""
    given: dict[str, Any] = {
        "words": [f"%{literally(word)}%" for word in folded(text).split()],
        "municipality": municipality,
        "kinds": list(kinds),
        "limit": limit,
    }
    in_town = "" if municipality is None else " AND m.name = %(municipality)s"
    statement = f"""
        SELECT a.asset_id, a.kind, a.label, a.metadata ->> 'street' AS street, m.title AS municipality
        FROM asset a JOIN municipality m ON m.municipality_id = a.municipality_id
        WHERE a.retired_at IS NULL AND a.kind = ANY(%(kinds)s){in_town} AND {_WHERE} LIKE ALL(%(words)s)
        ORDER BY length(a.label), a.label, a.asset_id LIMIT %(limit)s
    """  # noqa: S608 - our own words
    async with connection.cursor(row_factory=class_row(Thing)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


async def place(connection: Connection, request_number: int, version: int, asset_id: int, at: datetime) -> bool:
    """A report, and what is merged with it, means this thing; False where that is not theirs to say, or not so."""
    asked = [request_number, version, asset_id, at]
    row = await (await connection.execute("SELECT request_place(%s, %s, %s, %s)", asked)).fetchone()
    return bool(row and row[0])


async def tell(
    connection: Connection, request_number: int, version: int, given: Mapping[str, Any], at: datetime
) -> bool:
    """Change ``status``, ``closed_how``, ``status_notes`` and ``expected_at``, as far as given; False as above."""
    asked = [request_number, version, Jsonb(dict(given)), at]
    row = await (await connection.execute("SELECT request_tell(%s, %s, %s, %s)", asked)).fetchone()
    return bool(row and row[0])


async def _rows(connection: Connection, statement: str, given: Mapping[str, Any]) -> list[Report]:
    async with connection.cursor(row_factory=class_row(Report)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()
