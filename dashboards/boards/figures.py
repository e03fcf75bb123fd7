"""Panels of KPIs by their names alone: title, unit, meaning and SQL come from the declaration, completeness beside."""

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from dashboards import kpi_sql
from dashboards.board import WIDTH, Row
from dashboards.kpi_sql import By
from dashboards.panels import Column, Draw, Panel, figure, rows, series
from dashboards.query import Ask
from dashboards.units import MEASURES, SHARE
from dashboards.wording import Words
from kraj.kpis import KPIS, Grain, Kpi

ABREAST = 4
BREAK_MS = 1.6 * 86_400_000
"""A line of days ends where more than one is missing."""
_ALARMS = {
    "mode": "absolute",
    "steps": [{"value": None, "color": "red"}, {"value": 0.7, "color": "yellow"}, {"value": 0.95, "color": "green"}],
}


def about(kpi: Kpi, words: Words) -> str:
    """What it means, how it is computed, who says so."""
    return f"{words.of(kpi.meaning)}\n\n{kpi.formula} [{kpi.measure.symbol}] · {kpi.source}\n\n{words('kpi.about')}"


def one(words: Words, name: str, where: str) -> Panel:
    """The figure of the time range, and its completeness beside it."""
    kpi = KPIS[name]
    known = words("board.completeness")
    asked = kpi_sql.figure(kpi, where, words("kpi.value"), known)
    unit = MEASURES[kpi.measure]
    none = words.of(kpi.unknown) if kpi.unknown else words("board.none")
    panel = figure(words.of(kpi.title), asked, unit, none=none, about=about(kpi, words))
    return panel.override_by_name(known, _share(alarms=True))


def figures(words: Words, title: str, names: Sequence[str], where: str) -> list[Row]:
    """Rows of figures, four abreast."""
    return [
        Row(title if begin == 0 else "", [one(words, name, where) for name in some], height=4, widths=widths(len(some)))
        for begin in range(0, len(names), ABREAST)
        for some in [names[begin : begin + ABREAST]]
    ]


def widths(count: int) -> Sequence[int]:
    """Of so many panels in one row."""
    return [WIDTH // count] * count


def days(words: Words, title: str, names: Sequence[str], where: str, *, draw: Draw = "lines") -> Panel:
    """KPIs of one unit day by day, one target each, with their completeness on the axis to the right."""
    kpis = [KPIS[name] for name in names]
    titles = [words.of(kpi.title) for kpi in kpis]
    complete = words("board.completeness")
    known = [complete if len(kpis) == 1 else f"{complete}: {name}" for name in titles]
    asked = [kpi_sql.by_time(kpi, where, name, share) for kpi, name, share in zip(kpis, titles, known, strict=True)]
    if kpis[0].grain is Grain.EAN_QUARTER:
        known = [f"{complete}: {titles[0]}"]
        asked.append(kpi_sql.known_by_day(kpis[0], where, known[0]))
    said = "\n\n".join(f"**{name}**: {words.of(kpi.meaning)}" for kpi, name in zip(kpis, titles, strict=True))
    panel = series(title, asked[0], MEASURES[kpis[0].measure], draw=draw, about=said)
    for ref, more in zip("BCDEFGH", asked[1:], strict=False):
        panel.with_target(Ask(more, "time_series", ref))
    for name in known:
        panel.override_by_name(name, _on_the_right())
    return panel.insert_nulls(BREAK_MS)


def compared(words: Words, title: str, names: Sequence[str], where: str, by: By, subjects: str) -> Panel:  # noqa: PLR0917
    """A table of KPIs by asset, municipality, site or metering point, the lowest of the first one above."""
    kpis = [KPIS[name] for name in names]
    named = {
        "asset": words("variable.asset"),
        "municipality": words("variable.municipality"),
        "site": words("kpi.site"),
        "ean": "EAN",
    }
    return rows(
        title,
        kpi_sql.by_subject(kpis, where, by, subjects),
        none=words("board.none"),
        about=together(kpis, words),
        columns={"name": Column(title=named[by]), **columns(kpis, words), "id": Column(hidden=True)},
    )


def together(kpis: Sequence[Kpi], words: Words) -> str:
    """What each of them means."""
    return "\n\n".join(f"**{words.of(kpi.title)}**: {words.of(kpi.meaning)}" for kpi in kpis)


def columns(kpis: Sequence[Kpi], words: Words) -> dict[str, Column]:
    """How a table shows ``v0`` and its completeness ``c0``, ``v1`` and so on."""
    found: dict[str, Column] = {}
    for n, kpi in enumerate(kpis):
        found[f"v{n}"] = Column(title=words.of(kpi.title), unit=MEASURES[kpi.measure])
        found[f"c{n}"] = Column(title=words("board.completeness"), unit=SHARE, width=90)
    return found


def _share(*, alarms: bool = False) -> list[DynamicConfigValue]:
    said = [("unit", SHARE), ("min", 0), ("max", 1), ("decimals", 0), *([("thresholds", _ALARMS)] if alarms else [])]
    return [DynamicConfigValue(id_val=name, value=value) for name, value in said]


def _on_the_right() -> list[DynamicConfigValue]:
    drawn = {
        "axisPlacement": "right",
        "drawStyle": "line",
        "fillOpacity": 0,
        "lineStyle": {"fill": "dash", "dash": [4, 4]},
        "stacking": {"mode": "none"},
    }
    return [
        *_share(),
        *(DynamicConfigValue(id_val=f"custom.{name}", value=value) for name, value in drawn.items()),
    ]
