"""What may stand behind the question mark, checked; a wrong word is an error and never silently ignored."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from api import written
from api.problems import Problem
from kraj.kinds import KINDS
from kraj.store.queries import AssetFilter

PAGE_MAX = 200
CSV_ROWS_MAX = 10_000
GLANCES_MAX = 10_000
"""A map shows everything at once; a row is a fifth of a kilobyte, and the answer is compressed."""
TEXT_CHARS_MAX = 100
YEARS = range(1970, 3000)


def _printable(value: str, info: ValidationInfo) -> str:
    if "\0" in value:
        raise Problem("parameter_value", 400, name=info.field_name, value=value)
    return value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise Problem("kind", 400, kind=value, kinds=", ".join(KINDS))
    return value


def _time(value: object, info: ValidationInfo) -> datetime:
    name = info.field_name and info.field_name.strip("_")
    try:
        text = str(value)
        # A plus sign in an address is a space unless it is escaped, which nobody remembers.
        when = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if when.tzinfo is None or when.year not in YEARS:
            raise ValueError
    except ValueError as error:
        raise Problem("time", 400, name=name, value=value) from error
    return when


Text = Annotated[str, AfterValidator(_printable), WithJsonSchema({"type": "string", "pattern": written.WHOLE})]
KindName = Annotated[str, AfterValidator(_kind), WithJsonSchema({"type": "string", "enum": list(KINDS)})]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Cursor = Annotated[str | None, Field(description="`next_cursor` of the page before.")]


class Parameters(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    lang: Literal["cs", "en"] | None = Field(None, description="Language of sentences; else Accept-Language.")

    @model_validator(mode="after")
    def _no_others(self) -> Self:
        for name in self.model_extra or {}:
            known = ", ".join(field.alias or name for name, field in type(self).model_fields.items())
            raise Problem("parameter", 400, name=name, known=known)
        return self


class Page(Parameters):
    """A page of a list."""

    limit: int = Field(100, ge=1, le=PAGE_MAX, description="How many at most.")
    cursor: Cursor = None


class AssetParameters(Parameters):
    """Which assets."""

    municipality: Text | None = Field(None, description="Name of the owner.", examples=["olsinka-nad-mlynkou"])
    kind: KindName | None = Field(None, description="The kind of asset.")
    q: Annotated[Text, Field(max_length=TEXT_CHARS_MAX)] | None = Field(
        None, description="Text in the label or the device's name; accents and capitals do not matter."
    )

    @property
    def filter(self) -> AssetFilter:
        return AssetFilter(municipality=self.municipality, kind=self.kind, text=self.q or None)


class AssetPageParameters(AssetParameters, Page):
    """A page of assets."""


class GlanceParameters(AssetParameters):
    """Assets at a glance: all that a map shows, in one answer."""

    limit: int = Field(GLANCES_MAX, ge=1, le=GLANCES_MAX, description="How many at most.")
    cursor: Cursor = None


class ReadingParameters(Parameters):
    """Which readings, and how."""

    from_: Time | None = Field(
        None, alias="from", description="From this time on; 24 hours before `to` or now when left out."
    )
    to: Time | None = Field(None, description="Before this time; open when left out.")
    metrics: str | None = Field(
        None, description="Only these, comma-separated; all when left out.", examples=["power_w,voltage_v"]
    )
    limit: int | None = Field(
        None, ge=1, le=CSV_ROWS_MAX, description=f"At most {PAGE_MAX} as JSON, {CSV_ROWS_MAX} as CSV; the default too."
    )
    cursor: Cursor = None
    format: Literal["json", "csv"] | None = Field(None, description="Else by Accept.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.from_ and self.to and self.from_ >= self.to:
            raise Problem("range", 400)
        return self


def prefers_csv(accept: str) -> bool:
    """Whether an Accept header wants text/csv more than JSON."""
    weights: dict[str, float] = {}
    for part in accept[:500].split(","):
        media, *rest = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece.removeprefix("q=") for piece in rest if piece.startswith("q=")), "1")
        try:
            weights[media] = float(quality)
        except ValueError:
            continue
    json = max(weights.get(media, 0.0) for media in ("application/json", "application/*", "*/*"))
    return weights.get("text/csv", weights.get("text/*", 0.0)) > json or (
        "text/csv" in weights and weights["text/csv"] > 0 and "application/json" not in weights
    )


def example(value: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """An answer's example for the documentation."""
    return {status: {"content": {"application/json": {"example": value}}}}
