"""What simulated boards of each kind have, as a device's settings name it; ``fakes/wired.py`` is its other end."""

from collections.abc import Mapping
from typing import Any

VERSION = 1
_CONTACT = {"type": "contact"}
_RAIL = {"type": "i2c", "shunt_uohm": 10_000}
PARTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "lamp": {
        "output": {"type": "pwm", "pin": 25},
        "relay": {"type": "switch", "pin": 26, "at_start": 1},
        "meter": {"type": "uart", "chip": "pzem"},
        "photocell": {"type": "adc", "pin": 34, "per_v": 1000},
        "tilt": {"type": "lis3dh"},
    },
    "cabinet": {
        "contactor": {"type": "switch", "pin": 26},
        "auxiliary": {**_CONTACT, "pin": 32},
        "breaker": {**_CONTACT, "pin": 33},
        "door": {**_CONTACT, "pin": 27},
        "switch_on": {**_CONTACT, "pin": 14},
        "switch_off": {**_CONTACT, "pin": 12},
        "meter": {"type": "uart", "chip": "sdm"},
        "leakage": {"type": "adc", "pin": 35, "per_v": 300},
        "photocell": {"type": "adc", "pin": 34, "per_v": 1000},
        "climate": {"type": "i2c", "address": 0x45},
    },
    "stop": {
        "charger": {"type": "uart", "baud": 19_200},
        "battery": {"type": "i2c", "address": 0x40, "shunt_uohm": 1000},
        "rail_usb": {**_RAIL, "address": 0x41},
        "rail_network": {**_RAIL, "address": 0x42},
        "rail_display": {**_RAIL, "address": 0x43},
        "rail_light": {**_RAIL, "address": 0x46},
        "rail_sos": {**_RAIL, "address": 0x47},
        "usb1": {"type": "switch", "pin": 18},
        "usb1_meter": {**_RAIL, "address": 0x48},
        "usb2": {"type": "switch", "pin": 19},
        "usb2_meter": {**_RAIL, "address": 0x49},
        "climate": {"type": "i2c", "address": 0x45},
        "shock": {"type": "lis3dh"},
        "light": {"type": "pwm", "pin": 25},
        "wifi": {"type": "switch", "pin": 26},
        "sos": {**_CONTACT, "pin": 13},
        "door": {**_CONTACT, "pin": 27},
        "water": {**_CONTACT, "pin": 33},
    },
    "solar": {"inverter": {"type": "uart", "parity": "none"}},
}


def settings(kind: str, battery_mah: int = 100_000) -> dict[str, Any]:
    """What an installation writes on a device of a kind."""
    more = {"battery_mah": battery_mah} if kind == "stop" else {}
    return {"version": VERSION, "kind": kind, "parts": PARTS[kind], **more}
