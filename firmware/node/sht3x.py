# The SHT30, SHT31 and SHT35 on I2C: temperature and humidity, one measurement at a time.

from node.scale import divided

MEASURE = b"\x24\x00"  # high repeatability, without stretching the clock
MEASURES_MS = 16


def crc8(data):
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31) & 255 if crc & 0x80 else crc << 1
    return crc


class Sht3x:
    def __init__(self, bus, clock, address=0x44):
        self.bus, self.clock, self.address = bus, clock, address

    # (hundredths of °C, hundredths of % of relative humidity), or OSError.
    async def read(self):
        self.bus.writeto(self.address, MEASURE)
        await self.clock.sleep_ms(MEASURES_MS)
        got = bytes(self.bus.readfrom(self.address, 6))
        if len(got) != 6 or crc8(got[:2]) != got[2] or crc8(got[3:5]) != got[5]:
            raise OSError("SHT3x: damaged answer")
        warm, wet = got[0] << 8 | got[1], got[3] << 8 | got[4]
        return divided(warm * 17500, 65535) - 4500, divided(wet * 10000, 65535)
