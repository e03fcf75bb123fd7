"""Query options (18-088 clause 9.3): $select, $expand with its own options, $filter, $orderby, $top, $skip, $count."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from kraj.sensorthings.errors import QueryError
from kraj.sensorthings.expressions import Node, Path, parse
from kraj.sensorthings.model import ENTITIES, Entity
from kraj.sensorthings.tokens import INT64_MAX, TEXT_MAX

TOP_DEFAULT: Final = 100
TOP_MAX: Final = 1000
"""More comes by nextLink, whatever was asked for."""
SKIP_MAX: Final = 100_000
"""PostgreSQL reads all that is skipped; nextLinks of the usual orders go by key and know no such bound."""
EXPANDED_TOP_DEFAULT: Final = 20
EXPAND_DEPTH_MAX: Final = 3
EXPANDS_MAX: Final = 8
ORDERS_MAX: Final = 5
NEXT: Final = "$skiptoken"
"""Of our own nextLinks: the number of the last entity of the page."""
ON_MANY: Final = frozenset({"$select", "$expand", "$filter", "$orderby", "$top", "$skip", "$count", NEXT})
ON_ONE: Final = frozenset({"$select", "$expand"})


@dataclass(frozen=True, slots=True)
class Order:
    """By what, and whether the greatest comes first."""

    path: Path
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of an entity, or of many; ``expand`` by the name of the link, ``after`` a nextLink's number."""

    select: tuple[str, ...] = ()
    expand: "dict[str, Asked]" = field(default_factory=dict[str, "Asked"])
    filter: Node | None = None
    order: tuple[Order, ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    after: int | None = None
    given: tuple[tuple[str, str], ...] = ()
    """The options as they were written, for links that go on."""


def read(pairs: Iterable[tuple[str, str]], entity: Entity, allowed: frozenset[str]) -> Asked:
    """Options of an address, decoded; raise ``QueryError`` for what is unknown, given twice, or wrong."""
    return _read(pairs, entity, allowed, depth=0)


def _read(pairs: Iterable[tuple[str, str]], entity: Entity, allowed: frozenset[str], depth: int) -> Asked:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed or name in given:
            raise QueryError("option", option=name[:40], known=", ".join(sorted(allowed - {NEXT})) or "–")
        given[name] = value
    orders = _split(given["$orderby"], ",", "$orderby") if "$orderby" in given else []
    if len(orders) > ORDERS_MAX:
        raise QueryError("limit", option="$orderby", limit=ORDERS_MAX)
    top = given.get("$top")
    after = given.get(NEXT)
    return Asked(
        select=_select(given["$select"], entity) if "$select" in given else (),
        expand=_expand(given["$expand"], entity, depth) if "$expand" in given else {},
        filter=parse(given["$filter"]) if "$filter" in given else None,
        order=tuple(map(_order, orders)),
        top=None if top is None else _number("$top", top, INT64_MAX),
        skip=_number("$skip", given.get("$skip", "0"), SKIP_MAX),
        count=_truth("$count", given.get("$count", "false")),
        after=None if after is None else _number(NEXT, after, INT64_MAX),
        given=tuple(given.items()),
    )


def _select(text: str, entity: Entity) -> tuple[str, ...]:
    known = {*FIELDS[entity.name], "id", "@iot.id", *(link.name for link in entity.links)}
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise QueryError("name", option="$select", name=name[:60], known=", ".join(sorted(known)), at=1)
    return names


def _expand(text: str, entity: Entity, depth: int) -> dict[str, Asked]:
    if depth >= EXPAND_DEPTH_MAX:
        raise QueryError("limit", option="$expand", limit=EXPAND_DEPTH_MAX)
    found: dict[str, Asked] = {}
    for item in _split(text, ",", "$expand"):
        head, bracket, inside = item.strip().partition("(")
        name, slash, rest = head.strip().partition("/")
        link = entity.link(name)
        if link is None or (bracket and not inside.endswith(")")):
            links = ", ".join(one.name for one in entity.links)
            raise QueryError("name", option="$expand", name=item[:60], known=links, at=1)
        target = ENTITIES[link.target]
        if slash:  # Datastreams/ObservedProperty(…) is Datastreams($expand=ObservedProperty(…))
            pairs = [("$expand", rest + bracket + inside)]
        elif bracket:
            pairs = [_pair(part) for part in _split(inside[:-1], ";", "$expand")]
        else:
            pairs = []
        asked = _read(pairs, target, ON_MANY - {NEXT} if link.many else ON_ONE, depth + 1)
        found[name] = _joined(found[name], asked) if name in found else asked
    if _expands(found) > EXPANDS_MAX:
        raise QueryError("limit", option="$expand", limit=EXPANDS_MAX)
    return found


def _joined(one: Asked, other: Asked) -> Asked:
    """Datastreams/Sensor,Datastreams/ObservedProperty: the first brings the options, both what is expanded."""
    written = dict(one.given)
    written["$expand"] = ",".join(dict(asked.given)["$expand"] for asked in (one, other) if asked.expand)
    return replace(one, expand=one.expand | other.expand, given=tuple(written.items()))


def _expands(found: dict[str, Asked]) -> int:
    return sum(1 + _expands(asked.expand) for asked in found.values())


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.strip().partition("=")
    return name.strip(), value.strip()


def _order(text: str) -> Order:
    words = text.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
        raise QueryError("value", option="$orderby", value=text[:60])
    node = parse(words[0], "$orderby")
    if not isinstance(node, Path):
        raise QueryError("value", option="$orderby", value=text[:60])
    return Order(node, descending=words[-1].lower() == "desc")


def _number(option: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise QueryError("value", option=option, value=text[:60])
    if int(text) > most:
        raise QueryError("limit", option=option, limit=most)
    return int(text)


def _truth(option: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise QueryError("value", option=option, value=text[:60])
    return text == "true"


def _split(text: str, at: str, option: str) -> list[str]:
    """At a sign outside of brackets and quotation marks."""
    if len(text) > TEXT_MAX:
        raise QueryError("limit", option=option, limit=TEXT_MAX)
    found, begin, depth, quoted = list[str](), 0, 0, False
    for place, sign in enumerate(text):
        if sign == "'":
            quoted = not quoted
        elif not quoted:
            depth += (sign == "(") - (sign == ")")
            if sign == at and depth == 0:
                found.append(text[begin:place])
                begin = place + 1
    if depth or quoted:
        raise QueryError("end", option=option)
    return [*found, text[begin:]]


FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "Thing": ("name", "description", "properties"),
    "Location": ("name", "description", "encodingType", "location"),
    "HistoricalLocation": ("time",),
    "Datastream": (*("name", "description", "observationType", "unitOfMeasurement", "observedArea", "properties"),),
    "Sensor": ("name", "description", "encodingType", "metadata"),
    "ObservedProperty": ("name", "definition", "description", "properties"),
    "Observation": ("phenomenonTime", "resultTime", "result", "parameters"),
    "FeatureOfInterest": ("name", "description", "encodingType", "feature"),
}
"""The properties of each entity that are told."""
