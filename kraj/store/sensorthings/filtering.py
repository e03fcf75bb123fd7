"""A filter's tree to SQL with parameters: names become columns of ours, values parameters, everything is typed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from kraj.sensorthings.errors import QueryError
from kraj.sensorthings.expressions import COMPARISONS, Call, Literal, Node, Path
from kraj.sensorthings.model import ENTITIES, Entity
from kraj.sensorthings.tokens import Place, Value
from kraj.store.sensorthings.columns import ALWAYS, ASKED, COLUMNS, LOCATED, Sort, metrics


@dataclass(frozen=True, slots=True)
class Typed:
    """A piece of SQL and what it gives."""

    sort: Sort
    sql: str


_SIGNS: Final = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_QUARTER: Final = "interval '15 minutes'"
_PART: Final = "extract({} FROM {{0}})::float8"
N, T, W, D, P, B = Sort.NUMBER, Sort.TEXT, Sort.TIME, Sort.DURATION, Sort.PLACE, Sort.TRUTH
FUNCTIONS: Final[dict[str, list[tuple[tuple[Sort, ...], Sort, str]]]] = {
    "substringof": [((T, T), B, "(strpos({1}, {0}) > 0)")],
    "startswith": [((T, T), B, "starts_with({0}, {1})")],
    "endswith": [((T, T), B, "(right({0}, length({1})) = {1})")],
    "length": [((T,), N, "length({0})::float8")],
    "indexof": [((T, T), N, "(strpos({0}, {1}) - 1)::float8")],
    "substring": [
        ((T, N), T, "substr({0}, ({1})::integer + 1)"),
        ((T, N, N), T, "substr({0}, ({1})::integer + 1, ({2})::integer)"),
    ],
    "tolower": [((T,), T, "lower({0})")],
    "toupper": [((T,), T, "upper({0})")],
    "trim": [((T,), T, "btrim({0})")],
    "concat": [((T, T), T, "({0} || {1})")],
    **{name: [((W,), N, _PART.format(name))] for name in ("year", "month", "day", "hour", "minute")},
    "second": [((W,), N, "floor(extract(second FROM {0}))::float8")],
    "fractionalseconds": [((W,), N, "mod(extract(second FROM {0}), 1)::float8")],
    "date": [((W,), W, "date_trunc('day', {0})")],
    "time": [((W,), D, "({0} - date_trunc('day', {0}))")],
    "totaloffsetminutes": [((W,), N, "(0 * extract(epoch FROM {0}))::float8")],
    "now": [((), W, "now()")],
    "mindatetime": [((), W, "'-infinity'::timestamptz")],
    "maxdatetime": [((), W, "'infinity'::timestamptz")],
    "round": [((N,), N, "round(({0})::numeric)::float8")],
    "floor": [((N,), N, "floor({0})")],
    "ceiling": [((N,), N, "ceil({0})")],
    "geo.distance": [((P, P), N, "({0} <-> {1})")],
    "geo.intersects": [((P, P), B, "({0} <@ {1})")],
    "st_intersects": [((P, P), B, "({0} <@ {1})")],
    "st_within": [((P, P), B, "({0} <@ {1})")],
    "st_disjoint": [((P, P), B, "(NOT {0} <@ {1})")],
    "st_equals": [((P, P), B, "({0} ~= {1})")],
}
"""Of the standard's table 24, and the geometric ones that make sense of points."""
_ARITHMETIC: Final = {"add": "({0} + {1})", "sub": "({0} - {1})", "mul": "({0} * {1})", "div": "({0} / nullif({1}, 0))"}
_TO_ONE: Final = {
    ("Datastream", "Thing"): "Thing",
    ("Datastream", "Sensor"): "Sensor",
    ("Datastream", "ObservedProperty"): "ObservedProperty",
    ("Observation", "Datastream"): "Datastream",
    ("Observation", "FeatureOfInterest"): "FeatureOfInterest",
    ("HistoricalLocation", "Thing"): "Thing",
    # An asset has one place at most.
    ("Thing", "Locations"): "Location",
    ("Location", "Things"): "Thing",
    ("Location", "HistoricalLocations"): "HistoricalLocation",
    ("HistoricalLocation", "Locations"): "Location",
    ("Thing", "HistoricalLocations"): "HistoricalLocation",
}
"""Where links lead within the same row."""
_THROUGH: Final = {
    "Thing": "{metrics} WHERE m.kind = t.kind",
    "Sensor": "public_thing t JOIN {metrics} ON m.kind = t.kind WHERE t.kind = k.kind",
    "ObservedProperty": "public_thing t WHERE t.kind = m.kind",
}
"""What has Datastreams, and how they are found: it holds where one of them is as asked."""


