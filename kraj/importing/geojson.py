"""GeoJSON: features with a point, whose properties are the columns."""

import json
from typing import Any, cast

from kraj.importing.table import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    ROWS_MAX,
    Cell,
    Format,
    Line,
    Shape,
    Table,
    Unreadable,
    blank,
)

EASTING, NORTHING = "x", "y"
"""Headings of a geometry's numbers: longitude and latitude, or S-JTSK; which of them, the numbers tell."""


def read(data: bytes) -> Table:
    """Read a feature collection, or one feature; raise ``Unreadable`` for anything else."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable("not_a_table", {"detail": f"JSON: {error}"}) from error
    features = _features(found)
    if len(features) > ROWS_MAX:
        raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
    headings: dict[str, int] = {}
    for feature in features:
        for name in _properties(feature):
            headings.setdefault(name, len(headings))
            if len(headings) > COLUMNS_MAX:
                raise Unreadable("too_many_columns", {"limit": COLUMNS_MAX})
    # The point comes first; a property of the same meaning would be a second place.
    lines = [Line(0, [EASTING, NORTHING, *headings])]
    for number, feature in enumerate(features, start=1):
        properties = _properties(feature)
        cells = [_cell(properties.get(name)) for name in headings]
        if not all(map(blank, cells)) or feature.get("geometry") is not None:
            lines.append(Line(number, [*_point(feature.get("geometry")), *cells]))
    return Table(Format.GEOJSON, lines, "utf-8")


def _features(found: object) -> list[dict[str, Any]]:
    if isinstance(found, dict):
        given = cast("dict[str, Any]", found)
        if given.get("type") == "Feature":
            return [given]
        features = given.get("features")
        if given.get("type") == "FeatureCollection" and isinstance(features, list):
            every = cast("list[Any]", features)
            return [cast("dict[str, Any]", one) for one in every if isinstance(one, dict)]
    raise Unreadable("not_a_table", {"detail": "no FeatureCollection"})


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    found = feature.get("properties")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _point(geometry: object) -> list[Cell]:
    if geometry is None:
        return [None, None]
    given = cast("dict[str, Any]", geometry) if isinstance(geometry, dict) else {}
    numbers = given.get("coordinates")
    if given.get("type") == "Point" and isinstance(numbers, list):
        first = cast("list[Any]", numbers)[:2]
        if len(first) == 2 and all(isinstance(one, int | float) and not isinstance(one, bool) for one in first):
            return [float(one) if abs(one) < 1e300 else None for one in first]
    return [Shape(str(given.get("type", "?"))), None]


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[: CELL_CHARS_MAX + 1]
