# The cabinet: its contactor by program and orders, its meter, door, breaker, switch and leakage.

from node.kinds import equipment

HOLD_MS = 10000  # a contactor is not switched more often, whatever the orders say
AUTOMATIC, ON, OFF = 0, 1, 2


class Kind(equipment.Kind):
    NAME = "cabinet"
    COMMANDED = ("contactor_closed",)
    UNEXPECTED = (
        "breaker_closed",
        "door_open",
        "leakage_ma",
        "local_switch",
        "l1_voltage_v",
        "l1_power_w",
        "l2_voltage_v",
        "l2_power_w",
        "l3_voltage_v",
        "l3_power_w",
    )

    def __init__(self, board, config, orders):
        super().__init__(board, config, orders)
        self.dusk, self.mlx = equipment.Dusk(self.clock), None
        self.closed, self.moved_ms, self.switch, self.door = None, -HOLD_MS, None, None

    async def apply(self):
        now_ms = self.clock.ticks_ms()
        by_hand, away = self.contact("switch_on"), self.contact("switch_off")
        if by_hand is not None or away is not None:
            self.switch = ON if by_hand else OFF if away else AUTOMATIC
        else:
            self.switch = None
        self.orders.local, self.orders.locked = self.switch == ON, self.switch == OFF
        self.mlx = self.analogue("photocell")
        pct, _ = self.orders.level(0, self.dusk.look(self.mlx))
        closed = int(pct > 0)
        due = closed != self.closed and (now_ms - self.moved_ms >= HOLD_MS or self.orders.locked)
        if due and self.ask("contactor", lambda relay: switched(relay, closed)):
            self.closed, self.moved_ms, self.changed = closed, now_ms, True
        door = self.contact("door")
        # The wiring closes the door's contact while the door is shut.
        self.door = None if door is None else 1 - door

    async def sample(self, channel):
        found = self.snapshot()
        for metric, n, decimals in await self.wait("meter", read_of, self.metered) or ():
            found.put(metric, n, decimals)
        auxiliary = self.contact("auxiliary")
        found.put("contactor_closed", self.closed if auxiliary is None else auxiliary)
        found.put("breaker_closed", self.contact("breaker"))
        found.put("door_open", self.door)
        found.put("local_switch", self.switch)
        found.put("leakage_ma", self.analogue("leakage"), 3)
        found.put("illuminance_lx", self.mlx, 3)
        climate = await self.wait("climate", read_of, self.climate)
        found.put("cabinet_temp_degc", climate and climate[0], 2)
        return found.values

    def metered(self, port, wiring):
        from node import meters, modbus

        master = modbus.Master(port, self.clock)
        if wiring["chip"] == "sdm":
            return meters.Sdm(master, wiring.get("unit", 1), wiring.get("phases", 3))
        return meters.OnePhase(meters.KNOWN[wiring["chip"]](master, wiring.get("unit", 1)))

    def climate(self, bus, wiring):
        from node import sht3x

        return sht3x.Sht3x(bus, self.clock, wiring.get("address", 0x44))

    def active(self, channel):
        return bool(self.closed)


def switched(relay, closed):
    relay.set(closed)
    return True


def read_of(part):
    return part.read()
