"""Files as clerks bring them: a Czech Excel's CSV, a workbook, GeoJSON."""

import io
import json
from collections.abc import Sequence
from typing import Any

import openpyxl

HEADINGS = ("Označení", "Zařízení", "Druh", "Obec", "Zeměpisná šířka", "Zeměpisná délka", "Ulice",
            "Jmenovitý výkon (W)", "U přechodu")  # fmt: skip
ROWS: tuple[tuple[Any, ...], ...] = (
    ("VO-1", "lamp-1", "svítidlo", "Olšinka", 49.1951, 16.6068, "Nádražní", 70.5, "ano"),
    ("VO-2", "lamp-2", "Lampa", "olsinka", 49.1953, 16.6071, "Školní\n(u školy)", 36, "ne"),
    ("VO-3", None, "VO", "OLŠINKA", None, None, "Žďárná „náves“", None, None),
)


def czech(value: object) -> str:
    """As a Czech Excel shows it."""
    if value is None:
        return ""
    text = str(value).replace(".", ",") if isinstance(value, float) else str(value)
    return f'"{text}"' if any(c in text for c in ';"\n,\t') else text


def csv_file(
    rows: Sequence[Sequence[Any]] = ROWS,
    headings: Sequence[str] = HEADINGS,
    *,
    encoding: str = "cp1250",
    delimiter: str = ";",
    above: str = "",
    below: str = "",
) -> bytes:
    lines = [delimiter.join(map(czech, row)) for row in (headings, *rows)]
    return (above + "\r\n".join(lines) + "\r\n" + below).encode(encoding)


def workbook_file(rows: Sequence[Sequence[Any]] = ROWS, headings: Sequence[str] = HEADINGS) -> bytes:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in (headings, *rows):
        sheet.append(list(row))
    return saved(book)


def saved(book: Any) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def geojson_file(rows: Sequence[Sequence[Any]] = ROWS, headings: Sequence[str] = HEADINGS, **more: Any) -> bytes:
    features: list[Any] = []
    for row in rows:
        properties = dict(zip(headings, row, strict=True))
        latitude, longitude = properties.pop("Zeměpisná šířka", None), properties.pop("Zeměpisná délka", None)
        geometry = None if latitude is None else {"type": "Point", "coordinates": [longitude, latitude]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return json.dumps({"type": "FeatureCollection", "features": features, **more}, ensure_ascii=False).encode()
