# SunSpec over Modbus: where an inverter has its models, and what they say in the region's words. Only reads.
#
# Offsets count from the model's first register (its number); lengths do not count the first two.

from node.modbus import ModbusError
from node.scale import rescale

STARTS = (40000, 50000, 0)
MARK = [0x5375, 0x6E53]  # "SunS"
MODELS_MAX = 60
CHUNK = 100
STRINGS = 8
# By model: how many registers are needed. Others are walked past.
NEEDED = {101: 52, 102: 52, 103: 52, 122: 46, 160: 10, 203: 107, 302: 7, 303: 3, 701: 123}


# What 16 bits say; None is "not implemented", as is a value whose scale factor is missing or absurd.
def scaled(n, factor, decimals, signed=False):
    if n is None or factor is None or n == (0x8000 if signed else 0xFFFF):
        return None
    if signed and n > 0x8000:
        n -= 0x10000
    return moved(n, factor, decimals)


def moved(n, factor, decimals):
    exponent = factor - 0x10000 if factor > 0x8000 else factor
    return rescale(n, -exponent, decimals) if -10 <= exponent <= 10 else None


# A counter of `words` registers: 0 and all ones are "not accumulated", as a counter reads 0 at wake-up.
def counted(r, at, words, factor):
    n = 0
    for word in r[at : at + words]:
        n = n << 16 | word
    if n in (0, (1 << 16 * words) - 1):
        return None
    return moved(n, factor, 0)


def bits32(r, at, known):
    n = r[at] << 16 | r[at + 1]
    # Bit 31 set is "not implemented" (0x80000000 and all ones); bits without a name stay out of a signed column.
    return None if n >> 31 else n & ((1 << known) - 1)


class Inverter:
    def __init__(self, master, unit=1):
        self.master, self.unit = master, unit
        self.models = None  # (number, address, length), found by scanning

    async def registers(self, address, count):
        found = []
        while len(found) < count:
            size = min(CHUNK, count - len(found))
            found += await self.master.read(self.unit, address + len(found), size)
        return found

    # Walks from the mark from model to model; ModbusError where nothing speaks SunSpec.
    async def scan(self):
        for start in STARTS:
            try:
                if await self.master.read(self.unit, start, 2) != MARK:
                    continue
            except ModbusError:
                continue
            at, models = start + 2, []
            for _ in range(MODELS_MAX):
                number, length = await self.master.read(self.unit, at, 2)
                if number == 0xFFFF:
                    break
                if number in NEEDED:
                    models.append((number, at, length))
                at += length + 2
                if at > 65533:
                    break
            self.models = models
            return
        raise ModbusError("no SunSpec")

    # (metric, value, its decimals) of all models that it has.
    async def read(self):
        if self.models is None:
            await self.scan()
        found, told = [], 0
        for number, at, length in self.models or ():
            count = min(length + 2, NEEDED[number])
            try:
                if number == 160:
                    found += await self.strings(at, length)
                else:
                    r = await self.registers(at, count)
                    r += [None] * (NEEDED[number] - count)
                    found += READERS[number](r) if None not in r else ()
                told += 1
            except ModbusError:
                continue  # the others may answer
        if not told:
            self.models = None  # another inverter may hang there tomorrow
            raise ModbusError("no model answers")
        return found

    async def strings(self, at, length):
        r = await self.registers(at, 10)
        found = []
        for place in range(min(r[8], STRINGS, (length - 8) // 20)):
            of = await self.registers(at + 10 + 20 * place, 11)
            name = "string" + str(place + 1) + "_"
            found.append((name + "current_a", scaled(of[9], r[2], 3), 3))
            found.append((name + "voltage_v", scaled(of[10], r[3], 1), 1))
        return found


# Models 101 to 103: one, split or three phases.
def inverter(r):
    state = r[38] - 1 if 1 <= r[38] <= 8 else None
    found = [("l" + str(n + 1) + "_voltage_v", scaled(r[10 + n], r[13], 1), 1) for n in range(3)]
    found += (
        ("power_w", scaled(r[14], r[15], 0, True), 0),
        ("frequency_hz", scaled(r[16], r[17], 2), 2),
        ("energy_wh", counted(r, 24, 2, r[26]), 0),
        ("dc_power_w", scaled(r[31], r[32], 0, True), 0),
        ("inverter_temp_degc", scaled(r[33], r[37], 1, True), 1),
        ("state", state, 0),
        ("event_flags", bits32(r, 40, 17), 0),
    )
    return found


# Model 701 numbers the same states one lower, and has 64-bit counters.
def der(r):
    hertz = None if r[17] == 0xFFFF and r[18] == 0xFFFF else moved(r[17] << 16 | r[18], r[115], 2)
    found = [("l" + str(n + 1) + "_voltage_v", scaled(r[47 + 23 * n], r[114], 1), 1) for n in range(3)]
    found += (
        ("power_w", scaled(r[10], r[116], 0, True), 0),
        ("frequency_hz", hertz, 2),
        ("energy_wh", counted(r, 19, 4, r[120]), 0),
        ("inverter_temp_degc", scaled(r[36], r[122], 1, True), 1),
        ("state", r[4] if r[4] <= 7 else None, 0),
        ("event_flags", bits32(r, 8, 17), 0),
        ("throttle_pct", None if r[110] == 0xFFFF else r[110], 0),
        ("throttle_flags", bits32(r, 111, 15), 0),
    )
    return found


def status(r):
    return (("isolation_ohm", scaled(r[44], r[45], 0), 0),)


def meter(r):
    return (
        ("export_energy_wh", counted(r, 38, 2, r[54]), 0),
        ("import_energy_wh", counted(r, 46, 2, r[54]), 0),
    )


def irradiance(r):
    return (("irradiance_w_per_m2", None if r[3] == 0xFFFF else r[3], 0),)


def back_of_module(r):
    return (("module_temp_degc", scaled(r[2], 0xFFFF, 1, True), 1),)


READERS = {
    101: inverter,
    102: inverter,
    103: inverter,
    122: status,
    203: meter,
    302: irradiance,
    303: back_of_module,
    701: der,
}
