"""Tasmota: ``tele/SENSOR``, ``tele/STATE``, ``tele/LWT`` and ``stat/POWER`` to readings, commands to ``cmnd/…``."""

import re
from typing import Any, cast

from kraj.errors import PayloadError
from kraj.foreign import payloads, times
from kraj.foreign.mapping import Document
from kraj.foreign.payloads import number
from kraj.foreign.places import PHASES, Quantities, readings
from kraj.foreign.records import Command, Context, Outgoing, Report, SetLevel, Told

PREFIXES = ("tele", "stat", "cmnd")
PERIOD_S = (10, 3600)
"""What TelePeriod takes."""
METERS_MAX = 8
_POWER = re.compile(r"POWER([1-9][0-9]?)?")
_ANSWERS = {"STATUS8": "StatusSNS", "STATUS10": "StatusSNS", "STATUS11": "StatusSTS"}
_ENERGY = {
    "Power": ("power_w", 1.0),
    "Factor": ("power_factor", 1.0),
    "Voltage": ("voltage_v", 1.0),
    "Current": ("current_a", 1.0),
    "Total": ("energy_wh", 1000.0),
    "Frequency": ("frequency_hz", 1.0),
}
_SENSORS = {
    "Temperature": "air_temp_degc",
    "Humidity": "air_humidity_pct",
    "Illuminance": "illuminance_lx",
    "PM2.5": "pm2_5_ug_per_m3",
    "PM10": "pm10_ug_per_m3",
}


