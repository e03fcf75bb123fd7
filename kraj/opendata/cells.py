"""A row of a data set as each kind of file writes it: rounded once, so that all files say the same."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from kraj.opendata.dataset import Column, Dataset, Type
from kraj.opendata.published import Cell

Value = str | int | float | bool | date | datetime | None


def rounded(of: Dataset, row: Sequence[Any]) -> list[Value]:
    """A row of the database as it is published, times in whole seconds; what is no number (NaN) is unknown."""
    return [_rounded(column, value) for column, value in zip(of.columns, row, strict=True)]


def _rounded(column: Column, value: Any) -> Value:
    if column.type is Type.NUMBER and value is not None:
        found = float(value)
        # Adding zero makes of -0.0 what people write.
        return round(found, column.decimals) + 0.0 if math.isfinite(found) else None
    if column.type is Type.INSTANT and value is not None:
        return value.astimezone(UTC).replace(microsecond=0)
    return value


def plain(value: Value) -> Cell:
    """A value in JSON: times in UTC with a Z."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value


def text(value: Value) -> str:
    """A value in CSV; empty where it is unknown."""
    found = plain(value)
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Of CSV, as RFC 4180 has them."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def feature(of: Dataset, row: Sequence[Value]) -> dict[str, Any]:
    """A row of a placed data set as a feature of GeoJSON (RFC 7946), without geometry where no place is known."""
    cells = {column.name: plain(value) for column, value in zip(of.columns, row, strict=True)}
    latitude, longitude = cells.pop("latitude"), cells.pop("longitude")
    known = latitude is not None and longitude is not None
    found: dict[str, Any] = {"type": "Feature"}
    if of.key == ("id",):
        found["id"] = cells["id"]
    found["geometry"] = {"type": "Point", "coordinates": [longitude, latitude]} if known else None
    return found | {"properties": cells}
