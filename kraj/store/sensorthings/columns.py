"""What each property of a SensorThings entity is in SQL, and from which views entities come."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from psycopg import sql

from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Rollup, Type
from kraj.sensorthings.model import NUMBERS, POSITION_BITS, QUARTER_BITS, Part
from kraj.store.public_quarters import quarter_view
from kraj.units import Unit


class Sort(Enum):
    """What a property is to a filter."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "truth"
    TIME = "time"
    SPAN = "span"
    DURATION = "duration"
    PLACE = "place"
    ANY = "any"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Column:
    """``path`` with slashes, as filters name it; a SPAN is its beginning, a quarter-hour long; ANY is ``o.number`` or
    ``o.text``."""

    path: str
    sort: Sort
    sql: str


OM: Final = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_"
GEOJSON: Final = "application/geo+json"
HOW: Final = {
    Rollup.MEAN: ("mean", "průměr za čtvrthodinu", "mean of the quarter-hour"),
    Rollup.INCREASE: ("increase", "přírůstek za čtvrthodinu", "increase over the quarter-hour"),
    Rollup.SHARE: ("share", "podíl čtvrthodiny, kdy platilo", "share of the quarter-hour in which it was true"),
    Rollup.LAST: ("last", "poslední hodnota čtvrthodiny", "last value of the quarter-hour"),
    Rollup.BITS: ("bits", "vše, co ve čtvrthodině nastalo", "everything that was set in the quarter-hour"),
}
UNITS: Final[dict[Unit, tuple[str, str]]] = {
    Unit.RATIO: ("ratio", "1"),
    Unit.COUNT: ("count", "1"),
    Unit.PERCENT: ("percent", "%"),
    Unit.WATT: ("watt", "W"),
    Unit.WATT_HOUR: ("watt hour", "W.h"),
    Unit.VOLT: ("volt", "V"),
    Unit.AMPERE: ("ampere", "A"),
    Unit.HERTZ: ("hertz", "Hz"),
    Unit.CELSIUS: ("degree Celsius", "Cel"),
    Unit.SECOND: ("second", "s"),
    Unit.LUX: ("lux", "lx"),
    Unit.WATT_PER_SQUARE_METRE: ("watt per square metre", "W/m2"),
    Unit.MICROGRAM_PER_CUBIC_METRE: ("microgram per cubic metre", "ug/m3"),
}
"""Name and UCUM code of the units that public metrics have; states have none."""