@dataclass
class Compiler:
    """Makes SQL of trees about one entity; ``parameters`` fill as it goes."""

    entity: Entity
    option: str = "$filter"
    prefix: str = "f"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    _through: str | None = None

    def condition(self, node: Node) -> str:
        """A whole filter."""
        return self._as(self._node(node), B, node)

    def order(self, path: Path) -> list[str]:
        """What to sort by; a result sorts by its number and then by its word."""
        found = self._node(path)
        if self._through is not None or found.sort is Sort.PLACE:
            raise QueryError("type", option=self.option, at=path.at, found="/".join(path.parts))
        return ["o.number", "o.text"] if found.sort is Sort.ANY else [found.sql]

    def _node(self, node: Node) -> Typed:
        if isinstance(node, Literal):
            return self._literal(node)
        if isinstance(node, Path):
            return self._path(node)
        if node.name in ("and", "or"):
            left, right = (self._as(self._node(one), B, one) for one in node.arguments)
            return Typed(B, f"({left} {node.name.upper()} {right})")
        if node.name == "not":
            return Typed(B, f"(NOT {self._as(self._node(node.arguments[0]), B, node.arguments[0])})")
        before, self._through = self._through, None
        found = self._compared(node) if node.name in COMPARISONS else self._called(node)
        if found.sort is B and self._through is not None:
            found, self._through = Typed(B, f"EXISTS (SELECT FROM {self._through} AND {found.sql})"), None
        self._through = self._through or before
        return found

    def _literal(self, node: Literal) -> Typed:
        value: Value = node.value
        if value is None:
            return Typed(Sort.NULL, "NULL")
        for kind, sort, cast in _LITERALS:
            if isinstance(value, kind):
                return Typed(sort, self._parameter(value, cast))
        assert isinstance(value, Place)  # noqa: S101 - there is nothing else
        corners = ", ".join(f"({x!r},{y!r})" for x, y in value.corners)
        return Typed(
            P, self._parameter(corners if value.point else f"({corners})", "point" if value.point else "polygon")
        )

    def _parameter(self, value: object, cast: str) -> str:
        name = f"{self.prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s::{cast}"

    def _path(self, path: Path) -> Typed:
        entity, parts = self.entity, list(path.parts)
        if parts[-1] == "@iot.id":
            parts[-1] = "id"
        while len(parts) > 1 and (link := entity.link(parts[0])) is not None:
            if (entity.name, link.name) not in _TO_ONE:
                if link.name != "Datastreams" or self._through is not None:
                    raise self._unknown(path, entity)
                self._through = _THROUGH[entity.name].replace("{metrics}", metrics())
            entity = ENTITIES[link.target]
            parts.pop(0)
        name = "/".join(parts)
        found = next((column for column in COLUMNS[entity.name] if column.path == name), None)
        if found is None and any(column.path == parts[0] for column in COLUMNS[entity.name]):
            found = ASKED.get(name)
        if found is None:
            raise self._unknown(path, entity)
        if entity is not self.entity and entity.name in ALWAYS and found.sort is not Sort.PLACE:
            return Typed(found.sort, f"CASE WHEN {LOCATED} THEN {found.sql} END")
        return Typed(found.sort, found.sql)

    def _unknown(self, path: Path, entity: Entity) -> QueryError:
        known = ", ".join(column.path for column in COLUMNS[entity.name])
        return QueryError("name", option=self.option, name="/".join(path.parts)[:60], known=known, at=path.at)

    def _as(self, found: Typed, wanted: Sort, node: Node) -> str:
        if found.sort is Sort.ANY and wanted in (N, T):
            return "o.number" if wanted is N else "o.text"
        if found.sort is Sort.SPAN and wanted is W:
            return found.sql
        if found.sort is not wanted:
            raise self._mistyped(node, found.sort)
        return found.sql

    def _mistyped(self, node: Node, sort: Sort) -> QueryError:
        shown = "/".join(node.parts) if isinstance(node, Path) else node.name if isinstance(node, Call) else node.value
        return QueryError("type", option=self.option, at=node.at, found=str(shown)[:60], sort=sort.value)

    def _compared(self, node: Call) -> Typed:
        left, right = (self._node(one) for one in node.arguments)
        sign = _SIGNS[node.name]
        if Sort.NULL in (left.sort, right.sort):
            if node.name not in ("eq", "ne"):
                raise self._mistyped(node, Sort.NULL)
            known = left if right.sort is Sort.NULL else right
            columns = "coalesce(o.number::text, o.text)" if known.sort is Sort.ANY else f"({known.sql})"
            return Typed(B, f"({columns} IS {'' if node.name == 'eq' else 'NOT '}NULL)")
        if right.sort in (Sort.ANY, Sort.SPAN):
            left, right, sign = right, left, _SIGNS[_TURNED.get(node.name, node.name)]
        if left.sort is Sort.SPAN and right.sort is W:
            return Typed(B, self._span(left.sql, sign, right.sql))
        if left.sort is Sort.ANY and right.sort is Sort.ANY:
            left = right = Typed(N, "o.number")
        if right.sort is P or (left.sort is not Sort.ANY and left.sort is not right.sort):
            raise self._mistyped(node.arguments[1], right.sort)
        return Typed(B, f"({self._as(left, right.sort, node)} {sign} {right.sql})")

    def _span(self, begin: str, sign: str, when: str) -> str:
        """An interval is before an instant where it ends by then, and after it where it begins then or later."""
        if sign in ("<", "<="):
            return f"({begin} <= {when} - {_QUARTER})"
        return f"({begin} {'>=' if sign == '>' else sign} {when})"

    def _called(self, node: Call) -> Typed:
        found = [self._node(one) for one in node.arguments]
        if node.name == "minus":
            return Typed(N, f"(- {self._as(found[0], N, node.arguments[0])})")
        if node.name in ("add", "sub") and found[0].sort in (W, Sort.SPAN) and found[1].sort is D:
            return Typed(W, _ARITHMETIC[node.name].format(found[0].sql, found[1].sql))
        if node.name in _ARITHMETIC or node.name == "mod":
            left, right = (self._as(one, N, given) for one, given in zip(found, node.arguments, strict=True))
            text = _ARITHMETIC.get(node.name, "mod({0}::numeric, nullif({1}, 0)::numeric)::float8")
            return Typed(N, text.format(left, right))
        if node.name not in FUNCTIONS:
            raise QueryError(
                "name", option=self.option, name=node.name[:60], known=", ".join(sorted(FUNCTIONS)), at=node.at
            )
        form = next((form for form in FUNCTIONS[node.name] if len(form[0]) == len(found)), None)
        if form is None:
            raise QueryError("type", option=self.option, at=node.at, found=node.name)
        wanted, gives, text = form
        given = [self._as(one, sort, arg) for one, sort, arg in zip(found, wanted, node.arguments, strict=True)]
        if P in wanted:
            self._check_places(node, text)
        return Typed(gives, text.format(*given))

    def _check_places(self, node: Call, text: str) -> None:
        """First a property, which is a point; then what PostgreSQL can hold it against: a polygon for ``<@``."""
        first, second = node.arguments
        polygon = isinstance(second, Literal) and isinstance(second.value, Place) and not second.value.point
        if not isinstance(first, Path) or not isinstance(second, Literal) or polygon is not ("<@" in text):
            raise QueryError("type", option=self.option, at=second.at, found=node.name)


_TURNED: Final = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_LITERALS: Final[tuple[tuple[type, Sort, str], ...]] = (
    (bool, B, "boolean"),  # before int, which it is too
    (int, N, "bigint"),
    (float, N, "float8"),
    (str, T, "text"),
    (datetime, W, "timestamptz"),
    (timedelta, D, "interval"),
)
