"""The eight entities of sensing (18-088 clause 8) and how they lead to one another, and their numbers.

An asset is a Thing with its Location and FeatureOfInterest; a kind of asset is the Sensor; a public metric of a kind is
the ObservedProperty; what an asset tells of a public metric is the Datastream; its quarter-hours are the Observations.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from kraj.kinds import KINDS

Part = Literal["asset", "kind", "position", "bucket"]
"""What tells entities apart: the asset, its kind, the metric's place in the kind, the beginning of a quarter-hour."""
Parts = dict[Part, Any]

QUARTER: Final = timedelta(minutes=15)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
POSITION_BITS: Final = 6
"""A kind has at most 63 metrics, and their places never move."""
QUARTER_BITS: Final = 22
"""Quarter-hours since 1970; enough until 2089."""
INT32_MAX: Final = 2**31 - 1
NUMBERS: Final = {name: number for number, name in enumerate(KINDS, 1)}
"""Kinds are only ever appended."""
NAMES: Final = {number: name for name, number in NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Link:
    """A way from an entity to one other or to many."""

    name: str
    target: str
    many: bool


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity type; ``parts`` are what tells one from another, and with ``fixed`` alone it is found."""

    name: str
    plural: str
    parts: tuple[Part, ...]
    links: tuple[Link, ...]

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)


def _one(name: str) -> Link:
    return Link(name, name, many=False)


def _many(name: str, target: str | None = None) -> Link:
    return Link(name, target or name.removesuffix("s"), many=True)


_THING: tuple[Part, ...] = ("asset", "kind")
THING = Entity("Thing", "Things", _THING, (_many("Locations"), _many("HistoricalLocations"), _many("Datastreams")))
LOCATION = Entity("Location", "Locations", _THING, (_many("Things"), _many("HistoricalLocations")))
HISTORICAL = Entity("HistoricalLocation", "HistoricalLocations", _THING, (_one("Thing"), _many("Locations")))
DATASTREAM = Entity(
    "Datastream",
    "Datastreams",
    ("asset", "kind", "position"),
    (_one("Thing"), _one("Sensor"), _one("ObservedProperty"), _many("Observations")),
)
SENSOR = Entity("Sensor", "Sensors", ("kind",), (_many("Datastreams"),))
PROPERTY = Entity("ObservedProperty", "ObservedProperties", ("kind", "position"), (_many("Datastreams"),))
OBSERVATION = Entity(
    "Observation",
    "Observations",
    ("asset", "kind", "position", "bucket"),
    (_one("Datastream"), _one("FeatureOfInterest")),
)
FEATURE = Entity("FeatureOfInterest", "FeaturesOfInterest", _THING, (_many("Observations"),))

ENTITIES: Final = {
    entity.name: entity for entity in (THING, LOCATION, HISTORICAL, DATASTREAM, SENSOR, PROPERTY, OBSERVATION, FEATURE)
}
PLURALS: Final = {entity.plural: entity for entity in ENTITIES.values()}


def number(entity: Entity, parts: Parts) -> int:
    """The ``@iot.id``: made of what tells it apart, so that it is the same for ever, and nothing has to be kept."""
    if entity is SENSOR:
        return NUMBERS[parts["kind"]]
    if entity is PROPERTY:
        return NUMBERS[parts["kind"]] << POSITION_BITS | parts["position"]
    if entity is DATASTREAM:
        return parts["asset"] << POSITION_BITS | parts["position"]
    if entity is OBSERVATION:
        quarter = (parts["bucket"] - EPOCH) // QUARTER
        return (parts["asset"] << POSITION_BITS | parts["position"]) << QUARTER_BITS | quarter
    return parts["asset"]


def parts(entity: Entity, found: int) -> Parts | None:
    """What a number tells; None where there can be no such one."""
    given: Parts = {}
    if entity is OBSERVATION:
        given["bucket"] = EPOCH + (found & (1 << QUARTER_BITS) - 1) * QUARTER
        found >>= QUARTER_BITS
    if entity in (DATASTREAM, OBSERVATION, PROPERTY):
        given["position"] = found & (1 << POSITION_BITS) - 1
        found >>= POSITION_BITS
    if entity in (SENSOR, PROPERTY):
        if found not in NAMES:
            return None
        given["kind"] = NAMES[found]
    else:
        given["asset"] = found
    return given if 0 < found <= INT32_MAX else None


def scope(target: Entity, source: Parts) -> Parts:
    """Which of the target one comes to from somewhere: those with the same parts."""
    return {part: source[part] for part in target.parts if part in source}
