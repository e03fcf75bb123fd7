"""What the registry answers, as pydantic models, and their examples."""

from typing import Any

from pydantic import BaseModel, Field

from api import examples
from api.schemas import Instant, Paged
from kraj.devices import DeviceState, DeviceStep


class Municipality(BaseModel):
    """A municipality; its name stands in topics and never changes."""

    name: str
    title: str
    published: bool = Field(description="Whether anybody may see its public pages and open data.")


class MunicipalityPage(Paged):
    """Municipalities by name."""

    items: list[Municipality]


class Group(BaseModel):
    """Assets that somebody has put together, to let others at them or to treat them alike."""

    group_id: int
    municipality: str
    name: str
    kind: str
    assets: int = Field(description="How many of its members you may see.")


class GroupPage(Paged):
    """Groups by id."""

    items: list[Group]


class Connected(BaseModel):
    """Assets that share a value of an attribute."""

    municipality: str
    name: str
    assets: int


class ConnectedPage(Paged):
    """By municipality and value."""

    items: list[Connected]


class OldLabel(BaseModel):
    """A label that the asset had."""

    label: str
    valid_to: Instant


class Installed(BaseModel):
    """A device that serves or served an asset; its name is null where it is another's."""

    asset_id: int
    label: str | None
    kind: str | None
    device: str | None
    channel: int
    valid_from: Instant
    valid_to: Instant | None = Field(description="Null: until now.")


class AssetHistory(BaseModel):
    """What an asset was called and which devices served it, the newest first."""

    asset_id: int
    labels: list[OldLabel]
    installed: list[Installed]


class LifeStep(BaseModel):
    """A step of a device's life."""

    at: Instant
    step: DeviceStep
    state: DeviceState = Field(description="The one that followed.")
    who: str
    reason: str
    detail: dict[str, Any]


class DeviceHistory(BaseModel):
    """What happened to a device and what it served, the newest first."""

    name: str
    life: list[LifeStep]
    installed: list[Installed]


class Provisioned(BaseModel):
    """The one-time code by which a device enrols. It is shown once; a replayed answer has null in its place."""

    device: str
    code: str | None
    expires_at: Instant


class Claimed(BaseModel):
    """A device that is registered now; ingest takes its messages in within seconds."""

    device: str
    asset_id: int | None
    messages_waiting: int


class Unregistered(BaseModel):
    """A device that is sending and that nobody has registered."""

    name: str
    municipality: str = Field(description="The one in its topics.")
    municipality_title: str | None = Field(description="Null where there is no such municipality.")
    messages: int = Field(description="How many different ones wait.")
    first_at: Instant
    last_at: Instant
    topic: str = Field(description="Of the newest message.")
    kind: str | None = Field(description="A guess from the metrics that it sends.")
    metrics: list[str] = Field(description="The keys of its newest messages.")
    sample: str = Field(description="The beginning of its newest message.")


class UnregisteredPage(Paged):
    """Newest first."""

    items: list[Unregistered]


Example = dict[str, Any]

MUNICIPALITY = {"name": "dolni-lhota", "title": "Dolní Lhota", "published": True}
MUNICIPALITIES = {"items": [MUNICIPALITY], "next_cursor": None}
GROUP = {"group_id": 4, "municipality": "dolni-lhota", "name": "Zámecký park", "kind": "list", "assets": 12}
GROUPS = {"items": [GROUP], "next_cursor": None}
CONNECTED = {
    "items": [{"municipality": "dolni-lhota", "name": "RVO-01/2", "assets": 18}],
    "next_cursor": None,
}
_INSTALLED = {
    "asset_id": 17,
    "label": "VO-117",
    "kind": "lamp",
    "device": "lamp-3fa2b1",
    "channel": 0,
    "valid_from": "2026-11-21T06:15:00.000Z",
    "valid_to": None,
}
ASSET_HISTORY = {
    "asset_id": 17,
    "labels": [{"label": "VO-17", "valid_to": "2026-11-20T06:15:00.000Z"}],
    "installed": [_INSTALLED],
}
DEVICE_HISTORY: Example = {
    "name": "lamp-3fa2b1",
    "life": [
        {
            "at": "2026-11-21T06:15:00.000Z",
            "step": "registered",
            "state": "registered",
            "who": "starosta@dolni-lhota.example",
            "reason": "",
            "detail": {},
        }
    ],
    "installed": [_INSTALLED],
}
PROVISIONED = {"device": "lamp-3fa2b1", "code": "7K2QF-0VNTD-M4X8A-Z19CE", "expires_at": "2026-11-28T06:15:00.000Z"}
CLAIMED = {"device": "lamp-77c0de", "asset_id": 18, "messages_waiting": 42}
UNREGISTERED = {
    "items": [
        {
            "name": "lamp-77c0de",
            "municipality": "dolni-lhota",
            "municipality_title": "Dolní Lhota",
            "messages": 42,
            "first_at": "2026-11-21T05:15:00.000Z",
            "last_at": "2026-11-21T06:15:00.000Z",
            "topic": "kraj/dolni-lhota/lamp-77c0de/telemetry",
            "kind": "lamp",
            "metrics": ["level_commanded_pct", "power_w", "voltage_v"],
            "sample": '{"ts":1795212345000,"boot":1,"seq":42,"power_w":41.2}',
        }
    ],
    "next_cursor": None,
}
ASSET = examples.ASSET
DEVICE = examples.DEVICE
