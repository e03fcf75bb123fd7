"""What people send about firmware, and what they are answered, as pydantic models."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api import written
from api.acting import Note
from api.parameters import KindName
from api.registry.bodies import Name
from api.schemas import Instant, Paged
from kraj.firmware_release import DIGEST

Digest = Annotated[str, Field(pattern=f"^{DIGEST.pattern}$", examples=["3fa2b10c9d8e7f60"])]
CampaignState = Literal["running", "paused", "done", "stopped"]
UpdateState = Literal["waiting", "offered", "accepted", "running", "failed", "rolled_back", "cancelled"]
Step = Literal["pause", "resume", "go_on", "stop"]


class CampaignBody(BaseModel):
    """To whom a release goes: a group, a municipality's, or (neither) the region's devices; of a kind, or all."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra=written.one_of("municipality", "group_id", none=True)
    )

    release: Digest = Field(description="Its digest.")
    municipality: Name | None = None
    group_id: int | None = Field(None, ge=1, le=2**31 - 1)
    kind: KindName | None = Field(None, description="Only devices of assets of this kind.")
    share_pct: int = Field(5, ge=1, le=100, description="So many of the devices first; 100: all at once.")
    failures_max_pct: int = Field(5, ge=0, le=100, description="If more of these fail, the rest waits for a person.")
    soak_min: int = Field(60, ge=0, le=10_080, description="So long the first ones have to run it before the rest.")
    reason: Note


class CampaignStep(BaseModel):
    """What is done with a campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: Step = Field(description="`go_on`: to all devices, whatever the first ones said; later failures count.")


class FirmwareKey(BaseModel):
    """A key whose signature counts."""

    key: Digest = Field(description="16 digits of the SHA-256 of its 32 bytes.")
    place: int = Field(description="1 or 2: one can be replaced while the other one counts.")


class FirmwareKeys(BaseModel):
    """The region's keys."""

    items: list[FirmwareKey]


class FirmwareRelease(BaseModel):
    """A signed release."""

    release: Digest
    product: str
    version: int = Field(description="Only grows: a device takes no lower one than it has had.")
    name: str = Field(description="What devices say in `status.firmware`.")
    runtime: str
    expires_at: Instant = Field(description="From then on no device takes it.")
    key: str
    files: int
    size_bytes: int
    uploaded_at: Instant
    who: str
    published_at: Instant | None = Field(description="Since when devices can load it.")
    withdrawn_at: Instant | None
    campaigns: int
    running: int = Field(description="Devices that say that they run it.")


class FirmwareReleasePage(Paged):
    """Releases, newest first."""

    items: list[FirmwareRelease]


class FirmwareCampaign(BaseModel):
    """A campaign and how far its devices are."""

    campaign_id: int
    release: Digest
    release_name: str
    release_version: int
    municipality: str | None = Field(description="Null: the region.")
    municipality_title: str | None
    group_id: int | None
    group: str | None
    kind: str | None
    share_pct: int
    failures_max_pct: int
    soak_min: int
    state: CampaignState
    stage: int = Field(description="1: the share is offered it; 2: all are.")
    started_at: Instant
    changed_at: Instant
    who: str
    reason: str
    error: str | None = Field(description="Why it stands, or what went wrong.")
    failures_before: int = Field(description="So many had failed when a person let it go on: they count no more.")
    devices: int
    waiting: int = Field(description="Their stage has not come.")
    offered: int = Field(description="They are told, until they answer.")
    silent: int = Field(description="Of those: told for three days without an answer. Nobody waits for them.")
    accepted: int = Field(description="They load it and try it.")
    running: int = Field(description="They say that they run it.")
    failed: int = Field(description="They refused it, or could not.")
    rolled_back: int = Field(description="They ran it, and went back.")
    cancelled: int = Field(description="It was stopped, or another campaign offers them something else.")


class FirmwareCampaignPage(Paged):
    """Campaigns, newest first."""

    items: list[FirmwareCampaign]


class FirmwareUpdate(BaseModel):
    """A device's part in a campaign."""

    device: str
    municipality: str
    state: UpdateState
    attempts: int = Field(description="How often it was told.")
    sent_at: Instant | None
    accepted_at: Instant | None
    changed_at: Instant
    firmware_before: str | None
    firmware: str | None = Field(description="What it says that it runs.")
    error: str | None


class FirmwareUpdatePage(Paged):
    """The devices of a campaign."""

    items: list[FirmwareUpdate]
