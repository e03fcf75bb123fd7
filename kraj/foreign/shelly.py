"""Shelly of the second generation on: notifications, component status and answers to readings, commands to RPC."""

import json
from typing import Any, cast

from kraj.errors import PayloadError
from kraj.foreign import payloads, times
from kraj.foreign.mapping import Document
from kraj.foreign.payloads import number
from kraj.foreign.places import PHASES, Quantities, readings
from kraj.foreign.records import Command, Context, Outgoing, Report, SetLevel, Told

REPLIES = "reply"
"""A device answers on ``{src of the request}/rpc``; below its own prefix it may write there."""
_METERS = {
    "apower": "power_w",
    "act_power": "power_w",
    "voltage": "voltage_v",
    "current": "current_a",
    "pf": "power_factor",
    "freq": "frequency_hz",
}
_SWITCHES = ("switch", "light", "pm1", "em1", "rgbw", "cct")
_NOTIFICATIONS = ("NotifyStatus", "NotifyFullStatus")


def read(tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """Readings of one message; ``tail`` is the topic behind the device's name, such as ``events/rpc``."""
    levels = tail.split("/")
    last, before = levels[-1], levels[-2] if len(levels) > 1 else ""
    if last == "online":
        word = payloads.text(payload).strip()
        if word not in ("true", "false"):
            raise PayloadError("foreign_message", f"online is {payload[:40]!r}; true or false is expected")
        return Told(online=word == "true")
    if before == "status":
        return _status({last: payloads.parse_object(payload)}, None, document, context)
    if last == "rpc":
        return _rpc(payloads.parse_object(payload), document, context)
    return Told(ignored=f"{tail[:80]!r} tells no measurement", silent=True)


def _rpc(frame: dict[str, Any], document: Document, context: Context) -> Told:
    method = frame.get("method")
    if method in _NOTIFICATIONS:
        params = frame.get("params")
        if not isinstance(params, dict):
            raise PayloadError("foreign_message", f"{method} without params")
        components = cast("dict[str, Any]", params)
        stamp = number(components.get("ts"))
        ts_ms = None if stamp is None else times.read(stamp, "unix_s", document.zone, context.now_ms)
        return _status(components, ts_ms, document, context)
    if method is not None:
        return Told(ignored=f"{str(method)[:40]} tells no measurement", silent=True)
    if isinstance(frame.get("error"), dict):
        return Told(ignored=f"the device refuses a request: {str(frame['error'])[:120]}")
    result = frame.get("result")
    if not isinstance(result, dict):
        raise PayloadError("foreign_message", "an RPC frame with neither method, nor result, nor error")
    return _status(cast("dict[str, Any]", result), None, document, context)


def _status(components: dict[str, Any], ts_ms: int | None, document: Document, context: Context) -> Told:
    told = Told(merge=True)
    by_channel: dict[int, Quantities] = {}
    shared: Quantities = {}
    for name, found in components.items():
        if isinstance(found, dict):
            status = cast("dict[str, Any]", found)
            kind, _, number_ = name.partition(":")
            index = int(number_) if number_.isdecimal() and len(number_) < 4 else 0
            quantities = _component(kind, status)
            if kind in ("em", "emdata", "em1data", *_SWITCHES):
                # The data of a meter belong to the meter; they are told apart, each minute.
                meter = f"{kind.removesuffix('data')}:{index}"
                channel = document.channels.get(name, document.channels.get(meter, index))
                by_channel.setdefault(channel, {}).update(quantities)
            else:
                shared.update(quantities)
    told.readings = readings(by_channel, shared, ts_ms, context, told.notes)
    if not told.readings:
        told.ignored = "no value that a metric of this asset stands for"
    return told


_COMPONENTS = {
    "emdata": {"total_act": "energy_wh", "total_act_ret": "energy_returned_wh"},
    "em1data": {"total_act_energy": "energy_wh", "total_act_ret_energy": "energy_returned_wh"},
    "wifi": {"rssi": "rssi_dbm"},
    "sys": {"uptime": "uptime_s"},
    "temperature": {"tC": "air_temp_degc"},
    "humidity": {"rh": "air_humidity_pct"},
    "illuminance": {"lux": "illuminance_lx"},
}
_BATTERY = {"V": "battery_voltage_v", "percent": "battery_soc_pct"}


def _component(kind: str, status: dict[str, Any]) -> Quantities:
    """Quantities of one component's status, of which a notification may hold a part."""
    if kind == "em":
        return _three_phases(status)
    if kind in _SWITCHES:
        return _switch(kind, status)
    battery = status.get("battery")
    if kind == "devicepower" and isinstance(battery, dict):
        return _named(cast("dict[str, Any]", battery), _BATTERY)
    return _named(status, _COMPONENTS.get(kind, {}))


def _switch(kind: str, status: dict[str, Any]) -> Quantities:
    out = _named(status, _METERS)
    energy, returned = status.get("aenergy"), status.get("ret_aenergy")
    for found, quantity in ((energy, "energy_wh"), (returned, "energy_returned_wh")):
        if isinstance(found, dict):
            out |= _named(cast("dict[str, Any]", found), {"total": quantity})
    output = status.get("output")
    if isinstance(output, bool):
        out["on"] = output
    brightness = number(status.get("brightness"))
    if kind in ("light", "rgbw", "cct"):
        if output is False:
            out["dimmer_pct"] = 0.0
        elif brightness is not None and output is True:  # alone it may be of a light that is off
            out["dimmer_pct"] = brightness
    return _positive_factor(out)


def _three_phases(status: dict[str, Any]) -> Quantities:
    out = _named(status, {"total_act_power": "power_w", "a_freq": "frequency_hz"})
    for letter, phase in zip("abc", PHASES, strict=True):
        known = {f"{letter}_{name}": f"{phase}_{quantity}" for name, quantity in _METERS.items() if name != "freq"}
        out |= _named(status, known)
    return _positive_factor(out)


def _positive_factor(out: Quantities) -> Quantities:
    """A negative factor tells the direction, which the power's sign does already; without load there is none."""
    for name in [name for name in out if name.endswith("power_factor")]:
        power = out.get(name.removesuffix("_factor") + "_w")
        if power == 0:
            del out[name]
        else:
            out[name] = abs(out[name])
    return out


def _named(status: dict[str, Any], known: dict[str, str]) -> Quantities:
    return {quantity: value for name, quantity in known.items() if (value := number(status.get(name))) is not None}


def command(wanted: Command, document: Document, prefix: str) -> list[Outgoing]:
    """A command as an RPC request; ``prefix`` is the device's topic prefix. Raises ``PayloadError`` for what the device
    cannot do."""
    if isinstance(wanted, Report):
        return [_request(prefix, "Shelly.GetStatus", {})]
    if not isinstance(wanted, SetLevel):
        raise PayloadError(
            "foreign_message", "a Shelly reports by itself: on change and each minute; it has no interval"
        )
    part = next((name for name, channel in document.channels.items() if channel == wanted.channel), None)
    kind, _, index = (part or f"switch:{wanted.channel}").partition(":")
    number_ = int(index) if index.isdecimal() else 0
    if kind == "light":
        wish: dict[str, Any] = {"id": number_, "on": wanted.level_pct > 0}
        if wanted.level_pct:
            wish["brightness"] = wanted.level_pct
        return [_request(prefix, "Light.Set", wish)]
    if wanted.level_pct not in (0, 100):
        raise PayloadError("foreign_message", f"{kind}:{number_} switches and does not dim; 0 or 100 % is possible")
    return [_request(prefix, "Switch.Set", {"id": number_, "on": wanted.level_pct == 100})]


def _request(prefix: str, method: str, params: dict[str, Any]) -> Outgoing:
    frame = {"id": 1, "src": f"{prefix}/{REPLIES}", "method": method} | ({"params": params} if params else {})
    return Outgoing("rpc", json.dumps(frame).encode())
