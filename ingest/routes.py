"""Whose message is it: the registry turned into lookups by topic, whole topics as keys."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest import packets
from kraj import wire
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store.registry import Installation
from kraj.topics import ROOT, UP, Channel, Topic

if TYPE_CHECKING:
    from ingest.foreign.translating import Said

TOPIC_LEVELS = 4
SENDING_STATES = frozenset({"registered", "provisioned", "active"})


@dataclass(frozen=True, slots=True)
class Target:
    """The asset behind one channel of a device."""

    asset_id: int
    municipality_id: int
    kind: Kind


@dataclass(slots=True)
class Route:
    """A device that may send. ``only`` is its one target where it has no other; gateways have several."""

    index: int
    name: str
    municipality: str
    device_id: int
    municipality_id: int
    state: str
    targets: dict[int, Target] = field(default_factory=dict[int, Target])
    only: Target | None = None
    decode: "Callable[[bytes], Any] | None" = None
    _ack_head: bytes = b""

    @property
    def sending(self) -> bool:
        return self.state in SENDING_STATES

    @property
    def ack_head(self) -> bytes:
        """Where ``ack`` goes, ready for ``packets.publish``; made when first needed, which for most is never today."""
        if not self._ack_head:
            self._ack_head = packets.publish_head(str(Topic(self.municipality, self.name, Channel.ACK)))
        return self._ack_head

    def kind_of(self, channel: int | None) -> Kind | None:
        """The kind behind a channel; a device with one asset need not name its channel."""
        target = self.target(channel)
        return target.kind if target else None

    def target(self, channel: int | None) -> Target | None:
        if channel is None:
            return self.only or self.targets.get(0)
        return self.targets.get(channel)


class Routes:
    """All devices as of one registry version."""

    def __init__(self, version: int, installations: Iterable[Installation]) -> None:
        self.version = version
        self.by_name: dict[str, Route] = {}
        self.all: list[Route] = []
        for row in installations:
            route = self.by_name.get(row.device)
            if route is None:
                route = Route(
                    index=len(self.all),
                    name=row.device,
                    municipality=row.municipality,
                    device_id=row.device_id,
                    municipality_id=row.device_municipality_id,
                    state=row.state,
                )
                self.by_name[row.device] = route
                self.all.append(route)
            kind = KINDS.get(str(row.kind))  # None also for a kind of a newer version than ours
            if row.asset_id is not None and row.channel is not None and row.municipality_id is not None and kind:
                target = Target(row.asset_id, row.municipality_id, kind)
                route.targets[row.channel] = target
        self.translate: Callable[[str, bytes, Routes, int, Said | None], Said] | None = None
        """Reads messages of foreign devices: topic, payload, these routes, the time, and what it said before."""
        self.telemetry: dict[str, Route] = {}
        """Full topic to route, for the devices whose readings take the fast path."""
        for route in self.all:
            if len(route.targets) == 1:
                (route.only,) = route.targets.values()
                route.decode = wire.decoder(route.only.kind).decode
                if route.sending:
                    self.telemetry[f"{ROOT}/{route.municipality}/{route.name}/{Channel.TELEMETRY}"] = route
        nowhere = Target(0, 0, next(iter(KINDS.values())))
        targets = [route.only or nowhere for route in self.all]
        self.asset_id = np.array([t.asset_id for t in targets], np.int64)
        self.municipality_id = np.array([t.municipality_id for t in targets], np.int64)
        self.device_id = np.array([route.device_id for route in self.all], np.int64)
        self.channel = np.array([next(iter(route.targets)) if route.only else 0 for route in self.all], np.int64)
        """By ``Route.index``, for devices with one target."""

    def of_topic(self, topic: str) -> tuple[Route, Channel] | None:
        """Who may send on this topic, on which channel; None where nobody may."""
        parts = topic.split("/")
        route = self.by_name.get(parts[2]) if len(parts) == TOPIC_LEVELS else None
        if route is None or not route.sending or parts[:2] != [ROOT, route.municipality] or parts[3] not in UP:
            return None
        return route, Channel(parts[3])
