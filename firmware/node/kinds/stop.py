# The stop: its sun and battery, what it sheds as charge falls, its ports, display, air, SOS and doors.

import asyncio

from node import shedding
from node.kinds import equipment

RAILS = ("usb", "network", "display", "light", "sos")
KEEP_MS = 3600000
FLOAT = 5  # of charger_state
NIGHT_MV, DAY_MV = 3000, 8000  # of the panel, which is the photocell where there is no other
PORTS = (1, 2, 3, 4)


class Kind(equipment.Kind):
    NAME = "stop"
    COMMANDED = ("light_level_pct", "shedding")
    UNEXPECTED = (
        "charger_error",
        "battery_temp_degc",
        "door_open",
        "water_present",
        "shock_g",
        "wifi_up",
        "display_refresh_ok",
        "voice_selftest_ok",
        "voice_receiver_ok",
        "sos_pressed",
        "sos_selftest_ok",
        "usb1_faults",
        "usb2_faults",
        "usb3_faults",
        "usb4_faults",
    )
    every_ms = 10000

    def __init__(self, board, config, orders):
        super().__init__(board, config, orders)
        self.shed, self.dusk = shedding.NONE, equipment.Dusk(self.clock)
        self.lean, self.ports = equipment.Lean(config.get("upright_mg")), {}
        self.battery = shedding.Battery(config.get("battery_mah", 100000))
        self.energy, self.light_pct, self.said_pct = {}, None, None
        self.sos, self.door, self.looked_ms, self.kept_ms = None, None, None, self.clock.ticks_ms()
        self.switches, self.shown, self.shown_ms, self.drawn_ms = {}, 0, 0, None
        self.load()
        for number in PORTS:
            if "usb" + str(number) in self.wirings:
                faults, latched = self.kept_ports.get(number, (0, 0))
                wiring = self.wirings["usb" + str(number)]
                self.ports[number] = shedding.Port(wiring.get("limit_ma", 2800), faults, bool(latched))

    # Charge, shedding and ports outlive a restart: a latched port stays off until a person has looked.
    def load(self):
        self.kept_ports = {}
        kept = self.orders.store.get("stop")
        if not kept or len(kept) != 30:
            return
        if kept[0] == 1:
            self.battery.charge_mas = min(int.from_bytes(kept[1:9], "little"), self.battery.full_mas)
        self.shed = min(kept[9], shedding.SOS_ONLY)
        for number in PORTS:
            at = 5 + 5 * number
            self.kept_ports[number] = int.from_bytes(kept[at : at + 4], "little"), kept[at + 4]

    def keep(self, now_ms):
        charge = self.battery.charge_mas
        out = bytes((charge is not None,)) + (charge or 0).to_bytes(8, "little") + bytes((self.shed,))
        for number in PORTS:
            port = self.ports.get(number)
            out += ((port.faults if port else 0).to_bytes(4, "little")) + bytes((int(port.latched) if port else 0,))
        self.kept_ms = now_ms
        try:
            self.orders.store.keep("stop", out)
        except (OSError, ValueError):
            self.missed += 1

    async def apply(self):
        now_ms = self.clock.ticks_ms()
        pressed = self.contact("sos")
        if pressed and not self.sos:
            self.tell("sos_pressed")
        self.sos = pressed
        door = self.contact("door")
        self.door = None if door is None else 1 - door
        self.lean.look(self.ask("shock", read_of))
        self.ask("charger", polled, self.charger)
        if self.looked_ms is None or now_ms - self.looked_ms >= 1000:
            self.looked_ms = now_ms
            self.count(now_ms)
            self.look_at_ports(now_ms)
        self.output()
        if now_ms - self.kept_ms >= KEEP_MS:
            self.keep(now_ms)

    # What flows into the battery: by its own shunt, else by what the charger says.
    def count(self, now_ms):
        told = {metric: (n, d) for metric, n, d in self.ask("charger", read_of, self.charger) or ()}
        measured = self.ask("battery", read_of, rail)
        mv = measured[0] if measured else told.get("battery_voltage_v", (None,))[0]
        ma = measured[1] if measured else told.get("battery_current_a", (None,))[0]
        floating = told.get("charger_state", (None,))[0] == FLOAT
        soc = told.get("battery_soc_pct", (None, 0))[0]
        if soc is None:
            self.battery.count(now_ms, mv, ma, floating)
            soc = self.battery.permille() if mv is not None or ma is not None else None
        if measured:
            told["battery_voltage_v"], told["battery_current_a"] = (mv, 3), (ma, 3)
        told["battery_soc_pct"] = (soc, 1)
        self.energy = told
        step = shedding.step(soc, self.shed)
        if step != self.shed:
            self.shed, self.changed, self.drawn_ms = step, True, None
            self.keep(now_ms)

    def look_at_ports(self, now_ms):
        for number, port in self.ports.items():
            name, before = "usb" + str(number), (port.faults, port.latched)
            measured = self.ask(name + "_meter", read_of, rail)
            ma, tripped = measured and measured[1], bool(self.contact(name + "_fault"))
            self.switch(name, port.look(now_ms, ma, tripped, self.shed >= shedding.USB_OFF))
            port.ma = ma
            if (port.faults, port.latched) != before:
                self.keep(now_ms)

    # A switch moves only when what it is to do has changed.
    def switch(self, name, wanted):
        wanted = int(bool(wanted))
        if self.switches.get(name) != wanted and self.ask(name, lambda part: switched(part, wanted)):
            self.switches[name] = wanted

    def output(self):
        dark = self.dusk.look(self.mlx())
        level = self.orders.level(0, dark)[0] if self.orders.channels else 100 if dark is not False else 0
        self.light_pct = shedding.light_pct(level, self.shed)
        if self.light_pct != self.said_pct and self.ask("light", lambda light: light_at(light, self.light_pct)):
            self.said_pct, self.changed = self.light_pct, True
        self.switch("wifi", self.shed < shedding.WIFI_OFF)
        self.switch("air", self.shed < shedding.DISPLAY_HOURLY)
        display = self.part("display")
        if display is not None:
            hourly = 3600 if self.shed >= shedding.DISPLAY_HOURLY else self.config.get("display_s", 300)
            display.every_s = 0 if self.shed >= shedding.SOS_ONLY else hourly
            now_ms = self.clock.ticks_ms()
            due = self.drawn_ms is None or (display.every_s and now_ms - self.drawn_ms >= display.every_s * 1000)
            if due:
                self.drawn_ms = now_ms
                self.drawing = asyncio.create_task(display.write(self.lines()))

    # What passengers read, in letters without accents.
    def lines(self):
        soc, step = self.energy.get("battery_soc_pct", (None, 1)), self.shed
        full = "?" if soc[0] is None else str(soc[0] // 10 ** soc[1])
        return (
            str(self.config.get("device", ""))[:15],
            "",
            "USB      " + said(self.ports and step < shedding.USB_OFF),
            "WiFi     " + said(self.switches.get("wifi")),
            "Baterie  " + full + " %",
        )

    def mlx(self):
        found = self.analogue("photocell")
        if found is not None:
            return found
        panel = self.energy.get("pv_voltage_v", (None,))[0]
        return (
            None if panel is None else 0 if panel < NIGHT_MV else 10 * equipment.BRIGHT_MLX if panel > DAY_MV else 30000
        )

    async def sample(self, channel):
        found = self.snapshot()
        for metric, (n, decimals) in self.energy.items():
            found.put(metric, n, decimals)
        for name in RAILS:
            measured = self.ask("rail_" + name, read_of, rail)
            if measured is not None:
                found.put("load_" + name + "_power_w", measured[0] * abs(measured[1]), 6)
        panel = self.ask("panel", read_of, rail)
        found.put("pv_current_a", panel and panel[1], 3)
        found.put("shedding", self.shed)
        for number, port in self.ports.items():
            name = "usb" + str(number)
            found.put(name + "_current_a", port.ma, 3)
            found.put(name + "_state", port.state(port.ma, self.shed >= shedding.USB_OFF))
            found.put(name + "_faults", port.faults)
        if self.shed < shedding.DISPLAY_HOURLY:
            climate = await self.wait("climate", read_of, self.climate)
            found.put("air_temp_degc", climate and climate[0], 2)
            found.put("air_humidity_pct", climate and climate[1], 2)
        display = self.part("display")
        if display is not None:
            found.put("display_content_age_s", self.age_s(display))
            found.put("display_refresh_ok", display.ok)
        if "shock" in self.wirings:
            found.put("shock_g", self.lean.peak_mg, 3)
        found.put("wifi_up", self.switches.get("wifi"))
        found.put("door_open", self.door)
        found.put("water_present", self.contact("water"))
        found.put("sos_pressed", self.sos)
        found.put("light_level_pct", self.said_pct)
        return found.values

    # Seconds since what it shows was drawn, None before the first.
    def age_s(self, display):
        now_ms = self.clock.ticks_ms()
        if display.shown != self.shown:
            self.shown, self.shown_ms = display.shown, now_ms
        return (now_ms - self.shown_ms) // 1000 if self.shown else None

    def charger(self, port, wiring):
        from node import vedirect

        return vedirect.Text(port, self.clock)

    def climate(self, bus, wiring):
        from node import sht3x

        return sht3x.Sht3x(bus, self.clock, wiring.get("address", 0x44))

    # While it has its display.
    def active(self, channel):
        return self.shed < shedding.DISPLAY_HOURLY

    def sent(self, channel):
        self.lean.peak_mg = 0


def rail(bus, wiring):
    from node import ina226

    return ina226.Ina226(bus, wiring.get("address", 0x40), wiring.get("shunt_uohm", 10000))


def said(yes):
    return "ano" if yes else "ne"


def polled(charger):
    charger.poll()


def read_of(part):
    return part.read()


def switched(part, wanted):
    part.set(wanted)
    return True


def light_at(light, pct):
    light.set(pct * 10)
    return True
