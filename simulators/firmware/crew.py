"""The devices of a fleet that run on the real firmware: who they are, what sensors see, what outputs do."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from kraj.errors import ConfigurationError
from simulators.firmware.device import Address, FirmwareDevice, enrol
from simulators.firmware.host import node
from simulators.physics.cabinet import CabinetModel
from simulators.physics.frame import Model
from simulators.physics.lamp import LampModel
from simulators.region import Device, Region
from simulators.world import World

KINDS = ("lamp", "cabinet", "stop", "solar")
FEED_MS = 1000
"""Sensors see the world anew so often."""
SETTLED_MS = 3000
"""A level that has lasted so long is one: the world is worked out anew for it, and not for each step of a ramp."""
FAR_MS = 400 * 86_400_000


class FirmwareCrew:
    """Devices by name. ``feed`` belongs to the loop that lives through the world's days."""

    def __init__(self, devices: Mapping[str, FirmwareDevice]) -> None:
        self.devices: dict[str, FirmwareDevice] = dict(devices)
        self._at: dict[str, tuple[str, int]] = {}
        self._fed_ms = 0
        self._levels: dict[str, tuple[float, int]] = {}
        """By device the level that its output gives, per cent, and since when."""

    @staticmethod
    def none() -> "FirmwareCrew":
        """A fleet without."""
        return FirmwareCrew({})

    @staticmethod
    def of(
        region: Region,
        count: int,
        *,
        folder: Path,
        identities: Path,
        broker: Address,
        offset_ms: int = 0,
        flashed: Path | None = None,
    ) -> "FirmwareCrew":
        """``count`` devices of a region, one of each kind in turn; their flash lies in ``folder`` and is kept.

        New ones start with what ``flashed`` holds (``device.enrol``), or else with the sources.

        Raises ``ConfigurationError`` where node or the firmware is missing, or the region has too few devices.
        """
        node()
        found = chosen(region, count)
        made: dict[str, FirmwareDevice] = {}
        for device in found:
            own = folder / device.name
            enrol(own, device, device.installed[0].asset, identities, broker, flashed)
            random = Random(f"{region.seed} {device.name} firmware")
            made[device.name] = FirmwareDevice(device, own, random, offset_ms=offset_ms)
        return FirmwareCrew(made)

    def feed(self, world: World, now_ms: int) -> bool:
        """Let sensors see what the world's prepared day has for them; whether some output has changed the world."""
        if not self.devices or now_ms - self._fed_ms < FEED_MS:
            return False
        self._fed_ms = now_ms
        if not self._at:
            self._at = {
                a.key: (kind, row) for kind, model in world.models.items() for row, a in enumerate(model.assets)
            }
        changed = False
        for one in self.devices.values():
            kind, row = self._at[one.device.installed[0].asset.key]
            columns = world.at(kind, np.array([row], np.intp), np.array([now_ms], np.int64))
            seen = {name: _plain(float(column[0])) for name, column in columns.items()}
            one.feed(seen)
            changed |= self._follow(world.models[kind], row, one, seen, now_ms)
        return changed

    def _follow(self, model: Model, row: int, one: FirmwareDevice, seen: Mapping[str, Any], now_ms: int) -> bool:
        """What an output gives holds in the world: its power follows."""
        level = one.level_pct
        if level is None or not isinstance(model, LampModel | CabinetModel):
            return False
        before, since_ms = self._levels.get(one.device.name, (-1.0, now_ms))
        if level != before:
            self._levels[one.device.name] = (level, now_ms)
            return False
        lamp = isinstance(model, LampModel)
        there = seen.get("level_commanded_pct") if lamp else 100 * (seen.get("contactor_closed") or 0)
        if now_ms - since_ms < SETTLED_MS or there == level:
            return False
        model.told.order(row, "manual", level, now_ms, now_ms + FAR_MS)
        return True


def chosen(region: Region, count: int) -> list[Device]:
    """``count`` devices with a clock and one asset each, a lamp, a cabinet, a stop and a roof in turn."""
    by_kind = {
        kind: [d for d in region.devices if d.clock and len(d.installed) == 1 and d.installed[0].asset.kind == kind]
        for kind in KINDS
    }
    found = [device for row in zip_longest(*by_kind.values()) for device in row if device is not None]
    if len(found) < count:
        raise ConfigurationError(f"the region has {len(found)} devices for firmware, not {count}: simulate more")
    return found[:count]


def _plain(number: float) -> float | int | None:
    if number != number:  # noqa: PLR0124 - NaN
        return None
    return int(number) if number.is_integer() else number
