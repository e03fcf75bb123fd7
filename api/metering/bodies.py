"""What people send about prices and meters, and what they are answered, as pydantic models."""

from datetime import date
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema, model_validator

from api import written
from api.lighting.bodies import Body, Id
from api.problems import Problem
from api.registry.bodies import Name, Title
from api.schemas import Instant, Number, Paged
from kraj import meters
from kraj.meters import EAN
from kraj.tariffs import FIRST, LAST, Direction

Source = Annotated[
    str, StringConstraints(min_length=1, max_length=500, pattern=written.LINE), AfterValidator(str.strip)
]
SHARES_MAX: Final = 200


def _day(given: date) -> date:
    if not FIRST <= given <= LAST:
        raise Problem("contradiction", 422, what=f"{given} < {FIRST}" if given < FIRST else f"{given} > {LAST}")
    return given


def _ean(given: str) -> str:
    if not meters.is_ean(given):
        raise ValueError("the check digit is wrong")
    return given


Day = Annotated[
    date,
    AfterValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-01"]}),
]
Ean = Annotated[
    str,
    StringConstraints(pattern=f"^{EAN.pattern}$"),
    AfterValidator(_ean),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{EAN.pattern}$",
            "description": "18 digits, the last of which checks the others (GS1).",
            "examples": ["859182400123456789"],
        }
    ),
]


class Spanning(Body):
    """Days from one to another; the last still belongs to them."""

    valid_from: Day
    valid_until: Day | None = Field(None, description="The last day; null: until further notice.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise Problem("contradiction", 422, what="valid_until < valid_from")
        return self


class TariffBody(Spanning):
    """A new version of a price. The one before it, if it was to hold until further notice, ends the day before."""

    municipality: Name
    name: Title
    direction: Direction = Field(description="import: what a kWh costs; export: what a kWh into the grid brings.")
    czk_per_kwh: float = Field(ge=-100, le=1000, allow_inf_nan=False, description="Without VAT.")
    asset_id: Id | None = Field(None, description="Of this asset alone.")
    group_id: Id | None = Field(None, description="Of this group's assets.")
    source: Source = Field(description="By which contract or decree.")

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if self.asset_id is not None and self.group_id is not None:
            raise Problem("contradiction", 422, what="asset_id + group_id")
        return self


class WithdrawBody(Body):
    """Why something declared never held."""

    reason: Source


class TariffAnswer(BaseModel):
    """A version of a price."""

    tariff_id: int
    municipality: str
    municipality_title: str
    name: str
    direction: Direction
    czk_per_kwh: Number
    valid_from: date
    valid_until: date | None
    asset_id: int | None
    asset: str | None
    group_id: int | None
    group: str | None
    source: str
    who: str
    at: Instant
    withdrawn_at: Instant | None
    withdrawn_why: str | None


class TariffPage(Paged):
    """Versions by number."""

    items: list[TariffAnswer]


class PriceAnswer(BaseModel):
    """What holds on a day; null where nothing was declared for it, and then there are no figures either."""

    day: date
    import_czk_per_kwh: Number | None
    export_czk_per_kwh: Number | None
    co2_g_per_kwh: Number | None


class FactorBody(Body):
    """Grams of CO2 a kWh from a day on."""

    municipality: Name | None = Field(None, description="null: the region's, for who declares none of its own.")
    g_per_kwh: float = Field(ge=0, le=3000, allow_inf_nan=False)
    valid_from: Day
    source: Source = Field(description="Who publishes it, and where.")


class FactorAnswer(BaseModel):
    """A declared factor; the latest that has begun holds."""

    co2_factor_id: int
    municipality: str | None
    municipality_title: str | None
    g_per_kwh: Number
    valid_from: date
    source: str
    who: str
    at: Instant


class FactorPage(Paged):
    """Factors by number."""

    items: list[FactorAnswer]


class PointBody(Body):
    """A distributor's meter."""

    municipality: Name
    ean: Ean
    title: Title
    voltage: Literal["nn", "vn", "vvn"] = "nn"
    distributor: Annotated[str, StringConstraints(max_length=200, pattern=written.LINE_OR_NONE)] = ""
    difference_pct_max: float = Field(2, ge=0.1, le=100, description="Beyond, figures are to be looked at.")


class PointChange(Body):
    """What may change of a point."""

    title: Title | None = None
    voltage: Literal["nn", "vn", "vvn"] | None = None
    distributor: Annotated[str, StringConstraints(max_length=200, pattern=written.LINE_OR_NONE)] | None = None
    difference_pct_max: float | None = Field(None, ge=0.1, le=100)


class PointAnswer(BaseModel):
    """A metering point."""

    ean: str
    municipality: str
    municipality_title: str
    title: str
    voltage: str
    distributor: str
    difference_pct_max: Number
    version: int
    links: int
    quarters_from: Instant | None
    quarters_until: Instant | None


class PointPage(Paged):
    """Points by EAN."""

    items: list[PointAnswer]


class LinkBody(Spanning):
    """What hangs on a meter: an asset, or a group (a building's is one)."""

    asset_id: Id | None = None
    group_id: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.asset_id is None) == (self.group_id is None):
            raise Problem("contradiction", 422, what="asset_id, group_id")
        return self


class EndBody(Body):
    """The last day of a link."""

    valid_until: Day


class LinkAnswer(BaseModel):
    """What hangs on a meter."""

    link_id: int
    ean: str
    asset_id: int | None
    group_id: int | None
    label: str
    valid_from: date
    valid_until: date | None


class Links(BaseModel):
    """All of a point, the ended ones too."""

    items: list[LinkAnswer]


class InvoiceBody(Body):
    """What was billed for a point's days."""

    ean: Ean
    number: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=written.LINE)]
    direction: Direction = "import"
    period_from: Day
    period_until: Day = Field(description="The last day.")
    kwh: float = Field(ge=-1e9, le=1e9, allow_inf_nan=False)
    czk: float = Field(ge=-1e11, le=1e11, allow_inf_nan=False, description="Without VAT; a credit note is below zero.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.period_until < self.period_from:
            raise Problem("contradiction", 422, what="period_until < period_from")
        return self


class InvoiceAnswer(BaseModel):
    """An invoice."""

    invoice_id: int
    municipality: str
    ean: str
    number: str
    direction: Direction
    period_from: date
    period_until: date
    kwh: Number
    czk: Number
    meter_import_id: int | None
    who: str
    at: Instant
    withdrawn_at: Instant | None
    withdrawn_why: str | None


class InvoicePage(Paged):
    """Invoices by number of ours."""

    items: list[InvoiceAnswer]


class ShareBody(Body):
    """Who is to get how much."""

    ean: Ean
    share_pct: float = Field(ge=0, le=100, allow_inf_nan=False)


class AllocationBody(Body):
    """A version of who gets what of that which a point feeds in; together at most 100 %."""

    ean: Ean
    valid_from: Day
    shares: list[ShareBody] = Field(min_length=1, max_length=SHARES_MAX)
    source: Source

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({one.ean for one in self.shares} | {self.ean}) != len(self.shares) + 1:
            raise Problem("contradiction", 422, what="ean = ean")
        if sum(one.share_pct for one in self.shares) > 100.0005:
            raise Problem("contradiction", 422, what="Σ share_pct > 100")
        return self


class AllocationAnswer(BaseModel):
    """One share of a version."""

    allocation_key_id: int
    municipality: str
    ean: str
    ean_to: str
    share_pct: Number
    valid_from: date
    source: str
    who: str
    at: Instant


class AllocationPage(Paged):
    """Shares by number."""

    items: list[AllocationAnswer]
