"""Columns of numbers to and from PostgreSQL in its binary formats, a column at a time."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kraj.readings import Floats, Ints
from kraj.store.copy import EPOCH_2000_MS, HEADER, TRAILER

WIRE: Final = {
    "double precision": ">f8",
    "timestamptz": ">i8",
    "bigint": ">i8",
    "integer": ">i4",
    "real": ">f4",
    "smallint": ">i2",
}
ARRAY_HEADER: Final = 20
"""Dimensions, flags, type, length and lower bound."""
DIMENSION: Final = 8
"""Length and lower bound of one more."""


def encode(columns: Sequence[tuple[str, Ints | Floats]]) -> bytes:
    """Rows of the given columns, each an SQL type and values, shapes ``(n,)``; NaN is written as NULL.

    A ``timestamptz`` is given in Unix milliseconds.
    """
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for n, (sql, _) in enumerate(columns):
        fields += [(f"l{n}", ">i4"), (f"v{n}", WIRE[sql])]
    dtype = np.dtype(fields)
    rows = np.zeros(len(columns[0][1]), dtype)
    rows["fields"] = len(columns)
    keep: NDArray[np.bool_] | None = None
    offset = 2
    for n, (sql, given) in enumerate(columns):
        size = np.dtype(WIRE[sql]).itemsize
        rows[f"l{n}"] = size
        null = np.isnan(given)
        if null.any():
            if keep is None:
                keep = np.ones((len(rows), dtype.itemsize), bool)
            rows[f"l{n}"][null] = -1
            keep[null, offset + 4 : offset + 4 + size] = False
            given = np.where(null, 0, given)
        rows[f"v{n}"] = (given - EPOCH_2000_MS) * 1000 if sql == "timestamptz" else given
        offset += 4 + size
    raw = rows.view(np.uint8).reshape(len(rows), dtype.itemsize)
    return HEADER + (raw.tobytes() if keep is None else raw[keep].tobytes()) + TRAILER


def never_null(name: str, sql: str) -> tuple[str, str]:
    """An expression for a nullable column that has a value in each row, and its type; ``elements`` turns it back."""
    if sql == "real":
        return f"coalesce({name}, 'NaN')", "real"
    if sql in {"bigint", "double precision"}:
        return f"coalesce({name}::double precision, 'NaN')", "double precision"
    if sql == "boolean":
        return f"coalesce({name}::integer, {_NONE['integer']})", "integer"
    return f"coalesce({name}, ({_NONE[sql]})::{sql})", sql


_NONE: Final = {"integer": -(2**31), "smallint": -(2**15)}


def elements(raw: bytes | None, sql: str, columns: int = 1) -> Any:
    """A binary array without NULLs as one of numpy: times as Unix milliseconds, else numbers, NaN where a column's own
    word for nothing stands; shape ``(n,)``, or ``(n, columns)`` of an array of rows; empty for None."""
    header = ARRAY_HEADER + (DIMENSION if columns > 1 else 0)
    stored = np.frombuffer(raw or bytes(header), [("length", ">i4"), ("value", WIRE[sql])], offset=header)
    value = stored["value"] if columns == 1 else stored["value"].reshape(-1, columns)
    if sql == "timestamptz":
        return value.astype(np.int64) // 1000 + EPOCH_2000_MS
    if value.dtype.kind == "f":
        return value.astype(np.float64)
    whole = value.astype(np.int64)
    nothing = whole == _NONE.get(sql, 1 << 62)
    return np.where(nothing, np.nan, whole) if nothing.any() else whole
