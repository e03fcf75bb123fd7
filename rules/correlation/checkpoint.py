"""What correlation remembers as bytes, and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from kraj.alerts import Scope, Severity
from rules.correlation.records import Cell, Open, Repaired, Suspicion, Symptom, SymptomKey, key_of
from rules.state import Array

T = TypeVar("T")


@dataclass(frozen=True)
class Memory:
    """Everything that a restart must know."""

    passed_ms: int
    symptoms: Mapping[SymptomKey, Symptom]
    silenced: Mapping[SymptomKey, int]
    alerts: Mapping[Cell, Open]
    suspected: Mapping[Cell, Suspicion]
    spent: Mapping[Cell, int]
    repaired: Mapping[Cell, Repaired]


def packed(memory: Memory) -> Array:
    """JSON as an array of bytes, shape ``(n,)``."""
    # Sorted: a step that was taken back leaves dictionaries in another order, and the same memory is the same bytes.
    body = {
        "passed_ms": memory.passed_ms,
        "symptoms": sorted(map(_listed, memory.symptoms.values())),
        "silenced": [[*key, until_ms] for key, until_ms in sorted(memory.silenced.items())],
        "alerts": [
            [_plain(cell), alert.parent and _plain(alert.parent), _listed(replace(alert, parent=None))]
            for cell, alert in _sorted(memory.alerts)
        ],
        "suspected": [[_plain(cell), _listed(suspicion)] for cell, suspicion in _sorted(memory.suspected)],
        "spent": [[_plain(cell), ms] for cell, ms in _sorted(memory.spent)],
        "repaired": [[_plain(cell), _listed(repaired)] for cell, repaired in _sorted(memory.repaired)],
    }
    return np.frombuffer(json.dumps(body).encode(), np.uint8)


def unpacked(array: Array) -> Memory:
    """What ``packed`` was given."""
    body: dict[str, Any] = json.loads(array.tobytes())
    symptoms = [Symptom(**_named(Symptom, values)) for values in body["symptoms"]]
    return Memory(
        passed_ms=body["passed_ms"],
        symptoms={symptom.key: symptom for symptom in symptoms},
        silenced={(rule, asset_id): until_ms for rule, asset_id, until_ms in body["silenced"]},
        alerts={
            _cell(cell): replace(Open(**_named(Open, values)), parent=parent and _cell(parent))
            for cell, parent, values in body["alerts"]
        },
        suspected={_cell(cell): Suspicion(*values) for cell, values in body["suspected"]},
        spent={_cell(cell): ms for cell, ms in body["spent"]},
        repaired={_cell(cell): Repaired(*values) for cell, values in body.get("repaired", ())},
    )


def _listed(record: Symptom | Open | Suspicion | Repaired) -> list[Any]:
    """The values of a record in its order; ``asdict`` would copy each evidence."""
    return [getattr(record, field.name) for field in fields(record)]


def _named(of: type[Symptom | Open], values: list[Any]) -> dict[str, Any]:
    """The values by name, in the types that JSON does not know."""
    named = {field.name: value for field, value in zip(fields(of), values, strict=True)}
    named["severity"] = Severity(named["severity"])
    if "raised" in named:
        named["raised"] = tuple(named["raised"])
    return named


def _sorted(of: Mapping[Cell, T]) -> list[tuple[Cell, T]]:
    return sorted(of.items(), key=lambda item: key_of(item[0], 0))


def _plain(cell: Cell) -> list[Any]:
    return [cell[0], cell[1].type, cell[1].name, cell[1].municipality_id]


def _cell(plain: list[Any]) -> Cell:
    return plain[0], Scope(type=plain[1], name=plain[2], municipality_id=plain[3])