def read(tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """Readings of one message. ``tail`` is the topic behind the device's name: ``tele/SENSOR`` or
    ``tele/tasmota_1A2B3C/SENSOR``; both orders of prefix and topic are known."""
    levels = tail.split("/")
    prefix = next((level for level in levels[:-1] if level in PREFIXES), None)
    if prefix is None or prefix == "cmnd":
        return Told(ignored="a command" if prefix else f"{tail[:80]!r} is no topic of tele/ or stat/", silent=True)
    last = levels[-1]
    if prefix == "tele" and last == "LWT":
        return _will(payload)
    if prefix == "stat" and (found := _POWER.fullmatch(last)):
        word = payloads.text(payload).strip().upper()
        if word not in ("ON", "OFF"):
            raise PayloadError("foreign_message", f"{last} is {payload[:40]!r}; ON or OFF is expected")
        notes: list[str] = []
        by_channel: dict[int, Quantities] = {_channel(found, document): {"on": word == "ON"}}
        return Told(readings(by_channel, {}, None, context, notes), notes=notes, merge=True)
    if prefix == "stat" and last in _ANSWERS:
        message = payloads.parse_object(payload).get(_ANSWERS[last])
        if not isinstance(message, dict):
            raise PayloadError("foreign_message", f"{last} has no {_ANSWERS[last]}")
        return _state(cast("dict[str, Any]", message), document, context)
    if prefix == "tele" and last in ("SENSOR", "STATE"):
        told = _state(payloads.parse_object(payload), document, context)
        for reading in told.readings if last == "SENSOR" else ():
            # Tasmota sends STATE and SENSOR together and in this order, with one time in whole seconds.
            reading.ts_ms = None if reading.ts_ms is None else reading.ts_ms + 1
        return told
    return Told(ignored=f"{prefix}/{last} tells no measurement", silent=True)


def _will(payload: bytes) -> Told:
    word = payloads.text(payload).strip()
    if word not in ("Online", "Offline"):
        raise PayloadError("foreign_message", f"LWT is {payload[:40]!r}; Online or Offline is expected")
    return Told(online=word == "Online")


def _channel(found: "re.Match[str]", document: Document) -> int:
    index = int(found.group(1) or 1)
    return document.channels.get(found.group(), document.channels.get(str(index), index - 1))


def _state(message: dict[str, Any], document: Document, context: Context) -> Told:
    told = Told(merge=True)
    ts_ms = times.read(message["Time"], "iso", document.zone, context.now_ms) if message.get("Time") else None
    by_channel: dict[int, Quantities] = {}
    shared: Quantities = {}
    fahrenheit = message.get("TempUnit") == "F"
    for name, value in message.items():
        if (found := _POWER.fullmatch(name)) and value in ("ON", "OFF"):
            by_channel.setdefault(_channel(found, document), {})["on"] = value == "ON"
        elif name == "ENERGY" and isinstance(value, dict):
            _energy(cast("dict[str, Any]", value), by_channel, document, context)
        elif name == "Wifi" and isinstance(value, dict):
            signal = number(cast("dict[str, Any]", value).get("Signal"))
            if signal is not None:
                shared["rssi_dbm"] = signal
        elif name == "UptimeSec" and number(value) is not None:
            shared["uptime_s"] = value
        elif isinstance(value, dict):
            _sensor(cast("dict[str, Any]", value), shared, fahrenheit=fahrenheit)
    dimmer = number(message.get("Dimmer"))
    if dimmer is not None:
        lit = by_channel.setdefault(document.channels.get("POWER", 0), {})
        lit["dimmer_pct"] = dimmer if lit.get("on", True) else 0.0
    told.readings = readings(by_channel, shared, ts_ms, context, told.notes)
    if not told.readings:
        told.ignored = "no value that a metric of this asset stands for"
    return told


def _sensor(found: dict[str, Any], shared: Quantities, *, fahrenheit: bool) -> None:
    for name, quantity in _SENSORS.items():
        value = number(found.get(name))
        if value is not None and quantity not in shared:  # of several sensors the first counts
            shared[quantity] = (value - 32) / 1.8 if fahrenheit and quantity == "air_temp_degc" else value


def _energy(found: dict[str, Any], by_channel: dict[int, Quantities], document: Document, context: Context) -> None:
    """Lists are relays, each with its meter, or the phases of a meter: the asset tells which."""
    base = document.channels.get("ENERGY", 0)
    whole, columns = _meters(found)
    if not columns:
        by_channel.setdefault(base, {}).update(whole)
    elif len(context.kinds) == 1 and next(iter(context.kinds.values())).name in ("cabinet", "solar"):
        by_channel.setdefault(base, {}).update(_phases(whole, columns))
    else:
        common = {name: whole[name] for name in ("voltage_v", "frequency_hz") if name in whole}
        for index, column in enumerate(columns):
            channel = document.channels.get(f"POWER{index + 1}", document.channels.get(str(index + 1), base + index))
            by_channel.setdefault(channel, {}).update({**common, **column})


def _meters(found: dict[str, Any]) -> tuple[Quantities, list[Quantities]]:
    """What is told once, and what is told for each of several."""
    whole: Quantities = {}
    columns: list[Quantities] = []
    for name, (quantity, factor) in _ENERGY.items():
        value = found.get(name)
        for index, item in enumerate(cast("list[Any]", value)[:METERS_MAX] if isinstance(value, list) else []):
            if index == len(columns):
                columns.append({})
            if (plain := number(item)) is not None:
                columns[index][quantity] = plain * factor
        if (plain := number(value)) is not None:
            whole[quantity] = plain * factor
    for meter in (whole, *columns):
        _forget_unmeasured(meter)
    return whole, columns


def _phases(whole: Quantities, columns: list[Quantities]) -> Quantities:
    out: Quantities = {}
    for phase, column in zip(PHASES, columns, strict=False):
        out |= {f"{phase}_{quantity}": value for quantity, value in column.items() if quantity != "energy_wh"}
        if "voltage_v" in whole:  # one voltage for all phases
            out.setdefault(f"{phase}_voltage_v", whole["voltage_v"])
    for quantity in ("power_w", "energy_wh"):
        parts = [column[quantity] for column in columns if quantity in column]
        if parts:
            out[quantity] = sum(parts)
    return out | {name: whole[name] for name in ("energy_wh", "frequency_hz") if name in whole}


def _forget_unmeasured(meter: Quantities) -> None:
    """With its relay off the meter's chip tells 0 V unless SetOption21 is on; without load it knows no factor."""
    if meter.get("voltage_v") == 0:
        del meter["voltage_v"]
    if meter.get("power_w") == 0:
        meter.pop("power_factor", None)


def command(wanted: Command, document: Document) -> list[Outgoing]:
    """A command as Tasmota takes it; raises ``PayloadError`` for what it cannot do."""
    if isinstance(wanted, SetLevel):
        found = (name for name, channel in document.channels.items() if channel == wanted.channel)
        digits = re.sub(r"\D", "", next(found, str(wanted.channel + 1)))
        index = int(digits) if digits else 1
        if 0 < wanted.level_pct < 100:
            return [Outgoing(f"cmnd/Dimmer{index}", b"%d" % wanted.level_pct)]
        return [Outgoing(f"cmnd/Power{index}", b"ON" if wanted.level_pct else b"OFF")]
    if isinstance(wanted, Report):
        return [Outgoing("cmnd/Status", b"8"), Outgoing("cmnd/Status", b"11")]
    if not PERIOD_S[0] <= wanted.seconds <= PERIOD_S[1]:
        raise PayloadError("foreign_message", f"TelePeriod takes {PERIOD_S[0]} to {PERIOD_S[1]} s")
    return [Outgoing("cmnd/TelePeriod", b"%d" % wanted.seconds)]
