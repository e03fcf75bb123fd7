"""A document as HTML that stands alone, as PDF, as a table for a spreadsheet, and as the text of an e-mail."""

import asyncio
import base64
import csv
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from api import formats
from api.energy import drawing
from api.reports.document import Document, partly
from api.texts import Catalogue, catalogues
from kraj import reports
from kraj.errors import KrajError
from kraj.kpis import Kpi
from kraj.metrics import Title
from kraj.reports import ZONE
from kraj.store.kpis import Figure

BOM: Final = "\ufeff"
"""By which Excel knows UTF-8."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
PRINTED_AT_ONCE: Final = 1
"""Laying out takes a processor for seconds; who asks the API besides waits for a ``turn``."""
PAGE, TABLE, PRINT = "html", "csv", "pdf"
MEDIA: Final[Mapping[str, str]] = {
    PAGE: "text/html; charset=utf-8",
    TABLE: "text/csv; charset=utf-8",
    PRINT: "application/pdf",
}


class NoPangoError(KrajError):
    """WeasyPrint's library for laying out text is not on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "PDF needs Pango, which is not on this machine; HTML and CSV are made without it:"
            " `apt-get install libpangoft2-1.0-0`"
        )


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a report."""

    name: str
    media: str
    content: bytes


class Printer:
    """Renders documents; made once. It fetches nothing from anywhere."""

    def __init__(self, texts: Mapping[str, Catalogue] | None = None) -> None:
        self._texts = texts or catalogues()
        self.turn = asyncio.Semaphore(PRINTED_AT_ONCE)
        self._environment = Environment(
            loader=PackageLoader("api"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def title(self, document: Document, language: str) -> str:
        """Such as ``Zpráva za říjen 2026: Olšinka``."""
        say, found = self._texts[language], document.found
        place = found.town.title if found.building is None else f"{found.town.title}, {found.building.name}"
        return say("report.title", month=month_name(say, found.month), place=place)

    def html(self, document: Document, language: str) -> str:
        """One file: styles and pictures within, nothing from elsewhere."""
        say = self._texts[language]

        def number(value: float) -> str:
            return formats.number(value, language)

        def words(title: Title) -> str:
            return str(getattr(title, language))

        def day(given: date) -> str:
            return _day(given, language)

        def moment(given: datetime) -> str:
            return formats.instant(given, language, ZONE)

        return self._environment.get_template("report.html").render(
            say=say,
            language=language,
            title=self.title(document, language),
            document=document,
            found=document.found,
            number=number,
            words=words,
            day=day,
            moment=moment,
            partly=partly,
            local=_local,
            picture=drawing,
        )

    def csv(self, document: Document, language: str) -> bytes:
        """Every figure in a row, as a Czech (or English) Excel takes it: UTF-8 with a mark."""
        say = self._texts[language]
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=";" if language == "cs" else ",", lineterminator="\r\n")
        writer.writerow([say(f"report.csv.{name}") for name in ("section", "of", "kpi", "from", "to")] + _ends(say))
        for row in _rows(document, say, language):
            writer.writerow([_harmless(cell) for cell in row])
        return (BOM + file.getvalue()).encode("utf-8")

    def pdf(self, document: Document, language: str) -> bytes:
        """The page laid out on A4; takes a second. Raises ``NoPangoError``."""
        return pdf(self.html(document, language))

    def text(self, document: Document, language: str, page: str) -> str:
        """What stands in an e-mail that brings the report."""
        say = self._texts[language]
        lines = [
            say(
                "report.mail_line",
                title=getattr(card.kpi.title, language),
                value=_value(card.figure, card.kpi.measure.symbol, say, language),
                share=_share(card.figure, language),
            )
            for card in document.headlines
        ]
        if document.missing_days > 0:
            lines.append(say("report.days_missing", missing=document.missing_days, days=document.found.days))
        if not document.sections:
            lines.append(say("report.empty"))
        return "\n".join([*lines, "", say("report.mail_end"), page])


def policy(html: str) -> str:
    """What a browser may use of a report's page: the styles within it, by their digests, and nothing else."""
    styles = re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in styles)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def file_name(document: Document, form: str) -> str:
    """Such as ``olsinka-2026-10.pdf``; a building by its number."""
    found = document.found
    building = "" if found.building is None else f"-{found.building.group_id}"
    return f"{found.town.name}{building}-{found.month:%Y-%m}.{form}"


