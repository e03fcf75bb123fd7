"""What people send about rules, and what they are answered, as pydantic models."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api import written
from api.acting import NOTE_CHARS_MAX, Note
from api.schemas import Instant, Number, Paged
from api.written import Whole
from rules.catalogue.reading import FILE_MAX

SCOPES = ("municipality", "cabinet", "feeder", "asset", "supply_area", "gateway", "site")
"""What a window can be about, as a form offers it."""
WINDOW_MAX = timedelta(days=366)
DAYS_MAX = 30
TEXT_MAX = FILE_MAX // 8
"""One rule, not a catalogue."""
THRESHOLDS_MAX = 16


Town = Annotated[
    str, Field(min_length=1, max_length=63, pattern="^[a-z0-9-]+$", description="Name of the municipality.")
]
ScopeType = Literal["municipality", "cabinet", "feeder", "asset", "supply_area", "gateway", "site"]


class Body(BaseModel):
    """What somebody sends; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class WindowBody(Body):
    """A time in which no rule of the place calls anybody."""

    municipality: Town
    scope_type: ScopeType = Field(description="What it is about.")
    scope_name: Whole = Field(
        "",
        max_length=120,
        description="Its name; of an asset the id or label; of a municipality nothing.",
    )
    valid_from: AwareDatetime
    valid_to: AwareDatetime = Field(description="After `valid_from`, by a year at most.")
    reason: Note


class OffBody(Body):
    """A rule is switched off in a municipality or a group of it."""

    municipality: Town
    group_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Null: the whole municipality.")
    rule: str = Field(min_length=2, max_length=48, pattern="^[a-z0-9_]+$")
    reason: Note


class EmptyBody(Body):
    """Nothing is to be said."""


class TextBody(Body):
    """A rule as text, to be checked."""

    text: Whole = Field(max_length=TEXT_MAX, description="TOML with one rule; see docs/rules.md.")


class TrialBody(Body):
    """A proposal to be tried: a rule of one's own (``text``), or other thresholds of a known ``rule``."""

    model_config = ConfigDict(json_schema_extra=written.one_of("text", "rule"))

    municipality: Town
    text: Whole | None = Field(None, max_length=TEXT_MAX, description="TOML with one rule; see docs/rules.md.")
    custom_rule_id: int | None = Field(None, ge=1, le=2**31 - 1, description="Which own rule the text replaces.")
    rule: str | None = Field(None, max_length=48, pattern="^[a-z0-9_]+$", description="A rule of GET /v1/rules.")
    thresholds: dict[str, float] = Field(default_factory=dict, max_length=THRESHOLDS_MAX)
    group_id: int | None = Field(None, ge=1, le=2**31 - 1, description="For this group; null: the whole municipality.")
    reason: Whole = Field("", max_length=NOTE_CHARS_MAX)
    days: int = Field(DAYS_MAX, ge=1, le=DAYS_MAX, description="How far back it is judged.")


class AdoptBody(Body):
    """The proposal is switched on."""

    confirm: bool = Field(False, description="Also where the verdict has `doubts`.")


class Window(BaseModel):
    """A maintenance window."""

    maintenance_window_id: int
    municipality: str
    scope_type: str
    scope_name: str
    label: str | None = Field(description="Of an asset.")
    valid_from: Instant
    valid_to: Instant
    reason: str
    who: str


class WindowPage(Paged):
    """Maintenance windows by number."""

    items: list[Window]


class Override(BaseModel):
    """What a municipality says of a rule."""

    rule_override_id: int
    municipality: str
    group_id: int | None
    group: str | None
    rule: str
    enabled: bool
    thresholds: dict[str, Number]
    reason: str
    who: str
    at: Instant


class OverridePage(Paged):
    """Overrides by number."""

    items: list[Override]


class CustomRule(BaseModel):
    """A municipality's own rule."""

    custom_rule_id: int
    municipality: str
    name: str | None
    text: str
    enabled: bool
    who: str
    at: Instant


class CustomRulePage(Paged):
    """Own rules by number."""

    items: list[CustomRule]


class RuleFailure(BaseModel):
    """A rule, or what rules stand on, that raised an error and is off."""

    rule: str
    municipality: str | None = Field(description="Whose own rule it is; null of the catalogue's.")
    at: Instant
    error: str


class RuleFailures(BaseModel):
    """What is off, by name."""

    items: list[RuleFailure]


class MistakeText(BaseModel):
    """What is wrong in a rule's text, and where; lines and columns count from 1."""

    line: int | None
    column: int | None
    key: str
    found: str
    expected: str
    hint: str


class Checked(BaseModel):
    """A text that was read: its rule's name, or the first mistake."""

    rule: str | None
    mistake: MistakeText | None


class Fired(BaseModel):
    """An asset that would have been told of."""

    asset_id: int
    label: str
    times: int
    first_at: Instant
    evidence: dict[str, Any]


class Verdict(BaseModel):
    """What a proposal would have told."""

    assets: int = Field(description="How many it would watch.")
    days: Number = Field(description="So much history was judged.")
    readings: int
    raised: int = Field(description="How often it would have told.")
    assets_raised: int = Field(description="On how many assets.")
    per_asset_week: Number
    heard_days: Number | None = Field(None, description="Since the first reading of these kinds.")
    needed_days: Number | None = Field(None, description="So long it must be tried to have told of anything.")
    too_many: bool = Field(description="More than a tenth of the assets a week, or of all that it is about.")
    doubts: list[str] = Field(
        description="Why switching it on asks for `confirm`: `too_many`, `too_many_assets`, `no_readings`, `too_short`."
    )
    most: list[Fired] = Field(description="The assets most told of, 20 at most.")


class Trial(BaseModel):
    """A trial of a proposal."""

    trial_id: int
    municipality: str
    proposal: dict[str, Any]
    state: Literal["waiting", "running", "done", "failed"]
    progress: Number = Field(description="0 to 1.")
    verdict: Verdict | None
    sentence: str | None = Field(description="The verdict in words.")
    error: str | None
    who: str
    asked_at: Instant
    adopted_at: Instant | None
