"""What adapters take and give: a message's context, the readings told by it, commands and what they become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kraj.metrics import Kind


class Adapter(StrEnum):
    """The systems whose devices we understand; ``json`` is whatever a mapping describes."""

    TASMOTA = "tasmota"
    SHELLY = "shelly"
    ESPHOME = "esphome"
    CHIRPSTACK = "chirpstack"
    JSON = "json"


@dataclass(slots=True)
class Reading:
    """A reading on its way to the wire format: metric to value, as far as the message tells it.

    ``channel`` None is the device's only asset; ``ts_ms`` None is "now": the message says no time. A value that could
    not be converted stands as it came, so that the wire format refuses it with its usual reason.
    """

    values: dict[str, Any]
    channel: int | None = None
    ts_ms: int | None = None


@dataclass(slots=True)
class Told:
    """What one message says. ``online`` is a birth or a will; ``ignored`` says why nothing was to be read from it."""

    readings: list[Reading] = field(default_factory=list[Reading])
    online: bool | None = None
    ignored: str | None = None
    silent: bool = False
    """Ignored, and of no interest to anybody: a command of ours, a line of a log."""
    notes: list[str] = field(default_factory=list[str])
    """What somebody who tries the adapter may want to know: paths that lead nowhere, parts without an asset."""
    merge: bool = False
    """The message tells only what changed; the rest is as it was told before."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a message cannot tell by itself: the kind of asset on each channel of its device, and the time."""

    kinds: Mapping[int, Kind]
    now_ms: int

    def channel_of(self, number: int) -> int | None:
        """The channel for a part of the device with this number, or None where it serves no asset."""
        return number if number in self.kinds else None

    @property
    def first(self) -> int | None:
        """The channel of what belongs to the device as a whole."""
        return min(self.kinds, default=None)


@dataclass(frozen=True, slots=True)
class SetLevel:
    """Switch or dim what is on a channel: 0 is off, 100 is fully on."""

    level_pct: int
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Say at once how you are."""


@dataclass(frozen=True, slots=True)
class SetInterval:
    """Report this often from now on."""

    seconds: int


Command = SetLevel | Report | SetInterval


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to a device: its topic below ``foreign/{municipality}/{device}/``, and what it says."""

    tail: str
    payload: bytes
