"""What the API answers of quarter-hours, of files about meters, and of comparisons."""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas import Instant, Number, Paged
from kraj.tariffs import Direction


class SideAnswer(BaseModel):
    """What somebody says of a span; null where some of it is missing."""

    kwh: Number | None
    completeness: Number = Field(ge=0, le=1)


class ComparisonAnswer(BaseModel):
    """A span of days; differences in per cent of the distributor's figure, else of the invoice's."""

    first: date
    last: date
    ours: SideAnswer
    theirs: SideAnswer
    billed: SideAnswer
    billed_czk: Number | None
    difference_pct: Number | None = Field(description="Of our meters.")
    billed_difference_pct: Number | None = Field(description="Of the invoices.")
    verdict: Literal["agrees", "check", "no_data"]


class Reconciliation(BaseModel):
    """A year of a point: by month, and by invoice."""

    ean: str
    year: int
    direction: Direction
    difference_pct_max: Number
    months: list[ComparisonAnswer]
    invoices: list[ComparisonAnswer]


class QuarterAnswer(BaseModel):
    """A quarter-hour."""

    bucket: Instant = Field(description="Its beginning.")
    import_wh: int | None
    export_wh: int | None
    shared_wh: int | None
    status: Literal["measured", "substitute"]


class QuartersAnswer(BaseModel):
    """What holds of a point, by time; what nobody has given is not there."""

    items: list[QuarterAnswer]


class FoundAnswer(BaseModel):
    """Something in a file."""

    code: str
    row: int | None = Field(description="As Excel numbers it.")
    wrong: bool
    sentence: str


class SummaryAnswer(BaseModel):
    """What a file says of a point."""

    ean: str
    title: str | None = Field(description="null: not registered, or not ours; left out.")
    first: Instant
    until: Instant
    quarters: int
    missing: int = Field(description="Between the first and the last.")
    doubled: int
    substitute: int
    import_kwh: Number | None
    export_kwh: Number | None
    shared_kwh: Number | None
    new: int
    changed: int = Field(description="That differ from what holds now and would take its place.")


class MeterImportAnswer(BaseModel):
    """A file of quarter-hours or invoices, and what came of it."""

    meter_import_id: int
    content: Literal["quarters", "invoices"]
    state: Literal["preview", "applied", "undone"]
    file_name: str
    format: str
    encoding: str | None
    municipality: str | None
    rows: int
    rows_wrong: int
    applicable: bool
    findings: list[FoundAnswer]
    points: list[SummaryAnswer]
    invoices: list[dict[str, Any]]
    uploaded_at: Instant
    applied_at: Instant | None
    undone_at: Instant | None


class MeterImportPage(Paged):
    """Imports, newest first."""

    items: list[MeterImportAnswer]
