"""What devices say besides readings: status, events, applied versions, results; checked so that it can be kept."""

from dataclasses import dataclass
from typing import Any, cast

import msgspec

from ingest.routes import Route
from kraj import wire
from kraj.errors import PayloadError
from kraj.topics import Channel

LEVELS_MAX = 32
"""Far more than any status, version or result needs, far less than where PostgreSQL's JSON parser gives up."""


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A status, event, applied version or result: for the device's history."""

    message: int
    route: Route
    channel: Channel
    body: bytes
    status: wire.Status | None = None


def read(position: int, route: Route, channel: Channel, payload: bytes) -> DeviceMessage:
    """A status, an applied version or a result; raises ``PayloadError``."""
    if channel is Channel.STATUS:
        return status(position, route, wire.decode_status(payload))
    document = wire.parse(payload)
    if not isinstance(document, list):
        raise PayloadError("shape", "an object or a list is expected")
    try:
        value = msgspec.json.decode(payload)
    except wire.FAST_PATH_REFUSALS as error:
        raise PayloadError("not_json", f"NaN, infinity or half a character: {error}") from error
    _check_storable(value, LEVELS_MAX)
    return DeviceMessage(position, route, channel, msgspec.json.encode(value))


def status(position: int, route: Route, said: wire.Status) -> DeviceMessage:
    """That the device is there, or is gone."""
    return DeviceMessage(position, route, Channel.STATUS, msgspec.json.encode(said), said)


def event(position: int, route: Route, record: wire.Record) -> DeviceMessage:
    """The event that came with a reading; by its numbers the database knows one that is told again."""
    body = {"event": record.event, "boot": record.boot, "seq": record.seq, "ts": record.ts}
    return DeviceMessage(position, route, Channel.EVENT, msgspec.json.encode(body))


def _check_storable(value: Any, levels: int) -> None:
    """PostgreSQL's JSON knows no NUL, and its parser has a stack."""
    if isinstance(value, str):
        if "\0" in value:
            raise PayloadError("shape", "NUL characters cannot be kept")
    elif isinstance(value, dict | list):
        if not levels:
            raise PayloadError("too_deep", f"nested more than {LEVELS_MAX} levels")
        for child in cast("list[Any]", [*value, *value.values()] if isinstance(value, dict) else value):
            _check_storable(child, levels - 1)
