"""What the API answers about alerts and rules, as pydantic models."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.coverage import Coverage, Standing
from api.schemas import Instant, Number, Paged
from api.texts import Catalogue
from api.told import Teller
from kraj.alerts import AlertState, Severity, Step
from kraj.store import queries
from rules import life
from rules.correlation.causes import Cause
from rules.rule import Per, Rule
from rules.wording import placeholders


class Alert(BaseModel):
    """One cause, in words."""

    alert_id: int
    rule: str = Field(description="Name of the rule or cause; GET /v1/rules has them all.")
    title: str = Field(description="What it is, in the language of the answer.")
    symptom: str = Field(description="What was seen, with the values that fired.")
    bring: str | None = Field(description="What to take along.")
    severity: Severity
    state: AlertState
    active: bool = Field(description="What telemetry says: the symptom still holds.")
    scope_type: str = Field(description="What it is about: `asset`, or the type of a group of assets.")
    scope_name: str
    place: str = Field(description="The same for people.")
    municipality: str | None = Field(description="Null for what concerns several.")
    municipality_title: str | None
    asset_id: int | None = Field(description="Where to go.")
    kind: str | None
    label: str | None
    latitude: float | None
    longitude: float | None
    since: Instant = Field(description="The condition began to hold.")
    opened_at: Instant
    changed_at: Instant
    cleared_at: Instant | None
    fixed_at: Instant | None
    closed_at: Instant | None
    assignee: str | None
    cause: str | None = Field(description="As the crew found it, or why it was a false alarm.")
    spare_part: str | None = Field(None, description="The part that was used for the repair.")
    lost_wh: Number | None = Field(description="Energy lost or wasted meanwhile; known when it is over.")
    times_raised: int
    parent_id: int | None = Field(description="The alert that explains this one.")
    children: int = Field(description="How many others it explains.")
    children_active: int
    away_m: Number | None = Field(None, description="How far from `near`, as the crow flies; null without it.")
    evidence: dict[str, Any] = Field(description="The values and thresholds that fired.")
    version: int = Field(description="To be sent with a step.")


class AlertPage(Paged):
    """Alerts, newest first."""

    items: list[Alert]


class AlertEvent(BaseModel):
    """One step of an alert's life."""

    at: Instant
    step: Step
    who: str = Field(description="`telemetry`, `time` or a person.")
    note: str | None
    detail: dict[str, Any]


class AlertDetail(Alert):
    """An alert with what it explains, its history and what is known of the place."""

    attributes: dict[str, Any] = Field(description="What is registered of the asset to go to.")
    allowed: list[Step] = Field(description="Steps that a person may take now.")
    children_alerts: list[Alert] = Field(description="What it explains, at most 500.")
    events: list[AlertEvent]


class RuleText(BaseModel):
    """A rule or cause of the catalogue."""

    rule: str
    of: Literal["asset", "group"] = Field(description="Judged on each asset, or on a group of them (a cause).")
    kinds: list[str]
    per: Per | None = Field(description="When it is judged; null for causes.")
    group: str | None = Field(description="Of a cause: what it is counted in.")
    severity: Severity
    title: str
    symptom: str = Field(description="Names in braces stand for evidence.")
    bring: str | None
    when: str | None = Field(description="The condition, in the rule language.")
    thresholds: dict[str, Number]
    hidden: bool = Field(description="It serves causes only and is no alert by itself.")
    explained_by: list[str]
    source: str
    municipality: str | None = Field(None, description="Whose own rule it is; null for the catalogue.")


class Rules(BaseModel):
    """The whole catalogue."""

    items: list[RuleText]


class AssetRule(BaseModel):
    """How a rule stands on an asset."""

    rule: str
    title: str
    standing: Standing = Field(
        description="`lacks`: what it needs is missing; `off`: switched off by an override; `failed`: it raised an "
        "error and was switched off everywhere."
    )
    lacks: list[str] = Field(description="Metrics and attributes that it needs and that are not there.")
    muted_until: Instant | None
    muted_by: str | None
    hidden: bool


class AssetRules(BaseModel):
    """Every rule of the asset's kind."""

    asset_id: int
    kind: str
    items: list[AssetRule]


class Unmuted(BaseModel):
    """A rule that speaks again on an asset."""

    asset_id: int
    rule: str
    at: Instant
    who: str


def alert(row: queries.AlertRow, teller: Teller, say: Catalogue) -> dict[str, Any]:
    """The fields of ``Alert``."""
    told = teller.tell(row, say)
    fields = {name: getattr(row, name) for name in Alert.model_fields if hasattr(row, name)}
    return fields | {"title": told.title, "symptom": told.symptom, "bring": told.bring, "place": told.place}


def detail(
    row: queries.AlertRow,
    children: list[queries.AlertRow],
    events: list[queries.AlertEventRow],
    teller: Teller,
    say: Catalogue,
) -> AlertDetail:
    """Everything of one alert."""
    return AlertDetail(
        **alert(row, teller, say),
        attributes=row.metadata or {},
        allowed=list(life.allowed(AlertState(row.state), active=row.active)),
        children_alerts=[Alert(**alert(child, teller, say)) for child in children],
        events=[AlertEvent.model_validate(event, from_attributes=True) for event in events],
    )


def rule(given: Rule, language: str, municipality: str | None = None) -> RuleText:
    """A rule in one language; ``municipality`` is whose own it is."""
    return RuleText(
        rule=given.name,
        of="asset",
        kinds=list(given.kinds),
        per=given.per,
        group=None,
        severity=given.severity,
        title=getattr(given.title, language),
        symptom=getattr(given.symptom, language),
        bring=None if given.bring is None else getattr(given.bring, language),
        when=" ".join(given.when.split()),
        thresholds=dict(given.thresholds),
        hidden=given.hidden,
        explained_by=list(given.explained_by),
        source=given.source,
        municipality=municipality,
    )


def cause(given: Cause, language: str) -> RuleText:
    """A cause in one language."""
    return RuleText(
        rule=given.name,
        of="group",
        kinds=list(given.kinds),
        per=None,
        group=given.group,
        severity=given.severity,
        title=getattr(given.title, language),
        symptom=getattr(given.symptom, language),
        bring=None if given.bring is None else getattr(given.bring, language),
        when=None,
        thresholds={},
        hidden=False,
        explained_by=list(given.explained_by),
        source=given.source,
        municipality=None,
    )


def asset_rule(given: Coverage, language: str) -> AssetRule:
    """How a rule stands, in one language; a title with names in braces is shown without them."""
    return AssetRule(
        rule=given.rule.name,
        title=title(given.rule, language),
        standing=given.standing,
        lacks=list(given.lacks),
        muted_until=given.mute and given.mute.valid_to,
        muted_by=given.mute and given.mute.who,
        hidden=given.rule.hidden,
    )


def title(given: Rule, language: str) -> str:
    """The title of a rule where there is no alert to fill it."""
    text = str(getattr(given.title, language))
    for name in placeholders(text):
        text = text.replace("{" + name + "}", "…")
    return text
