"""A table as it comes out of a file of any format, before anybody asks what its columns mean."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any

from kraj.errors import PayloadError
from kraj.importing.findings import Finding, told

BYTES_MAX = 20 * 1024 * 1024
"""A region's whole register of lamps as XLSX is a tenth of it."""
ROWS_MAX = 50_000
COLUMNS_MAX = 200
CELL_CHARS_MAX = 2000
HEADING_ROWS_MAX = 10
"""Registers often begin with a title and an empty row."""


class Format(StrEnum):
    """What a file is."""

    CSV = "csv"
    XLSX = "xlsx"
    GEOJSON = "geojson"


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell whose formula has no stored result."""


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell in which Excel shows an error such as #REF!."""

    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry that is no point."""

    text: str


Cell = str | int | float | bool | datetime | date | time | Formula | CellError | Shape | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a file; ``number`` is what Excel shows at its left, or the feature's place from 1 on."""

    number: int
    cells: list[Cell]


@dataclass(slots=True)
class Table:
    """Everything above the headings, the headings and the rows, in one list."""

    format: Format
    lines: list[Line]
    encoding: str | None = None
    findings: list[Finding] = field(default_factory=list[Finding])


class Unreadable(PayloadError):  # noqa: N818  # it is said of the file
    """Theirs: nothing of the file can be taken. ``finding`` says why, in words for people."""

    def __init__(self, code: str, values: Mapping[str, Any] | None = None) -> None:
        self.finding = Finding(code, None, values or {})
        super().__init__(code, " ".join(told(self.finding, "en")))


def blank(cell: Cell) -> bool:
    """Whether there is nothing in a cell that anybody could see."""
    return cell is None or (isinstance(cell, str) and not cell.strip("\0\ufeff\u200b \t\r\n\xa0"))


def folded(text: str) -> str:
    """Letters and digits alone, without accents and capitals, words apart by one space."""
    plain = unicodedata.normalize("NFKD", text)
    return " ".join("".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c)).lower().split())
