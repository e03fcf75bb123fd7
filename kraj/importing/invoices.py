"""A table of invoices (EAN, days, kWh, CZK, number) by its headings → rows, or what is wrong with them."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from kraj.importing import values
from kraj.importing.findings import Finding
from kraj.importing.quarter_columns import table
from kraj.importing.quarter_times import day_of
from kraj.importing.quarters import FOUND_MAX, Found
from kraj.importing.table import Cell, Line, Unreadable, blank, folded
from kraj.meters import is_ean
from kraj.tariffs import FIRST, LAST

ROWS_MAX: Final = 20_000
HEADINGS: Final = {
    "ean": ("ean", "ean opm", "odberne misto", "ean odberneho mista"),
    "number": ("cislo", "cislo faktury", "faktura", "cislo dokladu", "number", "invoice"),
    "period_from": ("od", "obdobi od", "datum od", "from", "period from"),
    "period_until": ("do", "obdobi do", "datum do", "until", "to", "period until"),
    "kwh": ("kwh", "mnozstvi kwh", "spotreba kwh", "energie kwh"),
    "czk": (
        "czk",
        "kc",
        "castka",
        "castka kc",
        "castka bez dph",
        "castka bez dph kc",
        "cena bez dph",
        "celkem bez dph",
    ),
    "direction": ("smer", "direction"),
}
"""Headings without accents and signs; all but the last are needed."""
EXPORTS: Final = ("dodavka", "vykup", "export", "vyroba")
SIZES: Final = {"kwh": 1e9, "czk": 1e11}


@dataclass(slots=True)
class Invoices:
    """A file as understood; a row is what ``invoice`` holds, as JSON can hold it."""

    format: str
    encoding: str | None
    count: int
    rows: list[dict[str, Any]]
    found: list[Found]
    wrong: int


def parse(data: bytes) -> Invoices:
    """Read a file; raise ``Unreadable`` where no row can be had of it."""
    read = table(data)
    lines = [line for line in read.lines if not all(map(blank, line.cells))]
    start, places = next(((n, found) for n, line in enumerate(lines[:20]) if (found := _places(line))), (0, None))
    if places is None:
        raise Unreadable("no_headings")
    below = lines[start + 1 :]
    if not below:
        raise Unreadable("no_rows")
    if len(below) > ROWS_MAX:
        raise Unreadable("too_many_rows", {"limit": ROWS_MAX})
    made = Invoices(read.format.value, read.encoding, len(below), [], [], 0)
    seen: set[tuple[str, str, str]] = set()
    for line in below:
        row = _row(line, places)
        key = () if isinstance(row, Found) else (row["ean"], row["number"], row["direction"])
        if not isinstance(row, Found) and key in seen:
            row = Found("invoice_twice", line.number, {"value": row["number"]})
        if isinstance(row, Found):
            made.wrong += 1
            made.found += [row] if len(made.found) < FOUND_MAX else []
        else:
            seen.add((row["ean"], row["number"], row["direction"]))
            made.rows.append(row)
    return made


def _places(line: Line) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for place, cell in enumerate(line.cells):
        name = folded(str(cell)) if isinstance(cell, str) else ""
        for field, headings in HEADINGS.items():
            if name in headings:
                found.setdefault(field, place)
    return found if found.keys() >= HEADINGS.keys() - {"direction"} else None


def _row(line: Line, places: dict[str, int]) -> dict[str, Any] | Found:
    cells: dict[str, Cell] = {
        field: line.cells[place] if place < len(line.cells) else None for field, place in places.items()
    }
    row: dict[str, Any] = {"row": line.number}
    ean = values.text(cells["ean"])
    row["ean"] = ean.replace(" ", "") if isinstance(ean, str) else ""
    if not is_ean(row["ean"]):
        return Found("ean", line.number, {"value": str(cells["ean"])[:40]})
    number = values.text(cells["number"], limit=60)
    if not isinstance(number, str):
        return Found("invoice_number", line.number, {"value": str(cells["number"])[:40]})
    row["number"] = number
    days: list[date] = []
    for field in ("period_from", "period_until"):
        try:
            days.append(day_of(cells[field]))
        except ValueError:
            return Found("time", line.number, {"value": str(cells[field])[:40]})
        row[field] = days[-1].isoformat()
    if not FIRST <= days[0] <= days[1] <= LAST:
        return Found("period", line.number, {"value": f"{days[0]} – {days[1]}"})
    for field, most in SIZES.items():
        found = values.number(cells[field], "Kč" if field == "czk" else "kWh")
        if found is None or isinstance(found, Finding) or abs(found) > most:
            return Found("number", line.number, {"column": field, "value": str(cells[field])[:40]})
        row[field] = round(found, 2 if field == "czk" else 3)
    row["direction"] = "export" if folded(str(cells.get("direction") or "")).startswith(EXPORTS) else "import"
    return row
