"""What the API answers, as pydantic models; those of readings are made from the kinds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, PlainSerializer, WithJsonSchema, create_model

from api.formats import iso
from api.freshness import Condition
from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Type
from kraj.store.queries import Value


def shortest(value: float) -> float | int:
    """A number as PostgreSQL prints it: 40, not 40.0."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


Instant = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T06:15:00.000Z"]}),
]
Number = Annotated[float, PlainSerializer(shortest, return_type=float | int), WithJsonSchema({"type": "number"})]


class Asset(BaseModel):
    """What people care for: a lamp on its pole, a cabinet, a stop, a roof."""

    asset_id: int
    kind: str = Field(description="The kind of asset.", json_schema_extra={"enum": list(KINDS)})
    label: str = Field(description="What is written on it.")
    municipality: str = Field(description="Name of the owner.")
    municipality_title: str = Field(description="The owner's name for people.")
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any] = Field(description="Whatever else was registered.")
    device: str | None = Field(description="Name of the controller that serves it now.")
    channel: int | None = Field(description="Its channel of that controller; 0 where there is only one.")
    online: bool | None = Field(description="What the controller said last; null when it never spoke.")
    retired_at: Instant | None = Field(description="Since then it is in no list; null for all others.")


class Paged(BaseModel):
    """A page of a list."""

    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class AssetPage(Paged):
    """Assets by id."""

    items: list[Asset]


class ServedAsset(BaseModel):
    """An asset that a device serves."""

    asset_id: int
    channel: int
    kind: str
    label: str


class Device(BaseModel):
    """A controller with its own credentials."""

    name: str
    municipality: str = Field(description="The municipality in its topics.")
    municipality_title: str
    state: Literal["registered", "provisioned", "active", "suspended", "decommissioned"]
    online: bool | None = Field(description="What it (or its will) said last; null when it never spoke.")
    boot: int | None = Field(description="How many times it had started.")
    firmware: str | None
    reset: str | None = Field(description="Why it last started.")
    safe_mode: bool | None = Field(
        description="Whether it runs in safe mode: link, commands and the light's fallback alone; null where its"
        " firmware knows no such mode."
    )
    changed_at: Instant | None = Field(description="When it said so.")
    assets: list[ServedAsset] = Field(description="What it serves now.")
    unknown_keys: list[str] = Field(description="Keys in its readings that no metric has; at most 50.")


class DevicePage(Paged):
    """Devices by name."""

    items: list[Device]


class Headline(BaseModel):
    """The one metric that is shown first."""

    metric: str
    value: Number | int | bool | str | list[str]
    unit: str
    plausible: bool = Field(description="Whether the value lies within what an ordinary day brings.")


class Glance(BaseModel):
    """An asset at a glance."""

    asset_id: int
    kind: str
    label: str
    municipality: str
    device: str | None
    online: bool | None
    condition: Condition = Field(
        description="`unusual`: some value of the newest reading lies outside its plausible span; `silent`: three "
        "heartbeats were missed; `offline`: the device said goodbye or the broker lost it; `never`: nothing came yet."
    )
    ts: Instant | None = Field(description="Time of its newest reading.")
    headline: Headline | None


class GlancePage(Paged):
    """Assets by id, each with its headline, as of `at`."""

    at: Instant
    items: list[Glance]


class SlotTotals(BaseModel):
    """received = committed + duplicate + quarantined + in_flight, counted in readings."""

    received: int
    committed: int = Field(description="Stored on the disk of the database.")
    duplicate: int = Field(description="Sent again by the device and already stored.")
    quarantined: int = Field(description="Not taken as a reading; kept with the reason.")
    in_flight: int = Field(description="Received and being written now.")
    values_quarantined: int = Field(description="Single values that were refused while their reading was stored.")


class NamedSlotTotals(SlotTotals):
    """The totals of one ingest slot."""

    slot: str
    heartbeat_at: Instant | None


class Totals(SlotTotals):
    """The sums over all slots, and each slot."""

    slots: list[NamedSlotTotals]


