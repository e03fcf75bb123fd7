"""A month as a document: sections of figures, each with its completeness, with pictures and tables; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from api.energy import drawing
from api.energy.drawing import Month
from kraj import reports
from kraj.kpis import KPIS, Domain, Kpi
from kraj.store.kpis import Figure
from kraj.store.reports import Found, Line, Version

HEADLINES: Final = (
    "lighting_availability_pct",
    "lighting_saved_dimming_kwh",
    "pv_energy_kwh",
    "pv_lost_kwh",
    "stop_uptime_pct",
    "fault_time_to_repair_h",
)
"""What an e-mail says in its text."""


@dataclass(frozen=True, slots=True)
class Card:
    """A KPI's month; ``partly``: known in part only. ``month`` is its picture, where it is drawn."""

    kpi: Kpi
    figure: Figure
    partly: bool
    month: Month | None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table, with a figure (or None: nothing was due) for each KPI of its head."""

    title: str
    figures: tuple[Figure | None, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A domain in which anything was due; ``hidden`` lines of its table are left out."""

    domain: Domain
    cards: tuple[Card, ...]
    head: tuple[Kpi, ...]
    rows: tuple[Row, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class Used:
    """A price, factor or baseline; ``later``: declared when the month was over."""

    version: Version
    later: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report, in no language yet but for titles of rules."""

    found: Found
    last: date
    """Last day of the month."""
    over: bool
    """The month is over."""
    missing_days: int
    """Days that have begun and of which no figures are made: what the report cannot know of."""
    headlines: tuple[Card, ...]
    sections: tuple[Section, ...]
    used: tuple[Used, ...]


def partly(figure: Figure) -> bool:
    """Whether a figure stands for less than nearly all that was due."""
    return figure.value is not None and (figure.completeness or 0.0) < reports.COMPLETE_FROM


def compose(found: Found, rule_title: Callable[[str], str]) -> Document:
    """The document of a month; ``rule_title`` names rules as people do."""
    sections = [section for domain in Domain if (section := _section(found, domain, rule_title)) is not None]
    cards = {card.kpi.name: card for section in sections for card in section.cards}
    end = reports.midnight(found.end)
    return Document(
        found=found,
        last=date.fromordinal(found.end.toordinal() - 1),
        over=found.at >= end,
        missing_days=found.days - found.days_made,
        headlines=tuple(cards[name] for name in HEADLINES if name in cards),
        sections=tuple(sections),
        used=tuple(Used(version, version.at >= end) for version in found.versions),
    )


def _section(found: Found, domain: Domain, rule_title: Callable[[str], str]) -> Section | None:
    cards = tuple(
        # Those with a picture first: they are higher.
        sorted(
            (_card(found, kpi) for kpi in reports.kpis(domain) if kpi.name in found.totals),
            key=lambda card: card.month is None,
        )
    )
    lines: Sequence[Line] = found.lines.get(domain, ())
    if not cards and not lines:
        return None
    names = [name for name in reports.COMPARED[domain] if any(name in line.figures for line in lines)]
    rows = tuple(
        Row(
            rule_title(line.title) if domain is Domain.FAULTS else line.title,
            tuple(line.figures.get(name) for name in names),
        )
        for line in lines
    )
    hidden = found.lines_all.get(domain, 0) - len(rows)
    return Section(domain, cards, tuple(KPIS[name] for name in names), rows, hidden)


def _card(found: Found, kpi: Kpi) -> Card:
    figure = found.totals[kpi.name]
    daily: Mapping[str, Sequence[Figure]] = found.daily
    month = drawing.month(found.month, daily[kpi.name]) if kpi.name in daily else None
    return Card(kpi, figure, partly(figure), month)
