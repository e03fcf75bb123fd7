"""What rules remember, as arrays over the slots of one kind, with a journal so that a step can be taken back.

A step is evaluated inside a transaction that may fail: whatever it wrote is undone by ``rollback`` and kept by
``commit``. ``dump`` and ``load`` are the checkpoint; ``moved`` carries the state over to another registry version.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rules.estate import Slots

Array = NDArray[Any]
Fill = float | int | bool
Where = Slots | slice | tuple[Any, ...]
LINE_BYTES = 64
"""What a processor fetches from memory at once."""


class State:
    """Named arrays whose first axis is the slot. Arrays got from ``array`` are read; writing goes through ``put``."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._arrays: dict[str, Array] = {}
        self._fills: dict[str, Fill] = {}
        self._journal: list[tuple[Array, Any, Array]] = []

    def array(self, name: str, *, dtype: Any = np.float64, fill: Fill = np.nan, shape: tuple[int, ...] = ()) -> Array:
        """The array of this name, shape ``(size, *shape)``; made and filled when it is first asked for."""
        found = self._arrays.get(name)
        if found is None:
            found = self._arrays[name] = _filled((self.size, *shape), fill, dtype)
            self._fills[name] = fill
        return found

    def get(self, name: str) -> Array | None:
        """The array of this name, if it has been made."""
        return self._arrays.get(name)

    def put(self, name: str, where: Where, values: Any, before: Array | None = None) -> None:
        """Write values, remembering what was there; ``before`` is that, where the caller has just read it."""
        array = self._arrays[name]
        if before is None:
            before = array[where]
            if before.base is not None:  # a view: it would change with the array
                before = before.copy()
        self.write(array, where, values, before)

    def write(self, array: Array, where: Where, values: Any, before: Array) -> None:
        """As ``put``, into an array of this state or a view of one."""
        self._journal.append((array, where, before))
        _set(array, where, values)

    def commit(self) -> None:
        """Keep what was written."""
        self._journal.clear()

    def rollback(self) -> None:
        """Undo what was written since the last ``commit``, newest first."""
        while self._journal:
            array, where, before = self._journal.pop()
            array[where] = before

    def dump(self) -> tuple[dict[str, Array], dict[str, Fill]]:
        """Every array by name, the arrays themselves and not copies; and what each was filled with."""
        return dict(self._arrays), dict(self._fills)

    def load(self, arrays: Mapping[str, Array], fills: Mapping[str, Fill]) -> None:
        """Take over a dump of a state of the same size; arrays of another length are left out, as if never written."""
        for name, values in arrays.items():
            if len(values) == self.size and name in fills:
                array = self.array(name, dtype=values.dtype, fill=fills[name], shape=values.shape[1:])
                _copy(values, array, fills[name], np.arange(self.size), np.arange(self.size))

    def moved(self, size: int, old_slots: Slots) -> Self:
        """A state of ``size`` slots in which new slot *i* was ``old_slots[i]`` before, -1 where it is new."""
        new = type(self)(size)
        kept = np.flatnonzero(old_slots >= 0)
        for name, values in self._arrays.items():
            array = new.array(name, dtype=values.dtype, fill=self._fills[name], shape=values.shape[1:])
            _copy(values, array, self._fills[name], old_slots[kept], kept)
        return new

    def rearrange(self, prefix: str, old_columns: Slots) -> None:
        """In all arrays of shape ``(slots, columns)`` under ``<prefix>.``, let new column *i* be what
        ``old_columns[i]`` was, -1 where it is new. Not journaled."""
        kept = np.flatnonzero(old_columns >= 0)
        for name in [n for n in self._arrays if n.startswith(f"{prefix}.")]:
            values = self._arrays[name]
            if values.ndim == 2:
                array = _filled((self.size, len(old_columns)), self._fills[name], values.dtype)
                rows = np.flatnonzero((values != self._fills[name]).any(axis=1))
                array[rows[:, None], kept] = values[rows[:, None], old_columns[kept]]
                self._arrays[name] = array

    def forget(self, prefix: str) -> None:
        """Drop all arrays under ``<prefix>.``. Not journaled."""
        for name in [n for n in self._arrays if n.startswith(f"{prefix}.")]:
            del self._arrays[name], self._fills[name]


def _copy(source: Array, target: Array, fill: Fill, rows: Slots, places: Slots) -> None:
    """Copy rows to places; those of zeros are zeros already, and are not touched for the sake of memory."""
    if fill == 0 and source.size:
        some = np.logical_or.reduce(source.reshape(len(source), -1) != 0, axis=1)[rows]
        rows, places = rows[some], places[some]
    target[places] = source[rows]


def _set(array: Array, where: Where, values: Any) -> None:
    """``array[where] = values``; whole rows are copied as one piece of memory each, in half the time."""
    if isinstance(where, np.ndarray) and array.ndim == 2 and array.size and array.flags.c_contiguous:
        given, shape = np.asarray(values), (where.size, array.shape[1])
        if where.dtype == np.intp and where.ndim == 1 and (given.shape, given.dtype) == (shape, array.dtype):
            row = np.dtype((np.void, array.shape[1] * array.itemsize))
            array.view(row)[:, 0][where] = np.ascontiguousarray(given).view(row)[:, 0]
            return
    array[where] = values


def _filled(shape: tuple[int, ...], fill: Fill, dtype: Any) -> Array:
    """Zeros cost no memory until they are written to, and much of what rules remember never is. Rows of a power of two
    do not lie across the processor's lines."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE_BYTES, np.uint8)
    begin = -memory.ctypes.data % LINE_BYTES
    array = memory[begin : begin + size].view(dtype).reshape(shape)
    if fill != 0:
        array[...] = fill
    return array
