"""Sensors that speak their bytes: meters and inverters behind Modbus, INA226, SHT3x, accelerometer, VE.Direct.

What they measure is the host's, by the names of metrics and in their units; None is a sensor that does not answer. A
host that says ``power_full_w`` in place of ``power_w`` has its lamp burn by what the outputs do.
"""

import binascii
import math
import struct
import time

import _host
import parts

_crc = _host.modbus_crc
NEVER = -(1 << 20)
LEVEL_MAX = 1000
STANDBY_W = 0.6
SUNSPEC_AT = 40000
STATES = (0, 1, 2, 3, 4, 5, 6, 7, 245, 252)
"""VE.Direct's numbers of the words of ``charger_state``."""


def value(name, scale=1):
    """What the host says, as a whole number of 1/``scale`` of the metric's unit; None where it says nothing."""
    found = parts.value(name)
    if name in ("power_w", "current_a") and parts.value("power_full_w") is not None:
        found = burning(name)
    return None if found is None else int(found * scale + (0.5 if found >= 0 else -0.5))


def burning(name):
    """Power and current of a lamp by its output, in thousandths, behind its relay."""
    level = parts.state.get("level", 0)
    volts = parts.value("voltage_v") or 0
    watts = STANDBY_W + parts.value("power_full_w") * level / LEVEL_MAX if volts else 0
    return watts if name == "power_w" else watts / volts / 0.96 if volts else 0


def crc16(data):
    """Of Modbus, by the host."""
    return _crc(binascii.hexlify(data).decode())


