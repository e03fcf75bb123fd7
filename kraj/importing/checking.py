"""From a file's bytes to rows that could be registered, each with all that is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from kraj.importing import delimited, geojson, places, values, workbook
from kraj.importing.columns import FIELDS, KIND_KEYS, Column, like, recognise
from kraj.importing.delimited import DELIMITERS
from kraj.importing.findings import Finding, Level
from kraj.importing.table import (
    BYTES_MAX,
    HEADING_ROWS_MAX,
    ROWS_MAX,
    Cell,
    Format,
    Line,
    Table,
    Unreadable,
    blank,
    folded,
)
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.topics import NAME

FINDINGS_PER_ROW_MAX = 20
CHANNEL_MAX = 999
LABEL_CHARS_MAX = 120
"""As in the registry's form."""
FAR_KM = 30.0
"""Municipalities are some ten kilometres across; a digit that slipped is farther off."""
PLACE_FIELDS = frozenset({"latitude", "longitude", "x", "y", "place"})


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the form says for rows that do not say it themselves."""

    kind: str | None = None
    municipality: str | None = None


@dataclass(slots=True, kw_only=True)
class Row:
    """A row as it would be registered; ``municipality`` is still as written."""

    number: int
    label: str | None = None
    kind: str | None = None
    municipality: str | None = None
    device: str | None = None
    channel: int = 0
    latitude: float | None = None
    longitude: float | None = None
    metadata: dict[str, values.Value] = field(default_factory=dict[str, values.Value])
    findings: list[Finding] = field(default_factory=list[Finding])

    def add(self, finding: Finding, column: str | None = None) -> None:
        if len(self.findings) < FINDINGS_PER_ROW_MAX:
            self.findings.append(finding if column is None else replace(finding, column=column))

    @property
    def wrong(self) -> bool:
        return any(finding.level is Level.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A file as understood; ``columns`` are (heading, field) as they stand, with None for what is left out."""

    format: Format
    encoding: str | None
    columns: tuple[tuple[str, str | None], ...]
    findings: tuple[Finding, ...]
    rows: list[Row]


def parse(data: bytes, defaults: Defaults) -> Parsed:
    """Read a file of any known format; raise ``Unreadable`` where no row can be had of it."""
    table = _table(data)
    headings, below = _headings(table)
    columns, findings, shown = _columns(table.format, headings)
    there = {column.field.name: column for column in columns}
    findings = [*table.findings, *findings, *_lacking(there, defaults)]
    rows = [_row(line, columns, there, defaults) for line in below]
    if not rows:
        raise Unreadable("no_rows")
    if len(rows) > ROWS_MAX:
        raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
    _far(rows, there)
    return Parsed(
        format=table.format, encoding=table.encoding, columns=tuple(shown), findings=tuple(findings), rows=rows
    )


def _table(data: bytes) -> Table:
    if len(data) > BYTES_MAX:
        raise Unreadable("too_big_inside")
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise Unreadable("empty")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("old_excel")
    if data.startswith(b"PK"):
        return workbook.read(data)
    if start.startswith((b"{", b"[")):
        return geojson.read(data)
    return delimited.read(data)


def _headings(table: Table) -> tuple[Line, list[Line]]:
    """The row of headings, which titles may precede, and the rows below it that hold anything."""
    lines = [line for line in table.lines if not all(map(blank, line.cells))]
    if not lines:
        raise Unreadable("empty")

    def known(line: Line) -> int:
        return sum(isinstance(cell, str) and recognise(0, cell) is not None for cell in line.cells)

    first = max(range(min(len(lines), HEADING_ROWS_MAX)), key=lambda n: (known(lines[n]), -n))
    if known(lines[first]) == 0:
        raise Unreadable("no_headings")
    return lines[first], lines[first + 1 :]


