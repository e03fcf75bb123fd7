"""XLSX with bounds: what it unpacks to is known before that is done, and formulas count by their stored result."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from kraj.importing.findings import Finding
from kraj.importing.table import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    HEADING_ROWS_MAX,
    ROWS_MAX,
    Cell,
    CellError,
    Format,
    Formula,
    Line,
    Table,
    Unreadable,
    blank,
)

UNPACKED_BYTES_MAX = 128 * 1024 * 1024
STRINGS_BYTES_MAX = 32 * 1024 * 1024
"""Shared strings are held in memory all at once, unlike the sheet."""
MEMBERS_MAX = 1000
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
EMPTY_ROWS_MAX = 1000
"""So many empty rows on end are the end: Excel keeps formats far below the data."""


def read(data: bytes) -> Table:
    """Read the first sheet that has anything in it; raise ``Unreadable`` for what is no workbook, or too large."""
    _check(data)
    from openpyxl import load_workbook  # here, because it takes a tenth of a second and few requests need it

    try:
        table = _sheet(load_workbook(io.BytesIO(data), read_only=True, data_only=False))
        if any(isinstance(cell, Formula) for line in table.lines for cell in line.cells):
            stored = _sheet(load_workbook(io.BytesIO(data), read_only=True, data_only=True))
            table.lines = list(_with_results(table.lines, stored.lines))
    except Unreadable:
        raise
    except Exception as error:  # whatever the library stumbles over is the file's fault
        raise Unreadable("not_a_table", {"detail": f"{type(error).__name__}: {error}"}) from error
    return table


def _check(data: bytes) -> None:
    """zipfile reads no more of a member than its size says, so that the sizes can be believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if "mimetype" in names and "content.xml" in names:
                raise Unreadable("open_document")
            sizes = [member.file_size for member in members]
            strings = sum(m.file_size for m in members if m.filename.lower().endswith("sharedstrings.xml"))
            if len(members) > MEMBERS_MAX or sum(sizes) > UNPACKED_BYTES_MAX or strings > STRINGS_BYTES_MAX:
                raise Unreadable("too_big_inside")
            if "[Content_Types].xml" not in names:
                raise Unreadable("not_a_table", {"detail": "ZIP"})
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    _no_entities(archive, member)
    except (*DAMAGED, NotImplementedError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise Unreadable("not_a_table", {"detail": "ZIP"}) from error


def _no_entities(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """A document type stands before the root element; no workbook has one, and entities are bombs."""
    with archive.open(member) as stream:
        if b"<!DOCTYPE" in stream.read(4096).upper():
            raise Unreadable("not_a_table", {"detail": "DOCTYPE"})


def _sheet(book: Any) -> Table:
    with_content: list[tuple[str, list[Line]]] = []
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        if with_content:  # whether there is a second one is enough to know
            if next(_lines(sheet), None) is not None:
                with_content.append((sheet.title, []))
                break
        elif lines := list(_lines(sheet)):
            with_content.append((sheet.title, lines))
    book.close()
    if not with_content:
        raise Unreadable("empty")
    title, lines = with_content[0]
    table = Table(Format.XLSX, lines)
    if len(with_content) > 1:
        table.findings.append(Finding("sheet_chosen", None, {"sheet": title}))
    return table


def _lines(sheet: Any) -> Iterator[Line]:
    sheet.reset_dimensions()  # what a sheet says of its size need not be true
    empty = 0
    most = ROWS_MAX + HEADING_ROWS_MAX
    for number, row in enumerate(sheet.iter_rows(max_row=most + 1, max_col=COLUMNS_MAX + 1), start=1):
        cells = [_cell(found) for found in row]
        if all(map(blank, cells)):
            empty += 1
            if empty > EMPTY_ROWS_MAX:
                return
            continue
        empty = 0
        if number > most:
            raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
        if len(cells) > COLUMNS_MAX and not blank(cells[COLUMNS_MAX]):
            raise Unreadable("too_many_columns", {"limit": COLUMNS_MAX})
        yield Line(number, cells[:COLUMNS_MAX])


def _cell(found: Any) -> Cell:
    value, data_type = found.value, getattr(found, "data_type", "n")
    if data_type == "e":
        return CellError(str(value))
    if data_type == "f":
        return Formula()
    if isinstance(value, str):
        return value[: CELL_CHARS_MAX + 1]
    return value


def _with_results(lines: list[Line], stored: list[Line]) -> Iterator[Line]:
    results = {line.number: line.cells for line in stored}
    for line in lines:
        known = results.get(line.number, [])
        yield Line(
            line.number,
            [
                (known[place] if place < len(known) and known[place] is not None else cell)
                if isinstance(cell, Formula)
                else cell
                for place, cell in enumerate(line.cells)
            ],
        )
