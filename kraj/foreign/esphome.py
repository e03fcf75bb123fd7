"""ESPHome: one topic an entity with a plain value, birth and will on ``status``, commands by entity."""

import json
from typing import Any

from kraj.errors import PayloadError
from kraj.foreign import filled, mapped, payloads
from kraj.foreign.mapping import Document
from kraj.foreign.payloads import number
from kraj.foreign.places import Quantities, fitted, readings
from kraj.foreign.records import Command, Context, Outgoing, Reading, SetLevel, Told

BRIGHTNESS_MAX = 255
_NAMES = {
    "power": "power_w",
    "voltage": "voltage_v",
    "current": "current_a",
    "power_factor": "power_factor",
    "frequency": "frequency_hz",
    "energy_wh": "energy_wh",
    "temperature": "air_temp_degc",
    "humidity": "air_humidity_pct",
    "illuminance": "illuminance_lx",
    "pm_2_5": "pm2_5_ug_per_m3",
    "pm_10_0": "pm10_ug_per_m3",
    "battery_voltage": "battery_voltage_v",
    "battery_level": "battery_soc_pct",
    "wifi_signal": "rssi_dbm",
    "uptime": "uptime_s",
}
"""Endings of object ids, in the unit that ESPHome's component gives it. Energy is missing on purpose: some components
give kWh, others Wh, so it needs a line in the mapping."""
_LONGEST_FIRST = sorted(_NAMES, key=len, reverse=True)
_UNKNOWN = ("nan", "", "unknown", "unavailable")
_LEVELS = 3


def read(tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """Readings of one message; ``tail`` is ``sensor/pole_power/state`` or ``status``."""
    levels = tail.split("/")
    if levels == ["status"]:
        word = payloads.text(payload).strip()
        if word not in ("online", "offline"):
            raise PayloadError("foreign_message", f"status is {payload[:40]!r}; online or offline is expected")
        return Told(online=word == "online")
    if len(levels) != _LEVELS or levels[-1] != "state":
        return Told(ignored=f"{tail[:80]!r} tells no measurement", silent=True)
    if any(part.topic is not None and mapped.fits(part.topic, tail) for part in document.parts):
        if payloads.text(payload).strip().lower() in _UNKNOWN:
            return Told(ignored="the sensor has no value yet")
        told = mapped.read(tail, payload, document, context)
        told.merge = True
        return told
    return _by_name(levels[0], levels[1], payload, document, context)


def _by_name(component: str, name: str, payload: bytes, document: Document, context: Context) -> Told:
    told = Told(merge=True)
    channel = document.channels.get(f"{component}/{name}", document.channels.get(name, context.first))
    if channel is None or channel not in context.kinds:
        told.ignored = f"no asset is on channel {channel} of the device"
        return told
    word = payloads.text(payload).strip()
    quantities: Quantities = {}
    match component:
        case "switch":
            if word not in ("ON", "OFF"):
                raise PayloadError("foreign_message", f"the switch is {word[:40]!r}; ON or OFF is expected")
            quantities["on"] = word == "ON"
        case "light":
            quantities["dimmer_pct"] = _light(payloads.parse_object(payload))
        case "sensor" if word.lower() in _UNKNOWN:
            told.ignored = "the sensor has no value yet"
            return told
        case "sensor" | "binary_sensor":
            metric = context.kinds[channel].by_name.get(name)
            if metric is not None:  # the entity is named as our metric
                value: Any = {"ON": True, "OFF": False}.get(word, word) if component == "binary_sensor" else _real(word)
                told.readings = [Reading({name: fitted(context.kinds[channel], name, value)}, channel)]
                return told
            ending = next((n for n in _LONGEST_FIRST if name == n or name.endswith(f"_{n}")), None)
            if component == "sensor" and ending is not None:
                quantities[_NAMES[ending]] = _real(word)
        case _:
            pass
    told.readings = readings({channel: quantities}, {}, None, context, told.notes) if quantities else []
    if not told.readings:
        told.ignored = f"nothing says which metric {component}/{name} is; name it as one, or add it to the mapping"
    return told


def _real(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word  # the wire format refuses it, with its reason


def _light(state: dict[str, Any]) -> float:
    word = state.get("state")
    if word not in ("ON", "OFF"):
        raise PayloadError("foreign_message", f"the light's state is {payloads.what(word)}; ON or OFF is expected")
    if word == "OFF":
        return 0.0
    brightness = number(state.get("brightness"))
    return 100.0 if brightness is None else round(100 * brightness / BRIGHTNESS_MAX, 1)


def command(wanted: Command, document: Document) -> list[Outgoing]:
    """A command to the entity of the channel, or as the document's template says."""
    if not isinstance(wanted, SetLevel) or "set_level" in document.commands:
        template = filled.template(wanted, document)
        if template.topic is None:
            raise PayloadError("foreign_mapping", "the command has no topic")
        return [Outgoing(template.topic, filled.payload(wanted, template))]
    name = next((name for name, channel in document.channels.items() if channel == wanted.channel), None)
    component, _, _ = (name or "").partition("/")
    if name is None or component not in ("switch", "light"):
        raise PayloadError(
            "foreign_mapping",
            f'nothing says what switches channel {wanted.channel}; write {{"channels": {{"switch/relay": 0}}}}',
        )
    if component == "light":
        state: dict[str, Any] = {"state": "ON" if wanted.level_pct else "OFF"}
        if wanted.level_pct:
            state["brightness"] = round(wanted.level_pct * BRIGHTNESS_MAX / 100)
        return [Outgoing(f"{name}/command", json.dumps(state).encode())]
    if wanted.level_pct not in (0, 100):
        raise PayloadError("foreign_message", f"{name} switches and does not dim; 0 or 100 % is possible")
    return [Outgoing(f"{name}/command", b"ON" if wanted.level_pct else b"OFF")]
