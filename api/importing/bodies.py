"""What the API says of imports and jobs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.importing.work import file_errors
from api.problems import ProblemDetails
from kraj.importing.findings import finding_of_json, told
from kraj.store.imports import ImportedRow, ImportRecord


class FoundBody(BaseModel):
    """Something found in a file, in the language of the request."""

    code: str = Field(description="Stable; the sentences are for people.", examples=["swapped"])
    level: Literal["error", "note"] = Field(description="An error keeps the whole import from being applied.")
    column: str | None = Field(description="The heading as it stands in the file.", examples=["Zeměpisná šířka"])
    sentence: str
    remedy: str


class RowBody(BaseModel):
    """A row with what would be registered, or was."""

    row: int = Field(description="As Excel numbers it; the feature's place in GeoJSON.")
    action: Literal["create", "skip", "none"]
    municipality: str | None
    kind: str | None
    label: str | None
    device: str | None
    channel: int
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any]
    asset_id: int | None
    undone: bool
    findings: list[FoundBody]


class ImportBody(BaseModel):
    """An import: what a file would register, and what came of it."""

    import_id: int
    state: Literal["preview", "applied", "undone"]
    file_name: str
    format: str
    encoding: str | None
    columns: list[dict[str, str | None]] = Field(description="Headings, each with the field that it was taken for.")
    findings: list[FoundBody] = Field(description="About the file as a whole.")
    rows: int
    rows_new: int
    rows_known: int
    rows_wrong: int
    rows_absent: int = Field(description="Assets of these municipalities and kinds that the file does not name.")
    applicable: bool
    uploaded_at: datetime
    applied_at: datetime | None
    undone_at: datetime | None


class ImportPageBody(ImportBody):
    """An import with a page of its rows."""

    items: list[RowBody]
    next_cursor: str | None


class AppliedBody(BaseModel):
    """What was registered."""

    import_id: int
    rows_created: int


class StandingBody(BaseModel):
    """A row that cannot be taken back."""

    row: int
    reason: Literal["readings", "used", "changed"]
    sentence: str


class StandingProblem(ProblemDetails):
    """Why an undo was refused; the rows where rows are the reason."""

    rows: list[StandingBody] | None = None


class UndoneBody(BaseModel):
    """What was taken back."""

    import_id: int
    rows_removed: int


class UndoBody(BaseModel):
    """How to undo."""

    leave: bool = Field(False, description="Leave the rows that cannot be taken back, and take back the others.")


class JobBody(BaseModel):
    """Work that takes longer than a request."""

    job_id: int
    kind: str
    state: Literal["running", "done", "failed", "lost"]
    progress_pct: int
    result: str | None = Field(description="Where what came of it is.")
    problem: FoundBody | None
    started_at: datetime


def finding(given: dict[str, Any], language: str) -> FoundBody:
    """A stored finding with its sentences."""
    one = finding_of_json(given)
    sentence, remedy = told(one, language)
    return FoundBody(code=one.code, level=one.level.value, column=one.column, sentence=sentence, remedy=remedy)


def record(found: ImportRecord, language: str) -> ImportBody:
    """An import for the API."""
    return ImportBody(
        import_id=found.import_id,
        state=found.state,  # pyright: ignore[reportArgumentType]
        file_name=found.file_name,
        format=found.format,
        encoding=found.encoding,
        columns=[{"heading": heading, "field": field} for heading, field in found.columns],
        findings=[finding(one, language) for one in found.findings],
        rows=found.rows_all,
        rows_new=found.rows_new,
        rows_known=found.rows_known,
        rows_wrong=found.rows_wrong,
        rows_absent=found.absent,
        applicable=applicable(found),
        uploaded_at=found.uploaded_at,
        applied_at=found.applied_at,
        undone_at=found.undone_at,
    )


def applicable(found: ImportRecord) -> bool:
    """Whether it can be applied as it stands."""
    return found.state == "preview" and not found.rows_wrong and not file_errors(found)


def row(found: ImportedRow, language: str) -> RowBody:
    """A row for the API."""
    return RowBody(
        row=found.number,
        action="none" if found.wrong else "skip" if found.known else "create",
        municipality=found.municipality,
        kind=found.kind,
        label=found.label,
        device=found.device,
        channel=found.channel,
        latitude=found.latitude,
        longitude=found.longitude,
        metadata=found.metadata,
        asset_id=found.asset_id,
        undone=found.undone,
        findings=[finding(one, language) for one in found.findings],
    )