class Modbus:
    """Units on a serial line: ``units`` maps their numbers to (function, first register, count) -> registers or None.

    ``broken`` is told to the host's value ``modbus_fault``: ``silent``, ``half`` or ``crc``.
    """

    def __init__(self, units):
        self.units = units
        self.waiting = b""

    def write(self, data):
        """A question; while the world stands still the answer to it is the same."""
        asked = self, data
        said = parts.remembered.get(asked)
        if said is None:
            said = parts.remember(asked, self.answer(data))
        self.waiting = said or self.waiting

    def answer(self, data):
        """Its bytes, none where nobody answers."""
        unit, function, address, count = struct.unpack(">BBHH", data[:6])
        of = self.units.get(unit)
        fault = parts.value("modbus_fault")
        if of is None or crc16(data[:6]) != data[6] | data[7] << 8 or fault == "silent":
            return b""
        found = of(function, address, count)
        if found is None:
            body = bytes((unit, function | 0x80, 2))
        else:
            body = bytes((unit, function, 2 * count)) + b"".join((n & 0xFFFF).to_bytes(2, "big") for n in found)
        crc = crc16(body) ^ (1 if fault == "crc" else 0)
        said = body + bytes((crc & 255, crc >> 8))
        return said[: len(said) // 2] if fault == "half" else said

    def poll(self):
        """The answer, or nothing."""
        out, self.waiting = self.waiting, b""
        return out


def pzem(function, address, count):
    """PZEM-004T: one phase."""
    volts = value("voltage_v", 10)
    if function != 4 or address + count > 10 or volts is None:
        return None
    amps, watts, energy = value("current_a", 1000) or 0, value("power_w", 10) or 0, value("energy_wh") or 0
    factor = value("power_factor", 100)
    factor = 96 if factor is None else factor
    found = [volts, amps, amps >> 16, watts, watts >> 16, energy, energy >> 16, 500, factor, 0]
    return found[address : address + count]


def sdm(function, address, count):
    """SDM630: three phases as singles, high word first."""
    if function != 4 or value("l1_voltage_v") is None:
        return None
    table = {}
    for phase in range(3):
        for at, name in ((0, "_voltage_v"), (6, "_current_a"), (12, "_power_w"), (30, "_power_factor")):
            table[at + 2 * phase] = parts.value("l" + str(phase + 1) + name) or 0
    energy = parts.value("energy_wh")
    table[72] = 0 if energy is None else energy / 1000
    raw = b"".join(struct.pack(">f", table.get(at, 0)) for at in range(address, address + count + 1, 2))
    return list(struct.unpack(">" + "H" * count, raw[: 2 * count]))


class SunSpec:
    """An inverter of one or three phases with models 103, 122, 160, 203 where the host says them, 302 and 303."""

    def __init__(self, channel=0):
        self.channel = channel
        self.registers = []
        self.made_ms = NEVER

    def __call__(self, function, address, count):
        if function != 3 or value("power_w") is None:
            return None
        now_ms = time.ticks_ms()
        if time.ticks_diff(now_ms, self.made_ms) > 500 or not self.registers:
            self.registers, self.made_ms = self.make(), now_ms
        at = address - SUNSPEC_AT
        if at < 0 or at + count > len(self.registers):
            return None
        return self.registers[at : at + count]

    def make(self):
        """All registers as they are now."""
        out = [0x5375, 0x6E53]
        self.model(out, 1, 66, {})
        state = value("state")
        counter = value("energy_wh") or 0
        flags = value("event_flags") or 0
        self.model(
            out,
            103,
            50,
            {
                10: value("l1_voltage_v", 10), 11: value("l2_voltage_v", 10), 12: value("l3_voltage_v", 10), 13: -1,
                14: value("power_w"), 15: 0, 16: value("frequency_hz", 100), 17: -2,
                24: counter >> 16, 25: counter, 26: 0,
                31: value("dc_power_w"), 32: 0, 33: value("inverter_temp_degc", 10), 37: -1,
                38: None if state is None else state + 1,
                40: flags >> 16, 41: flags,
            },
        )  # fmt: skip
        ohm = value("isolation_ohm")
        if ohm is not None:
            self.model(out, 122, 44, {44: ohm // 1000, 45: 3})
        strings = [n for n in range(1, 9) if parts.value("string" + str(n) + "_current_a") is not None]
        if strings:
            found = {2: -2, 3: -1, 4: 0, 5: 0, 8: len(strings)}
            for place, n in enumerate(strings):
                at = 10 + 20 * place
                found[at + 9] = value("string" + str(n) + "_current_a", 100)
                found[at + 10] = value("string" + str(n) + "_voltage_v", 10)
            self.model(out, 160, 8 + 20 * len(strings), found)
        export, taken = value("export_energy_wh"), value("import_energy_wh")
        if export is not None and taken is not None:
            self.model(out, 203, 105, {38: export >> 16, 39: export, 46: taken >> 16, 47: taken, 54: 0})
        sun = value("irradiance_w_per_m2")
        if sun is not None:
            self.model(out, 302, 5, {2: sun, 3: sun})
        warm = value("module_temp_degc", 10)
        if warm is not None:
            self.model(out, 303, 1, {2: warm})
        out += (0xFFFF, 0)
        return out

    def model(self, out, number, length, values):
        """Registers by their offsets from the model's first; None and what is not named is not implemented."""
        signed = {103: (14, 31, 33), 303: (2,)}.get(number, ())
        out += [number, length]
        for at in range(2, length + 2):
            n = values.get(at)
            out.append((0x8000 if at in signed else 0xFFFF) if n is None else n & 0xFFFF)


class Ina226:
    """A rail by its shunt: ``volts`` and ``amps`` are functions to mV and mA, None where it is not there."""

    def __init__(self, volts, amps, shunt_uohm=10000):
        self.volts, self.amps, self.shunt_uohm = volts, amps, shunt_uohm
        self.config = b"\x41\x27"
        self.at = 0

    def write(self, data):
        """A register's number, and what it is to hold."""
        if self.volts() is None:
            raise OSError(19)
        self.at = data[0]
        if self.at == 0 and len(data) == 3:
            self.config = bytes(data[1:])

    def read(self, n):
        """Of the register."""
        volts, amps = self.volts(), self.amps()
        if volts is None:
            raise OSError(19)
        shunt = max(-32767, min(32766, (amps or 0) * self.shunt_uohm // 2500))
        found = {0: self.config, 0xFE: b"TI"}
        if self.at in (1, 2):
            return (volts * 4 // 5 if self.at == 2 else shunt & 0xFFFF).to_bytes(2, "big")[:n]
        return found.get(self.at, b"\0\0")[:n]


class Sht3x:
    """Temperature and humidity, each a function to hundredths."""

    def __init__(self, warm, wet):
        self.warm, self.wet = warm, wet

    def write(self, data):
        """To measure."""
        if self.warm() is None:
            raise OSError(19)

    def read(self, n):
        """Both with their checksums."""
        warm = (self.warm() + 4500) * 65535 // 17500
        wet = min(65535, (self.wet() or 0) * 65535 // 10000)
        return self.checked(warm) + self.checked(wet) if n == 6 else b""

    @staticmethod
    def checked(n):
        """Two bytes and their checksum."""
        raw, crc = n.to_bytes(2, "big"), 0xFF
        for byte in raw:
            crc ^= byte
            for _ in range(8):
                crc = (crc << 1 ^ 0x31) & 255 if crc & 0x80 else crc << 1
        return raw + bytes((crc,))


class VeDirect:
    """A charger that tells a block every second."""

    def __init__(self):
        self.told_ms = NEVER

    def write(self, data):
        """It only talks."""

    def poll(self):
        """A block where a second has passed since the last."""
        now_ms = time.ticks_ms()
        if value("battery_voltage_v") is None or (
            self.told_ms != NEVER and time.ticks_diff(now_ms, self.told_ms) < 1000
        ):
            return b""
        self.told_ms = now_ms
        volts, load = value("battery_voltage_v", 1000), value("load_power_w", 1000) or 0
        amps = load * 1000 // volts if volts else 0
        number = STATES[value("charger_state") or 0]
        lines = [
            ("PID", "0xA053"), ("V", volts), ("I", (value("battery_current_a", 1000) or 0) + amps), ("IL", amps),
            ("VPV", value("pv_voltage_v", 1000)), ("PPV", value("pv_power_w")), ("CS", number),
            ("ERR", value("charger_error") or 0), ("H19", (value("pv_energy_wh") or 0) // 10),
            ("T", value("battery_temp_degc")),
        ]  # fmt: skip
        block = b"".join(b"\r\n" + name.encode() + b"\t" + str(n).encode() for name, n in lines if n is not None)
        block += b"\r\nChecksum\t"
        return block + bytes((-sum(block) & 255,))


class Lis3dh:
    """An accelerometer on a pole that leans by ``tilt_deg`` and is shaken by ``shock_g``; its interrupt 1 can latch."""

    def __init__(self):
        self.registers = {0x0F: 0x33}
        self.at = 0
        parts.changes.append(self.feel)

    def write(self, data):
        """A register's number, with the high bit for the first of several, and what they are to hold."""
        self.at = data[0]
        for place in range(len(data) - 1):
            self.registers[(self.at & 0x7F) + place] = data[1 + place]

    def axes(self, size):
        """Along the pole, in thousandths of g."""
        lean = math.radians(parts.value("tilt_deg") or 0)
        return int(math.sin(lean) * size), 0, int(math.cos(lean) * size)

    def feel(self):
        """Interrupt 1, without gravity, as the driver sets it up: at high events alone."""
        held = self.registers
        shock, found = (parts.value("shock_g") or 0) * 1000, 0
        if not shock:
            return
        for place, mg in enumerate(self.axes(shock)):
            if abs(mg) > 186 * held.get(0x32, 0):
                found |= 2 << 2 * place
        found &= held.get(0x30, 0)
        if found and held.get(0x24, 0) & 8 and held.get(0x21, 0) & 1:
            held[0x31] = 0x40 | found

    def read(self, n):
        """Several registers from one on, or one again and again; behind the axes the axes, as in some chips of ST."""
        if self.at == 0xA8:
            said = parts.remembered.get(self)
            if said is None:
                axes = self.axes(1000 + (parts.value("shock_g") or 0) * 1000)
                said = b"".join(((mg // 12 << 4) & 0xFFFF).to_bytes(2, "little") for mg in axes)
                parts.remember(self, said)
            return (said * (1 + n // 6))[:n]
        first, step = self.at & 0x7F, self.at >> 7
        if n == 1:
            return bytes((self.register(first),))
        return bytes([self.register(first + step * place) for place in range(n)])

    def register(self, at):
        """What one holds; the source of an interrupt is let go by whoever reads it."""
        if at == 0x31:
            self.feel()
        found = self.registers.get(at, 0)
        if at == 0x31:
            self.registers[at] = 0
        return found
