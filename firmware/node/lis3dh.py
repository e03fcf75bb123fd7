# The LIS3DH accelerometer on I2C, up to 16 g in steps of 12 mg.

WHO, ME = 0x0F, 0x33
RATE, RANGE, OUT = 0x20, 0x23, 0xA8  # reading several from OUT needs its high bit
FAST, WIDE = 0x57, 0xB8  # 100 Hz, all axes; block update, 16 g, high resolution
STEP_MG = 12


class Lis3dh:
    def __init__(self, bus, address=0x18):
        self.bus, self.address, self.ready = bus, address, False

    # (x, y, z) in mg, or OSError.
    def read(self):
        if not self.ready:
            if self.bus.readfrom_mem(self.address, WHO, 1)[0] != ME:
                raise OSError("no LIS3DH")
            self.bus.writeto_mem(self.address, RATE, bytes((FAST,)))
            self.bus.writeto_mem(self.address, RANGE, bytes((WIDE,)))
            self.ready = True
            raise OSError("LIS3DH has not measured yet")
        try:
            if self.bus.readfrom_mem(self.address, RANGE, 1)[0] != WIDE:
                raise OSError("LIS3DH has restarted")
            raw = self.bus.readfrom_mem(self.address, OUT, 6)
        except OSError:
            self.ready = False
            raise
        found = []
        for at in (0, 2, 4):
            n = raw[at] | raw[at + 1] << 8
            found.append(((n - 0x10000 if n & 0x8000 else n) >> 4) * STEP_MG)
        return tuple(found)
