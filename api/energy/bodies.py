"""What the resources of KPIs and series take and answer."""

from datetime import date
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api import parameters
from api.problems import Problem
from api.schemas import Instant, Number, Paged
from kraj.kpis import KPIS, Domain, Grain
from kraj.store.kpis import By, Per, Step

ROWS_MAX: Final = 10_000
"""As for readings in CSV: a row is 60 bytes."""
YEARS: Final = range(2000, 2100)


class KpiDefinition(BaseModel):
    """What a KPI is."""

    name: str = Field(description="Its view in the database is `kpi_` and this name.")
    title: str
    meaning: str = Field(description="In plain words.")
    formula: str
    source: str
    unit: str
    domain: Domain
    grain: Grain = Field(description="What one row of its view is about.")
    by: list[str] = Field(description="By what it can be told apart.")


class KpiList(BaseModel):
    """Every KPI."""

    items: list[KpiDefinition]


class KpiFigure(BaseModel):
    """A KPI of a period and a subject."""

    period: date = Field(description="Its first day, in Prague.")
    subject: str | None = Field(description="A municipality's name, a number of an asset or group, an EAN, a rule.")
    value: Number | None = Field(description="Null where nothing is known: no data, which is not zero.")
    completeness: Number | None = Field(description="The share of what was due that is known, 0 to 1.")


class KpiPage(Paged):
    """Figures by period and subject."""

    name: str
    unit: str
    items: list[KpiFigure]


class SeriesPoint(BaseModel):
    """A metric over one step."""

    bucket: Instant = Field(description="Its beginning; days begin at midnight in Prague.")
    value: Number | str | list[str] | None = Field(
        description="A mean over time, a counter's increase, a flag's share of the time, the last state, bits once set."
    )
    low: Number | None = Field(description="The lowest value, where it is kept.")
    high: Number | None = Field(description="The highest value, where it is kept.")
    completeness: Number = Field(description="The share of the step for which readings tell, 0 to 1.")


class SeriesPage(Paged):
    """A metric by time; steps without any reading are left out."""

    metric: str
    unit: str
    step: Step
    items: list[SeriesPoint]


class KpiParameters(parameters.Parameters):
    """Of which days and of whom, and how told apart."""

    from_: date | None = Field(
        None, alias="from", description="First day in Prague; the first of `to`'s month if left out."
    )
    to: date | None = Field(None, description="Day behind the last; tomorrow when left out.")
    municipality: parameters.Text | None = Field(None, description="Name of the owner on that day.")
    group_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Of this group's assets.")
    asset_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Of this asset.")
    per: Per = Field("all", description="One figure a day, a month, or one for all days.")
    by: By = Field("all", description="Told apart by this; see the KPI's definition.")
    limit: int | None = Field(None, ge=1, le=ROWS_MAX, description="How many at most; 200 as JSON.")
    cursor: parameters.Cursor = None
    format: Literal["json", "csv"] | None = Field(None, description="Else by Accept.")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for name, day in (("from", self.from_), ("to", self.to)):
            if day is not None and day.year not in YEARS:
                raise Problem("time", 400, name=name, value=str(day))
        if self.from_ and self.to and self.from_ >= self.to:
            raise Problem("range", 400)
        return self


class SeriesParameters(parameters.Parameters):
    """Which metric, in which steps, from when to when."""

    metric: parameters.Text = Field(description="Its name.", examples=["power_w"])
    step: Step = Field("1h", description="Quarter of an hour, hour or day.")
    kind: parameters.KindName | None = Field(None, description="Of a group with assets of several kinds.")
    from_: parameters.Time | None = Field(None, alias="from", description="From this time on; 100 steps before `to`.")
    to: parameters.Time | None = Field(None, description="Before this time; now when left out.")
    limit: int | None = Field(None, ge=1, le=ROWS_MAX, description="How many at most.")
    cursor: parameters.Cursor = None
    format: Literal["json", "csv"] | None = Field(None, description="Else by Accept.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.from_ and self.to and self.from_ >= self.to:
            raise Problem("range", 400)
        return self


_FIRST: Final = KPIS["lighting_availability_pct"]
DEFINITIONS: Final[dict[str, Any]] = {
    "items": [
        {
            "name": _FIRST.name,
            "title": _FIRST.title.cs,
            "meaning": _FIRST.meaning.cs,
            "formula": _FIRST.formula,
            "source": _FIRST.source,
            "unit": "%",
            "domain": "lighting",
            "grain": "asset-day",
            "by": ["all", "municipality", "group", "asset"],
        }
    ]
}
FIGURES: Final[dict[str, Any]] = {
    "name": "lighting_availability_pct",
    "unit": "%",
    "items": [{"period": "2026-11-01", "subject": "olsinka-nad-mlynkou", "value": 99.42, "completeness": 0.987}],
    "next_cursor": None,
}
SERIES: Final[dict[str, Any]] = {
    "metric": "power_w",
    "unit": "W",
    "step": "1h",
    "items": [
        {"bucket": "2026-11-20T20:00:00.000Z", "value": 38.2, "low": 36.9, "high": 40.1, "completeness": 1},
    ],
    "next_cursor": None,
}