_POINT: Final = "point(t.longitude, t.latitude)"
_ID: Final = Column("id", Sort.NUMBER, "t.asset_id::bigint")
COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "Thing": (
        _ID,
        Column("name", Sort.TEXT, "t.label"),
        Column("description", Sort.TEXT, "k.title_cs || ' · ' || k.title_en || ', ' || t.municipality_title"),
        Column("properties/kind", Sort.TEXT, "t.kind"),
        Column("properties/municipality", Sort.TEXT, "t.municipality"),
        Column("properties/municipality_title", Sort.TEXT, "t.municipality_title"),
    ),
    "Location": (
        _ID,
        Column("name", Sort.TEXT, "t.label"),
        Column("description", Sort.TEXT, "'Poloha · Location, WGS 84'::text"),
        Column("encodingType", Sort.TEXT, f"'{GEOJSON}'::text"),
        Column("location", Sort.PLACE, _POINT),
    ),
    "HistoricalLocation": (_ID, Column("time", Sort.TIME, "t.since")),
    "Datastream": (
        Column("id", Sort.NUMBER, f"(t.asset_id::bigint << {POSITION_BITS} | m.position)"),
        Column("name", Sort.TEXT, "t.label || ': ' || m.title_cs"),
        Column("description", Sort.TEXT, "m.title_cs || ', ' || m.how_cs || ' · ' || m.title_en || ', ' || m.how_en"),
        Column("observationType", Sort.TEXT, "m.observation_type"),
        Column("unitOfMeasurement/name", Sort.TEXT, "m.unit_name"),
        Column("unitOfMeasurement/symbol", Sort.TEXT, "m.unit_symbol"),
        Column("unitOfMeasurement/definition", Sort.TEXT, "m.unit_definition"),
        Column("observedArea", Sort.PLACE, _POINT),
        Column("properties/metric", Sort.TEXT, "m.name"),
        Column("properties/aggregation", Sort.TEXT, "m.how"),
        Column("properties/interval", Sort.TEXT, "'PT15M'::text"),
    ),
    "Sensor": (
        Column("id", Sort.NUMBER, "k.kind_id::bigint"),
        Column("name", Sort.TEXT, "k.kind"),
        Column("description", Sort.TEXT, "k.title_cs || ' · ' || k.title_en"),
        Column("encodingType", Sort.TEXT, "'text/plain'::text"),
        Column("metadata", Sort.TEXT, "k.sources"),
    ),
    "ObservedProperty": (
        Column("id", Sort.NUMBER, f"(m.kind_id::bigint << {POSITION_BITS} | m.position)"),
        Column("name", Sort.TEXT, "m.name"),
        Column("definition", Sort.TEXT, "'urn:kraj:metric:' || m.kind || ':' || m.name"),
        Column("description", Sort.TEXT, "m.title_cs || ' · ' || m.title_en || ' (' || m.source || ')'"),
        Column("properties/kind", Sort.TEXT, "m.kind"),
    ),
    "Observation": (
        Column(
            "id",
            Sort.NUMBER,
            f"((o.asset_id::bigint << {POSITION_BITS} | o.position) << {QUARTER_BITS}"
            " | (extract(epoch FROM o.bucket)::bigint / 900))",
        ),
        Column("phenomenonTime", Sort.SPAN, "o.bucket"),
        Column("resultTime", Sort.TIME, "(o.bucket + interval '15 minutes')"),
        Column("result", Sort.ANY, ""),
        Column("parameters/covered_s", Sort.NUMBER, "o.covered_s::text::float8"),
    ),
    "FeatureOfInterest": (
        _ID,
        Column("name", Sort.TEXT, "t.label"),
        Column("description", Sort.TEXT, "k.title_cs || ' · ' || k.title_en || ', ' || t.municipality_title"),
        Column("encodingType", Sort.TEXT, f"'{GEOJSON}'::text"),
        Column("feature", Sort.PLACE, _POINT),
    ),
}

_TYPE: Final = "CASE WHEN t.latitude IS NOT NULL AND t.longitude IS NOT NULL THEN 'Point' END"
ASKED: Final[dict[str, Column]] = {
    "location/type": Column("location/type", Sort.TEXT, _TYPE),
    "feature/type": Column("feature/type", Sort.TEXT, _TYPE),
    "observedArea/type": Column("observedArea/type", Sort.TEXT, _TYPE),
}
"""What maps ask of geometries before they show them."""
LOCATED: Final = "t.latitude IS NOT NULL AND t.longitude IS NOT NULL"
ALWAYS: Final = {"Location": LOCATED, "HistoricalLocation": f"{LOCATED} AND t.since IS NOT NULL"}

_OF_ASSETS: Final = ("Thing", "Location", "HistoricalLocation", "FeatureOfInterest")
PARTS: Final[dict[str, dict[Part, str]]] = {
    **{name: {"asset": "t.asset_id", "kind": "t.kind"} for name in _OF_ASSETS},
    "Datastream": {"asset": "t.asset_id", "kind": "t.kind", "position": "m.position"},
    "Sensor": {"kind": "k.kind"},
    "ObservedProperty": {"kind": "m.kind", "position": "m.position"},
    "Observation": {"asset": "t.asset_id", "kind": "t.kind", "position": "o.position", "bucket": "o.bucket"},
}
KEYS: Final[dict[str, tuple[Part, ...]]] = {
    **dict.fromkeys(_OF_ASSETS, ("asset",)),
    "Datastream": ("asset", "position"),
    "Sensor": ("kind",),
    "ObservedProperty": ("kind", "position"),
    "Observation": ("asset", "position", "bucket"),
}
"""Sorted by these, entities stand by their number; kinds by the number of the kind."""
KEY_SQL: Final[dict[str, dict[Part, str]]] = {
    **PARTS,
    "Sensor": {"kind": "k.kind_id"},
    "ObservedProperty": {"kind": "m.kind_id", "position": "m.position"},
}


@cache
def kinds() -> str:
    """The kinds as a relation ``k``."""
    rows = [
        [kind.name, NUMBERS[kind.name], kind.title.cs, kind.title.en, "; ".join(dict.fromkeys(_sources(kind)))]
        for kind in KINDS.values()
    ]
    return _values(rows, "k", "kind, kind_id, title_cs, title_en, sources")


