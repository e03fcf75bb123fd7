"""An I2C bus as machine.I2C shows it, with chips that speak their registers."""

from node.sht3x import crc8


class Bus:
    def __init__(self, **chips):
        self.chips = {int(name[1:], 16): chip for name, chip in chips.items()}

    def chip(self, address):
        if address not in self.chips or self.chips[address].absent:
            raise OSError(19)
        return self.chips[address]

    def readfrom_mem(self, address, register, count):
        return self.chip(address).get(register, count)

    def writeto_mem(self, address, register, data):
        self.chip(address).put(register, bytes(data))

    def writeto(self, address, data):
        self.chip(address).told(bytes(data))

    def readfrom(self, address, count):
        return self.chip(address).answer(count)


class Ina226:
    """Set in mV and microvolts over the shunt."""

    def __init__(self, mv=0, shunt_uv=0, maker=b"TI"):
        self.mv, self.shunt_uv, self.maker, self.absent = mv, shunt_uv, maker, False
        self.config = b"\x41\x27"

    def get(self, register, count):
        if register == 0xFE:
            return self.maker
        if register == 0:
            return self.config
        raw = self.mv * 4 // 5 if register == 2 else self.shunt_uv * 2 // 5
        raw = max(-32768, min(32767, raw)) & 0xFFFF
        return bytes((raw >> 8, raw & 255))

    def put(self, register, data):
        assert register == 0
        self.config = data


class Sht3x:
    def __init__(self, degc=21, pct=45):
        self.raw_t, self.raw_h = (degc + 45) * 65535 // 175, pct * 65535 // 100
        self.absent, self.flip, self.stuck, self.measured = False, False, None, False

    def told(self, data):
        self.measured = data == b"\x24\x00"

    def answer(self, count):
        if self.stuck is not None:
            return bytes((self.stuck,)) * count
        if not self.measured:
            raise OSError(5)
        words = [bytes((raw >> 8, raw & 255)) for raw in (self.raw_t, self.raw_h)]
        out = b"".join(word + bytes((crc8(word),)) for word in words)
        return bytes((out[0] ^ 1,)) + out[1:] if self.flip else out


class Lis3dh:
    """Set in mg; ``hit`` is a shock between two looks."""

    AUTO, CTRL2, RANGE, CTRL5, REFERENCE, CONFIG, SOURCE, THRESHOLD = 0x80, 0x21, 0x23, 0x24, 0x26, 0x30, 0x31, 0x32

    def __init__(self, xyz_mg=(0, 0, 996)):
        self.xyz_mg, self.absent = xyz_mg, False
        self.power_on()

    def power_on(self):
        self.registers = dict.fromkeys(range(0x20, 0x38), 0)
        self.registers[0x0F] = 0x33
        self.rest_mg = (0, 0, 0)  # what the high-pass filter takes for rest

    def get(self, register, count):
        if register == 0xA8:
            assert count == 6
            out = b""
            for mg in self.xyz_mg:
                raw = (mg // 12 << 4) & 0xFFFF
                out += bytes((raw & 255, raw >> 8))
            return out
        assert count == 1 or register & self.AUTO
        return bytes([self.one((register & 0x7F) + place) for place in range(count)])

    def one(self, register):
        # A burst of axes ends with them: some chips of ST begin with the first one again.
        assert not 0x28 <= register < 0x2E
        if register == self.REFERENCE:
            self.rest_mg = self.xyz_mg
            return 0
        found = self.registers[register]
        if register == self.SOURCE:
            self.registers[register] = 0
        return found

    def put(self, register, data):
        assert len(data) == 1 or register & self.AUTO
        for place, byte in enumerate(data):
            self.registers[(register & 0x7F) + place] = byte

    def hit(self, xyz_mg):
        registers, axes = self.registers, 0
        if registers[0x20] != 0x57 or registers[self.RANGE] & 0x30 != 0x30:
            return
        rest_mg = self.rest_mg if registers[self.CTRL2] & 1 else (0, 0, 0)
        for place, mg in enumerate(xyz_mg):
            if abs(mg - rest_mg[place]) > 186 * registers[self.THRESHOLD]:
                axes |= 2 << 2 * place
        axes &= registers[self.CONFIG]
        if axes and registers[self.CTRL5] & 8:  # without the latch it is gone with the shock
            registers[self.SOURCE] |= 0x40 | axes
