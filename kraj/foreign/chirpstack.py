"""ChirpStack v4: uplinks whose codec's ``object`` a mapping reads, device status, downlinks to ``command/down``."""

import json
import re
from dataclasses import replace
from typing import Any, cast

from kraj.errors import PayloadError
from kraj.foreign import filled, mapped, payloads, times
from kraj.foreign.mapping import Document, Time
from kraj.foreign.payloads import Path, number
from kraj.foreign.places import readings
from kraj.foreign.records import Command, Context, Outgoing, Told
from kraj.wire import READINGS_PER_MESSAGE_MAX

EUI = re.compile(r"[0-9a-f]{16}")
_TIME = Time(Path.read("$.time"), "iso")
_TAIL = re.compile(r"(?:.*/)?application/([^/]+)/device/([0-9a-fA-F]{16})/(event|command)/([a-z]+)")


def device_of(tail: str) -> str | None:
    """The DevEUI in a topic, in lower case."""
    found = _TAIL.fullmatch(tail)
    return found.group(2).lower() if found else None


def read(tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """Readings of one event; ``tail`` ends with ``application/{id}/device/{DevEUI}/event/{type}``."""
    found = _TAIL.fullmatch(tail)
    if found is None or found.group(3) != "event":
        return Told(ignored="a command" if found else f"{tail[:80]!r} is no topic of a device", silent=True)
    match found.group(4):
        case "up":
            return _uplink(payloads.parse_object(payload), document, context)
        case "status":
            return _status(payloads.parse_object(payload), document, context)
        case "join":
            return Told(online=True)
        case event:
            return Told(ignored=f"the event {event} tells no measurement", silent=True)


def _uplink(event: dict[str, Any], document: Document, context: Context) -> Told:
    if not isinstance(event.get("deviceInfo"), dict):
        raise PayloadError(
            "foreign_message", "no deviceInfo: this is no uplink of ChirpStack v4, or its marshaler is not JSON"
        )
    parts = [part if part.time is not None else replace(part, time=_TIME) for part in document.parts]
    if "time" not in event:
        parts = list(document.parts)
    try:
        told = mapped.apply(event, parts, document, context, limit=READINGS_PER_MESSAGE_MAX)
    except PayloadError as error:
        if error.reason != "foreign_mapping" or "object" in event:
            raise
        raise PayloadError(
            "foreign_message", "the uplink has no decoded object; set a codec in the device profile in ChirpStack"
        ) from error
    signals = [
        signal
        for item in cast("list[Any]", event.get("rxInfo") if isinstance(event.get("rxInfo"), list) else [])
        if isinstance(item, dict) and (signal := number(cast("dict[str, Any]", item).get("rssi"))) is not None
    ]
    for reading in told.readings:
        if signals:
            reading.values.setdefault("rssi_dbm", round(max(signals)))  # of the gateway that hears it best
    return told


def _status(event: dict[str, Any], document: Document, context: Context) -> Told:
    """The answer to DevStatusReq: the battery, where the device has one and knows it."""
    told = Told(merge=True)
    level = number(event.get("batteryLevel"))
    if level is None or event.get("externalPowerSource") or event.get("batteryLevelUnavailable"):
        told.ignored = "the device knows no battery level"
        return told
    stamp = _TIME.path.find(event, event)
    ts_ms = times.read(stamp, _TIME.pattern, document.zone, context.now_ms) if isinstance(stamp, str) else None
    told.readings = readings({}, {"battery_soc_pct": level}, ts_ms, context, told.notes)
    if not told.readings:
        told.ignored = "no value that a metric of this asset stands for"
    return told


def command(wanted: Command, document: Document, address: str | None) -> list[Outgoing]:
    """A downlink, as the document's template says; ``address`` is the DevEUI."""
    template = filled.template(wanted, document)
    if document.application is None or address is None:
        raise PayloadError("foreign_mapping", "a downlink needs the application's id in the mapping, and the DevEUI")
    if template.f_port is None:
        raise PayloadError("foreign_mapping", "a downlink needs f_port, from 1 to 223")
    body: dict[str, Any] = {"devEui": address, "confirmed": False, "fPort": template.f_port}
    if template.hexadecimal is not None:
        body["data"] = filled.base64_payload(wanted, template.hexadecimal)
    else:
        body["object"] = filled.fill(template.payload, filled.numbers(wanted))
    topic = f"application/{document.application}/device/{address}/command/down"
    return [Outgoing(topic, json.dumps(body, ensure_ascii=False).encode())]