@cache
def metrics() -> str:
    """The public metrics as a relation ``m``."""
    rows = [
        [
            *(kind.name, NUMBERS[kind.name], kind.positions[metric.name], metric.name, metric.title.cs),
            *(metric.title.en, metric.source, *HOW[metric.rolled], *_unit(metric)),
        ]
        for kind in KINDS.values()
        for metric in kind.public
    ]
    return _values(
        rows,
        "m",
        "kind, kind_id, position, name, title_cs, title_en, source, how, how_cs, how_en, observation_type, unit_name,"
        " unit_symbol, unit_definition",
    )


@cache
def source(entity: str) -> str:
    """The FROM of an entity; of Observations without ``o``, which depends on what is asked."""
    things = f"public_thing t JOIN {kinds()} ON k.kind = t.kind"
    if entity == "Datastream":
        return f"{things} JOIN {metrics()} ON m.kind = t.kind"
    if entity == "Observation":
        return f"{things} JOIN {metrics()} ON m.kind = t.kind"
    if entity == "Sensor":
        return kinds()
    if entity == "ObservedProperty":
        return f"{metrics()} JOIN {kinds()} ON k.kind = m.kind"
    return things


def observations(kind: Kind | None, *, of_one_metric: bool) -> str:
    """The relation ``o``: asset_id, bucket, covered_s, position, number, text.

    With a kind and ``of_one_metric`` it takes ``p.position``, and the newest comes from the index. Without a kind it is
    LATERAL to ``t``, so that a page by number reads the first assets alone.
    """
    if kind is None:
        arms = " UNION ALL ".join(
            f"SELECT * FROM {_unpivoted(one)} WHERE o.asset_id = t.asset_id AND t.kind = '{one.name}'"  # noqa: S608
            for one in KINDS.values()
        )
        return f"({arms}) AS o"
    if not of_one_metric:
        return _unpivoted(kind)
    number, text = _cases(kind, 0), _cases(kind, 1)
    inner = f"SELECT {_QUARTER}, p.position, {number} AS number, {text} AS text FROM {quarter_view(kind)} q"  # noqa: S608
    return f"({inner}) AS o"


_QUARTER: Final = "q.asset_id, q.bucket, q.covered_s"


def _unpivoted(kind: Kind) -> str:
    values = ", ".join(f"({kind.positions[m.name]}, {', '.join(_result(m))})" for m in kind.public)
    inner = (
        f"SELECT {_QUARTER}, v.position, v.number, v.text FROM {quarter_view(kind)} q"  # noqa: S608 - our own words
        f" CROSS JOIN LATERAL (VALUES {values}) AS v (position, number, text)"
    )
    return f"({inner}) AS o"


def _cases(kind: Kind, which: int) -> str:
    cases = " ".join(f"WHEN {kind.positions[m.name]} THEN {_result(m)[which]}" for m in kind.public)
    return f"CASE p.position {cases} END"


def _result(metric: Metric) -> tuple[str, str]:
    """A metric's quarter-hour as a number and as a word; single precision is told as short as it is."""
    if metric.type is Type.STATE:
        words = sql.Literal(list(metric.states)).as_string()
        return "NULL::float8", f"({words}::text[])[q.{metric.name} + 1]"
    return f"q.{metric.name}::text::float8", "NULL::text"


def _unit(metric: Metric) -> tuple[str, str | None, str | None, str | None]:
    """Type of observation, and name, symbol and definition of the unit."""
    if metric.type is Type.STATE:
        return f"{OM}Observation", None, None, None
    unit = Unit.RATIO if metric.rolled is Rollup.SHARE else metric.unit
    name, code = UNITS[unit]
    return f"{OM}Measurement", name, unit.symbol, f"ucum:{code}"


def _sources(kind: Kind) -> list[str]:
    return [metric.source for metric in kind.public]


def _values(rows: Sequence[Sequence[str | int | None]], alias: str, names: str) -> str:
    """Constants of ours as a relation; a per cent sign is doubled for the placeholders beside it."""
    texts = ", ".join("(" + ", ".join(sql.Literal(cell).as_string() for cell in row) + ")" for row in rows)
    return f"(VALUES {texts}) AS {alias} ({names})".replace("%", "%%")