def month_name(say: Catalogue, month: date) -> str:
    """Month and year in words."""
    return f"{say(f'report.months.m{month.month}')} {month.year}"


def pdf(html: str, *, uncompressed: bool = False) -> bytes:
    """Lay out a page on A4 by WeasyPrint; raises ``NoPangoError``."""
    try:
        import weasyprint  # takes a second: only who prints pays for it
    except OSError as error:
        raise NoPangoError from error
    made: Any = weasyprint.HTML(string=html, base_url=None)
    return made.write_pdf(uncompressed_pdf=uncompressed)


def _ends(say: Catalogue) -> list[str]:
    return [say(f"report.csv.{name}") for name in ("value", "unit", "completeness", "source")]


def _rows(document: Document, say: Catalogue, language: str) -> list[list[str]]:
    found = document.found
    month = [found.month.isoformat(), document.last.isoformat()]
    rows: list[list[str]] = []

    def figures(section: str, of: str, kpi: Kpi, span: list[str], figure: Figure) -> None:
        share = None if figure.completeness is None else figure.completeness * 100
        title = getattr(kpi.title, language)
        value = _decimal(figure.value, 3, language)
        rows.append([section, of, title, *span, value, kpi.measure.symbol, _decimal(share, 1, language), kpi.name])

    for section in document.sections:
        name = say(f"energy.domain.{section.domain}")
        for card in section.cards:
            figures(name, "", card.kpi, month, card.figure)
        for row in section.rows:
            for kpi, figure in zip(section.head, row.figures, strict=True):
                if figure is not None:
                    figures(name, row.title, kpi, month, figure)
        for card in section.cards:
            for one in found.daily.get(card.kpi.name, ()):
                figures(name, say("report.csv.day"), card.kpi, [one.period.isoformat()] * 2, one)
    for used in document.used:
        version = used.version
        until = "" if version.valid_until is None else version.valid_until.isoformat()
        span = [version.valid_from.isoformat(), until]
        kind = say(f"report.kinds.{version.kind}")
        unit = say(f"report.units.{version.kind}")
        rows.append(
            [
                say("report.versions"),
                version.name,
                kind,
                *span,
                _decimal(version.value, 5, language),
                unit,
                "",
                version.source,
            ]
        )
    return rows


def _decimal(value: float | None, digits: int, language: str) -> str:
    if value is None:
        return ""
    text = f"{Decimal(value):.{digits}f}".rstrip("0").rstrip(".")
    text = "0" if text in {"", "-0"} else text
    return text.replace(".", ",") if language == "cs" else text


def _harmless(cell: str) -> str:
    """The cell as a spreadsheet may open it; numbers stay numbers."""
    return f"'{cell}" if cell.startswith(FORMULA) and not re.fullmatch(r"-[0-9]+([.,][0-9]+)?", cell) else cell


def _value(figure: Figure, unit: str, say: Catalogue, language: str) -> str:
    if figure.value is None:
        return say("energy.none")
    return f"{formats.number(figure.value, language)}{formats.NO_BREAK_SPACE}{unit}"


def _share(figure: Figure, language: str) -> str:
    share = figure.completeness
    return "–" if share is None else f"{formats.number(int(share * 100), language)}{formats.NO_BREAK_SPACE}%"


def _local(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def _day(given: date, language: str) -> str:
    space = formats.NO_BREAK_SPACE
    if language == "cs":
        return f"{given.day}.{space}{given.month}.{space}{given.year}"
    return f"{given.day}{space}{given:%b}{space}{given.year}"


def months(today: date, count: int) -> list[date]:
    """The latest months that have begun, the newest first."""
    found = [today.replace(day=1)]
    while len(found) < count and found[-1] > reports.FIRST:
        found.append(reports.before(found[-1]))
    return found
