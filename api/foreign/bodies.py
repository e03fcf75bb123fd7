"""What the routes of foreign devices take and answer."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api import parameters, written
from api.schemas import Instant
from kraj.foreign.records import Adapter
from kraj.kinds import KINDS
from kraj.quarantine import REASONS
from kraj.topics import NAME

Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
MESSAGE_CHARS_MAX = 50_000
DOCUMENT = {
    "zone": "Europe/Prague",
    "readings": [
        {
            "kind": "lamp",
            "time": {"path": "at", "format": "unix_s"},
            "metrics": {
                "power_w": {"path": "meter.kw", "factor": 1000},
                "level_reason": {"path": "mode", "table": {"A": "program", "M": "manual"}},
            },
        }
    ],
}


CHANNEL = re.compile("0|[1-9][0-9]{0,2}")
VALUE = r"^[ -~]{1,2000}$"
HEADER = r"^[A-Za-z0-9_-]{1,2000}$"


class Strict(BaseModel):
    """A body in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class TryBody(Strict):
    """A mapping and a message to try it on; nothing is stored."""

    adapter: Adapter = Adapter.JSON
    document: dict[str, Any] = Field(default_factory=dict, description="The mapping.", examples=[DOCUMENT])
    topic: str = Field("data", max_length=300, description="The topic behind `foreign/municipality/device/`.")
    message: str = Field(
        max_length=MESSAGE_CHARS_MAX,
        description="As the device sends it.",
        examples=['{"at": 1795241700, "meter": {"kw": 0.041}, "mode": "A"}'],
    )
    kinds: dict[str, str] = Field(
        default_factory=dict,
        max_length=64,
        description="Kinds of the assets by channel; without it the mapping says them, and else it is one lamp.",
        examples=[{"0": "lamp"}],
        json_schema_extra={
            "propertyNames": {"pattern": f"^({CHANNEL.pattern})$"},
            "additionalProperties": {"enum": [*KINDS]},
        },
    )


class MappingBody(Strict):
    """A new mapping."""

    municipality: Name
    name: Name
    adapter: Adapter = Adapter.JSON
    document: dict[str, Any] = Field(examples=[DOCUMENT])


class MappingChange(Strict):
    """Another document of a mapping; devices that use it are read by it from the next message on."""

    document: dict[str, Any]


class DeviceBody(Strict):
    """How a registered device is read."""

    adapter: Adapter
    mapping: Name | None = Field(None, description="Name of a mapping of its municipality, for this adapter.")
    address: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")] | None = Field(
        None, description="Its DevEUI in ChirpStack, in lower case."
    )


class PullBody(Strict):
    """Something to fetch for a foreign device, whose mapping reads the answer."""

    name: Name
    device: Name
    url: Annotated[str, StringConstraints(pattern=rf"^https://[^{written.UNSEEN} ]+$", max_length=2000)]
    headers: dict[
        Annotated[str, StringConstraints(pattern=HEADER)], Annotated[str, StringConstraints(pattern=VALUE)]
    ] = Field(
        default_factory=dict,
        max_length=20,
        description="Sent with each request; kept sealed and never shown again.",
        json_schema_extra={"additionalProperties": False},
    )
    interval_s: int = Field(300, ge=60, le=86_400)


def sentence(reason: str | None, language: str) -> str | None:
    """A reason's sentence."""
    return str(getattr(REASONS[reason], language)) if reason in REASONS else None


class Asked(parameters.Parameters):
    """Of which municipality."""

    municipality: parameters.Text | None = Field(None, description="Name of the owner.")


class Mapping(BaseModel):
    """A mapping."""

    municipality: str
    name: str
    adapter: Adapter
    document: dict[str, Any]
    version: int
    changed_at: Instant
    devices: int = Field(description="How many devices are read by it.")


class MappingPage(BaseModel):
    """All mappings that one may see."""

    items: list[Mapping]


class ForeignDevice(BaseModel):
    """How a device is read, and when it was heard last."""

    device: str
    municipality: str
    adapter: Adapter
    mapping: str | None
    address: str | None
    credential_at: Instant | None = Field(description="When its password was drawn.")
    last_at: Instant | None = Field(description="When a message came that is in its ring.")
    version: int
    topic: str = Field(description="What stands before its own topics.")


class ForeignDevicePage(BaseModel):
    """Foreign devices by name."""

    items: list[ForeignDevice]


