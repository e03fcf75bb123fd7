"""A DALI bus with one D4i gear: it hears pulses, answers by pulses, and its lamp burns by what it heard."""

import _host
import parts
from sensors import value

HALF_US, LATE_US = 417, 60
TWICE, ASKED = (0x2C, 0x2D), (0xA0, 0xC5)
MASK = 0xFF
FAST_US = 409
"""A gear's own clock is never quite ours."""


class Gear:
    """``tx`` and ``rx`` are the pins of its transceiver; where the line rests high, ``tx`` may rest either way."""

    def __init__(self, tx, rx, address=0):
        self.rx, self.address = rx, address
        self.level = self.power_on_level = self.failure_level = 254
        self.dtr0 = self.dtr1 = 0
        self.before = None
        self.answer = []
        parts.lines[tx] = self

    def heard(self, lengths):
        """Pulses of a forward frame, the first one low; what is none is passed by."""
        frame = frame_of(lengths)
        self.answer = []
        if frame is None or parts.value("dali_fault"):
            return
        found = self.take(frame >> 8, frame & 255, frame)
        self.before = frame
        if found is not None:
            self.answer = backward(found)

    def take(self, high, low, frame):
        """What a frame does, and the byte that answers it."""
        if high == 0xA3:
            self.dtr0 = low
        elif high == 0xC3:
            self.dtr1 = low
        elif high >> 1 not in (self.address, 0x7F):
            return None
        elif not high & 1:
            self.burn(low)
        elif low in TWICE and frame == self.before:
            self.keep(low)
        elif low in ASKED:
            return self.level if low == ASKED[0] else self.memory()
        return None

    def keep(self, command):
        """How it burns without the bus, and from power on."""
        if command == TWICE[0]:
            self.failure_level = self.dtr0
        else:
            self.power_on_level = self.dtr0

    def burn(self, level):
        """By the logarithmic curve; its light is the world's."""
        if level == MASK:
            return
        self.level = level
        permille = int(10 ** (3 * (level - 1) / 253) + 0.5) if level else 0
        if parts.state.get("level") != permille:
            parts.state["level"] = permille
            parts.remembered.clear()
            _host.told("level", (permille + 5) // 10)

    def memory(self):
        """The next byte of a memory bank."""
        banks = {202: self.energy, 205: self.diagnostics, 206: self.lamp}
        at = self.dtr0
        self.dtr0 = at + 1 & 255
        start, content = banks[self.dtr1]() if self.dtr1 in banks else (0, b"")
        return content[at - start] if start <= at < start + len(content) else None

    def energy(self):
        """In Wh and hundredths of a watt."""
        wh, cw = value("energy_wh") or 0, value("power_w", 100) or 0
        return 4, b"\x00" + wh.to_bytes(6, "big") + b"\xfe" + cw.to_bytes(4, "big")

    def diagnostics(self):
        """Voltage, power factor and temperature of the gear; no failure."""
        volts = value("voltage_v", 10) or 0
        return 4, bytes(7) + volts.to_bytes(2, "big") + b"\x32\x60" + bytes(12) + b"\x65"

    def lamp(self):
        """Starts and hours of the lamp; no failure."""
        return 7, bytes(24)

    def pulse_us(self, level):
        """The next pulse of the answer; -2 where none comes."""
        del level
        return self.answer.pop(0) if self.answer else -2


def frame_of(lengths):
    """Sixteen bits of their Manchester halves; None for what no gear takes for a frame."""
    halves, level = [], 0
    for length in lengths:
        count = (length + HALF_US // 2) // HALF_US
        if count not in (1, 2) or abs(length - count * HALF_US) > LATE_US:
            return None
        halves += [level] * count
        level = 1 - level
    if len(halves) == 33:
        halves.append(1)  # the last half is the rest of the line
    if len(halves) != 34 or halves[:2] != [0, 1]:
        return None
    frame = 0
    for at in range(2, 34, 2):
        if halves[at] == halves[at + 1]:
            return None
        frame = frame << 1 | halves[at + 1]
    return frame


def backward(byte):
    """Pulses of an answer, the first one low."""
    halves = [0, 1]
    for place in range(7, -1, -1):
        halves += [0, 1] if byte >> place & 1 else [1, 0]
    found, before = [0], 0
    for level in halves:
        if level != before:
            found.append(0)
            before = level
        found[-1] += FAST_US
    return found[:-1] if before else found
