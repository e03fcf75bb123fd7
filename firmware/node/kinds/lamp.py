# The lamp: its level by program and orders, and what meter, gear and sensors say. Several on one device are channels.

from node.kinds import equipment
from node.kinds.equipment import Dusk, Lean

LIT_MS, UNLIT_MS = 20000, 60000  # between looks at its sensors
KEEP_MS = 3600000  # own counters go to flash so often
ASTRAY = 20  # tenths of a per cent between what a gear was told and what it says
SUMS = ("lamp_on_time_s", "lamp_starts", "supply_losses")


# One luminaire.
class Light:
    def __init__(self, suffix):
        self.suffix = suffix
        self.pct = self.reason = None
        self.set_pct = self.relay = None  # not known to have reached them
        self.lit_ms = None
        self.on_ms = 0
        self.counts = dict.fromkeys(SUMS, 0)
        self.prepared = False


class Kind(equipment.Kind):
    NAME = "lamp"
    COMMANDED = ("level_commanded_pct", "level_reason")
    UNEXPECTED = ("power_w", "voltage_v", "power_factor", "lamp_starts", "failure_flags", "tilt_deg", "shock_g")

    def __init__(self, board, config, orders):
        super().__init__(board, config, orders)
        self.channels = tuple(range(config.get("lamps", 1)))
        self.lights = {channel: Light("" if channel == 0 else str(channel)) for channel in self.channels}
        self.dusk, self.lean, self.mlx = Dusk(self.clock), Lean(config.get("upright_mg")), None
        self.kept_ms = self.clock.ticks_ms()
        self.load()

    # Part names of further lamps carry the channel: "output", "output1".
    def named(self, name, channel):
        return name + self.lights[channel].suffix

    def load(self):
        kept = self.orders.store.get("counters")
        if kept and len(kept) == 24 * len(self.lights):
            for channel, light in self.lights.items():
                for place, name in enumerate(SUMS):
                    at = 24 * channel + 8 * place
                    light.counts[name] = int.from_bytes(kept[at : at + 8], "little")
        for light in self.lights.values():
            if self.board.reset_cause() in ("power_on", "brownout"):
                light.counts["supply_losses"] += 1

    def keep(self, now_ms):
        out = b""
        for light in self.lights.values():
            for name in SUMS:
                out += light.counts[name].to_bytes(8, "little")
        self.kept_ms = now_ms
        try:
            self.orders.store.keep("counters", out)
        except (OSError, ValueError):
            self.missed += 1

    # A second while something moves or somebody may come, else with the sensors; an order that comes wakes it.
    def pause_ms(self):
        if "motion" in self.wirings or self.orders.restless():
            return 1000
        return self.every_ms if all(light.prepared for light in self.lights.values()) else 1000

    # What the order of orders says now reaches the lamp, and only if it is something new.
    async def apply(self):
        now_ms = self.clock.ticks_ms()
        self.mlx = self.analogue("photocell")
        dark = self.dusk.look(self.mlx)
        if self.ask("motion", taken) and self.orders.moved(0):
            self.tell("motion")
        for channel, light in self.lights.items():
            pct, reason = self.orders.level(channel, dark)
            if pct != light.pct or reason != light.reason:
                light.pct, light.reason, self.changed = pct, reason, True
            self.count(light, now_ms)
            await self.output(channel, light)
        self.lean.look(self.ask("tilt", read_of))
        self.every_ms = LIT_MS if any(light.pct for light in self.lights.values()) else UNLIT_MS
        if now_ms - self.kept_ms >= KEEP_MS:
            self.keep(now_ms)

    def count(self, light, now_ms):
        if light.pct and light.lit_ms is None:
            light.counts["lamp_starts"] += 1
        elif light.lit_ms is not None:
            light.on_ms += now_ms - light.lit_ms
            light.counts["lamp_on_time_s"] += light.on_ms // 1000
            light.on_ms %= 1000
        light.lit_ms = now_ms if light.pct else None

    async def output(self, channel, light):
        name = self.named("output", channel)
        wiring = self.wirings.get(name) or {}
        pct = max(light.pct, wiring.get("least_pct", 1)) if light.pct else 0
        # The relay first when it gets light and last when it gets dark; it never moves for anything but that.
        if pct and light.relay != 1 and self.ask(self.named("relay", channel), on):
            light.relay = 1
        if pct != light.set_pct or not light.prepared:
            if wiring.get("type") == "dali":
                done = await self.wait(name, lambda gear: self.drive(gear, light, pct), gear_of)
            else:
                done = self.ask(name, lambda output: drive_pwm(output, pct, wiring.get("curve")))
            light.prepared = bool(done)
            if done:
                light.set_pct = pct
        if not pct and light.set_pct == 0 and light.relay != 0 and self.ask(self.named("relay", channel), off):
            light.relay = 0

    async def drive(self, gear, light, pct):
        if not light.prepared:
            await gear.prepare()
        await gear.set_pct(pct)
        return True

    async def sample(self, channel):
        light, found = self.lights[channel], self.snapshot()
        found.put("level_commanded_pct", light.pct)
        found.put("level_effective_pct", light.set_pct)
        found.put("level_reason", light.reason)
        name = self.named("output", channel)
        for metric, n in light.counts.items():
            found.put(metric, n)
        if (self.wirings.get(name) or {}).get("type") == "dali":
            measured = await self.wait(name, level_of, gear_of)
            found.put("level_measured_pct", measured, 1)
            if measured is not None and light.set_pct is not None and abs(measured - light.set_pct * 10) > ASTRAY:
                light.prepared = False  # it has started anew, or did not hear: told again
            for metric, n, decimals in await self.wait(name, read_of, gear_of) or ():
                found.put(metric, n, decimals)
        meter = self.named("meter", channel)
        for metric, n, decimals in await self.wait(meter, read_of, self.metered) or ():
            found.put(metric, n, decimals)
        if channel == 0:
            found.put("illuminance_lx", self.mlx, 3)
            found.put("tilt_deg", self.lean.tilt, 1)
            if "tilt" in self.wirings:
                found.put("shock_g", self.lean.peak_mg, 3)
        return found.values

    # A meter's and a gear's code are in memory only where there is one.
    def metered(self, port, wiring):
        from node import meters, modbus

        return meters.KNOWN[wiring["chip"]](modbus.Master(port, self.clock), wiring.get("unit", 1))

    def active(self, channel):
        return bool(self.lights[channel].pct)

    def sent(self, channel):
        if channel == 0:
            self.lean.peak_mg = 0


def gear_of(bus, wiring):
    from node import dali

    return dali.Gear(bus, wiring.get("address"), wiring.get("curve") == "linear")


# Of 1000: a driver by 0–10 V or PWM gives light in proportion, unless its curve is that of DALI.
def drive_pwm(output, pct, curve):
    permille = pct * 10
    if curve == "log":
        from node import dali

        permille = dali.arc(pct) * 1000 // dali.STEPS
    output.set(permille)
    return True


def taken(pin):
    return pin.taken()


def on(relay):
    relay.set(1)
    return True


def off(relay):
    relay.set(0)
    return True


def read_of(part):
    return part.read()


def level_of(gear):
    return gear.level()