class Reason(BaseModel):
    """Why something was not taken."""

    reason: str | None = None
    sentence: str | None = None
    detail: str
    metric: str | None = None


class Message(BaseModel):
    """A message as it came, what was read from it, and what became of that."""

    at: Instant
    device: str
    adapter: Adapter
    topic: str
    payload: str = Field(description="Its beginning; bytes that are no text show as �.")
    payload_bytes: int
    readings: list[dict[str, Any]]
    verdict: str = Field(description="stored, partly, duplicate, refused, ignored, online or offline.")
    reasons: list[Reason]


class MessagePage(BaseModel):
    """The last messages, newest first."""

    items: list[Message]


class MappingErrorAt(BaseModel):
    """What is wrong with a mapping, and where."""

    at: str
    problem: str


class TriedValue(BaseModel):
    """A value and what ingest would say to it: stored, flagged (stored as unusual) or refused."""

    metric: str
    value: Any
    verdict: str
    reason: str | None = None
    sentence: str | None = None
    detail: str | None = None


class TriedReading(BaseModel):
    """A reading and what ingest would say to it."""

    reading: dict[str, Any]
    kind: str | None
    verdict: str
    reason: str | None = None
    sentence: str | None = None
    detail: str | None = None
    values: list[TriedValue]


class Tried(BaseModel):
    """What would be read from the message."""

    errors: list[MappingErrorAt] = Field(description="What is wrong with the mapping itself.")
    refused: Reason | None = Field(description="Why nothing is read from the message.")
    ignored: str | None = Field(description="Why the message is of no interest.")
    online: bool | None = Field(description="What a birth or a will tells.")
    notes: list[str] = Field(description="Paths that lead nowhere, parts without an asset.")
    readings: list[TriedReading]


class Pull(BaseModel):
    """Something that is fetched."""

    name: str
    municipality: str
    device: str
    url: str
    interval_s: int
    enabled: bool
    has_headers: bool
    due_at: Instant
    last_at: Instant | None
    last_error: str | None
    failures: int
    version: int


class PullPage(BaseModel):
    """All pulls that one may see."""

    items: list[Pull]


MAPPING_EXAMPLE = {
    "municipality": "olsinka",
    "name": "lamps",
    "adapter": "json",
    "document": DOCUMENT,
    "version": 1,
    "changed_at": datetime(2026, 11, 21, 6, 15).isoformat() + "Z",  # noqa: DTZ001
    "devices": 12,
}
DEVICE_EXAMPLE = {
    "device": "plug-1",
    "municipality": "olsinka",
    "adapter": "tasmota",
    "mapping": None,
    "address": None,
    "credential_at": "2026-11-21T06:00:00.000Z",
    "last_at": "2026-11-21T06:14:50.000Z",
    "version": 1,
    "topic": "foreign/olsinka/plug-1/",
}
PASSWORD_EXAMPLE = {"user": "plug-1", "password": "q3Zt0…", "topic": "foreign/olsinka/plug-1/"}
MESSAGE_EXAMPLE = {
    "at": "2026-11-21T06:14:50.000Z",
    "device": "plug-1",
    "adapter": "tasmota",
    "topic": "foreign/olsinka/plug-1/tele/SENSOR",
    "payload": '{"Time":"2026-11-21T07:14:50","ENERGY":{"Power":98}}',
    "payload_bytes": 53,
    "readings": [{"ts": 1795241690001, "seq": 4711, "channel": 0, "power_w": 98}],
    "verdict": "stored",
    "reasons": [],
}
TRIED_EXAMPLE = {
    "errors": [],
    "refused": None,
    "ignored": None,
    "online": None,
    "notes": [],
    "readings": [
        {
            "reading": {"ts": 1795241700000, "seq": 4711, "power_w": 41.0},
            "kind": "lamp",
            "verdict": "stored",
            "values": [{"metric": "power_w", "value": 41.0, "verdict": "stored"}],
        }
    ],
}
PULL_EXAMPLE = {
    "name": "roofs",
    "municipality": "olsinka",
    "device": "cloud-1",
    "url": "https://cloud.example/api",
    "interval_s": 300,
    "enabled": True,
    "has_headers": True,
    "due_at": "2026-11-21T06:20:00.000Z",
    "last_at": "2026-11-21T06:15:00.000Z",
    "last_error": None,
    "failures": 0,
    "version": 1,
}
