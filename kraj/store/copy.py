"""Readings as PostgreSQL's binary COPY stream, built column by column in numpy."""

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kraj.metrics import Kind
from kraj.readings import Ints, Readings
from kraj.store.schema import columns

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = b"\xff\xff"
EPOCH_2000_MS = 946_684_800_000
"""PostgreSQL counts microseconds since 2000-01-01."""

_WIRE = {"timestamptz": ">i8", "bigint": ">i8", "integer": ">i4", "smallint": ">i2", "real": ">f4", "boolean": "u1"}


@cache
def _layout(kind: Kind) -> tuple[np.dtype[np.void], NDArray[np.void], tuple[tuple[str, int, int, int], ...]]:
    """Dtype of a row with no NULL, that row's template (field count, lengths), and per metric column
    ``(name, index in kind.metrics, offset of its length, offset behind its value)``."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for column in columns(kind):
        fields += [(f"{column.name}:length", ">i4"), (column.name, _WIRE[column.sql])]
    dtype = np.dtype(fields)
    template = np.zeros(1, dtype)
    template["fields"] = len(columns(kind))
    positions: list[tuple[str, int, int, int]] = []
    index = {m.name: i for i, m in enumerate(kind.metrics)}
    offsets: dict[str, int] = {name: place[1] for name, place in (dtype.fields or {}).items()}
    for column in columns(kind):
        size = np.dtype(_WIRE[column.sql]).itemsize
        template[f"{column.name}:length"] = size
        if column.nullable:
            start = offsets[f"{column.name}:length"]
            positions.append((column.name, index.get(column.name, -1), start, start + 4 + size))
    return dtype, template, tuple(positions)


def statement(kind: Kind, table: str) -> bytes:
    """The COPY statement for ``binary``'s stream."""
    return f"COPY {table} ({', '.join(c.name for c in columns(kind))}) FROM STDIN (FORMAT binary)".encode()


def binary(readings: Readings, batch_id: int | Ints) -> bytes:
    """The rows in COPY's binary format; ``batch_id`` is that of all rows, or one a row.

    Every row is first written as if nothing were NULL, all columns at once; then a mask over the bytes leaves out
    the values of NULLs. One pass of the mask costs less than packing rows one by one (0.8 against 3 µs a row).
    """
    dtype, template, positions = _layout(readings.kind)
    rows = np.empty(len(readings), dtype)
    rows[:] = template
    rows["asset_id"] = readings.asset_id
    rows["municipality_id"] = readings.municipality_id
    rows["ts"] = (readings.ts_ms - EPOCH_2000_MS) * 1000
    rows["seq"] = readings.seq
    rows["boot"] = readings.boot
    rows["batch_id"] = batch_id
    rows["implausible"] = readings.implausible
    unknown = np.isnan(readings.values)
    values = np.where(unknown, 0.0, readings.values) if unknown.any() else readings.values
    raw = rows.view(np.uint8).reshape(len(readings), dtype.itemsize)
    keep: NDArray[np.bool_] | None = None
    for name, metric, start, end in positions:
        if metric >= 0:
            rows[name] = values[:, metric]
        null = unknown[:, metric] if metric >= 0 else readings.boot < 0
        if null.any():
            if keep is None:
                keep = np.ones(raw.shape, bool)
            rows[f"{name}:length"][null] = -1
            keep[null, start + 4 : end] = False
    body = raw.tobytes() if keep is None else raw[keep].tobytes()
    return HEADER + body + TRAILER
