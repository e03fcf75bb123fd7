"""Reading entities: one bounded statement for all of a page, or for what is expanded below all of its entities."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from kraj.kinds import KINDS
from kraj.sensorthings.errors import QueryError
from kraj.sensorthings.model import NUMBERS, OBSERVATION, QUARTER, Entity, Part, Parts, number, parts
from kraj.sensorthings.options import Asked, Order
from kraj.store.sensorthings.columns import ALWAYS, COLUMNS, KEY_SQL, KEYS, PARTS, Column, Sort, observations, source
from kraj.store.sensorthings.filtering import Compiler

Connection = psycopg.AsyncConnection[Any]

STATEMENT_MS_MAX: Final = 2000
"""Anybody may ask; what takes longer must be asked more narrowly."""
_CASTS: Final[Mapping[Part, str]] = {"asset": "integer", "kind": "text", "position": "integer", "bucket": "timestamptz"}
_BY_NUMBER: Final = frozenset({("id",), ("@iot.id",)})
_BY_TIME: Final = frozenset({("phenomenonTime",), ("resultTime",), *_BY_NUMBER})


@dataclass(frozen=True, slots=True)
class Row:
    """An entity: what tells it apart, and its properties as JSON, nested."""

    number: int
    parts: Parts
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """Entities below one scope; ``more`` when there are others behind them, ``by_number`` when the last one's number
    tells where these begin."""

    rows: list[Row]
    more: bool
    by_number: bool
    count: int | None = None


async def read(
    connection: Connection, entity: Entity, scopes: Sequence[Parts], asked: Asked, *, limit: int, at: datetime
) -> list[Found]:
    """For each scope at most ``limit`` entities, in the order asked for.

    All scopes name the same parts. Quarter-hours that have not ended ``at`` that moment are not told. Raises
    ``QueryError`` for what does not fit the entity and for what takes too long.
    """
    answers: list[Found | None] = [None] * len(scopes)
    try:
        await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_MS_MAX}ms'".encode())
        for kind, places in _by_kind(entity, scopes).items():
            question = _Question(entity, [scopes[place] for place in places], asked, kind=kind, limit=limit, at=at)
            for place, found in zip(places, await question.ask(connection), strict=True):
                answers[place] = found
    except psycopg.errors.QueryCanceled as error:
        raise QueryError("broad") from error
    except psycopg.DataError as error:
        raise QueryError("data", detail=str(error.diag.message_primary)) from error
    return [found for found in answers if found is not None]


async def single(connection: Connection, entity: Entity, scope: Parts, *, at: datetime) -> Row | None:
    """The one entity of these parts."""
    found = await read(connection, entity, [scope], Asked(), limit=1, at=at)
    return found[0].rows[0] if found[0].rows else None


def _by_kind(entity: Entity, scopes: Sequence[Parts]) -> dict[str | None, list[int]]:
    """Places of scopes by kind: quarter-hours of each are in a view of their own."""
    found: dict[str | None, list[int]] = defaultdict(list)
    for place, scope in enumerate(scopes):
        found[scope.get("kind") if entity is OBSERVATION else None].append(place)
    return found


class _Question:
    def __init__(
        self, entity: Entity, scopes: list[Parts], asked: Asked, *, kind: str | None, limit: int, at: datetime
    ) -> None:
        self._entity = entity
        self._scopes = scopes
        self._asked = asked
        self._kind = kind
        self._limit = limit
        self._fixed: list[Part] = [part for part in entity.parts if scopes and part in scopes[0]]
        self._compiler = Compiler(entity)
        self._parameters: dict[str, Any] = {"at": at - QUARTER, "limit": limit + 1, "skip": asked.skip}

    async def ask(self, connection: Connection) -> list[Found]:
        where = " AND ".join(self._conditions()) or "true"
        columns = COLUMNS[self._entity.name]
        selected = [PARTS[self._entity.name][part] for part in self._entity.parts]
        selected += [piece for column in columns for piece in _selected(column)]
        order, by_number = self._order()
        after = self._after(by_number) if self._asked.after is not None else ""
        named = ", ".join(f"{piece} AS c{place}" for place, piece in enumerate(selected))
        statement = (
            f"SELECT p.n, c.* FROM {self._given()} CROSS JOIN LATERAL (SELECT {named} FROM {self._source()}"  # noqa: S608
            f" WHERE {where}{after} ORDER BY {', '.join(order)} OFFSET %(skip)s LIMIT %(limit)s) AS c"
        )
        self._parameters |= self._compiler.parameters
        rows = await (await connection.execute(statement.encode(), self._parameters)).fetchall()
        by_scope: dict[int, list[Row]] = defaultdict(list)
        for place, *cells in rows:  # the order of each scope's rows is the statement's
            by_scope[place].append(self._row(cells, columns))
        counts = await self._counts(connection, where) if self._asked.count else {}
        return [
            Found(
                by_scope[place][: self._limit],
                len(by_scope[place]) > self._limit,
                by_number is not None,
                counts.get(place, 0) if self._asked.count else None,
            )
            for place in range(len(self._scopes))
        ]

    async def _counts(self, connection: Connection, where: str) -> dict[int, int]:
        statement = (
            f"SELECT p.n, c.n FROM {self._given()} CROSS JOIN LATERAL"  # noqa: S608
            f" (SELECT count(*) AS n FROM {self._source()} WHERE {where}) AS c"
        )
        return dict(await (await connection.execute(statement.encode(), self._parameters)).fetchall())

    def _given(self) -> str:
        """The scopes as a relation ``p``."""
        self._parameters["n"] = list(range(len(self._scopes)))
        arrays, names = ["%(n)s::integer[]"], list[str](["n"])
        for part in self._fixed:
            self._parameters[f"p_{part}"] = [scope[part] for scope in self._scopes]
            arrays.append(f"%(p_{part})s::{_CASTS[part]}[]")
            names.append(part)
        return f"unnest({', '.join(arrays)}) AS p ({', '.join(names)})"

    def _source(self) -> str:
        found = source(self._entity.name)
        if self._entity is not OBSERVATION:
            return found
        kind = None if self._kind is None else KINDS[self._kind]
        one = observations(kind, of_one_metric=kind is not None and "position" in self._fixed)
        return f"{found} CROSS JOIN LATERAL {one}"

    def _conditions(self) -> list[str]:
        name = self._entity.name
        found = [f"{PARTS[name][part]} = p.{part}" for part in self._fixed]
        if self._entity is OBSERVATION:
            found += [
                "t.asset_id = o.asset_id",
                "m.position = o.position",
                "(o.number IS NOT NULL OR o.text IS NOT NULL)",
                "o.bucket <= %(at)s",
            ]
        if name in ALWAYS:
            found.append(ALWAYS[name])
        if self._asked.filter is not None:
            found.append(self._compiler.condition(self._asked.filter))
        return found

    def _order(self) -> tuple[list[str], bool | None]:
        """What to sort by, and whether it is by number: upwards (False), downwards (True); None when it is not."""
        keys = [KEY_SQL[self._entity.name][part] for part in KEYS[self._entity.name] if part not in self._fixed]
        keys = keys or [KEY_SQL[self._entity.name][KEYS[self._entity.name][-1]]]
        orders = self._asked.order
        if not orders:
            return keys, False
        same = _BY_TIME if {"asset", "position"} <= set(self._fixed) else _BY_NUMBER
        if orders[0].path.parts in same and (self._entity is OBSERVATION or orders[0].path.parts in _BY_NUMBER):
            down = orders[0].descending
            return [f"{key} DESC" if down else key for key in keys], down
        return [*self._wished(orders), *keys], None

    def _wished(self, orders: Sequence[Order]) -> list[str]:
        compiler = Compiler(self._entity, "$orderby")
        return [
            f"{piece}{' DESC NULLS LAST' if order.descending else ' NULLS LAST'}"
            for order in orders
            for piece in compiler.order(order.path)
        ]

    def _after(self, by_number: bool | None) -> str:
        given = parts(self._entity, self._asked.after or 0)
        if by_number is None or given is None:
            raise QueryError("value", option="$skiptoken", value=str(self._asked.after))
        left, right = list[str](), list[str]()
        for part in KEYS[self._entity.name]:
            if part in self._fixed:
                continue
            left.append(KEY_SQL[self._entity.name][part])
            right.append(f"%(after_{part})s::{'integer' if part == 'kind' else _CASTS[part]}")
            self._parameters[f"after_{part}"] = NUMBERS[given[part]] if part == "kind" else given[part]
        if not left:
            return " AND false"
        return f" AND ({', '.join(left)}) {'<' if by_number else '>'} ({', '.join(right)})"

    def _row(self, cells: Sequence[Any], columns: Sequence[Column]) -> Row:
        found: Parts = dict(zip(self._entity.parts, cells, strict=False))
        values: dict[str, Any] = {}
        place = len(self._entity.parts)
        for column in columns:
            width = len(_selected(column))
            _put(values, column, cells[place : place + width])
            place += width
        return Row(number(self._entity, found), found, values)


def _selected(column: Column) -> list[str]:
    if column.sort is Sort.PLACE:
        return [f"({column.sql})[0]", f"({column.sql})[1]"]
    return ["o.number", "o.text"] if column.sort is Sort.ANY else [column.sql]


def _put(values: dict[str, Any], column: Column, cells: Sequence[Any]) -> None:
    *above, name = column.path.split("/")
    for step in above:
        values = values.setdefault(step, {})
    values[name] = _json(column.sort, cells)


def _json(sort: Sort, cells: Sequence[Any]) -> Any:
    if sort is Sort.PLACE:
        return None if None in cells else {"type": "Point", "coordinates": list(cells)}
    if sort is Sort.ANY:
        return cells[1] if cells[0] is None else cells[0]
    if sort is Sort.SPAN:
        return f"{_iso(cells[0])}/{_iso(cells[0] + QUARTER)}"
    return _iso(cells[0]) if sort is Sort.TIME and cells[0] is not None else cells[0]


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