class Quarantined(BaseModel):
    """Something that was not taken as a reading."""

    quarantine_id: int
    first_at: Instant
    last_at: Instant
    times: int = Field(description="How many times the same bytes came.")
    municipality: str | None
    source: str = Field(description="The device's name as it stands in the topic; `?` where it cannot be told.")
    topic: str
    reason: str = Field(description="A stable code.")
    sentence: str = Field(description="The reason for people, in the language of the answer.")
    detail: str = Field(description="What exactly was wrong.")
    metric: str | None = Field(description="Set when only this value was refused.")
    payload: str = Field(description="The beginning of the message; bytes that are not text show as �.")
    payload_bytes: int


class QuarantinePage(Paged):
    """Refusals, newest first."""

    items: list[Quarantined]
    beyond_quota: int = Field(description="Refusals that were only counted, as their source had used up its quota.")


def values_model(kind: Kind) -> type[BaseModel]:
    """The metrics of a kind; absent is unknown."""
    fields: dict[str, Any] = {
        metric.name: (
            _type(metric) | None,
            Field(None, title=metric.title.en, description=_description(metric), json_schema_extra=_schema(metric)),
        )
        for metric in kind.metrics
    }
    return create_model(f"{_named(kind)}Values", __doc__=f"Metrics of a {kind.title.en.lower()}.", **fields)


def _named(kind: Kind) -> str:
    return kind.name.capitalize()


def _type(metric: Metric) -> Any:
    match metric.type:
        case Type.REAL:
            return Number
        case Type.INTEGER | Type.COUNTER:
            return int
        case Type.BOOLEAN:
            return bool
        case Type.STATE:
            return str
        case Type.FLAGS:
            return list[str]


def _description(metric: Metric) -> str:
    unit = f" [{metric.unit.symbol}]" if metric.unit.symbol else ""
    return f"{metric.title.cs} · {metric.title.en}{unit}"


def _schema(metric: Metric) -> dict[str, Any]:
    schema: dict[str, Any] = {"x-unit": metric.unit.symbol} if metric.unit.symbol else {}
    if metric.states:
        schema["enum"] = [*metric.states, None]
    return schema


def _reading_models() -> dict[str, tuple[type[BaseModel], type[BaseModel]]]:
    """Kind name → (answer with the newest reading, page of readings)."""
    return {kind.name: _models(kind) for kind in KINDS.values()}


def _models(kind: Kind) -> tuple[type[BaseModel], type[BaseModel]]:
    name, title = _named(kind), kind.title.en.lower()
    core: dict[str, Any] = {
        "ts": (Instant, ...),
        "seq": (int, Field(description="Number of the reading; a device counts up.")),
        "boot": (int | None, Field(None, description="Which start of the device it belongs to.")),
        "values": (values_model(kind), ...),
        "implausible": (list[str], Field(description="Metrics outside their plausible span.")),
    }
    reading: Any = create_model(f"{name}Reading", __doc__=f"A snapshot of a {title}.", **core)
    which: dict[str, Any] = {"asset_id": (int, ...), "kind": (Literal[kind.name], ...)}  # pyright: ignore[reportInvalidTypeForm]
    newest: dict[str, Any] = {"condition": (Condition, ...), "at": (Instant, ...), "reading": (reading | None, ...)}
    items: dict[str, Any] = {
        "items": (list[reading], ...),
        "next_cursor": (str | None, Paged.model_fields["next_cursor"]),
    }
    return (
        create_model(f"{name}Latest", __doc__=f"The newest reading of a {title}, if any.", **which, **newest),
        create_model(f"{name}ReadingPage", __doc__=f"Readings of a {title} by time and number.", **which, **items),
    )


READING_MODELS = _reading_models()
"""Kind name → (answer with the newest reading, page of readings)."""


def union(which: int) -> Any:
    """One of the models by ``kind``, for the documentation of a route."""
    models = tuple(models[which] for models in READING_MODELS.values())
    return Annotated[Union[models], Field(discriminator="kind")]  # noqa: UP007  # made at run time


def known(values: Mapping[str, Value]) -> dict[str, Value]:
    """Values as JSON prints them shortest."""
    return {name: shortest(value) if isinstance(value, float) else value for name, value in values.items()}
