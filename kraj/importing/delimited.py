"""CSV as people's programs save it: Windows-1250 or Unicode, semicolons or commas or tabs, breaks within quotes."""

import csv
import io
from collections.abc import Sequence

from kraj.importing.columns import recognise
from kraj.importing.table import (
    CELL_CHARS_MAX,
    COLUMNS_MAX,
    HEADING_ROWS_MAX,
    ROWS_MAX,
    Format,
    Line,
    Table,
    Unreadable,
)

DELIMITERS = ";,\t|"
LATIN2_LETTERS = frozenset(b"\xa9\xab\xae\xb9\xbb\xbe")
"""Š, Ť, Ž, š, ť, ž in ISO 8859-2; in Windows-1250 they are signs that no register holds."""
WINDOWS_LETTERS = frozenset(b"\x8a\x8d\x8e\x9a\x9d\x9e")
FIELD_CHARS_MAX = 131_072
"""The csv module's own limit; longer means a quotation mark without an end."""


def read(data: bytes) -> Table:
    """Read a table; raise ``Unreadable`` for what is none."""
    text, encoding = decoded(data)
    if "\0" in text:
        raise Unreadable("not_a_table", {"detail": "0x00"})
    delimiter, text = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[Line] = []
    try:
        for number, row in enumerate(reader, start=1):
            if number > ROWS_MAX + HEADING_ROWS_MAX and any(cell.strip() for cell in row):
                raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
            if len(row) > COLUMNS_MAX and any(cell.strip() for cell in row[COLUMNS_MAX:]):
                raise Unreadable("too_many_columns", {"limit": COLUMNS_MAX})
            if any(row):
                lines.append(Line(number, [cell[: CELL_CHARS_MAX + 1] for cell in row[:COLUMNS_MAX]]))
    except csv.Error as error:
        raise Unreadable("quote", {"line": reader.line_num}) from error
    return Table(Format.CSV, lines, encoding)


def decoded(data: bytes) -> tuple[str, str]:
    """The text and its encoding: by its mark, as UTF-8 where it is valid, else as a Czech Windows writes."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding.removesuffix("-sig")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        there = frozenset(data)
        latin2 = bool(there & LATIN2_LETTERS) and not there & WINDOWS_LETTERS
        encoding = "iso8859-2" if latin2 else "cp1250"
        return data.decode(encoding, "replace"), encoding


def _delimiter(text: str) -> tuple[str, str]:
    """The delimiter under which most headings are known, and the text without Excel's ``sep=`` line."""
    first, _, rest = text.partition("\n")
    said = first.strip().strip('"')
    if said.lower().startswith("sep=") and len(said) == 5 and said[4] in DELIMITERS:
        return said[4], rest
    start = text[: 64 * 1024]
    return max(DELIMITERS, key=lambda delimiter: _known(start, delimiter)), text


def _known(start: str, delimiter: str) -> tuple[int, int]:
    rows: list[Sequence[str]] = []
    try:
        for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) >= HEADING_ROWS_MAX:
                break
    except csv.Error:
        return 0, 0
    best = max((sum(recognise(0, cell) is not None for cell in row) for row in rows), default=0)
    return best, max(map(len, rows), default=0)