def _columns(of: Format, headings: Line) -> tuple[list[Column], list[Finding], list[tuple[str, str | None]]]:
    found: list[Column] = []
    findings: list[Finding] = []
    shown: list[tuple[str, str | None]] = []
    for position, cell in enumerate(headings.cells):
        heading = "" if blank(cell) else str(cell)
        column = recognise(position, heading) if heading else None
        if of is Format.GEOJSON and position > 1 and column is not None and column.field.name in PLACE_FIELDS:
            column = None  # the geometry says where
        if not heading:
            continue
        if column is None:
            guess = like(heading)
            code = "column_ignored_like" if guess else "column_ignored"
            meant = {"like": both(guess.title)} if guess else {}
            findings.append(Finding(code, heading, {"column": heading, **meant}))
            shown.append((heading, None))
            continue
        twin = next((other for other in found if other.field.name == column.field.name), None)
        if twin is not None:
            findings.append(Finding("heading_twice", heading, {"column": heading, "other": twin.heading}))
        if column.unit_unknown is not None:
            wanted = next(iter((column.field.attributes or {}).values()))
            named = {"unit": column.unit_unknown, "wanted": wanted.unit.symbol or "1"}
            findings.append(Finding("unit_unknown", heading, named))
        found.append(column)
        shown.append((heading, column.field.name))
    return found, findings, shown


def _lacking(there: dict[str, Column], defaults: Defaults) -> Iterator[Finding]:
    given = {"kind": defaults.kind, "municipality": defaults.municipality, "label": None}
    for name, value in given.items():
        if name not in there and not value:
            title = FIELDS[name].title
            yield Finding("missing_column", None, {"what": both(title), "heading": both(title)})


def both(title: Title) -> dict[str, str]:
    """A name of ours, as a finding's value: in the language of whoever reads it."""
    return {"cs": title.cs, "en": title.en}


def _row(line: Line, columns: list[Column], there: dict[str, Column], defaults: Defaults) -> Row:
    row = Row(number=line.number, kind=defaults.kind, municipality=defaults.municipality)
    cells: dict[str, Cell] = {}
    for column in columns:
        cell = line.cells[column.position] if column.position < len(line.cells) else None
        cells.setdefault(column.field.name, None if blank(cell) else cell)
    _core(row, cells, there)
    _parted(row, cells, there)
    _place(row, cells, there)
    for column in columns:
        cell = cells[column.field.name]
        if column.field.attributes is None or cell is None or row.kind is None:
            continue
        attribute = column.field.attributes.get(row.kind)
        if attribute is None:
            row.add(Finding("other_kind", None, {"kind": both(KINDS[row.kind].title)}), column.heading)
            continue
        found = values.attribute(attribute, cell, column.scale)
        if isinstance(found, Finding):
            row.add(found, column.heading)
        elif found is not None:
            row.metadata[attribute.name] = found
    return row


def _parted(row: Row, cells: dict[str, Cell], there: dict[str, Column]) -> None:
    """Notice a whole row in one cell, because its columns are parted otherwise than the others'."""
    label = str(cells.get("label"))
    alone = len(there) > 1 and all(blank(cell) for name, cell in cells.items() if name != "label")
    if alone and any(label.count(delimiter) == len(there) - 1 for delimiter in DELIMITERS):
        row.add(Finding("columns", None, {"value": label}), there["label"].heading)


def _core(row: Row, cells: dict[str, Cell], there: dict[str, Column]) -> None:
    texts: dict[str, str | None] = {}
    for name in ("label", "kind", "municipality", "device"):
        found = values.text(cells.get(name), limit=LABEL_CHARS_MAX if name == "label" else values.TEXT_CHARS_MAX)
        if isinstance(found, Finding):
            row.add(found, there[name].heading)
            found = None
        texts[name] = found
    row.label = texts["label"]
    if row.label is None and "label" in there and blank(cells.get("label")):
        row.add(Finding("missing"), there["label"].heading)
    row.municipality = texts["municipality"] or row.municipality
    if row.municipality is None and "municipality" in there:
        row.add(Finding("missing"), there["municipality"].heading)
    kind = texts["kind"]
    if kind is not None:
        row.kind = KIND_KEYS.get(folded(kind))
        if row.kind is None:
            titles = [one.title for one in KINDS.values()]
            known = {"cs": ", ".join(one.cs for one in titles), "en": ", ".join(one.en for one in titles)}
            row.add(Finding("kind", None, {"value": kind, "known": known}), there["kind"].heading)
    elif row.kind is None and "kind" in there:
        row.add(Finding("missing"), there["kind"].heading)
    if texts["device"] is not None:
        row.device = _device(row, texts["device"], there["device"].heading)
    if cells.get("channel") is not None:
        _channel(row, cells["channel"], there["channel"].heading, alone=texts["device"] is None)


