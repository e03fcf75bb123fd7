"""Resource paths (18-088 clause 9.2): Things(1)/Datastreams/$ref, Datastreams(65)/unitOfMeasurement/symbol/$value."""

import re
from dataclasses import dataclass
from typing import Final

from kraj.sensorthings.errors import UnknownPathError
from kraj.sensorthings.model import ENTITIES, PLURALS, Entity, Link
from kraj.sensorthings.options import FIELDS

STEPS_MAX: Final = 8
NUMBER_DIGITS_MAX: Final = 18
_STEP = re.compile(r"([A-Za-z]+)(?:\(([0-9]+)\))?")


@dataclass(frozen=True, slots=True)
class Step:
    """An entity set (``number`` is None), or one of it; ``link`` is how it was reached, None at the beginning."""

    entity: Entity
    link: Link | None
    number: int | None


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a path leads: ``field`` is the way to a property of the last step's entity."""

    steps: tuple[Step, ...]
    field: tuple[str, ...] = ()
    value: bool = False
    reference: bool = False

    @property
    def entity(self) -> Entity:
        return self.steps[-1].entity

    @property
    def many(self) -> bool:
        return _many(self.steps[-1])


def resource(path: str) -> Resource:
    """Read a path below the service's root; raise ``UnknownPathError`` where it leads nowhere."""
    parts = path.strip("/").split("/")
    value, reference = parts[-1] == "$value", parts[-1] == "$ref"
    if value or reference:
        parts.pop()
    if not 0 < len(parts) <= STEPS_MAX:
        raise UnknownPathError(path)
    steps: list[Step] = []
    for place, part in enumerate(parts):
        step = _step(part, steps[-1] if steps else None)
        if step is None:
            return _property(Resource(tuple(steps), tuple(parts[place:]), value, reference), path)
        steps.append(step)
    if value:
        raise UnknownPathError(path)
    return Resource(tuple(steps), reference=reference)


def _step(part: str, before: Step | None) -> Step | None:
    match = _STEP.fullmatch(part)
    if match is None or len(match[2] or "") > NUMBER_DIGITS_MAX:
        raise UnknownPathError(part)
    number = None if match[2] is None else int(match[2])
    if before is None:
        if match[1] not in PLURALS:
            raise UnknownPathError(part)
        return Step(PLURALS[match[1]], None, number)
    if _many(before):
        raise UnknownPathError(part)
    link = before.entity.link(match[1])
    if link is None and number is None:
        return None
    if link is None or (number is not None and not link.many):
        raise UnknownPathError(part)
    return Step(ENTITIES[link.target], link, number)


def _many(step: Step) -> bool:
    return step.number is None and (step.link is None or step.link.many)


def _property(found: Resource, path: str) -> Resource:
    if found.reference or found.field[0] not in (*FIELDS[found.entity.name], "id"):
        raise UnknownPathError(path)
    return found
