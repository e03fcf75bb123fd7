# Meters behind Modbus, as lists of (metric, value, decimals of the value); what they do not say is None.

from node import modbus
from node.scale import of_single


# Eletechsup/Peacefair PZEM-004T v3 and v4, one phase up to 100 A: 32 bits with the low word first.
class Pzem:
    def __init__(self, master, unit):
        self.master, self.unit = master, unit

    async def read(self):
        r = await self.master.read(self.unit, 0, 9, modbus.INPUT)
        return (
            ("voltage_v", r[0], 1),
            ("current_a", r[1] | r[2] << 16, 3),
            ("power_w", r[3] | r[4] << 16, 1),
            ("energy_wh", r[5] | r[6] << 16, 0),
            ("power_factor", r[8], 2),
        )


# Eastron SDM630, three phases (SDM120 and SDM230 have the first phase at the same places): singles, high word first.
class Sdm:
    def __init__(self, master, unit, phases=3):
        self.master, self.unit, self.phases = master, unit, phases

    async def read(self):
        r = await self.master.read(self.unit, 0, 36, modbus.INPUT)

        def value(at, decimals):
            return of_single(r[at] << 16 | r[at + 1], decimals)

        found, total = [], 0
        for phase in range(self.phases):
            name = "l" + str(phase + 1) + "_"
            watts = value(12 + 2 * phase, 1)
            total = None if watts is None or total is None else total + watts
            factor = value(30 + 2 * phase, 3)
            found.append((name + "voltage_v", value(2 * phase, 2), 2))
            found.append((name + "current_a", value(6 + 2 * phase, 3), 3))
            found.append((name + "power_w", watts, 1))
            found.append((name + "power_factor", None if factor is None else abs(factor), 3))
        found.append(("power_w", total, 1))
        r = await self.master.read(self.unit, 72, 2, modbus.INPUT)
        found.append(("energy_wh", value(0, 3), 0))  # kWh to three places are Wh
        return found


KNOWN = {"pzem": Pzem, "sdm": Sdm}


# A meter of one phase as a cabinet tells it.
class OnePhase:
    def __init__(self, meter):
        self.meter = meter

    async def read(self):
        found = []
        for metric, n, decimals in await self.meter.read():
            if metric in ("power_w", "energy_wh"):
                found.append((metric, n, decimals))
            if metric != "energy_wh":
                found.append(("l1_" + metric, n, decimals))
        return found
