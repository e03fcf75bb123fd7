# The INA226 on I2C: voltage and current of a rail by its shunt.

CONFIG, SHUNT, BUS, MAKER = 0, 1, 2, 0xFE
TEXAS = b"\x54\x49"
AVERAGED = b"\x45\x27"  # 16 samples of 1.1 ms, shunt and bus, continuously


class Ina226:
    def __init__(self, bus, address, shunt_uohm):
        self.bus, self.address, self.shunt_uohm = bus, address, shunt_uohm
        self.ready = False

    # (mV, mA), or OSError where it is absent or something else answers. The first call only sets it up.
    def read(self):
        if not self.ready:
            self.begin()
            raise OSError("INA226 has not measured yet")
        try:
            config, shunt, bus = (bytes(self.bus.readfrom_mem(self.address, at, 2)) for at in (CONFIG, SHUNT, BUS))
            # One that lost its power measures with its own defaults, and a stuck line reads as all ones or zeros.
            if config != AVERAGED:
                raise OSError("INA226 has restarted")
        except OSError:
            self.ready = False
            raise
        raw = shunt[0] << 8 | shunt[1]
        raw = raw - 0x10000 if raw & 0x8000 else raw
        if not -0x8000 < raw < 0x7FFF:
            raise OSError("beyond the range of the shunt")
        ma = abs(raw) * 2500 // self.shunt_uohm  # a step is 2.5 uV, and nV by uOhm are mA
        return (bus[0] << 8 | bus[1]) * 5 // 4, ma if raw >= 0 else -ma

    def begin(self):
        if bytes(self.bus.readfrom_mem(self.address, MAKER, 2)) != TEXAS:
            raise OSError("no INA226")
        self.bus.writeto_mem(self.address, CONFIG, AVERAGED)
        self.ready = True
