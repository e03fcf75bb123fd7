"""The columns of tables of quarter-hours, by their headings: the EDC's, the distributors', and plain ones."""

import csv
import io
import re
from dataclasses import dataclass, field
from typing import Any, Final

from kraj.importing import workbook
from kraj.importing.delimited import decoded
from kraj.importing.table import (
    BYTES_MAX,
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    HEADING_ROWS_MAX,
    Format,
    Line,
    Table,
    Unreadable,
    blank,
    folded,
)
from kraj.meters import is_ean

ROWS_MAX: Final = 400_000
"""Eleven meters for a year one below another; side by side 200 columns of a year go."""
HEADINGS_MAX: Final = 3 * HEADING_ROWS_MAX
"""Portals write whose data these are above the headings."""
SHARING: Final = re.compile(r"(IN|OUT)[-_ ](\d{18})(?:[-_ ]([A-Z]))?", re.IGNORECASE)
UNITS: Final = {"wh": 1.0, "kwh": 1e3, "mwh": 1e6, "kw": 250.0, "mw": 250e3, "w": 0.25}
"""Watt-hours in a quarter-hour of one."""
UNIT: Final = re.compile(r"[\[(]\s*([kKmM]?[wW][hH]?)\s*[\])]|(?:^|[\s_])([kKmM]?[wW][hH])$")
DAY: Final = frozenset(
    {"datum", "den", "date", "day", "datum a cas", "datum cas", "cas", "timestamp", "time", "datetime"}
)
BEGINS: Final = frozenset({"cas od", "od", "zacatek", "datum od", "interval od", "from", "start", "datum a cas od"})
ENDS: Final = frozenset({"cas do", "do", "konec", "datum do", "interval do", "to", "end", "until", "datum a cas do"})
EANS: Final = frozenset({"ean", "ean opm", "ean odberneho mista", "ean om", "opm", "odberne misto", "ean kod"})
STATUSES: Final = ("status", "stav", "kvalita", "priznak", "typ hodnoty", "quality")
IMPORT: Final = ("odber", "spotreb", "import", "consum", "icc", "icq")
EXPORT: Final = ("dodavk", "vyrob", "pretok", "export", "produc", "isc", "isq", "feed")


@dataclass(frozen=True, slots=True)
class Series:
    """A column of values; ``wh`` are the watt-hours of one. ``after``: what is left after sharing, beside its IN."""

    place: int
    heading: str
    ean: str | None
    direction: str
    wh: float
    after: bool = False
    negative: bool = False


@dataclass(slots=True)
class Layout:
    """Where what stands. ``ends``: whether times are the ends of quarter-hours, None where the headings do not say."""

    name: str
    day: int | None = None
    clock: int | None = None
    ean: int | None = None
    ends: bool | None = None
    series: list[Series] = field(default_factory=list[Series])
    statuses: list[int] = field(default_factory=list[int])
    found: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])


def table(data: bytes) -> Table:
    """The cells of a file; raises ``Unreadable``."""
    if len(data) > BYTES_MAX:
        raise Unreadable("too_big_inside")
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise Unreadable("empty")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("old_excel")
    if data.startswith(b"PK"):
        return workbook.read(data)
    text, encoding = decoded(data)
    if "\0" in text:
        raise Unreadable("not_a_table", {"detail": "0x00"})
    return Table(Format.CSV, _lines(text), encoding)


def _lines(text: str) -> list[Line]:
    start = text[: 16 * 1024]
    delimiter = max(";\t,|", key=start.count) if start.count(";") < 3 else ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[Line] = []
    try:
        for number, row in enumerate(reader, start=1):
            if number > ROWS_MAX:
                raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
            if len(row) > COLUMNS_MAX and any(cell.strip() for cell in row[COLUMNS_MAX:]):
                raise Unreadable("too_many_columns", {"limit": COLUMNS_MAX})
            if any(row):
                lines.append(Line(number, [cell[: CELL_CHARS_MAX + 1].strip() for cell in row[:COLUMNS_MAX]]))
    except csv.Error as error:
        raise Unreadable("quote", {"line": reader.line_num}) from error
    return lines


