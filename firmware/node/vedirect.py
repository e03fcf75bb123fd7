# VE.Direct text of a Victron charger or shunt: blocks of "\r\nLABEL\tVALUE", each ending with a checksum byte.

BLOCK_MAX = 1024
STALE_MS = 5000  # a block comes every second
# By VE.Direct's number of CS, the place among the words of charger_state.
STATES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 245: 8, 247: 7, 252: 9}


class Text:
    def __init__(self, port, clock):
        self.port, self.clock = port, clock
        self.values, self.came_ms = None, 0
        self.broken = 0
        self.block, self.sum, self.hexed, self.ends = bytearray(), 0, False, False

    # Takes in what has come; a block counts only if its checksum is right.
    def poll(self):
        while True:
            got = self.port.read()
            if not got:
                return
            for byte in got:
                self.take(byte)

    def take(self, byte):
        if self.hexed:  # a line of the other protocol, which may stand anywhere and is in no checksum
            self.hexed = byte != 10
            return
        if byte == 58 and not self.ends:
            self.hexed = True
            return
        self.sum = (self.sum + byte) & 255
        if self.ends:  # this is the checksum itself, whatever it looks like
            if self.sum == 0:
                self.keep()
            else:
                self.broken += 1
            self.block, self.sum, self.ends = bytearray(), 0, False
            return
        self.block.append(byte)
        if byte == 9 and self.block.endswith(b"Checksum\t"):
            self.ends = True
        elif len(self.block) > BLOCK_MAX:
            self.broken += 1
            self.block, self.sum = bytearray(), 0

    def keep(self):
        found = {}
        for line in bytes(self.block).split(b"\r\n"):
            label, _, value = line.partition(b"\t")
            if label in LABELS:
                found[label] = value
        self.values, self.came_ms = found, self.clock.ticks_ms()

    # A whole number of the newest block, None where there is none or it is old.
    def number(self, label):
        if self.values is None or self.clock.ticks_ms() - self.came_ms > STALE_MS:
            return None
        try:
            return int(self.values[label].decode())
        except (KeyError, ValueError):
            return None

    # (metric, value, its decimals)
    def read(self):
        self.poll()
        volts, load = self.number(b"V"), self.number(b"IL")
        soc, wh, state = self.number(b"SOC"), self.number(b"H19"), self.number(b"CS")
        return [
            ("pv_voltage_v", self.number(b"VPV"), 3),
            ("pv_power_w", self.number(b"PPV"), 0),
            ("pv_energy_wh", None if wh is None else wh * 10, 0),
            ("battery_voltage_v", volts, 3),
            ("battery_current_a", self.net_ma(), 3),
            ("battery_temp_degc", self.number(b"T"), 0),
            ("battery_soc_pct", soc, 1),
            ("charger_state", None if state is None else STATES.get(state), 0),
            ("charger_error", self.number(b"ERR"), 0),
            ("load_power_w", None if volts is None or load is None else volts * load // 1000, 3),
        ]

    # Into the battery: what the charger gives less what its own load output takes. A shunt has no load output.
    def net_ma(self):
        amps, load = self.number(b"I"), self.number(b"IL")
        return amps if amps is None or load is None else amps - load


LABELS = (b"V", b"I", b"IL", b"VPV", b"PPV", b"H19", b"CS", b"ERR", b"T", b"SOC")
