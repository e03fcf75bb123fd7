"""What is remembered of a roof between readings: one row of numbers a slot, read and written at once."""

from enum import IntEnum, auto
from typing import Any

import numpy as np

from kraj.readings import Floats, Mask
from rules.layer import Layer
from rules.state import State

ARRAY = "solar"


class Field(IntEnum):
    """A column of the memory; NaN is never. Only append: checkpoints hold the columns in this order."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> int:
        del name, start, last_values
        return count

    SEEN_MS = auto()
    OUTPUT_PCT = auto()
    INDEX = auto()
    MODULE_DEGC = auto()
    LIGHT_W_PER_M2 = auto()
    """The last five: newest reading, and what it said; neighbours look at them."""
    PRODUCED_CLEAR_PCT = auto()
    """What a clear sky would have given when the roof was last seen producing, in % of the rating."""
    PRODUCED_MS = auto()
    GOOD_MS = auto()
    """When the clear-sky index was last above ``FALL_FROM``."""
    ZERO_MS = auto()
    """Since when it has given nothing."""
    HIGH_MS = auto()
    """When the sun was first seen above ``START_DEG`` today."""
    FAULT_FROM_MS = auto()
    FAULT_TO_MS = auto()
    """Since when, and when last, the inverter told of a fault; forgotten once it produces."""
    VOLTAGE_V = auto()
    FLAT_W_PER_M2 = auto()
    FLAT_MS = auto()
    SNOW_MS = auto()
    COUNTER_WH = auto()
    COUNTER_MS = auto()
    SOUND_WH = auto()
    DOUBT_FIRST_WH = auto()
    DOUBT_FIRST_MS = auto()
    DOUBT_LAST_WH = auto()
    DOUBT_LAST_MS = auto()
    DAY = auto()
    DAY_BEFORE = auto()


class Memory:
    """The memory of a layer's roofs: ``memory[field]`` is a column of shape ``(n,)``, to be changed in place."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._before = whole(layer.state).take(layer.slots, axis=0)
        self._columns = self._before.T.copy()

    def __getitem__(self, field: Field) -> Floats:
        return self._columns[field]

    def put(self, field: Field, values: Floats) -> None:
        """Set the field in all rows."""
        self._columns[field] = values

    def where(self, rows: Mask, field: Field, value: Floats | float) -> None:
        """Set the field in these rows."""
        np.copyto(self._columns[field], value, where=rows)

    def save(self) -> None:
        """Hand it over to the state."""
        self._layer.state.put(ARRAY, self._layer.slots, self._columns.T, self._before)


def whole(state: State) -> Floats:
    """The memory of all slots, shape ``(size, fields)``."""
    return state.array(ARRAY, shape=(len(Field),))


def recall(layer: Layer, field: Field) -> Floats:
    """What is remembered in this field of the layer's slots, on ticks and days."""
    return whole(layer.state)[layer.slots, field]
