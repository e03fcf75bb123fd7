# The roof: its inverters over SunSpec, read and never written. Each inverter of a logger is a channel.

from node import modbus, sunspec
from node.kinds import equipment
from node.scale import divided

MEANS_MS = 60000  # what floats is told as its mean of a minute
FLOATS = ("power_w", "dc_power_w", "irradiance_w_per_m2", "isolation_ohm", "throttle_pct", "frequency_hz")
# A counter that falls is not believed: it reads 0 at wake-up, and a whole lifetime would be one minute's production.
COUNTERS = ("energy_wh", "import_energy_wh", "export_energy_wh")
LOWER_MS = 1800000  # until the lower value has lasted so long: then it is a new meter
JITTER_WH = 1  # some counters step back by one
SLEEPING = (0, 1)


class Roof:
    def __init__(self, inverter):
        self.inverter, self.window = inverter, []
        self.state = None
        self.highest, self.lower_ms = {}, {}


class Kind(equipment.Kind):
    NAME = "solar"
    COMMANDED = ("state", "throttle_flags")
    UNEXPECTED = ("event_flags",)
    every_ms = 10000

    def __init__(self, board, config, orders):
        super().__init__(board, config, orders)
        self.units = config.get("units") or [1]
        self.channels = tuple(range(len(self.units)))
        self.roofs, self.master = {}, None

    def roof(self, channel):
        if channel not in self.roofs:
            self.master = self.master or self.part("inverter", self.mastered)
            if self.master is None:
                return None
            self.roofs[channel] = Roof(sunspec.Inverter(self.master, self.units[channel]))
        return self.roofs[channel]

    def mastered(self, port, wiring):
        return modbus.Master(port, self.clock)

    async def sample(self, channel):
        found, roof = self.snapshot(), self.roof(channel)
        if roof is None:
            return found.values
        now_ms = self.clock.ticks_ms()
        try:
            told = await roof.inverter.read()
        except OSError as error:
            self.unanswered(self.place(channel), error)
            roof.window.clear()
            roof.state = None
            return found.values
        self.silent.pop(self.place(channel), None)
        before = len(found.values)
        for metric, n, decimals in told:
            found.put(metric, n, decimals)
        for name in COUNTERS:
            if name in found.values and not self.believed(roof, name, found.values[name], now_ms):
                del found.values[name]
        roof.state = found.values.get("state")
        if len(found.values) > before:
            roof.window.append((now_ms, {n: v for n, v in found.values.items() if n in FLOATS or n[:6] == "string"}))
        while roof.window and now_ms - roof.window[0][0] >= MEANS_MS:
            roof.window.pop(0)
        for name in roof.window[-1][1] if roof.window else ():
            values = [seen[name] for _, seen in roof.window if name in seen]
            found.values[name] = divided(sum(values), len(values))
        return found.values

    def place(self, channel):
        return "inverter " + str(self.units[channel])

    def believed(self, roof, name, n, now_ms):
        highest = roof.highest.get(name)
        if highest is None or n >= highest - JITTER_WH:
            roof.highest[name] = n if highest is None else max(n, highest)
            roof.lower_ms.pop(name, None)
            return True
        since_ms = roof.lower_ms.setdefault(name, now_ms)
        if now_ms - since_ms < LOWER_MS:
            return False
        roof.highest[name] = n
        del roof.lower_ms[name]
        return True

    # It is only looked at.
    def pause_ms(self):
        return self.every_ms

    # While it produces; unknown counts as producing, so that it is asked as often.
    def active(self, channel):
        roof = self.roofs.get(channel)
        return roof is None or roof.state not in SLEEPING
