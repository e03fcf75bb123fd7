"""Which sensor hangs on which pin or bus of a device, as `simulators/firmware/wiring.py` tells its firmware."""

import _host
import dali_gear
import paper
import parts
import sensors
from sensors import value

FULL = 65535
LEAKAGE_MA_PER_V, LUX_PER_V = 300, 1000
CONTACTS = {
    "cabinet": {32: "contactor_closed", 33: "breaker_closed"},
    "stop": {13: "sos_pressed", 33: "water_present"},
}
"""By pin: closed while the metric is 1."""
DOOR_PIN, SWITCH_ON_PIN, SWITCH_OFF_PIN = 27, 14, 12
DALI_PINS, MOTION_PIN = (18, 19), 4
PAPER_PINS = (15, 2, 35)
"""Select, data and busy."""
RAILS = {0x41: "usb", 0x42: "network", 0x43: "display", 0x46: "light", 0x47: "sos"}
PORTS = {0x48: 1, 0x49: 2}
BUS_MV = 5000


def closed(name):
    """Level of a contact to ground that is closed while a metric is 1."""
    return lambda: 0 if value(name) else 1


def scaled(name, scale):
    """A metric as a function to whole numbers."""
    return lambda: value(name, scale)


def told_level(_=None):
    """The level that leaves the device, once it is another one."""
    level = parts.state.get(25, 0) * 1000 // FULL if parts.state.get(26, 1) else 0
    before = parts.state.get("level")
    parts.state["level"] = level
    if level != before:
        _host.told("level", (level + 5) // 10)


def lamp():
    """PWM and DALI, of which settings name one, relay, PZEM, photocell, accelerometer, a motion sensor."""
    dali_gear.Gear(*DALI_PINS)
    parts.inputs[MOTION_PIN] = lambda: 1 if parts.value("motion") else 0
    parts.outputs[25] = parts.outputs[26] = told_level
    parts.uart[1] = sensors.Modbus({1: sensors.pzem})
    photocell()
    if value("tilt_deg", 10) is not None:
        parts.i2c[0x18] = sensors.Lis3dh()


def photocell():
    """A volt is 1000 lx."""
    parts.voltages[34] = lambda: (value("illuminance_lx", 10) or 0) * 100_000 // LUX_PER_V


def cabinet():
    """Contactor, its auxiliary contact, breaker, door, switch, SDM630, leakage, photocell, SHT3x."""
    for pin, name in CONTACTS["cabinet"].items():
        parts.inputs[pin] = closed(name)
    parts.inputs[DOOR_PIN] = lambda: 1 if value("door_open") else 0  # closed while the door is shut
    parts.inputs[SWITCH_ON_PIN] = lambda: 0 if value("local_switch") == 1 else 1
    parts.inputs[SWITCH_OFF_PIN] = lambda: 0 if value("local_switch") == 2 else 1
    parts.outputs[26] = lambda on: _host.told("level", 100 if on else 0)
    parts.uart[1] = sensors.Modbus({1: sensors.sdm})
    parts.voltages[35] = lambda: (value("leakage_ma", 100) or 0) * 10_000 // LEAKAGE_MA_PER_V
    photocell()
    parts.i2c[0x45] = sensors.Sht3x(scaled("cabinet_temp_degc", 100), lambda: 5000)


def rail(name):
    """Of 5 V: its current by its power."""
    watts = scaled(name, 1000)
    return sensors.Ina226(
        lambda: None if watts() is None else BUS_MV, lambda: watts() * 1000 // BUS_MV, shunt_uohm=10000
    )


def stop():
    """Charger, battery, rails and ports behind INA226, contacts, light, SHT3x, accelerometer, e-paper."""
    paper.Panel(*PAPER_PINS)
    for pin, name in CONTACTS["stop"].items():
        parts.inputs[pin] = closed(name)
    parts.inputs[DOOR_PIN] = lambda: 1 if value("door_open") else 0
    parts.uart[1] = sensors.VeDirect()
    parts.i2c[0x40] = sensors.Ina226(scaled("battery_voltage_v", 1000), scaled("battery_current_a", 1000), 1000)
    for address, name in RAILS.items():
        parts.i2c[address] = rail("load_" + name + "_power_w")
    for address, number in PORTS.items():
        amps = scaled("usb" + str(number) + "_current_a", 1000)
        parts.i2c[address] = sensors.Ina226(lambda amps=amps: None if amps() is None else BUS_MV, amps, 10000)
    parts.i2c[0x45] = sensors.Sht3x(scaled("air_temp_degc", 100), scaled("air_humidity_pct", 100))
    parts.i2c[0x18] = sensors.Lis3dh()
    parts.outputs[25] = lambda duty: _host.told("level", (duty * 100 + FULL // 2) // FULL)


def solar():
    """An inverter that speaks SunSpec."""
    parts.uart[1] = sensors.Modbus({1: sensors.SunSpec()})


WIRED = {"lamp": lamp, "cabinet": cabinet, "stop": stop, "solar": solar}


def wire(kind):
    """Connect what a device of a kind has; nothing for a kind that there is not."""
    if kind in WIRED:
        WIRED[kind]()
