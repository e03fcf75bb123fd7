"""Cells as values: text, numbers with a decimal comma, yes and no; what is none of these becomes a finding."""

import math
import re
from datetime import date, datetime, time

from kraj.attributes import Attribute
from kraj.importing.findings import Finding
from kraj.importing.table import CELL_CHARS_MAX, Cell, CellError, Formula, Shape

TEXT_CHARS_MAX = 200
NUMBER_MAX = 1e12
"""Far above every attribute; a slipped decimal comma is smaller, a column of telephone numbers is not."""
YES = frozenset({"ano", "a", "yes", "y", "true", "pravda", "1", "x", "✓", "✔"})
NO = frozenset({"ne", "n", "no", "false", "nepravda", "0", "-", "–"})
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d{1,3})?")
THOUSANDS = re.compile(r"(?<=\d)[\s\xa0\u202f'](?=\d{3}(\D|$))")

Value = str | int | float
Read = Value | Finding | None


def text(cell: Cell, *, limit: int = TEXT_CHARS_MAX) -> str | Finding | None:
    """One line of text; None for an empty cell. Excel's 1042.0 is 1042."""
    if (wrong := unusable(cell)) is not None:
        return wrong
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        cell = int(cell)
    found = "" if cell is None else str(cell)
    found = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    if len(found) > limit or len(found) > CELL_CHARS_MAX:
        return Finding("too_long", None, {"limit": limit})
    return found or None


def number(cell: Cell, unit: str = "") -> float | Finding | None:
    """A number, written ``1 250,5``, ``1.250,5`` or ``70 W``; None for an empty cell."""
    if (wrong := unusable(cell)) is not None:
        return wrong
    if isinstance(cell, bool):
        return Finding("number", None, {"value": cell})
    if isinstance(cell, int | float):
        found = float(cell) if abs(cell) < 1e300 else math.inf
        return _bounded(found, str(cell)[:50])
    written = text(cell, limit=CELL_CHARS_MAX)
    if written is None or isinstance(written, Finding):
        return written
    bare = written.removesuffix(unit).strip() if unit else written
    bare = THOUSANDS.sub("", bare.replace("−", "-"))
    if "," in bare and "." in bare:  # the last of the two is the decimal one
        thousands = "," if bare.rindex(".") > bare.rindex(",") else "."
        bare = bare.replace(thousands, "")
    if not bare.isascii() or not NUMBER.fullmatch(bare):
        return Finding("number", None, {"value": written})
    return _bounded(float(bare.replace(",", ".")), written)


def _bounded(found: float, written: str) -> float | Finding:
    if not math.isfinite(found) or abs(found) > NUMBER_MAX:
        return Finding("number_size", None, {"value": written})
    return found


def flag(cell: Cell) -> int | Finding | None:
    """1 or 0; None for an empty cell."""
    written = text(cell)
    if written is None or isinstance(written, Finding):
        return written
    word = written.lower()
    if word in YES:
        return 1
    return 0 if word in NO else Finding("flag", None, {"value": written})


def attribute(of: Attribute, cell: Cell, scale: float) -> Read:
    """The value of an attribute as metadata holds it; whole numbers stay whole."""
    if of.words:
        return text(cell)
    if of.flag:
        return flag(cell)
    found = number(cell, of.unit.symbol)
    if found is None or isinstance(found, Finding):
        return found
    found = round(found * scale, 9)
    return int(found) if found == int(found) else found


def unusable(cell: Cell) -> Finding | None:
    """What is wrong with a cell whatever its column holds."""
    if isinstance(cell, Formula):
        return Finding("formula")
    if isinstance(cell, CellError):
        return Finding("cell_error", None, {"value": cell.text})
    if isinstance(cell, Shape):
        return Finding("geometry", None, {"value": cell.text})
    if isinstance(cell, datetime | date | time):
        return Finding("date", None, {"value": str(cell)})
    return None
