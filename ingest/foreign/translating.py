"""A foreign device's message as one of ours: who it is, how it is read, what it says; nothing is awaited or written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ingest.foreign.snapshots import Snapshots
from ingest.routes import Route, Routes
from kraj import wire
from kraj.errors import PayloadError
from kraj.foreign import adapters, chirpstack
from kraj.foreign.mapping import Document, MappingError
from kraj.foreign.records import Adapter, Context, Told
from kraj.store.foreign import ForeignDevice
from kraj.wire import READINGS_PER_MESSAGE_MAX

PREFIX = adapters.ROOT + "/"
FILTER = f"{adapters.ROOT}/+/+/#"
"""What an ingest slot subscribes to besides our own topics."""


@dataclass(slots=True)
class Said:
    """What became of a message: readings as our wire format has them, a state, a refusal, or nothing of interest."""

    tail: str
    route: Route | None = None
    readings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    status: wire.Status | None = None
    refusal: PayloadError | None = None
    ignored: str | None = None
    silent: bool = False
    notes: list[str] = field(default_factory=list[str])

    @property
    def payload(self) -> bytes:
        """The readings in our wire format."""
        return msgspec.json.encode(self.readings)


class Translator:
    """All foreign devices as of one registry version."""

    def __init__(self, devices: Iterable[ForeignDevice], snapshots: Snapshots) -> None:
        self._devices = {device.device: device for device in devices}
        self._by_address = {(d.municipality, d.address): d for d in self._devices.values() if d.address}
        self._documents: dict[str, Document] = {}
        self._snapshots = snapshots

    def __call__(self, topic: str, payload: bytes, routes: Routes, now_ms: int, before: Said | None = None) -> Said:
        """Read a message; a refusal stands in what is returned. What was read ``before`` is not read again: by now the
        snapshots know of what came after it."""
        said = Said(topic)
        try:
            device, route = self._who(said, topic, routes)
            if before is not None and before.refusal is None:
                before.route = route
                return before
            self._read(said, device, route, payload, now_ms)
        except PayloadError as error:
            said.refusal = error
        return said

    def _read(self, said: Said, device: ForeignDevice, route: Route, payload: bytes, now_ms: int) -> None:
        adapter = Adapter(device.adapter)
        context = Context({channel: target.kind for channel, target in route.targets.items()}, now_ms)
        told = adapters.read(adapter, said.tail, payload, self._document(device, adapter), context)
        said.ignored, said.silent, said.notes = told.ignored, told.silent, told.notes
        if told.online is not None:
            said.status = wire.Status(online=told.online)
            if not told.online:
                self._snapshots.forget(route.device_id)
        if told.readings and not route.targets:
            raise PayloadError("not_installed", f"device {route.name} serves no asset")
        if len(told.readings) > READINGS_PER_MESSAGE_MAX:
            raise PayloadError("shape", f"{len(told.readings)} readings in one message")
        said.readings = self._flat(told, route, now_ms)

    def _flat(self, told: Told, route: Route, now_ms: int) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for reading in told.readings:
            channel = reading.channel or 0
            flat = adapters.flat(reading, now_ms)
            if reading.ts_ms is None:
                flat["ts"] = self._snapshots.moment(route.device_id, channel, now_ms)
            if told.merge:
                flat |= self._snapshots.whole(route.device_id, channel, reading.values, flat["ts"])
            out.append(flat)
        return out

    def _who(self, said: Said, topic: str, routes: Routes) -> tuple[ForeignDevice, Route]:
        parts = topic.split("/", 3)
        if len(parts) != 4 or not parts[3]:
            raise PayloadError("topic", f"the topic must be {PREFIX}municipality/device/…, not {topic[:120]!r}")
        _, town, name, said.tail = parts
        carrier = self._devices.get(name)
        found = carrier
        eui = chirpstack.device_of(said.tail)
        if carrier is not None and carrier.adapter == Adapter.CHIRPSTACK and eui is not None:
            # An application carries the messages of many devices; each is known by its DevEUI.
            found = carrier if carrier.address == eui else self._by_address.get((town, eui))
            if found is None:
                raise PayloadError(
                    "unknown_device", f"no device of {town} has the DevEUI {eui}; enter it as its address"
                )
        route = said.route = routes.by_name.get(found.device if found else name)
        if route is None:
            raise PayloadError("unknown_device", f"device {name[:80]} of {town[:80]}")
        if route.municipality != town:
            said.route = None  # the town that is named must not learn of it
            raise PayloadError("municipality", f"{route.name} was enrolled in {route.municipality}, not {town[:80]}")
        if not route.sending:
            raise PayloadError("suspended", f"device {route.name} is {route.state}")
        if found is None:
            raise PayloadError("foreign_device", f"device {route.name}")
        return found, route

    def _document(self, device: ForeignDevice, adapter: Adapter) -> Document:
        document = self._documents.get(device.device)
        if document is None:
            try:
                document = self._documents[device.device] = adapters.check(adapter, device.document)
            except MappingError as error:
                raise PayloadError("foreign_mapping", f"the mapping of {device.device} is wrong: {error}") from error
        return document
