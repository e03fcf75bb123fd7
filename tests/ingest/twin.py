"""Decoding said twice: a registry to decode under, and each decision once more, message by message."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ingest.decode import Decoded, Message, decode
from ingest.flood import FloodGuards
from ingest.routes import Routes
from kraj import topics, wire
from kraj.errors import PayloadError
from kraj.kinds import KINDS
from kraj.metrics import Kind, Type
from kraj.quarantine import PAYLOAD_BYTES_MAX
from kraj.readings import DAY_MS
from kraj.store.registry import Installation
from kraj.topics import Channel

NOW_MS = 1_795_212_345_000
TELEMETRY = "kraj/lhota/{}/telemetry"


def row(device: str, device_id: int, channel: int | None, kind: str | None, state: str = "active") -> Installation:
    asset = None if channel is None else 100 * device_id + channel
    return Installation("lhota", device, device_id, 1, state, channel, asset, kind, None if channel is None else 2)


INSTALLATIONS = [
    row("lamp-1", 1, 0, "lamp"),
    row("lamp-2", 2, 3, "lamp"),
    row("cabinet-1", 3, 0, "cabinet"),
    row("gateway-1", 4, 0, "lamp"),
    row("gateway-1", 4, 1, "solar"),
    row("gateway-1", 4, 2, "stop"),
    row("spare-1", 5, None, None),
    row("stolen-1", 6, 0, "lamp", "suspended"),
    row("newer-1", 7, 0, "kind_of_a_newer_version"),
]
ROUTES = Routes(1, INSTALLATIONS)


def whole(
    messages: list[tuple[str, bytes]], epochs: dict[tuple[int, int], int], flood: FloodGuards | None = None
) -> Decoded:
    """Decode as the pipeline does: ask for the beginnings of boots, then again."""
    batch: list[Message] = [(topic, payload, n + 1) for n, (topic, payload) in enumerate(messages)]
    found = decode(batch, ROUTES, epochs, NOW_MS, flood)
    if found.epochs_missing:
        epochs |= found.epochs_missing
        found = decode(batch, ROUTES, epochs, NOW_MS, flood)
    assert not found.epochs_missing
    return found


def said(decoded: Decoded) -> list[tuple[int, str, int | None, int | None, str | None]]:
    return sorted(
        ((r.message, r.reason, r.boot, r.seq, r.metric) for r in decoded.rejections), key=lambda r: (r[:2], str(r))
    )


def lamp(**fields: object) -> bytes:
    """A good reading of lamp-1 with fields replaced; None leaves one out."""
    good = {"ts": NOW_MS, "boot": 7, "seq": 5, "power_w": 41.5}
    return json.dumps({key: value for key, value in {**good, **fields}.items() if value is not None}).encode()


def rows(decoded: Decoded) -> "Counter[Any]":
    out: Counter[Any] = Counter()
    for readings in decoded.readings:
        for n in range(len(readings)):
            values = tuple(None if np.isnan(value) else float(value) for value in readings.values[n])
            columns = (readings.message, readings.asset_id, readings.municipality_id, readings.ts_ms)
            more = (readings.seq, readings.boot, readings.implausible)
            out[readings.kind.name, values, *(int(column[n]) for column in (*columns, *more))] += 1
    return out


class Twin:
    """The same decisions, message by message, value by value, with the patient reader alone."""

    def __init__(self, messages: list[tuple[str, bytes]], epochs: dict[tuple[int, int], int]) -> None:
        self.rows: Counter[Any] = Counter()
        self.said: list[tuple[int, str, int | None, int | None, str | None]] = []
        self.unknown: Counter[tuple[int, str]] = Counter()
        self.device_messages: list[tuple[int, str]] = []
        self._epochs = epochs
        for position, (topic, payload) in enumerate(messages):
            try:
                self._message(position, topic, payload)
            except PayloadError as error:
                self.said.append((position, error.reason, None, None, None))
        self.said.sort(key=lambda r: (r[:2], str(r)))

    def _message(self, position: int, topic: str, payload: bytes) -> None:
        parsed = topics.parse(topic)
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise PayloadError("too_large", "")
        of_device = [i for i in INSTALLATIONS if i.device == parsed.device]
        reason = ""
        if not of_device:
            reason = "unknown_device"
        elif parsed.municipality != "lhota":
            reason = "municipality"
        elif of_device[0].state == "suspended":
            reason = "suspended"
        elif parsed.channel in (Channel.TELEMETRY, Channel.EVENT) and parsed.device in ("spare-1", "newer-1"):
            reason = "not_installed"
        if reason:
            if parsed.channel not in (Channel.TELEMETRY, Channel.EVENT):
                raise PayloadError(reason, "")
            for mark in wire.marks(payload) or [wire.Mark()]:
                self.said.append((position, reason, mark.boot, mark.seq, None))
        elif parsed.channel is Channel.STATUS:
            wire.decode_status(payload)
            self.device_messages.append((position, "status"))
        else:
            self._readings(position, parsed.channel, {i.channel: i for i in of_device}, payload)

    def _readings(
        self, position: int, channel: Channel, serves: dict[int | None, Installation], payload: bytes
    ) -> None:
        def installation(number: int | None) -> Installation | None:
            only = next(iter(serves.values())) if len(serves) == 1 else serves.get(0)
            return only if number is None else serves.get(number)

        def kind_of(number: int | None) -> Kind | None:
            found = installation(number)
            return KINDS[str(found.kind)] if found else None

        examined = wire.examine(payload, kind_of)
        self.said += [(position, r.reason, r.boot, r.seq, r.metric) for r in examined.refusals]
        for key in examined.unknown_keys:
            self.unknown[int(next(iter(serves.values())).device_id), key] += 1
        for kind, record in examined.records:
            found = installation(record.channel)
            assert found is not None
            if record.event is not None:
                self.device_messages.append((position, "event"))
            self._reading(position, found, kind, record)

    def _reading(self, position: int, found: Installation, kind: Kind, record: wire.Record) -> None:
        def refuse(reason: str, metric: str | None = None) -> None:
            self.said.append((position, reason, record.boot, record.seq, metric))

        ts = record.ts
        if ts is None and record.boot is not None and record.uptime_ms is not None:
            ts = self._epochs[found.device_id, record.boot] + record.uptime_ms
        if ts is None:
            return refuse("time_missing")
        if ts < NOW_MS - 400 * DAY_MS:
            return refuse("time_past")
        if ts > NOW_MS + 10 * 60_000:
            return refuse("time_future")
        values, implausible = self._values(kind, record, refuse)
        core = (position, found.asset_id, found.municipality_id, ts, record.seq or 0)
        self.rows[kind.name, values, *core, -1 if record.boot is None else record.boot, implausible] += 1
        return None

    def _values(
        self, kind: Kind, record: wire.Record, refuse: Callable[[str, str], None]
    ) -> tuple[tuple[float | None, ...], int]:
        values: list[float | None] = []
        implausible = 0
        for n, metric in enumerate(kind.metrics):
            value: Any = getattr(record, metric.name)
            if value is not None:
                value = float(metric.states.index(value)) if metric.type is Type.STATE else float(value)
                low, high = metric.possible
                if not low <= value <= high:
                    refuse("value_impossible", metric.name)
                    value = None
                elif metric.type is not Type.REAL and value != int(value):
                    refuse("value_type", metric.name)
                    value = None
                elif metric.plausible and not metric.plausible[0] <= value <= metric.plausible[1]:
                    implausible |= 1 << n
            values.append(value)
        return tuple(values), implausible