def layout(lines: list[Line], direction: str | None) -> tuple[Layout, list[Line]]:
    """The headings and what is below; raises ``Unreadable`` where no row names a time and a value."""
    lines = [line for line in lines if not all(map(blank, line.cells))]
    if not lines:
        raise Unreadable("empty")
    for place, line in enumerate(lines[:HEADINGS_MAX]):
        known = _layout(line, direction)
        if known.day is not None and (known.series or known.found):
            if not lines[place + 1 :]:
                raise Unreadable("no_rows")
            return known, lines[place + 1 :]
    raise Unreadable("no_headings")


def _layout(line: Line, direction: str | None) -> Layout:
    known = Layout("plain")
    begins = ends = None
    for place, cell in enumerate(line.cells):
        if not isinstance(cell, str) or blank(cell):
            continue
        heading = cell.strip().strip('"')
        name = folded(heading)
        if match := SHARING.fullmatch(heading):
            _sharing(known, place, heading, match)
        elif name in BEGINS:
            begins = place
        elif name in ENDS:
            ends = place
        elif name in DAY or name in EANS or name.startswith(STATUSES):
            _told(known, place, name)
        else:
            _value(known, place, heading, direction)
    _times(known, begins, ends)
    # What is left after sharing is judged beside what there was.
    known.series.sort(key=lambda series: series.after)
    return known


def _told(known: Layout, place: int, name: str) -> None:
    if name in EANS:
        known.ean = place
    elif name.startswith(STATUSES):
        known.statuses.append(place)
    elif known.day is None:
        known.day = place
    elif known.clock is None:
        known.clock = place


def _times(known: Layout, begins: int | None, ends: int | None) -> None:
    told = begins if begins is not None else ends
    if told is None:
        return
    known.ends = begins is None
    if known.day is None:
        known.day = told
    elif known.clock is None:
        known.clock = told


def _sharing(known: Layout, place: int, heading: str, match: re.Match[str]) -> None:
    """The EDC's: producers (D) above zero, consumers (O) below; IN is before sharing, OUT what is left of it."""
    known.name = "edc"
    ean, letter = match[2], (match[3] or "").upper()
    if not is_ean(ean):
        known.found.append(("ean", {"value": ean}))
    elif letter not in {"D", "O"}:
        known.found.append(("sharing_kind", {"column": heading}))
    else:
        direction = "export" if letter == "D" else "import"
        after = match[1].upper() == "OUT"
        known.series.append(Series(place, heading, ean, direction, 1e3, after, negative=letter == "O"))


def _value(known: Layout, place: int, heading: str, direction: str | None) -> None:
    """A column of values of the distributors, or a plain one: by its direction and its unit."""
    unit = UNIT.search(heading)
    name = folded(heading)
    bare = heading.lstrip().upper()
    if bare.startswith("+A") or name.startswith(IMPORT):
        told = "import"
    elif bare.startswith(("-A", "−A")) or name.startswith(EXPORT):
        told = "export"
    elif unit and re.fullmatch(r"(k|m)?wh?|hodnota( (k|m)?wh?)?|mnozstvi( (k|m)?wh?)?|energie( (k|m)?wh?)?", name):
        told = direction or "import"
        if direction is None:
            known.found.append(("direction_taken", {"column": heading}))
    else:
        return
    if unit is None:
        known.found.append(("unit", {"column": heading}))
        return
    if bare.startswith(("+A", "-A", "−A")):
        known.name = "distributor"
    if any(series.direction == told for series in known.series):
        known.found.append(("column_twice", {"column": heading}))
        return
    known.series.append(Series(place, heading, None, told, UNITS[(unit[1] or unit[2]).lower()]))
