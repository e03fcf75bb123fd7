# The LIS3DH accelerometer on I2C, up to 16 g in steps of 12 mg, which itself keeps a shock between two looks.

WHO, ME = 0x0F, 0x33
RANGE = 0x23
# 100 Hz, all axes; interrupt 1 without gravity (slower than 2 Hz); none on a pin; block update, 16 g, high resolution;
# interrupt 1 stays until it is read. Several registers from one on need the high bit of its number.
SETUP_AT, SETUP = 0xA0, b"\x57\x01\x00\xb8\x08"
WIDE = SETUP[3]
REFERENCE, CONFIG, SOURCE, THRESHOLD, OUT, LATCH = 0x26, 0x30, 0x31, 0xB2, 0xA8, 0xB0
ANY = 0x2A  # of the three axes, up or down
STEP_MG = 12
SHOCK_STEPS = 11  # of 186 mg
SHOCK_MG = 186 * SHOCK_STEPS  # just above the 2 g of the platform's rule for a collision


class Lis3dh:
    def __init__(self, bus, address=0x18):
        self.bus, self.address = bus, address

    def get(self, register):
        return self.bus.readfrom_mem(self.address, register, 1)[0]

    def put(self, register, data):
        self.bus.writeto_mem(self.address, register, data)

    # (x, y, z, how hard a shock there was at least since the last look) in mg, or OSError. What the chip holds tells
    # how far it is set up: so a shock that comes while we start anew, or while the bus is disturbed, is kept too.
    # Axes and latch are read apart: behind the last axis some of ST's chips begin with the first one again.
    def read(self):
        if self.get(WHO) != ME:
            raise OSError("no LIS3DH")
        if self.get(RANGE) != WIDE:
            self.put(CONFIG, b"\x00")
            self.put(THRESHOLD, bytes((SHOCK_STEPS, 0)))
            self.put(SETUP_AT, SETUP)
            raise OSError("LIS3DH has not measured yet")
        bus, address = self.bus, self.address
        raw = bus.readfrom_mem(address, OUT, 6)
        config, source = bus.readfrom_mem(address, LATCH, 2)
        x, y, z = raw[0] | raw[1] << 8, raw[2] | raw[3] << 8, raw[4] | raw[5] << 8
        if config != ANY:
            # Now that it has measured, the filter learns what rest is, and the latch is armed.
            self.get(REFERENCE)
            self.put(CONFIG, bytes((ANY,)))
            self.get(SOURCE)
            source = 0
        return signed(x), signed(y), signed(z), SHOCK_MG if source & 0x40 else 0


# In mg, of sixteen bits of which twelve count.
def signed(n):
    return ((n - 0x10000 if n & 0x8000 else n) >> 4) * STEP_MG
