"""What a simulated region holds: towns, assets and the devices on them, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """A town: ``name`` is its label in topics, ``title`` what people read."""

    name: str
    title: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What people care for; ``label`` is unique within its municipality.

    ``metadata`` holds what is known of it under the keys of ``kraj.attributes``, ready to be registered; what is absent
    is left out. ``power_rated_w`` is a lamp's nominal power, for a cabinet the sum of the lamps behind it (those
    without a controller too), the panel's peak for a stop and the inverter's rating for a roof.
    """

    kind: str
    municipality: str
    label: str
    latitude: float
    longitude: float
    metadata: Mapping[str, object] = field(hash=False)

    @property
    def key(self) -> str:
        """Its name in the region."""
        return f"{self.municipality}/{self.label}"

    @property
    def street(self) -> str:
        return str(self.metadata["street"])

    @property
    def power_rated_w(self) -> float:
        return self.number("power_rated_w")

    def number(self, name: str, absent: float = 0.0) -> float:
        """A numeric attribute or flag."""
        found = self.metadata.get(name)
        return float(found) if isinstance(found, int | float) else absent

    def word(self, name: str) -> str | None:
        """An attribute of words; None where it is absent."""
        found = self.metadata.get(name)
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An asset on a device's channel; 0 is the only channel of a device that serves one asset."""

    asset: Asset
    channel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A controller: ``name`` is unique in the region; ``clock`` tells whether it can stamp its readings."""

    name: str
    municipality: str
    installed: tuple[Installed, ...]
    clock: bool = True


@dataclass(frozen=True, kw_only=True)
class Region:
    """Everything that there is to simulate."""

    seed: int
    municipalities: tuple[Municipality, ...]
    devices: tuple[Device, ...]

    @cached_property
    def assets(self) -> tuple[Asset, ...]:
        return tuple(installed.asset for device in self.devices for installed in device.installed)
