"""What people send about light, and what they are answered, as pydantic models."""

from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from api import written
from api.acting import NAME_CHARS_MAX, Note
from api.registry.bodies import Name
from api.schemas import Instant, Number, Paged
from kraj.dimming import AT, OF_YEAR, Program

EVENINGS: Final = (date(2000, 1, 1), date(2099, 12, 31))
"""Sunrises of the formula are good for these years."""

Title = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, pattern=written.LINE), AfterValidator(str.strip)
]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
Class = Literal["M1", "M2", "M3", "M4", "M5", "M6", "P1", "P2", "P3", "P4", "P5", "P6"]
State = Literal["requested", "sent", "accepted", "confirmed", "expired", "refused", "superseded"]


def _schema() -> dict[str, Any]:
    """A program's JSON Schema in one piece, as ``kraj.dimming`` declares it."""
    _, parts = msgspec.json.schema_components([Program])
    step, plan, whole = parts["Step"], parts["Plan"], parts["Program"]
    step["properties"]["at"]["pattern"] = f"^{AT.pattern}$".replace("?P<", "?<")
    for name in ("from", "to"):
        plan["properties"][name]["pattern"] = f"^{OF_YEAR.pattern}$".replace("?P<", "?<")
    plan["properties"]["days"] |= {"minItems": 1}
    plan["properties"]["steps"]["items"] = step
    whole["properties"]["plans"]["items"] = plan
    whole["properties"]["sensor"]["anyOf"] = [parts["Sensor"], {"type": "null"}]
    return whole


Document = Annotated[dict[str, Any], WithJsonSchema(_schema())]
"""Checked by ``kraj.dimming.read``, which says more of what is wrong."""


class Body(BaseModel):
    """What somebody sends; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProgramBody(Body):
    """A new program."""

    municipality: Name
    name: Title
    document: Document


class ProgramChange(Body):
    """Another name or document; every segment that follows it is given the new one in steps."""

    name: Title | None = None
    document: Document | None = None


class SegmentChange(Body):
    """How a segment is lit; what is left out stays."""

    designed_class: Class | None = Field(None, description="By which the street was designed (EN 13201).")
    permitted_class: Class | None = Field(None, description="The darkest that it may be given.")
    program_id: Id | None = Field(None, description="Null: full light all night.")
    share_pct: int = Field(5, ge=1, le=100, description="So many of the lamps first; 100: all at once.")
    failures_max_pct: int = Field(5, ge=0, le=100, description="If more of these fail, the rest waits.")
    reason: Note


class PreviewBody(Body):
    """A night to be shown: of a program (in writing or by number) or of a segment's own; for a segment or a place."""

    model_config = ConfigDict(json_schema_extra=written.one_of("document", "program_id", none=True))

    document: Document | None = Field(None, description="A program in writing.")
    program_id: Id | None = Field(None, description="Or one that is kept; neither: the segment's own.")
    group_id: Id | None = Field(None, description="A segment: its place, floor and lamps.")
    municipality: Name | None = Field(None, description="Or a municipality: its middle.")
    evening: date = Field(
        description="The date on which the night begins.",
        ge=EVENINGS[0],
        le=EVENINGS[1],
        examples=["2026-11-21"],
    )


class Aimed(Body):
    """For an asset, a group or a municipality."""

    municipality: Name | None = None
    group_id: Id | None = None
    asset_id: Id | None = None
    reason: Note


class ManualBody(Aimed):
    """A level by hand."""

    model_config = ConfigDict(json_schema_extra=written.one_of("municipality", "group_id", "asset_id"))

    level_pct: int = Field(ge=0, le=100)
    until: AwareDatetime | None = Field(None, description="Within 24 h; null: the next sunrise.")


class LightNowBody(Aimed):
    """Full light for a crew."""

    model_config = ConfigDict(json_schema_extra=written.one_of("municipality", "group_id", "asset_id"))

    until: AwareDatetime | None = Field(None, description="Within 24 h; null: in 30 minutes.")


class EmergencyBody(Aimed):
    """Full light everywhere, above all else that was ordered; without a place in the whole region."""

    model_config = ConfigDict(json_schema_extra=written.one_of("municipality", "group_id", "asset_id", none=True))

    until: AwareDatetime = Field(description="Within 7 days.")


class LockBody(Body):
    """A crew begins to work on a feeder or a cabinet."""

    municipality: Name
    attribute: Literal["feeder", "cabinet"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=written.LINE)] = Field(
        description="Its name, as the lamps' attributes tell it."
    )
    reason: Note


class RolloutStep(Body):
    """What is done with a rollout."""

    step: Literal["pause", "resume", "go_on", "stop"] = Field(
        description="`go_on`: to all lamps, whatever the first ones said."
    )


class IntervalBody(Body):
    """How often a device reports."""

    interval_s: int | None = Field(ge=10, le=86_400, description="Null: as it is built.")
    reason: Note


