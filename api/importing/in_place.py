"""What was found in a file, at its row and cell: the table of a preview, and what stands where how often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kraj.importing.findings import Level, finding_of_json, shortened
from kraj.kinds import KINDS
from kraj.store.imports import ImportedRow

JUMPS_MAX = 12
"""Of kinds of errors; who has more starts with these."""
OTHER = {"latitude": "longitude", "longitude": "latitude"}
"""Where what was swapped stands in the file."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as it was written or understood; ``finding`` is the place of its error among the row's findings."""

    text: str
    finding: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row with errors; ``finding`` is that of the row as a whole."""

    number: int
    cells: tuple[Cell, ...]
    finding: int | None


@dataclass(frozen=True, slots=True)
class Jump:
    """Errors of a column (None: of rows as a whole), how many, and where the first one stands."""

    column: str | None
    count: int
    row: int
    cell: int | None


def lines(rows: Sequence[ImportedRow], columns: Sequence[Sequence[str | None]], language: str) -> list[Line]:
    """Rows in which something is wrong, each with all columns of the file, in a language (``cs`` or ``en``)."""
    return [_line(row, columns, language) for row in rows if _errors(row)]


def jumps(found: Sequence[Line], columns: Sequence[Sequence[str | None]]) -> list[Jump]:
    """By column, the most frequent first."""
    counts: Counter[int | None] = Counter()
    first: dict[int | None, int] = {}
    for line in found:
        places: list[int | None] = [n for n, cell in enumerate(line.cells) if cell.finding is not None]
        for place in places or [None]:
            counts[place] += 1
            first.setdefault(place, line.number)
    return [
        Jump(None if place is None else columns[place][0], count, first[place], place)
        for place, count in counts.most_common(JUMPS_MAX)
    ]


def _errors(row: ImportedRow) -> dict[str | None, int]:
    """The first error of each column, by its place among the findings."""
    found: dict[str | None, int] = {}
    for place, given in enumerate(row.findings):
        if finding_of_json(given).level is Level.ERROR:
            found.setdefault(given["column"], place)
    return found


def _line(row: ImportedRow, columns: Sequence[Sequence[str | None]], language: str) -> Line:
    errors = _errors(row)
    swapped: dict[str, Any] = {}
    for one in row.findings:
        swapped |= one["values"] if one["code"] == "swapped" else {}
    cells: list[Cell] = []
    for heading, name in columns:
        place = errors.pop(heading, None)
        values: dict[str, Any] = {} if place is None else row.findings[place]["values"]
        written = values.get("value", swapped.get(OTHER.get(name or "", "")))
        cells.append(Cell(_understood(row, name, language) if written is None else shortened(written), place))
    return Line(row.number, tuple(cells), min(errors.values(), default=None))


def _understood(row: ImportedRow, name: str | None, language: str) -> str:
    """A value as it would be registered; nothing where the column is not taken, or the value was not understood."""
    if name is None:
        return ""
    place = "" if row.latitude is None or row.longitude is None else f"{row.latitude:.6f}, {row.longitude:.6f}"
    kind = KINDS.get(row.kind or "")
    core = {
        "label": row.label,
        "kind": row.kind if kind is None else str(getattr(kind.title, language)),
        "municipality": row.municipality,
        "device": row.device,
        "channel": row.channel or None,
        "latitude": None if row.latitude is None else f"{row.latitude:.6f}",
        "longitude": None if row.longitude is None else f"{row.longitude:.6f}",
        **dict.fromkeys(("x", "y", "place"), place),
    }
    found = core[name] if name in core else row.metadata.get(name)
    return "" if found is None else shortened(found)
