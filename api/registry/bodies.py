"""What people send to the registry; every field is named here, and a field that is not is refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api import written
from kraj.groups import GroupKind
from kraj.kinds import KINDS
from kraj.topics import NAME

MEMBERS_MAX = 1000
"""Of one change of a group."""


Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=written.LINE), AfterValidator(str.strip)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=written.LINE), AfterValidator(str.strip)]
Reason = Annotated[str, StringConstraints(max_length=500, pattern=written.LINE_OR_NONE), AfterValidator(str.strip)]
KindName = Annotated[str, Field(json_schema_extra={"enum": list(KINDS)})]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Channel = Annotated[int, Field(ge=0, le=999)]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Strict(BaseModel):
    """Unknown fields are refused, so that nobody sets what it does not know of."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class MunicipalityBody(Strict):
    """A new municipality."""

    name: Name = Field(description="For topics and addresses; it never changes.", examples=["dolni-lhota"])
    title: Title = Field(description="For people.", examples=["Dolní Lhota"])


class MunicipalityChange(Strict):
    """What may change of a municipality; at least one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [one]} for one in ("title", "published")],
            "allOf": [{"properties": dict.fromkeys(("title", "published"), written.GIVEN)}],
        }
    )

    title: Title | None = Field(None, description="For people; the region alone renames.")
    published: bool | None = Field(
        None, description="Whether anybody may see its public pages and open data; who manages its people decides."
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if any(getattr(self, name) is None for name in self.model_fields_set) or not self.model_fields_set:
            raise ValueError("nothing to change")
        return self


class Place(Strict):
    """Both coordinates, or none."""

    model_config = ConfigDict(json_schema_extra=written.together("latitude", "longitude"))

    latitude: Latitude | None = Field(None, description="WGS 84.", examples=[49.5012])
    longitude: Longitude | None = Field(None, examples=[15.6021])

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self


class AssetFields(Place):
    """An asset without its owner."""

    kind: KindName
    label: Label = Field(description="What stands on it, such as the number of the pole.", examples=["VO-117"])
    metadata: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Attributes of its kind (docs/metrics.md); keys of your own begin with x_.",
        examples=[{"feeder": "RVO-01/2", "power_rated_w": 41}],
    )

    @model_validator(mode="after")
    def _kind(self) -> Self:
        if self.kind not in KINDS:
            raise ValueError("unknown kind")
        return self


class AssetBody(AssetFields):
    """A new asset."""

    municipality: Name = Field(description="The owner's name.", examples=["dolni-lhota"])
    device: Name | None = Field(None, description="A registered device that serves it; it may get one later.")
    channel: Channel = Field(0, description="Which channel of the device; 0 where there is only one.")


class AssetChange(Strict):
    """What may change of an asset; what is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                written.together("latitude", "longitude"),
                {"anyOf": [{"required": [one]} for one in ("label", "latitude", "metadata", "municipality", "device")]},
                {"properties": dict.fromkeys(("label", "municipality", "metadata"), written.GIVEN)},
            ],
            "dependentRequired": {"latitude": ["longitude"], "longitude": ["latitude"]},
        }
    )

    label: Label | None = Field(None, description="The old one stays searchable.")
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    metadata: dict[str, Any] | None = Field(None, description="Merged key by key; null removes a key.")
    municipality: Name | None = Field(None, description="Another owner; what was measured stays with the old one.")
    device: Name | None = Field(None, description="The device that serves it from now on; null: none does.")
    channel: Channel = 0

    @model_validator(mode="after")
    def _some(self) -> Self:
        given = self.model_fields_set
        if not given - {"channel"}:
            raise ValueError("nothing to change")
        if {"latitude", "longitude"} & given and (
            not given >= {"latitude", "longitude"} or (self.latitude is None) != (self.longitude is None)
        ):
            raise ValueError("latitude and longitude go together")
        for name in ("label", "municipality", "metadata"):
            if name in given and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be removed")
        return self


class DeviceBody(Strict):
    """A new device: alone, with one new asset, or for an asset that is there."""

    model_config = ConfigDict(json_schema_extra=written.one_of("asset", "asset_id", none=True))

    name: Name = Field(description="Unique in the region; never used again.", examples=["lamp-3fa2b1"])
    municipality: Name = Field(description="The one in its topics; it never changes.", examples=["dolni-lhota"])
    asset: AssetFields | None = Field(None, description="A new asset that it serves.")
    asset_id: Id | None = Field(None, description="Or one that is registered.")
    channel: Channel = 0
    reason: Reason = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.asset is not None and self.asset_id is not None:
            raise ValueError("asset or asset_id")
        return self


class StepBody(Strict):
    """A step of a device's life."""

    step: Literal["suspended", "resumed", "decommissioned"]
    reason: Reason = Field("", description="Why; it stays in the device's history.")


class SafeModeBody(Strict):
    """That a device is to start once more, in safe mode."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=written.LINE)] = Field(
        description="Why; it stays in the device's history.", examples=["Restarts by itself since the last update."]
    )


class ReplaceBody(Strict):
    """The new device that takes over everything that the old one served."""

    new: Name = Field(
        description="Its name as scanned; registered on the way where nobody has.", examples=["lamp-77c0de"]
    )
    reason: Reason = ""


class GroupBody(Strict):
    """A new group; ``where`` fills it with the assets that have these attributes now."""

    municipality: Name
    name: Title = Field(examples=["Zámecký park"])
    kind: GroupKind = "list"
    assets: Annotated[list[Id], Field(max_length=MEMBERS_MAX)] = Field(default_factory=list[int])
    where: dict[str, str | float] = Field(
        default_factory=dict[str, str | float], max_length=5, examples=[{"feeder": "RVO-01/2"}]
    )


class GroupChange(Strict):
    """What may change of a group."""

    model_config = ConfigDict(json_schema_extra=written.some_of("name", "kind"))

    name: Title | None = None
    kind: GroupKind | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.name is None and self.kind is None:
            raise ValueError("nothing to change")
        return self


class MembersBody(Strict):
    """Assets to put into a group and to take out of it."""

    add: Annotated[list[Id], Field(max_length=MEMBERS_MAX)] = Field(default_factory=list[int])
    remove: Annotated[list[Id], Field(max_length=MEMBERS_MAX)] = Field(default_factory=list[int])


class ClaimBody(Strict):
    """An unregistered device becomes a registered one; its messages are taken in."""

    model_config = ConfigDict(json_schema_extra=written.one_of("asset", "asset_id"))

    municipality: Name = Field(description="The one in the topics that it sends to.")
    asset: AssetFields | None = Field(None, description="A new asset that it serves.")
    asset_id: Id | None = Field(None, description="Or one that is registered.")
    channel: Channel = 0
    reason: Reason = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.asset is None) == (self.asset_id is None):
            raise ValueError("asset or asset_id")
        return self