class DimmingProgram(BaseModel):
    """A program as people wrote it."""

    program_id: int
    municipality: str
    municipality_title: str
    name: str
    document: dict[str, Any]
    version: int
    changed_at: Instant
    who: str
    segments: int = Field(description="How many follow it.")


class DimmingProgramPage(Paged):
    """Programs by number."""

    items: list[DimmingProgram]


class LightingSegment(BaseModel):
    """A segment, how it is to be lit, and how its lamps are now."""

    group_id: int
    municipality: str
    municipality_title: str
    name: str
    designed_class: str | None
    permitted_class: str | None
    floor_pct: int = Field(description="No automation goes below.")
    program_id: int | None
    program: str | None
    version: int
    changed_at: Instant | None
    who: str | None
    reason: str | None
    lamps: int
    controlled: int = Field(description="Lamps with a controller.")
    told: int = Field(description="Lamps whose controller is to keep a program.")
    applied: int = Field(description="… and says that it does.")
    failed: int = Field(description="… and says that it cannot.")
    lit: int = Field(description="Lamps that give light by their newest reading.")
    power_w: Number | None
    rollout_id: int | None = Field(description="A rollout that is not over.")


class LightingSegmentPage(Paged):
    """Segments by number."""

    items: list[LightingSegment]


class NightPreview(BaseModel):
    """A night minute by minute, and what the lamps would take."""

    evening: date
    floor_pct: int
    begins_at: Instant | None = Field(description="Null where it does not get dark.")
    ends_at: Instant | None
    starts_at: Instant = Field(description="Of the first level; one a minute follows.")
    levels_pct: list[int]
    lamps: int
    unrated: int = Field(description="Lamps without a rated power, which are not counted.")
    measured: int = Field(
        description="Lamps counted by the curve that was learnt from their own nights; the others by their rated power."
    )
    kwh: Number
    kwh_undimmed: Number = Field(description="At full light from dusk to dawn.")


class LightingOrder(BaseModel):
    """Somebody's order and how far it has come."""

    order_id: int
    municipality: str | None = Field(description="Null: the region.")
    municipality_title: str | None
    kind: Literal["manual", "light_now", "emergency"]
    group_id: int | None
    group: str | None
    asset_id: int | None
    label: str | None
    level_pct: int
    valid_from: Instant
    valid_until: Instant
    reason: str
    who: str
    created_at: Instant
    ended_at: Instant | None
    counts: dict[State, int] = Field(description="Its commands by state.")


class LightingOrderPage(Paged):
    """Orders, newest first."""

    items: list[LightingOrder]


class LightingCommand(BaseModel):
    """What one lamp was told, and its life."""

    command_id: UUID
    municipality: str
    device: str | None
    channel: int
    asset_id: int
    label: str | None
    order_id: int | None
    do: Literal["set_level", "release", "renew"]
    level_pct: int | None
    reason: Literal["manual", "emergency", "sensor", "renewal"]
    until: Instant
    state: State
    requested_at: Instant
    sent_at: Instant | None
    accepted_at: Instant | None
    settled_at: Instant | None
    attempts: int
    error: str | None
    who: str
    why: str


class LightingCommandPage(Paged):
    """Commands, newest first."""

    items: list[LightingCommand]


class DesiredState(BaseModel):
    """What a device is to keep, and what it says that it keeps."""

    device: str
    municipality: str
    version: int
    programs: dict[str, int] = Field(description="Numbers of compiled programs by channel.")
    interval_s: int | None
    changed_at: Instant
    who: str
    reason: str
    sent_version: int | None
    sent_at: Instant | None
    reported_version: int | None
    reported_at: Instant | None
    reported_error: str | None
    spread: Literal["applied", "behind", "ahead", "failed"] = Field(
        description="Behind: it keeps an older version than desired, or has said nothing; it is asked again."
        " Ahead: it said a newer one (of a backup that was restored), and the version was raised above that."
    )


class DesiredStatePage(Paged):
    """By the device's number."""

    items: list[DesiredState]


class SafetyLock(BaseModel):
    """A crew's lock. It never replaces mechanical isolation."""

    lock_id: int
    municipality: str
    municipality_title: str
    attribute: Literal["feeder", "cabinet"]
    value: str
    holder_title: str
    reason: str
    since: Instant
    released_at: Instant | None
    assets: int
    mine: bool = Field(description="Whether you may release it.")


class SafetyLockPage(Paged):
    """Locks, newest first."""

    items: list[SafetyLock]


class DimmingRollout(BaseModel):
    """How far a program has come in a segment."""

    rollout_id: int
    municipality: str
    group_id: int
    group: str
    share_pct: int
    failures_max_pct: int
    state: Literal["running", "paused", "done", "stopped"]
    stage: int = Field(description="1: the share has it; 2: all have.")
    started_at: Instant
    changed_at: Instant
    who: str
    error: str | None
    devices: int
    given: int
    applied: int
    failed: int


class DimmingRolloutPage(Paged):
    """Rollouts, newest first."""

    items: list[DimmingRollout]
