"""What lamps are told: orders of people, the commands made of them, what lamps keep, and safety locks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID


class CommandState(StrEnum):
    """Where a command is in its life; ``rules.commanding`` tells which may follow which."""

    REQUESTED = "requested"
    SENT = "sent"
    ACCEPTED = "accepted"
    """The device has said that it does so."""
    CONFIRMED = "confirmed"
    """Its measured power says so, too."""
    EXPIRED = "expired"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


OPEN: Final = (CommandState.REQUESTED, CommandState.SENT, CommandState.ACCEPTED)
SETTLED: Final = (CommandState.CONFIRMED, CommandState.EXPIRED, CommandState.REFUSED, CommandState.SUPERSEDED)


class Do(StrEnum):
    """What a command asks for."""

    SET_LEVEL = "set_level"
    RELEASE = "release"
    """The order of this reason ends: the lamp follows what is below it again."""
    RENEW = "renew"
    """The device's certificate is replaced by the next one (``kraj.renewing``); no person orders it."""


class Reason(StrEnum):
    """Which order of the lamp's a command is about (lighting.md, priority)."""

    MANUAL = "manual"
    EMERGENCY = "emergency"
    SENSOR = "sensor"
    """A neighbour has seen motion; no person orders it."""
    RENEWAL = "renewal"
    """Of ``renew`` alone; its ``why`` is the new certificate's serial number."""


class OrderKind(StrEnum):
    """What somebody orders."""

    MANUAL = "manual"
    LIGHT_NOW = "light_now"
    """A crew's: full light for a while, and burning by day is no fault then."""
    EMERGENCY = "emergency"

    @property
    def reason(self) -> Reason:
        return Reason.EMERGENCY if self is OrderKind.EMERGENCY else Reason.MANUAL


LOCKABLE: Final = ("feeder", "cabinet")
"""Attributes of the topology by which a crew locks."""
LOCKED: Final = "locked"
"""The error of a command that a safety lock has refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Somebody's order; for an asset, a group, a municipality or (without one) the region."""

    order_id: int
    municipality: str | None
    municipality_title: str | None
    kind: str
    group_id: int | None
    group: str | None
    asset_id: int | None
    label: str | None
    level_pct: int
    valid_from: datetime
    valid_until: datetime
    reason: str
    who: str
    created_at: datetime
    ended_at: datetime | None
    counts: Mapping[str, int]
    """Its commands that set a level, by their state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What one channel of a device was told, and what became of it."""

    command_id: UUID
    municipality: str
    device: str | None
    channel: int
    asset_id: int
    label: str | None
    order_id: int | None
    do: str
    level_pct: int | None
    reason: str
    until: datetime
    state: str
    requested_at: datetime
    sent_at: datetime | None
    accepted_at: datetime | None
    settled_at: datetime | None
    attempts: int
    error: str | None
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What a device is to keep, and what it said that it keeps. Programs by channel, as numbers of compiled ones."""

    device_id: int
    device: str
    municipality: str
    version: int
    programs: Mapping[str, Any]
    interval_s: int | None
    changed_at: datetime
    who: str
    reason: str
    sent_version: int | None
    sent_at: datetime | None
    reported_version: int | None
    reported_at: datetime | None
    reported_error: str | None
    outgrown_version: int | None = None
    """The last one that was ahead of ours: the version was raised above it."""

    @property
    def spread(self) -> str:
        """``applied``, ``behind`` (an older version than desired, or none yet), ``ahead`` (it said a newer one
        than ours, which was raised above that and told again) or ``failed`` (it has said why it cannot)."""
        if self.reported_error is not None and self.reported_version != self.version:
            return "failed"
        if self.reported_version == self.version:
            return "applied"
        if self.reported_version is None:
            return "behind"
        ahead = self.reported_version > self.version or self.reported_version == self.outgrown_version
        return "ahead" if ahead else "behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A crew's safety lock. ``mine``: who asks may release it."""

    lock_id: int
    municipality: str
    municipality_title: str
    attribute: str
    value: str
    holder_title: str
    reason: str
    since: datetime
    released_at: datetime | None
    assets: int
    mine: bool
