"""What the resources of monthly reports answer."""

from datetime import date
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from api.reports.document import Card, Document, Row, Section, Used, partly
from api.schemas import Instant, Number, Paged
from kraj.kpis import Domain, Kpi
from kraj.store.kpis import Figure


class ReportMonth(BaseModel):
    """A month of a municipality of which a report can be made."""

    municipality: str
    title: str = Field(description="The municipality's name for people.")
    month: str = Field(examples=["2026-10"])
    over: bool = Field(description="The month is over; of the running one there is a report so far.")
    url: str


class ReportPage(Paged):
    """Municipalities by name, of each the latest months, the newest first."""

    items: list[ReportMonth]


class ReportFigure(BaseModel):
    """A KPI of the month."""

    name: str
    title: str
    unit: str
    value: Number | None = Field(description="Null where nothing is known: no data, which is not zero.")
    completeness: Number | None = Field(description="The share of what was due that is known, 0 to 1.")
    partly: bool = Field(description="Less than 90 % is known.")


class ReportRow(BaseModel):
    """A street, a roof, a stop, a metering point or a rule; null where nothing was due."""

    title: str
    figures: list[ReportFigure | None]


class ReportSection(BaseModel):
    """A domain in which anything was due."""

    domain: Domain
    figures: list[ReportFigure]
    compared: list[str] = Field(description="Names of the KPIs of each row, in their order.")
    rows: list[ReportRow]
    rows_hidden: int = Field(description="Rows that are left out.")


class ReportUsed(BaseModel):
    """What figures hang on, as it is declared now."""

    kind: Literal["tariff_import", "tariff_export", "co2", "baseline"]
    name: str
    value: Number
    valid_from: date
    valid_until: date | None
    source: str
    declared_at: Instant
    later: bool = Field(description="Declared when the month was over.")


class ReportBody(BaseModel):
    """A month of a municipality, or of one of its buildings."""

    municipality: str
    title: str
    building: str | None
    month: str
    last: date
    over: bool
    missing_days: int = Field(description="Days that have begun and of which no figures are made yet.")
    made_at: Instant
    sections: list[ReportSection]
    used: list[ReportUsed]


def body(document: Document, language: str) -> ReportBody:
    """A report as JSON."""
    found = document.found
    return ReportBody(
        municipality=found.town.name,
        title=found.town.title,
        building=None if found.building is None else found.building.name,
        month=f"{found.month:%Y-%m}",
        last=document.last,
        over=document.over,
        missing_days=document.missing_days,
        made_at=found.at,
        sections=[_section(section, language) for section in document.sections],
        used=[_used(one) for one in document.used],
    )


def _section(section: Section, language: str) -> ReportSection:
    def card(one: Card) -> ReportFigure:
        return _figure(one.kpi, one.figure, language)

    def row(one: Row) -> ReportRow:
        pairs = zip(section.head, one.figures, strict=True)
        return ReportRow(
            title=one.title,
            figures=[None if figure is None else _figure(kpi, figure, language) for kpi, figure in pairs],
        )

    return ReportSection(
        domain=section.domain,
        figures=[card(one) for one in section.cards],
        compared=[kpi.name for kpi in section.head],
        rows=[row(one) for one in section.rows],
        rows_hidden=section.hidden,
    )


def _figure(kpi: Kpi, figure: Figure, language: str) -> ReportFigure:
    return ReportFigure(
        name=kpi.name,
        title=str(getattr(kpi.title, language)),
        unit=kpi.measure.symbol,
        value=figure.value,
        completeness=figure.completeness,
        partly=partly(figure),
    )


def _used(one: Used) -> ReportUsed:
    version = one.version
    return ReportUsed.model_validate(
        {name: getattr(version, name) for name in ("kind", "name", "value", "valid_from", "valid_until", "source")}
        | {"declared_at": version.at, "later": one.later}
    )


LISTED: Final[dict[str, Any]] = {
    "items": [
        {
            "municipality": "olsinka",
            "title": "Olšinka",
            "month": "2026-10",
            "over": True,
            "url": "/v1/reports/olsinka/2026-10",
        }
    ],
    "next_cursor": None,
}
REPORT: Final[dict[str, Any]] = {
    "municipality": "olsinka",
    "title": "Olšinka",
    "building": None,
    "month": "2026-10",
    "last": "2026-10-31",
    "over": True,
    "missing_days": 0,
    "made_at": "2026-11-21T06:15:00.000Z",
    "sections": [
        {
            "domain": "lighting",
            "figures": [
                {
                    "name": "lighting_energy_kwh",
                    "title": "Spotřeba svítidel",
                    "unit": "kWh",
                    "value": 30.04,
                    "completeness": 0.5,
                    "partly": True,
                }
            ],
            "compared": [],
            "rows": [],
            "rows_hidden": 0,
        }
    ],
    "used": [],
}
