"""A segment's month, a row a lamp, as the reader's Excel takes it; systems read the same of the API."""

import csv
import io
import re
from collections.abc import Sequence

from api.texts import Catalogue
from rules.lighting import statement
from rules.lighting.ledger import FULL_FROM

BOM = "\ufeff"
"""By which Excel knows UTF-8."""
NUMBER = re.compile(r"-?\d+\.\d+")
FINE = 3
"""Decimals: a watt-hour; the ledger itself has six, so that others can make its figures again."""


def table(rows: Sequence[statement.Row], say: Catalogue) -> bytes:
    """Headings in words; in Czech semicolons and decimal commas."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=";" if say.language == "cs" else ",", lineterminator="\r\n")
    writer.writerow([say(f"ledger.table.{name}") for name in statement.LAMP_HEAD])
    for row in rows:
        cells = statement.harmless(row)
        writer.writerow([_shown(cells[name], say) for name in statement.LAMP_HEAD])
    return (BOM + file.getvalue()).encode()


def _shown(text: str, say: Catalogue) -> str:
    if text in FULL_FROM:
        return say(f"ledger.from.{text}")
    if NUMBER.fullmatch(text) is None:
        return text
    shown = f"{float(text):.{FINE}f}".rstrip("0").rstrip(".")
    return shown.replace(".", ",") if say.language == "cs" else shown