def _device(row: Row, name: str, heading: str) -> str | None:
    lower = name.lower()
    if NAME.fullmatch(lower):
        return lower
    guess = folded(name).replace(" ", "-")[:63]
    row.add(
        Finding("device_name", None, {"value": name, "like": guess if NAME.fullmatch(guess) else "lamp-3fa2b1"}),
        heading,
    )
    return None


def _channel(row: Row, cell: Cell, heading: str, *, alone: bool) -> None:
    found = values.number(cell)
    if isinstance(found, float) and found.is_integer() and 0 <= found <= CHANNEL_MAX:
        row.channel = int(found)
        if alone:
            row.channel = 0
            row.add(Finding("channel_without_device"), heading)
    else:
        row.add(Finding("channel", None, {"value": values.text(cell) or cell}), heading)


def _place(row: Row, cells: dict[str, Cell], there: dict[str, Column]) -> None:
    """Whichever of the columns is filled: both in one cell, degrees, or X and Y."""
    for first, second, latitude_first in (("latitude", "longitude", True), ("x", "y", False)):
        one, other = cells.get(first), cells.get(second)
        if one is None and other is None:
            continue
        named = there[first] if first in there else there[second]
        if isinstance(found := values.unusable(one) or values.unusable(other), Finding):
            row.add(found, named.heading)
        elif one is None or other is None:
            row.add(
                Finding("half_place"),
                there[second if one is not None and second in there else first].heading
                if (first in there and second in there)
                else named.heading,
            )
        else:
            _put(row, (one, other), (there[first].heading, there[second].heading), latitude_first=latitude_first)
        return
    both = cells.get("place")
    if both is None:
        return
    heading = there["place"].heading
    parts = places.pair(both) if isinstance(both, str) else None
    if parts is None:
        row.add(values.unusable(both) or Finding("coordinate", None, {"value": str(both)}), heading)
    else:
        _put(row, parts, (heading, heading), latitude_first=True)


def _put(row: Row, cells: tuple[Cell, Cell], headings: tuple[str, str], *, latitude_first: bool) -> None:
    numbers: list[float] = []
    for cell, heading in zip(cells, headings, strict=True):
        found = places.angle(cell) if isinstance(cell, str) else None
        read = found if found is not None else values.number(cell)
        if isinstance(read, float):
            numbers.append(read)
        else:
            row.add(Finding("coordinate", None, {"value": str(cell)}), heading)
    if len(numbers) < 2:
        return
    where = places.place(numbers[0], numbers[1], latitude_first=latitude_first)
    if isinstance(where, Finding):
        row.add(where, headings[0])
    else:
        row.latitude, row.longitude = where.latitude, where.longitude


def _far(rows: list[Row], there: dict[str, Column]) -> None:
    """Notes for places far from the other rows of their municipality."""
    heading = next((there[name].heading for name in ("latitude", "x", "place") if name in there), None)
    towns: dict[str, list[tuple[Row, places.Place]]] = {}
    for row in rows:
        if row.latitude is not None and row.longitude is not None:
            town = folded(row.municipality or "")
            towns.setdefault(town, []).append((row, places.Place(row.latitude, row.longitude)))
    for located in towns.values():
        if len(located) < 3:
            continue
        middle = places.centre([place for _, place in located])
        for row, place in located:
            km = places.apart_km(place, middle)
            if km > FAR_KM:
                row.add(Finding("far", None, {"km": round(km)}), heading)
